//! The words of commands: classes with their usual and their nasty members, and damage done to finished commands.
//!
//! Nothing here may make two servers differ by chance alone: no time to live ends during a run unless the runner waits
//! for it, and no offset makes a string of hundreds of megabytes.

use russet::base::rng::Rng;

pub type Words = Vec<Vec<u8>>;

#[rustfmt::skip]
const CLASSES: &[&str] = &[
    "key", "newkey", "value", "int", "smallint", "float", "seconds", "millis", "at", "atms", "offset",
    "field", "index", "bit", "width", "db", "pattern", "type", "cursor", "all", "word", "unused", "directive",
    "memory", "command", "missing", "badid", "nosuch", "list", "element", "member", "name",
    "hll", "numbers", "geokey", "place", "degrees", "latitude", "reach", "unit",
    "entryid", "freshid", "rangeid", "group", "consumer", "longago", "score", "border", "lexborder", "rank",
    "script", "digest", "function", "library",
];

pub fn is_class(token: &str) -> bool {
    CLASSES.contains(&token)
}

/// Scripts that do the same on every server.
const SCRIPTS: &[&str] = &[
    "return {KEYS[1] or 'none', ARGV[1] or 'none', #KEYS, #ARGV}",
    "return redis.call('get', KEYS[1] or 'key')",
    "return redis.call('set', KEYS[1] or 'key', ARGV[1] or 'v')",
    "return redis.pcall('incr', KEYS[1] or 'key')",
    "return redis.call('lrange', KEYS[1] or 'list:0', 0, -1)",
    "return redis.call(({'get', 'strlen', 'ttl', 'nope', 'auth'})[#ARGV + 1] or 'ping', KEYS[1])",
    "return redis.pcall(({'type', 'append', 'lpush', 'getrange'})[#ARGV + 1] or 'incr', KEYS[1] or 'key', ARGV[1])",
    "local t = {} for i, v in ipairs(ARGV) do t[i] = {v, #v, tonumber(v)} end return t",
    "return {tostring(pcall(cjson.decode, ARGV[1] or '[1]')), cjson.encode({ARGV[1] or 1})}",
    "return cmsgpack.pack({ARGV[1] or 1, #ARGV, {true}})",
    "return struct.pack('>I2s', #ARGV, ARGV[1] or '')",
    "return redis.sha1hex(ARGV[1] or '')",
    "return {err = ARGV[1] or 'MY error'}",
    "return redis.status_reply(ARGV[1] or 'fine')",
    "redis.setresp(3) return redis.call('get', 'missing') == nil",
    "return nope",
    "nope = 1",
    "return {",
    "#!lua flags=no-writes\nreturn redis.call('set', KEYS[1] or 'key', 1)",
    "#!lua\nreturn redis.call('exists', KEYS[1] or 'key')",
    "#!lua flags=nope\nreturn 1",
];

/// Of some of these scripts, and of none.
const DIGESTS: &[&str] = &[
    "e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
    "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB",
    "0000000000000000000000000000000000000000",
    "short",
];

const LIBRARIES: &[&str] = &[
    "#!lua name=one\nredis.register_function('f', function(keys, args) return {keys[1] or 'none', #args} end)",
    "#!lua name=one\nredis.register_function('g', function(keys) return redis.call('incr', keys[1] or 'n') end)",
    "#!lua name=two\nredis.register_function{function_name='g', callback=function() return redis.call('set', 'key', 1) end, flags={'no-writes'}}",
    "#!lua name=two\nredis.register_function('f', 1)",
    "#!lua name=two\nreturn nope",
    "#!lua name=bad-name\nreturn 1",
    "#!lua\nreturn 1",
    "return 1",
];

/// A sorted set whose scores are all 0.
pub const LEX_KEY: &[u8] = b"lex";

/// A COUNT that lets SCAN end at once.
pub const ALL: &[u8] = b"1000000";

/// Few, so that commands meet.
#[rustfmt::skip]
pub const KEYS: &[&[u8]] = &[
    b"a", b"b", b"c", b"key:1", b"key:2", b"k[y", b"", b"\x00\xff\r\n", b"10", b"n", b"f", b"s",
];

#[rustfmt::skip]
const INTS: &[&str] = &[
    "0", "1", "-1", "2", "-2", "7", "8", "10", "63", "64", "100", "127", "128", "255", "256", "-128", "-129",
    "9999", "10000", "32767", "32768", "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295",
    "4294967296", "9223372036854775807", "9223372036854775806", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775807", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
    "9223372036854775", "9223372036854776", "-9223372036854775", "-9223372036854776",
    "99999999999999999999999", "4611686018427387904", "1152921504606846976", "-0", "+1", "00", "01", " 1",
    "1 ", "1.0", "0x10", "1e3", "", "-", "abc", "1a", "\u{0}",
];

#[rustfmt::skip]
const FLOATS: &[&str] = &[
    "0", "1", "-1", "0.1", "-0.1", "1.5", "3.0", "5.0e3", "-0", "1e10", "1e17", "1e18", "1e-10", "1e-17",
    "1e-20", "1e100", "1e308", "1e309", "1e4932", "1e5000", "-1e4932", "0.3333333333333333", "10.50",
    "3.14159265358979", "1234567890.123456789", "99999999999999999.99", "18446744073709551616", "0x1p3",
    "0x10", "inf", "-inf", "infinity", "nan", "NaN", "", " 1", "1 ", "1.", ".5", ".", "+1", "+.5", "1e", "e1",
    "1e+2", "--1", "1_0", "abc", "1.0a", "9223372036854775807", "17179869184.00001", "4.9e-324", "1\u{0}",
    "000001.10", "1e-4950", "1e-4960",
];

#[rustfmt::skip]
const PATTERNS: &[&str] = &[
    "*", "a", "?", "??", "key:*", "key:?", "key:[12]", "key:[^1]", "[a-c]", "[c-a]", "[^a-c]", "k\\[y",
    "k[[]y", "[", "[^", "[a", "[a-", "\\", "a\\", "*\\", "**", "*y*", "", "[]", "[^]", "[\\a]", "*:*[12]",
    "[a-]", "[-a]", "key:[0-9", "A", "1?", "*?*?*",
];

#[rustfmt::skip]
const WIDTHS: &[&str] = &[
    "u1", "u2", "u7", "u8", "u16", "u31", "u32", "u33", "u62", "u63", "i1", "i2", "i8", "i16", "i32", "i33",
    "i63", "i64", "i8", "u8", "i5", "u5",
];

#[rustfmt::skip]
const WORDS: &[&str] = &[
    "", "foo", "on", "off", "yes", "no", "all", "normal", "pubsub", "replica", "slave", "master", "nx", "xx",
    "ex", "px", "get", "set", "match", "count", "len", "idx", "byte", "bit", "bits", "db", "replace",
    "persist", "keepttl", "and", "wrap", "type", "aclcat", "pattern", "module", "read", "@read", "string",
    "list", "0", "1", "-1", "2", "10", "99", "abc def", "a\nb", "\u{0}", "127.0.0.1:1", "u8", "i65", "u64",
    "u0", "u", "i-1", "#1", "#", "lib-name", "encoding", "reset", "help me", "skip", "sync", "async",
    "async ", "é", "noone",
    "averyveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryverylongword of more than one hundred and twenty-eight bytes",
];

/// Directives that change no reply of the other commands.
pub const DIRECTIVES: &[&str] = &[
    "hash-max-listpack-entries",
    "hash-max-ziplist-value",
    "zset-max-listpack-value",
    "zset-max-listpack-entries",
    "list-max-listpack-size",
    "list-compress-depth",
    "set-max-intset-entries",
    "stream-node-max-bytes",
    "stream-node-max-entries",
    "hll-sparse-max-bytes",
    "lfu-decay-time",
    "lfu-log-factor",
    "lazyfree-lazy-expire",
    "lazyfree-lazy-user-del",
    "lazyfree-lazy-user-flush",
    "activerehashing",
    "client-query-buffer-limit",
    "latency-monitor-threshold",
    "slowlog-max-len",
    "notify-keyspace-events",
    "lua-time-limit",
    "cluster-node-timeout",
    "repl-diskless-sync-delay",
    "tracking-table-max-keys",
    "loglevel",
];

fn pick(list: &[&str], rng: &mut Rng) -> Vec<u8> {
    list[rng.index(list.len())].as_bytes().to_vec()
}

fn number(n: impl ToString) -> Vec<u8> {
    n.to_string().into_bytes()
}

fn between(low: i64, high: i64, rng: &mut Rng) -> i64 {
    low + rng.below(high.abs_diff(low) + 1) as i64
}

/// A member of that class; of most, seldom something foreign.
pub fn draw(class: &str, rng: &mut Rng) -> Vec<u8> {
    match class {
        "key" => KEYS[rng.index(KEYS.len())].to_vec(),
        "newkey" => number(format_args!("new:{}", rng.below(4))),
        "missing" => b"missing".to_vec(),
        "script" => pick(SCRIPTS, rng),
        "digest" => pick(DIGESTS, rng),
        "function" => pick(&["f", "g", "F", "nope"], rng),
        "library" => pick(LIBRARIES, rng),
        "hll" => number(format_args!("hll:{}", rng.below(4))),
        "numbers" => number(format_args!("numbers:{}", rng.below(3))),
        "geokey" => number(format_args!("geo:{}", rng.below(3))),
        "place" => number(format_args!("place:{}", rng.below(30))),
        "degrees" => degrees(180, rng),
        "latitude" => degrees(86, rng),
        "reach" => reach(rng),
        "unit" => pick(&["m", "km", "KM", "ft", "mi", "Mi"], rng),
        "value" => value(rng),
        // Now and then a key that holds something else.
        "list" if rng.below(12) != 0 => number(format_args!("list:{}", rng.below(3))),
        "list" => KEYS[rng.index(KEYS.len())].to_vec(),
        "element" => element(rng),
        "int" => pick(INTS, rng),
        "smallint" => number(between(-20, 20, rng)),
        "float" => float(rng),
        // Long enough to outlast a run, and so many that no two are the same by the clock.
        "seconds" => number(between(3_000_000, 900_000_000, rng)),
        "millis" => number(between(100_000_000, 900_000_000_000, rng)),
        // In 2033 and later; or long gone.
        "at" => [
            number(between(2_000_000_000, 2_000_000_010, rng)),
            number(rng.below(3)),
        ][usize::from(rng.below(8) == 0)]
        .clone(),
        "atms" => [
            number(between(2_000_000_000_000, 2_000_000_000_010, rng)),
            number(rng.below(3)),
        ][usize::from(rng.below(8) == 0)]
        .clone(),
        "offset" => {
            let bound = [8, 64, 1000][rng.index(3)];
            number(rng.below(bound))
        }
        "field" => field(rng),
        // Fields of hashes: few, and seldom too long for a listpack.
        "name" => match rng.below(60) {
            0 => letters(65, rng),
            _ => pick(
                &[
                    "", "f", "g", "h", "10", "-1", "007", "f:1", "f:2", "n", "\u{0}", "x y",
                ],
                rng,
            ),
        },
        "index" => number(between(-40, 40, rng)),
        "bit" => number(rng.below(2)),
        "width" => pick(WIDTHS, rng),
        "member" => member(rng),
        "db" => number(rng.below(3)),
        "pattern" => pick(PATTERNS, rng),
        "type" => pick(&["string", "STRING", "list", "hash", "set", "stream", "foo"], rng),
        "cursor" => pick(&["abc", "", "x", "0", "0x", "00", "0 "], rng),
        "all" => ALL.to_vec(),
        "unused" => number(between(90_000_000, 99_000_000, rng)),
        "directive" => pick(DIRECTIVES, rng),
        "memory" => pick(
            &[
                "1mb", "1MB", "64k", "100b", "1g", "10kb", "5x", "1.5mb", "50%", "-1k", "KEA", "gxE",
                "notice",
            ],
            rng,
        ),
        "command" => pick(COMMANDS, rng),
        // Numbers that 7.0 and 7.4 print alike, but for a few.
        "score" => match rng.below(8) {
            0 => pick(
                &[
                    "inf", "-inf", "+inf", "nan", "x", "0x10", "1e3", "1e400", "", "1e15",
                ],
                rng,
            ),
            1 => float(rng),
            _ => number(between(-12, 12, rng) as f64 / 4.0),
        },
        "border" => {
            let mut border = if rng.below(3) == 0 {
                b"(".to_vec()
            } else {
                Vec::new()
            };
            border.extend(draw("score", rng));
            border
        }
        "lexborder" => match rng.below(6) {
            0 => pick(&["-", "+", "-", "+", "a", "", "-x", "+x", "(", "["], rng),
            n => {
                let mut border = if n < 3 { b"(".to_vec() } else { b"[".to_vec() };
                border.extend(draw("member", rng));
                border
            }
        },
        "rank" => number(between(-6, 6, rng)),
        "badid" => pick(
            &[
                "-1",
                "0",
                "abc",
                "",
                "99999999999999999999",
                "9223372036854775808",
                "1.0",
            ],
            rng,
        ),
        "entryid" => entry_id(rng),
        // With a number the server makes up: seldom refused.
        "freshid" => number(format_args!("{}-*", rng.below(40))),
        "rangeid" => range_id(rng),
        "group" => pick(&["g", "h", "i", "", "group\u{7f}"], rng),
        "consumer" => pick(&["alice", "bob", "carol", ""], rng),
        // Nothing was given out so long ago, or everything.
        "longago" => pick(&["0", "0", "0", "-1", "99999999999", "a"], rng),
        "nosuch" => pick(
            &[
                "foo",
                "",
                "gett",
                "GET ",
                " get",
                "a\nb",
                "se\u{0}",
                "se",
                "é",
                WORDS[WORDS.len() - 1],
            ],
            rng,
        ),
        _ => pick(WORDS, rng),
    }
}

#[rustfmt::skip]
const COMMANDS: &[&str] = &[
    "append", "bitcount", "bitfield", "bitfield_ro", "bitop", "bitpos", "copy", "dbsize", "decr", "del",
    "echo", "exists", "expire", "flushall", "get", "getbit", "getdel", "getex", "getrange", "getset",
    "incrbyfloat", "keys", "lcs", "mget", "move", "mset", "msetnx", "object", "object|encoding", "persist",
    "ping", "psetex", "pttl", "randomkey", "rename", "scan", "select", "setbit", "setex", "setnx", "setrange",
    "strlen", "substr", "swapdb", "touch", "ttl", "type", "unlink", "nosuch", "client|id", "client|nosuch",
    "hello", "auth", "GET", "Set", "config|get", "latency|doctor", "memory|usage", "command",
    "command|getkeys", "debug", "time", "reset", "quit",
];

fn value(rng: &mut Rng) -> Vec<u8> {
    match rng.below(8) {
        0 => pick(INTS, rng),
        1 => pick(FLOATS, rng),
        2 => number(between(-20, 20_000, rng)),
        3 => letters([43, 44, 45, 46][rng.index(4)], rng),
        4 => bytes(rng),
        5 => pick(WORDS, rng),
        _ => {
            let len = rng.index(30);
            letters(len, rng)
        }
    }
}

/// Few, so that they are found again; now and then one that fills a node.
fn element(rng: &mut Rng) -> Vec<u8> {
    match rng.below(16) {
        0 => value(rng),
        1 => letters([3000, 5000, 8180, 9000][rng.index(4)], rng),
        2..8 => number(between(-3, 6, rng)),
        _ => letters(1, rng),
    }
}

/// Few, so that sets have some in common; a long one now and then, which makes a table of a small set.
fn member(rng: &mut Rng) -> Vec<u8> {
    match rng.below(20) {
        0 => value(rng),
        1 => pick(INTS, rng),
        2 => letters([63, 64, 65, 66][rng.index(4)], rng),
        3..8 => {
            let len = rng.index(3);
            letters(len, rng)
        }
        _ => number(between(-5, 40, rng)),
    }
}

/// Few, so that they meet; a few not well written.
fn entry_id(rng: &mut Rng) -> Vec<u8> {
    match rng.below(12) {
        0 => pick(
            &[
                "",
                "-",
                "+",
                "$",
                ">",
                "a",
                "1-",
                "-1",
                "1-a",
                "1--1",
                "1-1-1",
                "007",
                " 3",
                "3-+1",
                "5- -1",
                "18446744073709551615-18446744073709551615",
                "18446744073709551616",
                "0-0",
                "0",
                "(1",
            ],
            rng,
        ),
        1..4 => number(rng.below(40)),
        _ => number(format_args!("{}-{}", rng.below(40), rng.below(4))),
    }
}

fn range_id(rng: &mut Rng) -> Vec<u8> {
    let exclusive = |mut id: Vec<u8>| {
        id.insert(0, b'(');
        id
    };
    match rng.below(6) {
        0 => b"-".to_vec(),
        1 => b"+".to_vec(),
        2 => exclusive(entry_id(rng)),
        _ => entry_id(rng),
    }
}

/// Anywhere, or within a few kilometers of the same place.
fn degrees(max: i64, rng: &mut Rng) -> Vec<u8> {
    match rng.below(4) {
        0 => number(between(-max, max, rng)),
        1 => number((rng.unit_f64() * 2.0 - 1.0) * max as f64),
        _ => number(10.0 + rng.unit_f64() / 10.0),
    }
}

/// From nothing to everywhere.
fn reach(rng: &mut Rng) -> Vec<u8> {
    match rng.below(8) {
        0 => pick(FLOATS, rng),
        1 => number(rng.below(3)),
        _ => number(rng.unit_f64() * 10f64.powi(between(0, 5, rng) as i32)),
    }
}

fn letters(len: usize, rng: &mut Rng) -> Vec<u8> {
    (0..len).map(|_| b"abc"[rng.index(3)]).collect()
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![0; rng.index(40)];
    match rng.below(3) {
        0 => bytes.fill(0xff),
        1 => bytes.fill(0),
        _ => rng.fill(&mut bytes),
    }
    bytes
}

fn float(rng: &mut Rng) -> Vec<u8> {
    match rng.below(3) {
        0 => number(between(-1_000_000, 1_000_000, rng) as f64 / 1000.0),
        1 => number((rng.unit_f64() - 0.5) * 10f64.powi(between(-20, 25, rng) as i32)),
        _ => pick(FLOATS, rng),
    }
}

fn field(rng: &mut Rng) -> Vec<u8> {
    match rng.below(3) {
        0 => number(format_args!("#{}", rng.below(20))),
        1 => pick(
            &[
                "#-1",
                "#",
                "#abc",
                "#0",
                "# 1",
                "-1",
                "#9223372036854775807",
                "##1",
            ],
            rng,
        ),
        _ => number(rng.below(200)),
    }
}

/// Sometimes something no client should send.
pub fn damage(words: &mut Words, rng: &mut Rng) {
    let is_risky = |word: &Vec<u8>| {
        [b"kill".as_slice(), b"pause", b"debug", b"hello"]
            .iter()
            .any(|risky| word.eq_ignore_ascii_case(risky))
    };
    if rng.below(8) != 0 || words.iter().take(2).any(is_risky) {
        return;
    }
    let index = rng.index(words.len());
    match rng.below(5) {
        0 if words.len() > 1 => drop(words.remove(index)),
        1 => words.insert(index, words[index].clone()),
        2 => {
            let other = rng.index(words.len());
            words.swap(index, other);
        }
        3 if index > 0 => words[index] = foreign(rng),
        _ => words.push(foreign(rng)),
    }
}

fn foreign(rng: &mut Rng) -> Vec<u8> {
    draw(CLASSES[rng.index(CLASSES.len())], rng)
}

/// Takes out what would make the outcome a matter of time or of memory.
pub fn tame(words: &mut Words, rng: &mut Rng) {
    let name = words[0].to_ascii_lowercase();
    if name == b"spop" && words.len() < 3 {
        // Chance decides what goes, and the two servers would hold different sets from then on.
        words[1..].iter_mut().for_each(|key| *key = b"never".to_vec());
    }
    if name == b"config" || name.starts_with(b"eval") || name.starts_with(b"fcall") {
        // Zero bytes end a value there: one of the few things not worth being alike in.
        words.iter_mut().for_each(|word| word.retain(|&byte| byte != 0));
    }
    if name == b"xadd" {
        // An id of the clock differs from one server to the other.
        let clock_ids = words.iter_mut().filter(|word| *word == b"*");
        clock_ids.for_each(|word| *word = b"9-*".to_vec());
    }
    if name == b"zadd" && words.get(1).is_some_and(|key| key == LEX_KEY) {
        // Ranges of strings mean something only where all scores are equal.
        words
            .iter_mut()
            .skip(2)
            .step_by(2)
            .for_each(|word| *word = b"0".to_vec());
    }
    if matches!(name.as_slice(), b"zrank" | b"zrevrank") {
        // 7.2 added WITHSCORE; before, too many words ended a transaction.
        words.truncate(3);
    }
    if matches!(name.as_slice(), b"hscan" | b"zscan" | b"sscan")
        && words.len() > 2
        && !words[2].starts_with(b"0")
    {
        words[2] = b"x".to_vec();
    }
    if name == b"scan" && words.len() > 1 && !words[1].starts_with(b"0") {
        // 7.0 takes more texts for a cursor, and what it scans it rids of the dead.
        words[1] = b"x".to_vec();
    }
    for index in 1..words.len() {
        let Some((n, is_counted)) = plain_number(&words[index]) else {
            continue;
        };
        if name == b"lrem" && n == i64::MIN {
            // Refused since 7.2, and the two lists would differ from then on.
            words[index] = number(-1);
        } else if name == b"zrandmember" && !(-100..100).contains(&n) {
            // The reference would go on replying.
            words[index] = number(between(-20, 20, rng));
        } else if is_ttl(&name, words, index) && (1..TTL_MIN).contains(&n) {
            words[index] = number(between(TTL_MIN, TTL_MIN * 9, rng));
        } else if is_idle(&name, words, index) && n > 0 {
            words[index] = number(IDLE_NEVER);
        } else if is_offset(&name) && (if is_counted { 100 } else { 1100 }..1 << 32).contains(&n) {
            words[index] = number(rng.below(1000));
        }
    }
}

/// A day in milliseconds, and more than three years in seconds.
const TTL_MIN: i64 = 100_000_000;

/// No run lasts so long, in milliseconds.
const IDLE_NEVER: i64 = 99_999_999_999;

/// Whether a word is the least time an entry must have been pending.
fn is_idle(name: &[u8], words: &Words, index: usize) -> bool {
    match name {
        b"xclaim" | b"xautoclaim" => index == 4,
        b"xpending" => words[index - 1].eq_ignore_ascii_case(b"idle"),
        _ => false,
    }
}

/// The number, and whether it is written `#n`.
fn plain_number(word: &[u8]) -> Option<(i64, bool)> {
    let digits = word.strip_prefix(b"#").unwrap_or(word);
    let n: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number(n) == digits).then_some((n, digits.len() < word.len()))
}

fn is_ttl(name: &[u8], words: &Words, index: usize) -> bool {
    match name {
        b"expire" | b"pexpire" | b"setex" | b"psetex" => index == 2,
        b"set" | b"getex" => {
            let option = &words[index - 1];
            option.eq_ignore_ascii_case(b"ex") || option.eq_ignore_ascii_case(b"px")
        }
        _ => false,
    }
}

fn is_offset(name: &[u8]) -> bool {
    matches!(name, b"setbit" | b"setrange" | b"bitfield")
}
