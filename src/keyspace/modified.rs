//! The keys that have changed since the last drain, kept for those who hold them in caches of their own.
//!
//! ```text
//!   bytes  user:1user:7        items  Key(6, by a client) | All | Key(12, by nobody)
//! ```
//!
//! Databases play no part: a cache knows a key by its name alone. Nothing is kept while nobody tracks keys, and the
//! buffers of usual size stay for the next command, so a kept change costs one copy of its name.

use std::ops::Range;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Of one key.
    Key {
        /// Its name in [`Modified::name`].
        name: Range<usize>,
        /// A command did it; else it expired or was evicted.
        by_command: bool,
    },
    /// Of all keys: a database was emptied.
    All,
}

/// Changes in order.
#[derive(Debug, Default)]
pub struct Modified {
    bytes: Vec<u8>,
    changes: Vec<Change>,
}

impl Modified {
    /// Whether nothing has changed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn key(&mut self, key: &[u8], by_command: bool) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let name = start..self.bytes.len();
        self.changes.push(Change::Key { name, by_command });
    }

    /// FLUSHALL empties many databases, which is one change.
    pub(super) fn all(&mut self) {
        if self.changes.last() != Some(&Change::All) {
            self.changes.push(Change::All);
        }
    }

    /// The changes, oldest first.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The name of a changed key.
    pub fn name(&self, name: &Range<usize>) -> &[u8] {
        &self.bytes[name.clone()]
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        const KEPT: usize = 4096;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.changes.clear();
        self.changes.shrink_to(KEPT / 16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_back_in_order_and_flushes_together_are_one() {
        let mut modified = Modified::default();
        modified.key(b"a", true);
        modified.all();
        modified.all();
        modified.key(b"bc", false);
        let shown: Vec<_> = modified
            .changes()
            .iter()
            .map(|change| match change {
                Change::Key { name, by_command } => (modified.name(name), *by_command),
                Change::All => (&b"*"[..], true),
            })
            .collect();
        assert_eq!(shown, [(&b"a"[..], true), (b"*", true), (b"bc", false)]);
        modified.clear();
        assert!(modified.is_empty());
    }
}
