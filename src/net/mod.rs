//! Sockets: listeners, connection tasks, I/O threads, and the limits they keep.
//!
//! A connection is a task. It reads into a batch, parses all complete commands in it, sends the batch to the executor's
//! mailbox and writes the replies that come back. An idle connection holds no batch: batches wait in a pool per thread ([`crate::resp::pool`]).
//!
//! Imports: base, resp, config, stats, exec::mailbox, exec::outbox, exec::shipment. Knows no keys and no commands.

pub mod alarm;
pub mod conn;
pub mod courier;
pub mod lane;
pub mod limits;
pub mod listen;
pub mod stream;
pub mod unwritten;
