//! A random run.

use crate::base::rng::Rng;
use crate::exec::aof::State as LogState;
use crate::persist::disk::twin::{Fault, State, Twin};
use crate::stats::persistence::ChildKind;

use super::ledger::{Kept, Ledger};
use super::machine::Machine;

/// `appendfsync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Always,
    EverySecond,
    No,
}

impl Policy {
    pub fn word(self) -> &'static str {
        match self {
            Policy::Always => "always",
            Policy::EverySecond => "everysec",
            Policy::No => "no",
        }
    }
}

/// Turns of a run, and of one by hand.
const TURNS: u64 = 25;
const TURNS_THOROUGH: u64 = 60;

/// What clients send: each is one step from one state to the next.
const UNITS: &[&str] = &[
    "SET k{} {n}",
    "INCR n{}",
    "INCR n{}",
    "APPEND a{} {n}",
    "RPUSH l{} {n} x",
    "LPOP l{}",
    "SADD s {n}",
    "HSET h f{} {n}",
    "HINCRBY h c 1",
    "ZINCRBY z 1.5 m{}",
    "XADD x {n}-1 f v",
    "EXPIRE k{} 5000",
    "DEL k{}",
    "MULTI;INCR n{};RPUSH l{} {n};EXEC",
    "MULTI;SELECT 3;INCR far;SELECT 0;INCR n{};EXEC",
    "EVAL redis.call('incr','n1')redis.call('rpush','l1','lua') 0",
    "FLUSHALL",
];

struct Run {
    machine: Machine,
    ledger: Ledger,
    rng: Rng,
    policy: Policy,
    number: u64,
    /// The state at the last fork.
    forked: usize,
    /// The state that the sync under way covers.
    syncing: usize,
    /// The last state that was made while every answer had to wait.
    strict: usize,
    /// A sync has failed since the last rewrite: what others cover counts no more.
    doubtful: bool,
}

/// What is compared with what was before.
#[derive(Clone, Copy, PartialEq)]
struct Seen {
    log: LogState,
    child: Option<ChildKind>,
}

impl Run {
    fn seen(&self) -> Seen {
        let executor = &self.machine.executor;
        Seen {
            log: executor.aof.state,
            child: executor.child.as_ref().map(|job| job.kind),
        }
    }

    fn at(&self) -> usize {
        self.machine.twin.journal_len()
    }

    /// One step of a client.
    fn unit(&mut self) {
        self.number += 1;
        let unit = UNITS[self.rng.index(UNITS.len())];
        let unit = if unit == "FLUSHALL" && self.rng.below(4) > 0 {
            "INCR n1"
        } else {
            unit
        };
        let text = unit
            .replace("{}", &self.rng.below(3).to_string())
            .replace("{n}", &self.number.to_string());
        let at = self.at();
        for line in text.split(';') {
            self.machine.run(line);
        }
        self.ledger.note_state(self.machine.digest(), at);
        if self.is_strict() {
            self.strict = self.ledger.now();
        }
    }

    fn is_strict(&self) -> bool {
        self.policy == Policy::Always && self.machine.executor.aof.state == LogState::On
    }

    /// Somebody looks after the server.
    fn administer(&mut self) {
        let logs = self.machine.executor.aof.state != LogState::Off;
        match self.rng.below(9) {
            0..3 => self.order("BGREWRITEAOF"),
            3 => self.order("BGSAVE"),
            4 => self.order("SAVE"),
            5 | 6 if !logs => self.order("CONFIG SET appendonly yes"),
            5 => self.order("CONFIG SET appendonly no"),
            _ => {}
        }
    }

    fn order(&mut self, line: &str) {
        let before = self.seen();
        let answer = self.machine.run(line);
        let after = self.seen();
        if after.child != before.child {
            self.forked = self.ledger.now();
        }
        if line == "SAVE" && answer.starts_with("+OK") {
            self.ledger.promise(Kept::Snapshot, self.ledger.now(), self.at());
        }
    }

    /// Time passes: children end and are begun.
    fn pass(&mut self, ms: i64) {
        let before = self.seen();
        self.machine.pass(ms);
        let after = self.seen();
        let facts = &self.machine.executor.stats.persistence;
        let ended = before.child.filter(|_| after.child != before.child);
        if ended == Some(ChildKind::Snapshot) && facts.last_bgsave_ok {
            self.ledger.promise(Kept::Snapshot, self.forked, self.at());
        }
        if ended == Some(ChildKind::Rewrite) && facts.aof.last_rewrite_ok {
            self.doubtful = false;
            if after.log == LogState::On {
                self.ledger.promise(Kept::Log, self.forked, self.at());
            }
        }
        if after.child.is_some() && after.child != before.child {
            self.forked = self.ledger.now();
        }
    }

    /// The end of a turn, and what syncs do.
    fn end_turn(&mut self) {
        if self.rng.below(2) == 0 {
            // The executor does not sync by itself then.
            let executor = &mut self.machine.executor;
            executor.aof.bystander_us = executor.now_unix_us;
        }
        self.machine.answer(self.strict);
        let is_strict = self.is_strict();
        for state in self.machine.end_turn() {
            if is_strict {
                self.ledger.promise(Kept::Log, state, self.at());
            }
        }
        if self.machine.begin_sync() {
            assert!(
                self.machine.executor.aof.buffer.is_empty(),
                "it would miss something"
            );
            self.syncing = self.ledger.now();
        }
        let is_logged = self.machine.executor.aof.state == LogState::On;
        self.doubtful |= self.machine.executor.aof.lost.is_some();
        if self.machine.is_syncing() && self.rng.below(2) == 0 {
            self.doubtful |= !self.machine.end_sync();
            if is_logged && !self.doubtful {
                self.ledger.promise(Kept::Log, self.syncing, self.at());
            }
        }
    }

    /// The server is to end: nobody asks it for anything any more.
    fn is_over(&self) -> bool {
        self.machine.exit_code().is_some()
    }

    fn turn(&mut self) {
        for _ in 0..self.rng.below(4) {
            self.unit();
        }
        if self.rng.below(3) == 0 {
            self.administer();
        }
        self.end_turn();
        if !self.is_over() {
            let ms = [50, 300, 700, 1_100][self.rng.index(4)];
            self.pass(ms);
        }
        if !self.is_over() {
            self.end_turn();
        }
    }
}

/// Runs a server from an empty disk on; with a fault, until that ends it.
pub fn run(seed: u64, policy: Policy, fault: Option<Fault>) -> (Machine, Ledger) {
    let twin = Twin::new(State::default(), seed);
    twin.set_fault(fault);
    let mut machine = Machine::start(twin, true, policy);
    let mut ledger = Ledger::default();
    ledger.note_state(machine.digest(), 0);
    let mut run = Run {
        machine,
        ledger,
        rng: Rng::seeded(seed),
        policy,
        number: 0,
        forked: 0,
        syncing: 0,
        strict: 0,
        doubtful: false,
    };
    let turns = if super::thorough().is_some() {
        TURNS_THOROUGH
    } else {
        TURNS
    };
    for _ in 0..turns {
        if run.is_over() {
            break;
        }
        run.turn();
    }
    (run.machine, run.ledger)
}

/// The disk is well again: so must be the server before long.
pub fn recover(machine: &mut Machine, ledger: &mut Ledger, what: &str) {
    const PATIENCE: usize = 600;
    for _ in 0..PATIENCE {
        machine.end_turn();
        machine.begin_sync();
        machine.end_sync();
        machine.pass(1_100);
        if machine.exit_code().is_some() {
            return;
        }
        if machine.executor.aof.fault().is_none() && machine.executor.aof.state != LogState::Waiting {
            break;
        }
    }
    let at = machine.twin.journal_len();
    let answer = machine.run("SET recovered 1");
    assert_eq!(answer, "+OK\r\n", "{what}: writes are refused for ever");
    ledger.note_state(machine.digest(), at);
    let answered = machine.settle_syncs();
    assert!(answered > 0, "{what}: nobody is answered");
    if machine.executor.aof.state == LogState::On {
        ledger.promise(Kept::Log, ledger.now(), machine.twin.journal_len());
    }
}
