//! What outlives the process: snapshots (RDB), and the log of writes (AOF), on a disk that can be exchanged (`disk`).
//!
//! Imports: base, ds, resp, config, stats, value, keyspace. Knows no clients, commands or sockets.

pub mod aof;
pub mod disk;
pub mod load;
pub mod rdb;
pub mod snapshot;
