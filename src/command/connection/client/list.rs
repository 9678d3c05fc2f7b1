//! CLIENT INFO, CLIENT LIST: connections as lines of `name=value`.

use std::fmt::Write;

use crate::base::number;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Arg, Arity, Group, Row};
use crate::command::table::{CommandId, Table};
use crate::command::transaction::is_outdated;
use crate::keyspace::Keyspace;
use crate::session::{ClientClass, InputBytes, Session, SessionFlags};

use super::{OTHERS, OWN, class_by_name};

pub(super) const INFO: Row = Row {
    name: "info",
    summary: "Describes the connection.",
    since: "6.2.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(2),
    flags: OWN,
    tips: &["nondeterministic_output"],
    run: info,
    ..Row::BASE
};

fn info(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let mut text = String::new();
    cx.session().argv_bytes = args.words().bytes();
    write_line(&mut text, &cx.sessions[cx.client], cx.table, &Moment::of(cx));
    cx.session().argv_bytes = 0;
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(DONE)
}

pub(super) const LIST: Row = Row {
    name: "list",
    summary: "Describes connections, one in a line.",
    since: "2.4.0",
    complexity: "O(N), N being the number of connections",
    group: Group::Connection,
    arity: Arity::AtLeast(2),
    flags: OTHERS,
    tips: &["nondeterministic_output"],
    history: &[
        ("2.8.12", "Shows the unique `id`."),
        ("5.0.0", "Takes `TYPE`."),
        ("6.0.0", "Shows `user`."),
        (
            "6.2.0",
            "Shows `argv-mem`, `tot-mem`, `laddr` and `redir`; takes `ID`.",
        ),
        ("7.0.0", "Shows `resp`, `multi-mem`, `rbs` and `rbp`."),
        ("7.0.3", "Shows `ssub`."),
        ("7.2.0", "Shows `lib-name` and `lib-ver`."),
        ("7.4.0", "Shows `watch`."),
    ],
    args: &[
        Arg::one_of(
            "client-type",
            &[
                Arg::flag("normal", "NORMAL"),
                Arg::flag("master", "MASTER"),
                Arg::flag("replica", "REPLICA"),
                Arg::flag("pubsub", "PUBSUB"),
            ],
        )
        .token("TYPE")
        .optional()
        .since("5.0.0"),
        Arg::integer("client-id")
            .token("ID")
            .optional()
            .multiple()
            .since("6.2.0"),
    ],
    run: list,
    ..Row::BASE
};

fn list(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let selection = Selection::parse(args)?;
    let mut text = String::new();
    cx.session().argv_bytes = args.words().bytes();
    match selection {
        Selection::All => describe(cx, &mut text, |_| true),
        Selection::Class(class) => describe(cx, &mut text, |session| session.class() == class),
        // In the order asked for, and as often.
        Selection::Ids(ids) => {
            for id in ids.into_iter().filter_map(|id| u64::try_from(id).ok()) {
                if let Some(client) = cx.sessions.find_client(id) {
                    write_line(&mut text, &cx.sessions[client], cx.table, &Moment::of(cx));
                }
            }
        }
    }
    cx.session().argv_bytes = 0;
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(DONE)
}

/// Which connections to show.
enum Selection {
    All,
    Class(ClientClass),
    Ids(Vec<i64>),
}

impl Selection {
    fn parse(args: Args<'_>) -> Result<Selection, Error> {
        const NOT_AN_ID: Error = Error::fixed("ERR Invalid client ID");
        if args.len() == 2 {
            Ok(Selection::All)
        } else if args.len() == 4 && args.is(2, "type") {
            Ok(Selection::Class(class_by_name(args.get(3))?))
        } else if args.len() > 3 && args.is(2, "id") {
            let ids = args
                .iter_from(3)
                .map(|word| number::parse_i64(word).ok_or(NOT_AN_ID));
            Ok(Selection::Ids(ids.collect::<Result<_, _>>()?))
        } else {
            Err(Error::Syntax)
        }
    }
}

fn describe(cx: &Cx<'_>, text: &mut String, wanted: impl Fn(&Session) -> bool) {
    let moment = Moment::of(cx);
    let shown = |session: &Session| !session.flags.contains(SessionFlags::REPLAY) && wanted(session);
    for (_, session) in cx.sessions.iter().filter(|(_, session)| shown(session)) {
        write_line(text, session, cx.table, &moment);
    }
}

/// What a line depends on beside the client.
pub struct Moment<'a> {
    /// What has become of keys that clients watch.
    pub keys: &'a Keyspace,
    /// Unix milliseconds.
    pub now_ms: i64,
    /// How long a peak of replies lasts, in milliseconds.
    pub reply_peak_ms: i64,
}

impl<'a> Moment<'a> {
    /// The present one.
    pub fn of(cx: &'a Cx<'_>) -> Moment<'a> {
        Moment {
            keys: cx.keys,
            now_ms: cx.now_ms(),
            reply_peak_ms: cx.server.reply_peak.window_ms(),
        }
    }
}

/// Appends the line of `session`, its end included.
pub fn write_line(text: &mut String, session: &Session, table: &Table, moment: &Moment<'_>) {
    let command = session
        .last_command
        .map_or("NULL", |id| &table.command(CommandId(id)).full_name);
    let memory = Memory::of(session, moment);
    let outdated = is_outdated(session, moment.keys);
    // Compat: once one has changed, Redis watches none any more.
    let watched = if outdated { 0 } else { session.watches.len() };
    let seconds_since = |then_ms: i64| (moment.now_ms - then_ms).max(0) / 1000;
    let mut field = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}={value} ");
    };
    field("id", &session.id);
    field("addr", &session.addr);
    field("laddr", &session.laddr);
    field("fd", &session.fd);
    field("name", &session.name);
    field("age", &seconds_since(session.created_ms));
    field("idle", &seconds_since(session.active_ms));
    field("flags", &flag_letters(session, outdated));
    field("db", &session.db);
    field("sub", &session.channels);
    field("psub", &session.patterns);
    field("ssub", &session.shard_channels);
    field("multi", &session.multi);
    field("watch", &watched);
    field("qbuf", &memory.input.used);
    field("qbuf-free", &memory.input.free_lately);
    field("argv-mem", &session.argv_bytes);
    field("multi-mem", &memory.queued_commands);
    field(
        "rbs",
        &memory.reply_peak.clamp(REPLY_BUFFER_MIN, REPLY_BUFFER_MAX),
    );
    field("rbp", &memory.reply_peak.min(REPLY_BUFFER_MAX));
    field("obl", &0);
    field("oll", &usize::from(memory.queued > 0));
    field("omem", &memory.queued);
    field("tot-mem", &memory.total);
    field("events", &if session.outlet.is_some() { "r" } else { "" });
    field("cmd", &command);
    field("user", &session.user);
    field("redir", &session.redirect_shown());
    field("resp", &session.resp);
    field("lib-name", &session.lib_name);
    field("lib-ver", &session.lib_ver);
    text.pop();
    text.push('\n');
}

/// Bounds of what is told of a reply buffer: those of the buffer that a client of Redis has beside its list of replies.
const REPLY_BUFFER_MIN: usize = 1024;
const REPLY_BUFFER_MAX: usize = 16 * 1024;

/// What a connection costs, in bytes.
struct Memory {
    input: InputBytes,
    reply_peak: usize,
    queued_commands: usize,
    queued: usize,
    /// What is held: buffers in the pool are nobody's.
    total: usize,
}

impl Memory {
    fn of(session: &Session, moment: &Moment<'_>) -> Memory {
        let input = session.input_bytes(moment.now_ms);
        let queued = session.outlet.as_ref().map_or(0, |outlet| outlet.queued_bytes());
        let queued_commands = session.queued_bytes();
        Memory {
            input,
            reply_peak: session.reply_peak.get(moment.now_ms, moment.reply_peak_ms),
            queued_commands,
            queued,
            total: session.held_bytes(),
        }
    }
}

/// The letters of `flags=`, `N` for none.
fn flag_letters(session: &Session, outdated: bool) -> String {
    const LETTERS: [(SessionFlags, char); 12] = [
        (SessionFlags::MONITOR, 'O'),
        (SessionFlags::REPLICA, 'S'),
        (SessionFlags::PUBSUB, 'P'),
        (SessionFlags::PAUSED.union(SessionFlags::BLOCKED), 'b'),
        (SessionFlags::TRACKING, 't'),
        (SessionFlags::TRACKING_BROKEN, 'R'),
        (SessionFlags::TRACKING_BCAST, 'B'),
        (SessionFlags::CLOSE_AFTER_REPLY, 'c'),
        (SessionFlags::CLOSING, 'A'),
        (SessionFlags::UNIX_SOCKET, 'U'),
        (SessionFlags::NO_EVICT, 'e'),
        (SessionFlags::NO_TOUCH, 'T'),
    ];
    let set = LETTERS.iter().filter(|(flag, _)| session.flags.intersects(*flag));
    let mut letters: String = set.map(|(_, letter)| *letter).collect();
    // Behind the letter for subscribers; behind that for those who are blocked.
    for (set, letter, before) in [(session.multi >= 0, 'x', "OSP"), (outdated, 'd', "OSPxbtRB")] {
        if set {
            let behind = letters.find(|c: char| !before.contains(c));
            letters.insert(behind.unwrap_or(letters.len()), letter);
        }
    }
    if letters.is_empty() { "N".into() } else { letters }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::KeyHasher;

    #[test]
    fn letters_stand_in_their_order() {
        let mut session = Session::internal();
        assert_eq!(flag_letters(&session, false), "N");
        session.flags = SessionFlags::NO_TOUCH | SessionFlags::UNIX_SOCKET | SessionFlags::PUBSUB;
        assert_eq!(flag_letters(&session, false), "PUT");
        session.multi = 0;
        assert_eq!(flag_letters(&session, false), "PxUT");
        session.flags.insert(SessionFlags::BLOCKED);
        assert_eq!(flag_letters(&session, true), "PxbdUT");
    }

    #[test]
    fn a_line_has_the_fields_of_7_4_in_order() {
        let table = Table::new(&[]).expect("nothing is renamed");
        let mut text = String::new();
        let session = Session {
            created_ms: 1_000,
            active_ms: 3_500,
            name: "me".into(),
            ..Session::internal()
        };
        let moment = Moment {
            keys: &Keyspace::new(1, KeyHasher::with_seed(1)),
            now_ms: 5_000,
            reply_peak_ms: 1_000,
        };
        write_line(&mut text, &session, &table, &moment);
        assert!(
            text.starts_with("id=0 addr=?:0 laddr=?:0 fd=-1 name=me age=4 idle=1 flags=N db=0 sub=0 "),
            "{text}"
        );
        assert!(
            text.ends_with(" events= cmd=NULL user=default redir=-1 resp=2 lib-name= lib-ver=\n"),
            "{text}"
        );
        let names: Vec<&str> = text
            .split(' ')
            .filter_map(|field| field.split('=').next())
            .collect();
        assert_eq!(
            names[9..].join(" "),
            "sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll \
            omem tot-mem events cmd user redir resp lib-name lib-ver"
        );
    }
}
