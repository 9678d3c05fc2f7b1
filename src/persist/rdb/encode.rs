//! Writing the format's parts: lengths, strings, numbers.

use std::io::{self, Write};

use crate::base::lzf;
use crate::base::number;
use crate::ds::listpack::Item;

use super::checksum::Checksum;

/// Gathered before it is handed on: one system call for many small parts.
const BUFFER_BYTES: usize = 64 * 1024;

/// Shorter strings are not worth compressing.
const COMPRESSIBLE_BYTES_MIN: usize = 21;

/// Writes parts to `out` and keeps their checksum. The first error stays and is told by [`Encoder::finish`]; what is
/// written after it goes nowhere.
pub struct Encoder<W: Write> {
    out: W,
    buffer: Vec<u8>,
    written: u64,
    checksum: Option<Checksum>,
    compresses: bool,
    /// What compressing makes, kept for its memory.
    compressed: Vec<u8>,
    failed: Option<io::Error>,
}

impl<W: Write> Encoder<W> {
    /// `checksum`: whether the file ends in one (`rdbchecksum`); `compresses`: whether strings are (`rdbcompression`).
    pub fn new(out: W, checksum: bool, compresses: bool) -> Self {
        Encoder {
            out,
            buffer: Vec::with_capacity(BUFFER_BYTES + 1024),
            written: 0,
            checksum: checksum.then(Checksum::default),
            compresses,
            compressed: Vec::new(),
            failed: None,
        }
    }

    /// Bytes taken so far.
    pub fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Whether an error has made the rest pointless.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        if bytes.len() >= BUFFER_BYTES {
            self.flush();
            self.emit(bytes);
            return;
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush();
        }
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.buffer.push(byte);
    }

    /// A length, in the shortest form.
    pub fn length(&mut self, len: u64) {
        match len {
            0..=0x3f => self.byte(len as u8),
            0x40..=0x3fff => self.raw(&(0x4000 | len as u16).to_be_bytes()),
            0x4000..=0xffff_ffff => {
                self.byte(0x80);
                self.raw(&(len as u32).to_be_bytes());
            }
            _ => {
                self.byte(0x81);
                self.raw(&len.to_be_bytes());
            }
        }
    }

    /// A string: as a small integer if its text is one, compressed if that makes it shorter, or as it is.
    pub fn string(&mut self, bytes: &[u8]) {
        const SMALL_INTEGER_BYTES_MAX: usize = 11;
        if bytes.len() <= SMALL_INTEGER_BYTES_MAX
            && let Some(n) = number::parse_i64(bytes)
            && self.small_int(n)
        {
            return;
        }
        if self.compresses && bytes.len() >= COMPRESSIBLE_BYTES_MIN && self.compressed(bytes) {
            return;
        }
        self.length(bytes.len() as u64);
        self.raw(bytes);
    }

    /// The text of an integer as a string.
    pub fn int_string(&mut self, n: i64) {
        if !self.small_int(n) {
            let mut text = itoa::Buffer::new();
            let text = text.format(n).as_bytes();
            self.length(text.len() as u64);
            self.raw(text);
        }
    }

    /// An element of a listpack, as a string.
    pub fn item(&mut self, item: Item<'_>) {
        match item {
            Item::Int(n) => self.int_string(n),
            Item::Bytes(bytes) => self.string(bytes),
        }
    }

    /// Whether strings are compressed.
    pub fn compresses(&self) -> bool {
        self.compresses
    }

    fn small_int(&mut self, n: i64) -> bool {
        if let Ok(n) = i8::try_from(n) {
            self.raw(&[0xc0, n as u8]);
        } else if let Ok(n) = i16::try_from(n) {
            self.byte(0xc1);
            self.raw(&n.to_le_bytes());
        } else if let Ok(n) = i32::try_from(n) {
            self.byte(0xc2);
            self.raw(&n.to_le_bytes());
        } else {
            return false;
        }
        true
    }

    fn compressed(&mut self, bytes: &[u8]) -> bool {
        let mut short = std::mem::take(&mut self.compressed);
        short.clear();
        let fits = lzf::compress_into(bytes, bytes.len() - 4, &mut short);
        if fits {
            self.lzf(&short, bytes.len());
        }
        if short.capacity() <= BUFFER_BYTES {
            self.compressed = short;
        }
        fits
    }

    /// A string that is compressed already; `len` is that of the text.
    pub fn lzf(&mut self, compressed: &[u8], len: usize) {
        self.byte(0xc3);
        self.length(compressed.len() as u64);
        self.length(len as u64);
        self.raw(compressed);
    }

    /// A double, 8 bytes.
    pub fn double(&mut self, n: f64) {
        self.raw(&n.to_le_bytes());
    }

    /// Unix milliseconds, 8 bytes.
    pub fn millis(&mut self, ms: i64) {
        self.raw(&ms.to_le_bytes());
    }

    #[cold]
    fn flush(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.emit(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
    }

    fn emit(&mut self, bytes: &[u8]) {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        self.written += bytes.len() as u64;
        if self.failed.is_none()
            && let Err(error) = self.out.write_all(bytes)
        {
            self.failed = Some(error);
        }
    }

    /// Hands the sink back, without a checksum.
    /// For sinks in memory: an error would be lost.
    pub fn into_inner(mut self) -> W {
        self.flush();
        self.out
    }

    /// Closes with the checksum (0 when there is none); hands back the sink and how many bytes it took.
    ///
    /// # Errors
    /// The first error of the sink.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.flush();
        let sum = self.checksum.take().map_or(0, |checksum| checksum.value());
        self.emit(&sum.to_le_bytes());
        match self.failed {
            Some(error) => Err(error),
            None => Ok((self.out, self.written)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Encoder<Vec<u8>>), expected: &[u8]) {
        let mut encoder = Encoder::new(Vec::new(), false, true);
        write(&mut encoder);
        let (bytes, len) = encoder.finish().expect("memory takes all");
        assert_eq!(bytes, [expected, &[0; 8]].concat());
        assert_eq!(len, bytes.len() as u64);
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        check(|e| e.length(0), &[0]);
        check(|e| e.length(63), &[63]);
        check(|e| e.length(64), &[0x40, 64]);
        check(|e| e.length(16_383), &[0x7f, 0xff]);
        check(|e| e.length(16_384), &[0x80, 0, 0, 0x40, 0]);
        check(|e| e.length(1 << 32), &[0x81, 0, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn strings_that_are_small_integers_are_numbers() {
        check(|e| e.string(b"-5"), &[0xc0, 0xfb]);
        check(|e| e.string(b"300"), &[0xc1, 0x2c, 1]);
        check(|e| e.string(b"-70000"), &[0xc2, 0x90, 0xee, 0xfe, 0xff]);
        check(|e| e.string(b"2147483648"), b"\x0a2147483648");
        check(|e| e.string(b"01"), b"\x0201");
        check(|e| e.int_string(2_147_483_648), b"\x0a2147483648");
        check(|e| e.int_string(7), &[0xc0, 7]);
    }

    #[test]
    fn a_long_run_is_compressed() {
        let mut encoder = Encoder::new(Vec::new(), false, true);
        encoder.string(&[b'a'; 1000]);
        assert!(encoder.position() < 60);
    }

    #[test]
    fn the_checksum_covers_what_goes_around_the_buffer() {
        let mut encoder = Encoder::new(Vec::new(), true, false);
        encoder.byte(1);
        encoder.raw(&[7; BUFFER_BYTES * 2]);
        encoder.byte(2);
        let (bytes, _) = encoder.finish().expect("memory takes all");
        let (body, sum) = bytes.split_at(bytes.len() - 8);
        assert_eq!(body.len(), BUFFER_BYTES * 2 + 2);
        assert_eq!(sum, super::super::checksum::checksum(body).to_le_bytes());
    }
}
