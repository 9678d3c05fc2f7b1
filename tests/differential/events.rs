//! Keyspace notifications: the same random commands to both servers, event stream against event stream.
//!
//! ```text
//! command, PUBLISH mark ──> Russet       ──> subscriber: set a, expire a, mark ──┐
//!                      └──> redis-server ──> subscriber: set a, expire a, mark ──┴─> same?
//! ```
//!
//! Both run as programs, since a subscriber needs a connection. What a command chose by chance is removed after it. Some
//! keys are served to a client that waits for them.

use std::path::Path;
use std::time::Duration;

use russet::base::rng::Rng;
use russet::resp::value::Value;

use crate::server::{Connection, Theirs};
use crate::words::{self, Words};
use crate::{Run, block, number_from};

const MARK: &[u8] = b"mark";
const UNITS: usize = 120;
const DIFFERENCES_MAX: usize = 10;

/// What is done between two marks.
#[derive(Clone, Debug)]
pub enum Unit {
    Run(Vec<Words>),
    /// The first, which waits, on a connection of its own; then the others.
    Serve(Words, Vec<Words>),
}

/// One server under observation.
pub struct Watched {
    server: Theirs,
    commands: Connection,
    waiting: Connection,
    events: Connection,
}

#[test]
fn random_commands_send_the_events_of_the_reference() {
    let Some(theirs) = Theirs::reference() else {
        return;
    };
    let ours = Theirs::start(Path::new(env!("CARGO_BIN_EXE_russet-server")));
    let mut both = [ours.expect("our own program starts"), theirs].map(Watched::over);
    let run = Run::new(Theirs::reference().expect("it has just started"));
    let (commands, seed) = (number_from("DIFF_EVENTS", 10_000), number_from("DIFF_SEED", 1));
    let mut found = 0;
    for episode in (seed..).take(commands.div_ceil(UNITS as u64) as usize) {
        let units = draw_episode(&run, episode);
        if play(&mut both, &units).is_none() {
            continue;
        }
        // The two read their clocks at different moments, and a time may pass between: that does not come again.
        let Some(difference) = play(&mut both, &units) else {
            eprintln!("seed {episode}: a difference that did not come again");
            continue;
        };
        let difference = shorten(&mut both, units, difference);
        eprintln!("seed {episode}\n{difference}");
        found += 1;
        if found == DIFFERENCES_MAX {
            break;
        }
    }
    assert_eq!(found, 0, "differences");
}

/// What an episode does.
pub fn draw_episode(run: &Run, seed: u64) -> Vec<Unit> {
    let mut rng = Rng::seeded(seed);
    (0..UNITS).map(|_| draw(run, &mut rng)).collect()
}

fn draw(run: &Run, rng: &mut Rng) -> Unit {
    let fit = |rng: &mut Rng| {
        let words = run
            .draw_commands(rng)
            .into_iter()
            .filter(|words| !is_unfit(words));
        words
            .flat_map(|words| {
                let before = burial(&words).or_else(|| claimant(&words));
                before.into_iter().chain([words])
            })
            .collect::<Vec<Words>>()
    };
    match rng.below(20) {
        0 => {
            let wait = words::draw("key", rng);
            Unit::Run(vec![vec![b"pexpire".to_vec(), wait, b"1".to_vec()]])
        }
        1 => Unit::Serve(draw_wait(rng), vec![draw_push(rng)]),
        2 => Unit::Run(block::draw(rng, fit)),
        _ => {
            let commands = fit(rng);
            let mut commands: Vec<Words> = commands.into_iter().flat_map(without_waiting).collect();
            commands.extend(commands.last().and_then(forget_chance));
            Unit::Run(commands)
        }
    }
}

/// What changes a connection, or differs from version to version.
fn is_unfit(words: &Words) -> bool {
    const UNFIT: &[&[u8]] = &[
        b"client",
        b"config",
        b"debug",
        b"hello",
        b"auth",
        b"quit",
        b"reset",
        b"monitor",
        b"publish",
        b"subscribe",
        b"psubscribe",
        b"ssubscribe",
        b"spublish",
        b"multi",
        b"exec",
        b"discard",
        b"shutdown",
        b"save",
        b"bgsave",
        b"bgrewriteaof",
        b"acl",
        b"replicaof",
        b"slaveof",
        b"failover",
        b"sync",
        b"psync",
        b"command",
        // Which looks for the key before it reads the rest of the words.
        b"bitcount",
        b"bitpos",
    ];
    // Where every write is refused for overflow, Redis makes the string longer and tells nobody.
    let refuses = words[0].eq_ignore_ascii_case(b"bitfield")
        && words.iter().any(|word| word.eq_ignore_ascii_case(b"fail"));
    // Redis 7.0 does not know it as an id.
    let reads_last =
        words[0].to_ascii_lowercase().starts_with(b"xread") && words.iter().any(|word| word == b"+");
    refuses || reads_last || UNFIT.contains(&words[0].to_ascii_lowercase().as_slice())
}

/// As it stands, or in a transaction, where nothing waits.
fn without_waiting(words: Words) -> Vec<Words> {
    const WAITING: &[&[u8]] = &[
        b"blpop",
        b"brpop",
        b"blmove",
        b"brpoplpush",
        b"blmpop",
        b"bzpopmin",
        b"bzpopmax",
        b"bzmpop",
        b"xread",
        b"xreadgroup",
        b"wait",
        b"waitaof",
    ];
    if WAITING.contains(&words[0].to_ascii_lowercase().as_slice()) {
        vec![vec![b"multi".to_vec()], words, vec![b"exec".to_vec()]]
    } else {
        vec![words]
    }
}

/// A destination past its time that gets nothing: Redis deletes it, Russet lets it expire.
fn burial(words: &Words) -> Option<Words> {
    let combines = words[0].eq_ignore_ascii_case(b"bitop");
    let stores = combines || words[0].to_ascii_lowercase().ends_with(b"store");
    let place = words.get(if combines { 2 } else { 1 })?;
    stores.then(|| vec![b"exists".to_vec(), place.clone()])
}

/// Who claims is there before: Redis 7.0 makes a consumer only of one that gets something.
fn claimant(words: &Words) -> Option<Words> {
    let claims = [b"xclaim".as_slice(), b"xautoclaim"]
        .iter()
        .any(|name| words[0].eq_ignore_ascii_case(name));
    let whom = words.get(1..4)?;
    let begin = [b"xgroup".to_vec(), b"createconsumer".to_vec()];
    claims.then(|| begin.into_iter().chain(whom.iter().cloned()).collect())
}

/// The key of a command that takes what it likes goes.
fn forget_chance(words: &Words) -> Option<Words> {
    let is_chance = words[0].eq_ignore_ascii_case(b"spop");
    (is_chance && words.len() > 1).then(|| vec![b"del".to_vec(), words[1].clone()])
}

fn text(line: &str) -> Words {
    line.split_whitespace()
        .map(|word| word.as_bytes().to_vec())
        .collect()
}

fn pick<'a>(choices: &[&'a str], rng: &mut Rng) -> &'a str {
    choices[rng.index(choices.len())]
}

fn draw_wait(rng: &mut Rng) -> Words {
    text(pick(
        &[
            "BLPOP w1 w2 0",
            "BRPOP w1 w2 0",
            "BLMOVE w1 w3 LEFT RIGHT 0",
            "BRPOPLPUSH w1 w1 0",
            "BLMPOP 0 2 w1 w2 LEFT COUNT 2",
            "BZPOPMIN w1 w2 0",
            "BZPOPMAX w1 0",
            "BZMPOP 0 1 w1 MIN COUNT 3",
            "XREAD BLOCK 0 STREAMS w1 $",
        ],
        rng,
    ))
}

fn draw_push(rng: &mut Rng) -> Words {
    text(pick(
        &[
            "LPUSH w1 a",
            "RPUSH w1 a b c",
            "RPUSH w2 a b",
            "ZADD w1 1 a 2 b",
            "ZADD w2 1 a",
            "XADD w1 1-1 f v",
            "SET w1 v",
            "SADD w1 m",
            "EVAL return{redis.call('rpush','w1','a','b'),redis.call('rpush','w2','c')} 0",
            "EVAL return{redis.call('zadd','w1',1,'a'),redis.call('del','w1')} 0",
        ],
        rng,
    ))
}

impl Watched {
    /// Observes a server.
    pub fn over(server: Theirs) -> Watched {
        let mut watched = Watched {
            commands: server.open(),
            waiting: server.open(),
            events: server.open(),
            server,
        };
        watched
            .commands
            .ask(&[b"config", b"set", b"notify-keyspace-events", b"KEAmn"]);
        watched.events.ask(&[b"psubscribe", b"__key*"]);
        watched.events.ask(&[b"subscribe", MARK]);
        watched
    }

    /// One more connection to it.
    pub fn open(&self) -> Connection {
        self.server.open()
    }

    /// Empties it.
    pub fn restart(&mut self) {
        self.commands = self.server.open();
        self.waiting = self.server.open();
        for forget in [
            &[&b"flushall"[..]][..],
            &[b"function", b"flush"],
            &[b"script", b"flush"],
        ] {
            self.commands.ask(forget);
        }
        self.mark();
    }

    /// The replies, and the events up to here.
    pub fn play(&mut self, unit: &Unit) -> (Vec<String>, Vec<String>) {
        let run = |commands: &mut Connection, all: &[Words]| -> Vec<String> {
            let ask = |words: &Words| {
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                commands.ask(&words).to_string()
            };
            all.iter().map(ask).collect()
        };
        let replies = match unit {
            Unit::Run(commands) => run(&mut self.commands, commands),
            Unit::Serve(wait, commands) => {
                self.waiting.send(wait);
                std::thread::sleep(Duration::from_millis(4));
                self.until_it_waits_or_not();
                let replies = run(&mut self.commands, commands);
                // Whoever still waits has had its turn.
                self.waiting = self.server.open();
                self.until_nobody_waits();
                run(&mut self.commands, &[text("DEL w1 w2 w3")]);
                replies
            }
        };
        if matches!(unit, Unit::Run(all) if all.iter().any(|words| words[0] == b"pexpire")) {
            std::thread::sleep(Duration::from_millis(4));
        }
        (replies, self.mark())
    }

    /// A round trip of the waiting connection's server: what was sent before has been read.
    fn until_it_waits_or_not(&mut self) {
        for _ in 0..20 {
            if self.waiting_clients() == 1 {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn until_nobody_waits(&mut self) {
        while self.waiting_clients() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn waiting_clients(&mut self) -> u64 {
        let info = self.commands.ask(&[b"info", b"clients"]).to_string();
        let (_, rest) = info.split_once("blocked_clients:").expect("INFO counts them");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("digits")
    }

    /// All events so far.
    fn mark(&mut self) -> Vec<String> {
        self.commands.ask(&[b"publish", MARK, b""]);
        let mut events = Vec::new();
        loop {
            let (message, _) = self.events.receive().expect("a message");
            let Value::Array(parts) = message else {
                panic!("a message: {message}");
            };
            if parts[0] == Value::Bulk(b"message".to_vec()) {
                return events;
            }
            let shown = parts[2..].iter().map(Value::to_string);
            events.push(shown.collect::<Vec<_>>().join(" "));
        }
    }
}

/// The first difference, and the units up to it.
struct Difference {
    count: usize,
    shown: String,
}

fn play(both: &mut [Watched; 2], units: &[Unit]) -> Option<Difference> {
    both.iter_mut().for_each(Watched::restart);
    for (index, unit) in units.iter().enumerate() {
        let [mut ours, mut theirs] = [0, 1].map(|side| both[side].play(unit));
        if unit.looks_up_in_any_order() {
            ours.1.sort_unstable();
            theirs.1.sort_unstable();
        }
        if ours.1 != theirs.1 {
            let shown = format!(
                "ours    {:?} {:?}\ntheirs  {:?} {:?}",
                ours.1, ours.0, theirs.1, theirs.0
            );
            return Some(Difference {
                count: index + 1,
                shown,
            });
        }
    }
    None
}

/// Leaves out units as long as the last shows a difference.
fn shorten(both: &mut [Watched; 2], mut units: Vec<Unit>, mut difference: Difference) -> String {
    units.truncate(difference.count);
    let mut chunk = units.len() / 2;
    while chunk > 0 {
        let mut from = 0;
        while from + chunk < units.len() {
            let mut fewer = units.clone();
            fewer.drain(from..from + chunk);
            match play(both, &fewer) {
                Some(found) => {
                    fewer.truncate(found.count);
                    (units, difference) = (fewer, found);
                }
                None => from += chunk,
            }
        }
        chunk /= 2;
    }
    let lines: Vec<String> = units.iter().map(Unit::show).collect();
    format!("{}\n{}", lines.join("\n"), difference.shown)
}

impl Unit {
    /// SORT looks up weights in the order of its elements, and those of a table have none.
    fn looks_up_in_any_order(&self) -> bool {
        let sorts = |words: &Words| words[0].to_ascii_lowercase().starts_with(b"sort");
        matches!(self, Unit::Run(all) if all.iter().any(sorts))
    }

    /// As one line.
    pub fn show(&self) -> String {
        let line = |words: &Words| {
            let words = words.iter().map(|word| word.escape_ascii().to_string());
            words.collect::<Vec<_>>().join(" ")
        };
        let lines = |all: &[Words]| all.iter().map(line).collect::<Vec<_>>().join(" ; ");
        match self {
            Unit::Run(all) => format!("  {}", lines(all)),
            Unit::Serve(wait, all) => format!("  ({}) {}", line(wait), lines(all)),
        }
    }
}
