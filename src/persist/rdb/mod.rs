//! The RDB format: a snapshot as a file, and one value as the payload of DUMP.
//!
//! ```text
//! file:    "REDIS" "0012" | aux fields | functions | databases | 255 | CRC-64 8
//! database: 254 number | 251 keys expiring | entries
//! entry:   [252 expiry ms 8 | 253 expiry s 4] [248 idle seconds | 249 frequency 1] type 1 | key | value
//! payload: type 1 | value | version 2 | CRC-64 8
//!
//! length:  00xxxxxx                       6 bits
//!          01xxxxxx xxxxxxxx              14 bits
//!          10000000 + 4 bytes big-endian  32 bits
//!          10000001 + 8 bytes big-endian  64 bits
//!          11xxxxxx                       a string in a special form: 0 int8, 1 int16, 2 int32 (little-endian), 3 LZF
//! ```
//!
//! Numbers without a note are little-endian. A listpack or intset is saved as the bytes it has in memory.
//!
//! A reader trusts nothing: every length is checked against what is left of the input before anything is allocated, and
//! every structure is checked before it becomes a value. A writer chooses the oldest type that holds a value, and never
//! one newer than the version asked for.

pub mod checksum;
pub mod decode;
pub mod encode;
pub mod file;
pub mod fuzz;
pub mod hash;
pub mod list;
pub mod module;
pub mod opcode;
pub mod payload;
pub mod set;
pub mod stream;
pub mod value;
pub mod ziplist;
pub mod zipmap;
pub mod zset;

#[cfg(test)]
mod tests;
