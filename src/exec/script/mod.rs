//! Running scripts: interpreters, their scripts and libraries, and what a script may do.
//!
//! ```text
//!   EVAL, FCALL ── Control::Script ──> run ── engine ── redis.call ──> Caller ── gates ──> run_admitted
//! ```
//!
//! A script runs as the client that called it, its session made over for the time: its own database and protocol, no reply
//! left out. Interpreters, scripts and libraries are taken out of the executor meanwhile, which is lent to the script.
//!
//! Both interpreters are made when they are first needed; a server without scripts pays nothing for them.

mod busy;
mod caller;
mod commands;
mod debug;
mod dump;
mod gates;
mod library;

use crate::base::hash::KeyHasher;
use crate::base::rng::Rng;
use crate::command::cx::{ScriptAct, ScriptFacts, ScriptRun, ScriptSource};
use crate::command::error::Error;
use crate::command::row::Flags;
use crate::command::scripting::eval::NO_SCRIPT;
use crate::command::table::CommandId;
use crate::process::version::REDIS_VERSION;
use crate::resp::{self, Reply};
use crate::script::api;
use crate::script::cache::{ScriptIndex, Scripts};
use crate::script::convert::ScriptError;
use crate::script::engine::{Call, Engine, Settings};
use crate::script::flags::{self, ScriptFlags};
use crate::script::library::Libraries;
use crate::script::lua::Ref;
use crate::session::{SessionFlags, SessionId};
use crate::stats::memory;

use super::{Executor, monitor};

pub use busy::Interlude;
use caller::Caller;
pub use caller::Running;
pub(super) use commands::busy;
pub use debug::Debugging;
pub use dump::fuzz_payload;

/// Interpreters, scripts and libraries.
#[derive(Default)]
pub struct Scripting {
    eval: Option<Engine>,
    scripts: Option<Scripts>,
    functions: Option<Engine>,
    libraries: Libraries,
}

impl Scripting {
    /// The scripts of EVAL.
    pub(super) fn texts(&mut self) -> Option<&mut Scripts> {
        self.scripts.as_mut()
    }
}

/// The command that wants something of scripts.
#[derive(Clone, Copy)]
pub(super) struct Caused<'a> {
    pub client: SessionId,
    /// Its row's number, for statistics.
    pub id: u16,
    pub words: resp::Args<'a>,
}

/// A script that a command wants run, and where its reply goes.
struct Order<'a> {
    cause: Caused<'a>,
    run: ScriptRun,
    reply: &'a mut Vec<u8>,
}

/// A script that has been found.
struct Found<'s> {
    function: &'s Ref,
    flags: ScriptFlags,
    name: &'s [u8],
}

impl Executor {
    /// Does what a command for scripts asks.
    pub(super) fn script(&mut self, cause: Caused<'_>, act: ScriptAct, reply: &mut Vec<u8>) {
        // In the middle of a script all is lent to it: what may be asked then needs none of it.
        let lent = self.running.is_some();
        let mut scripting = self.scripting.take().unwrap_or_default();
        let outcome = match act {
            ScriptAct::Run(run) => self.run_script(&mut scripting, &mut Order { cause, run, reply }),
            other => self.manage_scripts(&mut scripting, cause, other, reply),
        };
        if !lent {
            self.server.scripts = scripting.facts();
            self.scripting = Some(scripting);
        }
        if let Err(error) = outcome {
            self.answer_script_error(cause, &error, reply);
        }
    }

    #[cold]
    fn answer_script_error(&mut self, cause: Caused<'_>, error: &ScriptError, reply: &mut Vec<u8>) {
        self.stats.commands.record_failed(cause.id);
        if !error.counted {
            self.stats.record_error(&error.text);
        }
        let session = self.sessions.get(cause.client);
        Reply::new(reply, session.is_some_and(|s| s.resp == 3)).error(&error.text);
    }

    fn run_script(&mut self, scripting: &mut Scripting, order: &mut Order<'_>) -> Result<(), ScriptError> {
        self.show_to_monitors(order.cause);
        if order.run.debugged {
            return self.debug_script(scripting, order);
        }
        if order.run.source == ScriptSource::Function {
            return self.run_function(scripting, order);
        }
        self.run_eval(scripting, order)
    }

    /// Shows a script's command to those who watch, before the commands it runs.
    #[inline]
    fn show_to_monitors(&mut self, cause: Caused<'_>) {
        if self.server.monitors > 0 {
            let row = self.table.command(CommandId(cause.id)).row;
            monitor::show(
                &mut self.sessions,
                cause.client,
                cause.words,
                row,
                self.now_unix_us,
            );
        }
    }

    /// The script of EVAL or EVALSHA, compiled if it is new.
    #[inline]
    fn find_script(
        &mut self,
        scripting: &mut Scripting,
        order: &Order<'_>,
    ) -> Result<ScriptIndex, ScriptError> {
        let place = scripting.find_or_compile(order.cause.words.get(1), order.run.source, &mut self.rng)?;
        self.stats.counters.evicted_scripts += u64::from(place.evicted);
        Ok(place.at)
    }

    fn run_eval(&mut self, scripting: &mut Scripting, order: &mut Order<'_>) -> Result<(), ScriptError> {
        let index = self.find_script(scripting, order)?;
        let Scripting { eval, scripts, .. } = scripting;
        let (Some(engine), Some(scripts)) = (eval, scripts) else {
            return Err(uncounted(NO_SCRIPT));
        };
        let script = scripts.get(index);
        let found = Found {
            function: &script.function,
            flags: script.flags,
            name: &api::hex(&script.digest),
        };
        let outcome = self.run_found(engine, &found, order);
        scripts.touch(index);
        outcome
    }

    fn run_function(&mut self, scripting: &mut Scripting, order: &mut Order<'_>) -> Result<(), ScriptError> {
        let Scripting {
            functions, libraries, ..
        } = scripting;
        let function = libraries.function(order.cause.words.get(1));
        let (Some(engine), Some(function)) = (functions, function) else {
            return Err(uncounted(Error::fixed("ERR Function not found")));
        };
        let found = Found {
            function: &function.callback,
            flags: function.flags,
            name: &function.name,
        };
        self.run_found(engine, &found, order)
    }

    fn run_found(
        &mut self,
        engine: &mut Engine,
        found: &Found<'_>,
        order: &mut Order<'_>,
    ) -> Result<(), ScriptError> {
        let Order { cause, run, reply } = order;
        let cause = *cause;
        let keys = *run.keys.as_ref().map_err(|error| uncounted(error.clone()))?;
        let (is_short, state) = (self.evictor.is_short(), self.server_state());
        gates::begin(found.flags, run.read_only, is_short, state).map_err(uncounted)?;
        let (keys, args) = cause.words.tail(3).split_at(keys);
        let name = found.name;
        let call = Call { name, keys, args };
        let resp3 = self.sessions[cause.client].resp == 3;
        let borrowed = self.lend_session(cause.client);
        let is_function = run.source == ScriptSource::Function;
        let mut flags = found.flags;
        flags.set(
            ScriptFlags::NO_WRITES,
            run.read_only || flags.contains(ScriptFlags::NO_WRITES),
        );
        let mut caller = Caller::new(self, cause, name, is_function, flags);
        let mut reply = Reply::new(reply, resp3);
        let outcome = if is_function {
            engine.run_function(found.function, &call, &mut caller, &mut reply)
        } else {
            engine.run_script(found.function, &call, &mut caller, &mut reply)
        };
        caller.end();
        self.take_back_session(cause.client, &borrowed);
        outcome
    }

    /// Makes a session over for a script.
    fn lend_session(&mut self, client: SessionId) -> Borrowed {
        let session = &mut self.sessions[client];
        let borrowed = Borrowed {
            db: session.db,
            flags: session.flags,
        };
        session.script_resp = 2;
        session.flags = session.flags.difference(SILENT) | SessionFlags::SCRIPT;
        borrowed
    }

    fn take_back_session(&mut self, client: SessionId, borrowed: &Borrowed) {
        self.keys.select(borrowed.db);
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        session.db = borrowed.db;
        session.flags = session.flags.difference(SessionFlags::SCRIPT) | borrowed.flags & SILENT;
    }

    /// What holds for a command that runs a script, by what the script says of itself, and for EXEC, by what is queued:
    /// for gates that are about to close.
    #[cold]
    pub(super) fn flags_in_force(&self, client: SessionId, id: u16, words: resp::Args<'_>) -> Flags {
        let flags = self.flags_alone(id, words);
        let queued = self.sessions[client].transaction.as_ref();
        match queued.filter(|_| flags.contains(Flags::RUNS_QUEUE)) {
            Some(transaction) => flags | Flags::from_bits_retain(transaction.flags),
            None => flags,
        }
    }

    /// The same of the command alone.
    pub(super) fn flags_alone(&self, id: u16, words: resp::Args<'_>) -> Flags {
        let row = self.table.command(CommandId(id)).row;
        let script = row.script.and_then(|source| self.script_flags(source, words));
        script.map_or(row.flags, |script| gates::flags(row.flags, script))
    }

    fn script_flags(&self, source: ScriptSource, words: resp::Args<'_>) -> Option<ScriptFlags> {
        let word = words.try_get(1)?;
        let scripting = self.scripting.as_ref();
        match source {
            ScriptSource::Function => Some(scripting?.libraries.function(word)?.flags),
            ScriptSource::Digest => {
                let scripts = scripting?.scripts.as_ref()?;
                Some(scripts.get(scripts.find_hex(word)?).flags)
            }
            ScriptSource::Text => Some(flags::of_script(word).ok()?.0),
        }
    }
}

/// What a session had before a script used it.
struct Borrowed {
    db: usize,
    flags: SessionFlags,
}

/// Flags that would leave out replies, which a script wants to see.
const SILENT: SessionFlags = SessionFlags::REPLY_OFF.union(SessionFlags::REPLY_SKIP);

/// An error that has not been counted yet.
fn uncounted(error: Error) -> ScriptError {
    ScriptError {
        text: error.text().into_owned(),
        counted: false,
    }
}

/// A text without a code as an error.
fn coded(text: &[u8]) -> ScriptError {
    ScriptError {
        text: [b"ERR ", text].concat(),
        counted: false,
    }
}

/// What interpreters are made with.
fn settings(rng: &mut Rng) -> Settings<'static> {
    /// Share of the machine's memory that the scripts of one interpreter may fill.
    const MEMORY_SHARE: u64 = 2;
    Settings {
        version: REDIS_VERSION,
        limit_bytes: (memory::system_memory_bytes() / MEMORY_SHARE) as usize,
        seed: rng.next_u64() as u32,
    }
}

/// Where a script is, and whether another had to go for it.
struct Place {
    at: ScriptIndex,
    evicted: bool,
}

impl Scripting {
    /// The script of EVAL or EVALSHA, compiled if it is new.
    fn find_or_compile(
        &mut self,
        word: &[u8],
        source: ScriptSource,
        rng: &mut Rng,
    ) -> Result<Place, ScriptError> {
        let scripts = self.scripts.as_ref();
        let found = match source {
            ScriptSource::Digest => scripts.and_then(|scripts| scripts.find_hex(word)),
            _ => scripts.and_then(|scripts| scripts.find_text(word)),
        };
        match found {
            Some(at) => Ok(Place { at, evicted: false }),
            None if source == ScriptSource::Digest => Err(uncounted(NO_SCRIPT)),
            None => self.compile(word, true, rng),
        }
    }

    /// Compiles a script that is not in the cache. `evictable`: it came with EVAL.
    #[cold]
    fn compile(&mut self, text: &[u8], evictable: bool, rng: &mut Rng) -> Result<Place, ScriptError> {
        let (flags, source) = flags::of_script(text).map_err(|reason| coded(&reason))?;
        let engine = self.eval.get_or_insert_with(|| Engine::eval(settings(rng)));
        let function = engine.compile(source).map_err(|reason| {
            let text = [b"Error compiling script (new function): ", &reason[..]].concat();
            coded(&text)
        })?;
        let scripts = self
            .scripts
            .get_or_insert_with(|| Scripts::new(KeyHasher::with_seed(rng.next_u64())));
        let evicted = if evictable { scripts.evict() } else { None };
        let (at, _) = scripts.add(text, flags, function, evictable);
        Ok(Place {
            at,
            evicted: evicted.map(|function| engine.release(function)).is_some(),
        })
    }

    fn facts(&self) -> ScriptFacts {
        let used = |engine: &Option<Engine>| engine.as_ref().map_or(0, Engine::used_bytes);
        ScriptFacts {
            eval_bytes: used(&self.eval),
            function_bytes: used(&self.functions),
            scripts: self.scripts.as_ref().map_or(0, Scripts::len),
            scripts_bytes: self.scripts.as_ref().map_or(0, Scripts::memory_bytes),
            libraries: self.libraries.len(),
            functions: self.libraries.function_count(),
            libraries_bytes: self.libraries.memory_bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
