//! States: made, given memory, run, ended.
//!
//! ```text
//!   Lua ── raw ──> lua_State ── its allocator's data ──> Shared { heap, context }
//! ```
//!
//! Invariants:
//! - I1  `raw` is a live state made by `Lua::new`; its allocator's data is `shared`, which outlives it.
//! - I2  While Rust code runs inside the state (a trampoline, the hook, or nobody's call at all) `heap.strict` is off
//!   and no allocation fails: Lua's API does not raise `not enough memory` over a Rust frame.
//! - I3  The context is borrowed by one Rust function at a time: library functions get it from their trampoline and do
//!   not call Lua; the engine reaches it through `&mut Lua`, which a call into the state needs as well.
//! - I4  `host` is set only during `Lua::call`, to a reference that outlives the call.
//! - I5  Where `lua_error` is called, nothing that needs dropping is left in any Rust frame above the call into Lua.
//! - I6  No finalizer runs Lua code: scripts cannot make userdata (`newproxy` is taken away), and no library does.
//!
//! Costs: a call of a Rust function is two reads of pointers and two stores more than one of a C function.
//! Limits: `Heap::limit_bytes`; beyond it a script gets `not enough memory`.

#![expect(
    unsafe_code,
    reason = "Lua's C interface: a redis.call without an allocation, errors as Redis raises them"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::cell::UnsafeCell;
use std::ffi::{CString, c_int, c_void};
use std::ptr::{self, NonNull};

use mlua_sys as ffi;

use crate::base::size_class::allocated;

use super::super::context::{Context, Host};
use super::super::debug::{Debugger, Next};
use super::stack::{Ref, Stack};
use super::{Function, Raise};

/// How many instructions pass between two looks at the clock: about half a millisecond of them.
const HOOK_INSTRUCTIONS: c_int = 100_000;

/// Alignment of everything Lua allocates.
const ALIGN: usize = 8;

/// A state of its own.
pub struct Lua {
    raw: NonNull<ffi::lua_State>,
    shared: Box<UnsafeCell<Shared>>,
}

// SAFETY: I1: the state and what it points to belong to this value alone; nothing in it is bound to a thread.
unsafe impl Send for Lua {}

/// What the state's callbacks find through its allocator.
struct Shared {
    heap: Heap,
    context: Context,
}

/// The state's memory.
struct Heap {
    used_bytes: usize,
    limit_bytes: usize,
    /// Whether the limit holds at the moment.
    strict: bool,
}

/// Who serves the running script.
#[derive(Default)]
pub struct HostSlot(Option<NonNull<dyn Host>>);

impl HostSlot {
    /// The host, while a call that has one runs.
    #[inline]
    pub fn get(&mut self) -> Option<&mut dyn Host> {
        // SAFETY: I4: set only while the reference it was made from is lent to `Lua::call`; I3: the slot is part of the
        // context, which one function borrows at a time.
        self.0.map(|mut host| unsafe { host.as_mut() as &mut dyn Host })
    }
}

/// Why a protected call or a compilation ended early. The error value is on top of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The text is not Lua.
    Syntax,
    /// An error was raised; the handler has seen it.
    Raised,
    /// Out of memory.
    Memory,
    /// The handler failed as well.
    Handler,
}

impl Failure {
    fn of(status: c_int) -> Result<(), Failure> {
        match status {
            ffi::LUA_OK => Ok(()),
            ffi::LUA_ERRSYNTAX => Err(Failure::Syntax),
            ffi::LUA_ERRMEM => Err(Failure::Memory),
            ffi::LUA_ERRERR => Err(Failure::Handler),
            _ => Err(Failure::Raised),
        }
    }
}

impl Lua {
    /// A state with the base, table, string and math libraries as Lua ships them.
    pub fn new(context: Context, limit_bytes: usize) -> Lua {
        let heap = Heap {
            used_bytes: 0,
            limit_bytes,
            strict: false,
        };
        let shared = Box::new(UnsafeCell::new(Shared { heap, context }));
        // SAFETY: I1 begins here: the allocator gets the shared part, which lives as long as the state.
        let raw = unsafe { ffi::lua_newstate(allocate, shared.get().cast()) };
        let Some(raw) = NonNull::new(raw) else {
            handle_alloc_error(Layout::new::<Shared>())
        };
        let mut lua = Lua { raw, shared };
        lua.open(ffi::luaopen_base);
        lua.open(ffi::luaopen_table);
        lua.open(ffi::luaopen_string);
        lua.open(ffi::luaopen_math);
        lua
    }

    fn open(&mut self, library: ffi::lua_CFunction) {
        // SAFETY: I1, I2: Lua's own opening functions, which take no argument and raise only for want of memory.
        unsafe {
            ffi::lua_pushcclosure(self.raw.as_ptr(), library, 0);
            ffi::lua_call(self.raw.as_ptr(), 0, 0);
        }
    }

    /// The main stack.
    pub fn stack(&mut self) -> Stack<'_> {
        // SAFETY: I1; the borrow keeps the state alive.
        unsafe { Stack::new(self.raw.as_ptr()) }
    }

    /// What library functions share.
    pub fn context(&mut self) -> &mut Context {
        // SAFETY: I3: `&mut self` excludes a running call.
        unsafe { &mut (*self.shared.get()).context }
    }

    /// Bytes allocated by the state, with what the allocator rounds up.
    pub fn used_bytes(&self) -> usize {
        // SAFETY: I1: plain data, nobody writes while `&self` is held.
        unsafe { (*self.shared.get()).heap.used_bytes }
    }

    /// Compiles `source` under the name `chunk` (as `@user_script`) and pushes the function, or what is wrong.
    pub fn compile(&mut self, source: &[u8], chunk: &str) -> Result<(), Failure> {
        let name = CString::new(chunk).unwrap_or_default();
        self.caught(|raw| {
            // SAFETY: I1: loading catches its errors; the text is given with its length. Binary chunks never get here:
            // the engine refuses them, see `native::is_binary`.
            unsafe { ffi::luaL_loadbuffer(raw, source.as_ptr().cast(), source.len(), name.as_ptr()) }
        })
    }

    /// Calls the function below its `args` arguments with `host` to serve it; `results` values or the error replace
    /// them. `handler` is the stack index of a function that sees errors first, 0 for none.
    pub fn call(
        &mut self,
        host: Option<&mut dyn Host>,
        args: usize,
        results: usize,
        handler: usize,
    ) -> Result<(), Failure> {
        let depth = self.stack().top();
        assert!(args < depth && handler < depth, "a function below its arguments");
        // SAFETY: I4: the lifetime is forgotten here, and the pointer below, before the reference ends.
        self.context().host.0 = host.map(|host| unsafe {
            std::mem::transmute::<NonNull<dyn Host + '_>, NonNull<dyn Host + 'static>>(NonNull::from(host))
        });
        let outcome = self.caught(|raw| {
            // SAFETY: I1, checked above: the stack holds function, arguments and handler.
            unsafe { ffi::lua_pcall(raw, args as c_int, results as c_int, handler as c_int) }
        });
        self.context().host.0 = None;
        outcome
    }

    /// Runs Lua code with the memory limit in force.
    fn caught(&mut self, run: impl FnOnce(*mut ffi::lua_State) -> c_int) -> Result<(), Failure> {
        // SAFETY: I1, I2: strict only while Lua runs; no reference into the shared part is held meanwhile.
        let status = unsafe {
            let heap = &raw mut (*self.shared.get()).heap;
            (*heap).strict = true;
            let status = run(self.raw.as_ptr());
            (*heap).strict = false;
            status
        };
        Failure::of(status)
    }

    /// Looks at the clock (`Context::interrupt`) now and then while Lua runs.
    pub fn watch(&mut self) {
        // SAFETY: I1.
        unsafe {
            ffi::lua_sethook(
                self.raw.as_ptr(),
                Some(hook),
                ffi::LUA_MASKCOUNT,
                HOOK_INSTRUCTIONS,
            )
        };
    }

    /// Has the debugger of the context see every line before it runs, and look at the clock now and then.
    pub fn watch_lines(&mut self) {
        // SAFETY: I1.
        unsafe {
            ffi::lua_sethook(
                self.raw.as_ptr(),
                Some(line_hook),
                ffi::LUA_MASKLINE | ffi::LUA_MASKCOUNT,
                HOOK_INSTRUCTIONS,
            )
        };
    }

    /// Takes the value on top of the stack into the registry.
    pub fn keep(&mut self) -> Ref {
        self.stack().keep()
    }

    /// Pushes a kept value.
    #[inline]
    pub fn push_kept(&mut self, kept: &Ref) {
        let mut stack = self.stack();
        stack.make_room();
        // SAFETY: I1: the registry is a table, and there is room for one value more.
        unsafe { ffi::lua_rawgeti_(self.raw.as_ptr(), ffi::LUA_REGISTRYINDEX, kept.0) };
    }

    /// Lets go of a kept value.
    pub fn release(&mut self, kept: Ref) {
        self.stack().release(kept);
    }

    /// One step of garbage collection, in Lua's units of about a KiB.
    pub fn collect_some(&mut self, step: usize) {
        // SAFETY: I1, I6: collection frees memory and calls nobody.
        unsafe { ffi::lua_gc(self.raw.as_ptr(), ffi::LUA_GCSTEP, step as c_int) };
    }

    /// A full collection.
    pub fn collect(&mut self) {
        // SAFETY: as above.
        unsafe { ffi::lua_gc(self.raw.as_ptr(), ffi::LUA_GCCOLLECT, 0) };
    }

    /// Makes the table on top of the stack the one that code compiled from now on finds its globals in.
    pub fn set_globals(&mut self) {
        assert_eq!(
            self.stack().kind(-1),
            super::Kind::Table,
            "globals live in a table"
        );
        // SAFETY: I1: a table is on top.
        unsafe { ffi::lua_replace(self.raw.as_ptr(), ffi::LUA_GLOBALSINDEX) };
    }

    /// Pushes the table of globals.
    pub fn push_globals(&mut self) {
        let mut stack = self.stack();
        stack.make_room();
        // SAFETY: I1: there is room for one value more.
        unsafe { ffi::lua_pushvalue(self.raw.as_ptr(), ffi::LUA_GLOBALSINDEX) };
    }
}

impl Drop for Lua {
    fn drop(&mut self) {
        // SAFETY: I1 ends here; I6: closing calls nobody.
        unsafe { ffi::lua_close(self.raw.as_ptr()) };
    }
}

/// The shared part of a state.
///
/// # Safety
/// I1 holds for `state`.
unsafe fn shared_of(state: *mut ffi::lua_State) -> *mut Shared {
    let mut data = ptr::null_mut();
    // SAFETY: I1.
    unsafe { ffi::lua_getallocf(state, &mut data) };
    data.cast()
}

/// Lua's allocator: the program's own, so that used memory includes scripts, with a limit.
unsafe extern "C" fn allocate(
    data: *mut c_void,
    block: *mut c_void,
    old_bytes: usize,
    new_bytes: usize,
) -> *mut c_void {
    // SAFETY: I1: Lua hands back what it was given: the shared part, and blocks with their sizes.
    unsafe {
        let heap = &raw mut (*data.cast::<Shared>()).heap;
        let old_bytes = if block.is_null() { 0 } else { old_bytes };
        let layout = |bytes: usize| Layout::from_size_align_unchecked(bytes, ALIGN);
        let others = (*heap).used_bytes - allocated(old_bytes);
        if new_bytes == 0 {
            if old_bytes > 0 {
                dealloc(block.cast(), layout(old_bytes));
                (*heap).used_bytes = others;
            }
            return ptr::null_mut();
        }
        let grown = others.checked_add(allocated(new_bytes));
        let refused = grown.is_none_or(|used| used > (*heap).limit_bytes);
        if (*heap).strict && new_bytes > old_bytes && refused {
            return ptr::null_mut();
        }
        let new_block = if old_bytes == 0 {
            alloc(layout(new_bytes))
        } else {
            realloc(block.cast(), layout(old_bytes), new_bytes)
        };
        if new_block.is_null() {
            if !(*heap).strict {
                handle_alloc_error(layout(new_bytes));
            }
            return ptr::null_mut();
        }
        (*heap).used_bytes = grown.unwrap_or(usize::MAX);
        new_block.cast()
    }
}

/// Runs a [`Function`], which is the first upvalue, and raises what it says once its frame is gone.
pub(super) unsafe extern "C-unwind" fn trampoline(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: the first upvalue of every closure made of this function is a `Function` (Stack::push_function); I1, I3:
    // Lua calls one function at a time, and it does not call Lua.
    let outcome = unsafe {
        let function = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1));
        let function = std::mem::transmute::<*mut c_void, Function>(function);
        let shared = shared_of(state);
        (*shared).heap.strict = false;
        let outcome = function(&mut Stack::new(state), &mut (*shared).context);
        let outcome = outcome.map_err(|raise| prepare(state, raise));
        (*shared).heap.strict = true;
        outcome
    };
    match outcome {
        Ok(results) => results as c_int,
        // SAFETY: I5: numbers are all that is left; the error value is on top of the stack.
        Err(None) => unsafe { ffi::lua_error(state) },
        // SAFETY: as above, with the text on top of the stack.
        Err(Some(argument)) => unsafe {
            let text = ffi::lua_tostring(state, -1);
            ffi::luaL_argerror(state, argument as c_int, text)
        },
    }
}

/// Puts the error value, or the text about an argument, on top of the stack; the number of the argument, if it is about one.
///
/// # Safety
/// I1, and I2: called while nothing is strict.
unsafe fn prepare(state: *mut ffi::lua_State, raise: Raise) -> Option<usize> {
    // SAFETY: I1, I2; there is room for the position and the text, which become one.
    unsafe {
        let mut stack = Stack::new(state);
        if raise != Raise::Top {
            // The function is done, and may have left no room.
            stack.truncate(0);
        }
        match raise {
            Raise::Top => {}
            Raise::Plain(text) => stack.push_bytes(&text),
            Raise::Message(text) => {
                stack.make_room();
                ffi::luaL_where(state, 1);
                stack.push_bytes(&text);
                ffi::lua_concat(state, 2);
            }
            Raise::Argument(argument, text) => {
                stack.push_bytes(text.replace('\0', " ").as_bytes());
                return Some(argument);
            }
        }
        None
    }
}

/// Asks now and then whether the script may go on.
unsafe extern "C-unwind" fn hook(state: *mut ffi::lua_State, _: *mut ffi::lua_Debug) {
    // SAFETY: I1, I2, I3: no Rust function runs while Lua counts instructions.
    let raised = unsafe {
        let shared = shared_of(state);
        let was_strict = std::mem::replace(&mut (*shared).heap.strict, false);
        let verdict = (*shared).context.interrupt();
        let raised = verdict.is_some();
        if let Some(error) = verdict {
            // From here on every line asks again, so that a script cannot catch the error and go on.
            ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKLINE, 0);
            let mut stack = Stack::new(state);
            stack.push_error_table(&error);
        }
        (*shared).heap.strict = was_strict;
        raised
    };
    if raised {
        // SAFETY: I5: the error value is on top of the stack, and nothing is left to drop.
        unsafe { ffi::lua_error(state) };
    }
}

/// Has the debugger decide at each line.
unsafe extern "C-unwind" fn line_hook(state: *mut ffi::lua_State, record: *mut ffi::lua_Debug) {
    // SAFETY: I1, I2, I3: no Rust function runs while Lua is between two lines; the record is of this event.
    let raised = unsafe {
        let shared = shared_of(state);
        let was_strict = std::mem::replace(&mut (*shared).heap.strict, false);
        let raised = debug(state, shared, (*record).event == ffi::LUA_HOOKCOUNT);
        (*shared).heap.strict = was_strict;
        raised
    };
    if raised {
        // SAFETY: I5: the error value is on top of the stack, and nothing is left to drop.
        unsafe { ffi::lua_error(state) };
    }
}

/// Asks the debugger, and calls what it has pushed; whether an error, then on top of the stack, is to be raised.
///
/// # Safety
/// I1 for `state` and its shared part; I2, I3: called while nothing is strict and the context is not borrowed.
unsafe fn debug(state: *mut ffi::lua_State, shared: *mut Shared, counted: bool) -> bool {
    // SAFETY: I1; I3: the debugger is borrowed anew for each question, and not while Lua runs what it wants called.
    unsafe {
        let reached = |debugger: &mut Debugger| debugger.reach(&mut Stack::new(state), counted);
        let mut next = (*shared)
            .context
            .debugger
            .as_deref_mut()
            .map_or(Next::Resume, reached);
        loop {
            match next {
                Next::Resume => return false,
                Next::Raise(text) => {
                    Stack::new(state).push_error_table(format!("ERR {text}").as_bytes());
                    return true;
                }
                Next::Call(args) => {
                    (*shared).heap.strict = true;
                    // Its errors end here: no Rust frame is jumped over.
                    let well = ffi::lua_pcall(state, args as c_int, 1, 0) == ffi::LUA_OK;
                    (*shared).heap.strict = false;
                    let returned = |debugger: &mut Debugger| debugger.returned(&mut Stack::new(state), well);
                    next = (*shared)
                        .context
                        .debugger
                        .as_deref_mut()
                        .map_or(Next::Resume, returned);
                }
            }
        }
    }
}
