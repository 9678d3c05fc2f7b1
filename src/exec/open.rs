//! One drain: the mail that has gathered, opened in order.

use crate::base::clock::Now;
use crate::resp::Batch;
use crate::session::SessionId;

use super::Executor;
use super::mailbox::Mail;

impl Executor {
    /// Opens `letters` at time `now`: batches run together, everything else in its place between them.
    pub fn open(&mut self, letters: &mut Vec<Mail>, now: Now) {
        self.set_time_us(now.unix_us);
        let mut batches = std::mem::take(&mut self.gathered);
        for letter in letters.drain(..) {
            match letter {
                Mail::Batch(session, batch) => batches.push((session, batch)),
                other => {
                    self.run_gathered(&mut batches);
                    self.open_other(other);
                }
            }
        }
        self.run_gathered(&mut batches);
        self.gathered = batches;
    }

    #[inline]
    fn run_gathered(&mut self, batches: &mut Vec<(SessionId, Box<Batch>)>) {
        if !batches.is_empty() {
            self.run_batches(batches);
        }
        if self.server.pause.is_none() && self.held_count() > 0 {
            self.resume_held();
        }
    }

    fn open_other(&mut self, letter: Mail) {
        match letter {
            Mail::Batch(..) => unreachable!("batches are gathered by the caller"),
            Mail::Connect(new) => self.admit_client(*new),
            Mail::Disconnect(client) => self.forget_client(client),
            Mail::Tick => self.tick(),
            Mail::Stop { interrupt } => self.stop(interrupt),
        }
    }

    /// A signal asks the server to end.
    fn stop(&mut self, _interrupt: bool) {
        if self.exit.is_none() {
            tracing::warn!("User requested shutdown...");
            self.exit = Some(0);
        }
    }
}
