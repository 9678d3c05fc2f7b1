//! CPU time used, for INFO cpu.
//!
//! Not here: any state; the kernel does the counting.

use super::info::InfoWriter;
use super::jemalloc;
use std::time::Duration;

/// Whose time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// All threads of this process.
    Process,
    /// Children that have ended and were waited for: finished snapshots and rewrites.
    Children,
    /// The calling thread; the executor, when the executor asks.
    Thread,
}

/// CPU time in user code and in the kernel.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CpuTime {
    /// Time in user code.
    pub user: Duration,
    /// Time in the kernel.
    pub system: Duration,
}

impl CpuTime {
    /// Time used so far; zero if the system does not tell. One system call.
    pub fn of(subject: Subject) -> Self {
        let who = match subject {
            Subject::Process => libc::RUSAGE_SELF,
            Subject::Children => libc::RUSAGE_CHILDREN,
            Subject::Thread => libc::RUSAGE_THREAD,
        };
        jemalloc::resource_usage(who).map_or(Self::default(), |usage| Self {
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
        })
    }
}

/// Writes the section `CPU`, title included. Call it on the executor's thread: its own time counts as that of
/// the main thread.
pub fn write_cpu(info: &mut InfoWriter) {
    info.section("CPU");
    for (subject, suffix) in [
        (Subject::Process, ""),
        (Subject::Children, "_children"),
        (Subject::Thread, "_main_thread"),
    ] {
        let time = CpuTime::of(subject);
        info.field(&format!("used_cpu_sys{suffix}"), seconds(time.system));
        info.field(&format!("used_cpu_user{suffix}"), seconds(time.user));
    }
}

/// Seconds with six decimals.
fn seconds(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_up_in_the_time_of_the_thread() {
        let before = CpuTime::of(Subject::Thread);
        let spent = || {
            let now = CpuTime::of(Subject::Thread);
            (now.user + now.system).saturating_sub(before.user + before.system)
        };
        while spent() < Duration::from_millis(2) {}
        assert!(CpuTime::of(Subject::Process).user + CpuTime::of(Subject::Process).system >= spent());
    }

    #[test]
    fn times_are_written_with_six_decimals() {
        assert_eq!(seconds(Duration::from_micros(1_000_042)), "1.000042");
        assert_eq!(seconds(Duration::ZERO), "0.000000");
    }

    #[test]
    fn the_section_has_the_six_fields_in_order() {
        let mut info = InfoWriter::new();
        write_cpu(&mut info);
        let text = String::from_utf8(info.finish()).expect("only ASCII was written");
        let names: Vec<&str> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split(':').next())
            .collect();
        let expected = [
            "used_cpu_sys",
            "used_cpu_user",
            "used_cpu_sys_children",
            "used_cpu_user_children",
            "used_cpu_sys_main_thread",
            "used_cpu_user_main_thread",
        ];
        assert_eq!(names, expected);
    }
}
