//! The way back from the executor: one slot per connection.
//!
//! ```text
//!   executor ── Box<Batch>, pushes, a close request ──> Outbox ──> connection
//!                                                          └─────> its socket, if the connection need not see it
//! ```
//!
//! Pushes keep their place among the replies. Each says behind how many of the connection's batches it comes; the
//! connection counts the batches it takes:
//!
//! ```text
//!   pushes  [ ahead of the batch under way | behind its replies ]
//! ```
//!
//! A connection that has nothing else to do than to write the replies need not wake for that: the batch says so, and
//! whoever delivers it (on the connection's own thread) writes them. Few requests at a time are so served with one turn
//! of their connection's task instead of two.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::base::size_class::allocated;
use crate::resp::{Batch, KEEP_BYTES, pool};
use crate::session::{Outlet, SessionId};
use crate::stats::memory::note_thread;

/// A connection's socket, as far as replies need it.
pub trait Line: Send + Sync {
    /// Writes what the socket takes now.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; what the system says.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

/// What the executor hands back to a connection.
#[derive(Default)]
struct Slot {
    /// Where replies can be written without the connection, while that lives.
    line: Option<Arc<dyn Line>>,
    /// The connection is awake and takes the batch under way itself, whatever the batch says.
    attended: bool,
    /// The batch under way was answered without the connection: whether the client is authenticated.
    answered: Option<bool>,
    batch: Option<Box<Batch>>,
    session: Option<SessionId>,
    pushes: Vec<u8>,
    /// How many of the pushed bytes come before the next batch.
    ahead: usize,
    /// Batches the connection has taken.
    batches_taken: u64,
    /// Bytes of the buffer with replies that is on its way to another thread, when they are many.
    under_way: usize,
    /// Bytes the connection has taken last and not told what became of them, of replies only when they are many; and those
    /// that their buffer takes.
    writing: (usize, usize),
    /// Bytes that it could not write yet, and those that their buffers take.
    unwritten: (usize, usize),
    close: bool,
    /// The batch under way waits for the end of a pause, and the connection has not been told.
    held: bool,
    /// The connection is to give back what its read buffer has free.
    trim: bool,
    input_used: usize,
    input_free: usize,
    waker: Option<Waker>,
    lending: Lending,
}

/// The connection's socket on its way to the executor, which speaks over it itself while a script is debugged.
#[derive(Default)]
enum Lending {
    /// Nobody wants it.
    #[default]
    No,
    /// The executor does.
    Asked,
    /// It has come, or cannot.
    Lent(io::Result<OwnedFd>),
}

impl Slot {
    /// Bytes of pushes and replies that are not written yet.
    fn output_bytes(&self) -> usize {
        let replies = self.batch.as_ref().map_or(0, |batch| batch.reply.len());
        self.pushes.len() + replies + self.writing.0 + self.unwritten.0
    }

    /// Bytes of all buffers that hold what is not written or not executed yet.
    fn held_bytes(&self) -> usize {
        let replies = self.batch.as_deref().map_or(0, reply_bytes);
        let output = allocated(self.pushes.capacity()) + replies + self.writing.1 + self.unwritten.1;
        self.under_way + output + self.input_used + self.input_free
    }

    /// Writes the replies of a batch whose connection need not see it; comes back if it must.
    #[inline]
    fn answer(&mut self, mut batch: Box<Batch>) -> Option<Box<Batch>> {
        let direct = batch.direct && !self.attended && self.ahead == 0;
        let (true, Some(line)) = (direct && batch.is_done() && !is_noted(&batch.reply), &self.line) else {
            return Some(batch);
        };
        if !batch.reply.is_empty() {
            match line.try_write(&batch.reply) {
                Ok(written) if written == batch.reply.len() => {}
                // Whatever is wrong, the connection will find out.
                written => {
                    batch.reply.drain(..written.unwrap_or(0));
                    return Some(batch);
                }
            }
        }
        self.answered = Some(batch.authenticated);
        self.batches_taken += 1;
        self.ahead = self.pushes.len();
        pool::put(batch);
        None
    }

    /// Wakes the connection for what comes behind the batch it has just heard of. One wake-up brings one delivery, and the
    /// next batch may be sent before the connection asks again: what nobody has woken it for would wait until that is back.
    #[inline]
    fn wake_for_pushes(&self) {
        if self.ahead > 0 {
            wake(self);
        }
    }

    /// Notes whom to wake. It is mostly the same, and cloning costs.
    #[inline]
    fn remember(&mut self, cx: &Context<'_>) {
        let known = self.waker.as_ref();
        if !known.is_some_and(|known| known.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    /// The pushes that come before the next batch.
    fn take_ahead(&mut self) -> Vec<u8> {
        let behind = self.pushes.split_off(self.ahead);
        let ahead = std::mem::replace(&mut self.pushes, behind);
        self.ahead = 0;
        self.writing = (ahead.len(), allocated(ahead.capacity()));
        ahead
    }
}

/// A connection's way back.
pub struct Outbox {
    /// Which I/O thread holds the connection; 0 is the executor's own.
    pub lane: usize,
    slot: Mutex<Slot>,
}

/// What a waiting connection is woken for.
pub enum Delivery {
    /// Its batch, with replies.
    Batch(Box<Batch>),
    /// Bytes nobody asked for.
    Pushes(Vec<u8>),
    /// Word that its batch has been answered without it; whether the client is authenticated.
    Answered(bool),
    /// Word that its batch will be long, because the executor holds it back.
    Held,
    /// It is to give back what the read buffer of a command that is still arriving has free.
    Trim,
    /// It must close.
    Close,
}

impl Outbox {
    /// An outbox of a connection on I/O thread `lane`. Replies may be written to `line`, on that thread.
    pub fn new(lane: usize, line: Option<Arc<dyn Line>>) -> Arc<Outbox> {
        let slot = Slot {
            line,
            ..Slot::default()
        };
        Arc::new(Outbox {
            lane,
            slot: Mutex::new(slot),
        })
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the batch back and wakes the connection, unless that is to close: nobody would take it. A connection that
    /// need not see it is answered instead; then this is its thread.
    #[inline]
    pub fn deliver(&self, batch: Box<Batch>) {
        let mut slot = self.slot();
        if slot.close {
            // It counts as held until it is known to be free.
            drop(batch);
            note_thread();
            slot.under_way = 0;
            return;
        }
        slot.under_way = 0;
        slot.held = false;
        slot.batch = slot.answer(batch);
        slot.attended = false;
        if slot.batch.is_some() || slot.ahead > 0 {
            wake(&slot);
        }
    }

    /// The connection has something to do for which it must have the batch under way itself.
    pub fn attend(&self) {
        self.slot().attended = true;
    }

    /// Notes that a batch is handed to the thread of the connection, which will deliver it.
    #[inline]
    pub(super) fn note_under_way(&self, batch: &Batch) {
        if is_noted(&batch.reply) {
            self.slot().under_way = reply_bytes(batch);
        }
    }

    /// Tells the connection that its batch is held back.
    pub fn note_held(&self) {
        let mut slot = self.slot();
        slot.held = true;
        wake(&slot);
    }

    /// Tells the connection which session is its own.
    pub fn introduce(&self, session: SessionId) {
        self.slot().session = Some(session);
    }

    /// The connection's session, once it has one.
    pub fn session(&self) -> Option<SessionId> {
        self.slot().session
    }

    /// Asks the connection for its socket, unless it is here; whether it is, or cannot be had. It comes with the batch
    /// under way once that has been given back unfinished, and what was answered has been written.
    pub fn ask_for_socket(&self) -> bool {
        let mut slot = self.slot();
        let is_here = matches!(slot.lending, Lending::Lent(_));
        if !is_here {
            slot.lending = Lending::Asked;
        }
        is_here
    }

    /// Whether the executor asks for the socket.
    pub fn is_asked_for_socket(&self) -> bool {
        matches!(self.slot().lending, Lending::Asked)
    }

    /// Lends another descriptor of the socket, or says why not.
    pub fn lend_socket(&self, socket: io::Result<OwnedFd>) {
        self.slot().lending = Lending::Lent(socket);
    }

    /// Takes the socket, if it is here; an error when it cannot be had.
    pub fn take_socket(&self) -> Option<io::Result<OwnedFd>> {
        match std::mem::take(&mut self.slot().lending) {
            Lending::Lent(socket) => Some(socket),
            _ => None,
        }
    }

    /// Notes what the connection's read buffer holds and has free while a command is arriving.
    pub fn note_input(&self, (used, free): (usize, usize)) {
        let mut slot = self.slot();
        slot.input_used = used;
        slot.input_free = free;
    }

    /// What the connection has taken is written but for so many bytes, in buffers that take so many.
    pub fn note_output(&self, unwritten: (usize, usize)) {
        let mut slot = self.slot();
        slot.writing = (0, 0);
        slot.unwritten = unwritten;
    }

    /// The connection has let go of its buffers. It stays in the books until then, closed or not.
    pub fn note_end(&self) {
        self.note_output((0, 0));
        self.note_input((0, 0));
        self.slot().line = None;
    }

    /// What waits for the connection; with none, `cx` is woken when something comes.
    #[inline]
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Delivery> {
        let mut slot = self.slot();
        if slot.close {
            return Poll::Ready(Delivery::Close);
        }
        if let Some(authenticated) = slot.answered.take() {
            slot.wake_for_pushes();
            return Poll::Ready(Delivery::Answered(authenticated));
        }
        if slot.ahead > 0 {
            return Poll::Ready(Delivery::Pushes(slot.take_ahead()));
        }
        if let Some(batch) = slot.batch.take() {
            slot.batches_taken += 1;
            if is_noted(&batch.reply) {
                slot.writing = (batch.reply.len(), reply_bytes(&batch));
            }
            slot.ahead = slot.pushes.len();
            slot.wake_for_pushes();
            return Poll::Ready(Delivery::Batch(batch));
        }
        if std::mem::take(&mut slot.held) {
            return Poll::Ready(Delivery::Held);
        }
        if std::mem::take(&mut slot.trim) {
            return Poll::Ready(Delivery::Trim);
        }
        slot.remember(cx);
        Poll::Pending
    }
}

impl Outbox {
    /// Whether the connection must close; if not, `cx` is woken when anything comes.
    pub fn poll_close(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut slot = self.slot();
        if slot.close {
            return Poll::Ready(());
        }
        slot.remember(cx);
        Poll::Pending
    }
}

/// Whether replies are so many bytes that they count until the connection says that they are written. Few are as good as
/// written: mostly the socket takes them at once, and the connection speaks up only when it does not.
#[inline]
pub fn is_noted(reply: &[u8]) -> bool {
    const NOTED_BYTES_MIN: usize = 16 * 1024;
    reply.len() >= NOTED_BYTES_MIN
}

/// What the replies of a batch take: for few the buffer is the pool's, which the connections share, unless it is larger
/// than that would keep.
#[inline]
pub(super) fn reply_bytes(batch: &Batch) -> usize {
    let capacity = batch.reply.capacity();
    if is_noted(&batch.reply) || capacity > KEEP_BYTES {
        allocated(capacity)
    } else {
        batch.reply.len()
    }
}

/// Wakes the connection. Its waker stays, so that the next wait need not clone it again; waking under the lock is
/// sound, since a waker only puts its task on a queue.
#[inline]
fn wake(slot: &Slot) {
    if let Some(waker) = &slot.waker {
        waker.wake_by_ref();
    }
}

impl Outlet for Outbox {
    fn push(&self, bytes: &[u8], after: u64) -> usize {
        let mut slot = self.slot();
        if slot.close {
            return 0;
        }
        slot.pushes.extend_from_slice(bytes);
        // At most one batch is under way: what is not behind its replies goes out now.
        if after <= slot.batches_taken {
            slot.ahead = slot.pushes.len();
            wake(&slot);
        }
        slot.output_bytes()
    }

    fn close(&self) {
        let mut slot = self.slot();
        slot.close = true;
        slot.pushes = Vec::new();
        slot.ahead = 0;
        // The connection would drop it, but may come to that only when keys have gone for want of memory.
        slot.batch = None;
        wake(&slot);
    }

    fn trim(&self) {
        let mut slot = self.slot();
        slot.trim = true;
        wake(&slot);
    }

    fn queued_bytes(&self) -> usize {
        self.slot().output_bytes()
    }

    fn input_bytes(&self) -> (usize, usize) {
        let slot = self.slot();
        (slot.input_used, slot.input_free)
    }

    fn held_bytes(&self) -> usize {
        self.slot().held_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    fn poll(outbox: &Outbox) -> Poll<Delivery> {
        outbox.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[track_caller]
    fn pushes(outbox: &Outbox, expected: &[u8]) {
        assert!(matches!(poll(outbox), Poll::Ready(Delivery::Pushes(bytes)) if bytes == expected));
        outbox.note_output((0, 0));
    }

    #[test]
    fn pushes_keep_their_place_among_batches() {
        let outbox = Outbox::new(0, None);
        assert!(poll(&outbox).is_pending());
        outbox.push(b"before ", 0);
        outbox.push(b"behind ", 1);
        outbox.deliver(Box::default());
        outbox.push(b"too", 1);
        pushes(&outbox, b"before ");
        assert!(matches!(poll(&outbox), Poll::Ready(Delivery::Batch(_))));
        outbox.push(b", before the second ", 1);
        outbox.push(b"behind it", 2);
        pushes(&outbox, b"behind too, before the second ");
        assert!(poll(&outbox).is_pending(), "the second batch is still under way");
        outbox.deliver(Box::default());
        assert!(matches!(poll(&outbox), Poll::Ready(Delivery::Batch(_))));
        pushes(&outbox, b"behind it");
    }

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_takes_a_batch_is_woken_again_for_what_comes_behind_it() {
        let (outbox, _) = with_socket(100);
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let poll = || outbox.poll(&mut Context::from_waker(&waker));
        assert!(poll().is_pending());
        for (number, batch) in [(1, direct(b"+OK")), (2, Box::default())] {
            outbox.push(b"behind", number);
            outbox.deliver(batch);
            let rings = bell.0.swap(0, Ordering::SeqCst);
            assert_eq!(rings, 1);
            assert!(matches!(
                poll(),
                Poll::Ready(Delivery::Answered(_) | Delivery::Batch(_))
            ));
            assert_eq!(bell.0.swap(0, Ordering::SeqCst), 1, "for the push");
            pushes(&outbox, b"behind");
        }
        outbox.deliver(Box::default());
        assert!(matches!(poll(), Poll::Ready(Delivery::Batch(_))));
        assert_eq!(bell.0.load(Ordering::SeqCst), 1, "nothing comes behind");
    }

    /// A socket that takes so many bytes and keeps what it was given.
    struct Socket {
        room: usize,
        written: Mutex<Vec<u8>>,
    }

    impl Line for Socket {
        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.written.lock().expect("one thread");
            let count = bytes.len().min(self.room - written.len());
            written.extend_from_slice(&bytes[..count]);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(count)
        }
    }

    fn with_socket(room: usize) -> (Arc<Outbox>, Arc<Socket>) {
        let written = Mutex::default();
        let socket = Arc::new(Socket { room, written });
        (Outbox::new(0, Some(Arc::clone(&socket) as Arc<dyn Line>)), socket)
    }

    fn direct(reply: &[u8]) -> Box<Batch> {
        let mut batch = Box::<Batch>::default();
        batch.reply.extend_from_slice(reply);
        batch.direct = true;
        batch.authenticated = true;
        batch
    }

    /// The reply the connection is left to write.
    fn left(outbox: &Outbox) -> Vec<u8> {
        match poll(outbox) {
            Poll::Ready(Delivery::Batch(batch)) => batch.reply,
            _ => panic!("the batch comes back"),
        }
    }

    #[test]
    fn a_batch_whose_connection_need_not_see_it_is_answered_without() {
        let (outbox, socket) = with_socket(100);
        outbox.push(b"behind", 1);
        outbox.deliver(direct(b"+OK"));
        assert_eq!(*socket.written.lock().expect("one thread"), b"+OK");
        assert!(matches!(poll(&outbox), Poll::Ready(Delivery::Answered(true))));
        pushes(&outbox, b"behind");
        assert!(poll(&outbox).is_pending());
        outbox.deliver(direct(b""));
        assert!(
            matches!(poll(&outbox), Poll::Ready(Delivery::Answered(true))),
            "CLIENT REPLY OFF"
        );
    }

    #[test]
    fn a_connection_that_must_see_its_batch_gets_what_is_left_to_write() {
        let (outbox, _) = with_socket(2);
        outbox.deliver(direct(b"+OK"));
        assert_eq!(left(&outbox), b"K");
        outbox.deliver(direct(b"+OK"));
        assert_eq!(left(&outbox), b"+OK");
        let (outbox, socket) = with_socket(100);
        outbox.attend();
        outbox.deliver(direct(b"attended"));
        assert_eq!(left(&outbox), b"attended");
        outbox.push(b"ahead", 1);
        outbox.deliver(direct(b"second"));
        pushes(&outbox, b"ahead");
        assert_eq!(left(&outbox), b"second");
        let mut last = direct(b"last");
        last.close = true;
        outbox.deliver(last);
        assert_eq!(left(&outbox), b"last");
        outbox.note_end();
        outbox.deliver(direct(b"gone"));
        assert_eq!(left(&outbox), b"gone");
        assert!(socket.written.lock().expect("one thread").is_empty());
    }

    #[test]
    fn bytes_count_until_they_are_written_and_a_close_drops_them() {
        let outbox = Outbox::new(0, None);
        assert_eq!(outbox.push(b"push", 0), 4);
        assert!(matches!(poll(&outbox), Poll::Ready(Delivery::Pushes(_))));
        assert_eq!(outbox.push(b"late", 0), 8);
        outbox.note_output((3, 3));
        assert_eq!(outbox.queued_bytes(), 7);
        outbox.note_output((0, 0));
        assert_eq!(outbox.queued_bytes(), 4);
        outbox.deliver(Box::default());
        outbox.close();
        assert!(matches!(poll(&outbox), Poll::Ready(Delivery::Close)));
        assert_eq!((outbox.push(b"more", 0), outbox.queued_bytes()), (0, 0));
    }

    #[test]
    fn of_a_closed_connection_counts_what_it_holds_itself_until_it_lets_go() {
        let replies = |len| {
            let mut batch = Box::<Batch>::default();
            batch.reply = vec![b'x'; len];
            batch
        };
        let outbox = Outbox::new(0, None);
        outbox.note_output((20, 30));
        outbox.note_input((5, 2));
        outbox.deliver(replies(20_000));
        assert_eq!(outbox.held_bytes(), 20_517);
        outbox.close();
        assert_eq!(outbox.held_bytes(), 37);
        outbox.deliver(replies(20_000));
        assert_eq!(outbox.held_bytes(), 37, "too late");
        outbox.note_end();
        assert_eq!(outbox.held_bytes(), 0);
    }
}
