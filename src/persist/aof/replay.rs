//! Reading a file of commands again, one after the other.
//!
//! Nothing is trusted: a length is compared with what is left of the file before anything is allocated. What is broken
//! is told from what merely ends too early, because a crash leaves the latter behind ([`Broken::CutOff`]).
//! A tail of zeros counts as cut off, too: some file systems leave one after a loss of power, at the end of a command or
//! in its middle ([`is_cut_off_by_zeros`]).

use std::borrow::Cow;
use std::io::{self, Read};

use crate::base::number;
use crate::persist::disk::File;
use crate::resp::{ArgBuf, Args};

/// Longest line of a header or note, its end included.
const LINE_BYTES_MAX: usize = 1024;

const BUFFER_BYTES: usize = 64 * 1024;

/// Words of one command; more than any command may have, and few enough that their places fit in memory.
const WORDS_MAX: u64 = i32::MAX as u64;

/// Why reading cannot go on.
#[derive(Debug)]
pub enum Broken {
    /// The file cannot be read.
    Io(io::Error),
    /// It ends in the middle of a command: what is missing.
    CutOff(Cow<'static, str>),
    /// It holds something that is no command: what is wrong.
    Damaged(Cow<'static, str>),
}

fn damaged<T>(what: impl Into<Cow<'static, str>>) -> Result<T, Broken> {
    Err(Broken::Damaged(what.into()))
}

const NO_LINE_END: &str = "Expected \\r\\n at the end";
const NO_MORE: &str = "Reached EOF within a line";

/// A part of the file.
#[derive(Debug)]
pub enum Item<'a> {
    /// A command.
    Command(Args<'a>),
    /// A note, without its `#` and the end of its line.
    Note(&'a [u8]),
}

/// A file of commands.
pub struct Replay<R: Read> {
    input: R,
    buffer: Box<[u8]>,
    /// What of the buffer is still to be read.
    start: usize,
    end: usize,
    /// Bytes of the file before `start`.
    offset: u64,
    /// Size of the whole file.
    size: u64,
    words: ArgBuf,
    note: Vec<u8>,
    /// Where the line or word begins that was read last.
    piece: u64,
    /// Lines passed, a word being one.
    lines: u64,
}

impl<R: Read> Replay<R> {
    /// Reads `input`, which stands at `offset` of a file of `size` bytes.
    pub fn new(input: R, offset: u64, size: u64) -> Replay<R> {
        Replay {
            input,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            offset,
            size,
            words: ArgBuf::new(),
            note: Vec::new(),
            piece: offset,
            lines: 0,
        }
    }

    /// Where the line or word begins that was read last, or that cannot be read, in bytes of the file.
    pub fn piece_offset(&self) -> u64 {
        self.piece
    }

    /// Lines of commands passed, a word being one.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Where the next command begins, in bytes of the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next command; `None` at the end. Notes are read over.
    ///
    /// # Errors
    /// Why there is none; [`Replay::offset`] is of no use then.
    pub fn next_command(&mut self) -> Result<Option<Args<'_>>, Broken> {
        while !self.is_at_end()? {
            if let (b'*', count) = self.header(b"*#")? {
                self.words(count)?;
                return Ok(Some(self.words.args()));
            }
        }
        Ok(None)
    }

    /// The next command or note; `None` at the end.
    ///
    /// # Errors
    /// Why there is none; [`Replay::offset`] is of no use then.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, Broken> {
        if self.is_at_end()? {
            return Ok(None);
        }
        match self.header(b"*#")? {
            (b'*', count) => self.words(count)?,
            _ => return Ok(Some(Item::Note(&self.note))),
        }
        Ok(Some(Item::Command(self.words.args())))
    }

    /// The words of a command.
    fn words(&mut self, count: u64) -> Result<(), Broken> {
        self.words.clear();
        if count == 0 || count > WORDS_MAX {
            return damaged(format!("A command of {count} words"));
        }
        for _ in 0..count {
            let (_, len) = self.header(b"$")?;
            self.word(len)?;
        }
        Ok(())
    }

    /// A line that begins with one of these marks: the mark, and the number behind it; a note is kept instead.
    fn header(&mut self, marks: &'static [u8]) -> Result<(u8, u64), Broken> {
        self.piece = self.offset;
        let line_end = loop {
            let waiting = &self.buffer[self.start..self.end];
            if let Some(end) = memchr::memchr(b'\n', waiting) {
                break end;
            }
            if waiting.len() >= LINE_BYTES_MAX && waiting[0] != 0 {
                return damaged(NO_LINE_END);
            }
            if waiting.len() == BUFFER_BYTES {
                self.pass_zeros()?;
            }
            if self.fill()? == 0 {
                return Err(self.unfinished_line());
            }
        };
        let line = &self.buffer[self.start..self.start + line_end];
        let read = match line {
            [mark, ..] if !marks.contains(mark) => return unexpected(marks, *mark),
            [] => return unexpected(marks, b'\n'),
            [b'#', note @ ..] => {
                self.note.clear();
                self.note
                    .extend_from_slice(note.strip_suffix(b"\r").unwrap_or(note));
                (b'#', 0)
            }
            [mark, digits @ .., b'\r'] => match number::parse_u64(digits) {
                Some(n) => (*mark, n),
                None => return damaged(format!("Expected a number, got: '{}'", digits.escape_ascii())),
            },
            _ => return damaged(NO_LINE_END),
        };
        self.lines += u64::from(read.0 != b'#');
        self.advance(line_end + 1);
        Ok(read)
    }

    /// Makes room in a buffer that is full of zeros.
    fn pass_zeros(&mut self) -> Result<(), Broken> {
        if self.buffer[self.start..self.end].iter().any(|&byte| byte != 0) {
            return damaged(NO_LINE_END);
        }
        self.advance(BUFFER_BYTES - 1);
        Ok(())
    }

    /// What to make of a file that ends within a line.
    fn unfinished_line(&self) -> Broken {
        let rest = &self.buffer[self.start..self.end];
        match rest.first() {
            None | Some(b'*' | b'$' | b'#') => Broken::CutOff(NO_MORE.into()),
            Some(_) if rest.iter().all(|&byte| byte == 0) => {
                Broken::CutOff("Nothing but zeros is left".into())
            }
            Some(_) => Broken::Damaged("AOF format error".into()),
        }
    }

    fn word(&mut self, len: u64) -> Result<(), Broken> {
        self.piece = self.offset;
        let left = self.size.saturating_sub(self.offset);
        let wanted = len.saturating_add(2);
        if wanted > left {
            let what = format!("Expected to read {wanted} bytes, got {left} bytes");
            return Err(Broken::CutOff(what.into()));
        }
        let len = len as usize;
        while self.end - self.start < (len + 2).min(BUFFER_BYTES) {
            if self.fill()? == 0 {
                return Err(Broken::CutOff(NO_MORE.into()));
            }
        }
        if self.end - self.start >= len + 2 {
            let text = &self.buffer[self.start..self.start + len];
            self.words.push(text);
            self.advance(len);
        } else {
            let text = self.long_word(len)?;
            self.words.push_owned(text);
        }
        self.line_end()
    }

    /// A word longer than the buffer.
    fn long_word(&mut self, len: usize) -> Result<Vec<u8>, Broken> {
        let mut text = Vec::with_capacity(len);
        text.extend_from_slice(&self.buffer[self.start..self.end]);
        self.advance(self.end - self.start);
        let left = (len - text.len()) as u64;
        let read = (&mut self.input).take(left).read_to_end(&mut text);
        let read = read.map_err(Broken::Io)? as u64;
        self.offset += read;
        if read < left {
            return Err(Broken::CutOff(NO_MORE.into()));
        }
        Ok(text)
    }

    fn line_end(&mut self) -> Result<(), Broken> {
        while self.end - self.start < 2 {
            if self.fill()? == 0 {
                return Err(Broken::CutOff(NO_MORE.into()));
            }
        }
        let end = &self.buffer[self.start..self.start + 2];
        if *end != *b"\r\n" {
            return damaged(format!("Expected \\r\\n, got: {:02x}{:02x}", end[0], end[1]));
        }
        self.lines += 1;
        self.advance(2);
        Ok(())
    }

    fn is_at_end(&mut self) -> Result<bool, Broken> {
        Ok(self.start == self.end && self.fill()? == 0)
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Reads on; how many bytes came.
    fn fill(&mut self) -> Result<usize, Broken> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Broken::Io(error)),
            }
        }
    }
}

/// Whether what looks like damage behind `offset`, where the last whole command of a file ends, is only a command cut off
/// with zeros in the place of its rest. Reads to the end of the file.
///
/// # Errors
/// It cannot be read.
pub fn is_cut_off_by_zeros(mut file: File, offset: u64) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut position, mut end) = (offset, offset);
    file.seek(offset)?;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        if let Some(last) = buffer[..read].iter().rposition(|&byte| byte != 0) {
            end = position + last as u64 + 1;
        }
        position += read as u64;
    }
    file.seek(offset)?;
    let mut rest = Replay::new(file.take(end - offset), offset, end);
    Ok(end < position && matches!(rest.next_command(), Ok(None) | Err(Broken::CutOff(_))))
}

/// The line begins with something else.
#[cold]
fn unexpected<T>(marks: &[u8], found: u8) -> Result<T, Broken> {
    if marks == b"$" {
        return damaged(format!("Expected prefix '$', got: '{}'", found.escape_ascii()));
    }
    damaged("AOF format error")
}

/// Fuzz entry: whatever the bytes are, reading ends, and what was read as commands is in the input.
///
/// # Panics
/// When that does not hold.
pub fn fuzz_replay(data: &[u8]) {
    let mut replay = Replay::new(data, 0, data.len() as u64);
    let mut before = 0;
    while let Ok(Some(words)) = replay.next_command() {
        let bytes: usize = words.iter().map(<[u8]>::len).sum();
        let offset = replay.offset();
        assert!(offset > before && bytes as u64 <= offset - before && offset <= data.len() as u64);
        before = offset;
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame;
    use super::*;

    /// Hands out a few bytes at a time.
    struct Dripping<'a>(&'a [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(out.len()).min(self.0.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn read(bytes: &[u8], drip: usize) -> (Vec<Vec<Vec<u8>>>, Option<Broken>) {
        let mut replay = Replay::new(Dripping(bytes, drip), 0, bytes.len() as u64);
        let mut commands = Vec::new();
        loop {
            match replay.next_command() {
                Ok(Some(words)) => commands.push(words.iter().map(<[u8]>::to_vec).collect()),
                Ok(None) => return (commands, None),
                Err(broken) => return (commands, Some(broken)),
            }
        }
    }

    fn sample() -> (Vec<Vec<Vec<u8>>>, Vec<u8>) {
        let long = vec![b'x'; 200_000];
        let commands = vec![
            vec![b"SET".to_vec(), b"k".to_vec(), Vec::new()],
            vec![b"SET".to_vec(), b"\r\n*1\r\n".to_vec(), long],
            vec![b"PING".to_vec(); 70],
        ];
        let mut bytes = Vec::new();
        for command in &commands {
            frame::stamp(7, &mut bytes);
            frame::command(command.iter().map(Vec::as_slice), &mut bytes);
        }
        (commands, bytes)
    }

    #[test]
    fn what_was_written_is_read_in_any_pieces() {
        let (commands, bytes) = sample();
        for drip in [1, 7, 4096, usize::MAX] {
            let (read, broken) = read(&bytes, drip);
            assert!(read == commands && broken.is_none());
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_read_up_to_there() {
        let (commands, bytes) = sample();
        let ends: Vec<usize> = (1..=3)
            .map(|count| {
                let mut replay = Replay::new(&bytes[..], 0, bytes.len() as u64);
                for _ in 0..count {
                    replay.next_command().expect("whole");
                }
                replay.offset() as usize
            })
            .collect();
        for cut in (0..300).chain(ends[1] - 20..bytes.len()) {
            let whole = ends.iter().filter(|&&end| end <= cut).count();
            let (found, broken) = read(&bytes[..cut], usize::MAX);
            assert_eq!(found.len(), whole, "cut at {cut}");
            assert!(found == commands[..whole]);
            assert!(
                matches!(broken, None | Some(Broken::CutOff(_))),
                "cut at {cut}: {broken:?}"
            );
        }
    }

    #[test]
    fn a_command_that_goes_on_in_zeros_is_cut_off() {
        let whole = b"*1\r\n$4\r\nPING\r\n";
        let is_cut_off = |rest: &[u8]| {
            let file = tempfile::tempfile().expect("a file");
            let mut file = File::new(file);
            io::Write::write_all(&mut file, &[&whole[..], rest].concat()).expect("room");
            is_cut_off_by_zeros(file, whole.len() as u64).expect("our own file")
        };
        for cut in 0..whole.len() - 1 {
            for zeros in [1, 3, 100_000] {
                let rest = [&whole[..cut], &vec![0; zeros]].concat();
                assert!(is_cut_off(&rest), "cut at {cut}, {zeros} zeros");
            }
            assert!(
                !is_cut_off(&[&whole[..cut], b"!\0\0\0!"].concat()),
                "cut at {cut}"
            );
        }
        assert!(!is_cut_off(b"!!!\0\0") && !is_cut_off(b"*1\r\n$1\r\n"));
    }

    #[test]
    fn what_is_no_command_is_damage() {
        for bytes in [
            &b"!!!"[..],
            b"*x\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*1\n$1\r\nx\r\n",
            b"*1\r\n*1\r\n",
            b"*1\r\n$1\r\nxyz",
            b"*1\r\n$1x\r\nx\r\n",
            b"*99999999999999999999\r\n",
            b"PING\r\n",
        ] {
            let (_, broken) = read(bytes, usize::MAX);
            assert!(
                matches!(broken, Some(Broken::Damaged(_))),
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
        for bytes in [
            &b"*1\r\n$999999999999\r\nx\r\n"[..],
            b"*2147483647\r\n$1\r\nx\r\n",
            &[0; 100],
            &[0; 300_000],
        ] {
            assert!(matches!(read(bytes, usize::MAX).1, Some(Broken::CutOff(_))));
        }
    }
}
