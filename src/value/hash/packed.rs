//! The `listpack` encoding: field, value, field, value, ... in one buffer.
//!
//! ```text
//! [ header | field | value | field | value | ... | end ]      new fields go to the end
//! ```
//!
//! Cost: a lookup walks the fields; the thresholds keep that within a few cache lines of work.

use crate::ds::listpack::{At, Listpack};

use super::{Found, Previous};

/// Where the value of a field is.
#[inline]
fn value_of(pack: &Listpack, name: &[u8]) -> Option<At> {
    pack.next(pack.find(pack.first()?, name, 1)?)
}

#[inline]
pub(super) fn find<'a>(pack: &'a Listpack, name: &[u8]) -> Option<Found<'a>> {
    Some(Found {
        value: pack.get(value_of(pack, name)?),
        expire_at: None,
    })
}

#[inline]
pub(super) fn set(pack: &mut Listpack, name: &[u8], value: &[u8]) -> Previous {
    match value_of(pack, name) {
        Some(at) => {
            pack.replace(at, value);
            Previous::Lasting
        }
        None => {
            pack.push_back(name);
            pack.push_back(value);
            Previous::Missing
        }
    }
}

/// Whether the field was there.
pub(super) fn remove(pack: &mut Listpack, name: &[u8]) -> bool {
    let at = pack.first().and_then(|first| pack.find(first, name, 1));
    if let Some(at) = at {
        pack.remove_many(at, 2);
    }
    at.is_some()
}
