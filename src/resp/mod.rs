//! RESP2 and RESP3 with no sockets: bytes to commands, replies to bytes.
//!
//! ```text
//! socket bytes > Parser > Batch { input, args, ends } > executor > Reply > Batch::reply > socket bytes
//! ```
//!
//! [`batch`] is the unit that travels there and back, [`pool`] keeps it between two uses, [`parser`] fills it, [`inline`] reads commands typed by hand,
//! [`reply`] writes answers, [`value`] reads answers back (for tests and tools), [`fuzz`] is the parser's fuzz entry.
//!
//! Imports: base. Knows no commands, sessions, sockets or clocks.

pub mod batch;
pub mod error;
pub mod fuzz;
pub mod inline;
pub mod parser;
pub mod pool;
pub mod reply;
pub mod value;

pub use batch::{ArgBuf, ArgRange, Args, Batch, KEEP_BYTES};
pub use error::ProtocolError;
pub use parser::{Limits, Parsed, Parser, ReadTarget};
pub use reply::{Deferred, Reply};
pub use value::{Value, parse_value};
