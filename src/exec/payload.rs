//! DUMP and RESTORE: values in and out as payloads of the RDB format.

use crate::base::quote;
use crate::command::cx::RestoreRequest;
use crate::command::error::Error;
use crate::keyspace::changes::Classes;
use crate::keyspace::restore::{Access, Restored};
use crate::persist::rdb::decode::Scrutiny;
use crate::persist::rdb::payload::{self, Rejected};
use crate::resp::Reply;
use crate::session::SessionId;

use super::Executor;

const BAD_FOOTER: Error = Error::fixed("ERR DUMP payload version or checksum are wrong");
const BAD_VALUE: Error = Error::fixed("ERR Bad data format");

impl Executor {
    /// Answers DUMP for a key that exists.
    pub(super) fn dump(&mut self, client: SessionId, key: &[u8], reply: &mut Vec<u8>) {
        let (version, compresses) = (self.rdb_version(), self.config.bool("rdbcompression"));
        let resp3 = self.sessions[client].answers_resp3();
        let mut reply = Reply::new(reply, resp3);
        match self.keys.stored(self.keys.key(key)) {
            Some(entry) => reply.bulk(&payload::dump(entry, version, compresses)),
            None => reply.null(),
        }
    }

    /// How many bytes the value of a key takes in a snapshot.
    pub(super) fn serialized_bytes(&self, key: &[u8]) -> u64 {
        let (version, compresses) = (self.rdb_version(), self.config.bool("rdbcompression"));
        let entry = self.keys.stored(self.keys.key(key));
        entry.map_or(0, |entry| payload::serialized_bytes(entry, version, compresses))
    }

    /// Answers RESTORE, whose options are checked already.
    pub(super) fn restore(&mut self, client: SessionId, request: &RestoreRequest, reply: &mut Vec<u8>) {
        match self.restored(request) {
            Ok(()) => self.write_ok(client, reply),
            Err(error) => self.write_error(client, &error, reply),
        }
    }

    fn restored(&mut self, request: &RestoreRequest) -> Result<(), Error> {
        let mut text = Vec::new();
        let scrutiny = self.payload_scrutiny();
        let (value, sanitized) = payload::restore(&request.payload, scrutiny, &self.keys.limits, &mut text)
            .map_err(|rejected| match rejected {
            Rejected::Footer => BAD_FOOTER,
            Rejected::Value(refused) => {
                let mut key = Vec::new();
                quote::repr(&request.key, &mut key);
                tracing::warn!("RESTORE of {} refused: {refused}", String::from_utf8_lossy(&key));
                BAD_VALUE
            }
        })?;
        self.stats.counters.dump_payload_sanitizations += sanitized;
        let access = match (request.idle_seconds, request.frequency) {
            (Some(seconds), _) => Access::IdleSeconds(seconds),
            (None, Some(counter)) => Access::Frequency(counter),
            (None, None) => Access::Fresh,
        };
        let db = self.keys.selected();
        let restored = self.keys.restore(
            db,
            &request.key,
            value,
            request.expire_at,
            access,
            request.replaces,
        );
        match restored {
            Restored::Stored => {
                let changes = &mut self.keys.changes;
                changes.touch(db, &request.key);
                changes.event(Classes::GENERIC, "restore", db, &request.key);
                self.propagate_restore(db, request);
            }
            // Compat: its time has passed, so it is only the old key that goes.
            Restored::Expired if request.replaces => self.bury_replaced(db, &request.key),
            Restored::Expired | Restored::Exists => {}
        }
        Ok(())
    }

    fn bury_replaced(&mut self, db: usize, key: &[u8]) {
        if self.keys.delete(self.keys.key(key), false) {
            let verb: &[u8] = if self.keys.lazy.server_del {
                b"UNLINK"
            } else {
                b"DEL"
            };
            self.keys.changes.instead(db, &[verb, key]);
        }
    }

    /// How closely payloads are looked at: those that clients send, and those that come from the log.
    fn payload_scrutiny(&self) -> Scrutiny {
        Scrutiny {
            checksum: !self.server.checksums_ignored,
            deep: match self.config.choice("sanitize-dump-payload") {
                "yes" => true,
                "clients" => self.stats.persistence.loading.is_none(),
                _ => false,
            },
        }
    }

    /// With an absolute time to live, so that whoever runs it later means the same moment.
    fn propagate_restore(&mut self, db: usize, request: &RestoreRequest) {
        let Some(at) = request.expire_at.filter(|_| !request.absolute) else {
            return;
        };
        let at = at.to_string();
        let mut words: Vec<&[u8]> = vec![b"RESTORE", &request.key, at.as_bytes(), &request.payload];
        if request.replaces {
            words.push(b"REPLACE");
        }
        words.push(b"ABSTTL");
        self.keys.changes.instead(db, &words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small set of two members, and the same one twice.
    const SET: &[u8] = b"\x14\x0d\x0d\0\0\0\x02\0\x81a\x02\x81b\x02\xff\x0b\0xxxxxxxx";
    const TWICE: &[u8] = b"\x14\x0d\x0d\0\0\0\x02\0\x81a\x02\x81a\x02\xff\x0b\0xxxxxxxx";

    fn restored(executor: &mut Executor, payload: &[u8]) -> bool {
        let client = executor.connect();
        executor.run(client, &[b"DEBUG", b"SET-SKIP-CHECKSUM-VALIDATION", b"1"]);
        executor.run(client, &[b"RESTORE", b"k", b"0", payload, b"REPLACE"]) == b"+OK\r\n"
    }

    #[test]
    fn depth_is_for_everybody_for_clients_or_for_nobody_and_is_counted() {
        for (choice, loading, deep) in [
            ("no", false, false),
            ("clients", false, true),
            ("clients", true, false),
            ("yes", false, true),
            ("yes", true, true),
        ] {
            let mut executor = Executor::for_tests();
            let client = executor.connect();
            let words: [&[u8]; 4] = [b"CONFIG", b"SET", b"sanitize-dump-payload", choice.as_bytes()];
            assert_eq!(executor.run(client, &words), b"+OK\r\n");
            if loading {
                executor.note_load_begin(1);
            }
            let scrutiny = executor.payload_scrutiny();
            assert_eq!(scrutiny.deep, deep, "{choice}");
            assert_eq!(executor.file_scrutiny().deep, choice == "yes");
            if !loading {
                assert!(restored(&mut executor, SET));
                assert!(!restored(&mut executor, TWICE), "{choice}: for everybody");
                let counted = executor.stats.counters.dump_payload_sanitizations;
                assert_eq!(counted, u64::from(deep), "what is refused is not counted");
            }
        }
    }
}
