//! The append-only file at run time: appending what commands propagate, writing, syncing.
//!
//! ```text
//!          CONFIG SET yes                     first base written
//!   Off ─────────────────────> Waiting ─────────────────────────────> On      at start with appendonly yes: On
//!    ^                            │ commands gather in a temporary file  │
//!    └────────── CONFIG SET no ───┴──────────────────────────────────────┘
//!
//!   effects ──> append: framed into `buffer` ── end of the turn ──> one write ──> sync, on its own thread
//!                          (always: when the next sync begins)
//!                                                                     └── replies leave (`hold`: always, later)
//! ```
//!
//! | `appendfsync` | sync | replies |
//! | --- | --- | --- |
//! | `no` | when the kernel likes | after the write |
//! | `everysec` | once a second, on the thread | after the write, which waits up to 2 s for a sync under way |
//! | `always` | as soon as the last one is done (`crowd`: or a moment later), on the thread or on the spot | of those concerned after the sync (`hold`) |
//!
//! A write that fails leaves the commands in `buffer`: they are written again at each turn's end, and writes of clients
//! are refused meanwhile. When a sync fails the kernel may have dropped what it could not write, so nothing more may follow
//! in that file. Under `always` that ends the server; nothing of it has been acknowledged. Else a new log is begun
//! (`folder`).
//!
//! With the log off a turn costs a branch. `load` reads the log, `rewrite` begins new bases and switches it on and off.

mod crowd;
mod folder;
pub mod hold;
pub mod load;
#[cfg(test)]
mod power;
pub mod rewrite;
pub mod sync;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::persist::aof::folder::Folder;
use crate::persist::aof::frame::Framer;
use crate::persist::aof::incr::{Incr, Torn};
use crate::persist::aof::manifest::Manifest;
use crate::persist::disk::{Disk, FileLock};
use crate::process::os_text;

use super::Executor;
use crowd::Advice;
use hold::Guard;
use rewrite::Limiter;
use sync::{Progress, Syncer};

/// Whether there is a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No.
    Off,
    /// Its first base is still to be written.
    Waiting,
    /// Yes.
    On,
}

/// `appendfsync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    No,
    EverySecond,
    Always,
}

impl Policy {
    fn of(config: &Config) -> Policy {
        match config.choice("appendfsync") {
            "always" => Policy::Always,
            "no" => Policy::No,
            _ => Policy::EverySecond,
        }
    }
}

/// How long a write waits at most for a sync under way, milliseconds.
const POSTPONE_MS_MAX: i64 = 2_000;

/// A sync that takes less, and that nobody but those it serves would see, is done on the spot.
const SPOT_MAX: Duration = Duration::from_millis(1);

/// For so long somebody who was served without waiting keeps syncs off the executor's time. Whoever asks less often
/// loses at most [`SPOT_MAX`] or so, now and then.
const BYSTANDER_US: i64 = 100_000;

/// Seconds between two complaints about writes that fail.
const COMPLAINT_S: i64 = 30;

/// A buffer larger than this is given back once it is written, and written though a sync is under way.
const KEEP_BYTES: usize = 1 << 20;

/// The log.
pub struct Log {
    state: State,
    folder: Folder,
    /// While its files are ours to change.
    lock: Option<FileLock>,
    /// The files there are cannot be gone on with, for this reason: new ones are on the way (`folder`).
    lost: Option<i32>,
    manifest: Manifest,
    framer: Framer,
    /// `aof-timestamp-enabled`.
    stamps: bool,
    policy: Policy,
    /// Framed commands that are not written yet; empty while there is no file.
    buffer: Vec<u8>,
    incr: Option<Incr>,
    guard: Guard,
    syncer: Option<Syncer>,
    /// What the thread had done when it was last asked.
    heard: Progress,
    /// How long the last sync took, zero before the first.
    took: Duration,
    /// When a client was last answered that waited for no sync, Unix microseconds.
    bystander_us: i64,
    /// When the last sync began, Unix milliseconds.
    synced_ms: i64,
    /// Since when a write waits for a sync, Unix milliseconds.
    postponed_ms: Option<i64>,
    write_errno: Option<i32>,
    complained_s: i64,
    /// When a new log was last begun in the place of one that is lost, Unix seconds.
    tried_s: i64,
    /// DEBUG AOF-FLUSH-SLEEP.
    delay: Duration,
    limiter: Limiter,
    /// The rewrite under way writes a snapshot.
    rewrites_snapshot: bool,
}

impl Log {
    /// None yet, of the files on `disk` that `config` names.
    pub fn new(config: &Config, disk: Arc<dyn Disk>) -> Log {
        Log {
            state: State::Off,
            folder: Folder::new(disk, config.path("appenddirname"), config.text("appendfilename")),
            lock: None,
            lost: None,
            manifest: Manifest::default(),
            framer: Framer::default(),
            stamps: false,
            policy: Policy::EverySecond,
            buffer: Vec::new(),
            incr: None,
            guard: Guard::default(),
            syncer: None,
            heard: Progress::default(),
            took: Duration::ZERO,
            bystander_us: i64::MIN,
            synced_ms: 0,
            postponed_ms: None,
            write_errno: None,
            complained_s: 0,
            tried_s: 0,
            delay: Duration::ZERO,
            limiter: Limiter::default(),
            rewrites_snapshot: false,
        }
    }

    /// Takes over its directives.
    pub(super) fn take_slice(&mut self, config: &Config) {
        self.stamps = config.bool("aof-timestamp-enabled");
        let policy = Policy::of(config);
        if policy == Policy::Always && self.policy != Policy::Always {
            self.guard.distrust();
        }
        self.policy = policy;
    }

    /// Memory of what is not written yet, which `maxmemory` does not count.
    #[inline]
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.buffer.capacity() as u64
    }

    /// Appends a command that runs in database `db`, or in any.
    #[inline]
    pub(super) fn append<'a>(
        &mut self,
        db: Option<usize>,
        words: impl ExactSizeIterator<Item = &'a [u8]>,
        now_s: i64,
    ) {
        if self.incr.is_none() {
            return;
        }
        if self.stamps {
            self.framer.stamp(now_s, &mut self.buffer);
        }
        self.framer.command(db, words, &mut self.buffer);
    }

    /// Whether clients may have to wait for what they write.
    #[inline]
    pub(super) fn is_strict(&self) -> bool {
        self.policy == Policy::Always && self.state == State::On
    }

    /// Whether there are writes that some clients must not see yet.
    #[inline]
    pub(super) fn is_guarding(&self) -> bool {
        !self.guard.is_quiet() && self.is_strict()
    }

    /// Why writes are refused, as the operating system numbers it.
    #[inline]
    pub(super) fn fault(&self) -> Option<i32> {
        self.lost.or(self.write_errno)
    }

    /// Sleeps before each write from now on (DEBUG AOF-FLUSH-SLEEP).
    pub(super) fn delay_writes(&mut self, us: u64) {
        self.delay = Duration::from_micros(us);
    }

    /// Whether a write should wait: on most systems it would wait for the sync anyway, on the executor's time.
    fn postpones(&mut self, now_ms: i64) -> bool {
        if self.policy != Policy::EverySecond || self.heard.pending == 0 {
            return false;
        }
        let since = *self.postponed_ms.get_or_insert(now_ms);
        // A clock set back must not make it wait on.
        (0..POSTPONE_MS_MAX).contains(&(now_ms - since))
    }

    /// When a write that waits for a sync waits no longer, Unix milliseconds.
    #[inline]
    pub(super) fn wake_at_ms(&self) -> Option<i64> {
        Some(self.postponed_ms? + POSTPONE_MS_MAX)
    }

    /// Whether what was appended stays in memory until the next sync begins: its clients wait for that, and a write beside
    /// a sync under way may have to wait for it, with everybody else.
    fn saves_up(&mut self) -> bool {
        const SAVED_BYTES_MAX: usize = KEEP_BYTES;
        self.is_strict()
            && self.buffer.len() < SAVED_BYTES_MAX
            && (self.heard.pending > 0 || self.guard.has_gathered() && self.awaits_crowd())
    }

    /// Whether a sync had better wait a moment for more clients to serve; the thread wakes the executor then.
    fn awaits_crowd(&mut self) -> bool {
        let Some(syncer) = &self.syncer else {
            return false;
        };
        match self.guard.crowd.advise(self.took, Instant::now()) {
            Advice::Begin => return false,
            Advice::WaitFor(time) => syncer.wake_after(time),
            Advice::WaitOn => {}
        }
        true
    }

    fn sync_is_due(&self, now_ms: i64) -> bool {
        let unsynced = self.incr.as_ref().is_some_and(Incr::is_unsynced);
        let on = self.state == State::On;
        match self.policy {
            // Whoever was made to wait waits for a sync, whatever the directive says by now.
            _ if on && self.guard.has_gathered() => true,
            Policy::No => false,
            Policy::Always if on => unsynced,
            _ => unsynced && (now_ms - self.synced_ms >= 1_000 || now_ms < self.synced_ms),
        }
    }
}

impl Executor {
    /// Ends a turn: what was propagated is written and synced as `appendfsync` says; replies that must wait for that
    /// are kept back.
    #[inline]
    pub fn end_turn(&mut self) {
        if self.aof.state != State::Off || self.aof.guard.holds_any() {
            self.end_logged_turn();
        }
    }

    fn end_logged_turn(&mut self) {
        let started = (!self.aof.buffer.is_empty()).then(Instant::now);
        self.hear_syncer();
        if self.aof.is_strict() && self.has_bystanders() {
            self.aof.bystander_us = self.now_unix_us;
        }
        if !self.aof.saves_up() {
            self.write_log(false);
            self.sync_log();
        }
        if self.aof.guard.holds_any() || !self.aof.guard.is_quiet() {
            self.hold_replies();
        }
        let facts = &mut self.stats.persistence.aof;
        facts.waiting_bytes = self.aof.buffer.len();
        facts.buffer_bytes = self.aof.buffer.capacity();
        facts.pending_syncs = self.aof.heard.pending;
        if let Some(started) = started {
            self.stats.counters.event_loop.aof_us += started.elapsed().as_micros() as u64;
        }
    }

    /// Takes note of syncs that have ended.
    fn hear_syncer(&mut self) {
        let Some(syncer) = &self.aof.syncer else { return };
        let progress = syncer.progress();
        if progress == self.aof.heard {
            return;
        }
        let before = std::mem::replace(&mut self.aof.heard, progress);
        if progress.ended != before.ended {
            self.aof.took = progress.took;
        }
        if progress.failed != before.failed {
            // Whatever else has succeeded: a sync that comes after one that failed may cover nothing of it.
            self.note_failed_sync(progress.errno.unwrap_or(libc::EIO));
        } else {
            self.aof.guard.note_synced(progress.done);
            if progress.ended != before.ended {
                self.aof.incr.iter_mut().for_each(Incr::note_synced);
            }
        }
    }

    /// A sync has failed.
    #[cold]
    fn note_failed_sync(&mut self, errno: i32) {
        let text = os_text(&io::Error::from_raw_os_error(errno));
        if self.aof.is_strict() {
            tracing::warn!(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {text}. Exiting..."
            );
            self.exit = Some(1);
        } else {
            tracing::warn!("Fail to fsync the AOF file: {text}");
        }
        if self.aof.state != State::Off {
            self.lose_log(errno);
        }
    }

    fn note_write_status(&mut self) {
        self.stats.persistence.aof.last_write_ok = self.aof.fault().is_none();
    }

    /// Writes what was appended; `forced`: even if a sync is under way.
    fn write_log(&mut self, forced: bool) {
        if self.aof.buffer.is_empty() || self.aof.incr.is_none() {
            return;
        }
        let now_ms = self.now_unix_us / 1000;
        if !forced && self.aof.postpones(now_ms) {
            return;
        }
        if self.aof.postponed_ms.take().is_some() && !forced && self.aof.heard.pending > 0 {
            self.stats.counters.aof_delayed_fsync += 1;
            tracing::info!(
                "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for \
                 fsync to complete, this may slow down the server."
            );
        }
        if !self.aof.delay.is_zero() {
            std::thread::sleep(self.aof.delay);
        }
        let started = Instant::now();
        let Some(incr) = &mut self.aof.incr else { return };
        let written = incr.append(&self.aof.buffer);
        self.note_write_latency(started.elapsed());
        match written {
            Ok(()) => self.note_written_log(),
            Err(torn) => self.note_torn(&torn),
        }
    }

    fn note_write_latency(&mut self, spent: Duration) {
        let ms = spent.as_millis() as u64;
        if ms == 0 {
            return;
        }
        let event = if self.aof.heard.pending > 0 {
            "aof-write-pending-fsync"
        } else if self.has_child() {
            "aof-write-active-child"
        } else {
            "aof-write-alone"
        };
        self.stats.note_latency(event, self.now_unix_us, ms);
        self.stats.note_latency("aof-write", self.now_unix_us, ms);
    }

    fn note_written_log(&mut self) {
        let log = &mut self.aof;
        self.stats.persistence.aof.size += log.buffer.len() as u64;
        log.buffer.clear();
        if log.buffer.capacity() > KEEP_BYTES {
            log.buffer = Vec::new();
        }
        if log.write_errno.take().is_some() {
            tracing::info!("AOF write error looks solved. The server can write again.");
            self.note_write_status();
        }
    }

    /// A write has failed: the next turn tries again.
    #[cold]
    fn note_torn(&mut self, torn: &Torn) {
        let now_s = self.now_s();
        let log = &mut self.aof;
        log.write_errno = Some(torn.error.raw_os_error().unwrap_or(libc::ENOSPC));
        if (now_s - log.complained_s).abs() > COMPLAINT_S {
            log.complained_s = now_s;
            tracing::warn!("Error writing to the AOF file: {}", os_text(&torn.error));
            if let Some(error) = &torn.uncut {
                tracing::warn!(
                    "Could not remove short write from the append-only file. The server may refuse to load the AOF the \
                     next time it starts. ftruncate: {}",
                    os_text(error)
                );
            }
        }
        log.buffer.drain(..torn.kept);
        self.stats.persistence.aof.size += torn.kept as u64;
        self.note_write_status();
    }

    /// Asks for a sync if one is due.
    fn sync_log(&mut self) {
        let now_ms = self.now_unix_us / 1000;
        if !self.aof.sync_is_due(now_ms) || !self.aof.buffer.is_empty() {
            return;
        }
        if self.has_child() && self.config.bool("no-appendfsync-on-rewrite") {
            return self.aof.guard.settle();
        }
        if self.aof.heard.pending > 0 {
            return;
        }
        self.aof.synced_ms = now_ms;
        if self.syncs_on_the_spot() {
            self.sync_on_the_spot();
        } else {
            self.request_sync();
        }
    }

    /// Whether the executor syncs itself: where everybody waits for the disk anyway, and that is fast, handing over
    /// costs more than it gains.
    fn syncs_on_the_spot(&self) -> bool {
        let log = &self.aof;
        let alone = self.now_unix_us.abs_diff(log.bystander_us) > BYSTANDER_US.unsigned_abs();
        log.is_strict() && alone && !log.took.is_zero() && log.took < SPOT_MAX
    }

    fn sync_on_the_spot(&mut self) {
        let (ticket, started) = (self.aof.guard.begin_sync(), Instant::now());
        let synced = self.sync_incr();
        self.aof.took = started.elapsed();
        if synced.is_ok() {
            self.aof.guard.note_synced(ticket);
        }
    }

    /// Hands the file to the thread.
    fn request_sync(&mut self) {
        self.start_syncer();
        let log = &mut self.aof;
        let (Some(syncer), Some(incr)) = (&log.syncer, &mut log.incr) else {
            return;
        };
        // What is synced while the first base is still to be written could not be read again.
        let ticket = if log.state == State::On {
            log.guard.begin_sync()
        } else {
            0
        };
        syncer.request(incr.begin_sync(), ticket);
        log.heard.pending += 1;
    }

    fn start_syncer(&mut self) {
        if self.aof.syncer.is_some() {
            return;
        }
        match Syncer::start(self.host.waker()) {
            Ok(syncer) => self.aof.syncer = Some(syncer),
            Err(error) => {
                tracing::warn!("Can't start the thread that syncs the AOF: {}", os_text(&error));
                self.exit = Some(1);
            }
        }
    }

    /// Waits for the syncs under way.
    fn finish_syncs(&mut self) {
        if let Some(syncer) = &self.aof.syncer {
            syncer.finish();
        }
        self.hear_syncer();
    }

    /// Syncs the file now, on the executor's own time.
    fn sync_incr(&mut self) -> io::Result<()> {
        let Some(incr) = &mut self.aof.incr else {
            return Err(io::Error::other("there is no file"));
        };
        let synced = incr.sync();
        if let Err(error) = &synced {
            self.note_failed_sync(error.raw_os_error().unwrap_or(libc::EIO));
        }
        synced
    }

    /// Writes and syncs all there is, and waits for it; whether that worked.
    pub(super) fn flush_log(&mut self) -> bool {
        self.write_log(true);
        self.finish_syncs();
        let synced = self.aof.incr.is_none() || self.sync_incr().is_ok();
        let flushed = synced && self.aof.buffer.is_empty() && self.aof.fault().is_none();
        if flushed {
            self.aof.guard.settle();
        }
        flushed
    }
}
