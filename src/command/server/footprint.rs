//! Where the server's memory went: the numbers behind INFO memory, MEMORY STATS and MEMORY DOCTOR.
//!
//! ```text
//! resident set  = resident + what the allocator does not know of
//!    resident   = active + dirty pages and the allocator's own
//!       active  = allocated + gaps in its pages
//!          allocated = overhead (start, tables, clients) + data
//! ```
//!
//! Cost: O(databases + clients), nothing per key.

use crate::command::cx::Cx;
use crate::resp::pool;
use crate::session::{Session, SessionFlags};
use crate::stats::compactor::gap_bytes;

/// All in bytes unless said otherwise.
pub(super) struct Footprint {
    pub used: u64,
    pub peak: u64,
    pub startup: u64,
    pub resident_set: u64,
    pub allocated: u64,
    pub active: u64,
    /// Free room in pages that hold small allocations.
    pub gaps: u64,
    pub resident: u64,
    pub clients: u64,
    /// Buffers between two uses, which are no client's.
    pub pooled: u64,
    /// What waits to be written to the append-only file.
    pub aof_buffer: u64,
    /// Both interpreters, with all that scripts and functions keep in them.
    pub interpreters: u64,
    /// Scripts of EVAL, beside their interpreter.
    pub lua_caches: u64,
    /// Libraries of functions, beside theirs.
    pub function_caches: u64,
    /// Database and its table, those that hold keys.
    pub tables: Vec<(usize, u64)>,
    /// A count.
    pub keys: u64,
}

/// One amount measured against another.
pub(super) struct Ratio {
    pub share: f64,
    /// How much larger the first is; negative when it is smaller.
    pub excess: i64,
}

impl Footprint {
    pub(super) fn of(cx: &Cx<'_>) -> Footprint {
        let memory = &cx.stats.memory;
        let totals = memory.totals();
        let dbs = (0..cx.keys.db_count()).map(|index| (index, cx.keys.db(index)));
        Footprint {
            used: memory.used_bytes(),
            peak: memory.peak_bytes(),
            startup: memory.startup_bytes(),
            resident_set: memory.rss_bytes(),
            allocated: totals.allocated,
            active: totals.active,
            gaps: gap_bytes(),
            resident: totals.resident,
            clients: clients(cx).map(|session| session.held_bytes() as u64).sum(),
            pooled: pool::kept_bytes(),
            aof_buffer: cx.stats.persistence.aof.buffer_bytes as u64,
            interpreters: (cx.server.scripts.eval_bytes + cx.server.scripts.function_bytes) as u64,
            lua_caches: cx.server.scripts.scripts_bytes as u64,
            function_caches: cx.server.scripts.libraries_bytes as u64,
            tables: dbs
                .clone()
                .filter(|(_, db)| !db.is_empty())
                .map(|(index, db)| (index, db.dict().heap_bytes() as u64))
                .collect(),
            keys: dbs.map(|(_, db)| db.len() as u64).sum(),
        }
    }

    pub(super) fn table_bytes(&self) -> u64 {
        self.tables.iter().map(|(_, bytes)| bytes).sum()
    }

    /// What is not data.
    pub(super) fn overhead(&self) -> u64 {
        let caches = self.lua_caches + self.function_caches;
        let scripts = self.interpreters + caches;
        self.startup + self.clients + self.pooled + self.table_bytes() + self.aof_buffer + scripts
    }

    pub(super) fn dataset(&self) -> u64 {
        self.used.saturating_sub(self.overhead())
    }

    /// Data among what was allocated since the start, in percent.
    pub(super) fn dataset_percent(&self) -> f64 {
        percent(self.dataset(), self.used.saturating_sub(self.startup))
    }

    pub(super) fn peak_percent(&self) -> f64 {
        percent(self.used, self.peak)
    }

    pub(super) fn bytes_per_key(&self) -> u64 {
        self.used
            .saturating_sub(self.startup)
            .checked_div(self.keys)
            .unwrap_or(0)
    }

    /// Gaps among small allocations. Compat: since 7.4 what large ones leave of their pages does not count, as it cannot be
    /// defragmented.
    pub(super) fn fragmentation(&self) -> Ratio {
        ratio(self.allocated + self.gaps, self.allocated)
    }

    /// Pages the allocator holds beyond those in use.
    pub(super) fn allocator_excess(&self) -> Ratio {
        ratio(self.resident, self.active)
    }

    /// Memory of the process that the allocator does not know of.
    pub(super) fn process_excess(&self) -> Ratio {
        ratio(self.resident_set, self.resident)
    }

    /// All of the above together.
    pub(super) fn total_excess(&self) -> Ratio {
        ratio(self.resident_set, self.used)
    }
}

/// Clients with a connection.
pub(super) fn clients<'c>(cx: &'c Cx<'_>) -> impl Iterator<Item = &'c Session> {
    cx.sessions
        .iter()
        .map(|(_, session)| session)
        .filter(|s| !s.flags.contains(SessionFlags::INTERNAL))
}

fn ratio(whole: u64, part: u64) -> Ratio {
    Ratio {
        share: whole as f64 / part.max(1) as f64,
        excess: whole.cast_signed().saturating_sub(part.cast_signed()),
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Footprint {
        Footprint {
            used: 10_000,
            peak: 20_000,
            startup: 2_000,
            resident_set: 15_000,
            allocated: 10_000,
            active: 11_000,
            resident: 12_000,
            gaps: 500,
            clients: 200,
            pooled: 100,
            aof_buffer: 50,
            interpreters: 1_000,
            lua_caches: 100,
            function_caches: 50,
            tables: vec![(0, 1_000), (3, 500)],
            keys: 100,
        }
    }

    #[test]
    fn data_is_what_nothing_else_accounts_for() {
        let footprint = example();
        assert_eq!((footprint.overhead(), footprint.dataset()), (5_000, 5_000));
        assert_eq!(
            (footprint.dataset_percent(), footprint.peak_percent()),
            (62.5, 50.0)
        );
        assert_eq!(footprint.bytes_per_key(), 80);
        assert_eq!(
            (footprint.fragmentation().share, footprint.fragmentation().excess),
            (1.05, 500)
        );
    }

    #[test]
    fn ratios_survive_what_was_never_measured() {
        let footprint = Footprint {
            used: 0,
            allocated: 0,
            resident_set: 0,
            peak: 0,
            keys: 0,
            ..example()
        };
        assert_eq!(footprint.dataset(), 0);
        assert_eq!(footprint.bytes_per_key(), 0);
        assert!(footprint.fragmentation().share.is_finite() && footprint.peak_percent() == 0.0);
        assert_eq!(footprint.process_excess().excess, -12_000);
    }
}
