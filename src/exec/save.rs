//! Snapshots: SAVE, BGSAVE, save points, and the child that writes in the background.
//!
//! ```text
//! BGSAVE, save point ──> fork ──> child writes temp-<pid>.rdb ──> renames it ──> ends
//!                          |           lines: "keys <done> <cow bytes>"
//!                          └── every tick: read its lines, see whether it has ended
//! ```
//!
//! One child at a time. It has the data by copy-on-write and takes no lock (see `process::child`).

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::command::cx::ReloadOptions;
use crate::command::error::Error;
use crate::persist::rdb::file::Style;
use crate::persist::rdb::opcode::VERSION;
use crate::persist::snapshot::{self, Plan, SaveError, UsageKept};
use crate::process::child::{self, Child, Ended};
use crate::process::{os_text, version};
use crate::resp::Reply;
use crate::session::SessionId;
use crate::stats::persistence::ChildProgress;

use super::Executor;
use super::admit::ServerState;

/// A background save under way.
pub(super) struct Saving {
    child: Child,
    temp: PathBuf,
    /// Changes there were at the fork: those the snapshot holds.
    dirty: u64,
}

/// After a failed save a save point waits this long before it tries again.
const RETRY_S: i64 = 5;

const IN_PROGRESS: Error = Error::fixed("ERR Background save already in progress");
const FAILED: Error = Error::fixed("ERR");

impl Executor {
    fn now_s(&self) -> i64 {
        self.now_unix_us / 1_000_000
    }

    /// Where snapshots go; `None` when the directive is empty.
    pub(super) fn snapshot_path(&self) -> PathBuf {
        self.config.path("dbfilename").to_owned()
    }

    /// What keeps the server from doing everything.
    #[inline]
    pub(super) fn server_state(&self) -> ServerState {
        ServerState {
            loading: self.loading.is_some(),
            unsaved: !self.stats.persistence.last_bgsave_ok && self.refuses_unsaved_writes(),
        }
    }

    #[cold]
    fn refuses_unsaved_writes(&self) -> bool {
        self.config.bool("stop-writes-on-bgsave-error") && !self.config.save_points().is_empty()
    }

    fn plan(&self) -> Plan {
        let policy = self.config.choice("maxmemory-policy");
        let usage = if policy.ends_with("-lfu") {
            UsageKept::Frequency
        } else if policy.ends_with("-lru") {
            UsageKept::Idle
        } else {
            UsageKept::Nothing
        };
        Plan {
            style: Style {
                version: VERSION,
                checksum: self.config.bool("rdbchecksum"),
                compresses: self.config.bool("rdbcompression"),
            },
            syncs_in_steps: self.config.bool("rdb-save-incremental-fsync"),
            usage,
            aux: vec![
                ("redis-ver", version::REDIS_VERSION.to_owned()),
                ("redis-bits", "64".to_owned()),
                ("ctime", self.now_s().to_string()),
                ("used-mem", self.stats.memory.used_bytes().to_string()),
                ("aof-base", "0".to_owned()),
            ],
            functions: self.library_sources(),
            key_delay_us: self.config.int("rdb-key-save-delay"),
        }
    }

    /// Writes a snapshot now; nobody is served meanwhile.
    ///
    /// # Errors
    /// What failed, which has been logged.
    pub(super) fn save_now(&mut self) -> Result<(), SaveError> {
        let temp = temp_path(std::process::id() as i32);
        let written = snapshot::write(
            &self.keys,
            &self.plan(),
            &temp,
            &self.snapshot_path(),
            &mut |_| {},
        );
        match written {
            Ok(_) => {
                tracing::info!("DB saved on disk");
                self.keys.changes.dirty = 0;
                let now_s = self.now_s();
                let facts = &mut self.stats.persistence;
                facts.last_save_s = now_s;
                facts.last_bgsave_ok = true;
                self.stats.counters.rdb_saves += 1;
                Ok(())
            }
            Err(error) => {
                log_failure(&error);
                Err(error)
            }
        }
    }

    /// SAVE.
    pub(super) fn save(&mut self, client: SessionId, reply: &mut Vec<u8>) {
        if self.saving.is_some() {
            return self.write_error(client, &IN_PROGRESS, reply);
        }
        match self.save_now() {
            Ok(()) => self.write_ok(client, reply),
            Err(_) => self.write_error(client, &FAILED, reply),
        }
    }

    /// BGSAVE.
    pub(super) fn background_save(&mut self, client: SessionId, reply: &mut Vec<u8>) {
        if self.saving.is_some() {
            return self.write_error(client, &IN_PROGRESS, reply);
        }
        match self.start_saving() {
            Ok(()) => {
                let resp3 = self.sessions[client].resp == 3;
                Reply::new(reply, resp3).simple("Background saving started");
            }
            Err(_) => self.write_error(client, &FAILED, reply),
        }
    }

    /// Forks a child that writes a snapshot.
    fn start_saving(&mut self) -> io::Result<()> {
        let (plan, path, keys) = (self.plan(), self.snapshot_path(), &self.keys);
        let started = Instant::now();
        let spawned = child::spawn(|report| {
            let temp = temp_path(std::process::id() as i32);
            let mut progress = |done: u64| {
                report.line(&format!("keys {done} {}", child::private_dirty_bytes()));
            };
            match snapshot::write(keys, &plan, &temp, &path, &mut progress) {
                Ok(_) => 0,
                Err(SaveError { doing, error }) => {
                    report.line(&format!("failed {doing}: {}", os_text(&error)));
                    1
                }
            }
        });
        let fork_us = started.elapsed().as_micros() as u64;
        let now_s = self.now_s();
        let facts = &mut self.stats.persistence;
        facts.last_try_s = now_s;
        facts.bgsave_scheduled = false;
        let child = match spawned {
            Ok(child) => child,
            Err(error) => {
                facts.last_bgsave_ok = false;
                tracing::warn!("Can't save in background: fork: {}", os_text(&error));
                return Err(error);
            }
        };
        facts.child = Some(ChildProgress {
            started_s: now_s,
            keys_total: (0..keys.db_count()).map(|db| keys.db(db).len() as u64).sum(),
            reported_ms: self.now_unix_us / 1000,
            ..ChildProgress::default()
        });
        tracing::info!("Background saving started by pid {}", child.pid());
        self.saving = Some(Saving {
            temp: temp_path(child.pid()),
            child,
            dirty: self.keys.changes.dirty,
        });
        self.keep_room_for_child();
        self.note_fork(fork_us);
        Ok(())
    }

    fn note_fork(&mut self, fork_us: u64) {
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
        let keeps = self.saving.is_some() || self.server.keeps_room;
        self.keys.keep_room(keeps);
    }

    /// Looks after the child, and starts one when a save point says so: for cron, every tick.
    pub(super) fn attend_saving(&mut self) {
        if self.saving.is_some() {
            self.attend_child();
        } else if self.stats.persistence.bgsave_scheduled {
            // A failure is in the log and in INFO.
            let _ = self.start_saving();
        } else {
            self.check_save_points();
        }
    }

    fn attend_child(&mut self) {
        let Some(saving) = &mut self.saving else { return };
        // Asked first: what it said before it ended has arrived then.
        let ended = saving.child.ended();
        let lines = saving.child.lines();
        let now_ms = self.now_unix_us / 1000;
        for line in lines {
            let mut words = line.split(' ');
            match (words.next(), &mut self.stats.persistence.child) {
                (Some("keys"), Some(progress)) => {
                    let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
                    progress.keys_done = number();
                    progress.cow_bytes = number();
                    progress.cow_peak_bytes = progress.cow_peak_bytes.max(progress.cow_bytes);
                    progress.reported_ms = now_ms;
                }
                _ => tracing::warn!("Background saving: {line}"),
            }
        }
        if let Some(ended) = ended {
            self.conclude(ended);
        }
    }

    fn conclude(&mut self, ended: Ended) {
        let Some(saving) = self.saving.take() else { return };
        let now_s = self.now_s();
        let facts = &mut self.stats.persistence;
        let progress = facts.child.take().unwrap_or_default();
        facts.last_bgsave_duration_s = now_s - progress.started_s;
        facts.last_cow_bytes = progress.cow_peak_bytes;
        facts.last_bgsave_ok = ended == Ended::Code(0);
        match ended {
            Ended::Code(0) => {
                tracing::info!("DB saved on disk");
                tracing::info!(
                    "Fork CoW for RDB: current {} MB, peak {} MB, average {} MB",
                    progress.cow_bytes >> 20,
                    progress.cow_peak_bytes >> 20,
                    progress.cow_peak_bytes >> 20
                );
                tracing::info!("Background saving terminated with success");
                let changes = &mut self.keys.changes;
                changes.dirty = changes.dirty.saturating_sub(saving.dirty);
                facts.last_save_s = now_s;
                self.stats.counters.rdb_saves += 1;
            }
            Ended::Code(_) => tracing::warn!("Background saving error"),
            Ended::Signal(signal) => {
                tracing::warn!("Background saving terminated by signal {signal}");
                let _ = std::fs::remove_file(&saving.temp);
            }
        }
        self.keep_room_for_child();
    }

    fn check_save_points(&mut self) {
        let (now_s, dirty) = (self.now_s(), self.keys.changes.dirty);
        let facts = &self.stats.persistence;
        let patient = facts.last_bgsave_ok || now_s - facts.last_try_s > RETRY_S;
        let since = now_s - facts.last_save_s;
        let due = self
            .config
            .save_points()
            .iter()
            .find(|point| dirty >= point.changes as u64 && since > point.seconds);
        if let Some(point) = due.filter(|_| patient && dirty > 0 && self.loading.is_none()) {
            tracing::info!(
                "{} changes in {} seconds. Saving...",
                point.changes,
                point.seconds
            );
            // A failure is in the log and in INFO.
            let _ = self.start_saving();
        }
    }

    /// Ends a child that is at work: the data it saves is about to be replaced or saved otherwise.
    pub(super) fn kill_child(&mut self) {
        if let Some(saving) = self.saving.take() {
            tracing::warn!("There is a child saving an .rdb. Killing it!");
            saving.child.kill();
            let _ = std::fs::remove_file(&saving.temp);
            self.stats.persistence.child = None;
            self.keep_room_for_child();
        }
    }

    /// After FLUSHALL: a snapshot under way is given up and, where save points are configured, the emptiness saved, lest
    /// the keys come back.
    pub(super) fn save_emptiness(&mut self) {
        self.kill_child();
        if !self.config.save_points().is_empty() {
            // A failure is in the log and in INFO.
            let _ = self.save_now();
        }
    }

    /// Whether the server may end: saves first if `wanted`, or if save points are configured and nothing is said.
    pub(super) fn save_before_end(&mut self, wanted: Option<bool>) -> bool {
        self.kill_child();
        if !wanted.unwrap_or(!self.config.save_points().is_empty()) || self.loading.is_some() {
            return true;
        }
        tracing::info!("Saving the final RDB snapshot before exiting.");
        self.save_now().is_ok()
    }

    /// DEBUG RELOAD: saves, empties all databases, and loads what was saved.
    pub(super) fn reload(&mut self, client: SessionId, options: ReloadOptions, reply: &mut Vec<u8>) {
        const CANNOT_SAVE: Error = Error::fixed("ERR");
        const CANNOT_LOAD: Error = Error::fixed("ERR Error trying to load the RDB dump, check server logs");
        if options.saves && self.save_now().is_err() {
            return self.write_error(client, &CANNOT_SAVE, reply);
        }
        let dirty = self.keys.changes.dirty;
        if options.flushes {
            for db in 0..self.keys.db_count() {
                self.keys.flush(db, false);
            }
            self.forget_libraries();
        }
        let loaded = self.load_whole(&self.snapshot_path(), options.merges);
        self.keys.changes.dirty = dirty;
        match loaded {
            Ok(()) => {
                tracing::warn!("DB reloaded by DEBUG RELOAD");
                self.write_ok(client, reply);
            }
            Err(refused) => {
                tracing::warn!("{refused}");
                self.write_error(client, &CANNOT_LOAD, reply);
            }
        }
    }
}

fn temp_path(pid: i32) -> PathBuf {
    Path::new(&format!("temp-{pid}.rdb")).to_owned()
}

fn log_failure(failure: &SaveError) {
    tracing::warn!(
        "Error saving DB on disk while {}: {}",
        failure.doing,
        os_text(&failure.error)
    );
}
