//! The scripts of EVAL, by the SHA-1 of their text.
//!
//! ```text
//!   by_text: hash of the text ──┐
//!   by_digest: SHA-1 ───────────┴─> scripts[i] { text, function, flags, place in the order of use }
//! ```
//!
//! EVAL finds its script by a fast hash and a comparison of the text: a SHA-1 is made for new scripts only. Scripts that
//! came with EVAL are forgotten when there are more than 500 of them, the longest unused first; those of SCRIPT LOAD stay.
//!
//! Costs: a use moves the script to the end of the order in constant time.

use std::collections::HashMap;

use slab::Slab;

use super::api::sha1;
use super::flags::ScriptFlags;
use super::lua::Ref;
use crate::base::hash::KeyHasher;
use crate::base::relocate::{self, Mover};

/// Most scripts kept that came with EVAL.
pub const EVAL_SCRIPTS_MAX: usize = 500;

/// A script's SHA-1.
pub type DigestBytes = [u8; 20];

/// A compiled script.
pub struct Script {
    /// Its text.
    pub text: Box<[u8]>,
    /// Its SHA-1.
    pub digest: DigestBytes,
    /// What its shebang line says.
    pub flags: ScriptFlags,
    /// The compiled function.
    pub function: Ref,
    /// Its neighbours in the order of use, when it can be evicted.
    order: Option<Links>,
}

#[derive(Clone, Copy)]
struct Links {
    older: usize,
    newer: usize,
}

/// No neighbour.
const NONE: usize = usize::MAX;

/// Where a script is, until the next change of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptIndex(usize);

/// All scripts.
pub struct Scripts {
    scripts: Slab<Script>,
    by_digest: HashMap<DigestBytes, usize>,
    /// A text whose hash another has taken is found by its SHA-1.
    by_text: HashMap<u64, usize>,
    hasher: KeyHasher,
    oldest: usize,
    newest: usize,
    evictable: usize,
    text_bytes: usize,
}

impl Scripts {
    /// None; `hasher` should be one that clients cannot predict.
    pub fn new(hasher: KeyHasher) -> Scripts {
        Scripts {
            scripts: Slab::new(),
            by_digest: HashMap::new(),
            by_text: HashMap::new(),
            hasher,
            oldest: NONE,
            newest: NONE,
            evictable: 0,
            text_bytes: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// About how many bytes they take beside Lua's.
    pub fn memory_bytes(&self) -> usize {
        const OVERHEAD_BYTES: usize = 64;
        self.text_bytes + self.len() * (size_of::<Script>() + OVERHEAD_BYTES)
    }

    /// The script of this text.
    pub fn find_text(&self, text: &[u8]) -> Option<ScriptIndex> {
        let index = *self.by_text.get(&self.hasher.hash(text))?;
        if *self.scripts[index].text == *text {
            return Some(ScriptIndex(index));
        }
        self.find_digest(&sha1(text))
    }

    /// The script of this SHA-1.
    pub fn find_digest(&self, digest: &DigestBytes) -> Option<ScriptIndex> {
        self.by_digest.get(digest).copied().map(ScriptIndex)
    }

    /// The script of a SHA-1 in hexadecimal digits, in any case.
    pub fn find_hex(&self, digits: &[u8]) -> Option<ScriptIndex> {
        self.find_digest(&parse_hex(digits)?)
    }

    /// A script.
    pub fn get(&self, index: ScriptIndex) -> &Script {
        &self.scripts[index.0]
    }

    /// Adds a script that is not there yet. `evictable`: it came with EVAL.
    pub fn add(
        &mut self,
        text: &[u8],
        flags: ScriptFlags,
        function: Ref,
        evictable: bool,
    ) -> (ScriptIndex, DigestBytes) {
        let digest = sha1(text);
        self.text_bytes += text.len();
        let index = self.scripts.insert(Script {
            text: text.into(),
            digest,
            flags,
            function,
            order: None,
        });
        self.by_digest.insert(digest, index);
        self.by_text.entry(self.hasher.hash(text)).or_insert(index);
        if evictable {
            self.evictable += 1;
            self.link_newest(index);
        }
        (ScriptIndex(index), digest)
    }

    /// The function of the script longest unused, which is forgotten, when there are too many to add another.
    pub fn evict(&mut self) -> Option<Ref> {
        if self.evictable < EVAL_SCRIPTS_MAX {
            return None;
        }
        let index = self.oldest;
        self.unlink(index);
        self.evictable -= 1;
        let script = self.scripts.try_remove(index)?;
        self.by_digest.remove(&script.digest);
        let hash = self.hasher.hash(&script.text);
        if self.by_text.get(&hash) == Some(&index) {
            self.by_text.remove(&hash);
        }
        self.text_bytes -= script.text.len();
        Some(script.function)
    }

    /// Offers the texts from number `cursor` on until the end or until `mover` says stop; the next cursor, 0 at the end.
    pub fn relocate(&mut self, cursor: usize, mover: &mut dyn Mover) -> usize {
        for index in cursor..self.scripts.capacity() {
            if let Some(script) = self.scripts.get_mut(index) {
                relocate::slice(&mut script.text, mover);
                if !mover.goes_on() {
                    return index + 1;
                }
            }
        }
        0
    }

    /// A script has been used.
    #[inline]
    pub fn touch(&mut self, index: ScriptIndex) {
        if self.newest != index.0 && self.scripts[index.0].order.is_some() {
            self.unlink(index.0);
            self.link_newest(index.0);
        }
    }

    /// A script is to stay: SCRIPT LOAD has asked for it.
    pub fn pin(&mut self, index: ScriptIndex) {
        if self.scripts[index.0].order.is_some() {
            self.unlink(index.0);
            self.evictable -= 1;
        }
    }

    fn link_newest(&mut self, index: usize) {
        let older = std::mem::replace(&mut self.newest, index);
        self.scripts[index].order = Some(Links { older, newer: NONE });
        match self
            .scripts
            .get_mut(older)
            .and_then(|script| script.order.as_mut())
        {
            Some(links) => links.newer = index,
            None => self.oldest = index,
        }
    }

    fn unlink(&mut self, index: usize) {
        let Some(Links { older, newer }) = self.scripts[index].order.take() else {
            return;
        };
        match self
            .scripts
            .get_mut(older)
            .and_then(|script| script.order.as_mut())
        {
            Some(links) => links.newer = newer,
            None => self.oldest = newer,
        }
        match self
            .scripts
            .get_mut(newer)
            .and_then(|script| script.order.as_mut())
        {
            Some(links) => links.older = older,
            None => self.newest = older,
        }
    }
}

/// 40 hexadecimal digits.
fn parse_hex(digits: &[u8]) -> Option<DigestBytes> {
    let mut digest = DigestBytes::default();
    if digits.len() != digest.len() * 2 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(digest)
}
