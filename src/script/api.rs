//! The table `redis`: how a script calls commands, makes replies, logs.
//!
//! ```text
//! redis.call ──> words into one buffer ──> Host::call ──> reply into one buffer ──> Lua values
//! ```
//!
//! Errors raised here are tables `{err = "CODE text"}`; those of commands carry `ignore_error_stats_update`, since they were
//! counted when the command failed.
//!
//! Cost of a call beside the command: the words are copied once, the reply is read where it lies.

use sha1::{Digest, Sha1};

use super::context::{Called, Context, Replication};
use super::convert::{push_reply, with_code};
use super::lib::Functions;
use super::lua::{Kind, Raise, Stack};
use crate::base::float;

/// What both kinds of scripts have.
const FUNCTIONS: Functions = &[
    ("call", call_raising),
    ("pcall", |stack, cx| call(stack, cx, false)),
    ("setresp", set_resp),
    ("sha1hex", sha1_hex),
    ("error_reply", error_reply),
    ("status_reply", status_reply),
    ("set_repl", set_replication),
    ("acl_check_cmd", acl_check_cmd),
];

/// What only EVAL's scripts have.
const EVAL_FUNCTIONS: Functions = &[
    ("breakpoint", |stack, cx| {
        let debugger = cx.debugger.as_mut();
        let debugged = debugger.map(|debugger| debugger.request_stop()).is_some();
        stack.push_bool(debugged);
        Ok(1)
    }),
    ("debug", |stack, cx| {
        if let Some(debugger) = &mut cx.debugger {
            debugger.print(stack);
        }
        Ok(0)
    }),
    // Effects are what is replicated, always.
    ("replicate_commands", |stack, _| {
        stack.push_bool(true);
        Ok(1)
    }),
];

const REPL_AOF: u8 = 1;
const REPL_REPLICAS: u8 = 2;

const NUMBERS: &[(&str, u8)] = &[
    ("REPL_NONE", 0),
    ("REPL_AOF", REPL_AOF),
    ("REPL_SLAVE", REPL_REPLICAS),
    ("REPL_REPLICA", REPL_REPLICAS),
    ("REPL_ALL", REPL_AOF | REPL_REPLICAS),
];

const LOG_LEVELS: &[(&str, u8)] = &[
    ("LOG_DEBUG", 0),
    ("LOG_VERBOSE", 1),
    ("LOG_NOTICE", 2),
    ("LOG_WARNING", 3),
];

/// Pushes the table that running scripts see; `eval`: those of EVAL.
pub fn push(stack: &mut Stack<'_>, version: &str, eval: bool) {
    super::lib::push_library(stack, FUNCTIONS);
    if eval {
        super::lib::set_functions(stack, EVAL_FUNCTIONS);
    }
    set_numbers(stack, NUMBERS);
    set_log_and_version(stack, version);
}

/// Puts in what a library finds while it loads, too.
pub fn set_log_and_version(stack: &mut Stack<'_>, version: &str) {
    super::lib::set_functions(stack, &[("log", log)]);
    set_numbers(stack, LOG_LEVELS);
    stack.push_bytes(version.as_bytes());
    stack.set_field(-2, "REDIS_VERSION");
    stack.push_number(f64::from(version_number(version)));
    stack.set_field(-2, "REDIS_VERSION_NUM");
}

fn set_numbers(stack: &mut Stack<'_>, numbers: &[(&str, u8)]) {
    for (name, value) in numbers {
        stack.push_number(f64::from(*value));
        stack.set_field(-2, name);
    }
}

/// `7.4.1` as 0x00070401.
fn version_number(version: &str) -> u32 {
    version
        .split('.')
        .fold(0, |all, part| all << 8 | part.parse::<u32>().unwrap_or_default())
}

/// An error of this table's functions.
pub fn raise(stack: &mut Stack<'_>, cx: &mut Context, text: impl AsRef<[u8]>) -> Raise {
    note_error(cx, text.as_ref());
    stack.truncate(0);
    stack.push_error_table(&[b"ERR ", text.as_ref()].concat());
    Raise::Top
}

/// Lets who debugs know of an error.
fn note_error(cx: &mut Context, text: &[u8]) {
    if let Some(debugger) = &mut cx.debugger {
        debugger.note_error(text);
    }
}

/// `call`, for who debugs.
pub fn call_raising(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    call(stack, cx, true)
}

/// `call` and `pcall`: runs a command; an error is raised or returned.
fn call(stack: &mut Stack<'_>, cx: &mut Context, raising: bool) -> Result<usize, Raise> {
    if let Err(text) = take_words(stack, cx) {
        let error = raise(stack, cx, text);
        return if raising { Err(error) } else { Ok(1) };
    }
    stack.truncate(0);
    let Some(host) = cx.host.get() else {
        return Err(raise(
            stack,
            cx,
            "redis.call can only be called inside a script invocation",
        ));
    };
    if let Some(debugger) = &mut cx.debugger {
        debugger.note_call(cx.args.args());
    }
    cx.reply.clear();
    let called = host.call(cx.args.args(), &mut cx.reply);
    let mut reply = std::mem::take(&mut cx.reply);
    if let Some(debugger) = &mut cx.debugger {
        match called {
            Called::Ran => debugger.note_reply(&reply),
            Called::Refused => debugger.note_refusal(&reply),
        }
    }
    let pushed = push_reply(stack, &reply);
    reply.clear();
    cx.give_back(reply);
    if pushed? && raising {
        return Err(Raise::Top);
    }
    Ok(1)
}

/// The arguments as words of a command.
fn take_words(stack: &mut Stack<'_>, cx: &mut Context) -> Result<(), &'static str> {
    let count = stack.top();
    if count == 0 {
        return Err("Please specify at least one argument for this redis lib call");
    }
    cx.args.clear();
    for index in 1..=count as i32 {
        if let Some(bytes) = stack.bytes(index) {
            cx.args.push(bytes);
        } else if let Some(value) = stack.number(index) {
            push_number(value, cx);
        } else {
            return Err("Lua redis lib command arguments must be strings or integers");
        }
    }
    Ok(())
}

/// A number as a word: whole ones in full, others with as many digits as tell them apart.
fn push_number(value: f64, cx: &mut Context) {
    if let Some(whole) = float::exact_i64(value) {
        return cx.args.push(itoa::Buffer::new().format(whole).as_bytes());
    }
    cx.reply.clear();
    float::shortest(value, &mut cx.reply);
    cx.args.push(&cx.reply);
}

fn set_resp(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    if stack.top() != 1 {
        return Err(raise(stack, cx, "redis.setresp() requires one argument."));
    }
    let version = stack.to_number(1).unwrap_or_default() as i64;
    if version != 2 && version != 3 {
        return Err(raise(stack, cx, "RESP version must be 2 or 3."));
    }
    if let Some(host) = cx.host.get() {
        host.set_resp(version as u8);
    }
    Ok(0)
}

fn sha1_hex(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    if stack.top() != 1 {
        return Err(raise(stack, cx, "wrong number of arguments"));
    }
    let digest = sha1(stack.to_bytes(1).unwrap_or_default());
    stack.push_bytes(&hex(&digest));
    Ok(1)
}

/// The SHA-1 of `bytes`.
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    Sha1::digest(bytes).into()
}

/// 40 hexadecimal digits.
pub fn hex(digest: &[u8; 20]) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 40];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// The only argument, if it is a string.
fn only_string(stack: &Stack<'_>) -> Option<Vec<u8>> {
    let is_alone = stack.top() == 1;
    stack.bytes(1).filter(|_| is_alone).map(<[u8]>::to_vec)
}

fn error_reply(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    let Some(text) = only_string(stack) else {
        let _ = raise(stack, cx, "wrong number or type of arguments");
        return Ok(1);
    };
    let text = text.strip_prefix(b"-").unwrap_or(&text);
    if cx.debugger.is_some() {
        note_error(cx, &[b"-", text].concat());
    }
    let trimmed = text.trim_ascii_end();
    stack.push_error_table(&with_code(if trimmed.is_empty() { text } else { trimmed }));
    Ok(1)
}

fn status_reply(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    let Some(text) = only_string(stack) else {
        let _ = raise(stack, cx, "wrong number or type of arguments");
        return Ok(1);
    };
    stack.push_table(0, 1);
    stack.push_bytes(&text);
    stack.set_field(-2, "ok");
    Ok(1)
}

fn set_replication(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    if stack.top() != 1 {
        return Err(raise(stack, cx, "redis.set_repl() requires one argument."));
    }
    let flags = stack.to_number(1).unwrap_or_default() as i64;
    if flags & !i64::from(REPL_AOF | REPL_REPLICAS) != 0 {
        let text = "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return Err(raise(stack, cx, text));
    }
    if let Some(host) = cx.host.get() {
        host.set_replication(Replication {
            aof: flags as u8 & REPL_AOF != 0,
            replicas: flags as u8 & REPL_REPLICAS != 0,
        });
    }
    Ok(0)
}

fn acl_check_cmd(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    if let Err(text) = take_words(stack, cx) {
        return Err(raise(stack, cx, text));
    }
    let Some(host) = cx.host.get() else {
        return Err(raise(
            stack,
            cx,
            "redis.acl_check_cmd can only be called inside a script invocation",
        ));
    };
    match host.may_run(cx.args.args()) {
        Some(allowed) => stack.push_bool(allowed),
        None => {
            return Err(raise(
                stack,
                cx,
                "Invalid command passed to redis.acl_check_cmd()",
            ));
        }
    }
    Ok(1)
}

/// `log(level, text, ...)`.
fn log(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    if stack.top() < 2 {
        return Err(raise(stack, cx, "redis.log() requires two arguments or more."));
    }
    let Some(level) = stack.to_number(1) else {
        return Err(raise(stack, cx, "First argument must be a number (log level)."));
    };
    let level = level as i64;
    if !(0..=3).contains(&level) {
        return Err(raise(stack, cx, "Invalid log level."));
    }
    let mut text = Vec::new();
    for index in 2..=stack.top() as i32 {
        if let Some(piece) = stack.to_bytes(index) {
            if index > 2 {
                text.push(b' ');
            }
            text.extend_from_slice(piece);
        }
    }
    match cx.host.get() {
        Some(host) => host.log(level as u8, &text),
        None => {
            // A library that loads: whoever loads it writes the lines.
            if let Some(registering) = &mut cx.registering {
                registering.log.push((level as u8, text));
            }
        }
    }
    Ok(0)
}

/// Text of a Lua error value for error messages: strings and numbers as they are, anything else by its type.
pub fn text_of(stack: &mut Stack<'_>, index: i32) -> Vec<u8> {
    match stack.kind(index) {
        Kind::String | Kind::Number => stack.to_bytes(index).unwrap_or_default().to_vec(),
        Kind::Boolean => format!("{}", stack.is_true(index)).into_bytes(),
        kind => kind.name().as_bytes().to_vec(),
    }
}

/// The handler that sees errors first: makes them tables and says where they were raised.
pub fn error_handler(stack: &mut Stack<'_>, _: &mut Context) -> Result<usize, Raise> {
    let at = match stack.position(1) {
        // A C function's place is that of its caller.
        Some((_, true)) => stack.position(2),
        at => at,
    };
    if stack.kind(1) != Kind::Table {
        let text = text_of(stack, 1);
        stack.push_error_table(&[b"ERR ", &text[..]].concat());
    } else {
        stack.push_copy(1);
    }
    if let Some((position, _)) = at {
        stack.push_bytes(&position.source);
        stack.set_field(-2, "source");
        stack.push_number(position.line as f64);
        stack.set_field(-2, "line");
    }
    Ok(1)
}
