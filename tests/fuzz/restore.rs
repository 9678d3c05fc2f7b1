//! RESTORE of any bytes, and then what clients do with the key: whatever was taken must stand it.

use std::cell::RefCell;

use russet::exec::Executor;
use russet::session::SessionId;

/// Bits of the first byte: collections leave their small encodings early; `sanitize-dump-payload yes`.
const NARROW: usize = 1;
const DEEP: usize = 2;

struct Server {
    executor: Executor,
    client: SessionId,
}

impl Server {
    fn new(options: usize) -> Server {
        let mut executor = Executor::for_tests();
        let client = executor.connect();
        let mut server = Server { executor, client };
        server.expect_ok("DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
        if options & NARROW != 0 {
            server.expect_ok(
                "CONFIG SET list-max-listpack-size 2 list-compress-depth 1 set-max-intset-entries 2 \
                 set-max-listpack-entries 2 hash-max-listpack-entries 1 zset-max-listpack-entries 1",
            );
        }
        if options & DEEP != 0 {
            server.expect_ok("CONFIG SET sanitize-dump-payload yes");
        }
        server
    }

    fn run(&mut self, line: &str) -> Vec<u8> {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        self.executor.run(self.client, &words)
    }

    fn expect_ok(&mut self, line: &str) {
        assert_eq!(self.run(line), b"+OK\r\n", "{line}");
    }
}

thread_local! {
    static SERVERS: RefCell<[Option<Server>; 4]> = const { RefCell::new([const { None }; 4]) };
}

/// Options, a type, a value; the footer is added.
pub fn fuzz_restore(data: &[u8]) {
    let Some((&options, body)) = data.split_first() else {
        return;
    };
    let options = usize::from(options) & (NARROW | DEEP);
    SERVERS.with_borrow_mut(|servers| {
        let server = servers[options].get_or_insert_with(|| Server::new(options));
        restore(server, body, options & DEEP != 0);
    });
}

fn restore(server: &mut Server, body: &[u8], deep: bool) {
    const FOOTER: [u8; 10] = [12, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let payload = [body, &FOOTER].concat();
    let words: [&[u8]; 4] = [b"RESTORE", b"k", b"0", &payload];
    let reply = server.executor.run(server.client, &words);
    if reply.starts_with(b"-") {
        return;
    }
    for line in "OBJECT ENCODING k\nMEMORY USAGE k\nDEBUG DIGEST-VALUE k".lines() {
        server.run(line);
    }
    dump_again(server, deep);
    let kind = server.run("TYPE k");
    let kind = String::from_utf8_lossy(&kind[1..kind.len() - 2]).into_owned();
    let mut lines = TRAFFIC.iter().filter(|(name, _)| *name == kind);
    let (_, lines) = lines.next().expect("a type of ours");
    for line in lines.lines() {
        server.run(line);
        // An emptied key is gone, and comes again for the next line.
        if server.run("EXISTS k") == b":0\r\n" {
            let words: [&[u8]; 4] = [b"RESTORE", b"k", b"0", &payload];
            assert_eq!(server.executor.run(server.client, &words), b"+OK\r\n");
        }
    }
    dump_again(server, deep);
    server.expect_ok("FLUSHALL SYNC");
}

/// What it is now can be dumped and is taken by whoever looks closely.
fn dump_again(server: &mut Server, deep: bool) {
    let dumped = server.run("DUMP k");
    let start = dumped
        .iter()
        .position(|&byte| byte == b'\n')
        .expect("a bulk string")
        + 1;
    let payload = &dumped[start..dumped.len() - 2];
    let words: [&[u8]; 5] = [b"RESTORE", b"again", b"0", payload, b"REPLACE"];
    let reply = server.executor.run(server.client, &words);
    assert_eq!(reply, b"+OK\r\n", "deep: {deep}, {}", payload.escape_ascii());
}

/// By type of value, one command a line.
const TRAFFIC: &[(&str, &str)] = &[
    (
        "string",
        "GETRANGE k 0 -1\nAPPEND k x\nSETRANGE k 3 abc\nBITCOUNT k\nSETBIT k 9 1\nINCR k\nPFCOUNT k\nPFADD k a b\nBITFIELD k \
         INCRBY u8 3 7\nLCS k k LEN\nGETEX k PERSIST",
    ),
    (
        "list",
        "LRANGE k 0 -1\nLPOS k a\nLINDEX k -2\nRPUSH k x 17\nLINSERT k BEFORE x y\nLSET k 0 z\nLPOP k\nLREM k -1 a\nRPOP k 2\n\
         LTRIM k 1 -2\nLMOVE k k LEFT RIGHT\nSORT k ALPHA",
    ),
    (
        "set",
        "SMEMBERS k\nSISMEMBER k a\nSRANDMEMBER k -5\nSRANDMEMBER k 2\nSADD k x 17\nSREM k a\nSSCAN k 0\nSDIFF k\nSUNIONSTORE d k \
         k\nSINTERSTORE d k k\nSMOVE k d b\nSPOP k 2\nSADD k 9 8 7 6 5 text",
    ),
    (
        "hash",
        "HGETALL k\nHGET k f\nHRANDFIELD k -3 WITHVALUES\nHRANDFIELD k 2\nHSET k f x n 17\nHINCRBY k n 1\nHSCAN k 0\nHPEXPIRE k \
         100000 FIELDS 2 f g\nHTTL k FIELDS 2 f h\nHPERSIST k FIELDS 1 f\nHDEL k g\nHSET k a 1 b 2 c 3 d 4\nHSTRLEN k f",
    ),
    (
        "zset",
        "ZRANGE k 0 -1 WITHSCORES\nZSCORE k a\nZRANK k b WITHSCORE\nZRANGE k -inf +inf BYSCORE\nZRANGE k [a [z BYLEX\nZADD k 3 x 4 \
         y\nZINCRBY k 2 a\nZRANDMEMBER k -3 WITHSCORES\nZSCAN k 0\nZUNIONSTORE d 2 k k\nZREM k b\nZCOUNT k 0 9\nZPOPMIN \
         k\nZREMRANGEBYRANK k -1 -1\nZADD k 5 q 6 r 7 s",
    ),
    (
        "stream",
        "XRANGE k - +\nXREVRANGE k + - COUNT 3\nXLEN k\nXINFO STREAM k FULL\nXREAD COUNT 2 STREAMS k 0\nXADD k * a b\nXADD k * f \
         v\nXREADGROUP GROUP grp c COUNT 2 STREAMS k >\nXREADGROUP GROUP grp alice STREAMS k 0\nXPENDING k grp - + 5\nXAUTOCLAIM k grp \
         bob 0 0 COUNT 3\nXCLAIM k grp c 0 1-1 JUSTID\nXACK k grp 1-1\nXINFO GROUPS k\nXINFO CONSUMERS k grp\nXGROUP \
         DELCONSUMER k grp alice\nXDEL k 5-0\nXTRIM k MAXLEN 2\nXGROUP SETID k grp $\nXSETID k 99999999999999-1",
    ),
];
