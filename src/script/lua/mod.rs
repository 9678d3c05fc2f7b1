//! A Lua 5.1 state as safe Rust sees it: values on a stack, functions written in Rust, calls that are caught.
//!
//! ```text
//!  engine ──> Lua ── call ──> [ C: the interpreter ] ── trampoline ──> fn(&mut Stack, &mut Context) -> Result<n, Raise>
//! ```
//!
//! Lua reports errors by `longjmp`, which must not pass a Rust frame that has something to drop. So functions written
//! in Rust never raise: they return a [`Raise`], and the trampoline raises when their frames are gone. Memory is the
//! other thing that can fail anywhere: while Rust runs, the state's memory limit is not enforced (see `state.rs`).
//!
//! [`state`] makes and ends states, limits their memory and catches errors; [`stack`] reads and writes values; [`native`]
//! holds the few functions that must be C functions because they call back into Lua.
//!
//! Why not a safe binding: errors of libraries must reach scripts as the strings and tables that Redis raises, and a
//! `redis.call` must cost no allocation of its own.

pub mod native;
pub mod stack;
pub mod state;

pub use stack::{Kind, Ref, Stack};
pub use state::{Failure, Lua};

use super::context::Context;

/// A function of a library: reads its arguments from the stack, pushes its results, says how many.
pub type Function = fn(&mut Stack<'_>, &mut Context) -> Result<usize, Raise>;

/// An error on its way to the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raise {
    /// A message, behind the position of the Lua code that called the function (`user_script:1: `).
    Message(Vec<u8>),
    /// A message as it is.
    Plain(Vec<u8>),
    /// Argument (from 1) and what is wrong with it.
    Argument(usize, String),
    /// The value on top of the stack is the error.
    Top,
}

impl Raise {
    /// A message that will stand behind its position.
    pub fn message(text: impl Into<String>) -> Raise {
        Raise::Message(text.into().into_bytes())
    }
}
