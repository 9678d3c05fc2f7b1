//! How saving, logging and loading stand: the facts of INFO's persistence section.

/// Facts about snapshots. Times in seconds unless named otherwise; -1 for never.
#[derive(Debug, Clone)]
pub struct PersistenceStats {
    /// A load under way.
    pub loading: Option<Loading>,
    /// A child at work.
    pub child: Option<ChildProgress>,
    /// A background save waits for another child to end.
    pub bgsave_scheduled: bool,
    /// Unix time of the last successful save.
    pub last_save_s: i64,
    /// Unix time of the last attempt in the background.
    pub last_try_s: i64,
    /// Whether the last background save succeeded.
    pub last_bgsave_ok: bool,
    /// How long it took.
    pub last_bgsave_duration_s: i64,
    /// Bytes that copy-on-write cost during it.
    pub last_cow_bytes: u64,
    /// Expired keys left out by the last load.
    pub last_load_expired: u64,
    /// Keys it brought.
    pub last_load_keys: u64,
    /// The append-only file.
    pub aof: AofFacts,
}

impl Default for PersistenceStats {
    fn default() -> Self {
        PersistenceStats {
            loading: None,
            child: None,
            bgsave_scheduled: false,
            last_save_s: 0,
            last_try_s: 0,
            last_bgsave_ok: true,
            last_bgsave_duration_s: -1,
            last_cow_bytes: 0,
            last_load_expired: 0,
            last_load_keys: 0,
            aof: AofFacts::default(),
        }
    }
}

/// How far a load is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loading {
    /// Unix time of its start.
    pub started_s: i64,
    /// Size of the file.
    pub total_bytes: u64,
    /// Bytes read.
    pub loaded_bytes: u64,
    /// Bytes of memory the data took when it was saved, if the file says so.
    pub rdb_used_bytes: u64,
}

impl Loading {
    /// How much of the file is read, in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.loaded_bytes as f64 / self.total_bytes.max(1) as f64
    }
}

/// Facts about the append-only file.
#[derive(Debug, Clone, Copy)]
pub struct AofFacts {
    /// It is on, or will be once its first base is written.
    pub enabled: bool,
    /// A rewrite waits for another child to end.
    pub rewrite_scheduled: bool,
    /// How long the last rewrite took, in seconds; -1 for never.
    pub last_rewrite_duration_s: i64,
    /// Whether it succeeded.
    pub last_rewrite_ok: bool,
    /// Bytes that copy-on-write cost during it.
    pub last_cow_bytes: u64,
    /// Whether the last write and the last sync succeeded.
    pub last_write_ok: bool,
    /// Size of all its files, in bytes.
    pub size: u64,
    /// Size after the last rewrite, in bytes.
    pub base_size: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: usize,
    /// Bytes taken by the buffer they wait in: as many or more. The limit on memory leaves them out.
    pub buffer_bytes: usize,
    /// Syncs that have not ended.
    pub pending_syncs: usize,
}

impl Default for AofFacts {
    fn default() -> Self {
        AofFacts {
            enabled: false,
            rewrite_scheduled: false,
            last_rewrite_duration_s: -1,
            last_rewrite_ok: true,
            last_cow_bytes: 0,
            last_write_ok: true,
            size: 0,
            base_size: 0,
            waiting_bytes: 0,
            buffer_bytes: 0,
            pending_syncs: 0,
        }
    }
}

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildKind {
    /// Writes a snapshot.
    Snapshot,
    /// Writes a new base of the append-only file.
    Rewrite,
}

impl ChildKind {
    /// What the log calls its work.
    pub fn work(self) -> &'static str {
        match self {
            ChildKind::Snapshot => "saving",
            ChildKind::Rewrite => "AOF rewrite",
        }
    }
}

/// How far a child is.
#[derive(Debug, Clone, Copy)]
pub struct ChildProgress {
    /// What it does.
    pub kind: ChildKind,
    /// Unix time of the fork.
    pub started_s: i64,
    /// Keys there are to save.
    pub keys_total: u64,
    /// Keys saved.
    pub keys_done: u64,
    /// Bytes copied on write, at the last report.
    pub cow_bytes: u64,
    /// The most it has been.
    pub cow_peak_bytes: u64,
    /// Unix milliseconds of the last report.
    pub reported_ms: i64,
}
