//! Open files: room for `maxclients` and a few more, or fewer clients.
//!
//! ```text
//! files needed = maxclients + 32 (listeners, log, persistence, links)
//! ```
//!
//! The limit is raised, never lowered. Where the system refuses, the hard limit is taken and `maxclients` follows it.

use super::log::{notice, warning};
use super::os_text;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Descriptors the server keeps for itself.
pub const FILES_RESERVED: u64 = 32;

/// The limit leaves no descriptor for even one client.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Your current 'ulimit -n' of {current} is not enough for the server to start. \
     Please increase your open file limit to at least {needed}. Exiting."
)]
pub struct TooFewFiles {
    /// The limit there is.
    pub current: u64,
    /// The limit `maxclients` asks for.
    pub needed: u64,
}

/// Makes room for `maxclients` connections, and returns how many there will be room for: `maxclients` or fewer.
///
/// Logs what it changed as Redis does. Errors: [`TooFewFiles`], after which a starting server logs it and exits.
pub fn reserve_files(maxclients: u32) -> Result<u32, TooFewFiles> {
    let found = getrlimit(Resource::Nofile);
    let limits = Limits {
        current: unlimited(found.current),
        maximum: unlimited(found.maximum),
    };
    raise(maxclients, limits, |current, maximum| {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(current),
                maximum: Some(maximum),
            },
        )
        .map_err(Into::into)
    })
}

fn unlimited(limit: Option<u64>) -> u64 {
    limit.unwrap_or(u64::MAX)
}

/// The soft and the hard limit.
#[derive(Clone, Copy)]
struct Limits {
    current: u64,
    maximum: u64,
}

fn raise(
    maxclients: u32,
    limits: Limits,
    set: impl Fn(u64, u64) -> io::Result<()>,
) -> Result<u32, TooFewFiles> {
    let needed = u64::from(maxclients) + FILES_RESERVED;
    if limits.current >= needed {
        return Ok(maxclients);
    }
    let Err(error) = set(needed, needed.max(limits.maximum)) else {
        let was = limits.current;
        notice!("Increased maximum number of open files to {needed} (it was originally set to {was}).");
        return Ok(maxclients);
    };
    let reached = match set(limits.maximum, limits.maximum) {
        Ok(()) => limits.maximum,
        Err(_) => limits.current,
    };
    reduce(maxclients, needed, limits.current, reached, &error)
}

/// As many clients as `reached` files allow; fewer than `maxclients`, or none.
fn reduce(
    maxclients: u32,
    needed: u64,
    current: u64,
    reached: u64,
    why: &io::Error,
) -> Result<u32, TooFewFiles> {
    if reached <= FILES_RESERVED {
        return Err(TooFewFiles { current, needed });
    }
    let reduced = u32::try_from(reached - FILES_RESERVED)
        .unwrap_or(u32::MAX)
        .min(maxclients);
    warning!("You requested maxclients of {maxclients} requiring at least {needed} max file descriptors.");
    warning!(
        "Server can't set maximum open files to {needed} because of OS error: {}.",
        os_text(why)
    );
    warning!(
        "Current maximum open files is {reached}. maxclients has been reduced to {reduced} to compensate for low \
         ulimit. If you need higher maxclients increase 'ulimit -n'."
    );
    Ok(reduced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// A system that lets the soft limit go up to the hard one and nobody raise the hard one.
    fn check(maxclients: u32, current: u64, maximum: u64) -> (Result<u32, TooFewFiles>, Vec<u64>) {
        let set = RefCell::new(Vec::new());
        let result = raise(maxclients, Limits { current, maximum }, |soft, hard| {
            if hard > maximum || soft > hard {
                return Err(io::Error::from_raw_os_error(1));
            }
            set.borrow_mut().push(soft);
            Ok(())
        });
        (result, set.into_inner())
    }

    #[test]
    fn enough_is_left_alone() {
        assert_eq!(check(10_000, 10_032, 10_032), (Ok(10_000), vec![]));
        assert_eq!(check(10_000, u64::MAX, u64::MAX), (Ok(10_000), vec![]));
    }

    #[test]
    fn the_soft_limit_follows_maxclients() {
        assert_eq!(check(10_000, 1024, 524_288), (Ok(10_000), vec![10_032]));
    }

    #[test]
    fn maxclients_follows_a_hard_limit() {
        assert_eq!(check(10_000, 1024, 4096), (Ok(4064), vec![4096]));
        assert_eq!(check(500, 100, 100), (Ok(68), vec![100]));
    }

    #[test]
    fn no_room_for_one_client_is_an_error_with_the_words_of_redis() {
        let (result, _) = check(10_000, 20, 32);
        let text = result.unwrap_err().to_string();
        assert!(text.starts_with("Your current 'ulimit -n' of 20 is not enough for the server to start."));
        assert!(text.ends_with("at least 10032. Exiting."));
    }

    #[test]
    fn the_real_limit_has_room_for_one() {
        assert_eq!(reserve_files(1), Ok(1));
    }
}
