//! A node: some elements in a listpack, or one big element by itself; either may be compressed.
//!
//! ```text
//! [ kind, count | listpack ]                                   16 bytes
//! [ kind, count | pointer ] ──> [ raw length | buffer ]        the others, which are large or rare
//! ```
//!
//! Compressing pays from 48 bytes on and when it saves 8. A compressed node is read by way of a decompressed copy.

use crate::base::lzf;
use crate::base::relocate::{self, Mover};
use crate::base::size_class::{allocated, rounded};
use crate::ds::listpack::{Item, Listpack};

/// Elements, in order. Never empty while it stands in a list.
#[derive(Clone)]
pub enum Node {
    /// Small elements.
    Packed {
        /// As `pack.len()`, but without a look into the heap.
        count: u16,
        /// The elements.
        pack: Listpack,
    },
    /// One big element.
    Plain(Box<Vec<u8>>),
    /// Either, compressed.
    Squeezed {
        /// How many elements.
        count: u16,
        /// Whether it was [`Node::Plain`].
        plain: bool,
        /// What it holds.
        body: Box<Squeezed>,
    },
}

/// A compressed node's content.
#[derive(Clone)]
pub struct Squeezed {
    /// Bytes before compression.
    raw_bytes: u32,
    /// The compressed bytes.
    lzf: Box<[u8]>,
}

const _: () = assert!(size_of::<Node>() == 16);

const SQUEEZE_BYTES_MIN: usize = 48;
const SQUEEZE_GAIN_MIN: usize = 8;

/// What the limit on a node's size leaves for the entry around an element.
const ENTRY_OVERHEAD: usize = 8;

/// Whatever a threshold says, longer elements are never packed.
const PACKED_ELEMENT_MAX: usize = 1 << 30;

/// Bound of a node whose limit is a number of elements.
const SAFE_BYTES_MAX: usize = 8192;

/// How much goes into one node: `list-max-listpack-size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill(pub i32);

impl Fill {
    /// Bytes of a full node.
    #[inline]
    pub fn bytes_max(self) -> usize {
        match self.0 {
            0.. => SAFE_BYTES_MAX,
            kind => 4096 << (-1 - kind.max(-5)),
        }
    }

    /// Elements of a full node.
    #[inline]
    pub fn count_max(self) -> usize {
        match self.0 {
            // Compat: none is taken for one.
            0.. => self.0.max(1) as usize,
            _ => usize::MAX,
        }
    }

    /// Whether a node of `bytes` and `count` elements is too big.
    #[inline]
    pub fn is_exceeded(self, bytes: usize, count: usize) -> bool {
        bytes > self.bytes_max() || count > self.count_max()
    }

    /// Whether a list of one node may do without nodes. Compat: where elements are counted, bytes are not.
    pub fn is_allowed(self, bytes: usize, count: usize) -> bool {
        self.is_within(bytes, count, 1)
    }

    /// Whether a node is so small that its list had better do without nodes: half of what is allowed.
    pub fn is_small(self, bytes: usize, count: usize) -> bool {
        self.is_within(bytes, count, 2)
    }

    fn is_within(self, bytes: usize, count: usize, parts: usize) -> bool {
        let bytes_max = if self.0 < 0 { self.bytes_max() } else { usize::MAX };
        bytes <= bytes_max / parts && count <= self.count_max() / parts
    }

    /// Whether an element of `bytes` gets a node of its own. `plain_from` overrides what follows from the limits,
    /// unless it is 0.
    #[inline]
    pub fn is_large(self, bytes: usize, plain_from: usize) -> bool {
        if plain_from != 0 {
            return bytes >= plain_from.min(PACKED_ELEMENT_MAX);
        }
        bytes > self.bytes_max()
    }
}

impl Node {
    /// A node with one element.
    pub fn of(text: &[u8], is_large: bool) -> Node {
        if is_large {
            return Node::plain(text.to_vec());
        }
        let mut pack = Listpack::new();
        pack.push_back(text);
        Node::packed(pack)
    }

    /// A node with the elements of a listpack.
    pub fn packed(pack: Listpack) -> Node {
        let count = count_of(&pack);
        Node::Packed { count, pack }
    }

    /// A node of one big element.
    pub fn plain(element: Vec<u8>) -> Node {
        Node::Plain(Box::new(element))
    }

    /// How many elements.
    #[inline]
    pub fn count(&self) -> usize {
        match self {
            Node::Packed { count, .. } | Node::Squeezed { count, .. } => usize::from(*count),
            Node::Plain(_) => 1,
        }
    }

    /// Bytes of its content, uncompressed.
    #[inline]
    pub fn raw_bytes(&self) -> usize {
        match self {
            Node::Packed { pack, .. } => pack.size(),
            Node::Plain(text) => text.len(),
            Node::Squeezed { body, .. } => body.raw_bytes as usize,
        }
    }

    /// Bytes on the heap, as the allocator rounds them.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Node::Packed { pack, .. } => pack.heap_bytes(),
            Node::Plain(text) => rounded(size_of::<Vec<u8>>()) + allocated(text.capacity()),
            Node::Squeezed { body, .. } => rounded(size_of::<Squeezed>()) + rounded(body.lzf.len()),
        }
    }

    /// Offers what it has on the heap.
    pub fn relocate(&mut self, mover: &mut dyn Mover) {
        match self {
            Node::Packed { pack, .. } => pack.relocate(mover),
            Node::Plain(text) => {
                relocate::boxed(text, mover);
                relocate::vec(text, mover);
            }
            Node::Squeezed { body, .. } => {
                relocate::boxed(body, mover);
                relocate::slice(&mut body.lzf, mover);
            }
        }
    }

    /// Whether it is one big element.
    #[inline]
    pub fn is_plain(&self) -> bool {
        matches!(self, Node::Plain(_) | Node::Squeezed { plain: true, .. })
    }

    /// The compressed bytes, if it is compressed.
    pub fn squeezed(&self) -> Option<&[u8]> {
        match self {
            Node::Squeezed { body, .. } => Some(&body.lzf),
            _ => None,
        }
    }

    /// Whether an element of `bytes` may join.
    #[inline]
    pub fn takes(&self, bytes: usize, fill: Fill) -> bool {
        !self.is_plain() && !fill.is_exceeded(self.raw_bytes() + bytes + ENTRY_OVERHEAD, self.count() + 1)
    }

    /// Whether both fit into one.
    pub fn takes_all_of(&self, other: &Node, fill: Fill) -> bool {
        if self.is_plain() || other.is_plain() {
            return false;
        }
        let bytes = self.raw_bytes() + other.raw_bytes() - Listpack::new().size();
        !fill.is_exceeded(bytes, self.count() + other.count())
    }

    /// Compresses it, if that pays.
    pub fn squeeze(&mut self) {
        let (bytes, plain) = match &*self {
            Node::Packed { pack, .. } => (pack.as_bytes(), false),
            Node::Plain(text) => (text.as_slice(), true),
            Node::Squeezed { .. } => return,
        };
        let Ok(raw_bytes) = u32::try_from(bytes.len()) else {
            return;
        };
        if bytes.len() < SQUEEZE_BYTES_MIN {
            return;
        }
        if let Some(lzf) = lzf::compress(bytes, bytes.len() - SQUEEZE_GAIN_MIN) {
            let (count, lzf) = (self.count() as u16, lzf.into_boxed_slice());
            let body = Box::new(Squeezed { raw_bytes, lzf });
            *self = Node::Squeezed { count, plain, body };
        }
    }

    /// Decompresses it.
    pub fn unsqueeze(&mut self) {
        if let Some(raw) = self.unsqueezed() {
            *self = raw;
        }
    }

    /// A decompressed copy, if it is compressed.
    fn unsqueezed(&self) -> Option<Node> {
        let Node::Squeezed { count, plain, body } = self else {
            return None;
        };
        let raw =
            lzf::decompress(&body.lzf, body.raw_bytes as usize).expect("this node has compressed it itself");
        Some(if *plain {
            Node::plain(raw)
        } else {
            let pack = Listpack::from_own_bytes(raw);
            Node::Packed { count: *count, pack }
        })
    }

    /// Lets `look` see the content, decompressed if need be.
    #[inline]
    pub fn open<R>(&self, look: impl FnOnce(Content<'_>) -> R) -> R {
        match self {
            Node::Packed { pack, .. } => look(Content::Pack(pack)),
            Node::Plain(text) => look(Content::Element(Item::of(text))),
            Node::Squeezed { .. } => {
                let raw = self.unsqueezed().expect("it is compressed");
                raw.open_raw(look)
            }
        }
    }

    fn open_raw<R>(&self, look: impl FnOnce(Content<'_>) -> R) -> R {
        match self {
            Node::Packed { pack, .. } => look(Content::Pack(pack)),
            Node::Plain(text) => look(Content::Element(Item::of(text))),
            Node::Squeezed { .. } => unreachable!("nothing is compressed twice"),
        }
    }

    /// Lets `change` alter the listpack, which is not compressed, and counts again; `None` for a big element.
    #[inline]
    pub fn edit<R>(&mut self, change: impl FnOnce(&mut Listpack) -> R) -> Option<R> {
        let Node::Packed { count, pack } = self else {
            return None;
        };
        let answer = change(pack);
        *count = count_of(pack);
        Some(answer)
    }
}

/// What a node holds.
pub enum Content<'a> {
    /// Small elements.
    Pack(&'a Listpack),
    /// One big element.
    Element(Item<'a>),
}

/// Nodes are far smaller than their count allows: an entry is 2 bytes at least, a node 64 KiB at most, or 32767 entries.
#[inline]
fn count_of(pack: &Listpack) -> u16 {
    u16::try_from(pack.len()).expect("a node has fewer than 65536 elements")
}
