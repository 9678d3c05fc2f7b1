//! The gates between a parsed command and its handler: small functions from row, session and state to pass or error.
//!
//! They are asked in Redis's order. Each looks at flags of the row, never at a name.

use crate::command::error::{Error, until_zero};
use crate::command::row::Flags;
use crate::command::table::Command;
use crate::process::os_text;
use crate::session::{Session, SessionFlags};

/// Whether the client may run commands at all.
#[inline]
pub fn auth(command: &Command, session: &Session) -> Result<(), Error> {
    if session.authenticated || command.row.flags.contains(Flags::NO_AUTH) {
        return Ok(());
    }
    Err(Error::fixed("NOAUTH Authentication required."))
}

/// Whether the number of words is right.
#[inline]
pub fn arity(command: &Command, words: usize) -> Result<(), Error> {
    if command.row.arity.admits(words) {
        return Ok(());
    }
    Err(Error::Arity(command.full_name.clone().into()))
}

/// Whether it may be part of a transaction, if the client is in one.
#[inline]
pub fn transaction(command: &Command, session: &Session) -> Result<(), Error> {
    if session.multi < 0 || !command.row.flags.contains(Flags::NO_MULTI) {
        return Ok(());
    }
    Err(Error::fixed("ERR Command not allowed inside a transaction"))
}

/// Whether an append-only file may ask for it. What a server puts there changes keys, or says where: everything else is of
/// somebody else's making, and is not to pause, save, end or reconfigure a server that is about to start.
#[inline]
pub fn replay(command: &Command) -> Result<(), Error> {
    const ASKED: Flags = Flags::WRITE.with(Flags::READONLY).with(Flags::MAY_REPLICATE);
    const NOT: Flags = Flags::ADMIN.with(Flags::PUBSUB);
    let flags = command.row.flags;
    if flags.contains(Flags::IN_LOG) || flags.intersects(ASKED) && !flags.intersects(NOT) {
        return Ok(());
    }
    Err(Error::err(format_args!(
        "'{}' does not belong in an append-only file and is not carried out",
        command.full_name
    )))
}

/// States of the server in which it does not do everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerState {
    /// A snapshot is being loaded.
    pub loading: bool,
    /// Snapshots fail, and writes are to be refused then.
    pub unsaved: bool,
    /// The append-only file cannot be written, and how the operating system numbers the reason.
    pub unlogged: Option<i32>,
    /// Fewer replicas follow closely than writes ask for.
    pub short_of_replicas: bool,
    /// The data is that of a master that cannot be reached, and is not to be served then.
    pub stale: bool,
    /// The keys are spread over the nodes of a cluster.
    pub clustered: bool,
}

impl ServerState {
    /// Whether what is written can be saved.
    #[inline]
    pub fn saves(self) -> bool {
        !self.unsaved && self.unlogged.is_none()
    }

    /// Whether writes are taken.
    #[inline]
    pub fn takes_writes(self) -> bool {
        self.saves() && !self.short_of_replicas
    }
}

/// Whether a write may go on although what it changes cannot be saved. `flags`: of all that it runs.
#[inline]
pub fn disk(flags: Flags, state: ServerState) -> Result<(), Error> {
    if state.saves() || !flags.intersects(Flags::WRITE | Flags::TELLS_HEALTH) {
        return Ok(());
    }
    Err(misconfigured(state))
}

#[cold]
fn misconfigured(state: ServerState) -> Error {
    if let Some(errno) = state.unlogged.filter(|_| !state.unsaved) {
        let text = os_text(&std::io::Error::from_raw_os_error(errno));
        return Error::Text(
            format!("MISCONF Errors writing to the AOF file: {text}")
                .into_bytes()
                .into(),
        );
    }
    Error::fixed(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that \
         may modify the data set are disabled, because this instance is configured to report errors during writes if RDB \
         snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB \
         error.",
    )
}

/// Whether a write may go on although too few replicas would have it. `flags`: of all that it runs.
#[inline]
pub fn replicas(flags: Flags, state: ServerState) -> Result<(), Error> {
    if !state.short_of_replicas || !flags.contains(Flags::WRITE) {
        return Ok(());
    }
    Err(Error::fixed("NOREPLICAS Not enough good replicas to write."))
}

/// Whether a command, or what a transaction has queued, may go on although no memory is left. `flags`: of all of it.
#[inline]
pub fn memory(flags: Flags, is_short: bool) -> Result<(), Error> {
    if !is_short || !flags.contains(Flags::DENY_OOM) {
        return Ok(());
    }
    Err(Error::fixed(
        "OOM command not allowed when used memory > 'maxmemory'.",
    ))
}

/// To what must wait until all data is there.
pub const LOADING: Error = Error::fixed("LOADING Redis is loading the dataset in memory");

/// Whether it may run before all data is there.
#[inline]
pub fn loading(command: &Command, state: ServerState) -> Result<(), Error> {
    if !state.loading || command.row.flags.contains(Flags::LOADING) {
        return Ok(());
    }
    Err(LOADING)
}

/// Whether a subscriber may run it: in RESP2 its connection carries messages, and little else fits between them.
#[inline]
pub fn subscribed(command: &Command, session: &Session) -> Result<(), Error> {
    if session.resp == 3
        || !session.flags.contains(SessionFlags::PUBSUB)
        || command.row.flags.contains(Flags::IN_SUBSCRIBED_STATE)
    {
        return Ok(());
    }
    Err(Error::err(format_args!(
        "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
        command.full_name
    )))
}

/// Whether a client that watches with MONITOR may run it: nothing that touches keys. `flags`: of all that it runs. Compat:
/// a script that says it writes nothing may read.
#[cold]
pub fn onlooker(flags: Flags) -> Result<(), Error> {
    const TOUCHES_KEYS: Flags = Flags::WRITE.with(Flags::READONLY).with(Flags::MAY_REPLICATE);
    if !flags.intersects(TOUCHES_KEYS) {
        return Ok(());
    }
    Err(Error::fixed("ERR Replica can't interact with the keyspace"))
}

/// Whether the words are an HTTP request: a web page may make a browser send commands in a form's body, so the
/// connection must end before they run.
pub fn is_browser(words: crate::resp::Args<'_>) -> bool {
    [&b"post"[..], b"host:"]
        .iter()
        .any(|name| words.get(0).eq_ignore_ascii_case(name))
}

/// The answer to a name nobody knows, with the beginning of its arguments as Redis shows them.
pub fn unknown(words: crate::resp::Args<'_>) -> Error {
    const SHOWN_BYTES: usize = 128;
    let shown = |word, bytes_max| until_zero(word).iter().copied().take(bytes_max);
    let mut args = b"', with args beginning with: ".to_vec();
    let bytes_max = args.len() + SHOWN_BYTES;
    for word in words.iter().skip(1) {
        if args.len() >= bytes_max {
            break;
        }
        let left = bytes_max - args.len();
        args.push(b'\'');
        args.extend(shown(word, left));
        args.extend_from_slice(b"' ");
    }
    let mut text = b"ERR unknown command '".to_vec();
    text.extend(shown(words.get(0), SHOWN_BYTES));
    text.extend_from_slice(&args);
    Error::Text(text.into())
}

/// The answer to a subcommand nobody knows.
pub fn unknown_subcommand(container: &Command, word: &[u8]) -> Error {
    const SHOWN_BYTES: usize = 128;
    let shown = &word[..word.len().min(SHOWN_BYTES)];
    let name = container.row.name.to_uppercase();
    Error::quoting("unknown subcommand '", shown, &format!("'. Try {name} HELP."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::table::Table;

    /// What has its place in a log although it is neither a write nor a read.
    const LOGGED: &[&str] = &[
        "discard",
        "eval",
        "evalsha",
        "exec",
        "fcall",
        "multi",
        "script|flush",
        "script|load",
        "select",
    ];

    #[test]
    fn a_log_may_ask_for_reads_and_writes_and_little_else() {
        let table = Table::new(&[]).expect("nothing is renamed");
        let touches = Flags::WRITE.with(Flags::READONLY);
        let admitted = table.all().iter().filter(|command| replay(command).is_ok());
        let (plain, mut others): (Vec<_>, Vec<_>) =
            admitted.partition(|command| command.row.flags.intersects(touches));
        others.sort_by_key(|command| &command.full_name);
        let names: Vec<_> = others.iter().map(|command| command.full_name.as_str()).collect();
        assert_eq!(names, LOGGED);
        let is_admin = |command: &&&Command| command.row.flags.contains(Flags::ADMIN);
        let admins: Vec<_> = plain.iter().filter(is_admin).map(|c| c.row.name).collect();
        assert_eq!(admins, ["pfdebug"]);
    }

    #[test]
    fn every_write_that_is_logged_is_carried_out_when_the_log_is_read() {
        let table = Table::new(&[]).expect("nothing is renamed");
        let writes = table
            .all()
            .iter()
            .filter(|command| command.row.flags.contains(Flags::WRITE));
        let lost = writes.filter(|command| replay(command).is_err());
        assert_eq!(lost.map(|command| command.row.name).collect::<Vec<_>>(), [""; 0]);
    }
}
