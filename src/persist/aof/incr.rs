//! The file that commands are appended to.
//!
//! It never ends in half a write while this process lives: one that fails in the middle is cut off again
//! ([`Incr::append`]).

use std::io;
use std::path::Path;

use crate::persist::disk::{Disk, File, How};

/// The file being appended to.
#[derive(Debug)]
pub struct Incr {
    file: File,
    size: u64,
    /// How much of it a sync covers that has begun.
    synced: u64,
    /// And how much one that is done.
    durable: u64,
}

/// A write that failed.
#[derive(Debug)]
pub struct Torn {
    /// Bytes of it that are in the file all the same, since they could not be cut off.
    pub kept: usize,
    /// Why, for [`Torn::kept`].
    pub uncut: Option<io::Error>,
    /// Why it failed.
    pub error: io::Error,
}

impl Incr {
    /// Opens `path` of `disk` to go on with it; a new file if there is none, or if `anew`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(disk: &dyn Disk, path: &Path, anew: bool) -> io::Result<Incr> {
        let file = disk.open(path, How::Append)?;
        if anew && file.size()? > 0 {
            // What was there must not come back once the manifest names this file.
            file.set_len(0)?;
            file.sync()?;
        }
        let size = file.size()?;
        Ok(Incr {
            file,
            size,
            synced: size,
            durable: size,
        })
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Asks the system for its size anew: a reader may have cut it back.
    pub fn measure(&mut self) {
        if let Ok(size) = self.file.size() {
            self.size = size;
            self.synced = self.synced.min(self.size);
            self.durable = self.durable.min(self.size);
        }
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// Part of them may be in the file: see [`Torn`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Torn> {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => return Err(self.tear(written, io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.tear(written, error)),
            }
        }
        self.size += written as u64;
        Ok(())
    }

    fn tear(&mut self, written: usize, error: io::Error) -> Torn {
        let uncut = if written > 0 {
            self.file.set_len(self.size).err()
        } else {
            None
        };
        let kept = if uncut.is_some() { written } else { 0 };
        self.size += kept as u64;
        Torn { kept, uncut, error }
    }

    /// Whether a sync would make something last.
    pub fn is_unsynced(&self) -> bool {
        self.synced != self.size
    }

    /// A sync begins: the file to be synced.
    pub fn begin_sync(&mut self) -> File {
        self.synced = self.size;
        self.file.clone()
    }

    /// The last sync has succeeded.
    pub fn note_synced(&mut self) {
        self.durable = self.synced;
    }

    /// Cuts off what no sync has covered: of that, parts may be lost with others behind them.
    ///
    /// # Errors
    /// What the disk says.
    pub fn cut_back(&mut self) -> io::Result<()> {
        self.file.set_len(self.durable)?;
        self.size = self.durable;
        self.sync()
    }

    /// Syncs it now.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn sync(&mut self) -> io::Result<()> {
        self.begin_sync().sync()?;
        self.note_synced();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::disk::system::System;

    #[test]
    fn it_is_gone_on_with_or_begun_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("incr");
        let mut incr = Incr::open(&System, &path, true).expect("our own folder");
        incr.append(b"one").expect("room");
        assert!(incr.is_unsynced() && incr.sync().is_ok() && !incr.is_unsynced());
        let mut again = Incr::open(&System, &path, false).expect("our own folder");
        again.append(b"two").expect("room");
        assert_eq!(again.size(), 6);
        assert_eq!(std::fs::read(&path).expect("just written"), b"onetwo");
        again.cut_back().expect("our own file");
        assert_eq!(std::fs::read(&path).expect("just written"), b"one");
        assert_eq!(
            Incr::open(&System, &path, true).expect("our own folder").size(),
            0
        );
    }

    #[test]
    fn a_full_disk_leaves_nothing_behind() {
        let Ok(mut full) = Incr::open(&System, Path::new("/dev/full"), false) else {
            return;
        };
        let torn = full.append(b"bytes").expect_err("no room");
        assert_eq!((torn.kept, full.size()), (0, 0));
        assert_eq!(torn.error.kind(), io::ErrorKind::StorageFull);
    }
}
