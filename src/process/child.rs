//! A forked child that works on the data as it was at the moment of the fork, and tells its parent how it gets on.
//!
//! ```text
//! parent ── fork ──> child: closes what it does not need, works, ends without unwinding
//!    ^                 |
//!    └──── pipe ───────┘   lines of text: progress, then a last word
//! ```
//!
//! The child is the only thread of its process. What another thread of the parent had locked at that moment stays locked
//! for ever, so the child takes no lock of this program: it does not log, and it speaks to its parent alone. The allocator
//! looks after its own locks.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, set_parent_process_death_signal, waitpid,
};

use crate::base::cpus::Cpus;

use super::sys::{self, Forked};
use super::{oom, os_text, signals, title};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// Whether it did not do its work and was not told to give up either. Compat: SIGUSR1 is how somebody ends a child
    /// without having its failure count.
    pub fn is_failure(self) -> bool {
        !matches!(self, Ended::Code(0) | Ended::Signal(libc::SIGUSR1))
    }
}

/// A child at work.
pub struct Child {
    pid: Pid,
    pipe: File,
    heard: Vec<u8>,
}

/// Somebody who works on the data of the moment it was hired.
pub trait Worker: Send {
    /// Its process number.
    fn pid(&self) -> i32;

    /// The lines it has sent since the last call, whole ones only.
    fn lines(&mut self) -> Vec<String>;

    /// How it ended, if it has.
    fn ended(&self) -> Option<Ended>;

    /// Kills it and waits until it is gone.
    fn kill(self: Box<Self>);
}

/// The child's way to its parent.
pub struct Report {
    pipe: Option<File>,
}

impl Report {
    /// A way to nobody.
    pub fn unheard() -> Report {
        Report { pipe: None }
    }

    /// Sends one line. A parent that is gone or does not read is no reason to stop working.
    pub fn line(&mut self, text: &str) {
        if let Some(pipe) = &mut self.pipe {
            let _ = pipe.write_all(format!("{text}\n").as_bytes());
        }
    }
}

/// What a child takes on that its parent is not.
#[derive(Debug, Clone, Default)]
pub struct Role {
    /// How `ps` shows it.
    pub title: Option<String>,
    /// Where it runs.
    pub cpus: Option<Cpus>,
    /// How soon the kernel should pick it when memory runs out.
    pub oom_score: Option<i32>,
}

impl Role {
    /// Takes it on, in the child. What cannot be had is told, and no reason not to work.
    pub fn take_on(&self, report: &mut Report) {
        if let Some(title) = &self.title {
            // The lock of the title is free here: only the thread that forks shows titles.
            title::set(title);
        }
        let pinned = self.cpus.as_ref().map_or(Ok(()), Cpus::pin);
        let scored = self.oom_score.map_or(Ok(()), oom::set_score);
        for (what, done) in [("CPU affinity", pinned), ("oom_score_adj", scored)] {
            if let Err(error) = done {
                report.line(&format!("unable to set {what}: {}", os_text(&error)));
            }
        }
    }
}

/// Forks a child that runs `work` and ends with the code it returns; or with its parent, however that ends: a snapshot
/// finished later would take the place of one that the next server has written.
///
/// It keeps the descriptor `kept`, its way to the parent, and the three standard ones.
///
/// # Errors
/// What the operating system says against another process.
pub fn spawn(kept: Option<BorrowedFd<'_>>, work: impl FnOnce(&mut Report) -> i32) -> io::Result<Child> {
    let (ours, theirs): (OwnedFd, OwnedFd) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&ours, OFlags::NONBLOCK)?;
    // A pipe that nobody empties must not stop the child.
    rustix::fs::fcntl_setfl(&theirs, OFlags::NONBLOCK)?;
    let parent = getpid();
    match sys::fork_worker()? {
        Forked::Child => {
            let pipe = theirs.as_raw_fd();
            sys::close_all_but(&[pipe, kept.map_or(pipe, |kept| kept.as_raw_fd())]);
            follow(parent);
            signals::install_in_child();
            let mut report = Report {
                pipe: Some(File::from(theirs)),
            };
            let code = work(&mut report);
            sys::end_now(code)
        }
        Forked::Parent(pid) => Ok(Child {
            pid: Pid::from_raw(pid).expect("fork returns a process number"),
            pipe: File::from(ours),
            heard: Vec::new(),
        }),
    }
}

/// Ends this process when its parent does, or now if that is gone already. It is the thread that forked which counts: the
/// executor's, which lasts as long as its process.
fn follow(parent: Pid) {
    // Where that cannot be had the child works on to its end.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    if getppid() != Some(parent) {
        sys::end_now(1);
    }
}

impl Worker for Child {
    fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    fn lines(&mut self) -> Vec<String> {
        let _ = self.pipe.read_to_end(&mut self.heard);
        let Some(end) = self.heard.iter().rposition(|&b| b == b'\n') else {
            return Vec::new();
        };
        let whole: Vec<u8> = self.heard.drain(..=end).collect();
        String::from_utf8_lossy(&whole)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn ended(&self) -> Option<Ended> {
        match waitpid(Some(self.pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => Some(match (status.terminating_signal(), status.exit_status()) {
                (Some(signal), _) => Ended::Signal(signal),
                (None, Some(signals::RETIRED_EXIT_CODE)) => Ended::Signal(libc::SIGUSR1),
                (None, code) => Ended::Code(code.unwrap_or(1)),
            }),
            Ok(None) => None,
            // Somebody else has taken its status: it is gone all the same.
            Err(_) => Some(Ended::Code(1)),
        }
    }

    fn kill(self: Box<Self>) {
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = waitpid(Some(self.pid), WaitOptions::empty());
    }
}

/// Bytes of this process that it shares with no other: in a forked child, what copy-on-write has cost. 0 when the
/// system does not tell.
pub fn private_dirty_bytes() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/smaps_rollup") else {
        return 0;
    };
    text.lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn wait(child: &Child) -> Ended {
        loop {
            if let Some(ended) = child.ended() {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_child_works_on_a_copy_and_reports() {
        let mut data = vec![1, 2, 3];
        let mut child = spawn(None, |report| {
            report.line(&format!("sum {}", data.iter().sum::<i32>()));
            data.push(4);
            data.len() as i32
        })
        .expect("a process more");
        assert_eq!(wait(&child), Ended::Code(4));
        assert_eq!(child.lines(), ["sum 6"]);
        assert_eq!(data, [1, 2, 3]);
    }

    #[test]
    fn a_child_that_is_killed_is_gone() {
        let child = spawn(None, |_| {
            std::thread::sleep(Duration::from_secs(60));
            0
        })
        .expect("a process more");
        assert_eq!(child.ended(), None);
        Box::new(child).kill();
    }
}
