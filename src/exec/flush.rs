//! FLUSHALL and FLUSHDB that promise the memory back when they answer: freed by the lazy-free thread like any other, while
//! the client waits and everybody else is served.
//!
//! ```text
//!   FLUSHALL ──> tables to the thread, then a bell ──> the client waits
//!                                             └── rung ──> Host::waker ──> end of the turn ──> +OK, and its next command
//! ```
//!
//! The bell hangs in the thread's queue behind all that was handed over before. A client that is not waiting any more
//! (CLIENT UNBLOCK, gone) is passed over. Where nothing may wait (in a transaction, a script, while the log is loaded) the
//! executor frees the memory itself: see the handlers.

use crate::command::blocking::{BlockOn, Nil};
use crate::session::SessionId;
use crate::value::Kind;

use super::Executor;

/// A client that waits for memory to be freed.
pub(super) struct FlushWait {
    bell: u64,
    client: SessionId,
    /// Which of its waits that is.
    ticket: u64,
}

impl Executor {
    /// Lets `client` wait until the memory is free that has been handed over.
    pub(super) fn await_freeing(&mut self, client: SessionId) {
        let Some(command) = self.sessions[client].last_command else {
            return;
        };
        let bell = self.keys.hang_bell(self.host.waker());
        let on = BlockOn {
            on_timeout: Nil::Ok,
            ..BlockOn::keys(Kind::String, [], None)
        };
        self.block(client, on, command);
        if let Some(ticket) = self.blocking.ticket_of(client) {
            self.flush_waits.push_back(FlushWait { bell, client, ticket });
        }
    }

    /// Whether anybody waits for memory to be freed.
    pub fn awaits_freeing(&self) -> bool {
        !self.flush_waits.is_empty()
    }

    /// Answers those whose bells have rung.
    #[inline]
    pub(super) fn end_flush_waits(&mut self) {
        if self.awaits_freeing() {
            self.answer_flushes();
        }
    }

    #[cold]
    fn answer_flushes(&mut self) {
        let rung = self.keys.bells_rung();
        while self.flush_waits.front().is_some_and(|wait| wait.bell <= rung) {
            let Some(wait) = self.flush_waits.pop_front() else {
                return;
            };
            if self.blocking.ticket_of(wait.client) == Some(wait.ticket) {
                self.unblock(wait.client, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use crate::base::clock::Now;
    use crate::exec::mailbox::Mail;
    use crate::exec::testing::{Scene, batch};

    #[test]
    fn a_flush_is_answered_when_all_is_freed_and_what_follows_it_comes_behind() {
        let mut scene = Scene::new(2);
        assert_eq!(
            scene.turn("a: SET k 1;SET j 2;FLUSHALL;DBSIZE;SET k 3;FLUSHDB SYNC;PING\nb: DBSIZE"),
            ["b: :0", "a: +OK +OK +OK :0 +OK +OK +PONG"]
        );
        assert_eq!(scene.executor.keys.lazyfree_counts(), (0, 3));
        assert!(!scene.executor.awaits_freeing());
    }

    #[test]
    fn nothing_waits_inside_a_transaction_or_for_an_asynchronous_flush() {
        let mut scene = Scene::new(1);
        assert_eq!(
            scene.turn("a: SET k 1;MULTI;FLUSHALL;EXEC"),
            ["a: +OK +OK +QUEUED *1 +OK"]
        );
        assert_eq!(
            scene.executor.keys.lazyfree_counts().1,
            0,
            "freed by the executor"
        );
        scene.turn("a: FLUSHALL ASYNC");
        assert!(!scene.executor.awaits_freeing());
    }

    /// Keeps the thread from what comes behind it.
    struct Obstacle(Receiver<()>);

    impl Drop for Obstacle {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }

    #[test]
    fn who_has_left_or_waits_for_something_else_is_passed_over() {
        let mut scene = Scene::new(3);
        let (away, lift) = channel();
        scene.executor.keys.free_elsewhere(Obstacle(lift), 1000);
        let mut letters: Vec<_> = scene
            .clients
            .iter()
            .map(|&client| Mail::Batch(client, batch("FLUSHALL;ECHO 1")))
            .collect();
        let now = Now { unix_us: 1_000_000 };
        scene.executor.open(&mut letters, now);
        assert!(scene.executor.finished.is_empty(), "all wait");
        let (leaver, other) = (scene.clients[0], scene.clients[1]);
        scene.executor.forget_client(leaver);
        scene.executor.unblock(other, true);
        let mut letters = vec![Mail::Batch(other, batch("TAKE k 0"))];
        scene.executor.open(&mut letters, now);
        away.send(()).expect("the thread waits for it");
        let unblocked = "b: -UNBLOCKED client unblocked via CLIENT UNBLOCK $1 1";
        assert_eq!(scene.pass(0), [unblocked, "c: +OK $1 1"]);
        assert_eq!(
            scene.turn("c: SET spare 1;RENAME spare k"),
            ["c: +OK +OK", "b: $1 k"]
        );
    }
}
