//! What scripts may not change: the table of globals, every library in it, and what hangs off them.
//!
//! ```text
//!   redis ──> {}  metatable { __index = real table, __newindex = refuse, REAL = real table, VISIBLE = .. }
//!             ^ all a script ever holds: reads fall through, writes are refused
//! ```
//!
//! Redis changes Lua so that a table can be locked. Ours is Lua as it is: a protected table is an empty one in front of the
//! real one, and the functions that pass a metatable by (`next`, `pairs`, `rawget`, `rawset`, `getmetatable`,
//! `setmetatable`, `table.insert`) know about it. Nothing hands out a real table or the metatable of a protected one.
//!
//! Cost: two lookups more for a global or a library function. Not here: `#` and `ipairs` on libraries, which have no
//! elements.

use super::context::Context;
use super::lua::native::{self, REAL, VISIBLE, Wrap};
use super::lua::{Lua, Raise, Ref, Stack};

/// Globals of Lua's own that scripts do without: files, the terminal, and userdata with finalizers.
const REMOVED: &[&str] = &["dofile", "loadfile", "print", "newproxy"];

/// Lua's own functions that must know of protected tables, or be bounded: (library, function, how).
const WRAPPED: &[(&str, &str, Wrap)] = &[
    ("", "next", Wrap::SeeThrough),
    ("", "rawget", Wrap::SeeThrough),
    ("", "rawset", Wrap::Guard),
    ("", "setmetatable", Wrap::Guard),
    ("", "getmetatable", Wrap::ShowMetatable),
    ("table", "insert", Wrap::Guard),
    ("table", "foreach", Wrap::SeeThrough),
    ("string", "find", Wrap::BoundPattern),
    ("string", "match", Wrap::BoundPattern),
    ("string", "gmatch", Wrap::BoundPattern),
    ("string", "gfind", Wrap::BoundPattern),
    ("string", "gsub", Wrap::BoundPattern),
];

/// The libraries Lua opens itself.
const LUA_LIBRARIES: &[&str] = &["string", "math", "table", "coroutine"];

/// Takes away what scripts must not have and changes what they may have only differently. The globals are Lua's own still.
pub fn tame(lua: &mut Lua) {
    lua.push_globals();
    let stack = &mut lua.stack();
    for name in REMOVED {
        stack.push_nil();
        stack.set_field(-2, name);
    }
    // The iterator for ordinary tables stays Lua's own.
    stack.get_field(-1, "next");
    let plain_next = stack.absolute(-1);
    for (library, function, how) in WRAPPED {
        let globals = plain_next - 1;
        if library.is_empty() {
            stack.push_copy(globals);
        } else {
            stack.get_field(globals, library);
        }
        stack.get_field(-1, function);
        native::wrap(stack, *how);
        stack.set_field(-2, function);
        stack.pop(1);
    }
    let globals = plain_next - 1;
    stack.push_copy(plain_next);
    stack.get_field(globals, "next");
    stack.push_function(pairs, 2);
    stack.set_field(globals, "pairs");
    stack.pop(1);
    native::push_pcall(stack);
    stack.set_field(globals, "pcall");
    native::push_load(stack);
    stack.set_field(globals, "load");
    native::push_loadstring(stack);
    stack.set_field(globals, "loadstring");
    stack.pop(1);
}

/// `pairs`: the plain iterator, or for a protected table the one that sees through it (both are upvalues).
fn pairs(stack: &mut Stack<'_>, _: &mut Context) -> Result<usize, Raise> {
    if stack.kind(1) != super::lua::Kind::Table {
        return Err(stack.type_error(1, "table"));
    }
    let is_protected = stack.push_metatable(1) && {
        stack.get_field(-1, REAL);
        stack.kind(-1) == super::lua::Kind::Table
    };
    stack.push_upvalue(if is_protected { 2 } else { 1 });
    stack.push_copy(1);
    stack.push_nil();
    Ok(3)
}

/// The tables behind the protection, for the engine.
pub struct Globals {
    /// The real table of globals.
    pub real: Ref,
    /// The one that scripts see.
    pub sealed: Ref,
    /// The metatable of that one: `__index` says where they look.
    pub metatable: Ref,
}

/// Protects the libraries named and Lua's own, then the globals themselves, which become those of code compiled from now on.
pub fn seal(lua: &mut Lua, libraries: &[&str]) -> Globals {
    lua.push_globals();
    let stack = &mut lua.stack();
    protect_strings(stack);
    for name in LUA_LIBRARIES.iter().chain(libraries) {
        stack.get_field(-1, name);
        protect(stack, None);
        stack.set_field(-2, name);
    }
    stack.pop(1);
    lua.push_globals();
    let real = lua.keep();
    lua.push_kept(&real);
    let stack = &mut lua.stack();
    miss(stack);
    stack.push_copy(-1);
    protect(stack, None);
    stack.insert(-2);
    // real globals, shown metatable, metatable
    stack.set_metatable(-3);
    protect_shown(stack);
    // The globals contain themselves as scripts see them.
    lua.push_kept(&real);
    let stack = &mut lua.stack();
    stack.push_copy(-2);
    stack.set_field(-2, "_G");
    stack.pop(1);
    stack.push_metatable(-1);
    let metatable = lua.keep();
    lua.stack().push_copy(-1);
    let sealed = lua.keep();
    lua.set_globals();
    Globals {
        real,
        sealed,
        metatable,
    }
}

/// Replaces the table below the one on top, which becomes what `getmetatable` shows, by its protected form.
fn protect_shown(stack: &mut Stack<'_>) {
    stack.insert(-2);
    protect(stack, Some(-2));
    stack.remove(-2);
}

/// Replaces the table on top by its protected form. `shown`: where the table is that `getmetatable` answers for it.
pub fn protect(stack: &mut Stack<'_>, shown: Option<i32>) {
    let shown = shown.map(|index| stack.absolute(index));
    stack.push_table(0, 0);
    stack.push_table(0, 4);
    stack.push_copy(-3);
    stack.set_field(-2, "__index");
    stack.push_copy(-3);
    stack.set_field(-2, REAL);
    stack.push_function(refuse, 0);
    stack.set_field(-2, "__newindex");
    if let Some(shown) = shown {
        stack.push_copy(shown);
        stack.set_field(-2, VISIBLE);
    }
    stack.set_metatable(-2);
    stack.remove(-2);
}

/// What the metatable of strings shows: its own like, which nobody can change.
fn protect_strings(stack: &mut Stack<'_>) {
    stack.push_bytes(b"");
    stack.push_metatable(-1);
    stack.remove(-2);
    stack.push_table(0, 1);
    stack.get_field(-3, "string");
    protect(stack, None);
    stack.set_field(-2, "__index");
    protect(stack, None);
    stack.set_field(-2, "__metatable");
    stack.pop(1);
}

/// Pushes a metatable that raises on a name nobody knows.
pub fn miss(stack: &mut Stack<'_>) {
    stack.push_table(0, 1);
    stack.push_function(nonexistent, 0);
    stack.set_field(-2, "__index");
}

fn refuse(_: &mut Stack<'_>, _: &mut Context) -> Result<usize, Raise> {
    Err(Raise::message(native::READONLY.to_string_lossy()))
}

fn nonexistent(stack: &mut Stack<'_>, _: &mut Context) -> Result<usize, Raise> {
    let text: &[u8] = match (stack.top(), stack.to_bytes(2)) {
        (2, Some(name)) => {
            let before = b"Script attempted to access nonexistent global variable '";
            return Err(Raise::Message([&before[..], until_zero(name), b"'"].concat()));
        }
        (2, None) => b"Second argument to luaProtectedTableError must be a string or number",
        _ => b"Wrong number of arguments to luaProtectedTableError",
    };
    Err(Raise::Message(text.to_vec()))
}

/// Text as C takes it.
fn until_zero(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}
