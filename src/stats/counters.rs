//! The server's running totals, and INFO stats made from them.
//!
//! Plain integers that their owner bumps directly: `counters.keyspace_hits += 1`. Names are those of INFO
//! where it shows them; times carry their unit. `CONFIG RESETSTAT` zeroes everything but what ACL refused.
//!
//! Not here: what is a state and not a total (clients connected, keys tracked). Those come as `Gauges` when
//! the section is written.

use super::info::InfoWriter;
use super::rates::RateMeter;

/// Totals since the start or the last reset.
#[derive(Debug, Default, Clone)]
#[expect(
    missing_docs,
    reason = "each is the INFO field of its name; the ones that need words have them"
)]
pub struct Counters {
    pub total_connections_received: u64,
    pub total_commands_processed: u64,
    /// Bytes from clients; links to primaries and replicas count apart and are added when printed.
    pub net_input_bytes: u64,
    pub net_output_bytes: u64,
    pub net_repl_input_bytes: u64,
    pub net_repl_output_bytes: u64,
    pub rejected_connections: u64,
    pub sync_full: u64,
    pub sync_partial_ok: u64,
    pub sync_partial_err: u64,
    pub expired_subkeys: u64,
    pub expired_keys: u64,
    /// Estimated share of stale keys among those with an expiry, 0.0 to 1.0.
    pub expired_stale_share: f64,
    pub expired_time_cap_reached_count: u64,
    pub expire_cycle_us: u64,
    pub evicted_keys: u64,
    pub evicted_clients: u64,
    pub evicted_scripts: u64,
    pub eviction_exceeded_us: u64,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub latest_fork_usec: u64,
    /// Speed of the latest fork in GB of memory per second.
    pub latest_fork_rate_gb_per_s: f64,
    pub total_forks: u64,
    pub active_defrag_hits: u64,
    pub active_defrag_misses: u64,
    pub active_defrag_key_hits: u64,
    pub active_defrag_key_misses: u64,
    pub active_defrag_us: u64,
    pub unexpected_error_replies: u64,
    pub total_error_replies: u64,
    pub dump_payload_sanitizations: u64,
    pub total_reads_processed: u64,
    pub total_writes_processed: u64,
    pub io_threaded_reads_processed: u64,
    pub io_threaded_writes_processed: u64,
    pub client_query_buffer_limit_disconnections: u64,
    pub client_output_buffer_limit_disconnections: u64,
    pub reply_buffer_shrinks: u64,
    pub reply_buffer_expands: u64,
    /// Shown by INFO persistence.
    pub rdb_saves: u64,
    /// Shown by INFO persistence.
    pub aof_rewrites: u64,
    /// Shown by INFO persistence.
    pub aof_rewrites_consecutive_failures: u64,
    /// Shown by INFO persistence.
    pub aof_delayed_fsync: u64,
    /// Shown by INFO memory.
    pub lazyfreed_objects: u64,
    pub event_loop: EventLoop,
    /// Not touched by a reset.
    pub acl_denied: AclDenied,
}

/// What the executor's loop did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct EventLoop {
    /// Turns of the loop.
    pub cycles: u64,
    /// Time in turns that did something, waiting excluded, in nanoseconds: many a turn is shorter than a microsecond.
    pub busy_ns: u64,
    /// Longest turn, in nanoseconds.
    pub busy_ns_max: u64,
    /// Part of the time spent in commands, in nanoseconds.
    pub command_ns: u64,
    /// Part of it spent writing the AOF.
    pub aof_us: u64,
    /// Part of it spent in cron.
    pub cron_us: u64,
    /// Most commands met in one turn.
    pub commands_per_cycle_max: u64,
}

/// Refusals by ACL, by reason.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct AclDenied {
    /// Failed authentications.
    pub auth: u64,
    /// Commands without permission.
    pub cmd: u64,
    /// Keys without permission.
    pub key: u64,
    /// Channels without permission.
    pub channel: u64,
}

/// What INFO stats shows beside totals; gathered from its owners when the section is written.
#[derive(Debug, Default, Clone, Copy)]
#[expect(
    missing_docs,
    reason = "each is the INFO field of its name; times carry their unit"
)]
pub struct Gauges {
    /// How long eviction has been failing to get under the limit, if it is now.
    pub current_eviction_exceeded_us: u64,
    /// How long the running defragmentation has been at it, if one runs.
    pub current_active_defrag_us: u64,
    pub pubsub_channels: u64,
    pub pubsub_patterns: u64,
    pub pubsubshard_channels: u64,
    pub migrate_cached_sockets: u64,
    pub slave_expires_tracked_keys: u64,
    pub tracking_total_keys: u64,
    pub tracking_total_items: u64,
    pub tracking_total_prefixes: u64,
}

impl Counters {
    /// Back to zero (CONFIG RESETSTAT), except for ACL refusals. Reset the `Rates` with it.
    pub fn reset(&mut self) {
        *self = Self {
            acl_denied: self.acl_denied,
            ..Self::default()
        };
    }

    /// Bytes received over all connections.
    pub fn total_net_input_bytes(&self) -> u64 {
        self.net_input_bytes + self.net_repl_input_bytes
    }

    /// Bytes sent over all connections.
    pub fn total_net_output_bytes(&self) -> u64 {
        self.net_output_bytes + self.net_repl_output_bytes
    }

    /// Writes the section `Stats`, title included.
    pub fn write_stats(&self, info: &mut InfoWriter, rates: &Rates, gauges: &Gauges) {
        info.section("Stats");
        self.write_traffic(info, rates);
        self.write_keyspace(info, gauges);
        self.write_background(info, gauges);
        self.write_replies(info);
        self.event_loop.write_stats(info, rates);
        self.acl_denied.write_stats(info);
    }

    fn write_traffic(&self, info: &mut InfoWriter, rates: &Rates) {
        info.field("total_connections_received", self.total_connections_received)
            .field("total_commands_processed", self.total_commands_processed)
            .field("instantaneous_ops_per_sec", rates.commands.rate())
            .field("total_net_input_bytes", self.total_net_input_bytes())
            .field("total_net_output_bytes", self.total_net_output_bytes())
            .field("total_net_repl_input_bytes", self.net_repl_input_bytes)
            .field("total_net_repl_output_bytes", self.net_repl_output_bytes)
            .field(
                "instantaneous_input_kbps",
                two_decimals(rates.net_input.kilo_rate()),
            )
            .field(
                "instantaneous_output_kbps",
                two_decimals(rates.net_output.kilo_rate()),
            )
            .field(
                "instantaneous_input_repl_kbps",
                two_decimals(rates.net_repl_input.kilo_rate()),
            )
            .field(
                "instantaneous_output_repl_kbps",
                two_decimals(rates.net_repl_output.kilo_rate()),
            )
            .field("rejected_connections", self.rejected_connections)
            .field("sync_full", self.sync_full)
            .field("sync_partial_ok", self.sync_partial_ok)
            .field("sync_partial_err", self.sync_partial_err);
    }

    fn write_keyspace(&self, info: &mut InfoWriter, gauges: &Gauges) {
        let exceeded_us = self.eviction_exceeded_us + gauges.current_eviction_exceeded_us;
        info.field("expired_subkeys", self.expired_subkeys)
            .field("expired_keys", self.expired_keys)
            .field(
                "expired_stale_perc",
                two_decimals(self.expired_stale_share * 100.0),
            )
            .field(
                "expired_time_cap_reached_count",
                self.expired_time_cap_reached_count,
            )
            .field("expire_cycle_cpu_milliseconds", self.expire_cycle_us / 1000)
            .field("evicted_keys", self.evicted_keys)
            .field("evicted_clients", self.evicted_clients)
            .field("evicted_scripts", self.evicted_scripts)
            .field("total_eviction_exceeded_time", exceeded_us / 1000)
            .field(
                "current_eviction_exceeded_time",
                gauges.current_eviction_exceeded_us / 1000,
            )
            .field("keyspace_hits", self.keyspace_hits)
            .field("keyspace_misses", self.keyspace_misses)
            .field("pubsub_channels", gauges.pubsub_channels)
            .field("pubsub_patterns", gauges.pubsub_patterns)
            .field("pubsubshard_channels", gauges.pubsubshard_channels);
    }

    fn write_background(&self, info: &mut InfoWriter, gauges: &Gauges) {
        let defrag_us = self.active_defrag_us + gauges.current_active_defrag_us;
        info.field("latest_fork_usec", self.latest_fork_usec)
            .field("total_forks", self.total_forks)
            .field("migrate_cached_sockets", gauges.migrate_cached_sockets)
            .field("slave_expires_tracked_keys", gauges.slave_expires_tracked_keys)
            .field("active_defrag_hits", self.active_defrag_hits)
            .field("active_defrag_misses", self.active_defrag_misses)
            .field("active_defrag_key_hits", self.active_defrag_key_hits)
            .field("active_defrag_key_misses", self.active_defrag_key_misses)
            .field("total_active_defrag_time", defrag_us / 1000)
            .field(
                "current_active_defrag_time",
                gauges.current_active_defrag_us / 1000,
            )
            .field("tracking_total_keys", gauges.tracking_total_keys)
            .field("tracking_total_items", gauges.tracking_total_items)
            .field("tracking_total_prefixes", gauges.tracking_total_prefixes);
    }

    fn write_replies(&self, info: &mut InfoWriter) {
        let query_limit = self.client_query_buffer_limit_disconnections;
        let output_limit = self.client_output_buffer_limit_disconnections;
        info.field("unexpected_error_replies", self.unexpected_error_replies)
            .field("total_error_replies", self.total_error_replies)
            .field("dump_payload_sanitizations", self.dump_payload_sanitizations)
            .field("total_reads_processed", self.total_reads_processed)
            .field("total_writes_processed", self.total_writes_processed)
            .field("io_threaded_reads_processed", self.io_threaded_reads_processed)
            .field("io_threaded_writes_processed", self.io_threaded_writes_processed)
            .field("client_query_buffer_limit_disconnections", query_limit)
            .field("client_output_buffer_limit_disconnections", output_limit)
            .field("reply_buffer_shrinks", self.reply_buffer_shrinks)
            .field("reply_buffer_expands", self.reply_buffer_expands);
    }
}

impl EventLoop {
    /// Counts one turn of the loop.
    pub fn record_cycle(&mut self, busy_ns: u64, commands: u64) {
        self.cycles += 1;
        self.busy_ns += busy_ns;
        self.busy_ns_max = self.busy_ns_max.max(busy_ns);
        self.commands_per_cycle_max = self.commands_per_cycle_max.max(commands);
    }

    /// Writes the section `Debug`, title included.
    pub fn write_debug(&self, info: &mut InfoWriter) {
        info.section("Debug")
            .field("eventloop_duration_aof_sum", self.aof_us)
            .field("eventloop_duration_cron_sum", self.cron_us)
            .field("eventloop_duration_max", self.busy_ns_max / 1000)
            .field("eventloop_cmd_per_cycle_max", self.commands_per_cycle_max);
    }

    fn write_stats(&self, info: &mut InfoWriter, rates: &Rates) {
        info.field("eventloop_cycles", self.cycles)
            .field("eventloop_duration_sum", self.busy_ns / 1000)
            .field("eventloop_duration_cmd_sum", self.command_ns / 1000)
            .field("instantaneous_eventloop_cycles_per_sec", rates.loop_cycles.rate())
            .field("instantaneous_eventloop_duration_usec", rates.loop_busy_us.rate());
    }
}

impl AclDenied {
    fn write_stats(&self, info: &mut InfoWriter) {
        info.field("acl_access_denied_auth", self.auth)
            .field("acl_access_denied_cmd", self.cmd)
            .field("acl_access_denied_key", self.key)
            .field("acl_access_denied_channel", self.channel);
    }
}

/// The instantaneous metrics of INFO stats.
#[derive(Debug, Default, Clone)]
pub struct Rates {
    commands: RateMeter,
    net_input: RateMeter,
    net_output: RateMeter,
    net_repl_input: RateMeter,
    net_repl_output: RateMeter,
    loop_cycles: RateMeter,
    loop_busy_us: RateMeter,
}

impl Rates {
    /// Samples every metric; cron calls this every 100 ms with a monotonic clock.
    pub fn sample(&mut self, counters: &Counters, now_us: u64) {
        let per_second = |meter: &mut RateMeter, total| meter.sample(total, now_us, 1_000_000);
        per_second(&mut self.commands, counters.total_commands_processed);
        per_second(&mut self.net_input, counters.total_net_input_bytes());
        per_second(&mut self.net_output, counters.total_net_output_bytes());
        per_second(&mut self.net_repl_input, counters.net_repl_input_bytes);
        per_second(&mut self.net_repl_output, counters.net_repl_output_bytes);
        per_second(&mut self.loop_cycles, counters.event_loop.cycles);
        self.loop_busy_us
            .sample(counters.event_loop.busy_ns / 1000, counters.event_loop.cycles, 1);
    }

    /// Commands per second, averaged over the last 1.6 s.
    pub fn ops_per_sec(&self) -> u64 {
        self.commands.rate()
    }

    /// Forgets all samples (CONFIG RESETSTAT).
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

fn two_decimals(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(counters: &Counters, rates: &Rates, gauges: &Gauges) -> String {
        let mut info = InfoWriter::new();
        counters.write_stats(&mut info, rates, gauges);
        String::from_utf8(info.finish()).expect("only ASCII was written")
    }

    fn field<'a>(text: &'a str, name: &str) -> &'a str {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no field {name}"))
    }

    #[test]
    fn reset_spares_only_acl_refusals() {
        let mut counters = Counters {
            keyspace_hits: 5,
            lazyfreed_objects: 7,
            ..Counters::default()
        };
        counters.acl_denied.auth = 3;
        counters.event_loop.record_cycle(10, 2);
        counters.reset();
        assert_eq!((counters.keyspace_hits, counters.lazyfreed_objects), (0, 0));
        assert_eq!(counters.event_loop, EventLoop::default());
        assert_eq!(counters.acl_denied.auth, 3);
    }

    #[test]
    fn replication_traffic_is_part_of_the_totals() {
        let counters = Counters {
            net_input_bytes: 10,
            net_repl_input_bytes: 5,
            ..Counters::default()
        };
        let text = stats(&counters, &Rates::default(), &Gauges::default());
        assert_eq!(field(&text, "total_net_input_bytes"), "15");
        assert_eq!(field(&text, "total_net_repl_input_bytes"), "5");
    }

    #[test]
    fn rates_follow_the_counters() {
        let (mut counters, mut rates) = (Counters::default(), Rates::default());
        for tick in 1..=17 {
            rates.sample(&counters, tick * 100_000);
            counters.total_commands_processed += 10;
            counters.net_output_bytes += 512;
            counters.event_loop.record_cycle(300_000, 10);
        }
        let text = stats(&counters, &rates, &Gauges::default());
        assert_eq!(rates.ops_per_sec(), 100);
        assert_eq!(field(&text, "instantaneous_output_kbps"), "5.00");
        assert_eq!(field(&text, "instantaneous_eventloop_cycles_per_sec"), "10");
        assert_eq!(field(&text, "instantaneous_eventloop_duration_usec"), "300");
        rates.reset();
        assert_eq!(rates.ops_per_sec(), 0);
    }

    #[test]
    fn times_are_printed_in_the_units_of_info() {
        let counters = Counters {
            expire_cycle_us: 2_999,
            expired_stale_share: 0.25,
            ..Counters::default()
        };
        let gauges = Gauges {
            current_eviction_exceeded_us: 4_000,
            ..Gauges::default()
        };
        let text = stats(&counters, &Rates::default(), &gauges);
        assert_eq!(field(&text, "expire_cycle_cpu_milliseconds"), "2");
        assert_eq!(field(&text, "expired_stale_perc"), "25.00");
        assert_eq!(field(&text, "total_eviction_exceeded_time"), "4");
    }

    #[test]
    fn no_field_is_printed_twice_and_the_ends_are_in_place() {
        let text = stats(&Counters::default(), &Rates::default(), &Gauges::default());
        let mut names: Vec<&str> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(names.first(), Some(&"total_connections_received"));
        assert_eq!(names.last(), Some(&"acl_access_denied_channel"));
        assert_eq!(names.len(), 63);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 63);
    }

    #[test]
    fn the_debug_section_shows_the_extremes_of_the_loop() {
        let mut event_loop = EventLoop::default();
        event_loop.record_cycle(30_000, 2);
        event_loop.record_cycle(10_000, 9);
        let mut info = InfoWriter::new();
        event_loop.write_debug(&mut info);
        let text = String::from_utf8(info.finish()).expect("only ASCII was written");
        assert_eq!(field(&text, "eventloop_duration_max"), "30");
        assert_eq!(field(&text, "eventloop_cmd_per_cycle_max"), "9");
    }
}
