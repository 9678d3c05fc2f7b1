//! The parser's fuzz entry: any bytes, cut into any reads, give the same commands as in one piece.
//!
//! Strategy: the first bytes of the data choose limits and the sizes of reads; the rest is the client's input. It is
//! parsed whole and in pieces, with limits tiny enough that a few bytes cross every one of them.
//!
//! Invariants: no panic; every argument can be read; both ways agree on commands and error; memory held stays within
//! a constant times the input and one announced argument's first room.

use super::batch::{Batch, KEEP_BYTES};
use super::error::ProtocolError;
use super::parser::{ANNOUNCED_MAX, Limits, Parsed, Parser};

/// Heap bytes allowed per input byte: the worst shape is `*1\r\n$0\r\n\r\n`, a range and an end for ten bytes, and
/// doubling buffers.
const HEAP_PER_INPUT_BYTE: usize = 16;
const HEAP_FLOOR: usize = ANNOUNCED_MAX + 4 * KEEP_BYTES;

/// What a client's bytes came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    commands: Vec<Vec<Vec<u8>>>,
    error: Option<ProtocolError>,
    overflowed: bool,
}

/// Checks one input. Panics when an invariant is broken.
pub fn fuzz_parser(data: &[u8]) {
    let Some((&[shape, piece_seed, large], input)) = data.split_first_chunk::<3>() else {
        return;
    };
    let limits = Limits {
        authenticated: shape & 1 == 0,
        commands_max: if shape & 2 == 0 { 256 } else { 2 },
        inline_max: if shape & 4 == 0 { 64 * 1024 } else { 24 },
        bulk_len_max: if shape & 8 == 0 { 512 << 20 } else { 300 },
        large_arg_bytes: usize::from(large) + 1,
        query_buffer_max: usize::MAX,
    };
    let whole = run(input, &limits, || usize::MAX);
    let mut state = u32::from(piece_seed) + 1;
    let pieces = run(input, &limits, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (state >> 24) as usize % (1 + usize::from(piece_seed))
    });
    assert_eq!(whole, pieces, "reads of other sizes give other commands");
    check_overflow(
        input,
        &Limits {
            query_buffer_max: usize::from(piece_seed),
            ..limits
        },
    );
}

/// With a small query buffer, `run` sees that no more than the limit is ever waited on.
fn check_overflow(input: &[u8], limits: &Limits) {
    let outcome = run(input, limits, || 8);
    let errors = usize::from(outcome.error.is_some()) + usize::from(outcome.overflowed);
    assert!(errors <= 1, "a connection ends for one reason");
}

/// Plays the connection's loop over `input`, reading as many bytes at a time as `piece` says.
fn run(input: &[u8], limits: &Limits, mut piece: impl FnMut() -> usize) -> Outcome {
    let (mut parser, mut batch, mut outcome) = (Parser::new(), Batch::new(), Outcome::default());
    let mut rest = input;
    loop {
        match parser.parse(&mut batch, limits) {
            Parsed::Full => drain(&mut parser, &mut batch, &mut outcome),
            Parsed::NeedMore { hint } => {
                assert!(hint > 0, "asking for nothing would never end");
                assert!(
                    unexecuted_bytes(&batch) <= limits.query_buffer_max,
                    "waiting with too much input"
                );
                drain(&mut parser, &mut batch, &mut outcome);
                if rest.is_empty() {
                    break;
                }
                rest = read(&mut parser, &mut batch, rest, piece());
                check_memory(&batch, input.len());
            }
            Parsed::Error => break,
            Parsed::Overflow => {
                outcome.overflowed = true;
                break;
            }
        }
    }
    outcome.error = batch.error;
    drain(&mut parser, &mut batch, &mut outcome);
    outcome
}

fn read<'a>(parser: &mut Parser, batch: &mut Batch, rest: &'a [u8], piece: usize) -> &'a [u8] {
    let target = parser.read_target(batch);
    assert!(
        target.limit > 0 && target.buf.capacity() - target.buf.len() >= target.limit,
        "a target has room"
    );
    let (now, later) = rest.split_at(piece.min(target.limit).min(rest.len()));
    target.buf.extend_from_slice(now);
    later
}

/// Reads every argument, as the executor would, and recycles.
fn drain(parser: &mut Parser, batch: &mut Batch, outcome: &mut Outcome) {
    for index in 0..batch.command_count() {
        let args = batch.command(index);
        assert!(!args.is_empty(), "a command has a name");
        outcome.commands.push(args.iter().map(<[u8]>::to_vec).collect());
    }
    parser.recycle(batch);
    assert_eq!(batch.command_count(), 0, "a recycled batch holds no command");
}

fn unexecuted_bytes(batch: &Batch) -> usize {
    batch.input.len() + batch.large.iter().map(Vec::len).sum::<usize>()
}

fn check_memory(batch: &Batch, input_bytes: usize) {
    let heap_max = HEAP_FLOOR + HEAP_PER_INPUT_BYTE * input_bytes;
    assert!(
        batch.heap_bytes() <= heap_max,
        "{} bytes held for {input_bytes}",
        batch.heap_bytes()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs of a normal test run. `RUSSET_FUZZ_ROUNDS=10000000` with `--release` is the long one.
    const SMOKE_ROUNDS: u64 = 20_000;
    const SEED: u64 = 0x5eed_0f72_7573_7365;

    /// Splitmix64: all it takes to choose among pieces of grammar.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((mixed ^ (mixed >> 31)) as usize) % bound
        }

        fn byte(&mut self) -> u8 {
            self.below(256) as u8
        }

        fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
            choices[self.below(choices.len())]
        }
    }

    fn number(dice: &mut Dice, true_value: usize) -> String {
        let odd = [
            "",
            "-1",
            "0",
            "00",
            "+1",
            "x",
            "1 ",
            "11",
            "99999",
            "16385",
            "2147483648",
            "536870912",
            "-0",
        ];
        if dice.below(25) == 0 {
            dice.one_of(&odd).to_string()
        } else {
            true_value.to_string()
        }
    }

    fn multibulk(dice: &mut Dice, out: &mut Vec<u8>) {
        let count = if dice.below(12) == 0 {
            dice.below(40)
        } else {
            1 + dice.below(4)
        };
        out.extend(format!("*{}\r\n", number(dice, count)).bytes());
        for _ in 0..count {
            let len = if dice.below(8) == 0 {
                dice.below(400)
            } else {
                dice.below(12)
            };
            let mark = if dice.below(60) == 0 { '!' } else { '$' };
            out.extend(format!("{mark}{}\r\n", number(dice, len)).bytes());
            out.extend((0..len).map(|_| dice.byte()));
            out.extend_from_slice(
                dice.one_of(&["\r\n", "\r\n", "\r\n", "\r\n", "xx", "\n\r"])
                    .as_bytes(),
            );
        }
    }

    fn inline(dice: &mut Dice, out: &mut Vec<u8>) {
        let words = [
            "PING",
            " ",
            "\"a b\"",
            "'it\\'s'",
            "\\x41",
            "\"\\x41\\n\"",
            "\t",
            "k",
            "\"",
            "\x0b",
            "\0",
        ];
        for _ in 0..dice.below(8) {
            out.extend_from_slice(dice.one_of(&words).as_bytes());
        }
        out.extend_from_slice(dice.one_of(&["\r\n", "\n", "\r\r\n"]).as_bytes());
    }

    fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
        for _ in 0..dice.below(4) {
            let at = dice.below(bytes.len().max(1));
            match dice.below(3) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = b"\r\n*$0129\0 \"\xff"[dice.below(12)],
                _ => bytes.push(dice.byte()),
            }
        }
    }

    fn any_input(dice: &mut Dice) -> Vec<u8> {
        let mut data = vec![dice.byte(), dice.byte(), dice.byte()];
        if dice.below(4) > 0 {
            // Mostly the full limits: tiny ones end most pipelines at once.
            data[0] &= dice.byte();
        }
        let mut input = Vec::new();
        if dice.below(10) == 0 {
            input.extend((0..dice.below(300)).map(|_| dice.byte()));
        }
        for _ in 0..dice.below(8) {
            if dice.below(5) == 0 {
                inline(dice, &mut input)
            } else {
                multibulk(dice, &mut input)
            }
        }
        if dice.below(2) == 0 {
            mutate(dice, &mut input);
        }
        data.append(&mut input);
        data
    }

    fn rounds() -> u64 {
        std::env::var("RUSSET_FUZZ_ROUNDS")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(SMOKE_ROUNDS)
    }

    #[test]
    fn mutated_pipelines_and_noise_keep_the_invariants() {
        for round in 0..rounds() {
            let data = any_input(&mut Dice(SEED ^ round.wrapping_mul(0x9e37_79b9)));
            let outcome = std::panic::catch_unwind(|| fuzz_parser(&data));
            assert!(outcome.is_ok(), "round {round}: {}", data.escape_ascii());
        }
    }

    #[test]
    fn the_generator_reaches_commands_errors_and_silence() {
        let limits = Limits::default();
        let outcomes: Vec<Outcome> = (0..2000)
            .map(|round| run(&any_input(&mut Dice(round))[3..], &limits, || 64))
            .collect();
        let commands: usize = outcomes.iter().map(|outcome| outcome.commands.len()).sum();
        let errors = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
        assert!(
            commands > 2000 && (200..1800).contains(&errors),
            "{commands} commands, {errors} errors"
        );
    }
}
