//! LCS: the longest common subsequence of two strings.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::Key;
use crate::resp::Reply;
use crate::value::lcs::{Match, lcs_len, lcs_matches, lcs_string, table_bytes};
use crate::value::string::StringRef;

/// The rows of this file.
pub const ROWS: &[Row] = &[LCS];

const LCS: Row = Row {
    name: "lcs",
    summary: "Returns the longest subsequence common to two strings.",
    since: "7.0.0",
    complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
    group: Group::String,
    arity: Arity::AtLeast(3),
    flags: Flags::READONLY,
    keys: &[KeySpec::range(1, 1, 1, Access::RO.with(Access::ACCESS))],
    args: &[
        Arg::key("key1", 0),
        Arg::key("key2", 0),
        Arg::flag("len", "LEN").optional(),
        Arg::flag("idx", "IDX").optional(),
        Arg::integer("min-match-len").token("MINMATCHLEN").optional(),
        Arg::flag("withmatchlen", "WITHMATCHLEN").optional(),
    ],
    run: lcs,
    ..Row::BASE
};

/// Both keys are read before the options, as Redis does: their types are complained of first.
fn lcs(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let (a, b) = (read(cx, args.key(1)), read(cx, args.key(2)));
    let (a, b) = (a?, b?);
    let options = LcsOptions::parse(args)?;
    if table_bytes(a.len(), b.len()) > cx.config.int("proto-max-bulk-len") as u64 {
        return Err(Error::fixed(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    if options.idx {
        let (matches, len) = lcs_matches(&a, &b, options.match_len_min);
        reply_matches(&mut cx.reply, &matches, len, options.with_match_len);
    } else if options.len {
        cx.reply.int(lcs_len(&a, &b) as i64);
    } else {
        cx.reply.bulk(&lcs_string(&a, &b));
    }
    Ok(DONE)
}

/// A copy: it costs nothing beside what follows.
fn read(cx: &mut Cx<'_>, key: Key<'_>) -> Result<Vec<u8>, Error> {
    let text = cx.keys.read_string(key);
    let text = text.map_err(|_| Error::fixed("ERR The specified keys must contain string values"))?;
    Ok(text.map(StringRef::to_vec).unwrap_or_default())
}

#[derive(Debug, Default)]
struct LcsOptions {
    len: bool,
    idx: bool,
    match_len_min: usize,
    with_match_len: bool,
}

impl LcsOptions {
    fn parse(args: Args<'_>) -> Result<LcsOptions, Error> {
        let mut options = LcsOptions::default();
        let mut at = 3;
        while at < args.len() {
            at += options.take(args, at)?;
        }
        if options.idx && options.len {
            return Err(Error::fixed(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }

    /// Takes the option at word `at`; how many words it has.
    fn take(&mut self, args: Args<'_>, at: usize) -> Result<usize, Error> {
        if args.is(at, "minmatchlen") && at + 1 < args.len() {
            self.match_len_min = usize::try_from(args.int(at + 1)?).unwrap_or(0);
            return Ok(2);
        }
        let switches = [
            ("len", &mut self.len),
            ("idx", &mut self.idx),
            ("withmatchlen", &mut self.with_match_len),
        ];
        let named = switches.into_iter().find(|(name, _)| args.is(at, name));
        *named.ok_or(Error::Syntax)?.1 = true;
        Ok(1)
    }
}

/// Replies `{matches: [[a range, b range, length?]...], len}`, last match first.
fn reply_matches(reply: &mut Reply<'_>, matches: &[Match], len: usize, with_match_len: bool) {
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(matches.len());
    for run in matches {
        reply.array(2 + usize::from(with_match_len));
        reply_range(reply, run.a);
        reply_range(reply, run.b);
        if with_match_len {
            reply.int(run.match_len() as i64);
        }
    }
    reply.bulk(b"len");
    reply.int(len as i64);
}

fn reply_range(reply: &mut Reply<'_>, (first, last): (usize, usize)) {
    reply.array(2);
    reply.int(first as i64);
    reply.int(last as i64);
}
