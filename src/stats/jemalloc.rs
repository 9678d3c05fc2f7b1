//! The two calls of this room that no safe crate offers: purging jemalloc's arenas, and `getrusage`.
//!
//! I1  A pointer handed out is to a live local, writable and of the size the callee fills.
//! I2  A control name ends in NUL, and is one that takes neither a value to read nor one to write.
//! I3  What the callee filled is read only after it reported success.
#![expect(
    unsafe_code,
    reason = "jemalloc's purge and getrusage have no safe wrapper; both are far from any hot path"
)]

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// `arena.<MALLCTL_ARENAS_ALL>.purge`; the number is jemalloc's own and part of its documented interface.
const PURGE_ALL_ARENAS: &CStr = c"arena.4096.purge";

/// Hands unused dirty pages of all arenas back to the system. Errors when jemalloc refuses the control.
/// Cost: one madvise per run of dirty pages; milliseconds after much was freed.
pub(super) fn purge_all_arenas() -> io::Result<()> {
    // SAFETY: I2: purge takes no values, so all pointers are null and nothing is read or written.
    let code = unsafe {
        tikv_jemalloc_sys::mallctl(
            PURGE_ALL_ARENAS.as_ptr(),
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
    fn all_arenas_can_be_purged() {
        purge_all_arenas().expect("jemalloc is linked in");
    }

    #[test]
    fn an_unknown_subject_of_getrusage_is_an_error() {
        assert!(resource_usage(12_345).is_err());
        assert!(resource_usage(libc::RUSAGE_SELF).is_ok());
    }
}
