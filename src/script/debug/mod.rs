//! The debugger: where a script stops, and what whoever debugs may do then.
//!
//! ```text
//!   Lua ── each line ──> hook ──> Debugger::reach ──> Next::Resume            the script runs on
//!                         ^             │             Next::Raise(text)       an error, which the script could catch
//!                         │             v             Next::Call(arguments)   what is on the stack is to be called:
//!                         │       a conversation                              `eval`, `redis`, and KEYS and ARGV
//!                         └── Debugger::returned <──────────┘
//! ```
//!
//! It calls no Lua itself: while it is borrowed nothing runs that would want it, such as `redis.debug` in what `eval` was
//! given. The lines it prints gather and are sent when the script stops, as the answer to the command that made it go on.
//!
//! [`console`] reads commands, `log` gathers lines, `render` shows values, `act` does what commands say.
//!
//! Costs: nothing while no script is debugged, but a look at an empty place for each `redis.call`.
//! Limits: those of [`console`] and `log`, and 64 breakpoints.
//! Not here: sockets and processes, which are the executor's; Lua's hooks, see `lua/state.rs`. What `eval` is given is not
//! watched: Lua calls no hook from within one.

mod act;
pub mod console;
mod log;
mod render;
#[cfg(test)]
mod tests;

use super::api;
use super::convert;
use super::lua::{Kind, Stack};
use crate::resp::Args;
use log::Log;

/// The chunk that is debugged; others that a script loads are passed over.
const CHUNK: &[u8] = b"@user_script";

/// Most lines to stop at.
const BREAKPOINTS_MAX: usize = 64;

/// Room on the stack without which a stop is passed over.
const ROOM: usize = render::ROOM + 8;

/// Where whoever debugs sits.
pub trait Terminal: Send {
    /// Waits for input and appends it; false when nobody is there any more.
    fn read(&mut self, input: &mut Vec<u8>) -> bool;

    /// Sends bytes. That it fails shows when more is read.
    fn write(&mut self, bytes: &[u8]);

    /// Whether the script has run for too long since it was last told to go on.
    fn is_overdue(&self) -> bool;

    /// The script goes on now.
    fn note_resumed(&mut self);
}

/// What Lua is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on with the script.
    Resume,
    /// Raise this error in it.
    Raise(&'static str),
    /// Call the function below so many arguments on top of the stack, and tell [`Debugger::returned`] its one result.
    Call(usize),
}

/// What a function that was called is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To show its result behind this.
    Show(&'static str),
    /// `redis.call`: it was shown as it ran.
    Command,
}

/// A debugger at work on one script.
pub struct Debugger {
    terminal: Box<dyn Terminal>,
    source: Vec<Vec<u8>>,
    breakpoints: Vec<i64>,
    /// The line last reached.
    line: i64,
    /// To stop at the next line. While so, commands the script runs are shown.
    stepping: bool,
    /// `redis.breakpoint` was called.
    requested: bool,
    /// The present stop is for want of patience.
    overdue: bool,
    purpose: Purpose,
    log: Log,
    input: Vec<u8>,
}

impl Debugger {
    /// One for the script `source`, which will stop at its first line.
    pub fn new(terminal: Box<dyn Terminal>, source: &[u8]) -> Debugger {
        let end = source.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        let source = &source[..end.map_or(0, |last| last + 1)];
        let lines = source.split(|&byte| byte == b'\n').map(<[u8]>::to_vec);
        Debugger {
            terminal,
            source: if source.is_empty() {
                Vec::new()
            } else {
                lines.collect()
            },
            breakpoints: Vec::new(),
            line: 0,
            stepping: true,
            requested: false,
            overdue: false,
            purpose: Purpose::Command,
            log: Log::new(),
            input: Vec::new(),
        }
    }

    /// A line is reached; or, if `counted`, so many instructions have run that it is time to look at the clock.
    pub fn reach(&mut self, stack: &mut Stack<'_>, counted: bool) -> Next {
        let Some((position, _)) = stack.position(0) else {
            return Next::Resume;
        };
        self.line = position.line;
        if position.source != CHUNK || !stack.has_room(ROOM) {
            return Next::Resume;
        }
        let is_break = self.requested || self.breakpoints.contains(&self.line);
        self.overdue = counted && !self.stepping && !is_break && self.terminal.is_overdue();
        if !(self.stepping || is_break || self.overdue) {
            return Next::Resume;
        }
        let reason = match (self.requested, is_break, self.overdue) {
            (true, ..) => "redis.breakpoint() called",
            (_, true, _) => "break point",
            (.., true) => "timeout reached, infinite loop?",
            _ => "step over",
        };
        (self.stepping, self.requested) = (false, false);
        let line = self.line;
        self.log
            .add(format!("* Stopped at {line}, stop reason = {reason}"));
        self.show_line(line);
        self.send();
        self.converse(stack)
    }

    /// What was called has returned the value on top of the stack, which is taken; an error unless `well`.
    pub fn returned(&mut self, stack: &mut Stack<'_>, well: bool) -> Next {
        match (self.purpose, well) {
            (Purpose::Command, _) => self.stepping = false,
            (Purpose::Show(prefix), true) => self.show_value(stack, prefix.into()),
            (Purpose::Show(_), false) => {
                let text = error_text(stack);
                self.log.add([b"<error> ", &text[..]].concat());
            }
        }
        stack.pop(1);
        self.send();
        self.converse(stack)
    }

    /// Does what is asked for until the script is to go on or something is to be called.
    fn converse(&mut self, stack: &mut Stack<'_>) -> Next {
        loop {
            match console::take_command(&mut self.input) {
                Err(refusal) => return Next::Raise(refusal),
                Ok(Some(words)) => match self.act(stack, &words) {
                    Some(Next::Resume) => return self.resume(),
                    Some(next) => return next,
                    None => self.send(),
                },
                Ok(None) if self.terminal.read(&mut self.input) => {}
                Ok(None) => return self.run_alone(),
            }
        }
    }

    fn resume(&mut self) -> Next {
        self.terminal.note_resumed();
        Next::Resume
    }

    /// Nobody is there any more: the script runs to its end, unless it has shown already that it finds none.
    fn run_alone(&mut self) -> Next {
        self.stepping = false;
        self.breakpoints.clear();
        if self.overdue {
            return Next::Raise("timeout during Lua debugging with client closing connection");
        }
        self.resume()
    }

    fn send(&mut self) {
        let lines = self.log.take();
        self.terminal.write(&lines);
    }

    /// The script is over: says so and gives the terminal back, for its reply.
    pub fn end(mut self) -> Box<dyn Terminal> {
        self.log.add("<endsession>");
        self.send();
        self.terminal
    }

    // ---- what the script does ----

    /// `redis.breakpoint`.
    pub fn request_stop(&mut self) {
        self.requested = true;
    }

    /// `redis.debug`: shows its arguments, all that is on the stack.
    pub fn print(&mut self, stack: &mut Stack<'_>) {
        let mut line = format!("<debug> line {}: ", self.line).into_bytes();
        for index in 1..=stack.top() as i32 {
            if index > 1 {
                line.extend_from_slice(b", ");
            }
            if stack.has_room(ROOM) {
                stack.push_copy(index);
                render::value(stack, &mut line, log::LINE_BYTES_MAX);
                stack.pop(1);
            }
        }
        self.log.add(line);
    }

    /// A command is about to run.
    pub fn note_call(&mut self, words: Args<'_>) {
        const WORDS_SHOWN: usize = 10;
        if !self.stepping {
            return;
        }
        let mut line = b"<redis>".to_vec();
        for word in words.iter().take(WORDS_SHOWN) {
            line.push(b' ');
            line.extend_from_slice(word);
        }
        if words.len() > WORDS_SHOWN {
            // Compat: one less than there are.
            let more = words.len() - WORDS_SHOWN - 1;
            line.extend_from_slice(format!(" ... ({more} more)").as_bytes());
        }
        self.log.add(line);
    }

    /// It has run: its reply.
    pub fn note_reply(&mut self, reply: &[u8]) {
        if !self.stepping {
            return;
        }
        if reply.first() == Some(&b'-') {
            self.note_error(reply.trim_ascii_end());
        }
        let mut line = b"<reply> ".to_vec();
        render::reply(reply, &mut line);
        self.log.add_cut(line);
    }

    /// It was not let run, for the reason in its reply.
    pub fn note_refusal(&mut self, reply: &[u8]) {
        let text = reply.trim_ascii_end();
        self.note_error(text.strip_prefix(b"-ERR ").unwrap_or(text));
    }

    /// An error is made, to be raised or returned.
    pub fn note_error(&mut self, text: &[u8]) {
        if self.stepping {
            self.log.add([b"<error> ", text].concat());
        }
    }

    // ---- what is shown ----

    /// The value on top of the stack behind `line`.
    fn show_value(&mut self, stack: &mut Stack<'_>, mut line: Vec<u8>) {
        render::value(stack, &mut line, self.log.wanted_bytes());
        self.log.add_cut(line);
    }

    /// A line of the script with its number, and whether it is the present one and one to stop at.
    fn show_line(&mut self, number: i64) {
        let is_break = self.breakpoints.contains(&number);
        let mark = match (number == self.line, is_break) {
            (true, true) => "->#",
            (true, false) => "-> ",
            (false, true) => "  #",
            (false, false) => "   ",
        };
        let source = usize::try_from(number - 1)
            .ok()
            .and_then(|index| self.source.get(index));
        let text = source.map_or(&b"<out of range source code line>"[..], |line| line);
        self.log
            .add([format!("{mark}{number:<3} ").as_bytes(), text].concat());
    }
}

/// The error value on top as text.
fn error_text(stack: &mut Stack<'_>) -> Vec<u8> {
    let error = (stack.kind(-1) == Kind::Table).then(|| convert::error_of(stack));
    match error.flatten() {
        Some(error) => error.text,
        None => api::text_of(stack, -1),
    }
}
