//! Carries keys to other servers for MIGRATE, on a thread of its own.
//!
//! ```text
//!   Shipment ──> link to (host, port, login): kept, or connect ──> AUTH ──> SELECT ──> RESTORE RESTORE ... ──> Delivery
//!                      └── 10 s unused: closed
//! ```
//!
//! Nothing is sent to a server that has refused AUTH or SELECT. After that commands go out ahead of their answers, but
//! not by more than `AHEAD_MAX`: two servers that both only write would wait for each other for ever.
//!
//! Writes wait at home meanwhile, so nothing may take for ever. The caller's patience is that for one step: to connect, to
//! send a piece of `PIECE_BYTES`, to read one answer. A server that answers each time just before its end has no more than
//! that for all keys together but for an allowance for each (`Pace`).
//!
//! A link that was kept may have been closed by its other end, so what fails without any key taken is tried once more on
//! a new one; not what took too long. Nothing here is fast or needs to be: a shipment is at least one round trip.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::base::cpus::spawn_background;
use crate::exec::shipment::{Delivery, Failure, Login, Parcel, Report, Shipment};
use crate::resp::Reply;

/// How long an unused link is kept.
const KEPT: Duration = Duration::from_secs(10);

/// How many links are.
const LINKS_MAX: usize = 64;

/// Answers that may be under way: some 20 KiB when all is well.
const AHEAD_MAX: usize = 4096;

/// What is sent at once, and must be taken within the caller's patience.
const PIECE_BYTES: usize = 64 * 1024;

/// What each key adds to the time in which all must be answered, at least: a hundred of them, a second.
const ALLOWANCE_MIN: Duration = Duration::from_millis(10);

/// The longest answer; those to RESTORE are OK or an error.
const LINE_BYTES_MAX: u64 = 16 * 1024;

/// A shipment and who wants to hear of it.
type Job = (Shipment, Report);

/// The way to the thread, which starts with the first shipment.
#[derive(Default)]
pub struct Courier {
    jobs: Option<Sender<Job>>,
    links: Arc<AtomicUsize>,
}

impl Courier {
    /// Sends keys; `report` is called from the other thread.
    pub fn ship(&mut self, shipment: Shipment, report: Report) {
        let jobs = match self.jobs.take() {
            Some(jobs) => Ok(jobs),
            None => self.start(),
        };
        match jobs {
            Ok(jobs) => {
                // The thread ends after its jobs' sender alone.
                let _ = jobs.send((shipment, report));
                self.jobs = Some(jobs);
            }
            Err(error) => {
                tracing::warn!("No thread for MIGRATE: {error}");
                report(Delivery::failed(Failure::Connect));
            }
        }
    }

    /// How many links are kept.
    pub fn links(&self) -> usize {
        self.links.load(Ordering::Relaxed)
    }

    fn start(&self) -> io::Result<Sender<Job>> {
        let (jobs, work) = channel();
        let count = Arc::clone(&self.links);
        let rounds = move || run(&work, &count);
        spawn_background("migrate", rounds)?;
        Ok(jobs)
    }
}

/// Carries until nobody can ask any more.
fn run(jobs: &Receiver<Job>, count: &AtomicUsize) {
    let mut links = Links::default();
    loop {
        match links.next_job(jobs) {
            Ok((shipment, report)) => {
                let delivery = links.deliver(&shipment);
                count.store(links.0.len(), Ordering::Relaxed);
                report(delivery);
            }
            Err(RecvTimeoutError::Timeout) => {
                links.close_unused();
                count.store(links.0.len(), Ordering::Relaxed);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Whom a link leads to, and as whom: nobody is to use another's rights.
type Address = (Box<[u8]>, Box<[u8]>, Option<Login>);

/// The links that are kept.
#[derive(Default)]
struct Links(HashMap<Address, Link>);

impl Links {
    /// The next job, if one comes before a link has been kept for long enough.
    fn next_job(&self, jobs: &Receiver<Job>) -> Result<Job, RecvTimeoutError> {
        let oldest = self.0.values().map(|link| link.used).min();
        match oldest {
            Some(used) => jobs.recv_timeout(KEPT.saturating_sub(used.elapsed())),
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn close_unused(&mut self) {
        self.0.retain(|_, link| link.used.elapsed() < KEPT);
    }

    fn deliver(&mut self, shipment: &Shipment) -> Delivery {
        match self.attempt(shipment) {
            Err(trouble) if trouble.taken.is_empty() && !trouble.late => self.attempt(shipment),
            other => other,
        }
        .unwrap_or_else(Trouble::into_delivery)
    }

    /// One attempt; the link is kept unless it is in trouble.
    fn attempt(&mut self, shipment: &Shipment) -> Result<Delivery, Trouble> {
        let address = (
            shipment.host.clone(),
            shipment.port.clone(),
            shipment.login.clone(),
        );
        let mut link = match self.0.remove(&address) {
            Some(link) => link,
            None => Link::open(shipment)?,
        };
        let delivery = link.carry(shipment)?;
        self.keep(address, link);
        Ok(delivery)
    }

    fn keep(&mut self, address: Address, mut link: Link) {
        link.used = Instant::now();
        if self.0.len() >= LINKS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, link)| link.used);
            if let Some(oldest) = oldest.map(|(address, _)| address.clone()) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(address, link);
    }
}

/// A link that is of no use any more.
struct Trouble {
    failure: Failure,
    /// Time was up.
    late: bool,
    /// What is known of the parcels.
    taken: Vec<bool>,
    /// What the server has refused before.
    refused: Option<Failure>,
}

impl Trouble {
    fn new(failure: Failure, error: &io::Error) -> Trouble {
        Trouble {
            failure,
            late: matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            taken: Vec::new(),
            refused: None,
        }
    }

    fn into_delivery(self) -> Delivery {
        Delivery {
            taken: self.taken,
            failure: Some(self.refused.unwrap_or(self.failure)),
        }
    }
}

fn writing(error: io::Error) -> Trouble {
    Trouble::new(Failure::Write, &error)
}

fn reading(error: io::Error) -> Trouble {
    Trouble::new(Failure::Read, &error)
}

/// A stream that gives up at a time, however much or little goes through it until then.
struct Paced {
    stream: TcpStream,
    until: Instant,
}

impl Paced {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(left)
    }

    /// Sends all of it within `patience`.
    fn send(&mut self, piece: &[u8], patience: Duration) -> io::Result<()> {
        self.until = Instant::now() + patience;
        self.write_all(piece)
    }
}

impl Read for Paced {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(out)
    }
}

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long answers may take: each by itself, as in Redis, and all together.
struct Pace {
    patience: Duration,
    /// Time the server has had for answers so far, and how much it may have.
    spent: Duration,
    granted: Duration,
}

impl Pace {
    fn new(patience: Duration) -> Pace {
        Pace {
            patience,
            spent: Duration::ZERO,
            granted: patience,
        }
    }

    /// A key of that size adds its allowance: at least a hundredth of what one answer may take, all of it for a piece.
    fn grant(&mut self, bytes: usize) {
        let pieces = u32::try_from(bytes / PIECE_BYTES).unwrap_or(u32::MAX);
        let allowance = (self.patience / 100).max(ALLOWANCE_MIN);
        let more = allowance.max(self.patience.saturating_mul(pieces));
        self.granted = self.granted.saturating_add(more);
    }

    /// What is asked before adds the time of a whole answer.
    fn grant_answer(&mut self) {
        self.granted = self.granted.saturating_add(self.patience);
    }

    /// How long the next answer may take.
    fn next(&self) -> Duration {
        self.patience.min(self.granted.saturating_sub(self.spent))
    }
}

/// A connection to a server.
struct Link {
    input: BufReader<Paced>,
    output: Paced,
    /// What is to be sent, less than a piece.
    unsent: Vec<u8>,
    pace: Pace,
    /// The database selected.
    db: Option<i64>,
    used: Instant,
}

impl Link {
    fn open(shipment: &Shipment) -> Result<Link, Trouble> {
        let stream = connect(shipment).map_err(|error| {
            // Compat: Redis learns that nobody listens when it first writes.
            let refused = error.kind() == ErrorKind::ConnectionRefused;
            let failure = if refused { Failure::Write } else { Failure::Connect };
            let late = !refused;
            Trouble {
                late,
                ..Trouble::new(failure, &error)
            }
        })?;
        // A server far away answers a little later without it.
        let _ = stream.set_nodelay(true);
        let paced = |stream| Paced {
            stream,
            until: Instant::now(),
        };
        Ok(Link {
            input: BufReader::new(paced(stream.try_clone().map_err(writing)?)),
            output: paced(stream),
            unsent: Vec::new(),
            pace: Pace::new(shipment.patience),
            db: None,
            used: Instant::now(),
        })
    }

    fn carry(&mut self, shipment: &Shipment) -> Result<Delivery, Trouble> {
        self.pace = Pace::new(shipment.patience);
        if let Err(refused) = self.introduce(shipment)? {
            return Ok(Delivery::failed(refused));
        }
        let mut answers = Answers::default();
        self.hand_over(shipment, &mut answers)
            .map_err(|trouble| Trouble {
                taken: answers.taken.clone(),
                refused: answers.refused.clone(),
                ..trouble
            })?;
        Ok(Delivery {
            taken: answers.taken,
            failure: answers.refused,
        })
    }

    /// AUTH, each time, for the password may have changed; and SELECT if that is another database than the last.
    fn introduce(&mut self, shipment: &Shipment) -> Result<Result<(), Failure>, Trouble> {
        if let Some(login) = &shipment.login {
            let user = login.user.as_deref();
            let words = [Some(&b"AUTH"[..]), user, Some(&login.password)];
            if let Err(refused) = self.ask(words.into_iter().flatten())? {
                return Ok(Err(refused));
            }
        }
        if self.db != Some(shipment.db) {
            self.db = None;
            let db = shipment.db.to_string();
            if let Err(refused) = self.ask([&b"SELECT"[..], db.as_bytes()].into_iter())? {
                return Ok(Err(refused));
            }
            self.db = Some(shipment.db);
        }
        Ok(Ok(()))
    }

    fn hand_over(&mut self, shipment: &Shipment, answers: &mut Answers) -> Result<(), Trouble> {
        for (sent, parcel) in shipment.parcels.iter().enumerate() {
            if sent - answers.taken.len() >= AHEAD_MAX {
                self.flush().map_err(writing)?;
                answers.note(self.answer()?);
            }
            self.pace.grant(parcel.payload.len());
            self.restore(parcel, shipment.replaces).map_err(writing)?;
        }
        self.flush().map_err(writing)?;
        while answers.taken.len() < shipment.parcels.len() {
            answers.note(self.answer()?);
        }
        Ok(())
    }

    fn restore(&mut self, parcel: &Parcel, replaces: bool) -> io::Result<()> {
        let ttl = parcel.ttl_ms.to_string();
        let words = [&b"RESTORE"[..], &parcel.key, ttl.as_bytes(), &parcel.payload];
        let replace = replaces.then_some(&b"REPLACE"[..]);
        self.send(words.into_iter().chain(replace))
    }

    fn ask<'a>(&mut self, words: impl Iterator<Item = &'a [u8]>) -> Result<Result<(), Failure>, Trouble> {
        self.pace.grant_answer();
        self.send(words).map_err(writing)?;
        self.flush().map_err(writing)?;
        self.answer()
    }

    fn send<'a>(&mut self, words: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let words: Vec<_> = words.collect();
        let mut request = Reply::new(&mut self.unsent, false);
        request.array(words.len());
        words.into_iter().for_each(|word| request.bulk(word));
        let whole = self.unsent.len() - self.unsent.len() % PIECE_BYTES;
        for piece in self.unsent[..whole].chunks(PIECE_BYTES) {
            self.output.send(piece, self.pace.patience)?;
        }
        self.unsent.drain(..whole);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.send(&self.unsent, self.pace.patience)?;
        self.unsent.clear();
        Ok(())
    }

    /// The next answer: the server took it, or why not.
    fn answer(&mut self) -> Result<Result<(), Failure>, Trouble> {
        let (mut line, started) = (Vec::new(), Instant::now());
        self.input.get_mut().until = started + self.pace.next();
        let mut input = (&mut self.input).take(LINE_BYTES_MAX);
        let read = input.read_until(b'\n', &mut line);
        self.pace.spent += started.elapsed();
        read.map_err(reading)?;
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return Err(reading(ErrorKind::UnexpectedEof.into()));
        };
        Ok(match text.strip_prefix(b"-") {
            Some(error) => Err(Failure::Refused(error.to_vec())),
            None => Ok(()),
        })
    }
}

/// What the server has said of the parcels so far.
#[derive(Default)]
struct Answers {
    taken: Vec<bool>,
    /// The first error.
    refused: Option<Failure>,
}

impl Answers {
    fn note(&mut self, answer: Result<(), Failure>) {
        self.taken.push(answer.is_ok());
        self.refused = self.refused.take().or(answer.err());
    }
}

/// Tries the host's addresses in turn, all of them within one wait.
fn connect(shipment: &Shipment) -> io::Result<TcpStream> {
    let unusable = || io::Error::from(ErrorKind::InvalidInput);
    let host = std::str::from_utf8(&shipment.host).map_err(|_| unusable())?;
    let port = std::str::from_utf8(&shipment.port)
        .ok()
        .and_then(|port| port.parse().ok());
    let mut last = unusable();
    let addresses = (host, port.ok_or_else(unusable)?).to_socket_addrs()?;
    let until = Instant::now() + shipment.patience;
    for address in addresses {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    #[test]
    fn all_answers_together_have_little_more_time_than_one() {
        let mut pace = Pace::new(PATIENCE);
        (0..10).for_each(|_| pace.grant(100));
        let mut answers = 0;
        while !pace.next().is_zero() {
            // Just in time, again and again.
            pace.spent += PATIENCE.min(pace.next());
            answers += 1;
        }
        assert_eq!((answers, pace.spent), (2, PATIENCE + ALLOWANCE_MIN * 10));
    }

    #[test]
    fn what_is_large_may_take_longer() {
        let mut pace = Pace::new(PATIENCE);
        pace.grant(PIECE_BYTES * 50);
        assert_eq!(pace.granted, PATIENCE * 51);
        assert_eq!(pace.next(), PATIENCE, "but each answer is an answer");
        pace.grant(usize::MAX);
        pace.grant(usize::MAX);
    }

    #[test]
    fn a_piece_that_is_taken_in_drops_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (mut other, _) = listener.accept().expect("just connected");
        std::thread::spawn(move || {
            let mut drop = [0; 512];
            while other.read(&mut drop).is_ok_and(|count| count > 0) {
                std::thread::sleep(PATIENCE / 8);
            }
        });
        let mut paced = Paced {
            stream,
            until: Instant::now(),
        };
        let started = Instant::now();
        // More than the system buffers for both ends.
        let failed = paced.send(&vec![0; 32 << 20], PATIENCE).expect_err("too slow");
        assert!(matches!(
            failed.kind(),
            ErrorKind::TimedOut | ErrorKind::WouldBlock
        ));
        assert!(started.elapsed() >= PATIENCE);
    }
}
