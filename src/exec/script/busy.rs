//! While a script keeps the server busy: others are told so, and may end it.
//!
//! ```text
//!   open ── EVAL ── Lua ── hook, every half millisecond ── longer than busy-reply-threshold?
//!                                      └── Interlude::turn ──> others' mail ──> open_busy ──> BUSY, or SCRIPT KILL
//! ```
//!
//! Where the executor has a thread of its own the interlude simply opens the mail that waits. Where it shares a thread with
//! the connections these must run first: see `exec/turn.rs`.

use crate::session::SessionId;

use super::super::Executor;
use super::super::mailbox::Mail;

/// What lets others have a turn in the middle of a script: opens their mail with [`Executor::open_busy`] and delivers.
pub trait Interlude: Send {
    /// One turn.
    fn turn(&mut self, executor: &mut Executor);
}

impl Executor {
    /// How others get a turn while a script runs; without it they wait for its end.
    pub fn set_interlude(&mut self, interlude: Box<dyn Interlude>) {
        self.interlude = Some(interlude);
    }

    /// Whether they can.
    pub fn has_interlude(&self) -> bool {
        self.interlude.is_some()
    }

    /// Gives others a turn, if that is possible.
    pub(super) fn give_turn(&mut self) {
        if let Some(mut interlude) = self.interlude.take() {
            // What the script's own client is to be told comes behind its reply, not behind that of whoever is next.
            let messages = self.pubsub.take_own();
            let invalidations = std::mem::take(&mut self.own_invalidations);
            interlude.turn(self);
            self.pubsub.put_own(messages);
            self.own_invalidations = invalidations;
            self.interlude = Some(interlude);
        }
    }

    /// Opens mail in the middle of a script. Commands but the few that may run then are answered BUSY.
    pub fn open_busy(&mut self, letters: &mut Vec<Mail>) {
        let mut batches = std::mem::take(&mut self.aside);
        for letter in letters.drain(..) {
            match letter {
                Mail::Batch(client, batch) => batches.push((client, batch)),
                Mail::Connect(new) => self.admit_client(*new),
                Mail::Disconnect(client) if !self.runs_script(client) => self.forget_client(client),
                Mail::Overflow => self.stats.counters.client_query_buffer_limit_disconnections += 1,
                Mail::Synced => {}
                Mail::Tick => self.defer_tick(),
                Mail::Stop { interrupt } => self.ask_to_stop(interrupt),
                // The farewell of whom the script runs for waits for its end.
                other => self.deferred.push(other),
            }
        }
        if !batches.is_empty() {
            self.run_batches(&mut batches);
        }
    }

    /// Time stands still while a script runs. Recurring jobs are overdue at its end, however many times they were.
    fn defer_tick(&mut self) {
        if !self.deferred.iter().any(|letter| matches!(letter, Mail::Tick)) {
            self.deferred.push(Mail::Tick);
        }
    }

    /// Whether a script runs for this client and others have been given turns.
    pub(in crate::exec) fn runs_script(&self, client: SessionId) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.client == client)
    }
}
