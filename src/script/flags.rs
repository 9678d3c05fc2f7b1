//! What a script says about itself: its shebang line and the flags in it.
//!
//! ```text
//! #!lua flags=no-writes,allow-stale          a script of EVAL; without such a line it runs in compatibility mode
//! #!lua name=mylib                           a library; its functions have the flags they register with
//! ```

use bitflags::bitflags;

use crate::base::quote::split_args;

bitflags! {
    /// What a script promises or asks for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct ScriptFlags: u8 {
        /// It writes nothing.
        const NO_WRITES = 1 << 0;
        /// It may run when memory is short.
        const ALLOW_OOM = 1 << 1;
        /// It may run on a replica whose data is stale.
        const ALLOW_STALE = 1 << 2;
        /// It cannot run in a cluster.
        const NO_CLUSTER = 1 << 3;
        /// Its keys may be in several slots.
        const ALLOW_CROSS_SLOT_KEYS = 1 << 4;
        /// It has no shebang line: nothing is known of it.
        const COMPAT = 1 << 5;
    }
}

/// Names of flags, in Redis's order.
pub const FLAG_NAMES: &[(ScriptFlags, &str)] = &[
    (ScriptFlags::NO_WRITES, "no-writes"),
    (ScriptFlags::ALLOW_OOM, "allow-oom"),
    (ScriptFlags::ALLOW_STALE, "allow-stale"),
    (ScriptFlags::NO_CLUSTER, "no-cluster"),
    (ScriptFlags::ALLOW_CROSS_SLOT_KEYS, "allow-cross-slot-keys"),
];

/// The flag of a name, in the case given.
pub fn flag(name: &[u8]) -> Option<ScriptFlags> {
    let found = FLAG_NAMES.iter().find(|(_, known)| known.as_bytes() == name);
    found.map(|(flag, _)| *flag)
}

/// The flags of a script and its text without the shebang line, whose line end stays so that lines keep their numbers.
///
/// # Errors
/// What is wrong with the line, without an error code.
pub fn of_script(body: &[u8]) -> Result<(ScriptFlags, &[u8]), Vec<u8>> {
    if !body.starts_with(b"#!") {
        return Ok((ScriptFlags::COMPAT, body));
    }
    let Some(end) = memchr::memchr(b'\n', body) else {
        return Err(b"Invalid script shebang".to_vec());
    };
    let parts = split_args(&body[..end]).unwrap_or_default();
    let Some((engine, options)) = parts.split_first() else {
        return Err(b"Invalid engine in script shebang".to_vec());
    };
    if engine != b"#!lua" {
        return Err([b"Unexpected engine in script shebang: ", &engine[..]].concat());
    }
    let mut flags = ScriptFlags::empty();
    for option in options {
        let Some(names) = option.strip_prefix(b"flags=") else {
            return Err([b"Unknown lua shebang option: ", &option[..]].concat());
        };
        for name in names.split(|&byte| byte == b',').filter(|_| !names.is_empty()) {
            let unknown = || [b"Unexpected flag in script shebang: ", name].concat();
            flags |= flag(name).ok_or_else(unknown)?;
        }
    }
    Ok((flags, &body[end..]))
}

/// What a library's first line says.
#[derive(Debug, PartialEq, Eq)]
pub struct LibraryHead<'a> {
    /// The engine it is written for.
    pub engine: Vec<u8>,
    /// Its name.
    pub name: Vec<u8>,
    /// Its text, without the first line but with that line's end.
    pub code: &'a [u8],
}

/// Reads a library's first line.
///
/// # Errors
/// What is wrong with it, without an error code.
pub fn of_library(text: &[u8]) -> Result<LibraryHead<'_>, Vec<u8>> {
    if !text.starts_with(b"#!") {
        return Err(b"Missing library metadata".to_vec());
    }
    let invalid = || b"Invalid library metadata".to_vec();
    let end = memchr::memchr(b'\n', text).ok_or_else(invalid)?;
    let parts = split_args(&text[..end]).map_err(|_| invalid())?;
    let (engine, options) = parts.split_first().ok_or_else(invalid)?;
    let mut name = None;
    for option in options {
        let (key, value) = option.split_at_checked(5).unwrap_or((option, b""));
        if !key.eq_ignore_ascii_case(b"name=") {
            return Err([b"Invalid metadata value given: ", &option[..]].concat());
        }
        if name.replace(value.to_vec()).is_some() {
            return Err(b"Invalid metadata value, name argument was given multiple times".to_vec());
        }
    }
    Ok(LibraryHead {
        engine: engine[2..].to_vec(),
        name: name.ok_or_else(|| b"Library name was not given".to_vec())?,
        code: &text[end..],
    })
}

/// Whether a library or function may be called so.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shebang_line_gives_flags_and_leaves_its_line_end() {
        assert_eq!(
            of_script(b"return 1"),
            Ok((ScriptFlags::COMPAT, &b"return 1"[..]))
        );
        assert_eq!(
            of_script(b"#!lua\nreturn 1"),
            Ok((ScriptFlags::empty(), &b"\nreturn 1"[..]))
        );
        assert_eq!(
            of_script(b"#!lua flags=no-writes,allow-oom\n1"),
            Ok((ScriptFlags::NO_WRITES | ScriptFlags::ALLOW_OOM, &b"\n1"[..]))
        );
    }

    #[test]
    fn what_is_wrong_with_a_shebang_line_is_said() {
        let error = |body: &[u8]| String::from_utf8(of_script(body).unwrap_err()).unwrap();
        assert_eq!(error(b"#!lua"), "Invalid script shebang");
        assert_eq!(
            error(b"#!not-lua\n"),
            "Unexpected engine in script shebang: #!not-lua"
        );
        assert_eq!(
            error(b"#!lua badger=data\n"),
            "Unknown lua shebang option: badger=data"
        );
        assert_eq!(
            error(b"#!lua flags=allow-what\n"),
            "Unexpected flag in script shebang: allow-what"
        );
    }

    #[test]
    fn a_library_has_an_engine_and_a_name() {
        let head = of_library(b"#!LUA name=foo\ncode").unwrap();
        assert_eq!(
            (&head.engine[..], &head.name[..], head.code),
            (&b"LUA"[..], &b"foo"[..], &b"\ncode"[..])
        );
        let error = |text: &[u8]| String::from_utf8(of_library(text).unwrap_err()).unwrap();
        assert_eq!(error(b"return 1"), "Missing library metadata");
        assert_eq!(error(b"#!LUA name=foo"), "Invalid library metadata");
        assert_eq!(error(b"#!LUA\n"), "Library name was not given");
        assert_eq!(
            error(b"#!LUA name=a foo=b\n"),
            "Invalid metadata value given: foo=b"
        );
        assert_eq!(
            error(b"#!LUA name=a name=b\n"),
            "Invalid metadata value, name argument was given multiple times"
        );
    }
}
