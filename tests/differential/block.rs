//! Transactions: drawn as one piece, MULTI to EXEC, and compared element by element with the commands they queued.

use russet::base::rng::Rng;
use russet::resp::value::Value;

use crate::compare;
use crate::words::Words;

/// Most commands of one transaction.
const COMMANDS_MAX: usize = 8;

/// Whether a command is better not part of a transaction: its reply may be none or several, or one server refuses it
/// where the other would run it.
fn is_unfit(words: &Words) -> bool {
    let name = words[0].to_ascii_lowercase();
    // In Redis a queued word may be the very value that its command stores.
    let counts_references = words
        .get(1)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"refcount"));
    const UNFIT: [&[u8]; 5] = [b"client", b"command", b"reset", b"zrank", b"zrevrank"];
    UNFIT.contains(&name.as_slice()) || name.ends_with(b"subscribe") || counts_references
}

/// `MULTI`, what `draw` gives, and an end.
pub fn draw(rng: &mut Rng, mut draw: impl FnMut(&mut Rng) -> Vec<Words>) -> Vec<Words> {
    let mut all = vec![vec![b"multi".to_vec()]];
    for _ in 0..rng.index(COMMANDS_MAX) {
        all.extend(draw(rng).into_iter().filter(|words| !is_unfit(words)));
    }
    let end: &[u8] = if rng.below(8) == 0 { b"discard" } else { b"exec" };
    all.push(vec![end.to_vec()]);
    all
}

/// Whether this begins a transaction; replies are turned on before, since an array must be whole to be read.
pub fn is_begin(words: &Words) -> bool {
    words.len() == 1 && words[0].eq_ignore_ascii_case(b"multi")
}

/// What the connections have queued.
#[derive(Default)]
pub struct Queues {
    queued: Vec<Vec<Words>>,
}

impl Queues {
    pub fn new(connections: usize) -> Queues {
        Queues {
            queued: vec![Vec::new(); connections],
        }
    }

    /// Notes a command and its reply; the commands that ran when it was the EXEC that ran them.
    pub fn note(&mut self, connection: usize, words: &Words, reply: &Value) -> Vec<Words> {
        let queue = &mut self.queued[connection];
        if *reply == Value::Simple(b"QUEUED".to_vec()) {
            queue.push(words.clone());
            return Vec::new();
        }
        let ends = [&b"exec"[..], b"discard", b"reset"];
        if ends.iter().any(|end| words[0].eq_ignore_ascii_case(end)) {
            return std::mem::take(queue);
        }
        Vec::new()
    }
}

/// Both replies to an EXEC without the elements that count as the same; with the reasons that excused some.
pub fn without_the_same(queued: &[Words], ours: Value, theirs: Value) -> (Value, Value, Vec<&'static str>) {
    let (Value::Array(ours), Value::Array(theirs)) = (&ours, &theirs) else {
        return (ours, theirs, Vec::new());
    };
    if ours.len() != theirs.len() || ours.len() != queued.len() {
        return (
            Value::Array(ours.clone()),
            Value::Array(theirs.clone()),
            Vec::new(),
        );
    }
    let (mut left, mut reasons) = ((Vec::new(), Vec::new()), Vec::new());
    for ((words, ours), theirs) in queued.iter().zip(ours).zip(theirs) {
        if ours == theirs || compare::are_alike(words, ours, theirs) {
            continue;
        }
        match compare::excuse(words, ours, theirs) {
            Some(reason) => reasons.push(reason),
            None => {
                left.0.push(ours.clone());
                left.1.push(theirs.clone());
            }
        }
    }
    (Value::Array(left.0), Value::Array(left.1), reasons)
}
