//! The program's own code, in memory before it is needed.
//!
//! The kernel maps a program's pages as they are run first, 64 KiB around each: a command nobody has used yet then
//! waits for it, a microsecond for a page that some process has, milliseconds for one that is still on disk. The code
//! is a few megabytes, shared by all processes of the program, and may leave memory again like any file's.
//!
//! Not here: keeping it there against the kernel's will, or large pages for it.

use std::fs;
use std::ops::Range;

use super::sys;

/// Brings the code in. Where the system does not offer that (before Linux 5.14), nothing changes.
pub fn preload() {
    let here = preload as *const () as usize;
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    if let Some(code) = mapping_around(&maps, here) {
        let _ = sys::bring_in(code);
    }
}

/// The addresses of the mapping that `address` is in, out of the text of `/proc/self/maps`.
fn mapping_around(maps: &str, address: usize) -> Option<Range<usize>> {
    let range = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let hex = |text| usize::from_str_radix(text, 16).ok();
        Some(hex(start)?..hex(end)?)
    };
    maps.lines()
        .filter_map(range)
        .find(|range| range.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_found_by_an_address_in_it() {
        let maps =
            "5000-7000 r--p 00000000 08:01 7 /bin/x\n7000-9000 r-xp 00002000 08:01 7 /bin/x\nodd line\n";
        assert_eq!(mapping_around(maps, 0x7000), Some(0x7000..0x9000));
        assert_eq!(mapping_around(maps, 0x8fff), Some(0x7000..0x9000));
        assert_eq!(mapping_around(maps, 0x9000), None);
    }

    #[test]
    fn the_own_code_is_mapped_and_comes_in() {
        let here = preload as *const () as usize;
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        assert!(mapping_around(&maps, here).is_some());
        preload();
    }
}
