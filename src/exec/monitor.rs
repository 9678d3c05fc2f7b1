//! MONITOR: every command that runs, as a line to the clients that watch.

use crate::base::quote;
use crate::command::row::{Flags, Row};
use crate::resp;
use crate::session::{Session, SessionFlags, SessionId, Sessions};

use super::dispatch::SILENCED;

/// Sends `words`, which `client` has run, to all monitors.
#[cold]
pub fn feed(sessions: &mut Sessions, client: SessionId, words: resp::Args<'_>, row: &Row, now_unix_us: i64) {
    if row.flags.intersects(Flags::SKIP_MONITOR | Flags::ADMIN) {
        return;
    }
    show(sessions, client, words, row, now_unix_us);
}

/// Sends `words`, which `client` runs, to all monitors, whatever the row says.
#[cold]
pub fn show(sessions: &mut Sessions, client: SessionId, words: resp::Args<'_>, row: &Row, now_unix_us: i64) {
    let line = line(&sessions[client], row.shown(words), now_unix_us);
    // Compat: CLIENT REPLY silences them, unlike other pushes.
    let hears = |session: &Session| {
        session.flags.contains(SessionFlags::MONITOR) && !session.flags.intersects(SILENCED)
    };
    for (_, session) in sessions.iter_mut().filter(|(_, session)| hears(session)) {
        session.push(&line);
    }
}

fn line<'a>(session: &Session, words: impl Iterator<Item = &'a [u8]>, now_unix_us: i64) -> Vec<u8> {
    let peer = if session.flags.contains(SessionFlags::SCRIPT) {
        "lua".to_owned()
    } else if session.flags.contains(SessionFlags::UNIX_SOCKET) {
        format!(
            "unix:{}",
            session.addr.strip_suffix(":0").unwrap_or(&session.addr)
        )
    } else {
        session.addr.clone()
    };
    let (seconds, micros) = (now_unix_us / 1_000_000, now_unix_us % 1_000_000);
    let mut out = format!("+{seconds}.{micros:06} [{} {peer}]", session.db).into_bytes();
    for word in words {
        out.push(b' ');
        quote::repr(word, &mut out);
    }
    out.extend_from_slice(b"\r\n");
    out
}
