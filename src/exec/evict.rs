//! The limit on memory: before each command, keys go until what is left fits, or the command is told that it does not.
//!
//! ```text
//!   used by the allocator ─ buffers of followers ──> over maxmemory? ──> evict, a slice ──> room enough ──> the command runs
//!                                                                            ├── time is up: runs, the rest in the background
//!                                                                            └── nothing to evict: OOM, if it may use memory
//! ```
//!
//! The reading is exact for each command at the cost of two loads (`stats::memory`), so the limit is exceeded by no more
//! than what one command adds. How long a slice may take follows from `maxmemory-eviction-tenacity`. The amount to be freed
//! is fixed when a slice begins and what goes is measured key by key: telling followers of deletions takes memory, too,
//! and must not make further keys go.
//!
//! Not here: which key goes (`keyspace::evict`). Memory and time are arguments of [`free`].

use std::time::Duration;

use crate::config::Config;
use crate::keyspace::Keyspace;
use crate::keyspace::evict::{Chooser, Policy};
use crate::resp;
use crate::session::SessionId;
use crate::stats::Stats;

use super::{Executor, admit, effects};

/// Keys between two looks at the clock, and at memory that another thread gives back.
const KEYS_PER_LOOK: usize = 16;

/// Longest sleep while the lazy-free thread works.
const NAP_MAX: Duration = Duration::from_millis(1);

/// How it stands with memory after an attempt to get below the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// The limit is kept.
    Enough,
    /// It is not, but more keys will go.
    Coming,
    /// It is not, and no key may go.
    None,
}

/// What [`free`] works on.
trait World {
    /// Evicts a key; the bytes that gave (fewer than none if the table grew meanwhile), or `None` when no key may go.
    fn evict(&mut self) -> Option<i64>;
    /// How long the slice has taken so far.
    fn elapsed(&self) -> Duration;
    /// Whether the limit is kept by now, whoever has freed what.
    fn fits(&mut self) -> bool;
    /// Whether another thread has something to free.
    fn is_freeing(&self) -> bool;
    /// Lets it go on.
    fn sleep(&mut self, nap: Duration);
}

/// Frees `excess` bytes in at most `patience`. `lazy`: values may be freed by another thread.
fn free(world: &mut impl World, excess: u64, patience: Duration, lazy: bool) -> Room {
    let (mut freed, mut keys) = (0i64, 0usize);
    while freed < excess.min(i64::MAX as u64) as i64 {
        let Some(bytes) = world.evict() else {
            return await_freeing(world, patience);
        };
        freed = freed.saturating_add(bytes);
        keys += 1;
        if keys.is_multiple_of(KEYS_PER_LOOK) {
            if lazy && world.fits() {
                return Room::Enough;
            }
            if world.elapsed() > patience {
                return Room::Coming;
            }
        }
    }
    Room::Enough
}

/// No key is left to go, but what went before may still be on its way.
fn await_freeing(world: &mut impl World, patience: Duration) -> Room {
    while world.is_freeing() && world.elapsed() < patience {
        if world.fits() {
            return Room::Enough;
        }
        world.sleep(NAP_MAX.min(patience));
    }
    Room::None
}

/// The longest slice. Compat: half a millisecond at tenacity 10, two minutes at 99, for ever at 100.
fn patience(tenacity: i64) -> Duration {
    match tenacity.clamp(0, 100) as i32 {
        100 => Duration::MAX,
        linear @ 0..=10 => Duration::from_micros(50 * linear as u64),
        more => Duration::from_micros((500.0 * 1.15f64.powi(more - 10)) as u64),
    }
}

/// What the allocator has handed out.
fn allocated(stats: &Stats, _: &Keyspace) -> u64 {
    stats.memory.used_bytes()
}

/// The limit and how it is kept.
pub(super) struct Evictor {
    /// `maxmemory`; 0 for none.
    limit_bytes: u64,
    policy: Option<Policy>,
    samples: usize,
    patience: Duration,
    chooser: Chooser,
    /// How much memory is used; tests make it up.
    pub(super) read: fn(&Stats, &Keyspace) -> u64,
    /// Keys are to go between commands.
    continues: bool,
    /// The last command that asked found no room.
    is_short: bool,
}

impl Default for Evictor {
    fn default() -> Self {
        Evictor {
            limit_bytes: 0,
            policy: None,
            samples: 1,
            patience: Duration::ZERO,
            chooser: Chooser::default(),
            read: allocated,
            continues: false,
            is_short: false,
        }
    }
}

impl Evictor {
    /// Takes over what the configuration says.
    pub(super) fn take_config(&mut self, config: &Config) {
        let policy = Policy::parse(config.choice("maxmemory-policy"));
        if policy != self.policy {
            self.chooser.forget();
        }
        self.policy = policy;
        self.limit_bytes = config.memory("maxmemory");
        self.samples = config.int("maxmemory-samples") as usize;
        self.patience = patience(config.int("maxmemory-eviction-tenacity"));
    }

    #[inline]
    pub(super) fn is_limited(&self) -> bool {
        self.limit_bytes > 0
    }

    /// Whether keys are to go between commands.
    #[inline]
    pub(super) fn continues(&self) -> bool {
        self.continues
    }

    /// Whether the command that runs now found no room when it began.
    #[inline]
    pub(super) fn is_short(&self) -> bool {
        self.is_short && self.is_limited()
    }
}

impl Executor {
    /// The gate of memory: makes room before a command, and refuses one that would need more than there is.
    #[inline]
    pub(super) fn admit_memory(
        &mut self,
        client: SessionId,
        id: u16,
        words: resp::Args<'_>,
        reply: &mut Vec<u8>,
    ) -> Result<(), crate::command::error::Error> {
        // Compat: while a script keeps the server busy, keys do not go: their DEL would be part of it.
        if !self.evictor.is_limited() || self.running.is_some() {
            return Ok(());
        }
        let is_short = self.make_room(Some(client)) == Room::None;
        self.evictor.is_short = is_short;
        // What that tells the client itself comes before its reply.
        self.settle(reply);
        if !is_short {
            return Ok(());
        }
        let flags = self.flags_in_force(client, id, words);
        admit::memory(flags, is_short)
    }

    /// Memory in use, as the limit counts it.
    fn counted_bytes(&self) -> u64 {
        let used = (self.evictor.read)(&self.stats, &self.keys);
        used.saturating_sub(self.aof.waiting_bytes())
    }

    /// By how much the limit is exceeded, but for what closed clients and the thread that frees are about to give back.
    #[cold]
    fn excess_bytes(&mut self) -> u64 {
        let coming = self.leaving_bytes() + self.keys.lazyfree_bytes() as u64;
        let allowed = self.evictor.limit_bytes.saturating_add(coming);
        self.counted_bytes().saturating_sub(allowed)
    }

    /// Clients that hold too much go before keys do.
    #[cold]
    fn free_clients_and_keys(&mut self, client: Option<SessionId>) -> Room {
        self.evict_clients(client);
        match self.excess_bytes() {
            0 => Room::Enough,
            excess => self.free_excess(excess, client),
        }
    }

    /// `client` is whose command needs it.
    #[inline]
    fn make_room(&mut self, client: Option<SessionId>) -> Room {
        // Compat: nothing goes during a pause, nor before all is loaded.
        if self.loading.is_some() || self.server.is_holding() {
            return Room::Enough;
        }
        let excess = self.counted_bytes().saturating_sub(self.evictor.limit_bytes);
        if excess == 0 && self.server.short_since_us.is_none() {
            return Room::Enough;
        }
        let room = match excess {
            0 => Room::Enough,
            _ => self.free_clients_and_keys(client),
        };
        self.note_room(room);
        room
    }

    #[cold]
    fn free_excess(&mut self, excess: u64, client: Option<SessionId>) -> Room {
        if self.evictor.policy.is_none() {
            return Room::None;
        }
        let started = self.ticks.raw();
        let (patience, lazy) = (self.evictor.patience, self.keys.lazy.eviction);
        let room = free(
            &mut Live {
                executor: self,
                client,
                started,
            },
            excess,
            patience,
            lazy,
        );
        let spent_ns = self.ticks.nanos_between(started, self.ticks.raw());
        self.stats
            .note_latency("eviction-cycle", self.now_unix_us, spent_ns / 1_000_000);
        self.evictor.continues |= room == Room::Coming;
        // Compat: while there is work left in the background, who is not stopped is not refused either.
        room
    }

    /// Keeps the times for which the limit was exceeded.
    fn note_room(&mut self, room: Room) {
        let now_us = self.now_unix_us;
        if room != Room::Enough {
            self.server.short_since_us.get_or_insert(now_us);
        } else if let Some(since_us) = self.server.short_since_us.take() {
            self.stats.counters.eviction_exceeded_us += (now_us - since_us).max(0) as u64;
        }
    }

    /// One slice between commands.
    pub(super) fn eviction_slice(&mut self) {
        let room = if self.evictor.is_limited() {
            self.make_room(None)
        } else {
            self.note_room(Room::Enough);
            Room::Enough
        };
        self.evictor.continues = room == Room::Coming;
        effects::drain_background(self);
    }

    /// `maxmemory` has been set to another value.
    pub(super) fn limit_changed(&mut self) {
        let (limit, used) = (self.evictor.limit_bytes, self.counted_bytes());
        if 0 < limit && limit < used {
            tracing::warn!(
                "WARNING: the new maxmemory value set via CONFIG SET ({limit}) is smaller than the current memory usage \
                 ({used}). This will result in key eviction and/or the inability to accept new write commands depending \
                 on the maxmemory-policy."
            );
        }
        self.evictor.continues = true;
    }

    /// Evicts one key; the bytes that gave.
    fn evict_one(&mut self, client: Option<SessionId>) -> Option<i64> {
        let Executor {
            evictor, keys, rng, ..
        } = self;
        let victim = evictor
            .chooser
            .choose(keys, evictor.policy?, evictor.samples, rng)?;
        let used = |executor: &Executor| {
            let bytes = (executor.evictor.read)(&executor.stats, &executor.keys);
            bytes as i64 - executor.keys.lazyfree_bytes() as i64
        };
        let times = (self.slow.latency_ns != u64::MAX).then(|| self.ticks.raw());
        let before = used(self);
        let entry = self.keys.take_victim(victim)?;
        let taken = used(self);
        self.keys.note_evicted(victim.db, &entry);
        let noted = used(self);
        self.keys.free_evicted(entry);
        let freed = before - taken + noted - used(self);
        self.stats.counters.evicted_keys += 1;
        if let Some(started) = times {
            let spent_ns = self.ticks.nanos_between(started, self.ticks.raw());
            self.stats
                .note_latency("eviction-del", self.now_unix_us, spent_ns / 1_000_000);
        }
        effects::drain_eviction(self, client);
        Some(freed)
    }
}

/// The executor, in a slice that has begun.
struct Live<'e> {
    executor: &'e mut Executor,
    client: Option<SessionId>,
    started: crate::base::clock::Tick,
}

impl World for Live<'_> {
    fn evict(&mut self) -> Option<i64> {
        self.executor.evict_one(self.client)
    }

    fn elapsed(&self) -> Duration {
        let ticks = &self.executor.ticks;
        Duration::from_nanos(ticks.nanos_between(self.started, ticks.raw()))
    }

    fn fits(&mut self) -> bool {
        // The thread that frees has told what has come back.
        self.executor.excess_bytes() == 0
    }

    fn is_freeing(&self) -> bool {
        self.executor.keys.lazyfree_counts().0 > 0
    }

    fn sleep(&mut self, nap: Duration) {
        std::thread::sleep(nap);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exec::mailbox::NewClient;
    use crate::exec::outbox::Outbox;
    use crate::exec::testing::Scene;

    /// Keys of ten bytes, a microsecond each.
    struct Toy {
        keys: usize,
        evicted: u64,
        pending: u64,
        slept: u32,
    }

    fn toy(keys: usize) -> Toy {
        Toy {
            keys,
            evicted: 0,
            pending: 0,
            slept: 0,
        }
    }

    impl World for Toy {
        fn evict(&mut self) -> Option<i64> {
            self.keys = self.keys.checked_sub(1)?;
            self.evicted += 1;
            Some(10)
        }

        fn elapsed(&self) -> Duration {
            Duration::from_micros(self.evicted) + Duration::from_millis(1) * self.slept
        }

        fn fits(&mut self) -> bool {
            self.slept > 3
        }

        fn is_freeing(&self) -> bool {
            self.pending > 0
        }

        fn sleep(&mut self, _: Duration) {
            self.slept += 1;
        }
    }

    #[test]
    fn as_much_goes_as_must_and_no_more() {
        let mut world = toy(100);
        assert_eq!(free(&mut world, 95, Duration::ZERO, false), Room::Enough);
        assert_eq!(world.evicted, 10);
    }

    #[test]
    fn a_slice_ends_when_its_time_is_up() {
        let mut world = toy(1_000_000);
        let patience = Duration::from_micros(100);
        assert_eq!(free(&mut world, u64::MAX, patience, false), Room::Coming);
        assert_eq!(world.evicted, 112);
    }

    #[test]
    fn who_has_nothing_to_evict_waits_for_what_is_being_freed() {
        let mut world = toy(3);
        assert_eq!(free(&mut world, 1_000, Duration::MAX, true), Room::None);
        let mut world = Toy { pending: 1, ..toy(3) };
        assert_eq!(free(&mut world, 1_000, Duration::MAX, true), Room::Enough);
        let mut world = Toy { pending: 1, ..toy(3) };
        assert_eq!(
            free(&mut world, 1_000, Duration::from_millis(2), true),
            Room::None
        );
        assert_eq!(world.slept, 2);
    }

    #[test]
    fn patience_grows_with_tenacity() {
        assert_eq!(patience(0), Duration::ZERO);
        assert_eq!(patience(10), Duration::from_micros(500));
        assert!((118..150).contains(&patience(99).as_secs()));
        assert_eq!(patience(100), Duration::MAX);
    }

    /// A server in which each key takes 100 bytes and nothing else takes any.
    fn scene(clients: usize) -> Scene {
        let mut scene = Scene::new(clients);
        scene.executor.evictor.read = |_, keys| {
            let count: usize = (0..keys.db_count()).map(|db| keys.db(db).len()).sum();
            100 * count as u64
        };
        scene
    }

    #[test]
    fn no_key_goes_for_what_closed_clients_are_about_to_give_back() {
        let mut scene = scene(1);
        for i in 0..12 {
            scene.turn(&format!("a: SET k{i} v"));
        }
        scene.turn("a: CONFIG SET maxmemory 1000 maxmemory-policy allkeys-lru");
        let outbox = Outbox::new(0, None);
        scene.executor.admit_client(NewClient {
            addr: String::new(),
            laddr: String::new(),
            fd: 0,
            unix: true,
            local: true,
            outbox: Arc::clone(&outbox),
            batch: Box::default(),
        });
        outbox.note_output((150, 150));
        let slow = outbox.session().expect("it was let in");
        scene.executor.kill(slow);
        scene.turn("a: PING");
        assert_eq!(
            scene.executor.keys.db(0).len(),
            11,
            "two keys too many, less one and a half"
        );
        outbox.note_end();
        scene.turn("a: PING");
        assert_eq!(scene.executor.keys.db(0).len(), 10);
    }

    #[test]
    fn the_limit_is_exceeded_by_one_command_and_no_more() {
        let mut scene = scene(1);
        scene.turn("a: CONFIG SET maxmemory 1000 maxmemory-policy allkeys-lru");
        for i in 0..50 {
            assert_eq!(scene.turn(&format!("a: SET k{i} v")), ["a: +OK"]);
            assert!(scene.executor.keys.db(0).len() <= 11);
        }
        assert_eq!(scene.executor.stats.counters.evicted_keys, 39);
    }

    #[test]
    fn without_eviction_writes_are_refused_and_reads_and_deletions_are_not() {
        let mut scene = scene(1);
        scene.turn("a: SET k v;CONFIG SET maxmemory 50");
        let oom = "-OOM command not allowed when used memory > 'maxmemory'.";
        assert_eq!(
            scene.turn("a: SET j v;GET k;DEL k;SET j v"),
            [format!("a: {oom} $1 v :1 +OK")]
        );
    }

    #[test]
    fn a_transaction_fails_when_a_command_is_refused_or_the_memory_is_gone_by_then() {
        let oom = "OOM command not allowed when used memory > 'maxmemory'.";
        let mut scene = scene(2);
        scene.turn("a: SET k v;MULTI;SET k w\nb: CONFIG SET maxmemory 50");
        assert_eq!(
            scene.turn("a: EXEC;GET k"),
            [format!(
                "a: -EXECABORT Transaction discarded because of: {oom} $1 v"
            )]
        );
        assert_eq!(
            scene.turn("a: MULTI;SET k w;EXEC;MULTI;GET k;EXEC"),
            [format!(
                "a: +OK -{oom} -EXECABORT Transaction discarded because of previous errors. +OK +QUEUED *1 $1 v"
            )]
        );
    }

    #[test]
    fn a_script_finds_memory_as_it_was_when_it_began() {
        let mut scene = scene(1);
        scene.turn("a: SET k v;CONFIG SET maxmemory 50");
        let run = |scene: &mut Scene, script: &[u8]| {
            let a = scene.clients[0];
            let reply = scene.executor.run(a, &[b"EVAL", script, b"1", b"k"]);
            String::from_utf8_lossy(&reply).into_owned()
        };
        let set = b"return redis.call('set', KEYS[1], 'x')";
        assert!(run(&mut scene, set).starts_with("-OOM command not allowed"));
        let flagged = run(&mut scene, b"#!lua\nreturn redis.call('set', KEYS[1], 'x')");
        assert_eq!(
            flagged, "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
            "by the gate of the command: its script says that it may write"
        );
        let allowed = b"#!lua flags=allow-oom\nreturn redis.call('set', KEYS[1], 'x')";
        assert_eq!(run(&mut scene, allowed), "+OK\r\n");
        // Half of it would be worse.
        let begun = b"redis.call('del', KEYS[1]) return redis.call('set', KEYS[1], 'y')";
        assert_eq!(run(&mut scene, begun), "+OK\r\n");
        assert_eq!(run(&mut scene, b"#!lua flags=no-writes\nreturn 1"), ":1\r\n");
    }

    #[test]
    fn a_lower_limit_takes_effect_between_commands_and_each_key_is_told_by_itself() {
        let mut scene = scene(2);
        scene.executor.keys.changes.followed = true;
        scene.turn("a: SET k1 v;SET k2 v;CONFIG SET maxmemory-policy allkeys-random");
        scene.turn("a: MULTI;INCR x;CONFIG SET maxmemory 1;INCR x;EXEC");
        scene.journal();
        assert!(scene.executor.is_busy());
        scene.executor.go_on();
        assert!(scene.executor.keys.db(0).is_empty() && !scene.executor.is_busy());
        let told = scene.journal();
        assert!(
            told.len() == 3 && told.iter().all(|unit| unit.starts_with("0: DEL ")),
            "{told:?}"
        );
    }

    #[test]
    fn watched_keys_that_go_are_changed() {
        let mut scene = scene(1);
        scene.turn("a: SET k v;WATCH k;CONFIG SET maxmemory-policy allkeys-lru maxmemory 1");
        assert_eq!(scene.turn("a: MULTI;PING;EXEC"), ["a: +OK +QUEUED *-1"]);
    }

    #[test]
    fn who_had_it_in_a_cache_is_told_before_the_reply_that_needed_the_memory() {
        let mut scene = scene(1);
        scene.turn("a: SET k v;HELLO 3;CLIENT TRACKING ON;GET k");
        assert_eq!(
            scene.turn("a: CONFIG SET maxmemory-policy allkeys-lru maxmemory 1;ECHO x"),
            ["a: +OK >2 $10 invalidate *1 $1 k $1 x"]
        );
    }

    #[test]
    fn nothing_goes_during_a_pause() {
        let mut scene = scene(1);
        scene.turn("a: SET k v;CONFIG SET maxmemory-policy allkeys-lru maxmemory 1");
        scene.turn("a: CLIENT PAUSE 100 WRITE;GET k");
        scene.turn("a: SET k v;CONFIG SET maxmemory 0");
        assert_eq!(scene.executor.stats.counters.evicted_keys, 1, "before the pause");
    }

    #[test]
    fn the_time_over_the_limit_is_counted() {
        let mut scene = scene(1);
        scene.turn("a: SET k v;CONFIG SET maxmemory 50");
        scene.turn("a: GET k");
        assert!(scene.executor.server.short_since_us.is_some());
        scene.pass(20);
        scene.turn("a: DEL k;GET k");
        assert_eq!(scene.executor.server.short_since_us, None);
        assert_eq!(scene.executor.stats.counters.eviction_exceeded_us, 20_000);
    }
}
