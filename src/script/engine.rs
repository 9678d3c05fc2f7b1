//! An interpreter ready for scripts: a sealed state, compiled functions, and running them for a client.
//!
//! ```text
//!   Engine::eval       KEYS and ARGV are globals      functions kept by the caller (cache.rs)
//!   Engine::functions  keys and arguments are passed  functions registered by libraries that load
//! ```
//!
//! The two are apart, so that what EVAL's scripts do to their state (garbage, options of `cjson`) leaves libraries alone.
//!
//! Cost of a run beside the script: two tables for keys and arguments, one protected call, the reply written where it is
//! to go. Nothing of what a script leaves on the stack, or of its error, survives it.

use std::time::Duration;

use super::api;
use super::context::{Context, Host, Random};
use super::convert::{self, ScriptError};
use super::debug::Debugger;
use super::lib;
use super::lua::{Failure, Kind, Lua, Ref, Stack, native};
use super::register::{Function, Registering, register_function};
use super::sandbox::{self, Globals};
use crate::resp::{Args, Reply};

/// Libraries beside Lua's own and `lib`'s that are protected.
const API: &str = "redis";

/// How many runs pass between two steps of garbage collection, and how large a step is.
const RUNS_PER_STEP: u32 = 50;
const STEP_KIB: usize = 50;

/// What engines are made with.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Version of Redis that scripts are told of.
    pub version: &'a str,
    /// Most bytes a state may allocate.
    pub limit_bytes: usize,
    /// Where `math.random` starts.
    pub seed: u32,
}

/// An interpreter.
pub struct Engine {
    lua: Lua,
    globals: Globals,
    handler: Ref,
    /// Where a library that loads finds its globals.
    loading: Option<Ref>,
    runs: u32,
    /// From how much memory on garbage is collected at once.
    crowded_bytes: usize,
}

/// How a script is called.
pub struct Call<'a> {
    /// How errors name it: its SHA-1 in hexadecimal digits, or the function's name.
    pub name: &'a [u8],
    /// `KEYS`.
    pub keys: Args<'a>,
    /// `ARGV`.
    pub args: Args<'a>,
}

impl Engine {
    /// An interpreter for EVAL.
    pub fn eval(settings: Settings<'_>) -> Engine {
        Engine::new(settings, true)
    }

    /// An interpreter for libraries.
    pub fn functions(settings: Settings<'_>) -> Engine {
        let mut engine = Engine::new(settings, false);
        let stack = &mut engine.lua.stack();
        stack.push_table(0, 1);
        stack.push_table(0, 8);
        lib::set_functions(stack, &[("register_function", register_function)]);
        api::set_log_and_version(stack, settings.version);
        sandbox::miss(stack);
        stack.set_metatable(-2);
        sandbox::protect(stack, None);
        stack.set_field(-2, API);
        sandbox::miss(stack);
        stack.set_metatable(-2);
        engine.loading = Some(engine.lua.keep());
        engine
    }

    fn new(settings: Settings<'_>, eval: bool) -> Engine {
        let context = Context {
            random: Random::seeded(settings.seed),
            ..Context::default()
        };
        let mut lua = Lua::new(context, settings.limit_bytes);
        sandbox::tame(&mut lua);
        lua.push_globals();
        let stack = &mut lua.stack();
        lib::open(stack);
        api::push(stack, settings.version, eval);
        stack.set_field(-2, API);
        stack.push_function(api::error_handler, 0);
        if eval {
            stack.push_copy(-1);
            stack.set_field(-3, "__redis__err__handler");
        }
        let handler = lua.keep();
        lua.stack().pop(1);
        let libraries: Vec<&str> = lib::NAMES.iter().copied().chain([API]).collect();
        let globals = sandbox::seal(&mut lua, &libraries);
        lua.watch();
        Engine {
            lua,
            globals,
            handler,
            loading: None,
            runs: 0,
            crowded_bytes: settings.limit_bytes / 4 * 3,
        }
    }

    /// Bytes its state has allocated.
    pub fn used_bytes(&self) -> usize {
        self.lua.used_bytes()
    }

    /// Compiles a script.
    ///
    /// # Errors
    /// What is wrong with it, as Lua says it.
    pub fn compile(&mut self, source: &[u8]) -> Result<Ref, Vec<u8>> {
        self.compile_as(source, "@user_script")?;
        let function = self.lua.keep();
        self.collect_now_and_then();
        Ok(function)
    }

    /// Compiles `source` and leaves the function on the stack.
    fn compile_as(&mut self, source: &[u8], chunk: &str) -> Result<(), Vec<u8>> {
        if native::is_binary(source) {
            let place = chunk.trim_start_matches('@');
            return Err(format!("{place}:1: unexpected symbol near 'char(27)'").into_bytes());
        }
        self.find_globals();
        self.lua.compile(source, chunk).map_err(|_| {
            let text = api::text_of(&mut self.lua.stack(), -1);
            self.lua.stack().truncate(0);
            text
        })
    }

    /// Forgets a compiled script or a function.
    pub fn release(&mut self, function: Ref) {
        self.lua.release(function);
    }

    /// Runs a script, with its keys and arguments as globals, and writes its reply.
    ///
    /// # Errors
    /// The error reply to be written instead.
    pub fn run_script(
        &mut self,
        function: &Ref,
        call: &Call<'_>,
        host: &mut dyn Host,
        reply: &mut Reply<'_>,
    ) -> Result<(), ScriptError> {
        self.find_globals();
        self.lua.push_kept(&self.globals.real);
        let stack = &mut self.lua.stack();
        push_words(stack, call.keys);
        stack.set_field(-2, "KEYS");
        push_words(stack, call.args);
        stack.set_field(-2, "ARGV");
        stack.pop(1);
        self.lua.push_kept(&self.handler);
        self.lua.push_kept(function);
        self.run(0, call.name, host, reply)
    }

    /// Has `debugger` debug what runs from now on.
    pub fn attach(&mut self, debugger: Debugger) {
        self.lua.context().debugger = Some(Box::new(debugger));
        self.lua.watch_lines();
    }

    /// Takes the debugger back.
    pub fn detach(&mut self) -> Option<Debugger> {
        self.lua.watch();
        self.lua.context().debugger.take().map(|debugger| *debugger)
    }

    /// Runs a library's function, with its keys and arguments passed to it, and writes its reply.
    ///
    /// # Errors
    /// The error reply to be written instead.
    pub fn run_function(
        &mut self,
        function: &Ref,
        call: &Call<'_>,
        host: &mut dyn Host,
        reply: &mut Reply<'_>,
    ) -> Result<(), ScriptError> {
        self.find_globals();
        self.lua.push_kept(&self.handler);
        self.lua.push_kept(function);
        let stack = &mut self.lua.stack();
        push_words(stack, call.keys);
        push_words(stack, call.args);
        self.run(2, call.name, host, reply)
    }

    /// Code compiled from now on finds its globals where it should: a script may have said otherwise.
    #[inline]
    fn find_globals(&mut self) {
        self.lua.push_kept(&self.globals.sealed);
        self.lua.set_globals();
    }

    /// Runs what is on the stack: the handler, a function, its arguments.
    fn run(
        &mut self,
        args: usize,
        name: &[u8],
        host: &mut dyn Host,
        reply: &mut Reply<'_>,
    ) -> Result<(), ScriptError> {
        let outcome = self.lua.call(Some(host), args, 1, 1);
        let stack = &mut self.lua.stack();
        let outcome = match outcome {
            Ok(()) => convert::write_reply(stack, reply, host.speaks_resp3()),
            Err(failure) => Err(failed(stack, failure, name)),
        };
        stack.truncate(0);
        if outcome.is_err() {
            // The hook may have been set to ask at every line.
            self.lua.watch();
        }
        self.collect_now_and_then();
        outcome
    }

    #[inline]
    fn collect_now_and_then(&mut self) {
        if self.lua.used_bytes() > self.crowded_bytes {
            // Lua 5.1 does not collect when it is refused memory: what the next script needs must be free by then.
            self.lua.collect();
        }
        self.runs += 1;
        if self.runs == RUNS_PER_STEP {
            self.runs = 0;
            self.lua.collect_some(STEP_KIB);
        }
    }

    /// Loads a library and gives what it registered, and what it wants in the log.
    ///
    /// # Errors
    /// The error reply, its code first.
    pub fn load(
        &mut self,
        source: &[u8],
        limit: Option<Duration>,
    ) -> (Result<Vec<Function>, Vec<u8>>, LogLines) {
        let Some(loading) = &self.loading else {
            return (Err(b"ERR libraries cannot be loaded here".to_vec()), Vec::new());
        };
        look_in(&mut self.lua, &self.globals.metatable, loading);
        let outcome = self.load_sealed(source, limit);
        look_in(&mut self.lua, &self.globals.metatable, &self.globals.real);
        self.lua.stack().truncate(0);
        self.collect_now_and_then();
        let registering = self.lua.context().registering.take();
        let (functions, log) = registering
            .map(|all| (all.functions, all.log))
            .unwrap_or_default();
        match outcome {
            Ok(()) => (Ok(functions), log),
            Err(text) => {
                functions
                    .into_iter()
                    .for_each(|function| self.lua.release(function.callback));
                self.lua.watch();
                (Err(text), log)
            }
        }
    }

    fn load_sealed(&mut self, source: &[u8], limit: Option<Duration>) -> Result<(), Vec<u8>> {
        let prefixed = |before: &str, text: &[u8]| [before.as_bytes(), text].concat();
        self.compile_as(source, "@user_function")
            .map_err(|text| prefixed("ERR Error compiling function: ", &text))?;
        self.lua.context().registering = Some(Registering::new(limit));
        self.lua.call(None, 0, 0, 0).map_err(|_| {
            let stack = &mut self.lua.stack();
            let error = (stack.kind(-1) == Kind::Table)
                .then(|| convert::error_of(stack))
                .flatten();
            let text = match error {
                Some(error) => error.text,
                None => prefixed("ERR ", &api::text_of(stack, -1)),
            };
            prefixed("ERR Error registering functions: ", &text)
        })
    }
}

/// Lines for the server's log: level and text.
pub type LogLines = Vec<(u8, Vec<u8>)>;

/// Makes code find its globals in `table`.
fn look_in(lua: &mut Lua, metatable: &Ref, table: &Ref) {
    lua.push_kept(metatable);
    lua.push_kept(table);
    let stack = &mut lua.stack();
    stack.set_field(-2, "__index");
    stack.pop(1);
}

/// Pushes an array of strings.
fn push_words(stack: &mut Stack<'_>, words: Args<'_>) {
    stack.push_table(words.len(), 0);
    for (index, word) in words.iter().enumerate() {
        stack.push_bytes(word);
        stack.set_index(-2, index as i32 + 1);
    }
}

/// The error reply of a script that failed with the value on top.
fn failed(stack: &mut Stack<'_>, failure: Failure, name: &[u8]) -> ScriptError {
    let error = (stack.kind(-1) == Kind::Table).then(|| read_error(stack, name));
    error.unwrap_or_else(|| {
        // Not the handler's: there was no memory for it, or it failed.
        let text = match failure {
            Failure::Memory => b"not enough memory".to_vec(),
            _ => api::text_of(stack, -1),
        };
        let text = &text[..text.len().min(100)];
        ScriptError {
            text: [b"ERR Error running script ", name, b", ", text].concat(),
            counted: false,
        }
    })
}

/// The error table on top as a reply: its text, and where it was raised.
fn read_error(stack: &mut Stack<'_>, name: &[u8]) -> ScriptError {
    let mut error = convert::error_of(stack).unwrap_or(ScriptError {
        text: b"ERR unknown error".to_vec(),
        counted: false,
    });
    stack.get_field(-1, "source");
    stack.get_field(-2, "line");
    if let (Some(source), Some(line)) = (stack.bytes(-2), stack.number(-1)) {
        let at = [
            b" script: ",
            name,
            b", on ",
            source,
            format!(":{line}.").as_bytes(),
        ]
        .concat();
        error.text.extend_from_slice(&at);
    }
    stack.pop(2);
    error
}
