//! What the functions of a state share, and whom they ask to run commands.

use super::debug::Debugger;
use super::lua::state::HostSlot;
use super::register::Registering;
use crate::resp::{ArgBuf, Args};

/// Who runs a script: the executor, as a script sees it.
///
/// What has a body here is that of a host with RESP2 alone, nobody to propagate to and no log.
pub trait Host {
    /// Runs a command and appends its reply, an error reply included, in the protocol of [`Host::set_resp`].
    fn call(&mut self, words: Args<'_>, reply: &mut Vec<u8>) -> Called;

    /// Chooses the protocol of replies to the script: 2 (at first) or 3.
    fn set_resp(&mut self, _version: u8) {}

    /// Whether the script has chosen 3.
    fn speaks_resp3(&self) -> bool {
        false
    }

    /// Which writes propagate from now on.
    fn set_replication(&mut self, _targets: Replication) {}

    /// Whether the client's user may run this command; `None` when there is no such command.
    fn may_run(&mut self, words: Args<'_>) -> Option<bool>;

    /// Writes to the server's log, at Redis's level 0 (debug) to 3 (warning).
    fn log(&mut self, _level: u8, _text: &[u8]) {}

    /// Called now and then while Lua code runs; an error ends the script.
    fn interrupt(&mut self) -> Option<&'static str>;
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// The command has run.
    Ran,
    /// It was not let run: its reply says why.
    Refused,
}

/// Where a script's writes go beside the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replication {
    /// Into the append-only file.
    pub aof: bool,
    /// To replicas.
    pub replicas: bool,
}

/// What the library functions of one state share.
#[derive(Default)]
pub struct Context {
    /// Who serves the running script.
    pub host: HostSlot,
    /// Words of the command being called.
    pub args: ArgBuf,
    /// Its reply; also a scratch for text.
    pub reply: Vec<u8>,
    /// The state of `math.random`.
    pub random: Random,
    /// The library being loaded, while it is.
    pub registering: Option<Registering>,
    /// Who debugs the running script.
    pub debugger: Option<Box<Debugger>>,
}

impl Context {
    /// Takes a scratch buffer back, unless it has grown too large to keep.
    pub fn give_back(&mut self, scratch: Vec<u8>) {
        const KEEP_BYTES: usize = 64 * 1024;
        if scratch.capacity() <= KEEP_BYTES {
            self.reply = scratch;
        }
    }

    /// Asks the host, or the clock of a loading library, whether to go on.
    pub fn interrupt(&mut self) -> Option<Vec<u8>> {
        if self.registering.as_ref().is_some_and(Registering::is_late) {
            return Some(b"ERR FUNCTION LOAD timeout".to_vec());
        }
        let text = self.host.get()?.interrupt()?;
        Some(format!("ERR {text}").into_bytes())
    }
}

/// The generator behind `math.random`: 48 bits, a multiplication and an addition, as `lrand48` does it, so that a seed
/// gives the same numbers as in Redis.
#[derive(Debug, Clone, Copy)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Random(0x1234_ABCD_330E)
    }
}

impl Random {
    const MASK: u64 = (1 << 48) - 1;

    /// Starts again from `seed`.
    pub fn seeded(seed: u32) -> Random {
        Random(u64::from(seed) << 16 | 0x330E)
    }

    /// The next number of 31 bits.
    pub fn draw(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & Self::MASK;
        (self.0 >> 17) as u32
    }
}
