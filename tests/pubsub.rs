//! Publish and subscribe between connections: who receives what, in which order, and what happens to the slow.
//!
//! The first half drives an executor and its outboxes directly, where every order can be forced; the second half runs
//! the program over sockets. `RUSSET_WIRE_SERVER=redis-server` runs that half against a reference.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use russet::exec::Executor;
use russet::exec::mailbox::{Delivery, NewClient, Outbox};
use russet::resp::{Batch, Limits, Parser, Value, parse_value};
use russet::session::SessionId;

/// A value on one line: `>3 $message $news $hi`.
fn flat(value: &Value) -> String {
    let text = value.to_string();
    text.lines().map(str::trim_start).collect::<Vec<_>>().join(" ")
}

// ---- executor and outboxes ----

/// A connected client of an executor, as its connection task sees it.
struct Peer {
    id: SessionId,
    outbox: Arc<Outbox>,
}

impl Peer {
    fn join(executor: &mut Executor) -> Peer {
        let outbox = Outbox::new(0);
        executor.admit_client(NewClient {
            addr: "127.0.0.1:1".into(),
            laddr: "127.0.0.1:2".into(),
            fd: 3,
            unix: false,
            local: true,
            outbox: Arc::clone(&outbox),
            batch: Box::new(Batch::new()),
        });
        executor.take_finished().for_each(|greeting| greeting.deliver());
        let peer = Peer {
            id: outbox.session().expect("admitted"),
            outbox,
        };
        assert_eq!(peer.received(), ["batch "]);
        peer
    }

    fn batch(&self, lines: &str) -> (SessionId, Box<Batch>) {
        let mut batch = Box::new(Batch::new());
        let mut parser = Parser::new();
        parser
            .read_target(&mut batch)
            .buf
            .extend_from_slice(lines.replace(';', "\r\n").as_bytes());
        parser.parse(&mut batch, &Limits::default());
        (self.id, batch)
    }

    /// What the connection can take now, in order: batches by their replies, pushes by their messages.
    fn received(&self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            match self.outbox.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Delivery::Batch(batch)) => all.push(format!("batch {}", values(&batch.reply))),
                Poll::Ready(Delivery::Pushes(bytes)) => {
                    self.outbox.note_output(0);
                    all.push(format!("pushes {}", values(&bytes)));
                }
                Poll::Ready(Delivery::Held) => all.push("held".into()),
                Poll::Ready(Delivery::Trim) => all.push("trim".into()),
                Poll::Ready(Delivery::Close) => return vec!["close".into()],
                Poll::Pending => return all,
            }
        }
    }
}

fn values(mut bytes: &[u8]) -> String {
    let mut all = Vec::new();
    while let Some((value, len)) = parse_value(bytes).expect("RESP") {
        all.push(flat(&value));
        bytes = &bytes[len..];
    }
    all.join(" | ")
}

/// Runs batches in one drain; their replies are given back only by `deliver`.
fn drain(executor: &mut Executor, mut batches: Vec<(SessionId, Box<Batch>)>) {
    executor.run_batches(&mut batches);
}

fn deliver(executor: &mut Executor) {
    executor.take_finished().for_each(|finished| finished.deliver());
}

#[test]
fn a_message_comes_behind_the_confirmation_even_while_replies_are_held() {
    let mut executor = Executor::for_tests();
    let [listener, first, second] = [(); 3].map(|()| Peer::join(&mut executor));
    let batches = vec![listener.batch("SUBSCRIBE news;"), first.batch("PUBLISH news 1;")];
    drain(&mut executor, batches);
    // A second drain before the first one's replies are out, as when they wait for an fsync.
    let batches = vec![second.batch("PUBLISH news 2;")];
    drain(&mut executor, batches);
    assert_eq!(listener.received(), [""; 0]);
    deliver(&mut executor);
    assert_eq!(
        listener.received(),
        [
            "batch *3 $subscribe $news :1",
            "pushes *3 $message $news $1 | *3 $message $news $2"
        ]
    );
}

#[test]
fn a_message_from_before_unsubscribing_comes_before_the_confirmation() {
    let mut executor = Executor::for_tests();
    let [listener, first, second] = [(); 3].map(|()| Peer::join(&mut executor));
    let batches = vec![listener.batch("SUBSCRIBE news;")];
    drain(&mut executor, batches);
    deliver(&mut executor);
    assert_eq!(listener.received(), ["batch *3 $subscribe $news :1"]);
    let batches = vec![
        first.batch("PUBLISH news 1;"),
        listener.batch("UNSUBSCRIBE news;PING;"),
        second.batch("PUBLISH news 2;"),
    ];
    drain(&mut executor, batches);
    deliver(&mut executor);
    assert_eq!(
        listener.received(),
        [
            "pushes *3 $message $news $1",
            "batch *3 $unsubscribe $news :0 | +PONG"
        ]
    );
}

#[test]
fn a_subscriber_over_the_hard_limit_is_gone_at_once() {
    let mut executor = Executor::for_tests();
    let [slow, quick, speaker, other] = [(); 4].map(|()| Peer::join(&mut executor));
    let batches = vec![
        speaker.batch("CONFIG SET client-output-buffer-limit \"pubsub 1000 0 0\";"),
        slow.batch("SUBSCRIBE news;"),
        quick.batch("PSUBSCRIBE *;"),
    ];
    drain(&mut executor, batches);
    deliver(&mut executor);
    assert_eq!(speaker.received(), ["batch +OK"]);
    let publish = format!("PUBLISH news {};", "x".repeat(300));
    for _ in 0..2 {
        let batches = vec![speaker.batch(&publish)];
        drain(&mut executor, batches);
        deliver(&mut executor);
        assert_eq!(speaker.received(), ["batch :2"]);
        assert!(!quick.received().is_empty());
    }
    // In the same drain as the message that is one too many: a batch of the one cut off must not run.
    let batches = vec![
        speaker.batch(&publish),
        slow.batch("PING;"),
        other.batch("PUBSUB NUMSUB news;"),
    ];
    drain(&mut executor, batches);
    deliver(&mut executor);
    assert_eq!(slow.received(), ["close"]);
    assert!(!executor.sessions.contains(slow.id) && executor.sessions.contains(quick.id));
    assert_eq!(speaker.received(), ["batch :2"]);
    assert_eq!(other.received(), ["batch *2 $news :0"]);
    assert_eq!(
        executor.stats.counters.client_output_buffer_limit_disconnections,
        1
    );
}

#[test]
fn a_client_killed_in_the_drain_of_its_own_batch_is_served_no_more() {
    let mut executor = Executor::for_tests();
    let [killer, victim, other] = [(); 3].map(|()| Peer::join(&mut executor));
    let kill = format!("CLIENT KILL ID {};", victim.id.client);
    let batches = vec![
        killer.batch(&kill),
        victim.batch("SET k v;"),
        other.batch("EXISTS k;"),
    ];
    drain(&mut executor, batches);
    deliver(&mut executor);
    assert_eq!(victim.received(), ["close"]);
    assert_eq!(killer.received(), ["batch :1"]);
    assert_eq!(other.received(), ["batch :0"]);
}

#[test]
fn what_a_command_publishes_to_its_own_client_follows_its_reply() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    let mut run = |line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        values(&executor.run(client, &words))
    };
    run("HELLO 3");
    run("CONFIG SET notify-keyspace-events KEA");
    assert_eq!(
        run("SUBSCRIBE a b a"),
        ">3 $subscribe $a :1 | >3 $subscribe $b :2 | >3 $subscribe $a :2"
    );
    assert_eq!(run("PSUBSCRIBE a*"), ">3 $psubscribe $a* :3");
    assert_eq!(
        run("PUBLISH a hi"),
        ":2 | >3 $message $a $hi | >4 $pmessage $a* $a $hi"
    );
    run("SUBSCRIBE __keyspace@0__:k");
    assert_eq!(run("SET k v"), "+OK | >3 $message $__keyspace@0__:k $set");
    assert_eq!(run("CLIENT REPLY OFF"), "");
    assert_eq!(run("SUBSCRIBE c"), ">3 $subscribe $c :5");
    assert_eq!(run("PUBLISH c hi"), ">3 $message $c $hi");
    assert_eq!(run("CLIENT REPLY ON"), "+OK");
    assert_eq!(run("PUBLISH c bye"), ":1 | >3 $message $c $bye");
}

#[test]
fn events_need_a_place_to_be_published() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    for (letters, events) in [
        ("A", 0),
        ("KA", 1),
        ("EA", 1),
        ("KEA", 2),
        ("K$", 1),
        ("Kl", 0),
        ("Kn", 1),
        ("KAn", 2),
    ] {
        let mut run = |line: &str| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            values(&executor.run(client, &words))
        };
        run("RESET");
        run("HELLO 3");
        run(&format!("CONFIG SET notify-keyspace-events {letters}"));
        run("DEL k");
        run("PSUBSCRIBE __key*__:*");
        assert_eq!(run("SET k v").matches("pmessage").count(), events, "{letters}");
    }
}

#[test]
fn a_key_restored_in_the_place_of_another_is_restored_and_nothing_else() {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    executor.run(client, &[b"SET", b"k", b"v"]);
    let dump = executor.run(client, &[b"DUMP", b"k"]);
    let start = dump.iter().position(|&byte| byte == b'\n').expect("a line") + 1;
    let payload = &dump[start..dump.len() - 2];
    executor.run(client, &[b"HELLO", b"3"]);
    executor.run(client, &[b"CONFIG", b"SET", b"notify-keyspace-events", b"EAn"]);
    executor.run(client, &[b"PSUBSCRIBE", b"__keyevent@0__:*"]);
    let mut events = |ttl: &[u8]| {
        let reply = executor.run(client, &[b"RESTORE", b"k", ttl, payload, b"REPLACE", b"ABSTTL"]);
        let shown = values(&reply);
        let names = shown.split(" $__keyevent@0__:").skip(1);
        // The pattern comes before the channel.
        let channels = names.filter(|rest| !rest.starts_with('*'));
        channels
            .map(|rest| rest.split(' ').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(events(b"0"), ["new", "restore"]);
    assert_eq!(events(b"1"), ["del"], "its time has passed");
    assert_eq!(events(b"1"), [""; 0]);
    assert_eq!(events(b"0"), ["new", "restore"]);
}

// ---- over sockets ----

/// A running server, killed when dropped.
struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(args: &[&str]) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = listener.expect("a port").port();
        let program = std::env::var("RUSSET_WIRE_SERVER");
        let child = Command::new(program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_russet-server")))
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--enable-debug-command", "yes"])
            .arg("--dir")
            .arg(folder.path())
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let server = Server {
            child,
            port,
            _folder: folder,
        };
        let up = (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "the server listens within ten seconds");
        server
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server accepts");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Client {
            stream,
            unread: Vec::new(),
        }
    }

    fn connect_resp3(&self) -> Client {
        let mut client = self.connect();
        client.run("HELLO 3");
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that speaks inline commands.
struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the server reads");
    }

    /// The next reply or message; `None` at the end of the connection.
    fn next(&mut self) -> Option<String> {
        let mut piece = [0; 64 * 1024];
        loop {
            if let Some((value, len)) = parse_value(&self.unread).expect("RESP") {
                self.unread.drain(..len);
                return Some(flat(&value));
            }
            let count = match self.stream.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
                read => read.expect("something comes in time"),
            };
            if count == 0 {
                return None;
            }
            self.unread.extend_from_slice(&piece[..count]);
        }
    }

    #[track_caller]
    fn run(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n"));
        self.next().expect("an answer")
    }

    #[track_caller]
    fn expect(&mut self, messages: &[&str]) {
        for message in messages {
            assert_eq!(self.next().as_deref(), Some(*message));
        }
    }
}

#[test]
fn each_subscriber_gets_messages_in_its_own_protocol() {
    let server = Server::start(&[]);
    let (mut old, mut new, mut speaker) = (server.connect(), server.connect_resp3(), server.connect());
    assert_eq!(old.run("SUBSCRIBE news"), "*3 $subscribe $news :1");
    assert_eq!(new.run("SUBSCRIBE news"), ">3 $subscribe $news :1");
    assert_eq!(new.run("PSUBSCRIBE n?ws"), ">3 $psubscribe $n?ws :2");
    assert_eq!(new.run("SSUBSCRIBE news"), ">3 $ssubscribe $news :1");
    assert_eq!(speaker.run("PUBLISH news hi"), ":3");
    assert_eq!(speaker.run("SPUBLISH news shard"), ":1");
    assert_eq!(speaker.run("PUBLISH other hi"), ":0");
    old.expect(&["*3 $message $news $hi"]);
    new.expect(&[
        ">3 $message $news $hi",
        ">4 $pmessage $n?ws $news $hi",
        ">3 $smessage $news $shard",
    ]);
    assert_eq!(speaker.run("PUBSUB NUMSUB news"), "*2 $news :2");
    assert_eq!(old.run("PING"), "*2 $pong $\"\"");
    assert_eq!(new.run("PING"), "+PONG");
}

#[test]
fn half_a_command_does_not_keep_messages_back() {
    let server = Server::start(&[]);
    let (mut listener, mut speaker) = (server.connect(), server.connect());
    listener.run("SUBSCRIBE news");
    listener.send("UNSUBSC");
    assert_eq!(speaker.run("PUBLISH news hi"), ":1");
    listener.expect(&["*3 $message $news $hi"]);
    listener.send("RIBE\r\n");
    listener.expect(&["*3 $unsubscribe $news :0"]);
}

#[test]
fn who_leaves_listens_no_more() {
    let server = Server::start(&[]);
    let (mut quitter, mut resetter, mut speaker) = (server.connect(), server.connect(), server.connect());
    for client in [&mut quitter, &mut resetter] {
        client.run("SUBSCRIBE a");
        client.run("PSUBSCRIBE b*");
        client.run("SSUBSCRIBE c");
    }
    let list = speaker.run("CLIENT LIST TYPE pubsub");
    assert_eq!(list.matches("sub=1 psub=1 ssub=1").count(), 2, "{list}");
    assert_eq!(list.matches("flags=P ").count(), 2, "{list}");
    let info = speaker.run("INFO");
    for line in [
        "pubsub_clients:2",
        "pubsub_channels:1",
        "pubsub_patterns:1",
        "pubsubshard_channels:1",
    ] {
        // The first is told by newer versions only.
        assert!(
            info.contains(line) || line.starts_with("pubsub_clients"),
            "{line} in {info}"
        );
    }
    assert_eq!(resetter.run("RESET"), "+RESET");
    assert_eq!(resetter.run("GET k"), "$nil");
    drop(quitter);
    while speaker.run("PUBSUB NUMPAT") != ":0" {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(speaker.run("PUBSUB NUMSUB a"), "*2 $a :0");
    assert_eq!(speaker.run("PUBSUB SHARDNUMSUB c"), "*2 $c :0");
}

#[test]
fn keyspace_events_arrive_in_order() {
    let server = Server::start(&["--notify-keyspace-events", "KEA"]);
    let (mut listener, mut writer) = (server.connect_resp3(), server.connect());
    listener.run("PSUBSCRIBE __key*__:*");
    let mut expect = |db: u8, key: &str, event: &str| {
        let (space, name) = (
            format!("__keyspace@{db}__:{key}"),
            format!("__keyevent@{db}__:{event}"),
        );
        listener.expect(&[
            &format!(">4 $pmessage $__key*__:* ${space} ${event}"),
            &format!(">4 $pmessage $__key*__:* ${name} ${key}"),
        ]);
    };
    writer.run("SET a 1");
    expect(0, "a", "set");
    writer.run("RENAME a b");
    expect(0, "a", "rename_from");
    expect(0, "b", "rename_to");
    writer.run("DEL b");
    expect(0, "b", "del");
    writer.run("SELECT 3");
    writer.run("INCR n");
    expect(3, "n", "incrby");

    // Lazily, in the command that meets the key.
    writer.run("DEBUG SET-ACTIVE-EXPIRE 0");
    writer.run("SET lazy v PX 1");
    expect(3, "lazy", "set");
    expect(3, "lazy", "expire");
    std::thread::sleep(Duration::from_millis(20));
    writer.run("SET lazy v");
    expect(3, "lazy", "expired");
    expect(3, "lazy", "set");

    // Actively, with nobody looking.
    writer.run("DEBUG SET-ACTIVE-EXPIRE 1");
    writer.run("PSETEX active 1 v");
    expect(3, "active", "set");
    expect(3, "active", "expire");
    expect(3, "active", "expired");
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_off() {
    const MESSAGES: usize = 64;
    let server = Server::start(&["--client-output-buffer-limit", "pubsub 1mb 0 0"]);
    let (mut slow, mut quick, mut speaker) = (server.connect(), server.connect(), server.connect());
    slow.run("SUBSCRIBE news");
    quick.run("SUBSCRIBE other");
    // More than the sockets of both ends hold.
    let payload = "x".repeat(512 * 1024);
    for _ in 0..MESSAGES {
        let command = format!(
            "*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n${}\r\n{payload}\r\n",
            payload.len()
        );
        speaker.send(&command);
        speaker.next().expect("an answer");
    }
    assert_eq!(speaker.run("PUBSUB NUMSUB news"), "*2 $news :0");
    let mut received = 0;
    while slow.next().is_some() {
        received += 1;
    }
    assert!(received < MESSAGES);
    assert_eq!(speaker.run("PUBLISH other hi"), ":1");
    quick.expect(&["*3 $message $other $hi"]);
}

/// Subscribes and unsubscribes while another connection keeps publishing: every message lies between the two
/// confirmations, and none is lost in between.
fn race(args: &[&str]) {
    let server = Server::start(args);
    let (mut listener, mut speaker) = (server.connect_resp3(), server.connect());
    let mut reader = Client {
        stream: speaker.stream.try_clone().expect("a second handle"),
        unread: Vec::new(),
    };
    let talking = std::thread::spawn(move || {
        for n in 0..20_000 {
            speaker.send(&format!("PUBLISH news {n}\r\n"));
        }
        speaker.send("PUBLISH news end\r\n");
    });
    let hearing = std::thread::spawn(move || (0..=20_000).for_each(|_| drop(reader.next())));
    let mut messages = 0;
    for _ in 0..200 {
        listener.send("PING before\r\nSUBSCRIBE news\r\nPING\r\n");
        listener.expect(&["$before", ">3 $subscribe $news :1"]);
        let mut last: Option<u64> = None;
        let mut hear = |message: String| {
            let n = message.strip_prefix(">3 $message $news $")?.parse::<u64>().ok();
            if let (Some(last), Some(n)) = (last, n) {
                assert_eq!(n, last + 1);
            }
            last = n.or(last);
            messages += 1;
            Some(())
        };
        while hear(listener.next().expect("connected")).is_some() {}
        listener.send("UNSUBSCRIBE news\r\nPING after\r\n");
        let end = loop {
            let message = listener.next().expect("connected");
            if hear(message.clone()).is_none() {
                break message;
            }
        };
        assert_eq!(end, ">3 $unsubscribe $news :0");
        listener.expect(&["$after"]);
    }
    talking.join().expect("published");
    hearing.join().expect("answered");
    assert!(messages > 0, "nothing was heard");
}

#[test]
fn messages_lie_between_the_confirmations_on_one_thread() {
    race(&[]);
}

#[test]
fn messages_lie_between_the_confirmations_with_io_threads() {
    race(&["--io-threads", "3"]);
}
