//! What SORT leaves behind besides its reply.

use crate::command::testing::{effects, propagates};

#[test]
fn a_stored_result_counts_its_elements() {
    let stored = effects("rpush l 3 1 2 ; sort l store d");
    assert_eq!(stored, (vec!["verbatim".into()], vec!["sortstore"], 3));
    assert_eq!(effects("rpush l 3 1 2 ; sort l get # get x store d").2, 6);
}

#[test]
fn an_empty_result_removes_what_was_there() {
    let emptied = effects("rpush l 3 1 2 ; sort missing store l");
    assert_eq!(emptied, (vec!["verbatim".into()], vec!["del"], 1));
    propagates("sort missing store nothing", &[]);
    propagates("rpush l 3 1 2 ; sort l", &[]);
}
