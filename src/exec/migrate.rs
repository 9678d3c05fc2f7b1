//! MIGRATE: keys leave for another server, and the executor goes on meanwhile.
//!
//! ```text
//!   MIGRATE ── pack ──> Host::ship ──> another thread: connect, RESTORE each, read the answers
//!      │                                                     │
//!      └── client waits, writes are held back <── DEL <── Delivery ──> the command is run again, and answers
//! ```
//!
//! A key must not change between packing and removal: the change would be lost. Redis serves nobody meanwhile; here
//! everybody may read, and writes, expiry and eviction wait as they do for CLIENT PAUSE. So there is one MIGRATE under way
//! at most. Where the client cannot wait (in a transaction or script) the executor does.
//!
//! I1: `server.migrating` holds exactly while a client's migration is here, whose command is not run again. I2: keys are
//! removed once, when the delivery is heard of; what is left then is the answer.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::command::blocking::BlockOn;
use crate::command::cx::MigrateRequest;
use crate::command::error::Error;
use crate::persist::rdb::payload;
use crate::session::{SessionFlags, SessionId};
use crate::value::Kind;

use super::shipment::{Delivery, Failure, Parcel, Shipment};
use super::{Executor, admit, effects};

/// Keys under way.
pub(super) struct Migration {
    client: SessionId,
    db: usize,
    /// In the order of the parcels; none if they stay.
    leaving: Vec<Box<[u8]>>,
    news: Receiver<Delivery>,
    outcome: Option<Result<(), Failure>>,
}

impl Migration {
    /// What has come of it, if that is known; waits for as long.
    fn news(&self, patience: Duration) -> Option<Delivery> {
        match self.news.recv_timeout(patience) {
            Ok(delivery) => Some(delivery),
            Err(RecvTimeoutError::Timeout) => None,
            // Whoever carried it is gone.
            Err(RecvTimeoutError::Disconnected) => Some(Delivery::failed(Failure::Write)),
        }
    }
}

/// The beginning.
impl Executor {
    /// Sends the keys of a MIGRATE off; its client waits if it may.
    pub(super) fn migrate(
        &mut self,
        client: SessionId,
        id: u16,
        request: MigrateRequest,
        reply: &mut Vec<u8>,
    ) {
        if self.stats.persistence.loading.is_some() {
            // A log asks, or a script in it. Whatever has left for another server is in logs as DEL.
            self.stats.commands.record_failed(id);
            return self.write_error(client, &admit::LOADING, reply);
        }
        let waits = request.waits;
        let shipment = self.pack(&request);
        let (tell, news) = mpsc::channel();
        let wake = self.host.waker();
        self.migration = Some(Migration {
            client,
            db: self.keys.selected(),
            leaving: if request.copies { Vec::new() } else { request.keys },
            news,
            outcome: None,
        });
        self.host.ship(
            shipment,
            Box::new(move |delivery| {
                // Nobody listens any longer when the server ends.
                let _ = tell.send(delivery);
                wake();
            }),
        );
        if waits {
            self.server.migrating = true;
            self.sessions[client].flags.insert(SessionFlags::MIGRATING);
            return self.block(client, BlockOn::keys(Kind::String, [], None), id);
        }
        self.await_delivery();
        self.answer_migration(client, id, reply);
    }

    fn pack(&self, request: &MigrateRequest) -> Shipment {
        let (version, compresses) = (self.rdb_version(), self.config.bool("rdbcompression"));
        let parcel = |key: &[u8]| {
            let entry = self.keys.stored(self.keys.key(key))?;
            let left_ms = |at: i64| (at - self.keys.now_ms).max(1);
            Some(Parcel {
                key: key.into(),
                ttl_ms: entry.expire_at().map_or(0, left_ms),
                payload: payload::dump(entry, version, compresses),
            })
        };
        Shipment {
            host: request.host.clone(),
            port: request.port.clone(),
            login: request.login.clone(),
            db: request.db,
            patience: Duration::from_millis(request.patience_ms),
            replaces: request.replaces,
            parcels: request.keys.iter().filter_map(|key| parcel(key)).collect(),
        }
    }
}

/// The end.
impl Executor {
    /// Looks whether the keys under way have arrived: once a turn.
    #[inline]
    pub(super) fn hear_migration(&mut self) {
        if self.server.migrating {
            self.hear_delivery();
        }
    }

    #[cold]
    fn hear_delivery(&mut self) {
        self.take_delivery(Duration::ZERO);
        let ended = self
            .migration
            .as_ref()
            .filter(|under_way| under_way.outcome.is_some());
        let Some(client) = ended.map(|under_way| under_way.client) else {
            return;
        };
        self.server.migrating = false;
        self.serve(client);
        // It is still there if the client is not.
        self.migration = None;
        self.count_migrate_links();
    }

    /// Waits for the end of a migration under way, for the server is about to end.
    pub(super) fn end_migration(&mut self) {
        if self.migration.is_some() {
            self.await_delivery();
        }
    }

    fn await_delivery(&mut self) {
        const LOOK_AGAIN: Duration = Duration::from_secs(3600);
        while self
            .migration
            .as_ref()
            .is_some_and(|under_way| under_way.outcome.is_none())
        {
            self.take_delivery(LOOK_AGAIN);
        }
    }

    /// Removes what has arrived, if the news come within `patience`.
    fn take_delivery(&mut self, patience: Duration) {
        let Some(under_way) = &mut self.migration else {
            return;
        };
        if under_way.outcome.is_some() {
            return;
        }
        let Some(delivery) = under_way.news(patience) else {
            return;
        };
        under_way.outcome = Some(delivery.failure.map_or(Ok(()), Err));
        let (db, leaving) = (under_way.db, std::mem::take(&mut under_way.leaving));
        let arrived = leaving
            .into_iter()
            .zip(delivery.taken)
            .filter(|(_, taken)| *taken);
        let arrived: Vec<_> = arrived.map(|(key, _)| key).collect();
        if !arrived.is_empty() {
            self.remove_arrived(db, &arrived);
        }
    }

    /// Followers see the removal and nothing of the rest.
    fn remove_arrived(&mut self, db: usize, arrived: &[Box<[u8]>]) {
        let selected = self.keys.selected();
        self.keys.select(db);
        let lazy = self.keys.lazy.server_del;
        for key in arrived {
            self.keys.delete_stored(self.keys.key(key), lazy);
        }
        self.keys.select(selected);
        let words: Vec<&[u8]> = [&b"DEL"[..]]
            .into_iter()
            .chain(arrived.iter().map(|key| &**key))
            .collect();
        if self.server.migrating {
            // Outside of the command.
            self.keys.changes.propagate(db, &words);
            effects::drain_eviction(self, None);
        } else {
            self.keys.changes.instead(db, &words);
        }
    }

    /// Answers a MIGRATE whose end has come.
    pub(super) fn answer_migration(&mut self, client: SessionId, id: u16, reply: &mut Vec<u8>) {
        let outcome = self.migration.take().and_then(|under_way| under_way.outcome);
        match outcome.unwrap_or(Err(Failure::Write)) {
            Ok(()) => self.write_ok(client, reply),
            Err(failure) => {
                self.stats.commands.record_failed(id);
                self.write_error(client, &error(failure), reply);
            }
        }
    }

    /// Counts the connections that are kept, for INFO.
    pub(super) fn count_migrate_links(&mut self) {
        self.server.migrate_links = self.host.links();
    }
}

fn error(failure: Failure) -> Error {
    match failure {
        Failure::Connect => Error::fixed("IOERR error or timeout connecting to the client"),
        Failure::Write => Error::fixed("IOERR error or timeout writing to target instance"),
        Failure::Read => Error::fixed("IOERR error or timeout reading to target instance"),
        Failure::Refused(text) => {
            let text = [b"ERR Target instance replied with error: ", &text[..]].concat();
            Error::Text(text.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::Config;
    use crate::exec::Host;
    use crate::exec::mailbox::Mail;
    use crate::exec::shipment::Report;
    use crate::exec::testing::Scene;

    /// Keeps shipments until a test says how they end.
    #[derive(Clone, Default)]
    struct Harbour(Arc<Mutex<Vec<(Shipment, Report)>>>);

    impl Host for Harbour {
        fn ship(&mut self, shipment: Shipment, report: Report) {
            self.0.lock().expect("one thread").push((shipment, report));
        }

        fn apply_config(&mut self, _: &Config, _: &[&'static str]) -> Result<(), (&'static str, String)> {
            Ok(())
        }
    }

    impl Harbour {
        fn take(&self) -> (Shipment, Report) {
            self.0.lock().expect("one thread").pop().expect("a shipment")
        }

        /// Everything has arrived.
        fn deliver(&self) {
            let (shipment, report) = self.take();
            report(Delivery {
                taken: vec![true; shipment.parcels.len()],
                failure: None,
            });
        }
    }

    fn scene(clients: usize) -> (Scene, Harbour) {
        let (mut scene, harbour) = (Scene::new(clients), Harbour::default());
        scene.executor.host = Box::new(harbour.clone());
        scene.executor.keys.changes.followed = true;
        scene.turn("a: SET k v;SET other w PX 500");
        scene.journal();
        (scene, harbour)
    }

    #[test]
    fn while_keys_are_under_way_reads_go_on_and_writes_wait() {
        let (mut scene, harbour) = scene(3);
        assert_eq!(scene.turn("a: MIGRATE h 1 k 0 0;PING"), [""; 0]);
        assert_eq!(scene.turn("b: SET k changed\nc: GET k"), ["c: $1 v"]);
        assert_eq!(scene.pass(10), [""; 0]);
        harbour.deliver();
        assert_eq!(scene.pass(0), ["b: +OK", "a: +OK +PONG"]);
        assert_eq!(scene.journal(), ["0: DEL k", "0: SET k changed"]);
        assert_eq!(scene.turn("c: GET k"), ["c: $7 changed"]);
    }

    #[test]
    fn what_is_under_way_does_not_expire() {
        let (mut scene, harbour) = scene(2);
        scene.turn("a: MIGRATE h 1 other 0 0");
        scene.pass(1_000);
        scene.executor.tick();
        assert!(!scene.executor.is_sweeping());
        // Not in the eyes of readers.
        assert_eq!(scene.turn("b: EXISTS other;DBSIZE"), ["b: :0 :2"]);
        harbour.deliver();
        assert_eq!(scene.pass(0), ["a: +OK"]);
        assert_eq!(scene.journal(), ["0: DEL other"]);
    }

    #[test]
    fn only_what_has_arrived_is_removed() {
        let (mut scene, harbour) = scene(1);
        scene.turn("a: MIGRATE h 1 \"\" 0 0 KEYS k missing other");
        let (shipment, report) = harbour.take();
        let keys: Vec<_> = shipment
            .parcels
            .iter()
            .map(|parcel| (&*parcel.key, parcel.ttl_ms))
            .collect();
        assert_eq!(keys, [(&b"k"[..], 0), (b"other", 500)]);
        report(Delivery {
            taken: vec![false, true],
            failure: Some(Failure::Refused(b"BUSYKEY taken".to_vec())),
        });
        let refused = "a: -ERR Target instance replied with error: BUSYKEY taken";
        assert_eq!(scene.pass(0), [refused]);
        assert_eq!(scene.turn("a: EXISTS k;EXISTS other"), ["a: :1 :0"]);
    }

    #[test]
    fn a_client_that_leaves_or_is_told_off_changes_nothing() {
        let (mut scene, harbour) = scene(2);
        scene.turn("a: MIGRATE h 1 k 0 0");
        let id = scene.clients[0].client;
        assert_eq!(scene.turn(&format!("b: CLIENT UNBLOCK {id}")), ["b: :0"]);
        scene.open(&mut vec![Mail::Disconnect(scene.clients[0])]);
        harbour.deliver();
        assert_eq!(scene.turn("b: EXISTS k;SET x 1"), ["b: :0 +OK"]);
        assert!(scene.executor.migration.is_none());
    }

    #[test]
    fn two_clients_take_turns() {
        let (mut scene, harbour) = scene(2);
        scene.turn("a: MIGRATE h 1 k 0 0\nb: MIGRATE h 1 other 0 0 COPY");
        harbour.deliver();
        assert_eq!(scene.pass(0), ["a: +OK"]);
        harbour.deliver();
        assert_eq!(scene.pass(0), ["b: +OK"]);
        assert_eq!(scene.turn("a: EXISTS k other"), ["a: :1"]);
    }

    #[test]
    fn a_transaction_waits_with_everybody() {
        let mut scene = Scene::new(1);
        scene.executor.keys.changes.followed = true;
        // Nobody is there to carry it.
        let failed = "-IOERR error or timeout connecting to the client";
        assert_eq!(
            scene.turn("a: SET k v;MULTI;MIGRATE h 1 k 0 0;GET k;EXEC"),
            [format!("a: +OK +OK +QUEUED +QUEUED *2 {failed} $1 v")]
        );
    }

    #[test]
    fn the_end_of_the_server_waits_for_what_is_under_way() {
        let (mut scene, harbour) = scene(2);
        scene.turn("a: MIGRATE h 1 k 0 0");
        harbour.deliver();
        scene.turn("b: SHUTDOWN NOSAVE");
        assert_eq!(scene.journal(), ["0: DEL k"]);
    }
}
