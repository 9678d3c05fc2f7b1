//! Requests to stop that come as signals, for a server that may be busy.
//!
//! ```text
//! SIGTERM SIGINT > handler > REQUESTED (polled by loops that do not yield)
//!                     `----> a byte on a socket pair > Shutdown::recv (awaited by the server)
//! ```
//!
//! A plain handler instead of a runtime's signal stream: a second SIGINT must end a server whose only thread is loading
//! a file or running a script, and the log line must appear when the signal does.
//!
//! Invariants: handlers use atomics, `write`, `send` and `unlink` only. A byte without a request is nothing: forked
//! children share the socket, and their signals are not this process's.
//!
//! Not here: what stopping means (`shutdown-on-sigterm`, saving, waiting for replicas); the executor decides.

use super::{log, trap};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};

/// How a child that was told to stop exits: not a failure of what it was doing.
pub const RETIRED_EXIT_CODE: i32 = 255;

/// Which signal asked the server to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownSignal {
    /// Ctrl-C.
    Int,
    /// A supervisor.
    Term,
}

impl ShutdownSignal {
    fn from_number(signal: i32) -> Option<Self> {
        match signal {
            libc::SIGINT => Some(Self::Int),
            libc::SIGTERM => Some(Self::Term),
            _ => None,
        }
    }
}

/// The signal number of the request not yet met; 0 for none.
static REQUESTED: AtomicI32 = AtomicI32::new(0);
static LOADING: AtomicBool = AtomicBool::new(false);
/// The end a handler writes to.
static WAKE: OnceLock<UnixStream> = OnceLock::new();

/// Takes SIGTERM and SIGINT as requests and ignores SIGHUP and SIGPIPE. Call once.
///
/// Errors: no socket pair, or a second call.
pub fn install() -> io::Result<Shutdown> {
    let (wake, woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    WAKE.set(wake)
        .map_err(|_| io::Error::other("signals were installed twice"))?;
    trap::ignore(libc::SIGHUP);
    trap::ignore(libc::SIGPIPE);
    trap::arm_requests();
    Ok(Shutdown {
        woken: Woken::Idle(woken),
    })
}

/// The request not yet met, for loops that do not yield. One load.
pub fn requested() -> Option<ShutdownSignal> {
    ShutdownSignal::from_number(REQUESTED.load(Relaxed))
}

/// Forgets the request: shutting down was refused or aborted. The next SIGINT asks again instead of insisting.
pub fn forget_request() {
    REQUESTED.store(0, Relaxed);
}

/// Whether the server is loading its data, which the log line of a request mentions.
pub fn set_loading(loading: bool) {
    LOADING.store(loading, Relaxed);
}

/// In a forked child: SIGUSR1 ends it with [`RETIRED_EXIT_CODE`], without the parent counting it as a failure.
pub fn install_in_child() {
    trap::arm_retirement();
}

/// In a forked child: requests to stop are for the parent, which ends its children.
pub fn ignore_requests() {
    trap::ignore(libc::SIGTERM);
    trap::ignore(libc::SIGINT);
}

/// Where requests arrive.
#[derive(Debug)]
pub struct Shutdown {
    woken: Woken,
}

/// The socket belongs to a runtime only from the first wait on, so that installing needs none.
#[derive(Debug)]
enum Woken {
    Idle(UnixStream),
    Registered(tokio::net::UnixStream),
}

impl Shutdown {
    /// Waits for the next request; one that came before the call counts. Cancel-safe.
    ///
    /// Errors: the runtime cannot watch the socket.
    pub async fn recv(&mut self) -> io::Result<ShutdownSignal> {
        let socket = self.registered()?;
        loop {
            socket.readable().await?;
            drain(socket);
            if let Some(signal) = requested() {
                return Ok(signal);
            }
        }
    }

    fn registered(&mut self) -> io::Result<&tokio::net::UnixStream> {
        if let Woken::Idle(socket) = &self.woken {
            self.woken = Woken::Registered(tokio::net::UnixStream::from_std(socket.try_clone()?)?);
        }
        match &self.woken {
            Woken::Registered(socket) => Ok(socket),
            Woken::Idle(_) => Err(io::Error::from(io::ErrorKind::NotConnected)),
        }
    }
}

fn drain(socket: &tokio::net::UnixStream) {
    let mut bytes = [0; 64];
    while matches!(socket.try_read(&mut bytes), Ok(count) if count == bytes.len()) {}
}

/// Runs in the handler of SIGTERM and SIGINT.
pub(super) fn on_request(signal: i32) {
    if signal == libc::SIGINT && requested().is_some() {
        log::line_in_handler(format_args!("You insist... exiting now."));
        remove_temporary_snapshot();
        // An error: nothing was saved.
        trap::exit_now(1);
    }
    log::line_in_handler(format_args!("{}", announcement(signal, LOADING.load(Relaxed))));
    REQUESTED.store(signal, Relaxed);
    if let Some(mut wake) = WAKE.get() {
        let _ = wake.write(&[1]);
    }
}

fn announcement(signal: i32, loading: bool) -> &'static str {
    match (loading, ShutdownSignal::from_number(signal)) {
        (true, _) => "Received shutdown signal during loading, scheduling shutdown.",
        (false, Some(ShutdownSignal::Int)) => "Received SIGINT scheduling shutdown...",
        (false, Some(ShutdownSignal::Term)) => "Received SIGTERM scheduling shutdown...",
        (false, None) => "Received shutdown signal, scheduling shutdown...",
    }
}

/// What a snapshot in the making is called, in the working directory. A small number of bytes on the stack.
fn remove_temporary_snapshot() {
    let mut name = [0u8; 32];
    let room = &mut name[..];
    if write!(&mut &mut room[..31], "temp-{}.rdb", std::process::id()).is_ok()
        && let Ok(name) = std::ffi::CStr::from_bytes_until_nul(&name)
    {
        let _ = rustix::fs::unlink(name);
    }
}

/// Runs in the handler of SIGUSR1, in children.
pub(super) fn on_retire() -> ! {
    log::line_in_handler(format_args!("Received SIGUSR1 in child, exiting now."));
    trap::exit_now(RETIRED_EXIT_CODE)
}

#[cfg(test)]
mod tests {
    use super::super::crash::tests::{Victim, in_victim};
    use super::super::trap::tests::raise;
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn announcements_are_those_of_redis() {
        assert_eq!(
            announcement(libc::SIGINT, false),
            "Received SIGINT scheduling shutdown..."
        );
        assert_eq!(
            announcement(libc::SIGTERM, false),
            "Received SIGTERM scheduling shutdown..."
        );
        let loading = "Received shutdown signal during loading, scheduling shutdown.";
        assert_eq!(announcement(libc::SIGTERM, true), loading);
    }

    #[test]
    fn a_request_wakes_whoever_waits() {
        let victim = Victim::run("process::signals::tests::a_request_wakes_whoever_waits", || {
            let mut shutdown = install().unwrap();
            assert_eq!(requested(), None);
            raise(libc::SIGHUP);
            raise(libc::SIGPIPE);
            raise(libc::SIGTERM);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
                .unwrap();
            assert_eq!(runtime.block_on(shutdown.recv()).unwrap(), ShutdownSignal::Term);
            forget_request();
            assert_eq!(requested(), None);
            raise(libc::SIGINT);
            assert_eq!(runtime.block_on(shutdown.recv()).unwrap(), ShutdownSignal::Int);
            trap::exit_now(42);
        });
        let Some(victim) = victim else { return };
        assert_eq!(victim.status.code(), Some(42), "{}", victim.log);
        assert!(victim.log.contains(":signal-handler ("), "{}", victim.log);
        assert!(
            victim.log.contains(") Received SIGTERM scheduling shutdown...\n"),
            "{}",
            victim.log
        );
    }

    #[test]
    fn a_second_interrupt_ends_a_server_that_does_not_listen() {
        let victim = Victim::run(
            "process::signals::tests::a_second_interrupt_ends_a_server_that_does_not_listen",
            || {
                let _shutdown = install().unwrap();
                std::fs::write(format!("temp-{}.rdb", std::process::id()), "half").unwrap();
                raise(libc::SIGINT);
                raise(libc::SIGINT);
                unreachable!("the second one ends the process");
            },
        );
        let Some(victim) = victim else { return };
        assert_eq!(victim.status.code(), Some(1), "{}", victim.log);
        assert!(
            victim.log.contains("You insist... exiting now."),
            "{}",
            victim.log
        );
    }

    #[test]
    fn a_retired_child_is_no_failure() {
        let victim = Victim::run("process::signals::tests::a_retired_child_is_no_failure", || {
            install_in_child();
            raise(libc::SIGUSR1);
        });
        let Some(victim) = victim else { return };
        assert_eq!(victim.status.code(), Some(RETIRED_EXIT_CODE), "{}", victim.log);
        assert_eq!(victim.status.signal(), None);
        assert!(
            victim.log.contains("Received SIGUSR1 in child, exiting now."),
            "{}",
            victim.log
        );
        assert!(!in_victim());
    }
}
