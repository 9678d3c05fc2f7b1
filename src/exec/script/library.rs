//! FUNCTION's commands: loading, listing, deleting, dumping and restoring libraries.

use std::time::Duration;

use crate::base::glob;
use crate::command::cx::{RestorePolicy, ScriptAct};
use crate::resp::Reply;
use crate::script::convert::ScriptError;
use crate::script::engine::Engine;
use crate::script::flags::{self, FLAG_NAMES};
use crate::script::library::{Libraries, Library};
use crate::script::register::Function;

use super::super::Executor;
use super::caller::write_log;
use super::commands::discard;
use super::{Caused, Scripting, coded, dump, settings};

/// How long a library that a client sends may take to load.
const LOAD_LIMIT: Duration = Duration::from_millis(500);

impl Executor {
    pub(super) fn manage_libraries(
        &mut self,
        scripting: &mut Scripting,
        cause: Caused<'_>,
        act: ScriptAct,
        reply: &mut Reply<'_>,
    ) -> Result<(), ScriptError> {
        match act {
            ScriptAct::LoadLibrary { code, replace } => {
                let library =
                    self.load_library(scripting, cause.words.get(code), replace, Some(LOAD_LIMIT))?;
                reply.bulk(&library);
            }
            ScriptAct::DeleteLibrary => {
                let library = scripting.libraries.remove(cause.words.get(2));
                let library = library.ok_or_else(|| coded(b"Library not found"))?;
                scripting.forget(library);
                reply.ok();
            }
            ScriptAct::FlushLibraries { lazy } => {
                let libraries = std::mem::take(&mut scripting.libraries);
                let count = libraries.function_count();
                let garbage = (scripting.functions.take(), libraries);
                let freed = discard(garbage, count, lazy);
                // Compat: the interpreter counts as one more.
                self.stats.counters.lazyfreed_objects += freed + u64::from(freed > 0);
                reply.ok();
            }
            ScriptAct::ListLibraries { pattern, with_code } => {
                let pattern = pattern.map(|word| cause.words.get(word));
                list(&scripting.libraries, pattern, with_code, reply);
                return Ok(());
            }
            ScriptAct::DumpLibraries => {
                let (version, compresses) = (self.rdb_version(), self.config.bool("rdbcompression"));
                reply.bulk(&dump::dump(&scripting.libraries, version, compresses));
                return Ok(());
            }
            ScriptAct::RestoreLibraries(policy) => {
                self.restore_libraries(scripting, cause.words.get(2), policy)?;
                reply.ok();
            }
            _ => unreachable!("what concerns scripts is done elsewhere"),
        }
        // Libraries are data: they are saved and replicated.
        self.keys.changes.dirty += 1;
        Ok(())
    }

    /// Loads a library beside those there are; its name.
    fn load_library(
        &mut self,
        scripting: &mut Scripting,
        text: &[u8],
        replace: bool,
        limit: Option<Duration>,
    ) -> Result<Vec<u8>, ScriptError> {
        let rng = &mut self.rng;
        let engine = scripting
            .functions
            .get_or_insert_with(|| Engine::functions(settings(rng)));
        let head = check_head(text)?;
        if scripting.libraries.get(&head.name).is_some() && !replace {
            return Err(coded(&quoted("Library '", &head.name, "' already exists")));
        }
        let library = load(engine, text, limit)?;
        if let Some(name) = scripting.libraries.collision(&library) {
            let error = coded(&quoted("Function ", name, " already exists"));
            release(engine, library.functions);
            return Err(error);
        }
        let name = library.name.clone();
        if let Some(former) = scripting.libraries.add(library) {
            release(engine, former.functions);
        }
        Ok(name)
    }

    /// Loads the libraries of a dump: all of them or none.
    fn restore_libraries(
        &mut self,
        scripting: &mut Scripting,
        payload: &[u8],
        policy: RestorePolicy,
    ) -> Result<(), ScriptError> {
        let texts = dump::texts(payload).map_err(|reason| coded(reason.as_bytes()))?;
        let rng = &mut self.rng;
        let engine = scripting
            .functions
            .get_or_insert_with(|| Engine::functions(settings(rng)));
        let mut fresh = Libraries::default();
        let outcome = texts
            .iter()
            .try_for_each(|text| add_restored(engine, &mut fresh, text))
            .and_then(|()| check_join(&scripting.libraries, &fresh, policy));
        if let Err(error) = outcome {
            fresh
                .take_all()
                .for_each(|library| release(engine, library.functions));
            return Err(error);
        }
        if policy == RestorePolicy::Flush {
            let former = scripting.libraries.take_all();
            former.for_each(|library| release(engine, library.functions));
        }
        for library in fresh.take_all() {
            if let Some(former) = scripting.libraries.add(library) {
                release(engine, former.functions);
            }
        }
        Ok(())
    }
}

/// Libraries and snapshots.
impl Executor {
    /// The sources of all libraries.
    pub(in crate::exec) fn library_sources(&self) -> Vec<Vec<u8>> {
        let scripting = self.scripting.iter();
        scripting
            .flat_map(|scripting| scripting.libraries.iter())
            .map(|library| library.text.clone())
            .collect()
    }

    /// Loads the libraries of a snapshot. `replaces`: those that are there may be replaced.
    ///
    /// # Errors
    /// What is wrong with the first that cannot be loaded.
    pub(in crate::exec) fn load_libraries(
        &mut self,
        sources: &[Vec<u8>],
        replaces: bool,
    ) -> Result<(), String> {
        if sources.is_empty() {
            return Ok(());
        }
        let mut scripting = self.scripting.take().unwrap_or_default();
        let mut loaded = sources
            .iter()
            .map(|source| self.load_library(&mut scripting, source, replaces, None));
        let failed = loaded.find_map(Result::err);
        self.server.scripts = scripting.facts();
        self.scripting = Some(scripting);
        failed.map_or(Ok(()), |error| {
            let reason = String::from_utf8_lossy(&error.text).into_owned();
            Err(format!("Failed creating function library. error {reason}"))
        })
    }

    /// Deletes all libraries.
    pub(in crate::exec) fn forget_libraries(&mut self) {
        if let Some(scripting) = &mut self.scripting {
            scripting.libraries = Libraries::default();
            scripting.functions = None;
            self.server.scripts = scripting.facts();
        }
    }
}

impl Scripting {
    /// Lets go of a library's functions.
    fn forget(&mut self, library: Library) {
        if let Some(engine) = &mut self.functions {
            release(engine, library.functions);
        }
    }
}

fn release(engine: &mut Engine, functions: Vec<Function>) {
    functions
        .into_iter()
        .for_each(|function| engine.release(function.callback));
}

fn quoted(before: &str, word: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), word, after.as_bytes()].concat()
}

/// Reads a library's first line and checks what it says.
fn check_head(text: &[u8]) -> Result<flags::LibraryHead<'_>, ScriptError> {
    let head = flags::of_library(text).map_err(|reason| coded(&reason))?;
    if !flags::is_name(&head.name) {
        return Err(coded(
            b"Library names can only contain letters, numbers, or underscores(_) and must be at least one character long",
        ));
    }
    if !head.engine.eq_ignore_ascii_case(b"lua") {
        return Err(coded(&quoted("Engine '", &head.engine, "' not found")));
    }
    Ok(head)
}

/// Runs a library's code.
fn load(engine: &mut Engine, text: &[u8], limit: Option<Duration>) -> Result<Library, ScriptError> {
    let head = check_head(text)?;
    let (outcome, log) = engine.load(head.code, limit);
    log.iter().for_each(|(level, line)| write_log(*level, line));
    let functions = outcome.map_err(|text| ScriptError { text, counted: false })?;
    if functions.is_empty() {
        return Err(coded(b"No functions registered"));
    }
    Ok(Library {
        name: head.name,
        engine: b"LUA".to_vec(),
        text: text.to_vec(),
        functions,
    })
}

fn add_restored(engine: &mut Engine, fresh: &mut Libraries, text: &[u8]) -> Result<(), ScriptError> {
    let head = check_head(text)?;
    if fresh.get(&head.name).is_some() {
        return Err(coded(&quoted("Library '", &head.name, "' already exists")));
    }
    let library = load(engine, text, None)?;
    if let Some(name) = fresh.collision(&library) {
        let error = coded(&quoted("Function ", name, " already exists"));
        release(engine, library.functions);
        return Err(error);
    }
    fresh.add(library);
    Ok(())
}

/// Whether restored libraries fit to those there are.
fn check_join(present: &Libraries, fresh: &Libraries, policy: RestorePolicy) -> Result<(), ScriptError> {
    if policy == RestorePolicy::Flush {
        return Ok(());
    }
    let is_present = |library: &&Library| present.get(&library.name).is_some();
    if policy == RestorePolicy::Append
        && let Some(library) = fresh.iter().find(is_present)
    {
        return Err(coded(&quoted("Library ", &library.name, " already exists")));
    }
    // Functions of libraries that are to be replaced do not count.
    let taken = |name: &[u8]| {
        let owners = present
            .iter()
            .filter(|library| fresh.get(&library.name).is_none());
        owners
            .flat_map(|library| &library.functions)
            .any(|function| function.name.eq_ignore_ascii_case(name))
    };
    let names = fresh.iter().flat_map(|library| &library.functions);
    match names.map(|function| &function.name).find(|name| taken(name)) {
        Some(name) => Err(coded(&quoted("Function ", name, " already exists"))),
        None => Ok(()),
    }
}

/// Answers FUNCTION LIST.
fn list(libraries: &Libraries, pattern: Option<&[u8]>, with_code: bool, reply: &mut Reply<'_>) {
    let is_wanted =
        |library: &&Library| pattern.is_none_or(|pattern| glob::matches(pattern, &library.name, true));
    let deferred = reply.defer_array();
    let mut count = 0;
    for library in libraries.iter().filter(is_wanted) {
        count += 1;
        reply.map(if with_code { 4 } else { 3 });
        reply.bulk(b"library_name");
        reply.bulk(&library.name);
        reply.bulk(b"engine");
        reply.bulk(&library.engine);
        reply.bulk(b"functions");
        reply.array(library.functions.len());
        library
            .functions
            .iter()
            .for_each(|function| describe(function, reply));
        if with_code {
            reply.bulk(b"library_code");
            reply.bulk(&library.text);
        }
    }
    reply.finish(deferred, count);
}

fn describe(function: &Function, reply: &mut Reply<'_>) {
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(&function.name);
    reply.bulk(b"description");
    match &function.description {
        Some(text) => reply.bulk(text),
        None => reply.null(),
    }
    reply.bulk(b"flags");
    let names = || {
        FLAG_NAMES
            .iter()
            .filter(|(flag, _)| function.flags.contains(*flag))
    };
    reply.set(names().count());
    names().for_each(|(_, name)| reply.simple(name));
}
