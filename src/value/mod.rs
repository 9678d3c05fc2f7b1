//! Values: what a key holds, and the operations on it that know nothing of keys, clients or replies.

pub mod bitfield;
pub mod bits;
pub mod lcs;
pub mod range;
