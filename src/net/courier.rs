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
//! A link that was kept may have been closed by its other end, so what fails without any key taken is tried once more on
//! a new one; not what took too long. Nothing here is fast or needs to be: a shipment is at least one round trip.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
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

/// A connection to a server.
struct Link {
    input: BufReader<TcpStream>,
    output: BufWriter<TcpStream>,
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
        let input = stream.try_clone().map_err(writing)?;
        Ok(Link {
            input: BufReader::new(input),
            output: BufWriter::with_capacity(64 * 1024, stream),
            db: None,
            used: Instant::now(),
        })
    }

    fn carry(&mut self, shipment: &Shipment) -> Result<Delivery, Trouble> {
        let stream = self.output.get_ref();
        stream
            .set_read_timeout(Some(shipment.patience))
            .map_err(reading)?;
        stream
            .set_write_timeout(Some(shipment.patience))
            .map_err(writing)?;
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
                self.output.flush().map_err(writing)?;
                answers.note(self.answer()?);
            }
            self.restore(parcel, shipment.replaces).map_err(writing)?;
        }
        self.output.flush().map_err(writing)?;
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
        self.send(words).map_err(writing)?;
        self.output.flush().map_err(writing)?;
        self.answer()
    }

    fn send<'a>(&mut self, words: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let words: Vec<_> = words.collect();
        let mut bytes = Vec::new();
        let mut request = Reply::new(&mut bytes, false);
        request.array(words.len());
        words.into_iter().for_each(|word| request.bulk(word));
        self.output.write_all(&bytes)
    }

    /// The next answer: the server took it, or why not.
    fn answer(&mut self) -> Result<Result<(), Failure>, Trouble> {
        let mut line = Vec::new();
        let mut input = (&mut self.input).take(LINE_BYTES_MAX);
        input.read_until(b'\n', &mut line).map_err(reading)?;
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

/// Tries the host's addresses in turn.
fn connect(shipment: &Shipment) -> io::Result<TcpStream> {
    let unusable = || io::Error::from(ErrorKind::InvalidInput);
    let host = std::str::from_utf8(&shipment.host).map_err(|_| unusable())?;
    let port = std::str::from_utf8(&shipment.port)
        .ok()
        .and_then(|port| port.parse().ok());
    let mut last = unusable();
    for address in (host, port.ok_or_else(unusable)?).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, shipment.patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
