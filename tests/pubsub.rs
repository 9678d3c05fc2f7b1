//! Publish and subscribe between connections: who receives what, in which order, and what happens to the slow.
//!
//! Here executors and outboxes are driven directly, where every order can be forced; `tests/wire/pubsub.rs` runs the
//! program over sockets.

mod peers;

use russet::exec::Executor;
use russet::exec::outbox::Delivery;
use russet::resp::Batch;
use russet::session::SessionId;

use peers::{Peer, values};

impl Peer {
    fn batch(&self, lines: &str) -> (SessionId, Box<Batch>) {
        (self.id, peers::batch(lines))
    }

    /// What the connection can take now, in order: batches by their replies, pushes by their messages.
    fn received(&self) -> Vec<String> {
        let show = |delivery| match delivery {
            Delivery::Batch(batch) => format!("batch {}", values(&batch.reply)),
            Delivery::Pushes(bytes) => format!("pushes {}", values(&bytes)),
            Delivery::Answered(_) => "answered".into(),
            Delivery::Held => "held".into(),
            Delivery::Trim => "trim".into(),
            Delivery::Close => "close".into(),
        };
        self.deliveries().into_iter().map(show).collect()
    }
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
fn what_serving_others_sends_a_client_comes_before_the_messages_of_its_next_command() {
    let mut executor = Executor::for_tests();
    let [waiting, client] = [(); 2].map(|()| Peer::join(&mut executor));
    let setting = "CONFIG SET notify-keyspace-events El$;HELLO 3;PSUBSCRIBE __keyevent*;";
    drain(
        &mut executor,
        vec![client.batch(setting), waiting.batch("BLPOP l 0;")],
    );
    deliver(&mut executor);
    client.received();
    drain(&mut executor, vec![client.batch("RPUSH l 1;SET k 1;")]);
    deliver(&mut executor);
    let event = |name, key| format!("| >4 $pmessage $__keyevent* $__keyevent@0__:{name} ${key}");
    assert_eq!(
        client.received(),
        [format!(
            "batch :1 {} {} | +OK {}",
            event("rpush", "l"),
            event("lpop", "l"),
            event("set", "k")
        )]
    );
}

#[test]
fn monitors_see_an_exec_that_is_refused_and_hear_nothing_while_their_replies_are_off() {
    let mut executor = Executor::for_tests();
    let [watching, silent, client] = [(); 3].map(|()| Peer::join(&mut executor));
    let batches = vec![
        watching.batch("MONITOR;"),
        silent.batch("MONITOR;CLIENT REPLY OFF;"),
        client.batch("SUBSCRIBE news;EXEC;"),
    ];
    drain(&mut executor, batches);
    deliver(&mut executor);
    let shown = watching.received().concat();
    assert!(
        shown.contains("\"SUBSCRIBE\"") && shown.contains("\"EXEC\""),
        "{shown}"
    );
    let shown = silent.received().concat();
    assert!(!shown.contains("\"EXEC\""), "{shown}");
}

#[test]
fn a_monitor_may_run_a_script_that_says_it_writes_nothing() {
    let mut executor = Executor::for_tests();
    let watching = executor.connect();
    executor.run(watching, &[b"MONITOR"]);
    let refused = b"-ERR Replica can't interact with the keyspace\r\n";
    assert_eq!(executor.run(watching, &[b"GET", b"k"]), refused);
    assert_eq!(executor.run(watching, &[b"EVAL", b"return 1", b"0"]), refused);
    let reader = b"#!lua flags=no-writes\nreturn 1";
    assert_eq!(executor.run(watching, &[b"EVAL", reader, b"0"]), b":1\r\n");
}

#[test]
fn a_confirmation_comes_out_of_a_transaction_though_replies_are_off() {
    let mut executor = Executor::for_tests();
    let client = Peer::join(&mut executor);
    let batch = client.batch("CLIENT REPLY OFF;MULTI;PING;SUBSCRIBE news;EXEC;");
    drain(&mut executor, vec![batch]);
    deliver(&mut executor);
    assert_eq!(
        client.received().last().map(String::as_str),
        Some("pushes *3 $subscribe $news :1")
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
