//! What a handler may see and touch, and what it may answer.

use crate::acl::Users;
use crate::base::rng::Rng;
use crate::config::{Changed, Config, OutputLimit, Scope};
use crate::keyspace::Keyspace;
use crate::keyspace::entry::NewValue;
use crate::resp::Reply;
use crate::session::{ClientClass, Session, SessionFlags, SessionId, Sessions};
use crate::stats::Stats;
use crate::tracking::Tracking;
use crate::value::Value;

use super::args::Args;
use super::blocking::BlockOn;
use super::error::Error;
use super::pubsub::broker::Broker;
use super::table::Table;

/// How a handler ends.
pub type Outcome = Result<Next, Error>;

/// What happens after a handler.
#[derive(Debug)]
pub enum Next {
    /// The reply is complete.
    Done,
    /// The executor must act; the reply is its business where the variant says so.
    Control(Control),
    /// Nothing to answer yet: the client waits, and the command is run again when a key is ready. Only if
    /// [`Cx::may_block`]; see [`super::blocking::wait`].
    Block(Box<BlockOn>),
}

/// The short form for handlers: `Ok(DONE)`.
pub const DONE: Next = Next::Done;

/// Acts only the executor can carry out.
#[derive(Debug)]
pub enum Control {
    /// End the server. The executor replies only when it cannot.
    Shutdown(ShutdownOptions),
    /// The configuration has changed: let every room take its slice. The executor replies OK, or rolls back.
    ApplyConfig(Changed),
    /// Write the configuration file, so much of it. The executor replies.
    RewriteConfig(Scope),
    /// Clients are to be held back until `until_ms`; the reply is written.
    Pause,
    /// Serve the held-back clients again; the reply is written.
    Unpause,
    /// Close these clients; the reply is written.
    Kill(Vec<SessionId>),
    /// Write a snapshot now. The executor replies.
    Save,
    /// Write a snapshot in the background; `schedules`: later, if that cannot be now. The executor replies.
    BackgroundSave {
        /// Whether it may wait for another child to end.
        schedules: bool,
    },
    /// Begin a new base of the append-only file in the background. The executor replies.
    RewriteLog,
    /// Empty all databases and load the append-only file (DEBUG LOADAOF). The executor replies.
    LoadLog,
    /// Sleep for so many microseconds before each write to it (DEBUG AOF-FLUSH-SLEEP); the reply is written.
    DelayLog(u64),
    /// Databases have been emptied.
    Flushed {
        /// All of them, so the snapshot on disk, and one under way, are of no use.
        all: bool,
        /// The executor answers OK once the memory is free. Else the reply is written.
        waits: bool,
    },
    /// Save, empty and load again (DEBUG RELOAD). The executor replies.
    Reload(ReloadOptions),
    /// Answer the value of this key, which exists, as a payload.
    Dump(Box<[u8]>),
    /// Answer in one line how many bytes the value of this key, which exists, takes in a snapshot (DEBUG OBJECT).
    SerializedLength {
        /// The key.
        key: Box<[u8]>,
        /// What stands before the number.
        before: String,
        /// What stands behind it.
        behind: String,
    },
    /// Create a key from a payload. The executor replies.
    Restore(Box<RestoreRequest>),
    /// Send keys, which exist, to another server. The executor replies, maybe only when the command is run again.
    Migrate(Box<MigrateRequest>),
    /// The command that has sent them is run again to be answered.
    Migrated,
    /// End the wait of this client, which is blocked: as if its time were up or, if so, with an error. The reply is
    /// written.
    Unblock {
        /// Whose wait.
        client: SessionId,
        /// Whether it is answered an error.
        with_error: bool,
    },
    /// Run what the client has queued. The executor replies.
    Exec,
    /// Abort or crash on purpose (DEBUG).
    Debug(DebugAct),
    /// Something with scripts, which the executor keeps. It replies, and finds what it needs in the command's words.
    Script(ScriptAct),
}

/// What is to be done with scripts and libraries. Numbers are indexes of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptAct {
    /// Run one: `<command> <script> <numkeys> <keys> <args>`.
    Run(ScriptRun),
    /// `SCRIPT LOAD`.
    Load,
    /// `SCRIPT EXISTS`.
    Exists,
    /// `SCRIPT FLUSH`; `lazy`: the memory is freed elsewhere.
    Flush {
        /// Whether the memory is freed elsewhere.
        lazy: bool,
    },
    /// `SCRIPT KILL`, or `FUNCTION KILL`.
    Kill {
        /// Which of the two.
        function: bool,
    },
    /// `FUNCTION LOAD`.
    LoadLibrary {
        /// Where the code is.
        code: usize,
        /// Whether it may replace one of its name.
        replace: bool,
    },
    /// `FUNCTION DELETE`.
    DeleteLibrary,
    /// `FUNCTION FLUSH`.
    FlushLibraries {
        /// Whether the memory is freed elsewhere.
        lazy: bool,
    },
    /// `FUNCTION LIST`.
    ListLibraries {
        /// Where the pattern is that names must match.
        pattern: Option<usize>,
        /// Whether to answer their code, too.
        with_code: bool,
    },
    /// `FUNCTION DUMP`.
    DumpLibraries,
    /// `FUNCTION RESTORE`.
    RestoreLibraries(RestorePolicy),
    /// `FUNCTION STATS`.
    FunctionStats,
}

/// A script to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptRun {
    /// What word 1 is.
    pub source: ScriptSource,
    /// It must not write.
    pub read_only: bool,
    /// Its client debugs it.
    pub debugged: bool,
    /// How many keys there are, or what is to be answered once the script is known to exist.
    pub keys: Result<usize, Error>,
}

/// How a command names the script it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptSource {
    /// By its text.
    Text,
    /// By its SHA-1.
    Digest,
    /// It is the function of a library.
    Function,
}

/// What `FUNCTION RESTORE` does with libraries that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestorePolicy {
    /// They stay; one of the same name is an error.
    Append,
    /// One of the same name is replaced.
    Replace,
    /// They go.
    Flush,
}

/// What INFO tells of scripts. The executor keeps it up to date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScriptFacts {
    /// Bytes of the interpreter for EVAL, and of that for libraries.
    pub eval_bytes: usize,
    /// Bytes of the interpreter for libraries.
    pub function_bytes: usize,
    /// Scripts in EVAL's cache.
    pub scripts: usize,
    /// Their bytes beside the interpreter's.
    pub scripts_bytes: usize,
    /// Libraries.
    pub libraries: usize,
    /// Their functions.
    pub functions: usize,
    /// Bytes of libraries beside the interpreter's.
    pub libraries_bytes: usize,
}

/// `DEBUG RELOAD`'s options, all on but `MERGE` unless named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReloadOptions {
    /// Save first (not with `NOSAVE`).
    pub saves: bool,
    /// Empty the databases (not with `NOFLUSH`).
    pub flushes: bool,
    /// Keys of the file replace those that are there (`MERGE`).
    pub merges: bool,
}

/// `RESTORE` with its options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The key.
    pub key: Box<[u8]>,
    /// What DUMP returned.
    pub payload: Box<[u8]>,
    /// When it expires, Unix milliseconds.
    pub expire_at: Option<i64>,
    /// The time was given as a point in time (`ABSTTL`).
    pub absolute: bool,
    /// In place of a key that is there (`REPLACE`).
    pub replaces: bool,
    /// `IDLETIME`.
    pub idle_seconds: Option<u32>,
    /// `FREQ`.
    pub frequency: Option<u8>,
}

/// `MIGRATE` with its options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrateRequest {
    /// Name or address of the server.
    pub host: Box<[u8]>,
    /// Its port.
    pub port: Box<[u8]>,
    /// The keys.
    pub keys: Vec<Box<[u8]>>,
    /// The number of its database.
    pub db: i64,
    /// How long it may take to connect, and to take or answer anything.
    pub patience_ms: u64,
    /// The keys stay here, too (`COPY`).
    pub copies: bool,
    /// In place of keys that are there (`REPLACE`).
    pub replaces: bool,
    /// Who to be there (`AUTH`, `AUTH2`).
    pub login: Option<Login>,
    /// Whether the client may wait while others are served.
    pub waits: bool,
}

/// A password, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// The user, if not the default one (`AUTH2`).
    pub user: Option<Box<[u8]>>,
    /// The password.
    pub password: Box<[u8]>,
}

/// `SHUTDOWN`'s options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShutdownOptions {
    /// `SAVE` (Some(true)), `NOSAVE` (Some(false)) or as the save points say.
    pub save: Option<bool>,
    /// Do not wait for replicas.
    pub now: bool,
    /// Go on although saving fails.
    pub force: bool,
    /// Call off a shutdown under way.
    pub abort: bool,
}

/// What DEBUG asks the process to do to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebugAct {
    /// Panic, as a bug would.
    Panic,
    /// Die of a bad memory access.
    Segfault,
    /// Fail an assertion.
    Assert,
    /// Exit at once, without saving.
    Exit,
}

/// What a handler may see: nothing of sockets, threads or files.
pub struct Cx<'a> {
    /// The databases, with the client's one selected and the time set.
    pub keys: &'a mut Keyspace,
    /// All clients.
    pub sessions: &'a mut Sessions,
    /// The client that sent the command.
    pub client: SessionId,
    /// Where the reply goes.
    pub reply: Reply<'a>,
    /// The configuration.
    pub config: &'a mut Config,
    /// Statistics.
    pub stats: &'a mut Stats,
    /// Users.
    pub acl: &'a mut Users,
    /// Subscriptions.
    pub pubsub: &'a mut Broker,
    /// Who may hold which key in a cache.
    pub tracking: &'a mut Tracking<SessionId>,
    /// All commands.
    pub table: &'a Table,
    /// What holds for the whole server.
    pub server: &'a mut ServerState,
    /// Randomness.
    pub rng: &'a mut Rng,
    /// Wall clock at the start of the drain, in Unix microseconds.
    pub now_unix_us: i64,
    /// Whether the command may block its client: not in a transaction or script.
    pub may_block: bool,
    /// The command has blocked its client and is run again, since a key is ready.
    pub rerun: bool,
    /// A large argument that the handler of an `ADOPTS_VALUE` row may keep: (word, bytes).
    pub large: Option<(usize, &'a mut Vec<u8>)>,
}

/// Facts and switches of the whole server that no other room owns.
#[derive(Debug, Clone, Default)]
pub struct ServerState {
    /// Facts that do not change after start.
    pub facts: Facts,
    /// While CLIENT PAUSE lasts, whom it holds.
    pub pause: Option<Pause>,
    /// A MIGRATE is under way: what it sends must stay as it is, so writes are held back.
    pub migrating: bool,
    /// Connections that MIGRATE keeps for its next time.
    pub migrate_links: usize,
    /// `DEBUG SET-ACTIVE-EXPIRE 0` turns the sweeper off.
    pub active_expire_off: bool,
    /// `DEBUG DICT-RESIZING 0`: tables keep their room.
    pub keeps_room: bool,
    /// `DEBUG PAUSE-CRON 1` holds recurring work back.
    pub cron_paused: bool,
    /// How long CLIENT LIST remembers a peak of replies.
    pub reply_peak: ReplyPeak,
    /// How many clients watch with MONITOR.
    pub monitors: usize,
    /// `DEBUG SET-DISABLE-DENY-SCRIPTS 1`: scripts may call what they otherwise must not.
    pub noscript_allowed: bool,
    /// `DEBUG SET-SKIP-CHECKSUM-VALIDATION 1`: files and payloads whose checksum is wrong are taken.
    pub checksums_ignored: bool,
    /// Scripts and libraries, for INFO.
    pub scripts: ScriptFacts,
    /// Commands run, for statistics.
    pub commands_run: u64,
    /// Since when memory has been over `maxmemory`, in Unix microseconds, if it is.
    pub short_since_us: Option<i64>,
    /// How many clients are blocked with a deadline.
    pub blocked_with_deadline: usize,
}

impl ServerState {
    /// Whether anybody is held back.
    #[inline]
    pub fn is_holding(&self) -> bool {
        self.migrating || self.pause.is_some()
    }

    /// Whether everybody is, not only who writes.
    pub fn holds_all(&self) -> bool {
        self.pause.is_some_and(|pause| pause.all)
    }
}

/// How long a peak of replies is remembered (`DEBUG REPLYBUFFER PEAK-RESET-TIME`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReplyPeak {
    /// As long as Redis does by default.
    #[default]
    Usual,
    /// For so many milliseconds, at least.
    Millis(i64),
    /// For good.
    Never,
}

impl ReplyPeak {
    /// The time in milliseconds.
    pub fn window_ms(self) -> i64 {
        const USUAL_MS: i64 = 5_000;
        match self {
            ReplyPeak::Usual => USUAL_MS,
            ReplyPeak::Millis(ms) => ms,
            ReplyPeak::Never => i64::MAX,
        }
    }
}

/// Facts about the process.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// 40 hexadecimal digits, new at every start.
    pub run_id: String,
    /// 40 hexadecimal digits that name the history of the data.
    pub replication_id: String,
    /// Path of the executable.
    pub executable: String,
    /// Absolute path of the configuration file, or empty.
    pub config_file: String,
    /// Process id.
    pub pid: u32,
    /// Start, in Unix microseconds.
    pub started_unix_us: i64,
    /// Threads that do I/O, the executor's included.
    pub io_threads: usize,
    /// `systemd`, `upstart` or `no`.
    pub supervised: String,
}

/// `CLIENT PAUSE` under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// When it ends by itself, Unix milliseconds.
    pub until_ms: i64,
    /// True: every command waits; false: only writes do.
    pub all: bool,
}

/// What `client-output-buffer-limit` says of a client.
pub fn output_limit<'a>(config: &'a Config, session: &Session) -> &'a OutputLimit {
    let limits = config.output_limits();
    match session.class() {
        ClientClass::Pubsub => &limits.pubsub,
        ClientClass::Replica => &limits.replica,
        ClientClass::Normal | ClientClass::Master => &limits.normal,
    }
}

impl<'a> Cx<'a> {
    /// The client that sent the command.
    #[inline]
    pub fn session(&mut self) -> &mut Session {
        &mut self.sessions[self.client]
    }

    /// The wall clock in Unix milliseconds.
    #[inline]
    pub fn now_ms(&self) -> i64 {
        self.now_unix_us / 1000
    }

    /// How long replies may get before their client is closed for them (`client-output-buffer-limit`): what goes on
    /// writing behind that does so in vain.
    pub fn reply_bytes_max(&mut self) -> usize {
        let hard_bytes = output_limit(self.config, &self.sessions[self.client]).hard_bytes;
        let in_script = self.session().flags.contains(SessionFlags::SCRIPT);
        match usize::try_from(hard_bytes) {
            Ok(bytes) if bytes > 0 && !in_script => bytes,
            _ => usize::MAX,
        }
    }

    /// Word `index` as a value to store: a large one is taken over, a small one copied once, an integer kept as one.
    #[inline]
    pub fn value<'b>(&mut self, args: Args<'b>, index: usize) -> NewValue<'b> {
        if let Some((word, bytes)) = &mut self.large
            && *word == index
        {
            let mut owned = std::mem::take(*bytes);
            owned.shrink_to_fit();
            return NewValue::Value(Value::String(owned));
        }
        crate::value::string::encode(args.get(index)).into()
    }
}
