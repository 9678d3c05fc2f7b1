//! Clients that people use: the `redis` crate, `redis-cli`, `redis-benchmark`.

use std::time::Duration;

use redis::{AsyncCommands, Commands, Connection, RedisResult};

use super::server::Server;
use super::tools::run;
use super::wire::command;

/// Longest run of a tool that ends by itself.
const TOOL_LIMIT: Duration = Duration::from_secs(60);

fn client(server: &Server, options: &str) -> redis::Client {
    let url = format!("redis://{}/{options}", server.address());
    redis::Client::open(url).expect("the address is well formed")
}

fn connection(server: &Server, options: &str) -> Connection {
    client(server, options)
        .get_connection()
        .expect("the server greets the client")
}

/// The same conversation in either protocol.
fn talk(mut connection: Connection) -> RedisResult<()> {
    connection.set::<_, _, ()>("text", "value")?;
    assert_eq!(connection.get::<_, String>("text")?, "value");
    assert_eq!(connection.get::<_, Option<String>>("none")?, None);
    assert_eq!(connection.incr::<_, _, i64>("counter", 5)?, 5);
    assert_eq!(
        connection.mget::<_, Vec<Option<String>>>(&["text", "none"])?,
        [Some("value".to_owned()), None]
    );
    assert!(connection.expire::<_, bool>("text", 100)?);
    assert!((1..=100).contains(&connection.ttl::<_, i64>("text")?));
    let error = connection
        .incr::<_, _, i64>("text", 1)
        .expect_err("text is no number");
    assert!(error.to_string().contains("not an integer"), "{error}");
    let (first, second): (String, i64) = redis::pipe()
        .cmd("SET")
        .arg("p")
        .arg(1)
        .ignore()
        .cmd("GET")
        .arg("text")
        .cmd("INCR")
        .arg("p")
        .query(&mut connection)?;
    assert_eq!((first.as_str(), second), ("value", 2));
    Ok(())
}

#[test]
fn the_redis_crate_talks_in_both_protocols() {
    let server = Server::start(&[]);
    talk(connection(&server, "")).expect("RESP2");
    connection(&server, "").flushall::<()>().expect("emptied");
    talk(connection(&server, "?protocol=resp3")).expect("RESP3");
}

#[test]
fn the_redis_crate_logs_in_and_chooses_a_database() {
    let server = Server::start(&["--requirepass", "secret"]);
    let url = |user: &str| format!("redis://{user}{}/3?protocol=resp3", server.address());
    let mut there = redis::Client::open(url(":secret@"))
        .and_then(|client| client.get_connection())
        .expect("the password is right");
    there.set::<_, _, ()>("k", 1).expect("it may write");
    assert_eq!(
        redis::cmd("DBSIZE").query::<i64>(&mut there).expect("a number"),
        1
    );
    redis::cmd("SELECT")
        .arg(0)
        .exec(&mut there)
        .expect("database 0 exists");
    assert_eq!(
        redis::cmd("DBSIZE").query::<i64>(&mut there).expect("a number"),
        0
    );
    assert!(
        redis::Client::open(url(":wrong@"))
            .and_then(|client| client.get_connection())
            .is_err()
    );
}

#[test]
fn the_redis_crate_scans_everything_once() {
    let server = Server::start(&[]);
    let mut connection = connection(&server, "");
    let mut pipe = redis::pipe();
    (0..3000).for_each(|n| {
        pipe.set(format!("key:{n}"), n).ignore();
        pipe.set(format!("other:{n}"), n).ignore();
    });
    pipe.query::<()>(&mut connection).expect("all are set");
    let mut found: Vec<String> = connection
        .scan_match("key:*")
        .expect("a scan begins")
        .collect::<RedisResult<_>>()
        .expect("it goes on");
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 3000);
}

#[test]
fn the_redis_crate_subscribes() {
    let server = Server::start(&[]);
    let (mut listening, mut speaking) = (connection(&server, ""), connection(&server, ""));
    let mut subscription = listening.as_pubsub();
    subscription.subscribe("news").expect("it may subscribe");
    subscription.psubscribe("n*").expect("it may subscribe");
    assert_eq!(
        speaking.publish::<_, _, i64>("news", "hello").expect("a number"),
        2
    );
    for pattern in [None, Some("n*")] {
        let message = subscription.get_message().expect("a message comes");
        assert_eq!(message.get_payload::<String>().expect("text"), "hello");
        assert_eq!(
            message.get_pattern::<Option<String>>().expect("text").as_deref(),
            pattern
        );
    }
}

/// Runs `work` as tokio programs do.
fn in_runtime<T>(work: impl Future<Output = RedisResult<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .expect("a runtime")
        .block_on(work)
        .expect("the server answers")
}

#[test]
fn the_redis_crate_shares_one_connection_among_tasks() {
    let server = Server::start(&[]);
    for options in ["", "?protocol=resp3"] {
        let total = in_runtime(async {
            let shared = client(&server, options)
                .get_multiplexed_async_connection()
                .await?;
            let tasks: Vec<_> = (0..50)
                .map(|task| tokio::spawn(count(shared.clone(), task)))
                .collect();
            for task in tasks {
                task.await.expect("tasks end")?;
            }
            let mut last = shared;
            last.get_del::<_, i64>("total").await
        });
        assert_eq!(total, 50 * 20);
    }
}

async fn count(mut connection: redis::aio::MultiplexedConnection, task: usize) -> RedisResult<()> {
    let key = format!("task:{task}");
    for round in 0..20 {
        connection.set::<_, _, ()>(&key, round).await?;
        assert_eq!(connection.get::<_, usize>(&key).await?, round);
        connection.incr::<_, _, ()>("total", 1).await?;
    }
    Ok(())
}

#[test]
fn the_redis_crate_pipelines_and_scans_without_blocking() {
    let server = Server::start(&["--io-threads", "2"]);
    let found = in_runtime(async {
        let mut connection = client(&server, "?protocol=resp3")
            .get_multiplexed_async_connection()
            .await?;
        let mut pipe = redis::pipe();
        (0..1000).for_each(|n| {
            pipe.set(format!("k{n}"), n).ignore();
        });
        pipe.query_async::<()>(&mut connection).await?;
        let mut found = std::collections::BTreeSet::new();
        let mut keys = connection.scan::<String>().await?;
        while let Some(key) = keys.next_item().await {
            found.insert(key?);
        }
        Ok(found)
    });
    assert_eq!(found.len(), 1000);
}

/// Fills a server with strings of several sizes for the tools that look at keys.
fn filled() -> Server {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    for n in 0..500 {
        let (key, value) = (format!("key:{n:03}"), vec![b'x'; n]);
        wire.ask(&command(&[b"SET", key.as_bytes(), &value]), b"+OK\r\n");
    }
    server
}

/// Runs `redis-cli`, which must succeed; what it printed.
#[track_caller]
fn cli(server: &Server, args: &[&str]) -> Option<String> {
    cli_with_input(server, args, b"")
}

#[track_caller]
fn cli_with_input(server: &Server, args: &[&str], input: &[u8]) -> Option<String> {
    let printed = run("redis-cli", server, args, input, TOOL_LIMIT)?;
    assert_eq!(
        printed.success,
        Some(true),
        "{args:?}: {}{}",
        printed.out,
        printed.err
    );
    Some(printed.out)
}

#[test]
fn redis_cli_runs_commands_in_both_protocols() {
    let server = Server::start(&[]);
    let Some(out) = cli(&server, &["SET", "k", "v"]) else {
        return;
    };
    assert_eq!(out, "OK\n");
    assert_eq!(cli(&server, &["GET", "k"]).as_deref(), Some("v\n"));
    assert_eq!(cli(&server, &["-3", "GET", "none"]).as_deref(), Some("\n"));
    assert_eq!(
        cli(&server, &["-3", "--json", "MGET", "k", "none"]).as_deref(),
        Some("[\"v\",null]\n")
    );
    let input = b"SET a 1\nINCR a\nGET a\n";
    assert_eq!(cli_with_input(&server, &[], input).as_deref(), Some("OK\n2\n2\n"));
}

#[test]
fn redis_cli_reads_the_command_documentation() {
    let server = Server::start(&[]);
    let Some(out) = cli(&server, &["--json", "COMMAND", "DOCS", "set"]) else {
        return;
    };
    assert!(
        out.contains("\"summary\"") && out.contains("\"arguments\""),
        "{out}"
    );
    let out = cli(&server, &["COMMAND", "COUNT"]).expect("it is installed");
    assert!(out.trim().parse::<u32>().is_ok_and(|count| count > 50), "{out}");
}

#[test]
fn redis_cli_scans() {
    let server = filled();
    let Some(out) = cli(&server, &["--scan", "--pattern", "key:0*"]) else {
        return;
    };
    let mut keys: Vec<&str> = out.lines().collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 100);
    assert_eq!((keys[0], keys[99]), ("key:000", "key:099"));
}

#[test]
fn redis_cli_loads_through_a_pipe() {
    let server = Server::start(&[]);
    let input: Vec<u8> = (0..20_000u32)
        .flat_map(|n| command(&[b"SET", format!("k{n}").as_bytes(), b"value"]))
        .collect();
    let Some(out) = cli_with_input(&server, &["--pipe"], &input) else {
        return;
    };
    assert!(out.contains("errors: 0, replies: 20000"), "{out}");
    assert_eq!(cli(&server, &["DBSIZE"]).as_deref(), Some("20000\n"));
}

#[test]
fn redis_cli_finds_the_biggest_keys() {
    let server = filled();
    let Some(out) = cli(&server, &["--bigkeys"]) else {
        return;
    };
    let out = without_ticks(&out);
    assert!(
        out.contains("Biggest string found \"key:499\" has 499 bytes"),
        "{out}"
    );
    assert!(out.contains("500 strings with 124750 bytes"), "{out}");
    let out = without_ticks(&cli(&server, &["--memkeys"]).expect("it is installed"));
    assert!(out.contains("Biggest string found \"key:4"), "{out}");
}

/// `'"key"'`, as redis-cli 7 prints it, as `"key"`, as redis-cli 8 does.
pub fn without_ticks(printed: &str) -> String {
    printed.replace("'\"", "\"").replace("\"'", "\"")
}

#[test]
fn redis_cli_shows_statistics_and_latency_for_as_long_as_it_runs() {
    let server = filled();
    let short = Duration::from_millis(2500);
    // Into a file it prints 4 KiB at a time: often enough to see some before it is stopped.
    let Some(stat) = run("redis-cli", &server, &["--stat", "-i", "0.01"], b"", short) else {
        return;
    };
    assert_eq!(stat.success, None, "it goes on until it is stopped: {}", stat.err);
    let second = stat.out.lines().nth(2).unwrap_or_default();
    assert!(second.starts_with("500 "), "{}", stat.out);
    let args = ["--latency", "-i", "1", "--raw"];
    let latency = run("redis-cli", &server, &args, b"", TOOL_LIMIT).expect("it is installed");
    let numbers: Vec<f64> = latency
        .out
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    assert!(numbers.len() == 4 && numbers[3] > 0.0, "{}", latency.out);
}

/// Runs `redis-benchmark`, quietly; what it printed has a line per test.
#[track_caller]
fn benchmark(server: &Server, args: &[&str], tests: &[&str]) {
    let tests_text = tests.join(",");
    let args: Vec<&str> = ["-q", "-t", &tests_text].iter().chain(args).copied().collect();
    let Some(printed) = run("redis-benchmark", server, &args, b"", TOOL_LIMIT) else {
        return;
    };
    assert_eq!(
        printed.success,
        Some(true),
        "{args:?}: {}{}",
        printed.out,
        printed.err
    );
    let all = printed.out + &printed.err;
    assert!(!all.contains("Error") && !all.contains("WARN"), "{all}");
    for test in tests {
        let done = all.replace('\r', "\n").lines().any(|line| {
            let line = line.to_lowercase();
            line.starts_with(test) && line.contains("requests per second")
        });
        assert!(done, "no result of {test}: {all}");
    }
}

#[test]
fn redis_benchmark_runs_plain_pipelined_and_threaded() {
    let server = Server::start(&[]);
    let tests = ["ping", "set", "get", "incr", "mset"];
    benchmark(&server, &["-n", "2000"], &tests);
    benchmark(&server, &["-n", "2000", "-P", "16"], &tests);
    benchmark(
        &server,
        &["-n", "2000", "-P", "16", "--threads", "2"],
        &["set", "get"],
    );
    benchmark(&server, &["-n", "2000", "-r", "1000", "-3"], &["set", "get"]);
}

#[test]
fn redis_benchmark_opens_a_thousand_connections() {
    let server = Server::start(&["--io-threads", "2"]);
    benchmark(&server, &["-n", "3000", "-c", "1000"], &["set", "get"]);
}
