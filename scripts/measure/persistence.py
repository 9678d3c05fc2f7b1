#!/usr/bin/env python3
"""What does persistence cost beside a reference: loading and saving snapshots, the log, the fork?

Each part runs some rounds, the servers in turn, and prints medians. The ratio is above 1 where the server is ahead,
whichever way the figure points.

    scripts/measure/persistence.py load --server target/release/russet-server --ref redis-server --scale 1.0
    scripts/measure/persistence.py save|everysec|always|fork ...

load      time from start to the first PONG, and the server's CPU time, with a file written by the reference
save      SAVE, BGSAVE, and the size of the file
everysec  SETs by 50 connections with `appendfsync everysec`: per second, and per second of server CPU. One request at a time
          redis-benchmark is the slower side; `steady_load` is not (an example of this crate: build it first), nor is
          redis-benchmark with `--beside 3`, when as many busy processes share the server's core
always    the same with `always`, 50 writers; then 50 writers beside 50 readers of other keys; and what a sync takes, on
          which everything here depends: `--sync-ms 0 1 2 5` measures once for each, with a library loaded into both
          servers (LD_PRELOAD, built with cc) that lets fsync and fdatasync take so much longer
fork      pause at the fork, copied pages, and latency of 50 writers while snapshots are written all the time

`--scale 1.0` is 10 million strings and 1 million mixed keys. The folder for files (TMPDIR) should be on a disk, with
some 4 GB free; redis-benchmark is needed.
"""

import argparse
import contextlib
import csv
import io
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import side

STRINGS, MIXED = 10_000_000, 1_000_000

# How long the steady load lasts.
STEADY_S = 2

# Values that do not compress, as most do not; in steps, as a script must not keep others waiting.
FILL_STRINGS = """
for i = ARGV[1], ARGV[2] do redis.call('SET', 'key:' .. string.format('%012d', i), redis.sha1hex(i)) end
"""

FILL_MIXED = """
local function parts(i, f) local t = {} for j = 1, 10 do f(t, i, j) end return unpack(t) end
local function text(t, i, j) t[#t + 1] = 'element:' .. i .. ':' .. j end
local kinds = {
  [0] = function(key, i) redis.call('RPUSH', key, parts(i, text)) end,
  [1] = function(key, i) redis.call('SADD', key, parts(i, text)) end,
  [2] = function(key, i) redis.call('SADD', key, parts(i, function(t, i, j) t[j] = i * j end)) end,
  [3] = function(key, i)
    redis.call('HSET', key, parts(i, function(t, i, j) t[#t + 1] = 'field:' .. j t[#t + 1] = 'value:' .. i end))
  end,
  [4] = function(key, i)
    redis.call('ZADD', key, parts(i, function(t, i, j) t[#t + 1] = i * j / 8 t[#t + 1] = 'member:' .. j end))
  end,
  [5] = function(key, i) redis.call('SET', key, string.rep('lorem ipsum ' .. i, 20), 'EX', 1000000 + i) end,
  [6] = function(key, i) redis.call('SET', key, i) end,
  [7] = function(key, i)
    for j = 1, 3 do redis.call('XADD', key, j .. '-1', 'sensor', i, 'reading', j) end
  end,
}
for i = ARGV[1], ARGV[2] do kinds[i % 8]('mixed:' .. i, i) end
-- A few that are too big for the small encodings.
if ARGV[1] % 100000 == 1 then
  for i = 1, 20 do
    local name = ARGV[1] .. ':' .. i
    for j = 1, 100 do
      redis.call('RPUSH', 'list:' .. name, parts(j, text))
      redis.call('SADD', 'set:' .. name, parts(j, text))
      redis.call('HSET', 'hash:' .. name, parts(j, text))
      redis.call('ZADD', 'zset:' .. name, parts(j, function(t, i, j) t[#t + 1] = i t[#t + 1] = i .. ':' .. j end))
    end
  end
end
"""

# A disk that takes its time: it sleeps, as a thread that waits for a disk does.
SLOW_DISK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int sync_slowly(const char *name, int fd) {
    int (*sync)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    long us = atol(getenv("SLOW_SYNC_US"));
    struct timespec delay = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&delay, &delay) == -1 && errno == EINTR) {}
    return sync(fd);
}

int fsync(int fd) { return sync_slowly("fsync", fd); }
int fdatasync(int fd) { return sync_slowly("fdatasync", fd); }
"""

SHAPES = {"strings": (FILL_STRINGS, STRINGS), "mixed": (FILL_MIXED, MIXED)}


def fill(client, shape, scale):
    script, count = SHAPES[shape]
    step, count = 10_000, int(count * scale)
    for first in range(1, count + 1, step):
        client.run("EVAL", script, 0, first, min(count, first + step - 1))


def info(client, section):
    lines = client.run("INFO", section).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def benchmark(port, count, words, connections=50, pipeline=1, **popen):
    """redis-benchmark at work; `outcome` has what it finds."""
    command = ["redis-benchmark", "-p", str(port), "-c", str(connections), "-n", str(count), "-P", str(pipeline)]
    command += ["-r", "100000", "--csv", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **popen)


def outcome(running):
    """Requests per second, and the 99th percentile of latency in milliseconds."""
    rows = list(csv.DictReader(io.StringIO(running.communicate()[0])))
    return float(rows[-1]["rps"]), float(rows[-1]["p99_latency_ms"])


def set_words(size=32):
    return ["SET", "key:__rand_int__", "x" * size]


class Timed:
    """Wall and CPU seconds of a block."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.cpu, self.wall = self.server.cpu_seconds(), time.perf_counter()
        return self

    def __exit__(self, *_):
        self.wall, self.cpu = time.perf_counter() - self.wall, self.server.cpu_seconds() - self.cpu


def wait_loaded(client):
    while True:
        try:
            return client.run("PING")
        except RuntimeError:
            time.sleep(0.002)


def load_file(program, folder, keys):
    start = time.perf_counter()
    with side.Server(program, "--dir", folder) as server:
        client = server.connect()
        wait_loaded(client)
        wall, cpu = time.perf_counter() - start, server.cpu_seconds()
        if client.run("DBSIZE") != keys:
            sys.exit("not all keys came in")
        return {"load, s": wall, "load, CPU s": cpu, "resident MB": server.resident_bytes() / 1e6}


def load(options):
    for shape in options.shapes:
        with side.Server(options.ref or options.server) as server:
            client = server.connect()
            fill(client, shape, options.scale)
            client.run("SAVE")
            keys = client.run("DBSIZE")
            yield f"load {shape}", lambda program: load_file(program, server.folder, keys)


def save_time(client, server):
    with Timed(server) as timed:
        client.run("SAVE")
    return timed


def background_save_seconds(client):
    start = time.perf_counter()
    client.run("BGSAVE")
    while info(client, "persistence")["rdb_bgsave_in_progress"] != "0":
        time.sleep(0.01)
    return time.perf_counter() - start


def save(options):
    for shape in options.shapes:
        servers, clients = {}, {}
        try:
            for program in programs(options):
                servers[program] = side.Server(program).__enter__()
                clients[program] = servers[program].connect()
                fill(clients[program], shape, options.scale)

            def measure(program):
                timed = save_time(clients[program], servers[program])
                path = os.path.join(servers[program].folder, "dump.rdb")
                return {
                    "SAVE, s": timed.wall,
                    "SAVE, CPU s": timed.cpu,
                    "BGSAVE, s": background_save_seconds(clients[program]),
                    "file MB": os.path.getsize(path) / 1e6,
                }

            yield f"save {shape}", measure
        finally:
            for server in servers.values():
                server.__exit__()


def logged(program, policy, *more, env=None):
    return side.Server(program, "--appendonly", "yes", "--appendfsync", policy, *more, env=env)


@contextlib.contextmanager
def slow_disk(ms):
    """The environment of servers whose syncs take so much longer."""
    if ms == 0:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="measure-") as folder:
        library = os.path.join(folder, "slow_disk.so")
        command = ["cc", "-O2", "-shared", "-fPIC", "-x", "c", "-", "-o", library, "-ldl"]
        subprocess.run(command, input=SLOW_DISK, text=True, check=True)
        yield {**os.environ, "LD_PRELOAD": library, "SLOW_SYNC_US": str(int(ms * 1000))}


def everysec(options):
    def steady(program):
        with logged(program, "everysec", "--auto-aof-rewrite-percentage", "0") as server:
            server.pin()
            with Timed(server) as timed:
                count = side.steady_load(server, "set", 100_000, STEADY_S, **elsewhere())
            return {"per second": count / STEADY_S, "per CPU second": count / timed.cpu}

    yield "everysec, steady load", steady
    for pipeline in 1, 16:
        count = int(options.requests * (1 if pipeline == 1 else 5))

        def measure(program):
            with logged(program, "everysec", "--auto-aof-rewrite-percentage", "0") as server:
                server.pin()
                with beside(server, options.beside), Timed(server) as timed:
                    rate, p99 = outcome(benchmark(server.port, count, set_words(), pipeline=pipeline, **elsewhere()))
                return {"per second": rate, "per CPU second": count / timed.cpu, "p99, ms": p99}

        yield f"everysec P={pipeline}", measure


@contextlib.contextmanager
def beside(server, count):
    """With so many busy processes on the server's core."""
    here = os.sched_getaffinity(server.process.pid)
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=lambda: os.sched_setaffinity(0, here))
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def elsewhere():
    """How to start what is not to take the server's core."""
    return {"preexec_fn": lambda: side.pin(0, 1)}


def sync_ms(folder):
    """What a sync of a few KB takes just now: disks change their mind."""
    spent = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4000)
            start = time.perf_counter()
            os.fdatasync(file)
            spent.append((time.perf_counter() - start) * 1000)
    return statistics.median(spent)


def always(options):
    for ms in options.sync_ms:
        with slow_disk(ms) as env:
            yield from always_on(options, f"always, {ms:g} ms longer" if ms else "always", env)


def always_on(options, name, env):
    place = elsewhere() if options.pin else {}

    def logging(program):
        return logged(program, "always", "--auto-aof-rewrite-percentage", "0", env=env)

    def writers(program):
        with logging(program) as server:
            sync = sync_ms(server.folder)
            if options.pin:
                server.pin()
            with Timed(server) as timed:
                rate, p99 = outcome(benchmark(server.port, int(options.requests / 4), set_words(), **place))
            per_cpu = options.requests / 4 / timed.cpu
            return {"per second": rate, "per CPU second": per_cpu, "p99, ms": p99, "a sync, ms": sync}

    def beside_readers(program):
        with logging(program) as server:
            sync = sync_ms(server.folder)
            if options.pin:
                server.pin()
            client = server.connect()
            writing = benchmark(server.port, 1_000_000_000, set_words(), **place)
            time.sleep(0.5)
            before = counts(client)
            with Timed(server) as timed:
                reading = benchmark(server.port, int(options.requests / 4), ["GET", "other:__rand_int__"], **place)
                _, p99 = outcome(reading)
            gets, sets = (now - then for now, then in zip(counts(client), before))
            writing.kill()
            writing.wait()
            return {
                "total per second": (gets + sets) / timed.wall,
                "total per CPU second": (gets + sets) / timed.cpu,
                "SETs per second": sets / timed.wall,
                "GETs per second": gets / timed.wall,
                "GET p99, ms": p99,
                "a sync, ms": sync,
            }

    yield f"{name}, 50 writers", writers
    yield f"{name}, 50 writers and 50 readers", beside_readers


def counts(client):
    """GETs and SETs so far."""
    facts = info(client, "commandstats")
    calls = lambda name: int(facts.get(f"cmdstat_{name}", "calls=0").split(",")[0].split("=")[1])
    return calls("get"), calls("set")


def save_again_and_again(port, over, forks):
    client = side.Client(port)
    while not over.is_set():
        background_save_seconds(client)
        forks.append(int(info(client, "stats")["latest_fork_usec"]) / 1000)


def fork(options):
    def measure(program):
        with side.Server(program) as server:
            client = server.connect()
            fill(client, "strings", options.scale / 2)
            resident = server.resident_bytes() / 1e6
            over, forks = threading.Event(), []
            saver = threading.Thread(target=save_again_and_again, args=(server.port, over, forks))
            saver.start()
            time.sleep(0.2)
            rate, p99 = outcome(benchmark(server.port, options.requests, set_words()))
            over.set()
            saver.join()
            facts = info(client, "persistence")
            return {
                "resident MB": resident,
                "fork, ms": statistics.median(forks),
                "copied MB": int(facts["rdb_last_cow_size"]) / 1e6,
                "SETs meanwhile per second": rate,
                "SET p99 meanwhile, ms": p99,
            }

    yield "fork", measure


def programs(options):
    return [program for program in (options.ref, options.server) if program]


def compare(options, name, measure):
    """Rounds of `measure`, the servers in turn; a line per figure."""
    rounds = {program: [] for program in programs(options)}
    for _ in range(options.rounds):
        for program, figures in rounds.items():
            figures.append(measure(program))
    print(f"{name:<46}" + "".join(f"{os.path.basename(program):>16}" for program in rounds) + f"{'ratio':>8}")
    for figure in rounds[options.server][0]:
        medians = [statistics.median(one[figure] for one in figures) for figures in rounds.values()]
        line = f"  {figure:<44}" + "".join(f"{median:>16,.3f}" for median in medians)
        if len(medians) == 2:
            better = medians[1] / medians[0] if "per" in figure else medians[0] / max(medians[1], 1e-9)
            line += f"{better:>8.2f}"
        print(line, flush=True)


def main():
    parts = {part.__name__: part for part in (load, save, everysec, always, fork)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--server", required=True, help="the russet-server to measure (a release build)")
    parser.add_argument("--ref", help="a redis-server to measure beside it")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the keys")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=400_000, help="of redis-benchmark")
    parser.add_argument("--pin", action=argparse.BooleanOptionalAction, default=True,
                        help="`always`: the server on one core, the load on another")
    parser.add_argument("--sync-ms", type=float, nargs="+", default=[0],
                        help="`always`: how much longer syncs take, in turn")
    parser.add_argument("--beside", type=int, default=0, help="`everysec`: busy processes on the server's core")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    options = parser.parse_args()
    for name, measure in parts[options.part](options):
        compare(options, name, measure)


if __name__ == "__main__":
    main()
