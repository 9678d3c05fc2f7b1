//! `struct`: numbers and strings packed as C lays them out.
//!
//! ```text
//! > < endianness    ! [n] alignment     b B h H l L T i[n] I[n] integers   f d floats
//! x padding         c[n] n bytes (c0: all of a string; reading: as many as the number before)   s zero-terminated
//! ```
//!
//! Limits: integers of up to 32 bytes, of which 8 carry digits; sizes fit 31 bits; padding is bounded by the alignment.

use super::Functions;
use crate::script::context::Context;
use crate::script::lua::{Raise, Stack};

/// The library.
pub const FUNCTIONS: Functions = &[("pack", pack), ("unpack", unpack), ("size", size)];

const INTEGER_BYTES_MAX: usize = 32;

/// Alignment that `!` alone asks for.
const ALIGN_NATIVE: usize = 8;

/// A format being read.
struct Format<'f> {
    text: &'f [u8],
    is_big: bool,
    align: usize,
}

/// An option and the size of what it stands for.
#[derive(Clone, Copy)]
struct Item {
    option: u8,
    size: usize,
}

impl<'f> Format<'f> {
    fn new(text: &'f [u8]) -> Format<'f> {
        // C's text ends at a zero byte.
        let end = memchr::memchr(0, text).unwrap_or(text.len());
        Format {
            text: &text[..end],
            is_big: false,
            align: 1,
        }
    }

    fn next(&mut self) -> Result<Option<Item>, Raise> {
        let Some((&option, rest)) = self.text.split_first() else {
            return Ok(None);
        };
        self.text = rest;
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'f' => 4,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => self.integer_size()?,
            _ => 0,
        };
        Ok(Some(Item { option, size }))
    }

    fn integer_size(&mut self) -> Result<usize, Raise> {
        let size = self.number(4)?;
        if size > INTEGER_BYTES_MAX {
            let text = format!("integral size {size} is larger than limit of {INTEGER_BYTES_MAX}");
            return Err(Raise::message(text));
        }
        Ok(size)
    }

    /// The digits that follow, or `default`.
    fn number(&mut self, default: usize) -> Result<usize, Raise> {
        let digits = self.text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let (digits, rest) = self.text.split_at(digits);
        self.text = rest;
        let number = digits.iter().try_fold(0_i32, |number, digit| {
            number.checked_mul(10)?.checked_add(i32::from(digit - b'0'))
        });
        let overflow = || Raise::message("integral size overflow");
        number.map(|number| number as usize).ok_or_else(overflow)
    }

    /// Bytes of padding that align `item` at `position`.
    fn padding(&self, position: usize, item: Item) -> usize {
        if item.size == 0 || item.option == b'c' {
            return 0;
        }
        let size = item.size.min(self.align);
        // As C computes it: exact when the size is a power of two.
        size.wrapping_sub(position & (size - 1)) & (size - 1)
    }

    /// Options that say how to go on; all others are unknown.
    fn control(&mut self, option: u8) -> Result<(), Raise> {
        match option {
            b' ' => {}
            b'>' => self.is_big = true,
            b'<' => self.is_big = false,
            b'!' => {
                let align = self.number(ALIGN_NATIVE)?;
                if !align.is_power_of_two() {
                    return Err(Raise::message(format!("alignment {align} is not a power of 2")));
                }
                self.align = align;
            }
            _ => {
                let option = char::from(option);
                return Err(Raise::Argument(1, format!("invalid format option '{option}'")));
            }
        }
        Ok(())
    }

    /// Bytes of a number, least significant first, in the format's order; and back.
    fn ordered<const N: usize>(&self, mut bytes: [u8; N]) -> [u8; N] {
        if self.is_big {
            bytes.reverse();
        }
        bytes
    }
}

/// A number as C converts it to an integer of 64 bits.
fn to_bits(number: f64) -> u64 {
    if number < 0.0 {
        number as i64 as u64
    } else {
        number as u64
    }
}

fn put_integer(out: &mut Vec<u8>, number: f64, size: usize, is_big: bool) {
    let mut bytes = [0; INTEGER_BYTES_MAX];
    bytes[..8].copy_from_slice(&to_bits(number).to_le_bytes());
    let bytes = &mut bytes[..size];
    if is_big {
        bytes.reverse();
    }
    out.extend_from_slice(bytes);
}

fn get_integer(bytes: &[u8], is_signed: bool, is_big: bool) -> f64 {
    let digit = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
    let value = if is_big {
        bytes.iter().fold(0, digit)
    } else {
        bytes.iter().rev().fold(0, digit)
    };
    if !is_signed {
        return value as f64;
    }
    // Only so many bytes can have a sign of their own.
    let shift = 64_usize.saturating_sub(bytes.len() * 8) as u32 & 63;
    ((value << shift) as i64 >> shift) as f64
}

fn pack(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    let mut out = std::mem::take(&mut cx.reply);
    out.clear();
    let format = stack.bytes_argument(1).map(<[u8]>::to_vec);
    let outcome = format.and_then(|format| pack_into(stack, &format, &mut out));
    if outcome.is_ok() {
        stack.push_bytes(&out);
    }
    cx.give_back(out);
    outcome.map(|()| 1)
}

fn pack_into(stack: &mut Stack<'_>, format: &[u8], out: &mut Vec<u8>) -> Result<(), Raise> {
    let mut format = Format::new(format);
    let mut argument = 1;
    // Compat: the first argument that is missing is nil, not nothing.
    stack.reserve(1)?;
    stack.push_nil();
    while let Some(item) = format.next()? {
        out.resize(out.len() + format.padding(out.len(), item), 0);
        let Item { option, size } = item;
        match option {
            b'x' => out.push(0),
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                argument += 1;
                put_integer(out, stack.number_argument(argument)?, size, format.is_big);
            }
            b'f' => {
                argument += 1;
                let number = stack.number_argument(argument)? as f32;
                out.extend_from_slice(&format.ordered(number.to_le_bytes()));
            }
            b'd' => {
                argument += 1;
                let number = stack.number_argument(argument)?;
                out.extend_from_slice(&format.ordered(number.to_le_bytes()));
            }
            b'c' | b's' => {
                argument += 1;
                let text = stack.bytes_argument(argument)?;
                let size = if size == 0 { text.len() } else { size };
                // Compat: blamed on the argument behind.
                let short = || Raise::Argument(argument + 1, "string too short".to_owned());
                out.extend_from_slice(text.get(..size).ok_or_else(short)?);
                if option == b's' {
                    out.push(0);
                }
            }
            _ => format.control(option)?,
        }
    }
    Ok(())
}

fn unpack(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    let format = stack.bytes_argument(1)?.to_vec();
    let mut data = std::mem::take(&mut cx.reply);
    data.clear();
    let outcome = stack
        .bytes_argument(2)
        .map(|bytes| data.extend_from_slice(bytes))
        .and_then(|()| start(stack))
        .and_then(|from| unpack_bytes(stack, &format, &data, from));
    cx.give_back(data);
    outcome
}

/// Where unpacking begins, from 0.
fn start(stack: &mut Stack<'_>) -> Result<usize, Raise> {
    use crate::script::lua::Kind;
    if matches!(stack.kind(3), Kind::None | Kind::Nil) {
        return Ok(0);
    }
    // Compat: a negative number is a large one.
    let position = stack.integer_argument(3)? as u64;
    match position.checked_sub(1) {
        Some(position) => Ok(usize::try_from(position).unwrap_or(usize::MAX)),
        None => Err(Raise::Argument(3, "offset must be 1 or greater".to_owned())),
    }
}

/// Pushes what `data` holds from `position` on according to `format`, and the position behind; how many values.
pub fn unpack_bytes(
    stack: &mut Stack<'_>,
    format: &[u8],
    data: &[u8],
    mut position: usize,
) -> Result<usize, Raise> {
    let too_short = || Raise::Argument(2, "data string too short".to_owned());
    let mut format = Format::new(format);
    let mut count = 0;
    while let Some(Item { option, size }) = format.next()? {
        position = position.saturating_add(format.padding(position, Item { option, size }));
        let rest = data.get(position..).ok_or_else(too_short)?;
        let mut bytes = rest.get(..size).ok_or_else(too_short)?;
        if !stack.has_room(2) {
            return Err(Raise::message("stack overflow (too many results)"));
        }
        match option {
            b'x' => {}
            b'b' | b'h' | b'l' | b'i' => stack.push_number(get_integer(bytes, true, format.is_big)),
            b'B' | b'H' | b'L' | b'T' | b'I' => {
                stack.push_number(get_integer(bytes, false, format.is_big));
            }
            b'f' => {
                let single = bytes.first_chunk().copied().unwrap_or_default();
                stack.push_number(f64::from(f32::from_le_bytes(format.ordered(single))));
            }
            b'd' => {
                let double = bytes.first_chunk().copied().unwrap_or_default();
                stack.push_number(f64::from_le_bytes(format.ordered(double)));
            }
            b'c' => {
                if size == 0 {
                    let previous = (count > 0).then(|| stack.to_number(-1)).flatten();
                    let missing = || Raise::message("format 'c0' needs a previous size");
                    let size = to_bits(previous.ok_or_else(missing)?);
                    stack.pop(1);
                    count -= 1;
                    let size = usize::try_from(size).unwrap_or(usize::MAX);
                    bytes = rest.get(..size).ok_or_else(too_short)?;
                }
                stack.push_bytes(bytes);
            }
            b's' => {
                let end = memchr::memchr(0, rest);
                let end = end.ok_or_else(|| Raise::message("unfinished string in data"))?;
                stack.push_bytes(&rest[..end]);
                bytes = &rest[..=end];
            }
            _ => format.control(option)?,
        }
        let is_value = matches!(
            option,
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' | b'f' | b'd' | b'c' | b's'
        );
        count += usize::from(is_value);
        position += bytes.len();
    }
    stack.reserve(1)?;
    stack.push_number((position + 1) as f64);
    Ok(count + 1)
}

/// The size of what a format describes.
fn size(stack: &mut Stack<'_>, _: &mut Context) -> Result<usize, Raise> {
    let text = stack.bytes_argument(1)?.to_vec();
    let mut format = Format::new(&text);
    let mut position = 0_usize;
    while let Some(item) = format.next()? {
        position += format.padding(position, item);
        let no_size = |name| Err(Raise::Argument(1, format!("option '{name}' has no fixed size")));
        match item {
            Item { option: b's', .. } => return no_size("s"),
            Item {
                option: b'c',
                size: 0,
            } => return no_size("c0"),
            Item { option, .. } if !option.is_ascii_alphanumeric() => format.control(option)?,
            _ => {}
        }
        position = position.saturating_add(item.size);
    }
    stack.push_number(position as f64);
    Ok(1)
}
