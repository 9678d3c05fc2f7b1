//! How values and replies look to whoever debugs.
//!
//! ```text
//!   Lua     nil true 1.5 "text\n" {1; 2} {[1]="a"; ["k"]={}} "function@0x7f..."
//!   reply   5 "text" "+OK" "-ERR no" [1,NULL] {1 => 2} ~(1,2) #true (double) 1.5 (null)
//! ```
//!
//! A table is shown as a list when its iteration gives 1, 2, 3, ...
//!
//! Limits: tables in tables down to [`DEPTH_MAX`], which also ends those that contain themselves; no more is made than is
//! wanted, give or take one string.

use super::super::lua::{Kind, Stack};
use crate::base::{float, quote};
use crate::resp::{Value, parse_value};

/// Values in values.
const DEPTH_MAX: usize = 10;

/// Values that showing one puts on the stack at most, beside it.
pub const ROOM: usize = 4 * (DEPTH_MAX + 1);

/// Appends the value on top of the stack to `out`, which is not to grow much beyond `wanted` bytes. There is [`ROOM`].
pub fn value(stack: &mut Stack<'_>, out: &mut Vec<u8>, wanted: usize) {
    nested(stack, out, wanted, 0);
}

fn nested(stack: &mut Stack<'_>, out: &mut Vec<u8>, wanted: usize, depth: usize) {
    if depth == DEPTH_MAX {
        return out.extend_from_slice(b"<max recursion level reached! Nested table?>");
    }
    match stack.kind(-1) {
        Kind::String => quote::repr(stack.bytes(-1).unwrap_or_default(), out),
        Kind::Number => number(stack.number(-1).unwrap_or_default(), out),
        Kind::Boolean => out.extend_from_slice(if stack.is_true(-1) { b"true" } else { b"false" }),
        Kind::None | Kind::Nil => out.extend_from_slice(b"nil"),
        Kind::Table => table(stack, out, wanted, depth + 1),
        kind => {
            let name = match kind {
                Kind::LightUserdata => "light-userdata",
                kind => kind.name(),
            };
            let address = match stack.address(-1) {
                0 => "(nil)".to_owned(),
                address => format!("{address:#x}"),
            };
            out.extend_from_slice(format!("\"{name}@{address}\"").as_bytes());
        }
    }
}

/// Numbers as C's `%g` prints them, the sign of what is none included.
fn number(number: f64, out: &mut Vec<u8>) {
    if number.is_nan() && number.is_sign_negative() {
        out.push(b'-');
    }
    float::significant(number, 6, out);
}

fn table(stack: &mut Stack<'_>, out: &mut Vec<u8>, wanted: usize, depth: usize) {
    let is_list = is_list(stack);
    out.push(b'{');
    let start = out.len();
    stack.push_nil();
    while stack.next(-2) {
        if out.len() > wanted {
            stack.pop(2);
            break;
        }
        if out.len() > start {
            out.extend_from_slice(b"; ");
        }
        if !is_list {
            out.push(b'[');
            stack.push_copy(-2);
            nested(stack, out, wanted, depth);
            stack.pop(1);
            out.extend_from_slice(b"]=");
        }
        nested(stack, out, wanted, depth);
        stack.pop(1);
    }
    out.push(b'}');
}

/// Whether the keys of the table on top come as 1, 2, 3, ...
fn is_list(stack: &mut Stack<'_>) -> bool {
    let mut expected = 1.0;
    stack.push_nil();
    while stack.next(-2) {
        if stack.number(-2) != Some(expected) {
            stack.pop(2);
            return false;
        }
        stack.pop(1);
        expected += 1.0;
    }
    true
}

/// Appends a reply as the server wrote it.
pub fn reply(bytes: &[u8], out: &mut Vec<u8>) {
    match parse_value(bytes) {
        Ok(Some((value, _))) => plain(&value, out),
        // Nested more deeply than is followed.
        _ => quote::repr(bytes, out),
    }
}

fn plain(value: &Value, out: &mut Vec<u8>) {
    let line = |sign: u8, text: &[u8], out: &mut Vec<u8>| quote::repr(&[&[sign], text].concat(), out);
    match value {
        Value::Simple(text) => line(b'+', text, out),
        Value::Error(text) => line(b'-', text, out),
        Value::BlobError(text) | Value::Bulk(text) | Value::Verbatim(_, text) => quote::repr(text, out),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::BigNumber(digits) => out.extend_from_slice(digits),
        Value::NullBulk | Value::NullArray => out.extend_from_slice(b"NULL"),
        Value::Null => out.extend_from_slice(b"(null)"),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"#true" } else { b"#false" }),
        Value::Double(number) => {
            out.extend_from_slice(b"(double) ");
            float::shortest(*number, out);
        }
        Value::Array(all) | Value::Push(all) => list("[", all, "]", out),
        Value::Set(all) => list("~(", all, ")", out),
        Value::Map(pairs) => map(pairs, out),
        Value::Attribute(_, value) => plain(value, out),
    }
}

fn list(open: &str, all: &[Value], close: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(open.as_bytes());
    for (index, value) in all.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        plain(value, out);
    }
    out.extend_from_slice(close.as_bytes());
}

fn map(pairs: &[(Value, Value)], out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        plain(key, out);
        out.extend_from_slice(b" => ");
        plain(value, out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_all_kinds_have_their_looks() {
        let long = [&b"*1\r\n".repeat(40)[..], b":1\r\n"].concat();
        for (bytes, shown) in [
            (&b":5\r\n"[..], "5"),
            (b"+OK\r\n", "\"+OK\""),
            (b"-ERR a\r\n", "\"-ERR a\""),
            (b"$2\r\na\n\r\n", "\"a\\n\""),
            (b"*3\r\n$-1\r\n*-1\r\n_\r\n", "[NULL,NULL,(null)]"),
            (b"%2\r\n:1\r\n#t\r\n:2\r\n#f\r\n", "{1 => #true,2 => #false}"),
            (b"~2\r\n,1.5\r\n(12\r\n", "~((double) 1.5,12)"),
            (b">1\r\n=5\r\ntxt:a\r\n", "[\"a\"]"),
            (b"|1\r\n:1\r\n:2\r\n:3\r\n", "3"),
            (b"*0\r\n", "[]"),
            (&long, &format!("\"{}:1\\r\\n\"", "*1\\r\\n".repeat(40))),
        ] {
            let mut out = Vec::new();
            reply(bytes, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), shown);
        }
    }
}
