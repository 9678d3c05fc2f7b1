//! The append-only file: every write as a command, in a folder of files that a manifest lists.
//!
//! ```text
//! appendonlydir/appendonly.aof.manifest      which files there are, in order (manifest)
//!               appendonly.aof.3.base.rdb    the data at the last rewrite: a snapshot, or commands (rewrite)
//!               appendonly.aof.7.incr.aof    the commands since then (frame), read again one by one (replay)
//!               appendonly.aof.8.incr.aof    a new one since each rewrite that was begun
//! ```
//!
//! The layout is Redis 7's. A single file of before that is moved into the folder as the base (folder).
//! Not here: when to write, to sync or to rewrite, which is the executor's business.

pub mod folder;
pub mod frame;
pub mod incr;
pub mod manifest;
pub mod replay;
pub mod rewrite;
