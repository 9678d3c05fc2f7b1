//! SPOP SRANDMEMBER: members chosen by chance.

use crate::command::args::{Args, DRAWS_MAX};
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::changes::Changes;
use crate::value::Typed;
use crate::value::set::{Member, Set};

use super::reply_member;

/// The rows of this file.
pub const ROWS: &[Row] = &[SPOP, SRANDMEMBER];

/// Members that one propagated SREM names at most.
const SREM_MEMBERS_MAX: usize = 1024;

const COUNT_OUT_OF_RANGE: Error = Error::fixed(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);

const SPOP: Row = Row {
    name: "spop",
    summary: "Removes members chosen by chance from a set and returns them.",
    since: "1.0.0",
    complexity: "O(N), N being the count, 1 without it",
    group: Group::Set,
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: &[KeySpec::one(
        1,
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    tips: &["nondeterministic_output"],
    history: &[("3.2.0", "Added the `count` argument.")],
    args: &[
        Arg::key("key", 0),
        Arg::integer("count").optional().since("3.2.0"),
    ],
    run: spop,
    ..Row::BASE
};

fn spop(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    match args.len() {
        2 => spop_one(cx, args),
        3 => spop_many(cx, args),
        _ => Err(Error::Syntax),
    }
}

fn spop_one(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let mut popped = Popped::followed_by(&cx.keys.changes);
    let found = cx.keys.edit(args.key(1), |set: &mut Set, edit| {
        set.pop(cx.rng, |member| {
            reply_member(&mut cx.reply, member);
            popped.note(member);
        });
        edit.changed("spop", 1);
    })?;
    match found {
        Some(()) => popped.propagate(cx, args.get(1)),
        None => cx.reply.null(),
    }
    Ok(DONE)
}

fn spop_many(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let count = count_of(args)?;
    let size = cx.keys.peek_as::<Set>(args.key(1))?.map_or(0, Set::len);
    cx.reply.set(count.min(size));
    if count == 0 || size == 0 {
        return Ok(DONE);
    }
    if count >= size {
        return empty(cx, args, size);
    }
    let mut popped = Popped::followed_by(&cx.keys.changes);
    cx.keys.edit(args.key(1), |set: &mut Set, edit| {
        set.pop_many(count, edit.limits, cx.rng, |member| {
            reply_member(&mut cx.reply, member);
            popped.note(member);
        });
        edit.changed("spop", count as u64);
    })?;
    popped.propagate(cx, args.get(1));
    Ok(DONE)
}

fn count_of(args: Args<'_>) -> Result<usize, Error> {
    let count = args.int(2).ok().and_then(|count| usize::try_from(count).ok());
    count.ok_or(Error::NotPositive)
}

/// Takes all members out, which propagates as the removal of the key.
fn empty(cx: &mut Cx<'_>, args: Args<'_>, size: usize) -> Outcome {
    cx.keys.edit(args.key(1), |set: &mut Set, edit| {
        let all = std::mem::replace(set, Set::empty());
        all.iter().for_each(|member| reply_member(&mut cx.reply, member));
        edit.changed("spop", size as u64);
    })?;
    let verb: &[u8] = if cx.keys.lazy.server_del {
        b"UNLINK"
    } else {
        b"DEL"
    };
    let db = cx.keys.selected();
    cx.keys.changes.instead(db, &[verb, args.get(1)]);
    Ok(DONE)
}

/// What was popped, for those who follow the stream of writes: they are told to remove just these members.
struct Popped {
    followed: bool,
    members: Vec<Vec<u8>>,
}

impl Popped {
    fn followed_by(changes: &Changes) -> Popped {
        Popped {
            followed: changes.followed,
            members: Vec::new(),
        }
    }

    #[inline]
    fn note(&mut self, member: Member<'_>) {
        if self.followed {
            self.members.push(member.to_vec());
        }
    }

    fn propagate(&self, cx: &mut Cx<'_>, key: &[u8]) {
        let db = cx.keys.selected();
        for members in self.members.chunks(SREM_MEMBERS_MAX) {
            let mut words: Vec<&[u8]> = vec![b"SREM", key];
            words.extend(members.iter().map(Vec::as_slice));
            cx.keys.changes.instead(db, &words);
        }
    }
}

const SRANDMEMBER: Row = Row {
    name: "srandmember",
    summary: "Returns members chosen by chance from a set.",
    since: "1.0.0",
    complexity: "O(N), N being the count without its sign, 1 without it",
    group: Group::Set,
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY,
    keys: &[KeySpec::one(1, Access::RO.with(Access::ACCESS))],
    tips: &["nondeterministic_output"],
    history: &[("2.6.0", "Added the optional `count` argument.")],
    args: &[
        Arg::key("key", 0),
        Arg::integer("count").optional().since("2.6.0"),
    ],
    run: srandmember,
    ..Row::BASE
};

fn srandmember(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    match args.len() {
        2 => srandmember_one(cx, args),
        3 => srandmember_many(cx, args),
        _ => Err(Error::Syntax),
    }
}

fn srandmember_one(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let set: Option<&Set> = cx.keys.read_as(args.key(1))?;
    match set.and_then(|set| set.random(cx.rng)) {
        Some(member) => reply_member(&mut cx.reply, member),
        None => cx.reply.null(),
    }
    Ok(DONE)
}

/// A negative count asks for so many draws, which may repeat a member; a positive one for so many different members.
fn srandmember_many(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let count = args.int(2)?;
    if count == i64::MIN {
        return Err(COUNT_OUT_OF_RANGE);
    }
    let set: Option<&Set> = cx.keys.read_as(args.key(1))?;
    let Some(set) = set else {
        cx.reply.array(0);
        return Ok(DONE);
    };
    if count < 0 {
        let draws = Some(count.unsigned_abs()).filter(|&draws| draws <= DRAWS_MAX);
        let draws = draws.ok_or(Error::OutOfRange)?;
        cx.reply.array(draws as usize);
        set.random_with_repeats(draws, cx.rng, |member| reply_member(&mut cx.reply, member));
    } else {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(set.len());
        cx.reply.array(count);
        set.sample(count, cx.rng, |member| reply_member(&mut cx.reply, member));
    }
    Ok(DONE)
}
