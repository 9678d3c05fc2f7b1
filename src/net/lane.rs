//! I/O threads ("lanes"): each has its own single-threaded runtime and holds its share of the connections.
//!
//! Lane 0 is the executor's own thread when it does I/O too (`io-threads 1`). Replies for other lanes go back at the end
//! of each drain through one channel per lane, so that a drain costs each lane one wake-up, not one per connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::exec::Finished;
use crate::exec::mailbox::Post;

use super::conn::{self, Birth};
use super::limits::SharedLimits;

/// What a lane is sent.
pub enum Errand {
    /// A socket to serve. It is registered with the lane's own runtime.
    Adopt(Box<Adoption>),
    /// Batches to hand to their connections.
    Deliver(Vec<Finished>),
}

/// A socket on its way to a lane, in non-blocking mode and not registered anywhere.
pub struct Adoption {
    /// The socket.
    pub socket: RawSocket,
    /// Peer's address.
    pub addr: String,
    /// Own address.
    pub laddr: String,
    /// Whether the peer is this machine.
    pub local: bool,
}

/// A socket of the standard library.
pub enum RawSocket {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// Unix.
    Unix(std::os::unix::net::UnixStream),
}

impl Adoption {
    /// Registers the socket with the runtime this runs on.
    fn birth(self) -> std::io::Result<Birth> {
        use super::stream::Stream;
        let stream = match self.socket {
            RawSocket::Tcp(socket) => Stream::Tcp(tokio::net::TcpStream::from_std(socket)?),
            RawSocket::Unix(socket) => Stream::Unix(tokio::net::UnixStream::from_std(socket)?),
        };
        Ok(Birth {
            stream,
            addr: self.addr,
            laddr: self.laddr,
            local: self.local,
        })
    }
}

/// All lanes, as listeners and the executor see them.
#[derive(Clone)]
pub struct Lanes {
    senders: Arc<Vec<UnboundedSender<Errand>>>,
    /// Lane number of the first sender: 0 when the executor's thread does I/O, else 1.
    first: usize,
    next: Arc<AtomicUsize>,
}

impl Lanes {
    /// `count` lanes numbered from `first`, with the receivers their threads run.
    pub fn new(count: usize, first: usize) -> (Lanes, Vec<UnboundedReceiver<Errand>>) {
        let (senders, receivers) = (0..count).map(|_| unbounded_channel()).unzip();
        (
            Lanes {
                senders: Arc::new(senders),
                first,
                next: Arc::default(),
            },
            receivers,
        )
    }

    /// Gives a socket to the next lane in turn.
    pub fn adopt(&self, adoption: Adoption) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.senders.len();
        // A lane ends only with the server; the socket is closed then.
        let _ = self.senders[turn].send(Errand::Adopt(Box::new(adoption)));
    }

    /// Hands finished batches to their lanes, with one message to each.
    pub fn deliver(&self, finished: impl Iterator<Item = Finished>) {
        let mut per_lane: Vec<Vec<Finished>> = self.senders.iter().map(|_| Vec::new()).collect();
        for batch in finished {
            per_lane[batch.lane() - self.first].push(batch);
        }
        for (sender, batches) in self.senders.iter().zip(per_lane) {
            if !batches.is_empty() {
                let _ = sender.send(Errand::Deliver(batches));
            }
        }
    }
}

/// Runs a lane's errands on the runtime this is polled on, until the server ends.
pub async fn run(lane: usize, mut errands: UnboundedReceiver<Errand>, mail: Post, limits: Arc<SharedLimits>) {
    while let Some(errand) = errands.recv().await {
        match errand {
            Errand::Deliver(batches) => batches.into_iter().for_each(Finished::deliver),
            Errand::Adopt(adoption) => match adoption.birth() {
                Ok(birth) => {
                    tokio::spawn(conn::serve(birth, lane, mail.clone(), Arc::clone(&limits)));
                }
                Err(error) => tracing::warn!("Could not serve a new connection: {error}"),
            },
        }
    }
}
