//! Keys on their way to another server: what the executor hands to whoever has the sockets, and what comes back.
//!
//! Plain data and no behaviour: `exec/migrate.rs` packs it, `net/courier.rs` carries it.

use std::time::Duration;

pub use crate::command::cx::Login;

/// Keys for one server.
#[derive(Debug)]
pub struct Shipment {
    /// Name or address of the server, as the client wrote it.
    pub host: Box<[u8]>,
    /// Its port, as the client wrote it.
    pub port: Box<[u8]>,
    /// Who to be there.
    pub login: Option<Login>,
    /// The number of its database.
    pub db: i64,
    /// The longest wait for a connection, for a piece that is sent, and for an answer.
    pub patience: Duration,
    /// They take the place of keys that are there.
    pub replaces: bool,
    /// The keys; at least one.
    pub parcels: Vec<Parcel>,
}

/// One key.
#[derive(Debug)]
pub struct Parcel {
    /// Its name.
    pub key: Box<[u8]>,
    /// Milliseconds it has to live, 0 for no end.
    pub ttl_ms: i64,
    /// Its value as RESTORE takes it.
    pub payload: Vec<u8>,
}

/// Who hears how it went.
pub type Report = Box<dyn FnOnce(Delivery) + Send>;

/// How it went.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Of each parcel in turn, whether it was taken; those beyond the end were not.
    pub taken: Vec<bool>,
    /// The first thing that went wrong.
    pub failure: Option<Failure>,
}

impl Delivery {
    /// Nothing was taken.
    pub fn failed(failure: Failure) -> Delivery {
        Delivery {
            taken: Vec::new(),
            failure: Some(failure),
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// There is no such host, or no connection in time.
    Connect,
    /// It was cut, or nothing more was taken in time.
    Write,
    /// It was cut, or nothing was answered in time.
    Read,
    /// The server answered this error, without the leading `-`.
    Refused(Vec<u8>),
}
