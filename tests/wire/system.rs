//! What the process asks of its system: names, CPUs, scores, marks; and what it says when the system hurts it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::process::run_to_end;
use super::server::{Server, eventually, read_text};

/// A field of `/proc/<process>/status`, or of one of its threads'.
fn status(folder: &str, field: &str) -> String {
    let text = read_text(Path::new(&format!("{folder}/status")));
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_default().trim().to_owned()
}

/// The first and the last CPU this test may run on.
fn two_cpus() -> (String, String) {
    let list = status("/proc/self", "Cpus_allowed_list:");
    let ends = |separator: fn(char) -> bool| {
        let mut ends = list.split(separator).map(str::to_owned);
        let first = ends.next().expect("there is one");
        (first.clone(), ends.next_back().unwrap_or(first))
    };
    ends(|c| c == ',' || c == '-')
}

/// The CPUs of each thread, by its name.
fn threads(server: &Server) -> BTreeMap<String, String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("it runs");
    tasks
        .flatten()
        .map(|task| task.path().display().to_string())
        .map(|task| (status(&task, "Name:"), status(&task, "Cpus_allowed_list:")))
        .collect()
}

/// The one child a server has.
fn child(server: &Server) -> Option<String> {
    let path = format!("/proc/{pid}/task/{pid}/children", pid = server.pid());
    let children = read_text(Path::new(&path));
    children.split_whitespace().next().map(str::to_owned)
}

fn shown(process: &str) -> String {
    read_text(Path::new(&format!("/proc/{process}/cmdline")))
        .trim_end_matches('\0')
        .to_owned()
}

#[test]
fn threads_run_on_the_cpus_meant_for_them() {
    let (first, last) = two_cpus();
    let server = Server::start(&[
        "--io-threads",
        "3",
        "--server-cpulist",
        &first,
        "--bio-cpulist",
        &format!("{last}-{last}"),
    ]);
    let mut wire = server.connect();
    let big: Vec<String> = (0..300).map(|number| format!("member {number}")).collect();
    let words: Vec<&str> = ["SADD", "s"]
        .into_iter()
        .chain(big.iter().map(String::as_str))
        .collect();
    wire.run(&words);
    wire.run(&["UNLINK", "s"]);
    eventually("there is a thread that frees", || {
        threads(&server).contains_key("lazy_free")
    });
    eventually("each thread is in its place", || {
        let threads = threads(&server);
        threads.get("io_thd_1") == Some(&first)
            && threads.get("io_thd_2") == Some(&first)
            && threads.get("lazy_free") == Some(&last)
    });
    assert_eq!(
        status(&format!("/proc/{}", server.pid()), "Cpus_allowed_list:"),
        first
    );
}

#[test]
fn a_child_has_its_own_name_score_and_cpus() {
    let (_, last) = two_cpus();
    let server = Server::start(&[
        "--oom-score-adj",
        "relative",
        "--oom-score-adj-values",
        "10",
        "20",
        "30",
        "--rdb-key-save-delay",
        "1000000",
        "--proc-title-template",
        "{title} of {port}",
        "--bgsave-cpulist",
        &last,
    ]);
    let mut wire = server.connect();
    let score = |process: &str| -> i32 {
        let text = read_text(Path::new(&format!("/proc/{process}/oom_score_adj")));
        text.trim().parse().unwrap_or(i32::MIN)
    };
    let base = score("self");
    assert_eq!(score(&server.pid().to_string()), base + 10);
    for key in 0..20 {
        wire.run(&["SET", &key.to_string(), "v"]);
    }
    wire.run(&["BGSAVE"]);
    let child = child(&server).expect("it saves for 20 seconds");
    let title = format!("redis-rdb-bgsave of {}", server.port());
    eventually("the child has a name of its own", || shown(&child) == title);
    eventually("it goes before its parent", || score(&child) == base + 30);
    assert_eq!(status(&format!("/proc/{child}"), "Cpus_allowed_list:"), last);
    wire.ok(&[
        "CONFIG",
        "SET",
        "oom-score-adj-values",
        "10 20 40",
        "proc-title-template",
        "{title} from {port}",
    ]);
    wire.ok(&["FLUSHALL"]);
    eventually("the first child is gone", || {
        super::wire::info_number(&mut wire, "persistence", "rdb_bgsave_in_progress") == 0
    });
    wire.run(&["SET", "k", "v"]);
    wire.run(&["BGSAVE"]);
    let title = format!("redis-rdb-bgsave from {}", server.port());
    eventually("the next child is as it was asked for", || {
        self::child(&server).is_some_and(|child| score(&child) == base + 40 && shown(&child) == title)
    });
}

#[test]
fn a_title_nobody_wants_is_not_shown() {
    let server = Server::start(&["--set-proc-title", "no"]);
    let shown = shown(&server.pid().to_string());
    assert!(shown.contains("\0--port\0"), "{shown:?}");
}

#[test]
fn the_check_of_the_system_tells_what_it_looked_at() {
    let ended = run_to_end(&["--check-system"]);
    for name in ["slow-clocksource", "xen-clocksource", "overcommit", "THP"] {
        let lines = ended
            .out
            .lines()
            .filter(|line| line.starts_with(&format!("[{name}]...")));
        assert_eq!(lines.count(), 1, "{name}: {}", ended.out);
    }
    assert_eq!(
        ended.code,
        Some(i32::from(ended.out.contains("WARNING:"))),
        "{}",
        ended.out
    );
}

#[test]
fn a_backlog_the_system_cuts_and_a_list_of_no_cpus_are_warned_of() {
    let server = Server::start(&["--tcp-backlog", "2147483647", "--server-cpulist", "1-x"]);
    let log = server.log();
    assert!(
        log.contains("The TCP backlog setting of 2147483647 cannot be enforced"),
        "{log}"
    );
    assert!(log.contains("server-cpulist: '1-x' is no list of CPUs"), "{log}");
}
