//! How far a group has read: its count of entries read, and how many are left (its lag).
//!
//! Both are counted from the first entry ever appended. As long as nothing was deleted in between, counting is adding;
//! behind a deletion the count is unknown, until the group reaches a place where it can be derived from the totals: the
//! last entry, or an end of a stream without holes.

use super::group::Group;
use super::id::StreamId;
use super::log::Log;

impl Log {
    /// How many entries were appended up to and including `id`, where the totals tell.
    pub fn count_up_to(&self, id: StreamId) -> Option<i64> {
        let added = self.entries_added as i64;
        if self.entries_added == 0 || id == self.last_id || (self.is_empty() && id < self.last_id) {
            return Some(added);
        }
        let has_holes = self.max_deleted_id != StreamId::MIN && self.max_deleted_id >= self.first_id;
        if id > self.last_id || has_holes || id > self.first_id {
            return None;
        }
        let before_first = added.wrapping_sub(self.len as i64);
        Some(before_first.wrapping_add(i64::from(id == self.first_id)))
    }

    /// Whether an entry at or behind `id` was deleted and another before it is still there.
    fn has_hole_from(&self, id: StreamId) -> bool {
        let last_hole = self.max_deleted_id;
        !self.is_empty() && last_hole != StreamId::MIN && self.first_id <= last_hole && id <= last_hole
    }

    /// How many entries the group has not read; `None` when nobody can tell.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let read = group
            .entries_read
            .filter(|_| !self.has_hole_from(group.last_id))
            .or_else(|| self.count_up_to(group.last_id))?;
        Some((self.entries_added as i64).wrapping_sub(read))
    }

    /// The group has read the entry `id`, which is above its last one.
    pub fn note_read(&self, group: &mut Group, id: StreamId) {
        group.entries_read = match group.entries_read {
            Some(read) if !self.has_hole_from(id) => read.checked_add(1),
            unknown if self.entries_added == 0 => unknown,
            _ => self.count_up_to(id),
        };
        group.last_id = id;
    }
}
