//! Values: reading the words of a line or of CONFIG SET, and writing them for CONFIG GET.
//!
//! Every kind is read by [`parse`] and shown by [`Value::text`]; the shapes with inner structure (save
//! points, output limits, event classes and so on) have their reading and writing in [`super::special`].
//!
//! The errors are Redis's sentences, without prefix. Not here: names, permissions, lines of files.

use std::borrow::Cow;
use std::path::Path;

use super::directive::{Directive, Kind};
use super::special::{self, OutputLimits, SavePoint};
use crate::base::units::{self, Size};

/// Why a value was refused.
pub type Reason = Cow<'static, str>;

/// The value of a directive, by its kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Octal(i64),
    Memory(u64),
    Size(Size),
    Choice(&'static str),
    /// Bit n stands for the n-th name after the first.
    Flags(u32, &'static [&'static str]),
    Text(Vec<u8>),
    Folder(Vec<u8>),
    Words(Vec<Vec<u8>>),
    SavePoints(Vec<SavePoint>),
    OutputLimits(OutputLimits),
    OomScores([i32; 3]),
    /// Every class letter spelled out, in the order of [`special::CLASSES`].
    Events(String),
    Master(Option<(Vec<u8>, u16)>),
    Percentiles(Vec<f64>),
}

/// Reads the default of a row. The table's tests parse all of them, so a bad one cannot ship.
pub(super) fn default_of(row: &'static Directive) -> Value {
    let words: Vec<Vec<u8>> = if row.takes_many_arguments() {
        row.default
            .split_ascii_whitespace()
            .map(|word| word.as_bytes().to_vec())
            .collect()
    } else {
        vec![row.default.as_bytes().to_vec()]
    };
    parse(row, &words, None).unwrap_or_else(|reason| panic!("default of {}: {reason}", row.name))
}

/// Reads the words given to `row`. `old` is the present value, which output limits and folders build on.
pub(super) fn parse(row: &Directive, words: &[Vec<u8>], old: Option<&Value>) -> Result<Value, Reason> {
    if !row.takes_many_arguments() {
        let [word] = words else {
            return Err("wrong number of arguments".into());
        };
        return parse_word(&row.kind, word, old);
    }
    // A single empty word is how a line says "none of them".
    let listed = if matches!(words, [word] if word.is_empty()) {
        &[]
    } else {
        words
    };
    match row.kind {
        Kind::Flags { names, excluded } => parse_flags(names, excluded, words),
        Kind::Words { count_max, too_many } if listed.len() > count_max => Err(too_many.into()),
        Kind::SavePoints => special::parse_save_points(listed).map(Value::SavePoints),
        Kind::OutputLimits => {
            let base = match old {
                Some(Value::OutputLimits(limits)) => *limits,
                _ => OutputLimits::default(),
            };
            special::parse_output_limits(words, base).map(Value::OutputLimits)
        }
        Kind::OomScores => special::parse_oom_scores(words).map(Value::OomScores),
        Kind::Master => special::parse_master(words).map(Value::Master),
        Kind::Percentiles => special::parse_percentiles(listed).map(Value::Percentiles),
        _ => Ok(Value::Words(listed.to_vec())),
    }
}

fn parse_word(kind: &Kind, word: &[u8], old: Option<&Value>) -> Result<Value, Reason> {
    match *kind {
        Kind::Bool => parse_bool(word),
        Kind::Int { min, max } => parse_int(word, min, max),
        Kind::Octal { max } => parse_octal(word, max),
        Kind::Memory { min, max } => parse_memory(word, min, max),
        Kind::MemoryOrPercent => parse_size(word),
        Kind::Choice { names, synonyms } => parse_choice(names, synonyms, word),
        Kind::Text { check, .. } => {
            check(word)?;
            Ok(Value::Text(word.to_vec()))
        }
        Kind::Folder => parse_folder(word, old),
        Kind::EventClasses => special::parse_events(word).map(Value::Events),
        _ => unreachable!("a kind of many arguments was asked for one word"),
    }
}

fn parse_bool(word: &[u8]) -> Result<Value, Reason> {
    if word.eq_ignore_ascii_case(b"yes") {
        Ok(Value::Bool(true))
    } else if word.eq_ignore_ascii_case(b"no") {
        Ok(Value::Bool(false))
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

fn parse_int(word: &[u8], min: i64, max: i64) -> Result<Value, Reason> {
    let number = strict_int(word).ok_or("argument couldn't be parsed into an integer")?;
    within(number, min, max).map(Value::Int)
}

fn parse_octal(word: &[u8], max: i64) -> Result<Value, Reason> {
    let digits = std::str::from_utf8(word)
        .ok()
        .filter(|digits| !digits.starts_with('+'));
    let number = digits.and_then(|digits| match digits {
        "" => Some(0),
        _ => i64::from_str_radix(digits, 8).ok(),
    });
    let number = number.ok_or("argument couldn't be parsed as an octal number")?;
    if (0..=max).contains(&number) {
        Ok(Value::Octal(number))
    } else {
        Err(format!("argument must be between 0 and {max:o} inclusive").into())
    }
}

fn parse_memory(word: &[u8], min: u64, max: u64) -> Result<Value, Reason> {
    let bytes = units::parse_memory(word).ok_or("argument must be a memory value")?;
    within(bytes, min, max).map(Value::Memory)
}

fn parse_size(word: &[u8]) -> Result<Value, Reason> {
    match units::parse_memory_or_percent(word) {
        Some(Size::Percent(0)) => Ok(Value::Size(Size::Bytes(0))),
        Some(Size::Percent(percent)) if percent > 100 => {
            Err("percentage argument must be less or equal to 100".into())
        }
        Some(Size::Bytes(bytes)) if bytes > i64::MAX as u64 => {
            Err(format!("argument must be between -100 and {} inclusive", i64::MAX).into())
        }
        Some(size) => Ok(Value::Size(size)),
        None => Err("argument must be a memory or percent value".into()),
    }
}

fn parse_choice(
    names: &'static [&'static str],
    synonyms: &[(&str, &'static str)],
    word: &[u8],
) -> Result<Value, Reason> {
    let name = named(names, word).ok_or_else(|| not_one_of(names))?;
    let shown = synonyms
        .iter()
        .find(|(synonym, _)| *synonym == name)
        .map_or(name, |(_, shown)| shown);
    Ok(Value::Choice(shown))
}

fn parse_flags(
    names: &'static [&'static str],
    (one, other, reason): (&str, &str, &'static str),
    words: &[Vec<u8>],
) -> Result<Value, Reason> {
    if words.is_empty() {
        return Err(not_one_of(names));
    }
    let mut bits = 0;
    for word in words {
        let name = named(names, word).ok_or_else(|| not_one_of(names))?;
        bits |= flag_bit(names, name);
    }
    let both = flag_bit(names, one) | flag_bit(names, other);
    if bits & both == both {
        Err(reason.into())
    } else {
        Ok(Value::Flags(bits, names))
    }
}

fn parse_folder(word: &[u8], old: Option<&Value>) -> Result<Value, Reason> {
    if word.is_empty() {
        return Err("No such file or directory".into());
    }
    let path = match old {
        Some(Value::Folder(base)) => bytes_path(base).join(bytes_path(word)),
        _ => bytes_path(word).to_owned(),
    };
    Ok(Value::Folder(path.into_os_string().into_encoded_bytes()))
}

impl Value {
    /// The value as CONFIG GET shows it.
    pub(super) fn text(&self) -> Vec<u8> {
        match self {
            Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
            Value::Int(number) => number.to_string().into(),
            Value::Octal(bits) => format!("{bits:o}").into(),
            Value::Memory(bytes) | Value::Size(Size::Bytes(bytes)) => bytes.to_string().into(),
            Value::Size(Size::Percent(percent)) => format!("{percent}%").into(),
            Value::Choice(name) => name.as_bytes().to_vec(),
            Value::Flags(bits, names) => flag_names(*bits, names).join(" ").into(),
            Value::Text(bytes) => bytes.clone(),
            Value::Folder(path) => special::absolute(path),
            Value::Words(words) => words.join(&b' '),
            Value::SavePoints(points) => special::save_points_text(points).into(),
            Value::OutputLimits(limits) => limits.text().into(),
            Value::OomScores(scores) => scores.map(|score| score.to_string()).join(" ").into(),
            Value::Events(letters) => special::events_text(letters).into(),
            Value::Master(None) => Vec::new(),
            Value::Master(Some((host, port))) => [host, format!(" {port}").as_bytes()].concat(),
            Value::Percentiles(numbers) => special::percentiles_text(numbers).into(),
        }
    }
}

/// The names whose bits are set; the first name when none is.
pub(super) fn flag_names(bits: u32, names: &[&'static str]) -> Vec<&'static str> {
    match bits {
        0 => names[..1].to_vec(),
        _ => names
            .iter()
            .copied()
            .filter(|name| flag_bit(names, name) & bits != 0)
            .collect(),
    }
}

/// The bit of a name; none for the first, which stands for "none of the others", and for a stranger.
pub(super) fn flag_bit(names: &[&str], name: &str) -> u32 {
    match names.iter().position(|known| *known == name) {
        None | Some(0) => 0,
        Some(place) => 1 << (place - 1),
    }
}

/// A path from bytes: on Unix every byte string is one.
pub(super) fn bytes_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

fn named(names: &'static [&'static str], word: &[u8]) -> Option<&'static str> {
    names
        .iter()
        .copied()
        .find(|name| word.eq_ignore_ascii_case(name.as_bytes()))
}

fn not_one_of(names: &[&str]) -> Reason {
    format!("argument(s) must be one of the following: {}", names.join(", ")).into()
}

fn within<T: PartialOrd + std::fmt::Display>(number: T, min: T, max: T) -> Result<T, Reason> {
    if number < min || number > max {
        return Err(format!("argument must be between {min} and {max} inclusive").into());
    }
    Ok(number)
}

/// The one spelling of an integer that Redis takes: no sign but `-`, no leading zeros, no `-0`.
fn strict_int(word: &[u8]) -> Option<i64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let canonical = match digits {
        [b'0'] => word.len() == 1,
        [first, ..] => (b'1'..=b'9').contains(first),
        [] => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::directive::{find, rows};
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        crate::base::quote::split_args(line.as_bytes()).expect("balanced")
    }

    /// What CONFIG GET would show after `name` was given the words of `line`, or the error.
    #[track_caller]
    fn check(name: &str, line: &str, expected: Result<&str, &str>) {
        let row = find(name.as_bytes()).expect("a directive").row;
        let found = parse(row, &words(line), Some(&default_of(row)));
        let found = found.map(|value| String::from_utf8(value.text()).expect("text"));
        assert_eq!(
            found.as_deref().map_err(|reason| reason.as_ref()),
            expected,
            "{name} {line}"
        );
    }

    #[test]
    fn defaults_parse_and_show_as_themselves() {
        for row in rows() {
            let value = default_of(row);
            if matches!(row.kind, Kind::Folder) {
                continue;
            }
            let shown = value.text();
            let again = if row.takes_many_arguments() {
                shown.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect()
            } else {
                vec![shown.clone()]
            };
            if !matches!(row.kind, Kind::Master) {
                assert_eq!(parse(row, &again, None).as_ref(), Ok(&value), "{}", row.name);
            }
        }
    }

    #[test]
    fn bounds_are_kept_at_both_ends() {
        for row in rows() {
            let Kind::Int { min, max } = row.kind else {
                continue;
            };
            for good in [min, max] {
                assert!(parse_int(good.to_string().as_bytes(), min, max).is_ok());
            }
            for bad in [i128::from(min) - 1, i128::from(max) + 1] {
                assert!(
                    parse_int(bad.to_string().as_bytes(), min, max).is_err(),
                    "{} {bad}",
                    row.name
                );
            }
        }
    }

    #[test]
    fn plain_kinds_answer_as_redis_does() {
        check("appendonly", "YES", Ok("yes"));
        check("appendonly", "maybe", Err("argument must be 'yes' or 'no'"));
        check(
            "hz",
            "-1",
            Err("argument must be between 0 and 2147483647 inclusive"),
        );
        for bad in ["abc", "''", "010", "' 10'", "+10", "-0", "99999999999999999999"] {
            check("hz", bad, Err("argument couldn't be parsed into an integer"));
        }
        check("port", "1 2", Err("wrong number of arguments"));
        check("port", "", Err("wrong number of arguments"));
        check("unixsocketperm", "700", Ok("700"));
        check(
            "unixsocketperm",
            "999",
            Err("argument couldn't be parsed as an octal number"),
        );
        check(
            "unixsocketperm",
            "1777",
            Err("argument must be between 0 and 777 inclusive"),
        );
        check("loglevel", "NOTHING", Ok("nothing"));
        check("oom-score-adj", "relative", Ok("yes"));
        let one_of = "argument(s) must be one of the following: no, yes, relative, absolute";
        check("oom-score-adj", "foo", Err(one_of));
    }

    #[test]
    fn amounts_of_memory_answer_as_redis_does() {
        check("maxmemory", "1GB", Ok("1073741824"));
        check("maxmemory", "18446744073709551615", Ok("18446744073709551615"));
        check("maxmemory", "-1", Err("argument must be a memory value"));
        check("maxmemory-clients", "50%", Ok("50%"));
        check("maxmemory-clients", "0%", Ok("0"));
        check(
            "maxmemory-clients",
            "101%",
            Err("percentage argument must be less or equal to 100"),
        );
        check(
            "maxmemory-clients",
            "-5%",
            Err("argument must be a memory or percent value"),
        );
        let bounds = "argument must be between 1048576 and 9223372036854775807 inclusive";
        check("proto-max-bulk-len", "1", Err(bounds));
    }

    #[test]
    fn flags_combine_in_the_order_of_the_table() {
        check("shutdown-on-sigint", "force NOW", Ok("now force"));
        check("shutdown-on-sigint", "default save", Ok("save"));
        check("shutdown-on-sigint", "default", Ok("default"));
        let both = "shutdown options SAVE and NOSAVE can't be used simultaneously";
        check("shutdown-on-sigint", "save nosave", Err(both));
        let one_of = "argument(s) must be one of the following: default, save, nosave, now, force";
        for bad in ["", "''", "foo"] {
            check("shutdown-on-sigint", bad, Err(one_of));
        }
    }

    #[test]
    fn folders_continue_the_present_one() {
        let base = Value::Folder(b"/srv".to_vec());
        assert_eq!(
            parse_folder(b"data", Some(&base)),
            Ok(Value::Folder(b"/srv/data".to_vec()))
        );
        assert_eq!(
            parse_folder(b"/data", Some(&base)),
            Ok(Value::Folder(b"/data".to_vec()))
        );
        assert!(parse_folder(b"", Some(&base)).is_err());
    }

    #[test]
    fn bind_takes_sixteen_words_or_none() {
        check("bind", "127.0.0.1 -::1", Ok("127.0.0.1 -::1"));
        check("bind", "''", Ok(""));
        check(
            "bind",
            &"a ".repeat(17),
            Err("Too many bind addresses specified."),
        );
    }
}
