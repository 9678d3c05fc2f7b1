//! Values every room uses: clock and randomness as arguments, number text, globs, quoting, units, hashing; and threads in
//! the background.
//!
//! Imports nothing of the crate. Knows no keys, clients or commands.

pub mod clock;
pub mod cpus;
pub mod float;
pub mod glob;
pub mod hash;
pub mod long_double;
pub mod lzf;
pub mod number;
pub mod quote;
pub mod relocate;
pub mod rng;
pub mod size_class;
pub mod units;
