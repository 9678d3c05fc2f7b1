//! Replies as typed calls that append RESP2 or RESP3 straight to the output: no tree in between.
//!
//! ```text
//!            RESP2                 RESP3
//! null       $-1                   _
//! map(n)     *2n                   %n
//! set, push  *n                    ~n, >n
//! double     $3 1.5                ,1.5
//! bool       :1 :0                 #t #f
//! verbatim   $n text               =n+4 txt:text
//! ```
//!
//! Costs: one growth check and one copy of the header per call; bulk strings add one copy of their bytes. `ok`, `int`,
//! `bulk` and `null` allocate nothing beyond the output itself. A deferred length costs a move of what was written
//! after it, unless the header turns out four bytes long (a count below 10).
//! Not here: error codes and texts (the commands'), output limits, decoding (see [`value`](super::value)).

use crate::base::float::shortest;

/// Longest header: kind, sign and 20 digits, line end, rounded up.
const HEADER_BYTES_MAX: usize = 24;

/// Bytes held open for a deferred header: `*N\r\n`.
const DEFERRED_BYTES: usize = 4;

/// Appends replies to `out`. Cheap to make: one per command.
///
/// ```
/// use russet::resp::Reply;
/// let mut out = Vec::new();
/// let mut reply = Reply::new(&mut out, true);
/// reply.map(1);
/// reply.bulk(b"pi");
/// reply.double(3.25);
/// assert_eq!(out, b"%1\r\n$2\r\npi\r\n,3.25\r\n");
/// ```
#[derive(Debug)]
pub struct Reply<'a> {
    /// Where the bytes go.
    pub out: &'a mut Vec<u8>,
    /// Whether the client asked for RESP3 (`HELLO 3`).
    pub resp3: bool,
}

/// A place held open for a header whose count is not known yet. Hand it back to [`Reply::finish`].
#[derive(Debug)]
#[must_use = "without `finish` the reply has no header"]
pub struct Deferred {
    at: usize,
    kind: u8,
    per_entry: usize,
}

impl<'a> Reply<'a> {
    /// Replies in RESP3 when `resp3`, else RESP2.
    #[inline]
    pub fn new(out: &'a mut Vec<u8>, resp3: bool) -> Self {
        Self { out, resp3 }
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// `+PONG`.
    #[inline]
    pub fn pong(&mut self) {
        self.raw(b"+PONG\r\n");
    }

    /// `+QUEUED`.
    #[inline]
    pub fn queued(&mut self) {
        self.raw(b"+QUEUED\r\n");
    }

    /// A status line. `text` is ours, or must have no line ends: they are turned into spaces.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error line. `text` includes its code (`ERR ...`, `WRONGTYPE ...`); it may repeat a client's bytes: line ends
    /// at its edges are dropped, others become spaces.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'-', trim_line_ends(text.as_ref()));
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        if (0..10).contains(&value) {
            return self.raw(&[b':', b'0' + value as u8, b'\r', b'\n']);
        }
        self.header_text(b':', itoa::Buffer::new().format(value));
    }

    /// A string of any bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + HEADER_BYTES_MAX + 2);
        self.header(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer as a bulk string.
    #[inline]
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// No value.
    #[inline]
    pub fn null(&mut self) {
        self.raw(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// No array: RESP2 tells it from no value.
    #[inline]
    pub fn null_array(&mut self) {
        self.raw(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// Header of an array; `count` replies follow.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.header(b'*', count);
    }

    /// Header of a map; `pairs` times a key and a value follow.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        if self.resp3 {
            self.header(b'%', pairs)
        } else {
            self.header(b'*', pairs * 2)
        }
    }

    /// Header of a set; `count` replies follow.
    #[inline]
    pub fn set(&mut self, count: usize) {
        self.header(self.kind(b'~'), count);
    }

    /// Header of a message nobody asked for; `count` replies follow.
    #[inline]
    pub fn push(&mut self, count: usize) {
        self.header(self.kind(b'>'), count);
    }

    /// Header of attributes: `pairs` times a key and a value, then the reply they describe, follow.
    ///
    /// RESP2 has none: returns whether the caller is to write them.
    #[must_use = "without attributes in the protocol their pairs must not be written"]
    pub fn attribute(&mut self, pairs: usize) -> bool {
        if self.resp3 {
            self.header(b'|', pairs);
        }
        self.resp3
    }

    /// A double in Redis's notation: `inf`, `-inf`, `nan`, else the shortest text that reads back the same.
    pub fn double(&mut self, value: f64) {
        if self.resp3 {
            self.out.push(b',');
            shortest(value, self.out);
            return self.raw(b"\r\n");
        }
        let deferred = self.defer(b'$', 1);
        let before = self.out.len();
        shortest(value, self.out);
        let len = self.out.len() - before;
        self.finish(deferred, len);
        self.raw(b"\r\n");
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        match (self.resp3, value) {
            (true, true) => self.raw(b"#t\r\n"),
            (true, false) => self.raw(b"#f\r\n"),
            (false, _) => self.int(i64::from(value)),
        }
    }

    /// Text with its three-letter format (`txt`, `mkd`); shorter ones are padded with spaces, longer ones cut.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if !self.resp3 {
            return self.bulk(text);
        }
        let mut tag = *b"   :";
        for (place, byte) in tag[..3].iter_mut().zip(format.bytes()) {
            *place = byte;
        }
        self.out.reserve(text.len() + HEADER_BYTES_MAX + 6);
        self.header(b'=', text.len() + tag.len());
        self.raw(&tag);
        self.raw(text);
        self.raw(b"\r\n");
    }

    /// An integer of any size, in decimal.
    pub fn big_number(&mut self, digits: &str) {
        if self.resp3 {
            self.line(b'(', digits.as_bytes())
        } else {
            self.bulk(digits.as_bytes())
        }
    }

    /// An array whose count is known at the end.
    pub fn defer_array(&mut self) -> Deferred {
        self.defer(b'*', 1)
    }

    /// A set whose count is known at the end.
    pub fn defer_set(&mut self) -> Deferred {
        self.defer(self.kind(b'~'), 1)
    }

    /// A map whose count of pairs is known at the end.
    pub fn defer_map(&mut self) -> Deferred {
        if self.resp3 {
            self.defer(b'%', 1)
        } else {
            self.defer(b'*', 2)
        }
    }

    /// Writes the header held open by `deferred`, for `count` replies (pairs, of a map) written since.
    ///
    /// Inner ones are finished before outer ones. Cost: moves what was written since when `count` has two digits or
    /// more, by the few bytes missing.
    pub fn finish(&mut self, deferred: Deferred, count: usize) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(count * deferred.per_entry).as_bytes();
        let end = deferred.at + DEFERRED_BYTES;
        if let [digit] = *digits {
            self.out[deferred.at..end].copy_from_slice(&[deferred.kind, digit, b'\r', b'\n']);
            return;
        }
        let missing = digits.len() - 1;
        let used = self.out.len();
        self.out.resize(used + missing, 0);
        self.out.copy_within(end..used, end + missing);
        let (header, _) = self.out[deferred.at..].split_at_mut(DEFERRED_BYTES + missing);
        header[0] = deferred.kind;
        header[1..=digits.len()].copy_from_slice(digits);
        header[1 + digits.len()..].copy_from_slice(b"\r\n");
    }

    /// Bytes that are RESP already.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn defer(&mut self, kind: u8, per_entry: usize) -> Deferred {
        let at = self.out.len();
        self.raw(&[0; DEFERRED_BYTES]);
        Deferred { at, kind, per_entry }
    }

    /// What RESP3 calls `kind` is an array in RESP2.
    #[inline]
    fn kind(&self, kind: u8) -> u8 {
        if self.resp3 { kind } else { b'*' }
    }

    #[inline]
    fn header(&mut self, kind: u8, count: usize) {
        if count < 10 {
            return self.raw(&[kind, b'0' + count as u8, b'\r', b'\n']);
        }
        if count < 100 {
            return self.raw(&[
                kind,
                b'0' + (count / 10) as u8,
                b'0' + (count % 10) as u8,
                b'\r',
                b'\n',
            ]);
        }
        self.header_text(kind, itoa::Buffer::new().format(count));
    }

    /// One append of the whole line, put together on the stack.
    #[inline]
    fn header_text(&mut self, kind: u8, digits: &str) {
        let mut line = [0; HEADER_BYTES_MAX];
        let end = 1 + digits.len();
        line[0] = kind;
        line[1..end].copy_from_slice(digits.as_bytes());
        line[end..end + 2].copy_from_slice(b"\r\n");
        self.raw(&line[..end + 2]);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.push(kind);
        self.out.extend(
            text.iter()
                .map(|&byte| if is_line_end(byte) { b' ' } else { byte }),
        );
        self.raw(b"\r\n");
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn trim_line_ends(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_line_end(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_line_end(*last)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(write: impl Fn(&mut Reply<'_>), resp2: &[u8], resp3: &[u8]) {
        for (is_resp3, expected) in [(false, resp2), (true, resp3)] {
            let mut out = b"before".to_vec();
            write(&mut Reply::new(&mut out, is_resp3));
            assert_eq!(
                out[6..].escape_ascii().to_string(),
                expected.escape_ascii().to_string()
            );
        }
    }

    #[track_caller]
    fn check_same(write: impl Fn(&mut Reply<'_>), expected: &[u8]) {
        check(write, expected, expected);
    }

    #[test]
    fn replies_of_one_form_are_the_same_in_both_protocols() {
        check_same(|r| r.ok(), b"+OK\r\n");
        check_same(|r| r.pong(), b"+PONG\r\n");
        check_same(
            |r| r.simple("Background saving started"),
            b"+Background saving started\r\n",
        );
        check_same(|r| r.int(7), b":7\r\n");
        check_same(|r| r.int(i64::MIN), b":-9223372036854775808\r\n");
        check_same(|r| r.bulk(b""), b"$0\r\n\r\n");
        check_same(|r| r.bulk(b"a\r\nb"), b"$4\r\na\r\nb\r\n");
        check_same(|r| r.bulk(b"twelve bytes"), b"$12\r\ntwelve bytes\r\n");
        check_same(|r| r.bulk_int(-10), b"$3\r\n-10\r\n");
        check_same(|r| r.array(1000), b"*1000\r\n");
    }

    #[test]
    fn replies_of_two_forms_follow_the_protocol() {
        check(|r| r.null(), b"$-1\r\n", b"_\r\n");
        check(|r| r.null_array(), b"*-1\r\n", b"_\r\n");
        check(|r| r.map(6), b"*12\r\n", b"%6\r\n");
        check(|r| r.set(2), b"*2\r\n", b"~2\r\n");
        check(|r| r.push(3), b"*3\r\n", b">3\r\n");
        check(|r| assert_eq!(r.attribute(1), r.resp3), b"", b"|1\r\n");
        check(|r| r.bool(true), b":1\r\n", b"#t\r\n");
        check(|r| r.bool(false), b":0\r\n", b"#f\r\n");
        check(|r| r.verbatim("txt", b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n");
        check(
            |r| r.big_number("12345678901234567890"),
            b"$20\r\n12345678901234567890\r\n",
            b"(12345678901234567890\r\n",
        );
    }

    #[test]
    fn doubles_are_text_in_one_protocol_and_a_type_in_the_other() {
        check(|r| r.double(1.5), b"$3\r\n1.5\r\n", b",1.5\r\n");
        check(|r| r.double(3.0), b"$1\r\n3\r\n", b",3\r\n");
        check(|r| r.double(f64::INFINITY), b"$3\r\ninf\r\n", b",inf\r\n");
        check(|r| r.double(f64::NEG_INFINITY), b"$4\r\n-inf\r\n", b",-inf\r\n");
        check(|r| r.double(f64::NAN), b"$3\r\nnan\r\n", b",nan\r\n");
        check(
            |r| r.double(-1.2345678901),
            b"$13\r\n-1.2345678901\r\n",
            b",-1.2345678901\r\n",
        );
    }

    #[test]
    fn an_error_is_one_line_whatever_the_client_sent() {
        check_same(|r| r.error("ERR syntax error"), b"-ERR syntax error\r\n");
        check_same(|r| r.error("ERR 'a\r\nb'\r\n"), b"-ERR 'a  b'\r\n");
        check_same(|r| r.error(b"ERR \xff"), b"-ERR \xff\r\n");
    }

    #[test]
    fn a_deferred_map_counts_pairs() {
        let write = |r: &mut Reply<'_>| {
            let map = r.defer_map();
            (0..10).for_each(|n| r.int(n));
            r.finish(map, 5);
        };
        let body = b":0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n";
        check(
            write,
            &[b"*10\r\n", &body[..]].concat(),
            &[b"%5\r\n", &body[..]].concat(),
        );
    }

    proptest! {
        #[test]
        fn deferred_headers_equal_known_ones(inner in 0_usize..30, outer in 1_usize..120) {
            let (mut known, mut deferred) = (Vec::new(), Vec::new());
            let mut reply = Reply::new(&mut known, true);
            reply.set(outer);
            for _ in 0..outer {
                reply.array(inner);
                (0..inner).for_each(|_| reply.ok());
            }
            let mut reply = Reply::new(&mut deferred, true);
            let set = reply.defer_set();
            for _ in 0..outer {
                let array = reply.defer_array();
                (0..inner).for_each(|_| reply.ok());
                reply.finish(array, inner);
            }
            reply.finish(set, outer);
            prop_assert_eq!(known, deferred);
        }

        #[test]
        fn integers_and_lengths_are_plain_decimals(value: i64, len in 0_usize..1200) {
            let mut out = Vec::new();
            let mut reply = Reply::new(&mut out, false);
            reply.int(value);
            reply.bulk(&vec![b'x'; len]);
            prop_assert_eq!(out, format!(":{value}\r\n${len}\r\n{}\r\n", "x".repeat(len)).into_bytes());
        }
    }
}
