//! Active defragmentation: when it is worth its while, and for how much of the time.
//!
//! ```text
//!   gaps in slabs ── below ignore-bytes or threshold-lower: rest
//!        │           between lower and upper: cycle-min .. cycle-max percent of the time
//!        └─ a pass over all keys:  ▌slice▐ ─────── ▌slice▐ ─────── ▌slice▐ ...     judged anew at its end
//!                                   <─ 100 / percent times the slice ─>
//! ```
//!
//! Slices lie between turns of the executor, so that no command waits for longer than one, and as long as there are
//! turns without mail in these: a slice behind commands would hold back their replies. What a slice or a late timer took
//! too long is made up for by the next pause. A fork's child keeps the old pages alive, so nothing moves then.
//!
//! A pass that gave back next to nothing of the gaps is not repeated at once, unless there are twice as many by then: what
//! is left cannot be had by moving. One
//! that closed most of them is repeated although little is left: slabs that were denser than the average when their
//! pieces were asked about are sparse now.
//!
//! Not here: what moves (`stats::compactor`), the walk (`keyspace::defrag`).

use std::time::{Duration, Instant};

use crate::base::relocate::Mover;
use crate::config::Config;
use crate::keyspace::defrag::Pass;
use crate::pubsub;
use crate::stats::compactor::{self, Compactor};

use super::Executor;
use super::script::Scripting;

/// Longest slice, and what it stops after is one step of the walk more. A client that comes at the wrong moment waits for
/// one, so with a quarter of the time taken this is what the 99th percentile grows by; a look at the mailbox between two
/// slices costs a tenth of one.
const SLICE: Duration = Duration::from_micros(15);

/// The same while nobody is served.
const UNSERVED_SLICE: Duration = Duration::from_micros(500);

/// Longest sequence of those.
const UNSERVED_MAX: Duration = Duration::from_millis(5);

/// How late a slice must be to lie behind commands: no turn has been without any for so long, in microseconds.
const OVERDUE_US: i64 = 1_000;

/// How far slices may lag behind their share before the rest of it is forgotten, in microseconds.
const LAG_MAX_US: i64 = 2_000;

/// A pass that gave back less than one in so many of the gaps was not worth its while.
const WORTHWHILE_ONE_IN: u64 = 20;

/// How long it rests after such a pass, in microseconds.
const REST_US: i64 = 10_000_000;

/// How often fragmentation is looked at in the middle of something long, in microseconds.
const JUDGE_US: i64 = 1_000_000;

/// A slice due later than this was put off by a clock that has been set back since.
const CLOCK_SET_BACK_US: i64 = 60_000_000;

/// How it stands.
#[derive(Default)]
pub(super) struct Defrag {
    /// There since it was first switched on.
    mover: Option<Compactor>,
    running: Option<Running>,
    rest: Rest,
    /// Commands wait for the end of the turn under way.
    turn_has_mail: bool,
    /// When fragmentation was last looked at in the middle of something long.
    judged_us: i64,
}

/// A time in which gaps that cannot be closed are left alone.
#[derive(Default)]
struct Rest {
    until_us: i64,
    /// Those gaps.
    gap_bytes: u64,
}

impl Rest {
    /// Whether it lasts, in spite of so many gaps. A clock that is set back ends it.
    fn lasts(&self, now_us: i64, gap_bytes: u64) -> bool {
        (now_us..=now_us + REST_US).contains(&self.until_us) && gap_bytes < 2 * self.gap_bytes
    }
}

struct Running {
    pass: Pass,
    /// Behind the keys.
    scripts: Option<usize>,
    /// Behind the scripts.
    channels: pubsub::Place,
    /// Share of the time, in percent.
    percent: u32,
    /// When the next slice is due.
    due_us: i64,
    /// Gaps when the pass began.
    gap_bytes: u64,
}

/// The directives it follows.
struct Thresholds {
    ignore_bytes: u64,
    lower: u64,
    upper: u64,
    min: u64,
    max: u64,
}

impl Thresholds {
    fn of(config: &Config) -> Thresholds {
        let number = |name| config.int(name) as u64;
        Thresholds {
            ignore_bytes: config.memory("active-defrag-ignore-bytes"),
            lower: number("active-defrag-threshold-lower"),
            upper: number("active-defrag-threshold-upper"),
            min: number("active-defrag-cycle-min"),
            max: number("active-defrag-cycle-max"),
        }
    }

    /// The share of the time, in percent, that such gaps are worth; `None` when they are not worth any.
    fn share(&self, gap_bytes: u64, allocated: u64) -> Option<u32> {
        let gaps = gap_bytes as f64 * 100.0 / allocated.max(1) as f64;
        if gap_bytes < self.ignore_bytes || gaps < self.lower as f64 {
            return None;
        }
        let range = self.upper.saturating_sub(self.lower).max(1) as f64;
        let place = (gaps - self.lower as f64) / range;
        let wanted = self.min as f64 + place * (self.max as f64 - self.min as f64);
        // Compat: a minimum above the maximum is the maximum.
        Some(wanted.max(self.min as f64).min(self.max as f64) as u32)
    }
}

impl Executor {
    /// Whether it can be switched on as the configuration says.
    ///
    /// # Errors
    /// The directive, and why not: the allocator does not tell which allocations lie badly.
    pub(super) fn check_defrag(&mut self) -> Result<(), (&'static str, String)> {
        if self.config.bool("activedefrag") && !self.defrag.has_mover() {
            let reason = "Active defragmentation cannot be enabled: it requires a Redis server compiled with a \
                          modified Jemalloc like the one shipped by default with the Redis source distribution";
            return Err(("activedefrag", reason.to_owned()));
        }
        Ok(())
    }

    /// Takes over directives that have changed.
    pub(super) fn defrag_configured(&mut self) {
        self.defrag.rest = Rest::default();
        self.judge_fragmentation(true);
    }

    /// Once a second: begins a pass when there are gaps enough, and works harder when they grow.
    pub(super) fn watch_fragmentation(&mut self) {
        self.judge_fragmentation(false);
    }

    /// `anew`: a pass that is under way may also become slower.
    fn judge_fragmentation(&mut self, anew: bool) {
        if !self.config.bool("activedefrag") {
            return self.end_defrag();
        }
        let now_us = self.now_unix_us;
        let (gap_bytes, allocated) = (compactor::gap_bytes(), self.stats.memory.totals().allocated);
        if self.defrag.rest.lasts(now_us, gap_bytes) || !self.defrag.has_mover() {
            return;
        }
        let Some(percent) = Thresholds::of(&self.config).share(gap_bytes, allocated) else {
            return;
        };
        match &mut self.defrag.running {
            Some(running) if anew => running.percent = percent,
            Some(running) => running.percent = running.percent.max(percent),
            none => {
                tracing::debug!("Starting active defrag, {gap_bytes} bytes of gaps, cpu={percent}%");
                *none = Some(Running::new(percent, now_us, gap_bytes));
                self.stats.defrag.since_us.get_or_insert(now_us);
            }
        }
        self.stats.defrag.percent = self.defrag.percent();
    }

    /// When the next slice is due, in Unix microseconds.
    #[inline]
    pub(super) fn defrag_due_us(&self) -> Option<i64> {
        let running = self.defrag.running.as_ref()?;
        self.child.is_none().then_some(running.due_us)
    }

    /// Whether a slice is due already: a timer would be late by up to a millisecond.
    #[inline]
    pub(super) fn is_defrag_due(&self) -> bool {
        self.defrag_due_us()
            .is_some_and(|due_us| due_us <= self.now_unix_us)
    }

    /// Takes note that a turn begins, with mail or without.
    #[inline]
    pub(super) fn note_turn(&mut self, has_mail: bool) {
        self.defrag.turn_has_mail = has_mail;
    }

    /// A slice, if it is due and does not hold back anybody, or is long overdue.
    #[inline]
    pub(super) fn go_on_defrag(&mut self) {
        if let Some(due_us) = self.defrag_due_us() {
            let now_us = self.now_unix_us;
            if has_its_turn(due_us, now_us, self.defrag.turn_has_mail) {
                self.defrag_slice(now_us, SLICE);
            }
        }
    }

    /// The same in the middle of something long, so much later than it began; watches fragmentation meanwhile.
    pub(super) fn defrag_beside(&mut self, elapsed: Duration) {
        let now_us = self.now_unix_us + elapsed.as_micros() as i64;
        if self.config.bool("activedefrag") && now_us - self.defrag.judged_us >= JUDGE_US {
            self.defrag.judged_us = now_us;
            self.stats.memory.refresh();
            self.watch_fragmentation();
        }
        let begun = Instant::now();
        while begun.elapsed() < UNSERVED_MAX {
            let now_us = now_us + begun.elapsed().as_micros() as i64;
            if !self.defrag_due_us().is_some_and(|due_us| is_due(due_us, now_us)) {
                return;
            }
            self.defrag_slice(now_us, UNSERVED_SLICE);
        }
    }

    #[cold]
    fn defrag_slice(&mut self, now_us: i64, slice: Duration) {
        let Defrag {
            mover: Some(mover),
            running: Some(running),
            ..
        } = &mut self.defrag
        else {
            return;
        };
        let at_once = self.config.int("active-defrag-max-scan-fields") as usize;
        let started = Instant::now();
        mover.begin(slice);
        let is_over = self.keys.relocate(&mut running.pass, at_once, mover)
            && running.relocate_scripts(self.scripting.as_deref_mut(), mover)
            && self.pubsub.registry.relocate(&mut running.channels, mover);
        let spent = started.elapsed();
        running.note_slice(now_us, spent);
        let counters = &mut self.stats.counters;
        counters.active_defrag_hits += std::mem::take(&mut mover.hits);
        counters.active_defrag_misses += std::mem::take(&mut mover.misses);
        counters.active_defrag_key_hits += std::mem::take(&mut running.pass.key_hits);
        counters.active_defrag_key_misses += std::mem::take(&mut running.pass.key_misses);
        self.stats
            .note_latency("active-defrag-cycle", self.now_unix_us, spent.as_millis() as u64);
        if is_over {
            self.end_pass();
        }
    }

    /// Begins the next pass if there is reason to.
    fn end_pass(&mut self) {
        self.stats.memory.refresh();
        if let Some(ended) = self.defrag.running.take() {
            let left = compactor::gap_bytes();
            let gained = ended.gap_bytes.saturating_sub(left);
            tracing::debug!("Active defrag done, {gained} bytes of gaps less, {left} left");
            if gained > left {
                self.defrag.running = Some(Running::new(ended.percent, self.now_unix_us, left));
                return;
            }
            if gained < ended.gap_bytes / WORTHWHILE_ONE_IN {
                self.defrag.rest = Rest {
                    until_us: self.now_unix_us + REST_US,
                    gap_bytes: left,
                };
            }
        }
        self.judge_fragmentation(true);
        if self.defrag.running.is_none() {
            self.end_defrag();
        }
    }

    fn end_defrag(&mut self) {
        self.defrag.running = None;
        self.stats.defrag.percent = 0;
        if let Some(since_us) = self.stats.defrag.since_us.take() {
            self.stats.counters.active_defrag_us += (self.now_unix_us - since_us).max(0) as u64;
        }
    }
}

/// A clock set back must not stop it until it has caught up.
fn is_due(due_us: i64, now_us: i64) -> bool {
    due_us <= now_us || due_us > now_us + CLOCK_SET_BACK_US
}

/// Whether a slice comes now, at the end of a turn with mail or without.
fn has_its_turn(due_us: i64, now_us: i64, turn_has_mail: bool) -> bool {
    is_due(due_us, now_us) && (!turn_has_mail || is_due(due_us + OVERDUE_US, now_us))
}

impl Defrag {
    fn has_mover(&mut self) -> bool {
        self.mover = self.mover.take().or_else(Compactor::new);
        self.mover.is_some()
    }

    fn percent(&self) -> u32 {
        self.running.as_ref().map_or(0, |running| running.percent)
    }
}

impl Running {
    /// At the beginning of a pass.
    fn new(percent: u32, due_us: i64, gap_bytes: u64) -> Running {
        Running {
            pass: Pass::default(),
            scripts: Some(0),
            channels: pubsub::Place::default(),
            percent,
            due_us,
            gap_bytes,
        }
    }

    /// Offers the texts of scripts; true when that is over.
    fn relocate_scripts(&mut self, scripting: Option<&mut Scripting>, mover: &mut dyn Mover) -> bool {
        if let (Some(cursor), Some(scripts)) = (self.scripts, scripting.and_then(Scripting::texts)) {
            self.scripts = Some(scripts.relocate(cursor, mover)).filter(|&cursor| cursor != 0);
            return self.scripts.is_none();
        }
        true
    }

    /// Puts the next slice off for as long as this one is to be paid for.
    fn note_slice(&mut self, now_us: i64, spent: Duration) {
        let pays_us = spent.as_micros() as i64 * 100 / i64::from(self.percent.max(1));
        self.due_us = (self.due_us.min(now_us) + pays_us).max(now_us - LAG_MAX_US);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::relocate::MoveAll;
    use crate::base::rng::Rng;

    const DEFAULTS: Thresholds = Thresholds {
        ignore_bytes: 100,
        lower: 10,
        upper: 100,
        min: 1,
        max: 25,
    };

    #[test]
    fn the_share_grows_with_the_gaps_within_its_bounds() {
        let shares = [99, 100, 1000, 5_500, 10_000, 90_000].map(|gaps| DEFAULTS.share(gaps, 10_000));
        assert_eq!(shares, [None, None, Some(1), Some(13), Some(25), Some(25)]);
        assert_eq!(DEFAULTS.share(99, 100), None, "too little to care");
        assert_eq!(DEFAULTS.share(100, 0), Some(25));
    }

    #[test]
    fn odd_bounds_are_kept_to_as_far_as_they_go() {
        let bounds = |lower, upper, min, max| Thresholds {
            lower,
            upper,
            min,
            max,
            ..DEFAULTS
        };
        assert_eq!(bounds(50, 50, 5, 20).share(6_000, 10_000), Some(20));
        assert_eq!(bounds(10, 100, 30, 20).share(5_000, 10_000), Some(20));
        assert_eq!(bounds(10, 100, 7, 7).share(5_000, 10_000), Some(7));
    }

    #[test]
    fn slices_come_before_commands_only_when_they_would_never_come() {
        let at = |now_us, has_mail| has_its_turn(5_000, now_us, has_mail);
        assert_eq!([4_999, 5_000].map(|now_us| at(now_us, false)), [false, true]);
        assert_eq!(
            [5_000, 5_999, 6_000].map(|now_us| at(now_us, true)),
            [false, false, true]
        );
        let set_back = has_its_turn(CLOCK_SET_BACK_US * 2, 0, false);
        assert!(set_back, "it would stand still for minutes");
    }

    #[test]
    fn a_rest_ends_in_time_or_when_there_are_twice_as_many_gaps() {
        let rest = Rest {
            until_us: REST_US,
            gap_bytes: 1_000,
        };
        assert!(rest.lasts(0, 1_999) && rest.lasts(REST_US, 0));
        assert!(!rest.lasts(0, 2_000), "new ones");
        assert!(!rest.lasts(REST_US + 1, 0) && !rest.lasts(-1, 0));
        assert!(!Rest::default().lasts(0, 0));
    }

    #[test]
    fn slices_keep_to_their_share_of_the_time() {
        let (mut running, slice) = (Running::new(25, 0, 0), Duration::from_micros(500));
        let (mut now_us, mut slices) = (0, 0);
        // A timer that is up to a millisecond late.
        while now_us < 1_000_000 {
            if now_us >= running.due_us {
                running.note_slice(now_us, slice);
                slices += 1;
                now_us += 500;
            } else {
                now_us = running.due_us / 1000 * 1000 + 1000;
            }
        }
        assert!((490..=510).contains(&slices), "{slices} of half a millisecond");
    }

    /// Commands on keys of every type, which grow big under the limits of [`scene`].
    fn command(rng: &mut Rng, number: u64) -> Vec<Vec<u8>> {
        let any = |rng: &mut Rng, below: u64| rng.below(below).to_string();
        let (key, member) = (any(rng, 3), format!("member:{}", any(rng, 400)));
        let value = "v".repeat(rng.below(120) as usize);
        let words = match rng.below(16) {
            0 => format!("SET string:{} {value}.", any(rng, 300)),
            1 => format!("APPEND string:{} {value}.", any(rng, 20)),
            2 => format!("SETRANGE long:{key} {} x", any(rng, 9000)),
            3 | 4 => format!("HSET hash:{key} {member} {value}."),
            5 => format!("HPEXPIRE hash:{key} 900000 FIELDS 1 {member}"),
            6 => format!("HSET few:{key} {} {}", any(rng, 4), "x".repeat(70)),
            7 => format!("SADD set:{key} {member}"),
            8 => format!("SADD ints:{key} {}", any(rng, 90)),
            9 => format!("ZADD zset:{key} {} {member}", any(rng, 5)),
            10 | 11 => format!("RPUSH list:{key} {value}. {member}"),
            12 => format!("XADD stream:{key} {number}-1 field {value}."),
            13 => format!("XGROUP CREATE stream:{key} {member} 0"),
            14 => format!(
                "XREADGROUP GROUP {member} {} COUNT 2 STREAMS stream:{key} >",
                any(rng, 30)
            ),
            _ => match rng.below(8) {
                0 => format!(
                    "DEL {}:{key}",
                    ["hash", "set", "zset", "list", "stream"][rng.below(5) as usize]
                ),
                1 => format!("RENAME string:{} list:{key}", any(rng, 300)),
                2 => format!("ZREM zset:{key} {member}"),
                3 => format!("LTRIM list:{key} 2 -3"),
                4 => format!("XTRIM stream:{key} MAXLEN 40"),
                5 => format!("SWAPDB 0 {}", rng.below(2)),
                6 => format!("HDEL hash:{key} {member}"),
                _ => format!("PEXPIRE string:{} 900000", any(rng, 300)),
            },
        };
        words.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    fn scene() -> (Executor, crate::session::SessionId) {
        let mut executor = Executor::for_tests();
        for (name, value) in [
            ("list-max-listpack-size", "5"),
            ("list-compress-depth", "2"),
            ("hash-max-listpack-entries", "4"),
            ("set-max-listpack-entries", "4"),
            ("zset-max-listpack-entries", "4"),
            ("stream-node-max-entries", "3"),
        ] {
            assert!(executor.config.assign(name, value.as_bytes()).is_ok());
        }
        executor.take_slices();
        let client = executor.connect();
        (executor, client)
    }

    #[test]
    fn whatever_moves_meanwhile_nobody_can_tell() {
        for seed in 0..12 {
            let mut rng = Rng::seeded(seed);
            let ((mut moved, client), (mut still, other)) = (scene(), scene());
            let (mut pass, mut passes, mut moves) = (Pass::default(), 0, 0);
            for number in 1..2500 {
                let words = command(&mut rng, number);
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                let replies = [moved.run(client, &words), still.run(other, &words)];
                assert_eq!(replies[0], replies[1], "{words:?}");
                let mut mover = MoveAll::pausing_after(rng.below(4));
                if rng.below(3) == 0 && moved.keys.relocate(&mut pass, rng.below(40) as usize, &mut mover) {
                    pass = Pass::default();
                    passes += 1;
                }
                moves += mover.moved;
            }
            assert!(passes > 2 && moves > 2_000, "{passes} passes, {moves} moves");
            let digest: [&[u8]; 2] = [b"DEBUG", b"DIGEST"];
            assert_eq!(moved.run(client, &digest), still.run(other, &digest));
            for stream in 0..3 {
                let name = format!("stream:{stream}");
                let groups: [&[u8]; 4] = [b"XINFO", b"STREAM", name.as_bytes(), b"FULL"];
                assert_eq!(moved.run(client, &groups), still.run(other, &groups));
            }
        }
    }

    #[test]
    fn keys_are_counted_by_whether_anything_moved() {
        let (mut executor, client) = scene();
        for number in 0..300 {
            let (key, value) = (format!("key:{number}"), "v".repeat(number));
            executor.run(client, &[b"RPUSH", b"list", key.as_bytes(), value.as_bytes()]);
            executor.run(client, &[b"SET", key.as_bytes(), value.as_bytes()]);
        }
        let mut pass = Pass::default();
        while !executor
            .keys
            .relocate(&mut pass, 10, &mut MoveAll::pausing_after(5))
        {}
        assert_eq!((pass.key_hits, pass.key_misses), (301, 0));
    }

    #[test]
    fn it_cannot_be_switched_on_without_the_allocator() {
        let mut executor = Executor::for_tests();
        let client = executor.connect();
        let reply = executor.run(client, &[b"CONFIG", b"SET", b"activedefrag", b"yes"]);
        assert!(
            reply.starts_with(
                b"-ERR CONFIG SET failed (possibly related to argument 'activedefrag') - Active"
            )
        );
        assert!(!executor.config.bool("activedefrag"));
        assert_eq!(executor.defrag_due_us(), None);
    }
}
