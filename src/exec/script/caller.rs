//! What a running script can do: its calls, their gates, and when it has run too long.
//!
//! A call asks the gates in Redis's order: known, arity, allowed in scripts, no write of a reader. What a command answers
//! goes back to the script, an error as well.

use crate::base::clock::Tick;
use crate::command::error::Error;
use crate::command::row::Flags;
use crate::command::table::CommandId;
use crate::keyspace::changes::Audience;
use crate::process::log;
use crate::resp;
use crate::script::context::{Called, Host, Replication};
use crate::script::flags::ScriptFlags;
use crate::session::SessionId;

use super::super::Executor;
use super::super::dispatch::{Resolved, Run};
use super::Caused;
use super::gates::{self, Licence};

/// A script that has run for longer than `busy-reply-threshold`: others are told BUSY meanwhile.
#[derive(Debug)]
pub struct Running {
    /// For whom it runs.
    pub client: SessionId,
    /// How it is named: its SHA-1 or its function's name.
    pub name: Vec<u8>,
    /// The command that runs it.
    pub words: Vec<Box<[u8]>>,
    /// It is the function of a library.
    pub is_function: bool,
    /// It has written, and so must not be killed.
    pub wrote: bool,
    /// It is to end.
    pub killed: bool,
    /// How long it has run when last seen, in milliseconds.
    pub duration_ms: u64,
}

/// The executor as a script sees it.
pub(super) struct Caller<'e> {
    executor: &'e mut Executor,
    cause: Caused<'e>,
    name: &'e [u8],
    is_function: bool,
    licence: Licence,
    started: Tick,
    threshold_ms: u64,
}

impl<'e> Caller<'e> {
    pub fn new(
        executor: &'e mut Executor,
        cause: Caused<'e>,
        name: &'e [u8],
        is_function: bool,
        flags: ScriptFlags,
    ) -> Caller<'e> {
        Caller {
            cause,
            name,
            is_function,
            licence: Licence {
                read_only: flags.contains(ScriptFlags::NO_WRITES),
                allows_oom: flags.contains(ScriptFlags::ALLOW_OOM),
                wrote: false,
            },
            started: executor.tick,
            threshold_ms: executor.busy_ms,
            executor,
        }
    }

    /// The script is over.
    pub fn end(self) {
        self.executor.keys.changes.audience = Audience::all();
        self.executor.running = None;
    }

    /// Whether the script may call this command; its number.
    fn admit(&self, words: resp::Args<'_>) -> Result<u16, (Option<u16>, Error)> {
        let Resolved::Command(id) = self.executor.resolve(words) else {
            return Err((None, Error::fixed("ERR Unknown Redis command called from script")));
        };
        let executor = &self.executor;
        let admitted = gates::call(
            executor.table.command(CommandId(id)),
            words.len(),
            self.licence,
            executor.server.noscript_allowed,
            executor.evictor.is_short(),
            executor.server_state(),
        );
        admitted.map_err(|error| (Some(id), error))?;
        Ok(id)
    }

    #[cold]
    fn refuse(&mut self, id: Option<u16>, error: &Error, reply: &mut Vec<u8>) {
        if let Some(id) = id {
            self.executor.stats.commands.record_rejected(id);
        }
        self.executor.write_error(self.cause.client, error, reply);
    }

    /// The script has run too long: others get a turn, in which it may be killed.
    #[cold]
    fn be_busy(&mut self, duration_ms: u64) -> Option<&'static str> {
        if self.executor.running.is_none() {
            self.note_slow(duration_ms);
            self.executor.running = Some(Box::new(Running {
                client: self.cause.client,
                name: self.name.to_vec(),
                words: self.cause.words.iter().map(Box::from).collect(),
                is_function: self.is_function,
                wrote: false,
                killed: false,
                duration_ms,
            }));
        }
        if let Some(running) = &mut self.executor.running {
            running.wrote = self.licence.wrote;
            running.duration_ms = duration_ms;
        }
        if !self.is_to_end() {
            self.executor.give_turn();
        }
        match (self.is_to_end(), self.is_function) {
            (false, _) => None,
            (true, true) => Some("Script killed by user with FUNCTION KILL."),
            (true, false) => Some("Script killed by user with SCRIPT KILL."),
        }
    }

    /// Somebody has killed it, or the server ends.
    fn is_to_end(&self) -> bool {
        let running = self.executor.running.as_ref();
        self.executor.exit.is_some() || running.is_some_and(|running| running.killed)
    }

    fn note_slow(&self, duration_ms: u64) {
        let way = if self.is_function {
            "FUNCTION KILL"
        } else {
            "SCRIPT KILL"
        };
        let name = String::from_utf8_lossy(self.name);
        tracing::warn!(
            "Slow script detected: still in execution after {duration_ms} milliseconds. You can try killing the script \
             using the {way} command. Script name is: {name}."
        );
    }
}

impl Host for Caller<'_> {
    fn call(&mut self, words: resp::Args<'_>, reply: &mut Vec<u8>) -> Called {
        let id = match self.admit(words) {
            Ok(id) => id,
            Err((id, error)) => {
                self.refuse(id, &error, reply);
                return Called::Refused;
            }
        };
        let flags = self.executor.table.command(CommandId(id)).row.flags;
        self.licence.wrote |= flags.contains(Flags::WRITE);
        let run = Run {
            nested: true,
            ..Run::default()
        };
        self.executor
            .run_admitted(self.cause.client, words, id, run, reply, None);
        Called::Ran
    }

    fn set_resp(&mut self, version: u8) {
        self.executor.sessions[self.cause.client].script_resp = version;
    }

    fn speaks_resp3(&self) -> bool {
        self.executor.sessions[self.cause.client].script_resp == 3
    }

    fn set_replication(&mut self, targets: Replication) {
        let audience = &mut self.executor.keys.changes.audience;
        audience.set(Audience::LOG, targets.aof);
        audience.set(Audience::REPLICAS, targets.replicas);
    }

    fn may_run(&mut self, words: resp::Args<'_>) -> Option<bool> {
        // The one user there is may run everything.
        matches!(self.executor.resolve(words), Resolved::Command(_)).then_some(true)
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        self.executor.log_of_script(level, text);
    }

    fn interrupt(&mut self) -> Option<&'static str> {
        let now = self.executor.ticks.raw();
        let duration_ms = self.executor.ticks.nanos_between(self.started, now) / 1_000_000;
        if self.threshold_ms == 0 || duration_ms < self.threshold_ms {
            return None;
        }
        self.be_busy(duration_ms)
    }
}

/// Writes a script's line to the log, at Redis's level 0 to 3.
pub(super) fn write_log(level: u8, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    match level {
        0 => log::debug!("{text}"),
        1 => log::verbose!("{text}"),
        2 => log::notice!("{text}"),
        _ => log::warning!("{text}"),
    }
}
