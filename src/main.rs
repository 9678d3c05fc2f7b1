//! `russet-server`: see `russet::server`.

use std::process::ExitCode;

/// Redis's own allocator: the size classes that entries are rounded to, and the statistics INFO shows, are jemalloc's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    russet::server::main(std::env::args_os().collect())
}
