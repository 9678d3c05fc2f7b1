//! The folder of the log as something that others may take, or take away.
//!
//! Two servers that append to one log would leave one that neither can read: whoever changes its files locks them first
//! (`docs/decisions`). The lock is the kernel's, so it ends with the process; a server that starts while another is about
//! to end waits for it a moment.
//!
//! A folder that is removed while the server runs takes the log with it, although every write seems to succeed. That is
//! looked for once a second. The log is lost then, as it is when a sync fails: what is on disk cannot be gone on with.
//! Writes are refused, and a new log is begun as if it had just been turned on, until its first base is written.

use std::io;
use std::time::Duration;

use crate::persist::aof::folder::ManifestError;
use crate::persist::aof::incr::Incr;
use crate::process::os_text;

use super::super::Executor;
use super::State;
use super::load::Fatal;

/// How long another server may take to end.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

impl Executor {
    /// Creates the folder if need be and makes it ours; whether it was not before.
    ///
    /// # Errors
    /// What was being done, and why it failed: another server has it, or it cannot be created.
    fn take_folder(&mut self, patience: Duration) -> Result<bool, (&'static str, io::Error)> {
        self.aof
            .folder
            .create()
            .map_err(|error| ("creating the folder", error))?;
        if self.aof.lock.is_some() {
            return Ok(false);
        }
        let mut left = patience;
        loop {
            match self.aof.folder.lock() {
                Ok(lock) => {
                    self.aof.lock = Some(lock);
                    return Ok(true);
                }
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    tracing::info!("The AOF cannot be locked: {}", os_text(&error));
                    return Ok(true);
                }
                Err(_) if left.is_zero() => {
                    return Err((
                        "locking the folder",
                        io::Error::other("another server is using it"),
                    ));
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
            left = left.saturating_sub(PAUSE);
        }
    }

    /// At start, when there may be one about to end.
    ///
    /// # Errors
    /// There is one that does not end, or no folder.
    pub(in crate::exec) fn enter_log_folder(&mut self) -> Result<(), Fatal> {
        let taken = self.take_folder(PATIENCE).map(drop);
        taken.map_err(|(doing, error)| {
            let path = self.aof.folder.path().display();
            tracing::warn!("Can't use the AOF folder {path}: {doing}: {}", os_text(&error));
            Fatal
        })
    }

    /// Removes what a rewrite has left behind in a folder that is not used for now, unless another server uses it.
    pub(in crate::exec) fn tidy_log_folder(&mut self) {
        if !self.aof.manifest.history.is_empty() && self.take_folder(Duration::ZERO).is_ok() {
            self.remove_history();
            self.leave_folder();
        }
    }

    /// While the server runs. What is in the folder may be another server's by now.
    pub(super) fn take_folder_again(&mut self) -> Result<(), (&'static str, io::Error)> {
        if !self.take_folder(Duration::ZERO)? || self.aof.state == State::On {
            return Ok(());
        }
        match self.aof.folder.load() {
            Ok(manifest) => {
                self.aof.manifest.follow(manifest);
                Ok(())
            }
            Err(ManifestError::Io(error)) => Err(("reading the manifest", error)),
            Err(ManifestError::Malformed(malformed)) => {
                Err(("reading the manifest", io::Error::other(malformed.to_string())))
            }
        }
    }

    /// Leaves the folder to others.
    pub(super) fn leave_folder(&mut self) {
        self.aof.lock = None;
    }

    /// Looks whether the file that is being written is still in its folder: for cron, once a second.
    pub(in crate::exec) fn look_for_folder(&mut self) {
        let log = &self.aof;
        let (State::On, Some(part)) = (log.state, log.manifest.incrs.last()) else {
            return;
        };
        let found = self.disk.facts(&log.folder.file(part.path()));
        let is_gone = |error: io::Error| {
            // Or something else is in its place.
            matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            )
        };
        if found.is_err_and(is_gone) {
            tracing::warn!("The AOF in {} has been removed.", log.folder.path().display());
            self.aof.manifest.forget_files();
            self.leave_folder();
            self.lose_log(libc::ENOENT);
        }
    }

    /// The file that is written cannot be gone on with. What is on disk stays as it is until there is a new base.
    pub(super) fn lose_log(&mut self, errno: i32) {
        tracing::warn!("Writes are refused until there is a new AOF.");
        self.kill_rewrite();
        self.prolong_waits();
        let log = &mut self.aof;
        if let Some(Err(error)) = log.incr.as_mut().map(Incr::cut_back) {
            tracing::warn!("The end of the AOF may be damaged: {}", os_text(&error));
        }
        (log.state, log.lost) = (State::Waiting, Some(errno));
        (log.incr, log.buffer, log.postponed_ms) = (None, Vec::new(), None);
        log.write_errno = None;
        self.stats.persistence.aof.rewrite_scheduled = true;
        self.note_write_status();
    }

    /// There is a log again.
    pub(super) fn find_log(&mut self) {
        if self.aof.lost.take().is_some() {
            tracing::info!("There is a new AOF. The server can write again.");
            self.note_write_status();
        }
    }
}
