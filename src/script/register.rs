//! `redis.register_function`: how a library that loads names its functions.
//!
//! ```text
//! redis.register_function('name', callback)
//! redis.register_function{function_name = 'name', callback = f, flags = {'no-writes'}, description = '...'}
//! ```

use std::time::{Duration, Instant};

use super::api::raise;
use super::context::Context;
use super::flags::{ScriptFlags, flag, is_name};
use super::lua::{Kind, Raise, Ref, Stack};

/// A function that a library registered.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: Vec<u8>,
    /// What it says it does.
    pub description: Option<Vec<u8>>,
    /// What it promises.
    pub flags: ScriptFlags,
    /// The Lua function.
    pub callback: Ref,
}

/// A library while it loads.
#[derive(Debug)]
pub struct Registering {
    /// Its functions so far.
    pub functions: Vec<Function>,
    /// Lines it wants in the log: level and text.
    pub log: Vec<(u8, Vec<u8>)>,
    deadline: Option<Instant>,
}

impl Registering {
    /// A library that begins to load and may take until `limit` has passed.
    pub fn new(limit: Option<Duration>) -> Registering {
        Registering {
            functions: Vec::new(),
            log: Vec::new(),
            deadline: limit.map(|limit| Instant::now() + limit),
        }
    }

    /// Whether its time is over.
    pub fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() > deadline)
    }
}

/// What is being registered.
#[derive(Default)]
struct Wanted {
    name: Option<Vec<u8>>,
    description: Option<Vec<u8>>,
    flags: ScriptFlags,
    callback: Option<Ref>,
}

/// `redis.register_function`.
pub fn register_function(stack: &mut Stack<'_>, cx: &mut Context) -> Result<usize, Raise> {
    if cx.registering.is_none() {
        return Err(raise(
            stack,
            cx,
            "redis.register_function can only be called on FUNCTION LOAD command",
        ));
    }
    let mut wanted = Wanted::default();
    let outcome = match stack.top() {
        1 => named_arguments(stack, &mut wanted),
        2 => positional_arguments(stack, &mut wanted),
        _ => Err("wrong number of arguments to redis.register_function"),
    };
    let registered = outcome.and_then(|()| add(cx, &mut wanted));
    if let Some(unused) = wanted.callback {
        stack.release(unused);
    }
    match registered {
        Ok(()) => Ok(0),
        Err(text) => Err(raise(stack, cx, text)),
    }
}

fn add(cx: &mut Context, wanted: &mut Wanted) -> Result<(), &'static str> {
    let name = wanted
        .name
        .take()
        .ok_or("redis.register_function must get a function name argument")?;
    if wanted.callback.is_none() {
        return Err("redis.register_function must get a callback argument");
    }
    if !is_name(&name) {
        return Err(
            "Library names can only contain letters, numbers, or underscores(_) and must be at least one \
             character long",
        );
    }
    let registering = cx
        .registering
        .as_mut()
        .ok_or("redis.register_function can only be called on FUNCTION LOAD command")?;
    if registering.functions.iter().any(|known| known.name == name) {
        return Err("Function already exists in the library");
    }
    if let Some(callback) = wanted.callback.take() {
        registering.functions.push(Function {
            name,
            description: wanted.description.take(),
            flags: wanted.flags,
            callback,
        });
    }
    Ok(())
}

fn positional_arguments(stack: &mut Stack<'_>, wanted: &mut Wanted) -> Result<(), &'static str> {
    let name = stack.to_bytes(1).map(<[u8]>::to_vec);
    wanted.name = Some(name.ok_or("first argument to redis.register_function must be a string")?);
    if stack.kind(2) != Kind::Function {
        return Err("second argument to redis.register_function must be a function");
    }
    wanted.callback = Some(stack.keep());
    Ok(())
}

fn named_arguments(stack: &mut Stack<'_>, wanted: &mut Wanted) -> Result<(), &'static str> {
    if stack.kind(1) != Kind::Table {
        return Err(
            "calling redis.register_function with a single argument is only applicable to Lua table \
             (representing named arguments).",
        );
    }
    stack.push_nil();
    while stack.next(1) {
        let key = match stack.kind(-2) {
            // Compat: a number passes for a string here, and is no name of an argument.
            Kind::Number => Vec::new(),
            _ => stack
                .bytes(-2)
                .map(<[u8]>::to_ascii_lowercase)
                .ok_or("named argument key given to redis.register_function is not a string")?,
        };
        match &key[..] {
            b"function_name" => {
                let name = string_value(stack);
                wanted.name = Some(
                    name.ok_or("function_name argument given to redis.register_function must be a string")?,
                );
            }
            b"description" => {
                let text = string_value(stack);
                wanted.description = Some(
                    text.ok_or("description argument given to redis.register_function must be a string")?,
                );
            }
            b"callback" => {
                if stack.kind(-1) != Kind::Function {
                    return Err("callback argument given to redis.register_function must be a function");
                }
                stack.push_copy(-1);
                let kept = stack.keep();
                if let Some(former) = wanted.callback.replace(kept) {
                    stack.release(former);
                }
            }
            b"flags" => wanted.flags = flags(stack)?,
            _ => return Err("unknown argument given to redis.register_function"),
        }
        stack.pop(1);
    }
    Ok(())
}

/// The string, or number as one, on top.
fn string_value(stack: &mut Stack<'_>) -> Option<Vec<u8>> {
    stack.to_bytes(-1).map(<[u8]>::to_vec)
}

/// The flags in the table on top.
fn flags(stack: &mut Stack<'_>) -> Result<ScriptFlags, &'static str> {
    if stack.kind(-1) != Kind::Table {
        return Err("flags argument to redis.register_function must be a table representing function flags");
    }
    let mut all = ScriptFlags::empty();
    for index in 1.. {
        stack.get_index(-1, index);
        if stack.kind(-1) == Kind::Nil {
            stack.pop(1);
            break;
        }
        let known = stack.bytes(-1).and_then(|name| flag(&name.to_ascii_lowercase()));
        stack.pop(1);
        all |= known.ok_or("unknown flag given")?;
    }
    Ok(all)
}
