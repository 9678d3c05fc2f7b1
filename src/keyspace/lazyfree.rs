//! Freeing big values on a thread of its own, so that the executor never waits for the allocator or the kernel.
//!
//! The thread starts with the first value it is given and ends with the keyspace.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use crate::base::cpus::spawn_background;
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
    Free(Garbage),
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
}

#[derive(Default)]
struct Counts {
    pending: AtomicUsize,
    freed: AtomicU64,
    rung: AtomicU64,
}

/// The way to the thread.
#[derive(Default)]
pub struct LazyFree {
    counts: Arc<Counts>,
    queue: Option<Sender<Job>>,
    bells: u64,
}

impl LazyFree {
    /// Hands `garbage` over; frees it here when no thread can be had.
    pub fn free(&mut self, garbage: Garbage) {
        self.counts
            .pending
            .fetch_add(garbage.objects(), Ordering::Relaxed);
        self.send(Job::Free(garbage));
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
            self.queue = start(Arc::clone(&self.counts));
        }
        let Some(queue) = &self.queue else {
            return carry_out(job, &self.counts);
        };
        if let Err(unsent) = queue.send(job) {
            carry_out(unsent.0, &self.counts);
        }
    }

    /// Values waiting, and values freed.
    pub fn counts(&self) -> (usize, u64) {
        (
            self.counts.pending.load(Ordering::Relaxed),
            self.counts.freed.load(Ordering::Relaxed),
        )
    }

    /// Starts counting the freed ones anew.
    pub fn reset(&mut self) {
        self.counts.freed.store(0, Ordering::Relaxed);
    }
}

fn start(counts: Arc<Counts>) -> Option<Sender<Job>> {
    let (sender, receiver) = channel::<Job>();
    let run = move || receiver.into_iter().for_each(|job| carry_out(job, &counts));
    spawn_background("lazy_free", run).ok()?;
    Some(sender)
}

fn carry_out(job: Job, counts: &Counts) {
    match job {
        Job::Free(garbage) => settle(garbage, counts),
        Job::Ring(bell) => {
            counts.rung.fetch_add(1, Ordering::Release);
            bell();
        }
    }
}

fn settle(garbage: Garbage, counts: &Counts) {
    let objects = garbage.objects();
    drop(garbage);
    counts.freed.fetch_add(objects as u64, Ordering::Relaxed);
    counts.pending.fetch_sub(objects, Ordering::Relaxed);
}
