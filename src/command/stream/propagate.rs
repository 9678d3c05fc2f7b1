//! What becomes of reading through groups: followers are told the outcome, one pending entry at a time.
//!
//! ```text
//! given out, claimed   XCLAIM key group consumer 0 id TIME ms RETRYCOUNT n FORCE JUSTID LASTID id
//! read up to           XGROUP SETID key group id ENTRIESREAD n
//! new by NOACK         XGROUP CREATECONSUMER key group consumer
//! ```

use crate::keyspace::typed::Edit;
use crate::value::stream::group::Pending;
use crate::value::stream::{Group, StreamId};

/// A group by its names.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The stream.
    pub key: &'a [u8],
    /// The group.
    pub group: &'a [u8],
}

impl Names<'_> {
    /// An entry is now pending as told, or (if it is not in the stream) no longer at all.
    pub fn claimed(self, edit: &mut Edit<'_>, group: &Group, id: StreamId, pending: Pending) {
        if !edit.is_followed() {
            return;
        }
        edit.instead(&[
            b"XCLAIM",
            self.key,
            self.group,
            group.consumer(pending.consumer).name(),
            b"0",
            &id.text(),
            b"TIME",
            itoa::Buffer::new().format(pending.delivered_ms).as_bytes(),
            b"RETRYCOUNT",
            itoa::Buffer::new().format(pending.deliveries).as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            &group.last_id.text(),
        ]);
    }

    /// The group has read up to its last id.
    pub fn has_read(self, edit: &mut Edit<'_>, group: &Group) {
        if !edit.is_followed() {
            return;
        }
        let read = group.entries_read.unwrap_or(-1);
        edit.instead(&[
            b"XGROUP",
            b"SETID",
            self.key,
            self.group,
            &group.last_id.text(),
            b"ENTRIESREAD",
            itoa::Buffer::new().format(read).as_bytes(),
        ]);
    }

    /// A consumer has been created that nothing pending tells of.
    pub fn created(self, edit: &mut Edit<'_>, consumer: &[u8]) {
        edit.instead(&[b"XGROUP", b"CREATECONSUMER", self.key, self.group, consumer]);
    }
}
