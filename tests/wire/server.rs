//! Starting the program and making sure it ends.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::wire::Wire;
pub use crate::programs::{PATIENCE, free_port};

const PAUSE: Duration = Duration::from_millis(2);

/// The line that says connections are accepted now.
pub const READY: &str = "Ready to accept connections";

/// A running server, killed when dropped.
pub struct Server {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Server {
    /// A server with `args` after a free port and a folder of its own, once it accepts connections.
    #[track_caller]
    pub fn start(args: &[&str]) -> Server {
        Server::start_with(args, |_| {})
    }

    /// The same, after `prepare` has adjusted the command (environment, standard input).
    #[track_caller]
    pub fn start_with(args: &[&str], prepare: impl Fn(&mut Command)) -> Server {
        Server::start_until(READY, args, prepare)
    }

    /// The same, once its log says `line`.
    #[track_caller]
    pub fn start_until(line: &str, args: &[&str], prepare: impl Fn(&mut Command)) -> Server {
        for _ in 0..5 {
            let mut server = Server::spawn(args, &prepare);
            if server.tells(line) {
                return server;
            }
            let log = server.log();
            // Another test took the port between our choice and its use.
            assert!(log.contains("Address already in use"), "the server ended: {log}");
        }
        panic!("five ports in a row were taken");
    }

    fn spawn(args: &[&str], prepare: &impl Fn(&mut Command)) -> Server {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let log = File::create(folder.path().join("stdout")).expect("the folder is writable");
        let errors = File::create(folder.path().join("stderr")).expect("the folder is writable");
        let mut command = Command::new(program());
        command
            .args(["--port", &port.to_string(), "--save", ""])
            .arg("--dir")
            .arg(folder.path())
            .args(args)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        prepare(&mut command);
        let child = command.spawn().expect("the program starts");
        Server { child, folder, port }
    }

    /// Waits until the log says so; false when the process ended instead.
    fn tells(&mut self, line: &str) -> bool {
        let mut ended = false;
        eventually(line, || {
            ended = self.child.try_wait().expect("our child").is_some();
            ended || self.log().contains(line)
        });
        !ended || self.log().contains(line)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A new connection.
    #[track_caller]
    pub fn connect(&self) -> Wire {
        Wire::tcp(self.address())
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        read_text(&self.folder.path().join("stdout")) + &read_text(&self.folder.path().join("stderr"))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> usize {
        resident_bytes(self.pid())
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the server ---\n{}", self.log());
        }
    }
}

/// Waits for the end of a process; kills it when it does not come.
#[track_caller]
pub fn wait(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("our child") {
            return status;
        }
        if started.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the process did not end");
        }
        std::thread::sleep(PAUSE);
    }
}

/// The program under test.
pub fn program() -> PathBuf {
    std::env::var_os("RUSSET_WIRE_SERVER").map_or(env!("CARGO_BIN_EXE_russet-server").into(), PathBuf::from)
}

/// Whether the program is a reference instead of our own.
pub fn is_reference() -> bool {
    std::env::var_os("RUSSET_WIRE_SERVER").is_some()
}

/// Waits until `condition` holds, which it must.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Sends a signal to a process. Without the program of that name, which small systems lack.
#[track_caller]
pub fn signal(pid: u32, name: &str) {
    let signal = match name {
        "INT" => Signal::INT,
        "KILL" => Signal::KILL,
        "TERM" => Signal::TERM,
        "USR1" => Signal::USR1,
        _ => panic!("no test has sent {name} yet"),
    };
    kill_process(process(pid), signal).expect("there is such a process");
}

/// Its number as system calls take it.
pub fn process(pid: u32) -> Pid {
    let number = i32::try_from(pid).expect("a process number");
    Pid::from_raw(number).expect("a process number")
}

/// Resident memory of a process in bytes.
pub fn resident_bytes(pid: u32) -> usize {
    let status = read_text(Path::new(&format!("/proc/{pid}/status")));
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kib.expect("a running process has resident memory") * 1024
}

/// A file as text, empty when there is none.
pub fn read_text(path: &Path) -> String {
    std::fs::read(path).map_or(String::new(), |bytes| {
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
