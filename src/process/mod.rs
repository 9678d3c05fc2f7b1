//! The server as a process of its operating system: log, daemon, supervisor, title, limits, signals, last words.
//!
//! ```text
//! start:  version > daemon > supervise > log::init > crash::install > signals::install > title > limits > serve
//! fault:  kernel > trap (unsafe) > crash (report) > log (write) > the same signal again, by default action
//! ```
//!
//! Imports nothing of the crate: directives arrive as plain parameters (`LogOptions`, `CrashOptions`, ...), and what the
//! server knows about itself (its INFO text, its current client) comes through functions it registers.
//!
//! `sys` and `trap` are the only files here with `unsafe`; each numbers what it relies on.

pub mod child;
pub mod code;
pub mod crash;
pub mod daemon;
pub mod limits;
pub mod log;
pub mod memtest;
pub mod oom;
pub mod signals;
pub mod supervise;
mod sys;
pub mod syscheck;
mod time;
pub mod title;
mod trap;
pub mod version;

/// What the operating system calls an error, as `strerror` words it.
///
/// Rust's own text ends in ` (os error 2)`, which no log line or error reply of Redis does.
pub fn os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::os_text;
    use std::io::Error;

    #[test]
    fn os_errors_read_as_strerror_words_them() {
        assert_eq!(os_text(&Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(os_text(&Error::other("no such luck")), "no such luck");
    }
}
