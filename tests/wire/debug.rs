//! SCRIPT DEBUG: conversations beside those of `redis-server`, and what sessions in children and with everybody waiting do
//! to others, to the data and to each other.

use std::time::Duration;

use russet::resp::Value;

use super::reference::{Reference, without_tools};
use super::server::{Server, eventually, read_text, signal};
use super::tools;
use super::wire::{Wire, command, info_number, text};

/// Scripts, called with a key `k` and an argument `arg`, and what is said at their stops. `;` ends a command.
const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "local a = 1\nlocal t = {1, 2, {3, 'x'}, k = 'v'}\nlocal function f(x)\n  local y = x * 2\n  return y\nend\n\
         redis.call('set', KEYS[1], ARGV[1])\nlocal z = f(a)\nredis.breakpoint()\nredis.debug('hello', t, 1.5, nil, true)\n\
         for i = 1, 3 do\n  a = a + i\nend\nlocal e = redis.pcall('incr', KEYS[1])\nreturn {a, z}\n\n",
        "h;help;p;s;p a;s;p;print t;p none;p KEYS;p ARGV;b;b 5;b 99;b x;b -3;b 5 8 -8 2 +1;b;l;l 3;l 3 1;l 0 1;l x 1;\
         l 7 -1;w;n;t;e 1+1;e return KEYS;e x x;e error('boo');e a;e;r get k;r ping;redis nosuchcmd;r watch k;r get;r;m;\
         m 10;m 100;p t;foo;c;t;p;p a;l;c;b 0;s;p;s;p;r lrange n 0 -1;r set a b;r mget a no k;e redis.call('ping');\
         e redis.debug(1);e redis.breakpoint();s;STEP now;s;s;s;s;s;s;s;s;s;s",
    ),
    (
        "local s = \"a\\0b\\\"\\n\\r\\t\\7\\8\\\\\"\nlocal n = {1/0, -1/0, 0/0, 1e100, 123456789, 0.1, 1e-10, 100000, 1e6, 0.00012345678}\n\
         local d = {{{{{{{{{{{{1}}}}}}}}}}}}\nlocal h, h2, e = {[1]=1, [3]=3}, {[2]=1}, {}\nlocal f = {true, false, e}\n\
         local g = string.rep('x', 300)\nlocal b = {[1.5]='x'}\nlocal c = {}\nc[1] = c\nreturn 1",
        "b 10;c;p;p g;p g;m 0;m;p g;m 60;p g;m 61;m -5;m abc;m 1 2;p a b;r echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy;c",
    ),
    ("local a\nlocal b = a.x\nreturn 1", "s"),
    ("local a\nlocal b = a.x\nreturn 1", "c"),
    ("local a = 1\nreturn a", "a"),
    ("x x", ""),
    ("#!lua name=x\nreturn 1", ""),
    ("#!lua\nreturn 1", "w;c"),
    ("", "w;c"),
    ("-- nothing", "w;c"),
    ("local a = 1\r\nreturn a\r\n\r\n\n", "w;c"),
    (
        "#!lua flags=no-writes\nlocal x = redis.pcall('set', 'a', 'b')\nreturn 1",
        "w;s;s;s",
    ),
    (
        "local a = redis.pcall()\nlocal b = redis.pcall({})\nlocal c = redis.error_reply('My Err')\nlocal d = pcall(redis.setresp, 5)\n\
         local e = redis.pcall('set', 'a', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11')\n\
         local f = redis.pcall('mget', '1', '2', '3', '4', '5', '6', '7', '8', '9')\nlocal g = redis.pcall('eval', 'x', 0)\n\
         redis.call('set', 'str', 'x')\nlocal h = redis.pcall('lpush', 'str', 'y')\nredis.sha1hex()\nreturn 1",
        "s;s;s;s;s;s;s;s;s;s;s",
    ),
    (
        "redis.setresp(3)\nredis.call('hset', 'hash', 'f', '1')\nredis.call('zadd', 'zset', 1.5, 'm')\nreturn {double=1.5}",
        "s;s;s;r hgetall hash;r zscore zset m;r get none;r smembers none;r zrange zset 0 -1 withscores;r incr number;c",
    ),
    (
        "local r, e = pcall(function()\nlocal x = 1\nlocal y = x\nend)\nlocal q = 1\nreturn tostring(r)",
        "b 2 6;c;a",
    ),
    (
        "for i = 1, 2 do\nlocal j = i\nend\nlocal a = 1\ndo local a = 2\nlocal z = a\nend\n\
         return string.gsub('abc', 'b', function(x)\nlocal q = x\nreturn q\nend)",
        "s;p;t;b 6 9;c;p;p a;c;p;t;c",
    ),
    (
        "local f = loadstring('local a = 1\\nlocal b = 2\\nreturn a')\nf()\n\
         local g = loadstring('local a = 1\\nlocal b = 2\\nreturn a', '@user_script')\nlocal q = g()\nreturn 1",
        "s;s;s;s;t;s;s;s",
    ),
    (
        "local co = coroutine.create(function(a)\nlocal b = a\nlocal c = coroutine.yield(b)\nreturn c\nend)\n\
         local ok, v = coroutine.resume(co, 5)\nreturn v",
        "b 3;c;p;t;r ping;e 1;s;s",
    ),
    (
        "redis.debug('a')\nredis.debug()\nlocal x = 1\nredis.debug({1, 2}, x)\nreturn 2",
        "c",
    ),
    ("local a = 1\nwhile true do a = a + 1 end", "c;t;c;a"),
];

/// Everything that is answered to a debugged script: the stops, its reply, and that the connection ends then.
fn converse(mut wire: Wire, mode: &str, script: &str, commands: &str) -> Vec<String> {
    wire.ok(&["SCRIPT", "DEBUG", mode]);
    let mut heard = vec![wire.run(&["EVAL", script, "1", "k", "arg"]).to_string()];
    // What has not ended by then is aborted.
    for line in commands.split(';').chain(["a"]).filter(|line| !line.is_empty()) {
        if heard.last().is_some_and(|last| last.contains("<endsession>")) {
            break;
        }
        heard.push(wire.run(&line.split(' ').collect::<Vec<_>>()).to_string());
    }
    heard.push(wire.reply().to_string());
    assert_eq!(wire.rest(), b"");
    heard.iter().map(|answer| without_addresses(answer)).collect()
}

/// `function@0x7f5e` as `function@0x`.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("@0x");
    let first = parts.next().unwrap_or_default().to_owned();
    let digits = |part: &str| {
        part.trim_start_matches(|byte: char| byte.is_ascii_hexdigit())
            .to_owned()
    };
    parts.fold(first, |all, part| all + "@0x" + &digits(part))
}

#[test]
fn conversations_are_those_of_redis() {
    if without_tools() {
        return;
    }
    const IMPATIENT: &[&str] = &["--busy-reply-threshold", "50"];
    let (server, reference) = (Server::start(IMPATIENT), Reference::start(IMPATIENT));
    for mode in ["SYNC", "YES"] {
        for (script, commands) in CONVERSATIONS {
            let own = converse(server.connect(), mode, script, commands);
            let theirs = converse(reference.connect(), mode, script, commands);
            for (own, theirs) in own.iter().zip(&theirs) {
                assert_eq!(own, theirs, "{mode}: {script}");
            }
            assert_eq!(own.len(), theirs.len(), "{mode}: {script}");
        }
        let keys = |mut wire: Wire| wire.run(&["MGET", "k", "a", "str", "number"]).to_string();
        assert_eq!(keys(server.connect()), keys(reference.connect()), "{mode}");
    }
}

const WRITER: &str = "redis.call('incr', KEYS[1])\nreturn redis.call('get', KEYS[1])";

/// Begins to debug a script that increments a key.
fn begin(wire: &mut Wire, mode: &str) {
    wire.ok(&["SCRIPT", "DEBUG", mode]);
    let stop = wire.run(&["EVAL", WRITER, "1", "n"]).to_string();
    assert!(stop.contains("Stopped at 1"), "{stop}");
}

/// Lets it run to its end, with this reply.
fn end(wire: &mut Wire, reply: &str) {
    assert_eq!(wire.run(&["c"]).to_string(), "*1\n  +<endsession>");
    assert_eq!(wire.reply().to_string(), reply);
    wire.expect_end(b"");
}

/// Processes the server has started and not yet taken leave of.
fn children(server: &Server) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).expect("it runs");
    let of_task = |task: std::fs::DirEntry| {
        read_text(&task.path().join("children"))
            .split_whitespace()
            .count()
    };
    tasks.flatten().map(of_task).sum()
}

fn sessions_in_children_leave_everybody_else_alone(args: &[&str]) {
    let unix = tempfile::tempdir().expect("a folder");
    let path = unix.path().join("socket");
    let args = [
        args,
        &[
            "--unixsocket",
            path.to_str().expect("text"),
            "--appendonly",
            "yes",
        ],
    ]
    .concat();
    let server = Server::start(&args);
    let mut other = server.connect();
    other.ok(&["SET", "n", "5"]);
    let mut all = [server.connect(), Wire::unix(&path), server.connect()];
    all.iter_mut().for_each(|wire| begin(wire, "YES"));
    assert_eq!(children(&server), 3);
    assert_eq!(info_number(&mut other, "stats", "total_forks"), 3);
    eventually("the connections are let go of", || {
        info_number(&mut other, "clients", "connected_clients") == 1
    });
    other.ok(&["SET", "n", "70"]);
    let [first, second, third] = &mut all;
    assert!(first.run(&["s"]).to_string().contains("<reply> 6"));
    assert!(third.run(&["r", "flushall", "async"]).to_string().contains("+OK"));
    end(first, "$6");
    end(second, "$6");
    end(third, "$1");
    assert_eq!(text(other.run(&["GET", "n"])), "70");
    eventually("children are taken leave of", || children(&server) == 0);
    // The line is written after the child is taken leave of.
    eventually("the log tells of each", || {
        let log = server.log();
        log.matches("Lua debugging session child exiting").count() == 3
    });
    // What children did is not in the file of commands either.
    other.ok(&["DEBUG", "LOADAOF"]);
    assert_eq!(text(other.run(&["GET", "n"])), "70");
}

#[test]
fn sessions_in_children_leave_everybody_else_alone_with_one_thread() {
    sessions_in_children_leave_everybody_else_alone(&["--enable-debug-command", "yes"]);
}

#[test]
fn sessions_in_children_leave_everybody_else_alone_with_io_threads() {
    sessions_in_children_leave_everybody_else_alone(&["--io-threads", "3", "--enable-debug-command", "yes"]);
}

#[test]
fn a_synchronous_session_makes_everybody_wait_and_its_changes_stay() {
    for threads in ["1", "2"] {
        let server = Server::start(&["--io-threads", threads]);
        let (mut wire, mut other) = (server.connect(), server.connect());
        other.ok(&["SET", "n", "1"]);
        begin(&mut wire, "SYNC");
        other.send(b"GET n\r\n");
        assert_eq!(other.first_within(Duration::from_millis(200)), b"");
        end(&mut wire, "$2");
        other.expect(b"$1\r\n2\r\n");
    }
}

#[test]
fn who_hangs_up_lets_the_script_run_to_its_end() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    for (mode, result) in [("YES", "$nil"), ("SYNC", "$1")] {
        let mut wire = server.connect();
        begin(&mut wire, mode);
        drop(wire);
        eventually("the child has ended", || children(&server) == 0);
        assert_eq!(other.run(&["GET", "n"]).to_string(), result, "{mode}");
    }
}

#[test]
fn sessions_end_with_their_server() {
    for how in ["SHUTDOWN", "TERM", "KILL"] {
        let mut server = Server::start(&[]);
        let (mut first, mut second) = (server.connect(), server.connect());
        begin(&mut first, "YES");
        begin(&mut second, "YES");
        match how {
            "SHUTDOWN" => server.connect().send(b"SHUTDOWN NOSAVE\r\n"),
            signal => server.signal(signal),
        }
        server.wait();
        first.expect_end(b"");
        second.expect_end(b"");
        let told = server.log().matches("Killing debugging session").count();
        assert_eq!(told, if how == "KILL" { 0 } else { 2 }, "{how}");
    }
}

#[test]
fn a_signal_ends_a_server_that_waits_for_a_synchronous_session() {
    let mut server = Server::start(&[]);
    let mut wire = server.connect();
    begin(&mut wire, "SYNC");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    wire.expect(b"*1\r\n+<endsession>\r\n");
}

#[test]
fn a_child_hears_no_request_to_stop_and_its_log_lines_are_its_parents() {
    let server = Server::start(&[]);
    let mut wire = server.connect();
    wire.ok(&["SCRIPT", "DEBUG", "YES"]);
    wire.run(&["EVAL", "redis.log(redis.LOG_WARNING, 'one\\ntwo')\nreturn 1", "0"]);
    let line = server.log();
    let line = line
        .lines()
        .find_map(|line| line.split_once("forked for debugging eval, pid "));
    let pid = line.expect("a line for it").1.trim().parse().expect("a number");
    signal(pid, "TERM");
    signal(pid, "INT");
    end(&mut wire, ":1");
    eventually("its lines are written", || {
        let log = server.log();
        log.contains("# one\n") && log.contains("# two\n")
    });
}

#[test]
fn replies_before_a_session_come_before_it_and_requests_behind_it_are_lost() {
    let server = Server::start(&[]);
    for mode in ["SYNC", "YES"] {
        let mut wire = server.connect();
        let eval = command(&[b"EVAL", b"return 1", b"0"]);
        wire.send(
            &[
                format!("SCRIPT DEBUG {mode}\r\nPING\r\n").as_bytes(),
                &eval,
                b"PING\r\n",
            ]
            .concat(),
        );
        wire.expect(b"+OK\r\n+PONG\r\n");
        assert!(wire.reply().to_string().contains("Stopped at 1"));
        // Commands of the debugger may come together.
        wire.send(&[command(&[b"l"]), command(&[b"c"])].concat());
        wire.expect(b"*1\r\n+-> 1   return 1\r\n*1\r\n+<endsession>\r\n:1\r\n");
        wire.expect_end(b"");
    }
    let mut wire = server.connect();
    wire.send(b"PING\r\nSCRIPT DEBUG YES\r\n");
    wire.expect(b"+PONG\r\n-ERR SCRIPT DEBUG must be called outside a pipeline\r\n");
    // The switch is the session's own, and EVAL's.
    wire.ok(&["SCRIPT", "DEBUG", "YES"]);
    assert_eq!(server.connect().run(&["EVAL", "return 1", "0"]), Value::Int(1));
    let digest = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    assert_eq!(
        wire.error(&["EVALSHA", digest, "0"]),
        "ERR Please use EVAL instead of EVALSHA for debugging"
    );
    wire.run(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=l\nredis.register_function('f', function() return 7 end)",
    ]);
    assert_eq!(wire.run(&["FCALL", "f", "0"]), Value::Int(7));
    wire.ok(&["SCRIPT", "DEBUG", "NO"]);
    assert_eq!(wire.run(&["EVAL", "return 1", "0"]), Value::Int(1));
}

#[test]
fn in_a_transaction_each_script_has_its_session_or_the_first_takes_the_connection() {
    let server = Server::start(&[]);
    for mode in ["SYNC", "YES"] {
        let mut wire = server.connect();
        wire.ok(&["SCRIPT", "DEBUG", mode]);
        wire.ok(&["MULTI"]);
        for words in [
            &["SET", "a", mode][..],
            &["EVAL", "return 5", "0"],
            &["EVAL", "return 6", "0"],
            &["SET", "b", mode],
        ] {
            assert_eq!(text(wire.run(words)), "QUEUED");
        }
        assert!(wire.run(&["EXEC"]).to_string().contains("Stopped at 1"));
        assert_eq!(wire.run(&["c"]).to_string(), "*1\n  +<endsession>");
        if mode == "SYNC" {
            assert!(wire.reply().to_string().contains("Stopped at 1"));
            assert_eq!(wire.run(&["c"]).to_string(), "*1\n  +<endsession>");
            wire.expect(b"*4\r\n+OK\r\n:5\r\n:6\r\n+OK\r\n");
        } else {
            // As far as the child comes.
            wire.expect(b"*4\r\n+OK\r\n:5\r\n");
        }
        wire.expect_end(b"");
        let mut other = server.connect();
        assert_eq!(
            other.run(&["MGET", "a", "b"]).to_string(),
            format!("*2\n  ${mode}\n  ${mode}")
        );
    }
}

#[test]
fn what_is_no_command_ends_a_session() {
    let server = Server::start(&[]);
    let flood = vec![b'*'; (1 << 20) + 1];
    let cases: [(&[u8], &str); 4] = [
        (b"step\r\n", "ERR protocol error"),
        (b"*1025\r\n", "ERR protocol error"),
        (b"*1\r\n$1025\r\n", "ERR protocol error"),
        (&flood, "ERR max client buffer reached"),
    ];
    for mode in ["SYNC", "YES"] {
        for (bytes, refusal) in cases {
            let mut wire = server.connect();
            begin(&mut wire, mode);
            wire.send(bytes);
            wire.expect(b"*1\r\n+<endsession>\r\n");
            let error = wire.reply().to_string();
            assert!(error.contains(refusal), "{error}");
        }
    }
    assert_eq!(text(server.connect().run(&["PING"])), "PONG");
}

#[test]
fn redis_cli_debugs() {
    let server = Server::start(&[]);
    let script = server.folder().join("script.lua");
    std::fs::write(
        &script,
        "local a = redis.call('incr', KEYS[1])\nreturn ARGV[1] .. a\n",
    )
    .expect("writable");
    let script = script.to_str().expect("text");
    for (mode, verdict, count) in [
        ("--ldb", "dataset changes rolled back", "$nil"),
        ("--ldb-sync-mode", "(Lua debugging session ended)", "$1"),
    ] {
        let args = [mode, "--eval", script, "k", ",", "x"];
        let Some(printed) = tools::run("redis-cli", &server, &args, b"s\np\nc\n", Duration::from_secs(30))
        else {
            return;
        };
        for line in [
            "Stopped at 1",
            "<redis> incr k",
            "<value> a = 1",
            "\"x1\"",
            verdict,
        ] {
            assert!(printed.out.contains(line), "{line}: {}", printed.out);
        }
        assert_eq!(server.connect().run(&["GET", "k"]).to_string(), count);
    }
}
