//! Stand-in while the table is being written.
#![allow(missing_docs)]
use std::collections::HashMap;
use std::path::{Path, PathBuf};
pub struct Config {
    map: HashMap<&'static str, String>,
    extra: HashMap<String, String>,
    bind: Vec<String>,
}
#[derive(Default, Clone, Copy)]
pub struct OutputLimit {
    pub hard_bytes: u64,
    pub soft_bytes: u64,
    pub soft_seconds: i64,
}
#[derive(Default, Clone, Copy)]
pub struct OutputLimits {
    pub normal: OutputLimit,
    pub replica: OutputLimit,
    pub pubsub: OutputLimit,
}
impl Default for Config {
    fn default() -> Self {
        let map = HashMap::from([
            ("databases", "16"),
            ("maxmemory-policy", "noeviction"),
            ("lfu-log-factor", "10"),
            ("lfu-decay-time", "1"),
            ("notify-keyspace-events", ""),
            ("latency-monitor-threshold", "0"),
            ("slowlog-log-slower-than", "10000"),
            ("slowlog-max-len", "128"),
            ("requirepass", ""),
            ("timeout", "0"),
            ("maxclients", "10000"),
            ("hz", "10"),
            ("active-expire-effort", "1"),
            ("proto-max-bulk-len", "536870912"),
            ("client-query-buffer-limit", "1073741824"),
            ("port", "6379"),
            ("tls-port", "0"),
            ("io-threads", "1"),
            ("unixsocket", ""),
            ("unixsocketperm", "0"),
            ("tcp-backlog", "511"),
            ("tcp-keepalive", "300"),
            ("max-new-connections-per-cycle", "10"),
            ("logfile", ""),
            ("loglevel", "notice"),
            ("syslog-facility", "local0"),
            ("syslog-ident", "redis"),
            ("supervised", "no"),
            ("dir", "."),
            ("pidfile", ""),
            ("proc-title-template", "{title} {listen-addr} {server-mode}"),
            ("oom-score-adj", "no"),
        ])
        .into_iter()
        .map(|(k, v)| (k, v.to_string()))
        .collect();
        Config {
            map,
            extra: HashMap::new(),
            bind: vec![],
        }
    }
}
impl Config {
    fn raw(&self, n: &str) -> &str {
        self.extra
            .get(n)
            .map(|s| s.as_str())
            .or_else(|| self.map.get(n).map(|s| s.as_str()))
            .unwrap_or("no")
    }
    pub fn int(&self, n: &str) -> i64 {
        self.raw(n).parse().unwrap_or(0)
    }
    pub fn bool(&self, n: &str) -> bool {
        self.raw(n) == "yes"
    }
    pub fn text(&self, n: &str) -> &str {
        self.raw(n)
    }
    pub fn choice(&self, n: &str) -> &str {
        self.raw(n)
    }
    pub fn list(&self, _: &str) -> &[String] {
        &self.bind
    }
    pub fn renamed_commands(&self) -> &[(String, String)] {
        &[]
    }
    pub fn output_limits(&self) -> OutputLimits {
        OutputLimits::default()
    }
    pub fn oom_score_values(&self) -> [i32; 3] {
        [0, 200, 800]
    }
    pub fn set_unchecked(&mut self, n: &str, v: &str) {
        self.extra.insert(n.into(), v.into());
    }
    pub fn commit(&mut self) {}
    pub fn roll_back(&mut self) {}
    pub fn rewrite_file(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}
#[derive(PartialEq)]
pub enum Wants {
    Version,
    Help,
    TestMemory(u64),
    Run,
}
pub struct CommandLine {
    pub wants: Wants,
    pub config_file: Option<PathBuf>,
    sets: Vec<(String, String)>,
}
impl CommandLine {
    pub fn parse(w: &[Vec<u8>]) -> Result<CommandLine, String> {
        let mut sets = vec![];
        let mut i = 0;
        while i + 1 < w.len() {
            sets.push((
                String::from_utf8_lossy(&w[i][2..]).into_owned(),
                String::from_utf8_lossy(&w[i + 1]).into_owned(),
            ));
            i += 2;
        }
        Ok(CommandLine {
            wants: Wants::Run,
            config_file: None,
            sets,
        })
    }
    pub fn load(&self) -> Result<Config, String> {
        let mut c = Config::default();
        for (k, v) in &self.sets {
            c.set_unchecked(k, v);
        }
        Ok(c)
    }
    pub fn is_bare(&self) -> bool {
        true
    }
}
