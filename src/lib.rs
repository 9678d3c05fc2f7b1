//! Russet: a Redis-protocol-compatible in-memory data store.
//!
//! The crate is a library of rooms, each importing only those below it; `docs/ARCHITECTURE.md` draws them and
//! `tests/tidy.rs` checks them. The binary `russet-server` wires them together.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod acl;
pub mod base;
pub mod command;
pub mod config;
pub mod ds;
pub mod exec;
pub mod keyspace;
pub mod net;
pub mod persist;
pub mod process;
pub mod pubsub;
pub mod resp;
pub mod script;
pub mod server;
pub mod session;
pub mod stats;
pub mod tracking;
pub mod value;
