//! The gates between a script and what it wants to do: whether it may begin, by what its shebang line says, and whether
//! it may call a command.
//!
//! | flag | what it changes |
//! | --- | --- |
//! | none (no shebang line) | it begins, and each of its commands is judged by itself |
//! | `no-writes` | it begins where writes are refused, for whatever reason; its own are refused always |
//! | `allow-oom` | it begins, and may call what needs memory, although there is none |
//! | `allow-stale` | it begins on a replica that has lost its master, for commands that may run there |
//! | `no-cluster` | it does not begin where the keys are spread over nodes |
//! | `allow-cross-slot-keys` | nothing but there: its commands' keys need not be in one slot |
//!
//! The gates are asked in Redis's order. States that cannot be yet (`stale`, `clustered`) are asked for all the same:
//! whoever brings them in sets them in `admit::ServerState`.

use crate::command::error::Error;
use crate::command::row::Flags;
use crate::command::table::Command;
use crate::process::os_text;
use crate::script::flags::ScriptFlags;

use super::super::admit::{self, ServerState};

/// Whether a script may begin. `read_only`: a `*_RO` command runs it; `is_short`: no memory is left.
pub fn begin(flags: ScriptFlags, read_only: bool, is_short: bool, state: ServerState) -> Result<(), Error> {
    if flags.contains(ScriptFlags::COMPAT) {
        return if state.stale { Err(STALE) } else { Ok(()) };
    }
    if state.clustered && flags.contains(ScriptFlags::NO_CLUSTER) {
        return Err(Error::fixed(
            "ERR Can not run script on cluster, 'no-cluster' flag is set.",
        ));
    }
    if state.stale && !flags.contains(ScriptFlags::ALLOW_STALE) {
        return Err(STALE_AND_NO_FLAG);
    }
    if flags.contains(ScriptFlags::NO_WRITES) {
        return Ok(());
    }
    disk(state)?;
    if read_only {
        return Err(Error::fixed(
            "ERR Can not execute a script with write flag using *_ro command.",
        ));
    }
    admit::replicas(Flags::WRITE, state)?;
    if is_short && !flags.contains(ScriptFlags::ALLOW_OOM) {
        return Err(Error::fixed(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
        ));
    }
    Ok(())
}

const STALE: Error =
    Error::fixed("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.");

const STALE_AND_NO_FLAG: Error = Error::fixed(
    "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on \
     the script.",
);

/// Whether a script that may write may begin although what it writes cannot be saved.
fn disk(state: ServerState) -> Result<(), Error> {
    if state.unsaved {
        return Err(Error::fixed(
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Writable \
             scripts are blocked. Use 'no-writes' flag for read only scripts.",
        ));
    }
    state.unlogged.map_or(Ok(()), |errno| Err(unlogged(errno)))
}

#[cold]
fn unlogged(errno: i32) -> Error {
    let reason = os_text(&std::io::Error::from_raw_os_error(errno));
    let text = format!(
        "MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. Writable \
         scripts are blocked. Use 'no-writes' flag for read only scripts. AOF error: {reason}"
    );
    Error::Text(text.into_bytes().into())
}

/// The flags of a command that runs a script: what the script says of itself takes the place of what nobody could know.
pub fn flags(row: Flags, script: ScriptFlags) -> Flags {
    const UNSAID: Flags = Flags::STALE
        .union(Flags::DENY_OOM)
        .union(Flags::WRITE)
        .union(Flags::MAY_REPLICATE);
    if script.contains(ScriptFlags::COMPAT) {
        return row;
    }
    let writes = !script.contains(ScriptFlags::NO_WRITES);
    let mut flags = row.difference(UNSAID);
    flags.set(Flags::WRITE, writes);
    flags.set(
        Flags::DENY_OOM,
        writes && !script.contains(ScriptFlags::ALLOW_OOM),
    );
    flags.set(Flags::STALE, script.contains(ScriptFlags::ALLOW_STALE));
    flags
}

/// What a running script may do, as far as its calls ask.
#[derive(Debug, Clone, Copy)]
pub struct Licence {
    /// It must not write.
    pub read_only: bool,
    /// It may call what needs memory although there is none.
    pub allows_oom: bool,
    /// It has called a command that writes, and may go on: half of it would be worse.
    pub wrote: bool,
}

/// Whether a script may call this command, which exists, with so many words. `noscript_allowed`: DEBUG says that what is
/// not for scripts is for them, too.
pub fn call(
    command: &Command,
    words: usize,
    licence: Licence,
    noscript_allowed: bool,
    is_short: bool,
    state: ServerState,
) -> Result<(), Error> {
    let flags = command.row.flags;
    if !command.row.arity.admits(words) {
        return Err(Error::fixed(
            "ERR Wrong number of args calling Redis command from script",
        ));
    }
    if flags.contains(Flags::NOSCRIPT) && !noscript_allowed {
        return Err(Error::fixed("ERR This Redis command is not allowed from script"));
    }
    if state.stale && !flags.contains(Flags::STALE) {
        return Err(Error::fixed("ERR Can not execute the command on a stale replica"));
    }
    if licence.read_only && flags.intersects(Flags::WRITE.with(Flags::MAY_REPLICATE)) {
        return Err(Error::fixed(
            "ERR Write commands are not allowed from read-only scripts.",
        ));
    }
    if licence.wrote {
        return Ok(());
    }
    admit::disk(flags.intersection(Flags::WRITE), state)?;
    admit::replicas(flags, state)?;
    admit::memory(flags, is_short && !licence.allows_oom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::table::Table;

    const FINE: ServerState = ServerState {
        loading: false,
        unsaved: false,
        unlogged: None,
        short_of_replicas: false,
        stale: false,
        clustered: false,
    };

    fn code(outcome: Result<(), Error>) -> String {
        let text = outcome.err().map(|error| error.text().into_owned());
        let text = String::from_utf8(text.unwrap_or_default()).expect("text");
        text.split(' ').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn each_flag_opens_or_closes_its_own_gate() {
        let (none, compat) = (ScriptFlags::empty(), ScriptFlags::COMPAT);
        let (reads, oom) = (ScriptFlags::NO_WRITES, ScriptFlags::ALLOW_OOM);
        let (old, alone) = (ScriptFlags::ALLOW_STALE, ScriptFlags::NO_CLUSTER);
        let stale = ServerState { stale: true, ..FINE };
        let unsaved = ServerState {
            unsaved: true,
            ..FINE
        };
        let unlogged = ServerState {
            unlogged: Some(28),
            ..FINE
        };
        let short = ServerState {
            short_of_replicas: true,
            ..FINE
        };
        let clustered = ServerState {
            clustered: true,
            ..FINE
        };
        for (state, is_short, flags, refusal) in [
            (FINE, false, none, ""),
            (FINE, true, none, "OOM"),
            (FINE, true, oom, ""),
            (FINE, true, reads, ""),
            (FINE, true, compat, ""),
            (stale, false, none, "MASTERDOWN"),
            (stale, false, reads, "MASTERDOWN"),
            (stale, false, compat, "MASTERDOWN"),
            (stale, false, old, ""),
            (stale, true, old, "OOM"),
            (unsaved, false, none, "MISCONF"),
            (unsaved, false, reads, ""),
            (unsaved, false, compat, ""),
            (unlogged, false, oom, "MISCONF"),
            (unlogged, false, reads, ""),
            (short, false, none, "NOREPLICAS"),
            (short, true, none, "NOREPLICAS"),
            (short, false, reads, ""),
            (short, false, compat, ""),
            (clustered, false, none, ""),
            (clustered, false, alone, "ERR"),
            (clustered, false, alone | reads, "ERR"),
            (FINE, false, alone, ""),
        ] {
            assert_eq!(
                code(begin(flags, false, is_short, state)),
                refusal,
                "{flags:?} {state:?}"
            );
        }
        assert_eq!(code(begin(none, true, false, FINE)), "ERR");
        assert_eq!(code(begin(reads, true, false, FINE)), "");
    }

    #[test]
    fn a_call_is_judged_by_its_row_until_the_script_has_written() {
        let table = Table::new(&[]).expect("no renames");
        let ask = |name: &[u8], licence: Licence, is_short: bool, state: ServerState| {
            let command = table.resolve(name, || None).expect("known").ok().expect("whole");
            let error = call(command, 3, licence, false, is_short, state).err();
            let text = error.map(|error| error.text().into_owned());
            String::from_utf8(text.unwrap_or_default()).expect("text")
        };
        let free = Licence {
            read_only: false,
            allows_oom: false,
            wrote: false,
        };
        let (stale, unsaved) = (
            ServerState { stale: true, ..FINE },
            ServerState {
                unsaved: true,
                ..FINE
            },
        );
        assert_eq!(ask(b"set", free, false, FINE), "");
        assert!(ask(b"set", free, true, FINE).starts_with("OOM"));
        assert_eq!(
            ask(
                b"set",
                Licence {
                    allows_oom: true,
                    ..free
                },
                true,
                FINE
            ),
            ""
        );
        assert_eq!(ask(b"set", Licence { wrote: true, ..free }, true, unsaved), "");
        assert!(
            ask(b"set", free, true, unsaved).starts_with("MISCONF"),
            "the disk comes first"
        );
        assert!(
            ask(
                b"set",
                Licence {
                    read_only: true,
                    ..free
                },
                false,
                FINE
            )
            .contains("read-only")
        );
        assert!(ask(b"set", free, false, stale).ends_with("stale replica"));
        assert_eq!(
            ask(b"publish", free, false, stale),
            "",
            "its row says that it may"
        );
        assert!(ask(b"get", free, false, FINE).starts_with("ERR Wrong number"));
        assert!(ask(b"watch", free, false, FINE).ends_with("not allowed from script"));
    }
}
