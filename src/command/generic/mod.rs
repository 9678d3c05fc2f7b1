//! Commands on keys of any type, one file per topic.
//!
//! | file | commands |
//! | --- | --- |
//! | `key` | DEL UNLINK EXISTS TYPE TOUCH |
//! | `relocate` | RENAME RENAMENX COPY MOVE |
//! | `expire` | EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST |
//! | `ttl` | TTL PTTL EXPIRETIME PEXPIRETIME |
//! | `iterate` | KEYS SCAN RANDOMKEY DBSIZE |
//! | `object` | OBJECT |
//! | `sort` | SORT SORT_RO |
//! | `dump` | DUMP RESTORE |
//! | `migrate` | MIGRATE |
//!
//! Not here: WAIT.

pub mod dump;
pub mod expire;
pub mod iterate;
pub mod key;
pub mod migrate;
pub mod object;
pub mod relocate;
pub mod sort;
pub mod ttl;

#[cfg(test)]
mod tests;
