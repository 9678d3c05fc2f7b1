//! Scripts against a server of a few made-up commands: what hostile ones can do, and what is left behind.

use proptest::prelude::*;

use super::cache::{EVAL_SCRIPTS_MAX, Scripts};
use super::context::{Called, Host};
use super::engine::{Call, Engine, Settings};
use super::flags::ScriptFlags;
use super::lua::{Kind, Lua};
use crate::base::hash::KeyHasher;
use crate::resp::{ArgBuf, Args, Reply, Value, parse_value};

const LIMIT_BYTES: usize = 8 << 20;

fn settings() -> Settings<'static> {
    Settings {
        version: "7.4.1",
        limit_bytes: LIMIT_BYTES,
        seed: 7,
    }
}

/// Answers the words of a call, patiently for a while.
#[derive(Default)]
struct Echo {
    patience: usize,
    log: Vec<(u8, Vec<u8>)>,
}

impl Host for Echo {
    fn call(&mut self, words: Args<'_>, reply: &mut Vec<u8>) -> Called {
        let mut reply = Reply::new(reply, false);
        if words.get(0) == b"fail" {
            reply.error("CODE it failed");
        } else {
            reply.array(words.len());
            words.iter().for_each(|word| reply.bulk(word));
        }
        Called::Ran
    }

    fn may_run(&mut self, _: Args<'_>) -> Option<bool> {
        Some(false)
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        self.log.push((level, text.to_vec()));
    }

    fn interrupt(&mut self) -> Option<&'static str> {
        self.patience = self.patience.saturating_sub(1);
        (self.patience == 0).then_some("too long")
    }
}

/// The reply of a script, in the notation of transcripts.
fn run_in(engine: &mut Engine, source: &str) -> String {
    let words = ArgBuf::from_slices(&[b"key", b"arg"]);
    let (keys, args) = words.args().split_at(1);
    let call = Call {
        name: b"test",
        keys,
        args,
    };
    let function = match engine.compile(source.as_bytes()) {
        Ok(function) => function,
        Err(text) => return String::from_utf8_lossy(&text).into_owned(),
    };
    let (mut out, mut host) = (
        Vec::new(),
        Echo {
            patience: 40,
            ..Echo::default()
        },
    );
    let outcome = engine.run_script(&function, &call, &mut host, &mut Reply::new(&mut out, false));
    engine.release(function);
    match outcome {
        Err(error) => format!("-{}", String::from_utf8_lossy(&error.text)),
        Ok(()) => {
            let Ok(parsed) = parse_value(&out) else {
                return String::from_utf8_lossy(&out).into_owned();
            };
            let (value, len): (Value, usize) = parsed.expect("all of it");
            assert_eq!(len, out.len(), "one reply");
            value.to_string()
        }
    }
}

#[track_caller]
fn check(source: &str, expected: &str) {
    let mut engine = Engine::eval(settings());
    let got = run_in(&mut engine, source);
    assert!(got.contains(expected), "{source}: {got}");
    let after = run_in(
        &mut engine,
        "return {redis.call('x')[1], type(string.rep), KEYS[1]}",
    );
    assert_eq!(
        after, "*3\n  $x\n  $function\n  $key",
        "{source} left something behind"
    );
}

#[test]
fn what_never_ends_is_ended() {
    check("while true do end", "-ERR too long");
    check(
        "while true do pcall(function() while true do end end) end",
        "-ERR too long",
    );
    check("local function f() return f() end f()", "-ERR too long");
    check(
        "local co = coroutine.wrap(function() while true do end end) co()",
        "-ERR",
    );
    check("for w in function() return 1 end do end", "-ERR too long");
}

#[test]
fn what_takes_all_memory_is_refused() {
    check(
        "local t = {} while true do t[#t + 1] = string.rep('x', 10000) .. #t end",
        "not enough memory",
    );
    check("local s = 'x' while true do s = s .. s end", "not enough memory");
    check("return string.rep('x', 2^30)", "not enough memory");
    check(
        "local t = {} for i = 1, 1e6 do t[i] = {i} end",
        "not enough memory",
    );
    // Once it is let go, all is well.
    check("pcall(string.rep, 'x', 2^30) return 1", ":1");
}

#[test]
fn what_nests_without_end_is_refused() {
    check(
        "local function f() return 1 + f() end return f()",
        "stack overflow",
    );
    check("local t = {} t[1] = t return t", "reached lua stack limit");
    check(
        "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x",
        "loop in gettable",
    );
    check(
        "return loadstring('return ' .. ('('):rep(1000) .. '1' .. (')'):rep(1000))",
        "",
    );
    check(
        "return {pcall(string.find, ('a'):rep(30000), ('a?'):rep(30000))}",
        "",
    );
    check(
        "local f = function() end for i = 1, 300 do local g = f f = function() return pcall(g) end end return f()",
        "",
    );
}

#[test]
fn tampering_is_refused_or_does_not_last() {
    check("collectgarbage('stop') return 1", ":1");
    check("setfenv(0, {}) return 1", ":1");
    check("setfenv(1, {}) return 1", ":1");
    check("return getfenv(redis.call) == _G and 1", ":1");
    check("getfenv(0).redis = 1", "readonly table");
    check("math.randomseed(1) return 1", ":1");
    check("local mt = getmetatable('') mt.__index = nil", "readonly table");
    check(
        "cjson.encode_max_depth(1) cjson.encode_max_depth(1000) return 1",
        ":1",
    );
    check(
        "coroutine.wrap(function() coroutine.yield() end)() return 1",
        ":1",
    );
    check(
        "xpcall(function() error({}) end, function(e) return e end) return 1",
        ":1",
    );
    check("return newproxy", "nonexistent global variable 'newproxy'");
}

#[test]
fn errors_of_commands_say_where_they_were_raised() {
    check(
        "\n\nredis.call('fail')",
        "-CODE it failed script: test, on @user_script:3.",
    );
    check("return redis.pcall('fail').err", "$CODE it failed");
    check(
        "error({err = 'MY own'})",
        "-MY own script: test, on @user_script:1.",
    );
    check("error({})", "-ERR unknown error script: test, on @user_script:1.");
    check("error(nil)", "-ERR nil script: test");
}

#[test]
fn numbers_become_words_that_read_back() {
    check(
        "return redis.call(1, -0.5, 1e15, 2^53, 0.1)",
        "*5\n  $1\n  $-0.5\n  $1000000000000000\n  $9007199254740992\n  $0.1",
    );
    check("return redis.call(1e300)", "$1e+300");
    check(
        "return redis.call({})",
        "-ERR Lua redis lib command arguments must be strings or integers",
    );
}

#[test]
fn a_state_gives_back_all_its_memory() {
    let lua = Lua::new(super::context::Context::default(), LIMIT_BYTES);
    assert!(lua.used_bytes() > 0);
    drop(lua);
    let mut engine = Engine::eval(settings());
    run_in(&mut engine, "return 1");
    let before = engine.used_bytes();
    for i in 0..2_000 {
        run_in(
            &mut engine,
            &format!("local t = {{}} for i = 1, 100 do t[i] = i .. '{i}' end return #t"),
        );
    }
    assert!(engine.used_bytes() < before + (2 << 20), "garbage is collected");
}

#[test]
fn functions_register_while_they_load_and_find_only_what_they_may() {
    let mut engine = Engine::functions(settings());
    let (outcome, log) = engine.load(
        b"redis.log(redis.LOG_NOTICE, 'hi') redis.register_function('f', function() return 1 end)",
        None,
    );
    assert_eq!(outcome.map(|functions| functions.len()), Ok(1));
    assert_eq!(log, [(2, b"hi".to_vec())]);
    let mut error = |source: &[u8]| {
        let (outcome, _) = engine.load(source, Some(std::time::Duration::from_millis(1)));
        String::from_utf8(outcome.expect_err("an error")).expect("text")
    };
    assert!(error(b"redis.call('x')").contains("nonexistent global variable 'call'"));
    assert!(error(b"string.rep('x', 1)").contains("nonexistent global variable 'string'"));
    assert!(error(b"while true do end").contains("FUNCTION LOAD timeout"));
}

#[test]
fn the_script_longest_unused_goes_first_unless_it_is_pinned() {
    let mut engine = Engine::eval(settings());
    let mut scripts = Scripts::new(KeyHasher::with_seed(1));
    let mut add = |scripts: &mut Scripts, text: String| {
        if let Some(evicted) = scripts.evict() {
            engine.release(evicted);
        }
        let function = engine.compile(text.as_bytes()).expect("Lua");
        scripts.add(text.as_bytes(), ScriptFlags::COMPAT, function, true)
    };
    let (pinned, digest) = add(&mut scripts, "return 'pinned'".into());
    scripts.pin(pinned);
    let (used, _) = add(&mut scripts, "return 'used'".into());
    for i in 0..2 * EVAL_SCRIPTS_MAX {
        add(&mut scripts, format!("return {i}"));
        scripts.touch(used);
    }
    assert_eq!(scripts.len(), EVAL_SCRIPTS_MAX + 1);
    assert!(scripts.find_text(b"return 'pinned'").is_some());
    assert_eq!(scripts.find_digest(&digest), Some(pinned));
    assert_eq!(scripts.find_text(b"return 'used'"), Some(used));
    assert!(scripts.find_text(b"return 0").is_none());
    assert!(scripts.find_text(b"return 999").is_some());
}

/// A value that JSON, MessagePack and replies can carry.
#[derive(Debug, Clone)]
enum Plain {
    Number(i32),
    Text(Vec<u8>),
    Flag(bool),
    List(Vec<Plain>),
}

fn plain() -> impl Strategy<Value = Plain> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Plain::Number),
        any::<Vec<u8>>().prop_map(Plain::Text),
        any::<bool>().prop_map(Plain::Flag),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        proptest::collection::vec(inner, 1..5).prop_map(Plain::List)
    })
}

impl Plain {
    /// As Lua writes it.
    fn source(&self) -> String {
        match self {
            Plain::Number(n) => format!("{n}"),
            Plain::Text(text) => {
                let digits: Vec<String> = text.iter().map(|byte| format!("\\{byte:03}")).collect();
                format!("'{}'", digits.concat())
            }
            Plain::Flag(flag) => format!("{flag}"),
            Plain::List(list) => {
                let items: Vec<String> = list.iter().map(Plain::source).collect();
                format!("{{{}}}", items.join(","))
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_encoded_decodes_to_the_same(value in plain()) {
        let mut engine = Engine::eval(settings());
        let source = value.source();
        let plain = run_in(&mut engine, &format!("return {{{source}}}"));
        for way in ["cjson.decode(cjson.encode({v}))[1]", "cmsgpack.unpack(cmsgpack.pack(v))"] {
            let back = run_in(&mut engine, &format!("local v = {source} return {{{way}}}"));
            prop_assert_eq!(&back, &plain, "{} of {}", way, source);
        }
    }

    #[test]
    fn a_struct_unpacks_to_what_was_packed(n in any::<i32>(), text: Vec<u8>, big: bool, align in 0u32..4) {
        let mut engine = Engine::eval(settings());
        let format = format!("{}!{}bi4c{}d", if big { '>' } else { '<' }, 1 << align, text.len().max(1));
        let text = Plain::Text(if text.is_empty() { vec![0] } else { text });
        let script = format!(
            "local a, b, c, d = struct.unpack('{format}', struct.pack('{format}', -7, {n}, {t}, 0.5)) \
             return a == -7 and b == {n} and c == {t} and d == 0.5 and #struct.pack('{format}', 1, 2, {t}, 4) == \
             struct.size('{format}')",
            t = text.source(),
        );
        prop_assert_eq!(run_in(&mut engine, &script), ":1");
    }
}

#[test]
fn kinds_have_the_names_scripts_see() {
    let mut lua = Lua::new(super::context::Context::default(), LIMIT_BYTES);
    let stack = &mut lua.stack();
    stack.push_null();
    stack.push_number(1.5);
    assert_eq!(
        [stack.kind(1), stack.kind(-1), stack.kind(3)],
        [Kind::LightUserdata, Kind::Number, Kind::None]
    );
    assert_eq!(
        [stack.kind(1).name(), stack.kind(3).name()],
        ["userdata", "no value"]
    );
}
