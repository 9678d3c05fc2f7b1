//! DEBUG PROTOCOL: one reply of each type, for tests of clients.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::resp::Reply;

/// Writes the example of a type.
type Example = fn(&mut Reply<'_>);

#[expect(
    clippy::approx_constant,
    reason = "not pi, but the digits that clients' tests expect"
)]
const DOUBLE: f64 = 3.141;

const EXAMPLES: &[(&str, Example)] = &[
    ("string", |reply| reply.bulk(b"Hello World")),
    ("integer", |reply| reply.int(12345)),
    ("double", |reply| reply.double(DOUBLE)),
    ("bignum", |reply| {
        reply.big_number("1234567999999999999999999999999999999")
    }),
    ("null", |reply| reply.null()),
    ("array", array),
    ("set", set),
    ("map", map),
    ("attrib", attrib),
    ("push", push),
    ("verbatim", |reply| {
        reply.verbatim("txt", b"This is a verbatim\nstring")
    }),
    ("true", |reply| reply.bool(true)),
    ("false", |reply| reply.bool(false)),
];

/// `push` needs RESP3: RESP2 would take it for the reply.
pub(super) fn protocol(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let example = EXAMPLES.iter().find(|(name, _)| args.is(2, name));
    let (name, write) = example.ok_or_else(unknown)?;
    if *name == "push" && !cx.reply.resp3 {
        return Err(Error::fixed("ERR RESP2 is not supported by this command"));
    }
    write(&mut cx.reply);
    Ok(DONE)
}

fn unknown() -> Error {
    let names: Vec<&str> = EXAMPLES.iter().map(|(name, _)| *name).collect();
    Error::err(format_args!(
        "Wrong protocol type name. Please use one of the following: {}",
        names.join("|")
    ))
}

fn array(reply: &mut Reply<'_>) {
    reply.array(3);
    (0..3).for_each(|n| reply.int(n));
}

fn set(reply: &mut Reply<'_>) {
    reply.set(3);
    (0..3).for_each(|n| reply.int(n));
}

fn map(reply: &mut Reply<'_>) {
    reply.map(3);
    for n in 0..3 {
        reply.int(n);
        reply.bool(n == 1);
    }
}

fn attrib(reply: &mut Reply<'_>) {
    if reply.attribute(1) {
        reply.bulk(b"key-popularity");
        reply.array(2);
        reply.bulk(b"key:123");
        reply.int(90);
    }
    reply.bulk(b"Some real reply following the attribute")
}

fn push(reply: &mut Reply<'_>) {
    reply.push(2);
    reply.bulk(b"server-cpu-usage");
    reply.int(42);
    // A push answers nothing: the command's own reply is still due.
    reply.bulk(b"Some real reply following the push reply")
}
