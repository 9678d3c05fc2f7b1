//! A `redis-server` beside ours.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::server::{eventually, free_port};
use super::wire::{Wire, info_number, text};

/// Whether other people's programs may be left out.
pub fn without_tools() -> bool {
    std::env::var_os("RUSSET_WITHOUT_TOOLS").is_some()
}

/// A `redis-server`, killed when dropped.
pub struct Reference {
    child: Child,
    port: u16,
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
        let port = free_port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--dir"])
            .arg(folder)
            .args(args)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed, or RUSSET_WITHOUT_TOOLS is set");
        let reference = Reference {
            child,
            port,
            _folder: None,
        };
        eventually("redis-server has loaded", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
                && info_number(&mut reference.connect(), "persistence", "loading") == 0
        });
        reference
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new connection.
    pub fn connect(&self) -> Wire {
        Wire::tcp(([127, 0, 0, 1], self.port).into())
    }

    /// A fingerprint of its data.
    pub fn digest(&self) -> String {
        text(self.connect().run(&["DEBUG", "DIGEST"]))
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
