//! Loading the data at start, from the log if that is on or else from the snapshot: in slices between which clients are answered, most of them with LOADING.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::persist::load::Loader;
use crate::persist::rdb::decode::{Refused, Scrutiny};
use crate::process::signals;
use crate::stats::persistence::Loading as Progress;

use super::aof::load::{Fatal, LogLoad};
use super::{Executor, effects};

/// Longest piece of loading between two looks at the mailbox.
const SLICE: Duration = Duration::from_millis(5);

/// How often the log says how far it is.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// A load under way.
pub(super) struct Loading {
    source: Source,
    started: Instant,
    told: bool,
    /// When the log last said how far it is.
    logged: Instant,
}

/// What is loaded.
pub(super) enum Source {
    /// A snapshot.
    Snapshot(Box<Loader>),
    /// The append-only file.
    Log(Box<LogLoad>),
}

impl Loading {
    pub(super) fn new(source: Source) -> Loading {
        Loading {
            source,
            started: Instant::now(),
            told: false,
            logged: Instant::now(),
        }
    }
}

impl Executor {
    /// Begins to load what is on disk; with nothing there, clients are welcome at once.
    pub fn begin_load(&mut self) {
        self.stats.persistence.last_save_s = self.now_unix_us / 1_000_000;
        let logs = self.config.bool("appendonly");
        if (logs && self.enter_log_folder().is_err()) || self.read_manifest().is_err() {
            self.exit = Some(1);
            return;
        }
        if !logs {
            self.tidy_log_folder();
            return self.begin_snapshot_load();
        }
        match self.begin_log_load() {
            Ok(()) if self.loading.is_none() => self.host.ready(),
            Ok(()) => {}
            Err(Fatal) => self.exit = Some(1),
        }
    }

    fn begin_snapshot_load(&mut self) {
        let path = self.snapshot_path();
        if path.as_os_str().is_empty() || self.disk.facts(&path).is_err() {
            return self.host.ready();
        }
        match self.open_loader(&path) {
            Ok(loader) => {
                self.note_load_begin(loader.total_bytes);
                self.loading = Some(Loading::new(Source::Snapshot(Box::new(loader))));
            }
            Err(refused) => self.give_up(&refused),
        }
    }

    /// A damaged file is left as it is, for somebody to look at.
    fn give_up(&mut self, refused: &Refused) {
        let path = self.snapshot_path();
        crate::persist::check::report(&path);
        // Last, where whoever looks at the log's end finds it.
        tracing::warn!(
            "Fatal error loading the DB from {}: {refused}. Exiting.",
            path.display()
        );
        tracing::warn!("Terminating server after rdb file reading failure.");
        self.stats.persistence.loading = None;
        self.exit = Some(1);
    }

    /// How closely files are looked at.
    pub(super) fn file_scrutiny(&self) -> Scrutiny {
        Scrutiny {
            checksum: self.config.bool("rdbchecksum") && !self.server.checksums_ignored,
            deep: self.config.choice("sanitize-dump-payload") == "yes",
        }
    }

    fn open_loader(&mut self, path: &Path) -> Result<Loader, Refused> {
        Loader::open(&*self.disk, path, self.file_scrutiny(), &self.keys)
    }

    pub(super) fn note_load_begin(&mut self, total_bytes: u64) {
        signals::set_loading(true);
        self.stats.persistence.loading = Some(Progress {
            started_s: self.now_unix_us / 1_000_000,
            total_bytes,
            ..Progress::default()
        });
    }

    /// One slice of loading. A damaged file ends the server.
    pub(super) fn load_slice(&mut self) {
        let Some(mut loading) = self.loading.take() else {
            return;
        };
        let started = Instant::now();
        let mut may_go_on = || started.elapsed() < SLICE;
        let more = match &mut loading.source {
            Source::Snapshot(loader) => {
                loader.key_delay_us = self.config.int("key-load-delay");
                loader.step(&mut self.keys, &mut may_go_on).map_err(Some)
            }
            Source::Log(load) => self.step_log_load(load, &mut may_go_on).map_err(|Fatal| None),
        };
        self.note_progress(&mut loading);
        if !matches!(more, Ok(true)) {
            signals::set_loading(false);
        }
        match more {
            Ok(true) => self.loading = Some(loading),
            Ok(false) => self.end_load(&loading),
            Err(failure) => self.fail_load(failure),
        }
    }

    fn end_load(&mut self, loading: &Loading) {
        let ended = match &loading.source {
            Source::Snapshot(loader) => self.conclude_load(loader, loading.started).map_err(Some),
            Source::Log(load) => {
                self.conclude_log_load(load);
                tracing::info!(
                    "DB loaded from append only file: {:.3} seconds",
                    loading.started.elapsed().as_secs_f64()
                );
                self.open_log().map_err(|Fatal| None)
            }
        };
        match ended {
            Ok(()) => self.host.ready(),
            Err(failure) => self.fail_load(failure),
        }
    }

    /// The data cannot be loaded: `refused` says why, if the server's log does not yet.
    fn fail_load(&mut self, refused: Option<Refused>) {
        match refused {
            Some(refused) => self.give_up(&refused),
            None => self.exit = Some(1),
        }
    }

    /// Loads the snapshot at `path` from end to end.
    pub(super) fn load_whole(&mut self, path: &Path, merges: bool) -> Result<(), Refused> {
        let mut loader = self.open_loader(path)?;
        loader.replaces = merges;
        let started = Instant::now();
        loader.step(&mut self.keys, &mut || true)?;
        self.conclude_load(&loader, started)
    }

    fn note_progress(&mut self, loading: &mut Loading) {
        let loaded_bytes = match &loading.source {
            Source::Snapshot(loader) => loader.loaded_bytes(),
            Source::Log(load) => load.loaded_bytes(),
        };
        if let Some(progress) = &mut self.stats.persistence.loading {
            progress.loaded_bytes = loaded_bytes;
            if loading.logged.elapsed() >= LOGGED_EVERY {
                loading.logged = Instant::now();
                tracing::info!("Loading: {:.1}% done", progress.percent());
            }
        }
        if let Source::Snapshot(loader) = &loading.source
            && !loading.told
            && (loader.keys > 0 || loader.expired > 0 || !loader.aux.is_empty())
        {
            self.tell_facts(loader);
            loading.told = true;
        }
    }

    /// What a snapshot says about itself.
    pub(super) fn tell_facts(&mut self, loader: &Loader) {
        let fact = |name: &str| {
            let mut facts = loader.aux.iter();
            facts
                .find(|(found, _)| found == name)
                .map(|(_, text)| text.as_str())
        };
        let now_s = self.now_unix_us / 1_000_000;
        if let Some(text) = fact("redis-ver") {
            tracing::info!("Loading RDB produced by version {text}");
        }
        if let Some(saved_s) = fact("ctime").and_then(|text| text.parse::<i64>().ok()) {
            tracing::info!("RDB age {} seconds", (now_s - saved_s).max(0));
        }
        if let Some(used) = fact("used-mem").and_then(|text| text.parse::<f64>().ok()) {
            tracing::info!(
                "RDB memory usage when created {:.2} Mb",
                used / f64::from(1 << 20)
            );
            if let Some(progress) = &mut self.stats.persistence.loading {
                progress.rdb_used_bytes = used as u64;
            }
        }
    }

    /// The libraries come last: their code runs.
    fn conclude_load(&mut self, loader: &Loader, started: Instant) -> Result<(), Refused> {
        let Loader { keys, expired, .. } = *loader;
        let libraries = self.load_libraries(&loader.functions, loader.replaces);
        libraries.map_err(|what| Refused::Damaged {
            offset: loader.loaded_bytes(),
            what: what.into(),
        })?;
        let skipped = match loader.empty {
            0 => String::new(),
            count => format!(", empty keys skipped: {count}"),
        };
        tracing::info!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}{skipped}.");
        self.stats.counters.dump_payload_sanitizations += loader.sanitized();
        let facts = &mut self.stats.persistence;
        facts.loading = None;
        facts.last_load_keys = keys;
        facts.last_load_expired = expired;
        tracing::info!(
            "DB loaded from disk: {:.3} seconds",
            started.elapsed().as_secs_f64()
        );
        effects::drain_background(self);
        Ok(())
    }
}
