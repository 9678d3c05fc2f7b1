//! Freeing big values on a thread of its own, so that the executor never waits for the allocator or the kernel.
//!
//! The thread starts with the first value it is given and ends with the keyspace. After each piece of work it calls
//! `tell`, so that who keeps the books of memory knows at once what has come back. What is on its way is estimated, so
//! that nobody need make room for what will be there anyway.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::base::cpus::spawn_background;
use crate::ds::dict::Dict;

use super::entry::Entry;

/// How long the thread has nothing to do before it rests.
const BREATHER: Duration = Duration::from_millis(50);

/// What the thread frees.
pub enum Garbage {
    /// One entry.
    Entry(Entry),
    /// A whole table.
    Table(Dict<Entry>),
    /// Something of another room, in so many parts.
    Other(Box<dyn Any + Send>, usize),
}

/// Called when all is freed that was handed over before.
pub type Bell = Box<dyn Fn() + Send>;

enum Job {
    /// With the bytes that this will give, about.
    Free(Garbage, usize),
    Ring(Bell),
}

impl Garbage {
    fn objects(&self) -> usize {
        match self {
            Garbage::Entry(_) => 1,
            Garbage::Table(table) => table.len(),
            Garbage::Other(_, parts) => *parts,
        }
    }

    /// About how many bytes it takes; 0 where nobody can tell. Looks at a few elements.
    fn bytes(&self) -> usize {
        const SAMPLES: usize = 5;
        match self {
            Garbage::Entry(entry) => entry.sampled_bytes(SAMPLES),
            Garbage::Table(table) => {
                let sample = table.iter().take(SAMPLES);
                let bytes: usize = sample.map(|entry| entry.sampled_bytes(SAMPLES)).sum();
                table.heap_bytes() + bytes * table.len() / SAMPLES.min(table.len().max(1))
            }
            Garbage::Other(..) => 0,
        }
    }
}

#[derive(Default)]
struct Counts {
    pending: AtomicUsize,
    pending_bytes: AtomicUsize,
    freed: AtomicU64,
    rung: AtomicU64,
}

/// The way to the thread.
pub struct LazyFree {
    counts: Arc<Counts>,
    queue: Option<Sender<Job>>,
    bells: u64,
    habits: Habits,
}

/// What the thread does beside its work.
#[derive(Clone, Copy)]
pub struct Habits {
    /// When it starts and whenever it has freed something.
    pub tell: fn(),
    /// When it has had nothing to do for a moment: what an allocator's cache holds for a thread keeps pages from coming
    /// free, and this one may not be needed again for long.
    pub rest: fn(),
}

impl Default for Habits {
    fn default() -> Self {
        Habits {
            tell: || {},
            rest: || {},
        }
    }
}

impl LazyFree {
    /// No thread yet; it will have such habits.
    pub fn new(habits: Habits) -> Self {
        LazyFree {
            counts: Arc::default(),
            queue: None,
            bells: 0,
            habits,
        }
    }

    /// Hands `garbage` over; frees it here when no thread can be had.
    pub fn free(&mut self, garbage: Garbage) {
        self.counts
            .pending
            .fetch_add(garbage.objects(), Ordering::Relaxed);
        let bytes = garbage.bytes();
        self.counts.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.send(Job::Free(garbage, bytes));
    }

    /// Has `bell` called when all is freed that was handed over before; its number.
    pub fn hang_bell(&mut self, bell: Bell) -> u64 {
        self.bells += 1;
        self.send(Job::Ring(bell));
        self.bells
    }

    /// The number of the last bell that has rung.
    pub fn rung(&self) -> u64 {
        self.counts.rung.load(Ordering::Acquire)
    }

    /// Frees here from now on, without the thread: for a forked child, which has none. What was on its way to it stays.
    pub fn stay_here(&mut self) {
        let (nowhere, _) = channel();
        // The end of the way may be locked for ever.
        std::mem::forget(self.queue.replace(nowhere));
    }

    fn send(&mut self, job: Job) {
        if self.queue.is_none() {
            self.queue = start(Arc::clone(&self.counts), self.habits);
        }
        let Some(queue) = &self.queue else {
            return carry_out(job, &self.counts, self.habits.tell);
        };
        if let Err(unsent) = queue.send(job) {
            carry_out(unsent.0, &self.counts, self.habits.tell);
        }
    }

    /// About how many bytes will come back.
    pub fn pending_bytes(&self) -> usize {
        self.counts.pending_bytes.load(Ordering::Acquire)
    }

    /// Values waiting, and values freed.
    pub fn counts(&self) -> (usize, u64) {
        (
            self.counts.pending.load(Ordering::Acquire),
            self.counts.freed.load(Ordering::Relaxed),
        )
    }

    /// Starts counting the freed ones anew.
    pub fn reset(&mut self) {
        self.counts.freed.store(0, Ordering::Relaxed);
    }
}

/// The next job; rests before a long wait for it.
fn next_job(receiver: &Receiver<Job>, rest: fn()) -> Option<Job> {
    match receiver.recv_timeout(BREATHER) {
        Err(RecvTimeoutError::Timeout) => {
            rest();
            receiver.recv().ok()
        }
        job => job.ok(),
    }
}

fn start(counts: Arc<Counts>, habits: Habits) -> Option<Sender<Job>> {
    let (sender, receiver) = channel::<Job>();
    let run = move || {
        (habits.tell)();
        while let Some(job) = next_job(&receiver, habits.rest) {
            carry_out(job, &counts, habits.tell);
        }
    };
    spawn_background("lazy_free", run).ok()?;
    Some(sender)
}

fn carry_out(job: Job, counts: &Counts, tell: fn()) {
    match job {
        Job::Free(garbage, bytes) => settle(garbage, bytes, counts, tell),
        Job::Ring(bell) => {
            counts.rung.fetch_add(1, Ordering::Release);
            bell();
        }
    }
}

fn settle(garbage: Garbage, bytes: usize, counts: &Counts, tell: fn()) {
    let objects = garbage.objects();
    drop(garbage);
    // Before anybody is told that nothing is pending any more.
    tell();
    counts.freed.fetch_add(objects as u64, Ordering::Relaxed);
    counts.pending_bytes.fetch_sub(bytes, Ordering::Release);
    counts.pending.fetch_sub(objects, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::Keyspace;
    use super::super::entry::NewValue;
    use super::super::gate::SetExpiry;
    use super::*;
    use crate::base::hash::KeyHasher;

    static TOLD: AtomicUsize = AtomicUsize::new(0);
    static RESTED: AtomicUsize = AtomicUsize::new(0);

    /// Waits until `count` is at least `least`.
    fn await_count(count: &AtomicUsize, least: usize) {
        let begun = Instant::now();
        while count.load(Ordering::Acquire) < least {
            assert!(begun.elapsed() < Duration::from_secs(20), "{count:?} of {least}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_freed_is_told_before_it_is_pending_no_more_and_behind_all_work_is_a_rest() {
        let mut lazyfree = LazyFree::new(Habits {
            tell: || _ = TOLD.fetch_add(1, Ordering::Release),
            rest: || _ = RESTED.fetch_add(1, Ordering::Release),
        });
        let parts = |count: usize| Garbage::Other(Box::new(vec![0u8; 1000]), count);
        lazyfree.free(parts(70));
        lazyfree.free(parts(30));
        let begun = Instant::now();
        while lazyfree.counts().0 > 0 && begun.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        assert!(TOLD.load(Ordering::Acquire) >= 3, "once at its start");
        assert_eq!(lazyfree.counts(), (0, 100));
        await_count(&RESTED, 1);
        lazyfree.free(parts(1));
        await_count(&RESTED, 2);
        assert_eq!(TOLD.load(Ordering::Acquire), 4);
    }

    #[test]
    fn a_table_is_taken_for_about_what_it_holds() {
        let mut keys = Keyspace::new(1, KeyHasher::with_seed(1));
        for n in 0..1000 {
            let name = format!("key:{n}");
            let key = keys.key(name.as_bytes());
            keys.set(key, NewValue::Bytes(&[b'x'; 1000]), SetExpiry::Clear);
        }
        let table = std::mem::replace(&mut keys.dbs[0].dict, Dict::new(KeyHasher::with_seed(1)));
        let exact = table.heap_bytes() + table.iter().map(|entry| entry.sampled_bytes(0)).sum::<usize>();
        let estimated = Garbage::Table(table).bytes();
        assert!(estimated.abs_diff(exact) * 100 < exact * 5, "{estimated} {exact}");
        assert_eq!(Garbage::Other(Box::new(1), 1).bytes(), 0);
    }
}
