//! The commands that a client has queued behind MULTI.
//!
//! ```text
//!   commands   one batch: all words in one buffer      SET k v | INCR n | ...
//!   queued     which command of the table, and where its hashes end
//!   hashes     those of the keys, computed when the command arrived
//! ```
//!
//! Queueing copies a command's words once and allocates nothing but the growth of these buffers, which EXEC hands on to
//! the next transaction. Not here: what a command is, and running it.

use crate::resp::{Args, Batch};

/// What a transaction has queued.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The words.
    pub commands: Batch,
    queued: Vec<Queued>,
    hashes: Vec<u64>,
    /// The flags of all commands together, as bits of the rows.
    pub flags: u32,
    /// Bytes of all words.
    pub bytes: u64,
}

/// One queued command.
#[derive(Debug, Clone, Copy)]
struct Queued {
    command: u16,
    hashes_end: u32,
}

impl Transaction {
    /// How many commands.
    pub fn len(&self) -> usize {
        self.queued.len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Queues a command with the hashes of its keys. A word that has been taken out of `words` comes in `taken`: its
    /// index and bytes.
    pub fn push(
        &mut self,
        command: u16,
        flags: u32,
        words: Args<'_>,
        hashes: &[u64],
        taken: Option<(usize, Vec<u8>)>,
    ) {
        let moved = taken.as_ref().map_or(0, |(_, bytes)| bytes.len());
        self.bytes += (words.iter().map(<[u8]>::len).sum::<usize>() + moved) as u64;
        self.commands.push(words, taken);
        self.hashes.extend_from_slice(hashes);
        let hashes_end = self.hashes.len() as u32;
        self.queued.push(Queued { command, hashes_end });
        self.flags |= flags;
    }

    /// Which command the `index`-th is.
    #[inline]
    pub fn command(&self, index: usize) -> u16 {
        self.queued[index].command
    }

    /// The hashes of its keys, as far as they were known.
    #[inline]
    pub fn hashes(&self, index: usize) -> &[u64] {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.queued[before].hashes_end);
        &self.hashes[start as usize..self.queued[index].hashes_end as usize]
    }

    /// The hashes of all keys.
    pub fn all_hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Forgets the commands; buffers of usual size are kept for the next transaction.
    pub fn clear(&mut self) {
        const KEPT: usize = 1024;
        self.commands.reset();
        self.queued.clear();
        self.queued.shrink_to(KEPT);
        self.hashes.clear();
        self.hashes.shrink_to(KEPT);
        (self.flags, self.bytes) = (0, 0);
    }

    /// Heap bytes held, used or not.
    pub fn heap_bytes(&self) -> usize {
        self.commands.heap_bytes()
            + self.queued.capacity() * size_of::<Queued>()
            + self.hashes.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::ArgBuf;

    #[test]
    fn commands_come_back_as_they_were_queued() {
        let mut transaction = Transaction::default();
        let set = ArgBuf::from_slices(&[b"SET", b"k", b""]);
        transaction.push(7, 1, set.args(), &[11], Some((2, b"large".to_vec())));
        let mget = ArgBuf::from_slices(&[b"MGET", b"a", b"b"]);
        transaction.push(8, 4, mget.args(), &[12, 13], None);
        assert_eq!((transaction.len(), transaction.flags), (2, 5));
        assert_eq!(transaction.bytes, 9 + 6, "with what was moved in");
        assert_eq!((transaction.command(0), transaction.hashes(0)), (7, &[11][..]));
        assert_eq!(
            (transaction.command(1), transaction.hashes(1)),
            (8, &[12, 13][..])
        );
        let words: Vec<_> = transaction.commands.command(0).iter().collect();
        assert_eq!(words, [&b"SET"[..], b"k", b"large"]);
        assert_eq!(transaction.commands.take_large(0, 2), Some(b"large".to_vec()));
        assert_eq!(transaction.commands.command(1).get(2), b"b");
        transaction.clear();
        assert!(transaction.is_empty() && transaction.flags == 0 && transaction.all_hashes().is_empty());
    }
}
