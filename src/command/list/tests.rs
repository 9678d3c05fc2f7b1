//! What list commands leave behind besides their replies: propagated words, events, the dirty count.

use super::resolve;
use crate::command::testing::{effects, propagates};

#[test]
fn ranges_are_cut_to_the_list() {
    for (start, stop, expected) in [
        (0, -1, (0, 5)),
        (1, 2, (1, 2)),
        (-2, -1, (3, 2)),
        (-100, 1, (0, 2)),
        (3, 100, (3, 2)),
        (5, 10, (0, 0)),
        (2, 1, (0, 0)),
        (0, -6, (0, 0)),
        (i64::MIN, i64::MAX, (0, 5)),
        (i64::MAX, i64::MIN, (0, 0)),
    ] {
        assert_eq!(resolve(start, stop, 5), expected, "{start} {stop}");
    }
    assert_eq!(resolve(0, -1, 0), (0, 0));
}

#[test]
fn pops_of_several_keys_propagate_as_pops_of_one() {
    propagates("rpush k a b c ; lmpop 2 n k left", &["LPOP k 1"]);
    propagates("rpush k a b c ; lmpop 1 k right count 9", &["RPOP k 3"]);
    propagates("rpush k a b c ; blmpop 0 2 n k left count 2", &["LPOP k 2"]);
    propagates("rpush k a b c ; blpop n k 0", &["LPOP k"]);
    propagates("rpush k a b c ; brpop k 0", &["RPOP k"]);
}

#[test]
fn moves_that_could_wait_propagate_as_moves_that_could_not() {
    propagates("rpush k a ; blmove k d left RIGHT 0", &["LMOVE k d left RIGHT"]);
    propagates("rpush k a ; brpoplpush k d 0", &["RPOPLPUSH k d"]);
    propagates("rpush k a ; lmove k d left right", &["verbatim"]);
}

#[test]
fn the_rest_propagates_as_it_is() {
    for command in [
        "lpush k x y",
        "rpushx k x",
        "lpop k",
        "rpop k 9",
        "lset k 0 x",
        "linsert k before b x",
        "lrem k 0 a",
        "ltrim k 1 1",
        "rpoplpush k k",
    ] {
        propagates(&format!("rpush k a b c ; {command}"), &["verbatim"]);
    }
}

#[test]
fn commands_that_change_nothing_leave_no_trace() {
    for command in [
        "lpushx n a",
        "lpop n",
        "lpop k 0",
        "lmpop 1 n left",
        "lset k 9 x",
        "lset n 0 x",
        "linsert k before z x",
        "linsert n before a x",
        "lrem k 0 z",
        "lrem n 0 a",
        "ltrim n 0 0",
        "lmove n k left left",
        "rpoplpush n k",
        "lrange k 0 -1",
        "lpos k a",
        "lindex k 0",
        "llen k",
    ] {
        let (propagated, events, dirty) = effects(&format!("rpush k a b c ; {command}"));
        assert_eq!((propagated.len(), events.len(), dirty), (0, 0, 0), "{command}");
    }
}

/// Read from a real server.
#[test]
fn events_and_counts_are_those_of_the_reference() {
    for (commands, events, dirty) in [
        ("lpush k a b", &["lpush"][..], 2),
        ("rpush k a", &["rpush"], 1),
        ("rpush k a ; rpushx k b c", &["rpush"], 2),
        ("rpush k a b ; lpop k", &["lpop"], 1),
        ("rpush k a ; rpop k", &["rpop", "del"], 1),
        ("rpush k a b c ; lpop k 2", &["lpop"], 2),
        ("rpush k a b c ; rpop k 9", &["rpop", "del"], 3),
        ("rpush k a b ; lmpop 2 n k left count 1", &["lpop"], 1),
        ("rpush k a b ; lmpop 1 k right count 5", &["rpop", "del"], 2),
        ("rpush k a b ; lset k 0 x", &["lset"], 1),
        ("rpush k a b ; linsert k before b x", &["linsert"], 1),
        ("rpush k a b a ; lrem k 0 a", &["lrem"], 2),
        ("rpush k a a ; lrem k 0 a", &["lrem", "del"], 2),
        ("rpush k a b c ; ltrim k 1 1", &["ltrim"], 2),
        ("rpush k a b c ; ltrim k 0 -1", &["ltrim"], 0),
        ("rpush k a b c ; ltrim k 5 9", &["ltrim", "del"], 3),
        ("rpush k a b ; lmove k d left right", &["rpush", "lpop"], 1),
        ("rpush k a ; lmove k d right left", &["lpush", "rpop", "del"], 1),
        ("rpush k a ; lmove k k right left", &["lpush", "rpop"], 1),
        ("rpush k a b ; blpop n k 0", &["lpop"], 1),
        (
            "rpush k a ; blmove k d left right 0",
            &["rpush", "lpop", "del"],
            1,
        ),
        ("rpush k a b ; brpoplpush k d 0", &["lpush", "rpop"], 1),
    ] {
        let (_, events_left, dirty_left) = effects(commands);
        assert_eq!((&events_left[..], dirty_left), (events, dirty), "{commands}");
    }
}
