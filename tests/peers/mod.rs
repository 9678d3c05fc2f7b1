//! Clients of an executor as their connection tasks see them, for tests that need no sockets.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use russet::exec::Executor;
use russet::exec::mailbox::NewClient;
use russet::exec::outbox::{Delivery, Outbox};
use russet::resp::{Batch, Limits, Parser, Value, parse_value};
use russet::session::SessionId;

/// A value on one line: `>3 $message $news $hi`.
fn flat(value: &Value) -> String {
    let text = value.to_string();
    text.lines().map(str::trim_start).collect::<Vec<_>>().join(" ")
}

/// Replies and messages on one line, `|` between.
pub fn values(mut bytes: &[u8]) -> String {
    let mut all = Vec::new();
    while let Some((value, len)) = parse_value(bytes).expect("RESP") {
        all.push(flat(&value));
        bytes = &bytes[len..];
    }
    all.join(" | ")
}

/// A connected client of an executor.
pub struct Peer {
    pub id: SessionId,
    outbox: Arc<Outbox>,
}

impl Peer {
    /// A new client, whose greeting has been taken.
    pub fn join(executor: &mut Executor) -> Peer {
        let outbox = Outbox::new(0, None);
        executor.admit_client(NewClient {
            addr: "127.0.0.1:1".into(),
            laddr: "127.0.0.1:2".into(),
            fd: 3,
            unix: false,
            local: true,
            outbox: Arc::clone(&outbox),
            batch: Box::new(Batch::new()),
        });
        executor.take_finished().for_each(|greeting| greeting.deliver());
        let peer = Peer {
            id: outbox.session().expect("admitted"),
            outbox,
        };
        assert!(matches!(&peer.deliveries()[..], [Delivery::Batch(greeting)] if greeting.reply.is_empty()));
        peer
    }

    /// What the connection can take now, in order; a close is the last.
    pub fn deliveries(&self) -> Vec<Delivery> {
        let mut all = Vec::new();
        while let Poll::Ready(delivery) = self.outbox.poll(&mut Context::from_waker(Waker::noop())) {
            let (pushed, closed) = (
                matches!(delivery, Delivery::Pushes(_)),
                matches!(delivery, Delivery::Close),
            );
            all.push(delivery);
            if pushed {
                self.outbox.note_output((0, 0));
            }
            if closed {
                break;
            }
        }
        all
    }
}

/// Commands as a connection sends them; `;` ends one.
pub fn batch(commands: &str) -> Box<Batch> {
    let (mut parser, mut batch) = (Parser::new(), Box::new(Batch::new()));
    let lines = commands.replace(';', "\r\n") + "\r\n";
    parser
        .read_target(&mut batch)
        .buf
        .extend_from_slice(lines.as_bytes());
    parser.parse(&mut batch, &Limits::default());
    batch
}
