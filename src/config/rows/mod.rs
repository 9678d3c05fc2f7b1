//! The table itself: one row per directive, a file per topic, in the order of the example file.
//!
//! Names, bounds and defaults are those of Redis 7.4.1; a directive that Russet accepts without needing it
//! says so in its sentence. Sentinel's directives and modules' are not here.

use super::directive::Section;

mod advanced;
mod aof;
mod check;
mod cluster;
mod debugging;
mod defrag;
mod events;
mod general;
mod memory;
mod monitoring;
mod network;
mod replication;
mod security;
mod shutdown;
mod snapshotting;
mod threads;
mod tls;

/// Every directive there is.
pub const SECTIONS: &[Section] = &[
    network::SECTION,
    tls::SECTION,
    general::SECTION,
    snapshotting::SECTION,
    replication::SECTION,
    security::SECTION,
    memory::SECTION,
    memory::LAZY_FREEING,
    threads::SECTION,
    threads::KERNEL,
    aof::SECTION,
    shutdown::SECTION,
    shutdown::SCRIPTS,
    cluster::SECTION,
    cluster::ANNOUNCEMENT,
    monitoring::SLOW_LOG,
    monitoring::LATENCY,
    events::SECTION,
    advanced::ENCODINGS,
    advanced::SECTION,
    defrag::SECTION,
    debugging::SECTION,
];
