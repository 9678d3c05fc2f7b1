//! Giving every room its slice of the configuration, at start and after CONFIG SET; and the other control acts.

use crate::base::hash::KeyHasher;
use crate::command::cx::{Control, DebugAct};
use crate::command::error::Error;
use crate::config::{Changed, Config, Scope, SetError};
use crate::keyspace::LazyPolicy;
use crate::keyspace::changes::Classes;
use crate::resp::Reply;
use crate::session::SessionId;
use crate::value::Limits;

use super::Executor;
use super::dispatch::SlowLimits;

impl Executor {
    /// Hands the configuration to the rooms below.
    pub fn take_slices(&mut self) {
        let config = &self.config;
        let policy = config.choice("maxmemory-policy");
        let access = &mut self.keys.access;
        access.lfu = policy.ends_with("-lfu");
        access.log_factor = config.int("lfu-log-factor") as u32;
        access.decay_minutes = config.int("lfu-decay-time") as u32;
        self.evictor.take_config(config);
        self.keys.lazy = LazyPolicy {
            eviction: config.bool("lazyfree-lazy-eviction"),
            expire: config.bool("lazyfree-lazy-expire"),
            server_del: config.bool("lazyfree-lazy-server-del"),
            user_del: config.bool("lazyfree-lazy-user-del"),
            user_flush: config.bool("lazyfree-lazy-user-flush"),
        };
        // That one is no directive.
        let list_packed_threshold = self.keys.limits.list_packed_threshold;
        self.keys.limits = Limits {
            list_packed_threshold,
            ..encoding_limits(config, self.keys.hasher())
        };
        self.keys.changes.wanted = wanted_events(config.event_classes());
        self.pubsub.hard_limit_bytes = config.output_limits().pubsub.hard_bytes;
        self.pubsub.normal_hard_limit_bytes = config.output_limits().normal.hard_bytes;
        self.tracking.keys_max = usize::try_from(config.int("tracking-table-max-keys")).unwrap_or(0);
        let limit = |us: i64| {
            if us < 0 {
                u64::MAX
            } else {
                (us as u64).saturating_mul(1000)
            }
        };
        self.busy_ms = config.int("busy-reply-threshold") as u64;
        self.queue_bytes_max = config.memory("client-query-buffer-limit");
        // There are no replicas yet.
        self.short_of_replicas =
            config.int("min-replicas-to-write") > 0 && config.int("min-replicas-max-lag") > 0;
        let latency_ms = config.int("latency-monitor-threshold");
        self.slow = SlowLimits {
            log_ns: limit(config.int("slowlog-log-slower-than")),
            latency_ns: if latency_ms == 0 {
                u64::MAX
            } else {
                limit(latency_ms.saturating_mul(1000))
            },
        };
        self.limit_client_memory();
        let config = &self.config;
        self.stats.apply_config(
            config.int("slowlog-log-slower-than"),
            config.int("slowlog-max-len"),
            latency_ms,
            config.bool("latency-tracking"),
        );
        self.aof.take_slice(config);
        self.acl
            .set_default_password(&String::from_utf8_lossy(config.text("requirepass")));
    }

    /// Carries out what a handler could not.
    pub(super) fn carry_out(&mut self, client: SessionId, control: Control, reply: &mut Vec<u8>) {
        match control {
            Control::Shutdown(options) => self.shutdown(client, options, reply),
            Control::ApplyConfig(changed) => self.apply_config(client, changed, reply),
            Control::RewriteConfig(scope) => self.rewrite_config(client, scope, reply),
            Control::Pause => {}
            Control::Unpause => self.server.pause = None,
            Control::Kill(victims) => victims.into_iter().for_each(|id| self.close_client(id, client)),
            Control::Flushed { all, waits } => {
                if all {
                    self.save_emptiness();
                }
                if waits {
                    self.await_freeing(client);
                }
            }
            Control::Save => self.save(client, reply),
            Control::BackgroundSave { schedules } => self.background_save(client, schedules, reply),
            Control::RewriteLog => self.background_rewrite(client, reply),
            Control::LoadLog => self.reload_log(client, reply),
            Control::DelayLog(us) => self.aof.delay_writes(us),
            Control::Reload(options) => self.reload(client, options, reply),
            Control::Dump(key) => self.dump(client, &key, reply),
            Control::SerializedLength { key, before, behind } => {
                let bytes = self.serialized_bytes(&key);
                self.write_simple(client, &format!("{before}{bytes}{behind}"), reply);
            }
            Control::Restore(request) => self.restore(client, &request, reply),
            Control::Unblock { client, with_error } => self.unblock(client, with_error),
            Control::Exec => self.exec_transaction(client, reply),
            Control::Debug(act) => debug(act),
            Control::Script(_) | Control::Migrate(_) | Control::Migrated => {
                unreachable!("dispatch does it: it knows the command")
            }
        }
    }

    fn apply_config(&mut self, client: SessionId, changed: Changed, reply: &mut Vec<u8>) {
        // The log last: it cannot be taken back, and belongs in the folder that is entered before.
        let applied = self
            .check_defrag()
            .and_then(|()| self.prepare_move(changed.names()))
            .and_then(|()| self.host.apply_config(&self.config, changed.names()))
            .and_then(|()| self.apply_log_config(client, changed.names()));
        if let Err((directive, reason)) = applied {
            let names = changed.names().to_vec();
            self.config.undo(changed);
            // The host tries the old values again, so that sockets and settings agree.
            let _ = self.host.apply_config(&self.config, &names);
            let text = SetError::effect(directive, reason).wire();
            let error = Error::Text(text.into());
            return self.write_error(client, &error, reply);
        }
        self.lengthen_watchdog();
        self.take_slices();
        if changed.names().contains(&"maxmemory") {
            self.limit_changed();
        }
        if changed.names().iter().any(|name| name.starts_with("active")) {
            self.defrag_configured();
        }
        self.write_ok(client, reply);
    }

    fn rewrite_config(&mut self, client: SessionId, scope: Scope, reply: &mut Vec<u8>) {
        match self.config.rewrite_file(&[], scope) {
            Ok(true) => {
                tracing::info!("CONFIG REWRITE executed with success.");
                self.write_ok(client, reply);
            }
            Ok(false) => {
                let error = Error::fixed("ERR The server is running without a config file");
                self.write_error(client, &error, reply);
            }
            Err(error) => {
                let reason = crate::process::os_text(&error);
                tracing::warn!("CONFIG REWRITE failed: {reason}");
                self.write_error(
                    client,
                    &Error::err(format_args!("Rewriting config file: {reason}")),
                    reply,
                );
            }
        }
    }

    pub(super) fn write_simple(&self, client: SessionId, text: &str, reply: &mut Vec<u8>) {
        Reply::new(reply, self.sessions[client].answers_resp3()).simple(text);
    }

    pub(super) fn write_ok(&self, client: SessionId, reply: &mut Vec<u8>) {
        Reply::new(reply, self.sessions[client].answers_resp3()).ok();
    }

    /// Closes a client from outside any command.
    pub fn kill(&mut self, client: SessionId) {
        self.close_client(
            client,
            SessionId {
                slot: u32::MAX,
                client: 0,
            },
        );
    }
}

/// Up to which size collections keep their small encodings.
fn encoding_limits(config: &Config, hasher: KeyHasher) -> Limits {
    let size = |name| config.int(name) as usize;
    Limits {
        list_max_listpack_size: config.int("list-max-listpack-size") as i32,
        list_compress_depth: config.int("list-compress-depth") as u32,
        set_max_intset_entries: size("set-max-intset-entries"),
        set_max_listpack_entries: size("set-max-listpack-entries"),
        set_max_listpack_value: size("set-max-listpack-value"),
        hash_max_listpack_entries: size("hash-max-listpack-entries"),
        hash_max_listpack_value: size("hash-max-listpack-value"),
        zset_max_listpack_entries: size("zset-max-listpack-entries"),
        zset_max_listpack_value: size("zset-max-listpack-value"),
        stream_node_max_bytes: config.memory("stream-node-max-bytes") as usize,
        stream_node_max_entries: size("stream-node-max-entries"),
        list_packed_threshold: 0,
        hll_sparse_max_bytes: config.memory("hll-sparse-max-bytes") as usize,
        hasher,
    }
}

/// The classes of events to record: none unless they are to be published by key or by event.
fn wanted_events(letters: &str) -> Classes {
    let classes = Classes::parse(letters).unwrap_or_default();
    let published = classes.intersects(Classes::KEYSPACE | Classes::KEYEVENT);
    if published { classes } else { Classes::empty() }
}

/// Does what DEBUG asked the process to do to itself.
fn debug(act: DebugAct) {
    match act {
        DebugAct::Panic => panic!("DEBUG PANIC called"),
        DebugAct::Assert => assert_eq!(1, 2, "DEBUG ASSERT called"),
        DebugAct::Segfault => {
            // Fails for no signal a process may send itself.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::SEGV);
        }
        DebugAct::Exit => std::process::exit(1),
    }
}
