//! Running commands: plan a group, prefetch what it will touch, then admit and run one after the other.
//!
//! The commands of all drained batches are taken in groups of up to [`GROUP_MAX`]. For each group: find every command
//! in the table and hash its keys once; prefetch the buckets of all keys, then their entries; only then run, with the
//! saved hashes. At a few million keys this hides most of the memory latency that a server working command by command
//! waits out (measured: docs/decisions).
//!
//! What is paid per command besides its handler: a table lookup, two gates, one raw clock read, two counters.

use crate::base::hash::KeyHasher;
use crate::command::args::Args;
use crate::command::cx::{Control, Cx, Next};
use crate::command::error::Error;
use crate::command::row::{Flags, Row};
use crate::command::table::{Command, CommandId, Table, is_positional};
use crate::keyspace::Keyspace;
use crate::process::crash;
use crate::resp::{self, Batch, Reply};
use crate::session::{Session, SessionFlags, SessionId};
use crate::stats::slowlog::cut_arg;

use super::{Executor, admit, effects, monitor, script};

/// Commands planned and prefetched at once.
pub const GROUP_MAX: usize = 64;

/// Keys of one command that are hashed ahead; those beyond are hashed when their turn comes.
const KEYS_MAX: usize = 64;

/// A batch whose replies have grown past this goes back to be written before the rest of it runs.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// A command as the plan found it.
#[derive(Clone, Copy)]
struct Planned {
    command: Resolved,
    /// Which of the drained batches, and which command in it.
    batch: u32,
    index: u32,
    /// Its hashes in [`Plan::hashes`].
    hashes_start: u32,
    hashes_end: u32,
}

/// What a name turned out to be.
#[derive(Clone, Copy)]
pub(super) enum Resolved {
    Command(u16),
    UnknownSubcommand(u16),
    Unknown,
}

/// A large argument taken out of its batch, for the handler to keep.
pub(super) struct Adopted {
    pub word: usize,
    pub bytes: Vec<u8>,
    /// How the slow log shows it, since the handler leaves nothing behind.
    shown: Box<[u8]>,
}

/// Scratch of one drain, kept for the next.
#[derive(Default)]
pub struct Plan {
    group: Group,
    /// Without its batch once the client is blocked.
    batches: Vec<(SessionId, Option<Box<Batch>>)>,
}

/// How a command comes to run.
#[derive(Clone, Copy, Default)]
pub(super) struct Run<'a> {
    /// Hashes of its keys, as far as they are known.
    pub hashes: &'a [u64],
    /// It may block its client.
    pub may_block: bool,
    /// It blocked its client before, who is being served.
    pub rerun: bool,
    /// It is part of another command: of a transaction or script.
    pub nested: bool,
}

/// The commands planned together.
#[derive(Default)]
struct Group {
    commands: Vec<Planned>,
    hashes: Vec<u64>,
    /// Database of each hash.
    dbs: Vec<u32>,
}

/// From how many microseconds on a command is slow, for the log and the latency monitor; `u64::MAX` for never.
#[derive(Debug, Clone, Copy)]
pub struct SlowLimits {
    pub(super) log_ns: u64,
    pub(super) latency_ns: u64,
}

impl Default for SlowLimits {
    fn default() -> Self {
        SlowLimits {
            log_ns: u64::MAX,
            latency_ns: u64::MAX,
        }
    }
}

/// The next command to plan.
struct Place {
    batch: usize,
    index: usize,
}

impl Place {
    fn start_of(batches: &[(SessionId, Option<Box<Batch>>)], batch: usize) -> Place {
        let first = batches.get(batch).and_then(|(_, contents)| contents.as_ref());
        Place {
            batch,
            index: first.map_or(0, |contents| contents.next),
        }
    }
}

impl Group {
    fn clear(&mut self) {
        self.commands.clear();
        self.hashes.clear();
        self.dbs.clear();
    }

    /// Finds the command of `words` and hashes its keys; the flags of its row.
    #[inline]
    fn add(
        &mut self,
        table: &Table,
        keys: &Keyspace,
        db: usize,
        words: resp::Args<'_>,
        batch: usize,
        index: usize,
    ) -> Flags {
        let resolved = resolve(table, words);
        let hashes_start = self.hashes.len() as u32;
        let mut flags = Flags::empty();
        if let Resolved::Command(id) = resolved {
            let command = table.command(CommandId(id));
            flags = command.row.flags;
            hash_keys(command, words, keys.hasher(), &mut self.hashes);
            self.dbs.resize(self.hashes.len(), db as u32);
        }
        self.commands.push(Planned {
            command: resolved,
            batch: batch as u32,
            index: index as u32,
            hashes_start,
            hashes_end: self.hashes.len() as u32,
        });
        flags
    }

    #[inline]
    fn prefetch(&self, keys: &Keyspace) {
        if self.hashes.len() < 2 {
            return;
        }
        for (&hash, &db) in self.hashes.iter().zip(&self.dbs) {
            keys.prefetch_bucket(db as usize, hash);
        }
        for (&hash, &db) in self.hashes.iter().zip(&self.dbs) {
            keys.prefetch_entry(db as usize, hash);
        }
    }
}

#[inline]
fn resolve(table: &Table, words: resp::Args<'_>) -> Resolved {
    match table.resolve(words.get(0), || words.try_get(1)) {
        Some(Ok(command)) => Resolved::Command(command.id.0),
        Some(Err(container)) => Resolved::UnknownSubcommand(container.id.0),
        None => Resolved::Unknown,
    }
}

#[inline]
fn hash_keys(command: &Command, words: resp::Args<'_>, hasher: KeyHasher, out: &mut Vec<u64>) {
    if !is_positional(command) {
        return;
    }
    let first = command.first_key as usize;
    if command.last_key == command.first_key {
        if first < words.len() {
            out.push(hasher.hash(words.get(first)));
        }
        return;
    }
    let last = if command.last_key < 0 {
        words.len() as i64 + i64::from(command.last_key)
    } else {
        i64::from(command.last_key).min(words.len() as i64 - 1)
    };
    let range = first as i64..=last;
    out.extend(
        range
            .step_by(command.key_step.max(1) as usize)
            .take(KEYS_MAX)
            .map(|i| hasher.hash(words.get(i as usize))),
    );
}

impl Executor {
    /// Runs the commands of all `batches`, which leave through [`Executor::take_finished`] or are held by a pause or by a
    /// blocking command; then what clients go on with that are blocked no longer.
    pub fn run_batches(&mut self, batches: &mut Vec<(SessionId, Box<Batch>)>) {
        self.run_round(batches);
        self.run_released();
    }

    /// Goes on with the batches of clients that are blocked no longer.
    #[inline]
    pub(super) fn run_released(&mut self) {
        loop {
            let mut released = self.take_released();
            if released.is_empty() {
                return;
            }
            self.run_round(&mut released);
        }
    }

    fn run_round(&mut self, batches: &mut Vec<(SessionId, Box<Batch>)>) {
        let mut plan = std::mem::take(&mut self.plan);
        let come = batches.drain(..).map(|(client, batch)| (client, Some(batch)));
        plan.batches.extend(come);
        self.count_round(&plan.batches);
        let mut at = Place::start_of(&plan.batches, 0);
        while at.batch < plan.batches.len() {
            self.plan_group(&mut plan, &mut at);
            plan.group.prefetch(&self.keys);
            let started = self.ticks.raw();
            self.tick = started;
            self.run_group(&mut plan);
            self.stats.counters.event_loop.command_ns += self.ticks.nanos_between(started, self.tick);
            if at.batch >= plan.batches.len() && !self.aside.is_empty() {
                let next = plan.batches.len();
                let aside = self.aside.drain(..);
                plan.batches
                    .extend(aside.map(|(client, batch)| (client, Some(batch))));
                at = Place::start_of(&plan.batches, next);
            }
        }
        for (session, batch) in plan.batches.drain(..) {
            if let Some(batch) = batch {
                self.finish(session, batch);
            }
        }
        plan.group.clear();
        self.plan = plan;
    }

    /// Plans commands from `at` on, which moves behind them.
    ///
    /// A script may take its time, and others get theirs in the middle of it: the batches behind one are set aside where
    /// they can be found then.
    fn plan_group(&mut self, plan: &mut Plan, at: &mut Place) {
        let Plan { group, batches } = plan;
        group.clear();
        while at.batch < batches.len() && group.commands.len() < GROUP_MAX {
            let (client, batch) = &batches[at.batch];
            let planned = batch.as_ref().zip(self.sessions.get(*client));
            match planned.filter(|(batch, _)| at.index < batch.command_count()) {
                Some((batch, session)) => {
                    let words = batch.command(at.index);
                    let flags = group.add(&self.table, &self.keys, session.db, words, at.batch, at.index);
                    if flags.intersects(SCRIPTED | Flags::RUNS_QUEUE) && runs_script(flags, session) {
                        let behind = batches.drain(at.batch + 1..);
                        self.aside
                            .extend(behind.filter_map(|(client, batch)| Some((client, batch?))));
                    }
                    at.index += 1;
                }
                None => *at = Place::start_of(batches, at.batch + 1),
            }
        }
    }

    fn run_group(&mut self, plan: &mut Plan) {
        let Plan { group, batches } = plan;
        let mut at = 0;
        while at < group.commands.len() {
            let batch_index = group.commands[at].batch as usize;
            let end = at
                + group.commands[at..]
                    .iter()
                    .take_while(|c| c.batch as usize == batch_index)
                    .count();
            let (session, batch) = &mut batches[batch_index];
            let client = *session;
            self.run_part(client, batch, &group.commands[at..end], &group.hashes);
            // Not at the end of all: a script behind it may take its time, and what its replies take must count.
            let sessions = &self.sessions;
            let has_ended = |batch: &mut Box<Batch>| {
                batch.next >= batch.command_count()
                    || batch.reply.len() >= REPLY_BYTES_MAX
                    || !sessions.contains(client)
            };
            if let Some(ended) = batch.take_if(has_ended) {
                self.finish(client, ended);
            }
            at = end;
        }
    }

    /// Runs the planned commands of one batch, as far as the client may go on.
    fn run_part(
        &mut self,
        client: SessionId,
        place: &mut Option<Box<Batch>>,
        commands: &[Planned],
        hashes: &[u64],
    ) {
        let Some(batch) = place else {
            return;
        };
        if batch.has_large() {
            self.note_large(client, batch);
        }
        let mut reply = std::mem::take(&mut batch.reply);
        if let Some(session) = self.sessions.get_mut(client) {
            session.answering = true;
            session.input_used = batch.input.len();
            session.input_held = batch.input.capacity();
        }
        for planned in commands {
            let index = planned.index as usize;
            if index != batch.next || !self.may_go_on(client, batch, &reply) || !self.has_room(client, &reply)
            {
                break;
            }
            let hashes = &hashes[planned.hashes_start as usize..planned.hashes_end as usize];
            if self.server.is_holding()
                && self.holds(client, batch.command(index), planned.command, &mut reply)
            {
                break;
            }
            // Only now: a command that is held back must keep its words.
            let mut large = self.adoptable(batch, index, planned.command);
            let words = batch.command(index);
            let run = Run {
                hashes,
                may_block: true,
                ..Run::default()
            };
            self.run_planned(client, words, planned.command, run, &mut reply, large.as_mut());
            self.settle(&mut reply);
            if self.blocking.just_blocked {
                batch.reply = reply;
                if let Some(batch) = place.take() {
                    self.park(client, batch);
                }
                return self.serve_ready();
            }
            if batch.has_large() {
                batch.free_large(index);
            }
            batch.next += 1;
            self.serve_ready_behind(client, &mut reply);
        }
        batch.reply = reply;
    }

    /// A client goes on with its batch unless it is gone, being closed, has replies enough to be written first, or must
    /// lend its socket.
    #[inline]
    fn may_go_on(&self, client: SessionId, batch: &Batch, reply: &[u8]) -> bool {
        const UNUSUAL: SessionFlags = STOPPED.union(SessionFlags::DEBUG);
        reply.len() < REPLY_BYTES_MAX && self.exit.is_none() && {
            let session = self.sessions.get(client);
            session.is_some_and(|session| {
                !session.flags.intersects(UNUSUAL) || self.may_go_on_debugging(client, session, batch)
            })
        }
    }

    #[cold]
    fn may_go_on_debugging(&self, client: SessionId, session: &Session, batch: &Batch) -> bool {
        !session.flags.intersects(STOPPED) && self.has_socket_for(client, session, batch.command(batch.next))
    }

    /// Takes the large argument that a row would rather keep than copy, unless others must see the words, too.
    #[inline]
    pub(super) fn adoptable(&self, batch: &mut Batch, index: usize, command: Resolved) -> Option<Adopted> {
        if !batch.has_large() || self.keys.changes.followed || self.server.monitors > 0 {
            return None;
        }
        let Resolved::Command(id) = command else {
            return None;
        };
        let row = self.table.command(CommandId(id)).row;
        if !row.flags.contains(Flags::ADOPTS_VALUE) || !row.arity.admits(batch.command(index).len()) {
            return None;
        }
        let count = batch.command(index).len();
        (2..count).find_map(|word| {
            let bytes = batch.take_large(index, word)?;
            let shown = cut_arg(&bytes);
            Some(Adopted { word, bytes, shown })
        })
    }

    /// Runs one command that came from no batch (tests, replay, EXEC, scripts).
    pub fn execute(&mut self, client: SessionId, words: resp::Args<'_>, reply: &mut Vec<u8>) {
        let command = self.resolve(words);
        self.tick = self.ticks.raw();
        self.run_planned(client, words, command, Run::default(), reply, None);
        self.settle(reply);
        self.serve_ready();
        self.run_released();
    }

    #[inline]
    pub(super) fn run_planned(
        &mut self,
        client: SessionId,
        words: resp::Args<'_>,
        command: Resolved,
        run: Run<'_>,
        reply: &mut Vec<u8>,
        large: Option<&mut Adopted>,
    ) {
        let id = match command {
            Resolved::Command(id) => id,
            Resolved::Unknown if admit::is_browser(words) => return self.cut_off_browser(client),
            Resolved::Unknown => {
                return self.refuse(client, None, words, admit::unknown(words), run, reply);
            }
            Resolved::UnknownSubcommand(id) => {
                let container = self.table.command(CommandId(id));
                let error = admit::unknown_subcommand(container, words.get(1));
                return self.refuse(client, None, words, error, run, reply);
            }
        };
        if self.keys.changes.tracked && self.tracking.is_over_limit() && !run.nested {
            self.limit_tracking_table_for(client, reply);
        }
        if let Err(error) = self.admit(client, id, words, run.nested, reply) {
            return self.refuse(client, Some(id), words, error, run, reply);
        }
        let (command, session) = (self.table.command(CommandId(id)), &self.sessions[client]);
        if session.multi >= 0 && !run.nested && !command.row.flags.contains(Flags::RUNS_IN_MULTI) {
            return self.enqueue(client, words, id, run.hashes, reply, large);
        }
        self.run_admitted(client, words, id, run, reply, large);
    }

    /// Asks all gates, in Redis's order.
    #[inline(always)]
    pub(super) fn admit(
        &mut self,
        client: SessionId,
        id: u16,
        words: resp::Args<'_>,
        nested: bool,
        reply: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (command, session) = (self.table.command(CommandId(id)), &self.sessions[client]);
        admit::arity(command, words.len())?;
        admit::auth(command, session)?;
        admit::transaction(command, session)?;
        if self.evictor.is_limited() && !nested {
            self.admit_memory(client, id, words, reply)?;
        }
        let state = self.server_state();
        if !state.takes_writes() {
            let flags = self.flags_in_force(client, id, words);
            admit::disk(flags, state)?;
            admit::replicas(flags, state)?;
        }
        let (command, session) = (self.table.command(CommandId(id)), &self.sessions[client]);
        admit::subscribed(command, session)?;
        admit::loading(command, state)?;
        if session.flags.contains(SessionFlags::MONITOR) {
            admit::onlooker(self.flags_in_force(client, id, words))?;
        }
        let command = self.table.command(CommandId(id));
        match &self.running {
            Some(running) if !nested && !command.row.flags.contains(Flags::ALLOW_BUSY) => {
                Err(script::busy(running.is_function))
            }
            _ => Ok(()),
        }
    }

    #[inline]
    pub(super) fn run_admitted(
        &mut self,
        client: SessionId,
        words: resp::Args<'_>,
        id: u16,
        run: Run<'_>,
        reply: &mut Vec<u8>,
        large: Option<&mut Adopted>,
    ) {
        let (replied, started) = (reply.len(), self.tick);
        let (bytes, taken) = match large {
            Some(large) => (
                Some((large.word, &mut large.bytes)),
                Some((large.word, &*large.shown)),
            ),
            None => (None, None),
        };
        let row = self.table.command(CommandId(id)).row;
        // W3 of `witness`: until the activity ends.
        let outer = crash::activity(|a| a.begin(client.client, row.name, std::ptr::from_ref(&words).cast()));
        let session = &mut self.sessions[client];
        if !run.nested {
            session.last_command = Some(id);
        }
        session.commands += u64::from(!run.rerun);
        let (db, before) = (session.db, session.flags);
        let dirty = self.keys.changes.dirty;
        self.invoke(client, words, id, run, reply, bytes);
        crash::activity(|a| a.end(outer));
        if self.server.monitors > 0 && !run.rerun {
            monitor::feed(&mut self.sessions, client, words, row, self.now_unix_us);
        }
        if self.keys.changes.dirty != dirty || !self.keys.changes.is_quiet() {
            let cause = effects::Cause {
                client,
                db,
                words,
                row,
                dirty,
                // In the middle of a script, what it has written so far is not theirs to hand on.
                nested: run.nested || self.running.is_some(),
            };
            effects::drain(self, cause);
        }
        if self.aof.is_guarding() {
            self.await_log(client, words, id);
        }
        if before.contains(SessionFlags::TRACKING) {
            self.note_read(client, id, words);
        }
        self.tick = self.ticks.raw();
        let mut spent_ns = self.ticks.nanos_between(started, self.tick);
        if self.blocking.just_blocked {
            return self.note_blocked(client, spent_ns);
        }
        if run.rerun {
            spent_ns += self.blocking.spent_ns(client);
        }
        self.stats.counters.total_commands_processed += 1;
        self.stats.commands.record(id, spent_ns);
        if spent_ns >= self.slow.log_ns || spent_ns >= self.slow.latency_ns {
            self.note_slow(client, words, taken, id, spent_ns);
        }
        if run.nested {
            return self.silence_nested(client, row, replied, reply);
        }
        if before.contains(SessionFlags::TRACKING_CACHING) {
            self.spend_caching(client, row.flags);
        }
        if before.intersects(SILENT) || self.server_has_silent(client) {
            let replied = if row.flags.contains(Flags::ANSWERS_BY_PUSH) {
                reply.len()
            } else {
                replied
            };
            self.silence(client, before, replied, reply);
        }
    }

    /// Calls the handler and does what it could not: the command itself, without what surrounds one that a client sends.
    #[inline]
    pub(super) fn invoke(
        &mut self,
        client: SessionId,
        words: resp::Args<'_>,
        id: u16,
        run: Run<'_>,
        reply: &mut Vec<u8>,
        large: Option<(usize, &mut Vec<u8>)>,
    ) {
        let command = self.table.command(CommandId(id));
        let session = &self.sessions[client];
        self.keys.select(session.db);
        self.keys.expire_suspended = self.server.is_holding();
        self.keys.access.no_touch = session.flags.contains(SessionFlags::NO_TOUCH);
        let resp3 = session.answers_resp3();
        let args = Args::prepared(
            words,
            run.hashes,
            command.first_key.max(0) as usize,
            command.key_step.max(1) as usize,
            self.keys.hasher(),
        );
        let row = command.row;
        let mut cx = Cx {
            keys: &mut self.keys,
            sessions: &mut self.sessions,
            client,
            reply: Reply::new(reply, resp3),
            config: &mut self.config,
            stats: &mut self.stats,
            acl: &mut self.acl,
            pubsub: &mut self.pubsub,
            tracking: &mut self.tracking,
            table: &self.table,
            server: &mut self.server,
            rng: &mut self.rng,
            now_unix_us: self.now_unix_us,
            may_block: run.may_block,
            rerun: run.rerun,
            large,
        };
        match (row.run)(&mut cx, args) {
            Ok(Next::Done) => {}
            Ok(Next::Control(Control::Script(act))) => {
                self.script(script::Caused { client, id, words }, act, reply);
            }
            Ok(Next::Control(Control::Migrate(request))) => self.migrate(client, id, *request, reply),
            Ok(Next::Control(Control::Migrated)) => self.answer_migration(client, id, reply),
            Ok(Next::Control(control)) => self.carry_out(client, control, reply),
            Ok(Next::Block(on)) => self.block(client, *on, id),
            Err(error) => {
                self.stats.commands.record_failed(id);
                self.write_error(client, &error, reply);
            }
        }
    }

    /// Finds the command of `words`.
    pub(super) fn resolve(&self, words: resp::Args<'_>) -> Resolved {
        resolve(&self.table, words)
    }

    #[inline]
    fn server_has_silent(&self, client: SessionId) -> bool {
        self.sessions[client].flags.intersects(SILENT)
    }

    /// Leaves out replies as CLIENT REPLY says.
    #[cold]
    pub(super) fn silence(
        &mut self,
        client: SessionId,
        before: SessionFlags,
        replied: usize,
        reply: &mut Vec<u8>,
    ) {
        let flags = &mut self.sessions[client].flags;
        // Compat: an EXEC that turns replies off has answered up to there.
        if flags.intersects(SILENCED) && before.intersects(SILENCED) {
            reply.truncate(replied);
        }
        flags.remove(SessionFlags::REPLY_SKIP);
        if flags.contains(SessionFlags::REPLY_SKIP_NEXT) {
            flags.remove(SessionFlags::REPLY_SKIP_NEXT);
            flags.insert(SessionFlags::REPLY_SKIP);
        }
    }

    /// Leaves out the reply to a part of an EXEC while replies are turned off. What is a message all the same goes out
    /// as one: EXEC's own reply, in which it stands, is dropped as a whole.
    #[inline]
    fn silence_nested(&mut self, client: SessionId, row: &Row, replied: usize, reply: &mut Vec<u8>) {
        let session = &mut self.sessions[client];
        if session.flags.intersects(SILENCED) {
            if row.flags.contains(Flags::ANSWERS_BY_PUSH) {
                session.push(&reply[replied..]);
            }
            reply.truncate(replied);
        }
    }

    /// Answers an error to a command that did not run.
    #[cold]
    fn refuse(
        &mut self,
        client: SessionId,
        id: Option<u16>,
        words: resp::Args<'_>,
        error: Error,
        run: Run<'_>,
        reply: &mut Vec<u8>,
    ) {
        if let Some(id) = id {
            self.stats.commands.record_rejected(id);
        }
        if run.nested {
            return self.write_error(client, &error, reply);
        }
        self.sessions[client].last_command = id;
        let error = self.spoil_transaction(client, id, words, error);
        let (before, replied) = (self.sessions[client].flags, reply.len());
        self.write_error(client, &error, reply);
        if before.contains(SessionFlags::TRACKING_CACHING) {
            let flags = id.map_or(Flags::empty(), |id| self.table.command(CommandId(id)).row.flags);
            self.spend_caching(client, flags);
        }
        if before.intersects(SILENT) {
            self.silence(client, before, replied, reply);
        }
    }

    /// Writes an error and counts it.
    #[cold]
    pub(super) fn write_error(&mut self, client: SessionId, error: &Error, reply: &mut Vec<u8>) {
        let text = error.text();
        self.stats.record_error(&text);
        let resp3 = self
            .sessions
            .get_mut(client)
            .is_some_and(|session| session.answers_resp3());
        Reply::new(reply, resp3).error(&text);
    }

    #[cold]
    fn note_slow(
        &mut self,
        client: SessionId,
        words: resp::Args<'_>,
        taken: Option<(usize, &[u8])>,
        id: u16,
        spent_ns: u64,
    ) {
        let command = self.table.command(CommandId(id));
        let spent_us = spent_ns / 1000;
        if spent_ns >= self.slow.log_ns
            && !command.row.flags.contains(Flags::SKIP_SLOWLOG)
            && let Some(session) = self.sessions.get_mut(client)
        {
            self.stats.note_slow_command(
                self.now_unix_us,
                spent_us,
                command.row.shown(words),
                &session.addr,
                &session.name,
            );
            if let Some((word, shown)) = taken {
                self.stats.slowlog.amend(word, shown);
            }
        }
        if spent_ns >= self.slow.latency_ns {
            let event = if command.row.flags.contains(Flags::FAST) {
                "fast-command"
            } else {
                "command"
            };
            self.stats.note_latency(event, self.now_unix_us, spent_us / 1000);
        }
    }
}

/// Whether a command with these flags runs a script: it does so itself, or has queued one that does.
pub(super) fn runs_script(flags: Flags, session: &Session) -> bool {
    let queued = session.transaction.as_ref().map_or(0, |queue| queue.flags);
    flags.union(Flags::from_bits_retain(queued)).intersects(SCRIPTED)
}

/// Flags of a client that is being closed.
const STOPPED: SessionFlags = SessionFlags::CLOSE_AFTER_REPLY.union(SessionFlags::CLOSING);

/// What runs scripts.
const SCRIPTED: Flags = Flags::NO_MANDATORY_KEYS.with(Flags::REPLAYS_LOG);

/// Flags under which replies are left out.
pub(super) const SILENCED: SessionFlags = SessionFlags::REPLY_OFF.union(SessionFlags::REPLY_SKIP);

/// Flags under which replies may be left out.
pub(super) const SILENT: SessionFlags = SessionFlags::REPLY_OFF
    .union(SessionFlags::REPLY_SKIP)
    .union(SessionFlags::REPLY_SKIP_NEXT);
