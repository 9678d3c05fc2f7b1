//! Where the server listens, whom it lets in, and when it hangs up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::server::{Server, eventually, free_port, read_text};
use super::wire::{Wire, command, info_number};
use russet::resp::Value;

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// An address of the documentation range that no interface has.
const ABSENT: &str = "198.51.100.77";

fn has_ipv6() -> bool {
    let there = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !there {
        eprintln!("SKIPPED: this machine has no IPv6");
    }
    there
}

/// An address of this machine that is not loopback. Connecting a datagram socket sends nothing.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((ABSENT, 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    if address.is_loopback() {
        return None;
    }
    Some(address)
}

#[test]
fn it_listens_on_several_addresses_of_both_families() {
    if !has_ipv6() {
        return;
    }
    let server = Server::start(&["--bind", "127.0.0.1 ::1 127.0.0.2"]);
    let hosts: [IpAddr; 3] = [
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::LOCALHOST.into(),
        Ipv4Addr::new(127, 0, 0, 2).into(),
    ];
    for host in hosts {
        Wire::tcp((host, server.port()).into()).ask(PING, PONG);
    }
    assert!(TcpStream::connect((Ipv4Addr::new(127, 0, 0, 3), server.port())).is_err());
    let mut six = Wire::tcp((Ipv6Addr::LOCALHOST, server.port()).into());
    let info = super::wire::text(six.run(&["CLIENT", "INFO"]));
    assert!(info.contains("addr=[::1]:"), "{info}");
}

#[test]
fn without_bind_it_listens_everywhere() {
    let server = Server::start(&[]);
    Wire::tcp(([127, 0, 0, 9], server.port()).into()).ask(PING, PONG);
    if has_ipv6() {
        Wire::tcp((Ipv6Addr::LOCALHOST, server.port()).into()).ask(PING, PONG);
    }
}

#[test]
fn an_optional_address_may_be_missing_and_another_may_not() {
    let optional = format!("127.0.0.1 -{ABSENT}");
    let server = Server::start(&["--bind", &optional]);
    server.connect().ask(PING, PONG);
    let refused = super::process::run_to_end(&["--bind", &format!("127.0.0.1 {ABSENT}")]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.printed.contains("Failed listening on port"),
        "{}",
        refused.printed
    );
}

#[test]
fn the_unix_socket_has_its_permissions_and_goes_with_the_server() {
    let mut server = Server::start(&["--unixsocket", "./russet.sock", "--unixsocketperm", "700"]);
    let path = server.folder().join("russet.sock");
    let mode = std::fs::metadata(&path)
        .expect("the socket is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    let mut wire = Wire::unix(&path);
    wire.ask(PING, PONG);
    let info = super::wire::text(wire.run(&["CLIENT", "INFO"]));
    assert!(info.contains("russet.sock:0"), "{info}");
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(!path.exists());
}

#[test]
fn a_server_that_cannot_start_leaves_socket_and_pidfile_of_another() {
    let server = Server::start(&["--unixsocket", "./russet.sock", "--pidfile", "./russet.pid"]);
    let (path, pidfile) = (
        server.folder().join("russet.sock"),
        server.folder().join("russet.pid"),
    );
    let port = server.port().to_string();
    let second = ["--port", &port, "--unixsocket", path.to_str().expect("text")];
    let second = [&second[..], &["--pidfile", pidfile.to_str().expect("text")]].concat();
    assert_eq!(super::process::run_to_end(&second).code, Some(1));
    Wire::unix(&path).ask(PING, PONG);
    if !super::server::is_reference() {
        let pid = super::server::read_text(&pidfile);
        assert_eq!(pid.trim(), server.pid().to_string());
    }
}

#[test]
fn port_zero_leaves_the_unix_socket_alone() {
    let server = Server::start(&["--port", "0", "--unixsocket", "./only.sock"]);
    Wire::unix(&server.folder().join("only.sock")).ask(PING, PONG);
    assert!(TcpStream::connect(server.address()).is_err());
}

#[test]
fn a_client_too_many_is_told_so() {
    let server = Server::start(&["--maxclients", "2"]);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.ask(PING, PONG);
    second.ask(PING, PONG);
    server
        .connect()
        .expect_end(b"-ERR max number of clients reached\r\n");
    assert_eq!(info_number(&mut first, "stats", "rejected_connections"), 1);
    drop(second);
    eventually("there is room again", || {
        info_number(&mut first, "clients", "connected_clients") == 1
    });
    server.connect().ask(PING, PONG);
    first.ok(&["CONFIG", "SET", "maxclients", "3"]);
    let mut others = [server.connect(), server.connect()];
    others.iter_mut().for_each(|wire| wire.ask(PING, PONG));
    server
        .connect()
        .expect_end(b"-ERR max number of clients reached\r\n");
}

#[test]
fn an_idle_client_is_hung_up_on_after_its_time() {
    let server = Server::start(&["--timeout", "1"]);
    let mut busy = server.connect();
    let mut idle = server.connect();
    idle.ask(PING, PONG);
    let started = Instant::now();
    let watcher = std::thread::spawn(move || {
        idle.expect_end(b"");
        started.elapsed()
    });
    while !watcher.is_finished() {
        busy.ask(PING, PONG);
        std::thread::sleep(Duration::from_millis(20));
    }
    let waited = watcher.join().expect("it was closed in silence");
    assert!(waited > Duration::from_millis(900), "{waited:?}");
    busy.ask(PING, PONG);
}

#[test]
fn the_idle_time_may_be_set_for_clients_already_there() {
    let server = Server::start(&[]);
    let (mut idle, mut busy) = (server.connect(), server.connect());
    idle.ask(PING, PONG);
    busy.ok(&["CONFIG", "SET", "timeout", "1"]);
    idle.expect_end(b"");
}

#[test]
fn protected_mode_refuses_other_addresses_until_there_is_a_password() {
    let Some(outer) = outer_address() else {
        return eprintln!("SKIPPED: this machine has only loopback addresses");
    };
    let server = Server::start(&[]);
    let address = SocketAddr::new(outer, server.port());
    let refusal = String::from_utf8(Wire::tcp(address).rest()).expect("text");
    assert!(refusal.starts_with("-DENIED "), "{refusal}");
    assert!(
        refusal.ends_with("\r\n") && refusal.matches('\n').count() == 1,
        "{refusal:?}"
    );
    let mut local = server.connect();
    local.ask(PING, PONG);
    local.ok(&["CONFIG", "SET", "protected-mode", "no"]);
    Wire::tcp(address).ask(PING, PONG);
    local.ok(&["CONFIG", "SET", "protected-mode", "yes", "requirepass", "secret"]);
    Wire::tcp(address).ask(PING, b"-NOAUTH Authentication required.\r\n");
}

#[test]
fn the_port_may_change_and_open_connections_stay() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    let mut new = free_port();
    while wire.run(&["CONFIG", "SET", "port", &new.to_string()]) != Value::Simple(b"OK".to_vec()) {
        new = free_port();
    }
    Wire::tcp((Ipv4Addr::LOCALHOST, new).into()).ask(PING, PONG);
    wire.ask(PING, PONG);
    eventually("the old port is free", || {
        TcpStream::connect(server.address()).is_err()
    });
    wire.ok(&["CONFIG", "SET", "port", &server.port().to_string()]);
    server.connect().ask(PING, PONG);
}

#[test]
fn port_zero_closes_the_door_until_another_is_named() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.ok(&["CONFIG", "SET", "port", "0"]);
    assert!(TcpStream::connect(server.address()).is_err());
    wire.ok(&["CONFIG", "SET", "port", &server.port().to_string()]);
    server.connect().ask(PING, PONG);
}

#[test]
fn a_taken_port_is_refused_and_the_old_one_stays() {
    let server = Server::start(&["--bind", "127.0.0.1"]);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
    let port = taken.local_addr().expect("it is bound").port();
    let mut wire = server.connect();
    let error = wire.error(&["CONFIG", "SET", "port", &port.to_string()]);
    assert!(
        error.starts_with(
            "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port"
        ),
        "{error}"
    );
    wire.ask(
        b"CONFIG GET port\r\n",
        format!("*2\r\n$4\r\nport\r\n$5\r\n{}\r\n", server.port()).as_bytes(),
    );
    server.connect().ask(PING, PONG);
}

#[test]
fn the_addresses_may_change_and_open_connections_stay() {
    let server = Server::start(&["--bind", "127.0.0.1"]);
    let other: SocketAddr = ([127, 0, 0, 2], server.port()).into();
    assert!(TcpStream::connect(other).is_err());
    let mut wire = server.connect();
    wire.ok(&["CONFIG", "SET", "bind", "127.0.0.2"]);
    Wire::tcp(other).ask(PING, PONG);
    wire.ask(PING, PONG);
    assert!(TcpStream::connect(server.address()).is_err());
    let error = wire.error(&["CONFIG", "SET", "bind", ABSENT]);
    assert!(error.contains("Failed to bind to specified addresses"), "{error}");
    Wire::tcp(other).ask(PING, PONG);
    wire.ok(&["CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2"]);
    Wire::tcp(other).ask(PING, PONG);
    server.connect().ask(PING, PONG);
}

/// Whether the kernel runs a keep-alive timer for the server's end: `tr` of /proc/net/tcp is 2.
fn kernel_keeps_alive(server: u16, client: u16) -> bool {
    let table = read_text(std::path::Path::new("/proc/net/tcp"));
    let (own, peer) = (format!(":{server:04X}"), format!(":{client:04X}"));
    let line = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|fields| fields.len() > 5 && fields[1].ends_with(&own) && fields[2].ends_with(&peer));
    line.expect("the connection is in the table")[5].starts_with("02:")
}

#[test]
fn keep_alive_follows_its_directive() {
    for (seconds, expected) in [("60", true), ("0", false)] {
        let server = Server::start(&["--tcp-keepalive", seconds]);
        let stream = TcpStream::connect(server.address()).expect("it listens");
        let client = stream.local_addr().expect("it is connected").port();
        Wire::over(stream.try_clone().expect("a socket")).ask(PING, PONG);
        // The retransmission timer of the reply may be shown for a moment.
        if expected {
            eventually("the keep-alive timer runs", || {
                kernel_keeps_alive(server.port(), client)
            });
        } else {
            assert!(!kernel_keeps_alive(server.port(), client));
        }
    }
}

/// Eight clients with keys of their own, in pipelines and one by one, beside a counter that all share.
fn check_mixed_workload(args: &[&str]) {
    const CLIENTS: usize = 8;
    const ROUNDS: usize = 60;
    let server = Server::start(args);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let mut wire = server.connect();
            std::thread::spawn(move || (0..ROUNDS).for_each(|round| play_round(&mut wire, client, round)))
        })
        .collect();
    clients
        .into_iter()
        .for_each(|client| client.join().expect("every answer was right"));
    let mut wire = server.connect();
    let total = (CLIENTS * ROUNDS * 10).to_string();
    assert_eq!(wire.run(&["GET", "shared"]), Value::Bulk(total.into_bytes()));
    assert_eq!(wire.run(&["DBSIZE"]), Value::Int((CLIENTS * 20 + 1) as i64));
    eventually("the clients are gone", || {
        info_number(&mut wire, "clients", "connected_clients") == 1
    });
}

fn play_round(wire: &mut Wire, client: usize, round: usize) {
    let (mut requests, mut replies) = (Vec::new(), Vec::new());
    for index in 0..20 {
        let (key, value) = (
            format!("k:{client}:{index}"),
            format!("v:{client}:{round:05}").repeat(1 + index),
        );
        requests.extend(command(&[b"SET", key.as_bytes(), value.as_bytes()]));
        requests.extend(command(&[b"GET", key.as_bytes()]));
        replies.extend(format!("+OK\r\n${}\r\n{value}\r\n", value.len()).into_bytes());
    }
    wire.ask(&requests, &replies);
    for _ in 0..10 {
        assert!(matches!(wire.run(&["INCR", "shared"]), Value::Int(_)));
    }
    let large = vec![b'a' + (client as u8); 100_000];
    let key = format!("k:{client}:0");
    wire.ask(&command(&[b"SET", key.as_bytes(), &large]), b"+OK\r\n");
    wire.send(&command(&[b"GET", key.as_bytes()]));
    assert!(wire.bulk(large.len()) == large);
}

#[test]
fn one_thread_serves_a_mixed_workload() {
    check_mixed_workload(&["--io-threads", "1"]);
}

#[test]
fn four_threads_serve_the_same_workload() {
    check_mixed_workload(&["--io-threads", "4"]);
}

#[test]
fn rebinding_and_leaving_work_with_io_threads_too() {
    let mut server = Server::start(&["--io-threads", "4", "--bind", "127.0.0.1"]);
    let mut wires: Vec<Wire> = (0..9).map(|_| server.connect()).collect();
    wires[0].ok(&["CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2"]);
    wires.iter_mut().for_each(|wire| wire.ask(PING, PONG));
    Wire::tcp(([127, 0, 0, 2], server.port()).into()).ask(PING, PONG);
    let killed = wires[0].run(&["CLIENT", "KILL", "SKIPME", "yes", "TYPE", "normal"]);
    // The one that only said PING may not be gone yet.
    assert!(matches!(killed, Value::Int(8 | 9)), "{killed}");
    wires[1..].iter_mut().for_each(|wire| wire.expect_end(b""));
    wires[0].ask(PING, PONG);
    server.signal("TERM");
    assert!(server.wait().success());
}

#[test]
fn pushes_reach_a_client_amid_its_own_command() {
    let server = Server::start(&[]);
    let (mut monitor, mut other) = (server.connect(), server.connect());
    monitor.ask(b"MONITOR\r\n", b"+OK\r\n");
    for start in [b"*2\r\n$4\r\nEC".as_slice(), b"HO\r\n$5\r\nhel"] {
        monitor.send(start);
        other.ask(PING, PONG);
        assert!(super::wire::text(monitor.reply()).ends_with("\"PING\""));
    }
    monitor.send(b"lo\r\n");
    let mut last = [monitor.reply(), monitor.reply()].map(super::wire::text);
    last.sort_by_key(String::len);
    assert_eq!(last[0], "hello");
    assert!(last[1].ends_with("\"ECHO\" \"hello\""), "{}", last[1]);
}

/// Input that fills a read to its last byte looks as if there were more.
#[test]
fn pushes_reach_a_client_whose_input_filled_a_read() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    for bytes in [16 * 1024, 32 * 1024, 64 * 1024] {
        let mut monitor = server.connect();
        monitor.ask(b"MONITOR\r\n", b"+OK\r\n");
        let count = bytes / PING.len();
        let mut input = PING.repeat(count - 1);
        input.resize(bytes - PING.len(), b'\n');
        input.extend_from_slice(PING);
        monitor.send(&input);
        for _ in 0..2 * count {
            monitor.reply();
        }
        other.ask(b"ECHO now\r\n", b"$3\r\nnow\r\n");
        assert!(super::wire::text(monitor.reply()).ends_with("\"now\""));
    }
}

#[test]
fn a_change_of_port_leaves_the_unix_socket_open() {
    let server = Server::start(&["--unixsocket", "./russet.sock", "--bind", "127.0.0.1"]);
    let path = server.folder().join("russet.sock");
    let mut wire = server.connect();
    wire.ok(&["CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2"]);
    Wire::unix(&path).ask(PING, PONG);
    wire.ok(&["CONFIG", "SET", "port", "0"]);
    Wire::unix(&path).ask(PING, PONG);
    wire.ok(&["CONFIG", "SET", "port", &server.port().to_string()]);
    Wire::unix(&path).ask(PING, PONG);
    server.connect().ask(PING, PONG);
}

#[test]
fn what_applies_to_new_connections_may_change_without_a_new_door() {
    let server = Server::start(&["--unixsocket", "./russet.sock", "--tcp-keepalive", "0"]);
    let mut wire = server.connect();
    wire.ok(&[
        "CONFIG",
        "SET",
        "tcp-keepalive",
        "60",
        "max-new-connections-per-cycle",
        "3",
    ]);
    let stream = TcpStream::connect(server.address()).expect("it listens");
    let client = stream.local_addr().expect("it is connected").port();
    let mut new = Wire::over(stream);
    new.ask(PING, PONG);
    eventually("the keep-alive timer runs", || {
        kernel_keeps_alive(server.port(), client)
    });
    new.ask(PING, PONG);
    Wire::unix(&server.folder().join("russet.sock")).ask(PING, PONG);
}

#[test]
fn a_monitor_sees_where_a_command_left_its_client() {
    let server = Server::start(&[]);
    let (mut monitor, mut wire) = (server.connect(), server.connect());
    monitor.ask(b"MONITOR\r\n", b"+OK\r\n");
    wire.ok(&["SELECT", "3"]);
    let line = String::from_utf8(monitor.first_within(Duration::from_secs(10))).expect("text");
    assert!(
        line.contains(" [3 127.0.0.1:") && line.contains("\"SELECT\" \"3\""),
        "{line}"
    );
}

#[test]
fn refused_connections_are_not_counted_as_received() {
    let server = Server::start(&["--maxclients", "1"]);
    let mut wire = server.connect();
    wire.ask(PING, PONG);
    let received = |wire: &mut Wire| super::wire::info_number(wire, "stats", "total_connections_received");
    let before = received(&mut wire);
    let mut refused = server.connect();
    refused.expect_end(b"-ERR max number of clients reached\r\n");
    assert_eq!(received(&mut wire), before);
}

#[test]
fn what_would_be_refused_anyway_does_not_wait_for_a_pause() {
    let server = Server::start(&[]);
    let (mut pausing, mut wire) = (server.connect(), server.connect());
    pausing.ok(&["CLIENT", "PAUSE", "100000"]);
    wire.ask(
        b"GET\r\n",
        b"-ERR wrong number of arguments for 'get' command\r\n",
    );
    let error = wire.error(&["NOSUCH"]);
    assert!(error.contains("unknown command"), "{error}");
}
