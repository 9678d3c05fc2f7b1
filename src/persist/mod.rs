//! What outlives the process: snapshots (RDB), and the log of writes (AOF), on a disk that can be exchanged (`disk`).
//!
//! Imports: base, ds, resp, config, stats, value, keyspace; of process the version and the text of errors. Knows no clients, commands or sockets.

pub mod aof;
pub mod check;
pub mod disk;
pub mod load;
pub mod rdb;
pub mod snapshot;
