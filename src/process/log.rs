//! The server log: Redis's lines, written from `tracing` events to standard output or a file, and to syslog.
//!
//! ```text
//! 11709:M 21 Nov 2026 14:00:41.324 * Ready to accept connections
//! pid   role       local time      level
//!       M master S replica C child X sentinel      . debug  - verbose  * notice  # warning
//! ```
//!
//! | level | `tracing` | macro here |
//! | --- | --- | --- |
//! | debug | `TRACE` | [`debug!`] |
//! | verbose | `DEBUG` | [`verbose!`] |
//! | notice | `INFO` | [`notice!`] |
//! | warning | `WARN`, `ERROR` | [`warning!`] |
//!
//! Invariants:
//! - A line is one `write` to a descriptor opened for appending, so lines of parent and child never mix.
//! - The file is opened for every line: it may be moved or truncated under the server, and rotation needs no signal.
//! - No lock is taken while writing: a child forked at any moment can log, and so can the panic hook.
//!
//! Costs: a line below the level costs one load; a written one an allocation, `open`, `write`, `close`.
//!
//! Not here: the start-up logo; `always-show-logo` is accepted elsewhere and shows nothing.

use crate::base::clock::now_unix_ms;

use super::os_text;
use super::time::LocalTime;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::ffi::{CStr, CString};
use std::fmt::{self, Write};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};

pub use tracing::{debug as verbose, info as notice, trace as debug, warn as warning};

/// How much a line matters, in rising order; as a threshold, the least that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// For developers.
    Debug,
    /// Rarely useful, not a mess.
    Verbose,
    /// What one wants in production.
    #[default]
    Notice,
    /// What somebody should look at.
    Warning,
    /// As a threshold: no line at all.
    Nothing,
}

impl Level {
    /// Every level under its directive value.
    pub const NAMES: [(&'static str, Level); 5] = [
        ("debug", Level::Debug),
        ("verbose", Level::Verbose),
        ("notice", Level::Notice),
        ("warning", Level::Warning),
        ("nothing", Level::Nothing),
    ];

    /// The level a `loglevel` value names, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|&(_, level)| level)
    }

    fn from_u8(value: u8) -> Self {
        Self::NAMES
            .get(usize::from(value))
            .map_or(Self::Nothing, |&(_, level)| level)
    }

    fn of(level: &tracing::Level) -> Self {
        match *level {
            tracing::Level::TRACE => Self::Debug,
            tracing::Level::DEBUG => Self::Verbose,
            tracing::Level::INFO => Self::Notice,
            tracing::Level::WARN | tracing::Level::ERROR => Self::Warning,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::TRACE,
            Self::Verbose => LevelFilter::DEBUG,
            Self::Notice => LevelFilter::INFO,
            Self::Warning => LevelFilter::WARN,
            Self::Nothing => LevelFilter::OFF,
        }
    }

    fn mark(self) -> char {
        match self {
            Self::Debug => '.',
            Self::Verbose => '-',
            Self::Notice => '*',
            Self::Warning | Self::Nothing => '#',
        }
    }

    /// The severity syslog gives it: debug, info, notice, warning.
    fn syslog_severity(self) -> u8 {
        match self {
            Self::Debug => 7,
            Self::Verbose => 6,
            Self::Notice => 5,
            Self::Warning | Self::Nothing => 4,
        }
    }
}

/// Where the log goes, from `loglevel`, `logfile` and `syslog-*`.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The least that is written.
    pub level: Level,
    /// A file to append to; without one, standard output.
    pub file: Option<PathBuf>,
    /// With `syslog-enabled yes`: also there.
    pub syslog: Option<SyslogOptions>,
}

/// How lines appear in the system log.
#[derive(Clone, Debug)]
pub struct SyslogOptions {
    /// `syslog-ident`.
    pub ident: String,
    /// `syslog-facility`.
    pub facility: Facility,
}

/// A syslog facility a server may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// The facility a `syslog-facility` value names, in any case: `user`, or `local0` to `local7`.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        if name == "user" {
            return Some(Self(1));
        }
        match name.strip_prefix("local")?.as_bytes() {
            [digit @ b'0'..=b'7'] => Some(Self(16 + digit - b'0')),
            _ => None,
        }
    }
}

/// Why a log cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log file cannot be opened for appending.
    #[error("Can't open the log file: {}", os_text(.0))]
    File(io::Error),
    /// This process already has a log.
    #[error("the log was started twice")]
    AlreadyStarted,
}

/// Whether lines can be appended to `path`, which is created; `logfile` is checked by this before it is accepted.
///
/// Errors: [`LogError::File`], whose text is the one a configuration error shows.
pub fn check_file(path: &Path) -> Result<(), LogError> {
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).map_err(LogError::File)
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Starts the log of this process: from here on `tracing` events are its lines. Call once, after daemonizing.
///
/// Errors: [`LogError`].
pub fn init(options: &LogOptions) -> Result<(), LogError> {
    let log = Log::new(options)?;
    LOG.set(log).map_err(|_| LogError::AlreadyStarted)?;
    let log = LOG.get().expect("set in the line above");
    let subscriber = tracing_subscriber::registry().with(Lines(log));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::AlreadyStarted)
}

/// Changes the least level written, at once and for all threads.
pub fn set_level(level: Level) {
    if let Some(log) = LOG.get() {
        log.level.store(level as u8, Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }
}

/// From here on this process is the server, not something on the way there: lines show `M` or `S`.
///
/// Compat: lines before this one, and those of processes forked from this one, show `C`.
pub fn claim_process() {
    if let Some(log) = LOG.get() {
        log.server_pid.store(std::process::id(), Relaxed);
    }
}

/// Whether the server follows another one.
pub fn set_replica(replica: bool) {
    if let Some(log) = LOG.get() {
        log.replica.store(replica, Relaxed);
    }
}

/// The server is a Sentinel.
pub fn set_sentinel() {
    if let Some(log) = LOG.get() {
        log.sentinel.store(true, Relaxed);
    }
}

/// Has what this thread would log go nowhere, for good: in a forked child the log may be locked for ever.
pub fn fall_silent() {
    std::mem::forget(tracing::dispatcher::set_default(&tracing::Dispatch::none()));
}

/// Writes `text` as it is, if lines of `level` are written; line ends are the caller's.
pub fn raw(level: Level, text: &str) {
    if let Some(log) = LOG.get() {
        log.write_raw(level, text);
    }
}

/// Writes one line of `level`; what the macros do, for levels known only at run time.
pub fn line(level: Level, message: &str) {
    if let Some(log) = LOG.get() {
        log.write_message(level, message);
    }
}

/// What stands before the message of a warning now: `11709:M 21 Nov 2026 14:00:41.324 # `.
pub(super) fn warning_prefix() -> String {
    let role = LOG.get().map_or('C', |log| log.role(std::process::id()));
    let mut prefix = String::new();
    write_prefix(
        &mut prefix,
        std::process::id(),
        role,
        LocalTime::at(now_unix_ms()),
        Level::Warning,
    );
    prefix
}

/// One warning from a signal handler, under the time it knows: `11709:signal-handler (1795269643) message`.
///
/// Async-signal-safe: `open`, `write`, `close` and arithmetic on the stack.
pub(super) fn line_in_handler(message: fmt::Arguments<'_>) {
    let mut text = StackText::default();
    let unix_seconds = now_unix_ms() / 1000;
    let _ = write!(text, "{}:signal-handler ({unix_seconds}) ", std::process::id());
    let _ = text.write_fmt(message);
    text.end_line();
    raw_in_handler(text.as_str());
}

/// One warning from a fatal handler, shaped like any other line. Async-signal-safe.
pub(super) fn last_line_in_handler(message: fmt::Arguments<'_>) {
    let mut text = StackText::default();
    let pid = std::process::id();
    let role = LOG.get().map_or('C', |log| log.role(pid));
    write_prefix(
        &mut text,
        pid,
        role,
        LocalTime::at_in_handler(now_unix_ms()),
        Level::Warning,
    );
    let _ = text.write_fmt(message);
    text.end_line();
    raw_in_handler(text.as_str());
}

/// Text from a signal handler, as it is, as a warning. Async-signal-safe.
pub(super) fn raw_in_handler(text: &str) {
    if let Some(target) = target_in_handler() {
        write_all(target.as_fd(), text.as_bytes());
    }
}

/// What a signal handler may write to: `None` when warnings are not written. Async-signal-safe.
pub(super) fn target_in_handler() -> Option<Target> {
    match LOG.get() {
        Some(log) if log.writes(Level::Warning) => log.open(),
        Some(_) => None,
        None => Some(Target::Stdout),
    }
}

/// An open place for lines.
pub(super) enum Target {
    Stdout,
    File(OwnedFd),
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout => rustix::stdio::stdout(),
            Self::File(file) => file.as_fd(),
        }
    }
}

/// The log of a process. All of it can be read from a signal handler.
struct Log {
    level: AtomicU8,
    /// 0 until the server is up, so that earlier lines show `C`.
    server_pid: AtomicU32,
    replica: AtomicBool,
    sentinel: AtomicBool,
    file: Option<CString>,
    syslog: Option<Syslog>,
}

impl Log {
    fn new(options: &LogOptions) -> Result<Self, LogError> {
        if let Some(path) = &options.file {
            check_file(path)?;
        }
        let path_text = |path: &PathBuf| CString::new(path.as_os_str().as_bytes());
        let file = options.file.as_ref().map(path_text).transpose();
        Ok(Self {
            level: AtomicU8::new(options.level as u8),
            server_pid: AtomicU32::new(0),
            replica: AtomicBool::new(false),
            sentinel: AtomicBool::new(false),
            file: file.map_err(|nul| LogError::File(nul.into()))?,
            syslog: options.syslog.as_ref().and_then(Syslog::new),
        })
    }

    fn level(&self) -> Level {
        Level::from_u8(self.level.load(Relaxed))
    }

    fn writes(&self, level: Level) -> bool {
        level >= self.level()
    }

    fn role(&self, pid: u32) -> char {
        if self.sentinel.load(Relaxed) {
            return 'X';
        }
        match (pid == self.server_pid.load(Relaxed), self.replica.load(Relaxed)) {
            (false, _) => 'C',
            (true, true) => 'S',
            (true, false) => 'M',
        }
    }

    fn write_message(&self, level: Level, message: &str) {
        if !self.writes(level) {
            return;
        }
        let (pid, time) = (std::process::id(), LocalTime::at(now_unix_ms()));
        let mut text = String::with_capacity(message.len() + 48);
        write_prefix(&mut text, pid, self.role(pid), time, level);
        text.push_str(message);
        text.push('\n');
        self.write_target(&text);
        self.write_syslog(level, pid, time, message);
    }

    fn write_raw(&self, level: Level, text: &str) {
        if self.writes(level) {
            self.write_target(text);
            self.write_syslog(
                level,
                std::process::id(),
                LocalTime::at(now_unix_ms()),
                text.trim(),
            );
        }
    }

    /// A line that cannot be written is lost: there is nowhere left to say so.
    fn write_target(&self, text: &str) {
        if let Some(target) = self.open() {
            write_all(target.as_fd(), text.as_bytes());
        }
    }

    fn write_syslog(&self, level: Level, pid: u32, time: LocalTime, message: &str) {
        if let Some(syslog) = &self.syslog {
            syslog.send(level, pid, time, message);
        }
    }

    fn open(&self) -> Option<Target> {
        match &self.file {
            None => Some(Target::Stdout),
            Some(path) => open_append(path).map(Target::File),
        }
    }
}

fn open_append(path: &CStr) -> Option<OwnedFd> {
    let flags = OFlags::APPEND | OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::from_raw_mode(0o644)).ok()
}

fn write_all(target: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(target, bytes) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn write_prefix(out: &mut impl Write, pid: u32, role: char, time: LocalTime, level: Level) {
    let _ = write!(out, "{pid}:{role} {time} {} ", level.mark());
}

/// Text on the stack, for handlers that must not allocate; what does not fit is cut.
struct StackText {
    bytes: [u8; 320],
    len: usize,
}

impl Default for StackText {
    fn default() -> Self {
        Self {
            bytes: [0; 320],
            len: 0,
        }
    }
}

impl StackText {
    /// Ends the line, at the price of the last byte when there is no room.
    fn end_line(&mut self) {
        self.len = self.len.min(self.bytes.len() - 1);
        self.bytes[self.len] = b'\n';
        self.len += 1;
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("?\n")
    }
}

impl Write for StackText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - self.len;
        let cut = (0..=room.min(text.len()))
            .rev()
            .find(|&end| text.is_char_boundary(end));
        let taken = &text.as_bytes()[..cut.unwrap_or(0)];
        self.bytes[self.len..self.len + taken.len()].copy_from_slice(taken);
        self.len += taken.len();
        Ok(())
    }
}

/// The system log's socket. Each message names its destination, so a restarted daemon is found again.
struct Syslog {
    socket: UnixDatagram,
    path: PathBuf,
    ident: String,
    facility: Facility,
}

impl Syslog {
    /// Without a socket there is no system log, and nothing to be done about it; as with `openlog`.
    fn new(options: &SyslogOptions) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        // A full system log must not stop the server.
        socket.set_nonblocking(true).ok()?;
        let path = PathBuf::from("/dev/log");
        Some(Self {
            socket,
            path,
            ident: options.ident.clone(),
            facility: options.facility,
        })
    }

    fn send(&self, level: Level, pid: u32, time: LocalTime, message: &str) {
        let text = self.format(level, pid, time, message);
        let _ = self.socket.send_to(text.as_bytes(), &self.path);
    }

    /// `<134>Nov 21 14:00:41 redis[11709]: message`
    fn format(&self, level: Level, pid: u32, time: LocalTime, message: &str) -> String {
        let priority = self.facility.0 * 8 + level.syslog_severity();
        let LocalTime {
            day,
            hour,
            minute,
            second,
            ..
        } = time;
        let stamp = format!("{} {day:2} {hour:02}:{minute:02}:{second:02}", time.month_name());
        format!("<{priority}>{stamp} {}[{pid}]: {message}", self.ident)
    }
}

/// The `tracing` layer in front of a log.
struct Lines(&'static Log);

impl Lines {
    /// Events of other crates are not the server's log.
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with("russet")
            && self.0.writes(Level::of(metadata.level()))
    }
}

impl<S: Subscriber> tracing_subscriber::Layer<S> for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level().filter())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        self.0
            .write_message(Level::of(event.metadata().level()), &message.finish());
    }
}

/// An event as text: its message, then ` name=value` for each other field.
#[derive(Default)]
struct Message {
    text: String,
    fields: String,
}

impl Message {
    fn finish(mut self) -> String {
        self.text.push_str(&self.fields);
        self.text
    }
}

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> LocalTime {
        LocalTime {
            year: 2026,
            month: 11,
            day: 1,
            hour: 4,
            minute: 0,
            second: 41,
            millis: 32,
        }
    }

    fn file_log(level: Level, path: &Path) -> &'static Log {
        let options = LogOptions {
            level,
            file: Some(path.to_owned()),
            syslog: None,
        };
        Box::leak(Box::new(Log::new(&options).unwrap()))
    }

    #[test]
    fn lines_begin_as_redis_writes_them() {
        let check = |role, level, expected| {
            let mut text = String::new();
            write_prefix(&mut text, 11709, role, moment(), level);
            assert_eq!(text, expected);
        };
        check('M', Level::Notice, "11709:M 01 Nov 2026 04:00:41.032 * ");
        check('S', Level::Warning, "11709:S 01 Nov 2026 04:00:41.032 # ");
        check('C', Level::Verbose, "11709:C 01 Nov 2026 04:00:41.032 - ");
        check('X', Level::Debug, "11709:X 01 Nov 2026 04:00:41.032 . ");
    }

    #[test]
    fn levels_are_named_in_any_case() {
        assert_eq!(Level::parse("NOTICE"), Some(Level::Notice));
        assert_eq!(Level::parse("nothing"), Some(Level::Nothing));
        assert_eq!(Level::parse("loud"), None);
        assert!(Level::NAMES.is_sorted_by_key(|&(_, level)| level));
        assert!(
            Level::NAMES
                .iter()
                .all(|&(_, level)| Level::from_u8(level as u8) == level)
        );
    }

    #[test]
    fn the_role_is_child_until_claimed_and_in_other_processes() {
        let folder = tempfile::tempdir().unwrap();
        let log = file_log(Level::Notice, &folder.path().join("log"));
        assert_eq!(log.role(5), 'C');
        log.server_pid.store(5, Relaxed);
        assert_eq!(log.role(5), 'M');
        assert_eq!(log.role(6), 'C');
        log.replica.store(true, Relaxed);
        assert_eq!(log.role(5), 'S');
        log.sentinel.store(true, Relaxed);
        assert_eq!(log.role(6), 'X');
    }

    #[test]
    fn events_become_lines_when_their_level_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = file_log(Level::Notice, &path);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Lines(log)), || {
            notice!("Ready to accept connections {}", "tcp");
            warning!(keys = 3, name = "x", "odd");
            verbose!("unseen");
            notice!(target: "tokio", "not ours");
            log.level.store(Level::Verbose as u8, Relaxed);
            tracing::callsite::rebuild_interest_cache();
            verbose!("seen");
            debug!("unseen");
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let ends: Vec<&str> = text.lines().map(|line| line.split_once(".").unwrap().1).collect();
        assert_eq!(ends.len(), 3, "{text}");
        assert!(ends[0].ends_with(" * Ready to accept connections tcp"), "{text}");
        assert!(ends[1].ends_with(" # odd keys=3 name=x"), "{text}");
        assert!(ends[2].ends_with(" - seen"), "{text}");
    }

    #[test]
    fn nothing_silences_warnings_and_raw_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = file_log(Level::Nothing, &path);
        log.write_message(Level::Warning, "odd");
        log.write_raw(Level::Warning, "raw\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn a_moved_log_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = file_log(Level::Notice, &path);
        log.write_raw(Level::Notice, "before\n");
        std::fs::rename(&path, folder.path().join("log.1")).unwrap();
        log.write_raw(Level::Notice, "after\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after\n");
    }

    #[test]
    fn an_impossible_log_file_is_refused_in_the_words_of_redis() {
        let error = check_file(Path::new("/nonexistent/folder/log")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Can't open the log file: No such file or directory"
        );
        let options = LogOptions {
            file: Some("nul\0byte".into()),
            ..LogOptions::default()
        };
        assert!(Log::new(&options).is_err());
    }

    #[test]
    fn facilities_are_user_and_the_eight_local_ones() {
        assert_eq!(Facility::parse("USER"), Some(Facility(1)));
        assert_eq!(Facility::parse("local0"), Some(Facility(16)));
        assert_eq!(Facility::parse("Local7"), Some(Facility(23)));
        for wrong in ["local8", "local", "local00", "daemon", ""] {
            assert_eq!(Facility::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn syslog_gets_message_level_and_ident() {
        let folder = tempfile::tempdir().unwrap();
        let daemon = UnixDatagram::bind(folder.path().join("log")).unwrap();
        let options = SyslogOptions {
            ident: "redis".into(),
            facility: Facility::parse("local0").unwrap(),
        };
        let mut syslog = Syslog::new(&options).unwrap();
        syslog.path = folder.path().join("log");
        syslog.send(Level::Notice, 7, moment(), "Ready");
        let mut got = [0; 100];
        let len = daemon.recv(&mut got).unwrap();
        assert_eq!(
            std::str::from_utf8(&got[..len]).unwrap(),
            "<133>Nov  1 04:00:41 redis[7]: Ready"
        );
    }

    #[test]
    fn text_on_the_stack_is_cut_between_characters_and_still_ends_its_line() {
        let mut text = StackText::default();
        text.write_str(&"x".repeat(319)).unwrap();
        text.write_str("é").unwrap();
        assert_eq!(text.as_str().len(), 319);
        text.end_line();
        assert!(text.as_str().ends_with("x\n"));
        let mut full = StackText::default();
        full.write_str(&"x".repeat(500)).unwrap();
        full.end_line();
        assert_eq!(full.as_str().len(), 320);
    }
}
