//! Lua values as JSON text.
//!
//! A table whose keys are all whole numbers from 1 on is an array, padded with null; any other, the empty one included, is
//! an object. Numbers are written with 14 digits unless the options say otherwise.

use super::super::number;
use super::{InvalidNumbers, Options, options};
use crate::script::context::Context;
use crate::script::lua::stack::NESTING_MAX;
use crate::script::lua::{Kind, Raise, Stack};

pub fn encode(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    if stack.top() != 1 {
        return Err(Raise::Argument(1, "expected 1 argument".to_owned()));
    }
    let mut out = std::mem::take(&mut cx.reply);
    out.clear();
    let options = *options(stack);
    let mut encoder = Encoder {
        stack,
        options,
        out: &mut out,
    };
    let outcome = encoder.value(0);
    if outcome.is_ok() {
        stack.push_bytes(&out);
    }
    cx.give_back(out);
    outcome.map(|()| 1)
}

struct Encoder<'e, 's> {
    stack: &'e mut Stack<'s>,
    options: Options,
    out: &'e mut Vec<u8>,
}

impl Encoder<'_, '_> {
    /// Writes the value on top, which stays.
    fn value(&mut self, depth: i32) -> Result<(), Raise> {
        match self.stack.kind(-1) {
            Kind::String => self.string(-1),
            Kind::Number => self.number(-1)?,
            Kind::Boolean if self.stack.is_true(-1) => self.out.extend_from_slice(b"true"),
            Kind::Boolean => self.out.extend_from_slice(b"false"),
            Kind::Table => self.table(depth + 1)?,
            Kind::Nil => self.out.extend_from_slice(b"null"),
            Kind::LightUserdata if self.stack.is_null(-1) => self.out.extend_from_slice(b"null"),
            _ => return Err(self.refuse(-1, "type not supported")),
        }
        Ok(())
    }

    fn refuse(&self, index: i32, reason: &str) -> Raise {
        let name = self.stack.kind(index).name();
        Raise::message(format!("Cannot serialise {name}: {reason}"))
    }

    fn table(&mut self, depth: i32) -> Result<(), Raise> {
        const ROOM: usize = 3;
        let depth_max = self.options.encode_depth_max.min(NESTING_MAX as i32);
        if depth > depth_max || !self.stack.has_room(ROOM) {
            let text = format!("Cannot serialise, excessive nesting ({depth})");
            return Err(Raise::message(text));
        }
        match self.array_length()? {
            Some(len) if len > 0 => self.array(depth, len),
            _ => self.object(depth),
        }
    }

    /// The highest index of the table on top if it is an array.
    fn array_length(&mut self) -> Result<Option<i32>, Raise> {
        let (mut max, mut items) = (0.0_f64, 0);
        self.stack.push_nil();
        while self.stack.next(-2) {
            match self.stack.number(-2) {
                Some(key) if key >= 1.0 && key.floor() == key => max = max.max(key),
                _ => {
                    self.stack.pop(2);
                    return Ok(None);
                }
            }
            items += 1;
            self.stack.pop(1);
        }
        let Options {
            sparse_ratio,
            sparse_safe,
            sparse_convert,
            ..
        } = self.options;
        let sparse = sparse_ratio > 0
            && max > f64::from(items) * f64::from(sparse_ratio)
            && max > f64::from(sparse_safe);
        if sparse || max > f64::from(i32::MAX) {
            if !sparse_convert {
                return Err(self.refuse(-1, "excessively sparse array"));
            }
            return Ok(None);
        }
        Ok(Some(max as i32))
    }

    fn array(&mut self, depth: i32, len: i32) -> Result<(), Raise> {
        self.out.push(b'[');
        for index in 1..=len {
            if index > 1 {
                self.out.push(b',');
            }
            self.stack.get_index(-1, index);
            self.value(depth)?;
            self.stack.pop(1);
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, depth: i32) -> Result<(), Raise> {
        self.out.push(b'{');
        let mut is_first = true;
        self.stack.push_nil();
        while self.stack.next(-2) {
            if !std::mem::take(&mut is_first) {
                self.out.push(b',');
            }
            match self.stack.kind(-2) {
                Kind::Number => {
                    self.out.push(b'"');
                    self.number(-2)?;
                    self.out.push(b'"');
                }
                Kind::String => self.string(-2),
                _ => return Err(self.refuse(-2, "table key must be a number or string")),
            }
            self.out.push(b':');
            self.value(depth)?;
            self.stack.pop(1);
        }
        self.out.push(b'}');
        Ok(())
    }

    fn number(&mut self, index: i32) -> Result<(), Raise> {
        let number = self.stack.number(index).unwrap_or_default();
        if !number.is_finite() {
            match self.options.encode_invalid_numbers {
                InvalidNumbers::Refuse => return Err(self.refuse(index, "must not be NaN or Inf")),
                InvalidNumbers::Null => {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                }
                InvalidNumbers::Write if number.is_nan() => {
                    self.out.extend_from_slice(b"nan");
                    return Ok(());
                }
                InvalidNumbers::Write => {}
            }
        }
        number::significant(number, self.options.number_precision as usize, self.out);
        Ok(())
    }

    fn string(&mut self, index: i32) {
        let text = self.stack.bytes(index).unwrap_or_default();
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        let mut plain_from = 0;
        for (at, &byte) in text.iter().enumerate() {
            if !needs_escape(byte) {
                continue;
            }
            self.out.extend_from_slice(&text[plain_from..at]);
            escape(byte, self.out);
            plain_from = at + 1;
        }
        self.out.extend_from_slice(&text[plain_from..]);
        self.out.push(b'"');
    }
}

#[inline]
fn needs_escape(byte: u8) -> bool {
    byte < b' ' || matches!(byte, b'"' | b'\\' | b'/' | 0x7f)
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        b'"' | b'\\' | b'/' => byte,
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out.extend_from_slice(b"\\u00");
            return out.extend_from_slice(&digits);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
