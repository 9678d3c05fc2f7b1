//! A field of the `hashtable` encoding with its value and maybe its expiry, in one allocation.
//!
//! ```text
//! unmarked:  field | value
//! marked:    field | expire at: i64 LE | value
//! ```

use crate::ds::listpack::Item;
use crate::ds::thin::Thin;

use super::{Field, Found, Previous};

const EXPIRY_BYTES: usize = size_of::<i64>();

/// The expiry and the value in an element's payload.
#[inline]
pub(super) fn parts(element: &Thin) -> (Option<i64>, &[u8]) {
    let payload = element.payload();
    if element.is_marked()
        && let Some((at_ms, value)) = payload.split_first_chunk::<EXPIRY_BYTES>()
    {
        return (Some(i64::from_le_bytes(*at_ms)), value);
    }
    (None, payload)
}

#[inline]
pub(super) fn found(element: &Thin) -> Found<'_> {
    let (expire_at, value) = parts(element);
    Found {
        value: Item::Bytes(value),
        expire_at,
    }
}

#[inline]
pub(super) fn field(element: &Thin) -> Field<'_> {
    let Found { value, expire_at } = found(element);
    Field {
        name: Item::Bytes(element.key()),
        value,
        expire_at,
    }
}

pub(super) fn element(name: &[u8], value: &[u8], expire_at: Option<i64>) -> Thin {
    match expire_at {
        None => Thin::new(name, &[value]),
        Some(at_ms) => Thin::with_mark(name, true, &[&at_ms.to_le_bytes(), value]),
    }
}

/// Overwrites the value and leaves the expiry as it is, which is answered.
pub(super) fn update(element: &mut Thin, value: &[u8]) -> Previous {
    let expire_at = parts(element).0;
    match expire_at {
        None => element.set_payload(&[value]),
        Some(at_ms) => element.set_marked_payload(true, &[&at_ms.to_le_bytes(), value]),
    }
    Previous::of(expire_at)
}

/// Sets or removes the expiry; the one before.
pub(super) fn set_expiry(place: &mut Thin, expire_at: Option<i64>) -> Option<i64> {
    let (old, value) = parts(place);
    match (old, expire_at) {
        (Some(_), Some(at_ms)) => place.payload_mut()[..EXPIRY_BYTES].copy_from_slice(&at_ms.to_le_bytes()),
        (None, None) => {}
        _ => *place = element(place.key(), value, expire_at),
    }
    old
}
