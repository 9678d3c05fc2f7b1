//! One drain: the mail that has gathered, opened in order.

use crate::base::clock::Now;
use crate::resp::Batch;
use crate::session::SessionId;

use super::Executor;
use super::mailbox::Mail;

/// Commands after which replies go out and others get a turn: half a millisecond of small ones.
const TURN_COMMANDS: usize = 2048;

/// How many letters make a turn; at least one.
fn turn_len(letters: &[Mail]) -> usize {
    let mut commands = 0;
    let within = letters.iter().take_while(|letter| {
        let room = commands < TURN_COMMANDS;
        if let Mail::Batch(_, batch) = letter {
            commands += batch.command_count();
        }
        room
    });
    within.count()
}

impl Executor {
    /// Opens the first of `letters` at time `now`, about [`TURN_COMMANDS`] commands' worth: batches run together,
    /// everything else in its place between them. The rest stays for the next turn.
    pub fn open(&mut self, letters: &mut Vec<Mail>, now: Now) {
        self.set_time_us(now.unix_us);
        let (started, commands) = (self.ticks.raw(), self.stats.counters.total_commands_processed);
        let mut batches = std::mem::take(&mut self.gathered);
        // Whoever waited for the end of a pause comes before those who arrive after it.
        self.end_pause();
        for letter in letters.drain(..turn_len(letters)) {
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
        // RESETSTAT may have been among the commands.
        let commands = self
            .stats
            .counters
            .total_commands_processed
            .saturating_sub(commands);
        // The last command's end is as good as now when there was one, and the clock is not asked twice.
        let ended = if commands > 0 { self.tick } else { self.ticks.raw() };
        let busy_ns = self.ticks.nanos_between(started, ended);
        self.stats.counters.event_loop.record_cycle(busy_ns, commands);
    }

    #[inline]
    fn run_gathered(&mut self, batches: &mut Vec<(SessionId, Box<Batch>)>) {
        if !batches.is_empty() {
            self.run_batches(batches);
        }
        self.end_pause();
    }

    /// Goes on with what a pause held back when it is over, by time or by CLIENT UNPAUSE.
    #[inline]
    fn end_pause(&mut self) {
        if self.server.pause.is_some() || self.held_count() > 0 {
            self.resume_held();
        }
    }

    fn open_other(&mut self, letter: Mail) {
        match letter {
            Mail::Batch(..) => unreachable!("batches are gathered by the caller"),
            Mail::Connect(new) => self.admit_client(*new),
            Mail::Overflow => self.stats.counters.client_query_buffer_limit_disconnections += 1,
            Mail::Disconnect(client) => self.forget_client(client),
            Mail::Tick => self.timed_tick(),
            Mail::Stop { interrupt } => self.stop(interrupt),
        }
    }

    fn timed_tick(&mut self) {
        let started = self.ticks.raw();
        self.tick();
        let spent_ns = self.ticks.nanos_between(started, self.ticks.raw());
        self.stats.counters.event_loop.cron_us += spent_ns.div_ceil(1000);
    }

    /// A signal asks the server to end.
    fn stop(&mut self, _interrupt: bool) {
        if self.exit.is_none() {
            tracing::warn!("User requested shutdown...");
            self.exit = Some(0);
        }
    }
}
