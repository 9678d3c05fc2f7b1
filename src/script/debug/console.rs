//! What comes from whoever debugs: commands as arrays of strings, each short.
//!
//! ```text
//!   *2\r\n $5\r\nprint\r\n $1\r\na\r\n      before the first `*` anything may stand that is not a zero byte
//! ```
//!
//! It is read as Redis's debugger reads it, which is not how a server reads commands: a number ends where its digits end,
//! whatever follows on the line.
//!
//! Limits: 1024 words of 1024 bytes; 1 MiB that is no command yet. Nothing is allocated for what is
//! only announced.

/// Most words of a command.
const WORDS_MAX: i64 = 1024;

/// Longest word.
const WORD_BYTES_MAX: i64 = 1024;

/// Most bytes that may wait to become a command.
const INPUT_BYTES_MAX: usize = 1 << 20;

/// A command: its name, then arguments; at least one word, none of them empty.
pub type Words = Vec<Vec<u8>>;

/// Why a conversation cannot go on, as the script is told.
pub type Refusal = &'static str;

const MALFORMED: Refusal = "protocol error";

/// Takes the first command out of `input`; `None` when it is not there as a whole.
///
/// # Errors
/// What is no command, and never will be.
pub fn take_command(input: &mut Vec<u8>) -> Result<Option<Words>, Refusal> {
    if input.len() > INPUT_BYTES_MAX {
        input.clear();
        return Err("max client buffer reached");
    }
    let mut scanner = Scanner { bytes: input, at: 0 };
    let Some(words) = scanner.command()? else {
        return Ok(None);
    };
    let taken = scanner.at;
    input.drain(..taken);
    Ok(Some(words))
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn command(&mut self) -> Result<Option<Words>, Refusal> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let start = memchr::memchr2(b'*', 0, self.bytes).filter(|&at| self.bytes[at] == b'*');
        self.at = start.ok_or(MALFORMED)?;
        let Some(count) = self.number(WORDS_MAX)? else {
            return Ok(None);
        };
        let mut words = Words::new();
        for _ in 0..count {
            match self.word()? {
                Some(word) => words.push(word),
                None => return Ok(None),
            }
        }
        Ok(Some(words))
    }

    fn word(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        match self.bytes.get(self.at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(_) => return Err(MALFORMED),
        }
        let Some(len) = self.number(WORD_BYTES_MAX)? else {
            return Ok(None);
        };
        let Some(word) = self.bytes.get(self.at..self.at + len + 2) else {
            return Ok(None);
        };
        let word = word.strip_suffix(b"\r\n").ok_or(MALFORMED)?;
        self.at += len + 2;
        Ok(Some(word.to_vec()))
    }

    /// The number behind the byte here, to the end of its line; at least 1.
    fn number(&mut self, max: i64) -> Result<Option<usize>, Refusal> {
        let line = &self.bytes[self.at + 1..];
        let Some(len) = memchr::memmem::find(line, b"\r\n") else {
            return Ok(None);
        };
        let number = leading_number(&line[..len]);
        if !(1..=max).contains(&number) {
            return Err(MALFORMED);
        }
        self.at += 1 + len + 2;
        Ok(Some(number as usize))
    }
}

/// The number that `text` begins with, blanks and a sign allowed; 0 when there is none.
pub fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0_i64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    if negative { -number } else { number }
}

/// Any bytes as input, arriving in pieces: commands keep the limits, and are the same however they arrive.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Some((&size, bytes)) = bytes.split_first() else {
        return;
    };
    let converse = |size: usize| {
        let (mut input, mut heard) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(size) {
            input.extend_from_slice(piece);
            while let Some(words) = take_command(&mut input)? {
                assert!((1..=WORDS_MAX as usize).contains(&words.len()));
                let fits = |word: &Vec<u8>| (1..=WORD_BYTES_MAX as usize).contains(&word.len());
                assert!(words.iter().all(fits));
                heard.push(words);
            }
        }
        Ok::<_, Refusal>(heard)
    };
    // Junk is judged by what has come of it: only what is heard of both is compared.
    if let (Ok(whole), Ok(pieces)) = (converse(bytes.len().max(1)), converse(usize::from(size).max(1))) {
        assert_eq!(whole, pieces);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(input: &str) -> (Result<Option<Words>, Refusal>, String) {
        let mut bytes = input.as_bytes().to_vec();
        let outcome = take_command(&mut bytes);
        (outcome, String::from_utf8(bytes).expect("text"))
    }

    #[test]
    fn a_command_is_taken_and_the_next_stays() {
        let (words, rest) = take("junk*2 x\r\n$1\r\np\r\n$02\r\nab\r\n*1\r\n");
        assert_eq!(words, Ok(Some(vec![b"p".to_vec(), b"ab".to_vec()])));
        assert_eq!(rest, "*1\r\n");
    }

    #[test]
    fn half_a_command_is_waited_for() {
        let whole = "*2\r\n$1\r\np\r\n$2\r\nab\r\n";
        for len in 0..whole.len() {
            assert_eq!(take(&whole[..len]), (Ok(None), whole[..len].to_owned()), "{len}");
        }
    }

    #[test]
    fn what_is_no_command_ends_the_conversation() {
        for input in [
            "s\r\n",
            "\0*1\r\n",
            "*0\r\n",
            "*-1\r\n",
            "*x\r\n",
            "*1025\r\n",
            "*1\r\n$0\r\n\r\n",
            "*1\r\n$1025\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n$1\r\nsxx",
            "*1\r\n\n",
        ] {
            assert_eq!(take(input).0, Err(MALFORMED), "{input:?}");
        }
        let mut flood = vec![b'*'; INPUT_BYTES_MAX + 1];
        assert_eq!(take_command(&mut flood), Err("max client buffer reached"));
        assert!(flood.is_empty());
    }

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        for (text, number) in [(" 7x", 7), ("-3", -3), ("+4", 4), ("", 0), ("x", 0)] {
            assert_eq!(leading_number(text.as_bytes()), number);
        }
        assert_eq!(leading_number(&[b'9'; 40]), i64::MAX);
    }
}
