//! `bit`: operations on the low 32 bits of numbers.
//!
//! A number wraps around at 32 bits, a fraction is rounded to the nearest whole number (a half to the even one), and the
//! result is signed. Shifts use the lowest five bits of their count.

use super::Functions;
use crate::script::context::Context;
use crate::script::lua::{Kind, Raise, Stack};

/// The library.
pub const FUNCTIONS: Functions = &[
    ("tobit", |stack, _| unary(stack, |bits| bits)),
    ("bnot", |stack, _| unary(stack, |bits| !bits)),
    ("bswap", |stack, _| unary(stack, u32::swap_bytes)),
    ("band", |stack, _| fold(stack, |a, b| a & b)),
    ("bor", |stack, _| fold(stack, |a, b| a | b)),
    ("bxor", |stack, _| fold(stack, |a, b| a ^ b)),
    ("lshift", |stack, _| shift(stack, |bits, by| bits << by)),
    ("rshift", |stack, _| shift(stack, |bits, by| bits >> by)),
    ("arshift", |stack, _| {
        shift(stack, |bits, by| (bits as i32 >> by) as u32)
    }),
    ("rol", |stack, _| shift(stack, u32::rotate_left)),
    ("ror", |stack, _| shift(stack, u32::rotate_right)),
    ("tohex", to_hex),
];

/// The low 32 bits of argument `index`.
fn bits(stack: &Stack<'_>, index: usize) -> Result<u32, Raise> {
    // Adding 2^52 + 2^51 rounds to a whole number and leaves its low bits at the end of the mantissa.
    const SHIFTER: f64 = 6_755_399_441_055_744.0;
    let number = stack
        .to_number(index as i32)
        .ok_or_else(|| stack.type_error(index, "number"))?;
    Ok((number + SHIFTER).to_bits() as u32)
}

fn answer(stack: &mut Stack<'_>, bits: u32) -> Result<usize, Raise> {
    stack.push_number(f64::from(bits as i32));
    Ok(1)
}

fn unary(stack: &mut Stack<'_>, operation: fn(u32) -> u32) -> Result<usize, Raise> {
    let result = operation(bits(stack, 1)?);
    answer(stack, result)
}

fn fold(stack: &mut Stack<'_>, operation: fn(u32, u32) -> u32) -> Result<usize, Raise> {
    let mut result = bits(stack, 1)?;
    for index in (2..=stack.top()).rev() {
        result = operation(result, bits(stack, index)?);
    }
    answer(stack, result)
}

fn shift(stack: &mut Stack<'_>, operation: fn(u32, u32) -> u32) -> Result<usize, Raise> {
    let result = operation(bits(stack, 1)?, bits(stack, 2)? & 31);
    answer(stack, result)
}

/// `tohex(number [, digits])`: a negative count of digits asks for upper case.
fn to_hex(stack: &mut Stack<'_>, _: &mut Context) -> Result<usize, Raise> {
    const DIGITS_MAX: u32 = 8;
    let number = bits(stack, 1)?;
    let wanted = match stack.kind(2) {
        Kind::None => DIGITS_MAX as i32,
        _ => bits(stack, 2)? as i32,
    };
    let digits = wanted.unsigned_abs().min(DIGITS_MAX) as usize;
    let text = if wanted < 0 {
        format!("{number:08X}")
    } else {
        format!("{number:08x}")
    };
    stack.push_bytes(&text.as_bytes()[text.len() - digits..]);
    Ok(1)
}
