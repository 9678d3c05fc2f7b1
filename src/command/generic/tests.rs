//! What generic commands leave behind besides their replies: propagated words, events, the dirty count.

use crate::command::testing::{effects, propagates};

#[test]
fn expiries_propagate_as_the_moment_they_mean() {
    propagates("set k v ; expire k 10 nx", &["PEXPIREAT k 1010000"]);
    propagates("set k v ; pexpire k 10", &["PEXPIREAT k 1000010"]);
    propagates("set k v ; expireat k 2000", &["PEXPIREAT k 2000000"]);
    propagates("set k v ; pexpireat k 2000000", &["PEXPIREAT k 2000000"]);
    propagates("set k v ex 10 ; persist k", &["verbatim"]);
}

#[test]
fn an_expiry_that_has_passed_propagates_as_a_removal() {
    propagates("set k v ; expire k 0", &["DEL k"]);
    propagates("set k v ; pexpireat k 1000000", &["DEL k"]);
    assert_eq!(
        effects("set k v ; expire k -1"),
        (vec!["DEL k".into()], vec!["del"], 1)
    );
}

#[test]
fn events_have_the_names_of_the_reference() {
    for (commands, events) in [
        ("set k v ; del k k", &["del"][..]),
        ("set k v ; set l v ; unlink k l", &["del", "del"]),
        ("set k v ; rename k l", &["rename_from", "rename_to"]),
        ("set k v ; set l w ; rename k l", &["rename_from", "rename_to"]),
        ("set k v ; copy k l", &["copy_to"]),
        ("set k v ; move k 1", &["move_from", "move_to"]),
        ("set k v ; expire k 10", &["expire"]),
        ("set k v ex 10 ; persist k", &["persist"]),
    ] {
        assert_eq!(effects(commands).1, events, "{commands}");
    }
}

#[test]
fn every_key_removed_counts_and_a_relocated_one_counts_once() {
    for (commands, dirty) in [
        ("set k v ; set l v ; del k l m", 2),
        ("set k v ; rename k l", 1),
        ("set k v ; renamenx k l", 1),
        ("set k v ; copy k l", 1),
        ("set k v ; move k 1", 1),
    ] {
        let (propagated, _, found) = effects(commands);
        assert_eq!(
            (propagated, found),
            (vec!["verbatim".into()], dirty),
            "{commands}"
        );
    }
}

#[test]
fn commands_that_change_nothing_leave_no_trace() {
    for command in [
        "del n",
        "unlink n",
        "rename k k",
        "rename n k",
        "renamenx k l",
        "renamenx k k",
        "copy k l",
        "copy n m",
        "copy k k",
        "move n 1",
        "move k 0",
        "expire n 10",
        "expire n 0",
        "expire k 10 xx",
        "expire k 0 xx",
        "expire k 10 gt",
        "persist k",
        "persist n",
        "touch k",
        "ttl k",
        "type k",
        "exists k",
        "scan 0",
        "object encoding k",
    ] {
        let (propagated, events, dirty) = effects(&format!("set k v ; set l v ; {command}"));
        assert_eq!((propagated.len(), events.len(), dirty), (0, 0, 0), "{command}");
    }
}
