//! Client-side caching between connections: who is told what to forget, and where among its replies.
//!
//! It drives an executor and its outboxes, where a turn holds just what a test puts into it; `tests/wire/tracking.rs` runs
//! the program over sockets.

mod peers;

use russet::base::clock::Now;
use russet::exec::Executor;
use russet::exec::mailbox::Mail;
use russet::exec::outbox::Delivery;

use peers::{Peer, batch, values};

/// Clients `a`, `b`, `c`, ... of one executor.
struct Scene {
    executor: Executor,
    peers: Vec<Peer>,
    now_ms: i64,
}

impl Scene {
    /// The first `resp3` clients speak RESP3, the others RESP2.
    fn new(clients: usize, resp3: usize) -> Scene {
        let mut executor = Executor::for_tests();
        let peers = (0..clients).map(|_| Peer::join(&mut executor)).collect();
        let mut scene = Scene {
            executor,
            peers,
            now_ms: 1_000,
        };
        for name in ["a", "b", "c", "d"].into_iter().take(resp3) {
            scene.turn(&format!("{name}: HELLO 3"));
        }
        scene
    }

    fn id(&self, name: char) -> u64 {
        self.peers[usize::from(name as u8 - b'a')].id.client
    }

    /// One turn with a batch for each line, `a: GET k; PING`; what everybody receives of it, as `a: $nil | +PONG`.
    fn turn(&mut self, script: &str) -> Vec<String> {
        let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
        let letters = lines.map(|line| {
            let (name, commands) = line.split_once(':').expect("client: commands");
            let client = self.peers[usize::from(name.as_bytes()[0] - b'a')].id;
            Mail::Batch(client, batch(commands.trim()))
        });
        let mut letters: Vec<Mail> = letters.collect();
        let now = Now {
            unix_us: self.now_ms * 1000,
        };
        self.executor.open(&mut letters, now);
        while self.executor.awaits_freeing() {
            std::thread::yield_now();
            self.executor.open(&mut letters, now);
        }
        self.executor
            .take_finished()
            .for_each(|finished| finished.deliver());
        let received = self.peers.iter().enumerate().map(|(at, peer)| {
            let name = (b'a' + at as u8) as char;
            (name, received(peer))
        });
        let shown = received.filter(|(_, bytes)| !bytes.is_empty());
        shown
            .map(|(name, bytes)| format!("{name}: {}", values(&bytes)))
            .collect()
    }

    #[track_caller]
    fn check(&mut self, script: &str, expected: &[&str]) {
        assert_eq!(self.turn(script), expected, "{script}");
    }
}

/// All bytes the connection would write now, in order.
fn received(peer: &Peer) -> Vec<u8> {
    let bytes = peer.deliveries().into_iter().map(|delivery| match delivery {
        Delivery::Batch(batch) => batch.reply,
        Delivery::Pushes(bytes) => bytes,
        Delivery::Close => b"+closed\r\n".to_vec(),
        Delivery::Answered(_) | Delivery::Held | Delivery::Trim => Vec::new(),
    });
    bytes.flatten().collect()
}

#[test]
fn who_has_read_a_key_is_told_once_that_it_has_changed() {
    let mut scene = Scene::new(3, 2);
    scene.check("a: CLIENT TRACKING ON;MGET k none", &["a: +OK | *2 _ _"]);
    scene.check("b: SET k 1;SET k 2", &["a: >2 $invalidate *1 $k", "b: +OK | +OK"]);
    scene.check("c: SET none 1", &["a: >2 $invalidate *1 $none", "c: +OK"]);
    // Of what was only written nobody is told.
    scene.check("a: SET own 1", &["a: +OK"]);
    scene.check("b: DEL own", &["b: :1"]);
}

#[test]
fn names_count_whatever_database_they_are_in() {
    let mut scene = Scene::new(2, 1);
    scene.turn("a: CLIENT TRACKING ON;GET k");
    scene.check(
        "b: SELECT 3;SET k 1",
        &["a: >2 $invalidate *1 $k", "b: +OK | +OK"],
    );
}

#[test]
fn an_own_change_is_told_behind_the_reply_of_the_whole_command() {
    let mut scene = Scene::new(1, 1);
    scene.turn("a: CLIENT TRACKING ON;MGET k j");
    scene.check(
        "a: MULTI;SET k 1;SET j 2;GET j;EXEC;PING",
        &["a: +OK | +QUEUED | +QUEUED | +QUEUED | *3 +OK +OK $2 | >2 $invalidate *1 $k | >2 $invalidate *1 $j | +PONG"],
    );
    // The GET came behind the SET, so it counts anew.
    scene.check("a: SET j 3", &["a: +OK | >2 $invalidate *1 $j"]);
    scene.turn("a: GET k");
    scene.check(
        "a: EVAL \"redis.call('set','k',1) redis.call('get','k') return 5\" 1 k",
        &["a: :5 | >2 $invalidate *1 $k"],
    );
    // Its answer waits until the memory is free.
    scene.check("a: FLUSHALL", &["a: >2 $invalidate _ | +OK"]);
}

#[test]
fn noloop_leaves_own_changes_out_but_not_a_flush() {
    let mut scene = Scene::new(2, 1);
    scene.turn("a: CLIENT TRACKING ON NOLOOP;MGET k j");
    scene.check("a: SET k 1", &["a: +OK"]);
    scene.check("b: SET k 1;SET j 1", &["a: >2 $invalidate *1 $j", "b: +OK | +OK"]);
    scene.check("a: FLUSHDB", &["a: >2 $invalidate _ | +OK"]);
}

#[test]
fn a_key_that_expires_or_whose_field_does_is_another() {
    let mut scene = Scene::new(2, 1);
    scene.turn("b: SET k 1 PX 10;HSET h f 1 g 1;HPEXPIRE h 10 FIELDS 1 f");
    scene.turn("a: CLIENT TRACKING ON;GET k;HGET h g");
    scene.now_ms += 11;
    scene.check(
        "b: GET k;HGET h f",
        &["a: >2 $invalidate *1 $k | >2 $invalidate *1 $h", "b: $nil | $nil"],
    );
}

#[test]
fn prefixes_are_told_once_in_a_turn_behind_all_replies() {
    let mut scene = Scene::new(3, 2);
    scene.check("a: CLIENT TRACKING ON BCAST PREFIX u: PREFIX v:", &["a: +OK"]);
    scene.check(
        "b: SET u:2 1;SET u:1 1;SET w 1;SET u:2 2\nc: INCR v:1\na: SET u:3 1;PING",
        &[
            "a: +OK | +PONG | >2 $invalidate *3 $u:1 $u:2 $u:3 | >2 $invalidate *1 $v:1",
            "b: +OK | +OK | +OK | +OK",
            "c: :1",
        ],
    );
    scene.turn("b: CLIENT TRACKING ON BCAST NOLOOP");
    scene.check(
        "b: SET w 1;SET u:1 1\nc: SET x 1",
        &[
            "a: >2 $invalidate *1 $u:1",
            "b: +OK | +OK | >2 $invalidate *1 $x",
            "c: +OK",
        ],
    );
    // A script is not the client: Redis's NOLOOP does not know it below prefixes.
    scene.check(
        "b: EVAL \"return redis.call('INCR','n')\" 0",
        &["b: :1 | >2 $invalidate *1 $n"],
    );
    scene.check("b: SET w 1 PX 5", &["b: +OK"]);
    scene.now_ms += 6;
    scene.check("b: GET w", &["b: _ | >2 $invalidate *1 $w"]);
}

#[test]
fn a_resp2_client_has_another_one_told() {
    let mut scene = Scene::new(3, 0);
    let target = scene.id('c');
    scene.turn(&format!("a: CLIENT TRACKING ON REDIRECT {target};GET k"));
    // Before it is subscribed there is no message that it could be sent.
    scene.check("b: SET k 1", &["b: +OK"]);
    scene.turn("c: SUBSCRIBE __redis__:invalidate\na: GET k");
    scene.check(
        "b: SET k 2",
        &["b: +OK", "c: *3 $message $__redis__:invalidate *1 $k"],
    );
    scene.turn("a: GET k");
    scene.check(
        "b: FLUSHALL",
        &["b: +OK", "c: *3 $message $__redis__:invalidate $nil"],
    );
    scene.check(
        "a: CLIENT GETREDIR;CLIENT TRACKING OFF;CLIENT GETREDIR",
        &[&format!("a: :{target} | +OK | :-1")],
    );
}

#[test]
fn a_redirect_that_is_broken_is_told_to_who_can_be_told() {
    let mut scene = Scene::new(3, 1);
    let target = scene.id('c');
    scene.turn(&format!("a: CLIENT TRACKING ON REDIRECT {target};GET k"));
    scene.turn(&format!("b: CLIENT KILL ID {target}"));
    scene.check(
        "b: SET k 1",
        &[
            &format!("a: >2 $tracking-redir-broken :{target}"),
            "b: +OK",
            "c: +closed",
        ],
    );
    let info = scene.turn("a: CLIENT INFO;CLIENT TRACKINGINFO");
    assert!(
        info[0].contains(" flags=tR ") && info[0].contains(&format!(" redir={target} ")),
        "{info:?}"
    );
    assert!(
        info[0].ends_with(&format!(
            "$flags ~2 $on $broken_redirect $redirect :{target} $prefixes *0"
        )),
        "{info:?}"
    );
}

#[test]
fn optin_and_optout_ask_before_each_read() {
    let mut scene = Scene::new(2, 1);
    scene.turn("a: CLIENT TRACKING ON OPTIN;GET k;CLIENT CACHING YES;CLIENT ID;GET j;GET i");
    scene.check("b: MSET k 1 j 1 i 1", &["a: >2 $invalidate *1 $j", "b: +OK"]);
    scene.turn("a: CLIENT CACHING YES;MULTI;GET k;GET j;EXEC;GET i");
    scene.check(
        "b: MSET k 1 j 1 i 1",
        &["a: >2 $invalidate *1 $k | >2 $invalidate *1 $j", "b: +OK"],
    );
    scene.turn("a: CLIENT CACHING YES;NOSUCH;GET k");
    scene.check("b: SET k 1", &["b: +OK"]);
    scene.turn("a: CLIENT TRACKING OFF;CLIENT TRACKING ON OPTOUT;CLIENT CACHING NO;GET k;GET j");
    scene.check("b: MSET k 1 j 1", &["a: >2 $invalidate *1 $j", "b: +OK"]);
}

#[test]
fn only_reads_count_and_all_their_keys() {
    let mut scene = Scene::new(2, 1);
    scene.turn("b: XADD s 1 f v;ZADD z 1 m");
    scene
        .turn("a: CLIENT TRACKING ON;XREAD COUNT 1 STREAMS s t 0 0;ZUNION 2 z y;GETDEL x;DBSIZE;SUBSCRIBE w");
    scene.turn("a: EVAL_RO \"return redis.call('ping')\" 1 v");
    for key in ["s", "t", "z", "y"] {
        let told = format!("a: >2 $invalidate *1 ${key}");
        assert_eq!(scene.turn(&format!("b: DEL {key};SET {key} 1"))[0], told, "{key}");
    }
    for key in ["x", "w", "v"] {
        assert_eq!(scene.turn(&format!("b: SET {key} 1")), ["b: +OK"], "{key}");
    }
}

#[test]
fn a_served_client_is_told_behind_its_reply() {
    let mut scene = Scene::new(2, 1);
    scene.turn("b: RPUSH to x");
    scene.turn("a: CLIENT TRACKING ON;LRANGE to 0 -1;BLMOVE from to LEFT LEFT 0");
    scene.check("b: RPUSH from y", &["a: $y | >2 $invalidate *1 $to", "b: :1"]);
}

#[test]
fn a_table_over_its_limit_gives_keys_up_before_the_next_command() {
    let mut scene = Scene::new(2, 1);
    scene.turn("a: CLIENT TRACKING ON NOLOOP;MGET j k");
    scene.turn("b: CONFIG SET tracking-table-max-keys 1");
    let told = scene.turn("a: MULTI");
    assert!(
        told == ["a: >2 $invalidate *1 $j | +OK"] || told == ["a: >2 $invalidate *1 $k | +OK"],
        "{told:?}"
    );
    let stats = scene.turn("b: INFO stats")[0].clone();
    assert!(
        stats.contains("tracking_total_keys:1") && stats.contains("tracking_total_items:1"),
        "{stats}"
    );
}

#[test]
fn who_leaves_resets_or_stops_is_told_no_more_and_counted_no_more() {
    let mut scene = Scene::new(4, 4);
    let all = "CLIENT TRACKING ON;GET k";
    scene.turn(&format!("a: {all}\nb: {all}\nc: {all}"));
    scene.turn("d: CLIENT TRACKING ON BCAST");
    assert_eq!(scene.executor.tracking.clients, 4);
    scene.turn("a: RESET\nb: CLIENT TRACKING OFF");
    let (c, d) = (scene.peers[2].id, scene.peers[3].id);
    scene.executor.forget_client(c);
    scene.executor.forget_client(d);
    assert_eq!(scene.executor.tracking.clients, 0);
    assert!(scene.executor.tracking.prefixes.is_empty());
    scene.check("b: SET k 1", &["b: +OK"]);
    assert!(scene.executor.tracking.is_idle() && !scene.executor.keys.changes.tracked);
}

#[test]
fn after_a_change_of_mode_what_was_read_before_is_forgotten_in_silence() {
    let mut scene = Scene::new(2, 1);
    scene.turn("a: CLIENT TRACKING ON;GET k;CLIENT TRACKING OFF;CLIENT TRACKING ON BCAST");
    scene.check("b: SET k 1", &["a: >2 $invalidate *1 $k", "b: +OK"]);
}

#[test]
fn replies_turned_off_do_not_silence_what_is_to_be_forgotten() {
    let mut scene = Scene::new(2, 1);
    scene.turn("a: CLIENT TRACKING ON;GET k;CLIENT REPLY OFF");
    scene.check("b: SET k 1", &["a: >2 $invalidate *1 $k", "b: +OK"]);
}
