//! TIME, LOLWUT, SHUTDOWN.

use crate::base::rng::Rng;
use crate::command::args::Args;
use crate::command::cx::{Control, Cx, DONE, Next, Outcome, ShutdownOptions};
use crate::command::error::Error;
use crate::command::row::{Arg, Arity, Flags, Group, Row};
use crate::process::version::REDIS_VERSION;

pub(super) const TIME: Row = Row {
    name: "time",
    summary: "Tells the server's time: seconds since 1970, and microseconds of the present one.",
    since: "2.6.0",
    group: Group::Server,
    arity: Arity::Exactly(1),
    flags: Flags::LOADING.with(Flags::STALE).with(Flags::FAST),
    tips: &["nondeterministic_output"],
    run: time,
    ..Row::BASE
};

fn time(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    let now_us = cx.now_unix_us;
    cx.reply.array(2);
    cx.reply.bulk_int(now_us / 1_000_000);
    cx.reply.bulk_int(now_us % 1_000_000);
    Ok(DONE)
}

pub(super) const LOLWUT: Row = Row {
    name: "lolwut",
    summary: "Shows a little computer art and the version.",
    since: "5.0.0",
    complexity: "",
    group: Group::Server,
    arity: Arity::AtLeast(1),
    flags: Flags::READONLY.with(Flags::FAST),
    args: &[Arg::integer("version").token("VERSION").optional()],
    run: lolwut,
    ..Row::BASE
};

fn lolwut(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    check_picture(args)?;
    let text = format!("{}\nRedis ver. {REDIS_VERSION}\n", weave(cx.rng));
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(DONE)
}

/// Compat: the pictures of versions 5 and 6 took numbers, which are checked although one picture serves all.
fn check_picture(args: Args<'_>) -> Result<(), Error> {
    if args.len() < 3 || !args.is(1, "version") {
        return Ok(());
    }
    let numbers = match args.int(2)? {
        5 => 3,
        6 => 2,
        _ => 0,
    };
    (3..args.len().min(3 + numbers)).try_for_each(|index| args.int(index).map(drop))
}

/// Columns of the picture.
const WEAVE_COLUMNS: usize = 64;
/// Rows of it; a line of text shows two.
const WEAVE_ROWS: usize = 32;

/// A cloth woven by a one-dimensional automaton: each thread follows from the three above it.
fn weave(rng: &mut Rng) -> String {
    // Rules that neither die out nor fill up.
    const RULES: [u8; 5] = [30, 45, 90, 110, 150];
    let rule = RULES[rng.index(RULES.len())];
    let mut row: Vec<bool> = (0..WEAVE_COLUMNS).map(|_| rng.below(5) == 0).collect();
    let mut text = String::new();
    for _ in 0..WEAVE_ROWS / 2 {
        let lower = next_row(rule, &row);
        text.extend(row.iter().zip(&lower).map(|pair| match pair {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        }));
        text.push('\n');
        row = next_row(rule, &lower);
    }
    text
}

fn next_row(rule: u8, row: &[bool]) -> Vec<bool> {
    let at = |column: usize| u8::from(row[column % row.len()]);
    let neighbours = |column: usize| at(column + row.len() - 1) << 2 | at(column) << 1 | at(column + 1);
    (0..row.len())
        .map(|column| rule >> neighbours(column) & 1 == 1)
        .collect()
}

pub(super) const SHUTDOWN: Row = Row {
    name: "shutdown",
    summary: "Saves the data if need be and ends the server.",
    since: "1.0.0",
    complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, \
        otherwise O(1)",
    group: Group::Server,
    arity: Arity::AtLeast(1),
    flags: Flags::ADMIN
        .with(Flags::NOSCRIPT)
        .with(Flags::LOADING)
        .with(Flags::STALE)
        .with(Flags::NO_MULTI)
        .with(Flags::ALLOW_BUSY),
    history: &[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")],
    args: &[
        Arg::one_of(
            "save-selector",
            &[Arg::flag("nosave", "NOSAVE"), Arg::flag("save", "SAVE")],
        )
        .optional(),
        Arg::flag("now", "NOW").optional().since("7.0.0"),
        Arg::flag("force", "FORCE").optional().since("7.0.0"),
        Arg::flag("abort", "ABORT").optional().since("7.0.0"),
    ],
    run: shutdown,
    ..Row::BASE
};

fn shutdown(_: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    Ok(Next::Control(Control::Shutdown(shutdown_options(args)?)))
}

fn shutdown_options(args: Args<'_>) -> Result<ShutdownOptions, Error> {
    let mut options = ShutdownOptions::default();
    for index in 1..args.len() {
        match args.get(index).to_ascii_lowercase().as_slice() {
            b"nosave" if options.save != Some(true) => options.save = Some(false),
            b"save" if options.save != Some(false) => options.save = Some(true),
            b"now" => options.now = true,
            b"force" => options.force = true,
            b"abort" => options.abort = true,
            _ => return Err(Error::Syntax),
        }
    }
    let alone = ShutdownOptions {
        abort: true,
        ..ShutdownOptions::default()
    };
    if options.abort && options != alone {
        Err(Error::Syntax)
    } else {
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_90_draws_the_triangle_of_pascal() {
        let mut row = vec![false; 9];
        row[4] = true;
        let drawn: Vec<String> = (0..3)
            .map(|_| {
                let line = row.iter().map(|&cell| if cell { '#' } else { '.' }).collect();
                row = next_row(90, &row);
                line
            })
            .collect();
        assert_eq!(drawn, ["....#....", "...#.#...", "..#...#.."]);
    }

    #[test]
    fn the_picture_is_rectangular() {
        let cloth = weave(&mut Rng::seeded(1));
        assert_eq!(cloth.lines().count(), WEAVE_ROWS / 2);
        assert!(cloth.lines().all(|line| line.chars().count() == WEAVE_COLUMNS));
    }
}
