//! GEOADD.

use crate::base::number;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::value::zset::Zset;

use super::parse_point;

/// The rows of this file.
pub const ROWS: &[Row] = &[GEOADD];

const GEOADD: Row = Row {
    name: "geoadd",
    summary: "Adds places, or moves them.",
    since: "3.2.0",
    complexity: "O(log(N)) for each place, N being the number of members.",
    group: Group::Geo,
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    keys: &[KeySpec::one(1, Access::RW.with(Access::UPDATE))],
    history: &[("6.2.0", "Added the `CH`, `NX` and `XX` options.")],
    args: &[
        Arg::key("key", 0),
        Arg::one_of("condition", &[Arg::flag("nx", "NX"), Arg::flag("xx", "XX")])
            .optional()
            .since("6.2.0"),
        Arg::flag("change", "CH").optional().since("6.2.0"),
        Arg::block(
            "data",
            &[
                Arg::double("longitude"),
                Arg::double("latitude"),
                Arg::string("member"),
            ],
        )
        .multiple(),
    ],
    run: geoadd,
    ..Row::BASE
};

/// Words between the key and the places.
#[derive(Default)]
struct Options {
    only_new: bool,
    only_known: bool,
    counts_changes: bool,
    /// The first word of the places.
    places_at: usize,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut at = 2;
        while at < args.len() {
            match () {
                () if args.is(at, "nx") => options.only_new = true,
                () if args.is(at, "xx") => options.only_known = true,
                () if args.is(at, "ch") => options.counts_changes = true,
                () => break,
            }
            at += 1;
        }
        options.places_at = at;
        let words = args.len() - at;
        if !words.is_multiple_of(3) || words == 0 || options.only_new && options.only_known {
            return Err(Error::Syntax);
        }
        Ok(options)
    }
}

fn geoadd(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let options = Options::parse(args)?;
    let places = (options.places_at..args.len()).step_by(3);
    let scores = places.map(|word| Ok(parse_point(args, word)?.score()));
    let scores: Vec<u64> = scores.collect::<Result<_, Error>>()?;
    let (added, moved) = add(cx, args, &options, &scores)?;
    if added + moved > 0 && cx.keys.changes.followed {
        propagate(cx, args, &options, &scores);
    }
    let count = if options.counts_changes {
        added + moved
    } else {
        added
    };
    cx.reply.int(count as i64);
    Ok(DONE)
}

/// How many members came new, and how many have a new score.
fn add(cx: &mut Cx<'_>, args: Args<'_>, options: &Options, scores: &[u64]) -> Result<(u64, u64), Error> {
    let member = |index: usize| args.get(options.places_at + index * 3 + 2);
    let counts = cx.keys.edit_or_new::<Zset, _>(args.key(1), |zset, edit| {
        if edit.is_new() {
            *zset = Zset::suited(scores.len(), member(0).len(), edit.limits);
        } else {
            zset.expect(scores.len(), edit.limits);
        }
        let (mut added, mut moved) = (0, 0);
        for (index, &score) in scores.iter().enumerate() {
            let outcome = zset.change(member(index), edit.limits, |old| {
                let refused = if old.is_some() {
                    options.only_new
                } else {
                    options.only_known
                };
                (!refused).then_some(score as f64)
            });
            match outcome.old {
                None => added += u64::from(outcome.new.is_some()),
                old => moved += u64::from(outcome.new != old),
            }
        }
        if added + moved > 0 {
            edit.changed("zadd", added + moved);
        }
        (added, moved)
    })?;
    Ok(counts)
}

/// As the ZADD that it is.
fn propagate(cx: &mut Cx<'_>, args: Args<'_>, options: &Options, scores: &[u64]) {
    let texts: Vec<Vec<u8>> = scores
        .iter()
        .map(|&score| {
            let mut text = Vec::new();
            number::write_u64(score, &mut text);
            text
        })
        .collect();
    let mut words: Vec<&[u8]> = vec![b"zadd"];
    words.extend((1..options.places_at).map(|word| args.get(word)));
    for (index, text) in texts.iter().enumerate() {
        words.extend([text.as_slice(), args.get(options.places_at + index * 3 + 2)]);
    }
    let db = cx.keys.selected();
    cx.keys.changes.instead(db, &words);
}
