//! What string commands leave behind besides their replies: propagated words, events, the dirty count.

use crate::command::testing::{effects, propagates};

#[test]
fn lifetimes_propagate_as_points_in_time() {
    propagates("set k v ex 100", &["SET k v PXAT 1100000"]);
    propagates("set k v px 100 get", &["SET k v PXAT 1000100"]);
    propagates("set k v exat 2000", &["SET k v PXAT 2000000"]);
    propagates("set k v pxat 2000000 nx get", &["SET k v PXAT 2000000"]);
    propagates("setex k 100 v", &["SET k v PXAT 1100000"]);
    propagates("psetex k 100 v", &["SET k v PXAT 1000100"]);
    propagates("set k v ; getex k ex 100", &["PEXPIREAT k 1100000"]);
    propagates("set k v ; getex k pxat 2000000", &["PEXPIREAT k 2000000"]);
    propagates("set k v ; getex k exat 1", &["DEL k"]);
    propagates("set k v ex 9 ; getex k persist", &["PERSIST k"]);
}

#[test]
fn what_only_the_client_cares_for_does_not_propagate() {
    propagates("set k v", &["verbatim"]);
    propagates("set k v get", &["set k v"]);
    propagates("set k v ; set k v keepttl get xx", &["set k v keepttl xx"]);
    propagates("getset k v", &["SET k v"]);
    propagates("set k v ; getdel k", &["DEL k"]);
    propagates("incrbyfloat k 1.5", &["SET k 1.5 KEEPTTL"]);
}

#[test]
fn commands_that_change_nothing_leave_no_trace() {
    for command in [
        "set k w nx",
        "set k w nx get",
        "set n w xx",
        "setnx k w",
        "msetnx n 1 k 2",
        "getex k",
        "getex k persist",
        "getex n ex 10",
        "getdel n",
        "setrange k 0 \"\"",
        "setrange n 3 \"\"",
        "setbit k 1 1",
        "bitfield k get u8 0",
        "bitfield k set u8 0 118",
        "bitfield n get u8 0",
        "bitop and n m",
        "incr k",
        "incrbyfloat k 1",
        "set k w ex 0",
    ] {
        let (propagated, events, dirty) = effects(&format!("set k v ; {command}"));
        assert_eq!((propagated.len(), events.len(), dirty), (0, 0, 0), "{command}");
    }
}

#[test]
fn an_expired_key_is_deleted_before_its_successor_arrives() {
    propagates(
        "set k v exat 1 ; set k w ex 1",
        &["DEL k", "SET k w PXAT 1001000"],
    );
    propagates("set k v exat 1 ; get k", &["DEL k"]);
}

#[test]
fn events_have_the_names_of_the_reference() {
    for (commands, expected) in [
        ("set k v", &["set"][..]),
        ("set k v ex 100", &["set", "expire"]),
        ("setex k 100 v", &["set", "expire"]),
        ("mset a 1 b 2", &["set", "set"]),
        ("set k v ; getex k ex 100", &["expire"]),
        ("set k v ex 9 ; getex k persist", &["persist"]),
        ("set k v ; getex k exat 1", &["del"]),
        ("set k v ; getdel k", &["del"]),
        ("decr n", &["incrby"]),
        ("incrbyfloat n 1", &["incrbyfloat"]),
        ("append k v", &["append"]),
        ("set k v ; append k \"\"", &["append"]),
        ("setrange k 3 v", &["setrange"]),
        ("setbit k 3 0", &["setbit"]),
        ("bitfield k incrby u8 0 1 incrby u8 0 1", &["setbit"]),
        ("set k v ; bitop not d k", &["set"]),
        ("set d v ; bitop not d k", &["del"]),
    ] {
        assert_eq!(effects(commands).1, expected, "{commands}");
    }
}
