//! Last words: what the log gets when the server panics or is hit by a fatal signal, in the frame Redis uses.
//!
//! ```text
//! === REDIS BUG REPORT START ...      first line; once per process
//! PID:M date # ...                    what happened: panic, assertion or signal
//! ------ STACK TRACE ------           addresses (signal) or symbols (panic)
//! ------ SERVER ------                versions, uptime
//! ------ CURRENT CLIENT INFO ------   whom it was serving, and with what command
//! ------ INFO OUTPUT ------ ...       what else the server's witness tells
//! === REDIS BUG REPORT END ...
//! ```
//!
//! Invariants:
//! - The surest comes first: a report that is cut off has lost its least reliable part.
//! - After a signal, everything down to the stack is async-signal-safe. The witness is not, so it runs against an alarm:
//!   if it hangs or crashes, the process still ends, by the signal that started it.
//! - The witness costs the running server nothing: it is a function of the thread that serves, called by that thread
//!   only when it is dying. [`Activity`] is there for what that thread cannot lend while it works.
//!
//! Not here: a memory test (`crash-memcheck-enabled` is accepted elsewhere), registers, a dump of the stack's content.

use super::log::{self, Level};
use super::trap::{self, Fault};
use super::version::{GIT_SHA1, REDIS_VERSION, RUSSET_VERSION, build_id_text};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::fmt::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

const START: &str = "\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n";
const STACK_START: &str = "\n------ STACK TRACE ------\n";
const STACK_END: &str = "\n------ STACK TRACE DONE ------\n";
const HIDDEN_STACK: &str = "hide-user-data-from-log is on, skip logging stack content to avoid spilling PII";
const END: &str = "
=== REDIS BUG REPORT END. Make sure to include from START to END. ===

       This is Russet speaking, not Redis: please report the crash to the Russet project.

  Suspect RAM error? Use russet-server --test-memory to verify it.
";

/// How long a witness may take, in seconds.
const WITNESS_SECONDS_MAX: u32 = 2;
const ARGUMENT_BYTES_MAX: usize = 128;

/// What a report does, from the directives about crashes.
#[derive(Clone, Copy, Debug)]
pub struct CrashOptions<'a> {
    /// `crash-log-enabled`.
    pub crash_log: bool,
    /// `use-exit-on-panic`: exit with 1 instead of aborting.
    pub exit_on_panic: bool,
    /// `hide-user-data-from-log`.
    pub hide_user_data: bool,
    /// The pidfile of a server in the background, removed as the last act.
    pub pidfile: Option<&'a Path>,
}

static CRASH_LOG: AtomicBool = AtomicBool::new(true);
static EXIT_ON_PANIC: AtomicBool = AtomicBool::new(false);
static HIDE_USER_DATA: AtomicBool = AtomicBool::new(false);
static PIDFILE: OnceLock<CString> = OnceLock::new();
/// The process whose it is.
static OWNER: AtomicU32 = AtomicU32::new(0);
static STARTED: OnceLock<Instant> = OnceLock::new();
/// The thread writing the report; 0 while there is none.
static REPORTER: AtomicI32 = AtomicI32::new(0);

/// Has panics and fatal signals reported from here on. Call once, on the thread that serves, after `log::init`.
///
/// A panic ends the process in every build profile: whoever installs this wants no half-changed data served.
pub fn install(options: &CrashOptions<'_>) {
    let _ = STARTED.set(Instant::now());
    if let Some(path) = options
        .pidfile
        .and_then(|path| CString::new(path.as_os_str().as_bytes()).ok())
    {
        let _ = PIDFILE.set(path);
        OWNER.store(std::process::id(), Relaxed);
    }
    set_exit_on_panic(options.exit_on_panic);
    set_hide_user_data(options.hide_user_data);
    cover_thread();
    trap::arm_alarm();
    set_crash_log(options.crash_log);
    std::panic::set_hook(Box::new(on_panic));
}

/// `crash-log-enabled`, when it changes.
pub fn set_crash_log(enabled: bool) {
    CRASH_LOG.store(enabled, Relaxed);
    if enabled {
        trap::arm_fatal()
    } else {
        trap::disarm_fatal()
    }
}

/// `use-exit-on-panic`, when it changes.
pub fn set_exit_on_panic(exit: bool) {
    EXIT_ON_PANIC.store(exit, Relaxed);
}

/// `hide-user-data-from-log`, when it changes.
pub fn set_hide_user_data(hide: bool) {
    HIDE_USER_DATA.store(hide, Relaxed);
}

/// Has a stack overflow of the calling thread reported too. 256 KiB, kept for good.
pub fn cover_thread() {
    trap::provide_stack();
}

/// `watchdog-period`: unless called again within `period_ms`, the log gets the stack of the thread that is stuck.
/// 0 stops it.
pub fn feed_watchdog(period_ms: u32) {
    trap::schedule_alarm(period_ms);
}

/// What a server can tell about itself in its last moment. Text ends with a line end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// INFO of all sections.
    pub info: String,
    /// CLIENT LIST.
    pub clients: String,
    /// Directives worth knowing, one `name value` per line.
    pub config: String,
    /// Whom it was serving.
    pub client: Option<ClientScene>,
}

/// A client in the middle of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientScene {
    /// As in CLIENT LIST.
    pub line: String,
    /// The command.
    pub argv: Vec<Vec<u8>>,
}

/// What a witness is asked for, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// [`Scene::client`].
    Client,
    /// Everything else.
    Server,
}

type Witness = &'static dyn Fn(Part, &mut Scene);

thread_local! {
    static WITNESS: Cell<Option<Witness>> = const { Cell::new(None) };
}

/// Has `witness` called when the calling thread panics or faults, to fill in what it can of each part. Never freed:
/// register once per thread.
///
/// It runs while the thread's own work is half done, and nothing runs after it.
pub fn register_witness(witness: impl Fn(Part, &mut Scene) + 'static) {
    WITNESS.set(Some(Box::leak(Box::new(witness))));
}

/// What a thread is doing, in cells that its witness can read while the thread's own state is lent out.
///
/// One per thread, reached through [`activity`]. Setting it is a plain store.
#[derive(Debug)]
pub struct Activity(Cell<Doing>);

/// A client, the command it runs (empty for none), and the command's words, for who knows what the pointer is.
type Doing = (u64, &'static str, *const ());

impl Activity {
    /// `client_id` runs `command`; what ran before, for [`Activity::end`]. Commands run inside each other.
    #[inline]
    pub fn begin(&self, client_id: u64, command: &'static str, words: *const ()) -> Doing {
        self.0.replace((client_id, command, words))
    }

    /// What ran before goes on.
    #[inline]
    pub fn end(&self, before: Doing) {
        self.0.set(before);
    }

    /// The client, the command it runs, and its words, if one runs.
    pub fn current(&self) -> Option<Doing> {
        let doing = self.0.get();
        (!doing.1.is_empty()).then_some(doing)
    }
}

impl Default for Activity {
    fn default() -> Self {
        Activity(Cell::new((0, "", std::ptr::null())))
    }
}

thread_local! {
    static ACTIVITY: Activity = const { Activity(Cell::new((0, "", std::ptr::null()))) };
}

/// Calls `act` with the calling thread's activity.
#[inline]
pub fn activity<R>(act: impl FnOnce(&Activity) -> R) -> R {
    ACTIVITY.with(act)
}

/// Who may write the report.
enum Turn {
    First,
    /// This thread already was writing it.
    Again,
    /// Another thread is writing it, and will end the process.
    Other,
}

fn take_turn() -> Turn {
    let me = rustix::thread::gettid().as_raw_nonzero().get();
    match REPORTER.compare_exchange(0, me, SeqCst, SeqCst) {
        Ok(_) => Turn::First,
        Err(owner) if owner == me => Turn::Again,
        Err(_) => Turn::Other,
    }
}

fn wait_for_the_end() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The panic hook.
fn on_panic(panic: &PanicHookInfo<'_>) {
    let turn = take_turn();
    if let Turn::Other = turn {
        wait_for_the_end();
    }
    let again = matches!(turn, Turn::Again);
    if !again {
        log::raw(Level::Warning, START);
    }
    log::raw(
        Level::Warning,
        &panic_headline(&PanicFacts::of(panic), again, &log::warning_prefix()),
    );
    if CRASH_LOG.load(Relaxed) && !again {
        log::raw(
            Level::Warning,
            &format!("{STACK_START}\n{}{STACK_END}", Backtrace::force_capture()),
        );
        let hide = HIDE_USER_DATA.load(Relaxed);
        let scene = witnessed(Part::Client);
        log::raw(Level::Warning, &assertion_context(panic, &scene));
        log::raw(Level::Warning, &client_part(&scene, hide));
        log::raw(Level::Warning, &server_part(&witnessed(Part::Server)));
    }
    log::raw(Level::Warning, END);
    end_after_panic()
}

fn end_after_panic() -> ! {
    remove_pidfile();
    // The report is written; aborting must not begin another.
    trap::disarm_fatal();
    if EXIT_ON_PANIC.load(Relaxed) {
        trap::exit_now(1);
    }
    std::process::abort()
}

/// What a panic says and where.
struct PanicFacts<'a> {
    message: &'a str,
    file: &'a str,
    line: u32,
}

impl<'a> PanicFacts<'a> {
    fn of(panic: &'a PanicHookInfo<'_>) -> Self {
        let (file, line) = panic
            .location()
            .map_or(("?", 0), |place| (place.file(), place.line()));
        Self {
            message: payload_text(panic).unwrap_or("(no message)"),
            file,
            line,
        }
    }

    /// `assert!` and its kin all begin this way.
    fn asserted(&self) -> Option<&'a str> {
        let claim = self.message.strip_prefix("assertion ")?;
        Some(claim.strip_prefix("failed: ").unwrap_or(claim))
    }
}

/// What `panic!` was given: a literal, or formatted text.
fn payload_text<'a>(panic: &'a PanicHookInfo<'_>) -> Option<&'a str> {
    let payload = panic.payload();
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// The lines that say what happened, in Redis's words for a failed assertion or a panic.
fn panic_headline(facts: &PanicFacts<'_>, again: bool, prefix: &str) -> String {
    let PanicFacts { message, file, line } = facts;
    match facts.asserted() {
        Some(claim) => format!(
            "{prefix}=== {}ASSERTION FAILED ===\n{prefix}==> {file}:{line} '{claim}' is not true\n",
            if again { "RECURSIVE " } else { "" }
        ),
        None => format!(
            "{prefix}------------------------------------------------\n\
             {prefix}!!! Software Failure. Press left mouse button to continue\n\
             {prefix}Guru Meditation: {message} #{file}:{line}\n"
        ),
    }
}

/// Whom a failed assertion concerns, right after it, as Redis has it; nothing for other panics.
fn assertion_context(panic: &PanicHookInfo<'_>, scene: &Scene) -> String {
    match (&scene.client, PanicFacts::of(panic).asserted()) {
        (Some(client), Some(_)) => {
            assertion_context_text(client, HIDE_USER_DATA.load(Relaxed), &log::warning_prefix())
        }
        _ => String::new(),
    }
}

fn assertion_context_text(client: &ClientScene, hide: bool, prefix: &str) -> String {
    let mut text = format!("{prefix}=== ASSERTION FAILED CLIENT CONTEXT ===\n");
    let _ = writeln!(text, "{prefix}client->argc = {}", client.argv.len());
    for (index, shown) in shown_arguments(&client.argv, hide).enumerate() {
        let _ = writeln!(text, "{prefix}client->argv[{index}] = \"{shown}\"");
    }
    text
}

/// Runs in the handler of a fatal signal. Returns when the process may end.
pub(super) fn on_fault(fault: &Fault) {
    match take_turn() {
        Turn::First => {}
        Turn::Again => return report_again(fault),
        Turn::Other => wait_for_the_end(),
    }
    log::raw_in_handler(START);
    report_fault(fault);
    report_stack();
    if let Some(witness) = WITNESS.get() {
        trap::end_after(fault, WITNESS_SECONDS_MAX);
        let mut scene = Scene::default();
        witness(Part::Client, &mut scene);
        log::raw_in_handler(&client_part(&scene, HIDE_USER_DATA.load(Relaxed)));
        witness(Part::Server, &mut scene);
        log::raw_in_handler(&server_part(&scene));
    }
    log::raw_in_handler(END);
    remove_pidfile();
}

fn report_fault(fault: &Fault) {
    let Fault { signal, code, .. } = fault;
    log::last_line_in_handler(format_args!(
        "Redis {REDIS_VERSION} crashed by signal: {signal}, si_code: {code}"
    ));
    if let Some(address) = fault.address {
        log::last_line_in_handler(format_args!("Accessing address: {address:#x}"));
    }
    if let Some((pid, user)) = fault.sender {
        log::last_line_in_handler(format_args!("Killed by PID: {pid}, UID: {user}"));
    }
    if let Some(instruction) = fault.instruction {
        log::last_line_in_handler(format_args!(
            "Crashed running the instruction at: {instruction:#x}"
        ));
    }
    log::last_line_in_handler(format_args!("Russet {RUSSET_VERSION} ({GIT_SHA1})"));
}

fn report_stack() {
    log::raw_in_handler(STACK_START);
    log::raw_in_handler("\nBacktrace:\n");
    if let Some(target) = log::target_in_handler() {
        trap::print_stack(target.as_fd());
    }
    log::raw_in_handler(STACK_END);
    if HIDE_USER_DATA.load(Relaxed) {
        log::last_line_in_handler(format_args!("{HIDDEN_STACK}"));
    }
}

/// A fault while the report was being written: say so and let it end.
fn report_again(fault: &Fault) {
    log::last_line_in_handler(format_args!(
        "Crashed running signal handler. Providing reduced version of recursive crash report."
    ));
    report_fault(fault);
    log::raw_in_handler(END);
    remove_pidfile();
}

/// Runs in the handler of SIGALRM: shows where this thread is and lets it go on.
pub(super) fn on_alarm(by_timer: bool) {
    let why = if by_timer {
        "--- WATCHDOG TIMER EXPIRED ---"
    } else {
        "Received SIGALRM"
    };
    log::line_in_handler(format_args!("\n{why}"));
    report_stack();
    log::line_in_handler(format_args!("--------\n"));
}

/// Async-signal-safe.
fn remove_pidfile() {
    // A forked child has no part in it.
    let is_ours = OWNER.load(Relaxed) == std::process::id();
    if let Some(path) = PIDFILE.get().map(CString::as_c_str).filter(|_| is_ours) {
        let _: Result<(), _> = rustix::fs::unlink::<&CStr>(path);
    }
}

fn witnessed(part: Part) -> Scene {
    let mut scene = Scene::default();
    if let Some(witness) = WITNESS.try_with(Cell::get).ok().flatten() {
        witness(part, &mut scene);
    }
    scene
}

/// What follows the stack.
fn client_part(scene: &Scene, hide: bool) -> String {
    let client = scene.client.as_ref().map(|client| client_text(client, hide));
    format!(
        "\n------ SERVER ------\n{}{}",
        server_text(),
        client.unwrap_or_default()
    )
}

/// And what follows that.
fn server_part(scene: &Scene) -> String {
    let mut text = String::new();
    let sections = [
        ("INFO OUTPUT", &scene.info),
        ("CLIENT LIST OUTPUT", &scene.clients),
        ("CONFIG DEBUG OUTPUT", &scene.config),
    ];
    for (title, section) in sections.into_iter().filter(|(_, section)| !section.is_empty()) {
        let _ = write!(text, "\n------ {title} ------\n{section}");
    }
    text
}

/// The basics, for reports without a witness.
fn server_text() -> String {
    let system = rustix::system::uname();
    let uptime = STARTED.get().map_or(0, |start| start.elapsed().as_secs());
    format!(
        "redis_version:{REDIS_VERSION}\nrusset_version:{RUSSET_VERSION}\nredis_git_sha1:{GIT_SHA1}\n\
         redis_build_id:{}\nos:{} {} {}\nprocess_id:{}\nuptime_in_seconds:{uptime}\n",
        build_id_text(),
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy(),
        std::process::id(),
    )
}

fn client_text(client: &ClientScene, hide: bool) -> String {
    let mut text = format!(
        "\n------ CURRENT CLIENT INFO ------\n{}\n",
        client.line.trim_end()
    );
    let _ = writeln!(text, "argc: '{}'", client.argv.len());
    for (index, shown) in shown_arguments(&client.argv, hide).enumerate() {
        let _ = writeln!(text, "argv[{index}]: '{shown}'");
    }
    text
}

/// Arguments as a log may show them: escaped, cut, and none after a word that announces a password.
fn shown_arguments(argv: &[Vec<u8>], hide: bool) -> impl Iterator<Item = String> + '_ {
    let announces = |argument: &Vec<u8>| {
        argument.eq_ignore_ascii_case(b"auth") || argument.eq_ignore_ascii_case(b"auth2")
    };
    let shown_max = argv
        .iter()
        .position(announces)
        .map_or(argv.len(), |index| index + 1);
    argv[..shown_max]
        .iter()
        .enumerate()
        .map(move |(index, argument)| {
            if hide && index > 0 {
                return "*redacted*".to_owned();
            }
            argument[..argument.len().min(ARGUMENT_BYTES_MAX)]
                .escape_ascii()
                .to_string()
        })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::trap::tests::{raise, touch_nothing};
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    const VICTIM_LOG: &str = "RUSSET_VICTIM_LOG";

    /// How a process that was made to die did so.
    pub struct Victim {
        pub status: ExitStatus,
        pub log: String,
    }

    impl Victim {
        /// Runs the test called `name` again in a process of its own, where it runs `act` with a log, in a folder that goes
        /// when it is dead; `None` in there when `act` returns.
        pub fn run(name: &str, act: impl FnOnce()) -> Option<Self> {
            if in_victim() {
                let file = std::env::var_os(VICTIM_LOG).map(Into::into);
                log::init(&log::LogOptions {
                    file,
                    ..Default::default()
                })
                .unwrap();
                log::claim_process();
                act();
                return None;
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let mut again = Command::new(std::env::current_exe().unwrap());
            again
                .args(["--exact", name, "--nocapture"])
                .current_dir(folder.path())
                .env(VICTIM_LOG, &path);
            let status = again.output().unwrap().status;
            Some(Self {
                status,
                log: std::fs::read_to_string(&path).unwrap_or_default(),
            })
        }

        fn expect(&self, texts: &[&str]) {
            let mut rest = self.log.as_str();
            for text in texts {
                let Some(at) = rest.find(text) else {
                    panic!("no {text:?} (in this order) in {}", self.log)
                };
                rest = &rest[at + text.len()..];
            }
        }
    }

    pub fn in_victim() -> bool {
        std::env::var_os(VICTIM_LOG).is_some()
    }

    fn options() -> CrashOptions<'static> {
        CrashOptions {
            crash_log: true,
            exit_on_panic: false,
            hide_user_data: false,
            pidfile: None,
        }
    }

    fn debug_segfault() -> ClientScene {
        ClientScene {
            line: "id=3 addr=x\n".into(),
            argv: vec![b"debug".to_vec(), b"seg\xfffault".to_vec()],
        }
    }

    #[test]
    fn an_assertion_reads_as_in_redis() {
        let facts = PanicFacts {
            message: "assertion failed: 1 == 2",
            file: "src/x.rs",
            line: 7,
        };
        let text = panic_headline(&facts, false, "9:M now # ");
        let expected = "9:M now # === ASSERTION FAILED ===\n9:M now # ==> src/x.rs:7 '1 == 2' is not true\n";
        assert_eq!(text, expected);
        assert!(panic_headline(&facts, true, "").starts_with("=== RECURSIVE ASSERTION FAILED ==="));
    }

    #[test]
    fn any_other_panic_is_a_guru_meditation() {
        let facts = PanicFacts {
            message: "no such luck",
            file: "src/x.rs",
            line: 7,
        };
        let text = panic_headline(&facts, false, "9:M now # ");
        assert!(
            text.ends_with("9:M now # Guru Meditation: no such luck #src/x.rs:7\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn a_scene_shows_its_sections_and_the_command() {
        let scene = Scene {
            info: "# Server\n".into(),
            client: Some(debug_segfault()),
            ..Scene::default()
        };
        let text = server_part(&scene);
        assert_eq!(text, "\n------ INFO OUTPUT ------\n# Server\n");
        let text = client_part(&scene, false);
        assert!(text.contains("redis_version:7.4.1\n"), "{text}");
        let client = "\n------ CURRENT CLIENT INFO ------\nid=3 addr=x\nargc: '2'\nargv[0]: 'debug'\n\
                      argv[1]: 'seg\\xfffault'\n";
        assert!(text.ends_with(client), "{text}");
    }

    #[test]
    fn hidden_arguments_leave_the_command_name() {
        let text = client_text(&debug_segfault(), true);
        assert!(
            text.ends_with("argv[0]: 'debug'\nargv[1]: '*redacted*'\n"),
            "{text}"
        );
        let context = assertion_context_text(&debug_segfault(), true, "");
        assert!(context.contains("argv[0] = \"debug\"\n"), "{context}");
        assert!(context.contains("argv[1] = \"*redacted*\"\n"), "{context}");
    }

    #[test]
    fn passwords_and_long_values_are_not_shown() {
        let argv = ["HELLO", "3", "AUTH", "name", "secret"].map(|word| word.as_bytes().to_vec());
        let shown: Vec<String> = shown_arguments(&argv, false).collect();
        assert_eq!(shown, ["HELLO", "3", "AUTH"]);
        let long = [vec![b'x'; 5000]];
        assert_eq!(
            shown_arguments(&long, false).next().unwrap().len(),
            ARGUMENT_BYTES_MAX
        );
    }

    #[test]
    fn activity_tells_what_runs_until_it_ends() {
        let activity = Activity::default();
        assert_eq!(activity.current(), None);
        let nothing = std::ptr::null();
        let before = activity.begin(7, "exec", nothing);
        let outer = activity.begin(7, "get", nothing);
        assert_eq!(activity.current(), Some((7, "get", nothing)));
        activity.end(outer);
        assert_eq!(activity.current(), Some((7, "exec", nothing)));
        activity.end(before);
        assert_eq!(activity.current(), None);
    }

    #[test]
    fn a_bad_access_is_reported_and_ends_by_its_signal() {
        let victim = Victim::run(
            "process::crash::tests::a_bad_access_is_reported_and_ends_by_its_signal",
            || {
                install(&options());
                register_witness(|_, scene| scene.client = Some(debug_segfault()));
                touch_nothing();
            },
        );
        let Some(victim) = victim else { return };
        assert_eq!(victim.status.signal(), Some(libc::SIGSEGV), "{}", victim.log);
        victim.expect(&[
            START,
            ":M ",
            " # Redis 7.4.1 crashed by signal: 11, si_code: 1\n",
            "Accessing address: 0x8\n",
            "Crashed running the instruction at: 0x",
            "------ STACK TRACE ------",
            "[0x",
            "STACK TRACE DONE",
            "process_id:",
            "argv[0]: 'debug'",
            "=== REDIS BUG REPORT END.",
        ]);
        assert_eq!(victim.log.matches("STACK TRACE -").count(), 1);
    }

    #[test]
    fn a_fatal_signal_from_outside_names_its_sender() {
        let victim = Victim::run(
            "process::crash::tests::a_fatal_signal_from_outside_names_its_sender",
            || {
                install(&options());
                raise(libc::SIGABRT);
            },
        );
        let Some(victim) = victim else { return };
        assert_eq!(victim.status.signal(), Some(libc::SIGABRT), "{}", victim.log);
        victim.expect(&[
            "crashed by signal: 6",
            "Killed by PID: ",
            "=== REDIS BUG REPORT END.",
        ]);
    }

    #[test]
    fn a_witness_that_crashes_does_not_hide_the_signal() {
        let victim = Victim::run(
            "process::crash::tests::a_witness_that_crashes_does_not_hide_the_signal",
            || {
                install(&options());
                register_witness(|_, _| touch_nothing());
                raise(libc::SIGBUS);
            },
        );
        let Some(victim) = victim else { return };
        victim.expect(&[
            "crashed by signal: 7",
            "Crashed running signal handler.",
            "crashed by signal: 11",
        ]);
        assert!(victim.status.signal().is_some(), "{}", victim.log);
        assert_eq!(victim.log.matches("REPORT START").count(), 1);
    }

    #[test]
    fn a_witness_that_hangs_is_cut_off() {
        let victim = Victim::run("process::crash::tests::a_witness_that_hangs_is_cut_off", || {
            install(&options());
            register_witness(|_, _| wait_for_the_end());
            raise(libc::SIGFPE);
        });
        let Some(victim) = victim else { return };
        assert_eq!(victim.status.signal(), Some(libc::SIGFPE), "{}", victim.log);
    }

    #[test]
    fn a_stack_overflow_is_reported() {
        #[expect(unconditional_recursion, reason = "the overflow is the point")]
        fn deeper(depth: &mut [u8; 1000]) -> u64 {
            let mut copy = *depth;
            copy[0] = copy[0].wrapping_add(1);
            deeper(&mut copy) + u64::from(std::hint::black_box(&copy)[999])
        }
        let victim = Victim::run("process::crash::tests::a_stack_overflow_is_reported", || {
            install(&options());
            std::hint::black_box(deeper(&mut [0; 1000]));
        });
        let Some(victim) = victim else { return };
        assert_eq!(victim.status.signal(), Some(libc::SIGSEGV), "{}", victim.log);
        victim.expect(&["crashed by signal: 11", "=== REDIS BUG REPORT END."]);
    }

    #[test]
    fn a_panic_is_reported_once_and_aborts() {
        let victim = Victim::run(
            "process::crash::tests::a_panic_is_reported_once_and_aborts",
            || {
                install(&options());
                register_witness(|_, scene| scene.client = Some(debug_segfault()));
                let (one, two) = (1, 2);
                assert!(one == two);
            },
        );
        let Some(victim) = victim else { return };
        assert_eq!(victim.status.signal(), Some(libc::SIGABRT), "{}", victim.log);
        victim.expect(&[
            START,
            "=== ASSERTION FAILED ===",
            "'one == two' is not true",
            "STACK TRACE",
            "a_panic_is_reported_once_and_aborts",
            "STACK TRACE DONE",
            "client->argv[0] = \"debug\"",
            "uptime_in_seconds:",
            "=== REDIS BUG REPORT END.",
        ]);
        assert!(!victim.log.contains("crashed by signal"), "{}", victim.log);
    }

    #[test]
    fn without_a_crash_log_a_panic_is_brief_and_may_exit() {
        let victim = Victim::run(
            "process::crash::tests::without_a_crash_log_a_panic_is_brief_and_may_exit",
            || {
                std::fs::write("pid", "1").unwrap();
                let pidfile = Some(Path::new("pid"));
                install(&CrashOptions {
                    crash_log: false,
                    exit_on_panic: true,
                    pidfile,
                    ..options()
                });
                panic!("no such luck");
            },
        );
        let Some(victim) = victim else { return };
        assert_eq!(victim.status.code(), Some(1), "{}", victim.log);
        victim.expect(&["Guru Meditation: no such luck #", "=== REDIS BUG REPORT END."]);
        assert!(!victim.log.contains("STACK TRACE"), "{}", victim.log);
    }

    #[test]
    fn an_alarm_shows_the_stack_and_lets_the_server_live() {
        let victim = Victim::run(
            "process::crash::tests::an_alarm_shows_the_stack_and_lets_the_server_live",
            || {
                install(&options());
                raise(libc::SIGALRM);
                feed_watchdog(20);
                std::thread::sleep(Duration::from_millis(200));
                trap::exit_now(42);
            },
        );
        let Some(victim) = victim else { return };
        assert_eq!(victim.status.code(), Some(42), "{}", victim.log);
        victim.expect(&[
            "Received SIGALRM",
            "STACK TRACE DONE",
            "--- WATCHDOG TIMER EXPIRED ---",
        ]);
    }
}
