//! Containers usable as a library. Imports: base.

pub mod dict;
pub mod radix;
pub mod thin;
