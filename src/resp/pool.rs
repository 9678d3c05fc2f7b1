//! Batches between two uses, one pool per I/O thread: idle connections hold none.
//!
//! What lies here is nobody's in particular, so it is no client's that `maxmemory-clients` could close: it is bounded, and
//! told as an overhead of its own ([`kept_bytes`]).

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Batch;

/// Bytes kept; what is more is freed. A batch of small commands has 20 KiB or so: with more connections than a hundred at
/// work at once, some allocate.
const KEPT_BYTES_MAX: usize = 2 << 20;

/// The pool of one thread.
#[derive(Default)]
struct Pool {
    #[expect(
        clippy::vec_box,
        reason = "a batch travels in its box; the pool keeps the box"
    )]
    batches: Vec<Box<Batch>>,
    /// What they take.
    bytes: usize,
    /// The same, for everybody to see.
    told: Arc<AtomicUsize>,
}

/// What each thread's pool takes.
static POOLS: Mutex<Vec<Arc<AtomicUsize>>> = Mutex::new(Vec::new());

/// Bytes that the pools of all threads keep. O(threads).
pub fn kept_bytes() -> u64 {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    pools.retain(|bytes| Arc::strong_count(bytes) > 1);
    pools
        .iter()
        .map(|bytes| bytes.load(Ordering::Relaxed) as u64)
        .sum()
}

/// What a batch takes that nobody uses.
fn size_of_batch(batch: &Batch) -> usize {
    size_of::<Batch>() + batch.heap_bytes()
}

impl Pool {
    fn new() -> Pool {
        let pool = Pool::default();
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.push(Arc::clone(&pool.told));
        pool
    }

    fn resize(&mut self, bytes: usize) {
        self.bytes = bytes;
        self.told.store(bytes, Ordering::Relaxed);
    }

    fn take(&mut self) -> Option<Box<Batch>> {
        let batch = self.batches.pop()?;
        self.resize(self.bytes - size_of_batch(&batch));
        Some(batch)
    }

    fn put(&mut self, batch: Box<Batch>) {
        let bytes = self.bytes + size_of_batch(&batch);
        if bytes <= KEPT_BYTES_MAX {
            self.batches.push(batch);
            self.resize(bytes);
        }
    }
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::new(Pool::new());
}

/// An empty batch.
pub fn take() -> Box<Batch> {
    POOL.with_borrow_mut(Pool::take).unwrap_or_default()
}

/// Gives a batch back.
pub fn put(mut batch: Box<Batch>) {
    batch.reset();
    POOL.with_borrow_mut(|pool| pool.put(batch));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_keeps_so_many_bytes_and_no_more() {
        let mut pool = Pool::default();
        for _ in 0..10_000 {
            let mut batch = Box::<Batch>::default();
            batch.input.reserve(16 * 1024);
            pool.put(batch);
        }
        let kept: usize = pool.batches.iter().map(|batch| size_of_batch(batch)).sum();
        assert_eq!(pool.bytes, kept);
        assert!(
            kept <= KEPT_BYTES_MAX && KEPT_BYTES_MAX - kept < 32 * 1024,
            "{kept}"
        );
        while pool.take().is_some() {}
        assert_eq!(pool.bytes, 0);
    }

    #[test]
    fn pools_of_all_threads_that_live_are_added_up() {
        const MANY: usize = 1 << 40;
        let mut here = Pool::new();
        here.resize(MANY);
        let both = std::thread::spawn(|| {
            Pool::new().resize(2 * MANY);
            let mut there = Pool::new();
            there.resize(4 * MANY);
            kept_bytes()
        });
        let both = both.join().expect("it only adds up");
        assert_eq!(both / MANY as u64, 5);
        assert_eq!(kept_bytes() / MANY as u64, 1, "the others have ended");
    }
}
