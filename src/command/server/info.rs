//! INFO: the state of the server as text. This file only gathers what the other rooms tell.
//!
//! Monitoring asks every second, so nothing here costs more than O(databases + clients + commands).

use crate::base::units::human_bytes;
use crate::command::args::Args;
use crate::command::cx::{Cx, DONE, Outcome, ScriptFacts};
use crate::command::row::{Arg, Arity, Categories, Flags, Group, Row};
use crate::command::transaction::is_outdated;
use crate::process::version;
use crate::pubsub::Kind;
use crate::session::SessionFlags;
use crate::stats::counters::{Counters, Gauges};
use crate::stats::cpu::write_cpu;
use crate::stats::info::{InfoWriter, Sections};
use crate::stats::memory::{muzzy_bytes, system_memory_bytes};
use crate::stats::persistence::{ChildKind, ChildProgress, Loading};

use super::footprint::{Footprint, Ratio, clients};

pub(super) const INFO: Row = Row {
    name: "info",
    summary: "Tells the state of the server, all of it or some sections.",
    since: "1.0.0",
    group: Group::Server,
    arity: Arity::AtLeast(1),
    flags: Flags::LOADING.with(Flags::STALE),
    categories: Categories::DANGEROUS,
    tips: &[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ],
    history: &[("7.0.0", "Added support for taking multiple section arguments.")],
    args: &[Arg::string("section").multiple().optional()],
    run: info,
    ..Row::BASE
};

fn info(cx: &mut Cx<'_>, args: Args<'_>) -> Outcome {
    let wanted = Sections::parse(args.iter_from(1));
    let mut info = InfoWriter::new();
    for (section, write) in WRITERS {
        if wanted.contains(*section) {
            write(&mut info, cx);
        }
    }
    let text = info.finish();
    cx.reply.verbatim("txt", &text);
    Ok(DONE)
}

/// Writes one section, title included.
type Writer = fn(&mut InfoWriter, &Cx<'_>);

/// All sections in the order they are printed.
const WRITERS: &[(Sections, Writer)] = &[
    (Sections::SERVER, server),
    (Sections::CLIENTS, client_counts),
    (Sections::MEMORY, memory),
    (Sections::PERSISTENCE, persistence),
    (Sections::STATS, stats),
    (Sections::REPLICATION, replication),
    (Sections::CPU, |info, _| write_cpu(info)),
    (Sections::MODULES, modules),
    (Sections::COMMANDSTATS, commandstats),
    (Sections::ERRORSTATS, errorstats),
    (Sections::LATENCYSTATS, latencystats),
    (Sections::CLUSTER, cluster),
    (Sections::KEYSPACE, keyspace),
    (Sections::DEBUG, |info, cx| {
        cx.stats.counters.event_loop.write_debug(info)
    }),
];

fn server(info: &mut InfoWriter, cx: &Cx<'_>) {
    info.section("Server")
        .field("redis_version", version::REDIS_VERSION)
        .field("redis_git_sha1", version::GIT_SHA1)
        .field("redis_git_dirty", version::GIT_DIRTY)
        .field("redis_build_id", version::build_id_text())
        .field("redis_mode", "standalone")
        .field("os", system())
        .field("arch_bits", usize::BITS)
        .field("monotonic_clock", "POSIX clock_gettime")
        .field("multiplexing_api", "epoll")
        .field("atomicvar_api", "c11-builtin")
        // Compat: what Redis prints when another compiler built it.
        .field("gcc_version", "0.0.0");
    process(info, cx);
    listeners(info, cx);
    info.field("russet_version", version::RUSSET_VERSION);
}

fn process(info: &mut InfoWriter, cx: &Cx<'_>) {
    let facts = &cx.server.facts;
    let uptime_s = (cx.now_unix_us - facts.started_unix_us).max(0) / 1_000_000;
    let hz = cx.config.int("hz");
    let config_file = cx
        .config
        .file()
        .map(|path| path.to_string_lossy())
        .unwrap_or_default();
    info.field("process_id", facts.pid)
        .field("process_supervised", &facts.supervised)
        .field("run_id", &facts.run_id)
        .field("tcp_port", cx.config.int("port"))
        .field("server_time_usec", cx.now_unix_us)
        .field("uptime_in_seconds", uptime_s)
        .field("uptime_in_days", uptime_s / (24 * 60 * 60))
        .field("hz", hz)
        .field("configured_hz", hz)
        .field("lru_clock", (cx.now_unix_us / 1_000_000) & 0x00ff_ffff)
        .field("executable", &facts.executable)
        .field("config_file", config_file)
        .field("io_threads_active", u8::from(facts.io_threads > 1));
}

/// `Linux 6.1.0 x86_64`.
fn system() -> String {
    let name = rustix::system::uname();
    [name.sysname(), name.release(), name.machine()]
        .map(|part| part.to_string_lossy())
        .join(" ")
}

fn listeners(info: &mut InfoWriter, cx: &Cx<'_>) {
    let mut count = 0;
    let mut listener = |text: String| {
        info.field(&format!("listener{count}"), text);
        count += 1;
    };
    let port = cx.config.int("port");
    if port != 0 {
        let binds: String = cx
            .config
            .list("bind")
            .iter()
            .map(|a| format!(",bind={}", String::from_utf8_lossy(a)))
            .collect();
        listener(format!("name=tcp{binds},port={port}"));
    }
    let path = cx.config.path("unixsocket");
    if !path.as_os_str().is_empty() {
        listener(format!("name=unix,bind={}", path.display()));
    }
}

fn client_counts(info: &mut InfoWriter, cx: &Cx<'_>) {
    let now_ms = cx.now_ms();
    let input_max = clients(cx).map(|session| {
        let input = session.input_bytes(now_ms);
        input.used + input.free_lately
    });
    let queues = clients(cx).filter_map(|session| session.outlet.as_ref());
    let queued_max = queues.map(|outlet| outlet.queued_bytes());
    const BLOCKED: SessionFlags = SessionFlags::PAUSED.union(SessionFlags::BLOCKED);
    let held = clients(cx).filter(|session| session.flags.intersects(BLOCKED));
    let interest = &cx.keys.changes.interest;
    let watching = clients(cx).filter(|s| !s.watches.is_empty() && !is_outdated(s, cx.keys));
    info.section("Clients")
        .field("connected_clients", clients(cx).count())
        .field("cluster_connections", 0)
        .field("maxclients", cx.config.int("maxclients"))
        .field("client_recent_max_input_buffer", input_max.max().unwrap_or(0))
        .field("client_recent_max_output_buffer", queued_max.max().unwrap_or(0))
        .field("blocked_clients", held.count())
        .field("tracking_clients", cx.tracking.clients)
        .field(
            "pubsub_clients",
            clients(cx)
                .filter(|s| s.flags.contains(SessionFlags::PUBSUB))
                .count(),
        )
        .field("watching_clients", watching.count())
        .field("clients_in_timeout_table", cx.server.blocked_with_deadline)
        .field("total_watched_keys", interest.watched())
        .field("total_blocking_keys", interest.waited())
        .field("total_blocking_keys_on_nokey", interest.waited_gone());
}

/// Fields of what cannot happen yet.
fn zeros(info: &mut InfoWriter, names: &[&str]) {
    for name in names {
        info.field(name, 0);
    }
}

/// Bytes, plain and for the eye.
fn bytes(info: &mut InfoWriter, name: &str, bytes: u64) {
    info.field(name, bytes)
        .field(&format!("{name}_human"), human_bytes(bytes));
}

fn memory(info: &mut InfoWriter, cx: &Cx<'_>) {
    let footprint = Footprint::of(cx);
    info.section("Memory");
    used_memory(info, &footprint);
    bytes(info, "total_system_memory", system_memory_bytes());
    script_memory(info, &cx.server.scripts);
    bytes(info, "maxmemory", cx.config.memory("maxmemory"));
    info.field("maxmemory_policy", cx.config.choice("maxmemory-policy"));
    overheads(info, &footprint);
    let (pending, freed) = cx.keys.lazyfree_counts();
    info.field("active_defrag_running", cx.stats.defrag.percent)
        .field("lazyfree_pending_objects", pending)
        .field("lazyfreed_objects", freed + cx.stats.counters.lazyfreed_objects);
}

fn used_memory(info: &mut InfoWriter, footprint: &Footprint) {
    bytes(info, "used_memory", footprint.used);
    bytes(info, "used_memory_rss", footprint.resident_set);
    bytes(info, "used_memory_peak", footprint.peak);
    info.field(
        "used_memory_peak_perc",
        format_args!("{:.2}%", footprint.peak_percent()),
    )
    .field("used_memory_overhead", footprint.overhead())
    .field("used_memory_startup", footprint.startup)
    .field("used_memory_dataset", footprint.dataset())
    .field(
        "used_memory_dataset_perc",
        format_args!("{:.2}%", footprint.dataset_percent()),
    )
    .field("allocator_allocated", footprint.allocated)
    .field("allocator_active", footprint.active)
    .field("allocator_resident", footprint.resident)
    .field("allocator_muzzy", muzzy_bytes());
}

fn script_memory(info: &mut InfoWriter, facts: &ScriptFacts) {
    info.field("used_memory_lua", facts.eval_bytes)
        .field("used_memory_vm_eval", facts.eval_bytes)
        .field("used_memory_lua_human", human_bytes(facts.eval_bytes as u64))
        .field("used_memory_scripts_eval", facts.scripts_bytes)
        .field("number_of_cached_scripts", facts.scripts)
        .field("number_of_functions", facts.functions)
        .field("number_of_libraries", facts.libraries)
        .field("used_memory_vm_functions", facts.function_bytes);
    bytes(
        info,
        "used_memory_vm_total",
        (facts.eval_bytes + facts.function_bytes) as u64,
    );
    info.field("used_memory_functions", facts.libraries_bytes);
    bytes(
        info,
        "used_memory_scripts",
        (facts.scripts_bytes + facts.libraries_bytes) as u64,
    );
}

fn overheads(info: &mut InfoWriter, footprint: &Footprint) {
    ratio(
        info,
        "allocator_frag_ratio",
        "allocator_frag_bytes",
        &footprint.fragmentation(),
    );
    ratio(
        info,
        "allocator_rss_ratio",
        "allocator_rss_bytes",
        &footprint.allocator_excess(),
    );
    ratio(
        info,
        "rss_overhead_ratio",
        "rss_overhead_bytes",
        &footprint.process_excess(),
    );
    ratio(
        info,
        "mem_fragmentation_ratio",
        "mem_fragmentation_bytes",
        &footprint.total_excess(),
    );
    info.field("mem_not_counted_for_evict", footprint.aof_buffer);
    zeros(
        info,
        &[
            "mem_replication_backlog",
            "mem_total_replication_buffers",
            "mem_clients_slaves",
        ],
    );
    info.field("mem_clients_normal", footprint.clients);
    zeros(info, &["mem_cluster_links"]);
    info.field("mem_aof_buffer", footprint.aof_buffer);
    info.field("mem_allocator", version::ALLOCATOR);
    zeros(info, &["mem_overhead_db_hashtable_rehashing"]);
}

fn ratio(info: &mut InfoWriter, share_name: &str, excess_name: &str, ratio: &Ratio) {
    info.field(share_name, format_args!("{:.2}", ratio.share))
        .field(excess_name, ratio.excess);
}

fn persistence(info: &mut InfoWriter, cx: &Cx<'_>) {
    info.section("Persistence");
    let facts = &cx.stats.persistence;
    let now_ms = cx.now_unix_us / 1000;
    info.field("loading", u8::from(facts.loading.is_some()))
        .field("async_loading", 0);
    child(info, facts.child.as_ref(), now_ms);
    snapshots(info, cx);
    aof(info, cx);
    zeros(info, &["module_fork_in_progress", "module_fork_last_cow_size"]);
    if facts.aof.enabled {
        aof_sizes(info, cx);
    }
    if let Some(loading) = facts.loading {
        self::loading(info, &loading, now_ms / 1000);
    }
}

/// How far the child is.
fn child(info: &mut InfoWriter, child: Option<&ChildProgress>, now_ms: i64) {
    let (done, total) = child.map_or((0, 0), |child| (child.keys_done, child.keys_total));
    let percent = 100.0 * done as f64 / total.max(1) as f64;
    info.field("current_cow_peak", child.map_or(0, |child| child.cow_peak_bytes))
        .field("current_cow_size", child.map_or(0, |child| child.cow_bytes))
        .field(
            "current_cow_size_age",
            child.map_or(0, |child| (now_ms - child.reported_ms) / 1000),
        )
        .field("current_fork_perc", format_args!("{percent:.2}"))
        .field("current_save_keys_processed", done)
        .field("current_save_keys_total", total);
}

/// Seconds for which a child of that kind has been at work, if there is one.
fn child_age_s(cx: &Cx<'_>, kind: ChildKind) -> Option<i64> {
    let child = cx.stats.persistence.child.filter(|child| child.kind == kind)?;
    Some(cx.now_unix_us / 1_000_000 - child.started_s)
}

fn status(ok: bool) -> &'static str {
    if ok { "ok" } else { "err" }
}

fn snapshots(info: &mut InfoWriter, cx: &Cx<'_>) {
    let facts = &cx.stats.persistence;
    let age_s = child_age_s(cx, ChildKind::Snapshot);
    info.field("rdb_changes_since_last_save", cx.keys.changes.dirty)
        .field("rdb_bgsave_in_progress", u8::from(age_s.is_some()))
        .field("rdb_last_save_time", facts.last_save_s)
        .field("rdb_last_bgsave_status", status(facts.last_bgsave_ok))
        .field("rdb_last_bgsave_time_sec", facts.last_bgsave_duration_s)
        .field("rdb_current_bgsave_time_sec", age_s.unwrap_or(-1))
        .field("rdb_saves", cx.stats.counters.rdb_saves)
        .field("rdb_last_cow_size", facts.last_cow_bytes)
        .field("rdb_last_load_keys_expired", facts.last_load_expired)
        .field("rdb_last_load_keys_loaded", facts.last_load_keys);
}

/// How far a load is, and when it may be done.
fn loading(info: &mut InfoWriter, loading: &Loading, now_s: i64) {
    let elapsed_s = now_s - loading.started_s;
    let left = loading.total_bytes.saturating_sub(loading.loaded_bytes);
    let eta_s = match elapsed_s {
        0 => 1,
        elapsed => (left as f64 * elapsed as f64 / loading.loaded_bytes.max(1) as f64) as i64,
    };
    info.field("loading_start_time", loading.started_s)
        .field("loading_total_bytes", loading.total_bytes)
        .field("loading_rdb_used_mem", loading.rdb_used_bytes)
        .field("loading_loaded_bytes", loading.loaded_bytes)
        .field("loading_loaded_perc", format_args!("{:.2}", loading.percent()))
        .field("loading_eta_seconds", eta_s);
}

fn aof(info: &mut InfoWriter, cx: &Cx<'_>) {
    let (facts, counters) = (&cx.stats.persistence.aof, &cx.stats.counters);
    let age_s = child_age_s(cx, ChildKind::Rewrite);
    info.field("aof_enabled", u8::from(facts.enabled))
        .field("aof_rewrite_in_progress", u8::from(age_s.is_some()))
        .field("aof_rewrite_scheduled", u8::from(facts.rewrite_scheduled))
        .field("aof_last_rewrite_time_sec", facts.last_rewrite_duration_s)
        .field("aof_current_rewrite_time_sec", age_s.unwrap_or(-1))
        .field("aof_last_bgrewrite_status", status(facts.last_rewrite_ok))
        .field("aof_rewrites", counters.aof_rewrites)
        .field(
            "aof_rewrites_consecutive_failures",
            counters.aof_rewrites_consecutive_failures,
        )
        .field("aof_last_write_status", status(facts.last_write_ok))
        .field("aof_last_cow_size", facts.last_cow_bytes);
}

fn aof_sizes(info: &mut InfoWriter, cx: &Cx<'_>) {
    let (facts, counters) = (&cx.stats.persistence.aof, &cx.stats.counters);
    info.field("aof_current_size", facts.size)
        .field("aof_base_size", facts.base_size)
        .field("aof_pending_rewrite", u8::from(facts.rewrite_scheduled))
        .field("aof_buffer_length", facts.waiting_bytes)
        .field("aof_pending_bio_fsync", facts.pending_syncs)
        .field("aof_delayed_fsync", counters.aof_delayed_fsync);
}

/// The keyspace counts for itself; its counts join the others here.
fn stats(info: &mut InfoWriter, cx: &Cx<'_>) {
    let (keys, own) = (&cx.keys.stats, &cx.stats.counters);
    // With I/O threads the executor's own thread has no connection.
    let threaded = cx.server.facts.io_threads > 1;
    let counters = Counters {
        expired_keys: keys.expired,
        expired_subkeys: keys.expired_fields,
        expired_stale_share: keys.expired_stale_percent / 100.0,
        expired_time_cap_reached_count: keys.expire_time_cap_reached,
        expire_cycle_us: keys.expire_cycle_us,
        keyspace_hits: keys.hits,
        keyspace_misses: keys.misses,
        io_threaded_reads_processed: if threaded { own.total_reads_processed } else { 0 },
        io_threaded_writes_processed: if threaded { own.total_writes_processed } else { 0 },
        ..own.clone()
    };
    counters.write_stats(info, &cx.stats.rates, &gauges(cx));
}

/// What is a state and not a total.
fn gauges(cx: &Cx<'_>) -> Gauges {
    let (registry, tracking) = (&cx.pubsub.registry, &*cx.tracking);
    let over_us = cx.server.short_since_us.map_or(0, |since| cx.now_unix_us - since);
    let defrag_us = cx.stats.defrag.since_us.map_or(0, |since| cx.now_unix_us - since);
    Gauges {
        current_active_defrag_us: defrag_us.max(0) as u64,
        current_eviction_exceeded_us: over_us.max(0) as u64,
        pubsub_channels: registry.len(Kind::Channel) as u64,
        pubsub_patterns: registry.len(Kind::Pattern) as u64,
        pubsubshard_channels: registry.len(Kind::Shard) as u64,
        migrate_cached_sockets: cx.server.migrate_links as u64,
        tracking_total_keys: tracking.table.len() as u64,
        tracking_total_items: tracking.table.items() as u64,
        tracking_total_prefixes: tracking.prefixes.len() as u64,
        ..Gauges::default()
    }
}

fn replication(info: &mut InfoWriter, cx: &Cx<'_>) {
    info.section("Replication")
        .field("role", "master")
        .field("connected_slaves", 0)
        .field("master_failover_state", "no-failover")
        .field("master_replid", &cx.server.facts.replication_id)
        .field("master_replid2", "0".repeat(40))
        .field("master_repl_offset", 0)
        .field("second_repl_offset", -1)
        .field("repl_backlog_active", 0)
        .field("repl_backlog_size", cx.config.int("repl-backlog-size"))
        .field("repl_backlog_first_byte_offset", 0)
        .field("repl_backlog_histlen", 0);
}

/// Only the title: no module is ever loaded.
fn modules(info: &mut InfoWriter, _: &Cx<'_>) {
    info.section("Modules");
}

/// Every command with its number in the statistics.
fn numbered<'t>(cx: &Cx<'t>) -> impl Iterator<Item = (u16, &'t str)> + use<'t> {
    cx.table
        .all()
        .iter()
        .map(|command| (command.id.0, command.full_name.as_str()))
}

fn commandstats(info: &mut InfoWriter, cx: &Cx<'_>) {
    info.section("Commandstats");
    cx.stats.commands.write_commandstats(info, numbered(cx));
}

fn errorstats(info: &mut InfoWriter, cx: &Cx<'_>) {
    info.section("Errorstats");
    cx.stats.errors.write_info(info);
}

fn latencystats(info: &mut InfoWriter, cx: &Cx<'_>) {
    info.section("Latencystats");
    cx.stats
        .commands
        .write_latencystats(info, numbered(cx), cx.config.percentiles());
}

fn cluster(info: &mut InfoWriter, _: &Cx<'_>) {
    info.section("Cluster").field("cluster_enabled", 0);
}

fn keyspace(info: &mut InfoWriter, cx: &Cx<'_>) {
    info.section("Keyspace");
    let now_ms = cx.now_ms();
    for index in 0..cx.keys.db_count() {
        let db = cx.keys.db(index);
        if !db.is_empty() {
            let (keys, expires, parts) = (db.len(), db.volatile(), db.part_volatile());
            let ttl = db.average_ttl_ms(now_ms);
            let line = format_args!("keys={keys},expires={expires},avg_ttl={ttl},subexpiry={parts}");
            info.field(&format!("db{index}"), line);
        }
    }
}
