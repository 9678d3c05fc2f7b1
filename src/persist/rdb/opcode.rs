//! The numbers of the format: versions, types of values, marks between entries.

/// The version this server writes when nothing older is asked for: Redis 7.4's.
pub const VERSION: u16 = 12;

/// The oldest version that [`Type::since`] speaks of; older files are read all the same.
pub const VERSION_OLDEST_WRITTEN: u16 = 9;

/// Function libraries, each as its source.
pub const FUNCTION2: u8 = 245;
/// Functions of a release candidate of Redis 7.0: refused.
pub const FUNCTION_PRE_GA: u8 = 246;
/// Data of a module outside any key.
pub const MODULE_AUX: u8 = 247;
/// Seconds since the next key was used.
pub const IDLE: u8 = 248;
/// How often the next key was used (LFU counter).
pub const FREQ: u8 = 249;
/// A fact about the file: name and text.
pub const AUX: u8 = 250;
/// How many keys, and how many that expire, the database has.
pub const RESIZEDB: u8 = 251;
/// When the next key expires, Unix milliseconds.
pub const EXPIRETIME_MS: u8 = 252;
/// When the next key expires, Unix seconds.
pub const EXPIRETIME: u8 = 253;
/// The following keys are of this database.
pub const SELECTDB: u8 = 254;
/// The end; the checksum follows.
pub const EOF: u8 = 255;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    /// A string.
    String = 0,
    /// Elements as strings.
    List = 1,
    /// Members as strings.
    Set = 2,
    /// Members with scores as text.
    Zset = 3,
    /// Fields and values as strings.
    Hash = 4,
    /// Members with binary scores.
    Zset2 = 5,
    /// A module's value of before Redis 4.0's release.
    ModulePreGa = 6,
    /// A module's value.
    Module2 = 7,
    /// A small hash of Redis 2.4.
    HashZipmap = 9,
    /// A small list of before Redis 3.2.
    ListZiplist = 10,
    /// A set of integers.
    SetIntset = 11,
    /// A small sorted set of before Redis 7.
    ZsetZiplist = 12,
    /// A small hash of before Redis 7.
    HashZiplist = 13,
    /// A list of ziplists.
    ListQuicklist = 14,
    /// A stream.
    StreamListpacks = 15,
    /// A small hash.
    HashListpack = 16,
    /// A small sorted set.
    ZsetListpack = 17,
    /// A list of listpacks and big elements.
    ListQuicklist2 = 18,
    /// A stream with first id, deletions and entries read.
    StreamListpacks2 = 19,
    /// A small set.
    SetListpack = 20,
    /// A stream whose consumers know when they were active.
    StreamListpacks3 = 21,
    /// A hash with expiring fields of a release candidate: refused.
    HashMetadataPreGa = 22,
    /// The same, small.
    HashListpackExPreGa = 23,
    /// A hash with expiring fields.
    HashMetadata = 24,
    /// A small hash with expiring fields.
    HashListpackEx = 25,
}

impl Type {
    /// Every type.
    pub const ALL: [Type; 25] = [
        Type::String,
        Type::List,
        Type::Set,
        Type::Zset,
        Type::Hash,
        Type::Zset2,
        Type::ModulePreGa,
        Type::Module2,
        Type::HashZipmap,
        Type::ListZiplist,
        Type::SetIntset,
        Type::ZsetZiplist,
        Type::HashZiplist,
        Type::ListQuicklist,
        Type::StreamListpacks,
        Type::HashListpack,
        Type::ZsetListpack,
        Type::ListQuicklist2,
        Type::StreamListpacks2,
        Type::SetListpack,
        Type::StreamListpacks3,
        Type::HashMetadataPreGa,
        Type::HashListpackExPreGa,
        Type::HashMetadata,
        Type::HashListpackEx,
    ];

    /// The type with this number.
    pub fn from_byte(byte: u8) -> Option<Type> {
        Type::ALL.into_iter().find(|&kind| kind as u8 == byte)
    }

    /// What `redis-check-rdb` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list-linked",
            Type::Set => "set-hashtable",
            Type::Zset => "zset-v1",
            Type::Hash => "hash-hashtable",
            Type::Zset2 => "zset-v2",
            Type::ModulePreGa => "module-pre-release",
            Type::Module2 => "module-value",
            Type::HashZipmap => "hash-zipmap",
            Type::ListZiplist => "list-ziplist",
            Type::SetIntset => "set-intset",
            Type::ZsetZiplist => "zset-ziplist",
            Type::HashZiplist => "hash-ziplist",
            Type::ListQuicklist => "quicklist",
            Type::StreamListpacks => "stream",
            Type::HashListpack => "hash-listpack",
            Type::ZsetListpack => "zset-listpack",
            Type::ListQuicklist2 => "quicklist-v2",
            Type::StreamListpacks2 => "stream-v2",
            Type::SetListpack => "set-listpack",
            Type::StreamListpacks3 => "stream-v3",
            Type::HashMetadataPreGa => "hash-hashtable-md-pre-release",
            Type::HashListpackExPreGa => "hash-listpack-md-pre-release",
            Type::HashMetadata => "hash-hashtable-md",
            Type::HashListpackEx => "hash-listpack-md",
        }
    }

    /// The first version of the format that has it, as far as this server writes it.
    pub fn since(self) -> u16 {
        match self {
            Type::HashMetadata | Type::HashListpackEx => 12,
            Type::SetListpack | Type::StreamListpacks3 => 11,
            Type::HashListpack | Type::ZsetListpack | Type::ListQuicklist2 | Type::StreamListpacks2 => 10,
            _ => VERSION_OLDEST_WRITTEN,
        }
    }
}
