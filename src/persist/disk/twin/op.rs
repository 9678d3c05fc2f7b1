//! What can be done to a disk.

use std::path::PathBuf;
use std::sync::Arc;

/// One change. Files are known by numbers, names by their paths.
#[derive(Debug, Clone)]
pub enum Op {
    /// An empty file gets a name.
    Create(u64, PathBuf),
    /// Bytes are added at a file's end.
    Write(u64, Arc<[u8]>),
    /// A file is cut.
    SetLen(u64, u64),
    /// So many of a file's changes last from now on.
    Sync(u64, u64),
    /// A sync has failed: none of what it should have covered ever lasts.
    FailSync(u64),
    /// A file gets another name.
    Rename(PathBuf, PathBuf),
    /// A name is gone.
    Remove(PathBuf),
    /// There is a new folder.
    CreateFolder(PathBuf),
    /// The names in a folder last from now on.
    SyncFolder(PathBuf),
}
