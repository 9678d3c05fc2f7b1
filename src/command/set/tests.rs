//! What set commands leave behind besides their replies: propagated words, events, the dirty count.

use crate::command::testing::{effects, propagates};

#[test]
fn popped_members_propagate_as_their_removal() {
    propagates("sadd s 1 ; spop s", &["SREM s 1"]);
    propagates("sadd s a a ; spop s", &["SREM s a"]);
    propagates("sadd s 1 2 3 ; spop s 3", &["DEL s"]);
    propagates("sadd s a b ; spop s 9", &["DEL s"]);
    let (propagated, _, dirty) = effects("sadd s 1 2 3 4 ; spop s 3");
    assert_eq!((propagated.len(), dirty), (1, 3));
    assert!(propagated[0].starts_with("SREM s "), "{propagated:?}");
}

#[test]
fn many_popped_members_propagate_in_portions() {
    let members: Vec<String> = (0..3000).map(|n: u32| n.to_string()).collect();
    let (propagated, events, dirty) = effects(&format!("sadd s {} ; spop s 2100", members.join(" ")));
    let counts: Vec<usize> = propagated
        .iter()
        .map(|words| words.split(' ').count() - 2)
        .collect();
    assert_eq!(counts, [1024, 1024, 52]);
    assert_eq!((events, dirty), (vec!["spop"], 2100));
}

#[test]
fn other_changes_propagate_as_they_came() {
    for command in [
        "sadd s 1 2",
        "sadd s a ; srem s a",
        "sadd s a ; smove s d a",
        "sadd s a ; sinterstore d s",
        "sadd s a ; sunionstore d s n",
        "sadd s a ; sdiffstore d s n",
        "sadd s a ; sdiffstore s n",
    ] {
        propagates(command, &["verbatim"]);
    }
}

#[test]
fn commands_that_change_nothing_leave_no_trace() {
    for command in [
        "sadd s a",
        "srem s x",
        "srem n x",
        "smove s d x",
        "smove s s a",
        "smove n s a",
        "spop n",
        "spop n 3",
        "spop s 0",
        "sinterstore n m s",
        "sdiffstore n s s",
        "sunionstore n m",
        "smembers s",
        "srandmember s 3",
    ] {
        let (propagated, events, dirty) = effects(&format!("sadd s a ; {command}"));
        assert_eq!((propagated.len(), events.len(), dirty), (0, 0, 0), "{command}");
    }
}

#[test]
fn events_have_the_names_of_the_reference_and_changes_are_counted_as_there() {
    for (commands, expected, changes) in [
        ("sadd s a b", &["sadd"][..], 2),
        ("sadd s a b ; srem s a", &["srem"], 1),
        ("sadd s a b ; srem s a b c", &["srem", "del"], 2),
        ("sadd s a b ; smove s d a", &["srem", "sadd"], 2),
        ("sadd s a ; smove s d a", &["srem", "del", "sadd"], 2),
        ("sadd s a b ; spop s", &["spop"], 1),
        ("sadd s a ; spop s", &["spop", "del"], 1),
        ("sadd s a b ; spop s 5", &["spop", "del"], 2),
        ("sadd s a b ; sinterstore d s", &["sinterstore"], 1),
        ("sadd s a b ; sunionstore d s", &["sunionstore"], 1),
        ("sadd s a b ; sdiffstore d s", &["sdiffstore"], 1),
        ("set d x ; sinterstore d s", &["del"], 1),
    ] {
        let (_, events, dirty) = effects(commands);
        assert_eq!((&events[..], dirty), (expected, changes), "{commands}");
    }
}
