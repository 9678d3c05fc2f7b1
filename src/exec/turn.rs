//! Turns of the executor on a stack of their own, so that one can pause in the middle.
//!
//! ```text
//!   task:       open ─────────────┐           ┌─ open_busy ─ deliver ─ yield to connections ─ go_on ─┐
//!   own stack:  └── run ── Lua ── hook: pause ┘                                                     └── Lua ── ... done
//! ```
//!
//! With one thread for everything, connections cannot run while a script does: the executor's turn must be left for them.
//! A turn that runs to its end costs two switches of stack, some ten nanoseconds.
//!
//! Invariants:
//! - T1  `state` is allocated by `new` and freed by `drop`, unless a turn is paused then: its stack still refers to it, and
//!   both are left to the end of the process.
//! - T2  While a turn runs or is paused, `state` is reached only through the reference it was given; a paused turn has lent
//!   the executor in it to whoever holds `Turns`, until `go_on`.
//! - T3  All of it stays on the thread that first opens a turn: the runtime it is a task of has one thread.

#![expect(
    unsafe_code,
    reason = "a turn paused in the middle lends what it has borrowed"
)]

use std::io;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::base::clock::Now;

use super::mailbox::Mail;
use super::script::Interlude;
use super::{Executor, witness};

/// The stack's size; pages are taken as they are touched.
const STACK_BYTES: usize = 16 << 20;

/// What a turn works on.
struct State {
    executor: Executor,
    letters: Vec<Mail>,
}

/// What is asked of the other stack: a turn, or to go on with the paused one.
type Job = Option<(NonNull<State>, Now)>;

/// What it answers.
enum Event {
    Done,
    /// The turn's own reference, lent.
    Paused(NonNull<Executor>),
}

/// How far a turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is over.
    Done,
    /// A script runs on; others may have their turn in [`Executor::open_busy`].
    Paused,
}

/// An executor and the stack its turns run on.
pub struct Turns {
    state: NonNull<State>,
    other: ManuallyDrop<Coroutine<Job, Event, ()>>,
    paused: Option<NonNull<Executor>>,
}

// SAFETY: T3: nothing has run on the other stack yet when the task is given to its thread.
unsafe impl Send for Turns {}

impl Turns {
    /// Takes the executor over.
    ///
    /// # Errors
    /// When there is no memory for a stack.
    pub fn new(executor: Executor) -> io::Result<Turns> {
        let stack = DefaultStack::new(STACK_BYTES)?;
        let letters = Vec::new();
        let state = Box::new(State { executor, letters });
        Ok(Turns {
            // T1 begins.
            state: NonNull::from(Box::leak(state)),
            other: ManuallyDrop::new(Coroutine::with_stack(stack, take_turns)),
            paused: None,
        })
    }

    /// The executor, also while a turn is paused.
    #[inline]
    pub fn executor(&mut self) -> &mut Executor {
        match self.paused {
            // SAFETY: T2: lent until `go_on`, which needs `&mut self` as this borrow does.
            Some(mut lent) => unsafe { lent.as_mut() },
            // SAFETY: T1, T2: no turn is under way.
            None => unsafe { &mut self.state.as_mut().executor },
        }
    }

    /// Opens the first of `letters`, see [`Executor::open`]; not while a turn is paused. What is left of them is back there
    /// when the turn is over.
    #[inline]
    pub fn open(&mut self, letters: &mut Vec<Mail>, now: Now) -> Progress {
        assert!(self.paused.is_none(), "one turn after the other");
        // SAFETY: T1, T2: no turn is under way.
        let own = unsafe { &mut self.state.as_mut().letters };
        std::mem::swap(own, letters);
        self.resume(Some((self.state, now)), letters)
    }

    /// Goes on with the paused turn.
    pub fn go_on(&mut self, letters: &mut Vec<Mail>) -> Progress {
        assert!(self.paused.is_some(), "a turn to go on with");
        self.resume(None, letters)
    }

    #[inline]
    fn resume(&mut self, job: Job, letters: &mut Vec<Mail>) -> Progress {
        self.paused = None;
        match self.other.resume(job) {
            CoroutineResult::Yield(Event::Done) => {}
            CoroutineResult::Yield(Event::Paused(executor)) => {
                self.paused = Some(executor);
                return Progress::Paused;
            }
            CoroutineResult::Return(()) => unreachable!("turns are taken for ever"),
        }
        // SAFETY: T1, T2: the turn is over.
        let own = unsafe { &mut self.state.as_mut().letters };
        if letters.is_empty() {
            std::mem::swap(own, letters);
        } else {
            // What came while it was paused comes behind.
            own.append(letters);
            std::mem::swap(own, letters);
        }
        Progress::Done
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        witness::forget();
        if self.paused.is_none() {
            // SAFETY: T1: made by `new`, and no turn refers to it.
            drop(unsafe { Box::from_raw(self.state.as_ptr()) });
        }
    }
}

/// What runs on the other stack.
fn take_turns(yielder: &Yielder<Job, Event>, mut job: Job) {
    loop {
        if let Some((mut state, now)) = job {
            // SAFETY: T2: this turn's alone until it is over or lends it.
            let State { executor, letters } = unsafe { state.as_mut() };
            if !executor.has_interlude() {
                // SAFETY: T1, T3: it stays in its box, on this thread, until `drop`, which forgets it.
                unsafe { witness::watch(NonNull::from(&mut *executor)) };
                executor.set_interlude(Box::new(Pause(NonNull::from(yielder))));
            }
            executor.open(letters, now);
        }
        job = yielder.suspend(Event::Done);
    }
}

/// Pauses the turn.
struct Pause(NonNull<Yielder<Job, Event>>);

// SAFETY: T3.
unsafe impl Send for Pause {}

impl Interlude for Pause {
    fn turn(&mut self, executor: &mut Executor) {
        // SAFETY: the yielder lives as long as the stack this runs on.
        let yielder = unsafe { self.0.as_ref() };
        yielder.suspend(Event::Paused(NonNull::from(executor)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script;
    use crate::resp::{Batch, Limits, Parser};

    fn batch(commands: &[u8]) -> Box<Batch> {
        let (mut parser, mut batch) = (Parser::new(), Box::<Batch>::default());
        parser.read_target(&mut batch).buf.extend_from_slice(commands);
        parser.parse(&mut batch, &Limits::default());
        batch
    }

    const NOW: Now = Now { unix_us: 1_000_000 };

    fn replies(executor: &mut Executor) -> Vec<String> {
        let text = |batch: Box<Batch>| String::from_utf8(batch.reply).expect("text");
        executor
            .finished
            .drain(..)
            .map(|(_, batch)| text(batch))
            .collect()
    }

    #[test]
    fn a_script_that_runs_too_long_lets_others_end_it() {
        let mut executor = Executor::for_tests();
        let (busy, other) = (executor.connect(), executor.connect());
        executor.run(other, &[b"CONFIG", b"SET", b"busy-reply-threshold", b"1"]);
        let mut turns = Turns::new(executor).expect("a stack");
        let script = b"EVAL \"local f = function() while true do redis.call('ping') end end while true do pcall(f) end\" 0\r\n";
        let mut letters = vec![Mail::Batch(busy, batch(script))];
        assert_eq!(turns.open(&mut letters, NOW), Progress::Paused);
        let mut mail = vec![
            Mail::Tick,
            Mail::Disconnect(busy),
            Mail::Batch(other, batch(b"PING\r\nFUNCTION STATS\r\nSCRIPT KILL\r\n")),
        ];
        turns.executor().open_busy(&mut mail);
        let answers = replies(turns.executor());
        assert!(answers[0].starts_with("-BUSY Redis is busy"), "{answers:?}");
        assert!(answers[0].ends_with("+OK\r\n"), "{answers:?}");
        while turns.go_on(&mut letters) == Progress::Paused {}
        assert!(replies(turns.executor())[0].contains("Script killed by user with SCRIPT KILL."));
        assert!(turns.executor().sessions.contains(busy), "its farewell waits");
        turns.open(&mut letters, NOW);
        assert!(!turns.executor().sessions.contains(busy));
        let pong = turns.executor().run(other, &[b"PING"]);
        assert_eq!(pong, b"+PONG\r\n");
    }

    #[test]
    fn who_came_in_the_same_turn_as_a_long_script_does_not_wait_for_its_end() {
        let mut executor = Executor::for_tests();
        let (before, busy, behind) = (executor.connect(), executor.connect(), executor.connect());
        executor.run(before, &[b"CONFIG", b"SET", b"busy-reply-threshold", b"1"]);
        let mut turns = Turns::new(executor).expect("a stack");
        let mut letters = vec![
            Mail::Batch(before, batch(b"PING\r\n")),
            Mail::Batch(busy, batch(b"EVAL \"while true do end\" 0\r\n")),
            Mail::Batch(behind, batch(b"PING\r\nSCRIPT KILL\r\n")),
        ];
        assert_eq!(turns.open(&mut letters, NOW), Progress::Paused);
        assert_eq!(replies(turns.executor()), ["+PONG\r\n"]);
        turns.executor().open_busy(&mut Vec::new());
        let answers = replies(turns.executor());
        assert!(answers[0].starts_with("-BUSY"), "{answers:?}");
        assert!(answers[0].ends_with("+OK\r\n"), "{answers:?}");
        while turns.go_on(&mut letters) == Progress::Paused {}
    }

    #[test]
    fn what_a_long_script_tells_its_own_client_comes_behind_its_own_reply() {
        let mut executor = Executor::for_tests();
        let (busy, other) = (executor.connect(), executor.connect());
        executor.run(other, &[b"CONFIG", b"SET", b"busy-reply-threshold", b"1"]);
        for words in ["HELLO 3", "SUBSCRIBE c", "CLIENT TRACKING ON", "GET k"] {
            let words: Vec<_> = words.split(' ').map(str::as_bytes).collect();
            executor.run(busy, &words);
        }
        let mut turns = Turns::new(executor).expect("a stack");
        let script =
            b"EVAL \"redis.call('publish','c','own') redis.call('set','k','v') while true do end\" 0\r\n";
        let mut letters = vec![Mail::Batch(busy, batch(script))];
        assert_eq!(turns.open(&mut letters, NOW), Progress::Paused);
        let mail = Mail::Batch(other, batch(b"PING\r\nSHUTDOWN NOSAVE\r\n"));
        turns.executor().open_busy(&mut vec![mail]);
        let busy_line = script::busy(false).text().into_owned();
        let refusal = format!("-{}\r\n", String::from_utf8_lossy(&busy_line));
        assert_eq!(replies(turns.executor()), [refusal]);
        while turns.go_on(&mut letters) == Progress::Paused {}
        let own = &replies(turns.executor())[0];
        let place = |text: &str| own.find(text).expect(text);
        assert!(
            place("-ERR") < place("invalidate") && place("-ERR") < place("own\r\n"),
            "{own}"
        );
    }

    #[test]
    fn a_script_that_has_written_cannot_be_killed_but_the_server_can() {
        let mut executor = Executor::for_tests();
        let (busy, other) = (executor.connect(), executor.connect());
        executor.run(other, &[b"CONFIG", b"SET", b"busy-reply-threshold", b"1"]);
        let mut turns = Turns::new(executor).expect("a stack");
        let script = b"EVAL \"redis.call('set','x','y') while true do end\" 0\r\n";
        let mut letters = vec![Mail::Batch(busy, batch(script))];
        assert_eq!(turns.open(&mut letters, NOW), Progress::Paused);
        let mut mail = vec![Mail::Batch(other, batch(b"SCRIPT KILL\r\nSHUTDOWN NOSAVE\r\n"))];
        turns.executor().open_busy(&mut mail);
        assert!(replies(turns.executor())[0].starts_with("-UNKILLABLE Sorry"));
        assert_eq!(turns.executor().exit_code(), Some(0));
        while turns.go_on(&mut letters) == Progress::Paused {}
    }

    #[test]
    fn who_waits_for_what_a_long_script_has_made_is_served_at_its_end() {
        let mut executor = Executor::for_tests();
        let (busy, waiting, other) = (executor.connect(), executor.connect(), executor.connect());
        executor.run(other, &[b"CONFIG", b"SET", b"busy-reply-threshold", b"1"]);
        executor.keys.changes.followed = true;
        let mut turns = Turns::new(executor).expect("a stack");
        let mut letters = vec![Mail::Batch(waiting, batch(b"BLPOP k 0\r\n"))];
        turns.open(&mut letters, NOW);
        let script = b"EVAL \"redis.call('rpush','k','1') local n = 0 repeat n = n + 1 until n == 3e7 \
            redis.call('lpush','k','2')\" 0\r\n";
        letters.push(Mail::Batch(busy, batch(script)));
        assert_eq!(turns.open(&mut letters, NOW), Progress::Paused);
        turns.executor().open_busy(&mut vec![
            Mail::Tick,
            Mail::Batch(other, batch(b"HELLO 2 SETNAME x\r\nPING\r\n")),
        ]);
        assert_eq!(replies(turns.executor()).len(), 1, "the waiting one waits on");
        assert!(
            turns.executor().journal.is_empty(),
            "nor is half of the script handed on"
        );
        while turns.go_on(&mut letters) == Progress::Paused {}
        assert!(matches!(letters[..], [Mail::Tick]), "recurring jobs are overdue");
        assert_eq!(
            replies(turns.executor()),
            ["$-1\r\n", "*2\r\n$1\r\nk\r\n$1\r\n2\r\n"]
        );
        let words: Vec<_> = turns
            .executor()
            .journal
            .iter()
            .map(|unit| unit.words[0].to_vec())
            .collect();
        assert_eq!(words, [&b"MULTI"[..], b"rpush", b"lpush", b"EXEC", b"LPOP"]);
    }
}
