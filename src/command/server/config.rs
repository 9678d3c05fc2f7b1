//! CONFIG: reading and changing directives while the server runs.

use crate::command::args::Args;
use crate::command::cx::{Control, Cx, DONE, Next, Outcome};
use crate::command::error::Error;
use crate::command::help::help;
use crate::command::row::{Arg, Arity, Flags, Group, Row};
use crate::config::directive::{Traits, find};
use crate::config::{Permissions, Scope};
use crate::keyspace::KeyspaceStats;

const SERVED: Flags = Flags::LOADING.with(Flags::STALE);
const ADMIN: Flags = SERVED.with(Flags::ADMIN).with(Flags::NOSCRIPT);
const EVERYWHERE: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

pub(super) const CONFIG: Row = Row {
    name: "config",
    summary: "Groups the commands of the configuration.",
    since: "2.0.0",
    complexity: "Depends on subcommand.",
    group: Group::Server,
    arity: Arity::AtLeast(2),
    children: &[GET, HELP, RESETSTAT, REWRITE, SET],
    ..Row::BASE
};

const GET: Row = Row {
    name: "get",
    summary: "Tells the values of the directives that match some patterns.",
    since: "2.0.0",
    complexity: "O(N) when N is the number of configuration parameters provided",
    group: Group::Server,
    arity: Arity::AtLeast(3),
    flags: ADMIN,
    history: &[(
        "7.0.0",
        "Added the ability to pass multiple pattern parameters in one call",
    )],
    args: &[Arg::string("parameter").multiple()],
    run: get,
    ..Row::BASE
};

fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let patterns: Vec<&[u8]> = args.iter_from(2).collect();
    let found = cx.config.get(&patterns);
    cx.reply.map(found.len());
    for (name, value) in found {
        cx.reply.bulk(&name);
        cx.reply.bulk(&value);
    }
    Ok(DONE)
}

const SET: Row = Row {
    name: "set",
    summary: "Changes directives, all of the given ones or none.",
    since: "2.0.0",
    complexity: "O(N) when N is the number of configuration parameters provided",
    group: Group::Server,
    arity: Arity::AtLeast(4),
    flags: ADMIN,
    tips: EVERYWHERE,
    history: &[(
        "7.0.0",
        "Added the ability to set multiple parameters in one call.",
    )],
    args: &[Arg::block("data", &[Arg::string("parameter"), Arg::string("value")]).multiple()],
    secrets: |words, index| index > 2 && index % 2 == 1 && is_secret(words.get(index - 1)),
    run: set,
    ..Row::BASE
};

fn is_secret(directive: &[u8]) -> bool {
    find(directive).is_some_and(|entry| entry.row.traits.contains(Traits::SENSITIVE))
}

fn set(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    if !args.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    let pairs: Vec<(&[u8], &[u8])> = (2..args.len())
        .step_by(2)
        .map(|at| (args.get(at), args.get(at + 1)))
        .collect();
    let protected = super::opens_to(cx.config.choice("enable-protected-configs"), cx);
    let permissions = Permissions {
        protected,
        loading: cx.stats.persistence.loading.is_some(),
    };
    let changed = cx
        .config
        .set(&pairs, permissions)
        .map_err(|error| Error::Text(error.wire().into()))?;
    Ok(Next::Control(Control::ApplyConfig(changed)))
}

const RESETSTAT: Row = Row {
    name: "resetstat",
    summary: "Starts the statistics of INFO anew.",
    since: "2.0.0",
    group: Group::Server,
    arity: Arity::Exactly(2),
    flags: ADMIN,
    tips: EVERYWHERE,
    run: resetstat,
    ..Row::BASE
};

fn resetstat(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.stats.reset();
    cx.keys.stats = KeyspaceStats::default();
    cx.keys.reset_lazyfreed();
    cx.reply.ok();
    Ok(DONE)
}

const REWRITE: Row = Row {
    name: "rewrite",
    summary: "Writes the present values into the configuration file.",
    since: "2.8.0",
    group: Group::Server,
    arity: Arity::Exactly(2),
    flags: ADMIN,
    tips: EVERYWHERE,
    run: |_, _| Ok(Next::Control(Control::RewriteConfig(Scope::Changed))),
    ..Row::BASE
};

const HELP: Row = Row {
    name: "help",
    summary: "Explains the subcommands.",
    since: "5.0.0",
    group: Group::Server,
    arity: Arity::Exactly(2),
    flags: SERVED,
    run: |cx, _| help(cx, &CONFIG),
    ..Row::BASE
};
