//! What memory the process really uses: jemalloc's books, the kernel's books.
//!
//! ```text
//! allocated   handed out to the program
//! active      >= allocated: whole pages that hold some of it
//! resident    >= active: pages that may be in memory, with dirty ones and jemalloc's own
//! retained    address space kept with no memory behind it
//! ```
//!
//! jemalloc's totals stand still until its epoch is advanced, which merges the counters of every arena and
//! takes some tens of microseconds (75 measured with two cores, unoptimised build); so cron advances it,
//! through `Sampler::refresh`, and hardly ever a command. In between, `used_bytes` adds what its thread allocated
//! and freed since, which costs two loads, and what other threads say they did (`note_thread`). What lies free in
//! threads' caches is not used, though the arenas count it as handed out: the sum of both is exact at any time.
//!
//! Not here: bytes in words (`base::units`), limits, and what the memory is used for.

use super::jemalloc;
use std::cell::{Cell, OnceCell, RefCell};
use std::fs;
use std::io;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};
use tikv_jemalloc_ctl::{epoch, epoch_mib, stats, stats_print};

/// jemalloc's totals at one moment, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct AllocatorTotals {
    /// Handed out to the program.
    pub allocated: u64,
    /// In pages that hold something handed out.
    pub active: u64,
    /// In pages that may be in physical memory.
    pub resident: u64,
    /// In address space kept without memory behind it.
    pub retained: u64,
}

/// Reads the allocator at intervals and remembers the peak. Stays on the thread that made it, whose
/// allocations `used_bytes` follows between refreshes.
pub struct Sampler {
    controls: Controls,
    totals: AllocatorTotals,
    /// What the thread had allocated less freed when `totals` were read.
    thread_net_then: i64,
    /// Free in threads' caches then.
    cached_then: u64,
    /// Other threads, and what they had allocated less freed then.
    others: Vec<(Arc<AtomicI64>, i64)>,
    /// How many threads had ever told by then.
    tellers: usize,
    peak_bytes: u64,
}

struct Controls {
    epoch: epoch_mib,
    allocated: stats::allocated_mib,
    active: stats::active_mib,
    resident: stats::resident_mib,
    retained: stats::retained_mib,
    thread_allocated: ThreadLocal<u64>,
    thread_freed: ThreadLocal<u64>,
}

impl Sampler {
    /// Looks the controls up and reads them once. Errors when jemalloc was built without statistics.
    pub fn new() -> Result<Self, tikv_jemalloc_ctl::Error> {
        let controls = Controls::new()?;
        let totals = AllocatorTotals::default();
        let mut sampler = Self {
            controls,
            totals,
            thread_net_then: 0,
            cached_then: 0,
            others: Vec::new(),
            tellers: 0,
            peak_bytes: 0,
        };
        sampler.refresh();
        Ok(sampler)
    }

    /// Advances the epoch and reads all totals; for cron. If jemalloc fails to answer, the old totals stay.
    pub fn refresh(&mut self) {
        if let Ok(totals) = self.controls.read() {
            self.totals = totals;
            self.cached_then = jemalloc::cached_bytes() as u64;
            // Whoever begins to tell from here on is missed, and known to be.
            self.tellers = TELLERS.load(Ordering::Acquire);
            self.others.clear();
            self.others = other_threads();
            self.thread_net_then = self.controls.thread_net();
            self.peak_bytes = self.peak_bytes.max(self.used_bytes());
        }
    }

    /// The totals as of the last refresh.
    pub fn totals(&self) -> AllocatorTotals {
        self.totals
    }

    /// Bytes handed out now: exact as of the last refresh, and since then for this thread's part and what others have
    /// told. A few ns.
    #[inline]
    pub fn used_bytes(&self) -> u64 {
        let own = self.controls.thread_net().wrapping_sub(self.thread_net_then);
        let net = |(now, then): &(Arc<AtomicI64>, i64)| now.load(Ordering::Relaxed).wrapping_sub(*then);
        let others: i64 = self.others.iter().map(net).sum();
        let then = self.totals.allocated.saturating_sub(self.cached_then);
        then.saturating_add_signed(own + others)
    }

    /// Whether a thread tells of whom the last refresh knew nothing. A load.
    #[inline]
    pub fn misses_a_thread(&self) -> bool {
        self.tellers != TELLERS.load(Ordering::Acquire)
    }

    /// The most `used_bytes` that refreshes have met, or now if that is more.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.max(self.used_bytes())
    }
}

impl Controls {
    fn new() -> Result<Self, tikv_jemalloc_ctl::Error> {
        Ok(Self {
            epoch: epoch::mib()?,
            allocated: stats::allocated::mib()?,
            active: stats::active::mib()?,
            resident: stats::resident::mib()?,
            retained: stats::retained::mib()?,
            thread_allocated: allocatedp::read()?,
            thread_freed: deallocatedp::read()?,
        })
    }

    fn read(&self) -> Result<AllocatorTotals, tikv_jemalloc_ctl::Error> {
        self.epoch.advance()?;
        Ok(AllocatorTotals {
            allocated: self.allocated.read()? as u64,
            active: self.active.read()? as u64,
            resident: self.resident.read()? as u64,
            retained: self.retained.read()? as u64,
        })
    }

    /// Allocated less freed by this thread; negative when it frees what others allocated.
    #[inline]
    fn thread_net(&self) -> i64 {
        self.thread_allocated
            .get()
            .wrapping_sub(self.thread_freed.get())
            .cast_signed()
    }
}

/// What each thread that tells has allocated less freed.
static THREADS: Mutex<Vec<Arc<AtomicI64>>> = Mutex::new(Vec::new());

/// How many threads have ever begun to tell.
static TELLERS: AtomicUsize = AtomicUsize::new(0);

fn other_threads() -> Vec<(Arc<AtomicI64>, i64)> {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    // Those that have ended hold theirs no longer.
    threads.retain(|net| Arc::strong_count(net) > 1);
    let with_net = |net: &Arc<AtomicI64>| (Arc::clone(net), net.load(Ordering::Relaxed));
    threads.iter().map(with_net).collect()
}

/// A thread's counters and where it tells them.
struct Teller {
    allocated: ThreadLocal<u64>,
    freed: ThreadLocal<u64>,
    net: Arc<AtomicI64>,
}

impl Teller {
    fn new() -> Result<Self, tikv_jemalloc_ctl::Error> {
        let net = Arc::new(AtomicI64::new(0));
        let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(Arc::clone(&net));
        TELLERS.fetch_add(1, Ordering::Release);
        drop(threads);
        Ok(Teller {
            allocated: allocatedp::read()?,
            freed: deallocatedp::read()?,
            net,
        })
    }

    #[inline]
    fn tell(&self) {
        let net = self.allocated.get().wrapping_sub(self.freed.get()).cast_signed();
        self.net.store(net, Ordering::Relaxed);
    }
}

/// Lets the thread that samples know what the present one has allocated and freed: before memory is handed over to it.
/// A few ns; nothing on that thread itself.
#[inline]
pub fn note_thread() {
    thread_local! {
        static TELLER: OnceCell<Option<Teller>> = const { OnceCell::new() };
    }
    if SAMPLES.get() {
        return;
    }
    TELLER.with(|teller| {
        if let Some(teller) = teller.get_or_init(|| Teller::new().ok()) {
            teller.tell();
        }
    });
}

thread_local! {
    /// Whether this thread has a sampler, which follows the thread's counters itself.
    static SAMPLES: Cell<bool> = const { Cell::new(false) };
    /// The sampler of this thread: its counters are the thread's own, so it must not travel with a gauge.
    static SAMPLER: RefCell<Option<Sampler>> = const { RefCell::new(None) };
}

#[cold]
fn refresh_sampler() {
    SAMPLER.with_borrow_mut(|sampler| sampler.iter_mut().for_each(Sampler::refresh));
}

/// The sampler and the kernel's view beside it, for INFO memory and limits.
///
/// The sampler comes with the first sample, on the thread that takes it; ask and sample on the same thread.
#[derive(Default)]
pub struct MemoryGauge {
    rss_bytes: u64,
    startup_bytes: u64,
}

impl MemoryGauge {
    /// Refreshes everything; for cron. Tens of microseconds.
    pub fn sample(&mut self) {
        SAMPLES.set(true);
        SAMPLER.with_borrow_mut(|sampler| match sampler {
            Some(sampler) => sampler.refresh(),
            None => *sampler = Sampler::new().ok(),
        });
        self.rss_bytes = rss_bytes().unwrap_or(0);
        if self.startup_bytes == 0 {
            self.startup_bytes = self.used_bytes();
        }
    }

    /// Reads the allocator's books again. Tens of microseconds.
    pub fn refresh(&mut self) {
        refresh_sampler();
    }

    fn ask<T: Default>(&self, question: impl FnOnce(&Sampler) -> T) -> T {
        SAMPLER.with_borrow(|sampler| sampler.as_ref().map(question).unwrap_or_default())
    }

    /// The allocator's totals as of the last sample.
    pub fn totals(&self) -> AllocatorTotals {
        self.ask(Sampler::totals)
    }

    /// Bytes handed out now (see [`Sampler::used_bytes`]); the books are read again when a thread has begun to tell since.
    #[inline]
    pub fn used_bytes(&self) -> u64 {
        let known = SAMPLER.with_borrow(|sampler| match sampler {
            Some(sampler) if sampler.misses_a_thread() => None,
            Some(sampler) => Some(sampler.used_bytes()),
            None => Some(0),
        });
        known.unwrap_or_else(|| {
            refresh_sampler();
            self.ask(Sampler::used_bytes)
        })
    }

    /// The most that was ever handed out.
    pub fn peak_bytes(&self) -> u64 {
        self.ask(Sampler::peak_bytes)
    }

    /// Physical memory as of the last sample.
    pub fn rss_bytes(&self) -> u64 {
        self.rss_bytes
    }

    /// Bytes handed out at the first sample: what the server costs before it has data.
    pub fn startup_bytes(&self) -> u64 {
        self.startup_bytes
    }
}

/// MEMORY MALLOC-STATS: jemalloc's own report. Tens of KiB; errors only if jemalloc does.
pub fn malloc_stats() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    stats_print::stats_print(&mut text, stats_print::Options::default())?;
    Ok(text)
}

/// Lets jemalloc give pages back on threads of its own (`jemalloc-bg-thread`) instead of on the thread that happens to
/// free or allocate. Starts threads: call it after going into the background.
pub fn purge_in_background(on: bool) -> io::Result<()> {
    tikv_jemalloc_ctl::background_thread::write(on).map_err(io::Error::other)
}

/// MEMORY PURGE: hands unused pages of all arenas back to the system.
pub fn purge() -> io::Result<()> {
    jemalloc::purge_all_arenas()
}

/// A number the allocator tells, by the name of its control (DEBUG MALLCTL).
pub fn allocator_number(name: &str) -> Option<u64> {
    jemalloc::read_number(name)
}

/// Hands what the present thread's cache holds back to the arenas.
pub fn flush_cache() -> io::Result<()> {
    jemalloc::flush_cache()
}

/// Bytes in pages that are lazily given back (`muzzy`), as of the last epoch. By default jemalloc skips that state.
pub fn muzzy_bytes() -> u64 {
    let pages = jemalloc::read_number("stats.arenas.4096.pmuzzy").unwrap_or(0);
    pages * jemalloc::read_number("arenas.page").unwrap_or(0)
}

/// Physical memory of the process in bytes; None where `/proc` does not tell. Tens of microseconds, so for
/// cron.
pub fn rss_bytes() -> Option<u64> {
    field_bytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Memory of the process in anonymous huge pages; None where `/proc` does not tell. Walks the page tables:
/// O(memory).
pub fn anonymous_huge_pages_bytes() -> Option<u64> {
    field_bytes(
        &fs::read_to_string("/proc/self/smaps_rollup").ok()?,
        "AnonHugePages:",
    )
}

/// Physical memory of the machine.
pub fn system_memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// The value of a line such as `VmRSS:      1968 kB`.
fn field_bytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_contain_each_other() {
        let mut sampler = Sampler::new().expect("statistics are built in");
        sampler.refresh();
        let totals = sampler.totals();
        assert!(
            totals.allocated <= totals.active && totals.active <= totals.resident,
            "{totals:?}"
        );
        assert!(sampler.peak_bytes() >= totals.allocated);
    }

    #[test]
    fn nothing_allocated_since_means_nothing_added() {
        let sampler = Sampler::new().expect("statistics are built in");
        assert_eq!(
            sampler.used_bytes(),
            sampler.totals().allocated - sampler.cached_then
        );
    }

    #[test]
    fn what_other_threads_tell_counts_at_once() {
        let net = Arc::new(AtomicI64::new(500));
        THREADS.lock().expect("not poisoned").push(Arc::clone(&net));
        let sampler = Sampler::new().expect("statistics are built in");
        let before = sampler.used_bytes();
        net.store(10_500, Ordering::Relaxed);
        assert_eq!(sampler.used_bytes(), before + 10_000);
    }

    #[test]
    fn a_thread_that_begins_to_tell_is_missed_until_the_books_are_read_again() {
        let mut sampler = Sampler::new().expect("statistics are built in");
        std::thread::spawn(note_thread).join().expect("it only tells");
        assert!(sampler.misses_a_thread());
        // Threads of other tests begin to tell, too.
        let noticed = (0..1000).any(|_| {
            sampler.refresh();
            !sampler.misses_a_thread()
        });
        assert!(noticed);
    }

    #[test]
    fn a_thread_that_has_ended_is_forgotten() {
        let net = Arc::new(AtomicI64::new(500));
        THREADS.lock().expect("not poisoned").push(Arc::clone(&net));
        let mut sampler = Sampler::new().expect("statistics are built in");
        let told = Arc::downgrade(&net);
        drop(net);
        // Samplers of other tests may know it, too, for a moment.
        let forgotten = (0..1000).any(|_| {
            sampler.refresh();
            told.strong_count() == 0
        });
        assert!(forgotten);
    }

    #[test]
    fn the_kernel_and_the_machine_have_memory() {
        let rss_bytes = rss_bytes().expect("/proc is mounted");
        assert!(rss_bytes > 0 && rss_bytes < system_memory_bytes());
    }

    #[test]
    fn fields_of_proc_are_in_kib() {
        let text = "Name:\tx\nVmRSS:\t    1968 kB\nVmBad:\t many kB\n";
        assert_eq!(field_bytes(text, "VmRSS:"), Some(1968 * 1024));
        assert_eq!(field_bytes(text, "VmBad:"), None);
        assert_eq!(field_bytes(text, "VmHWM:"), None);
    }

    #[test]
    fn the_allocator_reports_and_purges() {
        let text = malloc_stats().expect("writing to a Vec cannot fail");
        assert!(text.windows(8).any(|window| window == b"jemalloc"));
        purge().expect("jemalloc is linked in");
    }
}
