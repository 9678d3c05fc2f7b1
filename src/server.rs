//! The server as a whole: wiring and signals only. The one place that knows everybody.
//!
//! ```text
//! command line > configuration > background, log, crash report, limits > sockets > executor + lanes > last words
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::base::clock::{Now, now_unix_ms};
use crate::base::cpus::{self, Cpus};
use crate::base::hash::KeyHasher;
use crate::base::rng::Rng;
use crate::command::cx::Facts;
use crate::config::{CommandLine, Config, LoadError, Wants};
use crate::exec::mailbox::{self, Mail, Mailbox, Post, mailbox};
use crate::exec::script::Interlude;
use crate::exec::turn::{Progress, Turns};
use crate::exec::witness::Watched;
use crate::exec::{self, Duty, Executor, Host};
use crate::net::alarm::Alarm;
use crate::net::courier::Courier;
use crate::net::lane::{self, Lanes};
use crate::net::limits::SharedLimits;
use crate::net::listen::{self, Addresses, Listening};
use crate::persist::check;
use crate::process::log::{notice, verbose, warning};
use crate::process::{
    child, code, crash, daemon, limits, log, memtest, oom, os_text, signals, supervise, syscheck, title,
    version,
};
use crate::stats::memory;
use crate::stats::persistence::ChildKind;

/// Runs the program; `args` are those of the process.
pub fn main(args: Vec<OsString>) -> ExitCode {
    if let Some(call) = check::Call::of(&args) {
        return match call.run() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    let program = args
        .first()
        .map_or("russet-server".into(), |a| a.to_string_lossy().into_owned());
    let line = match CommandLine::parse(args.into_iter().skip(1)) {
        Ok(line) => line,
        Err(error) => {
            eprint!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match line.wants {
        Wants::Version => println!("{}", version::version_line()),
        Wants::Help => {
            eprint!("{}", version::usage(&program));
            return ExitCode::FAILURE;
        }
        Wants::CheckSystem => return check_system(),
        Wants::TestMemory(megabytes) => return test_memory(megabytes),
        Wants::Run => return run(&program, &line),
    }
    ExitCode::SUCCESS
}

fn test_memory(megabytes: u64) -> ExitCode {
    match memtest::test_memory(megabytes, memtest::PASSES, &mut std::io::stdout()) {
        Ok(memtest::Verdict::Passed) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn check_system() -> ExitCode {
    match syscheck::report(&mut std::io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn run(program: &str, line: &CommandLine) -> ExitCode {
    let config = match line.load().and_then(|config| prepare(line, config)) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match start(program, line, config) {
        Ok(code) => ExitCode::from(code as u8),
        Err(message) => {
            warning!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// What can still be wrong with a configuration whose every line makes sense; then starts the log it asks for.
fn prepare(line: &CommandLine, config: Config) -> Result<Config, LoadError> {
    if line.sentinel {
        return Err(config.blame(
            "sentinel",
            "sentinel mode is not supported by this version of Russet yet",
        ));
    }
    config.check_awaited()?;
    exec::check_renames(&config)?;
    start_log(&config)?;
    Ok(config)
}

/// Everything between the configuration and the last log line; the exit code.
fn start(program: &str, line: &CommandLine, mut config: Config) -> Result<i32, String> {
    greet(line, &config);
    let supervised = Arc::new(supervise::Supervised::begin(
        supervise::Mode::parse(config.choice("supervised")).unwrap_or(supervise::Mode::No),
    ));
    let background = config.bool("daemonize") && !supervised.is_active();
    let config_file = config.file().map(absolute);
    if background {
        daemon::detach().map_err(|e| os_text(&e))?;
    }
    log::claim_process();
    let _ = title::claim();
    announce(&config);
    enter_folder(&config)?;
    let configured = config.path("pidfile");
    let pidfile = daemon::pidfile_path(
        (!configured.as_os_str().is_empty()).then_some(configured),
        background,
    );
    crash::install(&crash::CrashOptions {
        crash_log: config.bool("crash-log-enabled"),
        exit_on_panic: config.bool("use-exit-on-panic"),
        hide_user_data: config.bool("hide-user-data-from-log"),
        pidfile: pidfile.as_deref(),
    });
    let shutdown = signals::install().map_err(|e| os_text(&e))?;
    reserve_files(&mut config)?;
    purge_in_background(&config);
    code::preload();
    set_title(program, &config, config_file.as_deref());
    let mut oom = oom::OomScore::default();
    apply_oom(&mut oom, &config);
    check_start(&config)?;
    choose_cpus(&config);

    let code = serve(Start {
        program,
        config,
        config_file,
        oom,
        pidfile,
        supervised: &supervised,
        shutdown,
    })?;
    supervised.stopping();
    warning!("Redis is now ready to exit, bye bye...");
    Ok(code)
}

/// What serving needs from the start.
struct Start<'a> {
    program: &'a str,
    config: Config,
    config_file: Option<PathBuf>,
    oom: oom::OomScore,
    pidfile: Option<PathBuf>,
    supervised: &'a Arc<supervise::Supervised>,
    shutdown: signals::Shutdown,
}

fn start_log(config: &Config) -> Result<(), LoadError> {
    let file = config.path("logfile");
    let syslog = config.bool("syslog-enabled").then(|| log::SyslogOptions {
        ident: lossy(config.text("syslog-ident")),
        facility: log::Facility::parse(config.choice("syslog-facility"))
            .expect("the directive's own choices"),
    });
    let options = log::LogOptions {
        level: log::Level::parse(config.choice("loglevel")).unwrap_or_default(),
        file: (!file.as_os_str().is_empty()).then(|| absolute(file)),
        syslog,
    };
    log::init(&options).map_err(|error| config.blame("logfile", error.to_string()))
}

fn greet(line: &CommandLine, config: &Config) {
    let pid = std::process::id();
    if line.stdin {
        notice!("Reading config from stdin");
    }
    notice!("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    notice!(
        "Redis version={}, bits=64, commit={}, modified=0, pid={pid}, just started",
        version::REDIS_VERSION,
        version::GIT_SHA1
    );
    notice!("Russet version={}", version::RUSSET_VERSION);
    if config.file().is_none() && line.overrides.is_empty() && !line.stdin {
        warning!(
            "Warning: no config file specified, using the default config. In order to specify a config file use russet-server /path/to/redis.conf"
        );
    } else {
        notice!("Configuration loaded");
    }
}

/// The lines of a server that has its final process number.
fn announce(config: &Config) {
    notice!("monotonic clock: POSIX clock_gettime");
    notice!("Running mode=standalone, port={}.", config.int("port"));
    notice!("PID: {}", std::process::id());
}

/// What a server leaves in the file system while it runs.
struct Leavings {
    unix_path: PathBuf,
    pidfile: Option<daemon::PidFile>,
}

impl Leavings {
    fn remove(self) {
        if let Some(pidfile) = self.pidfile {
            pidfile.remove();
        }
        if !self.unix_path.as_os_str().is_empty() {
            notice!("Removing the unix socket file.");
            let _ = std::fs::remove_file(&self.unix_path);
        }
    }
}

fn enter_folder(config: &Config) -> Result<(), String> {
    let dir = config.path("dir");
    std::env::set_current_dir(dir).map_err(|e| format!("Can't chdir to '{}': {}", dir.display(), os_text(&e)))
}

fn reserve_files(config: &mut Config) -> Result<(), String> {
    let wanted = config.int("maxclients") as u32;
    let granted = limits::reserve_files(wanted).map_err(|e| e.to_string())?;
    if granted != wanted {
        let lowered = config.assign("maxclients", granted.to_string().as_bytes());
        debug_assert!(lowered.is_ok(), "a smaller number of clients is within bounds");
    }
    Ok(())
}

fn purge_in_background(config: &Config) {
    if let Err(error) = memory::purge_in_background(config.bool("jemalloc-bg-thread")) {
        verbose!("jemalloc's background threads: {error}");
    }
}

/// Looks for what in the system hurts this server.
fn check_start(config: &Config) -> Result<(), String> {
    let listens = config.int("port") != 0 || config.int("tls-port") != 0;
    syscheck::at_start(&syscheck::StartOptions {
        disable_huge_pages: config.bool("disable-thp"),
        backlog: listens.then(|| config.int("tcp-backlog") as u32),
        ignored: &lossy(config.text("ignore-warnings")),
    })
}

/// Binds this thread, and all it starts, to the CPUs meant for it; work in the background to those for that, or to where
/// this process was started.
fn choose_cpus(config: &Config) {
    let (own, background) = (cpus(config, "server-cpulist"), cpus(config, "bio-cpulist"));
    if let Some(elsewhere) = background.or_else(|| own.as_ref().and_then(|_| Cpus::current().ok())) {
        cpus::set_background(elsewhere);
    }
    if let Some(Err(error)) = own.map(|own| own.pin()) {
        warning!("server-cpulist: {}", os_text(&error));
    }
}

/// The CPUs of a directive; none, and a warning, if it makes no sense.
fn cpus(config: &Config, directive: &str) -> Option<Cpus> {
    let list = lossy(config.text(directive));
    let cpus = Cpus::parse(&list);
    if cpus.is_none() && !list.is_empty() {
        warning!("{directive}: '{list}' is no list of CPUs");
    }
    cpus
}

/// What children of both kinds are besides copies of this process.
struct Roles {
    saves: child::Role,
    rewrites: child::Role,
}

impl Roles {
    fn new(config: &Config, config_file: Option<&Path>, oom: &oom::OomScore) -> Roles {
        let mode = oom_mode(config);
        let oom_score = oom.score(mode, config.oom_scores(), oom::ProcessClass::BackgroundChild);
        let role = |name: &str, directive: &str| child::Role {
            title: title_of(name, config, config_file),
            cpus: cpus(config, directive),
            oom_score,
        };
        Roles {
            saves: role("redis-rdb-bgsave", "bgsave-cpulist"),
            rewrites: role("redis-aof-rewrite", "aof-rewrite-cpulist"),
        }
    }
}

fn set_title(program: &str, config: &Config, config_file: Option<&Path>) {
    if let Some(text) = title_of(program, config, config_file) {
        title::set(&text);
    }
}

/// How a process of that name is to be shown, if not as it was started.
fn title_of(name: &str, config: &Config, config_file: Option<&Path>) -> Option<String> {
    if !config.bool("set-proc-title") {
        return None;
    }
    let bind = config.list("bind").first().map(|host| lossy(host));
    let unixsocket = lossy(config.text("unixsocket"));
    let file = config_file.map(|p| p.to_string_lossy().into_owned());
    let facts = title::TitleFacts {
        bind: bind.as_deref(),
        port: config.int("port") as u16,
        tls_port: config.int("tls-port") as u16,
        unixsocket: &unixsocket,
        cluster: config.bool("cluster-enabled"),
        sentinel: false,
        config_file: file.as_deref(),
    };
    title::expand(&lossy(config.text("proc-title-template")), name, &facts).ok()
}

fn oom_mode(config: &Config) -> oom::OomMode {
    oom::OomMode::parse(config.choice("oom-score-adj")).unwrap_or(oom::OomMode::No)
}

fn apply_oom(oom: &mut oom::OomScore, config: &Config) {
    let values = config.oom_scores();
    if let Err(error) = oom.apply(oom_mode(config), values, oom::ProcessClass::Master) {
        warning!("Unable to write oom_score_adj: {}", os_text(&error));
    }
}

fn addresses(config: &Config) -> Addresses {
    Addresses {
        bind: config.list("bind").iter().map(|host| lossy(host)).collect(),
        port: config.int("port") as u16,
        backlog: config.int("tcp-backlog") as i32,
        mark: config.int("socket-mark-id") as u32,
        unix_path: lossy(config.text("unixsocket")),
        unix_mode: config.int("unixsocketperm") as u32,
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A runtime of one thread.
fn runtime() -> Result<Runtime, String> {
    // One turn serves every ready connection, once to read and maybe again to write, before it asks the kernel for more.
    const TASKS_PER_TURN: u32 = 1024;
    Builder::new_current_thread()
        .enable_io()
        .event_interval(TASKS_PER_TURN)
        .build()
        .map_err(|e| os_text(&e))
}

/// An alarm of the runtime this is called on.
fn alarm() -> Result<Alarm, String> {
    Alarm::new().map_err(|e| os_text(&e))
}

/// Binds, starts executor and lanes, and serves until the end; the exit code.
fn serve(start: Start<'_>) -> Result<i32, String> {
    let Start {
        program,
        config,
        config_file,
        oom,
        pidfile,
        supervised,
        shutdown,
    } = start;
    let io_threads = config.int("io-threads") as usize;
    let shared = Arc::new(SharedLimits::default());
    shared.apply(&config);
    let addresses = addresses(&config);
    let (tcp, unix) = (listen::bind_tcp(&addresses)?, listen::bind_unix(&addresses)?);
    if tcp.is_empty() && unix.is_empty() {
        return Err("Configured to not listen anywhere, exiting.".into());
    }
    // Only now: what a server that could not start would take away may be another's that runs.
    let leavings = Leavings {
        unix_path: config.path("unixsocket").to_owned(),
        pidfile: pidfile.map(daemon::PidFile::write),
    };
    let (mail, letters) = mailbox();
    let first_lane = usize::from(io_threads > 1);
    let (lanes, errands) = Lanes::new(io_threads.saturating_sub(1).max(1), first_lane);
    let hz = Arc::new(AtomicU64::new(config.int("hz") as u64));

    // The runtime that holds listeners, ticks and signals: the executor's own, or that of the first lane.
    let home = runtime()?;
    let mut host = ServerHost {
        program: program.to_owned(),
        config_file: config_file.clone(),
        runtime: home.handle().clone(),
        lanes: lanes.clone(),
        shared: Arc::clone(&shared),
        hz: Arc::clone(&hz),
        addresses: addresses.clone(),
        listeners: Vec::new(),
        roles: Roles::new(&config, config_file.as_deref(), &oom),
        oom,
        supervised: Arc::clone(supervised),
        mail: mail.clone(),
        courier: Courier::default(),
    };
    let mut errands = errands.into_iter();
    let home_errands = errands.next().expect("there is at least one lane");
    {
        let _inside = home.enter();
        host.listeners = tcp.serve(&lanes, &shared).map_err(|e| os_text(&e))?;
        // Where the unix socket is cannot be changed, so it is served to the end.
        unix.serve(&lanes, &shared).map_err(|e| os_text(&e))?;
        tokio::spawn(lane::run(
            first_lane,
            home_errands,
            mail.clone(),
            Arc::clone(&shared),
        ));
        tokio::spawn(tick(mail.clone(), alarm()?, hz));
        tokio::spawn(watch_signals(shutdown, mail.clone()));
    }
    let facts = facts(program, &config, config_file.as_deref(), io_threads, supervised);
    let mut executor = Executor::new(config, KeyHasher::random(), Rng::from_entropy(), Box::new(host))
        .map_err(|e| e.to_string())?;
    executor.server.facts = facts;
    exec::witness::testify();
    notice!("Server initialized");
    executor.set_time_us(now_unix_ms() * 1000);
    // Here, on the thread the executor runs on: until the allocator has been asked, any limit on memory seems to be kept,
    // and the first tick may be late on a busy machine.
    executor.sample_memory();
    executor.begin_load();
    if io_threads <= 1 {
        // A task like the connections', so that it runs when they have, and not once more for the main future.
        let turns = Turns::new(executor).map_err(|e| os_text(&e))?;
        let alarm = {
            let _inside = home.enter();
            alarm()?
        };
        let executor = home.spawn(run_local(turns, letters, alarm));
        let code = home.block_on(executor).map_err(|e| e.to_string())?;
        leavings.remove();
        // The end of the process closes what it holds, listeners first: nobody is let in who would get no answer.
        std::mem::forget(home);
        return Ok(code);
    }
    start_lane(first_lane, home, std::future::pending())?;
    for (offset, errands) in errands.enumerate() {
        let lane = first_lane + 1 + offset;
        start_lane(
            lane,
            runtime()?,
            lane::run(lane, errands, mail.clone(), Arc::clone(&shared)),
        )?;
    }
    drop(mail);
    let code = run_apart(executor, letters, &lanes);
    leavings.remove();
    Ok(code)
}

/// Runs `work` on a thread of its own until the process ends.
fn start_lane(
    lane: usize,
    runtime: Runtime,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<(), String> {
    let run = move || runtime.block_on(work);
    std::thread::Builder::new()
        .name(format!("io_thd_{lane}"))
        .spawn(run)
        .map(drop)
        .map_err(|e| os_text(&e))
}

fn facts(
    program: &str,
    config: &Config,
    file: Option<&Path>,
    io_threads: usize,
    supervised: &supervise::Supervised,
) -> Facts {
    Facts {
        run_id: random_id(),
        replication_id: random_id(),
        executable: std::env::current_exe().map_or(program.to_owned(), |p| p.to_string_lossy().into_owned()),
        config_file: file.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default(),
        pid: std::process::id(),
        started_unix_us: now_unix_ms() * 1000,
        io_threads,
        supervised: if supervised.is_active() {
            config.choice("supervised").to_owned()
        } else {
            "no".to_owned()
        },
    }
}

/// 40 hexadecimal digits that no other server has.
fn random_id() -> String {
    version::new_run_id().unwrap_or_else(|_| "0".repeat(40))
}

/// Sends a tick `hz` times a second, the first at once.
async fn tick(mail: Post, alarm: Alarm, hz: Arc<AtomicU64>) {
    loop {
        mail.tick();
        alarm
            .sleep(Duration::from_millis(1000 / hz.load(Ordering::Relaxed).max(1)))
            .await;
    }
}

/// Turns signals into mail.
async fn watch_signals(mut shutdown: signals::Shutdown, mail: Post) {
    while let Ok(signal) = shutdown.recv().await {
        let interrupt = signal == signals::ShutdownSignal::Int;
        mail.send(Mail::Stop { interrupt });
    }
}

/// The executor on the thread that also does I/O.
async fn run_local(mut turns: Turns, mail: Mailbox, alarm: Alarm) -> i32 {
    // When the alarm rings, at the latest.
    let mut alarm_us = i64::MAX;
    let mut letters = Vec::with_capacity(mailbox::DRAIN_MAX);
    loop {
        if turns.executor().is_busy() || !letters.is_empty() {
            // Work is left, of expiry or of the last mail: give connections a turn, take what is there, go on.
            tokio::task::yield_now().await;
            mail.take(&mut letters);
        } else {
            let now_us = turns.executor().time_us();
            // A ring that is overdue was missed in a busy time, or the clock was set.
            if let Some(wake_us) = turns.executor().wake_at_us()
                && (wake_us < alarm_us || alarm_us <= now_us)
            {
                alarm.set(left_until(wake_us));
                alarm_us = wake_us;
            }
            // A ring is as good as mail: somebody's time is up.
            poll_fn(|cx| match mail.poll(cx, &mut letters) {
                Poll::Pending if alarm_us < i64::MAX => alarm.poll(cx).map(|()| alarm_us = i64::MAX),
                arrival => arrival,
            })
            .await;
        }
        let mut progress = turns.open(&mut letters, Now::read());
        while progress == Progress::Paused {
            // A script goes on for long: what was done before it is delivered, and others may have their turn.
            turns.executor().end_turn();
            turns.executor().deliver_here();
            tokio::task::yield_now().await;
            let mut waiting = Vec::new();
            mail.take(&mut waiting);
            turns.executor().open_busy(&mut waiting);
            turns.executor().end_turn();
            turns.executor().deliver_here();
            progress = turns.go_on(&mut letters);
        }
        if let Some(code) = finish_turn(turns.executor(), None) {
            // The process ends: the system takes memory back faster than key by key.
            std::mem::forget(turns);
            return code;
        }
    }
}

/// The executor on a thread of its own.
fn run_apart(executor: Executor, mail: Mailbox, lanes: &Lanes) -> i32 {
    let mut executor = Watched::new(executor);
    let mut letters = Vec::with_capacity(mailbox::DRAIN_MAX);
    let mail = Arc::new(mail);
    executor.set_interlude(Box::new(OpenMail {
        mail: Arc::clone(&mail),
        lanes: lanes.clone(),
    }));
    loop {
        if executor.is_busy() || !letters.is_empty() {
            mail.take(&mut letters);
        } else {
            let patience = executor.wake_at_us().map(left_until);
            mail.wait(patience, &mut letters);
        }
        executor.open(&mut letters, Now::read());
        if let Some(code) = finish_turn(&mut executor, Some(lanes)) {
            // As above.
            std::mem::forget(executor);
            return code;
        }
    }
}

/// Lets others have a turn in the middle of a script, when connections have threads of their own.
struct OpenMail {
    mail: Arc<Mailbox>,
    lanes: Lanes,
}

impl Interlude for OpenMail {
    fn turn(&mut self, executor: &mut Executor) {
        let mut waiting = Vec::new();
        self.mail.take(&mut waiting);
        executor.open_busy(&mut waiting);
        executor.end_turn();
        self.lanes.deliver(executor.take_finished());
    }
}

/// How long it is until `at_us`, by the time of day.
fn left_until(at_us: i64) -> Duration {
    let left_us = at_us.saturating_sub(Now::read().unix_us);
    Duration::from_micros(left_us.max(0) as u64)
}

/// What follows a turn of the executor; the exit code when it was the last.
#[inline]
fn finish_turn(executor: &mut Executor, lanes: Option<&Lanes>) -> Option<i32> {
    executor.go_on();
    executor.end_turn();
    match lanes {
        None => executor.deliver_here(),
        Some(lanes) => lanes.deliver(executor.take_finished()),
    }
    executor.exit_code()
}

/// What the executor cannot do itself when the configuration changes.
struct ServerHost {
    program: String,
    config_file: Option<PathBuf>,
    runtime: Handle,
    lanes: Lanes,
    shared: Arc<SharedLimits>,
    hz: Arc<AtomicU64>,
    addresses: Addresses,
    listeners: Vec<Listening>,
    oom: oom::OomScore,
    roles: Roles,
    supervised: Arc<supervise::Supervised>,
    mail: Post,
    courier: Courier,
}

impl Host for ServerHost {
    fn ready(&mut self) {
        if self.addresses.port != 0 {
            notice!("Ready to accept connections tcp");
        }
        if !self.addresses.unix_path.is_empty() {
            notice!("Ready to accept connections unix");
        }
        self.supervised.ready();
    }

    fn waker(&self) -> exec::aof::sync::Waker {
        let mail = self.mail.clone();
        // A full mailbox wakes the executor as well.
        Box::new(move || _ = mail.offer(Mail::Synced))
    }

    fn hire(&mut self, duty: Duty<'_>, work: exec::Work<'_>) -> std::io::Result<Box<dyn child::Worker>> {
        let role = match duty {
            Duty::Write(ChildKind::Snapshot) => Some(&self.roles.saves),
            Duty::Write(ChildKind::Rewrite) => Some(&self.roles.rewrites),
            Duty::Debug(_) => None,
        };
        Ok(Box::new(child::spawn(duty.socket(), |report| {
            if let Some(role) = role {
                role.take_on(report);
            }
            work(report)
        })?))
    }

    fn ship(&mut self, shipment: exec::shipment::Shipment, report: exec::shipment::Report) {
        self.courier.ship(shipment, report);
    }

    fn links(&self) -> usize {
        self.courier.links()
    }

    fn apply_config(
        &mut self,
        config: &Config,
        changed: &[&'static str],
    ) -> Result<(), (&'static str, String)> {
        let touches = |names: &[&str]| changed.iter().any(|c| names.contains(c));
        if touches(&["maxclients"]) {
            Self::reserve_files(config).map_err(|e| ("maxclients", e))?;
        }
        if touches(&["port", "bind"]) {
            let culprit = if touches(&["bind"]) { "bind" } else { "port" };
            self.listen_again(config).map_err(|e| (culprit, e))?;
        }
        if touches(&["dir"]) {
            enter_folder(config).map_err(|e| ("dir", e))?;
        }
        if touches(&["oom-score-adj", "oom-score-adj-values"]) {
            self.apply_oom(config).map_err(|e| ("oom-score-adj", e))?;
        }
        if touches(&["watchdog-period"]) {
            // Each tick puts it off; 0 calls it off.
            crash::feed_watchdog(config.int("watchdog-period") as u32);
        }
        if touches(&["jemalloc-bg-thread"]) {
            purge_in_background(config);
        }
        self.shared.apply(config);
        self.hz.store(config.int("hz") as u64, Ordering::Relaxed);
        log::set_level(log::Level::parse(config.choice("loglevel")).unwrap_or_default());
        crash::set_crash_log(config.bool("crash-log-enabled"));
        crash::set_hide_user_data(config.bool("hide-user-data-from-log"));
        if touches(&["port", "bind", "proc-title-template", "tls-port"]) {
            set_title(&self.program, config, self.config_file.as_deref());
        }
        if touches(&[
            "port",
            "bind",
            "proc-title-template",
            "tls-port",
            "oom-score-adj",
            "oom-score-adj-values",
        ]) {
            self.roles = Roles::new(config, self.config_file.as_deref(), &self.oom);
        }
        Ok(())
    }
}

impl ServerHost {
    fn reserve_files(config: &Config) -> Result<(), String> {
        let wanted = config.int("maxclients") as u32;
        match limits::reserve_files(wanted) {
            Ok(granted) if granted >= wanted => Ok(()),
            Ok(granted) => Err(format!(
                "The operating system is not able to handle the specified number of clients, try with {granted}"
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    fn apply_oom(&mut self, config: &Config) -> Result<(), String> {
        self.oom
            .apply(oom_mode(config), config.oom_scores(), oom::ProcessClass::Master)
            .map_err(|_| "Failed to set current oom_score_adj. Check server logs.".to_owned())
    }

    /// Binds the new addresses before it lets go of the old ones where it can; open connections stay.
    fn listen_again(&mut self, config: &Config) -> Result<(), String> {
        let addresses = addresses(config);
        if addresses == self.addresses {
            return Ok(());
        }
        let _inside = self.runtime.enter();
        let kept_port = addresses.port == self.addresses.port;
        if kept_port {
            // The same port on overlapping addresses: the old sockets must be closed first.
            self.drop_listeners();
        }
        let bound = listen::bind_tcp(&addresses).map_err(|_| {
            if kept_port {
                "Failed to bind to specified addresses."
            } else {
                "Unable to listen on this port. Check server logs."
            }
            .to_owned()
        })?;
        self.drop_listeners();
        self.listeners = bound.serve(&self.lanes, &self.shared).map_err(|e| os_text(&e))?;
        self.addresses = addresses;
        Ok(())
    }

    fn drop_listeners(&mut self) {
        self.listeners.drain(..).for_each(Listening::stop);
        self.addresses = Addresses::default();
    }
}
