//! All fuzzers, in one registry: a name, a function that panics on a broken invariant, and first inputs.
//!
//! Strategy: each round takes an input of the corpus, joins it with another now and then, and changes a few
//! bytes of it (flip, insert, delete, repeat a stretch or take one from another input, put in a telling byte
//! or number). Rounds are numbered and seeded, so a failure is repeated by its number.
//!
//! `cargo test --test fuzz` runs each fuzzer briefly. `FUZZ_ROUNDS=10000000` before it, and `--profile fuzz` (optimized, with
//! debug assertions), make the long run; `FUZZ_ONLY=resp` runs one of them, `FUZZ_FIRST=123` starts at that round.
//!
//! Readers of files also keep to a share of memory ([`Memory`]): nothing is allocated on the word of an input.
//!
//! The canary is a fuzzer with a mistake in it, which must be found: it shows that the mutations reach
//! anything at all. Not here: coverage guidance; the corpora are chosen by hand instead.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use russet::base::{glob, quote};
use russet::exec::Executor;
use russet::resp::parse_value;
use russet::value::hyperloglog;
use tikv_jemalloc_ctl::thread;

#[path = "fuzz/restore.rs"]
mod restore;
#[path = "fuzz/snapshots.rs"]
mod snapshots;

/// The server's allocator, which can tell how much a check has asked of it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Rounds of a normal test run.
const SMOKE_ROUNDS: u64 = 5_000;

/// Inputs grow no longer than this: long enough for any state, short enough for many rounds.
const INPUT_BYTES_MAX: usize = 4096;

/// One fuzzer.
struct Fuzzer {
    name: &'static str,
    /// Checks one input; panics when an invariant is broken.
    check: fn(&[u8]),
    corpus: &'static [&'static [u8]],
    memory: Memory,
}

/// How much reading an input may allocate, counting all that is freed again: a fixed part and so much per byte.
#[derive(Clone, Copy)]
struct Memory {
    read: fn(&[u8]),
    fixed: usize,
    per_byte: usize,
}

impl Memory {
    /// Not looked at.
    const ANY: Memory = Memory {
        read: |_| {},
        fixed: usize::MAX,
        per_byte: 0,
    };

    fn bound(self, input: usize) -> u64 {
        self.fixed.saturating_add(self.per_byte * input) as u64
    }
}

const FUZZERS: &[Fuzzer] = &[
    RESP,
    CONFIG,
    GLOB,
    QUOTE,
    COMMANDS,
    LISTPACK,
    HYPERLOGLOG,
    INTSET,
    LZF,
    AOF,
    MANIFEST,
    STREAM_NODE,
    STREAM_RDB,
    RDB_VALUE,
    RDB_FILE,
    RESTORE,
    JSON,
    MSGPACK,
    STRUCT,
    SCRIPT,
    FUNCTIONS,
    CONSOLE,
];

/// The first three bytes choose limits, sizes of reads and what counts as large.
const RESP: Fuzzer = Fuzzer {
    name: "resp",
    check: russet::resp::fuzz::fuzz_parser,
    corpus: &[
        b"\0\x07\x20*1\r\n$4\r\nPING\r\n",
        b"\0\x03\x02*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        b"\x02\x01\x05PING\r\nSET k \"a\\x41 b\"\r\nECHO 'it\\'s'\r\n\r\n",
        b"\x01\x10\x40*11\r\n$4\r\nAUTH\r\n$16385\r\n",
        b"\0\0\x10*0\r\n*-1\r\n*2147483648\r\n",
        b"\x08\x09\x01*2\r\n$4\r\nECHO\r\n$300\r\n",
        b"\x04\x05\x08A very long inline request that never ends",
        b"\0\xff\x04*2\r\n$3\r\nGET\r\n!1\r\nk\r\n",
        b"\x06\x02\x03*2\r\n$4\r\nECHO\r\n$10\r\n0123456789\r\nPING\n*1\r\n$0\r\n\r\n",
    ],
    memory: Memory::ANY,
};

const AOF: Fuzzer = Fuzzer {
    name: "aof",
    check: russet::persist::aof::replay::fuzz_replay,
    corpus: &[
        b"#TS:1700000000\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n9\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n",
        b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n\0\0\0",
        b"*99999\r\n$99999999\r\n",
    ],
    memory: Memory {
        read: russet::persist::aof::replay::fuzz_replay,
        ..READER
    },
};

/// A reader has a buffer, and keeps what it has read once.
const READER: Memory = Memory {
    fixed: 128 << 10,
    per_byte: 64,
    ..Memory::ANY
};

const MANIFEST: Fuzzer = Fuzzer {
    name: "manifest",
    check: |data| {
        // A quoted name is longer than it was, and may be too long for a line.
        if data.len() < 200
            && let Ok(manifest) = russet::persist::aof::manifest::Manifest::parse(data)
        {
            let text = manifest.text();
            let again = russet::persist::aof::manifest::Manifest::parse(&text);
            // Nothing but comments is taken, nothing at all is not.
            assert!(text.is_empty() || again.as_ref() == Ok(&manifest));
        }
    },
    corpus: &[
        b"file a.aof.2.base.rdb seq 2 type b\nfile a.1 seq 1 type h\nfile a.2 seq 2 type i\n",
        b"# note\nfile \"a \\n\" seq 9 type i more words\n",
    ],
    memory: Memory {
        read: |data| drop(russet::persist::aof::manifest::Manifest::parse(data)),
        ..READER
    },
};

const INTSET: Fuzzer = Fuzzer {
    name: "intset",
    check: russet::ds::intset::fuzz_intset,
    corpus: &[
        b"\x02\0\0\0\x03\0\0\0\xff\xff\x01\0\0\x01",
        b"\x04\0\0\0\x02\0\0\0\0\0\0\x80\x07\0\0\0",
        b"\x08\0\0\0\x01\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08",
    ],
    memory: Memory::ANY,
};

const CONFIG: Fuzzer = Fuzzer {
    name: "config",
    check: russet::config::fuzz_config,
    corpus: &[
        b"port 7000\nbind 127.0.0.1 -::1\n# a remark\n\nmaxmemory 100mb\nmaxmemory-policy allkeys-lru\n",
        b"save 900 1 300 10\nsave \"\"\nclient-output-buffer-limit normal 0 0 0\nclient-output-buffer-limit pubsub 32mb 8mb 60\n",
        b"rename-command CONFIG \"\"\nuser default on nopass ~* &* +@all\nrequirepass \"a b\\x41\"\n",
        b"unixsocketperm 700\nlatency-tracking-info-percentiles 50 99 99.9\noom-score-adj-values 0 200 800\n",
        b"notify-keyspace-events KEA\nproc-title-template \"{title} {listen-addr}\"\ntimeout 0\nhz 10\n",
        b"appendonly yes\nappendfsync everysec\nlogfile ''\nmaxclients 10000\nmaxmemory-clients 5%\n",
    ],
    memory: Memory::ANY,
};

/// A pattern and a text, parted by the first zero byte. Compared with a matcher that tries everything.
const GLOB: Fuzzer = Fuzzer {
    name: "glob",
    check: fuzz_glob,
    corpus: &[
        b"user:*\0user:42",
        b"h[a-z]?lo*\0hello world",
        b"[^abc]\\*x\0d*x",
        b"**a*b?c[\0aabbccdd",
        b"[\\]-a]*\0]^_`a",
        b"*[!-~]*[a-\0some text a",
    ],
    memory: Memory::ANY,
};

const QUOTE: Fuzzer = Fuzzer {
    name: "quote",
    check: fuzz_quote,
    corpus: &[
        b"SET key \"va\\x41lue\\n\" 'single \\' quoted'",
        b"  spaces\tand\ttabs  ",
        b"\"\\a\\b\\r\\t\\\\\\\"\" ''",
        b"unbalanced \"quote",
        b"\"closed\"too soon",
    ],
    memory: Memory::ANY,
};

/// Lines of commands, run by an executor of its own: each is answered, and by whole replies.
const COMMANDS: Fuzzer = Fuzzer {
    name: "commands",
    check: fuzz_commands,
    corpus: &[
        b"SET k v EX 100 NX GET\nGET k\nGETEX k PERSIST\nAPPEND k abc\nGETRANGE k 0 -2\nSETRANGE k 10 x\nSTRLEN k\n",
        b"INCR n\nINCRBY n -5\nINCRBYFLOAT n 1.5e3\nDECRBY n 9223372036854775807\nOBJECT ENCODING n\nGETDEL n\n",
        b"MSET a 1 b 2\nMGET a b c\nMSETNX a 1 d 2\nLCS a b IDX MINMATCHLEN 1 WITHMATCHLEN\nCOPY a e REPLACE DB 1\n",
        b"SETBIT b 7 1\nBITCOUNT b 0 -1 BIT\nBITPOS b 1 0 -1\nBITFIELD b SET u8 #1 255 INCRBY i5 100 1 OVERFLOW FAIL GET u4 0\nBITOP XOR d b k\n",
        b"SCAN 0 MATCH k* COUNT 10 TYPE string\nKEYS *\nRANDOMKEY\nDBSIZE\nEXISTS a a b\nTYPE a\nRENAME a z\nRENAMENX z y\nMOVE y 3\nTOUCH y\nUNLINK y\n",
        b"EXPIRE k 10 GT\nPEXPIREAT k 9999999999999 NX\nTTL k\nPEXPIRETIME k\nPERSIST k\nOBJECT FREQ k\nOBJECT IDLETIME k\n",
        b"HELLO 3 AUTH default x SETNAME me\nCLIENT LIST ID 1 2\nCLIENT KILL ADDR 1:2 SKIPME no\nCLIENT SETINFO lib-name x\nCLIENT TRACKING on\nCLIENT INFO\n",
        b"COMMAND GETKEYS MSET a b c d\nCOMMAND DOCS get\nCOMMAND LIST FILTERBY PATTERN s*\nCOMMAND INFO get set\nCOMMAND GETKEYSANDFLAGS SET a b\n",
        b"CONFIG GET *max* port\nCONFIG SET maxmemory 100mb hz 20\nINFO all\nMEMORY USAGE k SAMPLES 5\nSLOWLOG GET -1\nLATENCY HISTOGRAM set\nLATENCY GRAPH x\n",
        b"SUBSCRIBE a b\nPSUBSCRIBE c* *\nPUBLISH a x\nUNSUBSCRIBE\nPUNSUBSCRIBE c*\nPUBSUB CHANNELS *\nPUBSUB NUMSUB a\n",
        b"PFADD h a b c\nPFCOUNT h\nPFMERGE h h g\nSETRANGE h 5 abc\nPFADD h x\nPFDEBUG DECODE h\nPFDEBUG TODENSE h\nPFCOUNT h g\n",
        b"GEOADD g CH 13.3 38.1 a 15 37.5 b 180 85 c\nGEOSEARCH g FROMMEMBER a BYRADIUS 200 km ASC COUNT 2 ANY WITHDIST WITHHASH WITHCOORD\nGEOSEARCHSTORE h g FROMLONLAT 1 2 BYBOX 4e3 1e9 m STOREDIST\nGEORADIUS g 0 0 1e6 ft DESC STORE d\nGEORADIUSBYMEMBER_RO g c 0 mi\nGEODIST g a c\nGEOPOS g a\nGEOHASH g b\nZADD g -inf d\n",
        b"RPUSH l 3 1 2 x\nSORT l BY w_*->f GET # GET w_* LIMIT 1 2 DESC ALPHA STORE d\nSORT_RO l BY nosort LIMIT -1 9223372036854775807\nSADD s a 1\nSORT s\nZADD z 1 a\nSORT z BY n DESC LIMIT 0 1\n",
        b"XADD s 1-1 f v g w\nXADD s MAXLEN ~ 5 LIMIT 3 2-* f v\nXRANGE s - + COUNT 2\nXREVRANGE s (3 1\nXDEL s 1-1\nXTRIM s MINID 2\nXSETID s 9 ENTRIESADDED 7 MAXDELETEDID 3\nXREAD COUNT 1 BLOCK 1 STREAMS s 0\nXINFO STREAM s FULL COUNT 3\n",
        b"XGROUP CREATE s g 0 MKSTREAM ENTRIESREAD 2\nXADD s * f v\nXREADGROUP GROUP g c COUNT 1 NOACK STREAMS s >\nXREADGROUP GROUP g c STREAMS s >\nXPENDING s g IDLE 0 - + 5 c\nXCLAIM s g d 0 1-1 2-0 IDLE 5 RETRYCOUNT 3 FORCE JUSTID LASTID 9\nXAUTOCLAIM s g d 0 - COUNT 3\nXACK s g 2-0\nXGROUP SETID s g $\nXGROUP DELCONSUMER s g c\nXINFO CONSUMERS s g\nXGROUP DESTROY s g\n",
        b"SELECT 9\nSWAPDB 0 9\nFLUSHDB ASYNC\nFLUSHALL SYNC\nECHO x\nPING y\nTIME\nLOLWUT VERSION 5 1 2 3\nRESET\nQUIT\n",
    ],
    memory: Memory::ANY,
};

/// A string as a client might store it, to be read as a HyperLogLog.
const HYPERLOGLOG: Fuzzer = Fuzzer {
    name: "hyperloglog",
    check: fuzz_hyperloglog,
    corpus: &[
        b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff",
        b"HYLL\x01\0\0\0\x04\0\0\0\0\0\0\0W1\x84I\xc0\x80P\xb1\x84K\xfb\x80BZ",
        b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x80\x81\x82\x83\x3f\0\x40\0\xff\xfc\x7f\xb0",
        b"HYLL\0\0\0\0\0\0\0\0\0\0\0\x80",
    ],
    memory: Memory::ANY,
};

/// Bytes as a DUMP payload or an RDB file might bring them.
const LISTPACK: Fuzzer = Fuzzer {
    name: "listpack",
    check: russet::ds::listpack::fuzz::fuzz_listpack,
    corpus: &[
        b"\x07\0\0\0\0\0\xff",
        b"\x14\0\0\0\x03\0\x81a\x02\xc1\xf4\x02\x84text\x05\xff",
        b"\x18\0\0\0\x03\0\x05\x01\xf1\0\x10\x03\xf4\0\0\0\x80\0\0\0\0\x09\xff",
        b"\x18\0\0\0\xff\xff\xf2\0\x80\0\x04\xf3\0\0\x80\0\x05\x80\x01\x82-0\x03\xff",
        b"\x14\0\0\0\x02\0\xe0\x01a\x03\xf0\x02\0\0\0bc\x07\xff",
    ],
    memory: Memory::ANY,
};

/// The listpack of a stream's node as a payload brings it, or its elements as lines.
const STREAM_NODE: Fuzzer = Fuzzer {
    name: "stream_node",
    check: russet::value::stream::fuzz::fuzz_stream_node,
    corpus: &[
        b"\x1d\0\0\0\x0a\0\x01\x01\0\x01\x01\x01\x81f\x02\0\x01\x02\x01\0\x01\0\x01\x81v\x02\x04\x01\xff",
        b"1\n0\n1\nf\n0\n2\n0\n0\nv\n4",
        b"2\n1\n2\na\nb\n0\n2\n0\n0\n1\n2\n5\n1\n1\n0\n1\nc\nx\n6\n0\n5\n-3\n1\nc\nx\n6",
        b"1\n0\n0\n0\n0\n0\n0\n0\n4",
        b"0\n1\n1\nf\n0\n3\n0\n0\nv\n4",
    ],
    memory: Memory::ANY,
};

/// Options, a type, and the value as a file or a payload holds it.
const RDB_VALUE: Fuzzer = Fuzzer {
    name: "rdb_value",
    check: russet::persist::rdb::fuzz::fuzz_value,
    corpus: snapshots::VALUES,
    memory: Memory {
        read: |data| drop(russet::persist::rdb::fuzz::read_value(data)),
        ..SNAPSHOTS
    },
};

/// Options and a file.
const RDB_FILE: Fuzzer = Fuzzer {
    name: "rdb_file",
    check: russet::persist::rdb::fuzz::fuzz_file,
    corpus: snapshots::FILES,
    memory: Memory {
        read: russet::persist::rdb::fuzz::read_file,
        ..SNAPSHOTS
    },
};

/// Options, a type and a value, to a server that then has to live with it.
const RESTORE: Fuzzer = Fuzzer {
    name: "restore",
    check: restore::fuzz_restore,
    corpus: snapshots::VALUES,
    memory: Memory::ANY,
};

/// Three bytes of LZF can stand for 264, and a byte of a small encoding for an element: to tell whether one comes twice, or to
/// put it into a table, takes some dozens. All that is freed in between counts, too.
const SNAPSHOTS: Memory = Memory {
    fixed: 4 << 10,
    per_byte: 88 * 48,
    ..Memory::ANY
};

/// The value of a stream in a file: a byte that chooses its type, then the bytes.
const STREAM_RDB: Fuzzer = Fuzzer {
    name: "stream_rdb",
    check: russet::persist::rdb::stream::fuzz_stream,
    corpus: &[
        b"\x02\x01\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x1d\x1d\0\0\0\x0a\0\x01\x01\0\x01\x01\x01\x81f\x02\0\x01\x02\x01\0\x01\0\x01\x81v\x02\x04\x01\xff\x01\x01\x01\x01\x01\0\0\x01\x01\x01g\x01\x01\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\xf5Zq\xc7\x84\x01\0\0\x01\x01\x05Alice\xf5Zq\xc7\x84\x01\0\0\xf5Zq\xc7\x84\x01\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01",
        b"\x01\0\0\x05\0\0\0\0\0\0\x01\x01g\0\0\0\0\0",
        b"\0\0\0\0\0\0",
    ],
    memory: Memory::ANY,
};

/// Bytes to compress, and bytes that claim to be compressed.
const LZF: Fuzzer = Fuzzer {
    name: "lzf",
    check: russet::base::lzf::fuzz_lzf,
    corpus: &[
        b"\x01aa\xe0\xbb\0\x01aa",
        b"\x04hello\x20\x04\x40\0",
        b"some text, some text, some text and some more text",
        b"\0a\xe0\xff\0\xe0\xff\0\xe0\xff\x1f",
    ],
    memory: Memory::ANY,
};

/// Fails on the one thing the mutations must be able to do: put together two bytes that no input has.
const JSON: Fuzzer = Fuzzer {
    name: "json",
    check: russet::script::lib::fuzz_json,
    corpus: &[
        b"{\"a\":[1,2.5e3,-0x1F,null,true,false],\"b\":{\"c\":\"d\\n\\u00e9\\ud83d\\ude00\"}}",
        b"[[[[1]]]] ",
        b"\"\\\"\\/\\b\\f\\r\\t\"",
        b"[-Infinity,nan,01,1.,.5,1e+]",
    ],
    memory: Memory::ANY,
};

const MSGPACK: Fuzzer = Fuzzer {
    name: "msgpack",
    check: russet::script::lib::fuzz_msgpack,
    corpus: &[
        b"\x01\xff\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xd0\x80\xd1\x80\0\xd2\x80\0\0\0",
        b"\x93\x01\xa3abc\x81\xa1a\xcb\x3f\xf0\0\0\0\0\0\0",
        b"\xdc\0\x02\x01\x02\xde\0\x01\x01\x02\xd9\x03abc\xda\0\x01a\xdb\0\0\0\x01b",
        b"\xdd\xff\xff\xff\xff\x91\x91\x91\x91\xc0\xc2\xc3",
    ],
    memory: Memory::ANY,
};

const STRUCT: Fuzzer = Fuzzer {
    name: "struct",
    check: russet::script::lib::fuzz_struct,
    corpus: &[
        b"\x08>Bhi3!4d\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10",
        b"\x04Bc0s\x03abcdef\0rest",
        b"\x07I32 x!8l\0\0\0\0",
    ],
    memory: Memory::ANY,
};

/// Its server knows no command; scripts end at the first look at the clock.
const SCRIPT: Fuzzer = Fuzzer {
    name: "script",
    check: russet::script::lib::fuzz_script,
    corpus: &[
        b"return redis.call('map', KEYS[1], ARGV[1], 1.5, 3)",
        b"local t = {} for i = 1, 10 do t[i] = {i, tostring(i), {a = i}} end return cjson.encode(t)",
        b"local ok, e = pcall(redis.call, 'error') return {ok, e, redis.pcall('error').err}",
        b"return {setmetatable({}, {__index = function(_, k) return k end}), getmetatable(_G), next(redis)}",
        b"return cmsgpack.unpack(cmsgpack.pack({1, {2, {a = true}}, 'x'}))",
        b"rawset(_G, 'x', 1) string.x = 2 table.insert(redis, 3) getmetatable('').__index = 4",
        b"return {loadstring('return 1')(), struct.unpack('>Bh', struct.pack('>Bh', 1, 2)), bit.bxor(1, 2)}",
        b"local f = function(...) return select('#', ...), ... end return f(unpack({1, 2, nil, 4}))",
        b"return coroutine.wrap(function() coroutine.yield(redis.call('int')) end)()",
        b"return ('x'):rep(100):gsub('x', '%0%0'):find('(x+)')",
    ],
    memory: Memory::ANY,
};

/// What is sent to the debugger of scripts; the first byte is the size of the pieces it comes in.
const CONSOLE: Fuzzer = Fuzzer {
    name: "console",
    check: russet::script::debug::console::fuzz,
    corpus: &[
        b"\x03*2\r\n$5\r\nprint\r\n$1\r\na\r\n*1\r\n$1\r\nc\r\n",
        b"\x01junk*1 x\r\n$01 y\r\ns\r\n",
        b"\xff*1025\r\n$-1\r\n\0",
    ],
    memory: Memory::ANY,
};

const FUNCTIONS: Fuzzer = Fuzzer {
    name: "functions",
    check: russet::exec::script::fuzz_payload,
    corpus: &[
        b"\xf5\x05#!lua\xf5\x03abc",
        b"\xf5@M#!lua name=d\nredis.register_function('df', function(keys, args) return 1 end)\x0c\x00W\xf8iy\xb1X\x11\r",
    ],
    memory: Memory::ANY,
};

const CANARY: Fuzzer = Fuzzer {
    name: "canary",
    check: |data| assert!(!data.windows(2).any(|pair| pair == b"*?"), "the canary sings"),
    corpus: &[b"plain text", b"more of it"],
    memory: Memory::ANY,
};

/// Asks for memory on the word of its input.
const GREEDY: Fuzzer = Fuzzer {
    name: "greedy",
    check: |_| {},
    corpus: &[b"\0\0\0"],
    memory: Memory {
        read: |data| drop(vec![0u8; usize::from(data.first().copied().unwrap_or(0)) << 16]),
        fixed: 4096,
        per_byte: 64,
    },
};

fn fuzz_glob(data: &[u8]) {
    let cut = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (pattern, text) = (&data[..cut], data.get(cut + 1..).unwrap_or_default());
    for nocase in [false, true] {
        let found = glob::matches(pattern, text, nocase);
        // Trying everything takes exponential time.
        if pattern.iter().filter(|&&byte| byte == b'*').count() <= 4 && text.len() <= 40 {
            assert_eq!(found, naive::matches(pattern, text, nocase));
        }
    }
    assert!(text.is_empty() || glob::matches(b"*", text, false));
}

/// Whatever is split can be written down quoted, and read again as it was.
fn fuzz_quote(data: &[u8]) {
    let mut whole = Vec::new();
    quote::repr(data, &mut whole);
    assert_eq!(quote::split_args(&whole), Ok(vec![data.to_vec()]));
    let Ok(words) = quote::split_args(data) else {
        return;
    };
    let mut line = Vec::new();
    for word in &words {
        quote::repr(word, &mut line);
        line.push(b' ');
    }
    assert_eq!(quote::split_args(&line), Ok(words));
}

/// What is read without complaint agrees with itself; what is refused stays as it was.
fn fuzz_hyperloglog(data: &[u8]) {
    let mut bytes = data.to_vec();
    let words = data.chunks(3).take(40);
    let added = hyperloglog::add(&mut bytes, words, 200);
    if added.is_err() {
        assert_eq!(bytes, data);
    }
    let mut registers = hyperloglog::Registers::default();
    let count = hyperloglog::count(&bytes);
    assert_eq!(registers.merge(&bytes).map(|_| registers.count()), count);
    assert_eq!(
        hyperloglog::decode(&bytes).is_err(),
        hyperloglog::encoding(&bytes).is_err()
    );
    let mut dense = bytes.clone();
    let densified = hyperloglog::densify(&mut dense);
    assert_eq!(densified.and_then(|_| hyperloglog::count(&dense)), count);
    if count.is_ok() {
        assert_eq!(registers.store(&mut bytes, false, 200), Ok(()));
        assert_eq!(hyperloglog::count(&bytes), count);
    }
}

fn fuzz_commands(data: &[u8]) {
    let mut executor = Executor::for_tests();
    let client = executor.connect();
    // Or SETRANGE and SETBIT would be asked for half a gigabyte.
    assert_eq!(
        executor.run(client, &[b"CONFIG", b"SET", b"proto-max-bulk-len", b"1mb"]),
        b"+OK\r\n"
    );
    for line in data.split(|&byte| byte == b'\n') {
        let Ok(words) = quote::split_args(line) else {
            continue;
        };
        if words.is_empty() || ends_the_talk(&words[0]) || silences(&words) {
            continue;
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let reply = executor.run(client, &words);
        check_reply(&reply, line);
    }
}

/// These end the process, which is their purpose, or the connection without an answer, being lines of HTTP; or they write
/// files.
fn ends_the_talk(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 7] = [
        b"debug",
        b"shutdown",
        b"post",
        b"host:",
        b"save",
        b"bgsave",
        b"bgrewriteaof",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn silences(words: &[Vec<u8>]) -> bool {
    words[0].eq_ignore_ascii_case(b"client")
        && words
            .get(1)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"reply"))
}

/// Subscriptions are answered once per channel, and messages to oneself may follow; nothing is cut short.
#[track_caller]
fn check_reply(reply: &[u8], line: &[u8]) {
    let (mut rest, mut count) = (reply, 0);
    while let Some((_, length)) = parse_value(rest).expect("replies are RESP") {
        (rest, count) = (&rest[length..], count + 1);
    }
    assert!(
        rest.is_empty() && count > 0,
        "{} is answered by {}",
        line.escape_ascii(),
        reply.escape_ascii()
    );
}

/// Glob matching in the plainest words: an element takes a byte or does not, a star takes any number.
mod naive {
    pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
        // Compat: an empty text matches only an empty pattern.
        if text.is_empty() {
            return pattern.is_empty();
        }
        rest_matches(pattern, text, nocase)
    }

    fn rest_matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| rest_matches(rest, &text[skip..], nocase)),
            (_, []) => false,
            ([b'?', rest @ ..], [_, more @ ..]) => rest_matches(rest, more, nocase),
            ([b'[', rest @ ..], [byte, more @ ..]) => {
                let (accepts, used) = class(rest, *byte, nocase);
                accepts && rest_matches(&rest[used..], more, nocase)
            }
            ([b'\\', escaped, rest @ ..], [byte, more @ ..]) => {
                same(*escaped, *byte, nocase) && rest_matches(rest, more, nocase)
            }
            ([literal, rest @ ..], [byte, more @ ..]) => {
                same(*literal, *byte, nocase) && rest_matches(rest, more, nocase)
            }
        }
    }

    fn fold(byte: u8, nocase: bool) -> u8 {
        if nocase { byte.to_ascii_lowercase() } else { byte }
    }

    fn same(a: u8, b: u8, nocase: bool) -> bool {
        fold(a, nocase) == fold(b, nocase)
    }

    /// Whether the class after `[` takes `byte`, and how many bytes of the pattern it is.
    fn class(pattern: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
        let negated = pattern.first() == Some(&b'^');
        let (mut at, mut found) = (usize::from(negated), false);
        let (exact, byte) = (byte, fold(byte, nocase));
        loop {
            match pattern[at..] {
                [] => return (found != negated, at),
                // Compat: an escaped byte in a class is compared exactly.
                [b'\\', escaped, ..] => {
                    found |= escaped == exact;
                    at += 2;
                }
                [b']', ..] => return (found != negated, at + 1),
                [first, b'-', last, ..] => {
                    let (low, high) = (fold(first.min(last), nocase), fold(first.max(last), nocase));
                    found |= (low..=high).contains(&byte);
                    at += 3;
                }
                [literal, ..] => {
                    found |= fold(literal, nocase) == byte;
                    at += 1;
                }
            }
        }
    }
}

/// Splitmix64.
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
}

/// Bytes that mean something to one of the parsers.
const TELLING_BYTES: &[u8] = b"\r\n*$0129-+:!\0 \t\"'\\x[]^?#%\xff";

const TELLING_NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "1",
    "16385",
    "65536",
    "2147483647",
    "2147483648",
    "536870912",
    "18446744073709551616",
    "00",
];

/// The input of one round.
fn input(corpus: &[&[u8]], dice: &mut Dice) -> Vec<u8> {
    let mut data = corpus[dice.below(corpus.len())].to_vec();
    if dice.below(4) == 0 {
        data.extend_from_slice(corpus[dice.below(corpus.len())]);
    }
    for _ in 0..dice.below(6) {
        mutate(&mut data, corpus, dice);
    }
    data.truncate(INPUT_BYTES_MAX);
    data
}

fn mutate(data: &mut Vec<u8>, corpus: &[&[u8]], dice: &mut Dice) {
    let at = dice.below(data.len() + 1);
    let end = (at + dice.below(16)).min(data.len());
    match dice.below(9) {
        0 if at < data.len() => data[at] ^= 1 << dice.below(8),
        1 if at < data.len() => data[at] = dice.byte(),
        2 if at < data.len() => data[at] = TELLING_BYTES[dice.below(TELLING_BYTES.len())],
        3 => data.insert(at, TELLING_BYTES[dice.below(TELLING_BYTES.len())]),
        4 => drop(data.drain(at..end)),
        5 => data.extend_from_within(at..end),
        6 => drop(data.splice(at..at, TELLING_NUMBERS[dice.below(TELLING_NUMBERS.len())].bytes())),
        7 => drop(data.splice(at..end, stretch(corpus, dice).iter().copied())),
        _ => data.truncate(at.max(3)),
    }
}

/// A piece of some input, often a word or two.
fn stretch<'a>(corpus: &[&'a [u8]], dice: &mut Dice) -> &'a [u8] {
    let from = corpus[dice.below(corpus.len())];
    let at = dice.below(from.len());
    &from[at..(at + dice.below(24)).min(from.len())]
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect("a number of rounds"))
}

/// The first round that breaks an invariant, with its input.
fn first_failure(fuzzer: &Fuzzer, rounds: std::ops::Range<u64>) -> Option<(u64, Vec<u8>)> {
    failure_and_share(fuzzer, rounds).0
}

/// The first failure, and the most that reading allocated beyond the fixed part, per byte of input.
fn failure_and_share(fuzzer: &Fuzzer, rounds: std::ops::Range<u64>) -> (Option<(u64, Vec<u8>)>, u64) {
    let mut most = 0;
    let mut passes = |data: &[u8]| {
        let share = catch_unwind(AssertUnwindSafe(|| check(fuzzer, data)));
        most = most.max(*share.as_ref().unwrap_or(&0));
        share.is_ok()
    };
    let failure = rounds
        .map(|round| {
            (
                round,
                input(
                    fuzzer.corpus,
                    &mut Dice(round.wrapping_mul(0x2545_f491_4f6c_dd1d)),
                ),
            )
        })
        .find(|(_, data)| !passes(data));
    (failure, most)
}

/// Runs the check of one input, which must keep to its share of memory; what that was, per byte.
fn check(fuzzer: &Fuzzer, data: &[u8]) -> u64 {
    // A thread that compresses keeps a table, which no input is to be blamed for.
    let _ = russet::base::lzf::compress(&[0; 100], 100);
    let before = allocated();
    (fuzzer.memory.read)(data);
    let taken = allocated() - before;
    let bound = fuzzer.memory.bound(data.len());
    assert!(taken <= bound, "{taken} bytes for {} of input", data.len());
    (fuzzer.check)(data);
    taken.saturating_sub(fuzzer.memory.fixed as u64) / data.len().max(1) as u64
}

/// Bytes this thread has allocated since it began.
fn allocated() -> u64 {
    thread::allocatedp::read().expect("jemalloc counts").get()
}

fn run(fuzzer: &Fuzzer) {
    if std::env::var("FUZZ_ONLY").is_ok_and(|only| only != fuzzer.name) {
        return;
    }
    let first = setting("FUZZ_FIRST").unwrap_or(0);
    let count = setting("FUZZ_ROUNDS").unwrap_or(SMOKE_ROUNDS);
    let started = Instant::now();
    let (failure, most) = failure_and_share(fuzzer, first..first + count);
    if let Some((round, data)) = failure {
        panic!("{} fails at round {round}: {}", fuzzer.name, data.escape_ascii());
    }
    println!(
        "{}: {count} rounds in {:.1?}, at most {most} bytes allocated per byte read",
        fuzzer.name,
        started.elapsed()
    );
}

#[test]
fn commands_from_any_bytes() {
    run(&RESP);
}

#[test]
fn configurations_from_any_bytes() {
    run(&CONFIG);
}

#[test]
fn globs_match_as_the_naive_matcher_does() {
    run(&GLOB);
}

#[test]
fn quoted_words_can_be_written_and_read_again() {
    run(&QUOTE);
}

#[test]
fn commands_with_any_arguments_are_answered() {
    run(&COMMANDS);
}

#[test]
fn strings_are_read_as_hyperloglogs_or_refused() {
    run(&HYPERLOGLOG);
}

#[test]
fn listpacks_from_any_bytes() {
    run(&LISTPACK);
}

#[test]
fn lzf_from_any_bytes() {
    run(&LZF);
}

#[test]
fn values_from_any_bytes() {
    run(&RDB_VALUE);
}

#[test]
fn snapshots_from_any_bytes() {
    run(&RDB_FILE);
}

#[test]
fn restored_values_stand_what_clients_do() {
    run(&RESTORE);
}

#[test]
fn logs_from_any_bytes() {
    run(&AOF);
}

#[test]
fn manifests_from_any_bytes() {
    run(&MANIFEST);
}

#[test]
fn intsets_from_any_bytes() {
    run(&INTSET);
}

#[test]
fn nodes_of_streams_from_any_bytes() {
    run(&STREAM_NODE);
}

#[test]
fn streams_from_any_bytes() {
    run(&STREAM_RDB);
}

#[test]
fn json_from_any_bytes() {
    run(&JSON);
}

#[test]
fn message_packs_from_any_bytes() {
    run(&MSGPACK);
}

#[test]
fn structs_from_any_bytes() {
    run(&STRUCT);
}

#[test]
fn scripts_from_any_bytes() {
    run(&SCRIPT);
}

#[test]
fn libraries_from_any_bytes() {
    run(&FUNCTIONS);
}

#[test]
fn a_fuzzer_that_trusts_a_length_is_caught() {
    assert!(first_failure(&GREEDY, 0..SMOKE_ROUNDS).is_some());
}

#[test]
fn a_fuzzer_with_a_mistake_is_caught() {
    let caught = first_failure(&CANARY, 0..20 * SMOKE_ROUNDS);
    assert!(caught.is_some_and(|(_, data)| data.windows(2).any(|pair| pair == b"*?")));
}

#[test]
fn every_corpus_passes_unchanged_and_names_differ() {
    for (index, fuzzer) in FUZZERS.iter().enumerate() {
        for data in fuzzer.corpus {
            check(fuzzer, data);
        }
        assert!(FUZZERS[..index].iter().all(|other| other.name != fuzzer.name));
    }
}
