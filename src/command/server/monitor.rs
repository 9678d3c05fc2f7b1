//! MONITOR: from now on the client sees every command.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Arity, Flags, Group, Row};
use crate::session::SessionFlags;

pub(super) const MONITOR: Row = Row {
    name: "monitor",
    summary: "Shows this client every command the server runs.",
    since: "1.0.0",
    complexity: "",
    group: Group::Server,
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN
        .with(Flags::NOSCRIPT)
        .with(Flags::LOADING)
        .with(Flags::STALE),
    run: monitor,
    ..Row::BASE
};

fn monitor(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    // Compat: a transaction answers once for each command, and watching has no end.
    if cx.session().multi >= 0 {
        return Err(Error::fixed("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    // Compat: a client that watches already gets no answer at all.
    if cx.session().flags.contains(SessionFlags::MONITOR) {
        return Ok(DONE);
    }
    cx.session().flags.insert(SessionFlags::MONITOR);
    cx.server.monitors += 1;
    cx.reply.ok();
    Ok(DONE)
}
