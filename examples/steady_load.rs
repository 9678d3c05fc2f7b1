//! A load that costs less than the server it loads: on each of some connections one request is under way, and the next is
//! sent as soon as its reply is there.
//!
//! redis-benchmark spends more on a request than a server does. At `-P 1` every server waits for it, and the faster one
//! more often; what it costs a server to fall asleep and be woken is then part of what is measured. This load asks for less
//! than a server can do only where a server can do a lot.
//!
//! ```sh
//! cargo run --release --example steady_load -- <port> <set|get> <keys> <seconds> [connections]
//! ```
//!
//! Keys are `key:000000000000` and on, as redis-benchmark names them with `-r`; values have 64 bytes. Prints how many
//! requests were answered. `scripts/measure/large_keyspace.py` uses it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

const DIGITS: usize = 12;
const VALUE: [u8; 64] = [b'x'; 64];

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(load) = Load::parse(&words) else {
        eprintln!("steady_load <port> <set|get> <keys> <seconds> [connections]");
        std::process::exit(2);
    };
    println!("{}", load.run()?);
    Ok(())
}

/// What is asked for.
struct Load {
    port: u16,
    request: Request,
    lasts: Duration,
    connections: usize,
}

/// A command whose key changes from one time to the next.
struct Request {
    bytes: Vec<u8>,
    /// Where the digits of the key are.
    digits: usize,
    keys: u64,
    state: u64,
}

impl Request {
    fn new(writes: bool, keys: u64) -> Request {
        let (count, name) = if writes { (3, "SET") } else { (2, "GET") };
        let mut bytes = format!("*{count}\r\n$3\r\n{name}\r\n$16\r\nkey:").into_bytes();
        let digits = bytes.len();
        bytes.extend_from_slice(&[b'0'; DIGITS]);
        bytes.extend_from_slice(b"\r\n");
        if writes {
            bytes.extend_from_slice(b"$64\r\n");
            bytes.extend_from_slice(&VALUE);
            bytes.extend_from_slice(b"\r\n");
        }
        Request {
            bytes,
            digits,
            keys,
            state: 0x9E37_79B9_7F4A_7C15,
        }
    }

    /// The next one, of a key chosen by chance (xorshift).
    fn next(&mut self) -> &[u8] {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let mut key = self.state % self.keys;
        for digit in self.bytes[self.digits..][..DIGITS].iter_mut().rev() {
            *digit = b'0' + (key % 10) as u8;
            key /= 10;
        }
        &self.bytes
    }
}

impl Load {
    fn parse(words: &[String]) -> Option<Load> {
        let number = |at: usize| words.get(at)?.parse::<u64>().ok().filter(|&number| number > 0);
        let writes = match words.get(1)?.as_str() {
            "set" => true,
            "get" => false,
            _ => return None,
        };
        let seconds: f64 = words.get(3)?.parse().ok()?;
        Some(Load {
            port: words.first()?.parse().ok()?,
            request: Request::new(writes, number(2)?),
            lasts: Duration::try_from_secs_f64(seconds).ok()?,
            connections: number(4).unwrap_or(50) as usize,
        })
    }

    /// Sends for as long as wanted; how many replies came.
    fn run(mut self) -> io::Result<u64> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut sockets = Vec::with_capacity(self.connections);
        for at in 0..self.connections {
            let socket = TcpStream::connect(("127.0.0.1", self.port))?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            epoll::add(
                &poll,
                &socket,
                EventData::new_u64(at as u64),
                EventFlags::IN | EventFlags::ET,
            )?;
            sockets.push(socket);
        }
        for mut socket in &sockets {
            socket.write_all(self.request.next())?;
        }
        let (started, mut replies) = (Instant::now(), 0);
        let mut events = Vec::with_capacity(self.connections);
        while started.elapsed() < self.lasts {
            events.clear();
            epoll::wait(&poll, spare_capacity(&mut events), None)?;
            for event in &events {
                let socket = &sockets[event.data.u64() as usize];
                take_reply(socket)?;
                replies += 1;
                let mut socket = socket;
                socket.write_all(self.request.next())?;
            }
        }
        Ok(replies)
    }
}

/// Replies are so short that they come in one piece.
fn take_reply(mut socket: &TcpStream) -> io::Result<()> {
    let mut reply = [0; 256];
    let length = socket.read(&mut reply)?;
    match reply[..length] {
        [b'+' | b'$', .., b'\r', b'\n'] => Ok(()),
        _ => Err(io::Error::other("not the reply that was expected")),
    }
}
