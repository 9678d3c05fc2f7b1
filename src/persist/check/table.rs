//! What is biggest, and columns.

/// The biggest of what was seen, biggest first.
#[derive(Debug)]
pub(super) struct Biggest<T> {
    kept: Vec<(u64, T)>,
}

/// How many are kept.
const KEPT_MAX: usize = 10;

impl<T> Biggest<T> {
    pub(super) fn new() -> Biggest<T> {
        Biggest { kept: Vec::new() }
    }

    /// Takes in something of this size, described only if it is big enough.
    pub(super) fn see(&mut self, size: u64, describe: impl FnOnce() -> T) {
        let at = self.kept.partition_point(|(kept, _)| *kept >= size);
        if at < KEPT_MAX {
            self.kept.truncate(KEPT_MAX - 1);
            self.kept.insert(at, (size, describe()));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(u64, T)> {
        self.kept.iter()
    }
}

/// A name as a person can read it, of bounded length.
pub(super) fn shown(name: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 64;
    let mut out = Vec::new();
    crate::base::quote::repr(&name[..name.len().min(SHOWN_BYTES_MAX)], &mut out);
    if name.len() > SHOWN_BYTES_MAX {
        out.extend_from_slice(format!("... ({} bytes)", name.len()).as_bytes());
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_biggest_are_kept_and_the_first_of_equals_comes_first() {
        let mut biggest = Biggest::new();
        for (place, size) in [5, 9, 5, 1, 7, 7, 3, 8, 2, 6, 4, 0, 9].into_iter().enumerate() {
            biggest.see(size, || place);
        }
        let kept: Vec<_> = biggest.iter().copied().collect();
        assert_eq!(kept[..5], [(9, 1), (9, 12), (8, 7), (7, 4), (7, 5)]);
        assert_eq!(kept.len(), KEPT_MAX);
    }

    #[test]
    fn a_long_name_is_cut_and_says_so() {
        assert_eq!(shown(b"a\n"), "\"a\\n\"");
        assert!(shown(&[b'x'; 1000]).ends_with("x\"... (1000 bytes)"));
    }
}
