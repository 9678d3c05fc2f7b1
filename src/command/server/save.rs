//! SAVE BGSAVE LASTSAVE BGREWRITEAOF: what is written to disk on demand. The executor does it; see `exec/save.rs`.

use crate::command::args::Args;
use crate::command::cx::{Control, Cx, DONE, Next, Outcome};
use crate::command::error::Error;
use crate::command::row::{Arg, Arity, Categories, Flags, Group, Row};

pub(super) const SAVE: Row = Row {
    name: "save",
    summary: "Writes all data to the snapshot file and serves nobody meanwhile.",
    since: "1.0.0",
    complexity: "O(N) where N is the total number of keys in all databases",
    group: Group::Server,
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN
        .with(Flags::NOSCRIPT)
        .with(Flags::NO_ASYNC_LOADING)
        .with(Flags::NO_MULTI),
    run: save,
    ..Row::BASE
};

fn save(_: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    Ok(Next::Control(Control::Save))
}

pub(super) const BGSAVE: Row = Row {
    name: "bgsave",
    summary: "Writes all data to the snapshot file from a process of its own.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Server,
    arity: Arity::AtLeast(1),
    flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_ASYNC_LOADING),
    history: &[("3.2.2", "Added the `SCHEDULE` option.")],
    args: &[Arg::flag("schedule", "SCHEDULE").optional().since("3.2.2")],
    run: bgsave,
    ..Row::BASE
};

fn bgsave(_: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let schedules = match args.len() {
        1 => false,
        2 if args.is(1, "schedule") => true,
        _ => return Err(Error::Syntax),
    };
    Ok(Next::Control(Control::BackgroundSave { schedules }))
}

pub(super) const BGREWRITEAOF: Row = Row {
    name: "bgrewriteaof",
    summary: "Rewrites the append-only file, as short as it can be, from a process of its own.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Server,
    arity: Arity::Exactly(1),
    flags: Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_ASYNC_LOADING),
    run: bgrewriteaof,
    ..Row::BASE
};

fn bgrewriteaof(_: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    Ok(Next::Control(Control::RewriteLog))
}

pub(super) const LASTSAVE: Row = Row {
    name: "lastsave",
    summary: "Tells when a snapshot was last written, in Unix seconds.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Server,
    arity: Arity::Exactly(1),
    flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
    categories: Categories::ADMIN.union(Categories::DANGEROUS),
    tips: &["nondeterministic_output"],
    run: lastsave,
    ..Row::BASE
};

fn lastsave(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.reply.int(cx.stats.persistence.last_save_s);
    Ok(DONE)
}
