//! Batches between two uses, one pool per I/O thread: idle connections hold none.
//!
//! What lies here is nobody's in particular, so it is no client's that `maxmemory-clients` could close: it is bounded, and
//! told as an overhead of its own (`stats::memory::pooled_bytes`).

use std::cell::RefCell;

use crate::resp::Batch;
use crate::stats::memory::note_pooled;

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
}

/// What a batch takes that nobody uses.
fn size_of_batch(batch: &Batch) -> usize {
    size_of::<Batch>() + batch.heap_bytes()
}

impl Pool {
    fn take(&mut self) -> Option<Box<Batch>> {
        let batch = self.batches.pop()?;
        self.bytes -= size_of_batch(&batch);
        note_pooled(self.bytes);
        Some(batch)
    }

    fn put(&mut self, batch: Box<Batch>) {
        let bytes = self.bytes + size_of_batch(&batch);
        if bytes <= KEPT_BYTES_MAX {
            self.batches.push(batch);
            self.bytes = bytes;
            note_pooled(bytes);
        }
    }
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
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
}
