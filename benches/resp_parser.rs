//! What does parsing a pipeline cost per command?
//!
//! Corpus: pipelines of 1, 16 and 64 commands, `SET key:000000000042 xxx` (3 bytes) and `GET key:000000000042`, in one
//! read, batch recycled: the connection's loop without its socket. Rival: a straightforward parser that searches for
//! line ends and allocates every argument.
//!
//! Run: `cargo bench --bench resp_parser`. The counter gives commands per second. Every run checks what it parsed.

use divan::Bencher;
use divan::counter::ItemsCount;
use russet::resp::{Batch, Limits, Parsed, Parser};

const DEPTHS: [usize; 3] = [1, 16, 64];
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$3\r\nxxx\r\n";
const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000042\r\n";

fn main() {
    divan::main();
}

#[divan::bench(args = DEPTHS)]
fn set(bencher: Bencher<'_, '_>, depth: usize) {
    parse_pipeline(bencher, SET, depth, 3);
}

#[divan::bench(args = DEPTHS)]
fn get(bencher: Bencher<'_, '_>, depth: usize) {
    parse_pipeline(bencher, GET, depth, 2);
}

#[divan::bench(args = DEPTHS)]
fn inline_ping(bencher: Bencher<'_, '_>, depth: usize) {
    parse_pipeline(bencher, b"PING\r\n", depth, 1);
}

#[divan::bench(args = DEPTHS)]
fn set_with_an_allocating_parser(bencher: Bencher<'_, '_>, depth: usize) {
    let pipeline = SET.repeat(depth);
    bencher.counter(ItemsCount::new(depth)).bench_local(|| {
        let mut rest = divan::black_box(&pipeline[..]);
        let mut commands = Vec::new();
        while !rest.is_empty() {
            commands.push(allocated_command(&mut rest));
        }
        assert_eq!(commands.len(), depth);
        commands
    });
}

fn parse_pipeline(bencher: Bencher<'_, '_>, command: &[u8], depth: usize, arg_count: usize) {
    let (mut parser, mut batch, limits) = (Parser::new(), Batch::new(), Limits::default());
    let pipeline = command.repeat(depth);
    bencher.counter(ItemsCount::new(depth)).bench_local(|| {
        parser
            .read_target(&mut batch)
            .buf
            .extend_from_slice(divan::black_box(&pipeline));
        let parsed = parser.parse(&mut batch, &limits);
        assert_eq!(
            (parsed, batch.command_count()),
            (Parsed::NeedMore { hint: 1 }, depth)
        );
        assert_eq!(batch.command(depth - 1).len(), arg_count);
        parser.recycle(divan::black_box(&mut batch));
    });
}

fn allocated_command(rest: &mut &[u8]) -> Vec<Vec<u8>> {
    let count = header(rest);
    (0..count)
        .map(|_| {
            let len = header(rest);
            let (arg, after) = rest.split_at(len);
            *rest = &after[2..];
            arg.to_vec()
        })
        .collect()
}

fn header(rest: &mut &[u8]) -> usize {
    let end = memchr::memchr(b'\r', rest).expect("the corpus is well-formed");
    let number = std::str::from_utf8(&rest[1..end])
        .ok()
        .and_then(|text| text.parse().ok());
    *rest = &rest[end + 2..];
    number.expect("the corpus is well-formed")
}
