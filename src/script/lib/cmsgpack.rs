//! `cmsgpack`: Lua values as MessagePack and back, as lua-cmsgpack 0.4.0 does it.
//!
//! ```text
//! number  whole and in 64 bits: shortest integer form, else float if it is exact, else double
//! table   an array when its keys are 1..n without a gap (so an empty one is), else a map; nil when nested 16 deep
//! others  nil
//! ```
//!
//! Limits: packing ends at a depth of 16, unpacking at one of 2000 and at the room on Lua's stack; an announced length is a promise that
//! nothing is allocated for.

use super::{Functions, set_functions};
use crate::script::context::Context;
use crate::script::lua::stack::{NESTING_MAX, TABLE_ENTRIES_MAX};
use crate::script::lua::{Kind, Raise, Stack};

const FUNCTIONS: Functions = &[
    ("pack", pack),
    ("unpack", |stack, cx| unpack(stack, cx, 0, 0)),
    ("unpack_one", |stack, cx| {
        let offset = optional_integer(stack, 2)?;
        unpack(stack, cx, 1, offset)
    }),
    ("unpack_limit", |stack, cx| {
        let limit = stack.integer_argument(2)?;
        let offset = optional_integer(stack, 3)?;
        unpack(stack, cx, limit, offset)
    }),
];

/// Pushes the library.
pub fn push(stack: &mut Stack<'_>) {
    const ABOUT: &[(&str, &str)] = &[
        ("_NAME", "cmsgpack"),
        ("_VERSION", "lua-cmsgpack 0.4.0"),
        ("_COPYRIGHT", "Copyright (C) 2012, Redis Ltd."),
        ("_DESCRIPTION", "MessagePack C implementation for Lua"),
    ];
    stack.push_table(0, FUNCTIONS.len() + ABOUT.len());
    set_functions(stack, FUNCTIONS);
    for (name, text) in ABOUT {
        stack.push_bytes(text.as_bytes());
        stack.set_field(-2, name);
    }
}

fn optional_integer(stack: &Stack<'_>, index: usize) -> Result<i64, Raise> {
    match stack.kind(index as i32) {
        Kind::None | Kind::Nil => Ok(0),
        _ => stack.integer_argument(index),
    }
}

// ---- packing ----

fn pack(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    let count = stack.top();
    if count == 0 {
        return Err(Raise::Argument(0, "MessagePack pack needs input.".to_owned()));
    }
    if !stack.has_room(count) {
        let text = "Too many arguments for MessagePack pack.";
        return Err(Raise::Argument(0, text.to_owned()));
    }
    let mut out = std::mem::take(&mut cx.reply);
    out.clear();
    let outcome = (1..=count).try_for_each(|index| {
        stack.push_copy(index as i32);
        pack_value(stack, &mut out, 0)
    });
    if outcome.is_ok() {
        stack.push_bytes(&out);
    }
    cx.give_back(out);
    outcome.map(|()| 1)
}

/// Packs and takes the value on top.
fn pack_value(stack: &mut Stack<'_>, out: &mut Vec<u8>, depth: u32) -> Result<(), Raise> {
    const DEPTH_MAX: u32 = 16;
    match stack.kind(-1) {
        Kind::String => pack_bytes(stack.bytes(-1).unwrap_or_default(), out),
        Kind::Boolean => out.push(if stack.is_true(-1) { 0xc3 } else { 0xc2 }),
        Kind::Number => pack_number(stack.number(-1).unwrap_or_default(), out),
        Kind::Table if depth < DEPTH_MAX => pack_table(stack, out, depth)?,
        _ => out.push(0xc0),
    }
    stack.pop(1);
    Ok(())
}

fn pack_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes.len() {
        len @ ..32 => out.push(0xa0 | len as u8),
        len @ ..0x100 => out.extend_from_slice(&[0xd9, len as u8]),
        len => pack_length(len, [0xda, 0xdb], out),
    }
    out.extend_from_slice(bytes);
}

/// A length in 16 or 32 bits behind its marker.
fn pack_length(len: usize, [short, long]: [u8; 2], out: &mut Vec<u8>) {
    if let Ok(len) = u16::try_from(len) {
        out.push(short);
        return out.extend_from_slice(&len.to_be_bytes());
    }
    out.push(long);
    out.extend_from_slice(&(len as u32).to_be_bytes());
}

fn pack_number(number: f64, out: &mut Vec<u8>) {
    let whole = number as i64;
    // The upper bound is 2^63, which the conversion cut to the largest integer.
    if whole as f64 == number && whole != i64::MAX {
        return pack_integer(whole, out);
    }
    let single = number as f32;
    if f64::from(single) == number {
        out.push(0xca);
        return out.extend_from_slice(&single.to_be_bytes());
    }
    out.push(0xcb);
    out.extend_from_slice(&number.to_be_bytes());
}

fn pack_integer(n: i64, out: &mut Vec<u8>) {
    match n {
        -32..=0x7f => out.push(n as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, n as u8]),
        0x100..=0xffff => tagged(0xcd, &(n as u16).to_be_bytes(), out),
        0x1_0000..=0xffff_ffff => tagged(0xce, &(n as u32).to_be_bytes(), out),
        0x1_0000_0000.. => tagged(0xcf, &n.to_be_bytes(), out),
        -0x80..=-33 => out.extend_from_slice(&[0xd0, n as u8]),
        -0x8000..=-0x81 => tagged(0xd1, &(n as i16).to_be_bytes(), out),
        -0x8000_0000..=-0x8001 => tagged(0xd2, &(n as i32).to_be_bytes(), out),
        _ => tagged(0xd3, &n.to_be_bytes(), out),
    }
}

fn tagged(marker: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(marker);
    out.extend_from_slice(bytes);
}

fn pack_table(stack: &mut Stack<'_>, out: &mut Vec<u8>, depth: u32) -> Result<(), Raise> {
    const ROOM: usize = 4;
    stack.reserve(ROOM)?;
    let (entries, is_array) = shape(stack);
    if is_array {
        match entries {
            ..16 => out.push(0x90 | entries as u8),
            _ => pack_length(entries, [0xdc, 0xdd], out),
        }
        for index in 1..=entries {
            stack.get_index(-1, index as i32);
            pack_value(stack, out, depth + 1)?;
        }
        return Ok(());
    }
    match entries {
        ..16 => out.push(0x80 | entries as u8),
        _ => pack_length(entries, [0xde, 0xdf], out),
    }
    stack.push_nil();
    while stack.next(-2) {
        stack.push_copy(-2);
        pack_value(stack, out, depth + 1)?;
        pack_value(stack, out, depth + 1)?;
    }
    Ok(())
}

/// How many entries the table on top has, and whether their keys are the numbers from 1 to so many.
fn shape(stack: &mut Stack<'_>) -> (usize, bool) {
    let (mut entries, mut max, mut is_array) = (0, 0.0, true);
    stack.push_nil();
    while stack.next(-2) {
        stack.pop(1);
        entries += 1;
        match stack.number(-1) {
            Some(key) if key > 0.0 && key.fract() == 0.0 && key <= f64::from(i32::MAX) => {
                max = key.max(max);
            }
            _ => is_array = false,
        }
    }
    (entries, is_array && max == entries as f64)
}

// ---- unpacking ----

/// Unpacks up to `limit` values from `offset` on (0 and 0: all), in front of them the offset behind, or -1 at the end.
fn unpack(stack: &mut Stack<'_>, cx: &mut Context, limit: i64, offset: i64) -> Result<usize, Raise> {
    let mut bytes = std::mem::take(&mut cx.reply);
    bytes.clear();
    bytes.extend_from_slice(stack.bytes_argument(1)?);
    stack.truncate(1);
    let outcome = unpack_bytes(stack, &bytes, limit, offset);
    cx.give_back(bytes);
    outcome
}

/// Pushes what `bytes` say; how many values.
pub fn unpack_bytes(stack: &mut Stack<'_>, bytes: &[u8], limit: i64, offset: i64) -> Result<usize, Raise> {
    let len = bytes.len();
    if limit < 0 || offset < 0 {
        // Compat: the text calls the length of the input the limit.
        return Err(Raise::message(format!(
            "Invalid request to unpack with offset of {} and limit of {}.",
            offset as i32, len as i32
        )));
    }
    let all = limit == 0 && offset == 0;
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get(offset..));
    let Some(rest) = rest else {
        return Err(Raise::message(format!(
            "Start offset {} greater than input length {len}.",
            offset as i32
        )));
    };
    let below = stack.top();
    let mut unpacker = Unpacker {
        stack,
        rest,
        depth: 0,
    };
    let mut count = 0;
    while !unpacker.rest.is_empty() && (all || count < limit) {
        unpacker.value().map_err(Stop::raise)?;
        count += 1;
    }
    let left = unpacker.rest.len();
    if !all {
        stack.reserve(1)?;
        stack.push_number(if left == 0 { -1.0 } else { (len - left) as f64 });
        stack.insert(below as i32 + 1);
        count += 1;
    }
    Ok(count as usize)
}

struct Unpacker<'u, 's> {
    stack: &'u mut Stack<'s>,
    rest: &'u [u8],
    depth: usize,
}

enum Stop {
    MissingBytes,
    BadFormat,
    Raised(Raise),
}

impl Stop {
    fn raise(self) -> Raise {
        match self {
            Stop::MissingBytes => Raise::message("Missing bytes in input."),
            Stop::BadFormat => Raise::message("Bad data format in input."),
            Stop::Raised(raise) => raise,
        }
    }
}

impl From<Raise> for Stop {
    fn from(raise: Raise) -> Stop {
        Stop::Raised(raise)
    }
}

impl<'u> Unpacker<'u, '_> {
    fn take(&mut self, count: usize) -> Result<&'u [u8], Stop> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Stop::MissingBytes)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Stop::MissingBytes)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn length(&mut self, is_long: bool) -> Result<usize, Stop> {
        Ok(if is_long {
            u32::from_be_bytes(self.array()?) as usize
        } else {
            usize::from(u16::from_be_bytes(self.array()?))
        })
    }

    /// Pushes the next value.
    fn value(&mut self) -> Result<(), Stop> {
        const ROOM: usize = 3;
        if !self.stack.has_room(ROOM) {
            return Err(Stop::Raised(Raise::message(
                "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)",
            )));
        }
        let [marker] = self.array()?;
        match marker {
            0x00..=0x7f => self.stack.push_number(f64::from(marker)),
            0xe0..=0xff => self.stack.push_number(f64::from(marker as i8)),
            0xa0..=0xbf => self.bytes(usize::from(marker & 0x1f))?,
            0x90..=0x9f => self.list(usize::from(marker & 0xf))?,
            0x80..=0x8f => self.map(usize::from(marker & 0xf))?,
            0xc0 => self.stack.push_nil(),
            0xc2 | 0xc3 => self.stack.push_bool(marker == 0xc3),
            0xca..=0xd3 => self.number(marker)?,
            0xd9 => {
                let [len] = self.array()?;
                self.bytes(usize::from(len))?;
            }
            0xda | 0xdb => {
                let len = self.length(marker == 0xdb)?;
                self.bytes(len)?;
            }
            0xdc | 0xdd => {
                let len = self.length(marker == 0xdd)?;
                self.list(len)?;
            }
            0xde | 0xdf => {
                let len = self.length(marker == 0xdf)?;
                self.map(len)?;
            }
            _ => return Err(Stop::BadFormat),
        }
        Ok(())
    }

    fn number(&mut self, marker: u8) -> Result<(), Stop> {
        let number = match marker {
            0xca => f64::from(f32::from_be_bytes(self.array()?)),
            0xcb => f64::from_be_bytes(self.array()?),
            0xcc => f64::from(u8::from_be_bytes(self.array()?)),
            0xcd => f64::from(u16::from_be_bytes(self.array()?)),
            0xce => f64::from(u32::from_be_bytes(self.array()?)),
            // Compat: pushed as a signed integer.
            0xcf => u64::from_be_bytes(self.array()?) as i64 as f64,
            0xd0 => f64::from(i8::from_be_bytes(self.array()?)),
            0xd1 => f64::from(i16::from_be_bytes(self.array()?)),
            0xd2 => f64::from(i32::from_be_bytes(self.array()?)),
            0xd3 => i64::from_be_bytes(self.array()?) as f64,
            _ => return Err(Stop::BadFormat),
        };
        self.stack.push_number(number);
        Ok(())
    }

    fn bytes(&mut self, len: usize) -> Result<(), Stop> {
        let bytes = self.take(len)?;
        self.stack.push_bytes(bytes);
        Ok(())
    }

    fn descend(&mut self) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            let text = "stack overflow (in function mp_decode_to_lua_array)";
            return Err(Stop::Raised(Raise::message(text)));
        }
        Ok(())
    }

    fn list(&mut self, len: usize) -> Result<(), Stop> {
        check_entries(len)?;
        self.descend()?;
        self.stack.push_table(0, 0);
        for index in 1..=len {
            self.value()?;
            self.stack.set_index(-2, index as i32);
        }
        self.depth -= 1;
        Ok(())
    }

    fn map(&mut self, len: usize) -> Result<(), Stop> {
        check_entries(len)?;
        self.descend()?;
        self.stack.push_table(0, 0);
        for _ in 0..len {
            self.value()?;
            self.value()?;
            self.stack.set(-3)?;
        }
        self.depth -= 1;
        Ok(())
    }
}

/// More entries than a table may have cannot all be there.
fn check_entries(len: usize) -> Result<(), Stop> {
    if len > TABLE_ENTRIES_MAX {
        return Err(Stop::MissingBytes);
    }
    Ok(())
}
