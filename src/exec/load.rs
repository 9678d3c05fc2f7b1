//! Loading the snapshot at start: in slices between which clients are answered, most of them with LOADING.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::persist::load::Loader;
use crate::persist::rdb::decode::Refused;
use crate::stats::persistence::Loading as Progress;

use super::{Executor, effects};

/// Longest piece of loading between two looks at the mailbox.
const SLICE: Duration = Duration::from_millis(5);

/// A load under way.
pub(super) struct Loading {
    loader: Loader,
    started: Instant,
    told: bool,
}

impl Executor {
    /// Begins to load the snapshot file; with none, clients are welcome at once.
    pub fn begin_load(&mut self) {
        self.stats.persistence.last_save_s = self.now_unix_us / 1_000_000;
        let path = self.snapshot_path();
        if path.as_os_str().is_empty() || !path.exists() {
            return self.host.ready();
        }
        match self.open_loader(&path) {
            Ok(loading) => self.loading = Some(loading),
            Err(refused) => self.give_up(&refused),
        }
    }

    /// A damaged file is left as it is, for somebody to look at.
    fn give_up(&mut self, refused: &Refused) {
        let path = self.snapshot_path();
        tracing::warn!("Fatal error loading the DB: {refused}. Exiting.");
        tracing::warn!(
            "Terminating server after rdb file {} reading failure.",
            path.display()
        );
        self.stats.persistence.loading = None;
        self.exit = Some(1);
    }

    fn open_loader(&mut self, path: &Path) -> Result<Loading, Refused> {
        let loader = Loader::open(path, self.config.bool("rdbchecksum"), &self.keys)?;
        self.stats.persistence.loading = Some(Progress {
            started_s: self.now_unix_us / 1_000_000,
            total_bytes: loader.total_bytes,
            ..Progress::default()
        });
        Ok(Loading {
            loader,
            started: Instant::now(),
            told: false,
        })
    }

    /// One slice of loading. A damaged file ends the server.
    pub(super) fn load_slice(&mut self) {
        let Some(mut loading) = self.loading.take() else {
            return;
        };
        let started = Instant::now();
        let more = loading
            .loader
            .step(&mut self.keys, &mut || started.elapsed() < SLICE);
        self.note_progress(&mut loading);
        let concluded = match more {
            Ok(true) => {
                self.loading = Some(loading);
                return;
            }
            Ok(false) => self.conclude_load(&loading),
            Err(refused) => Err(refused),
        };
        match concluded {
            Ok(()) => self.host.ready(),
            Err(refused) => self.give_up(&refused),
        }
    }

    /// Loads `path` from end to end.
    pub(super) fn load_whole(&mut self, path: &Path, merges: bool) -> Result<(), Refused> {
        let mut loading = self.open_loader(path)?;
        loading.loader.replaces = merges;
        let loaded = loading.loader.step(&mut self.keys, &mut || true);
        self.stats.persistence.loading = None;
        loaded?;
        self.note_progress(&mut loading);
        self.conclude_load(&loading)
    }

    fn note_progress(&mut self, loading: &mut Loading) {
        let fact = |name: &str| {
            let mut facts = loading.loader.aux.iter();
            facts
                .find(|(found, _)| found == name)
                .map(|(_, text)| text.as_str())
        };
        if let Some(progress) = &mut self.stats.persistence.loading {
            progress.loaded_bytes = loading.loader.loaded_bytes();
            progress.rdb_used_bytes = fact("used-mem").and_then(|text| text.parse().ok()).unwrap_or(0);
        }
        if !loading.told
            && (loading.loader.keys > 0 || loading.loader.expired > 0 || !loading.loader.aux.is_empty())
        {
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
            }
            loading.told = true;
        }
    }

    /// The libraries come last: their code runs.
    fn conclude_load(&mut self, loading: &Loading) -> Result<(), Refused> {
        let Loader { keys, expired, .. } = loading.loader;
        let libraries = self.load_libraries(&loading.loader.functions, loading.loader.replaces);
        libraries.map_err(|what| Refused::Damaged {
            offset: loading.loader.loaded_bytes(),
            what: what.into(),
        })?;
        tracing::info!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}.");
        let facts = &mut self.stats.persistence;
        facts.loading = None;
        facts.last_load_keys = keys;
        facts.last_load_expired = expired;
        tracing::info!(
            "DB loaded from disk: {:.3} seconds",
            loading.started.elapsed().as_secs_f64()
        );
        effects::drain_background(self);
        Ok(())
    }
}
