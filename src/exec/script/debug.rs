//! Debugging scripts: whose EVAL is debugged, over which socket, and in which process.
//!
//! ```text
//!   EVAL of a session in SCRIPT DEBUG ──> batch goes back unfinished ──> connection lends its socket ──> EVAL again
//!
//!   YES    fork ──> child: the data of that moment, the socket; runs the script, writes its reply, ends
//!             └──> parent: lets go of the connection without a word, serves everybody else, looks after the child
//!   SYNC   here: everybody waits, what the script writes stays; then the connection is closed
//! ```
//!
//! While it is debugged the script's thread speaks over the socket itself, waiting as long as it takes: the connection's
//! task rests, as it has a batch under way. The socket stays non-blocking, since both have it.
//!
//! A child is made harmless first ([`Executor::unplug`]): it reaches no file, no other connection and no thread, and the
//! lines its script logs go to its parent. It ends with its parent, whatever that ends by.
//!
//! Costs: nothing for sessions that debug nothing.
//! Not here: TLS. A connection that encrypts would have to lend one end of a pair of sockets and pass on what comes.

use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use crate::command::cx::ScriptSource;
use crate::command::row::Flags;
use crate::command::table::CommandId;
use crate::persist::disk::Absent;
use crate::process::child::{Report, Worker};
use crate::process::{log, os_text, signals};
use crate::resp;
use crate::script::convert::ScriptError;
use crate::script::debug::{Debugger, Terminal};
use crate::script::engine::Engine;
use crate::session::{Session, SessionFlags, SessionId};

use super::super::dispatch::{Resolved, SILENCED, runs_script};
use super::super::{Duty, Executor, NoHost};
use super::caller::write_log;
use super::{Order, Scripting, coded};

/// After so long a script that is not stepped through is asked whether it ends, where `busy-reply-threshold` says never.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may take to make room for what it is sent.
const SEND_PATIENCE_S: i64 = 5;

/// How often a server that everybody waits for looks whether it is asked to stop.
const LOOK_NS: i64 = 100_000_000;

/// What is debugged in children; in such a child, its way to the log.
#[derive(Default)]
pub struct Debugging {
    sessions: Vec<Box<dyn Worker>>,
    report: Option<Report>,
}

/// Over which socket a script is debugged.
struct Line {
    socket: Arc<OwnedFd>,
    /// A request to stop the server ends the conversation.
    heeds_requests: bool,
    /// It did not take what it was sent: nothing more can be said.
    broken: bool,
    patience: Duration,
    resumed: Instant,
}

impl Executor {
    /// Whether the next command of a client that debugs may run: unless it will be debugged and its socket is still to come.
    pub(in crate::exec) fn has_socket_for(
        &self,
        client: SessionId,
        session: &Session,
        words: resp::Args<'_>,
    ) -> bool {
        let outbox = self.outbox(client);
        !self.will_debug(session, words) || outbox.is_none_or(|outbox| outbox.ask_for_socket())
    }

    fn will_debug(&self, session: &Session, words: resp::Args<'_>) -> bool {
        let Resolved::Command(id) = self.resolve(words) else {
            return false;
        };
        let row = self.table.command(CommandId(id)).row;
        match row.script {
            Some(source) => source == ScriptSource::Text && session.multi < 0,
            None => row.flags.contains(Flags::RUNS_QUEUE) && runs_script(row.flags, session),
        }
    }

    /// Debugs a script: here, or in a child that takes the connection over.
    #[cold]
    pub(super) fn debug_script(
        &mut self,
        scripting: &mut Scripting,
        order: &mut Order<'_>,
    ) -> Result<(), ScriptError> {
        let client = order.cause.client;
        let socket = match self.outbox(client).and_then(|outbox| outbox.take_socket()) {
            Some(Ok(socket)) => Arc::new(socket),
            Some(Err(error)) => return Err(impossible("no socket", &error)),
            None => return Err(coded(b"Can't debug a script without a connection")),
        };
        let flags = self.sessions[client].flags;
        if !flags.contains(SessionFlags::DEBUG_SYNC) {
            return self.debug_in_child(scripting, order, &socket);
        }
        tracing::info!("Redis synchronous debugging eval session started");
        let outcome = self.debug_here(scripting, order, self.line(&socket, true));
        tracing::info!("Redis synchronous debugging eval session ended");
        self.sessions[client]
            .flags
            .insert(SessionFlags::CLOSE_AFTER_REPLY);
        if let (Some(socket), Some(outbox)) = (Arc::into_inner(socket), self.outbox(client)) {
            // The transaction it is part of may run another.
            outbox.lend_socket(Ok(socket));
        }
        outcome
    }

    fn line(&self, socket: &Arc<OwnedFd>, heeds_requests: bool) -> Line {
        Line {
            socket: Arc::clone(socket),
            heeds_requests,
            broken: false,
            patience: match self.busy_ms {
                0 => PATIENCE,
                ms => Duration::from_millis(ms),
            },
            resumed: Instant::now(),
        }
    }

    /// Runs a script with a debugger on the other end of `line`, who is told when it is over, for whatever reason.
    fn debug_here(
        &mut self,
        scripting: &mut Scripting,
        order: &mut Order<'_>,
        line: Line,
    ) -> Result<(), ScriptError> {
        let debugger = Debugger::new(Box::new(line), order.cause.words.get(1));
        // Once it is compiled, there is an interpreter to attach to.
        if let Err(error) = self.find_script(scripting, order) {
            debugger.end();
            return Err(error);
        }
        if let Some(engine) = &mut scripting.eval {
            engine.attach(debugger);
        }
        let outcome = self.run_eval(scripting, order);
        if let Some(debugger) = scripting.eval.as_mut().and_then(Engine::detach) {
            debugger.end();
        }
        outcome
    }

    fn debug_in_child(
        &mut self,
        scripting: &mut Scripting,
        order: &mut Order<'_>,
        socket: &Arc<OwnedFd>,
    ) -> Result<(), ScriptError> {
        let client = order.cause.client;
        let started = Instant::now();
        // In the child it stays away.
        let mut host = mem::replace(&mut self.host, Box::new(NoHost));
        let work = |report: &mut Report| {
            self.unplug(report);
            self.debug_to_the_end(scripting, order, socket);
            0
        };
        let hired = host.hire(Duty::Debug(socket.as_fd()), Box::new(work));
        self.host = host;
        self.sessions[client]
            .flags
            .remove(SessionFlags::DEBUG | SessionFlags::DEBUG_SYNC);
        let session = hired.map_err(|error| impossible("Fork() failed", &error))?;
        self.note_fork(started.elapsed().as_micros() as u64);
        tracing::info!("Redis forked for debugging eval, pid {}", session.pid());
        self.debugging.sessions.push(session);
        self.let_go(client);
        Ok(())
    }

    /// The child's whole life.
    fn debug_to_the_end(&mut self, scripting: &mut Scripting, order: &mut Order<'_>, socket: &Arc<OwnedFd>) {
        let line = self.line(socket, false);
        if let Err(error) = self.debug_here(scripting, order, line) {
            self.answer_script_error(order.cause, &error, order.reply);
        }
        if !self.sessions[order.cause.client].flags.intersects(SILENCED) {
            self.line(socket, false).write(order.reply);
        }
    }

    /// Closes this process's end of a connection that another process goes on with: nothing is written to it any more.
    fn let_go(&mut self, client: SessionId) {
        let session = &mut self.sessions[client];
        session.flags.insert(SessionFlags::CLOSING);
        if let Some(outlet) = &session.outlet {
            outlet.close();
        }
    }

    /// Parts a child from all it shares with its parent, and from what a thread of that may have locked, which is not even
    /// let go of.
    fn unplug(&mut self, report: &mut Report) {
        signals::ignore_requests();
        log::fall_silent();
        self.debugging.report = Some(mem::replace(report, Report::unheard()));
        mem::forget(mem::take(&mut self.debugging.sessions));
        for (_, session) in self.sessions.iter_mut() {
            mem::forget(session.outlet.take());
        }
        self.outboxes.drain(..).for_each(mem::forget);
        mem::forget(self.interlude.take());
        mem::forget(mem::replace(&mut self.disk, Arc::new(Absent)));
        self.keys.free_here();
    }

    /// Writes a script's line to the log: that of the parent, where this is a child.
    pub(super) fn log_of_script(&mut self, level: u8, text: &[u8]) {
        let Some(report) = &mut self.debugging.report else {
            return write_log(level, text);
        };
        for line in text.split(|&byte| byte == b'\n') {
            report.line(&format!("{level} {}", String::from_utf8_lossy(line)));
        }
    }

    /// Passes on what scripts log in children, and forgets those that are done: for cron, every tick.
    pub(in crate::exec) fn hear_debuggers(&mut self) {
        self.debugging.sessions.retain_mut(|session| {
            // Asked first: what it said before it ended has arrived then.
            let is_over = session.ended().is_some();
            session.lines().iter().for_each(|line| pass_on(line));
            if is_over {
                tracing::info!("Lua debugging session child exiting, pid {}", session.pid());
            }
            !is_over
        });
    }

    /// Ends what is debugged in children.
    pub(in crate::exec) fn kill_debuggers(&mut self) {
        for session in self.debugging.sessions.drain(..) {
            tracing::info!("Killing debugging session {}", session.pid());
            session.kill();
        }
    }
}

fn pass_on(line: &str) {
    if let Some((level, text)) = line.split_once(' ') {
        write_log(level.parse().unwrap_or(3), text.as_bytes());
    }
}

#[cold]
fn impossible(what: &str, error: &io::Error) -> ScriptError {
    let text = format!("{what}: can't run EVAL in debugging mode: {}", os_text(error));
    coded(text.as_bytes())
}

impl Line {
    /// Waits until the socket is ready for `wanted`, for so long at most; whether it is.
    fn wait(&self, wanted: PollFlags, limit: Option<&Timespec>) -> bool {
        let mut sockets = [PollFd::new(&*self.socket, wanted)];
        // A signal is no reason to give up: the caller looks why it came.
        poll(&mut sockets, limit).is_ok_and(|ready| ready > 0)
    }
}

impl Terminal for Line {
    fn read(&mut self, input: &mut Vec<u8>) -> bool {
        const LOOK: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK_NS,
        };
        let mut piece = [0; 32 * 1024];
        if self.broken {
            return false;
        }
        loop {
            if self.heeds_requests && signals::requested().is_some() {
                return false;
            }
            match rustix::net::recv(&*self.socket, &mut piece[..], RecvFlags::empty()) {
                Ok((0, _)) => return false,
                Ok((count, _)) => {
                    input.extend_from_slice(&piece[..count]);
                    return true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.wait(PollFlags::IN, self.heeds_requests.then_some(&LOOK));
                }
                Err(_) => return false,
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) {
        const LIMIT: Timespec = Timespec {
            tv_sec: SEND_PATIENCE_S,
            tv_nsec: 0,
        };
        while !bytes.is_empty() && !self.broken {
            match rustix::net::send(&*self.socket, bytes, SendFlags::NOSIGNAL) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.broken = !self.wait(PollFlags::OUT, Some(&LIMIT)),
                Err(_) => self.broken = true,
            }
        }
    }

    fn is_overdue(&self) -> bool {
        self.resumed.elapsed() >= self.patience
    }

    fn note_resumed(&mut self) {
        self.resumed = Instant::now();
    }
}
