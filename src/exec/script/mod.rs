//! Running scripts: interpreters, their scripts and libraries, and what a script may do.
//!
//! ```text
//!   EVAL, FCALL ── Control::Script ──> run ── engine ── redis.call ──> Caller ── gates ──> run_admitted
//! ```
//!
//! A script runs as the client that called it, its session made over for the time: its own database and protocol, nothing
//! of replies being off. The interpreters are taken out of the executor meanwhile, which is lent to the script's calls.
//!
//! Both interpreters are made when they are first needed; a server without scripts pays nothing for them.

mod caller;
mod commands;
mod dump;
mod library;

use std::time::{Duration, Instant};

use crate::command::cx::{ScriptAct, ScriptFacts, ScriptRun, ScriptSource};
use crate::command::error::Error;
use crate::command::row::Flags;
use crate::command::scripting::eval::NO_SCRIPT;
use crate::process::version::REDIS_VERSION;
use crate::resp::{self, Reply};
use crate::script::cache::{ScriptIndex, Scripts};
use crate::script::convert::ScriptError;
use crate::script::engine::{Call, Engine, Settings};
use crate::script::flags::{self, ScriptFlags};
use crate::script::library::Libraries;
use crate::script::lua::Ref;
use crate::session::{SessionFlags, SessionId};
use crate::stats::memory;

use super::{Executor, monitor};

pub use caller::Running;
use caller::Caller;

/// Share of the machine's memory that the scripts of one interpreter may fill.
const MEMORY_SHARE: u64 = 2;

/// How long a library may take to load.
const LOAD_LIMIT: Duration = Duration::from_millis(500);

/// Interpreters, scripts and libraries.
#[derive(Default)]
pub struct Scripting {
    eval: Option<Engine>,
    scripts: Option<Scripts>,
    functions: Option<Engine>,
    libraries: Libraries,
}

/// The command whose business a [`ScriptAct`] is.
#[derive(Clone, Copy)]
pub(super) struct Caused<'a> {
    pub client: SessionId,
    /// Its row's number, for statistics.
    pub id: u16,
    pub words: resp::Args<'a>,
}

/// A script that has been found.
struct Found<'s> {
    function: &'s Ref,
    flags: ScriptFlags,
    name: Vec<u8>,
}

impl Executor {
    /// Does what a command for scripts asks.
    #[cold]
    pub(super) fn script(&mut self, cause: Caused<'_>, act: ScriptAct, reply: &mut Vec<u8>) {
        let mut scripting = std::mem::take(&mut self.scripting);
        let outcome = match act {
            ScriptAct::Run(run) => self.run_script(&mut scripting, cause, run, reply),
            other => self.manage_scripts(&mut scripting, cause, other, reply),
        };
        self.server.scripts = scripting.facts();
        self.scripting = scripting;
        if let Err(error) = outcome {
            if !error.counted {
                self.stats.commands.record_failed(cause.id);
                self.stats.record_error(&error.text);
            }
            let resp3 = self.sessions.get(cause.client).is_some_and(|s| s.resp == 3);
            Reply::new(reply, resp3).error(&error.text);
        }
    }

    fn run_script(
        &mut self,
        scripting: &mut Scripting,
        cause: Caused<'_>,
        run: ScriptRun,
        reply: &mut Vec<u8>,
    ) -> Result<(), ScriptError> {
        if self.server.monitors > 0 {
            // Before the commands it runs.
            let row = self.table.command(crate::command::table::CommandId(cause.id)).row;
            monitor::show(&mut self.sessions, cause.client, cause.words, row, self.now_unix_us);
        }
        if run.source == ScriptSource::Function {
            return self.run_function(scripting, cause, run, reply);
        }
        let settings = self.script_settings();
        let index = scripting.find_or_compile(&settings, cause.words.get(1), run.source)?;
        let Scripting { eval, scripts, .. } = scripting;
        let (Some(engine), Some(scripts)) = (eval, scripts) else {
            return Err(uncounted(NO_SCRIPT));
        };
        let script = scripts.get(index);
        let found = Found {
            function: &script.function,
            flags: script.flags,
            name: crate::script::api::hex(&script.digest).to_vec(),
        };
        let outcome = self.run_found(engine, &found, cause, run, reply);
        scripts.touch(index);
        outcome
    }

    fn run_function(
        &mut self,
        scripting: &mut Scripting,
        cause: Caused<'_>,
        run: ScriptRun,
        reply: &mut Vec<u8>,
    ) -> Result<(), ScriptError> {
        let Scripting {
            functions, libraries, ..
        } = scripting;
        let name = cause.words.get(1);
        let function = libraries.function(name);
        let (Some(engine), Some(function)) = (functions, function) else {
            return Err(uncounted(Error::fixed("ERR Function not found")));
        };
        let found = Found {
            function: &function.callback,
            flags: function.flags,
            name: function.name.clone(),
        };
        self.run_found(engine, &found, cause, run, reply)
    }

    fn run_found(
        &mut self,
        engine: &mut Engine,
        found: &Found<'_>,
        cause: Caused<'_>,
        run: ScriptRun,
        reply: &mut Vec<u8>,
    ) -> Result<(), ScriptError> {
        let keys = run.keys.map_err(uncounted)?;
        admit(found.flags, run.read_only).map_err(uncounted)?;
        let (keys, args) = cause.words.tail(3).split_at(keys);
        let call = Call {
            name: &found.name,
            keys,
            args,
        };
        let client = cause.client;
        let session = &mut self.sessions[client];
        let (db, resp, session_flags) = (session.db, session.resp, session.flags);
        session.resp = 2;
        session.flags.remove(SessionFlags::REPLY_OFF | SessionFlags::REPLY_SKIP);
        session.flags.insert(SessionFlags::SCRIPT);
        let mut caller = Caller::new(self, cause, found, &run);
        let mut reply = Reply::new(reply, resp == 3);
        let outcome = if run.source == ScriptSource::Function {
            engine.run_function(found.function, &call, &mut caller, &mut reply)
        } else {
            engine.run_script(found.function, &call, &mut caller, &mut reply)
        };
        caller.end();
        if let Some(session) = self.sessions.get_mut(client) {
            (session.db, session.resp) = (db, resp);
            const LENT: SessionFlags = SessionFlags::REPLY_OFF
                .union(SessionFlags::REPLY_SKIP)
                .union(SessionFlags::SCRIPT);
            session.flags = session.flags.difference(LENT) | session_flags & LENT;
            self.keys.select(db);
        }
        outcome
    }

    /// What interpreters are made with.
    fn script_settings(&mut self) -> Settings<'static> {
        Settings {
            version: REDIS_VERSION,
            limit_bytes: (memory::system_memory_bytes() / MEMORY_SHARE) as usize,
            seed: self.rng.next_u64() as u32,
        }
    }

    /// Whether the script that a command runs may write, for gates that hold writes back.
    pub(super) fn script_may_write(&self, source: ScriptSource, words: resp::Args<'_>) -> Option<bool> {
        let word = words.try_get(1)?;
        let scripting = &self.scripting;
        let cached = |index| scripting.scripts.as_ref().map(|scripts| scripts.get(index).flags);
        let flags = match source {
            ScriptSource::Function => scripting.libraries.function(word)?.flags,
            ScriptSource::Digest => cached(scripting.scripts.as_ref()?.find_hex(word)?)?,
            ScriptSource::Text => flags::of_script(word).ok()?.0,
        };
        (!flags.contains(ScriptFlags::COMPAT)).then(|| !flags.contains(ScriptFlags::NO_WRITES))
    }
}

/// Whether a script may run, by what it says about itself.
fn admit(flags: ScriptFlags, read_only: bool) -> Result<(), Error> {
    let may_write = !flags.intersects(ScriptFlags::COMPAT | ScriptFlags::NO_WRITES);
    if read_only && may_write {
        return Err(Error::fixed(
            "ERR Can not execute a script with write flag using *_ro command.",
        ));
    }
    Ok(())
}

/// An error that has not been counted yet.
fn uncounted(error: Error) -> ScriptError {
    ScriptError {
        text: error.text().into_owned(),
        counted: false,
    }
}

impl Scripting {
    /// The script of EVAL or EVALSHA, compiled if it is new.
    fn find_or_compile(
        &mut self,
        settings: &Settings<'_>,
        word: &[u8],
        source: ScriptSource,
    ) -> Result<ScriptIndex, ScriptError> {
        if source == ScriptSource::Digest {
            let found = self.scripts.as_ref().and_then(|scripts| scripts.find_hex(word));
            return found.ok_or_else(|| uncounted(NO_SCRIPT));
        }
        let known = self.scripts.as_ref().and_then(|scripts| scripts.find_text(word));
        match known {
            Some(index) => Ok(index),
            None => self.compile(settings, word, true),
        }
    }

    /// Compiles a script that is not in the cache. `evictable`: it came with EVAL.
    fn compile(
        &mut self,
        settings: &Settings<'_>,
        text: &[u8],
        evictable: bool,
    ) -> Result<ScriptIndex, ScriptError> {
        let error = |text: Vec<u8>| uncounted(Error::Text([b"ERR ", &text[..]].concat().into()));
        let (flags, source) = flags::of_script(text).map_err(error)?;
        let engine = self.eval.get_or_insert_with(|| Engine::eval(*settings));
        let function = engine.compile(source).map_err(|reason| {
            error([b"Error compiling script (new function): ", &reason[..]].concat())
        })?;
        let seed = u64::from(settings.seed);
        let scripts = self
            .scripts
            .get_or_insert_with(|| Scripts::new(crate::base::hash::KeyHasher::with_seed(seed)));
        if evictable && let Some(evicted) = scripts.evict() {
            engine.release(evicted);
            self.evicted += 1;
        }
        Ok(scripts.add(text, flags, function, evictable).0)
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

/// Frees interpreters and what they hold, here or on a thread of its own.
fn discard<T: Send + 'static>(garbage: T, lazy: bool) {
    if lazy {
        // Without a thread to spare it is freed here.
        let _ = std::thread::Builder::new()
            .name("lua_free".into())
            .spawn(move || drop(garbage));
    }
}

/// Whether the flags of a row say it cannot be called by a script.
fn is_barred(flags: Flags) -> bool {
    flags.contains(Flags::NOSCRIPT)
}

/// Since when a script runs.
fn started() -> Instant {
    Instant::now()
}
