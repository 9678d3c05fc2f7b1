//! Reading the format's parts. Nothing is allocated on the word of the input: a length beyond what is left of it is
//! refused where it stands.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

use crate::base::{lzf, quote, size_class};
use crate::value::Typed;

use super::checksum::Checksum;
use super::opcode::Type;
use super::ziplist::Flaw;

/// What is wrong with an input that ends too early.
pub const CUT_OFF: &str = "Unexpected EOF reading RDB file";

const BUFFER_BYTES: usize = 256 * 1024;

/// The longest text that `n` bytes of LZF can stand for, as a factor: three bytes make 264.
const LZF_GAIN_MAX: u64 = 88;

/// Why an input is refused.
#[derive(Debug)]
pub enum Refused {
    /// It is damaged, or what it holds cannot be had.
    Damaged {
        /// Where, in bytes from its start.
        offset: u64,
        /// What is wrong.
        what: Cow<'static, str>,
    },
    /// It is a collection without elements, which no key holds; the input stands behind it.
    Empty {
        /// Where it ends, in bytes from the start.
        offset: u64,
    },
    /// It cannot be read.
    Io(io::Error),
}

impl Refused {
    /// Says of which type the value is.
    #[cold]
    pub fn of_type(self, kind: Type) -> Refused {
        self.told(format_args!("type {}", kind.name()))
    }

    /// Says with which value the damage is.
    #[cold]
    pub fn with_key(self, kind: Type, key: &[u8]) -> Refused {
        const SHOWN_BYTES_MAX: usize = 128;
        let mut shown = Vec::new();
        quote::repr(&key[..key.len().min(SHOWN_BYTES_MAX)], &mut shown);
        let key = String::from_utf8_lossy(&shown);
        self.told(format_args!("type {}, key {key}", kind.name()))
    }

    fn told(self, detail: fmt::Arguments<'_>) -> Refused {
        match self {
            Refused::Damaged { offset, what } => Refused::Damaged {
                offset,
                what: format!("{what} ({detail})").into(),
            },
            other => other,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Damaged { offset, what } => write!(f, "{what} at offset {offset}"),
            Refused::Empty { offset } => write!(f, "a collection without elements at offset {offset}"),
            Refused::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Refused {}

/// How closely an input is looked at. Whatever is needed for a value to be sound is checked in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrutiny {
    /// Whether a wrong checksum matters (`rdbchecksum`).
    pub checksum: bool,
    /// Whether more is checked (`sanitize-dump-payload`): what a stream says of itself.
    pub deep: bool,
}

impl Scrutiny {
    /// Nothing is left out.
    pub const FULL: Scrutiny = Scrutiny {
        checksum: true,
        deep: true,
    };
}

/// A length, or a string's special form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Plain(u64),
    Special(u8),
}

/// Reads parts from an input of known size.
pub struct Decoder<R: Read> {
    input: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes handed out so far.
    offset: u64,
    /// Size of the input in bytes.
    size: u64,
    checksum: Option<Checksum>,
    /// Up to where the buffer is in the checksum.
    summed: usize,
    deep: bool,
    /// Encodings looked at in depth.
    sanitized: u64,
}

impl<R: Read> Decoder<R> {
    /// An input of `size` bytes; `checksum`: whether to keep one. It is not looked at in depth.
    pub fn new(input: R, size: u64, checksum: bool) -> Self {
        let deep = false;
        Decoder::with_scrutiny(input, size, Scrutiny { checksum, deep })
    }

    /// An input of `size` bytes.
    pub fn with_scrutiny(input: R, size: u64, scrutiny: Scrutiny) -> Self {
        let capacity = (BUFFER_BYTES as u64).min(size.max(1)) as usize;
        Decoder {
            input,
            buffer: vec![0; capacity].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            size,
            checksum: scrutiny.checksum.then(Checksum::default),
            summed: 0,
            deep: scrutiny.deep,
            sanitized: 0,
        }
    }

    /// Whether to look at the encoding just read in depth, which is counted.
    pub fn looks_deep(&mut self) -> bool {
        self.sanitized += u64::from(self.deep);
        self.deep
    }

    /// How many encodings were looked at in depth.
    pub fn sanitized(&self) -> u64 {
        self.sanitized
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes left.
    pub fn left(&self) -> u64 {
        self.size - self.offset
    }

    /// The error that what was just read is not right.
    #[cold]
    pub fn damaged<T>(&self, what: impl Into<Cow<'static, str>>) -> Result<T, Refused> {
        Err(Refused::Damaged {
            offset: self.offset,
            what: what.into(),
        })
    }

    /// `value`, unless it is empty: no key holds an empty collection.
    pub fn not_empty<T: Typed>(&self, value: T) -> Result<T, Refused> {
        if value.is_empty() {
            return Err(Refused::Empty { offset: self.offset });
        }
        Ok(value)
    }

    /// The outcome of reading `what` in an old encoding.
    pub fn sound<T>(&self, what: &str, read: Result<T, Flaw>) -> Result<T, Refused> {
        read.or_else(|flaw| self.damaged(format!("{what} integrity check failed: {flaw}")))
    }

    /// The checksum of what was read so far; 0 when none is kept.
    pub fn checksum(&mut self) -> u64 {
        self.sum();
        self.checksum.as_ref().map_or(0, Checksum::value)
    }

    fn sum(&mut self) {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&self.buffer[self.summed..self.start]);
        }
        self.summed = self.start;
    }

    #[cold]
    fn fill(&mut self) -> Result<(), Refused> {
        self.sum();
        let unread = self.end - self.start;
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end, self.summed) = (0, unread, 0);
        let read = loop {
            match self.input.read(&mut self.buffer[unread..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(Refused::Io)?,
            }
        };
        if read == 0 {
            return self.damaged(CUT_OFF);
        }
        self.end += read;
        Ok(())
    }

    /// Whether the input has `count` more bytes; refused otherwise.
    fn require(&self, count: u64) -> Result<(), Refused> {
        if count > self.left() {
            return self.damaged(CUT_OFF);
        }
        Ok(())
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Refused> {
        if self.start == self.end {
            self.require(1)?;
            self.fill()?;
        }
        let byte = self.buffer[self.start];
        self.start += 1;
        self.offset += 1;
        Ok(byte)
    }

    /// `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        if let Some(bytes) = self.buffer[self.start..self.end].first_chunk::<N>() {
            let bytes = *bytes;
            self.start += N;
            self.offset += N as u64;
            return Ok(bytes);
        }
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    /// Appends `count` bytes to `out`.
    pub fn append(&mut self, count: u64, out: &mut Vec<u8>) -> Result<(), Refused> {
        self.require(count)?;
        let mut count = count as usize;
        size_class::reserve(out, count);
        while count > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let taken = count.min(self.end - self.start);
            out.extend_from_slice(&self.buffer[self.start..self.start + taken]);
            self.start += taken;
            self.offset += taken as u64;
            count -= taken;
        }
        Ok(())
    }

    fn length_or_form(&mut self) -> Result<Length, Refused> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first)),
            1 => Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            3 => Length::Special(first & 0x3f),
            _ => match first {
                0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
                0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
                _ => return self.damaged(format!("unknown length encoding {first:#04x}")),
            },
        })
    }

    /// A length.
    pub fn length(&mut self) -> Result<u64, Refused> {
        match self.length_or_form()? {
            Length::Plain(len) => Ok(len),
            Length::Special(form) => self.damaged(format!("a length in string form {form}")),
        }
    }

    /// How many elements follow, each of at least one byte.
    pub fn count(&mut self) -> Result<usize, Refused> {
        let count = self.length()?;
        if count > self.left() {
            return self.damaged(format!("{count} elements in {} bytes", self.left()));
        }
        Ok(count as usize)
    }

    /// A string, appended to `out`, which the caller may keep for the next.
    pub fn string_into(&mut self, out: &mut Vec<u8>) -> Result<(), Refused> {
        match self.length_or_form()? {
            Length::Plain(len) => self.append(len, out),
            Length::Special(3) => self.lzf_into(out),
            Length::Special(form) => {
                let n = self.small_int(form)?;
                out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
                Ok(())
            }
        }
    }

    /// A string.
    pub fn string(&mut self) -> Result<Vec<u8>, Refused> {
        let mut out = Vec::new();
        self.string_into(&mut out)?;
        Ok(out)
    }

    fn small_int(&mut self, form: u8) -> Result<i64, Refused> {
        Ok(match form {
            0 => i64::from(self.byte()? as i8),
            1 => i64::from(i16::from_le_bytes(self.array()?)),
            2 => i64::from(i32::from_le_bytes(self.array()?)),
            _ => return self.damaged(format!("unknown string encoding {form}")),
        })
    }

    fn lzf_into(&mut self, out: &mut Vec<u8>) -> Result<(), Refused> {
        let (compressed_len, len) = (self.length()?, self.length()?);
        self.require(compressed_len)?;
        if len > compressed_len.saturating_mul(LZF_GAIN_MAX) {
            return self.damaged(format!(
                "{compressed_len} compressed bytes cannot stand for {len}"
            ));
        }
        let (compressed_len, len) = (compressed_len as usize, len as usize);
        let sound = if compressed_len <= self.end - self.start {
            let compressed = &self.buffer[self.start..self.start + compressed_len];
            self.start += compressed_len;
            self.offset += compressed_len as u64;
            lzf::decompress_into(compressed, len, out)
        } else {
            let mut compressed = Vec::new();
            self.append(compressed_len as u64, &mut compressed)?;
            lzf::decompress_into(&compressed, len, out)
        };
        if !sound {
            return self.damaged("invalid LZF compressed string");
        }
        Ok(())
    }

    /// A double of 8 bytes.
    pub fn double(&mut self) -> Result<f64, Refused> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// A double as text with its length in one byte, of which the top values stand for what is not finite.
    pub fn double_text(&mut self) -> Result<f64, Refused> {
        let text = match self.byte()? {
            255 => return Ok(f64::NEG_INFINITY),
            254 => return Ok(f64::INFINITY),
            253 => return Ok(f64::NAN),
            len => {
                let mut text = Vec::new();
                self.append(u64::from(len), &mut text)?;
                text
            }
        };
        match crate::base::float::parse(&text) {
            Some(n) => Ok(n),
            None => self.damaged("a score that is no number"),
        }
    }

    /// Unix milliseconds of 8 bytes.
    pub fn millis(&mut self) -> Result<i64, Refused> {
        Ok(i64::from_le_bytes(self.array()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode::Encoder;
    use super::*;
    use proptest::prelude::*;

    fn decoder(bytes: &[u8]) -> Decoder<&[u8]> {
        Decoder::new(bytes, bytes.len() as u64, true)
    }

    #[test]
    fn a_length_beyond_the_input_allocates_nothing() {
        for bytes in [
            &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
            &[0x80, 0xff, 0xff, 0xff, 0xff, b'x'],
            &[0xc3, 1, 0x80, 0xff, 0xff, 0xff, 0xff, 0],
            &[5, b'a'],
            &[0xc4],
            &[0x82],
            &[],
        ] {
            assert!(decoder(bytes).string().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_error_names_the_offset() {
        let error = decoder(&[1, b'a', 9, b'b']);
        let mut decoder = error;
        assert_eq!(decoder.string().expect("whole"), b"a");
        let error = decoder.string().expect_err("cut").to_string();
        assert_eq!(error, "Unexpected EOF reading RDB file at offset 3");
    }

    proptest! {
        #[test]
        fn strings_come_back(strings in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..300),
                any::<i64>().prop_map(|n| n.to_string().into_bytes()),
                any::<i16>().prop_map(|n| n.to_string().into_bytes()),
                (any::<u8>(), 0usize..100_000).prop_map(|(byte, len)| vec![byte; len]),
            ], 0..20), compresses: bool) {
            let mut encoder = Encoder::new(Vec::new(), true, compresses);
            strings.iter().for_each(|string| encoder.string(string));
            let (bytes, _) = encoder.finish().expect("memory takes all");
            let mut decoder = decoder(&bytes);
            for string in &strings {
                prop_assert_eq!(&decoder.string().expect("as written"), string);
            }
            let sum = decoder.checksum();
            prop_assert_eq!(u64::from_le_bytes(decoder.array().expect("the checksum")), sum);
            prop_assert_eq!(decoder.left(), 0);
        }

        #[test]
        fn lengths_come_back(len: u64, shift in 0u32..64) {
            let mut encoder = Encoder::new(Vec::new(), true, false);
            encoder.length(len >> shift);
            let (bytes, _) = encoder.finish().expect("memory takes all");
            prop_assert_eq!(decoder(&bytes).length().expect("as written"), len >> shift);
        }
    }
}
