//! Faults of the disk as operators meet them: folders that cannot be written, that are missing or taken away, and two
//! servers in one. What is refused says why; when the fault goes away the server goes on, and nothing acknowledged is lost.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::server::{Server, eventually, free_port, program};
use super::wire::{Wire, info_number, text};

const ON: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

fn log_folder(server: &Server) -> PathBuf {
    server.folder().join("appendonlydir")
}

fn persistence(wire: &mut Wire) -> String {
    text(wire.run(&["INFO", "persistence"]))
}

/// Runs the program until it ends; what it printed.
fn refused(folder: &Path, args: &[&str]) -> String {
    let port = free_port().to_string();
    let output = Command::new(program())
        .args(["--port", &port, "--save", "", "--dir"])
        .arg(folder)
        .args(args)
        .current_dir(std::env::temp_dir())
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A server on the folder of one that has been killed.
fn start_after_kill(server: &mut Server, args: &[&str]) -> Server {
    server.signal("KILL");
    server.wait();
    let folder = server.folder().to_str().expect("a plain path").to_owned();
    Server::start(&[args, &["--dir", &folder]].concat())
}

#[test]
fn two_servers_do_not_share_a_log() {
    let mut first = Server::start(ON);
    first.connect().ok(&["SET", "k", "first"]);
    let log = refused(first.folder(), ON);
    assert!(log.contains("another server is using it"), "{log}");
    let folder = first.folder().to_str().expect("a plain path").to_owned();
    // One that has no log yet is told when it wants one.
    let second = Server::start(&["--dir", &folder]);
    let mut wire = second.connect();
    wire.ok(&["SET", "k", "second"]);
    let error = wire.error(&["CONFIG", "SET", "appendonly", "yes"]);
    assert!(error.contains("Unable to turn on AOF"), "{error}");
    assert!(
        second.log().contains("another server is using it"),
        "{}",
        second.log()
    );
    assert!(
        wire.error(&["BGREWRITEAOF"])
            .starts_with("ERR Can't execute an AOF")
    );
    first.connect().ok(&["SET", "l", "first"]);
    let next = start_after_kill(&mut first, ON);
    assert_eq!(text(next.connect().run(&["GET", "k"])), "first");
    assert_eq!(text(next.connect().run(&["GET", "l"])), "first");
}

#[test]
fn two_servers_with_names_of_their_own_share_a_folder() {
    let mut first = Server::start(ON);
    first.connect().ok(&["SET", "k", "first"]);
    let folder = first.folder().to_str().expect("a plain path").to_owned();
    let args = [ON, &["--dir", &folder, "--appendfilename", "other.aof"]].concat();
    let mut second = Server::start(&args);
    second.connect().ok(&["SET", "k", "second"]);
    for (server, args, value) in [(&mut first, ON, "first"), (&mut second, &args, "second")] {
        server.signal("KILL");
        server.wait();
        let next = Server::start(&[args, &["--dir", &folder]].concat());
        assert_eq!(text(next.connect().run(&["GET", "k"])), value);
    }
}

#[test]
fn the_next_server_waits_for_one_that_is_about_to_end() {
    let mut first = Server::start(ON);
    first.connect().ok(&["SET", "k", "v"]);
    let (folder, pid) = (
        first.folder().to_str().expect("a plain path").to_owned(),
        first.pid(),
    );
    let end = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        super::server::signal(pid, "TERM");
    });
    let next = Server::start(&[ON, &["--dir", &folder]].concat());
    assert_eq!(text(next.connect().run(&["GET", "k"])), "v");
    end.join().expect("it sends a signal");
    first.wait();
}

#[test]
fn a_log_that_is_removed_is_written_anew() {
    let mut server = Server::start(ON);
    let mut wire = server.connect();
    wire.ok(&["SET", "k", "v"]);
    std::fs::remove_dir_all(log_folder(&server)).expect("our own folder");
    eventually("the log is missed", || server.log().contains("has been removed"));
    eventually("there is a new one", || {
        persistence(&mut wire).contains("aof_last_write_status:ok")
    });
    eventually("writes are taken again", || {
        wire.run(&["SET", "l", "w"]).to_string().contains("OK")
    });
    let next = start_after_kill(&mut server, ON);
    assert_eq!(text(next.connect().run(&["GET", "k"])), "v");
    assert_eq!(text(next.connect().run(&["GET", "l"])), "w");
}

#[test]
fn while_there_can_be_no_new_log_writes_are_refused() {
    // With `always` whoever has written last waits for the new log.
    let mut server = Server::start(&["--appendonly", "yes"]);
    let mut wire = server.connect();
    wire.ok(&["SET", "k", "v"]);
    std::fs::remove_dir_all(log_folder(&server)).expect("our own folder");
    // A file is in the way of the folder.
    std::fs::write(log_folder(&server), "").expect("our own folder");
    eventually("writes are refused", || {
        let reply = wire.run(&["SET", "k", "v"]).to_string();
        reply.contains("MISCONF Errors writing to the AOF file: No such file or directory")
    });
    assert!(persistence(&mut wire).contains("aof_last_write_status:err"));
    assert!(
        wire.error(&["PING"]).starts_with("MISCONF "),
        "a server that is not well does not say it is"
    );
    assert_eq!(text(wire.run(&["GET", "k"])), "v");
    eventually("the log says why", || {
        server.log().contains("creating the folder")
    });
    std::fs::remove_file(log_folder(&server)).expect("our own folder");
    eventually("there is a new log", || {
        persistence(&mut wire).contains("aof_last_write_status:ok")
    });
    wire.ok(&["CONFIG", "SET", "appendfsync", "always"]);
    eventually("writes are taken again", || {
        wire.run(&["SET", "l", "w"]).to_string().contains("OK")
    });
    let next = start_after_kill(&mut server, ON);
    assert_eq!(text(next.connect().run(&["GET", "l"])), "w");
}

#[test]
fn no_start_with_a_log_where_there_can_be_no_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("appendonlydir"), "").expect("our own folder");
    let log = refused(folder.path(), ON);
    assert!(
        log.contains("Can't use the AOF folder appendonlydir: creating the folder"),
        "{log}"
    );
    let log = refused(&folder.path().join("none"), &[]);
    assert!(log.contains("No such file or directory"), "{log}");
}

#[test]
fn a_log_cannot_be_turned_on_where_there_can_be_no_folder() {
    let server = Server::start(&[]);
    std::fs::write(log_folder(&server), "").expect("our own folder");
    let mut wire = server.connect();
    assert!(
        wire.error(&["CONFIG", "SET", "appendonly", "yes"])
            .contains("Unable to turn on AOF")
    );
    wire.ok(&["SET", "k", "v"]);
    std::fs::remove_file(log_folder(&server)).expect("our own folder");
    wire.ok(&["CONFIG", "SET", "appendonly", "yes"]);
    assert_eq!(info_number(&mut wire, "persistence", "aof_enabled"), 1);
}

/// Whether permissions do not hold for whoever runs this.
fn may_do_everything(folder: &Path) -> bool {
    let probe = folder.join("probe");
    std::fs::write(&probe, "").is_ok() && std::fs::remove_file(&probe).is_ok()
}

fn set_writable(folder: &Path, writable: bool) {
    let mode = if writable { 0o755 } else { 0o555 };
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).expect("our own folder");
}

#[test]
fn a_folder_that_cannot_be_written_costs_no_data() {
    let mut server = Server::start(&[ON, &["--save", "900 1"]].concat());
    let mut wire = server.connect();
    wire.ok(&["SET", "k", "v"]);
    set_writable(server.folder(), false);
    set_writable(&log_folder(&server), false);
    if may_do_everything(server.folder()) {
        set_writable(server.folder(), true);
        set_writable(&log_folder(&server), true);
        // Without permissions to test: folders in the way do as well.
        std::fs::create_dir(server.folder().join("dump.rdb")).expect("our own folder");
    }
    assert!(wire.run(&["SAVE"]).to_string().contains("ERR"));
    wire.run(&["BGSAVE"]);
    eventually("the save fails", || {
        persistence(&mut wire).contains("rdb_last_bgsave_status:err")
    });
    assert!(
        wire.error(&["SET", "k", "w"])
            .starts_with("MISCONF Redis is configured to save RDB snapshots")
    );
    assert!(wire.error(&["PING"]).starts_with("MISCONF "));
    wire.ok(&["MULTI"]);
    assert!(wire.error(&["SET", "k", "w"]).starts_with("MISCONF "));
    assert!(wire.error(&["EXEC"]).starts_with("EXECABORT "));
    set_writable(server.folder(), true);
    set_writable(&log_folder(&server), true);
    let _ = std::fs::remove_dir(server.folder().join("dump.rdb"));
    wire.ok(&["SAVE"]);
    wire.ok(&["SET", "k", "w"]);
    let next = start_after_kill(&mut server, ON);
    assert_eq!(text(next.connect().run(&["GET", "k"])), "w");
}

#[test]
fn a_server_whose_log_is_gone_does_not_end_before_there_is_a_new_one() {
    let mut server = Server::start(&["--appendonly", "yes"]);
    let mut wire = server.connect();
    wire.ok(&["SET", "k", "v"]);
    std::fs::remove_dir_all(log_folder(&server)).expect("our own folder");
    assert_eq!(
        wire.error(&["SHUTDOWN"]),
        "ERR Errors trying to SHUTDOWN. Check logs."
    );
    assert!(
        server
            .log()
            .contains("The AOF does not hold all that was acknowledged, can't exit."),
        "{}",
        server.log()
    );
    eventually("there is a new one", || {
        persistence(&mut wire).contains("aof_last_write_status:ok")
    });
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let folder = server.folder().to_str().expect("a plain path").to_owned();
    let next = Server::start(&[ON, &["--dir", &folder]].concat());
    assert_eq!(text(next.connect().run(&["GET", "k"])), "v");
}

/// The name of the file that a child is writing, and its process number.
fn temporary(folder: &Path) -> Option<(String, u32)> {
    let entries = std::fs::read_dir(folder).expect("our own folder");
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().into_string().expect("text"));
    names.filter(|name| name.starts_with("temp-")).find_map(|name| {
        let number = name
            .trim_end_matches(".rdb")
            .trim_end_matches(".aof")
            .rsplit('-')
            .next();
        number
            .and_then(|number| number.parse().ok())
            .map(|pid| (name.clone(), pid))
    })
}

#[test]
fn what_a_child_was_writing_goes_with_it() {
    for (order, ends) in [
        ("BGSAVE", &["KILL", "FLUSHALL", "SHUTDOWN NOSAVE"][..]),
        (
            "BGREWRITEAOF",
            &["KILL", "CONFIG SET appendonly no", "SHUTDOWN NOSAVE"],
        ),
    ] {
        for end in ends {
            let server = Server::start(&["--appendonly", "yes", "--rdb-key-save-delay", "20000"]);
            let mut wire = server.connect();
            for number in 0..200 {
                wire.ok(&["SET", &number.to_string(), "v"]);
            }
            wire.run(&[order]);
            let mut child = None;
            eventually("the child writes", || {
                child = temporary(server.folder());
                child.is_some()
            });
            match child {
                Some((_, pid)) if *end == "KILL" => super::server::signal(pid, "KILL"),
                _ => wire.send(format!("{end}\r\n").as_bytes()),
            }
            eventually("its file is gone", || temporary(server.folder()).is_none());
        }
    }
}

/// A folder of its own in that of a server.
fn other_folder(server: &Server) -> (PathBuf, String) {
    let path = server.folder().join("other");
    std::fs::create_dir(&path).expect("our own folder");
    let name = path.to_str().expect("a plain path").to_owned();
    (path, name)
}

const MOVABLE: &[&str] = &[
    "--enable-protected-configs",
    "yes",
    "--rdb-key-save-delay",
    "5000",
];

#[test]
fn a_log_does_not_move_to_another_folder_while_it_is_on() {
    const STAYS: &str = "ERR CONFIG SET failed (possibly related to argument 'dir') - the append-only file is in the \
                         present folder.";
    let server = Server::start(&[MOVABLE, &["--appendonly", "yes"]].concat());
    let mut wire = server.connect();
    let (path, name) = other_folder(&server);
    wire.ok(&["SET", "k", "v"]);
    let error = wire.error(&["CONFIG", "SET", "dir", &name]);
    assert!(error.starts_with(STAYS), "{error}");
    wire.ok(&["SET", "l", "v"]);
    assert_eq!(
        persistence(&mut wire).matches("aof_last_write_status:ok").count(),
        1
    );
    // Nor while the first base is written, or a base of a log that is off.
    wire.ok(&["CONFIG", "SET", "appendonly", "no"]);
    for number in 0..100 {
        wire.ok(&["SET", &number.to_string(), "v"]);
    }
    wire.run(&["BGREWRITEAOF"]);
    assert!(wire.error(&["CONFIG", "SET", "dir", &name]).starts_with(STAYS));
    eventually("the rewrite is done", || {
        info_number(&mut wire, "persistence", "aof_rewrite_in_progress") == 0
    });
    // Off, it does, and is whole where it is turned on again, in one step as well.
    wire.ok(&["CONFIG", "SET", "appendonly", "yes", "dir", &name]);
    wire.ok(&["SET", "m", "v"]);
    assert!(wire.error(&["CONFIG", "SET", "dir", "/"]).starts_with(STAYS));
    eventually("the first base is written", || {
        path.join("appendonlydir/appendonly.aof.manifest").exists()
    });
    let next = {
        let mut server = server;
        server.signal("TERM");
        assert_eq!(server.wait().code(), Some(0));
        Server::start_with(&[ON, &["--dir", &name]].concat(), |_| {})
            .connect()
            .run(&["DBSIZE"])
    };
    assert_eq!(next.to_string(), ":103");
}

#[test]
fn a_snapshot_under_way_is_written_to_the_folder_that_is_set_meanwhile() {
    let server = Server::start(MOVABLE);
    let mut wire = server.connect();
    let (path, name) = other_folder(&server);
    for number in 0..100 {
        wire.ok(&["SET", &number.to_string(), "v"]);
    }
    wire.run(&["BGSAVE"]);
    wire.ok(&["CONFIG", "SET", "dir", &name]);
    eventually("it is there", || path.join("dump.rdb").exists());
    assert!(temporary(server.folder()).is_none() && !server.folder().join("dump.rdb").exists());
}

#[test]
fn a_child_does_not_outlive_its_server() {
    let mut server = Server::start(&[]);
    let mut wire = server.connect();
    for number in 0..100 {
        wire.ok(&["SET", &number.to_string(), "old"]);
    }
    wire.ok(&["SAVE"]);
    wire.ok(&["CONFIG", "SET", "rdb-key-save-delay", "20000"]);
    wire.ok(&["SET", "1", "older"]);
    wire.run(&["BGSAVE"]);
    eventually("the child writes", || temporary(server.folder()).is_some());
    let next = start_after_kill(&mut server, &[]);
    next.connect().ok(&["SET", "1", "new"]);
    next.connect().ok(&["SAVE"]);
    let saved = std::fs::read(server.folder().join("dump.rdb")).expect("just saved");
    std::thread::sleep(Duration::from_millis(2_500));
    let found = std::fs::read(server.folder().join("dump.rdb")).expect("still there");
    assert!(
        saved == found,
        "the child of a server that is gone has replaced what the next one has saved"
    );
}
