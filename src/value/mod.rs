//! What a key can hold, and the encodings of each type.
//!
//! A collection is a type of its own that knows its encodings and every switch between them; [`Value`] is the choice
//! among them, and [`Typed`] what the keyspace's gate asks of each.
//!
//! Imports: base, ds. Knows no keys, clients, commands or databases: every type here is usable as a library.

pub mod bitfield;
pub mod bits;
pub mod hash;
pub mod hyperloglog;
pub mod lcs;
pub mod limits;
pub mod list;
pub mod range;
pub mod set;
pub mod stream;
pub mod string;
pub mod zset;

pub use limits::Limits;

use crate::base::relocate::{self, Mover};
use crate::base::size_class::allocated;

/// The types of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bytes or an integer.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A hash.
    Hash,
    /// A sorted set.
    Zset,
    /// A stream.
    Stream,
}

impl Kind {
    /// The name `TYPE` answers.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Hash => "hash",
            Kind::Zset => "zset",
            Kind::Stream => "stream",
        }
    }
}

/// A collection: what a [`Value`] may hold besides strings.
pub trait Typed: Sized {
    /// Its type.
    const KIND: Kind;

    /// Of `value`, if it is this type.
    fn of(value: &Value) -> Option<&Self>;
    /// Of `value`, to be changed, if it is this type.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// As a value.
    fn into_value(self) -> Value;

    /// A value of this type with nothing in it.
    fn empty() -> Self;
    /// Whether the key is to go: a collection without elements. Never, for a stream.
    fn is_empty(&self) -> bool;
    /// The name `OBJECT ENCODING` answers.
    fn encoding(&self) -> &'static str;
    /// How many allocations freeing it costs, roughly: what decides whether another thread does it.
    fn free_effort(&self) -> usize;
    /// Offers what it has on the heap from `cursor` on, until the end or until `mover` says stop; the next cursor, 0 at
    /// the end. Start with 0; every number is a legal cursor, whatever has happened to the value meanwhile. What a small
    /// encoding has is offered at once.
    fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64;
    /// Bytes it holds on the heap beyond its own `size_of`, as the allocator rounds them: estimated from so many of its
    /// elements in O(samples) if it is big, exact and in O(n) with 0.
    fn sampled_bytes(&self, samples: usize) -> usize;
    /// A time, in Unix milliseconds, before which no part of it expires by itself; `None` when none ever will. O(1).
    #[inline]
    fn soonest(&self) -> Option<i64> {
        None
    }
}

/// Defines [`Value`] with one variant for each collection, and how to get at it.
macro_rules! values {
    ($($(#[$doc:meta])* $variant:ident($type:ty),)*) => {
        /// A value too big or too structured to live inside its key's entry.
        ///
        /// Small strings and integers never get here: [`crate::keyspace::entry`] embeds them.
        #[derive(Debug, Clone)]
        pub enum Value {
            /// A long or growing string (Redis's `raw`).
            String(Vec<u8>),
            $($(#[$doc])* $variant($type),)*
        }

        impl Value {
            /// Its type.
            pub fn kind(&self) -> Kind {
                match self {
                    Value::String(_) => Kind::String,
                    $(Value::$variant(_) => <$type as Typed>::KIND,)*
                }
            }

            /// The name `OBJECT ENCODING` answers.
            pub fn encoding(&self) -> &'static str {
                match self {
                    Value::String(_) => "raw",
                    $(Value::$variant(value) => value.encoding(),)*
                }
            }

            /// How many allocations freeing the value costs, roughly: what decides whether another thread does it.
            pub fn free_effort(&self) -> usize {
                match self {
                    // One allocation, but unmapping a huge one takes the kernel a while.
                    Value::String(bytes) => 1 + bytes.capacity() / (256 * 1024),
                    $(Value::$variant(value) => value.free_effort(),)*
                }
            }

            /// A time before which no part of it expires by itself (see [`Typed::soonest`]).
            #[inline]
            pub fn soonest(&self) -> Option<i64> {
                match self {
                    Value::String(_) => None,
                    $(Value::$variant(value) => value.soonest(),)*
                }
            }

            /// Offers what it has on the heap, step by step (see [`Typed::relocate`]).
            pub fn relocate(&mut self, cursor: u64, mover: &mut dyn Mover) -> u64 {
                match self {
                    Value::String(bytes) => {
                        relocate::vec(bytes, mover);
                        0
                    }
                    $(Value::$variant(value) => value.relocate(cursor, mover),)*
                }
            }

            /// Bytes this value holds on the heap beyond its own `size_of` (see [`Typed::sampled_bytes`]).
            pub fn sampled_bytes(&self, samples: usize) -> usize {
                match self {
                    Value::String(bytes) => allocated(bytes.capacity()),
                    $(Value::$variant(value) => value.sampled_bytes(samples),)*
                }
            }
        }
    };
}

/// The parts of `impl Typed` that are the same for every type: getting at its variant.
macro_rules! variant {
    ($variant:ident) => {
        fn of(value: &$crate::value::Value) -> Option<&Self> {
            if let $crate::value::Value::$variant(value) = value {
                Some(value)
            } else {
                None
            }
        }

        fn of_mut(value: &mut $crate::value::Value) -> Option<&mut Self> {
            if let $crate::value::Value::$variant(value) = value {
                Some(value)
            } else {
                None
            }
        }

        fn into_value(self) -> $crate::value::Value {
            $crate::value::Value::$variant(self)
        }
    };
}
pub(crate) use variant;

values! {
    /// Distinct strings in no order.
    Set(set::Set),
    /// Elements in order.
    List(list::List),
    /// A hash.
    Hash(hash::Hash),
    /// A log of entries.
    Stream(Box<stream::Stream>),
    /// Members with scores.
    Zset(zset::Zset),
}

/// Below this many element frees a value is freed on the spot, lazily or not.
pub const LAZYFREE_EFFORT_MIN: usize = 64;

impl Value {
    /// The name `TYPE` answers.
    pub fn type_name(&self) -> &'static str {
        self.kind().name()
    }
}

// A value stands in its key's entry, before the key; what makes it larger is boxed.
const _: () = assert!(size_of::<Value>() == 24);
