//! The folder of the log: its paths, its manifest on disk, and the move of a single file of before Redis 7 into it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::persist::snapshot::sync_folder;

use super::manifest::{Malformed, Manifest};

/// Where a log is.
#[derive(Debug, Clone)]
pub struct Folder {
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

impl Folder {
    /// The folder `path`, relative to the working folder, of files whose names begin with `stem`.
    pub fn new(path: &Path, stem: &[u8]) -> Folder {
        Folder {
            path: path.to_owned(),
            stem: stem.to_vec(),
        }
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
        if self.path.is_dir() {
            return Ok(());
        }
        fs::create_dir(&self.path)?;
        sync_folder(&self.path)
    }

    /// Reads the manifest; an empty one when there is none.
    ///
    /// # Errors
    /// It cannot be read, or makes no sense.
    pub fn load(&self) -> Result<Manifest, ManifestError> {
        match fs::read(self.manifest_path()) {
            Ok(text) => Manifest::parse(&text).map_err(ManifestError::Malformed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Manifest::default()),
            Err(error) => Err(ManifestError::Io(error)),
        }
    }

    /// Puts a manifest in the place of the old one: whatever happens, one of the two is there, whole.
    ///
    /// # Errors
    /// What the operating system says; the old one is still there then, unless only the last step failed.
    pub fn persist(&self, manifest: &Manifest) -> io::Result<()> {
        let temp = self.named("temp-", ".manifest");
        let mut file = File::create(&temp)?;
        file.write_all(&manifest.text())?;
        file.sync_all()?;
        fs::rename(&temp, self.manifest_path())?;
        sync_folder(&temp)
    }

    /// Whether a single file of before Redis 7 waits to be moved into the folder: nothing newer is there, or the move
    /// was interrupted.
    pub fn awaits_upgrade(&self, manifest: &Manifest) -> bool {
        let old = Path::new(OsStr::from_bytes(&self.stem));
        if !old.exists() {
            return false;
        }
        let interrupted = manifest.base.as_ref().is_some_and(|base| base.name == self.stem)
            && manifest.incrs.is_empty()
            && !self.file(old).exists();
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
        self.persist(manifest).map_err(doing("writing the manifest"))?;
        let new = self.file(old);
        fs::rename(old, &new).map_err(doing("moving the file"))?;
        sync_folder(&new).map_err(doing("syncing the folder"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_on_disk_is_replaced_as_a_whole() {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(&outer.path().join("log"), b"a.aof");
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
