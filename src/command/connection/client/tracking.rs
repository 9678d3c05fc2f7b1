//! CLIENT TRACKING CACHING GETREDIR TRACKINGINFO: being told what to forget of a cache of one's own.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Arg, Arity, Group, Row};
use crate::session::{SessionFlags, SessionId};
use crate::tracking::Overlap;

use super::OWN;

pub(super) const TRACKING: Row = Row {
    name: "tracking",
    summary: "Starts or ends telling the connection which keys of its cache have changed.",
    since: "6.0.0",
    complexity: "O(1). Some options may introduce additional complexity.",
    group: Group::Connection,
    arity: Arity::AtLeast(3),
    flags: OWN,
    args: &[
        Arg::one_of("status", &[Arg::flag("on", "ON"), Arg::flag("off", "OFF")]),
        Arg::integer("client-id").token("REDIRECT").optional(),
        Arg::string("prefix")
            .token("PREFIX")
            .optional()
            .multiple()
            .multiple_token(),
        Arg::flag("bcast", "BCAST").optional(),
        Arg::flag("optin", "OPTIN").optional(),
        Arg::flag("optout", "OPTOUT").optional(),
        Arg::flag("noloop", "NOLOOP").optional(),
    ],
    run: tracking,
    ..Row::BASE
};

fn tracking(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let options = Options::parse(cx, args)?;
    if args.is(2, "on") {
        options.check(cx)?;
        enable(cx, &options);
    } else if args.is(2, "off") {
        disable(cx);
    } else {
        return Err(Error::Syntax);
    }
    cx.reply.ok();
    Ok(DONE)
}

/// Options of CLIENT TRACKING.
#[derive(Default)]
struct Options<'a> {
    redirect: Option<SessionId>,
    /// BCAST, OPTIN, OPTOUT and NOLOOP.
    modes: SessionFlags,
    prefixes: Vec<&'a [u8]>,
}

const BCAST: SessionFlags = SessionFlags::TRACKING_BCAST;
const OPTIN: SessionFlags = SessionFlags::TRACKING_OPTIN;
const OPTOUT: SessionFlags = SessionFlags::TRACKING_OPTOUT;

impl<'a> Options<'a> {
    fn parse(cx: &Cx<'_>, args: Args<'a>) -> Result<Options<'a>, Error> {
        let (mut options, mut word) = (Options::default(), 3);
        while word < args.len() {
            let value = args.try_get(word + 1);
            if let (true, Some(prefix)) = (args.is(word, "prefix"), value) {
                options.prefixes.push(prefix);
                word += 1;
            } else if args.is(word, "redirect") && value.is_some() {
                options.redirect_to(cx, args, word + 1)?;
                word += 1;
            } else {
                options.modes |= mode(args.get(word)).ok_or(Error::Syntax)?;
            }
            word += 1;
        }
        Ok(options)
    }

    fn redirect_to(&mut self, cx: &Cx<'_>, args: Args<'_>, word: usize) -> Result<(), Error> {
        const ONE_ONLY: Error = Error::fixed("ERR A client can only redirect to a single other client");
        const NOBODY: Error = Error::fixed("ERR The client ID you want redirect to does not exist");
        if self.redirect.is_some() {
            return Err(ONE_ONLY);
        }
        let id = u64::try_from(args.int(word)?).map_err(|_| NOBODY)?;
        self.redirect = Some(cx.sessions.find_client(id).ok_or(NOBODY)?);
        Ok(())
    }

    /// Whether they go together, and with how the client tracks already.
    fn check(&self, cx: &mut Cx<'_>) -> Result<(), Error> {
        let (modes, present) = (self.modes, cx.session().flags);
        let both = |one, other| modes.contains(one) && present.contains(other);
        let refuse = |when: bool, error: Error| if when { Err(error) } else { Ok(()) };
        refuse(
            !modes.contains(BCAST) && !self.prefixes.is_empty(),
            Error::fixed("ERR PREFIX option requires BCAST mode to be enabled"),
        )?;
        refuse(
            present.contains(SessionFlags::TRACKING) && (modes ^ present).contains(BCAST),
            other_mode("BCAST mode on/off"),
        )?;
        refuse(
            modes.contains(BCAST) && modes.intersects(OPTIN | OPTOUT),
            Error::fixed("ERR OPTIN and OPTOUT are not compatible with BCAST"),
        )?;
        refuse(
            modes.contains(OPTIN | OPTOUT),
            Error::fixed("ERR You can't specify both OPTIN mode and OPTOUT mode"),
        )?;
        refuse(
            both(OPTIN, OPTOUT) || both(OPTOUT, OPTIN),
            other_mode("OPTIN/OPTOUT mode"),
        )?;
        let overlap = cx.tracking.prefixes.overlap(cx.client, &self.prefixes);
        overlap.map_or(Ok(()), |overlap| Err(overlapping(&overlap)))
    }
}

/// The switch of a mode by its name.
fn mode(name: &[u8]) -> Option<SessionFlags> {
    const NAMES: [(&str, SessionFlags); 4] = [
        ("bcast", BCAST),
        ("optin", OPTIN),
        ("optout", OPTOUT),
        ("noloop", SessionFlags::TRACKING_NOLOOP),
    ];
    let named = NAMES
        .iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
    named.map(|(_, flag)| *flag)
}

fn other_mode(what: &str) -> Error {
    Error::err(format_args!(
        "You can't switch {what} before disabling tracking for this client, and then re-enabling it with a different \
         mode."
    ))
}

fn overlapping(overlap: &Overlap<'_>) -> Error {
    let (new, relation, other): (_, &[u8], &[u8]) = match overlap {
        Overlap::Existing(new, known) => (*new, b"an existing", known),
        Overlap::Given(new, other) => (*new, b"another provided", other),
    };
    let text: [&[u8]; 7] = [
        b"ERR Prefix '",
        new,
        b"' overlaps with ",
        relation,
        b" prefix '",
        other,
        b"'. Prefixes for a single client must not overlap.",
    ];
    Error::Text(text.concat().into())
}

fn enable(cx: &mut Cx<'_>, options: &Options<'_>) {
    let client = cx.client;
    let session = &mut cx.sessions[client];
    cx.tracking.clients += usize::from(!session.flags.contains(SessionFlags::TRACKING));
    // Compat: `CLIENT CACHING` still counts for the next command.
    session.flags &= !SessionFlags::ALL_TRACKING | SessionFlags::TRACKING_CACHING;
    session.flags |= SessionFlags::TRACKING | options.modes;
    session.redirect = options.redirect;
    let prefixes = &mut cx.tracking.prefixes;
    if options.modes.contains(BCAST) {
        if options.prefixes.is_empty() {
            prefixes.listen(b"", client);
        }
        options
            .prefixes
            .iter()
            .for_each(|prefix| prefixes.listen(prefix, client));
    }
    session.prefixes = prefixes.count_of(client);
    cx.keys.changes.tracked = true;
}

/// Ends tracking, if the client tracks. Keys it has read stay in the table until they change.
pub(in crate::command) fn disable(cx: &mut Cx<'_>) {
    let session = &mut cx.sessions[cx.client];
    if session.flags.contains(SessionFlags::TRACKING) {
        session.flags.remove(SessionFlags::ALL_TRACKING);
        session.prefixes = 0;
        cx.tracking.leave(cx.client);
    }
}

pub(super) const CACHING: Row = Row {
    name: "caching",
    summary: "Says whether the connection will cache the keys of its next command.",
    since: "6.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(3),
    flags: OWN,
    args: &[Arg::one_of(
        "mode",
        &[Arg::flag("yes", "YES"), Arg::flag("no", "NO")],
    )],
    run: caching,
    ..Row::BASE
};

fn caching(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    const NOT_TRACKING: Error = Error::fixed(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
    );
    const NOT_OPTIN: Error =
        Error::fixed("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    const NOT_OPTOUT: Error =
        Error::fixed("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    let flags = &mut cx.session().flags;
    if !flags.contains(SessionFlags::TRACKING) {
        return Err(NOT_TRACKING);
    }
    match () {
        () if args.is(2, "yes") && !flags.contains(OPTIN) => return Err(NOT_OPTIN),
        () if args.is(2, "no") && !flags.contains(OPTOUT) => return Err(NOT_OPTOUT),
        () if args.is(2, "yes") || args.is(2, "no") => flags.insert(SessionFlags::TRACKING_CACHING),
        () => return Err(Error::Syntax),
    }
    cx.reply.ok();
    Ok(DONE)
}

pub(super) const GETREDIR: Row = Row {
    name: "getredir",
    summary: "Tells which connection is told what this one is to forget of its cache.",
    since: "6.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(2),
    flags: OWN,
    run: getredir,
    ..Row::BASE
};

fn getredir(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let redirect = cx.session().redirect_shown();
    cx.reply.int(redirect);
    Ok(DONE)
}

pub(super) const TRACKINGINFO: Row = Row {
    name: "trackinginfo",
    summary: "Tells how the connection's cache is looked after.",
    since: "6.2.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(2),
    flags: OWN,
    run: trackinginfo,
    ..Row::BASE
};

fn trackinginfo(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let session = &cx.sessions[cx.client];
    let names = mode_names(session.flags);
    cx.reply.map(3);
    cx.reply.bulk(b"flags");
    cx.reply.set(names.len());
    names.iter().for_each(|name| cx.reply.bulk(name.as_bytes()));
    cx.reply.bulk(b"redirect");
    cx.reply.int(session.redirect_shown());
    cx.reply.bulk(b"prefixes");
    cx.reply.array(cx.tracking.prefixes.count_of(cx.client));
    let prefixes = cx.tracking.prefixes.of(cx.client);
    prefixes.for_each(|prefix| cx.reply.bulk(prefix));
    Ok(DONE)
}

fn mode_names(flags: SessionFlags) -> Vec<&'static str> {
    const CACHING: SessionFlags = SessionFlags::TRACKING_CACHING;
    const NAMES: [(SessionFlags, &str); 7] = [
        (BCAST, "bcast"),
        (OPTIN, "optin"),
        (OPTIN.union(CACHING), "caching-yes"),
        (OPTOUT, "optout"),
        (OPTOUT.union(CACHING), "caching-no"),
        (SessionFlags::TRACKING_NOLOOP, "noloop"),
        (SessionFlags::TRACKING_BROKEN, "broken_redirect"),
    ];
    let tracks = flags.contains(SessionFlags::TRACKING);
    let modes = NAMES.iter().filter(|(mode, _)| flags.contains(*mode));
    let first = if tracks { "on" } else { "off" };
    [first].into_iter().chain(modes.map(|(_, name)| *name)).collect()
}
