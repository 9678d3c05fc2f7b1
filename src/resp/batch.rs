//! The unit that travels connection, executor, connection: one read's worth of commands, and their replies.
//!
//! ```text
//! input  *2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$40000\r\n      large[0]  40000 bytes
//!                   ~~~          ~              ~~~          ~
//! args   [ 8..11   20..21 | 31..34   40..41   large 0 ]        8 bytes each
//! ends   [ 2, 5 ]                                              4 bytes per command
//! ```
//!
//! I1  A range in `args` lies inside `input`, or names an existing element of `large`.
//! I2  `ends` never falls; `args` past the last end belong to a command still being read.
//! I3  Bytes of `input` before the parser's command start are not needed once the batch has been executed.
//!
//! Costs: no allocation per argument; a batch reused by [`Parser::recycle`](super::Parser::recycle) allocates nothing.
//! Limits: offsets are 32 bits, so an input of 4 GiB or more is refused by the parser; large arguments are not counted.
//! Not here: parsing, sockets, what a command means.

use std::fmt;
use std::ops::Index;

use super::error::ProtocolError;

/// Arguments of this many bytes and more are read straight into a buffer of their own.
pub const LARGE_ARG_BYTES: usize = 32 * 1024;

/// Buffers above this are let go of when a batch returns to its pool.
pub const KEEP_BYTES: usize = 64 * 1024;

/// `len` of a range that names an element of `large` instead.
const IN_LARGE: u32 = u32::MAX;

/// Where one argument lives: a range of the input, or an element of `large`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ArgRange {
    offset: u32,
    len: u32,
}

impl ArgRange {
    /// Both numbers come from positions in an input below 4 GiB (the parser checks), so neither is cut.
    #[inline]
    pub(super) fn in_input(offset: usize, len: usize) -> Self {
        debug_assert!(offset + len < IN_LARGE as usize, "input positions fit 32 bits");
        Self {
            offset: offset as u32,
            len: len as u32,
        }
    }

    pub(super) fn in_large(index: usize) -> Self {
        Self {
            offset: index as u32,
            len: IN_LARGE,
        }
    }

    fn large_index(self) -> Option<usize> {
        (self.len == IN_LARGE).then_some(self.offset as usize)
    }

    /// The same argument after `input_cut` bytes and `large_cut` buffers were dropped from the front.
    fn moved(self, input_cut: usize, large_cut: usize) -> Self {
        let cut = if self.len == IN_LARGE {
            large_cut
        } else {
            input_cut
        };
        Self {
            offset: self.offset - cut as u32,
            ..self
        }
    }
}

impl fmt::Debug for ArgRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.large_index() {
            Some(index) => write!(f, "large[{index}]"),
            None => write!(f, "{}..{}", self.offset, self.offset + self.len),
        }
    }
}

/// A cheap view of one command's arguments, wherever they live. The command's name is argument 0.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    input: &'a [u8],
    ranges: &'a [ArgRange],
    large: &'a [Vec<u8>],
}

impl<'a> Args<'a> {
    /// How many arguments there are, the command's name included.
    #[inline]
    #[must_use]
    pub fn len(self) -> usize {
        self.ranges.len()
    }

    /// Whether there is no argument at all.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.ranges.is_empty()
    }

    /// Argument `index`. Panics when there is none: arity was checked before.
    #[inline]
    #[must_use]
    pub fn get(self, index: usize) -> &'a [u8] {
        self.resolve(self.ranges[index])
    }

    /// Argument `index`, if there is one.
    #[inline]
    #[must_use]
    pub fn try_get(self, index: usize) -> Option<&'a [u8]> {
        self.ranges.get(index).map(|&range| self.resolve(range))
    }

    /// The arguments from `first` on (none, when there are fewer).
    #[inline]
    #[must_use]
    pub fn tail(self, first: usize) -> Self {
        Self {
            ranges: self.ranges.get(first..).unwrap_or_default(),
            ..self
        }
    }

    /// The first `count` arguments (all, when there are fewer), and the others.
    #[inline]
    #[must_use]
    pub fn split_at(self, count: usize) -> (Self, Self) {
        let (head, tail) = self.ranges.split_at(count.min(self.ranges.len()));
        let with = |ranges| Self { ranges, ..self };
        (with(head), with(tail))
    }

    /// All arguments in order.
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + Clone {
        self.ranges.iter().map(move |&range| self.resolve(range))
    }

    /// Bytes of all arguments together.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.iter().map(<[u8]>::len).sum()
    }

    #[inline]
    fn resolve(self, range: ArgRange) -> &'a [u8] {
        let start = range.offset as usize;
        if range.len == IN_LARGE {
            return &self.large[start];
        }
        &self.input[start..start + range.len as usize]
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.get(index)
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(<[u8]>::escape_ascii).map(|text| text.to_string()))
            .finish()
    }
}

/// Arguments that came from no socket (AOF replay, `EXEC`, scripts): filled, viewed as [`Args`], cleared, filled again.
///
/// ```
/// use russet::resp::ArgBuf;
/// let mut command = ArgBuf::from_slices(&[b"SET", b"k"]);
/// command.push(b"value");
/// assert_eq!(command.args().get(2), b"value");
/// ```
#[derive(Debug, Default)]
pub struct ArgBuf {
    input: Vec<u8>,
    ranges: Vec<ArgRange>,
    large: Vec<Vec<u8>>,
}

impl ArgBuf {
    /// An empty command.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A command copied from `args`.
    #[must_use]
    pub fn from_slices(args: &[&[u8]]) -> Self {
        let mut buf = Self::new();
        args.iter().for_each(|arg| buf.push(arg));
        buf
    }

    /// Appends a copy of `arg`; a large one gets a buffer of its own, so that it can be taken later.
    pub fn push(&mut self, arg: &[u8]) {
        // A pile of small arguments that would pass 4 GiB goes on in buffers of their own.
        let addressable = self.input.len() + arg.len() < IN_LARGE as usize;
        if arg.len() >= LARGE_ARG_BYTES || !addressable {
            return self.push_owned(arg.to_vec());
        }
        self.ranges.push(ArgRange::in_input(self.input.len(), arg.len()));
        self.input.extend_from_slice(arg);
    }

    /// Appends `arg` without copying it.
    pub fn push_owned(&mut self, arg: Vec<u8>) {
        self.ranges.push(ArgRange::in_large(self.large.len()));
        self.large.push(arg);
    }

    /// Appends a copy of every argument of `args`.
    pub fn extend(&mut self, args: Args<'_>) {
        args.iter().for_each(|arg| self.push(arg));
    }

    /// Forgets the arguments and keeps small buffers for the next command.
    pub fn clear(&mut self) {
        keep_small(&mut self.input);
        self.ranges.clear();
        self.ranges.shrink_to(KEEP_BYTES / size_of::<ArgRange>());
        self.large = Vec::new();
    }

    /// The arguments so far.
    #[inline]
    #[must_use]
    pub fn args(&self) -> Args<'_> {
        Args {
            input: &self.input,
            ranges: &self.ranges,
            large: &self.large,
        }
    }

    /// Takes argument `index` without a copy and leaves an empty one; `None` when it has no buffer of its own.
    pub fn take_large(&mut self, index: usize) -> Option<Vec<u8>> {
        let large_index = self.ranges.get(index)?.large_index()?;
        self.large.get_mut(large_index).map(std::mem::take)
    }

    /// Heap bytes held, used or not.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.input.capacity() + self.ranges.capacity() * size_of::<ArgRange>() + large_heap_bytes(&self.large)
    }
}

/// Commands read from one connection, and the replies to them. See the module's picture.
#[derive(Debug, Default)]
pub struct Batch {
    /// Bytes read from the socket. Only the parser's read target may append to it.
    pub input: Vec<u8>,
    pub(super) args: Vec<ArgRange>,
    pub(super) ends: Vec<u32>,
    pub(super) large: Vec<Vec<u8>>,
    /// RESP appended by the executor.
    pub reply: Vec<u8>,
    /// What ended the parsing; to be answered after the commands before it.
    pub error: Option<ProtocolError>,
    /// Commands already executed: a batch can be suspended (a blocking command) and resumed.
    pub next: usize,
    /// Which session of the executor the commands belong to.
    pub session: u32,
    /// Set by the executor: the connection is to close once the replies are written.
    pub close: bool,
    /// Set by the executor: whether the client is authenticated, which decides the parser's limits.
    pub authenticated: bool,
    /// Set by the connection: nothing of a next command has come with it and no output waits before its replies, so that
    /// whoever brings them back may write them, and give the batch to the pool, without the connection.
    pub direct: bool,
    /// Bytes of earlier replies that the connection could not write yet.
    pub unwritten: usize,
    /// Bytes and reads it took to fill, counted by the connection and taken over by the executor.
    pub bytes_read: usize,
    /// See `bytes_read`.
    pub reads: u32,
}

impl Batch {
    /// An empty batch; nothing is allocated until bytes arrive.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Complete commands in the batch.
    #[inline]
    #[must_use]
    pub fn command_count(&self) -> usize {
        self.ends.len()
    }

    /// Command `index`. Panics when it is not below [`Self::command_count`].
    #[inline]
    #[must_use]
    pub fn command(&self, index: usize) -> Args<'_> {
        let end = self.ends[index] as usize;
        Args {
            input: &self.input,
            ranges: &self.args[self.first_arg(index)..end],
            large: &self.large,
        }
    }

    /// Whether any argument has a buffer of its own.
    #[inline]
    #[must_use]
    pub fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// Whether every command has its reply and the connection goes on.
    #[inline]
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next >= self.command_count() && self.error.is_none() && !self.close
    }

    /// Whether nothing is in it, not even the beginning of a command.
    #[inline]
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.input.is_empty() && self.large.is_empty() && self.args.is_empty() && self.ends.is_empty()
    }

    /// All complete commands in order.
    pub fn commands(&self) -> impl ExactSizeIterator<Item = Args<'_>> {
        (0..self.command_count()).map(|index| self.command(index))
    }

    /// Takes an argument without a copy and leaves an empty one.
    ///
    /// `None` when there is no such argument, or when it has no buffer of its own: it is small, or arrived in one read
    /// with its command, and then the copy into the keyspace is the first one.
    pub fn take_large(&mut self, command: usize, arg: usize) -> Option<Vec<u8>> {
        let end = *self.ends.get(command)? as usize;
        let large_index = self.args[self.first_arg(command)..end].get(arg)?.large_index()?;
        self.large.get_mut(large_index).map(std::mem::take)
    }

    /// Frees what a command that has been executed has in buffers of its own.
    #[cold]
    pub fn free_large(&mut self, command: usize) {
        let end = self.ends[command] as usize;
        let start = self.first_arg(command);
        let large = self.args[start..end].iter().filter_map(|arg| arg.large_index());
        for index in large {
            self.large[index] = Vec::new();
        }
    }

    /// Appends a copy of a command: for a batch that no parser fills (a transaction's queue). A word in `taken`, index
    /// and bytes, is not copied but moved in. Large ones get buffers of their own, so that they can be taken later.
    pub fn push(&mut self, words: Args<'_>, mut taken: Option<(usize, Vec<u8>)>) {
        for (index, word) in words.iter().enumerate() {
            match taken.take_if(|(at, _)| *at == index) {
                Some((_, bytes)) => self.push_large(bytes),
                None => self.push_word(word),
            }
        }
        self.ends.push(self.args.len() as u32);
    }

    fn push_word(&mut self, word: &[u8]) {
        // A pile of small words that would pass 4 GiB goes on in buffers of their own.
        let addressable = self.input.len() + word.len() < IN_LARGE as usize;
        if word.len() >= LARGE_ARG_BYTES || !addressable {
            return self.push_large(word.to_vec());
        }
        self.args.push(ArgRange::in_input(self.input.len(), word.len()));
        self.input.extend_from_slice(word);
    }

    fn push_large(&mut self, bytes: Vec<u8>) {
        self.args.push(ArgRange::in_large(self.large.len()));
        self.large.push(bytes);
    }

    /// Empties the batch for its pool: nothing survives but buffers of at most [`KEEP_BYTES`].
    pub fn reset(&mut self) {
        keep_small(&mut self.input);
        keep_small(&mut self.reply);
        self.args.clear();
        self.args.shrink_to(KEEP_BYTES / size_of::<ArgRange>());
        self.ends.clear();
        self.ends.shrink_to(KEEP_BYTES / size_of::<u32>());
        self.large = Vec::new();
        self.error = None;
        self.next = 0;
        self.session = 0;
        self.close = false;
        self.authenticated = false;
        self.direct = false;
        self.unwritten = 0;
        self.bytes_read = 0;
        self.reads = 0;
    }

    /// Bytes of input held, and room for more in their buffers.
    #[must_use]
    pub fn input_bytes(&self) -> (usize, usize) {
        let buffers = || self.large.iter().chain([&self.input]);
        let used = buffers().map(Vec::len).sum();
        (used, buffers().map(Vec::capacity).sum::<usize>() - used)
    }

    /// Gives back an empty buffer of replies that is larger than most need.
    #[inline]
    pub fn trim_reply(&mut self) {
        if self.reply.is_empty() {
            keep_small(&mut self.reply);
        }
    }

    /// Gives back the room for more input.
    pub fn trim_input(&mut self) {
        self.large
            .iter_mut()
            .chain([&mut self.input])
            .for_each(Vec::shrink_to_fit);
    }

    /// Heap bytes held, used or not.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.input.capacity()
            + self.reply.capacity()
            + self.args.capacity() * size_of::<ArgRange>()
            + self.ends.capacity() * size_of::<u32>()
            + large_heap_bytes(&self.large)
    }

    /// Drops the executed commands with their first `input_cut` bytes and `large_cut` buffers; what is left of an
    /// unfinished command moves to the front.
    pub(super) fn drop_executed(&mut self, input_cut: usize, large_cut: usize) {
        let args_cut = self.first_arg(self.ends.len());
        drop_front(&mut self.args, args_cut);
        for range in &mut self.args {
            *range = range.moved(input_cut, large_cut);
        }
        self.large.drain(..large_cut);
        drop_front(&mut self.input, input_cut);
        self.ends.clear();
        let replied = self.reply.len();
        self.reply.clear();
        trim_idle(&mut self.reply, replied);
        self.next = 0;
    }

    #[inline]
    fn first_arg(&self, command: usize) -> usize {
        command
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize)
    }
}

/// Moves what follows `cut` to the front. The common case, nothing left, moves nothing.
fn drop_front<T>(buffer: &mut Vec<T>, cut: usize) {
    let used = buffer.len();
    buffer.drain(..cut);
    trim_idle(buffer, used);
}

/// Gives memory back when this round used less than a quarter of an oversized buffer. A client that keeps sending
/// big requests keeps its buffer; one that sent a single big one does not.
fn trim_idle<T>(buffer: &mut Vec<T>, used: usize) {
    let oversized = buffer.capacity() * size_of::<T>() > KEEP_BYTES;
    if oversized && used < buffer.capacity() / 4 {
        buffer.shrink_to((KEEP_BYTES / size_of::<T>()).max(used));
    }
}

fn keep_small(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEEP_BYTES {
        *buffer = Vec::new();
    }
}

fn large_heap_bytes(large: &Vec<Vec<u8>>) -> usize {
    large.capacity() * size_of::<Vec<u8>>() + large.iter().map(Vec::capacity).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_buffer_is_viewed_like_a_command() {
        let mut buf = ArgBuf::from_slices(&[b"SET", b"", b"value"]);
        buf.push(&[7; LARGE_ARG_BYTES]);
        let args = buf.args();
        assert_eq!(
            (args.len(), args.get(0), &args[1], args.get(2)),
            (4, &b"SET"[..], &b""[..], &b"value"[..])
        );
        assert_eq!(args.try_get(4), None);
        assert_eq!(
            args.tail(2).iter().map(<[u8]>::len).collect::<Vec<_>>(),
            [5, LARGE_ARG_BYTES]
        );
        assert_eq!(args.tail(9).len(), 0);
        assert_eq!(args.bytes(), 8 + LARGE_ARG_BYTES);
    }

    #[test]
    fn taking_a_large_argument_leaves_an_empty_one() {
        let mut buf = ArgBuf::from_slices(&[b"SET", &[7; LARGE_ARG_BYTES]]);
        assert_eq!(buf.take_large(0), None);
        assert_eq!(buf.take_large(1).map(|arg| arg.len()), Some(LARGE_ARG_BYTES));
        assert_eq!(buf.args().get(1), b"");
    }

    #[test]
    fn what_an_executed_command_had_in_buffers_of_its_own_is_freed_and_nothing_else() {
        let mut batch = Batch::new();
        let big = [7; LARGE_ARG_BYTES];
        for words in [[&b"SET"[..], &big, b"x"], [b"SET", b"k", &big]] {
            batch.push(ArgBuf::from_slices(&words).args(), None);
        }
        batch.free_large(0);
        assert_eq!(batch.command(0).bytes(), 4);
        assert_eq!(batch.command(1).bytes(), 4 + LARGE_ARG_BYTES);
        assert!(batch.heap_bytes() < 2 * LARGE_ARG_BYTES);
    }

    #[test]
    fn a_cleared_buffer_is_small_and_can_be_filled_again() {
        let mut buf = ArgBuf::new();
        for _ in 0..10_000 {
            buf.push(&[1; 100]);
        }
        buf.clear();
        assert!(buf.heap_bytes() <= 2 * KEEP_BYTES, "{}", buf.heap_bytes());
        buf.push(b"again");
        assert_eq!(format!("{:?}", buf.args()), r#"["again"]"#);
    }

    #[test]
    fn a_reset_batch_lets_go_of_oversized_buffers() {
        let mut batch = Batch {
            input: vec![0; 1 << 20],
            reply: vec![0; 1 << 20],
            session: 3,
            ..Batch::new()
        };
        batch.reset();
        assert!(batch.heap_bytes() <= 4 * KEEP_BYTES);
        assert_eq!((batch.session, batch.command_count()), (0, 0));
    }

    #[test]
    fn an_oversized_buffer_is_kept_while_it_is_used_and_trimmed_when_it_is_not() {
        let mut buffer: Vec<u8> = Vec::with_capacity(1 << 20);
        trim_idle(&mut buffer, 900_000);
        assert_eq!(buffer.capacity(), 1 << 20);
        trim_idle(&mut buffer, 10);
        assert!(buffer.capacity() <= KEEP_BYTES);
    }
}
