//! The libraries scripts find beside Lua's own: `cjson`, `cmsgpack`, `struct`, `bit`, `os` and a `math` that can be seeded.
//!
//! Each behaves as the C library of the same name that Redis ships, its limits, options and error texts included.
//! Malformed input raises an error of the script's; nothing is allocated on the word of an announced length, and
//! everything that nests has a depth limit.

pub mod bit;
pub mod cjson;
pub mod cmsgpack;
mod fuzz;
pub mod number;
pub mod os;
pub mod structs;

pub use fuzz::{fuzz_json, fuzz_msgpack, fuzz_script, fuzz_struct};

use super::lua::{Function, Stack};

/// The libraries opened here that are tables of their own.
pub const NAMES: &[&str] = &["cjson", "cmsgpack", "struct", "bit", "os"];

/// Opens all of them into the table of globals on top.
pub fn open(stack: &mut Stack<'_>) {
    cjson::push(stack);
    stack.set_field(-2, "cjson");
    cmsgpack::push(stack);
    stack.set_field(-2, "cmsgpack");
    push_library(stack, structs::FUNCTIONS);
    stack.set_field(-2, "struct");
    push_library(stack, bit::FUNCTIONS);
    stack.set_field(-2, "bit");
    push_library(stack, os::FUNCTIONS);
    stack.set_field(-2, "os");
    stack.get_field(-1, "math");
    set_functions(stack, os::MATH);
    stack.pop(1);
}

/// A library's functions by name.
pub type Functions = &'static [(&'static str, Function)];

/// Pushes a table of functions.
pub fn push_library(stack: &mut Stack<'_>, functions: Functions) {
    stack.push_table(0, functions.len());
    set_functions(stack, functions);
}

/// Puts functions into the table on top.
pub fn set_functions(stack: &mut Stack<'_>, functions: Functions) {
    for (name, function) in functions {
        stack.push_function(*function, 0);
        stack.set_field(-2, name);
    }
}
