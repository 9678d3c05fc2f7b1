//! A client's socket, TCP or unix, with the few calls a connection needs.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use rustix::buffer::spare_capacity;
use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use crate::exec::outbox::Line;

/// A connected socket.
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

impl Stream {
    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        match self {
            Stream::Tcp(stream) => stream.as_raw_fd(),
            Stream::Unix(stream) => stream.as_raw_fd(),
        }
    }

    /// Another descriptor of the same socket.
    ///
    /// # Errors
    /// What the system says against one more.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        match self {
            Stream::Tcp(stream) => stream.as_fd().try_clone_to_owned(),
            Stream::Unix(stream) => stream.as_fd().try_clone_to_owned(),
        }
    }

    /// Ready when there is something to read, or the end. One task at a time: the last one to ask is woken.
    #[inline]
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(cx),
            Stream::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Ready when something can be written. One task at a time, as for reading.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_write_ready(cx),
            Stream::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    /// Waits until the peer sends no more, whether or not all it has sent was read.
    pub async fn hung_up(&self) -> io::Result<()> {
        // Of what it stands for, only the peer's end comes to a socket without urgent data.
        const END: Interest = Interest::PRIORITY;
        match self {
            Stream::Tcp(stream) => stream.ready(END).await.map(drop),
            Stream::Unix(stream) => stream.ready(END).await.map(drop),
        }
    }

    /// Reads up to `limit` bytes onto the end of `buffer` without waiting; 0 at the end of the stream.
    ///
    /// A read that fills less than it was offered found all there was: it clears the socket's readiness as if it had
    /// found nothing, so that the next wait costs no read in vain. (tokio's own reads do so too.)
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; what the system says.
    #[inline]
    pub fn try_read(&self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let room = buffer.capacity() - buffer.len();
        if room > limit {
            return self.try_read_within(buffer, limit);
        }
        let mut found = None;
        let done = self.try_io(Interest::READABLE, |socket| {
            let (read, _) =
                retry_on_intr(|| rustix::net::recv(socket, spare_capacity(buffer), RecvFlags::empty()))?;
            found = Some(read);
            if read == 0 || read == room {
                Ok(read)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            }
        });
        found.map_or(done, Ok)
    }

    /// The same for a buffer that has more room than may be filled.
    fn try_read_within(&self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let mut target = bytes::BufMut::limit(buffer, limit);
        match self {
            Stream::Tcp(stream) => stream.try_read_buf(&mut target),
            Stream::Unix(stream) => stream.try_read_buf(&mut target),
        }
    }

    /// Makes the call `act`, which reads or writes, if the socket is ready for it.
    ///
    /// The calls go to the kernel through rustix: libc's are cancellation points, and pay for it in a process of more
    /// than one thread (3% of a small request).
    #[inline]
    fn try_io<T>(
        &self,
        interest: Interest,
        act: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        match self {
            Stream::Tcp(stream) => stream.try_io(interest, || act(stream.as_fd())),
            Stream::Unix(stream) => stream.try_io(interest, || act(stream.as_fd())),
        }
    }
}

impl Line for Stream {
    #[inline]
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, |socket| {
            Ok(retry_on_intr(|| {
                rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)
            })?)
        })
    }
}
