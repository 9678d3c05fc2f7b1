//! Going into the background, and the file that says who is there.
//!
//! ```text
//! shell > server ── fork ──> child: setsid, /dev/null as 0 1 2 > serve
//!            `─ exit 0
//! ```
//!
//! Detaching must come before any thread starts: a fork takes only the calling thread along.

use super::log::{notice, warning};
use super::{os_text, sys};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The pidfile of a background server whose configuration names none.
pub const PIDFILE_DEFAULT: &str = "/var/run/redis.pid";

/// Continues as a background process; the calling process exits with 0 and never returns from here.
///
/// Errors: other threads are running, or the system refuses the fork; then nothing has changed. A missing `/dev/null`
/// leaves the streams as they are.
pub fn detach() -> io::Result<()> {
    if let sys::Forked::Parent(_) = sys::fork_alone()? {
        std::process::exit(0);
    }
    // Fails only for a group leader, which a fresh child is not.
    let _ = rustix::process::setsid();
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
    }
    Ok(())
}

/// Where the pid belongs: the configured file, or the default one for a server in the background, or nowhere.
pub fn pidfile_path(configured: Option<&Path>, background: bool) -> Option<PathBuf> {
    match configured {
        Some(path) => Some(path.to_owned()),
        None => background.then(|| PathBuf::from(PIDFILE_DEFAULT)),
    }
}

/// A pidfile of this process. Not removed by dropping it: a forked child must leave its parent's file alone.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes the pid of this process to `path`. A failure is logged, and the server runs without.
    pub fn write(path: PathBuf) -> Self {
        if let Err(error) = std::fs::write(&path, format!("{}\n", std::process::id())) {
            warning!("Failed to write PID file: {}", os_text(&error));
        }
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, on the way out.
    pub fn remove(self) {
        notice!("Removing the pid file.");
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pidfile_is_kept_when_asked_for_or_in_the_background() {
        let asked = Path::new("/run/x.pid");
        assert_eq!(pidfile_path(Some(asked), false).as_deref(), Some(asked));
        assert_eq!(pidfile_path(Some(asked), true).as_deref(), Some(asked));
        assert_eq!(
            pidfile_path(None, true).as_deref(),
            Some(Path::new(PIDFILE_DEFAULT))
        );
        assert_eq!(pidfile_path(None, false), None);
    }

    #[test]
    fn a_pidfile_holds_the_pid_and_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.pid");
        let pidfile = PidFile::write(path.clone());
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{}\n", std::process::id())
        );
        assert_eq!(pidfile.path(), path);
        pidfile.remove();
        assert!(!path.exists());
    }

    #[test]
    fn an_impossible_pidfile_does_not_stop_the_server() {
        PidFile::write("/nonexistent/folder/server.pid".into()).remove();
    }
}
