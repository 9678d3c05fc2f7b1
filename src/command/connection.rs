//! (in the making)
use super::args::Args;
use super::cx::{Cx, DONE, Outcome};
use super::row::{Arity, Flags, Group, Row};
/// Rows.
pub const ROWS: &[Row] = &[PING];
const PING: Row = Row {
    name: "ping",
    group: Group::Connection,
    arity: Arity::AtLeast(1),
    flags: Flags::FAST,
    run: ping,
    ..Row::BASE
};
fn ping(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.reply.simple("PONG");
    Ok(DONE)
}
