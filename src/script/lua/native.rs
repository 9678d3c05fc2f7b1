//! Functions that call back into Lua and so must be plain C functions: nothing in their frames is ever dropped.
//!
//! ```text
//! pcall      the error of a command comes as a table; who calls `pcall` gets its text, as in Redis before 7
//! load       pieces of source from a function
//! loadstring the same from a string; binary chunks, whose code Lua trusts, are taken for text
//! wrappers   around Lua's own functions: see [`Wrap`]
//! ```
//!
//! Invariants: I1 and I5 of `state.rs`. They run strict (I2): their errors are raised over C frames and their own.

#![expect(unsafe_code, reason = "Lua's C interface, see state.rs")]

use std::ffi::{c_char, c_int};

use mlua_sys as ffi;

use super::Stack;

/// Longest pattern. Lua's matcher recurses once for each item of a pattern, on the thread's stack.
pub const PATTERN_BYTES_MAX: usize = 16 * 1024;

/// Functions by name, for the table of globals.
pub fn push_pcall(stack: &mut Stack<'_>) {
    stack.push_native(pcall);
}

/// Pushes `load`.
pub fn push_load(stack: &mut Stack<'_>) {
    stack.push_native(load);
}

/// Pushes `loadstring`.
pub fn push_loadstring(stack: &mut Stack<'_>) {
    stack.push_native(loadstring);
}

/// Whether Lua would take `source` for a binary chunk.
pub fn is_binary(source: &[u8]) -> bool {
    source.first() == Some(&ffi::LUA_SIGNATURE[0])
}

/// Calls a function and catches its errors.
unsafe extern "C-unwind" fn pcall(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: I1, I5: numbers only.
    unsafe {
        ffi::luaL_checkany(state, 1);
        let args = ffi::lua_gettop(state) - 1;
        ffi::lua_pushboolean(state, 1);
        ffi::lua_insert(state, 1);
        if ffi::lua_pcall(state, args, ffi::LUA_MULTRET, 0) != ffi::LUA_OK {
            ffi::lua_remove(state, 1);
            if ffi::lua_istable(state, -1) != 0 {
                ffi::lua_pushlstring_(state, b"err".as_ptr().cast(), 3);
                ffi::lua_rawget_(state, -2);
                if ffi::lua_isstring(state, -1) != 0 {
                    ffi::lua_replace(state, -2);
                } else {
                    ffi::lua_settop(state, -2);
                }
            }
            ffi::lua_pushboolean(state, 0);
            ffi::lua_insert(state, 1);
        }
        ffi::lua_gettop(state)
    }
}

/// Compiles a string: the function, or nil and what is wrong.
unsafe extern "C-unwind" fn loadstring(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: I1, I5; both strings stay on the stack.
    unsafe {
        let mut len = 0;
        let source = ffi::luaL_checklstring(state, 1, &mut len);
        let name = ffi::luaL_optlstring(state, 2, source, std::ptr::null_mut());
        compile(state, source, len, name)
    }
}

/// Compiles what a function hands out piece by piece.
unsafe extern "C-unwind" fn load(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: I1, I5; the pieces become one string on the stack.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TFUNCTION);
        let name = ffi::luaL_optlstring(state, 2, c"=(load)".as_ptr(), std::ptr::null_mut());
        ffi::lua_settop(state, 2);
        ffi::lua_pushlstring_(state, c"".as_ptr(), 0);
        loop {
            ffi::lua_pushvalue(state, 1);
            ffi::lua_call(state, 0, 1);
            if ffi::lua_type(state, -1) == ffi::LUA_TNIL {
                break;
            }
            if ffi::lua_isstring(state, -1) == 0 {
                ffi::lua_pushnil(state);
                ffi::lua_pushlstring_(state, c"reader function must return a string".as_ptr(), 36);
                return 2;
            }
            if ffi::lua_objlen(state, -1) == 0 {
                break;
            }
            ffi::lua_concat(state, 2);
        }
        ffi::lua_settop(state, 3);
        let mut len = 0;
        let source = ffi::lua_tolstring(state, 3, &mut len);
        compile(state, source, len, name)
    }
}

/// Compiles `len` bytes at `source`. A binary chunk's first byte is replaced by another that begins no token, so that
/// it is refused as text would be.
///
/// # Safety
/// `source` and `name` live on the stack of `state`; the caller has nothing to drop (I5).
unsafe fn compile(
    state: *mut ffi::lua_State,
    source: *const c_char,
    len: usize,
    name: *const c_char,
) -> c_int {
    // SAFETY: I1, I5, and what the caller promises.
    unsafe {
        let status = if len > 0 && source.cast::<u8>().read() == ffi::LUA_SIGNATURE[0] {
            // One byte is enough to be refused, and its message names it.
            let refused = ffi::luaL_loadbuffer(state, c"\x01".as_ptr(), 1, name);
            ffi::luaL_gsub(
                state,
                ffi::lua_tostring(state, -1),
                c"char(1)".as_ptr(),
                c"char(27)".as_ptr(),
            );
            refused
        } else {
            ffi::luaL_loadbuffer(state, source, len, name)
        };
        if status == ffi::LUA_OK {
            return 1;
        }
        ffi::lua_pushnil(state);
        ffi::lua_insert(state, -2);
        2
    }
}

/// A protected table is empty; its metatable keeps the real one here.
pub const REAL: &str = "\0real";

/// What `getmetatable` answers for a protected table, kept in its metatable.
pub const VISIBLE: &str = "\0visible";

/// What a protected table answers to writers.
pub const READONLY: &std::ffi::CStr = c"Attempt to modify a readonly table";

/// How one of Lua's own functions is changed by the wrapper around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrap {
    /// Patterns (argument 2) are limited.
    BoundPattern,
    /// Argument 1, if protected, stands for its real table.
    SeeThrough,
    /// Argument 1 must not be protected: the function writes to it.
    Guard,
    /// For `getmetatable`: a protected table answers what it is to show.
    ShowMetatable,
}

/// Replaces Lua's own function on top of the stack by one that goes on with it.
pub fn wrap(stack: &mut Stack<'_>, how: Wrap) {
    let wrapper: ffi::lua_CFunction = match how {
        Wrap::BoundPattern => bound_pattern,
        Wrap::SeeThrough => see_through,
        Wrap::Guard => guard,
        Wrap::ShowMetatable => show_metatable,
    };
    stack.wrap_native(wrapper);
}

/// Goes on with the wrapped function in the frame of its wrapper.
///
/// # Safety
/// Called from a wrapper, whose first upvalue is a C function that uses no upvalues of its own; I5.
unsafe fn go_on(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: I1, and what the caller promises.
    unsafe {
        match ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) {
            Some(function) => function(state),
            None => 0,
        }
    }
}

unsafe extern "C-unwind" fn bound_pattern(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: I1, I5; made by `wrap`.
    unsafe {
        if ffi::lua_type(state, 2) == ffi::LUA_TSTRING && ffi::lua_objlen(state, 2) > PATTERN_BYTES_MAX {
            return ffi::luaL_error(state, c"pattern too complex".as_ptr());
        }
        go_on(state)
    }
}

/// Pushes `field` of the metatable of argument 1, if it is a protected table.
///
/// # Safety
/// I1, I5.
unsafe fn push_protected(state: *mut ffi::lua_State, field: &str) -> bool {
    // SAFETY: I1, I5: a C function has room for a few values.
    unsafe {
        if ffi::lua_type(state, 1) != ffi::LUA_TTABLE || ffi::lua_getmetatable(state, 1) == 0 {
            return false;
        }
        ffi::lua_pushlstring_(state, REAL.as_ptr().cast(), REAL.len());
        ffi::lua_rawget_(state, -2);
        let is_protected = ffi::lua_type(state, -1) == ffi::LUA_TTABLE;
        if !is_protected || field == REAL {
            ffi::lua_remove(state, -2);
        } else {
            ffi::lua_settop(state, -2);
            ffi::lua_pushlstring_(state, field.as_ptr().cast(), field.len());
            ffi::lua_rawget_(state, -2);
            ffi::lua_remove(state, -2);
        }
        if !is_protected {
            ffi::lua_settop(state, -2);
        }
        is_protected
    }
}

unsafe extern "C-unwind" fn see_through(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: I1, I5; made by `wrap`.
    unsafe {
        if push_protected(state, REAL) {
            ffi::lua_replace(state, 1);
        }
        go_on(state)
    }
}

unsafe extern "C-unwind" fn guard(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: I1, I5; made by `wrap`.
    unsafe {
        if push_protected(state, REAL) {
            ffi::lua_pushstring_(state, READONLY.as_ptr());
            ffi::lua_error(state);
        }
        go_on(state)
    }
}

unsafe extern "C-unwind" fn show_metatable(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: I1, I5; made by `wrap`.
    unsafe {
        if push_protected(state, VISIBLE) {
            return 1;
        }
        go_on(state)
    }
}
