//! Publish and subscribe over sockets: protocols, events, the slow, and messages that race with the confirmations.

use std::time::Duration;

use super::chat::Chat;
use super::server::Server;

#[test]
fn each_subscriber_gets_messages_in_its_own_protocol() {
    let server = Server::start(&[]);
    let (mut old, mut new, mut speaker) = (Chat::with(&server), Chat::in_resp3(&server), Chat::with(&server));
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
    let (mut listener, mut speaker) = (Chat::with(&server), Chat::with(&server));
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
    let (mut quitter, mut resetter, mut speaker) =
        (Chat::with(&server), Chat::with(&server), Chat::with(&server));
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
    let server = Server::start(&["--notify-keyspace-events", "KEA", "--enable-debug-command", "yes"]);
    let (mut listener, mut writer) = (Chat::in_resp3(&server), Chat::with(&server));
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
    let (mut slow, mut quick, mut speaker) = (Chat::with(&server), Chat::with(&server), Chat::with(&server));
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
        speaker.hear().expect("an answer");
    }
    assert_eq!(speaker.run("PUBSUB NUMSUB news"), "*2 $news :0");
    let mut received = 0;
    while slow.hear().is_some() {
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
    let (mut listener, mut speaker) = (Chat::in_resp3(&server), Chat::with(&server));
    let mut reader = speaker.twin();
    let talking = std::thread::spawn(move || {
        for n in 0..20_000 {
            speaker.send(&format!("PUBLISH news {n}\r\n"));
        }
        speaker.send("PUBLISH news end\r\n");
    });
    let hearing = std::thread::spawn(move || (0..=20_000).for_each(|_| drop(reader.hear())));
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
        while hear(listener.hear().expect("connected")).is_some() {}
        listener.send("UNSUBSCRIBE news\r\nPING after\r\n");
        let end = loop {
            let message = listener.hear().expect("connected");
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
