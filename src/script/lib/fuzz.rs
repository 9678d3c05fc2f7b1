//! Fuzz entries of the decoders, and of scripts as such.

use std::cell::RefCell;

use super::{cjson, cmsgpack, structs};
use crate::resp::{ArgBuf, Args, Reply};
use crate::script::context::{Called, Context, Host};
use crate::script::engine::{Call, Engine, Settings};
use crate::script::lua::{Lua, Stack};

const LIMIT_BYTES: usize = 64 << 20;

thread_local! {
    static LUA: RefCell<Lua> = RefCell::new(Lua::new(Context::default(), LIMIT_BYTES));
    static ENGINE: RefCell<Engine> = RefCell::new(Engine::eval(Settings {
        version: "7.4.1",
        limit_bytes: LIMIT_BYTES,
        seed: 1,
    }));
}

fn with_stack(check: impl FnOnce(&mut Stack<'_>)) {
    LUA.with_borrow_mut(|lua| {
        check(&mut lua.stack());
        lua.stack().truncate(0);
        lua.collect_some(10);
    });
}

/// Any bytes as JSON: what is accepted leaves one value.
pub fn fuzz_json(bytes: &[u8]) {
    for depth_max in [3, 200] {
        with_stack(|stack| {
            if cjson::decode_text(stack, bytes, depth_max, depth_max > 3).is_ok() {
                assert_eq!(stack.top(), 1, "one value of JSON");
            }
        });
    }
}

/// Any bytes as MessagePack: as many values as are told.
pub fn fuzz_msgpack(bytes: &[u8]) {
    // A test's stack is smaller than a server's.
    const INPUT_BYTES_MAX: usize = 400;
    with_stack(|stack| {
        let bytes = &bytes[..bytes.len().min(INPUT_BYTES_MAX)];
        if let Ok(count) = cmsgpack::unpack_bytes(stack, bytes, 0, 0) {
            assert_eq!(stack.top(), count, "as many values as are told");
        }
    });
}

/// A length, a format of `struct` and data: as many values as are told.
pub fn fuzz_struct(bytes: &[u8]) {
    with_stack(|stack| {
        let Some((&at, rest)) = bytes.split_first() else {
            return;
        };
        let (format, data) = rest.split_at(usize::from(at).min(rest.len()));
        if let Ok(count) = structs::unpack_bytes(stack, format, data, usize::from(at & 3)) {
            assert_eq!(stack.top(), count, "as many values as are told");
        }
    });
}

/// A server that knows no command and has no patience.
struct NoServer;

impl Host for NoServer {
    fn call(&mut self, words: Args<'_>, reply: &mut Vec<u8>) -> Called {
        let mut reply = Reply::new(reply, true);
        match words.get(0).first() {
            Some(b'e') => reply.error("ERR no"),
            Some(b'i') => reply.int(1),
            Some(b'm') => {
                reply.map(1);
                reply.double(1.5);
                reply.null();
            }
            _ => {
                reply.array(words.len());
                words.iter().for_each(|word| reply.bulk(word));
            }
        }
        Called::Ran
    }

    fn may_run(&mut self, words: Args<'_>) -> Option<bool> {
        (words.len() > 1).then_some(true)
    }

    fn interrupt(&mut self) -> Option<&'static str> {
        Some("enough")
    }
}

/// Any bytes as a script: it ends, with one reply or an error, and the next one finds everything as it was.
pub fn fuzz_script(bytes: &[u8]) {
    let words = ArgBuf::from_slices(&[b"key", b"1"]);
    let (keys, args) = words.args().split_at(1);
    let call = Call {
        name: b"fuzz",
        keys,
        args,
    };
    ENGINE.with_borrow_mut(|engine| {
        let mut run = |source: &[u8]| -> Option<Vec<u8>> {
            let function = engine.compile(source).ok()?;
            let mut out = Vec::new();
            let outcome = engine.run_script(&function, &call, &mut NoServer, &mut Reply::new(&mut out, true));
            engine.release(function);
            outcome.ok().map(|()| out)
        };
        if let Some(out) = run(bytes) {
            assert!(!out.is_empty(), "a reply");
        }
        let unharmed =
            run(b"return {type(redis.call), KEYS[1], ARGV[1], #string.rep('x', 3), rawget(_G, 'x') == nil}");
        assert_eq!(
            unharmed.as_deref(),
            Some(&b"*5\r\n$8\r\nfunction\r\n$3\r\nkey\r\n$1\r\n1\r\n:3\r\n:1\r\n"[..])
        );
    });
}
