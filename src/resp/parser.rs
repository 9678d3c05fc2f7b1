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
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Commands = Vec<Vec<Vec<u8>>>;

    fn commands(batch: &Batch) -> Commands {
        batch
            .commands()
            .map(|args| args.iter().map(<[u8]>::to_vec).collect())
            .collect()
    }

    /// Plays a connection: as many bytes a read as `piece`, all commands collected. Also how it ended.
    fn play(input: &[u8], limits: &Limits, piece: usize) -> (Commands, Parsed, Batch) {
        let (mut parser, mut batch, mut all, mut rest) = (Parser::new(), Batch::new(), Vec::new(), input);
        loop {
            let parsed = parser.parse(&mut batch, limits);
            all.extend(commands(&batch));
            let starved = matches!(parsed, Parsed::NeedMore { .. });
            if matches!(parsed, Parsed::Error | Parsed::Overflow) || starved && rest.is_empty() {
                return (all, parsed, batch);
            }
            parser.recycle(&mut batch);
            if starved {
                let target = parser.read_target(&mut batch);
                let (now, later) = rest.split_at(piece.min(target.limit).min(rest.len()));
                target.buf.extend_from_slice(now);
                rest = later;
            }
        }
    }

    /// Parses `input` in one read and byte by byte.
    #[track_caller]
    fn check(input: &[u8], limits: &Limits, expected: &[&[&str]], error: Option<ProtocolError>) {
        for piece in [usize::MAX, 1] {
            let (found, _, batch) = play(input, limits, piece);
            let found: Vec<Vec<_>> = found
                .iter()
                .map(|args| args.iter().map(|arg| String::from_utf8_lossy(arg)).collect())
                .collect();
            assert_eq!(
                (found, batch.error),
                (expected.iter().map(|args| to_cows(args)).collect(), error)
            );
        }
    }

    fn to_cows<'a>(args: &[&'a str]) -> Vec<std::borrow::Cow<'a, str>> {
        args.iter().map(|&arg| arg.into()).collect()
    }

    #[track_caller]
    fn check_taken(input: &[u8], expected: &[&[&str]]) {
        check(input, &Limits::default(), expected, None);
    }

    #[track_caller]
    fn check_error(input: &[u8], error: ProtocolError) {
        check(input, &Limits::default(), &[], Some(error));
    }

    fn encode(commands: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let mut out = Vec::new();
        for args in commands {
            out.extend(format!("*{}\r\n", args.len()).bytes());
            for arg in args {
                out.extend(format!("${}\r\n", arg.len()).bytes());
                out.extend_from_slice(arg);
                out.extend_from_slice(b"\r\n");
            }
        }
        out
    }

    #[test]
    fn a_pipeline_becomes_commands() {
        check_taken(
            b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\nPING\r\nECHO \"a b\"\n",
            &[&["GET", "k"], &["PING"], &["PING"], &["ECHO", "a b"]],
        );
        check_taken(b"*1\r\n$0\r\n\r\nPING\r\n", &[&[""], &["PING"]]);
        check_taken(b"*12\r\n$4\r\nMGET\r\n$1\r\n1\r\n$1\r\n2\r\n", &[]);
    }

    #[test]
    fn empty_requests_are_ignored() {
        for empty in [
            "\r\n",
            "\n",
            "   \r\n",
            "\r\r\n",
            "*0\r\n",
            "*-1\r\n",
            "*-9223372036854775808\r\n",
        ] {
            check_taken(format!("{empty}PING\r\n").as_bytes(), &[&["PING"]]);
        }
    }

    #[test]
    fn bytes_where_line_ends_belong_are_skipped_unseen() {
        check_taken(b"*1\rX$4\rXPINGXXPING\r\n", &[&["PING"], &["PING"]]);
        check_taken(b"*1\n$4\nPING\n", &[]);
        check_error(b"*1\n\r\n", ProtocolError::InvalidMultibulkLength);
    }

    #[test]
    fn counts_are_strict_decimals_up_to_the_largest_i32() {
        for count in [
            "",
            "+1",
            "01",
            "00",
            "-0",
            " 1",
            "1 ",
            "x",
            "2147483648",
            "-9223372036854775809",
        ] {
            check_error(
                format!("*{count}\r\n").as_bytes(),
                ProtocolError::InvalidMultibulkLength,
            );
        }
        check_taken(b"*2147483647\r\n", &[]);
    }

    #[test]
    fn lengths_are_strict_decimals_up_to_the_limit() {
        for len in ["", "+4", "04", "-1", "blabla", "536870913", "9223372036854775808"] {
            check_error(
                format!("*1\r\n${len}\r\n").as_bytes(),
                ProtocolError::InvalidBulkLength,
            );
        }
        check_taken(b"*1\r\n$536870912\r\n", &[]);
        let limits = Limits {
            bulk_len_max: 3,
            ..Limits::default()
        };
        check(
            b"*1\r\n$4\r\nPING\r\n",
            &limits,
            &[],
            Some(ProtocolError::InvalidBulkLength),
        );
    }

    #[test]
    fn an_argument_starts_with_a_dollar() {
        check_error(b"*1\r\nfoo\r\n", ProtocolError::ExpectedDollar(b'f'));
        check_error(b"*1\r\n\r\n\r\n", ProtocolError::ExpectedDollar(b'\r'));
        check_error(b"*1\r\n\xff\r\n", ProtocolError::ExpectedDollar(0xff));
        check_error(b"*2\r\n$1\r\nx\r\nfooz\r\n", ProtocolError::ExpectedDollar(b'f'));
        check_taken(b"*1\r\nfoo", &[]);
    }

    #[test]
    fn a_nul_hides_the_line_end_after_it() {
        check_taken(b"*1\x00\r\nPING\r\n", &[]);
        check_taken(b"PI\x00NG\r\nPING\r\n", &[]);
        check_taken(b"*1\r\n\x00\r\n", &[]);
        check_error(&[0; 65537], ProtocolError::TooBigInline);
    }

    #[test]
    fn lines_without_an_end_run_into_the_inline_limit() {
        let line = |start: &[u8], len: usize| [start, &vec![b'1'; len]].concat();
        check_error(&line(b"*", 65536), ProtocolError::TooBigMultibulkCount);
        check_error(&line(b"*1\r\n$", 65536), ProtocolError::TooBigBulkCount);
        check_error(&line(b"*1\r\nx", 65536), ProtocolError::TooBigBulkCount);
        check_error(&line(b"a", 65536), ProtocolError::TooBigInline);
        check_taken(&line(b"*", 65535), &[]);
        check_taken(&line(b"a", 65535), &[]);
        let longest = [&line(b"", 65536)[..], b"\n"].concat();
        assert_eq!(play(&longest, &Limits::default(), 1).0[0][0].len(), 65536);
    }

    #[test]
    fn nothing_is_parsed_after_an_error_and_all_before_it_is() {
        let input = b"PING\r\n*1\r\n$4\r\nPING\r\n\"x\r\nPING\r\n";
        check(
            input,
            &Limits::default(),
            &[&["PING"], &["PING"]],
            Some(ProtocolError::UnbalancedQuotes),
        );
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        batch.input.extend_from_slice(b"*x\r\nPING\r\n");
        for _ in 0..2 {
            assert_eq!(parser.parse(&mut batch, &Limits::default()), Parsed::Error);
            parser.recycle(&mut batch);
        }
        assert!(!parser.is_idle(&batch));
    }

    #[test]
    fn the_unauthenticated_may_send_little() {
        let limits = Limits {
            authenticated: false,
            ..Limits::default()
        };
        check(b"*10\r\n$16384\r\n", &limits, &[], None);
        check(
            b"*11\r\n",
            &limits,
            &[],
            Some(ProtocolError::UnauthenticatedMultibulkLength),
        );
        check(
            b"*1\r\n$16385\r\n",
            &limits,
            &[],
            Some(ProtocolError::UnauthenticatedBulkLength),
        );
        check(
            b"*1\r\n$536870913\r\n",
            &limits,
            &[],
            Some(ProtocolError::InvalidBulkLength),
        );
        check(
            b"PING\r\n*11\r\n",
            &limits,
            &[&["PING"]],
            Some(ProtocolError::UnauthenticatedMultibulkLength),
        );
    }

    #[test]
    fn an_auth_in_the_pipeline_counts_for_what_follows() {
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        batch
            .input
            .extend_from_slice(b"AUTH x\r\n*2\r\n$1\r\na\r\n$16385\r\n");
        let before = Limits {
            authenticated: false,
            ..Limits::default()
        };
        assert_eq!(parser.parse(&mut batch, &before), Parsed::Full);
        assert_eq!(commands(&batch), [[b"AUTH", &b"x"[..]]]);
        parser.recycle(&mut batch);
        let more = parser.parse(&mut batch, &Limits::default());
        assert_eq!(more, Parsed::NeedMore { hint: 16387 });
    }

    #[test]
    fn a_batch_is_bounded_and_the_rest_stays_for_the_next() {
        let limits = Limits {
            commands_max: 2,
            ..Limits::default()
        };
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        batch.input.extend_from_slice(&b"*1\r\n$4\r\nPING\r\n".repeat(5));
        for (count, parsed) in [
            (2, Parsed::Full),
            (2, Parsed::Full),
            (1, Parsed::NeedMore { hint: 1 }),
        ] {
            assert_eq!(parser.parse(&mut batch, &limits), parsed);
            assert_eq!(batch.command_count(), count);
            parser.recycle(&mut batch);
        }
        assert!(parser.is_idle(&batch) && batch.input.is_empty());
    }

    #[test]
    fn a_large_argument_is_read_into_its_own_buffer_and_no_further() {
        let value = vec![b'v'; 300_000];
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        batch
            .input
            .extend_from_slice(b"PING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000\r\nvvvv");
        assert_eq!(
            parser.parse(&mut batch, &Limits::default()),
            Parsed::NeedMore { hint: 299_998 }
        );
        assert_eq!(batch.command_count(), 1);
        parser.recycle(&mut batch);
        let stream = [&value[4..], b"\r\nPING\r\n"].concat();
        let mut rest = &stream[..];
        while rest.len() > 6 {
            let target = parser.read_target(&mut batch);
            assert!(
                target.buf.capacity() <= (2 * target.buf.len()).max(ANNOUNCED_MAX),
                "grows with what arrived"
            );
            let (now, later) = rest.split_at(target.limit.min(20_000));
            target.buf.extend_from_slice(now);
            rest = later;
            parser.parse(&mut batch, &Limits::default());
        }
        assert_eq!(rest, b"PING\r\n");
        assert_eq!(batch.command(0).get(2), value);
        assert_eq!(batch.take_large(0, 1), None);
        assert_eq!(
            batch.take_large(0, 2).map(|arg| (arg == value, arg.capacity())),
            Some((true, 300_002))
        );
        parser.recycle(&mut batch);
        assert!(batch.large.is_empty() && parser.is_idle(&batch));
    }

    #[test]
    fn a_large_argument_that_came_in_one_read_stays_where_it_is() {
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        batch.input = encode(&[vec![b"SET".to_vec(), b"k".to_vec(), vec![b'v'; 200_000]]]);
        parser.parse(&mut batch, &Limits::default());
        assert_eq!(batch.command(0).get(2).len(), 200_000);
        assert_eq!(batch.take_large(0, 2), None);
        assert_eq!(batch.take_large(7, 2), None);
    }

    #[test]
    fn a_reader_that_ignores_the_limit_loses_nothing() {
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        let limits = Limits {
            large_arg_bytes: 4,
            ..Limits::default()
        };
        batch.input.extend_from_slice(b"*1\r\n$5\r\nab");
        assert_eq!(parser.parse(&mut batch, &limits), Parsed::NeedMore { hint: 5 });
        parser
            .read_target(&mut batch)
            .buf
            .extend_from_slice(b"cde\r\nPING\r\n");
        parser.parse(&mut batch, &limits);
        assert_eq!(commands(&batch), [[b"abcde".to_vec()], [b"PING".to_vec()]]);
    }

    #[test]
    fn input_over_the_query_buffer_limit_overflows() {
        let limits = Limits {
            query_buffer_max: 100,
            ..Limits::default()
        };
        let input = [
            b"*2\r\n$50\r\n",
            &[b'a'; 50][..],
            b"\r\n$90\r\n",
            &[b'b'; 90],
            b"\r\n",
        ]
        .concat();
        assert_eq!(play(&input, &limits, 10).1, Parsed::Overflow);
        assert_eq!(
            play(
                &input,
                &Limits {
                    large_arg_bytes: 8,
                    ..limits
                },
                10
            )
            .1,
            Parsed::Overflow
        );
        let limits = Limits {
            query_buffer_max: 200,
            ..Limits::default()
        };
        assert_eq!(play(&input, &limits, 10).0.len(), 1);
    }

    #[test]
    fn an_announced_length_reserves_little() {
        for input in ["*2147483647\r\n", "*1\r\n$536870912\r\nx"] {
            let (_, _, mut batch) = play(input.as_bytes(), &Limits::default(), 1);
            assert!(
                batch.heap_bytes() < ANNOUNCED_MAX + 256 * 1024,
                "{}",
                batch.heap_bytes()
            );
            batch.reset();
            assert_eq!(batch.large.len(), 0);
        }
    }

    #[test]
    fn a_command_of_many_arguments_is_parsed_once() {
        let arg = b"$7\r\nargumen\r\n";
        let input = [b"*20000\r\n", &arg.repeat(20_000)[..]].concat();
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        for piece in input.chunks(1000) {
            batch.input.extend_from_slice(piece);
            parser.parse(&mut batch, &Limits::default());
            // It goes on behind the last argument that is whole.
            assert!(batch.input.len() - (parser.pos as usize) < arg.len());
        }
        assert_eq!(commands(&batch)[0].len(), 20_000);
    }

    #[test]
    fn a_line_that_arrives_byte_by_byte_is_searched_once() {
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        for byte in b"*1234" {
            batch.input.push(*byte);
            parser.parse(&mut batch, &Limits::default());
            parser.recycle(&mut batch);
            assert_eq!(parser.scanned as usize, batch.input.len());
        }
    }

    #[test]
    fn an_idle_connection_keeps_a_small_batch_after_a_big_command() {
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        for input in [
            encode(&[vec![vec![b'x'; 30_000]; 100]]),
            encode(&[vec![b"PING".to_vec()]]),
        ] {
            batch.input.extend_from_slice(&input);
            parser.parse(&mut batch, &Limits::default());
            assert_eq!(batch.command_count(), 1);
            parser.recycle(&mut batch);
        }
        assert!(batch.heap_bytes() <= 2 * KEEP_BYTES, "{}", batch.heap_bytes());
    }

    fn any_commands() -> impl Strategy<Value = Commands> {
        let arg = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            prop::collection::vec(any::<u8>(), 90..130),
        ];
        prop::collection::vec(prop::collection::vec(arg, 1..14), 0..12)
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_parsed_in_any_pieces(
            sent in any_commands(),
            piece in 1_usize..200,
            commands_max in 1_usize..5,
            large_arg_bytes in 1_usize..150,
        ) {
            let limits = Limits { commands_max, large_arg_bytes, ..Limits::default() };
            let (found, parsed, batch) = play(&encode(&sent), &limits, piece);
            prop_assert_eq!(found, sent);
            prop_assert_eq!((parsed, batch.error), (Parsed::NeedMore { hint: 1 }, None));
        }

        #[test]
        fn a_short_header_is_read_as_the_strict_parser_would(text in "[-+ 0-9x]{0,6}", kind in "[*$]") {
            let line = format!("{kind}{text}\r\n");
            let strict = parse_i64(text.as_bytes()).filter(|&n| n >= 0 && text.len() <= 5);
            let expected = strict.map(|n| (n as usize, line.len()));
            prop_assert_eq!(short_header(line.as_bytes(), 0, kind.as_bytes()[0]), expected);
        }
    }
}
