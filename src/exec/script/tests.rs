//! Scripts as the executor runs them: what of them is handed on, and what becomes of the session they use.

use super::super::Executor;
use crate::command::cx::Pause;
use crate::exec::testing::journal;
use crate::session::{SessionFlags, SessionId};

fn executor() -> (Executor, SessionId) {
    let mut executor = Executor::for_tests();
    executor.keys.changes.followed = true;
    let client = executor.connect();
    (executor, client)
}

fn run(executor: &mut Executor, client: SessionId, words: &[&str]) -> String {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    String::from_utf8(executor.run(client, &words)).expect("text")
}

#[test]
fn the_effects_of_a_script_are_handed_on_as_one_unit() {
    let (mut executor, client) = executor();
    let script = "redis.call('set', 'a', 1) redis.call('expire', 'a', 100) redis.call('get', 'a') return 1";
    run(&mut executor, client, &["EVAL", script, "0"]);
    assert_eq!(
        journal(&mut executor),
        ["*: MULTI", "0: set a 1", "0: PEXPIREAT a 101000", "*: EXEC"]
    );
    run(
        &mut executor,
        client,
        &["EVAL", "return redis.call('incr', 'a')", "0"],
    );
    assert_eq!(journal(&mut executor), ["0: incr a"]);
    run(
        &mut executor,
        client,
        &["EVAL", "return redis.call('get', 'a')", "0"],
    );
    assert!(journal(&mut executor).is_empty());
}

#[test]
fn a_script_may_keep_its_writes_to_itself() {
    let (mut executor, client) = executor();
    let script = "redis.set_repl(redis.REPL_NONE) redis.call('set', 'a', 1) redis.set_repl(redis.REPL_ALL) \
                  redis.call('set', 'b', 1)";
    run(&mut executor, client, &["EVAL", script, "0"]);
    assert_eq!(journal(&mut executor), ["0: set b 1"]);
    run(
        &mut executor,
        client,
        &["EVAL", "redis.set_repl(redis.REPL_NONE)", "0"],
    );
    run(&mut executor, client, &["SET", "c", "1"]);
    assert_eq!(journal(&mut executor), ["0: SET c 1"], "only for itself");
}

#[test]
fn a_script_chooses_who_is_to_have_each_of_its_writes() {
    let (mut executor, client) = executor();
    let script = "redis.call('set', 'a', 1) redis.set_repl(redis.REPL_AOF) redis.call('set', 'b', 1) \
                  redis.set_repl(redis.REPL_REPLICA) redis.call('set', 'c', 1) redis.set_repl(redis.REPL_NONE) \
                  redis.call('set', 'd', 1) redis.call('get', 'short')";
    run(&mut executor, client, &["SET", "short", "1", "PX", "1"]);
    executor.set_time_us(2_000_000);
    executor.journal.clear();
    run(&mut executor, client, &["EVAL", script, "0"]);
    let shown = |propagated: crate::keyspace::changes::Propagated| {
        let word = |at: usize| {
            propagated
                .words
                .get(at)
                .map_or("", |word| std::str::from_utf8(word).expect("text"))
        };
        format!("{} {} {:?}", word(0), word(1), propagated.audience.bits())
    };
    let got: Vec<String> = executor.journal.drain(..).map(shown).collect();
    // What has expired goes everywhere, whatever the script says.
    assert_eq!(
        got,
        [
            "MULTI  3",
            "set a 3",
            "set b 1",
            "set c 2",
            "DEL short 3",
            "EXEC  3"
        ]
    );
}

#[test]
fn messages_to_the_client_of_a_script_are_in_its_own_protocol() {
    let (mut executor, client) = executor();
    run(&mut executor, client, &["HELLO", "3"]);
    run(&mut executor, client, &["SUBSCRIBE", "c"]);
    let script = "redis.call('publish', 'c', 'hi') redis.setresp(2) return redis.call('hgetall', 'none')";
    assert_eq!(
        run(&mut executor, client, &["EVAL", script, "0"]),
        "*0\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"
    );
    let other = executor.connect();
    run(&mut executor, other, &["SUBSCRIBE", "c"]);
    let script = "redis.setresp(3) return redis.call('publish', 'c', 'hi')";
    executor.sessions[other].flags.remove(SessionFlags::PUBSUB);
    assert_eq!(
        run(&mut executor, other, &["EVAL", script, "0"]),
        ":2\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"
    );
}

#[test]
fn what_failed_in_the_middle_has_happened_up_to_there() {
    let (mut executor, client) = executor();
    let reply = run(
        &mut executor,
        client,
        &["EVAL", "redis.call('set', 'a', 1) redis.call('nope')", "0"],
    );
    assert!(reply.starts_with("-ERR Unknown Redis command"), "{reply}");
    assert_eq!(journal(&mut executor), ["0: set a 1"]);
}

#[test]
fn libraries_are_handed_on_and_count_as_changes() {
    let (mut executor, client) = executor();
    let library =
        "#!lua name=l\nredis.register_function('f', function(keys) return redis.call('incr', keys[1]) end)";
    run(&mut executor, client, &["FUNCTION", "LOAD", library]);
    assert_eq!(journal(&mut executor), [format!("0: FUNCTION LOAD {library}")]);
    run(&mut executor, client, &["FCALL", "f", "1", "n"]);
    assert_eq!(journal(&mut executor), ["0: incr n"]);
    run(&mut executor, client, &["FUNCTION", "LIST"]);
    assert!(journal(&mut executor).is_empty());
    run(&mut executor, client, &["FUNCTION", "DELETE", "l"]);
    assert_eq!(journal(&mut executor), ["0: FUNCTION DELETE l"]);
}

#[test]
fn what_is_dumped_can_be_restored() {
    let (mut executor, client) = executor();
    let library = "#!lua name=l\nredis.register_function('f', function() return 7 end)";
    run(&mut executor, client, &["FUNCTION", "LOAD", library]);
    let dump = executor.run(client, &[b"FUNCTION", b"DUMP"]);
    let start = dump.iter().position(|&byte| byte == b'\n').expect("a line") + 1;
    let payload = dump[start..dump.len() - 2].to_vec();
    let restore = |executor: &mut Executor, policy: &[u8]| {
        let reply = executor.run(client, &[b"FUNCTION", b"RESTORE", &payload, policy]);
        String::from_utf8(reply).expect("text")
    };
    assert_eq!(
        restore(&mut executor, b"APPEND"),
        "-ERR Library l already exists\r\n"
    );
    assert_eq!(restore(&mut executor, b"REPLACE"), "+OK\r\n");
    assert_eq!(restore(&mut executor, b"FLUSH"), "+OK\r\n");
    run(&mut executor, client, &["FUNCTION", "FLUSH"]);
    assert_eq!(restore(&mut executor, b"APPEND"), "+OK\r\n");
    assert_eq!(run(&mut executor, client, &["FCALL", "F", "0"]), ":7\r\n");
    let other = "#!lua name=m\nredis.register_function('f', function() return 8 end)";
    run(&mut executor, client, &["FUNCTION", "FLUSH"]);
    run(&mut executor, client, &["FUNCTION", "LOAD", other]);
    assert_eq!(
        restore(&mut executor, b"REPLACE"),
        "-ERR Function f already exists\r\n"
    );
}

#[test]
fn a_session_is_given_back_as_it_was() {
    let (mut executor, client) = executor();
    run(&mut executor, client, &["HELLO", "3"]);
    run(&mut executor, client, &["SELECT", "2"]);
    let script = "redis.call('select', 5) redis.call('set', 'k', 'v') redis.setresp(2) return redis.call('get', 'none')";
    assert_eq!(run(&mut executor, client, &["EVAL", script, "0"]), "_\r\n");
    let session = &executor.sessions[client];
    assert_eq!((session.db, session.resp), (2, 3));
    assert!(!session.flags.contains(SessionFlags::SCRIPT));
    assert_eq!(run(&mut executor, client, &["EXISTS", "k"]), ":0\r\n");
    run(&mut executor, client, &["SELECT", "5"]);
    assert_eq!(run(&mut executor, client, &["EXISTS", "k"]), ":1\r\n");
}

#[test]
fn errors_are_counted_once_where_they_arose() {
    let (mut executor, client) = executor();
    let mut count = |script: &str| {
        run(&mut executor, client, &["CONFIG", "RESETSTAT"]);
        run(&mut executor, client, &["EVAL", script, "0"]);
        let info = run(&mut executor, client, &["INFO", "stats", "commandstats"]);
        let field = |name: &str| {
            info.lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_default()
                .to_owned()
        };
        (field("total_error_replies"), field("cmdstat_eval"))
    };
    let (errors, eval) = count("return redis.call('incr')");
    assert_eq!(errors, "total_error_replies:1");
    assert!(eval.ends_with("failed_calls=1"), "{eval}");
    let (errors, eval) = count("redis.pcall('incr') return 1");
    assert_eq!(errors, "total_error_replies:1");
    assert!(eval.ends_with("failed_calls=0"), "{eval}");
    let (errors, eval) = count("error('own')");
    assert_eq!(errors, "total_error_replies:1");
    assert!(eval.ends_with("failed_calls=1"), "{eval}");
}

#[test]
fn a_script_is_taken_at_its_word_by_a_pause_of_writes() {
    let (mut executor, client) = executor();
    executor.server.pause = Some(Pause {
        until_ms: i64::MAX,
        all: false,
    });
    let mut waits = |script: &str| {
        let words = crate::resp::ArgBuf::from_slices(&[b"EVAL", script.as_bytes(), b"0"]);
        let command = executor.resolve(words.args());
        let held = executor.holds(client, words.args(), command, &mut Vec::new());
        executor.sessions[client].flags.remove(SessionFlags::PAUSED);
        held
    };
    assert!(waits("return 1"));
    assert!(waits("#!lua\nreturn 1"));
    assert!(!waits("#!lua flags=no-writes\nreturn 1"));
}

#[test]
fn what_scripts_say_counts_behind_multi_as_well() {
    let (mut executor, client) = executor();
    let mut exec_waits = |script: &str| {
        run(&mut executor, client, &["MULTI"]);
        run(&mut executor, client, &["EVAL", script, "0"]);
        executor.server.pause = Some(Pause {
            until_ms: i64::MAX,
            all: false,
        });
        let words = crate::resp::ArgBuf::from_slices(&[b"EXEC"]);
        let command = executor.resolve(words.args());
        let held = executor.holds(client, words.args(), command, &mut Vec::new());
        executor.sessions[client].flags.remove(SessionFlags::PAUSED);
        executor.server.pause = None;
        run(&mut executor, client, &["DISCARD"]);
        held
    };
    assert!(exec_waits("return 1"));
    assert!(exec_waits("#!lua\nreturn 1"));
    assert!(!exec_waits("#!lua flags=no-writes\nreturn 1"));
}
