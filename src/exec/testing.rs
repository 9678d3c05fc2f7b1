//! For tests of the executor: several clients that send batches and see what comes back.

use crate::base::clock::Now;
use crate::keyspace::changes::Propagated;
use crate::resp::{Batch, Limits, Parser};
use crate::session::SessionId;

use super::Executor;
use super::mailbox::Mail;

/// An executor with clients `a`, `b`, `c`, ... that have no connections.
pub struct Scene {
    pub executor: Executor,
    pub clients: Vec<SessionId>,
    pub now_ms: i64,
}

/// Commands as a connection sends them; `;` ends one.
pub fn batch(commands: &str) -> Box<Batch> {
    let (mut parser, mut batch) = (Parser::new(), Box::<Batch>::default());
    let lines = commands.replace(';', "\r\n") + "\r\n";
    parser
        .read_target(&mut batch)
        .buf
        .extend_from_slice(lines.as_bytes());
    parser.parse(&mut batch, &Limits::default());
    batch
}

/// What an executor has handed on to followers since the last look, as `0: SET k v`; `*` for no database of its own.
pub fn journal(executor: &mut Executor) -> Vec<String> {
    let show = |unit: Propagated| {
        let words: Vec<_> = unit
            .words
            .iter()
            .map(|word| String::from_utf8_lossy(word))
            .collect();
        let db = unit.db.map_or_else(|| "*".to_owned(), |db| db.to_string());
        format!("{db}: {}", words.join(" "))
    };
    executor.journal.drain(..).map(show).collect()
}

impl Scene {
    /// With `count` clients, at one second past the epoch.
    pub fn new(count: usize) -> Scene {
        let mut executor = Executor::for_tests();
        let clients = (0..count).map(|_| executor.connect()).collect();
        Scene {
            executor,
            clients,
            now_ms: 1_000,
        }
    }

    /// Opens what `script` (`a: PING;PING`, one batch in a line) brings in one turn; the batches that come back, as
    /// `a: +PONG +PONG`.
    pub fn turn(&mut self, script: &str) -> Vec<String> {
        let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut letters = lines
            .map(|line| {
                let (name, commands) = line.split_once(':').expect("client: commands");
                let client = self.clients[usize::from(name.as_bytes()[0] - b'a')];
                Mail::Batch(client, batch(commands.trim()))
            })
            .collect();
        self.open(&mut letters)
    }

    /// Lets time pass without mail.
    pub fn pass(&mut self, ms: i64) -> Vec<String> {
        self.now_ms += ms;
        self.open(&mut Vec::new())
    }

    /// What was handed on to followers since the last look, as `0: SET k v`.
    pub fn journal(&mut self) -> Vec<String> {
        journal(&mut self.executor)
    }

    pub fn open(&mut self, letters: &mut Vec<Mail>) -> Vec<String> {
        let now = Now {
            unix_us: self.now_ms * 1000,
        };
        self.executor.open(letters, now);
        while self.executor.awaits_freeing() {
            std::thread::yield_now();
            self.executor.open(letters, now);
        }
        let finished: Vec<_> = self.executor.finished.drain(..).collect();
        let shown = finished.into_iter().map(|(client, batch)| {
            let known = self.clients.iter().position(|id| *id == client);
            let name = known.map_or('?', |at| (b'a' + at as u8) as char);
            let reply = String::from_utf8_lossy(&batch.reply).into_owned();
            format!("{name}: {}", reply.replace("\r\n", " "))
                .trim_end()
                .to_owned()
        });
        shown.collect()
    }
}
