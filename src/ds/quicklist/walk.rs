//! Visiting elements in order, of a quicklist or of a single listpack.

use std::ops::ControlFlow;

use super::node::Content;
use super::{End, Quicklist};
use crate::ds::listpack::{Item, Listpack};

impl Quicklist {
    /// Shows `visit` element `start` and those that follow it away from `from`, until it breaks off.
    pub fn walk<B>(
        &self,
        start: usize,
        from: End,
        mut visit: impl FnMut(Item<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Some((mut spot, mut offset)) = self.nodes.locate(start) else {
            return ControlFlow::Continue(());
        };
        loop {
            self.nodes.get(spot).open(|content| match content {
                Content::Pack(pack) => walk_pack(pack, offset, from, &mut visit),
                Content::Element(item) => visit(item),
            })?;
            let Some(next) = self.nodes.step(spot, from) else {
                return ControlFlow::Continue(());
            };
            spot = next;
            offset = match from {
                End::Head => 0,
                End::Tail => self.nodes.get(spot).count() - 1,
            };
        }
    }
}

/// Shows `visit` element `start` of a listpack and those that follow it away from `from`, until it breaks off.
pub fn walk_pack<B>(
    pack: &Listpack,
    start: usize,
    from: End,
    mut visit: impl FnMut(Item<'_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let Some(at) = pack.seek(start as i64) else {
        return ControlFlow::Continue(());
    };
    match from {
        End::Head => pack.iter_from(at).try_for_each(&mut visit),
        End::Tail => pack.iter_to(at).rev().try_for_each(&mut visit),
    }
}
