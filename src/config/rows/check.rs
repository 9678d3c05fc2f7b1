//! Checks of texts: each answers with the sentence Redis answers with.

/// Accepts a name without folders.
pub(super) fn is_base_name(value: &[u8]) -> bool {
    !value.iter().any(|byte| b"/\\".contains(byte))
}

pub(super) fn rdb_file_name(value: &[u8]) -> Result<(), &'static str> {
    is_base_name(value)
        .then_some(())
        .ok_or("dbfilename can't be a path, just a filename")
}

pub(super) fn aof_file_name(value: &[u8]) -> Result<(), &'static str> {
    match value {
        [] => Err("appendfilename can't be empty"),
        _ if !is_base_name(value) => Err("appendfilename can't be a path, just a filename"),
        _ => Ok(()),
    }
}

pub(super) fn aof_folder_name(value: &[u8]) -> Result<(), &'static str> {
    match value {
        [] => Err("appenddirname can't be empty"),
        _ if !is_base_name(value) => Err("appenddirname can't be a path, just a dirname"),
        _ => Ok(()),
    }
}

pub(super) fn host_name(value: &[u8]) -> Result<(), &'static str> {
    if value.len() >= 256 {
        return Err("Hostnames must be less than 256 characters");
    }
    let allowed = value
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(byte));
    allowed
        .then_some(())
        .ok_or("Hostnames may only contain alphanumeric characters, hyphens or dots")
}

/// The name travels in the cluster's file between separators, so none of those may be in it.
pub(super) fn node_name(value: &[u8]) -> Result<(), &'static str> {
    let reserved = value
        .iter()
        .any(|byte| b"!#$%&()*+:;<>?@[]^{|}~\0".contains(byte));
    (!reserved)
        .then_some(())
        .ok_or("Announced human node name contained invalid character")
}

/// A template of text and `{variables}`, `{{` being a brace; what it expands to must not be blank.
pub(super) fn process_title(value: &[u8]) -> Result<(), &'static str> {
    const FILLED: [&[u8]; 6] = [
        b"listen-addr",
        b"server-mode",
        b"port",
        b"tls-port",
        b"config-file",
        b"unixsocket",
    ];
    let wrong = "template format is invalid or contains unknown variables";
    let (mut rest, mut has_text) = (value, false);
    while let Some(brace) = memchr::memchr(b'{', rest) {
        has_text |= rest[..brace].iter().any(|byte| *byte != b' ');
        rest = &rest[brace + 1..];
        if let Some(after) = rest.strip_prefix(b"{") {
            (rest, has_text) = (after, true);
            continue;
        }
        let end = memchr::memchr(b'}', rest).ok_or(wrong)?;
        match &rest[..end] {
            b"title" => {}
            name if FILLED.contains(&name) => has_text = true,
            _ => return Err(wrong),
        }
        rest = &rest[end + 1..];
    }
    has_text |= rest.iter().any(|byte| *byte != b' ');
    has_text.then_some(()).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_titles_are_templates() {
        for good in [
            "{title} {listen-addr} {server-mode}",
            "x",
            "{{",
            "{{title}}",
            "x{{y",
            "}",
            "{port}",
            "a {title}",
        ] {
            assert!(process_title(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "  ", "{foo}", "{title", "{", "{}", "x {", "{title}"] {
            assert!(process_title(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn file_names_are_without_folders() {
        assert!(
            rdb_file_name(b"a.rdb").is_ok() && rdb_file_name(b"").is_ok() && rdb_file_name(b"a/b").is_err()
        );
        assert!(
            aof_file_name(b"").is_err() && aof_file_name(b"a\\b").is_err() && aof_folder_name(b"x").is_ok()
        );
    }

    #[test]
    fn host_and_node_names_have_their_letters() {
        assert!(
            host_name(b"a-1.example").is_ok()
                && host_name(b"a_b").is_err()
                && host_name(&[b'a'; 256]).is_err()
        );
        assert!(node_name(b"my node/1").is_ok() && node_name(b"a:b").is_err());
    }
}
