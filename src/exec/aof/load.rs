//! Reading the log: at start in slices between which clients are answered, and all at once for DEBUG LOADAOF.
//!
//! ```text
//! manifest ──> base (a snapshot, perhaps with commands behind it; or commands) ──> increments, in order ──> data
//! ```
//!
//! Commands run as those of a client without a connection. The one gate asked is whether they belong in a log
//! (`admit::replay`); nothing is propagated and nothing expires meanwhile, since what expired is in the log as a removal.
//! A last file that ends within a command or transaction is cut there, if `aof-load-truncated` allows it; anything else
//! that makes no sense ends the server and is left as it is.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::command::error::Error;
use crate::command::row::Flags;
use crate::command::table::CommandId;
use crate::persist::aof::folder::ManifestError;
use crate::persist::aof::incr::Incr;
use crate::persist::aof::manifest::Part;
use crate::persist::aof::replay::{self, Broken, Replay};
use crate::persist::disk::{Disk, File, How};
use crate::persist::load::Loader;
use crate::persist::snapshot::dawdle;
use crate::process::{os_text, signals};
use crate::resp;
use crate::session::{SessionFlags, SessionId};

use super::super::Executor;
use super::super::admit;
use super::super::dispatch::Run;
use super::super::load::{Loading, Source};
use super::State;

/// Commands between two looks at the clock.
const COMMANDS: usize = 256;

/// How many failing commands of a file are told of.
const COMPLAINTS_MAX: u64 = 10;

/// Kinds of files, as they are shown.
const BASE: &str = "base";
const INCR: &str = "incr";

/// Loading cannot go on; why is in the server's log.
#[derive(Debug)]
pub(in crate::exec) struct Fatal;

/// A log being read.
pub(in crate::exec) struct LogLoad {
    /// What is still to be opened.
    parts: VecDeque<Part>,
    open: Option<Opened>,
    /// Bytes of the files that are done.
    done_bytes: u64,
    total_bytes: u64,
    base_bytes: u64,
    reply: Vec<u8>,
}

/// A file of it.
struct Opened {
    part: Part,
    path: PathBuf,
    kind: &'static str,
    size: u64,
    started: Instant,
    stage: Stage,
    client: SessionId,
    /// Behind the last command that ran.
    valid_up_to: u64,
    /// Where the transaction under way begins.
    before_multi: u64,
    /// How many have run.
    commands: u64,
    complaints: u64,
}

enum Stage {
    Snapshot(Box<Loader>),
    Commands(Replay<File>),
}

impl LogLoad {
    /// Bytes read so far.
    pub fn loaded_bytes(&self) -> u64 {
        let here = self.open.as_ref().map_or(0, |open| match &open.stage {
            Stage::Snapshot(loader) => loader.loaded_bytes(),
            Stage::Commands(replay) => replay.offset(),
        });
        self.done_bytes + here
    }
}

/// Getting ready.
impl Executor {
    /// Reads the manifest, which names what there is to load.
    ///
    /// # Errors
    /// It makes no sense.
    pub(in crate::exec) fn read_manifest(&mut self) -> Result<(), Fatal> {
        match self.aof.folder.load() {
            Ok(manifest) => {
                self.aof.manifest = manifest;
                return Ok(());
            }
            Err(ManifestError::Io(error)) => tracing::warn!(
                "Fatal error: can't open the AOF manifest file {} for reading: {}",
                self.aof.folder.manifest_path().display(),
                os_text(&error)
            ),
            Err(ManifestError::Malformed(malformed)) => {
                tracing::warn!("*** FATAL AOF MANIFEST FILE ERROR ***");
                if let Some((number, line)) = &malformed.line {
                    tracing::warn!("Reading the manifest file, at line {number}");
                    tracing::warn!(">>> '{line}'");
                }
                tracing::warn!("{}", malformed.what);
            }
        }
        Err(Fatal)
    }

    /// What is to be read, once a file of before Redis 7 has been moved to its place; `None` for nothing.
    ///
    /// # Errors
    /// A file is missing, or cannot be moved.
    pub(in crate::exec) fn open_log_load(&mut self) -> Result<Option<LogLoad>, Fatal> {
        self.upgrade_log()?;
        let log = &self.aof;
        let (mut total_bytes, mut base_bytes) = (0, 0);
        for part in log.manifest.parts() {
            let size = self.disk.facts(&log.folder.file(part.path())).map_err(|error| {
                let (name, text) = (part.shown(), os_text(&error));
                tracing::warn!("Unable to obtain the AOF file {name} length. stat: {text}");
                Fatal
            })?;
            total_bytes += size.bytes;
            if log.manifest.base.as_ref() == Some(part) {
                base_bytes = size.bytes;
            }
        }
        let load = LogLoad {
            parts: log.manifest.parts().cloned().collect(),
            open: None,
            done_bytes: 0,
            total_bytes,
            base_bytes,
            reply: Vec::new(),
        };
        Ok((total_bytes > 0).then_some(load))
    }

    fn upgrade_log(&mut self) -> Result<(), Fatal> {
        let log = &mut self.aof;
        if !log.folder.awaits_upgrade(&log.manifest) {
            return Ok(());
        }
        let stem = String::from_utf8_lossy(log.folder.stem()).into_owned();
        if let Err((doing, error)) = log.folder.upgrade(&mut log.manifest) {
            tracing::warn!(
                "Error trying to move the old AOF file {stem} into dir {}: {doing}: {}",
                log.folder.path().display(),
                os_text(&error)
            );
            return Err(Fatal);
        }
        tracing::info!(
            "Successfully migrated an old-style AOF file ({stem}) into the AOF directory ({}).",
            log.folder.path().display()
        );
        Ok(())
    }

    /// Begins to load the log at start; with none, it is opened at once.
    pub(in crate::exec) fn begin_log_load(&mut self) -> Result<(), Fatal> {
        match self.open_log_load()? {
            Some(load) => {
                self.note_load_begin(load.total_bytes);
                self.loading = Some(Loading::new(Source::Log(Box::new(load))));
                self.keys.expire_lazily = false;
                Ok(())
            }
            None => {
                self.warn_of_snapshot();
                self.open_log()
            }
        }
    }

    /// Compat: with the log on, a snapshot is not loaded even if there is no log yet.
    fn warn_of_snapshot(&self) {
        let path = self.snapshot_path();
        if !path.as_os_str().is_empty() && self.disk.facts(&path).is_ok() {
            tracing::warn!(
                "There is a snapshot {} and no AOF: with 'appendonly yes' the server starts empty. To keep the \
                 snapshot's data, start with 'appendonly no' and turn the AOF on with CONFIG SET.",
                path.display()
            );
        }
    }

    /// Opens the log for writing once its data is there; a first base if there is none.
    pub(in crate::exec) fn open_log(&mut self) -> Result<(), Fatal> {
        self.try_open_log().map_err(|(doing, error)| {
            tracing::warn!("Can't open the append-only file: {doing}: {}", os_text(&error));
            Fatal
        })
    }

    fn try_open_log(&mut self) -> Result<(), (&'static str, std::io::Error)> {
        let doing = |what| move |error| (what, error);
        let log = &self.aof;
        let stem = log.folder.stem();
        let mut manifest = log.manifest.clone();
        if log.folder.pass_over_strangers(&mut manifest) {
            tracing::warn!(
                "There are AOF files in {} that no manifest names. They are no part of the data, and stay as they are.",
                log.folder.path().display()
            );
        }
        if manifest.is_empty() {
            let is_snapshot = self.config.bool("aof-use-rdb-preamble");
            let base = manifest.new_base(stem, is_snapshot).clone();
            let path = log.folder.file(base.path());
            let written = self
                .base_plan()
                .write(&*self.disk, &self.keys, &path, &mut |_| {});
            written.map_err(|failure| (failure.doing, failure.error))?;
            tracing::info!("Creating AOF base file {} on server start", base.shown());
        }
        let (part, verb, anew) = match manifest.incrs.last() {
            Some(part) => (part.clone(), "Opening", false),
            // One of that name that is not in the manifest is no part of the data.
            None => (manifest.new_incr(stem), "Creating", true),
        };
        let path = log.folder.file(part.path());
        let incr = Incr::open(&*self.disk, &path, anew).map_err(doing("opening the file"))?;
        if manifest != log.manifest {
            let persisted = log.folder.persist(&manifest).map_err(std::io::Error::from);
            persisted.map_err(doing("writing the manifest"))?;
        }
        tracing::info!("{verb} AOF incr file {} on server start", part.shown());
        let log = &mut self.aof;
        (log.manifest, log.incr, log.state) = (manifest, Some(incr), State::On);
        self.keys.changes.followed = true;
        self.stats.persistence.aof.enabled = true;
        self.remove_history();
        Ok(())
    }
}

/// How long DEBUG LOADAOF reads on before active defragmentation may do its part.
const LOAD_STRETCH: Duration = Duration::from_millis(1);

/// Reading.
impl Executor {
    /// Reads on while `may_go_on` says so; whether more is left.
    ///
    /// # Errors
    /// A file cannot be read on.
    pub(in crate::exec) fn step_log_load(
        &mut self,
        load: &mut LogLoad,
        may_go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Fatal> {
        loop {
            let Some(mut open) = load.open.take() else {
                let Some(part) = load.parts.pop_front() else {
                    return Ok(false);
                };
                load.open = Some(self.open_part(part)?);
                continue;
            };
            let is_last = self.is_last(&open, &load.parts);
            let more = self.step_part(&mut open, is_last, &mut load.reply, may_go_on);
            if more.is_err() {
                self.forget_client(open.client);
            }
            if more? {
                load.open = Some(open);
                return Ok(true);
            }
            self.close_part(load, &open);
        }
    }

    /// Whether nothing follows. A new file of commands is named by the manifest before anything is written to it, and
    /// if that cannot be made to last the old one is gone on with: files still empty do not count behind another.
    fn is_last(&self, open: &Opened, rest: &VecDeque<Part>) -> bool {
        let is_empty = |part: &Part| {
            let facts = self.disk.facts(&self.aof.folder.file(part.path()));
            facts.is_ok_and(|facts| facts.bytes == 0)
        };
        rest.is_empty() || (open.kind == INCR && rest.iter().all(is_empty))
    }

    fn open_part(&mut self, part: Part) -> Result<Opened, Fatal> {
        let path = self.aof.folder.file(part.path());
        let stage = self.open_stage(&part, &path)?;
        let size = self.disk.facts(&path).map_or(0, |facts| facts.bytes);
        let is_base = self.aof.manifest.base.as_ref() == Some(&part);
        let client = self.connect();
        let session = &mut self.sessions[client];
        session.authenticated = true;
        session.flags.insert(SessionFlags::REPLAY);
        Ok(Opened {
            part,
            path,
            kind: if is_base { BASE } else { INCR },
            size,
            started: Instant::now(),
            stage,
            client,
            valid_up_to: 0,
            before_multi: 0,
            commands: 0,
            complaints: 0,
        })
    }

    /// A file is a snapshot if it begins as one.
    fn open_stage(&self, part: &Part, path: &Path) -> Result<Stage, Fatal> {
        let cannot = |error: std::io::Error| {
            let (name, text) = (part.shown(), os_text(&error));
            tracing::warn!("Fatal error: can't open the append log file {name} for reading: {text}");
            Fatal
        };
        let mut magic = Vec::new();
        let mut file = self.disk.open(path, How::Read).map_err(cannot)?;
        let read = std::io::Read::read_to_end(&mut std::io::Read::take(&mut file, 5), &mut magic);
        read.map_err(cannot)?;
        if magic != b"REDIS" {
            return open_commands(&*self.disk, path, 0)
                .map(Stage::Commands)
                .map_err(cannot);
        }
        if part.name == self.aof.folder.stem() {
            tracing::info!("Reading RDB preamble from AOF file...");
        } else {
            tracing::info!("Reading RDB base file on AOF loading...");
        }
        match Loader::open(&*self.disk, path, self.file_scrutiny(), &self.keys) {
            Ok(loader) => Ok(Stage::Snapshot(Box::new(loader))),
            Err(refused) => Err(refuse_base(part, &refused)),
        }
    }

    fn step_part(
        &mut self,
        open: &mut Opened,
        is_last: bool,
        reply: &mut Vec<u8>,
        may_go_on: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Fatal> {
        if let Stage::Snapshot(loader) = &mut open.stage {
            loader.key_delay_us = self.config.int("key-load-delay");
            match loader.step(&mut self.keys, may_go_on) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(refused) => return Err(refuse_base(&open.part, &refused)),
            }
            open.valid_up_to = loader.loaded_bytes();
            if let Err(what) = self.load_libraries(&loader.functions, false) {
                tracing::warn!("Error loading the functions of {}: {what}", open.part.shown());
                return Err(Fatal);
            }
            let commands = open_commands(&*self.disk, &open.path, open.valid_up_to);
            open.stage = Stage::Commands(commands.map_err(|error| unreadable(&open.part, &error))?);
        }
        loop {
            // From here on a script's time counts.
            self.tick = self.ticks.raw();
            for _ in 0..COMMANDS {
                if !self.step_command(open, is_last, reply)? {
                    return Ok(false);
                }
            }
            if !may_go_on() {
                return Ok(true);
            }
        }
    }

    /// Runs one command; whether there was one.
    fn step_command(&mut self, open: &mut Opened, is_last: bool, reply: &mut Vec<u8>) -> Result<bool, Fatal> {
        let Stage::Commands(replay) = &mut open.stage else {
            return Ok(false);
        };
        let words = match replay.next_command() {
            Ok(Some(words)) => words,
            Ok(None) if self.sessions[open.client].multi >= 0 => {
                tracing::warn!(
                    "Revert incomplete MULTI/EXEC transaction in AOF file {}",
                    open.part.shown()
                );
                open.valid_up_to = open.before_multi;
                return self.cut_short(open, is_last);
            }
            Ok(None) => return Ok(false),
            Err(Broken::CutOff(_)) => return self.cut_within(open, is_last),
            Err(Broken::Io(error)) => return Err(unreadable(&open.part, &error)),
            Err(Broken::Damaged(_)) if self.is_cut_off_by_zeros(&open.path, open.valid_up_to) => {
                return self.cut_within(open, is_last);
            }
            Err(Broken::Damaged(what)) => {
                tracing::warn!(
                    "{what} at offset {} of {}",
                    replay.piece_offset(),
                    open.part.shown()
                );
                return Err(bad_format(&open.part));
            }
        };
        let was_queueing = self.sessions[open.client].multi >= 0;
        self.replay(open.client, words, (&open.part, open.valid_up_to), reply)?;
        if !was_queueing && self.sessions[open.client].multi >= 0 {
            open.before_multi = open.valid_up_to;
        }
        if reply.first() == Some(&b'-') && open.complaints < COMPLAINTS_MAX {
            open.complaints += 1;
            tracing::warn!(
                "A command of the AOF file {} failed at offset {}: {}",
                open.part.shown(),
                open.valid_up_to,
                String::from_utf8_lossy(reply).trim_end()
            );
        }
        open.valid_up_to = replay.offset();
        open.commands += 1;
        dawdle(self.config.int("key-load-delay"), open.commands);
        Ok(true)
    }

    /// A file ends within a command.
    fn cut_within(&mut self, open: &mut Opened, is_last: bool) -> Result<bool, Fatal> {
        if self.sessions[open.client].multi >= 0 {
            open.valid_up_to = open.before_multi;
        }
        self.cut_short(open, is_last)
    }

    fn is_cut_off_by_zeros(&self, path: &Path, offset: u64) -> bool {
        let file = self.disk.open(path, How::Read);
        file.and_then(|file| replay::is_cut_off_by_zeros(file, offset))
            .unwrap_or(false)
    }

    /// Runs a command, which begins at an offset of a file.
    fn replay(
        &mut self,
        client: SessionId,
        words: resp::Args<'_>,
        (part, offset): (&Part, u64),
        reply: &mut Vec<u8>,
    ) -> Result<(), Fatal> {
        reply.clear();
        let Some(id) = self.find(words) else {
            let name = String::from_utf8_lossy(words.get(0));
            tracing::warn!(
                "Unknown command '{name}' reading the append only file {} at offset {offset}",
                part.shown()
            );
            return Err(Fatal);
        };
        let command = self.table.command(CommandId(id));
        let row = command.row;
        if !row.arity.admits(words.len()) {
            let name = &command.full_name;
            tracing::warn!(
                "Wrong number of arguments for '{name}' at offset {offset} of {}",
                part.shown()
            );
            return Err(bad_format(part));
        }
        if let Err(error) = admit::replay(command) {
            self.write_error(client, &error, reply);
        } else if self.sessions[client].multi >= 0 && !row.flags.contains(Flags::RUNS_IN_MULTI) {
            self.enqueue(client, words, id, &[], reply, None);
        } else {
            self.invoke(client, words, id, Run::default(), reply, None);
        }
        let changes = &mut self.keys.changes;
        changes.events.clear();
        changes.overridden = false;
        Ok(())
    }

    /// A file ends too early: it is cut behind the last command that makes sense, if that is allowed.
    fn cut_short(&mut self, open: &mut Opened, is_last: bool) -> Result<bool, Fatal> {
        let name = open.part.shown();
        if !is_last {
            tracing::warn!("Unexpected end of file reading the append only file {name}.");
            tracing::warn!("Fatal error: the truncated file is not the last file");
            return Err(Fatal);
        }
        if !self.config.bool("aof-load-truncated") {
            tracing::warn!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF \
                 file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the \
                 'aof-load-truncated' configuration option to yes and restart the server."
            );
            return Err(Fatal);
        }
        let size = open.valid_up_to;
        tracing::warn!("!!! Warning: short read while loading the AOF file {name}!!!");
        tracing::warn!("!!! Truncating the AOF {name} at offset {size} !!!");
        let file = self.disk.open(&open.path, How::Cut);
        if let Err(error) = file.and_then(|file| file.set_len(size).and_then(|()| file.sync())) {
            tracing::warn!("Error truncating the AOF file {name}: {}", os_text(&error));
            return Err(Fatal);
        }
        tracing::warn!("AOF {name} loaded anyway because aof-load-truncated is enabled");
        if let Some(incr) = &mut self.aof.incr {
            incr.measure();
        }
        Ok(false)
    }

    fn close_part(&mut self, load: &mut LogLoad, open: &Opened) {
        self.forget_client(open.client);
        load.done_bytes += open.size;
        tracing::info!(
            "DB loaded from {} file {}: {:.3} seconds",
            open.kind,
            open.part.shown(),
            open.started.elapsed().as_secs_f64()
        );
    }

    /// All is read.
    pub(in crate::exec) fn conclude_log_load(&mut self, load: &LogLoad) {
        self.keys.expire_lazily = true;
        self.keys.changes.dirty = 0;
        let facts = &mut self.stats.persistence;
        facts.loading = None;
        facts.aof.size = load.total_bytes;
        facts.aof.base_size = load.base_bytes;
    }

    /// DEBUG LOADAOF.
    pub(in crate::exec) fn reload_log(&mut self, client: SessionId, reply: &mut Vec<u8>) {
        const CANNOT_LOAD: Error = Error::fixed("ERR Error trying to load the AOF files, check server logs");
        if self.stats.persistence.loading.is_some() {
            // Nor can a log ask for itself.
            return self.write_error(client, &admit::LOADING, reply);
        }
        if self.aof.state == State::On {
            self.write_log(true);
        }
        let followed = std::mem::replace(&mut self.keys.changes.followed, false);
        for db in 0..self.keys.db_count() {
            self.keys.flush(db, false);
        }
        self.forget_libraries();
        let loaded = self.load_log_whole();
        signals::set_loading(false);
        self.keys.expire_lazily = true;
        self.keys.changes.followed = followed;
        self.keys.changes.dirty = 0;
        self.stats.persistence.loading = None;
        match loaded {
            Ok(()) => {
                tracing::info!("Append Only File loaded by DEBUG LOADAOF");
                self.write_ok(client, reply);
            }
            Err(Fatal) => self.write_error(client, &CANNOT_LOAD, reply),
        }
    }

    fn load_log_whole(&mut self) -> Result<(), Fatal> {
        self.read_manifest()?;
        self.remove_history();
        let Some(mut load) = self.open_log_load()? else {
            return Ok(());
        };
        self.keys.expire_lazily = false;
        self.note_load_begin(load.total_bytes);
        let begun = Instant::now();
        loop {
            let stretch = Instant::now();
            if !self.step_log_load(&mut load, &mut || stretch.elapsed() < LOAD_STRETCH)? {
                break;
            }
            self.defrag_beside(begun.elapsed());
        }
        self.conclude_log_load(&load);
        Ok(())
    }
}

fn open_commands(disk: &dyn Disk, path: &Path, offset: u64) -> std::io::Result<Replay<File>> {
    let file = disk.open(path, How::Read)?;
    let size = file.size()?;
    file.seek(offset)?;
    Ok(Replay::new(file, offset, size))
}

fn refuse_base(part: &Part, refused: &crate::persist::rdb::decode::Refused) -> Fatal {
    tracing::warn!("{refused}");
    tracing::warn!(
        "Error reading the RDB base file {}, AOF loading aborted",
        part.shown()
    );
    Fatal
}

fn unreadable(part: &Part, error: &std::io::Error) -> Fatal {
    tracing::warn!(
        "Unrecoverable error reading the append only file {}: {}",
        part.shown(),
        os_text(error)
    );
    Fatal
}

fn bad_format(part: &Part) -> Fatal {
    tracing::warn!(
        "Bad file format reading the append only file {}: make a backup of your AOF file, then use ./redis-check-aof --fix \
         <filename.manifest>",
        part.shown()
    );
    Fatal
}
