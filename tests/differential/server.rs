//! The two servers under comparison, with as many connections to each as an episode uses.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use russet::exec::Executor;
use russet::resp::value::{Value, parse_value};
use russet::session::SessionId;

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
    child: Child,
    port: u16,
    connections: Vec<Connection>,
    /// CONFIG SET that brings every directive of the test back to its default.
    defaults: Words,
    /// Its commands, in small letters.
    pub commands: Vec<Vec<u8>>,
    _dir: tempfile::TempDir,
}

impl Theirs {
    /// `None` when there is no such program.
    pub fn start(program: &Path) -> Option<Theirs> {
        Theirs::start_with(program, &[])
    }

    /// The same with more options.
    pub fn start_with(program: &Path, options: &[&str]) -> Option<Theirs> {
        let dir = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let child = Command::new(program)
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--enable-debug-command",
                "yes",
            ])
            .arg("--port")
            .arg(port.to_string())
            .arg("--dir")
            .arg(dir.path())
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut server = Theirs {
            child,
            port,
            connections: Vec::new(),
            defaults: Vec::new(),
            commands: Vec::new(),
            _dir: dir,
        };
        server.learn();
        Some(server)
    }

    fn learn(&mut self) {
        let mut connection = self.wait();
        // What is dead but not yet gone shows in DBSIZE: nothing may go by chance.
        connection.ask(&[b"debug", b"set-active-expire", b"0"]);
        self.commands = texts(connection.ask(&[b"command", b"list"]));
        let mut question: Vec<&[u8]> = vec![b"config", b"get"];
        question.extend(DIRECTIVES.iter().map(|name| name.as_bytes()));
        self.defaults = vec![b"config".to_vec(), b"set".to_vec()];
        self.defaults.extend(texts(connection.ask(&question)));
    }

    fn wait(&self) -> Connection {
        let mut tries = (0..500).filter_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            Connection::open(self.port)
        });
        tries.next().expect("redis-server listens within five seconds")
    }

    /// One more connection.
    pub fn open(&self) -> Connection {
        Connection::open(self.port).expect("it is there")
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

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to a program.
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    fn open(port: u16) -> Option<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
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
