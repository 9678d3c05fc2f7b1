//! Settings of the system that hurt a data store: what `--check-system` prints, and what the log warns of at the start.
//!
//! ```text
//! [slow-clocksource]...OK          reading the time enters the kernel
//! [xen-clocksource]...skipped      the slow clock of a hypervisor         (not to be found out)
//! [overcommit]...WARNING:          a child that saves needs as much memory again on paper
//! <what to do>
//! [THP]...OK                       transparent huge pages: a write copies 2 MiB while a child saves
//! [madvise-free-fork-bug]...OK     on ARM alone: kernels that lose pages of a forked child
//! ```
//!
//! All but the first and the last read a file of `/proc` or `/sys`. The first takes 50 ms of CPU, the last a child.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use super::child::{self, Worker};
use super::log::warning;
use super::sys::{self, FreedPage};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    /// Nothing is wrong.
    Fine,
    /// What is, and what helps.
    Hurts(String),
    /// The system does not tell.
    Unknown,
}

use Finding::{Fine, Hurts, Unknown};

/// Name and work of a check.
type Check = (&'static str, fn(&System) -> Finding);

const CHECKS: &[Check] = &[
    ("slow-clocksource", System::slow_clock),
    ("xen-clocksource", System::xen_clock),
    ("overcommit", System::overcommit),
    ("THP", System::huge_pages),
    #[cfg(target_arch = "aarch64")]
    ("madvise-free-fork-bug", |_| freed_pages()),
];

/// Does all checks and prints what they find; whether nothing hurts.
///
/// # Errors
/// `out` takes no more.
pub fn report(out: &mut impl Write) -> io::Result<bool> {
    System::running().report(CHECKS, out)
}

/// What a server does at its start about what it finds.
#[derive(Debug, Clone, Copy)]
pub struct StartOptions<'a> {
    /// `disable-thp`.
    pub disable_huge_pages: bool,
    /// `tcp-backlog`, when there is a port.
    pub backlog: Option<u32>,
    /// `ignore-warnings`.
    pub ignored: &'a str,
}

/// Warns in the log of what hurts, and has huge pages kept away from this process and its children.
///
/// # Errors
/// What makes it wrong to go on.
pub fn at_start(options: &StartOptions<'_>) -> Result<(), String> {
    let system = System::running();
    if let Some(limit) = options.backlog.and_then(|backlog| system.backlog_cut(backlog)) {
        warning!(
            "WARNING: The TCP backlog setting of {} cannot be enforced because /proc/sys/net/core/somaxconn is set to \
             the lower value of {limit}.",
            options.backlog.unwrap_or_default()
        );
    }
    warn(&system.overcommit());
    let huge_pages = system.huge_pages();
    let keeps_away = || rustix::thread::disable_transparent_huge_pages(true).is_ok();
    if huge_pages != Fine && !(options.disable_huge_pages && keeps_away()) {
        warn(&huge_pages);
    }
    warn(&system.xen_clock());
    if cfg!(target_arch = "aarch64") && !ignores(options.ignored, "ARM64-COW-BUG") {
        refuse_lossy_kernel(&freed_pages())?;
    }
    Ok(())
}

fn warn(finding: &Finding) {
    if let Hurts(text) = finding {
        warning!("WARNING {text}");
    }
}

fn ignores(names: &str, name: &str) -> bool {
    names
        .split_whitespace()
        .any(|ignored| ignored.eq_ignore_ascii_case(name))
}

fn refuse_lossy_kernel(finding: &Finding) -> Result<(), String> {
    warn(finding);
    match finding {
        Hurts(_) => Err(
            "Not starting, as snapshots could be corrupt. To start all the same, set \
                         'ignore-warnings ARM64-COW-BUG'."
                .to_owned(),
        ),
        Fine | Unknown => Ok(()),
    }
}

/// The files a system tells of itself in.
struct System {
    root: PathBuf,
}

impl System {
    fn running() -> System {
        System {
            root: PathBuf::from("/"),
        }
    }

    fn report(&self, checks: &[Check], out: &mut impl Write) -> io::Result<bool> {
        let mut sound = true;
        for (name, check) in checks {
            match check(self) {
                Fine => writeln!(out, "[{name}]...OK")?,
                Unknown => writeln!(out, "[{name}]...skipped")?,
                Hurts(text) => {
                    sound = false;
                    writeln!(out, "[{name}]...WARNING:\n{text}")?;
                }
            }
        }
        Ok(sound)
    }

    /// The text of a file without white space around it.
    fn read(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned())
    }

    fn clock(&self, which: &str) -> Option<String> {
        self.read(&format!(
            "sys/devices/system/clocksource/clocksource0/{which}_clocksource"
        ))
    }

    fn slow_clock(&self) -> Finding {
        // getrusage counts whole ticks of the kernel on some systems: five of them.
        let Some((user_us, system_us)) = spin(Duration::from_millis(50)) else {
            return Unknown;
        };
        if system_us * 10 <= user_us + system_us {
            return Fine;
        }
        Hurts(format!(
            "Slow system clocksource detected: reading the time enters the kernel, which every command pays for. The \
             clocksource is '{}', available are '{}'. To choose one, write its name to \
             /sys/devices/system/clocksource/clocksource0/current_clocksource as root; for good, start the kernel with \
             the parameter 'clocksource='.",
            self.clock("current").unwrap_or_default(),
            self.clock("available").unwrap_or_default()
        ))
    }

    fn xen_clock(&self) -> Finding {
        match self.clock("current").as_deref() {
            None => Unknown,
            Some("xen") => Hurts(
                "Your system is configured to use the 'xen' clocksource, which may be slow. Whether it is, \
                 'russet-server --check-system' tells as [slow-clocksource]."
                    .to_owned(),
            ),
            Some(_) => Fine,
        }
    }

    fn overcommit(&self) -> Finding {
        match self.read("proc/sys/vm/overcommit_memory").as_deref() {
            None => Unknown,
            Some("1") => Fine,
            Some(_) => Hurts(
                "Memory overcommit must be enabled! Without it, a background save or a rewrite of the append-only file \
                 may fail when memory is low, as its child could need as much again. To fix this issue add \
                 'vm.overcommit_memory = 1' to /etc/sysctl.conf and then reboot or run the command 'sysctl \
                 vm.overcommit_memory=1' for this to take effect."
                    .to_owned(),
            ),
        }
    }

    fn huge_pages(&self) -> Finding {
        match self.read("sys/kernel/mm/transparent_hugepage/enabled") {
            None => Unknown,
            Some(modes) if modes.contains("[always]") => Hurts(
                "You have Transparent Huge Pages (THP) support enabled in your kernel. While a child saves, each first \
                 write to a page copies 2 MiB then, which takes time and memory. To fix this issue run the command \
                 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled' as root, have it run at every boot, and \
                 restart the server."
                    .to_owned(),
            ),
            Some(_) => Fine,
        }
    }

    /// How long the queue of new connections may be, if that is less than what is asked for.
    fn backlog_cut(&self, backlog: u32) -> Option<u32> {
        let limit: u32 = self.read("proc/sys/net/core/somaxconn")?.parse().ok()?;
        (limit < backlog).then_some(limit)
    }
}

/// Reads the time for so long; how many microseconds of that were spent outside and inside the kernel.
fn spin(time: Duration) -> Option<(u64, u64)> {
    let before = sys::cpu_times_us()?;
    let start = Instant::now();
    while start.elapsed() < time {}
    let after = sys::cpu_times_us()?;
    Some((after.0 - before.0, after.1 - before.1))
}

/// Whether a page that was given back and written to again is still dirty in a forked child. Some kernels for ARM forget
/// that, and drop what was written.
fn freed_pages() -> Finding {
    match FreedPage::new().and_then(|page| dirty_kilobytes_in_child(page.address())) {
        Err(_) | Ok(None) => Unknown,
        Ok(Some(0)) => Hurts(
            "Your kernel has a bug that could lead to data corruption during background save. Please upgrade to the \
             latest stable kernel."
                .to_owned(),
        ),
        Ok(Some(_)) => Fine,
    }
}

fn dirty_kilobytes_in_child(address: usize) -> io::Result<Option<u64>> {
    let mut child = child::spawn(None, |report| {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        if let Some(kilobytes) = shared_dirty(&maps, address) {
            report.line(&kilobytes.to_string());
        }
        0
    })?;
    while child.ended().is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(child.lines().first().and_then(|line| line.parse().ok()))
}

/// `Shared_Dirty` of the mapping that `address` is in, out of the text of `smaps`.
fn shared_dirty(maps: &str, address: usize) -> Option<u64> {
    let range = |line: &str| {
        let (first, last) = line.split_once(' ')?.0.split_once('-')?;
        let hex = |text| usize::from_str_radix(text, 16).ok();
        Some(hex(first)?..hex(last)?)
    };
    let here = |line: &&str| range(line).is_some_and(|range| range.contains(&address));
    maps.lines()
        .skip_while(|line| !here(line))
        .find_map(|line| line.strip_prefix("Shared_Dirty:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system whose files are these.
    fn system(files: &[(&str, &str)]) -> (tempfile::TempDir, System) {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("it is below the folder")).expect("writable");
            fs::write(path, text).expect("writable");
        }
        let root = folder.path().to_owned();
        (folder, System { root })
    }

    const CLOCK: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    const OVERCOMMIT: &str = "proc/sys/vm/overcommit_memory";
    const HUGE_PAGES: &str = "sys/kernel/mm/transparent_hugepage/enabled";

    /// The report without the texts of what hurts.
    fn findings(files: &[(&str, &str)]) -> (bool, String) {
        let (_folder, system) = system(files);
        let mut out = Vec::new();
        let sound = system
            .report(&CHECKS[1..4], &mut out)
            .expect("a vector takes all");
        let lines = String::from_utf8(out).expect("text");
        let heads: Vec<&str> = lines.lines().filter(|line| line.starts_with('[')).collect();
        (sound, heads.join(" "))
    }

    #[test]
    fn a_system_that_is_set_up_for_it_is_fine() {
        assert_eq!(
            findings(&[
                (CLOCK, "tsc\n"),
                (OVERCOMMIT, "1\n"),
                (HUGE_PAGES, "always [madvise] never\n"),
            ]),
            (
                true,
                "[xen-clocksource]...OK [overcommit]...OK [THP]...OK".to_owned()
            )
        );
    }

    #[test]
    fn what_hurts_is_told() {
        assert_eq!(
            findings(&[
                (CLOCK, "xen\n"),
                (OVERCOMMIT, "0\n"),
                (HUGE_PAGES, "[always] madvise never\n"),
            ]),
            (
                false,
                "[xen-clocksource]...WARNING: [overcommit]...WARNING: [THP]...WARNING:".to_owned()
            )
        );
    }

    #[test]
    fn what_the_system_does_not_tell_is_skipped_and_no_reason_to_worry() {
        assert_eq!(
            findings(&[]),
            (
                true,
                "[xen-clocksource]...skipped [overcommit]...skipped [THP]...skipped".to_owned()
            )
        );
    }

    #[test]
    fn a_backlog_is_cut_where_the_kernel_takes_less() {
        let (_folder, system) = system(&[("proc/sys/net/core/somaxconn", "128\n")]);
        assert_eq!(system.backlog_cut(511), Some(128));
        assert_eq!(system.backlog_cut(128), None);
    }

    #[test]
    fn a_loop_costs_time_outside_the_kernel_or_inside() {
        let (user_us, system_us) = spin(Duration::from_millis(50)).expect("Linux tells");
        assert!(user_us + system_us > 0);
    }

    #[test]
    fn this_kernel_keeps_pages_that_were_written_to_again() {
        assert_eq!(freed_pages(), Fine);
    }

    #[test]
    fn a_kernel_that_does_not_is_not_worked_with_unless_wished() {
        assert!(refuse_lossy_kernel(&Hurts("x".into())).is_err());
        assert_eq!(refuse_lossy_kernel(&Unknown), Ok(()));
        assert!(ignores("foo arm64-cow-bug", "ARM64-COW-BUG"));
        assert!(!ignores("", "ARM64-COW-BUG"));
    }

    #[test]
    fn the_page_is_found_among_the_mappings() {
        let maps = "1000-2000 r--p 0 0:0 0\nShared_Dirty:  4 kB\n2000-3000 rw-p 0 0:0 0\nRss: 4 kB\nShared_Dirty:  8 kB\n";
        assert_eq!(shared_dirty(maps, 0x2fff), Some(8));
        assert_eq!(shared_dirty(maps, 0x3000), None);
        assert_eq!(shared_dirty(&maps[..60], 0x2fff), None);
    }
}
