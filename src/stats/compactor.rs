//! The allocator's side of active defragmentation: which allocations had better move, and where to.
//!
//! ```text
//!  slabs of one size class         current: new allocations go here     oldest with gaps: becomes the current one next
//!  [xxxxxxxx] [x.x.....] [xxx.xxxx] [xxxxx...]
//!      full     sparse     denser than average: stays, and is filled up
//!               ^ its pieces move, and its pages go back
//! ```
//!
//! jemalloc never moves anything itself, and a page is given back only when all of it is free. But it tells, for any
//! address, how full its slab is, how full all slabs of that class are on average, and which slab new allocations come
//! from (`experimental.utilization.query`). So a piece of a slab that is no fuller than the average is copied to a new
//! allocation, past the thread's cache: from there it would come back to the sparse slab it was freed from just now.
//! Redis patches jemalloc to learn the same; this needs no patch.
//!
//! Invariants:
//! - I1  Locals handed out are live, writable and of the size the callee fills; read only after it reported success.
//! - I2  jemalloc is the global allocator, and all that is offered comes from it: without that there is no `Compactor`.
//!   Asked for an address it does not know, jemalloc crashes.
//! - I3  Flags differ from the global allocator's own by the cache alone, so that either may free what the other made.
//!
//! Costs: a question takes about 50 ns, a move about 150 more. Not here: the walk over what there is (`keyspace::defrag`).
#![expect(
    unsafe_code,
    reason = "jemalloc's view of a slab, and allocations past the thread's cache, have no safe wrapper"
)]

use std::alloc::Layout;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use super::jemalloc;
use crate::base::relocate::{Mover, SHARED_BYTES_MAX};

/// What jemalloc tells of an address: of its slab, and of all slabs of that class.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Utilization {
    /// The slab that new allocations come from.
    current: *const c_void,
    free: usize,
    regions: usize,
    slab_bytes: usize,
    all_free: usize,
    all_regions: usize,
}

/// Pieces of slabs move that are at most so much fuller than the average, in eighths: were all equally sparse but the
/// current one, which is emptier, none would be below it.
const SLACK_EIGHTHS: usize = 9;

/// Alignment that every allocation has which is at least as large.
const NATURAL_ALIGN: usize = 16;

/// A [`Mover`] that asks jemalloc, for a slice of time.
pub struct Compactor {
    query: [usize; 3],
    until: Instant,
    /// Allocations that have moved.
    pub hits: u64,
    /// Allocations that were offered and stayed.
    pub misses: u64,
}

impl Compactor {
    /// One without time; `None` when the allocator does not tell what there is to know.
    pub fn new() -> Option<Compactor> {
        let mut query = [0; 3];
        let (mut len, name) = (query.len(), c"experimental.utilization.query");
        // SAFETY: I1: the name ends in NUL, and `len` is that of `query`.
        let code =
            unsafe { tikv_jemalloc_sys::mallctlnametomib(name.as_ptr(), query.as_mut_ptr(), &raw mut len) };
        (code == 0 && is_global()).then(|| Compactor {
            query,
            until: Instant::now(),
            hits: 0,
            misses: 0,
        })
    }

    /// From now on it goes on for `slice`.
    pub fn begin(&mut self, slice: Duration) {
        self.until = Instant::now() + slice;
    }

    fn ask(&self, start: NonNull<u8>) -> Option<Utilization> {
        let mut answer = Utilization {
            current: ptr::null(),
            free: 0,
            regions: 0,
            slab_bytes: 0,
            all_free: 0,
            all_regions: 0,
        };
        let (mut size, mut address) = (size_of::<Utilization>(), start.as_ptr());
        // SAFETY: I1, I2: the query fills `answer`, whose size is told, and reads one address, which it never reads through.
        let code = unsafe {
            tikv_jemalloc_sys::mallctlbymib(
                self.query.as_ptr(),
                self.query.len(),
                (&raw mut answer).cast(),
                &raw mut size,
                (&raw mut address).cast(),
                size_of::<*mut u8>(),
            )
        };
        (code == 0).then_some(answer)
    }
}

impl Utilization {
    /// Whether a piece at `start` had better be elsewhere.
    fn is_sparse(&self, start: NonNull<u8>) -> bool {
        let used = self.regions.saturating_sub(self.free);
        let all_used = self.all_regions.saturating_sub(self.all_free);
        let offset = start.addr().get().wrapping_sub(self.current.addr());
        self.free > 0
            && offset >= self.slab_bytes
            && used * self.all_regions * 8 <= all_used * self.regions * SLACK_EIGHTHS
    }
}

// SAFETY: `offer` answers a copy of the same layout and frees the original; nothing in it panics.
unsafe impl Mover for Compactor {
    unsafe fn offer(&mut self, start: NonNull<u8>, layout: Layout) -> Option<NonNull<u8>> {
        let moves =
            layout.size() <= SHARED_BYTES_MAX && self.ask(start).is_some_and(|slab| slab.is_sparse(start));
        if !moves {
            self.misses += 1;
            return None;
        }
        let align = match layout.align() {
            natural if natural <= NATURAL_ALIGN && natural <= layout.size() => 0,
            larger => tikv_jemalloc_sys::MALLOCX_ALIGN(larger),
        };
        let flags = align | tikv_jemalloc_sys::MALLOCX_TCACHE_NONE;
        // SAFETY: a layout that is offered is not empty.
        let fresh = NonNull::new(unsafe { tikv_jemalloc_sys::mallocx(layout.size(), flags) }.cast::<u8>())?;
        // SAFETY: by the caller's promise and I2, I3 the old memory is jemalloc's, of this layout, and used by nobody
        // any more; the new cannot overlap it.
        unsafe {
            ptr::copy_nonoverlapping(start.as_ptr(), fresh.as_ptr(), layout.size());
            tikv_jemalloc_sys::sdallocx(start.as_ptr().cast(), layout.size(), flags);
        }
        self.hits += 1;
        Some(fresh)
    }

    fn moved(&self) -> u64 {
        self.hits
    }

    fn goes_on(&mut self) -> bool {
        Instant::now() < self.until
    }
}

/// Whether what the process allocates comes from jemalloc: whether its count for this thread grows by such a piece.
fn is_global() -> bool {
    let allocated = || tikv_jemalloc_ctl::thread::allocatedp::read().map_or(0, |count| count.get());
    let before = allocated();
    let piece = std::hint::black_box(vec![0u8; PROBE_BYTES]);
    allocated() - before >= piece.len() as u64
}

/// Enough to be noticed.
const PROBE_BYTES: usize = 4096;

/// Gaps in slabs, which moving what is around them would give back, in bytes; as of the allocator's last epoch, and all
/// arenas together. Tens of microseconds.
pub fn gap_bytes() -> u64 {
    let classes = jemalloc::read_number("arenas.nbins").unwrap_or(0);
    (0..classes).filter_map(gap_bytes_of).sum()
}

/// The same of one size class.
fn gap_bytes_of(class: u64) -> Option<u64> {
    let constant = |name| jemalloc::read_number(&format!("arenas.bin.{class}.{name}"));
    let now = |name| jemalloc::read_number(&format!("stats.arenas.4096.bins.{class}.{name}"));
    let regions = now("curslabs")? * constant("nregs")?;
    Some(regions.saturating_sub(now("curregs")?) * constant("size")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slab(free: usize, all_free: usize) -> Utilization {
        Utilization {
            current: ptr::without_provenance(0x9000),
            free,
            regions: 8,
            slab_bytes: 0x1000,
            all_free,
            all_regions: 80,
        }
    }

    #[test]
    fn pieces_of_sparse_slabs_move_and_those_of_the_current_one_stay() {
        let at = |address| NonNull::new(ptr::without_provenance_mut(address)).expect("not null");
        assert!(slab(6, 40).is_sparse(at(0x5000)));
        assert!(slab(4, 40).is_sparse(at(0x5000)), "none may be below the average");
        assert!(!slab(3, 40).is_sparse(at(0x5000)));
        assert!(!slab(0, 0).is_sparse(at(0x5000)), "a full one");
        assert!(!slab(6, 40).is_sparse(at(0x9000)));
        assert!(!slab(6, 40).is_sparse(at(0x9fff)));
        assert!(slab(6, 40).is_sparse(at(0xa000)));
    }

    #[test]
    fn what_another_allocator_made_stays() {
        // Tests run on the system's allocator, which jemalloc knows nothing of.
        assert!(Compactor::new().is_none());
    }

    #[test]
    fn gaps_are_no_more_than_pages() {
        tikv_jemalloc_ctl::epoch::advance().expect("jemalloc is linked in");
        let active = tikv_jemalloc_ctl::stats::active::read().expect("statistics are built in");
        assert!(gap_bytes() <= active as u64);
    }
}
