//! Batches between two uses, one pool per I/O thread: idle connections hold none.

use std::cell::RefCell;

use super::Batch;

/// Batches kept; more are freed.
const KEPT_MAX: usize = 256;

thread_local! {
    #[expect(clippy::vec_box, reason = "a batch travels in its box; the pool keeps the box")]
    static POOL: RefCell<Vec<Box<Batch>>> = const { RefCell::new(Vec::new()) };
}

/// An empty batch.
pub fn take() -> Box<Batch> {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives a batch back.
pub fn put(mut batch: Box<Batch>) {
    batch.reset();
    POOL.with_borrow_mut(|pool| {
        if pool.len() < KEPT_MAX {
            pool.push(batch);
        }
    });
}
