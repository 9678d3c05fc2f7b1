//! (in the making)
pub const ROWS: &[super::row::Row] = &[];
