//! A client's socket, TCP or unix, with the few calls a connection needs.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::task::{Context, Poll};

use tokio::io::{AsyncReadExt, Interest};
use tokio::net::{TcpStream, UnixStream};

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

    /// Ready when there is something to read, or the end. One task at a time: the last one to ask is woken.
    #[inline]
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(cx),
            Stream::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Waits until something can be written.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.writable().await,
            Stream::Unix(stream) => stream.writable().await,
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

    /// Reads up to `limit` bytes onto the end of `buffer`; 0 at the end of the stream. Waits if there is nothing.
    ///
    /// A read that fills less than it was offered also clears the socket's readiness, so the next wait costs no
    /// read that only finds nothing.
    #[inline]
    pub async fn read(&mut self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        use bytes::BufMut;
        let mut target = buffer.limit(limit);
        match self {
            Stream::Tcp(stream) => stream.read_buf(&mut target).await,
            Stream::Unix(stream) => stream.read_buf(&mut target).await,
        }
    }

    /// Writes what the socket takes now.
    #[inline]
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_write(bytes),
            Stream::Unix(stream) => stream.try_write(bytes),
        }
    }
}
