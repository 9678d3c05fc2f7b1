//! The way into the executor: mail of connections, listeners, signals and helping threads, in one queue.
//!
//! ```text
//!   connection ── Mail::Batch(Box<Batch>) ──┐
//!   ...                                     ├──> Post ──> queue ──> Mailbox ──> executor
//!   signals, ticks, syncs of the log ───────┘
//! ```
//!
//! One read's worth of commands travels as one boxed batch, moved here and [back](super::outbox), so handing over costs no
//! copy and no allocation. A connection has one batch under way at most and then stops reading its socket: that is the
//! back-pressure, and the queue is no longer than a few letters per connection. What is sent on other occasions is
//! [offered](Post::offer), and there is one [tick](Post::tick) at most: that does not pile up while the executor is busy.
//!
//! Costs: a letter takes and frees a lock that is held for a dozen instructions, a turn of the executor one more (why not a
//! channel of tokio's: docs/decisions).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::resp::Batch;
use crate::session::SessionId;

use super::outbox::Outbox;

/// As long as so many letters wait, nothing more is taken that can be done without.
const OFFERS_MAX: usize = 4096;

/// How many letters the executor takes at once.
pub const DRAIN_MAX: usize = 256;

/// What reaches the executor.
pub enum Mail {
    /// A new connection; the batch comes back with its session and, if it may not stay, an error and `close`.
    Connect(Box<NewClient>),
    /// Commands.
    Batch(SessionId, Box<Batch>),
    /// A connection ends because its input passed `client-query-buffer-limit`.
    Overflow,
    /// A command that is still arriving has grown by much: news for who limits what clients hold.
    Arriving {
        /// Whose.
        client: SessionId,
        /// Bytes of its buffers.
        bytes: usize,
    },
    /// The connection is gone.
    Disconnect(SessionId),
    /// Time for the cron.
    Tick,
    /// The log has been synced: replies may wait for that.
    Synced,
    /// SIGTERM (false) or SIGINT (true).
    Stop {
        /// It was SIGINT.
        interrupt: bool,
    },
}

/// A connection that introduces itself.
pub struct NewClient {
    /// Peer.
    pub addr: String,
    /// Own end.
    pub laddr: String,
    /// File descriptor, for CLIENT LIST.
    pub fd: i32,
    /// Came through the unix socket.
    pub unix: bool,
    /// Peer is this machine.
    pub local: bool,
    /// The way back.
    pub outbox: Arc<Outbox>,
    /// An empty batch that carries the answer.
    pub batch: Box<Batch>,
}

/// Letters that wait, and who waits for them.
#[derive(Default)]
struct Queue {
    letters: VecDeque<Mail>,
    /// A tick waits.
    tick: bool,
    waker: Option<Waker>,
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where letters are posted.
#[derive(Clone)]
pub struct Post(Arc<Mutex<Queue>>);

/// Where they arrive.
pub struct Mailbox(Arc<Mutex<Queue>>);

/// A mailbox, and the way to it.
pub fn mailbox() -> (Post, Mailbox) {
    let queue = Arc::default();
    (Post(Arc::clone(&queue)), Mailbox(queue))
}

impl Post {
    /// Sends a letter.
    #[inline]
    pub fn send(&self, letter: Mail) {
        self.put(|queue| queue.letters.push_back(letter));
    }

    /// Sends a tick. It passes the letters that wait: with thousands of connections at work there are always some, and the
    /// cron must keep its time. One that waits stands for all.
    pub fn tick(&self) {
        self.put(|queue| queue.tick = true);
    }

    #[inline]
    fn put(&self, put: impl FnOnce(&mut Queue)) {
        let mut queue = lock(&self.0);
        put(&mut queue);
        let waker = queue.waker.take();
        drop(queue);
        // Not under the lock: waking a thread is a call of the system.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sends a letter if few wait already; whether it did. Many that wait are as good as this one where only the
    /// executor's attention is wanted.
    pub fn offer(&self, letter: Mail) -> bool {
        let has_room = lock(&self.0).letters.len() < OFFERS_MAX;
        if has_room {
            self.send(letter);
        }
        has_room
    }
}

impl Mailbox {
    /// Adds the letters that wait to `letters`, up to [`DRAIN_MAX`] in all and a tick.
    #[inline]
    pub fn take(&self, letters: &mut Vec<Mail>) {
        Self::take_from(&mut lock(&self.0), letters);
    }

    #[inline]
    fn take_from(queue: &mut Queue, letters: &mut Vec<Mail>) {
        let room = DRAIN_MAX.saturating_sub(letters.len());
        letters.extend(std::mem::take(&mut queue.tick).then_some(Mail::Tick));
        let count = room.min(queue.letters.len());
        letters.extend(queue.letters.drain(..count));
    }

    /// Takes the letters that wait; with none, `cx` is woken when one comes.
    #[inline]
    pub fn poll(&self, cx: &Context<'_>, letters: &mut Vec<Mail>) -> Poll<()> {
        let mut queue = lock(&self.0);
        if queue.letters.is_empty() && !queue.tick {
            queue.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        queue.waker = None;
        Self::take_from(&mut queue, letters);
        Poll::Ready(())
    }

    /// Has this thread sleep until there are letters, which it takes, but not for longer than `patience`.
    pub fn wait(&self, patience: Option<Duration>, letters: &mut Vec<Mail>) {
        let waker = Waker::from(Arc::new(Sleeper(thread::current())));
        let (started, cx) = (Instant::now(), Context::from_waker(&waker));
        while self.poll(&cx, letters).is_pending() {
            let Some(patience) = patience else {
                thread::park();
                continue;
            };
            let left = patience.saturating_sub(started.elapsed());
            if left.is_zero() {
                return;
            }
            thread::park_timeout(left);
        }
    }
}

/// A thread that sleeps.
struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(count: usize) -> Vec<Mail> {
        std::iter::repeat_with(|| Mail::Tick).take(count).collect()
    }

    #[test]
    fn letters_arrive_in_order_and_not_too_many_at_once() {
        let (post, mailbox) = mailbox();
        for slot in 0..300 {
            post.send(Mail::Disconnect(SessionId { slot, client: 0 }));
        }
        let slots = |letters: &[Mail]| -> Vec<u32> {
            let slot = |letter: &Mail| match letter {
                Mail::Disconnect(session) => session.slot,
                _ => panic!("nothing else was sent"),
            };
            letters.iter().map(slot).collect()
        };
        let mut letters = Vec::new();
        mailbox.take(&mut letters);
        assert_eq!(slots(&letters), (0..256).collect::<Vec<_>>());
        letters.truncate(250);
        mailbox.take(&mut letters);
        assert_eq!(slots(&letters[250..]), (256..262).collect::<Vec<_>>());
        letters.clear();
        mailbox.wait(None, &mut letters);
        assert_eq!(slots(&letters), (262..300).collect::<Vec<_>>());
    }

    #[test]
    fn what_can_be_done_without_does_not_pile_up() {
        let (post, mailbox) = mailbox();
        let taken = ticks(OFFERS_MAX + 10)
            .into_iter()
            .filter(|_| post.offer(Mail::Tick))
            .count();
        assert_eq!(taken, OFFERS_MAX);
        post.send(Mail::Synced);
        mailbox.take(&mut Vec::new());
        assert!(post.offer(Mail::Tick));
    }

    #[test]
    fn a_tick_passes_what_waits_and_stands_for_all_ticks_since() {
        let (post, mailbox) = mailbox();
        while post.offer(Mail::Synced) {}
        (0..3).for_each(|_| post.tick());
        let mut letters = Vec::new();
        mailbox.take(&mut letters);
        assert!(matches!(letters[..2], [Mail::Tick, Mail::Synced]));
        assert_eq!(letters.len(), DRAIN_MAX + 1);
        // Also when nothing else can be taken.
        post.tick();
        mailbox.take(&mut letters);
        assert!(matches!(letters[DRAIN_MAX + 1..], [Mail::Tick]));
        while !letters.is_empty() {
            letters.clear();
            mailbox.take(&mut letters);
        }
        post.tick();
        mailbox.wait(None, &mut letters);
        assert!(matches!(letters[..], [Mail::Tick]), "it wakes, too");
    }

    #[test]
    fn who_waits_is_woken_by_a_letter_or_by_the_end_of_patience() {
        let (post, mailbox) = mailbox();
        let mut letters = Vec::new();
        mailbox.wait(Some(Duration::from_millis(1)), &mut letters);
        assert!(letters.is_empty());
        let (asleep, waiting) = std::sync::mpsc::channel();
        let sender = thread::spawn(move || {
            waiting.recv().expect("word");
            post.send(Mail::Tick);
        });
        asleep.send(()).expect("it listens");
        mailbox.wait(None, &mut letters);
        assert_eq!(letters.len(), 1);
        sender.join().expect("sent");
    }
}
