//! CLIENT KILL, CLIENT UNBLOCK.

use crate::base::number;
use crate::command::args::Args;
use crate::command::cx::{Control, Cx, DONE, Next, Outcome};
use crate::command::error::Error;
use crate::command::row::{Arg, Arity, Group, Row};
use crate::session::{ClientClass, Session, SessionFlags, SessionId};

use super::{OTHERS, class_by_name, too_many_words};

pub(super) const KILL: Row = Row {
    name: "kill",
    summary: "Closes connections.",
    since: "2.4.0",
    complexity: "O(N), N being the number of connections",
    group: Group::Connection,
    arity: Arity::AtLeast(3),
    flags: OTHERS,
    history: &[
        ("2.8.12", "Takes filters."),
        ("2.8.12", "Takes `ID`."),
        ("3.2.0", "Knows the type `master`."),
        (
            "5.0.0",
            "Calls the type `slave` `replica`, and still knows the old name.",
        ),
        ("6.2.0", "Takes `LADDR`."),
        ("7.4.0", "Takes `MAXAGE`."),
    ],
    args: &[Arg::one_of(
        "filter",
        &[OLD_FORMAT, Arg::one_of("new-format", FILTERS).multiple()],
    )],
    run: kill,
    ..Row::BASE
};

const OLD_FORMAT: Arg = Arg {
    deprecated_since: Some("2.8.12"),
    ..Arg::string("ip:port")
};

const FILTERS: &[Arg] = &[
    Arg::integer("client-id").token("ID").optional().since("2.8.12"),
    Arg::one_of(
        "client-type",
        &[
            Arg::flag("normal", "NORMAL"),
            Arg::flag("master", "MASTER").since("3.2.0"),
            Arg::flag("slave", "SLAVE"),
            Arg::flag("replica", "REPLICA").since("5.0.0"),
            Arg::flag("pubsub", "PUBSUB"),
        ],
    )
    .token("TYPE")
    .optional()
    .since("2.8.12"),
    Arg::string("username").token("USER").optional(),
    Arg::string("ip:port").token("ADDR").optional(),
    Arg::string("ip:port").token("LADDR").optional().since("6.2.0"),
    Arg::one_of("skipme", &[Arg::flag("yes", "YES"), Arg::flag("no", "NO")])
        .token("SKIPME")
        .optional(),
    Arg::integer("maxage").token("MAXAGE").optional().since("7.4.0"),
];

fn kill(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    // Compat: the old form names an address, may hit the caller, and answers no count.
    let old_form = args.len() == 3;
    let filter = if old_form {
        Filter {
            addr: Some(args.get(2)),
            ..Filter::default()
        }
    } else {
        Filter::parse(cx, args)?
    };
    let victims = victims(cx, &filter);
    match victims.len() {
        0 if old_form => return Err(Error::fixed("ERR No such client")),
        _ if old_form => cx.reply.ok(),
        count => cx.reply.int(count as i64),
    }
    Ok(if victims.is_empty() {
        DONE
    } else {
        Next::Control(Control::Kill(victims))
    })
}

fn victims(cx: &Cx<'_>, filter: &Filter<'_>) -> Vec<SessionId> {
    let now_ms = cx.now_ms();
    let spared = |id: SessionId| filter.skip_me && id == cx.client;
    let hit = cx
        .sessions
        .iter()
        .filter(|(id, session)| !spared(*id) && filter.hits(session, now_ms));
    hit.map(|(id, _)| id).collect()
}

/// Which connections to close: those that meet every condition given.
#[derive(Default)]
struct Filter<'a> {
    id: Option<i64>,
    class: Option<ClientClass>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    /// Least age in seconds.
    age_min_s: Option<i64>,
    skip_me: bool,
}

impl<'a> Filter<'a> {
    fn parse(cx: &Cx<'_>, args: Args<'a>) -> Result<Filter<'a>, Error> {
        let mut filter = Filter {
            skip_me: true,
            ..Filter::default()
        };
        for word in (2..args.len()).step_by(2) {
            let value = args.try_get(word + 1).ok_or(Error::Syntax)?;
            filter.add(cx, args.get(word), value)?;
        }
        Ok(filter)
    }

    fn add(&mut self, cx: &Cx<'_>, name: &[u8], value: &'a [u8]) -> Result<(), Error> {
        match name.to_ascii_lowercase().as_slice() {
            b"id" => self.id = Some(client_id(value)?),
            b"maxage" => self.age_min_s = Some(age(value)?),
            b"type" => self.class = Some(class_by_name(value)?),
            b"addr" => self.addr = Some(value),
            b"laddr" => self.laddr = Some(value),
            b"user" => self.user = Some(known_user(cx, value)?),
            b"skipme" => self.skip_me = yes_or_no(value)?,
            _ => return Err(Error::Syntax),
        }
        Ok(())
    }

    fn hits(&self, session: &Session, now_ms: i64) -> bool {
        if session.flags.contains(SessionFlags::REPLAY) {
            return false;
        }
        let age_s = (now_ms - session.created_ms) / 1000;
        self.id.is_none_or(|id| session.id as i64 == id)
            && self.class.is_none_or(|class| session.class() == class)
            && self.addr.is_none_or(|addr| session.addr.as_bytes() == addr)
            && self.laddr.is_none_or(|laddr| session.laddr.as_bytes() == laddr)
            && self.user.is_none_or(|user| session.user.as_bytes() == user)
            && self.age_min_s.is_none_or(|age_min_s| age_s >= age_min_s)
    }
}

fn client_id(value: &[u8]) -> Result<i64, Error> {
    const REFUSAL: Error = Error::fixed("ERR client-id should be greater than 0");
    number::parse_i64(value).filter(|&id| id > 0).ok_or(REFUSAL)
}

fn age(value: &[u8]) -> Result<i64, Error> {
    let age = number::parse_i64(value).ok_or(Error::fixed("ERR maxage is not an integer or out of range"))?;
    if age > 0 {
        Ok(age)
    } else {
        Err(Error::fixed("ERR maxage should be greater than 0"))
    }
}

fn known_user<'a>(cx: &Cx<'_>, name: &'a [u8]) -> Result<&'a [u8], Error> {
    let refusal = || Error::quoting("No such user '", name, "'");
    cx.acl.find(name).map(|_| name).ok_or_else(refusal)
}

fn yes_or_no(value: &[u8]) -> Result<bool, Error> {
    match value.to_ascii_lowercase().as_slice() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err(Error::Syntax),
    }
}

pub(super) const UNBLOCK: Row = Row {
    name: "unblock",
    summary: "Ends the waiting of a connection that a command blocks.",
    since: "5.0.0",
    complexity: "O(N), N being the number of connections",
    group: Group::Connection,
    arity: Arity::AtLeast(3),
    flags: OTHERS,
    args: &[
        Arg::integer("client-id"),
        Arg::one_of(
            "unblock-type",
            &[Arg::flag("timeout", "TIMEOUT"), Arg::flag("error", "ERROR")],
        )
        .optional(),
    ],
    run: unblock,
    ..Row::BASE
};

fn unblock(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let with_error = ends_in_error(args)?;
    let id = args.int(2)?;
    let blocked = u64::try_from(id)
        .ok()
        .and_then(|id| cx.sessions.find_client(id))
        .filter(|&client| {
            let flags = cx.sessions[client].flags & (SessionFlags::BLOCKED | SessionFlags::MIGRATING);
            flags == SessionFlags::BLOCKED
        });
    cx.reply.int(i64::from(blocked.is_some()));
    let unblock = |client| Next::Control(Control::Unblock { client, with_error });
    Ok(blocked.map_or(DONE, unblock))
}

fn ends_in_error(args: Args<'_>) -> Result<bool, Error> {
    const BAD_REASON: Error = Error::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    match args.len() {
        3 => Ok(false),
        4 if args.is(3, "timeout") => Ok(false),
        4 if args.is(3, "error") => Ok(true),
        4 => Err(BAD_REASON),
        _ => Err(too_many_words(args)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_hits_who_meets_all_of_it() {
        let session = Session {
            id: 7,
            addr: "1.2.3.4:5".into(),
            created_ms: 1_000,
            ..Session::internal()
        };
        assert!(Filter::default().hits(&session, 1_000));
        assert!(
            Filter {
                id: Some(7),
                addr: Some(b"1.2.3.4:5"),
                ..Filter::default()
            }
            .hits(&session, 1_000)
        );
        assert!(
            !Filter {
                id: Some(7),
                addr: Some(b"1.2.3.4:6"),
                ..Filter::default()
            }
            .hits(&session, 1_000)
        );
        let old = Filter {
            age_min_s: Some(2),
            ..Filter::default()
        };
        assert!(!old.hits(&session, 2_999) && old.hits(&session, 3_000));
    }
}
