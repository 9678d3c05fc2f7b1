//! What hash commands leave behind besides their replies: propagated words, events, the dirty count.

use crate::command::testing::{effects, propagates};

#[track_caller]
fn events(commands: &str, expected: &[&str]) {
    assert_eq!(effects(commands).1, expected, "{commands}");
}

#[test]
fn deadlines_propagate_as_points_in_time_for_the_fields_they_changed() {
    propagates(
        "hset h a 1 ; hexpire h 100 fields 2 a nope",
        &["HPEXPIREAT h 1100000 FIELDS 1 a"],
    );
    propagates(
        "hset h a 1 b 2 ; hpexpire h 100 nx fields 2 a b",
        &["HPEXPIREAT h 1000100 NX FIELDS 2 a b"],
    );
    propagates(
        "hset h a 1 ; hexpireat h 2000 fields 1 a",
        &["HPEXPIREAT h 2000000 FIELDS 1 a"],
    );
    propagates(
        "hset h a 1 ; hpexpireat h 2000000 lt fields 1 a",
        &["HPEXPIREAT h 2000000 LT FIELDS 1 a"],
    );
    propagates(
        "hset h a 1 b 2 ; hexpireat h 1 fields 3 a b nope",
        &["HDEL h a", "HDEL h b"],
    );
    propagates(
        "hset h a 1 ; hexpire h 9 fields 1 a ; hpersist h fields 1 a",
        &["verbatim"],
    );
}

#[test]
fn writes_propagate_as_they_are_but_sums_of_floats() {
    propagates("hset h a 1", &["verbatim"]);
    propagates("hsetnx h a 1", &["verbatim"]);
    propagates("hincrby h a 1", &["verbatim"]);
    propagates("hincrbyfloat h a 1.5", &["HSET h a 1.5"]);
    propagates(
        "hset h a 1 ; hexpireat h 2000 fields 1 a ; hincrbyfloat h a 1.5",
        &["HSET h a 2.5", "HPEXPIREAT h 2000000 FIELDS 1 a"],
    );
}

#[test]
fn events_tell_what_happened_and_that_the_key_went() {
    events("hset h a 1", &["hset"]);
    events("hmset h a 1 b 2", &["hset"]);
    events("hset h a 1 ; hsetnx h b 1", &["hset"]);
    events("hset h a 1 ; hincrby h a 1", &["hincrby"]);
    events("hincrbyfloat h a 1", &["hincrbyfloat"]);
    events("hset h a 1 b 2 ; hdel h a c", &["hdel"]);
    events("hset h a 1 ; hdel h a", &["hdel", "del"]);
    events("hset h a 1 ; hexpire h 9 fields 1 a", &["hexpire"]);
    events("hset h a 1 ; hexpire h 0 fields 1 a", &["hdel", "del"]);
    events(
        "hset h a 1 ; hexpire h 9 fields 1 a ; hpersist h fields 1 a",
        &["hpersist"],
    );
}

#[test]
fn each_field_counts_as_a_change() {
    let dirty = |commands| effects(commands).2;
    assert_eq!(dirty("hset h a 1 b 2"), 2);
    assert_eq!(dirty("hset h a 1 b 2 ; hdel h a b c"), 2);
    assert_eq!(dirty("hset h a 1 b 2 ; hexpire h 9 fields 2 a b"), 2);
    assert_eq!(dirty("hset h a 1 b 2 ; hexpire h 0 fields 2 a b"), 2);
}

#[test]
fn commands_that_change_nothing_leave_no_trace() {
    for command in [
        "hsetnx h a 2",
        "hdel h nope",
        "hdel nope a",
        "hincrby h t 1",
        "hincrby h a x",
        "hincrbyfloat h t 1",
        "hincrby nope a x",
        "hexpire h 9 xx fields 1 a",
        "hexpire h 9 fields 1 nope",
        "hexpire nope 9 fields 1 a",
        "hpersist h fields 2 a nope",
        "hset s a 1",
        "hget h a",
        "hrandfield h 2",
    ] {
        let (propagated, events, dirty) = effects(&format!("set s x ; hset h a 1 t x ; {command}"));
        assert_eq!((propagated.len(), events.len(), dirty), (0, 0, 0), "{command}");
    }
}
