//! Values between RESP and Lua.
//!
//! ```text
//! to a script   integer number | bulk string | null, null array false | status {ok=} | error {err=} | array table
//!               RESP3: null nil | boolean | double {double=} | map {map=} | set {set=} | big number {big_number=}
//!                      verbatim {verbatim_string={format=, string=}} | attributes are left out
//! to a client   the same backwards; a number loses its fraction, true is 1 (RESP3 scripts: true), false null,
//!               a table is cut at its first nil
//! ```
//!
//! Costs: a reply is read where it lies; nothing is allocated but the Lua values. Limits: what is nested deeper than Lua's
//! stack has room for is answered with an error in its place. The replies read here are our own: a malformed one reads as nil.

use super::lib::number::to_i64;
use super::lua::stack::{NESTING_MAX, TABLE_ENTRIES_MAX};
use super::lua::{Kind, Raise, Stack};
use crate::base::number::parse_i64;
use crate::resp::Reply;

/// Pushes the reply in `bytes`; whether it is an error.
pub fn push_reply(stack: &mut Stack<'_>, bytes: &[u8]) -> Result<bool, Raise> {
    Cursor { bytes }.push(stack)?;
    Ok(bytes.first() == Some(&b'-'))
}

struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The rest of the line.
    #[inline]
    fn line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\r', self.bytes).unwrap_or(self.bytes.len());
        let line = &self.bytes[..end];
        self.bytes = self.bytes.get(end + 2..).unwrap_or_default();
        line
    }

    fn length(&mut self) -> Option<usize> {
        parse_i64(self.line()).and_then(|n| usize::try_from(n).ok())
    }

    /// So many bytes and their line end.
    fn blob(&mut self, len: usize) -> &'a [u8] {
        let len = len.min(self.bytes.len());
        let blob = &self.bytes[..len];
        self.bytes = self.bytes.get(len + 2..).unwrap_or_default();
        blob
    }

    fn push(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        const ROOM: usize = 6;
        stack.reserve(ROOM)?;
        let Some((&kind, rest)) = self.bytes.split_first() else {
            stack.push_nil();
            return Ok(());
        };
        self.bytes = rest;
        match kind {
            b':' => stack.push_number(parse_i64(self.line()).unwrap_or_default() as f64),
            b'$' => match self.length() {
                Some(len) => stack.push_bytes(self.blob(len)),
                None => stack.push_bool(false),
            },
            b'+' => self.wrap(stack, "ok"),
            b'-' => self.push_error(stack),
            b'*' | b'>' => match self.length() {
                Some(count) => self.push_array(stack, count)?,
                None => stack.push_bool(false),
            },
            b'%' => self.push_map(stack)?,
            b'~' => self.push_set(stack)?,
            b'_' => {
                self.line();
                stack.push_nil();
            }
            b'#' => {
                let is_true = self.line() == b"t";
                stack.push_bool(is_true);
            }
            b',' => self.push_double(stack),
            b'(' => self.wrap(stack, "big_number"),
            b'=' => self.push_verbatim(stack),
            b'|' => return self.skip_attributes(stack),
            _ => stack.push_nil(),
        }
        Ok(())
    }

    /// `{field = line}`.
    fn wrap(&mut self, stack: &mut Stack<'_>, field: &str) {
        stack.push_table(0, 1);
        stack.push_bytes(self.line());
        stack.set_field(-2, field);
    }

    /// An error reply has been counted when it was written: whoever answers it to the client does not count it again.
    fn push_error(&mut self, stack: &mut Stack<'_>) {
        stack.push_error_table(&with_code(self.line()));
        stack.push_bool(true);
        stack.set_field(-2, "ignore_error_stats_update");
    }

    fn push_array(&mut self, stack: &mut Stack<'_>, count: usize) -> Result<(), Raise> {
        check_entries(count)?;
        stack.push_table(count, 0);
        for index in 1..=count {
            self.push(stack)?;
            stack.set_index(-2, index as i32);
        }
        Ok(())
    }

    fn push_map(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        let count = self.length().unwrap_or_default();
        check_entries(count)?;
        stack.push_table(0, 1);
        stack.push_table(0, count);
        for _ in 0..count {
            self.push(stack)?;
            self.push(stack)?;
            stack.set(-3)?;
        }
        stack.set_field(-2, "map");
        Ok(())
    }

    fn push_set(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        let count = self.length().unwrap_or_default();
        check_entries(count)?;
        stack.push_table(0, 1);
        stack.push_table(0, count);
        for _ in 0..count {
            self.push(stack)?;
            stack.push_bool(true);
            stack.set(-3)?;
        }
        stack.set_field(-2, "set");
        Ok(())
    }

    fn push_double(&mut self, stack: &mut Stack<'_>) {
        let text = std::str::from_utf8(self.line()).unwrap_or_default();
        stack.push_table(0, 1);
        stack.push_number(text.parse().unwrap_or_default());
        stack.set_field(-2, "double");
    }

    fn push_verbatim(&mut self, stack: &mut Stack<'_>) {
        let len = self.length().unwrap_or_default();
        let (format, text) = self.blob(len).split_at_checked(4).unwrap_or_default();
        stack.push_table(0, 1);
        stack.push_table(0, 2);
        stack.push_bytes(text);
        stack.set_field(-2, "string");
        stack.push_bytes(&format[..format.len().min(3)]);
        stack.set_field(-2, "format");
        stack.set_field(-2, "verbatim_string");
    }

    fn skip_attributes(&mut self, stack: &mut Stack<'_>) -> Result<(), Raise> {
        for _ in 0..self.length().unwrap_or_default().saturating_mul(2) {
            self.push(stack)?;
            stack.pop(1);
        }
        self.push(stack)
    }
}

fn check_entries(count: usize) -> Result<(), Raise> {
    if count > TABLE_ENTRIES_MAX {
        return Err(Raise::message("table overflow"));
    }
    Ok(())
}

/// An error's text with a code in front: one that has no blank has none.
pub fn with_code(text: &[u8]) -> Vec<u8> {
    if text.contains(&b' ') {
        text.to_vec()
    } else {
        [b"ERR ", text].concat()
    }
}

/// An error that a script hands to its client.
#[derive(Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Its text, the code first.
    pub text: Vec<u8>,
    /// It is a command's, which was counted among the errors when it was answered to the script.
    pub counted: bool,
}

/// Writes the value on top of the stack, which it takes, as a reply; an error is handed back instead.
///
/// `script_resp3`: the script speaks RESP3 with its commands, so its booleans are meant as such.
pub fn write_reply(
    stack: &mut Stack<'_>,
    reply: &mut Reply<'_>,
    script_resp3: bool,
) -> Result<(), ScriptError> {
    if stack.kind(-1) == Kind::Table
        && let Some(error) = error_of(stack)
    {
        stack.pop(1);
        return Err(error);
    }
    write(stack, reply, script_resp3, 0);
    Ok(())
}

/// The error that the table on top is, if it is one.
pub fn error_of(stack: &mut Stack<'_>) -> Option<ScriptError> {
    stack.get_field(-1, "err");
    let text = stack.bytes(-1).map(<[u8]>::to_vec);
    stack.pop(1);
    stack.get_field(-1, "ignore_error_stats_update");
    let counted = stack.is_true(-1);
    stack.pop(1);
    text.map(|text| ScriptError { text, counted })
}

/// Writes and takes the topmost value.
fn write(stack: &mut Stack<'_>, reply: &mut Reply<'_>, script_resp3: bool, depth: usize) {
    const ROOM: usize = 4;
    if depth > NESTING_MAX || !stack.has_room(ROOM) {
        reply.error("ERR reached lua stack limit");
        return stack.pop(1);
    }
    match stack.kind(-1) {
        Kind::String => reply.bulk(stack.bytes(-1).unwrap_or_default()),
        Kind::Number => reply.int(to_i64(stack.number(-1).unwrap_or_default())),
        Kind::Boolean if script_resp3 => reply.bool(stack.is_true(-1)),
        Kind::Boolean if stack.is_true(-1) => reply.int(1),
        Kind::Table => write_table(stack, reply, script_resp3, depth + 1),
        _ => reply.null(),
    }
    stack.pop(1);
}

/// Writes the table on top, which stays: what a field says it is, else an array.
fn write_table(stack: &mut Stack<'_>, reply: &mut Reply<'_>, script_resp3: bool, depth: usize) {
    const SPECIAL: &[(&str, Writer)] = &[
        ("err", write_error),
        ("ok", write_status),
        ("double", write_double),
        ("big_number", write_big_number),
        ("verbatim_string", write_verbatim),
        ("map", write_map),
        ("set", write_set),
    ];
    // Most tables have no fields at all, only elements.
    for (field, writer) in SPECIAL {
        stack.get_field(-1, field);
        let written = writer(stack, reply, script_resp3, depth);
        stack.pop(1);
        if written {
            return;
        }
    }
    let deferred = reply.defer_array();
    let mut count = 0;
    loop {
        stack.get_index(-1, count as i32 + 1);
        if stack.kind(-1) == Kind::Nil {
            stack.pop(1);
            break;
        }
        write(stack, reply, script_resp3, depth);
        count += 1;
    }
    reply.finish(deferred, count);
}

/// Writes the field on top, which stays, if it has the right type.
type Writer = fn(&mut Stack<'_>, &mut Reply<'_>, bool, usize) -> bool;

fn write_error(stack: &mut Stack<'_>, reply: &mut Reply<'_>, _: bool, _: usize) -> bool {
    let Some(text) = stack.bytes(-1) else { return false };
    reply.error(text);
    true
}

fn write_status(stack: &mut Stack<'_>, reply: &mut Reply<'_>, _: bool, _: usize) -> bool {
    let Some(text) = stack.bytes(-1) else { return false };
    write_line(reply, b'+', text);
    true
}

fn write_double(stack: &mut Stack<'_>, reply: &mut Reply<'_>, _: bool, _: usize) -> bool {
    let Some(number) = stack.number(-1) else {
        return false;
    };
    reply.double(number);
    true
}

fn write_big_number(stack: &mut Stack<'_>, reply: &mut Reply<'_>, _: bool, _: usize) -> bool {
    let Some(digits) = stack.bytes(-1) else {
        return false;
    };
    if reply.resp3 {
        write_line(reply, b'(', digits);
    } else {
        let digits: Vec<u8> = digits.iter().copied().map(no_line_end).collect();
        reply.bulk(&digits);
    }
    true
}

fn write_verbatim(stack: &mut Stack<'_>, reply: &mut Reply<'_>, _: bool, _: usize) -> bool {
    if stack.kind(-1) != Kind::Table {
        return false;
    }
    stack.get_field(-1, "format");
    stack.get_field(-2, "string");
    let written = match (stack.bytes(-2), stack.bytes(-1)) {
        (Some(format), Some(text)) => {
            // The three letters go out as they are, whatever they are.
            if reply.resp3 {
                let mut tagged = format
                    .iter()
                    .copied()
                    .chain([b' '; 3])
                    .take(3)
                    .collect::<Vec<u8>>();
                tagged.push(b':');
                tagged.extend_from_slice(text);
                let head = format!("={}\r\n", tagged.len());
                reply.raw(head.as_bytes());
                reply.raw(&tagged);
                reply.raw(b"\r\n");
            } else {
                reply.bulk(text);
            }
            true
        }
        _ => false,
    };
    stack.pop(2);
    written
}

fn write_map(stack: &mut Stack<'_>, reply: &mut Reply<'_>, script_resp3: bool, depth: usize) -> bool {
    if stack.kind(-1) != Kind::Table {
        return false;
    }
    let deferred = reply.defer_map();
    let mut count = 0;
    stack.push_nil();
    while stack.next(-2) {
        stack.push_copy(-2);
        write(stack, reply, script_resp3, depth);
        write(stack, reply, script_resp3, depth);
        count += 1;
    }
    reply.finish(deferred, count);
    true
}

fn write_set(stack: &mut Stack<'_>, reply: &mut Reply<'_>, script_resp3: bool, depth: usize) -> bool {
    if stack.kind(-1) != Kind::Table {
        return false;
    }
    let deferred = reply.defer_set();
    let mut count = 0;
    stack.push_nil();
    while stack.next(-2) {
        stack.pop(1);
        stack.push_copy(-1);
        write(stack, reply, script_resp3, depth);
        count += 1;
    }
    reply.finish(deferred, count);
    true
}

fn write_line(reply: &mut Reply<'_>, kind: u8, text: &[u8]) {
    reply.raw(&[kind]);
    reply.out.extend(text.iter().copied().map(no_line_end));
    reply.raw(b"\r\n");
}

fn no_line_end(byte: u8) -> u8 {
    if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }
}
