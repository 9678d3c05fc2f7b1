//! Containers usable as a library. Imports: base.

pub mod dict;
pub mod listpack;
pub mod thin;
