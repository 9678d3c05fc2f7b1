//! The twin does what POSIX promises, and no more.

use std::io::Write;

use super::*;

fn image(twin: &Twin, fate: Fate) -> Vec<String> {
    let image = twin.state().crashed(fate);
    let shown = image.iter().map(|(path, bytes)| match bytes {
        Some(bytes) => format!("{}={}", path.display(), bytes.escape_ascii()),
        None => format!("{}/", path.display()),
    });
    shown.collect()
}

fn twin() -> Twin {
    Twin::new(State::default(), 1)
}

#[test]
fn bytes_and_names_last_once_both_are_synced() {
    let twin = twin();
    let mut file = twin.open(Path::new("a"), How::Append).expect("a new file");
    file.write_all(b"one").expect("room");
    file.sync().expect("no fault");
    assert_eq!(image(&twin, Fate::worst()), [""; 0], "its name may be lost");
    twin.sync_folder(Path::new(".")).expect("the root");
    file.write_all(b"two").expect("room");
    assert_eq!(image(&twin, Fate::worst()), ["a=one"]);
    assert_eq!(image(&twin, Fate::best()), ["a=onetwo"]);
}

#[test]
fn two_renames_without_a_sync_between_may_change_their_order() {
    let twin = twin();
    for name in ["a", "b"] {
        twin.open(Path::new(name), How::Create).expect("a new file");
    }
    twin.sync_folder(Path::new("")).expect("the root");
    twin.rename(Path::new("a"), Path::new("x")).expect("it is there");
    twin.rename(Path::new("b"), Path::new("y")).expect("it is there");
    assert_eq!(image(&twin, Fate::names(0b10, true)), ["a=", "y="]);
    assert_eq!(image(&twin, Fate::names(0b01, true)), ["b=", "x="]);
}

#[test]
fn a_sync_of_another_thread_covers_what_was_written_before_it_began() {
    let twin = twin();
    let mut file = twin.open(Path::new("a"), How::Append).expect("a new file");
    twin.sync_folder(Path::new("")).expect("the root");
    file.write_all(b"one").expect("room");
    twin.mark();
    file.write_all(b"two").expect("room");
    twin.marked(|| file.sync().expect("no fault"));
    assert_eq!(image(&twin, Fate::worst()), ["a=one"]);
}

#[test]
fn what_a_failing_sync_should_have_covered_is_lost_whatever_comes_after() {
    let twin = twin();
    let mut file = twin.open(Path::new("a"), How::Append).expect("a new file");
    twin.sync_folder(Path::new("")).expect("the root");
    file.write_all(b"one").expect("room");
    let fault = Fault {
        first: twin.attempts() + 1,
        count: 1,
        errno: libc::EIO,
    };
    twin.set_fault(Some(fault));
    assert!(file.sync().is_err());
    file.write_all(b"two").expect("room");
    file.sync().expect("the fault is over");
    assert_eq!(image(&twin, Fate::worst()), ["a=\\x00\\x00\\x00two"]);
}

#[test]
fn a_folder_takes_what_is_in_it_along() {
    let twin = twin();
    twin.create_folder(Path::new("f")).expect("a new folder");
    twin.open(Path::new("f/a"), How::Create).expect("a new file");
    twin.sync_folder(Path::new("f")).expect("it is there");
    assert_eq!(image(&twin, Fate::worst()), [""; 0]);
    twin.sync_folder(Path::new(".")).expect("the root");
    assert_eq!(image(&twin, Fate::worst()), ["f/", "f/a="]);
}

#[test]
fn a_torn_write_is_a_part_of_it_perhaps_with_zeros_behind() {
    let twin = twin();
    let mut file = twin.open(Path::new("a"), How::Append).expect("a new file");
    twin.sync_folder(Path::new("")).expect("the root");
    file.write_all(b"xxxxxxxx").expect("room");
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let found = image(&twin, Fate::chance(u64::MAX, seed)).remove(0);
        let bytes = found.trim_start_matches("a=").replace("\\x00", "0");
        assert!(
            bytes.trim_start_matches('x').trim_start_matches('0').is_empty(),
            "{bytes}"
        );
        seen.insert(bytes);
    }
    assert!(
        seen.contains("xxxxxxxx") && seen.contains("") && seen.len() > 12,
        "{seen:?}"
    );
}

#[test]
fn what_a_child_does_is_seen_bit_by_bit() {
    let twin = twin();
    twin.begin_child();
    let mut file = twin.open(Path::new("c"), How::Create).expect("a new file");
    for _ in 0..10 {
        file.write_all(b"x").expect("room");
    }
    twin.end_child();
    assert!(twin.facts(Path::new("c")).is_err() && !twin.child_is_done());
    let mut sizes = std::collections::BTreeSet::new();
    while !twin.child_is_done() {
        twin.step_child();
        sizes.insert(twin.facts(Path::new("c")).expect("created first").bytes);
    }
    assert!(sizes.len() > 4 && sizes.contains(&10), "{sizes:?}");
}

#[test]
fn a_disk_that_fills_up_takes_half_of_the_last_write() {
    let twin = twin();
    let mut file = twin.open(Path::new("a"), How::Append).expect("a new file");
    let fault = Fault {
        first: twin.attempts() + 2,
        count: 2,
        errno: libc::ENOSPC,
    };
    twin.set_fault(Some(fault));
    let failed = file.write_all(b"12345678").expect_err("no room for the rest");
    assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.size().expect("our own file"), 4);
    assert!(file.set_len(0).is_err(), "the second");
    file.set_len(0).expect("the fault is over");
}
