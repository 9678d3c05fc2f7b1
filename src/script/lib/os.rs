//! `os`, of which scripts have the processor's clock only, and the functions of `math` that draw numbers.

use super::Functions;
use crate::script::context::{Context, Random};
use crate::script::lua::{Raise, Stack};

/// The library `os`.
pub const FUNCTIONS: Functions = &[("clock", clock)];

/// What replaces Lua's own in `math`.
pub const MATH: Functions = &[("random", random), ("randomseed", random_seed)];

/// Seconds of processor time the process has used.
fn clock(stack: &mut Stack<'_>, _: &mut Context) -> Result<usize, Raise> {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    stack.push_number(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9);
    Ok(1)
}

/// `random()`, `random(high)`, `random(low, high)`.
fn random(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    const RANGE: u32 = i32::MAX as u32;
    let drawn = f64::from(cx.random.draw() % RANGE) / f64::from(RANGE);
    let (low, high) = match stack.top() {
        0 => {
            stack.push_number(drawn);
            return Ok(1);
        }
        1 => (1, stack.integer_argument(1)? as i32),
        2 => (
            stack.integer_argument(1)? as i32,
            stack.integer_argument(2)? as i32,
        ),
        _ => return Err(Raise::message("wrong number of arguments")),
    };
    if low > high {
        return Err(Raise::Argument(stack.top(), "interval is empty".to_owned()));
    }
    let span = i64::from(high) - i64::from(low) + 1;
    stack.push_number((drawn * span as f64).floor() + f64::from(low));
    Ok(1)
}

fn random_seed(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    cx.random = Random::seeded(stack.integer_argument(1)? as u32);
    Ok(0)
}
