//! JSON text as Lua values.
//!
//! Strict in structure, lenient in numbers: unless told otherwise it reads what `strtod` reads, so `0x10`, `1.`, `+1` and
//! `-Infinity` are numbers. Null is `cjson.null`, which a table can hold.
//!
//! A zero byte ends the text. Costs: one pass; a string is pushed from where it lies unless it has escapes.
//! Limits: `decode_max_depth`, 2000 levels whatever it says, and the room on Lua's stack.

use super::options;
use crate::script::context::Context;
use crate::script::lua::stack::{NESTING_MAX, TABLE_ENTRIES_MAX};
use crate::script::lua::{Raise, Stack};

pub fn decode(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    if stack.top() != 1 {
        return Err(Raise::Argument(1, "expected 1 argument".to_owned()));
    }
    let mut text = std::mem::take(&mut cx.reply);
    text.clear();
    text.extend_from_slice(stack.bytes_argument(1)?);
    let options = *options(stack);
    let outcome = decode_text(
        stack,
        &text,
        options.decode_depth_max,
        options.decode_invalid_numbers,
    );
    cx.give_back(text);
    outcome.map(|()| 1)
}

/// Pushes what `text` says.
pub fn decode_text(
    stack: &mut Stack<'_>,
    text: &[u8],
    depth_max: i32,
    invalid_numbers: bool,
) -> Result<(), Raise> {
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(Raise::message("JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut parser = Parser {
        stack,
        text,
        at: 0,
        depth: 0,
        depth_max: depth_max.min(NESTING_MAX as i32),
        invalid_numbers,
        unescaped: Vec::new(),
    };
    let first = parser.token();
    parser.value(first)?;
    match parser.token() {
        (_, Token::End) => Ok(()),
        other => Err(expected("the end", other)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// Its range between the quotes, and whether it is in `unescaped` instead.
    String(usize, usize, bool),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    /// The name error texts use.
    fn name(self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::String(..) => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(text) => text,
        }
    }
}

/// A token and where it begins or, for an error, where it was found.
type Found = (usize, Token);

fn expected(what: &str, (at, token): Found) -> Raise {
    let found = token.name();
    Raise::message(format!(
        "Expected {what} but found {found} at character {}",
        at + 1
    ))
}

struct Parser<'p, 's> {
    stack: &'p mut Stack<'s>,
    text: &'p [u8],
    at: usize,
    depth: i32,
    depth_max: i32,
    invalid_numbers: bool,
    /// The last string that had escapes.
    unescaped: Vec<u8>,
}

impl Parser<'_, '_> {
    /// The byte `ahead` of the next one; 0 beyond the end.
    #[inline]
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn token(&mut self) -> Found {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let start = self.at;
        let single = match self.peek(0) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            0 => return (start, Token::End),
            _ => return self.long_token(start),
        };
        self.at += 1;
        (start, single)
    }

    fn long_token(&mut self, start: usize) -> Found {
        let rest = &self.text[start..];
        match rest[0] {
            b'"' => return self.string(start),
            b'-' | b'0'..=b'9' => {
                if !self.invalid_numbers && is_invalid_number(rest) {
                    return (start, Token::Error("invalid number"));
                }
                return self.number(start);
            }
            _ => {}
        }
        const WORDS: &[(&[u8], Token)] = &[
            (b"true", Token::Boolean(true)),
            (b"false", Token::Boolean(false)),
            (b"null", Token::Null),
        ];
        if let Some((word, token)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
            self.at += word.len();
            return (start, *token);
        }
        let may_be_number = matches!(rest[0], b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+');
        if may_be_number && self.invalid_numbers && is_invalid_number(rest) {
            return self.number(start);
        }
        (start, Token::Error("invalid token"))
    }

    fn number(&mut self, start: usize) -> Found {
        match super::super::number::strtod(&self.text[start..]) {
            (_, 0) => (start, Token::Error("invalid number")),
            (number, len) => {
                self.at += len;
                (start, Token::Number(number))
            }
        }
    }

    fn string(&mut self, start: usize) -> Found {
        self.at += 1;
        let begin = self.at;
        let mut escaped = false;
        loop {
            let plain = &self.text[self.at..];
            let len = plain
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0))
                .unwrap_or(plain.len());
            if escaped {
                self.unescaped.extend_from_slice(&plain[..len]);
            }
            self.at += len;
            match self.peek(0) {
                b'"' => break,
                b'\\' => {
                    if !std::mem::replace(&mut escaped, true) {
                        self.unescaped.clear();
                        self.unescaped.extend_from_slice(&self.text[begin..self.at]);
                    }
                    if let Err(error) = self.escape() {
                        return (self.at, Token::Error(error));
                    }
                }
                _ => return (self.at, Token::Error("unexpected end of string")),
            }
        }
        let end = self.at;
        self.at += 1;
        (start, Token::String(begin, end, escaped))
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let byte = match self.peek(1) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 0x0c,
            b'r' => b'\r',
            b'u' => return self.unicode().ok_or("invalid unicode escape code"),
            _ => return Err("invalid escape code"),
        };
        self.unescaped.push(byte);
        self.at += 2;
        Ok(())
    }

    /// `\uXXXX`, or two of them that make one character.
    fn unicode(&mut self) -> Option<()> {
        let (mut code, mut len) = (self.hex4(2)?, 6);
        if code & 0xF800 == 0xD800 {
            let is_low = code & 0x400 != 0;
            if is_low || self.peek(6) != b'\\' || self.peek(7) != b'u' {
                return None;
            }
            let low = self.hex4(8)?;
            if low & 0xFC00 != 0xDC00 {
                return None;
            }
            (code, len) = (((code & 0x3FF) << 10 | low & 0x3FF) + 0x1_0000, 12);
        }
        let character = char::from_u32(code)?;
        let mut utf8 = [0; 4];
        self.unescaped
            .extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
        self.at += len;
        Some(())
    }

    fn hex4(&self, ahead: usize) -> Option<u32> {
        (0..4).try_fold(0, |code, i| {
            char::from(self.peek(ahead + i))
                .to_digit(16)
                .map(|digit| code << 4 | digit)
        })
    }

    fn descend(&mut self) -> Result<(), Raise> {
        const ROOM: usize = 3;
        self.depth += 1;
        if self.depth <= self.depth_max && self.stack.has_room(ROOM) {
            return Ok(());
        }
        Err(Raise::message(format!(
            "Found too many nested data structures ({}) at character {}",
            self.depth, self.at
        )))
    }

    fn value(&mut self, (at, token): Found) -> Result<(), Raise> {
        match token {
            Token::String(begin, end, escaped) => self.push_string(begin, end, escaped),
            Token::Number(number) => self.stack.push_number(number),
            Token::Boolean(value) => self.stack.push_bool(value),
            Token::Null => self.stack.push_null(),
            Token::ObjectBegin => return self.object(),
            Token::ArrayBegin => return self.array(),
            _ => return Err(expected("value", (at, token))),
        }
        Ok(())
    }

    fn push_string(&mut self, begin: usize, end: usize, escaped: bool) {
        let text = if escaped {
            &self.unescaped
        } else {
            &self.text[begin..end]
        };
        self.stack.push_bytes(text);
    }

    fn object(&mut self) -> Result<(), Raise> {
        self.descend()?;
        self.stack.push_table(0, 0);
        let mut found = self.token();
        if found.1 == Token::ObjectEnd {
            self.depth -= 1;
            return Ok(());
        }
        for _ in 0..TABLE_ENTRIES_MAX {
            let Token::String(begin, end, escaped) = found.1 else {
                return Err(expected("object key string", found));
            };
            self.push_string(begin, end, escaped);
            match self.token() {
                (_, Token::Colon) => {}
                other => return Err(expected("colon", other)),
            }
            let value = self.token();
            self.value(value)?;
            self.stack.set(-3)?;
            match self.token() {
                (_, Token::ObjectEnd) => {
                    self.depth -= 1;
                    return Ok(());
                }
                (_, Token::Comma) => found = self.token(),
                other => return Err(expected("comma or object end", other)),
            }
        }
        Err(Raise::message("table overflow"))
    }

    fn array(&mut self) -> Result<(), Raise> {
        self.descend()?;
        self.stack.push_table(0, 0);
        let mut found = self.token();
        if found.1 == Token::ArrayEnd {
            self.depth -= 1;
            return Ok(());
        }
        for index in 1..=TABLE_ENTRIES_MAX {
            self.value(found)?;
            self.stack.set_index(-2, index as i32);
            match self.token() {
                (_, Token::ArrayEnd) => {
                    self.depth -= 1;
                    return Ok(());
                }
                (_, Token::Comma) => found = self.token(),
                other => return Err(expected("comma or array end", other)),
            }
        }
        Err(Raise::message("table overflow"))
    }
}

/// What `strtod` reads and JSON does not allow: a plus sign, hexadecimal digits, leading zeros, infinity, not a number.
fn is_invalid_number(text: &[u8]) -> bool {
    let at = |index: usize| text.get(index).copied().unwrap_or(0);
    if at(0) == b'+' {
        return true;
    }
    let sign = usize::from(at(0) == b'-');
    match at(sign) {
        b'0' => at(sign + 1) | 0x20 == b'x' || at(sign + 1).is_ascii_digit(),
        byte if byte <= b'9' => false,
        _ => {
            let word = text.get(sign..sign + 3).unwrap_or_default();
            word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
        }
    }
}
