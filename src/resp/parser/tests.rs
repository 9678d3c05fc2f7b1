use proptest::prelude::*;

use super::*;

type Commands = Vec<Vec<Vec<u8>>>;

fn commands(batch: &Batch) -> Commands {
    batch
        .commands()
        .map(|args| args.iter().map(<[u8]>::to_vec).collect())
        .collect()
}

/// Plays a connection: as many bytes a read as `piece`, all commands collected. Also how it ended.
fn play(input: &[u8], limits: &Limits, piece: usize) -> (Commands, Parsed, Batch) {
    let (mut parser, mut batch, mut all, mut rest) = (Parser::new(), Batch::new(), Vec::new(), input);
    loop {
        let parsed = parser.parse(&mut batch, limits);
        all.extend(commands(&batch));
        let starved = matches!(parsed, Parsed::NeedMore { .. });
        if matches!(parsed, Parsed::Error | Parsed::Overflow) || starved && rest.is_empty() {
            return (all, parsed, batch);
        }
        parser.recycle(&mut batch);
        if starved {
            let target = parser.read_target(&mut batch);
            let (now, later) = rest.split_at(piece.min(target.limit).min(rest.len()));
            target.buf.extend_from_slice(now);
            rest = later;
        }
    }
}

/// Parses `input` in one read and byte by byte.
#[track_caller]
fn check(input: &[u8], limits: &Limits, expected: &[&[&str]], error: Option<ProtocolError>) {
    for piece in [usize::MAX, 1] {
        let (found, _, batch) = play(input, limits, piece);
        let found: Vec<Vec<_>> = found
            .iter()
            .map(|args| args.iter().map(|arg| String::from_utf8_lossy(arg)).collect())
            .collect();
        assert_eq!(
            (found, batch.error),
            (expected.iter().map(|args| to_cows(args)).collect(), error)
        );
    }
}

fn to_cows<'a>(args: &[&'a str]) -> Vec<std::borrow::Cow<'a, str>> {
    args.iter().map(|&arg| arg.into()).collect()
}

#[track_caller]
fn check_taken(input: &[u8], expected: &[&[&str]]) {
    check(input, &Limits::default(), expected, None);
}

#[track_caller]
fn check_error(input: &[u8], error: ProtocolError) {
    check(input, &Limits::default(), &[], Some(error));
}

fn encode(commands: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    for args in commands {
        out.extend(format!("*{}\r\n", args.len()).bytes());
        for arg in args {
            out.extend(format!("${}\r\n", arg.len()).bytes());
            out.extend_from_slice(arg);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

#[test]
fn a_pipeline_becomes_commands() {
    check_taken(
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\nPING\r\nECHO \"a b\"\n",
        &[&["GET", "k"], &["PING"], &["PING"], &["ECHO", "a b"]],
    );
    check_taken(b"*1\r\n$0\r\n\r\nPING\r\n", &[&[""], &["PING"]]);
    check_taken(b"*12\r\n$4\r\nMGET\r\n$1\r\n1\r\n$1\r\n2\r\n", &[]);
}

#[test]
fn empty_requests_are_ignored() {
    for empty in [
        "\r\n",
        "\n",
        "   \r\n",
        "\r\r\n",
        "*0\r\n",
        "*-1\r\n",
        "*-9223372036854775808\r\n",
    ] {
        check_taken(format!("{empty}PING\r\n").as_bytes(), &[&["PING"]]);
    }
}

#[test]
fn bytes_where_line_ends_belong_are_skipped_unseen() {
    check_taken(b"*1\rX$4\rXPINGXXPING\r\n", &[&["PING"], &["PING"]]);
    check_taken(b"*1\n$4\nPING\n", &[]);
    check_error(b"*1\n\r\n", ProtocolError::InvalidMultibulkLength);
}

#[test]
fn counts_are_strict_decimals_up_to_the_largest_i32() {
    for count in [
        "",
        "+1",
        "01",
        "00",
        "-0",
        " 1",
        "1 ",
        "x",
        "2147483648",
        "-9223372036854775809",
    ] {
        check_error(
            format!("*{count}\r\n").as_bytes(),
            ProtocolError::InvalidMultibulkLength,
        );
    }
    check_taken(b"*2147483647\r\n", &[]);
}

#[test]
fn lengths_are_strict_decimals_up_to_the_limit() {
    for len in ["", "+4", "04", "-1", "blabla", "536870913", "9223372036854775808"] {
        check_error(
            format!("*1\r\n${len}\r\n").as_bytes(),
            ProtocolError::InvalidBulkLength,
        );
    }
    check_taken(b"*1\r\n$536870912\r\n", &[]);
    let limits = Limits {
        bulk_len_max: 3,
        ..Limits::default()
    };
    check(
        b"*1\r\n$4\r\nPING\r\n",
        &limits,
        &[],
        Some(ProtocolError::InvalidBulkLength),
    );
}

#[test]
fn an_argument_starts_with_a_dollar() {
    check_error(b"*1\r\nfoo\r\n", ProtocolError::ExpectedDollar(b'f'));
    check_error(b"*1\r\n\r\n\r\n", ProtocolError::ExpectedDollar(b'\r'));
    check_error(b"*1\r\n\xff\r\n", ProtocolError::ExpectedDollar(0xff));
    check_error(b"*2\r\n$1\r\nx\r\nfooz\r\n", ProtocolError::ExpectedDollar(b'f'));
    check_taken(b"*1\r\nfoo", &[]);
}

#[test]
fn a_nul_hides_the_line_end_after_it() {
    check_taken(b"*1\x00\r\nPING\r\n", &[]);
    check_taken(b"PI\x00NG\r\nPING\r\n", &[]);
    check_taken(b"*1\r\n\x00\r\n", &[]);
    check_error(&[0; 65537], ProtocolError::TooBigInline);
}

#[test]
fn lines_without_an_end_run_into_the_inline_limit() {
    let line = |start: &[u8], len: usize| [start, &vec![b'1'; len]].concat();
    check_error(&line(b"*", 65536), ProtocolError::TooBigMultibulkCount);
    check_error(&line(b"*1\r\n$", 65536), ProtocolError::TooBigBulkCount);
    check_error(&line(b"*1\r\nx", 65536), ProtocolError::TooBigBulkCount);
    check_error(&line(b"a", 65536), ProtocolError::TooBigInline);
    check_taken(&line(b"*", 65535), &[]);
    check_taken(&line(b"a", 65535), &[]);
    let longest = [&line(b"", 65536)[..], b"\n"].concat();
    assert_eq!(play(&longest, &Limits::default(), 1).0[0][0].len(), 65536);
}

#[test]
fn nothing_is_parsed_after_an_error_and_all_before_it_is() {
    let input = b"PING\r\n*1\r\n$4\r\nPING\r\n\"x\r\nPING\r\n";
    check(
        input,
        &Limits::default(),
        &[&["PING"], &["PING"]],
        Some(ProtocolError::UnbalancedQuotes),
    );
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    batch.input.extend_from_slice(b"*x\r\nPING\r\n");
    for _ in 0..2 {
        assert_eq!(parser.parse(&mut batch, &Limits::default()), Parsed::Error);
        parser.recycle(&mut batch);
    }
    assert!(!parser.is_idle(&batch));
}

#[test]
fn the_unauthenticated_may_send_little() {
    let limits = Limits {
        authenticated: false,
        ..Limits::default()
    };
    check(b"*10\r\n$16384\r\n", &limits, &[], None);
    check(
        b"*11\r\n",
        &limits,
        &[],
        Some(ProtocolError::UnauthenticatedMultibulkLength),
    );
    check(
        b"*1\r\n$16385\r\n",
        &limits,
        &[],
        Some(ProtocolError::UnauthenticatedBulkLength),
    );
    check(
        b"*1\r\n$536870913\r\n",
        &limits,
        &[],
        Some(ProtocolError::InvalidBulkLength),
    );
    check(
        b"PING\r\n*11\r\n",
        &limits,
        &[&["PING"]],
        Some(ProtocolError::UnauthenticatedMultibulkLength),
    );
}

#[test]
fn an_auth_in_the_pipeline_counts_for_what_follows() {
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    batch
        .input
        .extend_from_slice(b"AUTH x\r\n*2\r\n$1\r\na\r\n$16385\r\n");
    let before = Limits {
        authenticated: false,
        ..Limits::default()
    };
    assert_eq!(parser.parse(&mut batch, &before), Parsed::Full);
    assert_eq!(commands(&batch), [[b"AUTH", &b"x"[..]]]);
    parser.recycle(&mut batch);
    let more = parser.parse(&mut batch, &Limits::default());
    assert_eq!(more, Parsed::NeedMore { hint: 16387 });
}

#[test]
fn a_batch_is_bounded_and_the_rest_stays_for_the_next() {
    let limits = Limits {
        commands_max: 2,
        ..Limits::default()
    };
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    batch.input.extend_from_slice(&b"*1\r\n$4\r\nPING\r\n".repeat(5));
    for (count, parsed) in [
        (2, Parsed::Full),
        (2, Parsed::Full),
        (1, Parsed::NeedMore { hint: 1 }),
    ] {
        assert_eq!(parser.parse(&mut batch, &limits), parsed);
        assert_eq!(batch.command_count(), count);
        parser.recycle(&mut batch);
    }
    assert!(parser.is_idle(&batch) && batch.input.is_empty());
}

#[test]
fn a_large_argument_is_read_into_its_own_buffer_and_no_further() {
    let value = vec![b'v'; 300_000];
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    batch
        .input
        .extend_from_slice(b"PING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000\r\nvvvv");
    assert_eq!(
        parser.parse(&mut batch, &Limits::default()),
        Parsed::NeedMore { hint: 299_998 }
    );
    assert_eq!(batch.command_count(), 1);
    parser.recycle(&mut batch);
    let stream = [&value[4..], b"\r\nPING\r\n"].concat();
    let mut rest = &stream[..];
    while rest.len() > 6 {
        let target = parser.read_target(&mut batch);
        assert!(
            target.buf.capacity() <= (2 * target.buf.len()).max(ANNOUNCED_MAX),
            "grows with what arrived"
        );
        let (now, later) = rest.split_at(target.limit.min(20_000));
        target.buf.extend_from_slice(now);
        rest = later;
        parser.parse(&mut batch, &Limits::default());
    }
    assert_eq!(rest, b"PING\r\n");
    assert_eq!(batch.command(0).get(2), value);
    assert_eq!(batch.take_large(0, 1), None);
    assert_eq!(
        batch.take_large(0, 2).map(|arg| (arg == value, arg.capacity())),
        Some((true, 300_002))
    );
    parser.recycle(&mut batch);
    assert!(batch.large.is_empty() && parser.is_idle(&batch));
}

#[test]
fn a_large_argument_that_came_in_one_read_stays_where_it_is() {
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    batch.input = encode(&[vec![b"SET".to_vec(), b"k".to_vec(), vec![b'v'; 200_000]]]);
    parser.parse(&mut batch, &Limits::default());
    assert_eq!(batch.command(0).get(2).len(), 200_000);
    assert_eq!(batch.take_large(0, 2), None);
    assert_eq!(batch.take_large(7, 2), None);
}

#[test]
fn a_reader_that_ignores_the_limit_loses_nothing() {
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    let limits = Limits {
        large_arg_bytes: 4,
        ..Limits::default()
    };
    batch.input.extend_from_slice(b"*1\r\n$5\r\nab");
    assert_eq!(parser.parse(&mut batch, &limits), Parsed::NeedMore { hint: 5 });
    parser
        .read_target(&mut batch)
        .buf
        .extend_from_slice(b"cde\r\nPING\r\n");
    parser.parse(&mut batch, &limits);
    assert_eq!(commands(&batch), [[b"abcde".to_vec()], [b"PING".to_vec()]]);
}

#[test]
fn input_over_the_query_buffer_limit_overflows() {
    let limits = Limits {
        query_buffer_max: 100,
        ..Limits::default()
    };
    let input = [
        b"*2\r\n$50\r\n",
        &[b'a'; 50][..],
        b"\r\n$90\r\n",
        &[b'b'; 90],
        b"\r\n",
    ]
    .concat();
    assert_eq!(play(&input, &limits, 10).1, Parsed::Overflow);
    assert_eq!(
        play(
            &input,
            &Limits {
                large_arg_bytes: 8,
                ..limits
            },
            10
        )
        .1,
        Parsed::Overflow
    );
    let limits = Limits {
        query_buffer_max: 200,
        ..Limits::default()
    };
    assert_eq!(play(&input, &limits, 10).0.len(), 1);
}

#[test]
fn an_announced_length_reserves_little() {
    for input in ["*2147483647\r\n", "*1\r\n$536870912\r\nx"] {
        let (_, _, mut batch) = play(input.as_bytes(), &Limits::default(), 1);
        assert!(
            batch.heap_bytes() < ANNOUNCED_MAX + 256 * 1024,
            "{}",
            batch.heap_bytes()
        );
        batch.reset();
        assert_eq!(batch.large.len(), 0);
    }
}

#[test]
fn a_command_of_many_arguments_is_parsed_once() {
    let arg = b"$7\r\nargumen\r\n";
    let input = [b"*20000\r\n", &arg.repeat(20_000)[..]].concat();
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    for piece in input.chunks(1000) {
        batch.input.extend_from_slice(piece);
        parser.parse(&mut batch, &Limits::default());
        // It goes on behind the last argument that is whole.
        assert!(batch.input.len() - (parser.pos as usize) < arg.len());
    }
    assert_eq!(commands(&batch)[0].len(), 20_000);
}

#[test]
fn a_line_that_arrives_byte_by_byte_is_searched_once() {
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    for byte in b"*1234" {
        batch.input.push(*byte);
        parser.parse(&mut batch, &Limits::default());
        parser.recycle(&mut batch);
        assert_eq!(parser.scanned as usize, batch.input.len());
    }
}

#[test]
fn an_idle_connection_keeps_a_small_batch_after_a_big_command() {
    let (mut parser, mut batch) = (Parser::new(), Batch::new());
    for input in [
        encode(&[vec![vec![b'x'; 30_000]; 100]]),
        encode(&[vec![b"PING".to_vec()]]),
    ] {
        batch.input.extend_from_slice(&input);
        parser.parse(&mut batch, &Limits::default());
        assert_eq!(batch.command_count(), 1);
        parser.recycle(&mut batch);
    }
    assert!(batch.heap_bytes() <= 2 * KEEP_BYTES, "{}", batch.heap_bytes());
}

fn any_commands() -> impl Strategy<Value = Commands> {
    let arg = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        prop::collection::vec(any::<u8>(), 90..130),
    ];
    prop::collection::vec(prop::collection::vec(arg, 1..14), 0..12)
}

proptest! {
    #[test]
    fn what_was_encoded_is_parsed_in_any_pieces(
        sent in any_commands(),
        piece in 1_usize..200,
        commands_max in 1_usize..5,
        large_arg_bytes in 1_usize..150,
    ) {
        let limits = Limits { commands_max, large_arg_bytes, ..Limits::default() };
        let (found, parsed, batch) = play(&encode(&sent), &limits, piece);
        prop_assert_eq!(found, sent);
        prop_assert_eq!((parsed, batch.error), (Parsed::NeedMore { hint: 1 }, None));
    }

    #[test]
    fn a_short_header_is_read_as_the_strict_parser_would(text in "[-+ 0-9x]{0,6}", kind in "[*$]") {
        let line = format!("{kind}{text}\r\n");
        let strict = parse_i64(text.as_bytes()).filter(|&n| n >= 0 && text.len() <= 5);
        let expected = strict.map(|n| (n as usize, line.len()));
        prop_assert_eq!(short_header(line.as_bytes(), 0, kind.as_bytes()[0]), expected);
    }
}
