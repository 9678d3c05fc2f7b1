//! New bases of the log, written by a child; and the log switched on and off.
//!
//! ```text
//! start:  a new file of commands, in the manifest ── fork ──> child writes temp-rewriteaof-bg-<pid>.aof
//! end:    its file becomes the base, older files history: one new manifest ──> history is removed
//! ```
//!
//! While the log is `Waiting`, the new file is a temporary one that gets its name at the end, and a failure begins the
//! rewrite again. The manifest is always replaced as a whole: a crash at any point leaves the old or the new one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::command::error::Error;
use crate::persist::aof::incr::Incr;
use crate::persist::aof::manifest::Manifest;
use crate::persist::aof::rewrite::{self, Surroundings};
use crate::persist::disk::Disk;
use crate::persist::snapshot::{self, Plan};
use crate::process::child::Ended;
use crate::process::os_text;
use crate::session::SessionId;
use crate::stats::persistence::{ChildKind, ChildProgress};

use super::super::Executor;
use super::super::child::{Job, log_copied};
use super::{Log, State};

const IN_PROGRESS: Error = Error::fixed("ERR Background append only file rewriting already in progress");
const FAILED: Error = Error::fixed(
    "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
);

/// After so many failures in a row the next try by itself comes later and later.
const FAILURES_BEFORE_LIMIT: u64 = 3;
const LIMIT_MINUTES_MAX: i64 = 60;

/// When the server may begin a rewrite by itself after many that failed.
#[derive(Default)]
pub(super) struct Limiter {
    minutes: i64,
    not_before_s: Option<i64>,
}

impl Limiter {
    /// Whether a rewrite should wait, after so many failures in a row.
    fn waits(&mut self, failures: u64, now_s: i64) -> bool {
        if failures < FAILURES_BEFORE_LIMIT {
            *self = Limiter::default();
            return false;
        }
        if let Some(at) = self.not_before_s {
            let waits = now_s < at;
            if !waits {
                self.not_before_s = None;
            }
            return waits;
        }
        self.minutes = (self.minutes * 2).clamp(1, LIMIT_MINUTES_MAX);
        self.not_before_s = Some(now_s + self.minutes * 60);
        tracing::warn!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {} minutes",
            self.minutes
        );
        true
    }
}

/// How a new base is written.
pub(super) struct BasePlan {
    plan: Plan,
    is_snapshot: bool,
    stamp_s: Option<i64>,
}

impl BasePlan {
    /// Writes it to `path` of `disk`; its size in bytes.
    pub(super) fn write(
        &self,
        disk: &dyn Disk,
        keys: &crate::keyspace::Keyspace,
        path: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, snapshot::SaveError> {
        let steps = self.plan.syncs_in_steps;
        let written = snapshot::fill_file(disk, path, steps, |sink| {
            if self.is_snapshot {
                snapshot::write_to(sink, keys, &self.plan, progress)
            } else {
                let surroundings = Surroundings {
                    stamp_s: self.stamp_s,
                    functions: &self.plan.functions,
                    key_delay_us: self.plan.key_delay_us,
                };
                rewrite::write_to(sink, keys, &surroundings, progress)
            }
        });
        if written.is_err() {
            // It may not exist.
            let _ = disk.remove(path);
        }
        written
    }
}

impl Executor {
    pub(super) fn base_plan(&self) -> BasePlan {
        BasePlan {
            plan: self.plan(true),
            is_snapshot: self.config.bool("aof-use-rdb-preamble"),
            stamp_s: self.config.bool("aof-timestamp-enabled").then(|| self.now_s()),
        }
    }

    /// BGREWRITEAOF: now, or as soon as another child or a transaction is over.
    pub(in crate::exec) fn background_rewrite(&mut self, client: SessionId, reply: &mut Vec<u8>) {
        let in_exec = self.sessions[client].multi >= 0;
        if self.has_child_of(ChildKind::Rewrite) {
            return self.write_error(client, &IN_PROGRESS, reply);
        }
        let answer = if self.has_child() || in_exec {
            self.stats.persistence.aof.rewrite_scheduled = true;
            // Whoever asks does not want to wait as long as the server itself would.
            self.stats.counters.aof_rewrites_consecutive_failures = 0;
            tracing::info!("Background append only file rewriting scheduled.");
            "Background append only file rewriting scheduled"
        } else if self.start_rewrite() {
            "Background append only file rewriting started"
        } else {
            return self.write_error(client, &FAILED, reply);
        };
        self.write_simple(client, answer, reply);
    }

    /// Starts a rewrite that was put off.
    pub(in crate::exec) fn start_scheduled_rewrite(&mut self) {
        if self.stats.persistence.aof.rewrite_scheduled && !self.rewrite_waits() {
            self.start_rewrite();
        }
    }

    fn rewrite_waits(&mut self) -> bool {
        let failures = self.stats.counters.aof_rewrites_consecutive_failures;
        let now_s = self.now_s();
        if self.aof.lost.is_some() {
            // Nobody can write until there is one.
            return std::mem::replace(&mut self.aof.tried_s, now_s) == now_s;
        }
        self.aof.limiter.waits(failures, now_s)
    }

    /// Starts a rewrite if the log has grown by `auto-aof-rewrite-percentage` since the last one.
    pub(in crate::exec) fn check_growth(&mut self) {
        let percentage = self.config.int("auto-aof-rewrite-percentage") as u64;
        let facts = self.stats.persistence.aof;
        let big = facts.size > self.config.memory("auto-aof-rewrite-min-size");
        if self.aof.state != State::On || percentage == 0 || !big {
            return;
        }
        let growth = (facts.size.saturating_mul(100) / facts.base_size.max(1)).saturating_sub(100);
        if growth >= percentage && !self.rewrite_waits() {
            tracing::info!("Starting automatic rewriting of AOF on {growth}% growth");
            self.start_rewrite();
        }
    }

    /// Forks a child that writes a new base; whether that worked. A failure is in the log and in INFO.
    fn start_rewrite(&mut self) -> bool {
        match self.try_rewrite() {
            Ok(()) => true,
            Err((doing, error)) => {
                self.stats.persistence.aof.last_rewrite_ok = false;
                self.stats.counters.aof_rewrites_consecutive_failures += 1;
                tracing::warn!(
                    "Can't rewrite append only file in background: {doing}: {}",
                    os_text(&error)
                );
                if self.aof.state == State::Off {
                    self.leave_folder();
                }
                false
            }
        }
    }

    fn try_rewrite(&mut self) -> Result<(), (&'static str, io::Error)> {
        let doing = |what| move |error| (what, error);
        self.take_folder_again()?;
        self.write_log(true);
        self.open_next_incr()?;
        self.stats.counters.aof_rewrites += 1;
        let (plan, disk) = (self.base_plan(), Arc::clone(&self.disk));
        self.aof.rewrites_snapshot = plan.is_snapshot;
        self.start_child(ChildKind::Rewrite, |keys, temp, progress| {
            plan.write(&*disk, keys, &temp, progress)
        })
        .map_err(doing("fork"))?;
        self.stats.persistence.aof.rewrite_scheduled = false;
        if let Some(job) = &self.child {
            tracing::info!(
                "Background append only file rewriting started by pid {}",
                job.pid()
            );
        }
        Ok(())
    }

    /// What follows goes to a new file, unless the log is off.
    fn open_next_incr(&mut self) -> Result<(), (&'static str, io::Error)> {
        let doing = |what| move |error| (what, error);
        let log = &mut self.aof;
        let (mut manifest, mut path) = (log.manifest.clone(), log.folder.temporary_incr());
        match log.state {
            State::Off => return Ok(()),
            State::Waiting => {}
            State::On => {
                log.folder.pass_over_strangers(&mut manifest);
                let part = manifest.new_incr(log.folder.stem());
                path = log.folder.file(part.path());
            }
        }
        if !log.buffer.is_empty() {
            // What could not be written belongs to the old file, and may fit into the new one no more.
            return Err((
                "writing the last file",
                io::Error::other("commands wait to be written"),
            ));
        }
        let next = Incr::open(&*self.disk, &path, true).map_err(doing("opening the next file"))?;
        if log.state == State::On {
            self.end_incr().map_err(doing("syncing the last file"))?;
            let log = &mut self.aof;
            // If the new file is named all the same, it stays empty: nothing is lost with it or without it.
            let persisted = log.folder.persist(&manifest).map_err(io::Error::from);
            persisted.map_err(doing("writing the manifest"))?;
            log.manifest = manifest;
        }
        tracing::info!(
            "Creating AOF incr file {} on background rewrite",
            path.file_name().unwrap_or_default().to_string_lossy()
        );
        self.aof.incr = Some(next);
        self.aof.framer.begin_file();
        Ok(())
    }

    /// Makes the file last to which nothing will be added any more. Behind it comes another, of which nothing must last
    /// without all of the first: else there would be a hole in what a later start reads, or an end where none can be.
    fn end_incr(&mut self) -> io::Result<()> {
        self.finish_syncs();
        match &self.aof.incr {
            Some(incr) if incr.is_unsynced() => self.sync_incr(),
            Some(_) => Ok(()),
            None => Err(io::Error::other("it could not be synced")),
        }
    }

    /// The child that wrote a new base has ended.
    pub(in crate::exec) fn conclude_rewrite(&mut self, job: &Job, progress: &ChildProgress, ended: Ended) {
        let now_s = self.now_s();
        let facts = &mut self.stats.persistence.aof;
        facts.last_rewrite_duration_s = now_s - progress.started_s;
        facts.last_cow_bytes = progress.cow_peak_bytes;
        let switched = match ended {
            Ended::Code(0) => {
                let temp = job.temp();
                tracing::info!(
                    "Successfully created the temporary AOF base file {}",
                    temp.display()
                );
                tracing::info!("Background AOF rewrite terminated with success");
                log_copied("AOF rewrite", progress);
                self.switch_to_base(job.temp())
            }
            Ended::Code(_) => {
                tracing::warn!("Background AOF rewrite terminated with error");
                false
            }
            Ended::Signal(signal) => {
                tracing::warn!("Background AOF rewrite terminated by signal {signal}");
                false
            }
        };
        if switched || ended == Ended::Code(0) || ended.is_failure() {
            self.stats.persistence.aof.last_rewrite_ok = switched;
            let failures = &mut self.stats.counters.aof_rewrites_consecutive_failures;
            *failures = if switched { 0 } else { *failures + 1 };
        }
        if !switched {
            let _ = self.disk.remove(&job.temp());
            self.begin_waiting_again();
        }
        if self.aof.state == State::Off {
            self.leave_folder();
        }
    }

    /// Makes the file at `temp` the base; whether that worked.
    fn switch_to_base(&mut self, temp: PathBuf) -> bool {
        match self.aof.switched(&temp) {
            Ok(lasts) => {
                if self.aof.state == State::Waiting {
                    if !lasts {
                        // What is written from now on would have to last, and cannot be promised to.
                        return false;
                    }
                    self.aof.state = State::On;
                    if self.aof.is_strict() || self.aof.guard.holds_any() {
                        // What the temporary file holds is not synced yet.
                        self.aof.guard.distrust();
                    }
                    self.find_log();
                }
            }
            Err((doing, error)) => {
                tracing::warn!("Error {doing} at the end of an AOF rewrite: {}", os_text(&error));
                return false;
            }
        }
        self.note_base();
        self.remove_history();
        tracing::info!("Background AOF rewrite finished successfully");
        true
    }

    /// The sizes after a rewrite.
    fn note_base(&mut self) {
        let log = &self.aof;
        if log.state == State::Off {
            return;
        }
        let base = log
            .manifest
            .base
            .as_ref()
            .map(|part| log.folder.file(part.path()));
        let base_bytes = base
            .and_then(|path| self.disk.facts(&path).ok())
            .map_or(0, |facts| facts.bytes);
        let facts = &mut self.stats.persistence.aof;
        facts.size = base_bytes + log.incr.as_ref().map_or(0, Incr::size);
        facts.base_size = facts.size;
    }

    /// A rewrite has failed: if the log was just turned on, it begins again.
    pub(super) fn begin_waiting_again(&mut self) {
        if self.aof.state == State::Waiting {
            self.drop_temporary_incr();
            self.stats.persistence.aof.rewrite_scheduled = true;
        }
    }

    fn drop_temporary_incr(&mut self) {
        let path = self.aof.folder.temporary_incr();
        let log = &mut self.aof;
        (log.incr, log.buffer, log.postponed_ms) = (None, Vec::new(), None);
        // What could not be written will be in the next base: nothing is left to try again.
        self.aof.write_errno = None;
        self.note_write_status();
        tracing::info!(
            "Removing the temp incr aof file {} in the background",
            path.file_name().unwrap_or_default().to_string_lossy()
        );
        self.remove_aside(&path);
    }

    fn remove_aside(&self, path: &Path) {
        match self.disk.remove_aside(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("Can't remove {}: {}", path.display(), os_text(&error));
            }
            _ => {}
        }
    }

    /// Removes the files a rewrite has replaced, unless they are to be kept (`aof-disable-auto-gc`).
    pub(in crate::exec) fn remove_history(&mut self) {
        if self.config.bool("aof-disable-auto-gc") || self.aof.manifest.history.is_empty() {
            return;
        }
        let log = &mut self.aof;
        let mut manifest = log.manifest.clone();
        let history = std::mem::take(&mut manifest.history);
        // First the manifest, and so that it lasts: a file it names must exist.
        if let Err(failure) = log.folder.persist(&manifest) {
            return tracing::warn!("Can't write the AOF manifest: {}", os_text(&failure.error));
        }
        log.manifest = manifest;
        for part in history {
            tracing::info!("Removing the history file {} in the background", part.shown());
            self.remove_aside(&self.aof.folder.file(part.path()));
        }
    }

    /// Follows CONFIG SET.
    ///
    /// # Errors
    /// The directive at fault and why.
    pub(in crate::exec) fn apply_log_config(
        &mut self,
        client: SessionId,
        changed: &[&'static str],
    ) -> Result<(), (&'static str, String)> {
        if changed.contains(&"appendonly") {
            let wanted = self.config.bool("appendonly");
            if wanted && self.aof.state == State::Off && !self.turn_log_on(client) {
                return Err((
                    "appendonly",
                    "Unable to turn on AOF. Check server logs.".to_owned(),
                ));
            }
            if !wanted && self.aof.state != State::Off {
                self.turn_log_off();
            }
        }
        if changed.contains(&"aof-disable-auto-gc") {
            self.remove_history();
        }
        Ok(())
    }

    /// CONFIG SET appendonly yes; whether that worked.
    fn turn_log_on(&mut self, client: SessionId) -> bool {
        self.aof.state = State::Waiting;
        self.keys.changes.followed = true;
        self.stats.persistence.aof.enabled = true;
        let in_exec = self
            .sessions
            .get(client)
            .is_some_and(|session| session.multi >= 0);
        if self.has_child_of(ChildKind::Snapshot) {
            self.stats.persistence.aof.rewrite_scheduled = true;
            tracing::info!(
                "AOF was enabled but there is already another background operation. An AOF background was scheduled to \
                 start when possible."
            );
        } else if in_exec {
            self.stats.persistence.aof.rewrite_scheduled = true;
            tracing::info!(
                "AOF was enabled during a transaction. An AOF background was scheduled to start when possible."
            );
        } else {
            if self.kill_child_of(ChildKind::Rewrite) {
                // It does not know what is written from now on.
                tracing::info!(
                    "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and \
                     starting a rewrite now."
                );
            }
            if !self.start_rewrite() {
                self.forget_log();
                tracing::warn!(
                    "The server needs to enable the AOF but can't trigger a background AOF rewrite operation. Check \
                     the above logs for more info about the error."
                );
                return false;
            }
        }
        self.aof.write_errno = None;
        self.stats.persistence.aof.last_write_ok = true;
        true
    }

    /// CONFIG SET appendonly no.
    fn turn_log_off(&mut self) {
        if self.aof.state == State::On {
            self.flush_log();
        }
        self.kill_rewrite();
        if std::mem::take(&mut self.stats.persistence.aof.rewrite_scheduled) {
            tracing::info!("AOF was disabled but there is a scheduled AOF background, cancel it.");
        }
        if self.aof.state == State::Waiting && self.aof.incr.is_some() {
            self.drop_temporary_incr();
        }
        self.forget_log();
    }

    /// There is no log any more; its files stay as they are.
    fn forget_log(&mut self) {
        let log = &mut self.aof;
        (log.incr, log.buffer, log.postponed_ms) = (None, Vec::new(), None);
        (log.write_errno, log.lost) = (None, None);
        log.state = State::Off;
        log.guard.settle();
        self.leave_folder();
        self.keys.changes.followed = false;
        let facts = &mut self.stats.persistence.aof;
        facts.enabled = false;
        facts.last_write_ok = true;
        (facts.waiting_bytes, facts.buffer_bytes, facts.pending_syncs) = (0, 0, 0);
    }

    /// Ends a rewrite under way; whether there was one.
    pub(super) fn kill_rewrite(&mut self) -> bool {
        let Some(job) = self.child.as_ref().filter(|job| job.kind == ChildKind::Rewrite) else {
            return false;
        };
        tracing::info!("Killing running AOF rewrite child: {}", job.pid());
        self.kill_child_of(ChildKind::Rewrite)
    }

    /// Writes and syncs all there is before the server ends. False if it must not end yet, unless `forced`: what was
    /// acknowledged is not all in the log. Compat: Redis ends then, unless the policy is `always`, where it has ended before.
    pub(in crate::exec) fn close_log_before_end(&mut self, forced: bool) -> bool {
        if self.has_child_of(ChildKind::Rewrite) {
            if self.aof.state == State::Waiting && !forced {
                tracing::warn!("Writing initial AOF, can't exit.");
                return false;
            }
            if self.aof.state == State::Waiting {
                tracing::warn!("Writing initial AOF. Exit anyway.");
            }
            tracing::warn!("There is a child rewriting the AOF. Killing it!");
            self.kill_rewrite();
        }
        if self.aof.state == State::Off || self.keep_all_in_log() {
            return true;
        }
        if forced {
            tracing::warn!("The AOF does not hold all that was acknowledged. Exit anyway.");
        } else {
            tracing::warn!("The AOF does not hold all that was acknowledged, can't exit.");
        }
        forced
    }

    /// Whether all that was acknowledged is in the log, and in the folder where the next start looks for it.
    fn keep_all_in_log(&mut self) -> bool {
        self.look_for_folder();
        if self.aof.incr.is_some() {
            tracing::info!("Calling fsync() on the AOF file.");
            return self.flush_log();
        }
        self.aof.fault().is_none()
    }
}

impl Log {
    /// Makes the file at `temp` the base and older files history, on disk and here; whether that lasts. If it may not, old
    /// and new files must both stay, and their numbers are spent.
    fn switched(&mut self, temp: &Path) -> Result<bool, (&'static str, io::Error)> {
        let mut manifest = self.manifest.clone();
        self.folder.pass_over_strangers(&mut manifest);
        let stem = self.folder.stem();
        let base = self
            .folder
            .file(manifest.new_base(stem, self.rewrites_snapshot).path());
        let incr = (self.state == State::Waiting).then(|| manifest.new_incr(stem));
        let incr = incr.map(|part| self.folder.file(part.path()));
        manifest.retire_incrs(self.state != State::Off);
        match self.put_in_place(temp, &base, incr.as_deref(), &manifest) {
            Ok(lasts) => {
                self.manifest = manifest;
                Ok(lasts)
            }
            failed => {
                // Nobody names them: left there, they would have their numbers passed over.
                let disk = self.folder.disk();
                let _ = disk.remove(&base);
                incr.iter().for_each(|path| drop(disk.remove(path)));
                failed
            }
        }
    }

    /// Gives the new files their names and writes the manifest that names them; whether that lasts.
    fn put_in_place(
        &self,
        temp: &Path,
        base: &Path,
        incr: Option<&Path>,
        manifest: &Manifest,
    ) -> Result<bool, (&'static str, io::Error)> {
        let doing = |what| move |error| (what, error);
        let disk = self.folder.disk();
        disk.rename(temp, base)
            .map_err(doing("moving the base to its place"))?;
        tracing::info!(
            "Successfully renamed the temporary AOF base file {} into {}",
            temp.display(),
            base.file_name().unwrap_or_default().to_string_lossy()
        );
        if let Some(incr) = incr {
            disk.rename(&self.folder.temporary_incr(), incr)
                .map_err(doing("moving the increment to its place"))?;
        }
        match self.folder.persist(manifest) {
            Ok(()) => Ok(true),
            Err(failure) if failure.in_place => {
                tracing::warn!("The new AOF manifest may not last: {}", os_text(&failure.error));
                Ok(false)
            }
            Err(failure) => Err(("writing the manifest", failure.error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_three_failures_the_next_try_comes_later_and_later() {
        let mut limiter = Limiter::default();
        assert!(!limiter.waits(2, 0));
        assert!(limiter.waits(3, 0) && limiter.waits(3, 59));
        assert!(!limiter.waits(3, 60), "one try");
        assert!(limiter.waits(4, 61) && limiter.waits(4, 180));
        assert!(!limiter.waits(4, 181));
        assert!(!limiter.waits(0, 181));
        assert!(
            limiter.waits(3, 200) && !limiter.waits(3, 260),
            "from the beginning"
        );
    }
}
