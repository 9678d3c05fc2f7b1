//! Output of a connection that its socket would not take yet.
//!
//! ```text
//!   chunks  [ written | waiting ][ waiting ][ waiting      room ]
//!            `front`                         small replies are added here
//! ```
//!
//! Invariants: no chunk is empty; `front` is less than the first one's length; `len` is what waits in all of them, `held`
//! what their buffers take.
//!
//! Costs: a large reply is moved, a small one copied behind the last. A write takes one chunk.
//! Not here: how much may wait. The executor knows (`Outbox::note_output`) and closes clients.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

use crate::base::size_class::allocated;
use crate::exec::outbox::{Line, Outbox};
use crate::stats::memory::note_thread;

use super::stream::Stream;

/// Replies of this many bytes and more keep their buffer.
const MOVED_BYTES_MIN: usize = 16 * 1024;

/// Small replies are gathered up to this many bytes, so that a write is worth its call.
const CHUNK_BYTES: usize = 64 * 1024;

/// What is written before others get a turn: a client may read as fast as it is written to.
const TURN_BYTES: usize = 256 * 1024;

/// Bytes that wait for room in a socket, in order.
#[derive(Debug, Default)]
pub struct Unwritten {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that are written.
    front: usize,
    len: usize,
    held: usize,
}

impl Unwritten {
    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes that wait, and those that their buffers take.
    #[inline]
    pub fn sizes(&self) -> (usize, usize) {
        let list = allocated(self.chunks.capacity() * size_of::<Vec<u8>>());
        (self.len, self.held + list)
    }

    /// Has `bytes` wait but for the first `written`, which only those can have who are first. May take the buffer.
    pub fn take_in(&mut self, bytes: &mut Vec<u8>, written: usize) {
        debug_assert!(written < bytes.len() && (written == 0 || self.is_empty()));
        let count = bytes.len() - written;
        self.len += count;
        if count >= MOVED_BYTES_MIN {
            if self.chunks.is_empty() {
                self.front = written;
            }
            let mut chunk = std::mem::take(bytes);
            chunk.shrink_to_fit();
            return self.push(chunk);
        }
        let rest = &bytes[written..];
        match self.chunks.back_mut() {
            Some(last) if last.len() + count <= CHUNK_BYTES => {
                self.held -= allocated(last.capacity());
                last.extend_from_slice(rest);
                self.held += allocated(last.capacity());
            }
            _ => self.push(rest.to_vec()),
        }
    }

    fn push(&mut self, chunk: Vec<u8>) {
        self.held += allocated(chunk.capacity());
        self.chunks.push_back(chunk);
    }

    /// Writes until nothing waits any more; pending when the socket takes no more, or others shall have their turn.
    ///
    /// # Errors
    /// What the system says: the peer is gone.
    #[cold]
    pub fn poll_write(
        &mut self,
        stream: &Stream,
        outbox: &Outbox,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let before = self.len;
        let polled = self.poll_chunks(stream, cx);
        if self.len < before {
            // First that it is free, then that it is not held: else keys might go between the two.
            note_thread();
            outbox.note_output(self.sizes());
        }
        polled
    }

    fn poll_chunks(&mut self, stream: &Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let goal = self.len.saturating_sub(TURN_BYTES);
        while let Some(chunk) = self.chunks.front() {
            if self.len <= goal && goal > 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(stream.poll_writable(cx))?;
            match stream.try_write(&chunk[self.front..]) {
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// So many bytes of the first chunk have been written.
    fn advance(&mut self, count: usize) {
        self.len -= count;
        self.front += count;
        let is_written = self.chunks.front().is_some_and(|chunk| self.front >= chunk.len());
        if let Some(done) = is_written.then(|| self.chunks.pop_front()).flatten() {
            self.held -= allocated(done.capacity());
            self.front = 0;
        }
        if self.chunks.is_empty() {
            // A connection that was slow once need not hold a list for ever.
            self.chunks = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes out `step` bytes at a time what a socket would.
    fn drained(unwritten: &mut Unwritten, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(chunk) = unwritten.chunks.front() {
            let waiting = &chunk[unwritten.front..];
            assert!(!waiting.is_empty(), "no chunk is empty");
            let count = step.min(waiting.len());
            out.extend_from_slice(&waiting[..count]);
            unwritten.advance(count);
        }
        assert!(unwritten.is_empty());
        assert_eq!(unwritten.sizes(), (0, 0), "of the list, too");
        out
    }

    #[test]
    fn what_waits_goes_out_in_order_small_and_large() {
        let sizes = [5, 20_000, 1, 16_383, 60_000, 16_384, 70_000, 3, 3];
        for (written, step) in [(0, 1 << 20), (4, 1000), (2, 7)] {
            let mut unwritten = Unwritten::default();
            let mut all = Vec::new();
            for (index, size) in sizes.into_iter().enumerate() {
                let mut bytes: Vec<u8> = (0..size).map(|at| (at + index) as u8).collect();
                let written = if index == 0 { written } else { 0 };
                all.extend_from_slice(&bytes[written..]);
                unwritten.take_in(&mut bytes, written);
                let capacities = unwritten.chunks.iter().map(Vec::capacity);
                let held: usize = capacities.map(allocated).sum();
                assert_eq!((unwritten.len(), unwritten.held), (all.len(), held));
            }
            assert!(drained(&mut unwritten, step) == all);
        }
    }

    #[test]
    fn a_large_reply_of_which_a_part_is_written_is_not_copied() {
        let mut unwritten = Unwritten::default();
        let mut bytes = vec![1; 100_000];
        bytes[99_999] = 2;
        let place = bytes.as_ptr();
        unwritten.take_in(&mut bytes, 50_000);
        assert!(bytes.is_empty());
        assert_eq!(unwritten.chunks[0].as_ptr(), place);
        assert_eq!(unwritten.len(), 50_000);
        assert_eq!(drained(&mut unwritten, 50_000).last(), Some(&2));
    }
}
