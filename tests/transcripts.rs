//! Transcripts: commands and the replies they must get, run against Russet and against a real server.
//!
//! ```text
//! # A remark.                      to the end of the line
//! [resp3] [clock +150]             attributes of the case, before its commands
//! SET k v ; GET k                  commands in redis-cli quoting, several to a line with " ; " between
//! ----
//! +OK                              replies in the notation of `russet::resp::value`, or "..." for any one reply
//! $v
//!                                  a blank line ends the case
//! ```
//!
//! Each file of `tests/commands/` starts with a fresh connection and FLUSHALL; state flows from case to case.
//! Attributes: `[since 7.4]` older references skip the case; `[russet]` all references do; `[resp3]` the connection
//! speaks RESP3 meanwhile; `[clock +MS]` time passes before the first command; `[needs rpush]` Russet skips the case while it lacks the command.
//!
//! The reference is the server that `REFERENCE=host:port` names, else a `redis-server` from `PATH` started for the run,
//! else none; none either when that is newer than 7.4, which answers otherwise. `REWRITE=1` writes the replies of the reference into the files, `REWRITE=russet` ours.

mod programs;

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use russet::base::quote::split_args;
use russet::exec::Executor;
use russet::resp::value::{Value, parse_value};
use russet::session::SessionId;

use programs::{PATIENCE, Program, reference_is_too_new};

type Words = Vec<Vec<u8>>;

// ---- transcripts ----

struct Transcript {
    path: PathBuf,
    cases: Vec<Case>,
}

#[derive(Default)]
struct Case {
    /// Line of the first command, from 1.
    line: usize,
    /// Everything above the `----`, as it stands in the file.
    head: Vec<String>,
    attributes: Attributes,
    commands: Vec<Words>,
    replies: Vec<String>,
}

#[derive(Default)]
struct Attributes {
    /// Oldest reference that behaves so: (major, minor).
    since: Option<(u32, u32)>,
    resp3: bool,
    clock_ms: u64,
    russet: bool,
    /// A command without which Russet cannot run the case yet.
    needs: Option<String>,
}

fn transcripts() -> Vec<Transcript> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands");
    let entries = fs::read_dir(folder).expect("tests/commands is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths.into_iter().map(read_transcript).collect()
}

fn read_transcript(path: PathBuf) -> Transcript {
    let text = fs::read_to_string(&path).expect("a transcript is UTF-8");
    let mut cases = Vec::new();
    let mut case = Case::default();
    let mut in_replies = false;
    for (index, line) in text.lines().chain([""]).enumerate() {
        if line.is_empty() {
            if !case.head.is_empty() {
                cases.push(std::mem::take(&mut case));
            }
            in_replies = false;
        } else if in_replies {
            case.replies.push(line.to_owned());
        } else if line == "----" {
            in_replies = true;
        } else {
            case.take_head(line, index + 1);
        }
    }
    Transcript { path, cases }
}

impl Case {
    fn take_head(&mut self, line: &str, number: usize) {
        self.head.push(line.to_owned());
        if line.starts_with('#') {
            return;
        }
        if line.starts_with('[') {
            let names = line.split(']').map(|part| part.trim().trim_start_matches('['));
            names
                .filter(|name| !name.is_empty())
                .for_each(|name| self.attributes.take(name, number));
            return;
        }
        if self.commands.is_empty() {
            self.line = number;
        }
        for command in line.split(" ; ") {
            let words = split_args(command.as_bytes());
            self.commands
                .push(words.unwrap_or_else(|_| panic!("line {number}: unbalanced quotes")));
        }
    }

    fn runs_on(&self, target: &dyn Target) -> bool {
        let Attributes {
            since, russet, needs, ..
        } = &self.attributes;
        match target.version() {
            None => needs.as_ref().is_none_or(|command| target.knows(command)),
            Some(version) => !russet && since.is_none_or(|since| version >= since),
        }
    }
}

impl Attributes {
    fn take(&mut self, attribute: &str, line: usize) {
        match attribute.split_once(' ').unwrap_or((attribute, "")) {
            ("since", version) => self.since = Some(version_of(version)),
            ("resp3", "") => self.resp3 = true,
            ("russet", "") => self.russet = true,
            ("needs", command) => self.needs = Some(command.to_owned()),
            ("clock", ms) => self.clock_ms = ms.trim_start_matches('+').parse().expect("milliseconds"),
            _ => panic!("line {line}: unknown attribute [{attribute}]"),
        }
    }
}

fn version_of(text: &str) -> (u32, u32) {
    let mut parts = text
        .split('.')
        .map(|part| part.parse().expect("a version like 7.4"));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

// ---- what runs them ----

/// A server with one connection.
trait Target {
    /// A new connection to an empty server.
    fn restart(&mut self);
    fn run(&mut self, words: &Words) -> Value;
    fn pass_ms(&mut self, ms: u64);
    /// Version of a reference; `None` for Russet.
    fn version(&self) -> Option<(u32, u32)>;
    fn knows(&self, command: &str) -> bool;
}

struct InProcess {
    executor: Executor,
    session: SessionId,
}

impl InProcess {
    fn new() -> InProcess {
        let mut executor = Executor::for_tests();
        let session = executor.connect();
        InProcess { executor, session }
    }
}

impl Target for InProcess {
    fn restart(&mut self) {
        *self = InProcess::new();
    }

    fn run(&mut self, words: &Words) -> Value {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let bytes = self.executor.run(self.session, &words);
        let (value, len) = parse_value(&bytes)
            .expect("a reply is RESP")
            .unwrap_or_else(|| panic!("no whole reply to {words:?}"));
        assert_eq!(len, bytes.len(), "{words:?} wrote more than one reply");
        value
    }

    fn pass_ms(&mut self, ms: u64) {
        let now_us = self.executor.time_us() + ms as i64 * 1000;
        self.executor.set_time_us(now_us);
    }

    fn version(&self) -> Option<(u32, u32)> {
        None
    }

    fn knows(&self, command: &str) -> bool {
        self.executor.table().find(command.as_bytes()).is_some()
    }
}

struct Reference {
    address: String,
    stream: TcpStream,
    unread: Vec<u8>,
    version: (u32, u32),
}

impl Reference {
    fn connect(address: &str) -> Reference {
        let mut reference = Reference {
            address: address.to_owned(),
            stream: dial(address),
            unread: Vec::new(),
            version: (0, 0),
        };
        let Value::Bulk(info) = reference.run(&words("INFO server")) else {
            panic!("INFO answers text")
        };
        let info = String::from_utf8_lossy(&info).into_owned();
        let line = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        reference.version = version_of(line.expect("the reference tells its version"));
        reference
    }

    fn read_value(&mut self) -> Value {
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some((value, len)) = parse_value(&self.unread).expect("a reply is RESP") {
                self.unread.drain(..len);
                return value;
            }
            let count = match self.stream.read(&mut chunk) {
                // It was stopped for a while and goes on.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                count => count.expect("the reference answers in time"),
            };
            assert!(count > 0, "the reference closed the connection");
            self.unread.extend_from_slice(&chunk[..count]);
        }
    }
}

impl Target for Reference {
    fn restart(&mut self) {
        self.stream = dial(&self.address);
        self.unread.clear();
        self.run(&words("FLUSHALL"));
    }

    fn run(&mut self, words: &Words) -> Value {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&bytes).expect("the reference reads");
        self.read_value()
    }

    fn pass_ms(&mut self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    fn version(&self) -> Option<(u32, u32)> {
        Some(self.version)
    }

    fn knows(&self, _: &str) -> bool {
        true
    }
}

fn dial(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the reference is there");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

fn words(line: &str) -> Words {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

// ---- running ----

/// Runs all cases of a transcript that apply; a description of each that went wrong.
fn check(transcript: &Transcript, target: &mut dyn Target) -> Vec<String> {
    let name = transcript.path.file_name().expect("a file").to_string_lossy();
    let mut failures = Vec::new();
    target.restart();
    for case in &transcript.cases {
        if !case.runs_on(target) {
            continue;
        }
        if let Err(difference) = compare(case, &run_case(case, target)) {
            failures.push(format!("{name}:{}: {difference}", case.line));
        }
    }
    failures
}

/// The replies of a case, each as its lines.
fn run_case(case: &Case, target: &mut dyn Target) -> Vec<Vec<String>> {
    if case.attributes.clock_ms > 0 {
        target.pass_ms(case.attributes.clock_ms);
    }
    if case.attributes.resp3 {
        target.run(&words("HELLO 3"));
    }
    let lines = |value: Value| value.to_string().lines().map(str::to_owned).collect();
    let replies = case
        .commands
        .iter()
        .map(|command| lines(target.run(command)))
        .collect();
    if case.attributes.resp3 {
        target.run(&words("HELLO 2"));
    }
    replies
}

fn compare(case: &Case, replies: &[Vec<String>]) -> Result<(), String> {
    let mut expected = case.replies.as_slice();
    for (command, reply) in case.commands.iter().zip(replies) {
        let found = if expected.first().is_some_and(|line| line == "...") {
            1
        } else if expected.starts_with(reply) {
            reply.len()
        } else {
            let expected = &expected[..expected.len().min(reply.len())];
            return Err(format!(
                "{}\nexpected {expected:#?}\ngot {reply:#?}",
                shown(command)
            ));
        };
        expected = &expected[found..];
    }
    if expected.is_empty() {
        Ok(())
    } else {
        Err(format!("replies too many: {expected:#?}"))
    }
}

fn shown(command: &Words) -> String {
    let words = command.iter().map(|word| word.escape_ascii().to_string());
    words.collect::<Vec<_>>().join(" ")
}

/// The file with the target's replies in place of those it has; cases that do not apply stay as they are.
fn rewrite(transcript: &Transcript, target: &mut dyn Target) {
    target.restart();
    let mut text = String::new();
    for case in &transcript.cases {
        let wild = case.replies.iter().any(|line| line == "...");
        let mut lines = case.head.clone();
        if !case.commands.is_empty() {
            let applies = case.runs_on(target);
            let replies = if applies {
                run_case(case, target).concat()
            } else {
                Vec::new()
            };
            lines.push("----".into());
            lines.extend(if applies && !wild {
                replies
            } else {
                case.replies.clone()
            });
        }
        text.push_str(if text.is_empty() { "" } else { "\n" });
        lines.iter().for_each(|line| text.extend([line, "\n"]));
    }
    fs::write(&transcript.path, text).expect("the transcript can be written");
}

#[track_caller]
fn check_all(target: &mut dyn Target) {
    let failures: Vec<String> = transcripts()
        .iter()
        .flat_map(|transcript| check(transcript, target))
        .collect();
    assert!(
        failures.is_empty(),
        "{} cases differ\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn russet_answers_as_the_transcripts_say() {
    // A test's own stack is a quarter of a server's: not enough for what scripts may nest, without optimization.
    const STACK_BYTES: usize = 16 << 20;
    let checked = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(answer_as_the_transcripts_say);
    if let Err(panic) = checked.expect("a thread").join() {
        std::panic::resume_unwind(panic);
    }
}

fn answer_as_the_transcripts_say() {
    let mut target = InProcess::new();
    if std::env::var("REWRITE").is_ok_and(|who| who == "russet") {
        return transcripts()
            .iter()
            .for_each(|transcript| rewrite(transcript, &mut target));
    }
    check_all(&mut target);
}

#[test]
fn the_reference_answers_as_the_transcripts_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let named = std::env::var("REFERENCE").ok();
    let own = match named {
        None if reference_is_too_new() => return,
        None => Program::start(
            Path::new("redis-server"),
            folder.path(),
            &["--enable-debug-command", "yes"],
        ),
        Some(_) => None,
    };
    let address = named.or(own.as_ref().map(|server| server.address().to_string()));
    let Some(address) = address else {
        return eprintln!("skipped: neither REFERENCE nor a redis-server in PATH");
    };
    let mut target = Reference::connect(&address);
    if std::env::var("REWRITE").is_ok_and(|who| who == "1") {
        return transcripts()
            .iter()
            .for_each(|transcript| rewrite(transcript, &mut target));
    }
    check_all(&mut target);
}

#[test]
fn every_command_has_a_transcript() {
    let executor = Executor::for_tests();
    let table = executor.table();
    let mut exercised = BTreeSet::new();
    for command in transcripts()
        .iter()
        .flat_map(|transcript| &transcript.cases)
        .flat_map(|case| &case.commands)
    {
        let name = command.first().map_or(&b""[..], Vec::as_slice);
        if let Some(Ok(found)) = table.resolve(name, || command.get(1).map(Vec::as_slice)) {
            exercised.insert(found.full_name.clone());
        }
    }
    let rows = table.all().iter().filter(|command| command.children.is_empty());
    let silent: Vec<&String> = rows
        .map(|row| &row.full_name)
        .filter(|name| !exercised.contains(*name))
        .collect();
    assert!(silent.is_empty(), "commands without a transcript: {silent:?}");
}

#[test]
fn transcripts_are_well_formed() {
    for Transcript { path, cases } in transcripts() {
        for case in cases.iter().filter(|case| !case.commands.is_empty()) {
            let answers = case.replies.iter().filter(|line| !line.starts_with(' ')).count();
            assert_eq!(
                answers,
                case.commands.len(),
                "{}:{}: replies",
                path.display(),
                case.line
            );
        }
    }
}
