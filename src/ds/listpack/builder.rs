//! A listpack whose elements come all at once: gathered in room to spare, then copied into what they take.

use super::codec::{END, Encoded};
use super::{Buffer, HEADER, Listpack, SAFE_BYTES_MAX};

/// Enough for most small collections.
const ROOM_BYTES: usize = 512;

/// Gathers elements. Pushing one by one to the listpack itself would make it move at each size class.
pub struct Builder {
    /// Header, of which nothing is known yet, and entries.
    bytes: Vec<u8>,
    count: usize,
}

impl Default for Builder {
    fn default() -> Builder {
        let mut bytes = Vec::with_capacity(ROOM_BYTES);
        bytes.resize(HEADER, 0);
        Builder { bytes, count: 0 }
    }
}

impl Builder {
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether an element of `more` bytes fits.
    pub fn fits(&self, more: usize) -> bool {
        self.bytes.len() + more <= SAFE_BYTES_MAX
    }

    /// Appends an element, which [`Builder::fits`].
    pub fn push(&mut self, text: &[u8]) {
        let (entry, start) = (Encoded::text(text), self.bytes.len());
        self.bytes.resize(start + entry.size(), 0);
        entry.write_to(&mut self.bytes[start..]);
        self.count += 1;
    }

    /// The listpack of what was pushed.
    ///
    /// # Panics
    /// When the elements do not fit.
    pub fn finish(mut self) -> Listpack {
        self.bytes.push(END);
        let total = u32::try_from(self.bytes.len()).expect("callers ask `fits`");
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
        let buffer = Buffer::from_slice(&self.bytes);
        let mut listpack = Listpack { buffer };
        listpack.set_count(self.count);
        listpack
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn building_is_pushing(texts in prop::collection::vec("[0-9]{0,4}|[a-z]{0,200}", 0..40)) {
            let (mut builder, mut pushed) = (Builder::default(), Listpack::new());
            for text in &texts {
                builder.push(text.as_bytes());
                pushed.push_back(text.as_bytes());
            }
            prop_assert_eq!(builder.is_empty(), pushed.is_empty());
            let built = builder.finish();
            prop_assert_eq!(built.as_bytes(), pushed.as_bytes());
        }
    }
}
