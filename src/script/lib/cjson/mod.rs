//! `cjson`: Lua values to JSON text and back, version 2.1.0 with Redis's defaults.
//!
//! `cjson.new()` makes a library with options of its own; the options of one library are shared by its functions, which
//! have them as their own value.

mod decode;
mod encode;

pub use decode::decode_text;

use super::Functions;
use crate::script::context::Context;
use crate::script::lua::{Kind, Raise, Stack};

/// What the configuration functions change.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    sparse_convert: bool,
    sparse_ratio: i32,
    sparse_safe: i32,
    encode_depth_max: i32,
    decode_depth_max: i32,
    encode_invalid_numbers: InvalidNumbers,
    decode_invalid_numbers: bool,
    number_precision: i32,
    keep_buffer: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            encode_invalid_numbers: InvalidNumbers::Refuse,
            decode_invalid_numbers: true,
            number_precision: 14,
            keep_buffer: true,
        }
    }
}

/// What becomes of a number that JSON cannot write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvalidNumbers {
    Refuse,
    Write,
    Null,
}

const FUNCTIONS: Functions = &[
    ("encode", encode::encode),
    ("decode", decode::decode),
    ("encode_sparse_array", encode_sparse_array),
    ("encode_max_depth", |stack, _| {
        integer_option(stack, |o| &mut o.encode_depth_max, i32::MAX)
    }),
    ("decode_max_depth", |stack, _| {
        integer_option(stack, |o| &mut o.decode_depth_max, i32::MAX)
    }),
    ("encode_number_precision", |stack, _| {
        integer_option(stack, |o| &mut o.number_precision, 14)
    }),
    // The buffer is the state's: whether it is kept makes no difference that a script could see.
    ("encode_keep_buffer", |stack, _| {
        switch_option(stack, |o| &mut o.keep_buffer)
    }),
    ("encode_invalid_numbers", encode_invalid_numbers),
    ("decode_invalid_numbers", |stack, _| {
        switch_option(stack, |o| &mut o.decode_invalid_numbers)
    }),
    ("new", |stack, _| {
        push(stack);
        Ok(1)
    }),
];

/// Pushes a library with default options.
pub fn push(stack: &mut Stack<'_>) {
    stack.push_data(Options::default());
    stack.push_table(0, FUNCTIONS.len() + 3);
    for (name, function) in FUNCTIONS {
        stack.push_copy(-2);
        stack.push_function(*function, 1);
        stack.set_field(-2, name);
    }
    stack.push_null();
    stack.set_field(-2, "null");
    stack.push_bytes(b"cjson");
    stack.set_field(-2, "_NAME");
    stack.push_bytes(b"2.1.0");
    stack.set_field(-2, "_VERSION");
    stack.remove(-2);
}

fn options<'s>(stack: &'s mut Stack<'_>) -> &'s mut Options {
    stack.upvalue_data(1)
}

/// At most `count` arguments, padded with nil.
fn take_arguments(stack: &mut Stack<'_>, count: usize) -> Result<(), Raise> {
    if stack.top() > count {
        return Err(Raise::Argument(count + 1, "found too many arguments".to_owned()));
    }
    stack.resize(count)
}

/// Takes an option from argument `index`, if it is given.
fn take_integer(
    stack: &mut Stack<'_>,
    index: usize,
    option: fn(&mut Options) -> &mut i32,
    (low, high): (i32, i32),
) -> Result<(), Raise> {
    if stack.kind(index as i32) != Kind::Nil {
        let value = i32::try_from(stack.integer_argument(index)?)
            .ok()
            .filter(|value| (low..=high).contains(value));
        let out_of_range = || Raise::Argument(1, format!("expected integer between {low} and {high}"));
        *option(options(stack)) = value.ok_or_else(out_of_range)?;
    }
    let value = *option(options(stack));
    stack.push_number(f64::from(value));
    Ok(())
}

fn integer_option(
    stack: &mut Stack<'_>,
    option: fn(&mut Options) -> &mut i32,
    high: i32,
) -> Result<usize, Raise> {
    take_arguments(stack, 1)?;
    take_integer(stack, 1, option, (1, high))?;
    Ok(1)
}

/// The index in `words` of the word that argument `index` is.
fn choice(stack: &mut Stack<'_>, index: usize, words: &[&str]) -> Result<usize, Raise> {
    let word = stack.bytes_argument(index)?;
    let found = words.iter().position(|choice| choice.as_bytes() == word);
    found.ok_or_else(|| {
        let word = String::from_utf8_lossy(word);
        Raise::Argument(index, format!("invalid option '{word}'"))
    })
}

fn take_switch(
    stack: &mut Stack<'_>,
    index: usize,
    option: fn(&mut Options) -> &mut bool,
) -> Result<(), Raise> {
    match stack.kind(index as i32) {
        Kind::Nil => {}
        Kind::Boolean => *option(options(stack)) = stack.is_true(index as i32),
        _ => *option(options(stack)) = choice(stack, index, &["off", "on"])? == 1,
    }
    let value = *option(options(stack));
    stack.push_bool(value);
    Ok(())
}

fn switch_option(stack: &mut Stack<'_>, option: fn(&mut Options) -> &mut bool) -> Result<usize, Raise> {
    take_arguments(stack, 1)?;
    take_switch(stack, 1, option)?;
    Ok(1)
}

/// `encode_sparse_array([convert [, ratio [, safe]]])`.
fn encode_sparse_array(stack: &mut Stack<'_>, _: &mut Context) -> Result<usize, Raise> {
    take_arguments(stack, 3)?;
    take_switch(stack, 1, |o| &mut o.sparse_convert)?;
    take_integer(stack, 2, |o| &mut o.sparse_ratio, (0, i32::MAX))?;
    take_integer(stack, 3, |o| &mut o.sparse_safe, (0, i32::MAX))?;
    Ok(3)
}

fn encode_invalid_numbers(stack: &mut Stack<'_>, _: &mut Context) -> Result<usize, Raise> {
    use InvalidNumbers::{Null, Refuse, Write};
    take_arguments(stack, 1)?;
    match stack.kind(1) {
        Kind::Nil => {}
        Kind::Boolean => {
            let wanted = if stack.is_true(1) { Write } else { Refuse };
            options(stack).encode_invalid_numbers = wanted;
        }
        _ => {
            let wanted = [Refuse, Write, Null][choice(stack, 1, &["off", "on", "null"])?];
            options(stack).encode_invalid_numbers = wanted;
        }
    }
    match options(stack).encode_invalid_numbers {
        Null => stack.push_bytes(b"null"),
        other => stack.push_bool(other == Write),
    }
    Ok(1)
}
