//! Clients that wait for entries of streams, as the executor sees them: tests of XREAD and XREADGROUP with BLOCK.

use super::testing::Scene;

/// The reply of one entry `id f v` of stream `s`.
fn entry(id: &str) -> String {
    let len = id.len();
    format!("*1 *2 $1 s *1 *2 ${len} {id} *2 $1 f $1 v")
}

#[test]
fn readers_wait_for_what_is_new_since_they_began() {
    let mut scene = Scene::new(3);
    scene.turn("c: XADD s 1 f v");
    assert_eq!(
        scene.turn("a: XREAD BLOCK 0 STREAMS s $\nb: XREAD BLOCK 0 STREAMS other s 0 1"),
        [""; 0]
    );
    assert_eq!(
        scene.turn("c: XADD s 2 f v"),
        [
            "c: $3 2-0".to_owned(),
            format!("a: {}", entry("2-0")),
            format!("b: {}", entry("2-0")),
        ]
    );
}

#[test]
fn dollar_means_the_end_as_it_was_and_plus_the_end_as_it_is() {
    let mut scene = Scene::new(3);
    scene.turn("a: XREAD BLOCK 0 STREAMS s $\nb: XREAD BLOCK 0 STREAMS s +");
    let both = "*1 *2 $1 s *2 *2 $3 1-0 *2 $1 f $1 v *2 $3 2-0 *2 $1 f $1 v";
    assert_eq!(
        scene.turn("c: MULTI;XADD s 1 f v;XADD s 2 f v;EXEC"),
        [
            "c: +OK +QUEUED +QUEUED *2 $3 1-0 $3 2-0".to_owned(),
            format!("a: {both}"),
            format!("b: {}", entry("2-0")),
        ]
    );
}

#[test]
fn an_entry_added_and_gone_wakes_nobody() {
    let mut scene = Scene::new(2);
    // For long: a command that takes long by the clock of a busy machine takes time from those who wait.
    scene.turn("a: XREAD BLOCK 3600000 STREAMS s $");
    assert_eq!(
        scene.turn("b: MULTI;XADD s 1 f v;DEL s;EXEC"),
        ["b: +OK +QUEUED +QUEUED *2 $3 1-0 :1"]
    );
    assert_eq!(
        scene.turn("b: MULTI;XADD s 1 f v;XDEL s 1;EXEC"),
        ["b: +OK +QUEUED +QUEUED *2 $3 1-0 :1"]
    );
    assert_eq!(scene.turn("b: DEL s;SET s v"), ["b: :1 +OK"]);
    assert_eq!(scene.pass(3_600_001), ["a: *-1"]);
}

#[test]
fn of_several_consumers_the_first_gets_the_entry() {
    let mut scene = Scene::new(3);
    scene.turn("c: XGROUP CREATE s g $ MKSTREAM");
    scene.turn(
        "a: XREADGROUP GROUP g x BLOCK 0 STREAMS s >\nb: XREADGROUP GROUP g y BLOCK 3600000 STREAMS s >",
    );
    assert_eq!(
        scene.turn("c: XADD s 1 f v"),
        ["c: $3 1-0".to_owned(), format!("a: {}", entry("1-0"))]
    );
    assert_eq!(
        scene.turn("c: XPENDING s g"),
        ["c: *4 :1 $3 1-0 $3 1-0 *1 *2 $1 x $1 1"]
    );
    assert_eq!(scene.pass(3_600_001), ["b: *-1"]);
}

#[test]
fn consumers_learn_that_their_group_is_gone() {
    const NO_GROUP: &str =
        "a: -NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
    const OTHER_TYPE: &str = "a: -WRONGTYPE Operation against a key holding the wrong kind of value";
    let check = |what: &str, answer: &str, expected: &str| {
        let mut scene = Scene::new(2);
        scene.turn("b: XGROUP CREATE s g $ MKSTREAM;XADD spare 1 f v");
        scene.turn("a: XREADGROUP GROUP g x BLOCK 0 STREAMS s >");
        assert_eq!(
            scene.turn(&format!("b: {what}")),
            [answer.to_owned(), expected.to_owned()],
            "{what}"
        );
    };
    check("XGROUP DESTROY s g", "b: :1", NO_GROUP);
    check("DEL s", "b: :1", NO_GROUP);
    check("FLUSHDB ASYNC", "b: +OK", NO_GROUP);
    check("SWAPDB 0 1", "b: +OK", NO_GROUP);
    check("RENAME s t", "b: +OK", NO_GROUP);
    check("RENAME spare s", "b: +OK", NO_GROUP);
    check("SET s v", "b: +OK", OTHER_TYPE);
    check("XGROUP DESTROY s other;XGROUP DESTROY s g", "b: :0 :1", NO_GROUP);
}

#[test]
fn history_never_waits() {
    let mut scene = Scene::new(1);
    scene.turn("a: XGROUP CREATE s g $ MKSTREAM");
    assert_eq!(
        scene.turn("a: XREADGROUP GROUP g x BLOCK 0 STREAMS s 0"),
        ["a: *1 *2 $1 s *0"]
    );
}

#[test]
fn reading_through_groups_wakes_no_watcher_but_new_entries_do() {
    let mut scene = Scene::new(2);
    scene.turn("b: XADD s 1 f v;XGROUP CREATE s g 0");
    scene.turn("a: WATCH s");
    scene.turn("b: XREADGROUP GROUP g x STREAMS s >;XACK s g 1;XGROUP SETID s g 0");
    assert_eq!(scene.turn("a: MULTI;PING;EXEC"), ["a: +OK +QUEUED *1 +PONG"]);
    scene.turn("a: WATCH s");
    scene.turn("b: XADD s 2 f v");
    assert_eq!(scene.turn("a: MULTI;PING;EXEC"), ["a: +OK +QUEUED *-1"]);
}
