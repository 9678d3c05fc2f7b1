//! A server on a disk of its own, without threads, processes or clocks.

use std::io;
use std::sync::Arc;

use crate::base::hash::KeyHasher;
use crate::base::rng::Rng;
use crate::config::Config;
use crate::exec::aof::sync::{Progress, Syncer};
use crate::exec::{Duty, Executor, Host, Work};
use crate::persist::disk::Disk;
use crate::persist::disk::twin::Twin;
use crate::process::child::{Ended, Report, Worker};
use crate::resp::Batch;
use crate::session::SessionId;

use super::run::Policy;

struct TwinHost(Twin);

impl Host for TwinHost {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.0.clone())
    }

    fn hire(&mut self, _: Duty<'_>, work: Work<'_>) -> io::Result<Box<dyn Worker>> {
        self.0.begin_child();
        let code = work(&mut Report::unheard());
        self.0.end_child();
        Ok(Box::new(TwinWorker(self.0.clone(), code)))
    }

    fn apply_config(&mut self, _: &Config, _: &[&'static str]) -> Result<(), (&'static str, String)> {
        Ok(())
    }
}

struct TwinWorker(Twin, i32);

impl Worker for TwinWorker {
    fn pid(&self) -> i32 {
        std::process::id() as i32
    }

    fn lines(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn ended(&self) -> Option<Ended> {
        self.0.child_is_done().then_some(Ended::Code(self.1))
    }

    fn kill(self: Box<Self>) {
        self.0.kill_child();
    }
}

/// The server.
pub struct Machine {
    pub executor: Executor,
    pub twin: Twin,
    client: SessionId,
    admin: SessionId,
    now_ms: i64,
    /// A sync has been asked for and has begun: how many had ended by then.
    sync: Option<u64>,
    failed_to_start: bool,
}

impl Machine {
    /// Starts one on what is on the disk.
    pub fn start(twin: Twin, logs: bool, policy: Policy) -> Machine {
        let mut config = Config::default();
        let logs = if logs { "yes" } else { "no" };
        for (name, value) in [
            ("save", ""),
            ("enable-debug-command", "yes"),
            ("appendonly", logs),
            ("appendfsync", policy.word()),
        ] {
            assert!(config.assign(name, value.as_bytes()).is_ok(), "{name}");
        }
        let host = Box::new(TwinHost(twin.clone()));
        let mut executor = Executor::new(config, KeyHasher::with_seed(1), Rng::seeded(1), host)
            .expect("the default configuration renames nothing");
        executor.set_time_us(1_000_000_000);
        executor.aof.syncer = Some(Syncer::unattended());
        executor.begin_load();
        while executor.loading.is_some() {
            executor.load_slice();
        }
        let (client, admin) = (executor.connect(), executor.connect());
        Machine {
            client,
            admin,
            now_ms: 1_000_000,
            sync: None,
            failed_to_start: executor.exit.is_some(),
            executor,
            twin,
        }
    }

    pub fn exit_code(&self) -> Option<i32> {
        self.executor.exit
    }

    pub fn has_failed_to_start(&self) -> bool {
        self.failed_to_start
    }

    /// Runs a line; the answer.
    pub fn run(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        String::from_utf8_lossy(&self.executor.run(self.client, &words)).into_owned()
    }

    /// What all keys hold.
    pub fn digest(&mut self) -> u64 {
        let reply = self.executor.run(self.admin, &[b"DEBUG", b"DIGEST"]);
        let text = String::from_utf8_lossy(&reply).into_owned();
        u64::from_str_radix(&text[1..17], 16).expect("forty digits")
    }

    /// The client's answers wait for whatever they must; `label` comes back once they may go.
    pub fn answer(&mut self, label: usize) {
        let mut batch = Box::<Batch>::default();
        batch.reply = label.to_string().into_bytes();
        self.executor.finished.push((self.client, batch));
    }

    /// Ends a turn; the labels of what was let go.
    pub fn end_turn(&mut self) -> Vec<usize> {
        self.executor.end_turn();
        let finished = self.executor.finished.drain(..);
        let label = |(_, batch): (SessionId, Box<Batch>)| String::from_utf8_lossy(&batch.reply).parse().ok();
        finished.filter_map(label).collect()
    }

    /// Begins the sync that was asked for; whether one has begun just now.
    pub fn begin_sync(&mut self) -> bool {
        let progress = self.progress();
        if progress.pending == 0 || self.is_syncing() {
            return false;
        }
        self.twin.mark();
        self.sync = Some(progress.ended);
        true
    }

    fn progress(&self) -> Progress {
        let syncer = self.executor.aof.syncer.as_ref();
        syncer.map(Syncer::progress).unwrap_or_default()
    }

    /// Whether the sync that has begun is still under way: the executor may have waited for its end.
    pub fn is_syncing(&self) -> bool {
        self.sync.is_some_and(|ended| ended == self.progress().ended)
    }

    /// Ends it; whether that worked.
    pub fn end_sync(&mut self) -> bool {
        let Some(syncer) = &self.executor.aof.syncer else {
            return false;
        };
        let failed = syncer.progress().failed;
        self.sync = None;
        self.twin.marked(|| syncer.finish());
        syncer.progress().failed == failed
    }

    /// Lets time pass.
    pub fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        self.executor.set_time_us(self.now_ms * 1000);
        self.twin.step_child();
        self.executor.tick();
    }

    /// Answers a client and does all the syncs that takes; how many answers went.
    pub fn settle_syncs(&mut self) -> usize {
        self.answer(0);
        let mut answered = 0;
        for _ in 0..5 {
            answered += self.end_turn().len();
            self.begin_sync();
            self.end_sync();
            self.pass(1_100);
        }
        answered + self.end_turn().len()
    }
}
