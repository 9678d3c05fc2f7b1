//! The two servers under comparison, with as many connections to each as an episode uses.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::SystemTime;

use russet::exec::Executor;
use russet::resp::value::{Value, parse_value};
use russet::session::SessionId;

use crate::programs::{PATIENCE, Program, reference_is_too_new};
use crate::words::{DIRECTIVES, Words};

/// Russet, in this process.
pub struct Ours {
    pub executor: Executor,
    sessions: Vec<SessionId>,
}

impl Ours {
    /// An empty server with that many connections.
    pub fn new(connections: usize) -> Ours {
        let mut executor = Executor::for_tests();
        let sessions = (0..connections).map(|_| executor.connect()).collect();
        Ours { executor, sessions }
    }

    /// The bytes of the reply; none where the client wants none. A panic is a reply of its own kind.
    pub fn run(&mut self, connection: usize, words: &Words) -> Vec<u8> {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let run = || self.executor.run(self.sessions[connection], &words);
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| b"-PANIC\r\n".to_vec())
    }

    pub fn take_the_time(&mut self) {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now_us = since_epoch.expect("after 1970").as_micros();
        self.executor.set_time_us(now_us as i64);
    }
}

/// A `redis-server` of our own, ended when dropped.
pub struct Theirs {
    program: Program,
    connections: Vec<Connection>,
    /// CONFIG SET that brings every directive of the test back to its default.
    defaults: Words,
    /// Its commands, in small letters.
    pub commands: Vec<Vec<u8>>,
    _folder: tempfile::TempDir,
}

impl Theirs {
    /// The `redis-server` in PATH; `None`, and a word about it, when there is none to compare with.
    pub fn reference() -> Option<Theirs> {
        if reference_is_too_new() {
            return None;
        }
        let theirs = Theirs::start(Path::new("redis-server"));
        if theirs.is_none() {
            eprintln!("no redis-server in PATH: nothing to compare with");
        }
        theirs
    }

    /// `None` when there is no such program.
    pub fn start(program: &Path) -> Option<Theirs> {
        Theirs::start_with(program, &[])
    }

    /// The same with more options.
    pub fn start_with(program: &Path, options: &[&str]) -> Option<Theirs> {
        let folder = tempfile::tempdir().expect("a folder");
        let options = [&["--enable-debug-command", "yes"], options].concat();
        let mut server = Theirs {
            program: Program::start(program, folder.path(), &options)?,
            connections: Vec::new(),
            defaults: Vec::new(),
            commands: Vec::new(),
            _folder: folder,
        };
        server.learn();
        Some(server)
    }

    fn learn(&mut self) {
        let mut connection = self.open();
        // What is dead but not yet gone shows in DBSIZE: nothing may go by chance.
        connection.ask(&[b"debug", b"set-active-expire", b"0"]);
        self.commands = texts(connection.ask(&[b"command", b"list"]));
        let mut question: Vec<&[u8]> = vec![b"config", b"get"];
        question.extend(DIRECTIVES.iter().map(|name| name.as_bytes()));
        self.defaults = vec![b"config".to_vec(), b"set".to_vec()];
        self.defaults.extend(texts(connection.ask(&question)));
    }

    /// One more connection.
    pub fn open(&self) -> Connection {
        Connection::open(self.program.address()).expect("it is there")
    }

    /// Empties it and connects anew, with the same defaults as `ours`.
    pub fn restart(&mut self, connections: usize, ours: &mut Ours) {
        self.connections = (0..connections).map(|_| self.open()).collect();
        for forget in [
            &[&b"flushall"[..]][..],
            &[b"function", b"flush"],
            &[b"script", b"flush"],
        ] {
            self.connections[0].ask(forget);
        }
        let defaults: Vec<&[u8]> = self.defaults.iter().map(Vec::as_slice).collect();
        self.connections[0].ask(&defaults);
        ours.run(0, &self.defaults);
    }

    pub fn send(&mut self, connection: usize, commands: &[&Words]) {
        let mut bytes = Vec::new();
        for words in commands {
            encode(words.iter().map(Vec::as_slice), &mut bytes);
        }
        let stream = &mut self.connections[connection].stream;
        stream.write_all(&bytes).expect("redis-server reads");
    }

    /// The next reply; `None` when none comes or the connection is gone.
    pub fn receive(&mut self, connection: usize) -> Option<(Value, Vec<u8>)> {
        self.connections[connection].receive()
    }
}

/// A connection to a program.
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> Option<Connection> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        let unread = Vec::new();
        Some(Connection { stream, unread })
    }

    /// Sends a command and forgets about its reply.
    pub fn send(&mut self, words: &Words) {
        self.write(words.iter().map(Vec::as_slice));
    }

    fn write<'a>(&mut self, words: impl ExactSizeIterator<Item = &'a [u8]>) {
        let mut bytes = Vec::new();
        encode(words, &mut bytes);
        self.stream.write_all(&bytes).expect("the server reads");
    }

    /// The reply to a command.
    pub fn ask(&mut self, words: &[&[u8]]) -> Value {
        self.write(words.iter().copied());
        self.receive().expect("an answer").0
    }

    /// The next reply or message; `None` when none comes or the connection is gone.
    pub fn receive(&mut self) -> Option<(Value, Vec<u8>)> {
        let mut chunk = [0; 64 * 1024];
        loop {
            if let Some((value, len)) = parse_value(&self.unread).expect("a reply is RESP") {
                return Some((value, self.unread.drain(..len).collect()));
            }
            match self.stream.read(&mut chunk) {
                Ok(count @ 1..) => self.unread.extend_from_slice(&chunk[..count]),
                // It was stopped for a while and goes on.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }
}

fn encode<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
}

fn texts(value: Value) -> Words {
    let Value::Array(values) = value else {
        panic!("an array of texts: {value}");
    };
    let text = |value| match value {
        Value::Bulk(text) | Value::Simple(text) => text,
        other => panic!("a text: {other}"),
    };
    values.into_iter().map(text).collect()
}
