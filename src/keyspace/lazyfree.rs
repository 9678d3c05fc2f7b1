//! Freeing big values on a thread of its own, so that the executor never waits for the allocator or the kernel.
//!
//! The thread starts with the first value it is given and ends with the keyspace. After each piece of work it calls
//! `tell`, so that who keeps the books of memory knows at once what has come back. What is on its way is estimated, so
//! that nobody need make room for what will be there anyway.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use crate::ds::dict::Dict;

use super::entry::Entry;

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
    tell: fn(),
}

impl LazyFree {
    /// A thread that calls `tell` when it starts and whenever it has freed something.
    pub fn new(tell: fn()) -> Self {
        LazyFree {
            counts: Arc::default(),
            queue: None,
            bells: 0,
            tell,
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

    fn send(&mut self, job: Job) {
        if self.queue.is_none() {
            self.queue = start(Arc::clone(&self.counts), self.tell);
        }
        let Some(queue) = &self.queue else {
            return carry_out(job, &self.counts, self.tell);
        };
        if let Err(unsent) = queue.send(job) {
            carry_out(unsent.0, &self.counts, self.tell);
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

fn start(counts: Arc<Counts>, tell: fn()) -> Option<Sender<Job>> {
    let (sender, receiver) = channel::<Job>();
    let run = move || {
        tell();
        receiver.into_iter().for_each(|job| carry_out(job, &counts, tell));
    };
    std::thread::Builder::new()
        .name("lazy_free".into())
        .spawn(run)
        .ok()?;
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
