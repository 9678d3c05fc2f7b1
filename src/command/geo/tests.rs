//! What geo commands leave behind besides their replies.

use crate::command::testing::{effects, propagates};

#[test]
fn places_propagate_as_members_with_scores() {
    propagates(
        "geoadd k CH 13.361389 38.115556 a 15.087269 37.502669 b",
        &["zadd k CH 3479099956230698 a 3479447370796909 b"],
    );
    propagates("geoadd k 1 1 a ; geoadd k 1 1 a", &[]);
    propagates("geoadd k XX 1 1 a", &[]);
}

#[test]
fn each_member_that_changes_counts_as_a_change() {
    assert_eq!(effects("geoadd k 1 1 a 2 2 b").1, ["zadd"]);
    assert_eq!(effects("geoadd k 1 1 a 2 2 b").2, 2);
    assert_eq!(effects("geoadd k 1 1 a ; geoadd k 1 1 a 2 2 b 3 3 b").2, 2);
}

#[test]
fn stored_searches_propagate_as_they_are() {
    let stored = effects("geoadd k 1 1 a 2 2 b ; geosearchstore d k fromlonlat 1 1 byradius 1000 km");
    assert_eq!(stored, (vec!["verbatim".into()], vec!["geosearchstore"], 2));
    let stored = effects("geoadd k 1 1 a ; georadius k 1 1 1 km store d");
    assert_eq!(stored.1, ["georadiusstore"]);
    let emptied = effects("geoadd k 1 1 a ; georadius k 50 50 1 km store k");
    assert_eq!(emptied, (vec!["verbatim".into()], vec!["del"], 1));
}
