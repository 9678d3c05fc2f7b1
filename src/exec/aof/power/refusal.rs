//! A disk that does not come back to the server, or takes nothing more: what is kept meanwhile, and what becomes of it.

use crate::persist::disk::twin::{Fate, State, Twin};

use super::boot;
use super::machine::Machine;
use super::run::Policy;

fn machine(policy: Policy) -> Machine {
    let mut machine = Machine::start(Twin::new(State::default(), 1), true, policy);
    machine.run("INCR n");
    machine.settle_syncs();
    machine
}

/// What the next start would find.
fn found(machine: &Machine, fate: Fate, what: &str) -> i64 {
    let image = machine.twin.state().crashed(fate);
    let reply = boot(&image, true, what).run("INCRBY n 0");
    let digits = reply.trim_start_matches(':').trim_end();
    digits.parse().expect("a number")
}

#[test]
fn a_sync_that_does_not_end_holds_writes_back_for_two_seconds_and_no_longer() {
    const STEP_MS: i64 = 250;
    const MEMORY_MS_MAX: i64 = 2_000;
    let mut machine = machine(Policy::EverySecond);
    machine.run("INCR n");
    machine.end_turn();
    assert!(machine.begin_sync(), "it is due");
    let mut acknowledged = vec![(0, 2)];
    for step in 1..=40 {
        machine.pass(STEP_MS);
        let (now_ms, value) = (step * STEP_MS, acknowledged.len() as i64 + 2);
        assert_eq!(machine.run("INCR n"), format!(":{value}\r\n"));
        machine.answer(1);
        assert_eq!(machine.end_turn(), [1], "nobody waits for the disk");
        acknowledged.push((now_ms, value));
        // The server is killed: what it has handed to the system stays.
        let kept = found(&machine, Fate::best(), "killed while a sync does not end");
        let lost = acknowledged.iter().find(|(_, value)| *value > kept);
        assert!(
            lost.is_none_or(|(since_ms, _)| now_ms - since_ms < MEMORY_MS_MAX),
            "at {now_ms} ms of {acknowledged:?} up to {kept} is kept"
        );
    }
    let delayed = machine.executor.stats.counters.aof_delayed_fsync;
    assert!((3..=5).contains(&delayed), "{delayed} times in ten seconds");
    // Nobody asks any more, and time alone has the rest written.
    let wake_at_ms = machine.executor.aof.wake_at_ms();
    machine.pass(MEMORY_MS_MAX);
    assert!(wake_at_ms.is_none_or(|at_ms| at_ms * 1000 <= machine.executor.now_unix_us));
    machine.end_turn();
    let (_, last) = acknowledged[acknowledged.len() - 1];
    assert_eq!(found(&machine, Fate::best(), "killed later"), last);
    // It ends at last, and the next one makes all of it last.
    assert!(machine.end_sync());
    machine.settle_syncs();
    assert_eq!(found(&machine, Fate::worst(), "power is lost"), last);
}

#[test]
fn a_server_whose_log_misses_something_does_not_end_unless_it_is_forced() {
    for policy in [Policy::EverySecond, Policy::No, Policy::Always] {
        let mut machine = machine(policy);
        machine.twin.set_full(true);
        machine.run("INCR n");
        machine.end_turn();
        let refused = machine.run("SHUTDOWN NOSAVE");
        assert_eq!(
            refused, "-ERR Errors trying to SHUTDOWN. Check logs.\r\n",
            "{policy:?}"
        );
        machine.executor.ask_to_stop(false);
        assert_eq!(machine.exit_code(), None, "{policy:?}: nor does a signal end it");
        // Somebody makes room.
        machine.twin.set_full(false);
        machine.run("SHUTDOWN NOSAVE");
        assert_eq!(machine.exit_code(), Some(0), "{policy:?}");
        assert_eq!(found(&machine, Fate::worst(), "after the end"), 2, "{policy:?}");
    }
}

#[test]
fn a_server_that_is_forced_to_end_does_though_its_log_misses_something() {
    let mut machine = machine(Policy::EverySecond);
    machine.twin.set_full(true);
    machine.run("INCR n");
    machine.end_turn();
    machine.run("SHUTDOWN NOSAVE FORCE");
    assert_eq!(machine.exit_code(), Some(0));
    machine.twin.set_full(false);
    assert_eq!(found(&machine, Fate::best(), "after the end"), 1);
}
