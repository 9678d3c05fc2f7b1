//! What the executor has to say when its thread dies: whom it was serving with what words, INFO, CLIENT LIST.
//!
//! ```text
//!   crash::Activity  client, command, words ──┐
//!   SUBJECT ──> Executor (in its place) ──────┴──> testify, in a panic hook or the handler of a fatal signal
//! ```
//!
//! The command's handler may be in the middle of anything, so what is read here may be half changed. The report shows the
//! surest first, and what crashes while it testifies ends the process as the first crash would have.
//!
//! Invariants:
//! - W1  `SUBJECT` points to an executor that stays in its place: set by `watch`, taken back by `forget` before it
//!   moves or goes.
//! - W2  `testify` runs on the thread of the executor, in the process's last moments: whoever had borrowed it will not go on.
//! - W3  The words of an activity point to arguments that live until it ends (`run_admitted`).

#![expect(
    unsafe_code,
    reason = "a dying thread looks at what its own frames have borrowed"
)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::command::connection::client::list::{Moment, write_line};
use crate::process::crash::{self, ClientScene, Part, Scene};
use crate::resp::{self, ArgBuf};

use super::dispatch::{Resolved, Run};
use super::{Executor, SessionId};

thread_local! {
    static SUBJECT: Cell<Option<NonNull<Executor>>> = const { Cell::new(None) };
}

/// Lets a crash report of this thread look at the executor.
///
/// # Safety
/// It stays where it is, and is used by this thread alone, until [`forget`] (W1).
pub(super) unsafe fn watch(executor: NonNull<Executor>) {
    SUBJECT.set(Some(executor));
}

/// Takes that back.
pub(super) fn forget() {
    SUBJECT.set(None);
}

/// An executor that a crash report of this thread may look at.
pub struct Watched {
    executor: Box<Executor>,
    /// It stays on its thread.
    here: PhantomData<*const ()>,
}

impl Watched {
    /// Takes it over.
    pub fn new(executor: Executor) -> Watched {
        let mut executor = Box::new(executor);
        // SAFETY: W1: it has a place of its own, is not sent to other threads, and `drop` calls `forget`.
        unsafe { watch(NonNull::from(&mut *executor)) };
        Watched {
            executor,
            here: PhantomData,
        }
    }
}

impl Deref for Watched {
    type Target = Executor;

    fn deref(&self) -> &Executor {
        &self.executor
    }
}

impl DerefMut for Watched {
    fn deref_mut(&mut self) -> &mut Executor {
        &mut self.executor
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        forget();
    }
}

/// Has crash reports of this thread tell what its executor knows.
pub fn testify() {
    crash::register_witness(|part, scene| {
        if let Some(mut executor) = SUBJECT.get() {
            // SAFETY: W1, W2.
            tell(unsafe { executor.as_mut() }, part, scene);
        }
    });
}

fn tell(executor: &mut Executor, part: Part, scene: &mut Scene) {
    match part {
        Part::Client => scene.client = present_client(executor),
        Part::Server => {
            let asker = executor.connect();
            scene.info = ask(executor, asker, &[b"INFO", b"all"]);
            scene.clients = ask(executor, asker, &[b"CLIENT", b"LIST"]);
        }
    }
}

fn present_client(executor: &Executor) -> Option<ClientScene> {
    let (client, command, words) = crash::activity(crash::Activity::current)?;
    let mut line = String::new();
    if let Some(id) = executor.sessions.find_client(client) {
        let moment = Moment {
            keys: &executor.keys,
            now_ms: executor.now_unix_us / 1000,
            reply_peak_ms: executor.server.reply_peak.window_ms(),
        };
        write_line(&mut line, &executor.sessions[id], &executor.table, &moment);
    } else {
        line = format!("id={client} cmd={command}");
    }
    // SAFETY: W3: the activity has not ended.
    let words = unsafe { words.cast::<resp::Args<'_>>().as_ref() };
    let argv = words.map_or_else(Vec::new, |words| words.iter().map(<[u8]>::to_vec).collect());
    Some(ClientScene { line, argv })
}

/// The text that a command answers, which runs without anything that surrounds a client's.
fn ask(executor: &mut Executor, client: SessionId, words: &[&[u8]]) -> String {
    let (words, mut reply) = (ArgBuf::from_slices(words), Vec::new());
    if let Resolved::Command(id) = executor.resolve(words.args()) {
        executor.invoke(client, words.args(), id, Run::default(), &mut reply, None);
    }
    let text = String::from_utf8_lossy(&reply);
    // Behind `$<length>` there is the text, and an end of line.
    let text = text.split_once("\r\n").map_or("", |(_, text)| text);
    text.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executor_tells_of_itself_and_of_whom_it_serves() {
        let mut executor = Executor::for_tests();
        let client = executor.connect();
        executor.sessions[client].name = "me".into();
        let mut scene = Scene::default();
        tell(&mut executor, Part::Client, &mut scene);
        assert_eq!(scene.client, None);
        let words = ArgBuf::from_slices(&[b"SET", b"k", b"v"]);
        let words = words.args();
        let before = crash::activity(|a| a.begin(client.client, "set", std::ptr::from_ref(&words).cast()));
        tell(&mut executor, Part::Client, &mut scene);
        crash::activity(|a| a.end(before));
        let shown = scene.client.take().expect("a command runs");
        assert!(shown.line.contains(" name=me "), "{}", shown.line);
        assert_eq!(shown.argv, [&b"SET"[..], b"k", b"v"]);
        tell(&mut executor, Part::Server, &mut scene);
        assert!(
            scene.info.starts_with("# Server\r\nredis_version:"),
            "{}",
            scene.info
        );
        assert!(scene.clients.contains(" name=me "), "{}", scene.clients);
    }
}
