//! Files of the operating system.

use std::fs::{self, File as SystemFile, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::base::cpus::spawn_background;

use super::{Disk, Facts, File, FileLock, Handle, How};

/// The operating system's disk.
#[derive(Debug)]
pub struct System;

impl Disk for System {
    fn open(&self, path: &Path, how: How) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = match how {
            How::Read => options.read(true),
            How::Create => options.write(true).create(true).truncate(true),
            // Appending, so that a file cut back by a reader is not left with a hole.
            How::Append => options.append(true).create(true),
            How::Cut => options.write(true),
        };
        options.open(path).map(File::new)
    }

    fn facts(&self, path: &Path) -> io::Result<Facts> {
        let found = fs::metadata(path)?;
        Ok(Facts {
            bytes: found.len(),
            is_folder: found.is_dir(),
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_aside(&self, path: &Path) -> io::Result<()> {
        let file = SystemFile::open(path);
        fs::remove_file(path)?;
        // The last descriptor of a file that has no name any more frees its blocks.
        if let Ok(file) = file {
            spawn_background("close_file", move || drop(file))?;
        }
        Ok(())
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        SystemFile::open(path)?.sync_all()
    }

    /// The lock is the kernel's and goes with the process, however that ends: the file left behind means nothing.
    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }
}

impl Handle for SystemFile {
    fn read(&self, out: &mut [u8]) -> io::Result<usize> {
        let mut file = self;
        Read::read(&mut file, out)
    }

    fn seek(&self, offset: u64) -> io::Result<()> {
        let mut file = self;
        Seek::seek(&mut file, SeekFrom::Start(offset)).map(drop)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        Write::write(&mut file, bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        SystemFile::set_len(self, bytes)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_locked_by_one_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let lock = System.lock(&path).expect("nobody is there");
        let second = System.lock(&path).expect_err("somebody is there");
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        assert!(System.lock(&folder.path().join("other")).is_ok());
        drop(lock);
        assert!(System.lock(&path).is_ok());
        let nowhere = System.lock(&folder.path().join("none/lock"));
        assert_eq!(nowhere.expect_err("no folder").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_written_at_its_end_and_read_from_anywhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let mut file = System.open(&path, How::Append).expect("our own folder");
        file.write_all(b"one two three").expect("room");
        file.set_len(7).expect("our own file");
        file.write_all(b"!").expect("room");
        assert_eq!(file.size().expect("our own file"), 8);
        file.sync().expect("a disk");
        let (mut read, mut text) = (System.open(&path, How::Read).expect("it is there"), String::new());
        read.seek(4).expect("our own file");
        read.read_to_string(&mut text).expect("text");
        assert_eq!(text, "two!");
        let missing = System.open(&folder.path().join("none"), How::Cut);
        assert_eq!(missing.expect_err("no file").kind(), io::ErrorKind::NotFound);
    }
}
