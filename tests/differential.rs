//! Differential test: the same random commands to Russet and to a real `redis-server`, reply against reply.
//!
//! ```text
//! seed ──> episode: some hundred steps over three connections ──> Russet, in this process ──> reply ──┐
//!                                                            └──> redis-server, pipelined ──> reply ──┴─> same?
//! ```
//!
//! Each episode starts from empty servers and comes from its own seed alone. One that ends in a difference is shortened
//! by leaving out steps as long as the last replies still differ, and printed in redis-cli quoting.
//!
//! To run for longer: `DIFF_COMMANDS=1000000 DIFF_SEED=1000 cargo test --test differential -- --nocapture`.
//! `DIFF_COMMANDS` commands are sent (200000), from `DIFF_SEED` on (1). Without a `redis-server` in PATH, and with one newer than 7.4, nothing is run.
//! What is not here: protocol errors, and commands that make a connection wait or close.

#[path = "differential/block.rs"]
mod block;
#[path = "differential/compare.rs"]
mod compare;
#[path = "differential/events.rs"]
mod events;
#[path = "differential/grammar.rs"]
mod grammar;
#[path = "differential/log.rs"]
mod log;
mod programs;
#[path = "differential/server.rs"]
mod server;
#[path = "differential/words.rs"]
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use russet::base::quote::repr;
use russet::base::rng::Rng;
use russet::command::row::{Flags, Group};
use russet::resp::value::{Value, parse_value};

use grammar::Shape;
use server::{Ours, Theirs};
use words::Words;

const CONNECTIONS: usize = 3;
const STEPS: usize = 400;
/// Longest pipeline.
const PIPELINE_MAX: usize = 64;
/// Differences after which a run ends.
const DIFFERENCES_MAX: usize = 10;

/// What an episode consists of.
#[derive(Clone, Debug)]
enum Step {
    Send(usize, Words),
    /// A key gets a millisecond to live, and that passes.
    Kill(usize, Words),
}

/// A reply unlike the reference's.
struct Difference {
    /// Steps up to the one that shows it.
    steps: Vec<Step>,
    ours: String,
    theirs: String,
}

#[test]
fn random_commands_get_the_replies_of_the_reference() {
    let Some(theirs) = Theirs::reference() else {
        return;
    };
    let commands = number_from("DIFF_COMMANDS", 200_000);
    let seed = number_from("DIFF_SEED", 1);
    let mut run = Run::new(theirs);
    let mut found = 0;
    for episode in (seed..).take(commands.div_ceil(STEPS as u64) as usize) {
        let steps = run.draw_episode(episode);
        if let Some(difference) = run.play(&steps) {
            let difference = run.shorten(difference);
            // At once: a long run may be cut short.
            eprintln!("seed {episode}\n{}", difference.report());
            found += 1;
        }
        if found == DIFFERENCES_MAX {
            break;
        }
    }
    eprintln!("excused: {:#?}", run.excused);
    assert_eq!(found, 0, "differences");
}

#[test]
fn every_command_on_strings_and_bitmaps_has_a_shape() {
    let shapes = include_str!("differential/commands.txt").to_lowercase();
    let words: Vec<&str> = shapes.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let ours = Ours::new(0);
    for command in ours.executor.table().all() {
        let is_ours = matches!(
            command.row.group,
            Group::String | Group::Bitmap | Group::Hyperloglog | Group::Geo
        ) && !command.row.flags.contains(Flags::SYSCMD);
        let name = command.row.name;
        assert!(
            !is_ours || words.contains(&name),
            "{name} has no line in commands.txt"
        );
    }
}

fn number_from(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).unwrap_or_default();
    text.parse().unwrap_or(default)
}

struct Run {
    theirs: Theirs,
    shapes: Vec<Shape>,
    /// Commands only one of the two knows, or that end a connection.
    closed: Vec<Vec<u8>>,
    /// What the connections have queued behind MULTI.
    queues: block::Queues,
    /// How often each known difference was met.
    excused: BTreeMap<&'static str, u64>,
}

impl Run {
    fn new(theirs: Theirs) -> Run {
        let ours = Ours::new(0);
        let is_missing = |name: &Vec<u8>| ours.executor.table().find(name).is_none();
        let mut closed: Vec<Vec<u8>> = theirs
            .commands
            .iter()
            .filter(|name| is_missing(name))
            .cloned()
            .collect();
        closed.extend([b"quit", b"monitor".as_slice(), b"shutdown"].map(<[u8]>::to_vec));
        Run {
            theirs,
            shapes: grammar::parse(include_str!("differential/commands.txt")),
            closed,
            queues: block::Queues::default(),
            excused: BTreeMap::new(),
        }
    }

    fn draw_episode(&self, seed: u64) -> Vec<Step> {
        let mut rng = Rng::seeded(seed);
        let mut steps = vec![Step::Send(2, vec![b"hello".to_vec(), b"3".to_vec()])];
        let mut connection = 0;
        while steps.len() < STEPS {
            if rng.below(30) == 0 {
                connection = rng.index(CONNECTIONS);
            }
            match rng.below(200) {
                0 => steps.push(kill_a_key(connection, &mut rng)),
                1..6 => {
                    let block = block::draw(&mut rng, |rng| self.draw_commands(rng));
                    steps.extend(block.into_iter().map(|words| Step::Send(connection, words)));
                }
                _ => {
                    let commands = self.draw_commands(&mut rng);
                    steps.extend(commands.into_iter().map(|words| Step::Send(connection, words)));
                }
            }
        }
        steps
    }

    /// A command, behind one that clears its way if it needs that; none if it would be one that only one server knows.
    fn draw_commands(&self, rng: &mut Rng) -> Vec<Words> {
        let mut words = grammar::draw(&self.shapes[rng.index(self.shapes.len())], rng);
        words::damage(&mut words, rng);
        words::tame(&mut words, rng);
        let is_about_others = words[0].eq_ignore_ascii_case(b"command");
        let names = if is_about_others { words.len() } else { 1 };
        let is_closed = |word: &Vec<u8>| self.closed.contains(&word.to_ascii_lowercase());
        // By itself it would let all that follows wait for an end.
        let is_open = block::is_begin(&words);
        if is_open || words[..names].iter().any(is_closed) {
            return Vec::new();
        }
        burial(&words).into_iter().chain([words]).collect()
    }

    /// Plays the steps from empty servers up to the first difference.
    fn play(&mut self, steps: &[Step]) -> Option<Difference> {
        let mut ours = Ours::new(CONNECTIONS);
        ours.take_the_time();
        self.theirs.restart(CONNECTIONS, &mut ours);
        self.queues = block::Queues::new(CONNECTIONS);
        let mut from = 0;
        while from < steps.len() {
            let until = end_of_pipeline(steps, from);
            let difference = self.play_pipeline(steps, from..until, &mut ours);
            if difference.is_some() {
                return difference;
            }
            if matches!(steps[from], Step::Kill(..)) {
                std::thread::sleep(Duration::from_millis(4));
            }
            from = until;
        }
        None
    }

    fn play_pipeline(
        &mut self,
        steps: &[Step],
        range: std::ops::Range<usize>,
        ours: &mut Ours,
    ) -> Option<Difference> {
        let wanted = vec![b"client".to_vec(), b"reply".to_vec(), b"on".to_vec()];
        let connection = steps[range.start].connection();
        let mut commands: Vec<&Words> = Vec::new();
        for words in steps[range.clone()].iter().map(Step::words) {
            commands.extend(block::is_begin(words).then_some(&wanted));
            commands.push(words);
        }
        ours.take_the_time();
        let mut replies: Vec<Vec<u8>> = commands.iter().map(|words| ours.run(connection, words)).collect();
        if replies.iter().any(Vec::is_empty) {
            commands.push(&wanted);
            replies.push(ours.run(connection, &wanted));
        }
        self.theirs.send(connection, &commands);
        for (index, (words, reply)) in commands.iter().zip(&replies).enumerate() {
            if let Some((ours, theirs)) = self.differs(connection, words, reply) {
                let added = commands[..index]
                    .iter()
                    .filter(|words| ***words == wanted)
                    .count();
                let end = (range.start + index + 1 - added).min(range.end);
                let steps = steps[..end].to_vec();
                return Some(Difference { steps, ours, theirs });
            }
        }
        None
    }

    /// Both replies, shown, when they are not the same.
    fn differs(&mut self, connection: usize, words: &Words, reply: &[u8]) -> Option<(String, String)> {
        if reply.is_empty() {
            return None;
        }
        let (ours, len) = parse_value(reply)
            .expect("a reply is RESP")
            .unwrap_or_else(|| panic!("{words:?} got half a reply: {}", reply.escape_ascii()));
        assert_eq!(len, reply.len(), "{words:?} wrote more than one reply");
        let ran = self.queues.note(connection, words, &ours);
        let Some((theirs, bytes)) = self.theirs.receive(connection) else {
            return Some((ours.to_string(), "nothing".to_owned()));
        };
        if bytes == reply || compare::are_alike(words, &ours, &theirs) {
            return None;
        }
        if let Some(reason) = compare::excuse(words, &ours, &theirs) {
            *self.excused.entry(reason).or_default() += 1;
            return None;
        }
        let (ours, theirs, reasons) = block::without_the_same(&ran, ours, theirs);
        for reason in reasons {
            *self.excused.entry(reason).or_default() += 1;
        }
        if ours == theirs {
            return None;
        }
        Some(from_where_they_part(
            compare::settled(words, ours),
            compare::settled(words, theirs),
        ))
    }

    /// Leaves out steps, half of them at a time at first, as long as the last one shows a difference.
    fn shorten(&mut self, mut difference: Difference) -> Difference {
        let mut chunk = difference.steps.len() / 2;
        while chunk > 0 {
            let mut from = 0;
            while from + chunk < difference.steps.len() {
                let mut fewer = difference.steps.clone();
                fewer.drain(from..from + chunk);
                match self.play(&fewer) {
                    Some(found) => difference = found,
                    None => from += chunk,
                }
            }
            chunk /= 2;
        }
        difference
    }
}

/// Both as text, without most of what they have in common.
fn from_where_they_part(ours: Value, theirs: Value) -> (String, String) {
    const BEFORE: usize = 3;
    const SHOWN: usize = 16;
    let (ours, theirs) = (ours.to_string(), theirs.to_string());
    let same = ours
        .lines()
        .zip(theirs.lines())
        .take_while(|(a, b)| a == b)
        .count();
    let part = |text: &str| {
        let lines: Vec<&str> = text
            .lines()
            .skip(same.saturating_sub(BEFORE))
            .take(SHOWN)
            .collect();
        lines.join("\n")
    };
    (part(&ours), part(&theirs))
}

/// The index after the last step that can go in one write with the step at `from`.
fn end_of_pipeline(steps: &[Step], from: usize) -> usize {
    let belongs = |step: &&Step| match (*step, &steps[from]) {
        (Step::Send(connection, _), Step::Send(first, _)) => connection == first,
        _ => false,
    };
    let len = steps[from..]
        .iter()
        .take(PIPELINE_MAX)
        .take_while(belongs)
        .count();
    from + len.max(1)
}

/// A command that removes what is dead but still there, before one that may do so or not.
fn burial(words: &Words) -> Option<Words> {
    let mut exists = vec![b"exists".to_vec()];
    match words[0].to_ascii_lowercase().as_slice() {
        // They remove those they meet, by chance or by pattern; or count them, as long as nobody has removed them.
        b"randomkey" | b"scan" | b"debug" => exists.extend(words::KEYS.iter().map(|key| key.to_vec())),
        // 7.0 looks at the key before it refuses the others.
        b"bitcount" | b"bitpos" => exists.extend(words.get(1).cloned()),
        _ => return None,
    }
    Some(exists)
}

fn kill_a_key(connection: usize, rng: &mut Rng) -> Step {
    let key = words::draw("key", rng);
    Step::Kill(connection, vec![b"pexpire".to_vec(), key, b"1".to_vec()])
}

impl Step {
    fn connection(&self) -> usize {
        match self {
            Step::Send(connection, _) | Step::Kill(connection, _) => *connection,
        }
    }

    fn words(&self) -> &Words {
        match self {
            Step::Send(_, words) | Step::Kill(_, words) => words,
        }
    }

    fn show(&self) -> String {
        let mut line = format!("  {}:", self.connection()).into_bytes();
        for word in self.words() {
            line.push(b' ');
            let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\".contains(byte);
            if !word.is_empty() && word.iter().all(is_plain) {
                line.extend_from_slice(word);
            } else {
                repr(word, &mut line);
            }
        }
        if matches!(self, Step::Kill(..)) {
            line.extend_from_slice(b"  (wait)");
        }
        String::from_utf8_lossy(&line).into_owned()
    }
}

impl Difference {
    fn report(&self) -> String {
        let last = &self.steps[self.steps.len().saturating_sub(10)..];
        let lines: Vec<String> = last.iter().map(Step::show).collect();
        let (count, ours, theirs) = (self.steps.len(), &self.ours, &self.theirs);
        format!(
            "{}\nours    {ours}\ntheirs  {theirs}\n({count} steps)",
            lines.join("\n")
        )
    }
}
