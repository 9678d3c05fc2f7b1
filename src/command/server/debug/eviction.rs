//! DEBUG CLIENT-EVICTION: how many clients hold how much.

use std::fmt::Write;

use crate::base::units::Size;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome};
use crate::command::error::Error;

/// Clients that hold less are one class; from there on a class ends where its size has doubled.
const FIRST_BITS: u32 = 15;
/// Classes; the last has no end.
const CLASSES: usize = 19;

pub(super) fn client_eviction(cx: &mut Cx<'_>, _: Args<'_>) -> Outcome {
    if cx.config.size("maxmemory-clients") == Size::Bytes(0) {
        return Err(Error::fixed("ERR maxmemory-clients is disabled."));
    }
    let mut classes = [(0, 0); CLASSES];
    let counted = cx.sessions.iter().map(|(_, session)| session.counted_bytes);
    for bytes in counted.filter(|&bytes| bytes > 0) {
        let (sum, clients) = &mut classes[class(bytes)];
        *sum += bytes;
        *clients += 1;
    }
    let mut text = String::new();
    for (index, (sum, clients)) in classes.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", bounds(index));
        let _ = writeln!(text, "tot-mem: {sum:>10}, clients: {clients}");
    }
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(DONE)
}

fn class(bytes: usize) -> usize {
    let bits = bytes.ilog2();
    ((bits + 1).saturating_sub(FIRST_BITS) as usize).min(CLASSES - 1)
}

fn bounds(class: usize) -> String {
    let start = |class: usize| match class {
        0 => 0,
        _ => 1_u64 << (class as u32 - 1 + FIRST_BITS),
    };
    if class == CLASSES - 1 {
        format!("bucket {:>10}+            : ", start(class))
    } else {
        format!("bucket {:>10} - {:>10}: ", start(class), start(class + 1) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_within_the_bounds_of_its_class() {
        for (bytes, expected) in [
            (1, 0),
            (32_767, 0),
            (32_768, 1),
            (65_535, 1),
            (65_536, 2),
            (1 << 40, 18),
        ] {
            assert_eq!(class(bytes), expected, "{bytes}");
        }
        assert_eq!(bounds(0), "bucket          0 -      32767: ");
        assert_eq!(bounds(1), "bucket      32768 -      65535: ");
        assert_eq!(bounds(18), "bucket 4294967296+            : ");
    }
}
