//! Conversations with a debugger whose terminal is a list of commands; what they look like beside Redis's is shown by the
//! wire tests.

use std::sync::{Arc, Mutex};

use super::super::context::{Called, Host};
use super::super::engine::{Call, Engine, Settings};
use super::*;
use crate::resp::{ArgBuf, Reply};

/// Says one line after the other, then is gone; a script that is asked for its time has run too long.
struct Script {
    lines: Vec<Vec<u8>>,
    heard: Arc<Mutex<Vec<u8>>>,
    overdue: bool,
}

impl Terminal for Script {
    fn read(&mut self, input: &mut Vec<u8>) -> bool {
        if self.lines.is_empty() {
            return false;
        }
        input.append(&mut self.lines.remove(0));
        true
    }

    fn write(&mut self, bytes: &[u8]) {
        self.heard.lock().expect("one thread").extend_from_slice(bytes);
    }

    fn is_overdue(&self) -> bool {
        self.overdue
    }

    fn note_resumed(&mut self) {}
}

/// Answers every command with its name; refuses `no`.
struct Names;

impl Host for Names {
    fn call(&mut self, words: Args<'_>, reply: &mut Vec<u8>) -> Called {
        let mut reply = Reply::new(reply, false);
        if words.get(0) == b"no" {
            reply.error("ERR not so");
            return Called::Refused;
        }
        reply.bulk(words.get(0));
        Called::Ran
    }

    fn may_run(&mut self, _: Args<'_>) -> Option<bool> {
        None
    }

    fn interrupt(&mut self) -> Option<&'static str> {
        None
    }
}

fn engine() -> Engine {
    Engine::eval(Settings {
        version: "7.4.1",
        limit_bytes: 64 << 20,
        seed: 7,
    })
}

/// A line's words as a client sends them.
fn command(line: &str) -> Vec<u8> {
    let words: Vec<_> = line.split(' ').collect();
    let word = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    let words: Vec<_> = words.iter().map(word).collect();
    format!("*{}\r\n{}", words.len(), words.concat()).into_bytes()
}

/// What is heard while `source` is debugged with raw `input`, line by line, and how the script ends.
fn talk(engine: &mut Engine, source: &str, input: Vec<Vec<u8>>, overdue: bool) -> (Vec<String>, String) {
    let heard = Arc::default();
    let terminal = Script {
        lines: input,
        heard: Arc::clone(&heard),
        overdue,
    };
    let words = ArgBuf::from_slices(&[b"k", b"a"]);
    let (keys, args) = words.args().split_at(1);
    let call = Call {
        name: b"it",
        keys,
        args,
    };
    let function = engine.compile(source.as_bytes()).expect("Lua");
    engine.attach(Debugger::new(Box::new(terminal), source.as_bytes()));
    let mut out = Vec::new();
    let outcome = engine.run_script(&function, &call, &mut Names, &mut Reply::new(&mut out, false));
    engine.release(function);
    engine.detach().expect("it was attached").end();
    let heard = String::from_utf8_lossy(&heard.lock().expect("one thread")).into_owned();
    let lines = heard.lines().filter_map(|line| line.strip_prefix('+'));
    let end = match outcome {
        Ok(()) => String::from_utf8_lossy(&out).trim_end().to_owned(),
        Err(error) => String::from_utf8_lossy(&error.text).into_owned(),
    };
    (lines.map(str::to_owned).collect(), end)
}

#[track_caller]
fn check(source: &str, commands: &str, expected: &[&str], end: &str) {
    let input = commands
        .split(';')
        .filter(|line| !line.is_empty())
        .map(command)
        .collect();
    let (lines, ended) = talk(&mut engine(), source, input, false);
    let expected: Vec<_> = expected.iter().map(|line| line.to_string()).collect();
    let (last, lines) = lines.split_last().expect("an end");
    assert_eq!(last, "<endsession>");
    assert_eq!(lines, expected);
    assert!(ended.contains(end), "{ended}");
}

#[test]
fn a_script_stops_at_its_first_line_and_goes_on_line_by_line() {
    check(
        "local a = 1\nlocal b = a + 1\nreturn b",
        "s;p;p b;N;print b;whole;c",
        &[
            "* Stopped at 1, stop reason = step over",
            "-> 1   local a = 1",
            "* Stopped at 2, stop reason = step over",
            "-> 2   local b = a + 1",
            "<value> a = 1",
            "No such variable.",
            "* Stopped at 3, stop reason = step over",
            "-> 3   return b",
            "<value> 2",
            "   1   local a = 1",
            "   2   local b = a + 1",
            "-> 3   return b",
        ],
        ":2",
    );
}

#[test]
fn what_is_called_at_a_stop_runs_beside_the_script() {
    check(
        "local a = {1, {k = 'v'}}\nreturn redis.call('last')",
        "s;r first;r no;e redis.call('mute');e redis.debug(1, nil);e redis.breakpoint();e error('x');e error({err='y'});e x x;e \u{1b}Lua;p a;p KEYS;p ARGV;r a b c d e f g h i j k l;c",
        &[
            "* Stopped at 1, stop reason = step over",
            "-> 1   local a = {1, {k = 'v'}}",
            "* Stopped at 2, stop reason = step over",
            "-> 2   return redis.call('last')",
            "<redis> first",
            "<reply> \"first\"",
            "<redis> no",
            "<error> not so",
            "<retval> \"mute\"",
            "<debug> line 2: 1, nil",
            "<retval> nil",
            "<retval> true",
            "<error> ldb_eval:1: x",
            "<error> y",
            "<error> ldb_eval:1: '=' expected near 'x'",
            "<error> ldb_eval:1: unexpected symbol near 'char(27)'",
            "<value> {1; {[\"k\"]=\"v\"}}",
            "<value> {\"k\"}",
            "<value> {\"a\"}",
            "<redis> a b c d e f g h i j ... (1 more)",
            "<reply> \"a\"",
        ],
        "last",
    );
}

#[test]
fn breakpoints_are_where_they_were_set_and_the_script_can_ask_for_a_stop() {
    check(
        "local function f(x)\nreturn x + 1\nend\nredis.breakpoint()\nlocal y = f(1)\nreturn y",
        "b 2;b;c;c;t;b -2 -2 0 7 x;c",
        &[
            "* Stopped at 3, stop reason = step over",
            "-> 3   end",
            "   1   local function f(x)",
            "  #2   return x + 1",
            "-> 3   end",
            "1 breakpoints set:",
            "  #2   return x + 1",
            "* Stopped at 5, stop reason = redis.breakpoint() called",
            "-> 5   local y = f(1)",
            "* Stopped at 2, stop reason = break point",
            "->#2   return x + 1",
            "In f:",
            "->#2   return x + 1",
            "From top level:",
            "   5   local y = f(1)",
            "Breakpoint removed.",
            "No breakpoint in the specified line.",
            "All breakpoints removed.",
            "Wrong line number.",
            "Invalid argument:'x'",
        ],
        ":2",
    );
}

#[test]
fn an_abort_is_an_error_that_the_script_can_catch() {
    check(
        "local ok, why = pcall(function()\nlocal a = 1\nlocal b = a\nend)\nreturn why",
        "b 3;c;a",
        &[
            "* Stopped at 1, stop reason = step over",
            "-> 1   local ok, why = pcall(function()",
            "   2   local a = 1",
            "  #3   local b = a",
            "   4   end)",
            "* Stopped at 3, stop reason = break point",
            "->#3   local b = a",
        ],
        "ERR script aborted for user request",
    );
    check(
        "return 1",
        "a",
        &["* Stopped at 1, stop reason = step over", "-> 1   return 1"],
        "ERR script aborted for user request script: it, on @user_script:1.",
    );
}

#[test]
fn who_is_gone_lets_the_script_run_to_its_end() {
    check(
        "local a = 1\nredis.debug(a)\nreturn a",
        "b 3",
        &[
            "* Stopped at 1, stop reason = step over",
            "-> 1   local a = 1",
            "   2   redis.debug(a)",
            "  #3   return a",
            "<debug> line 2: 1",
        ],
        ":1",
    );
    let endless = "local a = 1\nwhile true do a = a + 1 end";
    let (lines, end) = talk(&mut engine(), endless, vec![command("c")], true);
    assert_eq!(
        lines[2],
        "* Stopped at 2, stop reason = timeout reached, infinite loop?"
    );
    assert!(
        end.starts_with("ERR timeout during Lua debugging with client closing connection"),
        "{end}"
    );
}

#[test]
fn commands_may_come_together_or_in_pieces_but_must_be_commands() {
    let all = [command("s"), command("p a")].concat();
    let pieces = all.iter().map(|&byte| vec![byte]).collect();
    let source = "local a = 7\nreturn a";
    let whole = talk(&mut engine(), source, vec![all], false);
    assert!(whole.0.contains(&"<value> 7".to_owned()), "{whole:?}");
    assert_eq!(talk(&mut engine(), source, pieces, false), whole);
    let (lines, end) = talk(&mut engine(), source, vec![b"step\r\n".to_vec()], false);
    assert_eq!(
        (lines.len(), end.starts_with("ERR protocol error script: it")),
        (3, true),
        "{end}"
    );
}

#[test]
fn a_stack_without_room_for_the_debugger_is_passed_over() {
    let source = "local t = {}\nfor i = 1, 7990 do t[i] = i end\nreturn select('#',\nunpack(t))";
    let (lines, end) = talk(
        &mut engine(),
        source,
        vec![command("b 4"), command("c"), command("p t")],
        false,
    );
    assert_eq!(lines.last().map(String::as_str), Some("<endsession>"));
    assert_eq!(end, ":7990");
    let words = vec!["w"; 1000].join(" ");
    let (lines, _) = talk(
        &mut engine(),
        "return 1",
        vec![command(&format!("r {words}"))],
        false,
    );
    assert!(lines.iter().any(|line| line == "<reply> \"w\""));
}

#[test]
fn an_engine_that_has_debugged_goes_on_as_before() {
    let mut engine = engine();
    talk(&mut engine, "local a = 1\nreturn a", vec![command("a")], false);
    let (lines, end) = talk(
        &mut engine,
        "return redis.breakpoint()",
        vec![command("c")],
        false,
    );
    assert_eq!((lines.len(), &end[..]), (3, ":1"));
    let function = engine
        .compile(b"redis.debug(1) return tostring(redis.breakpoint())")
        .expect("Lua");
    let words = ArgBuf::from_slices(&[]);
    let call = Call {
        name: b"it",
        keys: words.args(),
        args: words.args(),
    };
    let mut out = Vec::new();
    let outcome = engine.run_script(&function, &call, &mut Names, &mut Reply::new(&mut out, false));
    assert!(outcome.is_ok());
    assert_eq!(out, b"$5\r\nfalse\r\n");
}
