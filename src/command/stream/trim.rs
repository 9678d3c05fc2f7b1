//! XTRIM, and the options it shares with XADD.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::value::Limits;
use crate::value::stream::Log;
use crate::value::stream::trim::{Keep, Trim};

use super::{Held, ids};

/// The rows of this file.
pub const ROWS: &[Row] = &[XTRIM];

/// How a stream is to be trimmed, as arguments.
pub(super) const STRATEGY: &[Arg] = &[
    Arg::one_of(
        "strategy",
        &[
            Arg::flag("maxlen", "MAXLEN"),
            Arg::flag("minid", "MINID").since("6.2.0"),
        ],
    ),
    Arg::one_of(
        "operator",
        &[Arg::flag("equal", "="), Arg::flag("approximately", "~")],
    )
    .optional(),
    Arg::string("threshold"),
    Arg::integer("count").token("LIMIT").optional().since("6.2.0"),
];

const XTRIM: Row = Row {
    name: "xtrim",
    summary: "Removes the oldest entries of a stream.",
    since: "5.0.0",
    complexity: "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.",
    group: Group::Stream,
    arity: Arity::AtLeast(4),
    flags: Flags::WRITE,
    keys: &[KeySpec::one(1, Access::RW.with(Access::DELETE))],
    tips: &["nondeterministic_output"],
    history: &[(
        "6.2.0",
        "Entries below an id (`MINID`), and no more than so many (`LIMIT`).",
    )],
    args: &[Arg::key("key", 0), Arg::block("trim", STRATEGY)],
    run: xtrim,
    ..Row::BASE
};

fn xtrim(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let mut options = Options::default();
    let mut word = 2;
    while word < args.len() {
        word = options.parse_word(args, word)?.ok_or(Error::Syntax)?;
    }
    let (trim, written) = options.checked_for_xtrim(&cx.keys.limits)?;
    let removed = cx.keys.edit::<Held, u64>(args.key(1), |stream, edit| {
        let removed = stream.log.trim(trim);
        if removed > 0 {
            edit.changed("xtrim", removed);
            if trim.is_approximate && edit.is_followed() {
                let exact = written.exact(trim, &stream.log);
                edit.instead(&written.replaced(args, &exact));
            }
        }
        removed
    })?;
    cx.reply.int(removed.unwrap_or(0) as i64);
    Ok(DONE)
}

/// MAXLEN, MINID and LIMIT as far as they have been read.
#[derive(Default)]
pub(super) struct Options {
    keep: Option<Keep>,
    is_approximate: bool,
    limit: Option<u64>,
    written: Written,
}

/// Where the client wrote them.
#[derive(Default)]
pub(super) struct Written {
    /// The word of the length or id.
    threshold: usize,
    /// Each word `LIMIT`.
    limits: Vec<usize>,
}

impl Options {
    /// Reads the option at `word`, if it is one of these; the word behind it.
    pub(super) fn parse_word(&mut self, args: Args<'_>, word: usize) -> Result<Option<usize>, Error> {
        if word + 1 >= args.len() {
            return Ok(None);
        }
        if args.is(word, "maxlen") {
            let at = self.parse_threshold(args, word)?;
            let len = args.int(at)?;
            let len =
                u64::try_from(len).map_err(|_| Error::fixed("ERR The MAXLEN argument must be >= 0."))?;
            self.keep = Some(Keep::Newest(len));
            Ok(Some(at + 1))
        } else if args.is(word, "minid") {
            let at = self.parse_threshold(args, word)?;
            self.keep = Some(Keep::From(ids::exact(args, at)?));
            Ok(Some(at + 1))
        } else if args.is(word, "limit") {
            let limit = args.int(word + 1)?;
            let limit =
                u64::try_from(limit).map_err(|_| Error::fixed("ERR The LIMIT argument must be >= 0."))?;
            self.limit = Some(limit);
            self.written.limits.push(word);
            Ok(Some(word + 2))
        } else {
            Ok(None)
        }
    }

    /// Reads `=` or `~` behind the strategy at `word`; where the threshold stands.
    fn parse_threshold(&mut self, args: Args<'_>, word: usize) -> Result<usize, Error> {
        const TWICE: Error =
            Error::fixed("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
        if self.keep.is_some() {
            return Err(TWICE);
        }
        let may_have_operator = word + 2 < args.len();
        let operator = args.get(word + 1);
        self.is_approximate = may_have_operator && operator == b"~";
        let has_operator = self.is_approximate || (may_have_operator && operator == b"=");
        self.written.threshold = word + 1 + usize::from(has_operator);
        Ok(self.written.threshold)
    }

    /// As [`Options::checked`], where there must be a strategy.
    fn checked_for_xtrim(self, limits: &Limits) -> Result<(Trim, Written), Error> {
        const NO_STRATEGY: Error =
            Error::fixed("ERR syntax error, XTRIM must be called with a trimming strategy");
        if self.keep.is_none() && self.limit == Some(0) {
            return Err(NO_STRATEGY);
        }
        self.checked(limits)?.ok_or(NO_STRATEGY)
    }

    /// The trimming they ask for, if any, and where.
    pub(super) fn checked(self, limits: &Limits) -> Result<Option<(Trim, Written)>, Error> {
        const NOTHING_TO_LIMIT: Error =
            Error::fixed("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
        const NOT_ABOUT: Error =
            Error::fixed("ERR syntax error, LIMIT cannot be used without the special ~ option");
        let Some(keep) = self.keep else {
            return match self.limit {
                None => Ok(None),
                Some(0) => Err(NOT_ABOUT),
                Some(_) => Err(NOTHING_TO_LIMIT),
            };
        };
        if self.limit.is_some() && !self.is_approximate {
            return Err(NOT_ABOUT);
        }
        let trim = Trim {
            keep,
            is_approximate: self.is_approximate,
            limit: match self.limit {
                Some(limit) => limit,
                None if self.is_approximate => usual_limit(limits),
                None => 0,
            },
        };
        Ok(Some((trim, self.written)))
    }
}

/// About so many entries are removed by one command, lest it take long.
fn usual_limit(limits: &Limits) -> u64 {
    match 100u64.saturating_mul(limits.stream_node_max_entries as u64) {
        0 => 10_000,
        entries => entries.min(1_000_000),
    }
}

impl Written {
    /// What the stream has been trimmed to, as an exact threshold: followers trim to just that.
    pub(super) fn exact(&self, trim: Trim, log: &Log) -> Vec<u8> {
        match trim.keep {
            Keep::Newest(_) => log.len().to_string().into_bytes(),
            Keep::From(_) => log.oldest_id().text().to_vec(),
        }
    }

    /// The words with an exact threshold in the place of `~`, and without LIMIT, which only goes with `~`.
    pub(super) fn replaced<'a>(&self, args: Args<'a>, exact: &'a [u8]) -> Vec<&'a [u8]> {
        let is_limit = |word: usize| self.limits.iter().any(|&at| word == at || word == at + 1);
        let replace = |word: usize| match word {
            _ if word == self.threshold => exact,
            _ if word + 1 == self.threshold => b"=".as_slice(),
            _ => args.get(word),
        };
        (0..args.len())
            .filter(|word| !is_limit(*word))
            .map(replace)
            .collect()
    }
}
