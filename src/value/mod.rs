//! What a key can hold, and the encodings of each type.
//!
//! Imports: base, ds. Knows no keys, clients, commands or databases: every type here is usable as a library.

pub mod bitfield;
pub mod bits;
pub mod hyperloglog;
pub mod lcs;
pub mod range;
pub mod string;

/// A value too big or too structured to live inside its key's entry.
///
/// Small strings and integers never get here: [`crate::keyspace::entry`] embeds them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A long or growing string (Redis's `raw`).
    String(Vec<u8>),
}

/// Below this many element frees a value is freed on the spot, lazily or not.
pub const LAZYFREE_EFFORT_MIN: usize = 64;

impl Value {
    /// The name `TYPE` answers.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::String(_) => "string",
        }
    }

    /// The name `OBJECT ENCODING` answers.
    pub fn encoding(&self) -> &'static str {
        match self {
            Value::String(_) => "raw",
        }
    }

    /// How many allocations freeing the value costs, roughly: what decides whether another thread does it.
    pub fn free_effort(&self) -> usize {
        match self {
            // One allocation, but unmapping a huge one takes the kernel a while.
            Value::String(bytes) => 1 + bytes.capacity() / (256 * 1024),
        }
    }

    /// Bytes this value holds on the heap beyond its own `size_of`.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Value::String(bytes) => bytes.capacity(),
        }
    }
}
