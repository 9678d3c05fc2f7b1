//! The CPUs a thread may run on, and background threads on theirs.
//!
//! ```text
//! "0,2-5,8-14:2"  ->  0 2 3 4 5 8 10 12 14      a-b:s counts from a to b by s
//! ```
//!
//! A thread inherits the CPUs of the one that starts it, so the executor's go for the threads of connections by themselves.
//! Work in the background is to stay clear of both: all of it starts with [`spawn_background`].
//!
//! Not here: who gets which CPUs; the directives ending in `-cpulist` say that.

use std::io;
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A set of CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpus(CpuSet);

impl Cpus {
    /// Reads a list; `None` when it is none, names a CPU no system has, or is empty.
    pub fn parse(list: &str) -> Option<Cpus> {
        let mut set = CpuSet::new();
        for item in list.split(',') {
            let (range, step) = item.split_once(':').unwrap_or((item, "1"));
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last, step) = (number(first)?, number(last)?, number(step)?);
            if first > last || last >= CpuSet::MAX_CPU || step == 0 {
                return None;
            }
            (first..=last).step_by(step).for_each(|cpu| set.set(cpu));
        }
        Some(Cpus(set))
    }

    /// Those of the calling thread.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn current() -> io::Result<Cpus> {
        Ok(Cpus(sched_getaffinity(None)?))
    }

    /// Has the calling thread, and those it starts from now on, run on these alone.
    ///
    /// # Errors
    /// What the operating system says: there is none of these, or the process may not choose.
    pub fn pin(&self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &self.0)?)
    }
}

fn number(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

static BACKGROUND: OnceLock<Cpus> = OnceLock::new();

/// Where background threads run from now on; only the first call counts.
pub fn set_background(cpus: Cpus) {
    let _ = BACKGROUND.set(cpus);
}

/// Starts a thread for work in the background, on the CPUs meant for that.
///
/// # Errors
/// There can be no further thread.
pub fn spawn_background(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        if let Some(cpus) = BACKGROUND.get() {
            // That it could be done was found at the start.
            let _ = cpus.pin();
        }
        work();
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, expected: &[usize]) {
        let found = Cpus::parse(list).map(|Cpus(set)| {
            (0..CpuSet::MAX_CPU)
                .filter(|&cpu| set.is_set(cpu))
                .collect::<Vec<_>>()
        });
        assert_eq!(found.as_deref(), Some(expected), "{list}");
    }

    #[test]
    fn lists_name_cpus_ranges_and_steps() {
        check("0", &[0]);
        check("0,2,3", &[0, 2, 3]);
        check("0-3", &[0, 1, 2, 3]);
        check("1-9:4, 11", &[1, 5, 9, 11]);
        check("2-3,3-4", &[2, 3, 4]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for list in [
            "",
            "a",
            "0,",
            "-1",
            "3-2",
            "0-3:0",
            "0-3:",
            "1024",
            "0-99999999999999999999",
        ] {
            assert_eq!(Cpus::parse(list), None, "{list}");
        }
    }

    #[test]
    fn a_pinned_thread_stays_where_it_was_put() {
        std::thread::spawn(|| {
            let before = Cpus::current().expect("Linux tells");
            let first = (0..CpuSet::MAX_CPU)
                .find(|&cpu| before.0.is_set(cpu))
                .expect("it runs somewhere");
            let one = Cpus::parse(&first.to_string()).expect("a list");
            one.pin().expect("a CPU it may run on");
            assert_eq!(Cpus::current().expect("Linux tells"), one);
            let child = std::thread::spawn(|| Cpus::current().expect("Linux tells"));
            assert_eq!(child.join().expect("no panic"), one);
        })
        .join()
        .expect("no panic");
    }
}
