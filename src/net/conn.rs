//! A connection: read, parse, hand over, write, again.
//!
//! ```text
//!   idle (no batch) ──readable──> read ──> parse ──commands──> mailbox ──> replies ──> write ──┐
//!      ^   ^──pushes: write        ^ │       └──nothing whole yet──> read more                 │
//!      └──────────nothing there────┼─┘                                                         │
//!                                  └──────────────── nothing left over ────────────────────────┘
//! ```
//!
//! At most one batch is under way. A client that does not read its replies is served on: what the socket does not take
//! waits in [`Unwritten`] and goes out whenever there is room, while the connection reads, waits or serves. What may pile
//! up there is for `client-output-buffer-limit` and `maxmemory-clients` to say (docs/decisions).

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::exec::mailbox::{Mail, NewClient, Post};
use crate::exec::outbox::{Delivery, Line, Outbox, is_noted};
use crate::resp::{Batch, Parsed, Parser, pool};
use crate::session::SessionId;
use crate::stats::memory::note_thread;

use super::limits::SharedLimits;
use super::stream::Stream;
use super::unwritten::Unwritten;

/// Least room for a read.
const READ_BYTES: usize = 16 * 1024;

/// What is worth telling of a command that is arriving: by how much it has grown, at least.
const NEWS_BYTES: usize = 32 * 1024;

/// What a connection is told at birth.
pub struct Birth {
    /// Its socket.
    pub stream: Stream,
    /// Peer's address.
    pub addr: String,
    /// Own address.
    pub laddr: String,
    /// Whether the peer is this machine.
    pub local: bool,
}

/// Why a connection ends.
enum End {
    /// The server closed it, or the peer is gone.
    Closed,
    /// The peer sends no more, but may still read.
    NoMoreInput,
    /// The socket failed.
    Broken,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Broken
    }
}

/// The bytes of a delivery to a connection whose batch is at hand.
fn unasked(delivery: Delivery) -> Result<Vec<u8>, End> {
    match delivery {
        Delivery::Pushes(bytes) => Ok(bytes),
        // Between two commands there is nothing to trim.
        Delivery::Trim | Delivery::Held => Ok(Vec::new()),
        Delivery::Close => Err(End::Closed),
        Delivery::Batch(_) | Delivery::Answered(_) => unreachable!("no batch is under way"),
    }
}

/// Counts what was read; whether more may be there.
#[inline]
fn note_read(batch: &mut Batch, read: usize, room: usize) -> Result<bool, End> {
    if read == 0 {
        return Err(End::NoMoreInput);
    }
    batch.bytes_read += read;
    batch.reads += 1;
    Ok(read == room)
}

/// Serves one connection until it ends.
pub async fn serve(birth: Birth, lane: usize, mail: Post, limits: Arc<SharedLimits>) {
    let stream = Arc::new(birth.stream);
    let outbox = Outbox::new(lane, Some(Arc::clone(&stream) as Arc<dyn Line>));
    let new = NewClient {
        addr: birth.addr,
        laddr: birth.laddr,
        fd: stream.fd(),
        unix: matches!(*stream, Stream::Unix(_)),
        local: birth.local,
        outbox: Arc::clone(&outbox),
        batch: pool::take(),
    };
    let mut conn = Conn {
        stream,
        parser: Parser::new(),
        unwritten: Unwritten::default(),
        outbox,
        mail,
        limits,
        session: SessionId {
            slot: u32::MAX,
            client: 0,
        },
        authenticated: false,
        reported: 0,
    };
    conn.mail.send(Mail::Connect(Box::new(new)));
    if let Err(End::NoMoreInput) = conn.run().await {
        let _ = conn.write_all().await;
    }
    conn.let_go();
    if let Some(session) = conn.outbox.session() {
        conn.mail.send(Mail::Disconnect(session));
    }
}

struct Conn {
    stream: Arc<Stream>,
    parser: Parser,
    unwritten: Unwritten,
    outbox: Arc<Outbox>,
    mail: Post,
    limits: Arc<SharedLimits>,
    session: SessionId,
    authenticated: bool,
    /// What was last told of a command that is arriving, in bytes.
    reported: usize,
}

impl Conn {
    /// Frees what waits to be written before the farewell, which itself may have to wait.
    fn let_go(&mut self) {
        self.unwritten = Unwritten::default();
        self.parser = Parser::new();
        note_thread();
        self.outbox.note_end();
    }

    async fn run(&mut self) -> Result<(), End> {
        let greeting = self.returned(false).await?;
        if let Some(session) = self.outbox.session() {
            self.session = session;
        }
        if let Some(greeting) = greeting {
            pool::put(self.write_replies(greeting).await?);
        }
        loop {
            self.idle().await?;
            while self.busy().await? {}
        }
    }

    /// Waits for input; writes pushes meanwhile.
    async fn idle(&mut self) -> Result<(), End> {
        while let Some(delivery) = self.input_or_delivery().await? {
            self.write_pushes(unasked(delivery)?).await?;
        }
        Ok(())
    }

    /// Waits for input (`None`) or a delivery.
    #[inline]
    async fn input_or_delivery(&mut self) -> io::Result<Option<Delivery>> {
        poll_fn(|cx| match self.poll_delivery(cx) {
            Poll::Ready(delivery) => Poll::Ready(delivery.map(Some)),
            Poll::Pending => self.stream.poll_readable(cx).map_ok(|()| None),
        })
        .await
    }

    /// A delivery; meanwhile what waits to be written goes out.
    #[inline]
    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Delivery>> {
        if !self.unwritten.is_empty()
            && let Poll::Ready(Err(error)) = self.unwritten.poll_write(&self.stream, &self.outbox, cx)
        {
            return Poll::Ready(Err(error));
        }
        self.outbox.poll(cx).map(Ok)
    }

    /// Reads and serves until nothing is left over; whether there was anything. It is mostly input that wakes a connection
    /// whose batch was answered without it: to read is the shortest way to know.
    #[inline]
    async fn busy(&mut self) -> Result<bool, End> {
        let mut batch = pool::take();
        let Some(mut more) = self.read_now(&mut batch)? else {
            pool::put(batch);
            return Ok(false);
        };
        loop {
            let parsed = self
                .parser
                .parse(&mut batch, &self.limits.parser(self.authenticated));
            if matches!(parsed, Parsed::Overflow) {
                self.mail.send(Mail::Overflow);
                tracing::warn!("Closing client that reached max query buffer length");
                return Err(End::Closed);
            }
            let full = matches!(parsed, Parsed::Full);
            if batch.command_count() > 0 || batch.error.is_some() {
                batch.direct = !full && !more && self.parser.is_idle(&batch);
                match self.exchange(batch).await? {
                    Some(answered) => batch = answered,
                    None => return Ok(true),
                }
                self.parser.recycle(&mut batch);
            }
            if !full && batch.is_unused() && !more {
                pool::put(batch);
                // A large buffer is free now.
                note_thread();
                return Ok(true);
            }
            if !full {
                more = self.read_rest(&mut batch).await?;
            }
        }
    }

    /// Reads on; others can see meanwhile what has arrived of a command.
    async fn read_rest(&mut self, batch: &mut Batch) -> Result<bool, End> {
        if batch.is_unused() {
            return self.read(batch).await;
        }
        self.parser.read_target(batch);
        let (used, free) = self.parser.arriving_bytes(batch);
        self.outbox.note_input((used, free));
        self.report(used + free, NEWS_BYTES);
        note_thread();
        let more = self.read(batch).await;
        self.outbox.note_input((0, 0));
        more
    }

    /// Tells the executor when what has arrived of a command has grown by so much, if it wants to know.
    #[inline]
    fn report(&mut self, bytes: usize, growth_min: usize) {
        if bytes >= NEWS_BYTES && self.limits.counts_clients() {
            self.report_growth(bytes, growth_min);
        }
    }

    fn report_growth(&mut self, bytes: usize, growth_min: usize) {
        if bytes < self.reported {
            self.reported = 0;
        }
        let client = self.session;
        // If it is not taken, there will be more to tell.
        if bytes - self.reported >= growth_min && self.mail.offer(Mail::Arriving { client, bytes }) {
            self.reported = bytes;
        }
    }

    /// One read to where the parser wants it; whether it filled all it was offered, so that more may be there.
    /// Writes pushes while it waits: half a command may be all there is for long.
    async fn read(&mut self, batch: &mut Batch) -> Result<bool, End> {
        loop {
            if let Some(more) = self.read_now(batch)? {
                return Ok(more);
            }
            batch.trim_reply();
            note_thread();
            let (used, free) = self.parser.arriving_bytes(batch);
            self.report(used + free, 1);
            match self.input_or_delivery().await? {
                None => {}
                Some(Delivery::Trim) => self.doze(batch).await?,
                Some(other) => self.write_pushes(unasked(other)?).await?,
            }
        }
    }

    /// The same without waiting; `None` when nothing is there.
    #[inline]
    fn read_now(&mut self, batch: &mut Batch) -> Result<Option<bool>, End> {
        let target = self.parser.read_target(batch);
        if target.buf.capacity() - target.buf.len() < target.limit.min(READ_BYTES) {
            target.buf.reserve(target.limit.min(READ_BYTES));
        }
        let room = target.limit.min(target.buf.capacity() - target.buf.len());
        match self.stream.try_read(target.buf, room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            read => note_read(batch, read?, room).map(Some),
        }
    }

    /// Waits for more without room for it.
    async fn doze(&mut self, batch: &mut Batch) -> Result<(), End> {
        batch.trim_input();
        self.outbox.note_input(self.parser.arriving_bytes(batch));
        self.idle().await
    }

    /// Has the batch executed, all of it, and its replies written; `None` when it has gone to the pool already.
    async fn exchange(&mut self, mut batch: Box<Batch>) -> Result<Option<Box<Batch>>, End> {
        loop {
            batch.direct &= self.unwritten.is_empty();
            let direct = batch.direct;
            self.send(batch);
            let Some(back) = self.returned(direct).await? else {
                // Nothing of a next command was in it.
                self.parser = Parser::new();
                return Ok(None);
            };
            batch = self.write_replies(back).await?;
            if batch.is_done() {
                return Ok(Some(batch));
            }
            if self.outbox.is_asked_for_socket() {
                self.lend_socket().await?;
                // What comes meanwhile is not for this connection.
                batch.direct = false;
            }
        }
    }

    /// Lends the socket to the executor: with the rest of the batch, and with nothing of what came before left to write.
    #[cold]
    async fn lend_socket(&mut self) -> Result<(), End> {
        self.write_all().await?;
        self.outbox.note_output((0, 0));
        self.outbox.lend_socket(self.stream.duplicate());
        Ok(())
    }

    #[inline]
    fn send(&mut self, mut batch: Box<Batch>) {
        batch.unwritten = self.unwritten.len();
        note_thread();
        self.mail.send(Mail::Batch(self.session, batch));
    }

    /// Waits for the batch under way, `None` if that was answered without this connection; pushes that come first are
    /// written first. Only when the executor says that it holds the batch back is a peer that hangs up noticed before:
    /// else the answer is there as soon.
    async fn returned(&mut self, mut direct: bool) -> Result<Option<Box<Batch>>, End> {
        let (mut sent, mut held) = (direct, false);
        loop {
            let delivery = if held {
                self.delivery_or_hangup().await?
            } else {
                poll_fn(|cx| {
                    // Nobody can have answered yet: that is done on this thread. The outbox knows whom to wake, and has
                    // woken for what it holds already.
                    if std::mem::take(&mut sent) && self.stream.poll_readable(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.poll_returned(&mut direct, cx)
                })
                .await?
            };
            match delivery {
                Delivery::Batch(batch) => {
                    self.authenticated = batch.authenticated;
                    return Ok(Some(batch));
                }
                Delivery::Answered(authenticated) => {
                    self.authenticated = authenticated;
                    return Ok(None);
                }
                Delivery::Pushes(bytes) => self.write_pushes(bytes).await?,
                Delivery::Held => {
                    self.outbox.attend();
                    held = true;
                }
                Delivery::Trim => {}
                Delivery::Close => return Err(End::Closed),
            }
        }
    }

    /// A delivery. While a batch that may be answered without this connection is under way, input wakes it, which comes
    /// after the answer; if it comes before, or output has to wait, the connection takes the answer itself.
    #[inline]
    fn poll_returned(&mut self, direct: &mut bool, cx: &mut Context<'_>) -> Poll<io::Result<Delivery>> {
        let delivery = self.poll_delivery(cx);
        if !*direct || delivery.is_ready() {
            return delivery;
        }
        if self.unwritten.is_empty() && self.stream.poll_readable(cx).is_pending() {
            return Poll::Pending;
        }
        *direct = false;
        self.outbox.attend();
        self.poll_delivery(cx)
    }

    async fn delivery_or_hangup(&mut self) -> Result<Delivery, End> {
        let Conn {
            stream,
            outbox,
            unwritten,
            ..
        } = self;
        let written = poll_fn(|cx| match unwritten.is_empty() {
            true => Poll::Pending,
            false => unwritten.poll_write(stream, outbox, cx),
        });
        tokio::select! {
            biased;
            delivery = poll_fn(|cx| outbox.poll(cx)) => Ok(delivery),
            _ = stream.hung_up() => Err(End::Closed),
            Err(error) = written => Err(error.into()),
        }
    }

    async fn write_pushes(&mut self, bytes: Vec<u8>) -> Result<(), End> {
        let written = self.write(&bytes)?;
        self.keep(bytes, written);
        // Another thread may push as fast as this one writes: neither waits then, and others must have their turn.
        tokio::task::coop::consume_budget().await;
        Ok(())
    }

    /// Writes the batch's replies, or has them wait; an error when the connection is to close after them.
    #[inline]
    async fn write_replies(&mut self, mut batch: Box<Batch>) -> Result<Box<Batch>, End> {
        if !batch.reply.is_empty() {
            let written = self.write(&batch.reply)?;
            let is_noted = is_noted(&batch.reply);
            // An empty buffer on its way to the executor would be in no account.
            if written < batch.reply.len() || is_noted && self.limits.counts_clients() {
                self.keep(std::mem::take(&mut batch.reply), written);
            } else if is_noted {
                self.outbox.note_output(self.unwritten.sizes());
            }
            batch.reply.clear();
        }
        if batch.close {
            self.write_all().await?;
            return Err(End::Closed);
        }
        Ok(batch)
    }

    /// Has what was not written wait, and tells what the connection holds now.
    #[cold]
    fn keep(&mut self, mut bytes: Vec<u8>, written: usize) {
        if written < bytes.len() {
            self.unwritten.take_in(&mut bytes, written);
        }
        drop(bytes);
        note_thread();
        self.outbox.note_output(self.unwritten.sizes());
    }

    /// Writes what the socket takes now, unless something waits already; how many bytes.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<usize, End> {
        let mut written = 0;
        while written < bytes.len() && self.unwritten.is_empty() {
            match self.stream.try_write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(written)
    }

    /// Waits until everything is written, unless the executor closes the client meanwhile.
    async fn write_all(&mut self) -> Result<(), End> {
        let Conn {
            stream,
            outbox,
            unwritten,
            ..
        } = self;
        poll_fn(|cx| {
            if outbox.poll_close(cx).is_ready() {
                return Poll::Ready(Err(End::Closed));
            }
            unwritten.poll_write(stream, outbox, cx).map_err(End::from)
        })
        .await
    }
}
