//! CLIENT ID GETNAME SETNAME SETINFO NO-EVICT NO-TOUCH REPLY: what a connection is called and how it is treated.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Arg, Arity, Group, Row};
use crate::session::SessionFlags;

use super::{OTHERS, OWN, SWITCH};

/// What CLIENT SETNAME and SETINFO have to do in a cluster.
const TO_ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

pub(super) const ID: Row = Row {
    name: "id",
    summary: "Tells the connection's id, which no other connection ever gets.",
    since: "5.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(2),
    flags: OWN,
    run: id,
    ..Row::BASE
};

fn id(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.reply.int(cx.client.client as i64);
    Ok(DONE)
}

pub(super) const GETNAME: Row = Row {
    name: "getname",
    summary: "Tells the connection's name.",
    since: "2.6.9",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(2),
    flags: OWN,
    run: getname,
    ..Row::BASE
};

fn getname(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    match cx.sessions[cx.client].name.as_bytes() {
        [] => cx.reply.null(),
        name => cx.reply.bulk(name),
    }
    Ok(DONE)
}

pub(super) const SETNAME: Row = Row {
    name: "setname",
    summary: "Names the connection; an empty name takes its name away.",
    since: "2.6.9",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(3),
    flags: OWN,
    tips: TO_ALL_NODES,
    args: &[Arg::string("connection-name")],
    run: setname,
    ..Row::BASE
};

fn setname(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    cx.session().name = client_name(args.get(2))?;
    cx.reply.ok();
    Ok(DONE)
}

/// A name that CLIENT LIST can show.
pub(in crate::command::connection) fn client_name(text: &[u8]) -> Result<String, Error> {
    listable(text, b"Client names")
}

/// Text that can stand in a line of CLIENT LIST: visible ASCII, no spaces.
fn listable(text: &[u8], what: &[u8]) -> Result<String, Error> {
    let refusal = || {
        Error::quoting(
            "",
            what,
            " cannot contain spaces, newlines or special characters.",
        )
    };
    if !text.iter().all(u8::is_ascii_graphic) {
        return Err(refusal());
    }
    String::from_utf8(text.to_vec()).map_err(|_| refusal())
}

pub(super) const SETINFO: Row = Row {
    name: "setinfo",
    summary: "Tells the server which client library is speaking.",
    since: "7.2.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(4),
    flags: OWN,
    tips: TO_ALL_NODES,
    args: &[Arg::one_of(
        "attr",
        &[
            Arg::string("libname").token("LIB-NAME"),
            Arg::string("libver").token("LIB-VER"),
        ],
    )],
    run: setinfo,
    ..Row::BASE
};

fn setinfo(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let attribute = args.get(2);
    let session = cx.session();
    let field = match () {
        () if args.is(2, "lib-name") => &mut session.lib_name,
        () if args.is(2, "lib-ver") => &mut session.lib_ver,
        () => return Err(Error::quoting("Unrecognized option '", attribute, "'")),
    };
    *field = listable(args.get(3), attribute)?;
    cx.reply.ok();
    Ok(DONE)
}

pub(super) const NO_EVICT: Row = Row {
    name: "no-evict",
    summary: "Exempts the connection from being closed to save memory.",
    since: "7.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(3),
    flags: OTHERS,
    args: &[SWITCH],
    run: no_evict,
    ..Row::BASE
};

fn no_evict(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    switch(cx, args, SessionFlags::NO_EVICT)
}

pub(super) const NO_TOUCH: Row = Row {
    name: "no-touch",
    summary: "Lets the connection's commands leave no mark on when keys were last used.",
    since: "7.2.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(3),
    flags: OWN,
    args: &[SWITCH],
    run: no_touch,
    ..Row::BASE
};

fn no_touch(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    switch(cx, args, SessionFlags::NO_TOUCH)
}

/// Sets or clears `flag` as word 2 says.
fn switch(cx: &mut Cx<'_>, args: Args<'_>, flag: SessionFlags) -> Outcome {
    let on = args.is(2, "on");
    if !on && !args.is(2, "off") {
        return Err(Error::Syntax);
    }
    cx.session().flags.set(flag, on);
    cx.reply.ok();
    Ok(DONE)
}

pub(super) const REPLY: Row = Row {
    name: "reply",
    summary: "Says whether the connection wants replies.",
    since: "3.2.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(3),
    flags: OWN,
    args: &[Arg::one_of(
        "action",
        &[
            Arg::flag("on", "ON"),
            Arg::flag("off", "OFF"),
            Arg::flag("skip", "SKIP"),
        ],
    )],
    run: reply,
    ..Row::BASE
};

fn reply(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let flags = &mut cx.session().flags;
    if args.is(2, "on") {
        flags.remove(SessionFlags::REPLY_OFF | SessionFlags::REPLY_SKIP);
        cx.reply.ok();
    } else if args.is(2, "off") {
        flags.insert(SessionFlags::REPLY_OFF);
    } else if !args.is(2, "skip") {
        return Err(Error::Syntax);
    } else if !flags.contains(SessionFlags::REPLY_OFF) {
        flags.insert(SessionFlags::REPLY_SKIP_NEXT);
    }
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible_ascii() {
        assert_eq!(client_name(b"worker-1!~"), Ok("worker-1!~".into()));
        assert_eq!(client_name(b""), Ok(String::new()));
        for bad in [&b"a b"[..], b"a\n", b"\x7f", b"\xc3\xa9", b"\0"] {
            assert!(client_name(bad).is_err(), "{bad:?}");
        }
    }
}
