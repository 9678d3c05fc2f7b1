//! Who this server says it is: versions, run id, build id, and the texts of `--version` and `--help`.

use std::fmt::Write;

/// The Redis whose behaviour is offered, which clients ask for.
pub const REDIS_VERSION: &str = "7.4.1";

/// The version of this program.
pub const RUSSET_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from, eight digits; zeros when the build did not say (`RUSSET_GIT_SHA1`).
pub const GIT_SHA1: &str = match option_env!("RUSSET_GIT_SHA1") {
    Some(sha) => sha,
    None => "00000000",
};

/// Whether the build had changes on top of that commit: never told.
pub const GIT_DIRTY: u8 = 0;

/// The allocator, as INFO names it.
pub const ALLOCATOR: &str = "jemalloc-5.3.0";

/// A number that differs between builds of different versions or commits.
pub const BUILD_ID: u64 = fnv1a(
    concat!("russet-", env!("CARGO_PKG_VERSION"), "-").as_bytes(),
    fnv1a(GIT_SHA1.as_bytes(), FNV_START),
);

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

const fn fnv1a(bytes: &[u8], start: u64) -> u64 {
    let mut hash = start;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

/// [`BUILD_ID`] as INFO and `--version` show it: hexadecimal, without leading zeros.
pub fn build_id_text() -> String {
    format!("{BUILD_ID:x}")
}

/// A name for one run of the server, never seen before: 40 hexadecimal digits.
///
/// Errors: the system gives no randomness, which a server cannot start without.
pub fn new_run_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes)?;
    let mut text = String::with_capacity(40);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// The line `--version` prints.
pub fn version_line() -> String {
    format!(
        "Redis server v={REDIS_VERSION} sha={GIT_SHA1}:{GIT_DIRTY} malloc={ALLOCATOR} bits={} build={} \
         russet={RUSSET_VERSION}",
        usize::BITS,
        build_id_text()
    )
}

/// The text `--help` prints, for a program called `program`.
pub fn usage(program: &str) -> String {
    format!(
        "Usage: {program} [configuration file] [--directive value ...] [-]
       {program} -                          configuration from standard input
       {program} -v, --version              which version this is
       {program} -h, --help                 this text
       {program} --test-memory <megabytes>  write, read and compare memory
       {program} --check-system             look for settings of the system that hurt
       {program} check-rdb <file>           check a snapshot, as redis-check-rdb
       {program} check-aof [--fix|--truncate-to-timestamp <seconds>] <file>
                                            check an append-only file, as redis-check-aof

Called redis-check-rdb or redis-check-aof, by a link, it is that tool.

Directives on the command line are those of the configuration file and come after it, so they win.

Examples:
       {program}
       {program} /etc/russet/russet.conf
       {program} --port 7777 --appendonly yes
       {program} /etc/russet/russet.conf --loglevel verbose
       echo 'maxmemory 128mb' | {program} -
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_line_is_one_scripts_can_read() {
        let line = version_line();
        assert!(line.starts_with("Redis server v=7.4.1 sha="), "{line}");
        assert!(line.contains(" malloc=jemalloc-5.3.0 bits=64 build="), "{line}");
        assert!(line.ends_with(&format!(" russet={RUSSET_VERSION}")), "{line}");
    }

    #[test]
    fn run_ids_are_forty_hex_digits_and_new_each_time() {
        let (first, second) = (new_run_id().unwrap(), new_run_id().unwrap());
        assert_ne!(first, second);
        assert_eq!(first.len(), 40);
        assert!(
            first
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        );
    }

    #[test]
    fn hashing_matches_the_published_vectors() {
        assert_eq!(fnv1a(b"", FNV_START), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a", FNV_START), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar", FNV_START), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_usage_names_every_option() {
        let text = usage("russet-server");
        for option in [
            "-v",
            "--version",
            "-h",
            "--help",
            "--test-memory",
            "--check-system",
            "check-rdb",
            "check-aof",
        ] {
            assert!(text.contains(option), "{option}");
        }
        for refused in ["--sentinel", "--replicaof"] {
            assert!(!text.contains(refused), "{refused}");
        }
    }
}
