//! The command line `ps` shows: `proc-title-template` filled in, and written over the arguments.
//!
//! ```text
//! "{title} {listen-addr} {server-mode}"   >   "/usr/bin/russet-server 127.0.0.1:6379"
//! ```
//!
//! `{title}` is the program as it was started, or what a child calls itself (`redis-rdb-bgsave`). `{{` is a brace.
//!
//! Invariant: the memory is claimed once, before threads start, and written under one lock.

use super::sys::TitleArea;
use std::ffi::CString;
use std::fmt::Write;
use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

/// What the variables of a template stand for.
#[derive(Clone, Copy, Debug, Default)]
pub struct TitleFacts<'a> {
    /// The first address of `bind`; without one, `*`.
    pub bind: Option<&'a str>,
    /// `port`, 0 when there is none.
    pub port: u16,
    /// `tls-port`, 0 when there is none.
    pub tls_port: u16,
    /// `unixsocket`, empty when there is none.
    pub unixsocket: &'a str,
    /// `cluster-enabled`.
    pub cluster: bool,
    /// Whether this is a Sentinel.
    pub sentinel: bool,
    /// The file the configuration came from.
    pub config_file: Option<&'a str>,
}

impl TitleFacts<'_> {
    /// Appends what `name` stands for; `None` when nothing is called that.
    fn push(&self, name: &str, title: &str, out: &mut String) -> Option<()> {
        match name {
            "title" => out.push_str(title),
            "listen-addr" => self.push_listen_addr(out),
            "server-mode" => out.push_str(self.server_mode()),
            "config-file" => out.push_str(self.config_file.unwrap_or("-")),
            "port" => write!(out, "{}", self.port).ok()?,
            "tls-port" => write!(out, "{}", self.tls_port).ok()?,
            "unixsocket" => out.push_str(self.unixsocket),
            _ => return None,
        }
        Some(())
    }

    fn push_listen_addr(&self, out: &mut String) {
        let port = if self.port != 0 { self.port } else { self.tls_port };
        let _ = match port {
            0 => write!(out, "unixsocket:{}", self.unixsocket),
            port => write!(out, "{}:{port}", self.bind.unwrap_or("*")),
        };
    }

    fn server_mode(&self) -> &'static str {
        match (self.cluster, self.sentinel) {
            (true, _) => "[cluster]",
            (false, true) => "[sentinel]",
            (false, false) => "",
        }
    }
}

/// A template with an unknown variable, a brace left open, or nothing to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template format is invalid or contains unknown variables")]
pub struct TemplateError;

/// The template with its variables filled in, without spaces at its ends.
///
/// Errors: [`TemplateError`].
pub fn expand(template: &str, title: &str, facts: &TitleFacts<'_>) -> Result<String, TemplateError> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        if let Some(literal) = after.strip_prefix('{') {
            out.push('{');
            rest = literal;
            continue;
        }
        let (name, after) = after.split_once('}').ok_or(TemplateError)?;
        facts.push(name, title, &mut out).ok_or(TemplateError)?;
        rest = after;
    }
    out.push_str(rest);
    Ok(out.trim_matches(' ').to_owned())
}

/// Whether a template can be used: it fills in, and shows something even where there is no title.
///
/// Errors: [`TemplateError`].
pub fn validate(template: &str, facts: &TitleFacts<'_>) -> Result<(), TemplateError> {
    match expand(template, "", facts)?.is_empty() {
        true => Err(TemplateError),
        false => Ok(()),
    }
}

static AREA: OnceLock<Mutex<TitleArea>> = OnceLock::new();

/// Makes room for titles. Call once, before threads start, and after reading the arguments: they are written over.
///
/// Returns the longest title that will show whole, in bytes. Errors: threads are running, or there is no `/proc`; then
/// the title stays as it is.
pub fn claim() -> io::Result<usize> {
    let area = TitleArea::claim()?;
    let title_bytes_max = area.title_bytes_max();
    AREA.set(Mutex::new(area))
        .map_err(|_| io::Error::other("the title was claimed twice"))?;
    Ok(title_bytes_max)
}

/// Shows `title` as the command line of this process; does nothing without a claim.
pub fn set(title: &str) {
    if let Some(area) = AREA.get() {
        area.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(title.as_bytes());
    }
}

/// Names the calling thread, as `top -H` shows it: the first 15 bytes. A name with a NUL byte is ignored.
pub fn name_thread(name: &str) {
    if let Ok(name) = CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: TitleFacts<'static> = TitleFacts {
        bind: Some("127.0.0.1"),
        port: 6379,
        tls_port: 0,
        unixsocket: "/run/x.sock",
        cluster: false,
        sentinel: false,
        config_file: None,
    };

    #[test]
    fn the_default_template_shows_program_and_address() {
        let default = "{title} {listen-addr} {server-mode}";
        assert_eq!(
            expand(default, "/usr/bin/x", &FACTS).unwrap(),
            "/usr/bin/x 127.0.0.1:6379"
        );
        let cluster = TitleFacts {
            cluster: true,
            bind: None,
            ..FACTS
        };
        assert_eq!(expand(default, "x", &cluster).unwrap(), "x *:6379 [cluster]");
        let sentinel = TitleFacts {
            sentinel: true,
            port: 0,
            tls_port: 7,
            ..FACTS
        };
        assert_eq!(
            expand(default, "x", &sentinel).unwrap(),
            "x 127.0.0.1:7 [sentinel]"
        );
        let local = TitleFacts { port: 0, ..FACTS };
        assert_eq!(expand(default, "x", &local).unwrap(), "x unixsocket:/run/x.sock");
    }

    #[test]
    fn every_variable_is_known() {
        let template = "TEST {title} {listen-addr} {port} {tls-port} {unixsocket} {config-file}";
        let expected = "TEST x 127.0.0.1:6379 6379 0 /run/x.sock -";
        assert_eq!(expand(template, "x", &FACTS).unwrap(), expected);
    }

    #[test]
    fn braces_double_and_must_close() {
        assert_eq!(expand("a{{b}", "x", &FACTS).unwrap(), "a{b}");
        for wrong in ["{invalid-var}", "{", "{title", "{ title }", "a {} b"] {
            assert_eq!(expand(wrong, "x", &FACTS), Err(TemplateError), "{wrong}");
        }
        assert_eq!(
            TemplateError.to_string(),
            "template format is invalid or contains unknown variables"
        );
    }

    #[test]
    fn a_template_that_shows_nothing_is_invalid() {
        assert_eq!(validate("{title}", &FACTS), Err(TemplateError));
        assert_eq!(validate("  ", &FACTS), Err(TemplateError));
        assert_eq!(validate("{title} {port}", &FACTS), Ok(()));
    }

    #[test]
    fn without_a_claim_setting_a_title_does_nothing() {
        set("nothing to see");
        name_thread("a thread with a rather long name");
    }
}
