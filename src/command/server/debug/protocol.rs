//! DEBUG PROTOCOL: one reply of each type, for tests of clients.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::resp::Reply;

/// Writes the example of a type.
type Example = fn(&mut Reply<'_>) -> Result<(), Error>;

const EXAMPLES: &[(&str, Example)] = &[
    ("string", |reply| told(reply.bulk(b"Hello World"))),
    ("integer", |reply| told(reply.int(12345))),
    ("double", |reply| told(reply.double(3.141))),
    ("bignum", |reply| {
        told(reply.big_number("1234567999999999999999999999999999999"))
    }),
    ("null", |reply| told(reply.null())),
    ("array", array),
    ("set", set),
    ("map", map),
    ("attrib", attrib),
    ("push", push),
    ("verbatim", |reply| {
        told(reply.verbatim("txt", b"This is a verbatim\nstring"))
    }),
    ("true", |reply| told(reply.bool(true))),
    ("false", |reply| told(reply.bool(false))),
];

pub(super) fn protocol(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let example = EXAMPLES.iter().find(|(name, _)| args.is(2, name));
    let (_, write) = example.ok_or_else(unknown)?;
    write(&mut cx.reply)?;
    Ok(DONE)
}

fn told((): ()) -> Result<(), Error> {
    Ok(())
}

fn unknown() -> Error {
    let names: Vec<&str> = EXAMPLES.iter().map(|(name, _)| *name).collect();
    Error::err(format_args!(
        "Wrong protocol type name. Please use one of the following: {}",
        names.join("|")
    ))
}

fn array(reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.array(3);
    told((0..3).for_each(|n| reply.int(n)))
}

fn set(reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.set(3);
    told((0..3).for_each(|n| reply.int(n)))
}

fn map(reply: &mut Reply<'_>) -> Result<(), Error> {
    reply.map(3);
    for n in 0..3 {
        reply.int(n);
        reply.bool(n == 1);
    }
    Ok(())
}

fn attrib(reply: &mut Reply<'_>) -> Result<(), Error> {
    if reply.attribute(1) {
        reply.bulk(b"key-popularity");
        reply.array(2);
        reply.bulk(b"key:123");
        reply.int(90);
    }
    told(reply.bulk(b"Some real reply following the attribute"))
}

fn push(reply: &mut Reply<'_>) -> Result<(), Error> {
    if !reply.resp3 {
        return Err(Error::fixed("ERR RESP2 is not supported by this command"));
    }
    reply.push(2);
    reply.bulk(b"server-cpu-usage");
    told(reply.int(42))
}
