//! Clients that misbehave beside one that does not: it is answered as ever, and memory stays bounded.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::server::{Server, eventually};
use super::wire::{Wire, command, info_number};
use russet::resp::Value;

const MB: usize = 1 << 20;

/// Longest wait for one answer while others misbehave, in a debug build on a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A client that goes on setting and getting a key of its own and checks every answer.
struct Witness {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    thread: JoinHandle<Duration>,
}

impl Witness {
    fn watch(server: &Server) -> Witness {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (mut wire, stopped, counted) = (server.connect(), Arc::clone(&stop), Arc::clone(&answers));
        let thread = std::thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let started = Instant::now();
                let word = counted.load(Ordering::Relaxed).to_string();
                wire.ask(&command(&[b"SET", b"witness", word.as_bytes()]), b"+OK\r\n");
                wire.ask(
                    b"GET witness\r\n",
                    format!("${}\r\n{word}\r\n", word.len()).as_bytes(),
                );
                slowest = slowest.max(started.elapsed());
                counted.fetch_add(1, Ordering::Relaxed);
            }
            slowest
        });
        Witness {
            stop,
            answers,
            thread,
        }
    }

    /// Waits until it has been answered `count` times from now on.
    #[track_caller]
    fn sees_answers(&self, count: u64) {
        let goal = self.answers.load(Ordering::Relaxed) + count;
        eventually("the well-behaved client is answered", || {
            assert!(
                !self.thread.is_finished(),
                "the well-behaved client got a wrong answer"
            );
            self.answers.load(Ordering::Relaxed) >= goal
        });
    }

    #[track_caller]
    fn ends_content(self) {
        self.sees_answers(10);
        self.stop.store(true, Ordering::Relaxed);
        let slowest = self.thread.join().expect("every answer was right");
        assert!(slowest < WAIT_MAX, "an answer took {slowest:?}");
    }
}

/// Writes `bytes` over and over until the server takes no more for a while; how many bytes it took.
fn stuff(stream: &mut TcpStream, bytes: &[u8], most: usize) -> usize {
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .expect("a connected socket");
    let mut taken = 0;
    while taken < most {
        match stream.write(&bytes[taken % bytes.len()..]) {
            Ok(count) => taken += count,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(_) => break,
        }
    }
    taken
}

#[track_caller]
fn check_growth(server: &Server, before: usize, most: usize) {
    let now = server.resident_bytes();
    assert!(
        now < before + most,
        "grew from {} to {} MB",
        before / MB,
        now / MB
    );
}

#[test]
fn readers_that_never_read_are_closed_at_the_limit_of_their_output() {
    let server = Server::start(&["--client-output-buffer-limit", "normal 8mb 0 0"]);
    let mut wire = server.connect();
    wire.ask(&command(&[b"SET", b"big", &vec![b'v'; MB]]), b"+OK\r\n");
    let witness = Witness::watch(&server);
    let before = server.resident_bytes();
    let mut sleepers: Vec<TcpStream> = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        // 2,000 replies of 1 MB are asked for.
        stream
            .write_all(&command(&[b"GET", b"big"]).repeat(2000))
            .expect("requests fit the socket");
        sleepers.push(stream);
    }
    eventually("all readers are closed", || {
        info_number(&mut wire, "stats", "client_output_buffer_limit_disconnections") == 20
    });
    assert_eq!(info_number(&mut wire, "clients", "connected_clients"), 2);
    check_growth(&server, before, 20 * 10 * MB + 32 * MB);
    witness.ends_content();
}

/// A field of the CLIENT LIST line of the client of that name.
fn client_field(wire: &mut Wire, name: &str, field: &str) -> Option<usize> {
    let Value::Bulk(list) = wire.run(&["CLIENT", "LIST"]) else {
        panic!("CLIENT LIST answers a bulk string");
    };
    let list = String::from_utf8_lossy(&list).into_owned();
    let line = list
        .lines()
        .find(|line| line.contains(&format!(" name={name} ")))?;
    let start = format!("{field}=");
    let word = line.split(' ').find_map(|word| word.strip_prefix(&start));
    word.map(|number| number.parse().expect("a number"))
}

#[test]
fn replies_that_nobody_reads_pile_up_until_they_are_read() {
    const COUNT: usize = 60;
    for threads in ["1", "3"] {
        let server = Server::start(&["--io-threads", threads]);
        let mut wire = server.connect();
        wire.ask(&command(&[b"SET", b"big", &vec![b'v'; MB]]), b"+OK\r\n");
        let mut lazy = server.connect();
        lazy.ok(&["CLIENT", "SETNAME", "lazy"]);
        let round = [command(&[b"GET", b"big"]), command(&[b"INCR", b"n"])].concat();
        lazy.send(&round.repeat(COUNT));
        eventually("all has been run", || {
            wire.run(&["GET", "n"]) == Value::Bulk(COUNT.to_string().into_bytes())
        });
        // Sockets hold a few megabytes.
        let waiting = client_field(&mut wire, "lazy", "omem").expect("it is there");
        assert!(
            (COUNT - 20) * MB < waiting && waiting < (COUNT + 1) * MB,
            "{waiting} bytes wait"
        );
        assert!(client_field(&mut wire, "lazy", "tot-mem") > Some(waiting));
        for n in 1..=COUNT {
            assert!(matches!(lazy.reply(), Value::Bulk(value) if value.len() == MB));
            lazy.expect(format!(":{n}\r\n").as_bytes());
        }
        eventually("nothing waits any more", || {
            client_field(&mut wire, "lazy", "omem") == Some(0)
        });
    }
}

#[test]
fn who_sends_no_more_still_gets_what_it_asked_for() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.ask(&command(&[b"SET", b"big", &vec![b'v'; MB]]), b"+OK\r\n");
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream
        .write_all(&command(&[b"GET", b"big"]).repeat(30))
        .expect("requests fit the socket");
    stream
        .shutdown(std::net::Shutdown::Write)
        .expect("a connected socket");
    std::thread::sleep(Duration::from_millis(100));
    let mut replies = Vec::new();
    stream.read_to_end(&mut replies).expect("all of it, then the end");
    assert_eq!(replies.len(), 30 * (MB + "$1048576\r\n\r\n".len()));
}

/// A client that has asked for more than its socket holds and reads nothing.
fn stalled(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream
        .write_all(&command(&[b"GET", b"big"]).repeat(100))
        .expect("requests fit the socket");
    let mut start = [0; 10];
    stream
        .read_exact(&mut start)
        .expect("the first reply is on its way");
    stream
}

/// Descriptors the server has open.
fn open_sockets(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .expect("a running process")
        .count()
}

#[test]
fn a_stalled_reader_can_be_killed() {
    for threads in ["1", "3"] {
        let server = Server::start(&["--io-threads", threads]);
        let mut wire = server.connect();
        wire.ask(&command(&[b"SET", b"big", &vec![b'v'; MB]]), b"+OK\r\n");
        let sockets_before = open_sockets(&server);
        let _sleepers = [stalled(&server), stalled(&server)];
        assert_eq!(open_sockets(&server), sockets_before + 2);
        assert_eq!(wire.run(&["CLIENT", "KILL", "SKIPME", "yes"]), Value::Int(2));
        assert_eq!(info_number(&mut wire, "clients", "connected_clients"), 1);
        // Their sockets go too, though nobody reads what is in them.
        eventually("the sockets are closed", || {
            open_sockets(&server) <= sockets_before
        });
    }
}

#[test]
fn a_server_ends_whatever_its_clients_are_up_to() {
    for threads in ["1", "3"] {
        let mut server = Server::start(&["--io-threads", threads]);
        let mut wire = server.connect();
        wire.ask(&command(&[b"SET", b"big", &vec![b'v'; MB]]), b"+OK\r\n");
        let _sleepers = [stalled(&server), stalled(&server)];
        let mut half = server.connect();
        half.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\nabc");
        wire.ok(&["CLIENT", "PAUSE", "100000"]);
        wire.send(b"SET k v\r\n");
        server.signal("TERM");
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_client_that_only_writes_is_closed_at_the_limit_of_its_output() {
    let server = Server::start(&["--client-output-buffer-limit", "normal 8mb 0 0"]);
    let witness = Witness::watch(&server);
    let before = server.resident_bytes();
    let requests = command(&[b"ECHO", &[b'e'; 1000]]).repeat(1000);
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    let taken = stuff(&mut stream, &requests, 400 * MB);
    assert!(
        taken < 400 * MB,
        "the server read {} MB and nobody its answers",
        taken / MB
    );
    witness.sees_answers(50);
    check_growth(&server, before, 64 * MB);
    witness.ends_content();
}

#[test]
fn one_huge_pipeline_leaves_others_their_turn() {
    let server = Server::start(&[]);
    let witness = Witness::watch(&server);
    witness.sees_answers(10);
    let before = server.resident_bytes();
    let stream = TcpStream::connect(server.address()).expect("it listens");
    let mut writer = stream.try_clone().expect("a socket");
    let sender = std::thread::spawn(move || {
        let block = command(&[b"INCR", b"counter"]).repeat(10_000);
        (0..30).for_each(|_| writer.write_all(&block).expect("the server reads"));
    });
    let mut wire = Wire::over(stream);
    let answered_before = witness.answers.load(Ordering::Relaxed);
    for n in 1..=300_000 {
        wire.expect(format!(":{n}\r\n").as_bytes());
    }
    let answered = witness.answers.load(Ordering::Relaxed) - answered_before;
    sender.join().expect("all was sent");
    assert!(answered >= 20, "only {answered} answers beside 300,000 commands");
    check_growth(&server, before, 64 * MB);
    witness.ends_content();
}

#[test]
fn announced_lengths_reserve_nothing() {
    let server = Server::start(&[]);
    let witness = Witness::watch(&server);
    let before = server.resident_bytes();
    let mut half: Vec<Wire> = (0..300).map(|_| server.connect()).collect();
    for (index, wire) in half.iter_mut().enumerate() {
        wire.send(match index % 3 {
            0 => b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nabc".as_slice(),
            1 => b"*2147483647\r\n$3\r\nDEL\r\n$1\r\nk\r\n",
            _ => b"*1000000\r\n$536870912\r\n",
        });
    }
    witness.sees_answers(50);
    check_growth(&server, before, 300 * 128 * 1024);
    let mut wire = server.connect();
    assert_eq!(info_number(&mut wire, "clients", "connected_clients"), 302);
    drop(half);
    eventually("they are gone", || {
        info_number(&mut wire, "clients", "connected_clients") == 2
    });
    witness.ends_content();
}

#[test]
fn floods_of_garbage_come_and_go() {
    let server = Server::start(&[]);
    let witness = Witness::watch(&server);
    let before = server.resident_bytes();
    let address = server.address();
    let flooders: Vec<_> = (0..4u64)
        .map(|seed| std::thread::spawn(move || flood(address, seed)))
        .collect();
    for flooder in flooders {
        flooder.join().expect("a flooder ends by itself");
    }
    check_growth(&server, before, 64 * MB);
    witness.ends_content();
}

/// A hundred connections with 64 KB of noise each, some of it dressed as commands.
fn flood(address: std::net::SocketAddr, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for round in 0..100 {
        let mut bytes: Vec<u8> = (0..64 * 1024)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        if round % 2 == 0 {
            bytes.splice(..0, *b"*70000\r\n$60000\r\n");
        }
        let mut stream = TcpStream::connect(address).expect("it listens");
        let _ = stream.write_all(&bytes);
    }
}

#[test]
fn thousands_of_short_connections_leave_nothing_behind() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    let witness = Witness::watch(&server);
    short_connections(&server, 500);
    let before = server.resident_bytes();
    short_connections(&server, 4000);
    eventually("all are gone", || {
        info_number(&mut wire, "clients", "connected_clients") == 2
    });
    check_growth(&server, before, 16 * MB);
    assert!(info_number(&mut wire, "stats", "total_connections_received") >= 4500);
    let open = open_sockets(&server);
    assert!(open < 64, "{open} descriptors are open");
    witness.ends_content();
}

fn short_connections(server: &Server, count: usize) {
    let address = server.address();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                for turn in 0..count / 4 {
                    let mut stream = TcpStream::connect(address).expect("it listens");
                    if turn % 2 == 0 {
                        stream.write_all(b"PING\r\n").expect("a fresh socket takes it");
                    }
                    if turn % 4 == 0 {
                        let mut reply = [0; 7];
                        stream.read_exact(&mut reply).expect("an answer");
                    }
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("connections succeed"));
}

#[test]
fn a_monitor_that_never_reads_is_dropped_at_its_output_limit() {
    let server = Server::start(&["--client-output-buffer-limit", "normal 1mb 0 0"]);
    let mut monitor = TcpStream::connect(server.address()).expect("it listens");
    monitor
        .write_all(b"MONITOR\r\n")
        .expect("a fresh socket takes it");
    let mut ok = [0; 5];
    monitor.read_exact(&mut ok).expect("an answer");
    let mut wire = server.connect();
    let before = server.resident_bytes();
    let noise = command(&[b"ECHO", &vec![b'm'; 20_000]]);
    eventually("the monitor is dropped", || {
        wire.send(&noise);
        wire.reply();
        info_number(&mut wire, "clients", "connected_clients") == 1
    });
    check_growth(&server, before, 32 * MB);
}

#[test]
fn a_subscriber_that_never_reads_is_dropped_and_the_others_get_everything() {
    let server = Server::start(&[
        "--client-output-buffer-limit",
        "pubsub 2mb 0 0",
        "--io-threads",
        "2",
    ]);
    let mut sleeper = TcpStream::connect(server.address()).expect("it listens");
    sleeper
        .write_all(b"SUBSCRIBE news\r\n")
        .expect("a fresh socket takes it");
    let mut reader = server.connect();
    reader.send(b"SUBSCRIBE news\r\n");
    reader.reply();
    let mut wire = server.connect();
    eventually("both are subscribed", || {
        wire.run(&["PUBSUB", "NUMSUB", "news"]) == subscribers(2)
    });
    let before = server.resident_bytes();
    let news = vec![b'n'; 50_000];
    let mut count = 0;
    eventually("the sleeper is dropped", || {
        count += 1;
        let message = [format!("{count:06}").as_bytes(), &news].concat();
        wire.send(&command(&[b"PUBLISH", b"news", &message]));
        wire.reply();
        check_message(reader.reply(), &message);
        wire.run(&["PUBSUB", "NUMSUB", "news"]) == subscribers(1)
    });
    check_growth(&server, before, 32 * MB);
}

fn subscribers(count: i64) -> Value {
    Value::Array(vec![Value::Bulk(b"news".to_vec()), Value::Int(count)])
}

#[track_caller]
fn check_message(push: Value, message: &[u8]) {
    let expected = [b"message".as_slice(), b"news", message].map(|part| Value::Bulk(part.to_vec()));
    assert!(push == Value::Array(expected.to_vec()), "another message came");
}

/// What clients do to themselves and each other, one pick a time.
const MISCHIEF: [&str; 28] = [
    "CLIENT KILL SKIPME yes TYPE normal",
    "CLIENT KILL SKIPME no MAXAGE 0",
    "CLIENT PAUSE 20 ALL",
    "CLIENT PAUSE 20 WRITE",
    "CLIENT UNPAUSE",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY OFF",
    "CLIENT NO-EVICT on",
    "CLIENT LIST",
    "MONITOR",
    "RESET",
    "QUIT",
    "HELLO 3",
    "SELECT 5",
    "SWAPDB 0 5",
    "FLUSHALL ASYNC",
    "CONFIG SET maxclients 50",
    "CONFIG SET maxclients 500",
    "CONFIG SET timeout 1",
    "CONFIG SET hz 500",
    "CONFIG RESETSTAT",
    "SET k v PX 1",
    "INFO everything",
    "DEBUG SLEEP 0",
    "SUBSCRIBE a b",
    "PSUBSCRIBE *",
    "UNSUBSCRIBE",
    "PUBLISH a x",
];

fn make_mischief(address: std::net::SocketAddr, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut roll = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % bound
    };
    for _ in 0..80 {
        let Ok(mut stream) = TcpStream::connect(address) else {
            continue;
        };
        stream
            .set_read_timeout(Some(Duration::from_millis(5)))
            .expect("a connected socket");
        for _ in 0..roll(4) {
            let mut pipeline = String::new();
            for _ in 0..=roll(12) {
                pipeline += MISCHIEF[roll(MISCHIEF.len())];
                pipeline += "\r\n";
            }
            // Now and then a command is left unfinished.
            let length = pipeline.len() - roll(2) * roll(3);
            if stream.write_all(&pipeline.as_bytes()[..length]).is_err() {
                break;
            }
            if roll(2) == 0 {
                let _ = stream.read(&mut [0; 4096]);
            }
        }
    }
}

#[test]
fn clients_that_kill_pause_and_leave_at_random_crash_nothing() {
    for threads in ["1", "3"] {
        let mut server = Server::start(&["--io-threads", threads, "--enable-debug-command", "yes"]);
        let address = server.address();
        let before = server.resident_bytes();
        let clients: Vec<_> = (0..6)
            .map(|seed| std::thread::spawn(move || make_mischief(address, seed)))
            .collect();
        clients
            .into_iter()
            .for_each(|client| client.join().expect("a client ends by itself"));
        assert!(server.is_running(), "the server is gone");
        eventually("it is calm again", || {
            let mut wire = server.connect();
            wire.send_unheard(b"PING\r\n");
            wire.first_within(Duration::from_millis(200))
                .starts_with(b"+PONG\r\n")
        });
        check_growth(&server, before, 64 * MB);
    }
}

#[test]
fn a_pipeline_may_be_sent_whole_before_its_replies_are_read() {
    const COMMANDS: usize = 100_000;
    let server = Server::start(&[]);
    let mut wire = server.connect();
    let value = [b'v'; 1024];
    wire.ask(&command(&[b"SET", b"k", &value]), b"+OK\r\n");
    // Far more replies than sockets hold, for requests that sockets do not hold either.
    let requests = command(&[b"GET", b"k"]).repeat(COMMANDS * 3);
    wire.send(&requests);
    for _ in 0..COMMANDS * 3 {
        assert_eq!(wire.bulk(value.len()), value);
    }
}
