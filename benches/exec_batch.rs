//! What does a command cost once it has been parsed, and before it is written?
//!
//! Corpus: batches of 1, 16 and 64 `SET key:<n> <32 bytes>` or `GET key:<n>`, keys drawn from 100,000 in a
//! fixed scattered order, through the executor's mailbox and back: planning, prefetch, gates, handlers,
//! statistics, replies. Input bytes are parsed once beforehand. Rival: the same commands one by one through
//! `Executor::run`, as EXEC and scripts do.
//!
//! Run: `cargo bench --bench exec_batch`. The counter gives commands per second. Every run checks its
//! replies.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use divan::Bencher;
use divan::counter::ItemsCount;
use russet::base::clock::Now;
use russet::exec::Executor;
use russet::exec::mailbox::{Mail, NewClient};
use russet::exec::outbox::{Delivery, Outbox};
use russet::resp::{Batch, Limits, Parsed, Parser};
use russet::session::SessionId;

/// What the server uses; the default one would be measured otherwise.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const DEPTHS: [usize; 3] = [1, 16, 64];
const KEY_COUNT: usize = 100_000;
/// Coprime to the number of keys, and far from a cache line's worth of neighbours.
const KEY_STRIDE: usize = 61_803;
const VALUE: &str = "0123456789abcdef0123456789abcdef";
const NOW: Now = Now {
    unix_us: 1_700_000_000_000_000,
};

fn main() {
    divan::main();
}

#[divan::bench(args = DEPTHS)]
fn set(bencher: Bencher<'_, '_>, depth: usize) {
    run_batches(bencher, depth, |key| format!("SET {key} {VALUE}\r\n"), "+OK\r\n");
}

#[divan::bench(args = DEPTHS)]
fn get(bencher: Bencher<'_, '_>, depth: usize) {
    run_batches(
        bencher,
        depth,
        |key| format!("GET {key}\r\n"),
        "$32\r\n0123456789abcdef0123456789abcdef\r\n",
    );
}

#[divan::bench]
fn get_one_by_one(bencher: Bencher<'_, '_>) {
    let mut client = Client::filled();
    let session = client.executor.connect();
    let keys: Vec<String> = scattered_keys().collect();
    let mut turn = 0;
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        turn = (turn + 1) % KEY_COUNT;
        let reply = client.executor.run(session, &[b"GET", keys[turn].as_bytes()]);
        assert_eq!(reply.len(), 39);
    });
}

fn scattered_keys() -> impl Iterator<Item = String> {
    (0..KEY_COUNT).map(|n| format!("key:{:08}", n * KEY_STRIDE % KEY_COUNT))
}

/// Plays batches of `depth` commands, each answered by `reply`.
fn run_batches(bencher: Bencher<'_, '_>, depth: usize, line: impl Fn(String) -> String, reply: &str) {
    let mut client = Client::filled();
    let expected = reply.repeat(depth);
    let lines: Vec<String> = scattered_keys().map(line).collect();
    // Enough batches that their keys do not stay in a cache between two turns.
    let batches: Vec<_> = lines
        .chunks_exact(depth)
        .take(1500)
        .map(|lines| parsed(&lines.concat()))
        .collect();
    let mut batches = batches.into_iter().map(Some).collect::<Vec<_>>();
    let mut turn = 0;
    bencher.counter(ItemsCount::new(depth)).bench_local(|| {
        turn = (turn + 1) % batches.len();
        let batch = batches[turn].take().expect("the batch of every turn comes back");
        let mut back = client.exchange(batch);
        assert_eq!(back.reply.len(), expected.len());
        assert!(back.reply.ends_with(reply.as_bytes()));
        back.reply.clear();
        back.next = 0;
        batches[turn] = Some(back);
    });
}

fn parsed(input: &str) -> Box<Batch> {
    let (mut parser, mut batch) = (Parser::new(), Box::<Batch>::default());
    parser
        .read_target(&mut batch)
        .buf
        .extend_from_slice(input.as_bytes());
    assert!(matches!(
        parser.parse(&mut batch, &Limits::default()),
        Parsed::NeedMore { .. }
    ));
    batch
}

/// An executor and its one connection, without a socket between them.
struct Client {
    executor: Executor,
    outbox: Arc<Outbox>,
    session: SessionId,
    letters: Vec<Mail>,
}

impl Client {
    fn filled() -> Client {
        let outbox = Outbox::new(0, None);
        let mut client = Client {
            executor: Executor::for_tests(),
            session: SessionId { slot: 0, client: 0 },
            outbox: Arc::clone(&outbox),
            letters: Vec::new(),
        };
        client.letters.push(Mail::Connect(Box::new(NewClient {
            addr: "127.0.0.1:1".to_owned(),
            laddr: "127.0.0.1:2".to_owned(),
            fd: 3,
            unix: false,
            local: true,
            outbox,
            batch: Box::default(),
        })));
        client.delivered();
        client.session = client.outbox.session().expect("a local client is admitted");
        for key in scattered_keys() {
            let reply = client
                .executor
                .run(client.session, &[b"SET", key.as_bytes(), VALUE.as_bytes()]);
            assert_eq!(reply, b"+OK\r\n");
        }
        client
    }

    fn exchange(&mut self, batch: Box<Batch>) -> Box<Batch> {
        self.letters.push(Mail::Batch(self.session, batch));
        self.delivered()
    }

    /// Opens the letters and takes the batch that comes back.
    fn delivered(&mut self) -> Box<Batch> {
        self.executor.open(&mut self.letters, NOW);
        self.executor
            .take_finished()
            .for_each(|finished| finished.deliver());
        match self.outbox.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Delivery::Batch(batch)) => batch,
            _ => panic!("every letter is answered in its drain"),
        }
    }
}
