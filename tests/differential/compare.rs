//! When two replies count as the same: byte for byte, but for what Redis leaves open and what 7.4 changed since 7.0.

use russet::resp::value::Value;

use crate::words::{self, Words};

/// A difference between the reference, 7.0, and 7.4, whose behaviour we have, or one on purpose.
pub struct Known {
    pub reason: &'static str,
    /// Whether that explains it: the command, our reply, theirs.
    explains: fn(&Words, &Value, &Value) -> bool,
}

pub const KNOWN: &[Known] = &[
    Known {
        reason: "7.2 chooses a sorted set's encoding by the number of words of ZADD",
        explains: |words, ours, theirs| {
            is(words, 0, "object")
                && *ours == Value::Bulk(b"skiplist".to_vec())
                && *theirs == Value::Bulk(b"listpack".to_vec())
        },
    },
    Known {
        reason: "7.2 stores -0 in a listpack as 0",
        explains: |words, ours, theirs| {
            is_about_zset(words) && numbers(ours.clone()) == numbers(theirs.clone())
        },
    },
    Known {
        reason: "7.2 added CLIENT NO-TOUCH and SETINFO",
        explains: |words, _, theirs| {
            is(words, 0, "client")
                && (is(words, 1, "no-touch") || is(words, 1, "setinfo"))
                && is_error(theirs, "ERR unknown subcommand")
        },
    },
    Known {
        reason: "7.2 reads all of HELLO before it believes a word of it",
        explains: |words, ours, theirs| {
            is(words, 0, "hello") && is_error(ours, "ERR") && is_error(theirs, "WRONGPASS")
        },
    },
    Known {
        reason: "7.4 reads the arguments of BITCOUNT and BITPOS before it looks at the key",
        explains: |words, ours, theirs| {
            (is(words, 0, "bitcount") || is(words, 0, "bitpos"))
                && is_error(ours, "ERR")
                && (matches!(theirs, Value::Int(-1 | 0)) || is_error(theirs, "WRONGTYPE"))
        },
    },
    Known {
        reason: "7.2 takes COMMAND GETKEYS with the bare name of a command (as COMMAND INFO shows)",
        explains: |words, ours, _| {
            is(words, 0, "command") && is(words, 1, "info") && ours.to_string().contains("$command|getkeys")
        },
    },
    Known {
        reason: "7.2 takes COMMAND GETKEYS with the bare name of a command",
        explains: |words, _, theirs| {
            is(words, 0, "command")
                && words.len() == 3
                && is_error(theirs, "ERR wrong number of arguments for 'command|getkeys")
        },
    },
    Known {
        reason: "7.2 took the tips from MSETNX",
        explains: |words, _, theirs| {
            let is_msetnx = words.iter().any(|word| word.eq_ignore_ascii_case(b"msetnx"));
            is(words, 0, "command") && is_msetnx && theirs.to_string().contains("$request_policy:multi_shard")
        },
    },
    Known {
        reason: "7.2 added response policies of SCAN and RANDOMKEY",
        explains: |words, ours, theirs| {
            let subject = |name| words.iter().any(|word| word.eq_ignore_ascii_case(name));
            let tips = |value: &Value| value.to_string().matches("$response_policy:special").count();
            (subject(b"scan") || subject(b"randomkey")) && tips(ours) > tips(theirs)
        },
    },
    Known {
        reason: "7.2 added the log level nothing",
        explains: |_, ours, theirs| {
            let tail = ", nothing";
            is_error(ours, "ERR CONFIG SET")
                && ours.to_string().strip_suffix(tail) == Some(&theirs.to_string())
        },
    },
    Known {
        reason: "7.2 lets scripts call commands that block",
        explains: |words, ours, theirs| {
            let text = theirs.to_string();
            is(words, 0, "command")
                && text.contains("+blocking")
                && text.contains("+noscript")
                && !ours.to_string().contains("+noscript")
        },
    },
    Known {
        reason: "7.2 keeps a short list in a listpack",
        explains: |words, ours, theirs| {
            is(words, 0, "object") && ours.to_string() == "$listpack" && theirs.to_string() == "$quicklist"
        },
    },
    Known {
        reason: "7.2 refuses the one number of LPOS and LREM that cannot be negated",
        explains: |words, ours, _| {
            (is(words, 0, "lpos") || is(words, 0, "lrem"))
                && is_error(
                    ours,
                    "ERR value is out of range, value must between -9223372036854775807",
                )
        },
    },
    Known {
        reason: "7.2 keeps small sets in listpacks, and makes intsets of results that can be",
        explains: |words, ours, theirs| {
            let small = ["$listpack", "$intset"].contains(&ours.to_string().as_str());
            is(words, 0, "object") && small && theirs.to_string() == "$hashtable"
                || is(words, 1, "htstats-key") && is_error(ours, "ERR The value stored")
        },
    },
    Known {
        reason: "7.4 takes no empty text for a cursor",
        explains: |words, ours, _| {
            let is_empty = |word: &Vec<u8>| word.first().is_none_or(|&byte| byte == 0);
            words.iter().any(is_empty) && is_error(ours, "ERR invalid cursor")
        },
    },
    Known {
        reason: "7.2 names the command whose list of streams is unbalanced",
        explains: |_, ours, theirs| {
            is_error(ours, "ERR Unbalanced 'xread") && is_error(theirs, "ERR Unbalanced XREAD")
        },
    },
    Known {
        reason: "7.2 lets XSETID go no further back than the last id deleted",
        explains: |words, ours, _| {
            is(words, 0, "xsetid") && is_error(ours, "ERR The ID specified in XSETID is smaller than current")
        },
    },
    Known {
        reason: "7.2 refuses an id whose number overflows by its usual words",
        explains: |words, ours, theirs| {
            is(words, 0, "xadd")
                && is_error(ours, "ERR The ID specified in XADD is equal or smaller")
                && is_error(theirs, "ERR Elements are too large")
        },
    },
    Known {
        reason: "7.4 reads the last entry by +",
        explains: |words, _, theirs| {
            let is_read = is(words, 0, "xread") || is(words, 0, "xreadgroup");
            is_read && words.iter().any(|word| word == b"+") && is_error(theirs, "ERR Invalid stream ID")
        },
    },
    Known {
        reason: "after a number out of range Redis takes every number for one, until something else fails",
        explains: |words, ours, theirs| {
            let is_sort = is(words, 0, "sort") || is(words, 0, "sort_ro");
            is_sort && !is_error(ours, "ERR") && is_error(theirs, "ERR One or more scores")
        },
    },
    Known {
        reason: "sorting a small sorted set makes it a large one in Redis",
        explains: |words, ours, theirs| {
            is(words, 0, "object") && ours.to_string() == "$listpack" && theirs.to_string() == "$skiplist"
        },
    },
    Known {
        reason: "7.2 keeps a short list in a listpack",
        explains: |words, ours, theirs| {
            is(words, 0, "object") && ours.to_string() == "$listpack" && theirs.to_string() == "$quicklist"
        },
    },
    Known {
        reason: "of an integer that Redis shares, COPY makes one that it does not",
        explains: |words, ours, theirs| {
            is(words, 0, "object") && *ours == Value::Int(i64::from(i32::MAX)) && *theirs == Value::Int(1)
        },
    },
    Known {
        reason: "7.4 takes no empty text and no negative number for a cursor",
        explains: |words, ours, _| {
            let is_refused = |word: &Vec<u8>| word.first().is_none_or(|&byte| byte == 0 || byte == b'-');
            words.iter().any(is_refused) && is_error(ours, "ERR invalid cursor")
        },
    },
];

/// The reason why these replies may differ.
pub fn excuse(words: &Words, ours: &Value, theirs: &Value) -> Option<&'static str> {
    let known = KNOWN.iter().find(|known| (known.explains)(words, ours, theirs));
    known.map(|known| known.reason)
}

fn is(words: &Words, index: usize, text: &str) -> bool {
    words
        .get(index)
        .is_some_and(|word| word.eq_ignore_ascii_case(text.as_bytes()))
}

/// Whether it asks for a range of strings where scores may differ, so that anything may come of it.
fn is_lex_range(name: &[u8], words: &Words) -> bool {
    let has_lex = name.windows(3).any(|part| part == b"lex");
    let has_bylex = words.iter().any(|word| word.eq_ignore_ascii_case(b"bylex"));
    (has_lex || has_bylex) && words.get(1).is_none_or(|key| key != words::LEX_KEY)
}

/// Whether replies may have scores, which 7.0 prints with 17 digits.
fn is_about_zset(words: &Words) -> bool {
    matches!(words[0].to_ascii_lowercase().as_slice(), [b'z', ..])
}

fn is_error(value: &Value, start: &str) -> bool {
    matches!(value, Value::Error(text) if text.starts_with(start.as_bytes()))
}

/// Whether Redis leaves open how they differ.
pub fn are_alike(words: &Words, ours: &Value, theirs: &Value) -> bool {
    match (Measure::of(words), ours, theirs) {
        (Measure::Within(slack), Value::Int(ours @ 0..), Value::Int(theirs @ 0..)) => {
            ours.abs_diff(*theirs) <= slack
        }
        _ => settled(words, ours.clone()) == settled(words, theirs.clone()),
    }
}

/// What is fixed of a reply.
pub fn settled(words: &Words, value: Value) -> Value {
    match Measure::of(words) {
        Measure::Exact | Measure::Within(_) => value,
        Measure::Kind => kind(value),
        Measure::Unordered => unordered(value),
        Measure::Pending => pending(value),
        Measure::Numbers => numbers(value),
        Measure::UnorderedNumbers => unordered(numbers(value)),
        Measure::Greeting => greeting(value),
    }
}

/// How much of a reply is fixed.
enum Measure {
    Exact,
    /// Only what it is: nil, an error (and which), a text ...
    Kind,
    /// Clocks are read at different moments.
    Within(u64),
    Unordered,
    /// All but how long entries have been pending.
    Pending,
    /// Texts that are numbers are the same if the numbers are.
    Numbers,
    UnorderedNumbers,
    /// All but version and client id.
    Greeting,
}

impl Measure {
    fn of(words: &Words) -> Measure {
        let word = |index: usize| {
            words
                .get(index)
                .map(|word| word.to_ascii_lowercase())
                .unwrap_or_default()
        };
        let has_glob = words
            .iter()
            .skip(2)
            .any(|word| word.iter().any(|byte| b"*?[".contains(byte)));
        match (word(0).as_slice(), word(1).as_slice()) {
            (b"ttl" | b"expiretime", _) => Measure::Within(2),
            // Integers that Redis shares have been idle for as long as nobody used them anywhere.
            (b"object", b"idletime") => Measure::Kind,
            (b"pttl" | b"pexpiretime", _) => Measure::Within(2000),
            (b"randomkey" | b"time" | b"lolwut" | b"info", _) => Measure::Kind,
            (b"client", b"id" | b"info" | b"list") | (b"slowlog", _) | (b"memory", b"usage") => Measure::Kind,
            (b"command", b"list" | b"count" | b"") => Measure::Kind,
            (b"config", b"get") if has_glob => Measure::Kind,
            (b"scan", cursor) if cursor != b"0" || !ends_at_once(words) => Measure::Kind,
            (b"zrandmember", _) => Measure::Kind,
            (b"zscan", _) => Measure::UnorderedNumbers,
            (name, _) if is_lex_range(name, words) => Measure::Kind,
            ([b'z', ..], _) => Measure::Numbers,
            (b"sscan", _) if word(2) != b"0" || !ends_at_once(words) => Measure::Kind,
            (b"srandmember", _) if draws_some(&word(2)) => Measure::Kind,
            (b"sort" | b"sort_ro", _) if leaves_unsorted(words) => Measure::Unordered,
            (b"smembers" | b"sinter" | b"sunion" | b"sdiff" | b"spop" | b"srandmember" | b"sscan", _) => {
                Measure::Unordered
            }
            (b"hrandfield", _) if ![b"0", b"100".as_slice()].contains(&&*word(2)) => Measure::Kind,
            (b"hscan", _) if word(2) != b"0" || !ends_at_once(words) => Measure::Kind,
            (b"hgetall" | b"hkeys" | b"hvals" | b"hscan" | b"hrandfield", _) => Measure::Unordered,
            (b"function", b"list") => Measure::Unordered,
            (b"xinfo", b"consumers") => Measure::Kind,
            (b"xinfo", b"stream") if words.len() > 3 => Measure::Kind,
            (b"xpending", _) => Measure::Pending,
            (b"debug", b"object") => Measure::Kind,
            (b"keys" | b"scan", _) | (b"config", b"get") | (b"command", b"info") => Measure::Unordered,
            (b"hello", _) => Measure::Greeting,
            _ => Measure::Exact,
        }
    }
}

/// Whether the COUNT of SCAN, the last one, is large.
fn ends_at_once(words: &Words) -> bool {
    let last = words.iter().rposition(|word| word.eq_ignore_ascii_case(b"count"));
    last.is_some_and(|at| words.get(at + 1).is_some_and(|count| count == words::ALL))
}

fn kind(value: Value) -> Value {
    match value {
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Set(_) => Value::Set(Vec::new()),
        Value::Map(_) => Value::Map(Vec::new()),
        Value::Bulk(_) => Value::Bulk(Vec::new()),
        Value::Simple(_) => Value::Simple(Vec::new()),
        Value::Verbatim(format, _) => Value::Verbatim(format, Vec::new()),
        Value::Int(_) => Value::Int(0),
        other => other,
    }
}

/// Every text that is a number in its shortest form.
fn numbers(value: Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(numbers).collect()),
        Value::Bulk(text) => match russet::base::float::parse(&text) {
            Some(number) => Value::Double(number + 0.0),
            None => Value::Bulk(text),
        },
        Value::Double(number) => Value::Double(number + 0.0),
        other => other,
    }
}

/// Containers sorted, at every depth.
fn unordered(value: Value) -> Value {
    let sorted = |values: Vec<Value>| {
        let mut values: Vec<Value> = values.into_iter().map(unordered).collect();
        values.sort_by_cached_key(Value::to_string);
        values
    };
    match value {
        Value::Array(values) => Value::Array(sorted(values)),
        Value::Set(values) => Value::Set(sorted(values)),
        Value::Map(pairs) => {
            let inside = pairs.into_iter().map(|(key, value)| (key, unordered(value)));
            let mut pairs: Vec<_> = inside.collect();
            pairs.sort_by_cached_key(|(key, _)| key.to_string());
            Value::Map(pairs)
        }
        other => other,
    }
}

/// Without the third of four elements: id, consumer, time, deliveries.
fn pending(value: Value) -> Value {
    let timeless = |entry: Value| match entry {
        Value::Array(mut parts) if parts.len() == 4 => {
            parts[2] = Value::Int(0);
            Value::Array(parts)
        }
        other => other,
    };
    match value {
        Value::Array(entries) => Value::Array(entries.into_iter().map(timeless).collect()),
        other => other,
    }
}

fn greeting(value: Value) -> Value {
    let pairs = match value {
        Value::Map(pairs) => pairs,
        Value::Array(values) => values
            .chunks(2)
            .map(|pair| (pair[0].clone(), pair[pair.len() - 1].clone()))
            .collect(),
        other => return other,
    };
    let varies = |key: &Value| ["$version", "$id"].contains(&key.to_string().as_str());
    Value::Map(pairs.into_iter().filter(|(key, _)| !varies(key)).collect())
}

/// Whether SORT is to leave a set in the order of its table.
fn leaves_unsorted(words: &Words) -> bool {
    let by = words.iter().position(|word| word.eq_ignore_ascii_case(b"by"));
    by.and_then(|by| words.get(by + 1))
        .is_some_and(|pattern| !pattern.contains(&b'*'))
}

/// Whether so many random elements are fewer than there are, or some of them twice.
fn draws_some(count: &[u8]) -> bool {
    russet::base::number::parse_i64(count).is_none_or(|count| count != 0 && count < 100)
}
