//! Who may connect: users and their passwords.
//!
//! A password is kept as its SHA-256 digest only. Checking one hashes what the client sent and compares it with every
//! digest of the user in constant time, so that neither its length nor a shared beginning shows in the time taken.
//! Not here yet: users beside `default`, rules, categories.
//!
//! Imports: nothing of the crate. Knows no sessions, commands or configuration.

use std::hint::black_box;

use sha2::{Digest, Sha256};

/// Name of the user every connection starts as.
pub const DEFAULT_USER: &str = "default";

type PasswordDigest = [u8; 32];

/// A user and how to become it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    /// Any password will do.
    nopass: bool,
    passwords: Vec<PasswordDigest>,
}

impl User {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `password` lets a client in as this user. O(passwords + length of `password`).
    pub fn accepts(&self, password: &[u8]) -> bool {
        if self.nopass {
            return true;
        }
        let given = digest(password);
        self.passwords
            .iter()
            .fold(false, |found, known| found | digests_equal(known, &given))
    }
}

/// All users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    default: User,
}

impl Default for Users {
    /// The default user alone, open to everybody.
    fn default() -> Self {
        Users {
            default: User {
                name: DEFAULT_USER.into(),
                nopass: true,
                passwords: Vec::new(),
            },
        }
    }
}

impl Users {
    /// The user of that name.
    pub fn find(&self, name: &[u8]) -> Option<&User> {
        (name == self.default.name.as_bytes()).then_some(&self.default)
    }

    /// Whether a new connection may run commands without AUTH.
    pub fn default_needs_no_password(&self) -> bool {
        self.default.nopass
    }

    /// Gives the default user this password alone (`requirepass`); the empty one opens it to everybody.
    pub fn set_default_password(&mut self, password: &str) {
        self.default.nopass = password.is_empty();
        self.default.passwords.clear();
        if !password.is_empty() {
            self.default.passwords.push(digest(password.as_bytes()));
        }
    }

    /// The user that name and password belong to; `None` when they do not fit, without telling which is wrong.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<&User> {
        self.find(name).filter(|user| user.accepts(password))
    }
}

fn digest(password: &[u8]) -> PasswordDigest {
    Sha256::digest(password).into()
}

/// Compares without stopping at the first difference; `black_box` keeps the compiler from putting the stop back.
fn digests_equal(a: &PasswordDigest, b: &PasswordDigest) -> bool {
    let difference = a.iter().zip(b).fold(0, |all, (x, y)| black_box(all | (x ^ y)));
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_default_user_takes_any_password() {
        let users = Users::default();
        assert!(users.default_needs_no_password());
        assert_eq!(
            users.authenticate(b"default", b"anything").map(User::name),
            Some("default")
        );
        assert_eq!(users.authenticate(b"nobody", b"anything"), None);
    }

    #[test]
    fn a_password_closes_the_default_user_to_all_others() {
        let mut users = Users::default();
        users.set_default_password("secret");
        assert!(!users.default_needs_no_password());
        for (password, fits) in [
            ("secret", true),
            ("secre", false),
            ("secret ", false),
            ("", false),
        ] {
            assert_eq!(
                users.authenticate(b"default", password.as_bytes()).is_some(),
                fits,
                "{password}"
            );
        }
    }

    #[test]
    fn a_new_password_replaces_the_old_one_and_an_empty_one_opens() {
        let mut users = Users::default();
        users.set_default_password("old");
        users.set_default_password("new");
        assert!(users.authenticate(b"default", b"old").is_none());
        assert!(users.authenticate(b"default", b"new").is_some());
        users.set_default_password("");
        assert_eq!(users, Users::default());
    }

    #[test]
    fn digests_differ_in_any_byte() {
        let a = digest(b"a");
        for at in 0..a.len() {
            let mut b = a;
            b[at] ^= 1;
            assert!(!digests_equal(&a, &b));
        }
        assert!(digests_equal(&a, &a.clone()));
    }
}
