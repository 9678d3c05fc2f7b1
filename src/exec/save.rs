//! Snapshots: SAVE, BGSAVE, save points, and the child that writes in the background.
//!
//! ```text
//! BGSAVE, save point ──> fork ──> child writes temp-<pid>.rdb ──> renames it ──> ends
//!                          |           lines: "keys <done> <cow bytes>"
//!                          └── every tick: read its lines, see whether it has ended
//! ```
//!
//! The child is looked after in `child`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::command::cx::ReloadOptions;
use crate::command::error::Error;
use crate::persist::rdb::file::Style;
use crate::persist::snapshot::{self, Plan, SaveError, UsageKept};
use crate::process::child::Ended;
use crate::process::{os_text, version};
use crate::session::SessionId;
use crate::stats::persistence::{ChildKind, ChildProgress};

use super::Executor;
use super::admit::{self, ServerState};
use super::child::{Job, log_copied, temp_path};

/// After a failed save a save point waits this long before it tries again.
const RETRY_S: i64 = 5;

const IN_PROGRESS: Error = Error::fixed("ERR Background save already in progress");
const FAILED: Error = Error::fixed("ERR");
const ANOTHER: Error = Error::fixed(
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a \
     BGSAVE whenever possible.",
);

impl Executor {
    pub(super) fn now_s(&self) -> i64 {
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
            loading: self.stats.persistence.loading.is_some(),
            unsaved: !self.stats.persistence.last_bgsave_ok && self.refuses_unsaved_writes(),
            unlogged: self.aof.fault(),
            short_of_replicas: self.short_of_replicas,
            // Without replication and cluster.
            stale: false,
            clustered: false,
        }
    }

    #[cold]
    fn refuses_unsaved_writes(&self) -> bool {
        self.config.bool("stop-writes-on-bgsave-error") && !self.config.save_points().is_empty()
    }

    /// How snapshots are written; `is_base`: as the base of a log.
    pub(super) fn plan(&self, is_base: bool) -> Plan {
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
                version: self.rdb_version(),
                checksum: self.config.bool("rdbchecksum"),
                compresses: self.config.bool("rdbcompression"),
            },
            syncs_in_steps: self.config.bool(if is_base {
                "aof-rewrite-incremental-fsync"
            } else {
                "rdb-save-incremental-fsync"
            }),
            usage,
            aux: vec![
                ("redis-ver", version::REDIS_VERSION.to_owned()),
                ("redis-bits", "64".to_owned()),
                ("ctime", self.now_s().to_string()),
                ("used-mem", self.stats.memory.used_bytes().to_string()),
                ("aof-base", u8::from(is_base).to_string()),
            ],
            functions: self.library_sources(),
            key_delay_us: self.config.int("rdb-key-save-delay"),
        }
    }

    /// The newest version of the format to write.
    pub(super) fn rdb_version(&self) -> u16 {
        self.config.int("rdb-version-max") as u16
    }

    /// Writes a snapshot now; nobody is served meanwhile.
    ///
    /// # Errors
    /// What failed, which has been logged.
    pub(super) fn save_now(&mut self) -> Result<(), SaveError> {
        let temp = temp_path(ChildKind::Snapshot, std::process::id() as i32);
        let written = snapshot::write(
            &*self.disk,
            &self.keys,
            &self.plan(false),
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
        if self.has_child_of(ChildKind::Snapshot) {
            return self.write_error(client, &IN_PROGRESS, reply);
        }
        self.stats.counters.rdb_saves += 1;
        match self.save_now() {
            Ok(()) => self.write_ok(client, reply),
            Err(_) => self.write_error(client, &FAILED, reply),
        }
    }

    /// BGSAVE; in a transaction, and beside another child if `schedules`, it is put off.
    pub(super) fn background_save(&mut self, client: SessionId, schedules: bool, reply: &mut Vec<u8>) {
        let in_exec = self.sessions[client].multi >= 0;
        if self.has_child_of(ChildKind::Snapshot) {
            return self.write_error(client, &IN_PROGRESS, reply);
        }
        if self.has_child() && !schedules && !in_exec {
            return self.write_error(client, &ANOTHER, reply);
        }
        let answer = if self.has_child() || in_exec {
            self.stats.persistence.bgsave_scheduled = true;
            "Background saving scheduled"
        } else if self.start_saving() {
            "Background saving started"
        } else {
            return self.write_error(client, &FAILED, reply);
        };
        self.write_simple(client, answer, reply);
    }

    /// Forks a child that writes a snapshot; whether that worked. A failure is in the log and in INFO.
    fn start_saving(&mut self) -> bool {
        let (plan, path, disk) = (self.plan(false), self.snapshot_path(), Arc::clone(&self.disk));
        self.stats.counters.rdb_saves += 1;
        let started = self.start_child(ChildKind::Snapshot, |keys, temp, progress| {
            snapshot::write(&*disk, keys, &plan, &temp, &path, progress)
        });
        let now_s = self.now_s();
        let facts = &mut self.stats.persistence;
        facts.last_try_s = now_s;
        facts.bgsave_scheduled = false;
        match (started, &self.child) {
            (Err(error), _) => {
                facts.last_bgsave_ok = false;
                tracing::warn!("Can't save in background: fork: {}", os_text(&error));
                return false;
            }
            (Ok(()), Some(job)) => tracing::info!("Background saving started by pid {}", job.pid()),
            (Ok(()), None) => {}
        }
        true
    }

    /// Starts a snapshot that was put off.
    pub(super) fn start_scheduled_save(&mut self) {
        if self.stats.persistence.bgsave_scheduled && self.is_patient() {
            self.start_saving();
        }
    }

    /// Whether the last save worked, or is long enough ago for another try.
    fn is_patient(&self) -> bool {
        let facts = &self.stats.persistence;
        facts.last_bgsave_ok || self.now_s() - facts.last_try_s > RETRY_S
    }

    pub(super) fn conclude_save(&mut self, job: &Job, progress: &ChildProgress, ended: Ended) {
        let now_s = self.now_s();
        let facts = &mut self.stats.persistence;
        facts.last_bgsave_duration_s = now_s - progress.started_s;
        facts.last_cow_bytes = progress.cow_peak_bytes;
        facts.last_bgsave_ok = match ended {
            Ended::Code(0) => true,
            _ => facts.last_bgsave_ok && !ended.is_failure(),
        };
        match ended {
            Ended::Code(0) => {
                tracing::info!("DB saved on disk");
                log_copied("RDB", progress);
                tracing::info!("Background saving terminated with success");
                let changes = &mut self.keys.changes;
                changes.dirty = changes.dirty.saturating_sub(job.dirty);
                facts.last_save_s = now_s;
            }
            Ended::Code(_) => tracing::warn!("Background saving error"),
            Ended::Signal(signal) => {
                tracing::warn!("Background saving terminated by signal {signal}");
                let _ = self.disk.remove(&job.temp());
            }
        }
    }

    pub(super) fn check_save_points(&mut self) {
        let (now_s, dirty) = (self.now_s(), self.keys.changes.dirty);
        let facts = &self.stats.persistence;
        let since = now_s - facts.last_save_s;
        let due = self
            .config
            .save_points()
            .iter()
            .find(|point| dirty >= point.changes as u64 && since > point.seconds);
        if let Some(point) = due.filter(|_| dirty > 0 && self.is_patient()) {
            tracing::info!(
                "{} changes in {} seconds. Saving...",
                point.changes,
                point.seconds
            );
            self.start_saving();
        }
    }

    /// Gets ready for another working folder (CONFIG SET dir). What is being saved is saved there anew, lest it count as
    /// saved and not be found.
    ///
    /// # Errors
    /// The append-only file is here: half of it in each folder would be of no use in either.
    pub(super) fn prepare_move(&mut self, changed: &[&'static str]) -> Result<(), (&'static str, String)> {
        if !changed.contains(&"dir") {
            return Ok(());
        }
        if self.stats.persistence.aof.enabled || self.has_child_of(ChildKind::Rewrite) {
            let reason =
                "the append-only file is in the present folder. Turn it off first, and on again afterwards.";
            return Err(("dir", reason.to_owned()));
        }
        if self.has_child_of(ChildKind::Snapshot) {
            self.kill_save();
            self.stats.persistence.bgsave_scheduled = true;
        }
        Ok(())
    }

    /// Ends a snapshot under way: the data it saves is about to be replaced or saved otherwise.
    pub(super) fn kill_save(&mut self) {
        if self.kill_child_of(ChildKind::Snapshot) {
            tracing::warn!("There is a child saving an .rdb. Killing it!");
        }
    }

    /// After FLUSHALL: a snapshot under way is given up and, where save points are configured, the emptiness saved, lest
    /// the keys come back.
    pub(super) fn save_emptiness(&mut self) {
        if self.stats.persistence.loading.is_some() {
            // The log is read again: what comes behind is not known yet.
            return;
        }
        self.kill_save();
        if !self.config.save_points().is_empty() {
            // A failure is in the log and in INFO.
            let _ = self.save_now();
        }
    }

    /// DEBUG RELOAD: saves, empties all databases, and loads what was saved.
    pub(super) fn reload(&mut self, client: SessionId, options: ReloadOptions, reply: &mut Vec<u8>) {
        const CANNOT_SAVE: Error = Error::fixed("ERR");
        const CANNOT_LOAD: Error = Error::fixed("ERR Error trying to load the RDB dump, check server logs");
        if self.stats.persistence.loading.is_some() {
            // What has not been read yet must not be overwritten with what has.
            return self.write_error(client, &admit::LOADING, reply);
        }
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

fn log_failure(failure: &SaveError) {
    tracing::warn!(
        "Error saving DB on disk while {}: {}",
        failure.doing,
        os_text(&failure.error)
    );
}
