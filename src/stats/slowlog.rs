//! The slow log: the newest commands that took too long (SLOWLOG).
//!
//! I1  At most `max_len` entries, newest first.
//! I2  An entry holds at most `ARGS_MAX` arguments of at most `ARG_BYTES_MAX` bytes and a note of what was
//!     cut, so one costs at most about 5 KiB whatever the command was.
//! Cost: `is_slow` is two compares; only a slow command pays for its copy.
//! Not here: redaction of passwords; the caller passes the arguments it is willing to show.

use std::collections::VecDeque;

/// Arguments kept per entry, the note about the rest included.
pub const ARGS_MAX: usize = 32;
/// Bytes kept of one argument.
pub const ARG_BYTES_MAX: usize = 128;

/// One slow command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Never given twice, not even after SLOWLOG RESET.
    pub id: u64,
    /// When it was logged, in seconds since 1970.
    pub unix_s: i64,
    /// How long it ran.
    pub duration_us: u64,
    /// The command and its arguments, cut to size.
    pub args: Vec<Box<[u8]>>,
    /// Address of the client, `ip:port`.
    pub client_addr: Box<[u8]>,
    /// Name of the client; empty when it has none.
    pub client_name: Box<[u8]>,
}

/// Who ran a command.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// `ip:port`.
    pub addr: &'a [u8],
    /// As given by CLIENT SETNAME, or empty.
    pub name: &'a [u8],
}

/// The log with its two limits.
#[derive(Debug)]
pub struct SlowLog {
    entries: VecDeque<Entry>,
    next_id: u64,
    slower_than_us: i64,
    len_max: usize,
}

impl Default for SlowLog {
    fn default() -> Self {
        Self::new(10_000, 128)
    }
}

impl SlowLog {
    /// An empty log with `slowlog-log-slower-than` (negative: off) and `slowlog-max-len` (0: off).
    pub fn new(slower_than_us: i64, len_max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            next_id: 0,
            slower_than_us,
            len_max,
        }
    }

    /// Applies both directives. Entries beyond a smaller length go, unless the log is off: then they stay to
    /// be read.
    pub fn set_limits(&mut self, slower_than_us: i64, len_max: usize) {
        (self.slower_than_us, self.len_max) = (slower_than_us, len_max);
        if self.is_enabled() {
            self.entries.truncate(len_max);
        }
    }

    /// Whether anything is logged at all.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.slower_than_us >= 0 && self.len_max != 0
    }

    /// Whether a command of this duration belongs in the log.
    #[inline]
    pub fn is_slow(&self, duration_us: u64) -> bool {
        self.is_enabled() && duration_us >= self.slower_than_us.unsigned_abs()
    }

    /// Logs a command for which `is_slow` said yes, pushing out the oldest; one that is not slow is ignored.
    pub fn push<'a>(
        &mut self,
        unix_s: i64,
        duration_us: u64,
        args: impl ExactSizeIterator<Item = &'a [u8]>,
        client: Client<'_>,
    ) {
        if !self.is_slow(duration_us) {
            return;
        }
        self.entries.truncate(self.len_max - 1);
        self.entries.push_front(Entry {
            id: self.next_id,
            unix_s,
            duration_us,
            args: cut_args(args),
            client_addr: client.addr.into(),
            client_name: client.name.into(),
        });
        self.next_id += 1;
    }

    /// Shows `arg`, cut by [`cut_arg`] before the command took it over, as word `index` of the newest entry.
    pub fn amend(&mut self, index: usize, arg: &[u8]) {
        // A log that is off keeps old entries, and none of them is this command's.
        let newest = self
            .entries
            .front_mut()
            .filter(|_| self.slower_than_us >= 0 && self.len_max != 0);
        if let Some(shown) = newest.and_then(|entry| entry.args.get_mut(index)) {
            *shown = arg.into();
        }
    }

    /// The newest `count` entries, newest first; None for all.
    pub fn get(&self, count: Option<usize>) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter().take(count.unwrap_or(usize::MAX))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets all entries; ids go on counting.
    pub fn reset(&mut self) {
        self.entries.clear();
    }
}

fn cut_args<'a>(args: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Box<[u8]>> {
    let count = args.len();
    if count <= ARGS_MAX {
        return args.map(cut_arg).collect();
    }
    let mut kept: Vec<_> = args.take(ARGS_MAX - 1).map(cut_arg).collect();
    kept.push(
        format!("... ({} more arguments)", count - kept.len())
            .into_bytes()
            .into(),
    );
    kept
}

/// An argument as the log shows it: its beginning, and how much more there was.
pub fn cut_arg(arg: &[u8]) -> Box<[u8]> {
    match arg.split_at_checked(ARG_BYTES_MAX) {
        None | Some((_, [])) => arg.into(),
        Some((kept, rest)) => [kept, format!("... ({} more bytes)", rest.len()).as_bytes()]
            .concat()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLIENT: Client<'_> = Client {
        addr: b"127.0.0.1:5000",
        name: b"me",
    };

    fn push(log: &mut SlowLog, duration_us: u64, args: &[&[u8]]) {
        log.push(1_700_000_000, duration_us, args.iter().copied(), CLIENT);
    }

    fn ids(log: &SlowLog, count: Option<usize>) -> Vec<u64> {
        log.get(count).map(|entry| entry.id).collect()
    }

    #[test]
    fn what_a_command_took_over_is_shown_in_its_own_entry_only() {
        let mut log = SlowLog::new(0, 2);
        push(&mut log, 1, &[b"set", b"k", b""]);
        log.amend(2, &cut_arg(&[b'v'; 130]));
        log.amend(3, b"no such word");
        let expected = ["v".repeat(128).as_bytes(), b"... (2 more bytes)"].concat();
        assert_eq!(*log.get(None).next().unwrap().args[2], *expected);
        log.set_limits(-1, 2);
        log.amend(2, b"of another command");
        assert_eq!(*log.get(None).next().unwrap().args[2], *expected);
    }

    #[test]
    fn only_slow_commands_are_logged() {
        let mut log = SlowLog::new(100, 10);
        push(&mut log, 99, &[b"ping"]);
        push(&mut log, 100, &[b"debug", b"sleep"]);
        let entry = log.get(None).next().expect("one was slow").clone();
        assert_eq!(
            (log.len(), entry.id, entry.duration_us, entry.unix_s),
            (1, 0, 100, 1_700_000_000)
        );
        assert_eq!(
            entry.args,
            [Box::from(*b"debug") as Box<[u8]>, Box::from(*b"sleep")]
        );
        assert_eq!(
            (&*entry.client_addr, &*entry.client_name),
            (CLIENT.addr, CLIENT.name)
        );
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let mut log = SlowLog::new(0, 3);
        (0..5).for_each(|_| push(&mut log, 1, &[b"x"]));
        assert_eq!(ids(&log, None), [4, 3, 2]);
        assert_eq!(ids(&log, Some(2)), [4, 3]);
        assert_eq!(ids(&log, Some(0)), []);
        assert_eq!(ids(&log, Some(20)).len(), 3);
    }

    #[test]
    fn ids_go_on_after_reset() {
        let mut log = SlowLog::new(0, 3);
        push(&mut log, 1, &[b"x"]);
        log.reset();
        assert!(log.is_empty());
        push(&mut log, 1, &[b"x"]);
        assert_eq!(ids(&log, None), [1]);
    }

    #[test]
    fn negative_threshold_or_zero_length_switches_it_off() {
        for (slower_than_us, len_max) in [(-1, 10), (0, 0)] {
            let mut log = SlowLog::new(slower_than_us, len_max);
            push(&mut log, u64::MAX, &[b"x"]);
            assert!(log.is_empty());
        }
    }

    #[test]
    fn shrinking_drops_the_oldest_but_switching_off_keeps_all() {
        let mut log = SlowLog::new(0, 5);
        (0..5).for_each(|_| push(&mut log, 1, &[b"x"]));
        log.set_limits(-1, 5);
        assert_eq!(log.len(), 5);
        log.set_limits(0, 2);
        assert_eq!(ids(&log, None), [4, 3]);
        log.set_limits(0, 0);
        assert_eq!(log.len(), 2);
    }

    #[test]
    fn too_many_arguments_end_in_a_note() {
        let args: Vec<Vec<u8>> = (0..33).map(|i| i.to_string().into_bytes()).collect();
        let cut = cut_args(args.iter().map(Vec::as_slice));
        assert_eq!(cut.len(), 32);
        assert_eq!(&*cut[30], b"30");
        assert_eq!(&*cut[31], b"... (2 more arguments)");
        assert_eq!(cut_args(args[..32].iter().map(Vec::as_slice)).len(), 32);
    }

    #[test]
    fn a_long_argument_ends_in_a_note() {
        assert_eq!(&*cut_arg(&[b'A'; 128]), &[b'A'; 128]);
        assert_eq!(
            &*cut_arg(&[b'A'; 129]),
            [&[b'A'; 128][..], b"... (1 more bytes)"].concat()
        );
    }

    proptest! {
        #[test]
        fn entries_stay_small(sizes in proptest::collection::vec(0usize..400, 0..80)) {
            let args: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![b'x'; size]).collect();
            let cut = cut_args(args.iter().map(Vec::as_slice));
            prop_assert_eq!(cut.len(), sizes.len().min(ARGS_MAX));
            prop_assert!(cut.iter().all(|arg| arg.len() < ARG_BYTES_MAX + 40));
        }
    }
}
