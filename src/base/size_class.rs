//! The allocator's size classes: what an allocation of some size really takes.
//!
//! ```text
//! 8  16 32 48 64 80 96 112 128  160 192 224 256  320 384 448 512  640 ..     four classes to each doubling
//! ```
//!
//! Containers ask for whole classes, so that nothing of what they pay for lies idle, and reports of memory add
//! classes up. Compat: the classes are jemalloc's on 64-bit machines.

/// `size` rounded up to a size class; 8 for nothing.
///
/// ```
/// use russet::base::size_class::rounded;
/// assert_eq!([1, 9, 17, 128, 129, 225].map(rounded), [8, 16, 32, 128, 160, 256]);
/// ```
#[inline]
pub fn rounded(size: usize) -> usize {
    if size <= 8 {
        return 8;
    }
    if size <= 128 {
        return (size + 15) & !15;
    }
    let spacing = 1usize << (usize::BITS - 1 - (size - 1).leading_zeros() - 2);
    size.checked_add(spacing - 1)
        .map_or(size, |up| up & !(spacing - 1))
}

/// What a buffer of this capacity takes: nothing, or a size class.
#[inline]
pub fn allocated(capacity_bytes: usize) -> usize {
    if capacity_bytes == 0 {
        0
    } else {
        rounded(capacity_bytes)
    }
}

/// The bytes of `len` things together, of which `sizes` tells one after the other; only the first `samples` are asked,
/// and the others taken for alike. 0 samples: all are.
pub fn sampled(len: usize, samples: usize, sizes: impl Iterator<Item = usize>) -> usize {
    if samples == 0 || samples >= len {
        return sizes.sum();
    }
    let asked: usize = sizes.take(samples).sum();
    (asked as f64 / samples as f64 * len as f64) as usize
}

/// Sees to it that `more` bytes fit behind those of `bytes`, growing it to a whole class and no further.
///
/// A `Vec` left to itself doubles, which wastes a third of the memory of many small collections. A class is a
/// fifth larger than the one before it at most, so growing byte by byte still copies each byte O(1) times.
#[inline]
pub fn reserve(bytes: &mut Vec<u8>, more: usize) {
    if bytes.capacity() - bytes.len() < more {
        let wanted = rounded(bytes.len().saturating_add(more));
        bytes.reserve_exact(wanted - bytes.len());
    }
}

/// Gives back whole classes that `bytes` no longer needs.
#[inline]
pub fn release(bytes: &mut Vec<u8>) {
    let wanted = rounded(bytes.len());
    if wanted < bytes.capacity() {
        bytes.shrink_to(wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_the_allocators_classes() {
        for (size, class) in [
            (0, 8),
            (8, 8),
            (16, 16),
            (17, 32),
            (128, 128),
            (129, 160),
            (224, 224),
            (225, 256),
            (257, 320),
            (1025, 1280),
        ] {
            assert_eq!(rounded(size), class);
        }
        assert_eq!(
            rounded(usize::MAX),
            usize::MAX,
            "no overflow on the way to a refusal"
        );
    }

    #[test]
    fn what_is_not_asked_is_taken_for_alike() {
        let sizes = || [10, 20, 30, 40].into_iter();
        assert_eq!(sampled(4, 0, sizes()), 100);
        assert_eq!(sampled(4, 2, sizes()), 60);
        assert_eq!(sampled(4, 9, sizes()), 100);
        assert_eq!(sampled(0, 5, std::iter::empty()), 0);
    }

    #[test]
    fn a_buffer_grows_and_shrinks_by_classes() {
        let mut bytes = Vec::new();
        for n in 0..10_000usize {
            reserve(&mut bytes, 1);
            bytes.push(0);
            assert_eq!(bytes.capacity(), rounded(n + 1));
        }
        bytes.truncate(100);
        release(&mut bytes);
        assert_eq!(bytes.capacity(), 112);
    }
}
