//! The command table: rows made findable by the bytes a client sends, renamed ones under their new names.
//!
//! Lookup folds up to sixteen bytes of the name to lower case in one word and probes an open-addressed table of at most
//! half fill: no allocation, no copy, usually one probe. Each command and subcommand has a dense [`CommandId`] that
//! statistics are indexed by.

use super::row::{Access, Begin, Find, Flags, KeySpec, Row};

/// Dense number of a command or subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandId(pub u16);

/// A command or subcommand at run time.
pub struct Command {
    /// Its row.
    pub row: &'static Row,
    /// Its dense number.
    pub id: CommandId,
    /// `get`, `client|list`: the row's names, whatever it was renamed to.
    pub full_name: String,
    /// Word of the first key, 0 when there is none.
    pub first_key: i32,
    /// Word of the last key, negative from the end.
    pub last_key: i32,
    /// Words from key to key.
    pub key_step: i32,
    /// Its subcommands.
    pub children: Vec<CommandId>,
    /// The container's id for a subcommand.
    pub parent: Option<CommandId>,
}

/// All commands.
pub struct Table {
    commands: Vec<Command>,
    /// (folded name, id + 1); 0 marks a free slot. Length is a power of two.
    slots: Vec<(u128, u16)>,
    /// Names as clients send them, for commands that were renamed: (new name, id).
    renamed: Vec<(String, CommandId)>,
}

/// A renaming that cannot be carried out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// The old name is unknown.
    #[error("No such command in rename-command")]
    NoSuchCommand,
    /// The new name is taken.
    #[error("Target command name already exists")]
    Taken,
}

impl Table {
    /// The table of all families, with `renames` (old name, new name; an empty new name removes the command).
    pub fn new(renames: &[(String, String)]) -> Result<Table, RenameError> {
        let mut table = Table {
            commands: Vec::new(),
            slots: Vec::new(),
            renamed: Vec::new(),
        };
        let mut names: Vec<(String, CommandId)> = Vec::new();
        for row in super::FAMILIES.iter().copied().flatten() {
            let id = table.add(row, None);
            names.push((row.name.to_owned(), id));
        }
        for (old, new) in renames {
            let (old, new) = (old.to_ascii_lowercase(), new.to_ascii_lowercase());
            let at = names
                .iter()
                .position(|(name, _)| *name == old)
                .ok_or(RenameError::NoSuchCommand)?;
            let (_, id) = names.swap_remove(at);
            if names.iter().any(|(name, _)| *name == new) {
                return Err(RenameError::Taken);
            }
            if !new.is_empty() {
                table.renamed.push((new.clone(), id));
                names.push((new, id));
            }
        }
        table.index(&names);
        Ok(table)
    }

    fn add(&mut self, row: &'static Row, parent: Option<CommandId>) -> CommandId {
        let id = CommandId(self.commands.len() as u16);
        let full_name = match parent {
            Some(parent) => format!("{}|{}", self.command(parent).full_name, row.name),
            None => row.name.to_owned(),
        };
        let (first_key, last_key, key_step) = legacy_range(row.keys);
        self.commands.push(Command {
            row,
            id,
            full_name,
            first_key,
            last_key,
            key_step,
            children: Vec::new(),
            parent,
        });
        let children: Vec<CommandId> = row
            .children
            .iter()
            .map(|child| self.add(child, Some(id)))
            .collect();
        self.commands[usize::from(id.0)].children = children;
        id
    }

    fn index(&mut self, names: &[(String, CommandId)]) {
        let capacity = (names.len() * 4).next_power_of_two();
        self.slots = vec![(0, 0); capacity];
        for (name, id) in names {
            let folded = fold(name.as_bytes());
            let mut at = slot_of(folded, capacity);
            while self.slots[at].1 != 0 {
                at = (at + 1) & (capacity - 1);
            }
            self.slots[at] = (folded, id.0 + 1);
        }
    }

    /// The command a client means by `name`; not its subcommands.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Command> {
        let folded = fold(name);
        let mut at = slot_of(folded, self.slots.len());
        loop {
            let (key, id) = self.slots[at];
            if id == 0 {
                return None;
            }
            if key == folded {
                let command = &self.commands[usize::from(id - 1)];
                if self.answers_to(command, name) {
                    return Some(command);
                }
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Folding is lossy (bit 5 of every byte, the bytes past sixteen): compare in full.
    #[inline]
    fn answers_to(&self, command: &Command, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(command.row.name.as_bytes()) && self.renamed.is_empty()
            || !self.renamed.is_empty()
                && self
                    .name_of(command)
                    .is_some_and(|n| name.eq_ignore_ascii_case(n))
    }

    fn name_of<'a>(&'a self, command: &'a Command) -> Option<&'a [u8]> {
        let renamed = self.renamed.iter().find(|(_, id)| *id == command.id);
        Some(renamed.map_or(command.row.name.as_bytes(), |(name, _)| name.as_bytes()))
    }

    /// The command of these words, down to the subcommand: `Err` holds a container whose subcommand is unknown.
    #[inline]
    pub fn resolve<'w>(
        &self,
        name: &[u8],
        second: impl FnOnce() -> Option<&'w [u8]>,
    ) -> Option<Result<&Command, &Command>> {
        let command = self.find(name)?;
        if command.children.is_empty() {
            return Some(Ok(command));
        }
        let Some(word) = second() else {
            return Some(Ok(command));
        };
        let child = command.children.iter().map(|&id| self.command(id));
        Some(
            child
                .into_iter()
                .find(|c| word.eq_ignore_ascii_case(c.row.name.as_bytes()))
                .ok_or(command),
        )
    }

    /// The command of an id.
    #[inline]
    pub fn command(&self, id: CommandId) -> &Command {
        &self.commands[usize::from(id.0)]
    }

    /// All commands and subcommands, in order of id.
    pub fn all(&self) -> &[Command] {
        &self.commands
    }

    /// The commands a client can name, without subcommands.
    pub fn top_level(&self) -> impl Iterator<Item = &Command> {
        self.commands
            .iter()
            .filter(|c| c.parent.is_none() && self.is_reachable(c))
    }

    fn is_reachable(&self, command: &Command) -> bool {
        self.slots.iter().any(|&(_, id)| id == command.id.0 + 1)
    }
}

/// First key, last key and step as COMMAND has always told them: those of the specs that positions alone describe.
fn legacy_range(specs: &[KeySpec]) -> (i32, i32, i32) {
    let mut range: Option<(i32, i32, i32)> = None;
    for spec in specs {
        let (Begin::Index(first), Find::Range { last, step, .. }) = (spec.begin, spec.find) else {
            continue;
        };
        let last = if last >= 0 { first + last } else { last };
        range = Some(match range {
            None => (first, last, step),
            Some((f, l, s)) if l >= 0 && first == l + 1 => (f, last, s),
            Some(known) => known,
        });
    }
    range.unwrap_or((0, 0, 0))
}

/// Up to sixteen bytes with bit 5 set, and the length: letters lose their case.
#[inline]
fn fold(name: &[u8]) -> u128 {
    const CASE: u64 = 0x2020_2020_2020_2020;
    let word = |bytes: &[u8]| -> u64 {
        let mut buf = [0u8; 8];
        buf[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(buf)
    };
    let (low, high) = match name.len() {
        0..=8 => (word(name), 0),
        9..=16 => (word(&name[..8]), word(&name[8..])),
        _ => (word(&name[..8]), word(&name[8..16])),
    };
    u128::from(low | CASE) | u128::from(high | CASE) << 64
}

#[inline]
fn slot_of(folded: u128, capacity: usize) -> usize {
    let mixed = (folded as u64 ^ ((folded >> 64) as u64).rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize & (capacity - 1)
}

/// Words of `argc` that are keys of `command`, found through its key specs; `None` when the arguments do not fit them.
pub fn key_positions(
    command: &Command,
    argc: usize,
    word: impl Fn(usize) -> Vec<u8>,
) -> Option<Vec<(usize, KeySpec)>> {
    if let Some(find) = command.row.find_keys {
        let all = find(argc, &word).into_iter().map(|(at, spec)| {
            let mut spec = command.row.keys[spec];
            spec.access.remove(Access::INCOMPLETE);
            (at, spec)
        });
        return Some(all.collect());
    }
    let mut found = Vec::new();
    for spec in command.row.keys {
        let begin = match spec.begin {
            Begin::Index(i) => i as usize,
            Begin::Keyword(keyword, from) => match keyword_position(keyword, from, argc, &word) {
                Some(at) => at + 1,
                None => continue,
            },
            Begin::Unknown => continue,
        };
        let (first, last, step) = match spec.find {
            Find::Range { last, step, limit } => {
                let end = argc as i64 - 1;
                let last = match (last, limit) {
                    (-1, limit) if limit > 1 => begin as i64 + (argc - begin) as i64 / i64::from(limit) - 1,
                    (last, _) if last < 0 => end + 1 + i64::from(last),
                    (last, _) => begin as i64 + i64::from(last),
                };
                (begin as i64, last, i64::from(step))
            }
            Find::Count { at, first, step } => {
                let at = begin + at as usize;
                let count = if at < argc {
                    crate::base::number::parse_i64(&word(at))?
                } else {
                    return None;
                };
                let first = begin as i64 + i64::from(first);
                if !(0..=argc as i64).contains(&count) {
                    return None;
                }
                if count == 0 {
                    continue;
                }
                (first, first + (count - 1) * i64::from(step), i64::from(step))
            }
            Find::Unknown => continue,
        };
        if last < first || last >= argc as i64 {
            return None;
        }
        let mut at = first;
        while at <= last {
            found.push((at as usize, *spec));
            at += step.max(1);
        }
    }
    Some(found)
}

fn keyword_position(
    keyword: &str,
    from: i32,
    argc: usize,
    word: &impl Fn(usize) -> Vec<u8>,
) -> Option<usize> {
    let is = |i: &usize| word(*i).eq_ignore_ascii_case(keyword.as_bytes());
    // The last word stands before nothing.
    if from >= 0 {
        (from as usize..argc - 1).find(is)
    } else {
        (2..=argc.checked_sub(from.unsigned_abs() as usize)?)
            .rev()
            .find(is)
    }
}

/// Whether a command's keys can be prepared from positions alone.
pub fn is_positional(command: &Command) -> bool {
    command.first_key > 0 && !command.row.flags.contains(Flags::MOVABLE_KEYS)
}
