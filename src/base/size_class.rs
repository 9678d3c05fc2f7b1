//! The allocator's size classes: how much a request really takes, and so how far a buffer may grow for free.

/// `size` rounded up to jemalloc's size class: 16 apart up to 128, then four classes to each doubling.
#[inline]
pub fn rounded(size: usize) -> usize {
    if size <= 128 {
        return (size.max(1) + 15) & !15;
    }
    let spacing = 1usize << (usize::BITS - 1 - (size - 1).leading_zeros() - 2);
    (size + spacing - 1) & !(spacing - 1)
}
