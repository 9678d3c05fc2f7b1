//! The folder of the log: its paths, its manifest on disk, and the move of a single file of before Redis 7 into it.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::persist::disk::{self, Disk, FileLock, How};

use super::manifest::{Malformed, Manifest};

/// Where a log is.
#[derive(Debug, Clone)]
pub struct Folder {
    disk: Arc<dyn Disk>,
    /// `appenddirname`.
    path: PathBuf,
    /// `appendfilename`: what the names of all files begin with.
    stem: Vec<u8>,
}

/// Why a manifest cannot be read from disk.
#[derive(Debug)]
pub enum ManifestError {
    /// The file cannot be read.
    Io(io::Error),
    /// It makes no sense.
    Malformed(Malformed),
}

/// A manifest could not be written.
#[derive(Debug)]
pub struct NotPersisted {
    /// It is in its place all the same, but may not be after a loss of power: then the old one is there.
    pub in_place: bool,
    /// What the operating system said.
    pub error: io::Error,
}

impl From<NotPersisted> for io::Error {
    fn from(failure: NotPersisted) -> io::Error {
        failure.error
    }
}

impl Folder {
    /// The folder `path` of `disk`, relative to the working folder, of files whose names begin with `stem`.
    pub fn new(disk: Arc<dyn Disk>, path: &Path, stem: &[u8]) -> Folder {
        Folder {
            disk,
            path: path.to_owned(),
            stem: stem.to_vec(),
        }
    }

    /// The disk it is on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// What names of files begin with.
    pub fn stem(&self) -> &[u8] {
        &self.stem
    }

    /// Its own path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &Path) -> PathBuf {
        self.path.join(name)
    }

    fn named(&self, before: &str, after: &str) -> PathBuf {
        let name = [before.as_bytes(), &self.stem, after.as_bytes()].concat();
        self.path.join(OsStr::from_bytes(&name))
    }

    /// Where commands go while the first base of a log that was just turned on is written.
    pub fn temporary_incr(&self) -> PathBuf {
        self.named("temp-", ".incr")
    }

    /// The manifest.
    pub fn manifest_path(&self) -> PathBuf {
        self.named("", ".manifest")
    }

    /// Creates the folder if it is not there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn create(&self) -> io::Result<()> {
        if self.disk.facts(&self.path).is_ok_and(|facts| facts.is_folder) {
            return Ok(());
        }
        self.disk.create_folder(&self.path)?;
        self.disk.sync_folder(&disk::folder_of(&self.path))
    }

    /// Keeps other servers away from the files of this stem. Some may share the folder, with stems of their own.
    ///
    /// # Errors
    /// As [`Disk::lock`].
    pub fn lock(&self) -> io::Result<FileLock> {
        self.disk.lock(&self.named(".", ".lock"))
    }

    /// Makes the names of its files last.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.sync_folder(&self.path)
    }

    /// Reads the manifest; an empty one when there is none.
    ///
    /// # Errors
    /// It cannot be read, or makes no sense.
    pub fn load(&self) -> Result<Manifest, ManifestError> {
        match disk::read_whole(&*self.disk, &self.manifest_path()) {
            Ok(text) => Manifest::parse(&text).map_err(ManifestError::Malformed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Manifest::default()),
            Err(error) => Err(ManifestError::Io(error)),
        }
    }

    /// Puts a manifest in the place of the old one: whatever happens, one of the two is there, whole, and so are the
    /// files it names.
    ///
    /// # Errors
    /// What the disk says; with [`NotPersisted::in_place`] it is not known which of the two will last.
    pub fn persist(&self, manifest: &Manifest) -> Result<(), NotPersisted> {
        let failed = |in_place| move |error| NotPersisted { in_place, error };
        self.prepare(manifest).map_err(failed(false))?;
        let renamed = self
            .disk
            .rename(&self.temporary_manifest(), &self.manifest_path());
        renamed.map_err(failed(false))?;
        self.sync().map_err(failed(true))
    }

    /// Writes the new manifest beside the old one, and makes the names of new files last: nothing keeps the order of two
    /// changes to a folder but a sync between them.
    fn prepare(&self, manifest: &Manifest) -> io::Result<()> {
        let mut file = self.disk.open(&self.temporary_manifest(), How::Create)?;
        file.write_all(&manifest.text())?;
        file.sync()?;
        self.sync()
    }

    /// Has the next numbers of `manifest` be free ones; whether there was a file it does not name. A crash leaves none that
    /// holds anything but for a moment, so they are somebody's data, who may have lost the manifest.
    pub fn pass_over_strangers(&self, manifest: &mut Manifest) -> bool {
        let holds_anything = |name: &Path| {
            let facts = self.disk.facts(&self.file(name));
            facts.is_ok_and(|facts| facts.bytes > 0)
        };
        manifest.pass_over(&self.stem, holds_anything)
    }

    fn temporary_manifest(&self) -> PathBuf {
        self.named("temp-", ".manifest")
    }

    /// Whether a single file of before Redis 7 waits to be moved into the folder: nothing newer is there, or the move
    /// was interrupted.
    pub fn awaits_upgrade(&self, manifest: &Manifest) -> bool {
        let old = Path::new(OsStr::from_bytes(&self.stem));
        if self.disk.facts(old).is_err() {
            return false;
        }
        let interrupted = manifest.base.as_ref().is_some_and(|base| base.name == self.stem)
            && manifest.incrs.is_empty()
            && self.disk.facts(&self.file(old)).is_err();
        manifest.is_empty() || interrupted
    }

    /// Moves it. Interrupted at any point, the next start goes on.
    ///
    /// # Errors
    /// What was being done, and what the operating system says.
    pub fn upgrade(&self, manifest: &mut Manifest) -> Result<(), (&'static str, io::Error)> {
        let doing = |what| move |error| (what, error);
        let old = Path::new(OsStr::from_bytes(&self.stem));
        self.create().map_err(doing("creating the folder"))?;
        manifest.adopt_base(&self.stem);
        let persisted = self.persist(manifest).map_err(io::Error::from);
        persisted.map_err(doing("writing the manifest"))?;
        let new = self.file(old);
        self.disk.rename(old, &new).map_err(doing("moving the file"))?;
        self.sync().map_err(doing("syncing the folder"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::disk::system::System;
    use std::fs;

    #[test]
    fn a_manifest_on_disk_is_replaced_as_a_whole() {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(Arc::new(System), &outer.path().join("log"), b"a.aof");
        assert_eq!(folder.load().expect("none"), Manifest::default());
        folder.create().expect("a new folder");
        folder.create().expect("an old folder");
        let mut manifest = Manifest::default();
        manifest.new_base(b"a.aof", true);
        folder.persist(&manifest).expect("our own folder");
        manifest.new_incr(b"a.aof");
        folder.persist(&manifest).expect("our own folder");
        assert_eq!(folder.load().expect("just written"), manifest);
        assert_eq!(fs::read_dir(folder.path()).expect("our own folder").count(), 1);
        fs::write(folder.manifest_path(), "").expect("our own folder");
        assert!(matches!(folder.load(), Err(ManifestError::Malformed(_))));
    }
}
