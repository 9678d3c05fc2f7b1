//! Waiting: what the handler of BLPOP and its like answers when there is nothing to pop.
//!
//! ```text
//!   run ── nothing there ──> Next::Block(BlockOn) ──> the client waits ── a key is ready ──> run again (cx.rerun)
//!                                                          └─ time is up, CLIENT UNBLOCK ──> nil or an error
//! ```
//!
//! A handler reads the same the first time and when it is run again: it looks, pops if it can, and otherwise answers
//! [`wait`]. The executor keeps the client's place in the queue and its first deadline. Where nothing may block (in a
//! transaction or script) the wait is over at once.

use crate::base::long_double::LongDouble;
use crate::base::number;
use crate::resp::Reply;
use crate::value::Kind;

use super::args::Args;
use super::cx::{Cx, DONE, Next, Outcome};
use super::error::Error;

/// What a client waits for.
#[derive(Debug, Clone)]
pub struct BlockOn {
    /// The keys, in the command's order, in the client's database.
    pub keys: Vec<Box<[u8]>>,
    /// The type a key must have to be worth another run.
    pub kind: Kind,
    /// Run again, too, when a key is removed or becomes something else (XREADGROUP).
    pub when_gone: bool,
    /// When to give up, in Unix milliseconds; `None` for never. Of the first run alone.
    pub until_ms: Option<i64>,
    /// What the client is answered then.
    pub on_timeout: Nil,
    /// The words of the next run, if not those that were sent: XREAD puts an id in the place of `$`.
    pub words: Option<Vec<Box<[u8]>>>,
}

/// What a wait is answered that ends without a key: the forms of "nothing" in RESP2 (RESP3 has one), or OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nil {
    /// `$-1`.
    Bulk,
    /// `*-1`, as all of Redis's blocking commands answer when their time is up.
    Array,
    /// `+OK`: it was for no key (FLUSHALL).
    Ok,
}

impl Nil {
    /// Writes it.
    pub fn write(self, reply: &mut Reply<'_>) {
        match self {
            Nil::Bulk => reply.null(),
            Nil::Array => reply.null_array(),
            Nil::Ok => reply.ok(),
        }
    }
}

impl BlockOn {
    /// A wait for a key of type `kind` among `keys`, answered `*-1` in the end.
    pub fn keys<'a>(kind: Kind, keys: impl IntoIterator<Item = &'a [u8]>, until_ms: Option<i64>) -> BlockOn {
        BlockOn {
            keys: keys.into_iter().map(Into::into).collect(),
            kind,
            when_gone: false,
            until_ms,
            on_timeout: Nil::Array,
            words: None,
        }
    }
}

/// The end of a handler that has found nothing: waits for what `on` says or, where nothing may block, answers
/// `at_once`.
///
/// Compat: commands that answer one value (BLMOVE) answer [`Nil::Bulk`] at once, and yet `*-1` when time is up.
pub fn wait(cx: &mut Cx<'_>, at_once: Nil, on: impl FnOnce() -> BlockOn) -> Outcome {
    if cx.may_block {
        return Ok(Next::Block(Box::new(on())));
    }
    at_once.write(&mut cx.reply);
    Ok(DONE)
}

const NEGATIVE: Error = Error::fixed("ERR timeout is negative");
const OUT_OF_RANGE: Error = Error::fixed("ERR timeout is out of range");

/// Word `index`, seconds with a fraction, as a deadline in Unix milliseconds; `None` for no end.
///
/// # Errors
/// It is no number, negative, or the end is beyond 64 bits.
pub fn timeout(args: Args<'_>, index: usize, now_ms: i64) -> Result<Option<i64>, Error> {
    const NOT_A_NUMBER: Error = Error::fixed("ERR timeout is not a float or out of range");
    let seconds = LongDouble::parse(args.get(index)).ok_or(NOT_A_NUMBER)?;
    deadline(seconds.seconds_to_ms().ok_or(OUT_OF_RANGE)?, now_ms)
}

/// Word `index`, whole milliseconds, as [`timeout`].
///
/// # Errors
/// As [`timeout`].
pub fn timeout_ms(args: Args<'_>, index: usize, now_ms: i64) -> Result<Option<i64>, Error> {
    const NOT_AN_INTEGER: Error = Error::fixed("ERR timeout is not an integer or out of range");
    deadline(number::parse_i64(args.get(index)).ok_or(NOT_AN_INTEGER)?, now_ms)
}

fn deadline(timeout_ms: i64, now_ms: i64) -> Result<Option<i64>, Error> {
    match timeout_ms {
        0 => Ok(None),
        ..0 => Err(NEGATIVE),
        _ => now_ms.checked_add(timeout_ms).map(Some).ok_or(OUT_OF_RANGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::KeyHasher;
    use crate::resp::ArgBuf;

    const NOW_MS: i64 = 1_000;

    fn seconds(text: &str) -> Result<Option<i64>, Error> {
        let words = ArgBuf::from_slices(&[b"blpop", text.as_bytes()]);
        timeout(Args::new(words.args(), KeyHasher::with_seed(1)), 1, NOW_MS)
    }

    #[test]
    fn seconds_are_rounded_up_to_milliseconds() {
        for (text, until_ms) in [
            ("1", 2_000),
            ("0.1", 1_100),
            ("0.0011", 1_002),
            ("1e-10", 1_001),
            ("0x10", 17_000),
        ] {
            assert_eq!(seconds(text), Ok(Some(until_ms)), "{text}");
        }
        for never in ["0", "-0.0001", "0e5"] {
            assert_eq!(seconds(never), Ok(None), "{never}");
        }
    }

    #[test]
    fn a_deadline_that_cannot_be_is_refused() {
        for text in ["-1", "-inf", "-1e30"] {
            assert_eq!(seconds(text), Err(NEGATIVE), "{text}");
        }
        for text in ["inf", "1e400", "9223372036854775.807", "9223372036854775807"] {
            assert_eq!(seconds(text), Err(OUT_OF_RANGE), "{text}");
        }
        for text in ["", "nan", " 1", "1x"] {
            assert!(
                seconds(text).is_err_and(|e| e != NEGATIVE && e != OUT_OF_RANGE),
                "{text}"
            );
        }
    }
}
