//! CLIENT PAUSE, CLIENT UNPAUSE: holding commands back for a while.

use crate::base::number;
use crate::command::args::Args;
use crate::command::cx::{Control, Cx, Next, Outcome, Pause};
use crate::command::error::Error;
use crate::command::row::{Arg, Arity, Group, Row};

use super::{OTHERS, too_many_words};

pub(super) const PAUSE: Row = Row {
    name: "pause",
    summary: "Holds commands back for a time.",
    since: "3.0.0",
    complexity: "O(1)",
    group: Group::Connection,
    arity: Arity::AtLeast(3),
    flags: OTHERS,
    history: &[("6.2.0", "Takes a mode: `WRITE` holds back writes alone.")],
    args: &[
        Arg::integer("timeout"),
        Arg::one_of("mode", &[Arg::flag("write", "WRITE"), Arg::flag("all", "ALL")])
            .optional()
            .since("6.2.0"),
    ],
    run: pause,
    ..Row::BASE
};

fn pause(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let now_ms = cx.now_ms();
    let all = holds_all(args)?;
    let until_ms = end_ms(args.get(2), now_ms)?;
    let present = cx.server.pause.filter(|pause| pause.until_ms > now_ms);
    cx.server.pause =
        Some(stricter(present, Pause { until_ms, all })).filter(|pause| pause.until_ms > now_ms);
    cx.reply.ok();
    Ok(Next::Control(Control::Pause))
}

fn holds_all(args: Args<'_>) -> Result<bool, Error> {
    const BAD_MODE: Error = Error::fixed("ERR CLIENT PAUSE mode must be WRITE or ALL");
    match args.len() {
        3 => Ok(true),
        4 if args.is(3, "write") => Ok(false),
        4 if args.is(3, "all") => Ok(true),
        4 => Err(BAD_MODE),
        _ => Err(too_many_words(args)),
    }
}

/// When a pause of that many milliseconds ends, in Unix milliseconds.
fn end_ms(timeout: &[u8], now_ms: i64) -> Result<i64, Error> {
    let timeout =
        number::parse_i64(timeout).ok_or(Error::fixed("ERR timeout is not an integer or out of range"))?;
    if timeout < 0 {
        return Err(Error::fixed("ERR timeout is negative"));
    }
    now_ms
        .checked_add(timeout)
        .ok_or(Error::fixed("ERR timeout is out of range"))
}

/// A pause under way is only ever made longer or stricter.
fn stricter(present: Option<Pause>, new: Pause) -> Pause {
    match present {
        None => new,
        Some(present) => Pause {
            until_ms: present.until_ms.max(new.until_ms),
            all: present.all || new.all,
        },
    }
}

pub(super) const UNPAUSE: Row = Row {
    name: "unpause",
    summary: "Lets commands that a pause holds back run.",
    since: "6.2.0",
    complexity: "O(N), N being the number of connections held back",
    group: Group::Connection,
    arity: Arity::Exactly(2),
    flags: OTHERS,
    run: unpause,
    ..Row::BASE
};

fn unpause(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    cx.reply.ok();
    Ok(Next::Control(Control::Unpause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_pause_neither_shortens_nor_loosens_the_first() {
        let long = Pause {
            until_ms: 200,
            all: false,
        };
        let strict = Pause {
            until_ms: 100,
            all: true,
        };
        let both = Pause {
            until_ms: 200,
            all: true,
        };
        assert_eq!(stricter(Some(long), strict), both);
        assert_eq!(stricter(Some(strict), long), both);
        assert_eq!(stricter(None, long), long);
    }

    #[test]
    fn a_pause_that_would_end_beyond_64_bits_is_refused() {
        assert_eq!(end_ms(b"50", 100), Ok(150));
        for bad in [&b"x"[..], b"-1", b"9223372036854775807", b"1.5"] {
            assert!(end_ms(bad, 100).is_err());
        }
    }
}
