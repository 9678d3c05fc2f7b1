//! XADD.

use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;
use crate::command::row::{Access, Arg, Arity, Flags, Group, KeySpec, Row};
use crate::keyspace::typed::Edit;
use crate::value::stream::id::Seq;
use crate::value::stream::log::{IdError, TooLarge, WantedId};
use crate::value::stream::trim::Trim;
use crate::value::stream::{Stream, StreamId};

use super::trim::{Options, STRATEGY, Written};
use super::{Held, ids};

/// The rows of this file.
pub const ROWS: &[Row] = &[XADD];

const XADD: Row = Row {
    name: "xadd",
    summary: "Appends an entry to a stream, which it creates if need be.",
    since: "5.0.0",
    complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
    group: Group::Stream,
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    keys: &[KeySpec {
        notes: Some("UPDATE instead of INSERT because of the optional trimming feature"),
        ..KeySpec::one(1, Access::RW.with(Access::UPDATE))
    }],
    tips: &["nondeterministic_output"],
    history: &[
        (
            "6.2.0",
            "Missing streams left alone (`NOMKSTREAM`), trimming by id (`MINID`), and only so much of it (`LIMIT`).",
        ),
        ("7.0.0", "Ids of which only the time is given (`<ms>-*`)."),
    ],
    args: &[
        Arg::key("key", 0),
        Arg::flag("nomkstream", "NOMKSTREAM").optional().since("6.2.0"),
        Arg::block("trim", STRATEGY).optional(),
        Arg::one_of("id-selector", &[Arg::flag("auto-id", "*"), Arg::string("id")]),
        Arg::block("data", &[Arg::string("field"), Arg::string("value")]).multiple(),
    ],
    run: xadd,
    ..Row::BASE
};

fn xadd(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let addition = Addition::parse(cx, args)?;
    let key = args.key(1);
    let added = if addition.creates {
        let add = |stream: &mut Held, edit: &mut Edit<'_>| addition.run(stream, edit, args);
        Some(cx.keys.edit_or_new(key, add)?)
    } else {
        let add = |stream: &mut Held, edit: &mut Edit<'_>| addition.run(stream, edit, args);
        cx.keys.edit(key, add)?
    };
    match added.transpose()? {
        Some(id) => cx.reply.bulk(&id.text()),
        None => cx.reply.null(),
    }
    Ok(DONE)
}

/// What is to be added, and what trimmed.
struct Addition {
    /// False: only to a stream that is there (NOMKSTREAM).
    creates: bool,
    trim: Option<(Trim, Written)>,
    id: WantedId,
    /// The word of the id; names and values follow.
    id_word: usize,
}

impl Addition {
    #[inline]
    fn parse(cx: &Cx<'_>, args: Args<'_>) -> Result<Addition, Error> {
        let mut addition = Addition {
            creates: true,
            trim: None,
            id: WantedId::Auto,
            id_word: 2,
        };
        // The common case needs no look at options.
        if args.get(2) != b"*" {
            addition.parse_options(cx, args)?;
        }
        let words = args.len().saturating_sub(addition.id_word + 1);
        if words < 2 || !words.is_multiple_of(2) {
            return Err(Error::Arity("xadd".into()));
        }
        if matches!(addition.id, WantedId::At(0, Seq::Given(0) | Seq::Missing)) {
            return Err(Error::fixed(
                "ERR The ID specified in XADD must be greater than 0-0",
            ));
        }
        Ok(addition)
    }

    /// Everything up to the id, in any order; without an id the arity is wrong.
    fn parse_options(&mut self, cx: &Cx<'_>, args: Args<'_>) -> Result<(), Error> {
        let mut options = Options::default();
        while self.id_word < args.len() {
            let word = self.id_word;
            if args.get(word) == b"*" {
                break;
            }
            if let Some(next) = options.parse_word(args, word)? {
                self.id_word = next;
            } else if args.is(word, "nomkstream") {
                self.creates = false;
                self.id_word += 1;
            } else {
                let (ms, seq) = ids::wanted(args, word)?;
                self.id = WantedId::At(ms, seq);
                break;
            }
        }
        self.trim = options.checked(&cx.keys.limits)?;
        Ok(())
    }

    fn run(&self, stream: &mut Stream, edit: &mut Edit<'_>, args: Args<'_>) -> Result<StreamId, Error> {
        let id = stream.log.id_for(self.id, edit.now_ms)?;
        let words = (self.id_word + 1..args.len()).map(move |word| args.get(word));
        stream.log.append(id, words, edit.limits)?;
        edit.changed("xadd", 1);
        edit.ready();
        if let Some((trim, _)) = &self.trim
            && stream.log.trim(*trim) > 0
        {
            edit.changed("xtrim", 0);
        }
        if edit.is_followed() {
            self.propagate(stream, edit, args, id);
        }
        Ok(id)
    }

    /// Followers add the same id and trim to the same length.
    fn propagate(&self, stream: &Stream, edit: &mut Edit<'_>, args: Args<'_>, id: StreamId) {
        let is_auto = matches!(self.id, WantedId::Auto | WantedId::At(_, Seq::Auto));
        let about = self.trim.as_ref().filter(|(trim, _)| trim.is_approximate);
        if !is_auto && about.is_none() {
            return;
        }
        let id = id.text();
        let exact = about.map(|(trim, written)| written.exact(*trim, &stream.log));
        let mut words: Vec<&[u8]> = match (&about, &exact) {
            (Some((_, written)), Some(exact)) => written.replaced(args, exact),
            _ => args.iter_from(0).collect(),
        };
        // What was left out stands before the id: count from the end.
        let id_at = words.len() - (args.len() - self.id_word);
        words[id_at] = &id;
        edit.instead(&words);
    }
}

impl From<IdError> for Error {
    fn from(error: IdError) -> Error {
        Error::fixed(match error {
            IdError::Exhausted => {
                "ERR The stream has exhausted the last possible ID, unable to add more items"
            }
            IdError::NotAbove => {
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
            }
        })
    }
}

impl From<TooLarge> for Error {
    fn from(TooLarge: TooLarge) -> Error {
        Error::fixed("ERR Elements are too large to be stored")
    }
}
