//! Recurring work: a list of jobs, each with its period, run when the mailbox brings a tick.
//!
//! Ticks come `hz` times a second. A job is due when its period has passed since it last ran; time is the executor's.

use std::time::{Duration, Instant};

use crate::command::cx::output_limit;
use crate::process::crash;
use crate::session::{SessionFlags, SessionId};

use super::{Executor, effects};

/// A recurring job.
struct Job {
    period_ms: i64,
    run: fn(&mut Executor),
}

const JOBS: &[Job] = &[
    Job {
        period_ms: 0,
        run: begin_sweep,
    },
    Job {
        period_ms: 0,
        run: grant_survey,
    },
    Job {
        period_ms: 0,
        run: Executor::attend_child,
    },
    Job {
        period_ms: 100,
        run: sample_rates,
    },
    Job {
        period_ms: 100,
        run: Executor::sample_memory,
    },
    Job {
        period_ms: 1000,
        run: close_idle,
    },
    Job {
        period_ms: 1000,
        run: trim_waiting,
    },
    Job {
        period_ms: 1000,
        run: Executor::count_migrate_links,
    },
    Job {
        period_ms: 100,
        run: check_output_limits,
    },
    Job {
        period_ms: 0,
        run: Executor::stop_if_asked,
    },
    Job {
        period_ms: 0,
        run: Executor::limit_tracking_table,
    },
    Job {
        period_ms: 1000,
        run: Executor::count_all_clients,
    },
    Job {
        period_ms: 1000,
        run: Executor::end_idle_tracking,
    },
    Job {
        period_ms: 1000,
        run: Executor::watch_fragmentation,
    },
    Job {
        period_ms: 1000,
        run: Executor::look_for_folder,
    },
    Job {
        period_ms: 5000,
        run: log_databases,
    },
];

/// When each job last ran, and what the present tick may still spend on expiry and on a memory survey.
#[derive(Default)]
pub struct Cron {
    last_ms: [i64; JOBS.len()],
    sweep_left: Duration,
    survey_left: Duration,
}

/// Share of the time between ticks that active expiry may take, in percent, at `active-expire-effort 1`.
const SWEEP_PERCENT: u32 = 25;

/// Longest piece of a sweep between two looks at the mailbox.
const SWEEP_SLICE: Duration = Duration::from_micros(500);

/// Share of the time between ticks that a memory survey may take, in percent.
const SURVEY_PERCENT: u32 = 10;

/// Longest piece of a survey between two looks at the mailbox; a value of which all elements are asked for takes longer.
const SURVEY_SLICE: Duration = Duration::from_micros(100);

impl Executor {
    /// Runs the jobs that are due.
    pub fn tick(&mut self) {
        self.feed_watchdog();
        if self.server.cron_paused {
            return;
        }
        let now_ms = self.now_unix_us / 1000;
        for (index, job) in JOBS.iter().enumerate() {
            let last = &mut self.cron.last_ms[index];
            // A clock set back must not stop a job until it has caught up.
            if now_ms - *last >= job.period_ms || now_ms < *last {
                *last = now_ms;
                (job.run)(self);
            }
        }
    }

    /// Asks the allocator and the system what memory is used; on the thread that runs commands.
    pub fn sample_memory(&mut self) {
        self.stats.sample_memory();
    }

    /// Puts off the alarm of `watchdog-period` that shows where the thread is stuck.
    fn feed_watchdog(&self) {
        let period_ms = self.config.int("watchdog-period");
        if period_ms > 0 {
            crash::feed_watchdog(period_ms.max(self.watchdog_least_ms()) as u32);
        }
    }

    /// Makes a watchdog that is too impatient wait for two ticks. Compat: CONFIG GET shows that.
    pub(super) fn lengthen_watchdog(&mut self) {
        let least_ms = self.watchdog_least_ms();
        if (1..least_ms).contains(&self.config.int("watchdog-period")) {
            let lengthened = self
                .config
                .assign("watchdog-period", least_ms.to_string().as_bytes());
            debug_assert!(lengthened.is_ok(), "a longer time is within bounds");
        }
    }

    fn watchdog_least_ms(&self) -> i64 {
        2 * 1000 / self.config.int("hz").max(1)
    }

    /// Whether active expiry has work and time left in this tick: the executor's loop gives it slices then.
    pub fn is_sweeping(&self) -> bool {
        // Compat: during a pause nothing expires but in the eyes of readers.
        !self.cron.sweep_left.is_zero() && !self.server.is_holding()
    }

    /// Whether there is work to go on with between two looks at the mailbox.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.is_sweeping()
            || self.loading.is_some()
            || self.evictor.continues()
            || self.is_surveying()
            || self.is_defrag_due()
    }

    /// Goes on with it for a moment.
    #[inline]
    pub fn go_on(&mut self) {
        self.go_on_defrag();
        if self.loading.is_some() {
            return;
        }
        if self.evictor.continues() {
            self.eviction_slice();
        } else if self.is_sweeping() {
            self.sweep_slice();
        } else if self.is_surveying() {
            self.survey_slice();
        }
    }

    /// Whether a memory survey has work and time left in this tick.
    fn is_surveying(&self) -> bool {
        !self.cron.survey_left.is_zero() && self.keys.is_surveyed()
    }

    /// One slice of it.
    fn survey_slice(&mut self) {
        let started = Instant::now();
        let slice = SURVEY_SLICE.min(self.cron.survey_left);
        self.keys.survey_on(&mut || started.elapsed() < slice);
        let spent = started.elapsed();
        if let Some(survey) = &mut self.keys.survey {
            survey.spent_us += spent.as_micros() as u64;
        }
        self.cron.survey_left = self.cron.survey_left.saturating_sub(spent);
    }

    /// One slice of active expiry.
    fn sweep_slice(&mut self) {
        let started = Instant::now();
        let slice = SWEEP_SLICE.min(self.cron.sweep_left);
        let more = self.keys.sweep_expired(&mut || started.elapsed() < slice);
        let spent = started.elapsed();
        self.keys.stats.expire_cycle_us += spent.as_micros() as u64;
        self.stats
            .note_latency("expire-cycle", self.now_unix_us, spent.as_millis() as u64);
        let left = self.cron.sweep_left.saturating_sub(spent);
        self.keys.stats.expire_time_cap_reached += u64::from(more && left.is_zero());
        self.cron.sweep_left = if more { left } else { Duration::ZERO };
        effects::drain_background(self);
    }
}

/// Grants active expiry its share of the time until the next tick.
fn begin_sweep(executor: &mut Executor) {
    if executor.server.active_expire_off {
        executor.cron.sweep_left = Duration::ZERO;
        return;
    }
    let effort = executor.config.int("active-expire-effort").clamp(1, 10) as u32;
    let hz = executor.config.int("hz").max(1) as u32;
    let percent = SWEEP_PERCENT + 2 * (effort - 1);
    executor.cron.sweep_left = Duration::from_secs(1) / hz * percent / 100;
}

/// Grants a memory survey its share.
fn grant_survey(executor: &mut Executor) {
    let hz = executor.config.int("hz").max(1) as u32;
    executor.cron.survey_left = Duration::from_secs(1) / hz * SURVEY_PERCENT / 100;
}

fn sample_rates(executor: &mut Executor) {
    executor.stats.sample_rates(executor.now_unix_us);
}

/// Closes clients that have been silent for longer than `timeout`.
fn close_idle(executor: &mut Executor) {
    let timeout_ms = executor.config.int("timeout") * 1000;
    if timeout_ms == 0 {
        return;
    }
    let now_ms = executor.now_unix_us / 1000;
    const EXEMPT: SessionFlags = SessionFlags::REPLICA
        .union(SessionFlags::MONITOR)
        .union(SessionFlags::PUBSUB)
        .union(SessionFlags::PAUSED)
        .union(SessionFlags::BLOCKED)
        .union(SessionFlags::INTERNAL);
    let idle: Vec<SessionId> = executor
        .sessions
        .iter()
        .filter(|(_, s)| !s.flags.intersects(EXEMPT) && now_ms - s.active_ms > timeout_ms)
        .map(|(id, _)| id)
        .collect();
    for id in idle {
        tracing::debug!("Closing idle client");
        executor.kill(id);
    }
}

/// Takes back the room kept for the rest of a command that does not come.
fn trim_waiting(executor: &mut Executor) {
    const PATIENCE_MS: i64 = 2_000;
    let now_ms = executor.now_unix_us / 1000;
    let waiting = executor
        .sessions
        .iter()
        .filter(|(_, s)| now_ms - s.active_ms > PATIENCE_MS);
    for outlet in waiting.filter_map(|(_, session)| session.outlet.as_ref()) {
        if outlet.input_bytes().1 > 0 {
            outlet.trim();
        }
    }
}

/// Closes clients whose queued pushes exceed their class's limit, hard at once or soft for too long.
fn check_output_limits(executor: &mut Executor) {
    let now_s = executor.now_unix_us / 1_000_000;
    let mut over = Vec::new();
    for (id, session) in executor.sessions.iter_mut() {
        let Some(outlet) = &session.outlet else { continue };
        let limit = output_limit(&executor.config, session);
        let queued = outlet.queued_bytes() as u64;
        let soft = limit.soft_bytes > 0 && queued > limit.soft_bytes;
        session.soft_limit_since = match (soft, session.soft_limit_since) {
            (false, _) => 0,
            (true, 0) => now_s,
            (true, since) => since,
        };
        let too_long = soft && now_s - session.soft_limit_since > limit.soft_seconds;
        if limit.hard_bytes > 0 && queued > limit.hard_bytes || too_long {
            over.push(id);
        }
    }
    for id in over {
        executor.cut_off(id);
    }
}

/// At `loglevel verbose`: how full the databases are.
fn log_databases(executor: &mut Executor) {
    for index in 0..executor.keys.db_count() {
        let db = executor.keys.db(index);
        if !db.is_empty() {
            let slots = db.dict().capacity();
            tracing::debug!(
                "DB {index}: {} keys ({} volatile) in {slots} slots HT.",
                db.len(),
                db.volatile()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survey_takes_its_share_of_each_tick_until_all_is_seen() {
        let mut executor = Executor::for_tests();
        let client = executor.connect();
        for n in 0..3_000 {
            executor.run(client, &[b"SET", format!("user:{n}").as_bytes(), b"x"]);
        }
        executor.run(client, &[b"RUSSET.MEMORY", b"START", b"SAMPLES", b"0"]);
        assert!(!executor.is_busy(), "nothing before the first tick");
        let mut now_us = 1_000_000;
        while executor.keys.is_surveyed() {
            now_us += 100_000;
            executor.set_time_us(now_us);
            executor.tick();
            while executor.is_busy() {
                executor.go_on();
            }
        }
        let report = executor.run(client, &[b"RUSSET.MEMORY", b"REPORT"]);
        let report = String::from_utf8_lossy(&report).into_owned();
        assert!(report.contains("Survey complete: 3000 keys"), "{report}");
        let user = report.lines().find(|line| line.ends_with("  user:"));
        assert!(
            user.is_some_and(|line| line.contains("3000") && line.contains("100.0%")),
            "{report}"
        );
        let database = executor.keys.db(0);
        let truth: usize = database.dict().iter().map(|entry| entry.sampled_bytes(0)).sum();
        let survey = executor.keys.survey.as_ref().expect("it stays");
        assert_eq!(survey.total().bytes, truth as u64);
    }

    /// A client like those that come through a socket.
    fn silent_client(executor: &mut Executor, flags: SessionFlags) -> SessionId {
        let client = executor.connect();
        executor.sessions[client].flags = flags;
        client
    }

    #[test]
    fn a_client_that_waits_for_the_end_of_a_pause_is_not_idle() {
        let mut executor = Executor::for_tests();
        assert!(executor.config.assign("timeout", b"1").is_ok());
        let idle = silent_client(&mut executor, SessionFlags::empty());
        let held = silent_client(&mut executor, SessionFlags::PAUSED);
        executor.set_time_us(10_000_000);
        executor.tick();
        assert!(executor.sessions.contains(held));
        assert!(!executor.sessions.contains(idle));
    }
}
