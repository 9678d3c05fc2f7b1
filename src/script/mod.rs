//! Scripts: a Lua engine that calls commands through the trait it defines, [`context::Host`].
//!
//! ```text
//!   exec ── Engine::run_script ──> lua ── redis.call ──> api ── Host::call ──> exec
//!                                   |
//!                                   └── cjson cmsgpack struct bit math os      lib
//! ```
//!
//! [`engine`] runs scripts and loads libraries, [`debug`] stops in them, [`cache`] keeps EVAL's scripts and [`library`] those of FUNCTION, [`convert`]
//! turns replies into values and back, [`sandbox`] keeps scripts from changing what they share, [`lua`] is the interpreter.
//!
//! Imports: base and resp. Knows no keys, clients or commands.

pub mod api;
pub mod cache;
pub mod context;
pub mod convert;
pub mod debug;
pub mod engine;
pub mod flags;
pub mod lib;
pub mod library;
pub mod lua;
pub mod register;
pub mod sandbox;
#[cfg(test)]
mod tests;
