//! The commands of whoever debugs.
//!
//! | | | |
//! | --- | --- | --- |
//! | step, next, continue, abort | the script goes on, or ends | [`Debugger::act`] |
//! | list, whole, trace | where it is | |
//! | print | what its variables are | |
//! | break | where it is to stop | |
//! | eval, redis | Lua and commands of one's own | called by the hook |
//! | maxlen, help | | |

use super::super::api;
use super::super::lua::{Stack, native};
use super::console::leading_number;
use super::{BREAKPOINTS_MAX, CHUNK, Debugger, Next, Purpose};
use crate::base::number::parse_i64;

/// How errors in what `eval` is given name it.
const EVAL_CHUNK: &str = "@ldb_eval";

/// Lines shown before and behind the one that is asked for.
const CONTEXT_LINES: i64 = 5;

/// What the compiler calls values that have no name.
const UNNAMED: &[u8] = b"(*temporary)";

const HELP: &[&str] = &[
    "Redis Lua debugger help:",
    "[h]elp               Show this help.",
    "[s]tep               Run current line and stop again.",
    "[n]ext               Alias for step.",
    "[c]ontinue           Run till next breakpoint.",
    "[l]ist               List source code around current line.",
    "[l]ist [line]        List source code around [line].",
    "                     line = 0 means: current position.",
    "[l]ist [line] [ctx]  In this form [ctx] specifies how many lines",
    "                     to show before/after [line].",
    "[w]hole              List all source code. Alias for 'list 1 1000000'.",
    "[p]rint              Show all the local variables.",
    "[p]rint <var>        Show the value of the specified variable.",
    "                     Can also show global vars KEYS and ARGV.",
    "[b]reak              Show all breakpoints.",
    "[b]reak <line>       Add a breakpoint to the specified line.",
    "[b]reak -<line>      Remove breakpoint from the specified line.",
    "[b]reak 0            Remove all breakpoints.",
    "[t]race              Show a backtrace.",
    "[e]val <code>        Execute some Lua code (in a different callframe).",
    "[r]edis <cmd>        Execute a Redis command.",
    "[m]axlen [len]       Trim logged Redis replies and Lua var dumps to len.",
    "                     Specifying zero as <len> means unlimited.",
    "[a]bort              Stop the execution of the script. In sync",
    "                     mode dataset changes will be retained.",
    "",
    "Debugger functions you can call from Lua scripts:",
    "redis.debug()        Produce logs in the debugger console.",
    "redis.breakpoint()   Stop execution like if there was a breakpoint in the",
    "                     next line of code.",
];

impl Debugger {
    /// Does what a command says; what Lua is to do, unless the conversation goes on.
    pub(super) fn act(&mut self, stack: &mut Stack<'_>, words: &[Vec<u8>]) -> Option<Next> {
        let (name, args) = words.split_first()?;
        match &name.to_ascii_lowercase()[..] {
            b"s" | b"step" | b"n" | b"next" => {
                self.stepping = true;
                return Some(Next::Resume);
            }
            b"c" | b"continue" => return Some(Next::Resume),
            b"a" | b"abort" => return Some(Next::Raise("script aborted for user request")),
            b"e" | b"eval" => return self.eval(stack, &args.join(&b' ')),
            b"r" | b"redis" if !args.is_empty() => return self.run_command(stack, args),
            b"p" | b"print" => match args {
                [name] => return self.print_variable(stack, name),
                _ => self.print_locals(stack),
            },
            b"l" | b"list" => self.list_asked(args),
            b"w" | b"whole" => self.list(|_| true),
            b"t" | b"trace" => self.trace(stack),
            b"b" | b"break" => self.break_at(args),
            b"m" | b"maxlen" => self.limit_lines(args),
            b"h" | b"help" => HELP.iter().for_each(|line| self.log.add(line)),
            _ => self
                .log
                .add("<error> Unknown Redis Lua debugger command or wrong number of arguments."),
        }
        None
    }

    // ---- calls ----

    fn call(&mut self, purpose: Purpose, args: usize) -> Option<Next> {
        self.purpose = purpose;
        Some(Next::Call(args))
    }

    /// As an expression if it is one, else as statements.
    fn eval(&mut self, stack: &mut Stack<'_>, code: &[u8]) -> Option<Next> {
        let compiled = stack.compile(&[b"return ", code].concat(), EVAL_CHUNK) || {
            stack.pop(1);
            if native::is_binary(code) {
                stack.push_bytes(b"ldb_eval:1: unexpected symbol near 'char(27)'");
                false
            } else {
                stack.compile(code, EVAL_CHUNK)
            }
        };
        if compiled {
            return self.call(Purpose::Show("<retval> "), 0);
        }
        let text = api::text_of(stack, -1);
        stack.pop(1);
        self.log.add([b"<error> ", &text[..]].concat());
        None
    }

    /// It is shown as those of the script are while it is stepped through.
    fn run_command(&mut self, stack: &mut Stack<'_>, words: &[Vec<u8>]) -> Option<Next> {
        if !stack.has_room(words.len() + 2) {
            self.log.add("<error> max lua stack reached");
            return None;
        }
        stack.push_function(api::call_raising, 0);
        words.iter().for_each(|word| stack.push_bytes(word));
        self.stepping = true;
        self.call(Purpose::Command, words.len())
    }

    // ---- variables ----

    /// The first of that name, from the running function outwards.
    fn print_variable(&mut self, stack: &mut Stack<'_>, name: &[u8]) -> Option<Next> {
        let mut level = 0;
        while stack.position(level).is_some() {
            let mut number = 1;
            while let Some(local) = stack.push_local(level, number) {
                if local == name {
                    self.show_value(stack, b"<value> ".to_vec());
                    stack.pop(1);
                    return None;
                }
                stack.pop(1);
                number += 1;
            }
            level += 1;
        }
        // Globals are behind a metatable.
        let global: Option<&[u8]> = match name {
            b"KEYS" => Some(b"return KEYS"),
            b"ARGV" => Some(b"return ARGV"),
            _ => None,
        };
        if global.is_some_and(|source| stack.compile(source, EVAL_CHUNK)) {
            return self.call(Purpose::Show("<value> "), 0);
        }
        self.log.add("No such variable.");
        None
    }

    /// Those of the running function.
    fn print_locals(&mut self, stack: &mut Stack<'_>) {
        let (mut number, mut shown) = (1, 0);
        while let Some(name) = stack.push_local(0, number) {
            if name != UNNAMED {
                self.show_value(stack, [b"<value> ", &name[..], b" = "].concat());
                shown += 1;
            }
            stack.pop(1);
            number += 1;
        }
        if shown == 0 {
            self.log.add("No local variables in the current context.");
        }
    }

    // ---- places ----

    fn list_asked(&mut self, args: &[Vec<u8>]) {
        let number = |index: usize| args.get(index).map(|word| leading_number(word));
        let around = number(0).filter(|&line| line > 0).unwrap_or(self.line);
        let context = number(1).unwrap_or(CONTEXT_LINES);
        self.list(|line| around.abs_diff(line) as i64 <= context);
    }

    fn list(&mut self, wants: impl Fn(i64) -> bool) {
        let lines = 1..=self.source.len() as i64;
        lines
            .filter(|&line| wants(line))
            .for_each(|line| self.show_line(line));
    }

    fn trace(&mut self, stack: &mut Stack<'_>) {
        let mut level = 0;
        while let Some((position, _)) = stack.position(level) {
            if position.source == CHUNK {
                let name = stack.function_name(level);
                let name = name.as_deref().unwrap_or(b"top level");
                let whence: &[u8] = if level == 0 { b"In " } else { b"From " };
                self.log.add([whence, name, b":"].concat());
                self.show_line(position.line);
            }
            level += 1;
        }
    }

    fn break_at(&mut self, args: &[Vec<u8>]) {
        if args.is_empty() {
            return self.list_breakpoints();
        }
        for arg in args {
            match parse_i64(arg) {
                None => self.log.add([b"Invalid argument:'", &arg[..], b"'"].concat()),
                Some(0) => {
                    self.breakpoints.clear();
                    self.log.add("All breakpoints removed.");
                }
                Some(line) if line > 0 => self.add_breakpoint(line),
                Some(line) => self.remove_breakpoint(line.saturating_neg()),
            }
        }
    }

    fn list_breakpoints(&mut self) {
        if self.breakpoints.is_empty() {
            return self.log.add("No breakpoints set. Use 'b <line>' to add one.");
        }
        let all = self.breakpoints.clone();
        self.log.add(format!("{} breakpoints set:", all.len()));
        all.into_iter().for_each(|line| self.show_line(line));
    }

    fn add_breakpoint(&mut self, line: i64) {
        if self.breakpoints.len() == BREAKPOINTS_MAX {
            return self.log.add("Too many breakpoints set.");
        }
        if line > self.source.len() as i64 || self.breakpoints.contains(&line) {
            return self.log.add("Wrong line number.");
        }
        self.breakpoints.push(line);
        self.list(|other| line.abs_diff(other) <= 1);
    }

    fn remove_breakpoint(&mut self, line: i64) {
        let known = self.breakpoints.iter().position(|&known| known == line);
        self.log.add(match known {
            Some(_) => "Breakpoint removed.",
            None => "No breakpoint in the specified line.",
        });
        known.map(|index| self.breakpoints.remove(index));
    }

    fn limit_lines(&mut self, args: &[Vec<u8>]) {
        if let [max] = args {
            self.log.set_max(leading_number(max));
        }
        self.log.tell_max();
    }
}
