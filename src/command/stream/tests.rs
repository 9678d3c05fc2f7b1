use crate::command::testing::{effects, propagates};

#[track_caller]
fn happens(commands: &str, events: &[&str], dirty: u64) {
    let (_, heard, counted) = effects(commands);
    assert_eq!((heard.as_slice(), counted), (events, dirty), "{commands}");
}

#[test]
fn a_new_entry_propagates_with_the_id_it_got() {
    propagates("XADD s * f v", &["XADD s 1000000-0 f v"]);
    propagates("XADD s 5-* f v", &["XADD s 5-0 f v"]);
    propagates("XADD s 5-1 f v", &["verbatim"]);
    propagates("XADD s 5 f v", &["verbatim"]);
    propagates("XADD s 5 f v ; XADD s 5 f v", &[]);
    propagates("XADD s NOMKSTREAM * f v", &[]);
}

#[test]
fn trimming_propagates_as_what_it_came_to() {
    propagates("XADD s MAXLEN 1 5 f v", &["verbatim"]);
    propagates("XADD s MAXLEN 1 * f v", &["XADD s MAXLEN 1 1000000-0 f v"]);
    propagates(
        "XADD s 1 f v ; XADD s NOMKSTREAM MAXLEN ~ 1 LIMIT 3 * f v",
        &["XADD s NOMKSTREAM MAXLEN = 2 1000000-0 f v"],
    );
    propagates(
        "XADD s 1 f v ; XADD s MINID ~ 4 LIMIT 0 5-5 f v",
        &["XADD s MINID = 1-0 5-5 f v"],
    );
    propagates("XADD s 1 f v ; XTRIM s MAXLEN 0", &["verbatim"]);
    propagates(
        "XADD s 1 f v ; XTRIM s MAXLEN ~ 0 LIMIT 5",
        &["XTRIM s MAXLEN = 0"],
    );
    propagates("XADD s 1 f v ; XTRIM s MAXLEN ~ 1", &[]);
}

#[test]
fn reading_through_a_group_propagates_as_claims() {
    let claim = "XCLAIM s g c 0 1-0 TIME 1000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-0";
    let setid = "XGROUP SETID s g 1-0 ENTRIESREAD 1";
    let prepare = "XADD s 1 f v ; XGROUP CREATE s g 0";
    let read = |more: &str, expected: &[&str]| propagates(&format!("{prepare} ; {more}"), expected);
    read("XREADGROUP GROUP g c STREAMS s >", &[claim, setid]);
    read(
        "XREADGROUP GROUP g c NOACK STREAMS s >",
        &["XGROUP CREATECONSUMER s g c", setid],
    );
    read(
        "XREADGROUP GROUP g c STREAMS s > ; XREADGROUP GROUP g c STREAMS s 0",
        &[],
    );
    read(
        "XREADGROUP GROUP g c STREAMS s > ; XACK s g 1 ; XREADGROUP GROUP g new STREAMS s >",
        &[],
    );
    read("XREADGROUP GROUP g c STREAMS s > ; XACK s g 1", &["verbatim"]);
    read("XACK s g 1", &[]);
}

#[test]
fn claiming_propagates_as_it_came_out() {
    let prepare = "XADD s 1 f v ; XGROUP CREATE s g 0 ; XREADGROUP GROUP g c STREAMS s >";
    let claim = |more: &str, expected: &[&str]| propagates(&format!("{prepare} ; {more}"), expected);
    let taken = "XCLAIM s g d 0 1-0 TIME 1000000 RETRYCOUNT 2 FORCE JUSTID LASTID 1-0";
    claim("XCLAIM s g d 0 1", &[taken]);
    claim("XAUTOCLAIM s g d 0 -", &[taken]);
    claim("XCLAIM s g d 10 1", &[]);
    claim(
        "XCLAIM s g d 10 1 LASTID 9",
        &["XGROUP SETID s g 9-0 ENTRIESREAD 1"],
    );
    let dropped = "XCLAIM s g c 0 1-0 TIME 1000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-0";
    claim("XDEL s 1 ; XCLAIM s g d 0 1", &[dropped]);
    claim("XDEL s 1 ; XAUTOCLAIM s g d 0 -", &[dropped]);
}

#[test]
fn each_change_is_announced_and_counted() {
    happens("XADD s 1 f v", &["xadd"], 1);
    happens("XADD s 1 f v ; XADD s MAXLEN 1 2 f v", &["xadd", "xtrim"], 1);
    happens("XADD s 1 f v ; XADD s 2 f v ; XTRIM s MAXLEN 0", &["xtrim"], 2);
    happens("XADD s 1 f v ; XADD s 2 f v ; XDEL s 1 2 3", &["xdel"], 2);
    happens("XGROUP CREATE s g 0 MKSTREAM", &["xgroup-create"], 1);
    let prepare = "XADD s 1 f v ; XADD s 2 f v ; XGROUP CREATE s g 0";
    let then = |more: &str, events: &[&str], dirty| happens(&format!("{prepare} ; {more}"), events, dirty);
    then("XGROUP SETID s g 0", &["xgroup-setid"], 1);
    then("XGROUP DESTROY s g", &["xgroup-destroy"], 1);
    then("XGROUP CREATECONSUMER s g c", &["xgroup-createconsumer"], 1);
    then(
        "XGROUP CREATECONSUMER s g c ; XGROUP DELCONSUMER s g c",
        &["xgroup-delconsumer"],
        1,
    );
    then("XREADGROUP GROUP g c STREAMS s >", &["xgroup-createconsumer"], 2);
    then(
        "XREADGROUP GROUP g c STREAMS s > ; XREADGROUP GROUP g c STREAMS s 0",
        &[],
        0,
    );
    then("XREADGROUP GROUP g c STREAMS s > ; XACK s g 1 2 3", &[], 2);
    then("XSETID s 9", &["xsetid"], 1);
}
