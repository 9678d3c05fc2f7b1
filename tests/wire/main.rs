//! Tests over real sockets against the real program: what only a running server can show.
//!
//! Every test starts its own server in its own folder on its own port and ends it, so all may run at once.
//! What needs no socket is tested in `src` and by the transcripts of `tests/commands`.
//!
//! `RUSSET_WIRE_SERVER=redis-server` runs the same tests against a reference: a test that fails there and
//! passes here is either a difference listed in `docs/compat.md` or a mistake in the test. Redis 7.0 fails
//! seven: it sets no bound to the replies that nobody reads (two tests in `hostile`), it words the
//! readiness of a unix socket in another way, and its debugger of scripts loses what comes in one piece with a
//! session, cuts EXEC short, outlives a server that is killed and names no process in the log (four in `debug`).
//! `RUSSET_WIRE_BIG=1` adds arguments of 512 MB.
//! `RUSSET_WITHOUT_TOOLS=1` skips what needs `redis-cli` and `redis-benchmark`, and libraries that package
//! managers install; without it a missing tool is a failure.

mod aof;
mod blocking;
mod chat;
mod check;
mod clients;
mod crash;
mod debug;
mod defrag;
mod faults;
mod hostile;
mod libraries;
mod memory;
mod migrate;
mod network;
mod pause;
mod process;
#[path = "../programs/mod.rs"]
mod programs;
mod protocol;
mod pubsub;
mod reference;
mod server;
mod shutdown;
mod snapshot;
mod system;
mod tools;
mod tracking;
mod wire;
