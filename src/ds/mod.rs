//! Containers usable as a library. Imports: base.

mod buffer;
pub mod dict;
pub mod few;
pub mod geohash;
pub mod intset;
pub mod listpack;
pub mod quicklist;
pub mod radix;
pub mod ranked;
pub mod thin;
