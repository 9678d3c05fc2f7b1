//! The executor: the one thread that owns every key, as an ordinary synchronous library.
//!
//! ```text
//!  mail ──> drain: plan (find command, hash keys) ─ prefetch buckets ─ prefetch entries ─ admit ─ run ─ effects ──> replies
//! ```
//!
//! Clients, tests and (later) AOF replay and a replication link all enter through [`Executor::run`] or a batch, what runs
//! inside another command (EXEC, scripts) through [`Executor::run_nested`]. It needs no runtime and no socket; time comes in with [`Executor::set_time_us`], chance is a seeded generator.
//!
//! Imports: every room but net.

pub mod admit;
pub mod aof;
pub mod apply;
pub mod blocking;
mod child;
pub mod client;
pub mod client_memory;
pub mod cron;
mod defrag;
pub mod dispatch;
pub mod effects;
mod evict;
mod flush;
pub mod load;
pub mod mailbox;
mod migrate;
pub mod monitor;
pub mod open;
pub mod outbox;
pub mod payload;
pub mod save;
pub mod script;
pub mod shipment;
pub mod shutdown;
#[cfg(test)]
mod stream_waits;
#[cfg(test)]
mod testing;
pub mod tracking;
pub mod turn;
pub mod txn;
pub mod witness;

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::acl::Users;
use crate::base::clock::{Tick, TickClock};
use crate::base::hash::KeyHasher;
use crate::base::rng::Rng;
use crate::command::cx::ServerState;
use crate::command::pubsub::broker::Broker;
use crate::command::table::{RenameError, Table};
use crate::config::{Config, LoadError};
use crate::keyspace::Keyspace;
use crate::keyspace::lazyfree::Habits;
use crate::persist::disk::system::System;
use crate::persist::disk::{Absent, Disk};
use crate::process::child::{self as worker, Report, Worker};
use crate::resp::{ArgBuf, Batch};
use crate::session::{Session, SessionId, Sessions, Transaction};
use crate::stats::Stats;
use crate::stats::memory::{flush_cache, note_thread};
use crate::stats::persistence::ChildKind;
use crate::tracking::Tracking;

use outbox::Outbox;

/// What only the outside can do for the executor.
pub trait Host: Send {
    /// Everything is loaded: clients are welcome.
    fn ready(&mut self) {}

    /// Gives the executor a turn although no mail has come; called from another thread.
    fn waker(&self) -> aof::sync::Waker {
        Box::new(|| {})
    }

    /// Where files are.
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(System)
    }

    /// Has somebody do `work` on the data of this moment: a forked child, which keeps the descriptor `kept`.
    ///
    /// # Errors
    /// Why there is nobody.
    fn hire(&mut self, duty: Duty<'_>, work: Work<'_>) -> io::Result<Box<dyn Worker>> {
        Ok(Box::new(worker::spawn(duty.socket(), work)?))
    }

    /// Sends keys to another server; `report` is called once, maybe from another thread.
    fn ship(&mut self, _shipment: shipment::Shipment, report: shipment::Report) {
        report(shipment::Delivery::failed(shipment::Failure::Connect));
    }

    /// How many connections for that are open.
    fn links(&self) -> usize {
        0
    }

    /// Takes over directives that sockets, the log or the process follow.
    ///
    /// # Errors
    /// The directive at fault and why; the caller rolls all of them back.
    fn apply_config(
        &mut self,
        config: &Config,
        changed: &[&'static str],
    ) -> Result<(), (&'static str, String)>;
}

/// What a child is hired for.
pub enum Duty<'a> {
    /// To write a file.
    Write(ChildKind),
    /// To debug a script with whoever is on the other end of this socket.
    Debug(BorrowedFd<'a>),
}

impl<'a> Duty<'a> {
    /// The descriptor that the child keeps of its parent's.
    pub fn socket(&self) -> Option<BorrowedFd<'a>> {
        match self {
            Duty::Write(_) => None,
            Duty::Debug(socket) => Some(*socket),
        }
    }
}

/// What a child does; the code it ends with.
pub type Work<'a> = Box<dyn FnOnce(&mut Report) -> i32 + 'a>;

/// A host for executors without a process around them: they touch no file and have no children.
pub struct NoHost;

impl Host for NoHost {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(Absent)
    }

    fn hire(&mut self, _: Duty<'_>, _: Work<'_>) -> io::Result<Box<dyn Worker>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn apply_config(&mut self, _: &Config, _: &[&'static str]) -> Result<(), (&'static str, String)> {
        Ok(())
    }
}

/// A batch whose replies wait for the end of the drain.
pub struct Finished {
    outbox: Arc<Outbox>,
    batch: Box<Batch>,
}

impl Finished {
    /// Which I/O thread it goes to.
    pub fn lane(&self) -> usize {
        self.outbox.lane
    }

    /// Hands the batch to its connection.
    pub fn deliver(self) {
        self.outbox.deliver(self.batch);
    }
}

/// The executor.
pub struct Executor {
    /// The databases.
    pub keys: Keyspace,
    /// The clients.
    pub sessions: Sessions,
    /// The configuration.
    pub config: Config,
    /// Statistics.
    pub stats: Stats,
    /// Users.
    pub acl: Users,
    /// Subscriptions.
    pub pubsub: Broker,
    /// Who may hold which key in a cache.
    pub tracking: Tracking<SessionId>,
    /// What holds for the whole server.
    pub server: ServerState,

    table: Table,
    rng: Rng,
    ticks: TickClock,
    /// The last reading: the end of one command is the start of the next.
    tick: Tick,
    now_unix_us: i64,
    /// When that was set.
    time_set: Tick,
    host: Box<dyn Host>,
    disk: Arc<dyn Disk>,
    /// Outboxes by session slot.
    outboxes: Vec<Option<Arc<Outbox>>>,
    /// Batches of paused clients, oldest first.
    held: VecDeque<(SessionId, Box<Batch>)>,
    /// Clients that wait for keys.
    blocking: blocking::Blocking,
    /// Clients that wait for the memory of what they have flushed.
    flush_waits: VecDeque<flush::FlushWait>,
    client_memory: client_memory::ClientMemory,
    /// What clients are to forget of their caches because of their own commands, to be said behind the reply.
    own_invalidations: Vec<(SessionId, tracking::Forget)>,
    /// Queues for the next transactions.
    #[expect(
        clippy::vec_box,
        reason = "they go to sessions and come back without being copied"
    )]
    spare_transactions: Vec<Box<Transaction>>,
    /// Batches done in this drain, with whose they are.
    finished: Vec<(SessionId, Box<Batch>)>,
    /// Scratch of a drain.
    gathered: Vec<(SessionId, Box<Batch>)>,
    plan: dispatch::Plan,
    cron: cron::Cron,
    slow: dispatch::SlowLimits,
    /// The limit on memory.
    evictor: evict::Evictor,
    /// Moving what lies badly in memory.
    defrag: defrag::Defrag,
    /// When a browser was last warned of, in Unix seconds.
    browser_warned_s: i64,
    /// What followers were given.
    #[cfg(test)]
    journal: Vec<crate::keyspace::changes::Propagated>,
    /// A child at work.
    child: Option<child::Job>,
    /// Scripts that are debugged in children.
    debugging: script::Debugging,
    /// The append-only file.
    aof: aof::Log,
    /// Interpreters, scripts and libraries; lent to the script that runs.
    scripting: Option<Box<script::Scripting>>,
    /// How others get a turn while a script runs.
    interlude: Option<Box<dyn script::Interlude>>,
    /// After how many milliseconds of a script others are told BUSY; 0 for never.
    busy_ms: u64,
    /// How much a transaction may queue (`client-query-buffer-limit`).
    queue_bytes_max: u64,
    /// Writes ask for more replicas than there are.
    short_of_replicas: bool,
    /// Batches behind that of a script in the same turn.
    aside: Vec<(SessionId, Box<Batch>)>,
    /// Mail that came in the middle of a script and must wait for its end.
    deferred: Vec<mailbox::Mail>,
    /// The script that keeps others waiting.
    running: Option<Box<script::Running>>,
    /// A load under way.
    loading: Option<load::Loading>,
    /// Keys on their way to another server.
    migration: Option<migrate::Migration>,
    /// Set when the server is to end, with its exit code.
    exit: Option<i32>,
    /// A signal asks for the end: the directive that says how.
    asked_to_stop: Option<&'static str>,
}

impl Executor {
    /// An executor for `config`, empty. `seed` makes hashing and random choices repeatable.
    pub fn new(
        config: Config,
        hasher: KeyHasher,
        rng: Rng,
        host: Box<dyn Host>,
    ) -> Result<Executor, RenameError> {
        let table = Table::new(&renames(&config))?;
        let ticks = TickClock::new();
        let databases = config.int("databases") as usize;
        let mut executor = Executor {
            keys: Keyspace::new(databases, hasher),
            sessions: Sessions::default(),
            stats: Stats::new(table.all().len()),
            acl: Users::default(),
            pubsub: Broker::new(hasher.hash(b"pubsub")),
            tracking: Tracking::new(hasher.hash(b"tracking")),
            server: ServerState::default(),

            table,
            rng,
            tick: ticks.raw(),
            now_unix_us: 0,
            time_set: ticks.raw(),
            ticks,
            aof: aof::Log::new(&config, host.disk()),
            disk: host.disk(),
            host,
            outboxes: Vec::new(),
            held: VecDeque::new(),
            blocking: blocking::Blocking::default(),
            flush_waits: VecDeque::new(),
            client_memory: client_memory::ClientMemory::default(),
            own_invalidations: Vec::new(),
            spare_transactions: Vec::new(),
            finished: Vec::new(),
            gathered: Vec::new(),
            plan: dispatch::Plan::default(),
            cron: cron::Cron::default(),
            slow: dispatch::SlowLimits::default(),
            evictor: evict::Evictor::default(),
            defrag: defrag::Defrag::default(),
            browser_warned_s: 0,
            queue_bytes_max: u64::MAX,
            scripting: None,
            interlude: None,
            busy_ms: 0,
            short_of_replicas: false,
            aside: Vec::new(),
            deferred: Vec::new(),
            running: None,
            #[cfg(test)]
            journal: Vec::new(),
            child: None,
            debugging: script::Debugging::default(),
            loading: None,
            migration: None,
            exit: None,
            asked_to_stop: None,
            config,
        };
        executor.keys.set_freeing_habits(Habits {
            tell: note_thread,
            // A cache that cannot be emptied does no harm.
            rest: || drop(flush_cache()),
        });
        executor.take_slices();
        Ok(executor)
    }

    /// An executor with defaults, a fixed seed and the clock at one second past the epoch.
    pub fn for_tests() -> Executor {
        let mut config = Config::default();
        let allowed =
            config.assign("enable-debug-command", b"yes").is_ok() && config.assign("save", b"").is_ok();
        debug_assert!(allowed, "a word of the directive's own choices");
        let hasher = KeyHasher::with_seed(1);
        let mut executor = Executor::new(config, hasher, Rng::seeded(1), Box::new(NoHost))
            .expect("the default configuration renames nothing");
        executor.set_time_us(1_000_000);
        executor
    }

    /// A session without a connection.
    pub fn connect(&mut self) -> SessionId {
        let mut session = Session::internal();
        session.authenticated = self.acl.default_needs_no_password();
        session.created_ms = self.now_unix_us / 1000;
        session.active_ms = session.created_ms;
        self.sessions.add(session)
    }

    /// Runs one command of `client`; the reply as RESP.
    pub fn run(&mut self, client: SessionId, words: &[&[u8]]) -> Vec<u8> {
        let buffer = ArgBuf::from_slices(words);
        let mut reply = Vec::new();
        self.execute(client, buffer.args(), &mut reply);
        reply
    }

    /// Sets the wall clock, in Unix microseconds.
    pub fn set_time_us(&mut self, unix_us: i64) {
        self.now_unix_us = unix_us;
        self.time_set = self.ticks.raw();
        self.keys.now_ms = unix_us / 1000;
        self.keys.access.set_time(self.keys.now_ms);
    }

    /// The wall clock as last set, in Unix microseconds.
    pub fn time_us(&self) -> i64 {
        self.now_unix_us
    }

    /// When the executor has something to do although no mail comes, in Unix microseconds: a blocked client's time is
    /// up, a pause that holds clients back is over, memory is to be moved, or a write has waited long enough for the disk.
    pub fn wake_at_us(&self) -> Option<i64> {
        let deadline_us = |ms: i64| ms.saturating_add(1).saturating_mul(1000);
        let blocked = self.blocking.first_deadline_ms().map(deadline_us);
        let delays = !self.held.is_empty() || self.keys.changes.interest.is_any_ready();
        let paused = self.server.pause.filter(|_| delays);
        let held = paused.map(|pause| pause.until_ms.saturating_mul(1000));
        let moving = self.defrag_due_us();
        let written = self.aof.wake_at_ms().map(deadline_us);
        let due = blocked.into_iter().chain(held).chain(moving).chain(written);
        due.min()
    }

    /// All commands.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The exit code, once the server is to end.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit
    }

    /// Hands the finished batches to connections on this thread.
    #[inline]
    pub fn deliver_here(&mut self) {
        for (client, batch) in self.finished.drain(..) {
            // A client killed later in the drain may have left its slot to a new one already.
            if self.sessions.contains(client)
                && let Some(outbox) = &self.outboxes[client.slot as usize]
            {
                outbox.deliver(batch);
            }
        }
    }

    /// The finished batches, to be delivered by other threads.
    pub fn take_finished(&mut self) -> impl Iterator<Item = Finished> + '_ {
        let (outboxes, sessions) = (&self.outboxes, &self.sessions);
        self.finished
            .drain(..)
            .filter(|(client, _)| sessions.contains(*client))
            .filter_map(|(client, batch)| {
                let outbox = outboxes[client.slot as usize].as_ref().map(Arc::clone)?;
                outbox.note_under_way(&batch);
                Some(Finished { outbox, batch })
            })
    }
}

/// Whether the `rename-command` lines can be carried out.
///
/// # Errors
/// The first that cannot, with the line it stands on.
pub fn check_renames(config: &Config) -> Result<(), LoadError> {
    let renames = renames(config);
    let Err(error) = Table::new(&renames) else {
        return Ok(());
    };
    let good = (0..renames.len()).take_while(|&count| Table::new(&renames[..=count]).is_ok());
    Err(LoadError::at(
        &config.rename_lines()[good.count()].origin,
        error.to_string(),
    ))
}

/// The `rename-command` lines as (old name, new name).
fn renames(config: &Config) -> Vec<(String, String)> {
    let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
    let pair = |words: &[Vec<u8>]| Some((text(words.first()?), text(words.get(1)?)));
    config
        .rename_lines()
        .iter()
        .filter_map(|line| pair(&line.words))
        .collect()
}
