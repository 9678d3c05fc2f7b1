//! Commands on the connection itself, one file per topic.
//!
//! | file | commands |
//! | --- | --- |
//! | `handshake` | AUTH HELLO RESET QUIT |
//! | `talk` | PING ECHO SELECT |
//! | `client` | CLIENT and its subcommands |
//!
//! Not here: CLIENT TRACKING and its kin.

pub mod client;
pub mod handshake;
pub mod talk;
