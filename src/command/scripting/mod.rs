//! Scripts and functions: what EVAL runs and what FUNCTION loads.
//!
//! The handlers read their words and say what is to be done; the executor keeps interpreter, scripts and libraries, and
//! does it (`exec/script/`).

pub mod eval;
pub mod function;
pub mod script;

use super::args::Args;
use super::cx::{Control, Cx, Next, Outcome, ScriptAct};
use super::error::Error;

/// Ends a handler: the executor goes on.
fn act(act: ScriptAct) -> Outcome {
    Ok(Next::Control(Control::Script(act)))
}

/// Reads `[ASYNC | SYNC]` in word 2, the last; whether memory is to be freed elsewhere.
fn flush_mode(cx: &Cx<'_>, args: Args<'_>, refusal: &'static str) -> Result<bool, Error> {
    match args.try_get(2) {
        None => Ok(cx.keys.lazy.user_flush),
        Some(_) if args.is(2, "sync") => Ok(false),
        Some(_) if args.is(2, "async") => Ok(true),
        Some(_) => Err(Error::fixed(refusal)),
    }
}
