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
    /// Opens the first of `letters` at time `now`, about `TURN_COMMANDS` commands' worth: batches run together,
    /// everything else in its place between them. The rest stays for the next turn.
    pub fn open(&mut self, letters: &mut Vec<Mail>, now: Now) {
        self.set_time_us(now.unix_us);
        self.note_turn(!letters.is_empty());
        let (started, commands) = (self.ticks.raw(), self.stats.counters.total_commands_processed);
        let mut batches = std::mem::take(&mut self.gathered);
        self.hear_migration();
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
        if !self.deferred.is_empty() {
            letters.splice(0..0, self.deferred.drain(..));
        }
        self.end_flush_waits();
        self.end_waits();
        self.run_released();
        if self.loading.is_some() {
            // Here, as a script in the log may have to pause.
            self.load_slice();
        }
        self.broadcast_invalidations();
        self.evict_clients(None);
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
        // A pause may have kept those from being served who were blocked.
        self.serve_ready();
        self.run_released();
    }

    fn open_other(&mut self, letter: Mail) {
        match letter {
            Mail::Batch(..) => unreachable!("batches are gathered by the caller"),
            Mail::Connect(new) => self.admit_client(*new),
            Mail::Overflow => self.stats.counters.client_query_buffer_limit_disconnections += 1,
            Mail::Arriving { client, bytes } => self.note_arriving(client, bytes),
            Mail::Disconnect(client) => self.forget_client(client),
            Mail::Tick => self.timed_tick(),
            // The turn's end is what it came for.
            Mail::Synced => {}
            Mail::Stop { interrupt } => self.ask_to_stop(interrupt),
        }
    }

    fn timed_tick(&mut self) {
        let started = self.ticks.raw();
        self.tick();
        let spent_ns = self.ticks.nanos_between(started, self.ticks.raw());
        self.stats.counters.event_loop.cron_us += spent_ns.div_ceil(1000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cx::Pause;
    use crate::resp::{Limits, Parser};

    /// Commands as a connection sends them.
    fn batch(commands: &[u8]) -> Box<Batch> {
        let (mut parser, mut batch) = (Parser::new(), Box::<Batch>::default());
        parser.read_target(&mut batch).buf.extend_from_slice(commands);
        parser.parse(&mut batch, &Limits::default());
        batch
    }

    /// Opens `mail` at `now_ms`; the replies of the batches that are done, in order.
    fn open(executor: &mut Executor, mail: Vec<Mail>, now_ms: i64) -> Vec<Vec<u8>> {
        let (mut letters, unix_us) = (mail, now_ms * 1000);
        executor.open(&mut letters, Now { unix_us });
        executor
            .finished
            .drain(..)
            .map(|(_, batch)| batch.reply)
            .collect()
    }

    #[test]
    fn a_pause_ends_on_time_whether_or_not_the_cron_has_looked() {
        let mut executor = Executor::for_tests();
        let (first, second) = (executor.connect(), executor.connect());
        executor.server.pause = Some(Pause {
            until_ms: 2_000,
            all: false,
        });
        let held = open(
            &mut executor,
            vec![Mail::Batch(first, batch(b"APPEND k 1\r\n"))],
            1_999,
        );
        assert!(held.is_empty());
        let done = open(
            &mut executor,
            vec![Mail::Batch(second, batch(b"APPEND k 22\r\n"))],
            2_000,
        );
        assert_eq!(
            done,
            [&b":1\r\n"[..], b":3\r\n"],
            "the one that waited comes first"
        );
    }

    #[test]
    fn a_client_killed_while_it_is_held_back_leaves_nothing_behind() {
        let mut executor = Executor::for_tests();
        let (victim, killer) = (executor.connect(), executor.connect());
        let id = victim.client;
        open(
            &mut executor,
            vec![
                Mail::Batch(killer, batch(b"CLIENT PAUSE 9000 WRITE\r\n")),
                Mail::Batch(victim, batch(b"SET k v\r\n")),
                Mail::Tick,
                Mail::Batch(killer, batch(format!("CLIENT KILL ID {id}\r\n").as_bytes())),
            ],
            1_000,
        );
        assert_eq!(executor.held_count(), 0);
        // Its slot goes to another, its own farewell comes late.
        let heir = executor.connect();
        assert_eq!(heir.slot, victim.slot);
        let mail = vec![
            Mail::Batch(victim, batch(b"SET k v\r\n")),
            Mail::Disconnect(victim),
            Mail::Batch(heir, batch(b"CLIENT UNPAUSE\r\nEXISTS k\r\n")),
        ];
        assert_eq!(open(&mut executor, mail, 1_000), [b"+OK\r\n:0\r\n"]);
    }
}
