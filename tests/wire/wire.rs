//! The client side of a socket, down to single bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use russet::resp::{Value, parse_value};

use crate::programs::PATIENCE;

trait Transport: Read + Write + Send {
    fn wait_at_most(&self, limit: Duration);
}

impl Transport for TcpStream {
    fn wait_at_most(&self, limit: Duration) {
        self.set_read_timeout(Some(limit)).expect("a connected socket");
    }
}

impl Transport for UnixStream {
    fn wait_at_most(&self, limit: Duration) {
        self.set_read_timeout(Some(limit)).expect("a connected socket");
    }
}

/// A connection, with what it has received and not yet read as replies.
pub struct Wire {
    transport: Box<dyn Transport>,
    received: Vec<u8>,
}

impl Wire {
    /// Connects by TCP, without delay of small writes.
    pub fn tcp(address: SocketAddr) -> Wire {
        Wire::over(TcpStream::connect(address).unwrap_or_else(|e| panic!("connecting to {address}: {e}")))
    }

    /// Speaks over a socket that is already connected.
    pub fn over(stream: TcpStream) -> Wire {
        stream.set_nodelay(true).expect("a connected socket");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a connected socket");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a connected socket");
        Wire {
            transport: Box::new(stream),
            received: Vec::new(),
        }
    }

    /// Connects to a unix socket.
    pub fn unix(path: &Path) -> Wire {
        let stream = UnixStream::connect(path).expect("the unix socket accepts");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a connected socket");
        Wire {
            transport: Box::new(stream),
            received: Vec::new(),
        }
    }

    /// Sends raw bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.transport.write_all(bytes).expect("the server reads");
    }

    /// Sends raw bytes to a server that may already have hung up.
    pub fn send_unheard(&mut self, bytes: &[u8]) {
        let _ = self.transport.write_all(bytes);
    }

    /// Reads exactly the bytes `expected`, and fails at the first that differs.
    #[track_caller]
    pub fn expect(&mut self, expected: &[u8]) {
        while self.received.len() < expected.len() {
            let seen = self.received.len();
            if !expected.starts_with(&self.received) || self.fill() == 0 {
                break;
            }
            assert!(self.received.len() > seen);
        }
        let front = &self.received[..expected.len().min(self.received.len())];
        assert_eq!(
            front.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
        self.received.drain(..expected.len());
    }

    /// Sends `request` and expects `reply`, both as bytes.
    #[track_caller]
    pub fn ask(&mut self, request: &[u8], reply: &[u8]) {
        self.send(request);
        self.expect(reply);
    }

    /// Runs a command and decodes its reply.
    #[track_caller]
    pub fn run(&mut self, words: &[&str]) -> Value {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.send(&command(&words));
        self.reply()
    }

    /// Runs a command that must answer `+OK`.
    #[track_caller]
    pub fn ok(&mut self, words: &[&str]) {
        assert_eq!(self.run(words), Value::Simple(b"OK".to_vec()), "{words:?}");
    }

    /// Runs a command that must answer an error; its text.
    #[track_caller]
    pub fn error(&mut self, words: &[&str]) -> String {
        match self.run(words) {
            Value::Error(text) => String::from_utf8(text).expect("errors are text"),
            other => panic!("{words:?} answered {other}"),
        }
    }

    /// The next reply.
    #[track_caller]
    pub fn reply(&mut self) -> Value {
        self.reply_or_end().expect("the server hung up")
    }

    /// The next reply; `None` at the end of the connection.
    #[track_caller]
    pub fn reply_or_end(&mut self) -> Option<Value> {
        loop {
            if let Some((value, length)) = parse_value(&self.received).expect("replies are RESP") {
                self.received.drain(..length);
                return Some(value);
            }
            if self.fill() == 0 {
                return None;
            }
        }
    }

    /// Reads a bulk string of `length` bytes without decoding piece by piece, for those of many megabytes.
    #[track_caller]
    pub fn bulk(&mut self, length: usize) -> Vec<u8> {
        self.expect(format!("${length}\r\n").as_bytes());
        while self.received.len() < length + 2 {
            assert!(self.fill() > 0, "the server hung up");
        }
        let rest = self.received.split_off(length + 2);
        let mut bulk = std::mem::replace(&mut self.received, rest);
        assert!(bulk.ends_with(b"\r\n"));
        bulk.truncate(length);
        bulk
    }

    /// Everything up to the end of the connection. A reset is an end too: the server hung up on unread input.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() > 0 {}
        std::mem::take(&mut self.received)
    }

    /// What comes in one piece, at most `limit` from now; nothing when nothing comes.
    pub fn first_within(&mut self, limit: Duration) -> Vec<u8> {
        self.transport.wait_at_most(limit);
        let mut piece = vec![0; 4096];
        let count = self.transport.read(&mut piece).unwrap_or(0);
        self.transport.wait_at_most(PATIENCE);
        piece.truncate(count);
        piece
    }

    /// Expects `last` and then the end.
    #[track_caller]
    pub fn expect_end(&mut self, last: &[u8]) {
        let rest = self.rest();
        assert_eq!(rest.escape_ascii().to_string(), last.escape_ascii().to_string());
    }

    /// Receives what has arrived, waiting for at least one byte; 0 at the end of the connection.
    fn fill(&mut self) -> usize {
        let mut piece = vec![0; 256 * 1024];
        let count = loop {
            match self.transport.read(&mut piece) {
                Ok(count) => break count,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => break 0,
                Err(e) => panic!("waiting for a reply: {e}"),
            }
        };
        self.received.extend_from_slice(&piece[..count]);
        count
    }
}

/// A command as clients send it.
pub fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The text of a bulk, verbatim or simple string.
#[track_caller]
pub fn text(value: Value) -> String {
    match value {
        Value::Bulk(bytes) | Value::Simple(bytes) | Value::Verbatim(_, bytes) => {
            String::from_utf8(bytes).expect("text")
        }
        other => panic!("no text: {other}"),
    }
}

/// A field of INFO as a number.
#[track_caller]
pub fn info_number(wire: &mut Wire, section: &str, field: &str) -> u64 {
    let info = text(wire.run(&["INFO", section]));
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in {info}"))
        .parse()
        .expect("a number")
}
