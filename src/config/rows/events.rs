//! Keyspace notifications.

use super::super::directive::*;

pub(super) const SECTION: Section = Section {
    title: "EVENT NOTIFICATION",
    rows: &[directive(
        "notify-keyspace-events",
        Kind::EventClasses,
        "",
        "Which events to publish. Where: K keyspace, E keyevent channels. What: g generic, $ \
             strings, l lists, s sets, h hashes, z sorted sets, t streams, d module types, x expired, \
             e evicted, A all of these, m misses, n new keys.",
    )],
};
