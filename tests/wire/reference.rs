//! A `redis-server` beside ours.

use std::path::Path;

use tempfile::TempDir;

use super::wire::{Wire, text};
use crate::programs::{Program, reference_is_too_new};

/// Whether other people's programs may be left out.
pub fn without_tools() -> bool {
    std::env::var_os("RUSSET_WITHOUT_TOOLS").is_some()
}

/// Whether there is no `redis-server` to exchange files and payloads with, which a newer one writes in newer formats.
pub fn without_peer() -> bool {
    without_tools() || reference_is_too_new()
}

/// A `redis-server`, killed when dropped.
pub struct Reference {
    program: Program,
    _folder: Option<TempDir>,
}

impl Reference {
    /// One with `args` in a folder of its own.
    pub fn start(args: &[&str]) -> Reference {
        let folder = tempfile::tempdir().expect("a folder");
        let mut reference = Reference::start_on(folder.path(), args);
        reference._folder = Some(folder);
        reference
    }

    /// One with `args` on what is in `folder`, once it has loaded that.
    pub fn start_on(folder: &Path, args: &[&str]) -> Reference {
        let program = Program::start(Path::new("redis-server"), folder, args);
        Reference {
            program: program.expect("redis-server is installed, or RUSSET_WITHOUT_TOOLS is set"),
            _folder: None,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.program.address().port()
    }

    /// A new connection.
    pub fn connect(&self) -> Wire {
        Wire::tcp(self.program.address())
    }

    /// A fingerprint of its data.
    pub fn digest(&self) -> String {
        text(self.connect().run(&["DEBUG", "DIGEST"]))
    }
}
