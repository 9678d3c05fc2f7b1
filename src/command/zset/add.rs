//! ZADD ZINCRBY: giving members scores.

use crate::base::float;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::value::zset::Zset;

/// The rows of this file.
pub const ROWS: &[Row] = &[ZADD, ZINCRBY];

const NAN: Error = Error::fixed("ERR resulting score is not a number (NaN)");

const ZADD: Row = Row {
    name: "zadd",
    summary: "Adds members with scores to a sorted set, or changes the scores of those it has.",
    since: "1.2.0",
    complexity: "O(log(N)) for each member, N being the size of the sorted set",
    group: Group::SortedSet,
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    history: &[
        ("2.4.0", "Accepts multiple elements."),
        ("3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."),
        ("6.2.0", "Added the `GT` and `LT` options."),
    ],
    args: &[
        Arg::key("key", 0),
        Arg::one_of("condition", &[Arg::flag("nx", "NX"), Arg::flag("xx", "XX")])
            .optional()
            .since("3.0.2"),
        Arg::one_of("comparison", &[Arg::flag("gt", "GT"), Arg::flag("lt", "LT")])
            .optional()
            .since("6.2.0"),
        Arg::flag("change", "CH").optional().since("3.0.2"),
        Arg::flag("increment", "INCR").optional().since("3.0.2"),
        Arg::block("data", &[Arg::double("score"), Arg::string("member")]).multiple(),
    ],
    run: zadd,
    ..Row::BASE
};

fn zadd(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    add(cx, args, AddOptions::default())
}

const ZINCRBY: Row = Row {
    name: "zincrby",
    summary: "Adds a number to the score of a member.",
    since: "1.2.0",
    complexity: "O(log(N)), N being the size of the sorted set",
    group: Group::SortedSet,
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec::one(
        1,
        Access::RW.with(Access::ACCESS).with(Access::UPDATE),
    )],
    args: &[
        Arg::key("key", 0),
        Arg::integer("increment"),
        Arg::string("member"),
    ],
    run: zincrby,
    ..Row::BASE
};

/// Compat: the words of ZADD's options are options here too, and then one of the words is missing.
fn zincrby(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let options = AddOptions {
        increment: true,
        ..AddOptions::default()
    };
    add(cx, args, options)
}

/// What stands between the key and the first score.
#[derive(Debug, Clone, Copy, Default)]
struct AddOptions {
    only_new: bool,
    only_present: bool,
    only_greater: bool,
    only_less: bool,
    count_changes: bool,
    increment: bool,
}

impl AddOptions {
    /// Takes the word if it is an option.
    fn take(&mut self, word: &[u8]) -> bool {
        let options = [
            (&b"nx"[..], &mut self.only_new),
            (b"xx", &mut self.only_present),
            (b"gt", &mut self.only_greater),
            (b"lt", &mut self.only_less),
            (b"ch", &mut self.count_changes),
            (b"incr", &mut self.increment),
        ];
        options
            .into_iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name))
            .map(|(_, option)| *option = true)
            .is_some()
    }

    /// Whether they fit together and to so many words behind them.
    fn check(self, words: usize) -> Result<(), Error> {
        if words == 0 || words % 2 == 1 {
            return Err(Error::Syntax);
        }
        if self.only_new && self.only_present {
            return Err(Error::fixed(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        let excluding = [self.only_new, self.only_greater, self.only_less];
        if excluding.into_iter().filter(|&option| option).count() > 1 {
            return Err(Error::fixed(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.increment && words > 2 {
            return Err(Error::fixed(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(())
    }

    /// The score a member is to have.
    #[inline]
    fn decide(self, old: Option<f64>, score: f64) -> Decision {
        let Some(old) = old else {
            return if self.only_present {
                Decision::Leave
            } else {
                Decision::Set(score)
            };
        };
        let score = if self.increment { old + score } else { score };
        if self.only_new {
            Decision::Leave
        } else if score.is_nan() {
            Decision::Refuse
        } else if self.only_less && score >= old || self.only_greater && score <= old {
            Decision::Leave
        } else {
            Decision::Set(score)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Decision {
    Set(f64),
    Leave,
    Refuse,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    added: u64,
    updated: u64,
    /// The score of the last member that was not left as it is.
    score: Option<f64>,
    refused: bool,
}

fn add(cx: &mut Cx<'_>, args: Args<'_>, mut options: AddOptions) -> Outcome {
    let mut first = 2;
    while first < args.len() && options.take(args.get(first)) {
        first += 1;
    }
    options.check(args.len() - first)?;
    let done = if args.len() - first == 2 {
        let score = float::parse(args.get(first)).ok_or(Error::NotFloat)?;
        add_all(cx, args, options, first, &[score])?
    } else {
        add_all(cx, args, options, first, &scores(args, first)?)?
    };
    reply(cx, options, done)
}

fn scores(args: Args<'_>, first: usize) -> Result<Vec<f64>, Error> {
    let words = (first..args.len()).step_by(2);
    words
        .map(|word| float::parse(args.get(word)).ok_or(Error::NotFloat))
        .collect()
}

fn add_all(
    cx: &mut Cx<'_>,
    args: Args<'_>,
    options: AddOptions,
    first: usize,
    scores: &[f64],
) -> Result<Done, Error> {
    let done = cx.keys.edit_or_new(args.key(1), |zset: &mut Zset, edit| {
        if edit.is_new() {
            *zset = Zset::suited(scores.len(), args.get(first + 1).len(), edit.limits);
        } else {
            zset.expect(scores.len(), edit.limits);
        }
        let mut done = Done::default();
        for (index, &score) in scores.iter().enumerate() {
            let member = args.get(first + 2 * index + 1);
            let outcome = zset.change(member, edit.limits, |old| done.decide(options, old, score));
            done.added += u64::from(outcome.old.is_none() && outcome.new.is_some());
            done.updated += u64::from(outcome.old.is_some() && outcome.old != outcome.new);
        }
        if done.added + done.updated > 0 {
            let event = if options.increment { "zincr" } else { "zadd" };
            edit.changed(event, done.added + done.updated);
        }
        done
    })?;
    Ok(done)
}

impl Done {
    #[inline]
    fn decide(&mut self, options: AddOptions, old: Option<f64>, score: f64) -> Option<f64> {
        match options.decide(old, score) {
            Decision::Set(score) => {
                self.score = Some(score);
                self.score
            }
            Decision::Leave => None,
            Decision::Refuse => {
                self.refused = true;
                None
            }
        }
    }
}

fn reply(cx: &mut Cx<'_>, options: AddOptions, done: Done) -> Outcome {
    if done.refused {
        return Err(NAN);
    }
    match (options.increment, done.score) {
        (true, Some(score)) => cx.reply.double(score),
        (true, None) => cx.reply.null(),
        (false, _) if options.count_changes => cx.reply.int((done.added + done.updated) as i64),
        (false, _) => cx.reply.int(done.added as i64),
    }
    Ok(DONE)
}
