//! Moving a stream's memory, step by step.
//!
//! ```text
//! cursor   0 1 2 ..... | n         n+1 ......... | ....          | next group ...
//!          log blocks  | a group   blocks of its | its consumers, each with
//!                      |           pending       | the blocks of its own pending
//! ```
//!
//! Each number is a *piece*: a block of entries, or a record with its rows. What comes or goes between two steps shifts
//! the numbers behind it, and a piece may be left out or seen twice. Costs: to go on, all groups and consumers before
//! the cursor are passed, some nanoseconds each.

use crate::base::relocate::{self, Mover};
use crate::ds::radix::Radix;

use super::Stream;

/// Where a walk is to begin, and where it stands.
pub(super) struct Walk<'m> {
    begin: u64,
    at: u64,
    is_over: bool,
    mover: &'m mut dyn Mover,
}

impl Walk<'_> {
    /// Whether time is up.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Has `offer` see to the next piece, unless that comes before the beginning, or time is up.
    pub(super) fn piece(&mut self, offer: impl FnOnce(&mut dyn Mover)) {
        if self.is_over {
            return;
        }
        if self.at >= self.begin {
            offer(self.mover);
            self.is_over = !self.mover.goes_on();
        }
        self.at += 1;
    }

    /// The blocks of a map, with what its entries own.
    pub(super) fn blocks<K, V>(
        &mut self,
        map: &mut Radix<K, V>,
        visit: &mut dyn FnMut(&mut K, &mut V, &mut dyn Mover),
    ) {
        let count = map.blocks() as u64;
        let skipped = self.begin.saturating_sub(self.at).min(count);
        self.at += skipped;
        for index in skipped..count {
            if self.is_over {
                return;
            }
            self.piece(|mover| map.relocate_block(index as usize, mover, visit));
        }
    }
}

/// Offers what `stream` has on the heap from `cursor` on, until the end or until `mover` says stop; the next cursor, 0
/// at the end.
pub(super) fn stream(stream: &mut Stream, cursor: u64, mover: &mut dyn Mover) -> u64 {
    let mut walk = Walk {
        begin: cursor,
        at: 0,
        is_over: false,
        mover,
    };
    if cursor == 0 {
        stream.log.nodes.relocate_queue(walk.mover);
    }
    walk.blocks(&mut stream.log.nodes, &mut |_, node, mover| node.relocate(mover));
    walk.piece(|mover| {
        stream.groups.relocate_queue(mover);
        for block in 0..stream.groups.blocks() {
            stream.groups.relocate_block(block, mover, &mut |_, _, _| {});
        }
    });
    for (name, group) in stream.groups.entries_mut() {
        if walk.is_over {
            break;
        }
        walk.piece(|mover| {
            relocate::slice(name, mover);
            relocate::boxed(group, mover);
        });
        group.relocate(&mut walk);
    }
    if walk.is_over { walk.at } else { 0 }
}
