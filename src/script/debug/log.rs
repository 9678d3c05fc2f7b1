//! Lines on their way to whoever debugs: gathered, and sent as one array when the script stops.
//!
//! Limits: what values and replies show is cut at [`Log::max_bytes`], as its reader wishes; a script that runs on and prints
//! without end is heard for [`KEPT_BYTES_MAX`].

/// Where lines are cut at first.
const LINE_BYTES: usize = 256;

/// Least length at which lines can be made to be cut.
const LINE_BYTES_MIN: usize = 60;

/// Longest line when none are cut.
pub const LINE_BYTES_MAX: usize = 4 << 20;

/// Bytes that wait to be sent.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// The lines that wait.
pub struct Log {
    /// Each ready to be sent.
    lines: Vec<u8>,
    count: usize,
    /// 0 for no limit.
    max_bytes: usize,
    hinted: bool,
    overflowed: bool,
}

impl Log {
    /// Without lines.
    pub fn new() -> Log {
        Log {
            lines: Vec::new(),
            count: 0,
            max_bytes: LINE_BYTES,
            hinted: false,
            overflowed: false,
        }
    }

    /// Adds a line; line ends in it become blanks.
    pub fn add(&mut self, line: impl AsRef<[u8]>) {
        if self.lines.len() > KEPT_BYTES_MAX {
            if !std::mem::replace(&mut self.overflowed, true) {
                self.push(b"<hint> More was printed than is kept until the script stops.");
            }
            return;
        }
        self.push(line.as_ref());
    }

    fn push(&mut self, line: &[u8]) {
        self.count += 1;
        self.lines.push(b'+');
        let blank = |&byte: &u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
        self.lines.extend(line.iter().map(blank));
        self.lines.extend_from_slice(b"\r\n");
    }

    /// Adds a line and cuts it; the first time this is necessary it is said how to have all.
    pub fn add_cut(&mut self, mut line: Vec<u8>) {
        let is_long = self.max_bytes > 0 && line.len() > self.max_bytes;
        if is_long {
            line.truncate(self.max_bytes);
            line.extend_from_slice(b" ...");
        }
        self.add(line);
        if is_long && !std::mem::replace(&mut self.hinted, true) {
            self.add("<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.");
        }
    }

    /// How much of a line is worth making: what is beyond will not be shown.
    pub fn wanted_bytes(&self) -> usize {
        match self.max_bytes {
            0 => LINE_BYTES_MAX,
            max => max.min(LINE_BYTES_MAX) + 1,
        }
    }

    /// Cuts lines at `bytes` from now on; 0 for never.
    pub fn set_max(&mut self, bytes: i64) {
        self.hinted = true;
        self.max_bytes = match bytes {
            0 => 0,
            bytes => usize::try_from(bytes).unwrap_or(0).max(LINE_BYTES_MIN),
        };
    }

    /// Says where lines are cut.
    pub fn tell_max(&mut self) {
        match self.max_bytes {
            0 => self.add("<value> replies are unlimited."),
            max => self.add(format!("<value> replies are truncated at {max} bytes.")),
        }
    }

    /// All lines as an array of status replies.
    pub fn take(&mut self) -> Vec<u8> {
        let mut array = format!("*{}\r\n", self.count).into_bytes();
        array.append(&mut self.lines);
        (self.count, self.overflowed) = (0, false);
        array
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sent_as_one_array() {
        let mut log = Log::new();
        log.add("a\r\nb");
        log.add("");
        assert_eq!(log.take(), b"*2\r\n+a  b\r\n+\r\n");
        assert_eq!(log.take(), b"*0\r\n");
    }

    #[test]
    fn long_lines_are_cut_and_the_first_time_it_is_said_how_they_are_not() {
        let mut log = Log::new();
        log.add_cut(vec![b'x'; 256]);
        assert_eq!(log.take().len(), 4 + 259);
        log.add_cut(vec![b'x'; 257]);
        log.add_cut(vec![b'x'; 300]);
        let sent = String::from_utf8(log.take()).expect("text");
        assert_eq!(sent.matches("x ...").count(), 2);
        assert_eq!(sent.matches("<hint>").count(), 1);
        for (wish, max) in [(10, 60), (-1, 60), (61, 61), (0, 0)] {
            log.set_max(wish);
            assert_eq!(log.max_bytes, max);
        }
        log.add_cut(vec![b'x'; 300]);
        assert!(!String::from_utf8_lossy(&log.take()).contains("..."));
    }

    #[test]
    fn what_is_printed_without_end_is_not_kept_without_end() {
        let mut log = Log::new();
        let line = vec![b'x'; 4 << 20];
        (0..10).for_each(|_| log.add(&line));
        assert!(log.lines.len() < KEPT_BYTES_MAX + (5 << 20));
        assert!(log.lines.ends_with(b"until the script stops.\r\n"));
        log.take();
        log.add("again");
        assert_eq!(log.take(), b"*1\r\n+again\r\n");
    }
}
