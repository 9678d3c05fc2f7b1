//! The program as a process: its start, its words on the way, its end.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::server::{READY, Server, eventually, free_port, process, program, read_text, signal, wait};
use super::wire::Wire;

const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// How a program that does not stay ended.
pub struct Ended {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Both.
    pub printed: String,
}

/// Runs the program until it ends by itself.
#[track_caller]
pub fn run_to_end(args: &[&str]) -> Ended {
    run_with_input(args, b"")
}

#[track_caller]
fn run_with_input(args: &[&str], input: &[u8]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| std::fs::File::create(folder.path().join(name)).expect("the folder is writable");
    let mut child = Command::new(program())
        .args(args)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(file("out"))
        .stderr(file("err"))
        .spawn()
        .expect("the program starts");
    // It may end without having read its input.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let status = wait(&mut child);
    let (out, err) = (
        read_text(&folder.path().join("out")),
        read_text(&folder.path().join("err")),
    );
    Ended {
        code: status.code(),
        printed: format!("{out}{err}"),
        out,
        err,
    }
}

/// Measures until it took less than a second once: the machine may be busy with other tests.
#[track_caller]
fn can_be_within_a_second(mut measure: impl FnMut() -> Duration) {
    const TRIES: usize = 10;
    let tries: Vec<Duration> = (0..TRIES)
        .map(|_| measure())
        .take_while(|took| took.as_secs() > 0)
        .collect();
    assert!(tries.len() < TRIES, "{tries:?}");
}

#[test]
fn it_is_ready_within_a_second() {
    can_be_within_a_second(|| {
        let started = Instant::now();
        let server = Server::start(&[]);
        server.connect().ask(PING, PONG);
        started.elapsed()
    });
}

#[test]
fn it_says_when_connections_are_accepted() {
    let server = Server::start(&[]);
    let log = server.log();
    for words in ["Server initialized", READY, &format!("port={}", server.port())] {
        assert!(log.contains(words), "no {words:?} in {log}");
    }
}

#[test]
fn a_taken_port_ends_it_with_1() {
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("some port is free");
    let port = taken.local_addr().expect("it is bound").port();
    let ended = run_to_end(&["--port", &port.to_string()]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .printed
            .contains(&format!("Failed listening on port {port}")),
        "{}",
        ended.printed
    );
    assert!(
        ended.printed.contains("Address already in use"),
        "{}",
        ended.printed
    );
}

#[test]
fn without_any_address_it_ends_with_1() {
    let ended = run_to_end(&["--port", "0"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .printed
            .contains("Configured to not listen anywhere, exiting."),
        "{}",
        ended.printed
    );
    let ended = run_to_end(&["--port", "0", "--unixsocket", "./no/such/folder/socket"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.printed.contains("Failed"), "{}", ended.printed);
}

#[test]
fn signals_end_it_with_0_within_a_second() {
    for (name, args) in [("TERM", ["--io-threads", "1"]), ("INT", ["--io-threads", "4"])] {
        can_be_within_a_second(|| {
            let mut server = Server::start(&args);
            let mut wire = server.connect();
            wire.ask(PING, PONG);
            let asked = Instant::now();
            server.signal(name);
            let status = server.wait();
            assert_eq!(status.code(), Some(0), "{name}: {status}");
            wire.expect_end(b"");
            let log = server.log();
            assert!(log.contains("ready to exit, bye bye"), "{log}");
            asked.elapsed()
        });
    }
}

#[test]
fn shutdown_ends_it_with_0() {
    let mut server = Server::start(&[]);
    let mut wire = server.connect();
    wire.send(b"SHUTDOWN NOSAVE\r\n");
    wire.expect_end(b"");
    assert_eq!(server.wait().code(), Some(0));
}

/// Ends a process that is no child of ours.
struct KilledLater(u32);

impl Drop for KilledLater {
    fn drop(&mut self) {
        // Most have ended by themselves.
        let _ = kill_process(process(self.0), Signal::KILL);
    }
}

fn is_alive(pid: u32) -> bool {
    let stat = read_text(Path::new(&format!("/proc/{pid}/stat")));
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn in_the_background_it_leaves_a_pid_file_and_takes_it_along() {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let place = |name: &str| folder.path().join(name);
    let text = format!(
        "port {port}\nsave \"\"\ndir {dir}\ndaemonize yes\npidfile {dir}/russet.pid\nlogfile {dir}/russet.log\n",
        dir = folder.path().display()
    );
    std::fs::write(place("redis.conf"), text).expect("the folder is writable");
    let ended = run_to_end(&[place("redis.conf").to_str().expect("text")]);
    assert_eq!(ended.code, Some(0), "{}", ended.printed);
    eventually("the pid file is written", || {
        read_text(&place("russet.pid")).ends_with('\n')
    });
    let pid: u32 = read_text(&place("russet.pid")).trim().parse().expect("a number");
    let _guard = KilledLater(pid);
    eventually("it is ready", || read_text(&place("russet.log")).contains(READY));
    let mut wire = Wire::tcp((Ipv4Addr::LOCALHOST, port).into());
    wire.ask(PING, PONG);
    signal(pid, "TERM");
    wire.expect_end(b"");
    eventually("it is gone", || !is_alive(pid));
    assert!(!place("russet.pid").exists());
    assert!(read_text(&place("russet.log")).contains("Removing the pid file."));
}

#[test]
fn in_the_foreground_a_pid_file_is_written_when_asked_for() {
    let mut server = Server::start(&["--pidfile", "./here.pid"]);
    let path = server.folder().join("here.pid");
    assert_eq!(read_text(&path).trim(), server.pid().to_string());
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(!path.exists());
}

#[test]
fn the_log_goes_to_its_file_and_nowhere_else() {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port().to_string());
    let log = folder.path().join("log");
    let mut child = Command::new(program())
        .args(["--port", &port, "--save", "", "--logfile"])
        .arg(&log)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let _guard = KilledLater(child.id());
    eventually("it is ready", || read_text(&log).contains(READY));
    signal(child.id(), "TERM");
    assert!(wait(&mut child).success());
    let output = child.wait_with_output().expect("it has ended");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let first = read_text(&log)
        .lines()
        .next()
        .map(str::to_owned)
        .expect("it logs");
    // pid:role day month year time level words
    assert_eq!(first.split(' ').count().min(7), 7, "{first}");
    assert!(
        first.starts_with(&format!("{}:C ", child_pid_of(&first))),
        "{first}"
    );
}

fn child_pid_of(line: &str) -> u32 {
    line.split(':')
        .next()
        .and_then(|pid| pid.parse().ok())
        .expect("a log line starts with its pid")
}

#[test]
fn a_line_that_makes_no_sense_is_shown_with_file_and_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, inner) = (folder.path().join("redis.conf"), folder.path().join("inner.conf"));
    let cases = [
        ("port 0\n\nbogus-directive yes\n", 3, "bogus-directive yes"),
        (
            "port 0\nmaxmemory-policy sometimes\n",
            2,
            "maxmemory-policy sometimes",
        ),
        ("port many\n", 1, "port many"),
        ("port 0\nbind \"127.0.0.1\n", 2, "bind \"127.0.0.1"),
    ];
    for (text, number, line) in cases {
        std::fs::write(&file, text).expect("the folder is writable");
        let ended = run_to_end(&[file.to_str().expect("text")]);
        assert_eq!(ended.code, Some(1), "{text:?}");
        for words in [
            "FATAL CONFIG FILE ERROR",
            &format!("at line {number}\n>>> '{line}'\n"),
        ] {
            assert!(ended.err.contains(words), "no {words:?} in {}", ended.err);
        }
        assert_eq!(ended.out, "");
    }
    std::fs::write(&file, format!("port 0\ninclude {}\n", inner.display())).expect("the folder is writable");
    std::fs::write(&inner, "# fine\nappendonly perhaps\n").expect("the folder is writable");
    let ended = run_to_end(&[file.to_str().expect("text")]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains(">>> 'appendonly perhaps'"), "{}", ended.err);
    if !super::server::is_reference() {
        assert!(ended.err.contains("inner.conf', at line 2"), "{}", ended.err);
    }
}

#[test]
fn what_cannot_be_carried_out_is_an_error_of_its_line() {
    let cases = [
        ("rename-command NOSUCH x", "No such command in rename-command"),
        ("rename-command GET SET", "Target command name already exists"),
        (
            "logfile /no/such/folder/x",
            "Can't open the log file: No such file or directory",
        ),
    ];
    for (line, reason) in cases {
        let ended = run_with_input(&["-"], format!("port 0\n{line}\n").as_bytes());
        assert_eq!(ended.code, Some(1), "{line}");
        assert!(ended.err.contains(reason), "no {reason:?} in {}", ended.err);
        if !super::server::is_reference() {
            let place = format!("at line 2\n>>> '{line}'\n");
            assert!(ended.err.contains(&place), "no {place:?} in {}", ended.err);
        }
    }
}

#[test]
fn features_still_to_come_stop_the_start() {
    if super::server::is_reference() {
        return;
    }
    let lines = [
        "replicaof 127.0.0.1 1",
        "cluster-enabled yes",
        "tls-port 7000",
        "aclfile x",
        "user alice on nopass ~* +@all",
    ];
    for line in lines {
        let ended = run_with_input(&["-"], format!("port 0\n{line}\n").as_bytes());
        let name = line.split(' ').next().expect("a name");
        let reason = format!(">>> '{line}'\n'{name}' is not supported by this version of Russet yet");
        assert_eq!(ended.code, Some(1), "{line}");
        assert!(ended.err.contains(&reason), "no {reason:?} in {}", ended.err);
    }
}

#[test]
fn a_missing_file_is_named() {
    let ended = run_to_end(&["./none.conf"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.printed.contains("can't open config file"),
        "{}",
        ended.printed
    );
    assert!(
        ended.printed.contains("none.conf': No such file or directory"),
        "{}",
        ended.printed
    );
}

#[track_caller]
fn directive(wire: &mut Wire, name: &str) -> String {
    match wire.run(&["CONFIG", "GET", name]) {
        russet::resp::Value::Array(mut pair) if pair.len() == 2 => super::wire::text(pair.remove(1)),
        other => panic!("CONFIG GET {name}: {other}"),
    }
}

#[test]
fn included_files_are_read_in_place_and_the_command_line_wins() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("the folder is writable");
        path.to_str().expect("text").to_owned()
    };
    let inner = write("inner.conf", "timeout 7\nhz 50\ntcp-keepalive 11\n");
    let outer = write(
        "outer.conf",
        &format!("timeout 5\nhz 20\ninclude {inner}\nhz 30\n"),
    );
    let server = Server::start(&["--include", &outer, "--tcp-keepalive", "12"]);
    let mut wire = server.connect();
    assert_eq!(directive(&mut wire, "timeout"), "7");
    assert_eq!(directive(&mut wire, "hz"), "30");
    assert_eq!(directive(&mut wire, "tcp-keepalive"), "12");
}

#[test]
fn a_configuration_may_come_through_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stdin.conf");
    std::fs::write(&path, "timeout 9\nhz 40\n").expect("the folder is writable");
    let (port, log) = (free_port(), folder.path().join("log"));
    let mut child = Command::new(program())
        .args([
            "-",
            "--port",
            &port.to_string(),
            "--hz",
            "60",
            "--save",
            "",
            "--logfile",
        ])
        .arg(&log)
        .current_dir(folder.path())
        .stdin(std::fs::File::open(&path).expect("just written"))
        .spawn()
        .expect("the program starts");
    let _guard = KilledLater(child.id());
    eventually("it is ready", || read_text(&log).contains(READY));
    let mut wire = Wire::tcp((Ipv4Addr::LOCALHOST, port).into());
    assert_eq!(directive(&mut wire, "timeout"), "9");
    assert_eq!(directive(&mut wire, "hz"), "60");
    signal(child.id(), "TERM");
    assert!(wait(&mut child).success());
}

#[test]
fn a_bad_line_from_standard_input_ends_it_with_1() {
    let ended = run_with_input(&["-", "--port", "0"], b"hz 10\nnonsense\n");
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains(">>> 'nonsense'"), "{}", ended.err);
}

#[test]
fn it_tells_its_version_and_its_usage() {
    for flag in ["--version", "-v"] {
        let ended = run_to_end(&[flag]);
        assert_eq!(ended.code, Some(0), "{flag}");
        assert!(ended.out.starts_with("Redis server v="), "{}", ended.out);
        assert_eq!(ended.out.lines().count(), 1);
    }
    for flag in ["--help", "-h"] {
        let ended = run_to_end(&[flag]);
        assert_eq!(ended.code, Some(1), "{flag}");
        assert!(ended.err.starts_with("Usage: "), "{}", ended.err);
    }
}

#[test]
fn a_crash_leaves_a_report() {
    for how in ["PANIC", "SEGFAULT"] {
        let mut server = Server::start(&["--enable-debug-command", "yes"]);
        let mut wire = server.connect();
        wire.ok(&["CLIENT", "SETNAME", "victim"]);
        wire.send(format!("DEBUG {how}\r\n").as_bytes());
        wire.expect_end(b"");
        let status = server.wait();
        assert!(
            status.signal().is_some() || status.code() == Some(1),
            "{how}: {status}"
        );
        let log = server.log();
        for words in [
            "=== REDIS BUG REPORT START",
            "STACK TRACE",
            "------ CURRENT CLIENT INFO ------\nid=",
            "argc: '2'\nargv[0]: 'DEBUG'\nargv[1]: ",
            "------ INFO OUTPUT ------\n# Server",
            "------ CLIENT LIST OUTPUT ------\nid=",
            " name=victim ",
            "=== REDIS BUG REPORT END",
        ] {
            assert!(log.contains(words), "{how}: no {words:?} in {log}");
        }
    }
}

#[test]
fn systemd_is_told_when_it_is_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket can be made");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a socket");
    let mut server = Server::start_with(&["--supervised", "systemd", "--daemonize", "yes"], |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    let mut messages = String::new();
    while !messages.contains("READY=1") {
        messages += &receive(&socket);
    }
    assert!(server.is_running(), "a supervised server stays in the foreground");
    server.connect().ask(PING, PONG);
    assert!(
        messages.contains("STATUS=Ready to accept connections"),
        "{messages}"
    );
    server.signal("TERM");
    assert!(server.wait().success());
    if !super::server::is_reference() {
        assert!(receive(&socket).contains("STOPPING=1"));
    }
}

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let count = socket
        .recv(&mut buffer)
        .expect("the server speaks to its supervisor");
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[test]
fn the_watchdog_shows_where_the_server_is_stuck_and_can_be_called_off() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut wire = server.connect();
    wire.ok(&["CONFIG", "SET", "watchdog-period", "200"]);
    wire.ok(&["DEBUG", "SLEEP", "1"]);
    assert!(
        server.log().contains("--- WATCHDOG TIMER EXPIRED ---"),
        "{}",
        server.log()
    );
    wire.ok(&["CONFIG", "SET", "watchdog-period", "0"]);
    let alarms = server.log().matches("WATCHDOG").count();
    wire.ok(&["DEBUG", "SLEEP", "0.5"]);
    assert_eq!(server.log().matches("WATCHDOG").count(), alarms);
}
