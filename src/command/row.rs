//! The vocabulary of a command's row: everything Redis tells about a command, in one `const` above its handler.
//!
//! `COMMAND`, `COMMAND DOCS`, `COMMAND GETKEYS`, ACL categories, the gates of `exec::admit`, statistics and help texts
//! are all derived from these fields; nothing else in the program knows a command's name.

use bitflags::bitflags;

use crate::resp;

use super::args::Args;
use super::cx::{Cx, Outcome, ScriptSource};

/// What runs a command.
pub type Handler = fn(&mut Cx<'_>, Args<'_>) -> Outcome;

/// Says of each word of a command whether it is a secret.
pub type Secrets = fn(resp::Args<'_>, usize) -> bool;

/// Finds the keys among so many words, each of which it may ask for: position and number of the spec it belongs to.
pub type KeyFinder = fn(usize, &dyn Fn(usize) -> Vec<u8>) -> Vec<(usize, usize)>;

/// One command or subcommand.
pub struct Row {
    /// Lower-case name; a subcommand's own part only (`list` of `client|list`).
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// First Redis version that had it.
    pub since: &'static str,
    /// Cost in the number of its arguments and elements.
    pub complexity: &'static str,
    /// Family, as COMMAND DOCS groups it.
    pub group: Group,
    /// How many words it takes, its own name included.
    pub arity: Arity,
    /// What it does to the data and where it may run.
    pub flags: Flags,
    /// Categories beyond those that follow from flags and group.
    pub categories: Categories,
    /// Where its keys stand.
    pub keys: &'static [KeySpec],
    /// Finds them where `keys` cannot say it: by reading the options.
    pub find_keys: Option<KeyFinder>,
    /// Hints for clients and proxies (`request_policy:...`, `nondeterministic_output`).
    pub tips: &'static [&'static str],
    /// Changes since its first version: (version, what changed).
    pub history: &'static [(&'static str, &'static str)],
    /// Version that deprecated it and what replaces it.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// Its arguments, for documentation and hints.
    pub args: &'static [Arg],
    /// Subcommands; a row with children only dispatches to them.
    pub children: &'static [Row],
    /// Words that MONITOR and the slow log do not show, whether or not the command succeeds.
    pub secrets: Secrets,
    /// It runs a script: what may happen depends on that.
    pub script: Option<ScriptSource>,
    /// The handler.
    pub run: Handler,
}

impl Row {
    /// What most rows share; a row names the rest: `Row { name: "get", .., ..Row::BASE }`.
    pub const BASE: Row = Row {
        name: "",
        summary: "",
        since: "1.0.0",
        complexity: "O(1)",
        group: Group::Generic,
        arity: Arity::AtLeast(1),
        flags: Flags::empty(),
        categories: Categories::empty(),
        keys: &[],
        find_keys: None,
        tips: &[],
        history: &[],
        deprecated: None,
        args: &[],
        children: &[],
        secrets: |_, _| false,
        script: None,
        run: super::container,
    };

    /// The words of a command of this row as others may see them.
    pub fn shown<'a>(&self, words: resp::Args<'a>) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let secrets = self.secrets;
        words.iter().enumerate().map(move |(index, word)| {
            if secrets(words, index) {
                b"(redacted)"
            } else {
                word
            }
        })
    }
}

/// Words a command takes, counting its name (and its subcommand's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// Just as many.
    Exactly(u16),
    /// As many or more.
    AtLeast(u16),
}

impl Arity {
    /// Whether `count` words are right.
    #[inline]
    pub fn admits(self, count: usize) -> bool {
        match self {
            Arity::Exactly(n) => count == usize::from(n),
            Arity::AtLeast(n) => count >= usize::from(n),
        }
    }

    /// As COMMAND INFO prints it: negative for "at least".
    pub fn signed(self) -> i64 {
        match self {
            Arity::Exactly(n) => i64::from(n),
            Arity::AtLeast(n) => -i64::from(n),
        }
    }
}

/// Families of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "Redis's own names")]
pub enum Group {
    Generic,
    String,
    Bitmap,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
    Hyperloglog,
    Geo,
    Pubsub,
    Transactions,
    Scripting,
    Connection,
    Server,
    Cluster,
}

impl Group {
    /// The name COMMAND DOCS prints.
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Stream => "stream",
            Group::Hyperloglog => "hyperloglog",
            Group::Geo => "geo",
            Group::Pubsub => "pubsub",
            Group::Transactions => "transactions",
            Group::Scripting => "scripting",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
        }
    }

    /// The ACL category every command of the family is in.
    pub fn category(self) -> Categories {
        match self {
            Group::Generic => Categories::KEYSPACE,
            Group::String => Categories::STRING,
            Group::Bitmap => Categories::BITMAP,
            Group::List => Categories::LIST,
            Group::Set => Categories::SET,
            Group::SortedSet => Categories::SORTEDSET,
            Group::Hash => Categories::HASH,
            Group::Stream => Categories::STREAM,
            Group::Hyperloglog => Categories::HYPERLOGLOG,
            Group::Geo => Categories::GEO,
            Group::Transactions => Categories::TRANSACTION,
            Group::Scripting => Categories::SCRIPTING,
            Group::Connection => Categories::CONNECTION,
            // Those of Pub/Sub have their category from the flag.
            Group::Pubsub | Group::Server | Group::Cluster => Categories::empty(),
        }
    }
}

bitflags! {
    /// What a command does and where it may run, in Redis's words (COMMAND INFO's third element).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Flags: u32 {
        /// Changes the keyspace.
        const WRITE = 1 << 0;
        /// Only reads keys.
        const READONLY = 1 << 1;
        /// May grow memory: refused when out of it.
        const DENY_OOM = 1 << 2;
        /// Needs an administrator.
        const ADMIN = 1 << 3;
        /// Publishes or subscribes.
        const PUBSUB = 1 << 4;
        /// Not in scripts.
        const NOSCRIPT = 1 << 5;
        /// May block its client.
        const BLOCKING = 1 << 6;
        /// Runs while the data is being loaded.
        const LOADING = 1 << 7;
        /// Runs on a replica whose link is down.
        const STALE = 1 << 8;
        /// Not shown to MONITOR.
        const SKIP_MONITOR = 1 << 9;
        /// Not put in the slow log.
        const SKIP_SLOWLOG = 1 << 10;
        /// Constant or logarithmic time.
        const FAST = 1 << 11;
        /// Runs before authentication.
        const NO_AUTH = 1 << 12;
        /// May propagate although it is no write (PUBLISH, EVAL).
        const MAY_REPLICATE = 1 << 13;
        /// Not inside MULTI.
        const NO_MULTI = 1 << 14;
        /// Keys cannot be found by positions alone.
        const MOVABLE_KEYS = 1 << 15;
        /// Runs while a script keeps the server busy.
        const ALLOW_BUSY = 1 << 16;
        /// Not while an asynchronous load runs.
        const NO_ASYNC_LOADING = 1 << 17;
        /// Takes a whole argument as a value: a large one is handed over instead of copied (see `Cx::value`).
        const ADOPTS_VALUE = 1 << 18;
        /// Hidden from COMMAND DOCS hints as a system command.
        const SYSCMD = 1 << 19;
        /// Allowed to a RESP2 client that is subscribed to anything.
        const IN_SUBSCRIBED_STATE = 1 << 20;
        /// Its replies are pushes: CLIENT REPLY does not silence them.
        const ANSWERS_BY_PUSH = 1 << 21;
        /// Runs at once behind MULTI instead of being queued.
        const RUNS_IN_MULTI = 1 << 22;
        /// Runs what MULTI has queued, so what holds for that holds for it.
        const RUNS_QUEUE = 1 << 23;
        /// Its keys may all be left out.
        const NO_MANDATORY_KEYS = 1 << 24;
        /// What CLIENT CACHING says holds for the next command behind it, too.
        const KEEPS_CACHING = 1 << 25;
        /// Refused like a write while nothing can be saved, so that whoever asks for the server's health learns of it.
        const TELLS_HEALTH = 1 << 26;
        /// Carried out when an append-only file holds it, though it neither writes nor reads keys, or is for administrators.
        const IN_LOG = 1 << 27;
        /// May read an append-only file again, with the scripts in it.
        const REPLAYS_LOG = 1 << 28;
    }
}

impl Flags {
    /// Both sets of flags; usable in `const` rows.
    pub const fn with(self, other: Flags) -> Flags {
        self.union(other)
    }

    /// The names COMMAND INFO prints, in Redis's order.
    pub fn names(self) -> Vec<&'static str> {
        const NAMES: &[(Flags, &str)] = &[
            (Flags::WRITE, "write"),
            (Flags::READONLY, "readonly"),
            (Flags::DENY_OOM, "denyoom"),
            (Flags::ADMIN, "admin"),
            (Flags::PUBSUB, "pubsub"),
            (Flags::NOSCRIPT, "noscript"),
            (Flags::BLOCKING, "blocking"),
            (Flags::LOADING, "loading"),
            (Flags::STALE, "stale"),
            (Flags::SKIP_MONITOR, "skip_monitor"),
            (Flags::SKIP_SLOWLOG, "skip_slowlog"),
            (Flags::FAST, "fast"),
            (Flags::NO_AUTH, "no_auth"),
            (Flags::NO_MULTI, "no_multi"),
            (Flags::MOVABLE_KEYS, "movablekeys"),
            (Flags::ALLOW_BUSY, "allow_busy"),
            (Flags::NO_ASYNC_LOADING, "no_async_loading"),
            (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        ];
        NAMES
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .map(|(_, name)| *name)
            .collect()
    }
}

bitflags! {
    /// ACL categories, under Redis's own names.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Categories: u32 {
        /// `@keyspace`.
        const KEYSPACE = 1 << 0;
        /// `@read`.
        const READ = 1 << 1;
        /// `@write`.
        const WRITE = 1 << 2;
        /// `@set`.
        const SET = 1 << 3;
        /// `@sortedset`.
        const SORTEDSET = 1 << 4;
        /// `@list`.
        const LIST = 1 << 5;
        /// `@hash`.
        const HASH = 1 << 6;
        /// `@string`.
        const STRING = 1 << 7;
        /// `@bitmap`.
        const BITMAP = 1 << 8;
        /// `@hyperloglog`.
        const HYPERLOGLOG = 1 << 9;
        /// `@geo`.
        const GEO = 1 << 10;
        /// `@stream`.
        const STREAM = 1 << 11;
        /// `@pubsub`.
        const PUBSUB = 1 << 12;
        /// `@admin`.
        const ADMIN = 1 << 13;
        /// `@fast`.
        const FAST = 1 << 14;
        /// `@slow`.
        const SLOW = 1 << 15;
        /// `@blocking`.
        const BLOCKING = 1 << 16;
        /// `@dangerous`.
        const DANGEROUS = 1 << 17;
        /// `@connection`.
        const CONNECTION = 1 << 18;
        /// `@transaction`.
        const TRANSACTION = 1 << 19;
        /// `@scripting`.
        const SCRIPTING = 1 << 20;
    }
}

/// Category names in Redis's order, without the `@`.
pub const CATEGORY_NAMES: &[(Categories, &str)] = &[
    (Categories::KEYSPACE, "keyspace"),
    (Categories::READ, "read"),
    (Categories::WRITE, "write"),
    (Categories::SET, "set"),
    (Categories::SORTEDSET, "sortedset"),
    (Categories::LIST, "list"),
    (Categories::HASH, "hash"),
    (Categories::STRING, "string"),
    (Categories::BITMAP, "bitmap"),
    (Categories::HYPERLOGLOG, "hyperloglog"),
    (Categories::GEO, "geo"),
    (Categories::STREAM, "stream"),
    (Categories::PUBSUB, "pubsub"),
    (Categories::ADMIN, "admin"),
    (Categories::FAST, "fast"),
    (Categories::SLOW, "slow"),
    (Categories::BLOCKING, "blocking"),
    (Categories::DANGEROUS, "dangerous"),
    (Categories::CONNECTION, "connection"),
    (Categories::TRANSACTION, "transaction"),
    (Categories::SCRIPTING, "scripting"),
];

impl Row {
    /// All categories: the named ones and those that follow from group and flags, as Redis derives them.
    ///
    /// Compat: a name that only groups its subcommands is in no family's category; they are.
    pub fn all_categories(&self) -> Categories {
        let only_groups = !self.children.is_empty() && !self.arity.admits(1);
        let named_types = Categories::LIST | Categories::SET | Categories::SORTEDSET;
        // SORT is of no group's category, only of those of its types.
        let family = if only_groups || self.categories.contains(named_types) {
            Categories::empty()
        } else {
            self.group.category()
        };
        let mut all = self.categories | family;
        let mut imply = |flag, category| {
            if self.flags.contains(flag) {
                all |= category;
            }
        };
        imply(Flags::WRITE, Categories::WRITE);
        imply(Flags::ADMIN, Categories::ADMIN | Categories::DANGEROUS);
        imply(Flags::PUBSUB, Categories::PUBSUB);
        imply(Flags::FAST, Categories::FAST);
        imply(Flags::BLOCKING, Categories::BLOCKING);
        if self.flags.contains(Flags::READONLY) && !all.contains(Categories::SCRIPTING) {
            all |= Categories::READ;
        }
        if !all.contains(Categories::FAST) {
            all |= Categories::SLOW;
        }
        all
    }
}

bitflags! {
    /// What happens to the keys of a [`KeySpec`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Access: u16 {
        /// Read only.
        const RO = 1 << 0;
        /// Read and written.
        const RW = 1 << 1;
        /// Overwritten without being read.
        const OW = 1 << 2;
        /// Removed.
        const RM = 1 << 3;
        /// Its data is returned, copied or compared.
        const ACCESS = 1 << 4;
        /// Its data is changed depending on itself.
        const UPDATE = 1 << 5;
        /// Data is added, nothing overwritten.
        const INSERT = 1 << 6;
        /// Data or the key is removed.
        const DELETE = 1 << 7;
        /// Not a key, although it routes like one.
        const NOT_KEY = 1 << 8;
        /// The spec does not find all keys.
        const INCOMPLETE = 1 << 9;
        /// The flags depend on the arguments.
        const VARIABLE_FLAGS = 1 << 10;
    }
}

impl Access {
    /// Both sets; usable in `const` rows.
    pub const fn with(self, other: Access) -> Access {
        self.union(other)
    }

    /// The names COMMAND INFO prints.
    pub fn names(self) -> Vec<&'static str> {
        const NAMES: &[(Access, &str)] = &[
            (Access::RO, "RO"),
            (Access::RW, "RW"),
            (Access::OW, "OW"),
            (Access::RM, "RM"),
            (Access::ACCESS, "access"),
            (Access::UPDATE, "update"),
            (Access::INSERT, "insert"),
            (Access::DELETE, "delete"),
            (Access::NOT_KEY, "not_key"),
            (Access::INCOMPLETE, "incomplete"),
            (Access::VARIABLE_FLAGS, "variable_flags"),
        ];
        NAMES
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .map(|(_, name)| *name)
            .collect()
    }
}

/// Where some of a command's keys stand and what happens to them.
#[derive(Debug, Clone, Copy)]
pub struct KeySpec {
    /// Where the search begins.
    pub begin: Begin,
    /// How it goes on from there.
    pub find: Find,
    /// What happens to the keys found.
    pub access: Access,
    /// A remark for COMMAND INFO.
    pub notes: Option<&'static str>,
}

/// Where keys begin.
#[derive(Debug, Clone, Copy)]
pub enum Begin {
    /// At this word.
    Index(i32),
    /// Behind this word, searched from a position (negative: from the end).
    Keyword(&'static str, i32),
    /// Nobody can say without reading the options.
    Unknown,
}

/// How keys follow from where they begin.
#[derive(Debug, Clone, Copy)]
pub enum Find {
    /// Up to `last` (relative to the beginning; negative: from the end), every `step` words, within 1/`limit` of them.
    Range {
        /// Relative index of the last key; -1 is the last word.
        last: i32,
        /// Words from key to key.
        step: i32,
        /// Divides the remaining words when `last` is -1; 0 and 1 mean no limit.
        limit: i32,
    },
    /// A word holds their number.
    Count {
        /// Relative index of the number.
        at: i32,
        /// Relative index of the first key.
        first: i32,
        /// Words from key to key.
        step: i32,
    },
    /// Nobody can say.
    Unknown,
}

impl KeySpec {
    /// One key at word `index`.
    pub const fn one(index: i32, access: Access) -> KeySpec {
        KeySpec::range(index, 0, 1, access)
    }

    /// Keys from word `first` to `last` (relative to `first`, or negative from the end), every `step` words.
    pub const fn range(first: i32, last: i32, step: i32, access: Access) -> KeySpec {
        KeySpec {
            begin: Begin::Index(first),
            find: Find::Range { last, step, limit: 0 },
            access,
            notes: None,
        }
    }

    /// A count at word `index`, the keys right behind it.
    pub const fn counted(index: i32, access: Access) -> KeySpec {
        KeySpec {
            begin: Begin::Index(index),
            find: Find::Count {
                at: 0,
                first: 1,
                step: 1,
            },
            access,
            notes: None,
        }
    }

    /// Keys behind a keyword.
    pub const fn keyword(word: &'static str, from: i32, find: Find, access: Access) -> KeySpec {
        KeySpec {
            begin: Begin::Keyword(word, from),
            find,
            access,
            notes: None,
        }
    }
}

/// One argument, as COMMAND DOCS describes it.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    /// Name in the syntax.
    pub name: &'static str,
    /// Name that people are shown, when it is another.
    pub display: Option<&'static str>,
    /// What it is.
    pub kind: ArgKind,
    /// The word that stands before it (or that it is).
    pub token: Option<&'static str>,
    /// May be left out.
    pub optional: bool,
    /// May be repeated.
    pub multiple: bool,
    /// Each repetition repeats the token too.
    pub multiple_token: bool,
    /// Version it came with, when later than its command.
    pub since: Option<&'static str>,
    /// Version that deprecated it.
    pub deprecated_since: Option<&'static str>,
    /// What it is made of ([`ArgKind::OneOf`], [`ArgKind::Block`]).
    pub children: &'static [Arg],
}

/// Kinds of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgKind {
    /// A key, with the index of its [`KeySpec`].
    Key(u8),
    /// Any string.
    String,
    /// An integer.
    Integer,
    /// A floating-point number.
    Double,
    /// A glob.
    Pattern,
    /// A pattern of keys, with the index of its [`KeySpec`].
    KeyPattern(u8),
    /// A Unix time.
    UnixTime,
    /// A word by itself.
    PureToken,
    /// One of its children.
    OneOf,
    /// All of its children.
    Block,
}

impl ArgKind {
    /// The name COMMAND DOCS prints.
    pub fn name(self) -> &'static str {
        match self {
            ArgKind::Key(_) => "key",
            ArgKind::String => "string",
            ArgKind::Integer => "integer",
            ArgKind::Double => "double",
            ArgKind::Pattern | ArgKind::KeyPattern(_) => "pattern",
            ArgKind::UnixTime => "unix-time",
            ArgKind::PureToken => "pure-token",
            ArgKind::OneOf => "oneof",
            ArgKind::Block => "block",
        }
    }
}

impl Arg {
    const fn of(name: &'static str, kind: ArgKind, children: &'static [Arg]) -> Arg {
        Arg {
            name,
            display: None,
            kind,
            token: None,
            optional: false,
            multiple: false,
            multiple_token: false,
            since: None,
            deprecated_since: None,
            children,
        }
    }

    /// A key of the row's `spec`-th key spec.
    pub const fn key(name: &'static str, spec: u8) -> Arg {
        Arg::of(name, ArgKind::Key(spec), &[])
    }

    /// A string.
    pub const fn string(name: &'static str) -> Arg {
        Arg::of(name, ArgKind::String, &[])
    }

    /// An integer.
    pub const fn integer(name: &'static str) -> Arg {
        Arg::of(name, ArgKind::Integer, &[])
    }

    /// A double.
    pub const fn double(name: &'static str) -> Arg {
        Arg::of(name, ArgKind::Double, &[])
    }

    /// A glob.
    pub const fn pattern(name: &'static str) -> Arg {
        Arg::of(name, ArgKind::Pattern, &[])
    }

    /// A pattern of the row's `spec`-th keys.
    pub const fn key_pattern(name: &'static str, spec: u8) -> Arg {
        Arg::of(name, ArgKind::KeyPattern(spec), &[])
    }

    /// A Unix time.
    pub const fn unix_time(name: &'static str) -> Arg {
        Arg::of(name, ArgKind::UnixTime, &[])
    }

    /// A word by itself.
    pub const fn flag(name: &'static str, token: &'static str) -> Arg {
        Arg::of(name, ArgKind::PureToken, &[]).token(token)
    }

    /// One of several.
    pub const fn one_of(name: &'static str, children: &'static [Arg]) -> Arg {
        Arg::of(name, ArgKind::OneOf, children)
    }

    /// Several in a row.
    pub const fn block(name: &'static str, children: &'static [Arg]) -> Arg {
        Arg::of(name, ArgKind::Block, children)
    }

    /// With the word that stands before it.
    pub const fn token(mut self, token: &'static str) -> Arg {
        self.token = Some(token);
        self
    }

    /// Shown under another name.
    pub const fn shown_as(mut self, name: &'static str) -> Arg {
        self.display = Some(name);
        self
    }

    /// May be left out.
    pub const fn optional(mut self) -> Arg {
        self.optional = true;
        self
    }

    /// May be repeated.
    pub const fn multiple(mut self) -> Arg {
        self.multiple = true;
        self
    }

    /// May be repeated with its token.
    pub const fn multiple_token(mut self) -> Arg {
        self.multiple = true;
        self.multiple_token = true;
        self
    }

    /// Came later than its command.
    pub const fn since(mut self, version: &'static str) -> Arg {
        self.since = Some(version);
        self
    }
}
