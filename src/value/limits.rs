//! Up to which size values keep their small encodings: the `*-max-*` directives, as one plain value.

use crate::base::hash::KeyHasher;

/// What the encodings of collections go by. Sizes in bytes, counts in elements.
#[derive(Clone, Copy)]
pub struct Limits {
    /// `list-max-listpack-size`: elements of a node when positive, -1 to -5 for 4 to 64 KiB.
    pub list_max_listpack_size: i32,
    /// `list-compress-depth`: nodes left plain at each end; 0 for no compression.
    pub list_compress_depth: u32,
    /// From how many bytes on an element of a long list gets a node of its own; 0: as the node's size says. For tests
    /// (`DEBUG QUICKLIST-PACKED-THRESHOLD`).
    pub list_packed_threshold: usize,
    /// `set-max-intset-entries`.
    pub set_max_intset_entries: usize,
    /// `set-max-listpack-entries`.
    pub set_max_listpack_entries: usize,
    /// `set-max-listpack-value`, bytes.
    pub set_max_listpack_value: usize,
    /// `hash-max-listpack-entries`, fields.
    pub hash_max_listpack_entries: usize,
    /// `hash-max-listpack-value`, bytes.
    pub hash_max_listpack_value: usize,
    /// `zset-max-listpack-entries`.
    pub zset_max_listpack_entries: usize,
    /// `zset-max-listpack-value`, bytes.
    pub zset_max_listpack_value: usize,
    /// `stream-node-max-bytes`; 0 for no limit.
    pub stream_node_max_bytes: usize,
    /// `stream-node-max-entries`; 0 for no limit.
    pub stream_node_max_entries: usize,
    /// `hll-sparse-max-bytes`.
    pub hll_sparse_max_bytes: usize,
    /// How the tables of big sets, hashes and sorted sets hash.
    pub hasher: KeyHasher,
}

impl Limits {
    /// Redis's defaults.
    pub fn new(hasher: KeyHasher) -> Limits {
        Limits {
            list_max_listpack_size: -2,
            list_compress_depth: 0,
            list_packed_threshold: 0,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
            hll_sparse_max_bytes: 3000,
            hasher,
        }
    }
}
