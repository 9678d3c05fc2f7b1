//! The one child there may be at a time: writing a snapshot, or a new base of the log.
//!
//! ```text
//! fork ──> child works on the data of that moment, ends        lines: "keys <done> <cow bytes>"
//!   └── every tick: read its lines, see whether it has ended ──> conclude
//! ```
//!
//! It has the data by copy-on-write and takes no lock (see `process::child`). What it writes and what follows from its
//! end is in `save` and `aof::rewrite`.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::keyspace::Keyspace;
use crate::persist::snapshot::SaveError;
use crate::process::child::{self, Ended, Worker};
use crate::process::os_text;
use crate::stats::persistence::{ChildKind, ChildProgress};

use super::{Duty, Executor};

/// What copy-on-write has cost, measured now and then: the system walks all pages to tell, which for many gigabytes
/// takes longer than writing the keys between two reports.
struct CowGauge {
    bytes: u64,
    next: Instant,
}

impl CowGauge {
    /// Of the child's time at most a hundredth goes into measuring.
    const DUTY: u32 = 100;
    const INTERVAL_MIN: Duration = Duration::from_millis(100);

    fn new() -> CowGauge {
        CowGauge {
            bytes: 0,
            next: Instant::now(),
        }
    }

    fn bytes(&mut self) -> u64 {
        let started = Instant::now();
        if started >= self.next {
            self.bytes = child::private_dirty_bytes();
            let ended = Instant::now();
            let spent = ended - started;
            self.next = ended + (spent * Self::DUTY).max(Self::INTERVAL_MIN);
        }
        self.bytes
    }
}

/// A child at work.
pub(super) struct Job {
    child: Box<dyn Worker>,
    pub kind: ChildKind,
    /// Changes there were at the fork: those it knows.
    pub dirty: u64,
}

impl Job {
    /// Where it writes.
    pub fn temp(&self) -> PathBuf {
        temp_path(self.kind, self.child.pid())
    }

    /// Its process number.
    pub fn pid(&self) -> i32 {
        self.child.pid()
    }
}

/// Where a process of that number writes, in the working folder.
pub(super) fn temp_path(kind: ChildKind, pid: i32) -> PathBuf {
    match kind {
        ChildKind::Snapshot => format!("temp-{pid}.rdb"),
        ChildKind::Rewrite => format!("temp-rewriteaof-bg-{pid}.aof"),
    }
    .into()
}

impl Executor {
    /// Whether a child is at work.
    pub(super) fn has_child(&self) -> bool {
        self.child.is_some()
    }

    /// Whether a child of that kind is.
    pub(super) fn has_child_of(&self, kind: ChildKind) -> bool {
        self.child.as_ref().is_some_and(|job| job.kind == kind)
    }

    /// Forks a child that does `work`, with a path to write to and somebody who hears how many keys are done.
    pub(super) fn start_child(
        &mut self,
        kind: ChildKind,
        work: impl FnOnce(&Keyspace, PathBuf, &mut dyn FnMut(u64)) -> Result<u64, SaveError>,
    ) -> io::Result<()> {
        let (started, keys) = (Instant::now(), &self.keys);
        let work = move |report: &mut child::Report| {
            let (mut gauge, mut done) = (CowGauge::new(), 0);
            let mut tell = |keys_done: u64| {
                done = keys_done;
                report.line(&format!("keys {done} {}", gauge.bytes()));
            };
            let temp = temp_path(kind, std::process::id() as i32);
            match work(keys, temp, &mut tell) {
                Ok(_) => {
                    report.line(&format!("keys {done} {}", child::private_dirty_bytes()));
                    0
                }
                Err(SaveError { doing, error }) => {
                    report.line(&format!("failed {doing}: {}", os_text(&error)));
                    1
                }
            }
        };
        let child = self.host.hire(Duty::Write(kind), Box::new(work))?;
        let fork_us = started.elapsed().as_micros() as u64;
        self.stats.persistence.child = Some(ChildProgress {
            kind,
            started_s: self.now_s(),
            keys_total: (0..keys.db_count()).map(|db| keys.db(db).len() as u64).sum(),
            keys_done: 0,
            cow_bytes: 0,
            cow_peak_bytes: 0,
            reported_ms: self.now_unix_us / 1000,
        });
        self.child = Some(Job {
            child,
            kind,
            dirty: self.keys.changes.dirty,
        });
        self.keep_room_for_child();
        self.note_fork(fork_us);
        Ok(())
    }

    pub(super) fn note_fork(&mut self, fork_us: u64) {
        const GB: f64 = (1u64 << 30) as f64;
        let counters = &mut self.stats.counters;
        counters.latest_fork_usec = fork_us;
        counters.total_forks += 1;
        let seconds = fork_us.max(1) as f64 / 1e6;
        counters.latest_fork_rate_gb_per_s = self.stats.memory.used_bytes() as f64 / GB / seconds;
        self.stats.note_latency("fork", self.now_unix_us, fork_us / 1000);
    }

    /// A table that shrinks moves its elements, and each page it writes is one more that the child does not share.
    fn keep_room_for_child(&mut self) {
        let keeps = self.child.is_some() || self.server.keeps_room;
        self.keys.keep_room(keeps);
    }

    /// Looks after the child, and starts one that is due: for cron, every tick.
    pub(super) fn attend_child(&mut self) {
        self.hear_debuggers();
        if self.child.is_some() {
            self.hear_child();
        } else if self.loading.is_none() {
            self.start_due_child();
        }
    }

    /// In Redis's order: what was asked for comes first, a snapshot that was put off last.
    fn start_due_child(&mut self) {
        self.start_scheduled_rewrite();
        if !self.has_child() {
            self.check_save_points();
        }
        if !self.has_child() {
            self.check_growth();
        }
        if !self.has_child() {
            self.start_scheduled_save();
        }
    }

    fn hear_child(&mut self) {
        let Some(job) = &mut self.child else { return };
        // Asked first: what it said before it ended has arrived then.
        let ended = job.child.ended();
        let lines = job.child.lines();
        for line in lines {
            self.take_line(&line);
        }
        if let Some(ended) = ended {
            self.conclude_child(ended);
        }
    }

    fn take_line(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (first, now_ms) = (words.next(), self.now_unix_us / 1000);
        let Some(progress) = &mut self.stats.persistence.child else {
            return;
        };
        if first != Some("keys") {
            return tracing::warn!("Background {}: {line}", progress.kind.work());
        }
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        progress.keys_done = number();
        progress.cow_bytes = number();
        progress.cow_peak_bytes = progress.cow_peak_bytes.max(progress.cow_bytes);
        progress.reported_ms = now_ms;
    }

    fn conclude_child(&mut self, ended: Ended) {
        let Some(job) = self.child.take() else { return };
        let Some(progress) = self.stats.persistence.child.take() else {
            return;
        };
        match job.kind {
            ChildKind::Snapshot => self.conclude_save(&job, &progress, ended),
            ChildKind::Rewrite => self.conclude_rewrite(&job, &progress, ended),
        }
        self.keep_room_for_child();
    }

    /// Ends a child of that kind that is at work; what it has written is removed. Whether there was one.
    pub(super) fn kill_child_of(&mut self, kind: ChildKind) -> bool {
        let Some(job) = self.child.take_if(|job| job.kind == kind) else {
            return false;
        };
        let temp = job.temp();
        job.child.kill();
        // It may not have come so far.
        let _ = self.disk.remove(&temp);
        self.stats.persistence.child = None;
        self.keep_room_for_child();
        true
    }
}

/// A line that says what copy-on-write has cost.
pub(super) fn log_copied(what: &str, progress: &ChildProgress) {
    tracing::info!(
        "Fork CoW for {what}: current {} MB, peak {} MB, average {} MB",
        progress.cow_bytes >> 20,
        progress.cow_peak_bytes >> 20,
        progress.cow_peak_bytes >> 20
    );
}
