//! A disk in memory for tests, which keeps two views: what a reader sees, and what would still be there after a loss of
//! power. It records every change, so that a run can be cut behind each, and fails when it is told to.
//!
//! ```text
//! open, write, rename, ... ──> Op ──> journal                  a whole run, in order
//!                               └──> State: visible | lasting + pending (state)
//!                                              cut at Op n, some of what was pending kept (fate) ──> another Twin
//! ```
//!
//! A child works at once, on a copy of the state; what it did is then let in bit by bit between what its parent does.

mod fate;
mod op;
mod state;
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::rng::Rng;

use super::{Disk, Facts, File, FileLock, Handle, How};
pub use fate::Fate;
pub use op::Op;
pub use state::{Image, State};

/// Operations that fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The first one, counted from the beginning.
    pub first: u64,
    /// How many do.
    pub count: u64,
    /// The error's number.
    pub errno: i32,
}

#[derive(Debug)]
struct Inner {
    state: State,
    journal: Vec<Op>,
    inodes: u64,
    /// The state before the child that is at work just now, and what it has done so far.
    child: Option<(State, Vec<Op>)>,
    /// What a child has done and nobody has seen yet.
    unseen: VecDeque<Op>,
    /// How far the syncs of other threads reach, by file; while they are done.
    marks: BTreeMap<u64, u64>,
    uses_marks: bool,
    rng: Rng,
    attempts: u64,
    fault: Option<Fault>,
    /// No file can grow.
    full: bool,
}

/// The disk; clones are the same one.
#[derive(Debug, Clone)]
pub struct Twin(Arc<Mutex<Inner>>);

impl Twin {
    /// A disk on which `state` is found. `seed` decides when what a child does becomes visible.
    pub fn new(state: State, seed: u64) -> Twin {
        Twin(Arc::new(Mutex::new(Inner {
            inodes: state.inodes_used(),
            state,
            journal: Vec::new(),
            child: None,
            unseen: VecDeque::new(),
            marks: BTreeMap::new(),
            uses_marks: false,
            rng: Rng::seeded(seed),
            attempts: 0,
            fault: None,
            full: false,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes recorded so far.
    pub fn journal_len(&self) -> usize {
        self.inner().journal.len()
    }

    /// All of them.
    pub fn journal(&self) -> Vec<Op> {
        self.inner().journal.clone()
    }

    /// What is there now.
    pub fn state(&self) -> State {
        self.inner().state.clone()
    }

    /// Operations tried so far.
    pub fn attempts(&self) -> u64 {
        self.inner().attempts
    }

    /// Has operations fail, or none.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.inner().fault = fault;
    }

    /// Leaves no room for anything more, or room again. Unlike a [`Fault`] it is no trouble to syncs.
    pub fn set_full(&self, full: bool) {
        self.inner().full = full;
    }

    /// Another thread begins to sync: what is written from now on its sync does not cover.
    pub fn mark(&self) {
        let inner = &mut *self.inner();
        inner.marks = inner.state.written();
    }

    /// Syncs in `work` are those of the other thread.
    pub fn marked(&self, work: impl FnOnce()) {
        self.inner().uses_marks = true;
        work();
        self.inner().uses_marks = false;
    }

    /// From now on it is a child that works.
    pub fn begin_child(&self) {
        let inner = &mut *self.inner();
        inner.child = Some((inner.state.clone(), Vec::new()));
    }

    /// It has done all it wants to.
    pub fn end_child(&self) {
        let inner = &mut *self.inner();
        if let Some((state, ops)) = inner.child.take() {
            inner.state = state;
            inner.unseen = ops.into();
        }
    }

    /// Lets in some of what the child has done.
    pub fn step_child(&self) {
        self.inner().step_child();
    }

    /// Whether all of it is in.
    pub fn child_is_done(&self) -> bool {
        self.inner().unseen.is_empty()
    }

    /// What it has not done yet it does no more.
    pub fn kill_child(&self) {
        self.inner().unseen.clear();
    }
}

impl Inner {
    /// Whether the operation to come fails.
    fn attempt(&mut self) -> io::Result<()> {
        self.attempts += 1;
        match self.fault {
            Some(fault) if (fault.first..fault.first + fault.count).contains(&self.attempts) => {
                Err(io::Error::from_raw_os_error(fault.errno))
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, op: Op) {
        self.state.apply(&op);
        if let Some((_, ops)) = &mut self.child {
            ops.push(op);
            return;
        }
        self.journal.push(op);
        if self.rng.below(2) == 0 {
            self.step_child();
        }
    }

    fn step_child(&mut self) {
        for _ in 0..=self.rng.below(2) {
            if let Some(op) = self.unseen.pop_front() {
                self.state.apply(&op);
                self.journal.push(op);
            }
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<u64> {
        self.state.require_folder_of(path)?;
        self.inodes += 1;
        let inode = self.inodes;
        self.apply(Op::Create(inode, path.to_owned()));
        Ok(inode)
    }

    fn open(&mut self, path: &Path, how: How) -> io::Result<u64> {
        self.attempt()?;
        match (self.state.file(path), how) {
            (Some(inode), How::Create) => {
                self.apply(Op::SetLen(inode, 0));
                Ok(inode)
            }
            (Some(inode), _) => Ok(inode),
            (None, How::Create | How::Append) => self.create(path),
            (None, How::Read | How::Cut) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Disk for Twin {
    fn open(&self, path: &Path, how: How) -> io::Result<File> {
        let inode = self.inner().open(path, how)?;
        Ok(File::new(TwinFile {
            twin: self.clone(),
            inode,
            position: Mutex::new(0),
        }))
    }

    fn facts(&self, path: &Path) -> io::Result<Facts> {
        self.inner().state.facts(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let inner = &mut *self.inner();
        inner.attempt()?;
        inner.state.facts(from)?;
        inner.state.require_folder_of(to)?;
        inner.apply(Op::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let inner = &mut *self.inner();
        inner.attempt()?;
        inner.state.facts(path)?;
        inner.apply(Op::Remove(path.to_owned()));
        Ok(())
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let inner = &mut *self.inner();
        inner.attempt()?;
        inner.state.require_folder_of(path)?;
        inner.apply(Op::CreateFolder(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let inner = &mut *self.inner();
        inner.attempt()?;
        inner.state.facts(path)?;
        inner.apply(Op::SyncFolder(path.to_owned()));
        Ok(())
    }

    /// Of no matter for what lasts: nothing is recorded.
    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.inner().state.require_folder_of(path)?;
        Ok(Box::new(()))
    }
}

#[derive(Debug)]
struct TwinFile {
    twin: Twin,
    inode: u64,
    position: Mutex<u64>,
}

impl TwinFile {
    fn position(&self) -> MutexGuard<'_, u64> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle for TwinFile {
    fn read(&self, out: &mut [u8]) -> io::Result<usize> {
        let (inner, mut position) = (self.twin.inner(), self.position());
        let bytes = inner.state.bytes(self.inode);
        let rest = bytes.get(*position as usize..).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        *position += count as u64;
        Ok(count)
    }

    fn seek(&self, offset: u64) -> io::Result<()> {
        *self.position() = offset;
        Ok(())
    }

    /// A disk that is about to refuse a write takes half of the one before.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let inner = &mut *self.twin.inner();
        inner.attempt()?;
        if inner.full {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let is_last = inner.fault.is_some_and(|fault| inner.attempts + 1 == fault.first);
        let count = if is_last {
            bytes.len().div_ceil(2)
        } else {
            bytes.len()
        };
        inner.apply(Op::Write(self.inode, bytes[..count].into()));
        Ok(count)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let inner = &mut *self.twin.inner();
        inner.attempt()?;
        inner.apply(Op::SetLen(self.inode, bytes));
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.twin.inner().state.bytes(self.inode).len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let inner = &mut *self.twin.inner();
        let covered = if inner.uses_marks {
            inner.marks.get(&self.inode).copied().unwrap_or(0)
        } else {
            inner.state.written().get(&self.inode).copied().unwrap_or(0)
        };
        let attempt = inner.attempt();
        inner.apply(match attempt {
            Ok(()) => Op::Sync(self.inode, covered),
            Err(_) => Op::FailSync(self.inode),
        });
        attempt
    }
}
