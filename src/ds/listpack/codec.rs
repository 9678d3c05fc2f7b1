//! One entry of a listpack: how an element becomes bytes, and how long the bytes of an entry are.
//!
//! ```text
//! [ head: kind, and short lengths or numbers | data | back: length of head and data, to walk backwards ]
//!
//! 0xxxxxxx                     number 0..=127         11110000 + 4 bytes   text of any length
//! 10xxxxxx                     text below 64 bytes    11110001 + 2 bytes   number of 16 bits
//! 110xxxxx xxxxxxxx            number of 13 bits      11110010 + 3 bytes   number of 24 bits
//! 1110xxxx xxxxxxxx            text below 4 KiB       11110011 + 4 bytes   number of 32 bits
//! 11111111                     end of the listpack    11110100 + 8 bytes   number of 64 bits
//! ```
//!
//! `back` is 1 to 5 bytes, seven bits each, most significant first; all but the first have the top bit set, so that a
//! reader coming from the right knows where to stop. Multi-byte numbers are little-endian, two's complement.

use super::Item;

/// Behind the last entry.
pub(super) const END: u8 = 0xFF;

const HEAD_MAX: usize = 9;
const BACK_MAX: usize = 5;

const TEXT_6: u8 = 0x80;
const NUMBER_13: u8 = 0xC0;
const TEXT_12: u8 = 0xE0;
const TEXT_32: u8 = 0xF0;
const NUMBER_16: u8 = 0xF1;
const NUMBER_24: u8 = 0xF2;
const NUMBER_32: u8 = 0xF3;
const NUMBER_64: u8 = 0xF4;

/// An element in the form it has inside an entry.
#[derive(Clone, Copy)]
pub(super) struct Encoded<'a> {
    head: [u8; HEAD_MAX],
    head_len: u8,
    data: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// Text; stored as a number if it is the canonical text of one.
    #[inline]
    pub(super) fn text(text: &'a [u8]) -> Encoded<'a> {
        match Item::of(text) {
            Item::Int(value) => Encoded::number(value),
            Item::Bytes(text) => Encoded::plain(text),
        }
    }

    #[inline]
    fn plain(data: &'a [u8]) -> Encoded<'a> {
        let mut head = [0; HEAD_MAX];
        let len = data.len();
        let head_len = if len < 1 << 6 {
            head[0] = TEXT_6 | len as u8;
            1
        } else if len < 1 << 12 {
            head[0] = TEXT_12 | (len >> 8) as u8;
            head[1] = len as u8;
            2
        } else {
            head[0] = TEXT_32;
            head[1..5].copy_from_slice(&(len as u32).to_le_bytes());
            5
        };
        Encoded { head, head_len, data }
    }

    /// A number in its shortest form.
    #[inline]
    pub(super) fn number(value: i64) -> Encoded<'static> {
        let mut head = [0; HEAD_MAX];
        let wide = value.to_le_bytes();
        let head_len = match value {
            0..=0x7F => {
                head[0] = value as u8;
                1
            }
            -0x1000..=0xFFF => {
                head[0] = NUMBER_13 | ((value >> 8) as u8 & 0x1F);
                head[1] = value as u8;
                2
            }
            _ => {
                let (kind, width) = match value {
                    -0x8000..=0x7FFF => (NUMBER_16, 2),
                    -0x80_0000..=0x7F_FFFF => (NUMBER_24, 3),
                    -0x8000_0000..=0x7FFF_FFFF => (NUMBER_32, 4),
                    _ => (NUMBER_64, 8),
                };
                head[0] = kind;
                head[1..=width].copy_from_slice(&wide[..width]);
                1 + width as u8
            }
        };
        let data = &[];
        Encoded { head, head_len, data }
    }

    #[inline]
    pub(super) fn item(item: Item<'a>) -> Encoded<'a> {
        match item {
            Item::Int(value) => Encoded::number(value),
            Item::Bytes(text) => Encoded::text(text),
        }
    }

    #[inline]
    fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    #[inline]
    fn body_len(&self) -> usize {
        usize::from(self.head_len) + self.data.len()
    }

    /// Bytes of the whole entry.
    #[inline]
    pub(super) fn size(&self) -> usize {
        self.body_len() + back_len(self.body_len())
    }

    /// Writes the entry over `room`, which is [`Encoded::size`] bytes.
    #[inline]
    pub(super) fn write_to(&self, room: &mut [u8]) {
        let (head, rest) = room.split_at_mut(usize::from(self.head_len));
        head.copy_from_slice(self.head());
        let (data, back) = rest.split_at_mut(self.data.len());
        data.copy_from_slice(self.data);
        write_back(self.body_len(), back);
    }

    /// Whether the entry at the start of `bytes` holds this element.
    ///
    /// Entries are in shortest form, so equal elements have equal bytes.
    #[inline]
    pub(super) fn is_at(&self, bytes: &[u8]) -> bool {
        if bytes[0] != self.head[0] {
            return false;
        }
        if self.head_len == 1 {
            return bytes[1..].starts_with(self.data);
        }
        bytes.starts_with(self.head()) && bytes[usize::from(self.head_len)..].starts_with(self.data)
    }
}

/// Bytes of the `back` part of an entry whose head and data are `body` bytes.
///
/// Compat: the largest body of each length takes one byte more than it needs, from two bytes on.
#[inline]
pub(super) fn back_len(body: usize) -> usize {
    match body {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

#[inline]
fn write_back(body: usize, out: &mut [u8]) -> usize {
    let len = back_len(body);
    let mut rest = body;
    for at in (0..len).rev() {
        let more = if at == 0 { 0 } else { 0x80 };
        out[at] = (rest & 0x7F) as u8 | more;
        rest >>= 7;
    }
    len
}

/// The body length that the `back` part at the end of `bytes` tells; `None` when it is no such thing.
#[inline]
pub(super) fn read_back(bytes: &[u8]) -> Option<usize> {
    let mut body = 0;
    for (index, &byte) in bytes.iter().rev().take(BACK_MAX).enumerate() {
        body |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(body);
        }
    }
    None
}

/// Bytes of head and data of the entry at the start of `bytes`.
#[inline]
pub(super) fn body_len(bytes: &[u8]) -> usize {
    match bytes[0] {
        0..TEXT_6 => 1,
        first @ TEXT_6..NUMBER_13 => 1 + usize::from(first & 0x3F),
        NUMBER_13..TEXT_12 => 2,
        first @ TEXT_12..TEXT_32 => 2 + (usize::from(first & 0x0F) << 8 | usize::from(bytes[1])),
        TEXT_32 => 5 + read_u32(&bytes[1..]) as usize,
        NUMBER_16 => 3,
        NUMBER_24 => 4,
        NUMBER_32 => 5,
        NUMBER_64 => 9,
        _ => unreachable!("entries were checked when they came in"),
    }
}

/// Bytes of the whole entry at the start of `bytes`.
///
/// Walking is nothing but this. Short texts and small numbers, which most entries are, take one branch.
#[inline]
pub(super) fn entry_len(bytes: &[u8]) -> usize {
    let first = bytes[0];
    if first < NUMBER_13 {
        // The top bit tells text from number: spread over the byte, it keeps the text's length and drops a number.
        let is_text = (first >> 7).wrapping_neg();
        return 2 + usize::from(first & is_text & 0x3F);
    }
    let body = body_len(bytes);
    body + back_len(body)
}

/// The element of the entry at the start of `bytes`.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Item<'_> {
    match bytes[0] {
        first @ 0..TEXT_6 => Item::Int(first.into()),
        first @ TEXT_6..NUMBER_13 => Item::Bytes(&bytes[1..1 + usize::from(first & 0x3F)]),
        first @ NUMBER_13..TEXT_12 => {
            let raw = u16::from(first & 0x1F) << 8 | u16::from(bytes[1]);
            // The sign is bit 12.
            Item::Int(i64::from((raw << 3) as i16 >> 3))
        }
        TEXT_12..TEXT_32 => Item::Bytes(&bytes[2..body_len(bytes)]),
        TEXT_32 => Item::Bytes(&bytes[5..body_len(bytes)]),
        _ => Item::Int(read_number(&bytes[1..body_len(bytes)])),
    }
}

/// A little-endian two's complement number of up to 8 bytes.
fn read_number(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let unused_bits = 64 - 8 * bytes.len();
    i64::from_le_bytes(wide) << unused_bits >> unused_bits
}

#[inline]
fn read_u32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The length of the entry at the start of `bytes`, which may be anything; `None` unless it is whole and agrees with
/// its `back`.
#[inline]
pub(super) fn checked_entry_len(bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    if first < NUMBER_13 {
        let len = entry_len(bytes);
        return (usize::from(*bytes.get(len - 1)?) == len - 1).then_some(len);
    }
    checked_long_entry_len(bytes)
}

fn checked_long_entry_len(bytes: &[u8]) -> Option<usize> {
    let head_len = match *bytes.first()? {
        0..NUMBER_13 => 1,
        NUMBER_13..TEXT_32 => 2,
        TEXT_32 => 5,
        NUMBER_16..=NUMBER_64 => 1,
        _ => return None,
    };
    bytes.get(..head_len)?;
    let body = body_len(bytes);
    let entry = bytes.get(..body + back_len(body))?;
    (read_back(entry)? == body).then_some(entry.len())
}

/// Whether the element of a whole entry is in its shortest form.
pub(super) fn is_shortest(entry: &[u8]) -> bool {
    // No two forms of an element are of the same size.
    match decode(entry) {
        Item::Int(value) => Encoded::number(value).size() == entry.len(),
        Item::Bytes(text) => Item::of(text).int().is_none() && Encoded::plain(text).size() == entry.len(),
    }
}
