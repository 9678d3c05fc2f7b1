//! The few system calls of this room that Rust cannot vouch for: the zone offset, CPU times, `fork`, `madvise`, a page to try
//! the kernel with, the argument memory.
//!
//! ```text
//! stack top, low to high:  arg_start .. argv strings .. arg_end = env_start .. environ strings .. env_end
//!                          `------------------------ TitleArea ------------------------------'
//! ```
//!
//! Invariants:
//! - I1 `localtime_r` and `getrusage` write only what they are given; they are called with a live one.
//! - I2 `fork` and changes of the environment happen while the process has one thread, which is checked, not assumed:
//!   then no lock is held by a thread that does not exist in the child, and nobody reads `environ` meanwhile.
//! - I3 The title area is what `/proc/self/stat` calls this process's arguments and environment: mapped, writable, and
//!   owned by nothing in Rust. It reaches into the environment only after every variable has been copied to the heap.
//! - I4 Only the holder of the one `TitleArea` writes there, the last byte stays NUL, and whoever still reads an old
//!   `argv` string finds text that ends.
//! - I5 A child forked beside other threads takes no lock that one of them may have held: it does not log and starts no
//!   thread; jemalloc hands its own locks over. It uses no descriptor but its pipe, what it was
//!   given to keep, and those it opens itself.
//! - I6 Bringing pages in changes no byte of memory: the kernel reads what is mapped, and refuses what is not.
//! - I7 The pages of a `FreedPage` are its own: mapped by it, unmapped when it goes, referred to by nothing in Rust.
//!
//! Costs: all of it at start, but for the title, which is a copy of its bytes.
//!
//! Not here: signal handlers, which are `trap`'s.
#![expect(
    unsafe_code,
    reason = "localtime_r, getrusage, fork, mmap, madvise, environ and argv have no safe interface"
)]

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Seconds east of UTC in the local zone at `unix_seconds`; 0 when the system cannot tell.
pub(super) fn utc_offset_seconds(unix_seconds: i64) -> i64 {
    let mut fields = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: I1: both pointers are to live locals, and all-zero is a valid `tm` should the call fail.
    let fields = unsafe {
        libc::localtime_r(&unix_seconds, fields.as_mut_ptr());
        fields.assume_init()
    };
    fields.tm_gmtoff
}

/// CPU time of this process so far, outside the kernel and inside, in microseconds.
pub(super) fn cpu_times_us() -> Option<(u64, u64)> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: I1: the pointer is to a live local, and all-zero is a valid `rusage`.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0 {
            return None;
        }
        usage.assume_init()
    };
    let microseconds = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    Some((microseconds(usage.ru_utime), microseconds(usage.ru_stime)))
}

/// A page of memory that was written to, given back to the kernel (`MADV_FREE`), and written to again.
pub(super) struct FreedPage {
    /// The page between two that cannot be written to, so that its mapping is its own.
    pages: *mut libc::c_void,
    page_bytes: usize,
}

impl FreedPage {
    /// Errors: what the operating system says.
    pub fn new() -> io::Result<FreedPage> {
        let page_bytes = rustix::param::page_size();
        let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: I7: a new mapping wherever the kernel likes.
        let pages = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                3 * page_bytes,
                libc::PROT_READ,
                private,
                -1,
                0,
            )
        };
        if pages == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let page = FreedPage { pages, page_bytes };
        page.write_free_write()?;
        Ok(page)
    }

    /// Where it is.
    pub fn address(&self) -> usize {
        self.pages.addr() + self.page_bytes
    }

    fn write_free_write(&self) -> io::Result<()> {
        // SAFETY: I7: the second of three pages that are this value's own, writable once `mprotect` has said so.
        unsafe {
            let page = self.pages.byte_add(self.page_bytes);
            if libc::mprotect(page, self.page_bytes, libc::PROT_READ | libc::PROT_WRITE) != 0 {
                return Err(io::Error::last_os_error());
            }
            page.cast::<u8>().write_volatile(0);
            if libc::madvise(page, self.page_bytes, libc::MADV_FREE) != 0 {
                return Err(io::Error::last_os_error());
            }
            page.cast::<u8>().write_volatile(0);
        }
        Ok(())
    }
}

impl Drop for FreedPage {
    fn drop(&mut self) {
        // SAFETY: I7: what `new` has mapped.
        unsafe { libc::munmap(self.pages, 3 * self.page_bytes) };
    }
}

/// Brings the mapped pages of these addresses into memory, for reading. Errors when the system refuses or cannot.
pub(super) fn bring_in(addresses: std::ops::Range<usize>) -> io::Result<()> {
    let start = std::ptr::without_provenance_mut(addresses.start);
    // SAFETY: I6.
    match unsafe { libc::madvise(start, addresses.len(), libc::MADV_POPULATE_READ) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The side of a fork this process woke up on.
pub(super) enum Forked {
    /// The process number of the child.
    Parent(i32),
    Child,
}

/// Forks a process that has no other threads.
///
/// Errors: `Other` when there are threads (a child would inherit their locks but not them), else what `fork` says.
pub(super) fn fork_alone() -> io::Result<Forked> {
    require_one_thread()?;
    // SAFETY: I2: just checked.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// Forks a process that may have other threads, for a child that keeps I5.
pub(super) fn fork_worker() -> io::Result<Forked> {
    // SAFETY: I5: the one caller, `child::spawn`, hands its child nothing but its own work.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// Closes every descriptor from 3 on but those `kept`, so that a child holds no socket of its parent open.
pub(super) fn close_all_but(kept: &[i32]) {
    let mut kept: Vec<u32> = kept.iter().filter_map(|&fd| u32::try_from(fd).ok()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for fd in kept.into_iter().filter(|&fd| fd >= 3) {
        close_range(first, fd - 1);
        first = fd + 1;
    }
    close_range(first, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    if first <= last {
        // SAFETY: I5: the child uses none of them; nothing of the parent is touched.
        unsafe { libc::close_range(first, last, 0) };
    }
}

/// Ends the process at once: no destructor and no exit handler of the parent's runs in its child.
pub(super) fn end_now(code: i32) -> ! {
    // SAFETY: `_exit` returns to nobody.
    unsafe { libc::_exit(code) }
}

/// Removes a variable from the environment, so that no child inherits it.
///
/// Errors: `Other` when the process has other threads.
pub(super) fn forget_variable(name: &str) -> io::Result<()> {
    require_one_thread()?;
    // SAFETY: I2: just checked.
    unsafe { std::env::remove_var(name) };
    Ok(())
}

fn require_one_thread() -> io::Result<()> {
    match std::fs::read_dir("/proc/self/task")?.count() {
        1 => Ok(()),
        count => Err(io::Error::other(format!(
            "the process already has {count} threads"
        ))),
    }
}

/// The memory `ps` shows as the command line of this process.
pub(super) struct TitleArea {
    start: usize,
    len: usize,
}

impl TitleArea {
    /// Finds the area and moves the environment out of it. Call once, before threads start.
    ///
    /// When a variable cannot be moved, the area is the arguments alone and long titles are cut.
    ///
    /// Errors: no readable `/proc/self/stat`, or other threads running.
    pub fn claim() -> io::Result<Self> {
        require_one_thread()?;
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let bounds = AreaBounds::parse(&stat).ok_or_else(|| io::Error::other("no argument addresses"))?;
        let end = if bounds.contiguous() && move_environment() {
            bounds.env_end
        } else {
            bounds.arg_end
        };
        Ok(Self {
            start: bounds.arg_start,
            len: end - bounds.arg_start,
        })
    }

    /// The longest title that fits, in bytes.
    pub fn title_bytes_max(&self) -> usize {
        self.len - 1
    }

    /// Shows `title`, cut to the room there is. O(area).
    pub fn write(&mut self, title: &[u8]) {
        let shown = title.len().min(self.title_bytes_max());
        let area = std::ptr::with_exposed_provenance_mut::<u8>(self.start);
        // SAFETY: I3, I4: the area is `len` writable bytes, `&mut self` is its only writer, and `shown < len`.
        unsafe {
            std::ptr::write_bytes(area, 0, self.len);
            std::ptr::copy_nonoverlapping(title.as_ptr(), area, shown);
        }
    }
}

/// Points every variable of the environment at a copy on the heap; whether that worked for all of them.
///
/// `setenv` replaces the first entry of a name, so a doubled name, or one `setenv` refuses, leaves a string behind.
fn move_environment() -> bool {
    let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let names: HashSet<&OsString> = variables.iter().map(|(name, _)| name).collect();
    let settable = |name: &&OsString| !name.is_empty() && !name.as_bytes().contains(&b'=');
    if names.len() != variables.len() || !names.iter().all(settable) {
        return false;
    }
    for (name, value) in &variables {
        // SAFETY: I2: `claim` checked that no other thread runs.
        unsafe { std::env::set_var(name, value) };
    }
    true
}

/// The addresses in fields 48 to 51 of `/proc/self/stat`.
#[derive(Debug, PartialEq, Eq)]
struct AreaBounds {
    arg_start: usize,
    arg_end: usize,
    env_start: usize,
    env_end: usize,
}

impl AreaBounds {
    /// Field 2 is the program name in parentheses, and may hold spaces and parentheses itself: count from its end.
    fn parse(stat: &str) -> Option<Self> {
        let fields = &stat[stat.rfind(')')? + 1..];
        let mut addresses = fields
            .split_ascii_whitespace()
            .skip(48 - 3)
            .map(|field| field.parse().ok());
        let mut next = || addresses.next().flatten();
        let bounds = Self {
            arg_start: next()?,
            arg_end: next()?,
            env_start: next()?,
            env_end: next()?,
        };
        (bounds.arg_start != 0 && bounds.arg_start < bounds.arg_end).then_some(bounds)
    }

    fn contiguous(&self) -> bool {
        self.env_start == self.arg_end && self.env_start < self.env_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_behind_any_program_name() {
        let fields: Vec<String> = (3..=52).map(|field| (field * 1000).to_string()).collect();
        let stat = format!("1 (a) b (c) {}", fields.join(" "));
        let found = AreaBounds::parse(&stat).unwrap();
        let expected = AreaBounds {
            arg_start: 48_000,
            arg_end: 49_000,
            env_start: 50_000,
            env_end: 51_000,
        };
        assert_eq!(found, expected);
        assert!(!found.contiguous());
        assert_eq!(AreaBounds::parse("1 (a) S 1 2 3"), None);
        assert_eq!(AreaBounds::parse(""), None);
    }

    #[test]
    fn the_own_stat_line_parses() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(AreaBounds::parse(&stat).unwrap().contiguous());
    }

    #[test]
    fn a_process_with_threads_is_not_forked() {
        std::thread::scope(|scope| {
            let (done, wait) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || wait.recv());
            assert!(fork_alone().is_err());
            assert!(TitleArea::claim().is_err());
            drop(done);
        });
    }
}
