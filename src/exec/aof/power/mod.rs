//! Loss of power and faults of the disk, at every point of a run.
//!
//! A server without a process around it (`machine`) works on a disk that records every change (`persist::disk::twin`), as
//! a random run has it (`run`): writes, transactions and scripts, rewrites, snapshots, the log turned off and on, syncs
//! that take their time. What it has promised is noted with the length of the record at that moment (`ledger`): replies let
//! go under `always`, syncs done, snapshots that are said to be saved.
//!
//! ```text
//! record:  op op op op op op op op op          every prefix, with any part of what no sync covered yet
//!             ^ cut ──> disk ──> start with appendonly yes ──> a state that existed, as new as promised by then
//!                          └───> start with appendonly no  ──> the same of snapshots
//! ```
//!
//! What a start changes on the disk is cut at every point as well, and a server that has come up again goes on.
//! Then the same runs with faults, at each operation in turn.

mod ledger;
mod machine;
mod refusal;
mod run;

use std::collections::HashMap;

use crate::persist::disk::twin::{Fate, Fault, Image, State, Twin};

use ledger::{Kept, Ledger};
use machine::Machine;
use run::Policy;

/// What a disk holds when started with the log and without.
#[derive(Clone, Copy)]
struct Found {
    log: u64,
    snapshot: u64,
}

/// Starts on disks, each kind of disk once.
#[derive(Default)]
struct Starter {
    known: HashMap<Image, Found>,
}

impl Starter {
    fn found(&mut self, image: Image, what: &str) -> Found {
        if let Some(found) = self.known.get(&image) {
            return *found;
        }
        let found = Found {
            log: start(&image, true, what),
            snapshot: start(&image, false, what),
        };
        if self.known.len().is_multiple_of(11) {
            cut_the_start(&image, found.log, what);
            go_on(&image, found.log, what);
        }
        self.known.insert(image, found);
        found
    }
}

fn shown(image: &Image) -> String {
    let lines = image.iter().map(|(path, bytes)| {
        let bytes = bytes
            .as_ref()
            .map_or(String::from("/"), |bytes| bytes.escape_ascii().to_string());
        format!("\n  {}: {bytes}", path.display())
    });
    lines.collect()
}

fn boot(image: &Image, logs: bool, what: &str) -> Machine {
    let machine = Machine::start(Twin::new(State::of_image(image), 1), logs, Policy::Always);
    assert_eq!(
        machine.exit_code(),
        None,
        "{what}: no start with appendonly {logs} from {}",
        shown(image)
    );
    machine
}

fn start(image: &Image, logs: bool, what: &str) -> u64 {
    boot(image, logs, what).digest()
}

/// Power is lost again while the server starts.
fn cut_the_start(image: &Image, expected: u64, what: &str) {
    let (twin, mut state) = (boot(image, true, what).twin.clone(), State::of_image(image));
    for (index, op) in twin.journal().iter().enumerate() {
        state.apply(op);
        for fate in Fate::all(state.pending_names(), index as u64) {
            let again = state.crashed(fate);
            let what = format!("{what}, again at step {index} of the start");
            assert_eq!(start(&again, true, &what), expected, "{what}: {}", shown(&again));
        }
    }
}

/// What is written after a start is there after the next.
fn go_on(image: &Image, found: u64, what: &str) {
    let mut machine = boot(image, true, what);
    machine.run("SET afterwards 1");
    machine.run("APPEND afterwards 2");
    let after = machine.digest();
    assert_ne!(after, found);
    assert!(machine.settle_syncs() > 0, "{what}: nobody was answered");
    let next = machine.twin.state().crashed(Fate::worst());
    assert_eq!(start(&next, true, what), after, "{what}: {}", shown(&next));
}

/// Every cut of a run.
fn cut_everywhere(machine: &Machine, ledger: &Ledger, what: &str) {
    let (mut state, mut starter) = (State::default(), Starter::default());
    let journal = machine.twin.journal();
    for cut in 0..=journal.len() {
        if cut > 0 {
            state.apply(&journal[cut - 1]);
        }
        for fate in Fate::all(state.pending_names(), cut as u64) {
            let what = format!("{what}, cut behind {cut} of {}, {fate:?}", journal.len());
            let image = state.crashed(fate);
            let found = starter.found(image.clone(), &what);
            for (kept, digest) in [(Kept::Log, found.log), (Kept::Snapshot, found.snapshot)] {
                if let Err(why) = ledger.check(kept, cut, digest) {
                    let last = &journal[cut.saturating_sub(6)..cut];
                    panic!("{what}: {why}\nlast: {last:#?}\nfrom {}", shown(&image));
                }
            }
        }
    }
}

/// Runs of a thorough test, by hand: `POWER_RUNS=20 cargo test --lib power`; `POWER_FIRST=1000` for others than the usual.
fn thorough() -> Option<u64> {
    number("POWER_RUNS")
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seeds of a test's runs.
fn seeds() -> std::ops::Range<u64> {
    let first = number("POWER_FIRST").unwrap_or(0);
    first..first + thorough().unwrap_or(1)
}

fn lose_power(policy: Policy) {
    for seed in seeds() {
        let (machine, ledger) = run::run(seed, policy, None);
        let what = format!("{policy:?}, run {seed}");
        assert!(ledger.promises(Kept::Log) > 1, "{what}: too little was promised");
        cut_everywhere(&machine, &ledger, &what);
    }
}

#[test]
fn with_always_no_loss_of_power_takes_what_was_acknowledged() {
    lose_power(Policy::Always);
}

#[test]
fn with_everysec_no_loss_of_power_takes_what_was_synced() {
    lose_power(Policy::EverySecond);
}

#[test]
fn with_no_syncs_at_all_a_loss_of_power_still_leaves_a_state_that_existed() {
    for seed in seeds().map(|seed| seed + 100) {
        let (machine, ledger) = run::run(seed, Policy::No, None);
        cut_everywhere(&machine, &ledger, &format!("no syncs, run {seed}"));
    }
}

/// The disk fails for a while at each operation in turn, and then is well again: the server takes writes again, or has
/// ended, and in no case has broken a promise.
fn fail_everywhere(policy: Policy, errno: i32, count: u64, step: usize) {
    let seed = seeds().start + 7;
    let (whole, _) = run::run(seed, policy, None);
    for first in (1..=whole.twin.attempts()).step_by(if thorough().is_some() { 1 } else { step }) {
        let fault = Fault { first, count, errno };
        let what = format!("{policy:?}, run {seed}, {fault:?}");
        let (mut machine, mut ledger) = run::run(seed, policy, Some(fault));
        machine.twin.set_fault(None);
        if machine.exit_code().is_none() {
            run::recover(&mut machine, &mut ledger, &what);
        } else {
            assert!(
                policy == Policy::Always || machine.has_failed_to_start(),
                "{what}: it has ended"
            );
        }
        let cut = machine.twin.journal_len();
        for fate in [Fate::worst(), Fate::best()] {
            let image = machine.twin.state().crashed(fate);
            let found = Found {
                log: start(&image, true, &what),
                snapshot: start(&image, false, &what),
            };
            for (kept, digest) in [(Kept::Log, found.log), (Kept::Snapshot, found.snapshot)] {
                if let Err(why) = ledger.check(kept, cut, digest) {
                    panic!("{what}: {why}\nfrom {}", shown(&image));
                }
            }
        }
    }
}

#[test]
fn with_always_a_disk_that_is_full_for_a_while_costs_nothing_acknowledged() {
    fail_everywhere(Policy::Always, libc::ENOSPC, 3, 5);
    fail_everywhere(Policy::Always, libc::ENOSPC, 20, 23);
}

#[test]
fn with_everysec_a_disk_that_is_full_for_a_while_costs_nothing_synced() {
    fail_everywhere(Policy::EverySecond, libc::ENOSPC, 3, 5);
    fail_everywhere(Policy::EverySecond, libc::ENOSPC, 20, 23);
}

#[test]
fn a_disk_with_errors_for_a_moment_costs_nothing_promised() {
    fail_everywhere(Policy::Always, libc::EIO, 1, 5);
    fail_everywhere(Policy::EverySecond, libc::EIO, 1, 5);
}
