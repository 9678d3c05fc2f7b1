//! Reading a configuration: files, standard input and the command line's directives, in that order.
//!
//! ```text
//!   <file> <stdin> <overrides>    one stream of lines to Redis; here each line knows where it stands
//!   include a/*.conf              read in place; later lines win
//! ```
//!
//! A directive given twice has its last value, except that `save` lines after the first add to it, and
//! `client-output-buffer-limit` lines speak of one class each. The first line that makes no sense ends the
//! reading: its error names file, line and directive, and prints as Redis prints it.
//!
//! Limits: a file of 16 MB, includes 16 deep. Not here: the commands and users that `rename-command` and
//! `user` lines speak of; they are kept as [`Line`]s with their origin.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::change::settled;
use super::directive::{self, Entry, Kind};
use super::rewrite::Scope;
use super::value::{self, Reason, Value};
use super::{Config, Line};
use crate::base::{glob, quote};

/// The version whose behaviour is matched, as error texts name it.
pub const REDIS_VERSION: &str = "7.4.1";

const FILE_BYTES_MAX: u64 = 16 << 20;
const INCLUDE_DEPTH_MAX: usize = 16;

/// Directives of earlier versions that are read and ignored when they have one argument.
const RETIRED: [&str; 3] = [
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "lua-replicate-commands",
];

/// Where a line of the configuration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file; none for standard input and the command line.
    pub file: Option<Arc<Path>>,
    /// Line in the file, from 1. Lines of standard input and of the command line count on from the file's, as
    /// in Redis.
    pub number: usize,
    /// The line, without the blanks around it.
    pub text: Arc<[u8]>,
}

/// Why a configuration could not be read. Displays as the text Redis prints before it exits with code 1.
#[derive(Debug)]
pub enum LoadError {
    /// A file that cannot be read.
    Open {
        /// Its path as it was given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line that makes no sense.
    Line {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        reason: Reason,
    },
    /// Directives that contradict each other.
    Contradiction(Reason),
}

impl LoadError {
    /// An error of the line at `origin`: for a room that finds a kept line, or the effect of a directive, to
    /// be wrong.
    pub fn at(origin: &Origin, reason: impl Into<Reason>) -> LoadError {
        LoadError::Line {
            origin: origin.clone(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = format_args!("\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***\n");
        match self {
            LoadError::Open { path, source } => f.write_str(&cannot_open(path, source)),
            LoadError::Contradiction(reason) => write!(f, "{header}{reason}"),
            LoadError::Line {
                origin: Origin { file, number, text },
                reason,
            } => {
                write!(f, "{header}Reading the configuration file")?;
                if let Some(file) = file {
                    write!(f, " '{}'", file.display())?;
                }
                write!(
                    f,
                    ", at line {number}\n>>> '{}'\n{reason}",
                    String::from_utf8_lossy(text)
                )
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// The sentence for a file that cannot be read, without the number Rust adds to the system's own words.
fn cannot_open(path: &Path, error: &io::Error) -> String {
    format!(
        "Fatal error, can't open config file '{}': {}",
        path.display(),
        system_words(error)
    )
}

/// The system's words for an error, as `strerror` has them.
pub(super) fn system_words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl Config {
    /// Reads a configuration: the file if there is one, then what came by standard input, then the directives
    /// of the command line, each a text of lines.
    ///
    /// # Errors
    /// The first line that makes no sense, or a file that cannot be read.
    pub fn load(file: Option<&Path>, stdin: Option<&[u8]>, overrides: &[u8]) -> Result<Config, LoadError> {
        let mut loader = Loader::new(true);
        let mut lines_before = 0;
        if let Some(path) = file {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let text = read_file(&path).map_err(|source| LoadError::Open {
                path: path.clone(),
                source,
            })?;
            lines_before = count_lines(&text);
            loader.read(&text, Some(Arc::from(path.as_path())), 1, 0)?;
            loader.config.file = Some(path);
        }
        if let Some(text) = stdin {
            loader.read(text, None, lines_before + 1, 0)?;
            lines_before += count_lines(text);
        }
        // Redis puts a line break between what it has read so far and the command line's directives.
        loader.read(overrides, None, lines_before + 2, 0)?;
        loader.finish()
    }

    /// Reads a configuration from a text alone: no file is opened, so an `include` is an error.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn from_text(text: &[u8]) -> Result<Config, LoadError> {
        let mut loader = Loader::new(false);
        loader.read(text, None, 1, 0)?;
        loader.finish()
    }

    /// Where the present value of a directive was given; none when it is the default.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.origins.get(&directive::find(name.as_bytes())?.index)
    }

    /// The error for a directive that was fine in itself, but whose effect failed at start: it names the
    /// line, if any.
    pub fn blame(&self, name: &str, reason: impl Into<Reason>) -> LoadError {
        match self.origin(name) {
            Some(origin) => LoadError::at(origin, reason),
            None => LoadError::Contradiction(reason.into()),
        }
    }
}

struct Loader {
    config: Config,
    /// Whether files may be looked at.
    disk: bool,
    /// The first `save` replaces the default; later ones add to it.
    seen_save: bool,
}

impl Loader {
    fn new(disk: bool) -> Loader {
        Loader {
            config: Config::default(),
            disk,
            seen_save: false,
        }
    }

    fn read(
        &mut self,
        text: &[u8],
        file: Option<Arc<Path>>,
        first_number: usize,
        depth: usize,
    ) -> Result<(), LoadError> {
        for (place, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = until_nul(trim(line));
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let origin = Origin {
                file: file.clone(),
                number: first_number + place,
                text: line.into(),
            };
            self.line(&origin, depth).map_err(|stop| match stop {
                Stop::Reason(reason) => LoadError::Line { origin, reason },
                Stop::Inner(error) => error,
            })?;
        }
        Ok(())
    }

    fn line(&mut self, origin: &Origin, depth: usize) -> Result<(), Stop> {
        let words = quote::split_args(&origin.text)
            .map_err(|_| Stop::from("Unbalanced quotes in configuration line"))?;
        let Some((name, words)) = words.split_first() else {
            return Ok(());
        };
        match directive::find(name) {
            Some(entry) => self.directive(entry, words, origin).map_err(Stop::Reason),
            None => self.statement(&name.to_ascii_lowercase(), words, origin, depth),
        }
    }

    fn directive(&mut self, entry: Entry, words: &[Vec<u8>], origin: &Origin) -> Result<(), Reason> {
        let split;
        let words = match words {
            // One argument may hold all of them: save "900 1 300 10".
            [word] if entry.row.takes_many_arguments() && !word.is_empty() => {
                split = quote::split_args(word).map_err(|_| "Unbalanced quotes in configuration line")?;
                &split
            }
            _ => words,
        };
        let new = value::parse(entry.row, words, Some(&self.config.values[entry.index]))?;
        let new = match new {
            Value::SavePoints(_) if words.is_empty() && self.seen_save => return Ok(()),
            Value::SavePoints(points) if !points.is_empty() => self.add_save_points(entry.index, points),
            other => settled(entry.row, other),
        };
        self.check_folder(entry, &new)?;
        self.seen_save |= matches!(entry.row.kind, Kind::SavePoints);
        self.config.values[entry.index] = new;
        self.config.origins.insert(entry.index, origin.clone());
        Ok(())
    }

    fn add_save_points(&self, index: usize, new: Vec<super::SavePoint>) -> Value {
        match &self.config.values[index] {
            Value::SavePoints(old) if self.seen_save => Value::SavePoints([&old[..], &new].concat()),
            _ => Value::SavePoints(new),
        }
    }

    /// A folder that is not there is an error of its line, not one of the server that later moves there.
    fn check_folder(&self, entry: Entry, value: &Value) -> Result<(), Reason> {
        match value {
            Value::Folder(path) if self.disk && matches!(entry.row.kind, Kind::Folder) => {
                let found =
                    std::fs::metadata(value::bytes_path(path)).map_err(|error| system_words(&error))?;
                found.is_dir().then_some(()).ok_or("Not a directory".into())
            }
            _ => Ok(()),
        }
    }

    /// A line that is not a value: an include, a user, a renamed command.
    fn statement(
        &mut self,
        name: &[u8],
        words: &[Vec<u8>],
        origin: &Origin,
        depth: usize,
    ) -> Result<(), Stop> {
        let kept = || Line {
            words: words.to_vec(),
            origin: origin.clone(),
        };
        match (name, words) {
            (b"include", [path]) => return self.include(path, depth + 1),
            (b"rename-command", [_, _]) => self.config.renames.push(kept()),
            (b"user", [_, ..]) => self.config.users.push(kept()),
            (b"loadmodule", [_, ..]) => return Err("modules are not supported".into()),
            // Compat: bare, it is the command line's `--sentinel`, which main answers.
            (b"sentinel", []) => {}
            (b"sentinel", _) => return Err("sentinel directive while not in sentinel mode".into()),
            (name, [_]) if RETIRED.iter().any(|retired| retired.as_bytes() == name) => {}
            (name, []) if name.contains(&b'.') => return Err("Module config specified without value".into()),
            (name, _) if name.contains(&b'.') => return Err("modules are not supported".into()),
            _ => return Err("Bad directive or wrong number of arguments".into()),
        }
        Ok(())
    }

    /// Reads the files a path or pattern names. A pattern that names none is fine; a path must be there.
    fn include(&mut self, path: &[u8], depth: usize) -> Result<(), Stop> {
        if !self.disk {
            return Err("files cannot be included here".into());
        }
        if depth > INCLUDE_DEPTH_MAX {
            return Err(format!("Include files are nested more than {INCLUDE_DEPTH_MAX} deep").into());
        }
        // Compat: a `dir` line moves the server at once, so a relative include after it is looked for there.
        let path = self.config.path("dir").join(value::bytes_path(path));
        for path in expand(&path) {
            let text = read_file(&path).map_err(|error| cannot_open(&path, &error))?;
            self.read(&text, Some(Arc::from(path)), 1, depth)
                .map_err(Stop::Inner)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Config, LoadError> {
        let config = &mut self.config;
        if config.bool("cluster-enabled") {
            if config.master().is_some() {
                return Err(config.blame("replicaof", "replicaof directive not allowed in cluster mode"));
            }
            config.overwrite("databases", Value::Int(1));
        }
        let folder = super::special::absolute(config.text("dir"));
        if config.origin("dir").is_some() {
            config.overwrite("dir", Value::Folder(folder));
        }
        Ok(self.config)
    }
}

impl Config {
    fn overwrite(&mut self, name: &str, value: Value) {
        let entry = directive::find(name.as_bytes()).expect("a name from this file is in the table");
        self.values[entry.index] = value;
    }
}

/// What ends the reading of a line: its own fault, or the fault of a line it included.
enum Stop {
    Reason(Reason),
    Inner(LoadError),
}

impl<R: Into<Reason>> From<R> for Stop {
    fn from(reason: R) -> Stop {
        Stop::Reason(reason.into())
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("larger than 16 MB"));
    }
    Ok(text)
}

/// The paths a pattern names, sorted; a path without wildcards names itself. Dot files are named by patterns
/// with a dot.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let is_wild = |part: &[u8]| part.iter().any(|byte| b"*?[".contains(byte));
    if !is_wild(pattern.as_os_str().as_encoded_bytes()) {
        return vec![pattern.to_owned()];
    }
    let mut paths = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().as_encoded_bytes();
        paths = if is_wild(name) {
            paths.iter().flat_map(|folder| matching(folder, name)).collect()
        } else {
            paths.iter().map(|folder| folder.join(part)).collect()
        };
    }
    paths.retain(|path| path.exists());
    paths
}

fn matching(folder: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    let place = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(entries) = std::fs::read_dir(place) else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut found: Vec<_> = names
        .filter(|name| {
            let name = name.as_encoded_bytes();
            glob::matches(pattern, name, false) && (name[0] != b'.' || pattern[0] == b'.')
        })
        .map(|name| folder.join(name))
        .collect();
    found.sort();
    found
}

/// Line breaks of a text: what Redis's count of lines has advanced by after it.
fn count_lines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

pub(super) fn trim(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| b" \t\r\n".contains(byte);
    let start = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
    let end = line
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |last| last + 1);
    &line[start..end]
}

fn until_nul(line: &[u8]) -> &[u8] {
    &line[..memchr::memchr(0, line).unwrap_or(line.len())]
}

/// Fuzz entry: any text is read or refused; what was read survives being rewritten, and CONFIG SET of any
/// pair in it either changes something or nothing.
pub fn fuzz_config(data: &[u8]) {
    let Ok(mut config) = Config::from_text(data) else {
        return;
    };
    for scope in [Scope::Changed, Scope::Everything] {
        let rewritten = config.rewrite(data, &[], scope);
        let again = Config::from_text(&rewritten).unwrap_or_else(|error| panic!("rewritten: {error}"));
        assert_eq!(
            again.get(&["*"]),
            config.get(&["*"]),
            "a rewritten configuration reads as it was"
        );
        // The first rewrite's last line break is an empty line to the next one; after that nothing moves.
        let settled = again.rewrite(&rewritten, &[], scope);
        assert_eq!(again.rewrite(&settled, &[], scope), settled, "rewriting settles");
    }
    let before = config.clone();
    for line in data.split(|byte| *byte == b'\n') {
        let (name, value) = match memchr::memchr(b' ', line) {
            Some(blank) => (&line[..blank], &line[blank + 1..]),
            None => (line, &b""[..]),
        };
        let everything = super::Permissions {
            protected: true,
            loading: false,
        };
        if let Ok(changed) = config.set(&[(name, value)], everything) {
            config.undo(changed);
        }
        assert_eq!(config, before, "an undone change leaves nothing behind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(config: &Config, name: &str) -> String {
        String::from_utf8(config.get(&[name])[0].1.clone()).expect("text")
    }

    /// What `name` shows after the text was read, or what the error says after its header.
    #[track_caller]
    fn check(text: &str, name: &str, expected: Result<&str, &str>) {
        let header = "\n*** FATAL CONFIG FILE ERROR (Redis 7.4.1) ***\n";
        let found = match Config::from_text(text.as_bytes()) {
            Ok(config) => Ok(shown(&config, name)),
            Err(error) => Err(error
                .to_string()
                .strip_prefix(header)
                .expect("a header")
                .to_owned()),
        };
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn errors_name_line_and_directive() {
        let error = Config::from_text(b"port 0\n\n  foo bar \n").expect_err("no such directive");
        let text = "\n*** FATAL CONFIG FILE ERROR (Redis 7.4.1) ***\n\
                    Reading the configuration file, at line 3\n\
                    >>> 'foo bar'\nBad directive or wrong number of arguments";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn every_sort_of_bad_line_is_worded_as_redis_words_it() {
        let cases = [
            ("\"foo", "Unbalanced quotes in configuration line"),
            ("port", "wrong number of arguments"),
            ("PORT abc", "argument couldn't be parsed into an integer"),
            ("save 1", "Invalid save parameters"),
            ("save \"1 1\" 2", "Invalid save parameters"),
            ("dir \"\"", "No such file or directory"),
            (
                "appendfilename a/b",
                "appendfilename can't be a path, just a filename",
            ),
            ("slaveof a 99999", "Invalid master port"),
            ("include", "Bad directive or wrong number of arguments"),
            ("sentinel foo", "sentinel directive while not in sentinel mode"),
            ("a.b", "Module config specified without value"),
            ("a.b c", "modules are not supported"),
            ("loadmodule /x.so", "modules are not supported"),
            ("user", "Bad directive or wrong number of arguments"),
            (
                "list-max-ziplist-entries 5 6",
                "Bad directive or wrong number of arguments",
            ),
        ];
        for (line, reason) in cases {
            let text = format!("Reading the configuration file, at line 1\n>>> '{line}'\n{reason}");
            check(line, "", Err(&text));
        }
    }

    #[test]
    fn values_add_up_as_in_redis() {
        check("save 900 1\nsave 300 10 60 5", "save", Ok("900 1 300 10 60 5"));
        check("save 900 1\nsave \"\"\nsave 1 1", "save", Ok("1 1"));
        check("save \"\"", "save", Ok(""));
        check("save \"900 1 300 10\"", "save", Ok("900 1 300 10"));
        check("", "save", Ok("3600 1 300 100 60 10000"));
        check(
            "timeout 1\nTIMEOUT 2 # no comment",
            "timeout",
            Err(
                "Reading the configuration file, at line 2\n>>> 'TIMEOUT 2 # no comment'\n\
                 wrong number of arguments",
            ),
        );
        check("timeout 1\r\ntimeout 2\r\n", "timeout", Ok("2"));
        let limits = "client-output-buffer-limit";
        check(
            &format!("{limits} normal 1 1 1\n{limits} slave 2 2 2"),
            limits,
            Ok("normal 1 1 1 slave 2 2 2 pubsub 33554432 8388608 60"),
        );
        check(
            "shutdown-on-sigint \"nosave force\"",
            "shutdown-on-sigint",
            Ok("nosave force"),
        );
        check(
            "slaveof no one\nhash-max-ziplist-entries 7",
            "hash-max-listpack-entries",
            Ok("7"),
        );
        check("lua-replicate-commands yes\nhz 9999", "hz", Ok("500"));
    }

    #[test]
    fn cluster_mode_has_one_database_and_no_master() {
        check("cluster-enabled yes\ndatabases 4", "databases", Ok("1"));
        let text = "Reading the configuration file, at line 2\n>>> 'slaveof h 1'\n\
                    replicaof directive not allowed in cluster mode";
        check("cluster-enabled yes\nslaveof h 1", "", Err(text));
    }

    #[test]
    fn lines_for_other_rooms_are_kept_with_their_origin() {
        let config = Config::from_text(b"user a on\nrename-command KEYS \"\"\nlogfile x").expect("fine");
        assert_eq!(config.user_lines()[0].words, [b"a".to_vec(), b"on".to_vec()]);
        assert_eq!(config.rename_lines()[0].words, [b"KEYS".to_vec(), b"".to_vec()]);
        assert_eq!(config.rename_lines()[0].origin.number, 2);
        let error = config
            .blame("logfile", "Can't open the log file: Is a directory")
            .to_string();
        assert!(
            error.ends_with("at line 3\n>>> 'logfile x'\nCan't open the log file: Is a directory"),
            "{error}"
        );
    }

    #[test]
    fn a_text_reaches_no_files() {
        assert!(Config::from_text(b"include /etc/passwd").is_err());
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        folder
    }

    #[test]
    fn files_stdin_and_command_line_follow_each_other() {
        let folder = folder(&[("a.conf", "timeout 1\nhz 20\n")]);
        let file = folder.path().join("a.conf");
        let config = Config::load(Some(&file), Some(b"hz 30\nport 1\n"), b"port \"2\" ").expect("fine");
        assert_eq!(
            (config.int("timeout"), config.int("hz"), config.int("port")),
            (1, 30, 2)
        );
        assert_eq!(config.file(), Some(file.as_path()));
        let error = Config::load(Some(&file), None, b"port \"2\"\nfoo")
            .expect_err("foo")
            .to_string();
        assert!(
            error.contains("Reading the configuration file, at line 5\n>>> 'foo'"),
            "{error}"
        );
    }

    #[test]
    fn includes_are_read_in_place_and_named_in_errors() {
        let folder = folder(&[
            (
                "main.conf",
                "include part-*.conf\ninclude none-*.conf\ninclude last.conf\n",
            ),
            ("part-b.conf", "timeout 2\n"),
            ("part-a.conf", "timeout 1\nhz 20\n"),
            ("last.conf", "\nport x\n"),
        ]);
        let main = folder.path().join("main.conf");
        let head = format!("dir {}\n", folder.path().display());
        let text = std::fs::read_to_string(&main).expect("read");
        std::fs::write(&main, format!("{head}{text}")).expect("written");
        let error = Config::load(Some(&main), None, b"")
            .expect_err("port x")
            .to_string();
        let last = folder.path().join("last.conf");
        let expected = format!(
            "Reading the configuration file '{}', at line 2\n>>> 'port x'\n",
            last.display()
        );
        assert!(error.contains(&expected), "{error}");
        std::fs::write(&last, "port 7\n").expect("written");
        let config = Config::load(Some(&main), None, b"").expect("fine");
        assert_eq!(
            (config.int("timeout"), config.int("hz"), config.int("port")),
            (2, 20, 7)
        );
    }

    #[test]
    fn missing_and_endless_files_are_errors() {
        let folder = folder(&[("loop.conf", "")]);
        let path = folder.path().join("loop.conf");
        std::fs::write(&path, format!("include {}\n", path.display())).expect("written");
        let error = Config::load(Some(&path), None, b"")
            .expect_err("endless")
            .to_string();
        assert!(error.contains("nested more than 16 deep"), "{error}");
        let gone = folder.path().join("gone.conf");
        let error = Config::load(Some(&gone), None, b"")
            .expect_err("missing")
            .to_string();
        let open = format!(
            "Fatal error, can't open config file '{}': No such file or directory",
            gone.display()
        );
        assert_eq!(error, open);
        std::fs::write(&path, format!("include {}\n", gone.display())).expect("written");
        let error = Config::load(Some(&path), None, b"")
            .expect_err("missing")
            .to_string();
        assert!(
            error.contains("at line 1\n>>> 'include ") && error.ends_with(&open),
            "{error}"
        );
        let error = Config::load(None, None, b"dir /no/such/folder")
            .expect_err("missing")
            .to_string();
        assert!(
            error.ends_with("at line 2\n>>> 'dir /no/such/folder'\nNo such file or directory"),
            "{error}"
        );
    }

    #[test]
    fn fuzz_smoke() {
        use proptest::strategy::Strategy;
        use proptest::test_runner::{Config as Settings, RngAlgorithm, TestRng, TestRunner};
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(
            Settings {
                cases: 300,
                failure_persistence: None,
                ..Settings::default()
            },
            rng,
        );
        let names: Vec<&str> = directive::entries()
            .map(|entry| entry.name)
            .chain(["user", "rename-command"])
            .collect();
        let word = "[-a-z0-9 $\\\\\"'\\x00-\\x1f{}.:%]{0,9}|yes|no|[0-9]{1,4}(mb)?|normal 1 2kb 3\
                    |[0-9]{1,3} [0-9]{1,3}|\"\"";
        let line = (proptest::sample::select(names), word).prop_map(|(name, word)| format!("{name} {word}"));
        let text = proptest::collection::vec(line, 0..5).prop_map(|lines| lines.join("\n"));
        runner
            .run(&text, |text| {
                fuzz_config(text.as_bytes());
                Ok(())
            })
            .expect("no case fails");
    }
}
