//! How the server ends: SHUTDOWN and the signals that ask for it, and what makes it stay.

use std::path::Path;

use super::server::{Server, eventually};
use super::wire::Wire;

const SAVES: [&str; 2] = ["--save", "900 1"];

/// A server with something to save.
fn server(args: &[&str]) -> (Server, Wire) {
    let server = Server::start(args);
    let mut wire = server.connect();
    wire.ok(&["SET", "k", "v"]);
    (server, wire)
}

fn snapshot(server: &Server) -> std::path::PathBuf {
    server.folder().join("dump.rdb")
}

/// Has every save fail: a folder of that name is in the way of the rename.
fn block_saving(server: &Server) {
    std::fs::create_dir(snapshot(server)).expect("our own folder");
}

#[track_caller]
fn says(server: &Server, words: &str) {
    eventually(words, || server.log().contains(words));
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|facts| facts.is_file())
}

#[test]
fn it_saves_where_save_points_or_the_option_say_so() {
    const NO_POINTS: [&str; 2] = ["--save", ""];
    for (args, command, saves) in [
        (SAVES, "SHUTDOWN", true),
        (SAVES, "SHUTDOWN NOSAVE", false),
        (NO_POINTS, "SHUTDOWN", false),
        (NO_POINTS, "SHUTDOWN SAVE", true),
        (NO_POINTS, "SHUTDOWN NOW FORCE SAVE", true),
    ] {
        let (mut server, mut wire) = server(&args);
        wire.send(format!("{command}\r\n").as_bytes());
        wire.expect_end(b"");
        assert_eq!(server.wait().code(), Some(0));
        assert_eq!(is_file(&snapshot(&server)), saves, "{command}");
        says(&server, "is now ready to exit, bye bye...");
    }
}

#[test]
fn signals_do_what_their_directives_say() {
    for (signal, value, saves) in [
        ("TERM", "default", true),
        ("TERM", "nosave", false),
        ("INT", "nosave now", false),
        ("INT", "save force", true),
    ] {
        let directive = format!("shutdown-on-sig{}", signal.to_lowercase());
        let (mut server, mut wire) = server(&SAVES);
        wire.ok(&["CONFIG", "SET", &directive, value]);
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0));
        assert_eq!(is_file(&snapshot(&server)), saves, "{directive} {value}");
    }
}

#[test]
fn a_server_that_cannot_save_stays_unless_it_is_forced() {
    let (mut server, mut wire) = server(&SAVES);
    block_saving(&server);
    let refusal = wire.error(&["SHUTDOWN"]);
    assert_eq!(refusal, "ERR Errors trying to SHUTDOWN. Check logs.");
    for signal in ["TERM", "INT", "INT"] {
        // A refused request is forgotten: a later SIGINT asks again and does not insist.
        let before = server.log().matches("Errors trying to shut down").count();
        server.signal(signal);
        eventually("the request is refused", || {
            server.log().matches("Errors trying to shut down").count() > before
        });
    }
    wire.ask(b"GET k\r\n", b"$1\r\nv\r\n");
    wire.send(b"SHUTDOWN FORCE\r\n");
    assert_eq!(server.wait().code(), Some(0));
    says(&server, "Error trying to save the DB. Exit anyway.");
}

#[test]
fn a_second_interrupt_ends_it_at_once_and_takes_the_half_written_file_along() {
    let (mut server, mut wire) = server(&SAVES);
    wire.ok(&["CONFIG", "SET", "rdb-key-save-delay", "10000000"]);
    server.signal("INT");
    let temporary = server.folder().join(format!("temp-{}.rdb", server.pid()));
    eventually("it saves", || temporary.exists());
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(1));
    assert!(!temporary.exists() && !is_file(&snapshot(&server)));
}

#[test]
fn a_request_can_be_called_off_before_the_cron_sees_it() {
    let (mut server, mut wire) = server(&["--enable-debug-command", "yes"]);
    assert_eq!(wire.error(&["SHUTDOWN", "ABORT"]), "ERR No shutdown in progress.");
    wire.ok(&["DEBUG", "PAUSE-CRON", "1"]);
    server.signal("TERM");
    says(&server, "Received SIGTERM scheduling shutdown");
    eventually("it is called off", || {
        wire.send(b"SHUTDOWN ABORT\r\n");
        wire.reply() == russet::resp::Value::Simple("OK".into())
    });
    wire.ok(&["DEBUG", "PAUSE-CRON", "0"]);
    says(&server, "Shutdown manually aborted.");
    std::thread::sleep(std::time::Duration::from_millis(300));
    wire.ask(b"GET k\r\n", b"$1\r\nv\r\n");
    assert!(server.is_running());
}
