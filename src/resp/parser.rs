//! Bytes to commands, resumable at any byte.
//!
//! ```text
//!            start            pos
//!              v               v
//! input  [done |*2\r\n$3\r\nGET\r\n$1..]     args_left = 1, stage = BulkHeader
//!                                  ^ scanned: no line end before it
//! ```
//!
//! The connection's loop, where `read` puts at most `limit` bytes at the end of `buf`:
//!
//! ```text
//! loop { read(parser.read_target(batch));
//!        loop { let parsed = parser.parse(batch, limits);
//!               execute(batch); write(batch.reply); parser.recycle(batch);
//!               match parsed { Full => continue, NeedMore => break, Error | Overflow => close } } }
//! ```
//!
//! I1  `start <= pos <= scanned <= input.len()`, except that `scanned` may lag while no line is being looked for.
//! I2  Outside `Stage::Command`, `args_left > 0`.
//! I3  In `Stage::Large` the last element of `large` is the argument being read, and nothing follows `pos` in the input.
//!
//! Costs: linear in the bytes, however they are cut into reads: nothing is parsed twice but the last, unfinished
//! command of a read, and that once. No announced length is trusted: buffers grow as bytes arrive, until an eighth is there.
//! Limits: everything in [`Limits`]; the unexecuted input stays below 4 GiB (large arguments apart).
//! Compat: Redis looks for `\r` and skips one more byte unseen, stops looking at a NUL byte (such a line never ends and
//! runs into the inline limit), and skips the two bytes after an argument unseen. So do we. It applies the inline limit
//! to what one read happened to bring; we apply it to the line, so that answers do not depend on timing.
//! Not here: sockets, authentication itself, what a command means.

use super::batch::{ArgRange, Batch, KEEP_BYTES, LARGE_ARG_BYTES};
use super::error::ProtocolError;
use super::inline;
use crate::base::number::parse_i64;

/// Room made for a read into the input; a buffer that already has more is used up to [`KEEP_BYTES`].
const READ_BYTES_MIN: usize = 16 * 1024;

/// What an unauthenticated client may announce.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_LEN_MAX: u64 = 16384;

/// Every argument is followed by these two bytes, whatever they are.
const LINE_END_BYTES: usize = 2;

/// What a connection may send. All lengths are bytes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest argument (`proto-max-bulk-len`).
    pub bulk_len_max: usize,
    /// Most input not yet executed, large arguments included (`client-query-buffer-limit`).
    pub query_buffer_max: usize,
    /// Whether the client has passed `AUTH`, or need not.
    pub authenticated: bool,
    /// Most commands in one batch, at least 1: nobody is stalled by one endless pipeline.
    pub commands_max: usize,
    /// Longest inline command, and longest header line.
    pub inline_max: usize,
    /// Arguments of this size and more are read into buffers of their own. A parameter so that tests can make it tiny.
    pub large_arg_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bulk_len_max: 512 << 20,
            query_buffer_max: 1 << 30,
            authenticated: true,
            commands_max: 256,
            inline_max: 64 * 1024,
            large_arg_bytes: LARGE_ARG_BYTES,
        }
    }
}

/// Why [`Parser::parse`] came back. Complete commands may be in the batch in each case but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Every complete command was taken; at least `hint` (> 0) more bytes finish what was begun.
    NeedMore {
        /// Bytes known to be missing.
        hint: usize,
    },
    /// Execute the batch, recycle, and parse again before reading: the input may hold further commands.
    Full,
    /// [`Batch::error`] says what is wrong: answer the commands before it, then it, then close.
    Error,
    /// More unexecuted input than the limit: close without a word.
    Overflow,
}

/// Where the next read goes, and how much of it.
#[derive(Debug)]
pub struct ReadTarget<'a> {
    /// Append here. It has spare capacity for `limit` bytes.
    pub buf: &'a mut Vec<u8>,
    /// Most bytes to append (> 0), so that a large argument never reads into the command after it.
    pub limit: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// At the first byte of a command.
    #[default]
    Command,
    /// At the `$` of an argument.
    BulkHeader,
    /// At the first byte of an argument of `bulk_len` bytes.
    Payload,
    /// Inside an argument that is read into its own buffer.
    Large,
}

/// Why a step could not finish.
enum Stop {
    More(usize),
    /// The answer depends on commands already in the batch (one of them may be `AUTH`): execute them first.
    Pause,
    Bad(ProtocolError),
}

/// What a connection remembers of a partially received command. One parser goes with one batch at a time.
///
/// ```
/// use russet::resp::{Batch, Limits, Parsed, Parser};
/// let (mut parser, mut batch) = (Parser::new(), Batch::new());
/// batch.input.extend_from_slice(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPI");
/// assert!(matches!(parser.parse(&mut batch, &Limits::default()), Parsed::NeedMore { .. }));
/// assert_eq!(batch.command(0).iter().collect::<Vec<_>>(), [b"GET", &b"k"[..]]);
/// parser.recycle(&mut batch);
/// assert_eq!(batch.input, b"PI");
/// ```
#[derive(Debug, Default)]
pub struct Parser {
    /// Length announced for the current argument.
    bulk_len: u64,
    /// Bytes in the batch's finished large arguments.
    large_bytes: u64,
    pos: u32,
    start: u32,
    scanned: u32,
    args_left: u32,
    /// Elements of `large` that belong to complete commands.
    large_start: u32,
    stage: Stage,
    broken: bool,
}

const _: () = assert!(size_of::<Parser>() <= 64, "an idle connection stays small");

impl Parser {
    /// A parser at the beginning of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes every complete command of the input into the batch, up to `limits.commands_max`.
    ///
    /// Cost: linear in the new bytes. After the first [`Parsed::Error`] nothing more is ever parsed.
    pub fn parse(&mut self, batch: &mut Batch, limits: &Limits) -> Parsed {
        if self.broken {
            return Parsed::Error;
        }
        if self.overflows(batch, limits) {
            return Parsed::Overflow;
        }
        match self.take_commands(batch, limits) {
            Ok(()) | Err(Stop::Pause) => Parsed::Full,
            Err(Stop::More(hint)) => Parsed::NeedMore { hint },
            Err(Stop::Bad(error)) => {
                self.broken = true;
                batch.error = Some(error);
                Parsed::Error
            }
        }
    }

    /// Makes the batch ready for the next read after its commands were executed and its reply was written:
    /// executed bytes, arguments and the reply go; what was received of the next command moves to the front.
    ///
    /// Cost: a move of the leftover bytes; nothing when there are none.
    pub fn recycle(&mut self, batch: &mut Batch) {
        batch.drop_executed(self.start as usize, self.large_start as usize);
        self.pos -= self.start;
        self.scanned = self.scanned.saturating_sub(self.start);
        self.start = 0;
        self.large_start = 0;
        self.large_bytes = self
            .finished_large(batch)
            .iter()
            .map(|arg| arg.len() as u64)
            .sum();
    }

    /// Where the connection reads next. Call after [`Parsed::NeedMore`].
    ///
    /// A large argument's buffer grows with what has arrived; what was announced counts up to `ANNOUNCED_MAX`.
    pub fn read_target<'a>(&mut self, batch: &'a mut Batch) -> ReadTarget<'a> {
        let Batch { input, large, .. } = batch;
        if self.stage == Stage::Large
            && let Some(buf) = large.last_mut()
            && buf.len() < self.payload_bytes()
        {
            let missing = self.payload_bytes() - buf.len();
            grow(buf, missing);
            return ReadTarget {
                limit: missing.min(buf.capacity() - buf.len()),
                buf,
            };
        }
        if input.capacity() - input.len() < READ_BYTES_MIN {
            input.reserve(READ_BYTES_MIN);
        }
        ReadTarget {
            limit: (input.capacity() - input.len()).min(KEEP_BYTES),
            buf: input,
        }
    }

    /// Bytes of what is arriving, and all else that its buffers hold or have room for. Of a command with a large argument
    /// it is that argument which is arriving.
    #[must_use]
    pub fn arriving_bytes(&self, batch: &Batch) -> (usize, usize) {
        let (used, free) = batch.input_bytes();
        match batch.large.last() {
            Some(large) if self.stage == Stage::Large => (large.len(), used + free - large.len()),
            _ => (used, free),
        }
    }

    /// Whether nothing of a next command has been received: the (recycled) batch may go back to its pool.
    #[must_use]
    pub fn is_idle(&self, batch: &Batch) -> bool {
        self.stage == Stage::Command && batch.input.len() == self.pos as usize && !self.broken
    }

    fn overflows(&self, batch: &Batch, limits: &Limits) -> bool {
        let reading = if self.stage == Stage::Large {
            batch.large.last().map_or(0, Vec::len)
        } else {
            0
        };
        let unexecuted = batch.input.len() as u64 + self.large_bytes + reading as u64;
        unexecuted > limits.query_buffer_max as u64 || batch.input.len() >= u32::MAX as usize
    }

    fn take_commands(&mut self, batch: &mut Batch, limits: &Limits) -> Result<(), Stop> {
        let commands_max = limits.commands_max.max(1);
        while batch.ends.len() < commands_max {
            if self.stage == Stage::Command && limits.authenticated {
                self.take_plain_commands(batch, limits, commands_max);
                if batch.ends.len() >= commands_max {
                    break;
                }
            }
            self.step(batch, limits)?;
        }
        Ok(())
    }

    /// The hot loop: commands that are complete in the input and have nothing odd about them. The first other one is
    /// left untouched for `step`, which knows every case and can stop anywhere.
    fn take_plain_commands(&mut self, batch: &mut Batch, limits: &Limits, commands_max: usize) {
        let Batch {
            input, args, ends, ..
        } = batch;
        let mut pos = self.pos as usize;
        while ends.len() < commands_max {
            let args_before = args.len();
            let Some(end) = plain_command(input, pos, limits.bulk_len_max, args) else {
                args.truncate(args_before);
                break;
            };
            pos = end;
            ends.push(args.len() as u32);
        }
        // Only when something was taken: a line being looked for keeps the place the search has reached.
        if pos > self.pos as usize {
            self.advance(pos);
            self.start = self.pos;
        }
    }

    fn step(&mut self, batch: &mut Batch, limits: &Limits) -> Result<(), Stop> {
        match self.stage {
            Stage::Command => self.command(batch, limits),
            Stage::BulkHeader => self.bulk_header(batch, limits),
            Stage::Payload => self.payload(batch, limits),
            Stage::Large => self.large_payload(batch),
        }
    }

    fn command(&mut self, batch: &mut Batch, limits: &Limits) -> Result<(), Stop> {
        match batch.input.get(self.pos as usize) {
            None => Err(Stop::More(1)),
            Some(b'*') => self.multibulk_header(batch, limits),
            Some(_) => self.inline_command(batch, limits),
        }
    }

    fn inline_command(&mut self, batch: &mut Batch, limits: &Limits) -> Result<(), Stop> {
        let newline = self.line_end(&batch.input, b'\n', limits, ProtocolError::TooBigInline)?;
        let start = self.pos as usize;
        let returned = newline > start && batch.input[newline - 1] == b'\r';
        let args_before = batch.args.len();
        inline::take_line(batch, start, newline - usize::from(returned))
            .map_err(|_| Stop::Bad(ProtocolError::UnbalancedQuotes))?;
        self.advance(newline + 1);
        if batch.args.len() > args_before {
            self.finish_command(batch);
        }
        self.start = self.pos;
        Ok(())
    }

    fn multibulk_header(&mut self, batch: &mut Batch, limits: &Limits) -> Result<(), Stop> {
        let end = self.header_end(&batch.input, limits, ProtocolError::TooBigMultibulkCount)?;
        let count = parse_i64(&batch.input[self.pos as usize + 1..end])
            .filter(|&count| count <= i64::from(i32::MAX))
            .ok_or(Stop::Bad(ProtocolError::InvalidMultibulkLength))?;
        if count > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated {
            return Err(refusal(batch, ProtocolError::UnauthenticatedMultibulkLength));
        }
        self.advance(end + LINE_END_BYTES);
        if count <= 0 {
            self.start = self.pos;
            return Ok(());
        }
        self.args_left = count as u32;
        self.stage = Stage::BulkHeader;
        Ok(())
    }

    fn bulk_header(&mut self, batch: &mut Batch, limits: &Limits) -> Result<(), Stop> {
        let (len, payload) = match short_header(&batch.input, self.pos as usize, b'$') {
            Some((len, payload)) => (len as u64, payload),
            None => self.any_bulk_header(&batch.input, limits)?,
        };
        if len > limits.bulk_len_max as u64 {
            return Err(Stop::Bad(ProtocolError::InvalidBulkLength));
        }
        if len > UNAUTHENTICATED_BULK_LEN_MAX && !limits.authenticated {
            return Err(refusal(batch, ProtocolError::UnauthenticatedBulkLength));
        }
        self.advance(payload);
        self.bulk_len = len;
        self.stage = Stage::Payload;
        Ok(())
    }

    /// The header at `pos`, however it is written: its length and where its payload starts.
    #[cold]
    fn any_bulk_header(&mut self, input: &[u8], limits: &Limits) -> Result<(u64, usize), Stop> {
        let end = self.header_end(input, limits, ProtocolError::TooBigBulkCount)?;
        let start = self.pos as usize;
        if input[start] != b'$' {
            return Err(Stop::Bad(ProtocolError::ExpectedDollar(input[start])));
        }
        let len = parse_i64(&input[start + 1..end])
            .and_then(|len| u64::try_from(len).ok())
            .ok_or(Stop::Bad(ProtocolError::InvalidBulkLength))?;
        Ok((len, end + LINE_END_BYTES))
    }

    fn payload(&mut self, batch: &mut Batch, limits: &Limits) -> Result<(), Stop> {
        let start = self.pos as usize;
        let received = batch.input.len() - start;
        let wanted = self.payload_bytes();
        if received >= wanted {
            batch.args.push(ArgRange::in_input(start, self.bulk_len as usize));
            self.advance(start + wanted);
            self.finish_arg(batch);
            return Ok(());
        }
        if self.bulk_len >= limits.large_arg_bytes as u64 {
            self.move_to_large(batch);
        }
        Err(Stop::More(wanted - received))
    }

    fn move_to_large(&mut self, batch: &mut Batch) {
        let received = &batch.input[self.pos as usize..];
        let mut own = Vec::new();
        own.reserve_exact(self.payload_bytes().min(received.len().max(ANNOUNCED_MAX)));
        own.extend_from_slice(received);
        batch.input.truncate(self.pos as usize);
        batch.large.push(own);
        self.stage = Stage::Large;
    }

    fn large_payload(&mut self, batch: &mut Batch) -> Result<(), Stop> {
        let wanted = self.payload_bytes();
        let own = batch.large.last_mut().ok_or(Stop::More(wanted))?;
        if own.len() < wanted {
            return Err(Stop::More(wanted - own.len()));
        }
        // A reader that ignored the limit has put the next command here: it is given back to the input.
        batch.input.extend_from_slice(&own[wanted..]);
        own.truncate(self.bulk_len as usize);
        batch.args.push(ArgRange::in_large(batch.large.len() - 1));
        self.large_bytes += self.bulk_len;
        self.finish_arg(batch);
        Ok(())
    }

    fn finish_arg(&mut self, batch: &mut Batch) {
        self.args_left -= 1;
        self.stage = Stage::BulkHeader;
        if self.args_left == 0 {
            self.finish_command(batch);
        }
    }

    fn finish_command(&mut self, batch: &mut Batch) {
        batch.ends.push(batch.args.len() as u32);
        self.stage = Stage::Command;
        self.start = self.pos;
        self.large_start = batch.large.len() as u32;
    }

    /// Bytes of the current argument with its line end.
    fn payload_bytes(&self) -> usize {
        self.bulk_len as usize + LINE_END_BYTES
    }

    fn advance(&mut self, pos: usize) {
        self.pos = pos as u32;
        self.scanned = self.pos;
    }

    /// The `\r` of the header at `pos`, once the byte after it has arrived too.
    fn header_end(&mut self, input: &[u8], limits: &Limits, too_long: ProtocolError) -> Result<usize, Stop> {
        let end = self.line_end(input, b'\r', limits, too_long)?;
        if end + 1 < input.len() {
            Ok(end)
        } else {
            Err(Stop::More(1))
        }
    }

    /// The first `terminator` from `pos` on, searched from where the last search ended.
    fn line_end(
        &mut self,
        input: &[u8],
        terminator: u8,
        limits: &Limits,
        too_long: ProtocolError,
    ) -> Result<usize, Stop> {
        let pos = self.pos as usize;
        let window_end = input
            .len()
            .min(pos.saturating_add(limits.inline_max).saturating_add(1));
        let window = input.get(self.scanned as usize..window_end).unwrap_or_default();
        let found = memchr::memchr2(terminator, 0, window);
        self.scanned += found.unwrap_or(window.len()) as u32;
        // A NUL hides all that follows it: the search rests on it until the line is too long.
        if found.is_some_and(|at| window[at] == terminator) {
            return Ok(self.scanned as usize);
        }
        Err(if input.len() - pos > limits.inline_max {
            Stop::Bad(too_long)
        } else {
            Stop::More(1)
        })
    }

    fn finished_large<'a>(&self, batch: &'a Batch) -> &'a [Vec<u8>] {
        let reading = usize::from(self.stage == Stage::Large);
        &batch.large[..batch.large.len().saturating_sub(reading)]
    }
}

/// A command complete in `input` with short headers: its end, or `None` for `step` to look at it. Arguments may have
/// been pushed then; the caller takes them back.
#[inline]
fn plain_command(input: &[u8], start: usize, bulk_len_max: usize, args: &mut Vec<ArgRange>) -> Option<usize> {
    let (count, mut pos) = short_header(input, start, b'*')?;
    if count == 0 {
        return None;
    }
    for _ in 0..count {
        let (len, payload) = short_header(input, pos, b'$')?;
        let end = payload + len + LINE_END_BYTES;
        if len > bulk_len_max || end > input.len() {
            return None;
        }
        args.push(ArgRange::in_input(payload, len));
        pos = end;
    }
    Some(pos)
}

/// A header of at most five digits, written as it should be: its number, and the position after its line end.
///
/// Each shape is one bounds check and a few compares, which beats any search on lines this short.
#[inline(always)]
fn short_header(input: &[u8], pos: usize, kind: u8) -> Option<(usize, usize)> {
    let line = input.get(pos..)?;
    if *line.first()? != kind {
        return None;
    }
    match *line {
        [_, a, b'\r', _, ..] => decimal([a]).map(|n| (n, pos + 4)),
        [_, a, b, b'\r', _, ..] => decimal([a, b]).map(|n| (n, pos + 5)),
        [_, a, b, c, b'\r', _, ..] => decimal([a, b, c]).map(|n| (n, pos + 6)),
        [_, a, b, c, d, b'\r', _, ..] => decimal([a, b, c, d]).map(|n| (n, pos + 7)),
        [_, a, b, c, d, e, b'\r', _, ..] => decimal([a, b, c, d, e]).map(|n| (n, pos + 8)),
        _ => None,
    }
}

/// Digits only, and no leading zero but in "0" itself.
#[inline(always)]
fn decimal<const N: usize>(digits: [u8; N]) -> Option<usize> {
    let canonical = N == 1 || digits[0] != b'0';
    let all_digits = digits.iter().all(u8::is_ascii_digit);
    (canonical && all_digits).then(|| {
        digits
            .iter()
            .fold(0, |n, &digit| n * 10 + usize::from(digit - b'0'))
    })
}

/// Most bytes reserved because a client announced them. Such room costs nothing until it is written to, and arguments
/// within it are read without moving what has arrived.
pub(super) const ANNOUNCED_MAX: usize = 1 << 20;

/// From what share of a large argument on it is believed that all of it comes.
const BELIEVED_SHARE: usize = 8;

/// Room for more of a large argument: as much again as has arrived, and never more than is missing, so that a finished
/// argument's buffer has no slack worth trimming. Once an eighth is here there is room for all of it: what has arrived is
/// copied each time, and others wait meanwhile.
fn grow(buf: &mut Vec<u8>, missing: usize) {
    if buf.len() == buf.capacity() {
        let is_believed = buf.len() >= (buf.len() + missing) / BELIEVED_SHARE;
        let again = if is_believed { missing } else { buf.len() };
        buf.reserve_exact(missing.min(again.max(KEEP_BYTES)));
    }
}

/// A limit of the unauthenticated counts only once the commands before it, which may be `AUTH`, have run.
fn refusal(batch: &Batch, error: ProtocolError) -> Stop {
    if batch.ends.is_empty() {
        Stop::Bad(error)
    } else {
        Stop::Pause
    }
}

#[cfg(test)]
mod tests;
