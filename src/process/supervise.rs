//! Telling the supervisor how the server is doing: systemd's notify socket, upstart's stop signal.
//!
//! ```text
//! STATUS=Redis is loading...   >   READY=1   >   STATUS=...   >   STOPPING=1        (one datagram each, `\n` at the end)
//! ```
//!
//! A supervised server stays in the foreground whatever `daemonize` says: see [`Supervised::is_active`].
//!
//! Not here: socket activation, watchdog pings; Redis uses neither.

use super::log::{notice, verbose, warning};
use super::{os_text, sys};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The `supervised` directive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nobody watches.
    #[default]
    No,
    /// Stop to say that the server is ready.
    Upstart,
    /// Messages to `NOTIFY_SOCKET`.
    Systemd,
    /// Whichever of the two left its mark in the environment.
    Auto,
}

impl Mode {
    /// The mode a directive value names, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        const NAMES: [(&str, Mode); 4] = [
            ("no", Mode::No),
            ("upstart", Mode::Upstart),
            ("systemd", Mode::Systemd),
            ("auto", Mode::Auto),
        ];
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|&(_, mode)| mode)
    }

    fn detected(self, upstart_job: bool, notify_socket: bool) -> Self {
        match self {
            Self::Auto if upstart_job => Self::Upstart,
            Self::Auto if notify_socket => Self::Systemd,
            Self::Auto => Self::No,
            chosen => chosen,
        }
    }
}

/// Who supervises this process.
#[derive(Debug)]
pub enum Supervised {
    /// Nobody.
    No,
    /// Upstart, which has been told.
    Upstart,
    /// systemd, to be kept informed.
    Systemd(Notifier),
}

impl Supervised {
    /// Meets the supervisor `mode` asks for; failures are logged and leave the server unsupervised.
    ///
    /// With upstart this stops the process until upstart continues it. Call before threads start.
    pub fn begin(mode: Mode) -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET");
        let detected = mode.detected(std::env::var_os("UPSTART_JOB").is_some(), socket.is_some());
        if mode == Mode::Auto && detected != Mode::No {
            verbose!("{detected:?} supervision detected.");
        }
        match detected {
            Mode::Upstart => begin_upstart(),
            Mode::Systemd => begin_systemd(socket),
            Mode::No | Mode::Auto => Self::No,
        }
    }

    /// Whether there is a supervisor; then the server does not daemonize.
    pub fn is_active(&self) -> bool {
        !matches!(self, Self::No)
    }

    /// The server accepts connections.
    pub fn ready(&self) {
        self.notify("STATUS=Ready to accept connections\n");
        self.notify("READY=1\n");
    }

    /// The server is up but waits for its primary's data.
    pub fn ready_in_read_only_mode(&self) {
        self.notify("STATUS=Ready to accept connections in read-only mode.\n");
        self.notify("READY=1\n");
    }

    /// What the server is busy with, in a line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.notify(&format!("STATUS={text}\n"));
    }

    /// The server is on its way out.
    pub fn stopping(&self) {
        self.notify("STOPPING=1\n");
    }

    fn notify(&self, message: &str) {
        if let Self::Systemd(notifier) = self
            && let Err(error) = notifier.send(message)
        {
            warning!("systemd supervision error: sd_notify: {}", os_text(&error));
        }
    }
}

fn begin_upstart() -> Supervised {
    if std::env::var_os("UPSTART_JOB").is_none() {
        warning!("upstart supervision requested, but UPSTART_JOB not found!");
        return Supervised::No;
    }
    notice!("supervised by upstart, will stop to signal readiness.");
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
    // Upstart has been answered; a child that finds the variable would stop too.
    let _ = sys::forget_variable("UPSTART_JOB");
    Supervised::Upstart
}

fn begin_systemd(socket: Option<OsString>) -> Supervised {
    let Some(path) = socket else {
        warning!("systemd supervision error: NOTIFY_SOCKET not found!");
        return Supervised::No;
    };
    let greeted = Notifier::new(&path).and_then(|notifier| {
        notifier.send("STATUS=Redis is loading...\n")?;
        Ok(notifier)
    });
    match greeted {
        Ok(notifier) => {
            notice!(
                "Supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and \
                 TimeoutStopSec in your service unit."
            );
            Supervised::Systemd(notifier)
        }
        Err(error) => {
            warning!("systemd supervision error: sd_notify: {}", os_text(&error));
            Supervised::No
        }
    }
}

/// An open line to a notify socket.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notifier {
    /// For the value of `NOTIFY_SOCKET`: an absolute path, or `@name` in the abstract namespace.
    ///
    /// Errors: `InvalidInput` for any other text, or no socket to be had.
    pub fn new(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
        };
        Ok(Self {
            socket: UnixDatagram::unbound()?,
            address,
        })
    }

    /// Sends one message of `NAME=value\n` lines.
    ///
    /// Errors: what sending says; systemd not listening, for one.
    pub fn send(&self, message: &str) -> io::Result<()> {
        self.socket
            .send_to_addr(message.as_bytes(), &self.address)
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(listener: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let len = listener.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }

    #[test]
    fn auto_takes_upstart_before_systemd() {
        assert_eq!(Mode::Auto.detected(true, true), Mode::Upstart);
        assert_eq!(Mode::Auto.detected(false, true), Mode::Systemd);
        assert_eq!(Mode::Auto.detected(false, false), Mode::No);
        assert_eq!(Mode::No.detected(true, true), Mode::No);
        assert_eq!(Mode::Systemd.detected(true, false), Mode::Systemd);
        assert_eq!(Mode::parse("SystemD"), Some(Mode::Systemd));
        assert_eq!(Mode::parse("launchd"), None);
    }

    #[test]
    fn systemd_hears_loading_ready_and_stopping() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let supervised = begin_systemd(Some(path.into_os_string()));
        assert!(supervised.is_active());
        supervised.ready();
        supervised.status("Saving the final RDB snapshot");
        supervised.stopping();
        let heard: Vec<String> = (0..5).map(|_| received(&listener)).collect();
        let expected = [
            "STATUS=Redis is loading...\n",
            "STATUS=Ready to accept connections\n",
            "READY=1\n",
            "STATUS=Saving the final RDB snapshot\n",
            "STOPPING=1\n",
        ];
        assert_eq!(heard, expected);
    }

    #[test]
    fn an_abstract_socket_is_reached_by_its_at_sign() {
        let name = format!("russet-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        Notifier::new(OsStr::new(&format!("@{name}")))
            .unwrap()
            .send("READY=1\n")
            .unwrap();
        assert_eq!(received(&listener), "READY=1\n");
    }

    #[test]
    fn a_missing_or_silent_supervisor_leaves_the_server_alone() {
        assert!(!begin_systemd(None).is_active());
        assert!(!begin_systemd(Some("/nonexistent/notify".into())).is_active());
        assert!(!begin_systemd(Some("vsock:2:1".into())).is_active());
        assert!(!begin_systemd(Some(OsString::new())).is_active());
        Supervised::No.stopping();
    }

    /// The unit and the image are read by other programs; here they are at least held to what they promise.
    #[test]
    fn the_unit_file_is_sections_of_assignments_for_a_notifying_service() {
        let unit = include_str!("../../deploy/russet.service");
        let mut section = "";
        let mut seen = Vec::new();
        for line in unit
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if line.starts_with('[') {
                section = line
                    .strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'))
                    .expect("a section");
                continue;
            }
            let (name, value) = line.split_once('=').expect("an assignment");
            assert!(["Unit", "Service", "Install"].contains(&section), "{line}");
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{line}");
            seen.push(format!("{section}.{name}={value}"));
        }
        let has = |wanted: &str| assert!(seen.iter().any(|line| line.starts_with(wanted)), "{wanted}");
        has("Service.Type=notify");
        has("Service.ExecStart=/usr/bin/russet-server ");
        has("Service.NoNewPrivileges=true");
        has("Service.LimitNOFILE=");
        has("Install.WantedBy=multi-user.target");
        assert!(
            seen.iter()
                .any(|line| line.contains("--supervised systemd --daemonize no"))
        );
    }

    #[test]
    fn the_image_runs_the_server_as_nobody_special_on_a_data_volume() {
        let image = include_str!("../../Dockerfile");
        let lines: Vec<&str> = image.lines().map(str::trim).collect();
        for wanted in ["VOLUME /data", "EXPOSE 6379", "USER russet", "STOPSIGNAL SIGTERM"] {
            assert!(lines.contains(&wanted), "{wanted}");
        }
        assert!(image.contains("ENTRYPOINT [\"russet-server\"]"));
    }
}
