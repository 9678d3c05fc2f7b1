//! What the server knows of each client.
//!
//! A [`Session`] is plain state owned by the executor; the connection behind it is reached through an [`Outlet`].
//! Imports: base, acl, resp, and what a watched key is noted as. Knows no keys, commands or sockets.

pub mod peak;
pub mod transaction;

use std::fmt;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use bitflags::bitflags;

use crate::keyspace::interest::Watch;

use peak::RecentPeak;

pub use transaction::Transaction;

/// Where a session's slot is, with the client's id so that a reused slot is not mistaken for its former owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// Index in the table of sessions.
    pub slot: u32,
    /// The client's id, never reused.
    pub client: u64,
}

bitflags! {
    /// Switches of a session.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct SessionFlags: u32 {
        /// Sees every command (MONITOR).
        const MONITOR = 1 << 0;
        /// `CLIENT REPLY OFF`.
        const REPLY_OFF = 1 << 1;
        /// `CLIENT REPLY SKIP`: this command's own reply is left out.
        const REPLY_SKIP = 1 << 2;
        /// The reply of the command after `CLIENT REPLY SKIP` is left out.
        const REPLY_SKIP_NEXT = 1 << 3;
        /// To be closed once its replies are written.
        const CLOSE_AFTER_REPLY = 1 << 4;
        /// `CLIENT NO-EVICT ON`.
        const NO_EVICT = 1 << 5;
        /// `CLIENT NO-TOUCH ON`.
        const NO_TOUCH = 1 << 6;
        /// Came through the unix socket.
        const UNIX_SOCKET = 1 << 7;
        /// Held back by CLIENT PAUSE: from the command that must wait until its batch is taken up again.
        const PAUSED = 1 << 8;
        /// A replica's link.
        const REPLICA = 1 << 9;
        /// Subscribed to channels or patterns.
        const PUBSUB = 1 << 10;
        /// Has no connection: tests, replay, scripts.
        const INTERNAL = 1 << 11;
        /// Closed as soon as possible; what it still sends is not run.
        const CLOSING = 1 << 12;
        /// Waits for a key (BLPOP).
        const BLOCKED = 1 << 13;
        /// A command was refused that MULTI should have queued: EXEC will fail.
        const DIRTY_EXEC = 1 << 14;
        /// Waits for the end of its MIGRATE, which nothing cuts short.
        const MIGRATING = 1 << 15;
        /// Replays a file: nobody sees or closes it.
        const REPLAY = 1 << 16;
        /// Its EVAL is debugged (SCRIPT DEBUG).
        const DEBUG = 1 << 17;
        /// So that everybody waits and what it writes stays (`SYNC`).
        const DEBUG_SYNC = 1 << 18;
        /// A script of its own runs commands with it.
        const SCRIPT = 1 << 20;
        /// Is told what to forget of a cache of its own (CLIENT TRACKING).
        const TRACKING = 1 << 21;
        /// `BCAST`: of all keys with its prefixes.
        const TRACKING_BCAST = 1 << 22;
        /// `OPTIN`: of keys read right behind CLIENT CACHING YES.
        const TRACKING_OPTIN = 1 << 23;
        /// `OPTOUT`: not of keys read right behind CLIENT CACHING NO.
        const TRACKING_OPTOUT = 1 << 24;
        /// `NOLOOP`: not of its own changes.
        const TRACKING_NOLOOP = 1 << 25;
        /// CLIENT CACHING holds for its next command.
        const TRACKING_CACHING = 1 << 26;
        /// Who should have been told in its place is gone.
        const TRACKING_BROKEN = 1 << 27;
        /// All of those.
        const ALL_TRACKING = Self::TRACKING.bits() | Self::TRACKING_BCAST.bits() | Self::TRACKING_OPTIN.bits()
            | Self::TRACKING_OPTOUT.bits() | Self::TRACKING_NOLOOP.bits() | Self::TRACKING_CACHING.bits()
            | Self::TRACKING_BROKEN.bits();
    }
}

/// Classes of clients, as CLIENT LIST TYPE names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientClass {
    /// None of the others.
    Normal,
    /// A replica's link.
    Replica,
    /// Subscribed to something.
    Pubsub,
    /// The link to the own master.
    Master,
}

/// How long a peak of a read buffer lasts, at least, in milliseconds.
pub const INPUT_PEAK_MS: i64 = 250;

/// The way to a client's connection.
pub trait Outlet: Send + Sync {
    /// Queues bytes that no request asked for (pushes), to be written behind the replies of the session's first
    /// `after` batches and before those of later ones; the bytes queued then. Never blocks.
    fn push(&self, bytes: &[u8], after: u64) -> usize;
    /// Closes the connection at once, replies or not.
    fn close(&self);
    /// Gives back what the read buffer of a command that is still arriving has free.
    fn trim(&self);
    /// Bytes queued and not yet written, large replies included.
    fn queued_bytes(&self) -> usize;
    /// Bytes of the read buffer in use and free.
    fn input_bytes(&self) -> (usize, usize);
}

/// What the server knows of one client.
pub struct Session {
    /// The client's id.
    pub id: u64,
    /// Selected database.
    pub db: usize,
    /// Protocol version: 2 or 3.
    pub resp: u8,
    /// That of the replies to its script, while one runs.
    pub script_resp: u8,
    /// Switches.
    pub flags: SessionFlags,
    /// Whether commands may run.
    pub authenticated: bool,
    /// User it is authenticated as.
    pub user: String,
    /// `CLIENT SETNAME`.
    pub name: String,
    /// `CLIENT SETINFO LIB-NAME`.
    pub lib_name: String,
    /// `CLIENT SETINFO LIB-VER`.
    pub lib_ver: String,
    /// Peer's address, `ip:port` or the socket's path with `:0`.
    pub addr: String,
    /// Own address.
    pub laddr: String,
    /// File descriptor.
    pub fd: i32,
    /// When it connected, Unix milliseconds.
    pub created_ms: i64,
    /// When it last sent something, Unix milliseconds.
    pub active_ms: i64,
    /// Full name of the last command, as CLIENT LIST prints it.
    pub last_command: Option<u16>,
    /// Commands it ran.
    pub commands: u64,
    /// Bytes it sent.
    pub input_total: u64,
    /// Bytes it was sent.
    pub output_total: u64,
    /// Bytes of input that the commands being run came in.
    pub input_used: usize,
    /// Bytes of the buffer that holds them.
    pub input_held: usize,
    /// Bytes of read buffer it has needed lately.
    pub input_peak: RecentPeak,
    /// Bytes of replies to one read it has needed lately.
    pub reply_peak: RecentPeak,
    /// Bytes of the arguments of its present command.
    pub argv_bytes: usize,
    /// Commands queued by MULTI, -1 outside.
    pub multi: i64,
    /// Who is sent what it is to forget of its cache; `None` for itself.
    pub redirect: Option<SessionId>,
    /// Prefixes of keys whose changes it is told (CLIENT TRACKING BCAST).
    pub prefixes: usize,
    /// Those commands; `None` while there are none.
    pub transaction: Option<Box<Transaction>>,
    /// Keys it watches, by slot.
    pub watches: Vec<Watch>,
    /// Channels it is subscribed to.
    pub channels: usize,
    /// Patterns it is subscribed to.
    pub patterns: usize,
    /// Shard channels it is subscribed to.
    pub shard_channels: usize,
    /// Batches that have been given back with their replies, the greeting included.
    pub batches_returned: u64,
    /// Commands of a batch have run whose replies are not given back yet.
    pub answering: bool,
    /// Which group of writes to the log must be durable before its replies may go out, with `appendfsync always`.
    pub log_awaited: u64,
    /// Where pushes go.
    pub outlet: Option<Arc<dyn Outlet>>,
    /// What it was found to hold when it was last counted, in bytes; 0 while nothing is counted.
    pub counted_bytes: usize,
    /// When its output first exceeded the soft limit, Unix seconds; 0 when it does not.
    pub soft_limit_since: i64,
}

/// What a client's reading takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputBytes {
    /// Received and not yet done with.
    pub used: usize,
    /// Room in the buffers held for it.
    pub free: usize,
    /// The same, were the buffers of the pool still held that it has used lately.
    pub free_lately: usize,
}

impl Session {
    /// A session for commands that come from no connection.
    pub fn internal() -> Session {
        Session {
            id: 0,
            db: 0,
            resp: 2,
            script_resp: 2,
            flags: SessionFlags::INTERNAL,
            authenticated: true,
            user: "default".into(),
            name: String::new(),
            lib_name: String::new(),
            lib_ver: String::new(),
            addr: "?:0".into(),
            laddr: "?:0".into(),
            fd: -1,
            created_ms: 0,
            active_ms: 0,
            last_command: None,
            commands: 0,
            input_total: 0,
            output_total: 0,
            input_used: 0,
            input_held: 0,
            input_peak: RecentPeak::default(),
            reply_peak: RecentPeak::default(),
            argv_bytes: 0,
            multi: -1,
            redirect: None,
            prefixes: 0,
            transaction: None,
            watches: Vec::new(),
            channels: 0,
            patterns: 0,
            shard_channels: 0,
            batches_returned: 0,
            answering: false,
            log_awaited: 0,
            outlet: None,
            counted_bytes: 0,
            soft_limit_since: 0,
        }
    }

    /// The class it is counted in. One that watches with MONITOR is a normal client.
    pub fn class(&self) -> ClientClass {
        if self.flags.contains(SessionFlags::REPLICA) {
            ClientClass::Replica
        } else if self.flags.contains(SessionFlags::PUBSUB) {
            ClientClass::Pubsub
        } else {
            ClientClass::Normal
        }
    }

    /// The client that is told in its place what to forget: 0 for none, -1 when it does not track.
    pub fn redirect_shown(&self) -> i64 {
        if self.flags.contains(SessionFlags::TRACKING) {
            self.redirect.map_or(0, |target| target.client as i64)
        } else {
            -1
        }
    }

    /// Bytes of input used, free in the buffers held, and free in those it has needed lately.
    pub fn input_bytes(&self, now_ms: i64) -> InputBytes {
        let (waiting, free) = self.outlet.as_ref().map_or((0, 0), |outlet| outlet.input_bytes());
        let used = waiting + self.input_used;
        let lately = self.input_peak.get(now_ms, INPUT_PEAK_MS);
        InputBytes {
            used,
            free,
            free_lately: free.max(lately.saturating_sub(used)),
        }
    }

    /// Bytes that its transaction holds: queued commands and what is noted of watched keys.
    pub fn queued_bytes(&self) -> usize {
        let commands = self
            .transaction
            .as_ref()
            .map_or(0, |transaction| transaction.heap_bytes());
        commands + self.watches.capacity() * size_of::<Watch>()
    }

    /// Bytes it holds: itself, its buffers, what it has queued, watches and listens to. Buffers in the pool are nobody's.
    pub fn held_bytes(&self) -> usize {
        /// A name in the maps of subscriptions, or of prefixes.
        const LISTENING_BYTES: usize = 64;
        let buffers = self.outlet.as_ref().map_or(0, |outlet| {
            let (used, free) = outlet.input_bytes();
            used + free + outlet.queued_bytes()
        });
        let listening = self.channels + self.patterns + self.shard_channels + self.prefixes;
        size_of::<Session>()
            + self.input_held
            + buffers
            + self.queued_bytes()
            + self.argv_bytes
            + listening * LISTENING_BYTES
    }

    /// Sends bytes that no request asked for, in their place among the replies; the bytes that are queued then.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let after = self.batches_returned + u64::from(self.answering);
        self.output_total += bytes.len() as u64;
        self.outlet.as_ref().map_or(0, |outlet| outlet.push(bytes, after))
    }

    /// Closes the connection at once, replies or not.
    pub fn close_outlet(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.close();
        }
    }

    /// Whether its commands are answered in RESP3: those of a script as the script wants it. Messages are the client's.
    #[inline]
    pub fn answers_resp3(&self) -> bool {
        let version = if self.flags.contains(SessionFlags::SCRIPT) {
            self.script_resp
        } else {
            self.resp
        };
        version == 3
    }

    /// Back to what a new connection starts with (RESET); identity and address stay.
    pub fn reset(&mut self, authenticated: bool) {
        self.db = 0;
        self.resp = 2;
        self.name.clear();
        self.user = "default".into();
        self.authenticated = authenticated;
        // Compat: a reply that is to be skipped is that of the reset itself; scripts are debugged as before.
        self.flags &= SessionFlags::UNIX_SOCKET
            | SessionFlags::INTERNAL
            | SessionFlags::REPLAY
            | SessionFlags::REPLICA
            | SessionFlags::REPLY_SKIP
            | SessionFlags::DEBUG
            | SessionFlags::DEBUG_SYNC;
        self.multi = -1;
        (self.channels, self.patterns, self.shard_channels) = (0, 0, 0);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} at {}", self.id, self.addr)
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    slab: slab::Slab<Session>,
    last_id: u64,
}

impl Sessions {
    /// Adds a session and gives it the next client id.
    pub fn add(&mut self, mut session: Session) -> SessionId {
        self.last_id += 1;
        session.id = self.last_id;
        SessionId {
            slot: self.slab.insert(session) as u32,
            client: self.last_id,
        }
    }

    /// Removes a session; `None` when it is gone already.
    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.contains(id).then(|| self.slab.remove(id.slot as usize))
    }

    /// Whether the session is still there.
    pub fn contains(&self, id: SessionId) -> bool {
        self.slab.get(id.slot as usize).is_some_and(|s| s.id == id.client)
    }

    /// The session, if it is still there.
    #[inline]
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.slab.get(id.slot as usize).filter(|s| s.id == id.client)
    }

    /// The session, to be changed, if it is still there.
    #[inline]
    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.slab.get_mut(id.slot as usize).filter(|s| s.id == id.client)
    }

    /// The session of a client id. Linear.
    pub fn find_client(&self, client: u64) -> Option<SessionId> {
        self.iter().find(|(id, _)| id.client == client).map(|(id, _)| id)
    }

    /// All sessions, oldest slot first.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.slab.iter().map(|(slot, s)| {
            (
                SessionId {
                    slot: slot as u32,
                    client: s.id,
                },
                s,
            )
        })
    }

    /// All sessions, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut Session)> {
        self.slab.iter_mut().map(|(slot, s)| {
            (
                SessionId {
                    slot: slot as u32,
                    client: s.id,
                },
                s,
            )
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }
}

impl Index<SessionId> for Sessions {
    type Output = Session;

    #[inline]
    fn index(&self, id: SessionId) -> &Session {
        &self.slab[id.slot as usize]
    }
}

impl IndexMut<SessionId> for Sessions {
    #[inline]
    fn index_mut(&mut self, id: SessionId) -> &mut Session {
        &mut self.slab[id.slot as usize]
    }
}
