//! AUTH HELLO RESET QUIT: who the client is, which protocol it speaks, starting over and leaving.

use crate::base::number;
use crate::command::args::Args;
use crate::command::connection::client::{attribute, tracking};
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Arg, Arity, Flags, Group, Row};
use crate::command::transaction::discard_transaction;
use crate::process::version::REDIS_VERSION;
use crate::session::SessionFlags;

/// The rows of this file.
pub const ROWS: &[Row] = &[AUTH, HELLO, RESET, QUIT];

/// What all of them have in common: they work whatever state client and server are in.
const ALWAYS: Flags = Flags::NOSCRIPT
    .with(Flags::LOADING)
    .with(Flags::STALE)
    .with(Flags::FAST)
    .with(Flags::NO_AUTH)
    .with(Flags::ALLOW_BUSY);

const AUTH: Row = Row {
    name: "auth",
    summary: "Logs the connection in.",
    since: "1.0.0",
    complexity: "O(N), N being the number of the user's passwords",
    group: Group::Connection,
    arity: Arity::AtLeast(2),
    flags: ALWAYS,
    history: &[("6.0.0", "Takes a user name.")],
    args: &[
        Arg::string("username").optional().since("6.0.0"),
        Arg::string("password"),
    ],
    secrets: |_, index| index > 0,
    run: auth,
    ..Row::BASE
};

const WRONG_PASSWORD: Error = Error::fixed("WRONGPASS invalid username-password pair or user is disabled.");
const NO_PASSWORD_SET: Error = Error::fixed(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration \
     is correct?",
);

fn auth(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let credentials = match args.len() {
        2 if cx.acl.default_needs_no_password() => return Err(NO_PASSWORD_SET),
        2 => Credentials {
            user: crate::acl::DEFAULT_USER.as_bytes(),
            password: args.get(1),
        },
        3 => Credentials {
            user: args.get(1),
            password: args.get(2),
        },
        _ => return Err(Error::Syntax),
    };
    log_in(cx, credentials)?;
    cx.reply.ok();
    Ok(DONE)
}

struct Credentials<'a> {
    user: &'a [u8],
    password: &'a [u8],
}

fn log_in(cx: &mut Cx<'_>, credentials: Credentials<'_>) -> Result<(), Error> {
    let Some(user) = cx.acl.authenticate(credentials.user, credentials.password) else {
        cx.stats.counters.acl_denied.auth += 1;
        return Err(WRONG_PASSWORD);
    };
    let name = user.name().to_owned();
    let session = cx.session();
    session.user = name;
    session.authenticated = true;
    Ok(())
}

const HELLO: Row = Row {
    name: "hello",
    summary: "Chooses the protocol, and may log in and name the connection.",
    since: "6.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::AtLeast(1),
    flags: ALWAYS,
    history: &[(
        "6.2.0",
        "Without a protocol version it tells how the connection stands.",
    )],
    args: &[Arg::block(
        "arguments",
        &[
            Arg::integer("protover"),
            Arg::block("auth", &[Arg::string("username"), Arg::string("password")])
                .token("AUTH")
                .optional(),
            Arg::string("clientname").token("SETNAME").optional(),
        ],
    )
    .optional()],
    secrets: |words, index| {
        let says_auth = |at: usize| at > 1 && words.get(at).eq_ignore_ascii_case(b"auth");
        index > 2 && (says_auth(index - 1) || says_auth(index - 2))
    },
    run: hello,
    ..Row::BASE
};

const NO_PROTOCOL: Error = Error::fixed("NOPROTO unsupported protocol version");
const LOG_IN_FIRST: Error = Error::fixed(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> \
     <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
);

fn hello(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let options = HelloOptions::parse(args)?;
    if let Some(credentials) = options.credentials {
        log_in(cx, credentials)?;
    }
    let session = cx.session();
    if !session.authenticated {
        return Err(LOG_IN_FIRST);
    }
    if let Some(name) = options.name {
        session.name = name;
    }
    if let Some(version) = options.version {
        session.resp = version;
        cx.reply.resp3 = version == 3;
    }
    introduce_server(cx);
    Ok(DONE)
}

#[derive(Default)]
struct HelloOptions<'a> {
    version: Option<u8>,
    credentials: Option<Credentials<'a>>,
    name: Option<String>,
}

impl<'a> HelloOptions<'a> {
    fn parse(args: Args<'a>) -> Result<HelloOptions<'a>, Error> {
        let mut options = HelloOptions {
            version: protocol_version(args)?,
            ..HelloOptions::default()
        };
        let mut word = 2;
        while word < args.len() {
            let left = args.len() - 1 - word;
            if args.is(word, "auth") && left >= 2 {
                options.credentials = Some(Credentials {
                    user: args.get(word + 1),
                    password: args.get(word + 2),
                });
                word += 3;
            } else if args.is(word, "setname") && left >= 1 {
                options.name = Some(attribute::client_name(args.get(word + 1))?);
                word += 2;
            } else {
                return Err(Error::quoting(
                    "Syntax error in HELLO option '",
                    args.get(word),
                    "'",
                ));
            }
        }
        Ok(options)
    }
}

fn protocol_version(args: Args<'_>) -> Result<Option<u8>, Error> {
    const NOT_A_NUMBER: Error = Error::fixed("ERR Protocol version is not an integer or out of range");
    let Some(text) = args.try_get(1) else {
        return Ok(None);
    };
    match number::parse_i64(text).ok_or(NOT_A_NUMBER)? {
        2 => Ok(Some(2)),
        3 => Ok(Some(3)),
        _ => Err(NO_PROTOCOL),
    }
}

fn introduce_server(cx: &mut Cx<'_>) {
    let (id, version) = (cx.session().id, cx.session().resp);
    let mode = if cx.config.bool("cluster-enabled") {
        "cluster"
    } else {
        "standalone"
    };
    let reply = &mut cx.reply;
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.int(i64::from(version));
    reply.bulk(b"id");
    reply.int(id as i64);
    for (name, value) in [("mode", mode), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

const RESET: Row = Row {
    name: "reset",
    summary: "Puts the connection back to how it began.",
    since: "6.2.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::Exactly(1),
    flags: ALWAYS.with(Flags::IN_SUBSCRIBED_STATE).with(Flags::RUNS_IN_MULTI),
    run: reset,
    ..Row::BASE
};

fn reset(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let authenticated = cx.acl.default_needs_no_password();
    let flags = cx.session().flags;
    if flags.contains(SessionFlags::REPLICA) {
        return Err(Error::fixed("ERR can only reset normal client connections"));
    }
    if flags.contains(SessionFlags::MONITOR) {
        cx.server.monitors -= 1;
    }
    cx.pubsub.registry.leave(cx.client);
    tracking::disable(cx);
    discard_transaction(&mut cx.sessions[cx.client], cx.keys);
    cx.session().reset(authenticated);
    cx.reply.resp3 = false;
    cx.reply.simple("RESET");
    Ok(DONE)
}

const QUIT: Row = Row {
    name: "quit",
    summary: "Closes the connection.",
    since: "1.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::AtLeast(1),
    flags: ALWAYS.with(Flags::IN_SUBSCRIBED_STATE).with(Flags::RUNS_IN_MULTI),
    deprecated: Some(("7.2.0", "just closing the connection")),
    run: quit,
    ..Row::BASE
};

fn quit(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.session().flags.insert(SessionFlags::CLOSE_AFTER_REPLY);
    cx.reply.ok();
    Ok(DONE)
}
