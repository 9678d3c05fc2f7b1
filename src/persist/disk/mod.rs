//! The small file layer through which all that must outlive the process is written and read.
//!
//! ```text
//! snapshot, log, manifest, rewrite, replay ──> Disk, File ──> System   files of the operating system
//!                                                        ├──> Absent   no files at all: executors without a process
//!                                                        └──> Twin     (tests) loses power, fills up, fails on purpose
//! ```
//!
//! What lasts, and when, is what POSIX promises and no more:
//! - Written bytes last once a sync of their file that began after them has succeeded.
//! - A name (a file created, renamed, removed; a folder created) lasts once its folder has been synced. Syncing the file
//!   makes its bytes last, not its name.
//! - What a sync that failed should have covered may be lost, even if a later sync succeeds.
//!
//! Costs: a call through a table of functions per operation, of which a turn of the server makes at most one.
//! Not here: the server's own log, its configuration, sockets and pid file: nothing is lost with them.

pub mod system;
#[cfg(test)]
pub mod twin;

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// To read one that is there.
    Read,
    /// To write an empty one, whatever was there.
    Create,
    /// To append to one, which is created if need be.
    Append,
    /// To cut one that is there.
    Cut,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Size in bytes.
    pub bytes: u64,
    /// A folder rather than a file.
    pub is_folder: bool,
}

/// A file that is ours until this is dropped.
pub type FileLock = Box<dyn Debug + Send>;

/// Where files are. All errors are the operating system's.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait Disk: Debug + Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, how: How) -> io::Result<File>;

    /// What is at a path.
    fn facts(&self, path: &Path) -> io::Result<Facts>;

    /// Gives a file another name, in the place of whatever has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a file at once, but gives its room back later: with a large one that takes its time.
    fn remove_aside(&self, path: &Path) -> io::Result<()> {
        self.remove(path)
    }

    /// Creates a folder in one that is there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder last.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Keeps other servers away from what the file at `path` stands for; it is created if need be, and stays. `WouldBlock`
    /// when one has it; any other error: that cannot be had here.
    fn lock(&self, path: &Path) -> io::Result<FileLock>;
}

/// What a file can do. Positions move as it is read; writes go to its end.
#[expect(clippy::missing_errors_doc, reason = "as for `Disk`")]
pub trait Handle: Debug + Send + Sync {
    /// Reads on; 0 at the end.
    fn read(&self, out: &mut [u8]) -> io::Result<usize>;

    /// Reads from `offset` on next.
    fn seek(&self, offset: u64) -> io::Result<()>;

    /// Writes the first of `bytes`, how many it says.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts it to `bytes`.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Its size in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Makes its bytes last, and its size.
    fn sync(&self) -> io::Result<()>;
}

/// An open file; clones are the same one.
#[derive(Debug, Clone)]
pub struct File(Arc<dyn Handle>);

impl File {
    /// A file that does what `handle` does.
    pub fn new(handle: impl Handle + 'static) -> File {
        File(Arc::new(handle))
    }
}

impl std::ops::Deref for File {
    type Target = dyn Handle;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Read for File {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The folder a file of that path is in.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The whole of a file.
///
/// # Errors
/// What the disk says.
pub fn read_whole(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    disk.open(path, How::Read)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// No disk: nothing is there, and nothing can be written.
#[derive(Debug)]
pub struct Absent;

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there is no disk"))
}

impl Disk for Absent {
    fn open(&self, _: &Path, how: How) -> io::Result<File> {
        match how {
            How::Read | How::Cut => Err(io::ErrorKind::NotFound.into()),
            How::Create | How::Append => refused(),
        }
    }

    fn facts(&self, _: &Path) -> io::Result<Facts> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn lock(&self, _: &Path) -> io::Result<FileLock> {
        refused()
    }
}
