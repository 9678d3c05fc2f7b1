//! Servers that tests start as processes, on a port and in a folder of their own, ended when dropped.
//!
//! ```text
//!   free port ──> started ──> INFO tells its process, and that all data is loaded ──> ready
//!       ^            └── it ended: somebody took the port in between ──┐
//!       └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! Who answers on a port need not be who was started on it, so it is asked first which process it is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for something that must happen; a debug build on a busy machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Ports below those the system gives to outgoing connections, so that no client takes one between choice and
/// use.
const PORTS: std::ops::Range<u32> = 11_000..31_000;

/// The newest release of Redis that Russet is to be compared with: a later one has other replies, files and payloads.
const NEWEST: (u32, u32) = (7, 4);

/// Whether the `redis-server` in PATH is later than what it could be compared with; says so then.
pub fn reference_is_too_new() -> bool {
    let Ok(printed) = Command::new("redis-server").arg("--version").output() else {
        return false;
    };
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    let mut numbers = printed
        .split("v=")
        .nth(1)
        .into_iter()
        .flat_map(|rest| rest.split('.'));
    let mut number = || numbers.next()?.parse().ok();
    let is_too_new = number().zip(number()).is_some_and(|version| version > NEWEST);
    if is_too_new {
        eprintln!("not compared with what is newer than 7.4: {printed}");
    }
    is_too_new
}

/// A port nobody listens on at the moment.
pub fn free_port() -> u16 {
    static CHOSEN: AtomicU32 = AtomicU32::new(0);
    let count = PORTS.end - PORTS.start;
    loop {
        // Processes of one run have neighbouring ids: a stride apart they do not meet.
        let turn = CHOSEN.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + (std::process::id().wrapping_mul(37) + turn) % count;
        let port = u16::try_from(port).expect("ports fit 16 bits");
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// A running server, killed when dropped.
pub struct Program {
    child: Child,
    port: u16,
}

impl Program {
    /// Starts `program` with `args` on what is in `folder`, saving nothing by itself, and waits until it has loaded that;
    /// `None` when there is no such program.
    pub fn start(program: &Path, folder: &Path, args: &[&str]) -> Option<Program> {
        for _ in 0..5 {
            let port = free_port();
            let started = Command::new(program)
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
                .arg("--dir")
                .arg(folder)
                .args(args)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let mut server = Program {
                child: started.ok()?,
                port,
            };
            if server.becomes_ready() {
                return Some(server);
            }
        }
        panic!("{} ended five times in a row", program.display());
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Waits until it serves; false when it ended instead.
    fn becomes_ready(&mut self) -> bool {
        let signs = [
            format!("\nprocess_id:{}\r", self.child.id()),
            "\nloading:0\r".into(),
        ];
        let started = Instant::now();
        while self.child.try_wait().expect("our child").is_none() {
            let info = info(self.address()).unwrap_or_default();
            if signs.iter().all(|sign| info.contains(sign)) {
                return true;
            }
            assert!(started.elapsed() < PATIENCE, "it never served: {info}");
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What INFO tells there; `None` while nobody answers.
fn info(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    // QUIT ends what is read.
    stream.write_all(b"INFO\r\nQUIT\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}
