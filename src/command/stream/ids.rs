//! Ids as commands take them: exact, incomplete, `-` and `+`, and the ends of intervals.

use crate::command::args::Args;
use crate::command::error::Error;
use crate::value::stream::StreamId;
use crate::value::stream::id::{Seq, parse_parts};

const INVALID: Error = Error::fixed("ERR Invalid stream ID specified as stream command argument");

/// Word `word` as an id; a missing number is 0. `-` and `+` are none.
pub fn exact(args: Args<'_>, word: usize) -> Result<StreamId, Error> {
    StreamId::parse(args.get(word), 0).ok_or(INVALID)
}

/// All words from `first` on as ids.
pub fn exact_from(args: Args<'_>, first: usize) -> Result<Vec<StreamId>, Error> {
    (first..args.len()).map(|word| exact(args, word)).collect()
}

/// Word `word` as the id of a new entry, whose number may be left to the server.
pub fn wanted(args: Args<'_>, word: usize) -> Result<(u64, Seq), Error> {
    parse_parts(args.get(word)).ok_or(INVALID)
}

/// Word `word` as an id, or `-` and `+` for the first and the last there can be.
pub fn or_limit(args: Args<'_>, word: usize) -> Result<StreamId, Error> {
    bound(args.get(word), 0)
}

fn bound(text: &[u8], missing_seq: u64) -> Result<StreamId, Error> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => StreamId::parse(text, missing_seq).ok_or(INVALID),
    }
}

/// Word `word` as the lower end of an interval; `(` leaves the id itself out.
pub fn start(args: Args<'_>, word: usize) -> Result<StreamId, Error> {
    const NOTHING_ABOVE: Error = Error::fixed("ERR invalid start ID for the interval");
    match args.get(word) {
        [b'(', id @ ..] if !id.is_empty() => {
            let id = StreamId::parse(id, 0).ok_or(INVALID)?;
            id.next().ok_or(NOTHING_ABOVE)
        }
        id => bound(id, 0),
    }
}

/// Word `word` as the upper end of an interval; `(` leaves the id itself out.
pub fn end(args: Args<'_>, word: usize) -> Result<StreamId, Error> {
    const NOTHING_BELOW: Error = Error::fixed("ERR invalid end ID for the interval");
    match args.get(word) {
        [b'(', id @ ..] if !id.is_empty() => {
            let id = StreamId::parse(id, u64::MAX).ok_or(INVALID)?;
            id.prev().ok_or(NOTHING_BELOW)
        }
        id => bound(id, u64::MAX),
    }
}
