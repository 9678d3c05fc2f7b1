//! Active defragmentation with the program's own allocator, which tests within the library do without.

use super::server::{Server, eventually};
use super::wire::{Wire, info_number};

const STRINGS: usize = 20_000;

/// A few values of every other type, big ones among them.
const OTHERS: &str = "
    for i = 1, 1500 do
        redis.call('HSET', 'hash', i, string.rep('v', i % 100))
        redis.call('ZADD', 'zset', i % 10, 'member:' .. i)
        redis.call('RPUSH', 'list', string.rep('v', i % 200))
        redis.call('SADD', 'set', 'member:' .. i)
        redis.call('XADD', 'stream', i .. '-1', 'field', string.rep('v', i % 250))
    end";

fn gap_bytes(wire: &mut Wire) -> u64 {
    info_number(wire, "memory", "allocator_frag_bytes")
}

#[test]
fn gaps_between_what_is_left_are_closed_and_nothing_is_lost() {
    let server = Server::start(&["--enable-debug-command", "yes", "--hz", "100"]);
    let mut wire = server.connect();
    wire.ok(&["DEBUG", "POPULATE", &STRINGS.to_string(), "key", "250"]);
    wire.run(&["EVAL", OTHERS, "0"]);
    let gone: Vec<String> = (0..STRINGS)
        .filter(|n| n % 10 != 0)
        .map(|n| format!("key:{n}"))
        .collect();
    let delete: Vec<&str> = std::iter::once("DEL")
        .chain(gone.iter().map(String::as_str))
        .collect();
    wire.run(&delete);
    let digest = wire.run(&["DEBUG", "DIGEST"]);
    for directive in [
        ["active-defrag-ignore-bytes", "200kb"],
        ["active-defrag-cycle-min", "50"],
        ["active-defrag-cycle-max", "75"],
    ] {
        wire.ok(&["CONFIG", "SET", directive[0], directive[1]]);
    }
    let mut before = 0;
    eventually("what was deleted lies in gaps", || {
        before = gap_bytes(&mut wire);
        before > 3 << 20
    });
    wire.ok(&["CONFIG", "SET", "activedefrag", "yes"]);
    eventually("most gaps are closed", || gap_bytes(&mut wire) < before / 3);
    eventually("it comes to rest", || {
        info_number(&mut wire, "memory", "active_defrag_running") == 0
    });
    assert_eq!(wire.run(&["DEBUG", "DIGEST"]), digest);
    for counter in [
        "active_defrag_hits",
        "active_defrag_key_hits",
        "total_active_defrag_time",
    ] {
        assert!(info_number(&mut wire, "stats", counter) > 0, "{counter}");
    }
    // All pieces are where their owners think they are.
    wire.ok(&["FLUSHALL", "SYNC"]);
}
