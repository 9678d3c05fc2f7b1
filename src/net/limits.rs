//! Limits of connections and listeners, shared so that CONFIG SET reaches those already open.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::base::units::Size;
use crate::config::Config;
use crate::resp::Limits;

/// Most commands a batch carries: what one connection may make others wait for.
const COMMANDS_MAX: usize = 512;

/// Limits of all connections.
#[derive(Debug, Default)]
pub struct SharedLimits {
    bulk_len_max: AtomicU64,
    query_buffer_max: AtomicU64,
    keepalive_s: AtomicU64,
    accepts_per_turn: AtomicUsize,
    counts_clients: AtomicBool,
}

impl SharedLimits {
    /// Takes the limits from the configuration.
    pub fn apply(&self, config: &Config) {
        self.bulk_len_max
            .store(config.memory("proto-max-bulk-len"), Ordering::Relaxed);
        self.query_buffer_max
            .store(config.memory("client-query-buffer-limit"), Ordering::Relaxed);
        self.keepalive_s
            .store(config.int("tcp-keepalive") as u64, Ordering::Relaxed);
        let counts_clients = config.size("maxmemory-clients") != Size::Bytes(0);
        self.counts_clients.store(counts_clients, Ordering::Relaxed);
        self.accepts_per_turn.store(
            config.int("max-new-connections-per-cycle") as usize,
            Ordering::Relaxed,
        );
    }

    /// Whether the executor is to know of all that clients hold, also of commands that arrive piece by piece:
    /// `maxmemory-clients` is set.
    pub fn counts_clients(&self) -> bool {
        self.counts_clients.load(Ordering::Relaxed)
    }

    /// Seconds between keep-alive probes of new connections; 0 for none.
    pub fn keepalive_s(&self) -> u64 {
        self.keepalive_s.load(Ordering::Relaxed)
    }

    /// Connections accepted before others get a turn, at least 1.
    pub fn accepts_per_turn(&self) -> usize {
        self.accepts_per_turn.load(Ordering::Relaxed).max(1)
    }

    /// The parser's limits as they stand now.
    #[inline]
    pub fn parser(&self, authenticated: bool) -> Limits {
        Limits {
            bulk_len_max: self.bulk_len_max.load(Ordering::Relaxed) as usize,
            query_buffer_max: self.query_buffer_max.load(Ordering::Relaxed) as usize,
            authenticated,
            commands_max: COMMANDS_MAX,
            ..Limits::default()
        }
    }
}
