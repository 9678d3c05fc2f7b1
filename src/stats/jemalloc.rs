//! The calls of this room that no safe crate offers: some of jemalloc's controls, its options, and `getrusage`.
//!
//! I1  A pointer handed out is to a live local, writable and of the size the callee fills.
//! I2  A control name ends in NUL, and is one that takes no value to write, nor any to read unless one is asked for.
//! I3  What the callee filled is read only after it reported success.
//! I4  The exported name is jemalloc's, a pointer to text that ends in NUL, and nobody else defines it.
#![expect(
    unsafe_code,
    reason = "jemalloc's purge, caches and options and getrusage have no safe wrapper; all are far from any hot path"
)]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// How many pages a slab has, where jemalloc's own answer is one (two for 8 KiB, five for 10 KiB). It keeps 128 bytes of
/// books per slab, for ever: slabs of a page each made 3% of what small classes hold, and of a gigabyte that has been
/// given back 20 MB. Fewer regions than a few per slab stay: among them whole slabs still come free by chance.
///
/// jemalloc reads its options from a variable of this name, before `main`.
// SAFETY: I4.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static OPTIONS: &[u8; 94] =
    b"slab_sizes:16-16:2|32-32:4|64-64:4|128-128:4|256-256:4|2048-2048:2|8192-8192:4|10240-10240:10\0";

/// `arena.<MALLCTL_ARENAS_ALL>.purge`; the number is jemalloc's own and part of its documented interface.
const PURGE_ALL_ARENAS: &CStr = c"arena.4096.purge";

/// Hands unused dirty pages of all arenas back to the system. Errors when jemalloc refuses the control.
/// Cost: one madvise per run of dirty pages; milliseconds after much was freed.
pub(super) fn purge_all_arenas() -> io::Result<()> {
    run(PURGE_ALL_ARENAS)
}

/// A control that takes and gives nothing and leaves all allocations valid.
fn run(control: &CStr) -> io::Result<()> {
    // SAFETY: I2: it takes no values, so all pointers are null and nothing is read or written.
    let code = unsafe {
        tikv_jemalloc_sys::mallctl(
            control.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    };
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(code))
    }
}

/// Bytes that threads' caches hold free although the arenas' books have them as handed out, as of the last epoch.
const CACHED_BYTES: &CStr = c"stats.arenas.4096.tcache_bytes";

/// See [`CACHED_BYTES`]; 0 where jemalloc does not tell. A microsecond.
pub(super) fn cached_bytes() -> usize {
    read_bytes(CACHED_BYTES, size_of::<usize>()).unwrap_or(0) as usize
}

/// A number the allocator tells, by the name of its control; `None` where there is none of that name, or no number.
pub(super) fn read_number(name: &str) -> Option<u64> {
    let name = CString::new(name).ok()?;
    [8, 4, 1].into_iter().find_map(|bytes| read_bytes(&name, bytes))
}

/// A number of so many bytes.
fn read_bytes(name: &CStr, bytes: usize) -> Option<u64> {
    let (mut number, mut size) = ([0u8; 8], bytes.min(8));
    // SAFETY: I1: `number` has room for `size` bytes, and any are such an array; nothing is written to the control.
    let code = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr(),
            number.as_mut_ptr().cast(),
            &raw mut size,
            ptr::null_mut(),
            0,
        )
    };
    // I3. Fewer bytes than eight are the lowest ones on every machine this is built for.
    (code == 0).then(|| u64::from_le_bytes(number))
}

/// Hands what the present thread's cache holds back to the arenas.
pub(super) fn flush_cache() -> io::Result<()> {
    run(c"thread.tcache.flush")
}

/// `getrusage` of `RUSAGE_SELF`, `RUSAGE_CHILDREN` or `RUSAGE_THREAD`. Errors for any other number.
pub(super) fn resource_usage(who: libc::c_int) -> io::Result<libc::rusage> {
    let mut usage = MaybeUninit::uninit();
    // SAFETY: I1: `usage` is a local of the type getrusage fills.
    if unsafe { libc::getrusage(who, usage.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: I3: the call succeeded, so it filled the whole struct.
    Ok(unsafe { usage.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jemalloc_heeds_the_options() {
        assert_eq!(read_number("arenas.bin.2.size"), Some(32));
        assert_eq!(read_number("arenas.bin.2.slab_size"), Some(4 * 4096));
    }

    #[test]
    fn all_arenas_can_be_purged() {
        purge_all_arenas().expect("jemalloc is linked in");
    }

    #[test]
    fn numbers_of_any_width_are_read_by_name() {
        assert_eq!(read_number("arenas.page"), Some(4096));
        assert_eq!(read_number("arenas.bin.0.nregs"), Some(512));
        assert_eq!(read_number("config.stats"), Some(1));
        assert_eq!(read_number("nosuch"), None);
        assert_eq!(read_number("thread.tcache.flush"), None);
        flush_cache().expect("jemalloc is linked in");
    }

    #[test]
    fn threads_keep_no_more_for_themselves_than_was_handed_out() {
        tikv_jemalloc_ctl::epoch::advance().expect("jemalloc is linked in");
        let allocated = tikv_jemalloc_ctl::stats::allocated::read().expect("statistics are built in");
        assert!(cached_bytes() <= allocated);
    }

    #[test]
    fn an_unknown_subject_of_getrusage_is_an_error() {
        assert!(resource_usage(12_345).is_err());
        assert!(resource_usage(libc::RUSAGE_SELF).is_ok());
    }
}
