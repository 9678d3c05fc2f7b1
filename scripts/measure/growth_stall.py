#!/usr/bin/env python3
"""How long does anybody wait while the table grows?

A loader inserts N new keys (10 million unless told otherwise) by pipelines of 16 from a process of its
own, while one client asks PING and GET by turns, every 100 microseconds or so, and keeps the longest
answer. Two things besides the table can delay an answer: the loader's own commands before it, and the
machine. So the same client also asks while the loader sets keys that are already there, at the same pace:
the difference is what growing costs. `--nice` lowers the loader's priority, which helps on a machine with
two processors.

    scripts/measure/growth_stall.py --server target/release/russet-server --ref redis-server --keys 10000000
"""

import multiprocessing
import os
import time

import side

PIPELINE = 16
VALUE = b"x" * 16


def load(port, keys, rounds, nice, done):
    """Sets `keys` keys `rounds` times. Replies are counted, not decoded: each is +OK."""
    os.nice(nice)
    client = side.Client(port)
    for _ in range(rounds):
        for first in range(0, keys, PIPELINE):
            commands = b"".join(
                b"*3\r\n$3\r\nSET\r\n$12\r\n%012d\r\n$16\r\n%b\r\n" % (n, VALUE)
                for n in range(first, min(first + PIPELINE, keys))
            )
            client.socket.sendall(commands)
            missing = 5 * (min(first + PIPELINE, keys) - first)
            while missing:
                missing -= len(client.socket.recv(missing))
    done.value = 1


def longest_answers(server, keys, rounds, nice):
    """All answer times, in nanoseconds, ordered, while the loader runs; and its keys per second."""
    done = multiprocessing.Value("i", 0)
    loader = multiprocessing.Process(target=load, args=(server.port, keys, rounds, nice, done))
    asker = side.Client(server.port).socket
    get, value = side.encode("GET", "sampled"), b"$5\r\nvalue\r\n"
    ping, pong = side.encode("PING"), b"+PONG\r\n"
    spent, started = [], time.perf_counter()
    loader.start()
    while not done.value:
        spent.append(side.timed_exchange(asker, get, value))
        spent.append(side.timed_exchange(asker, ping, pong))
        time.sleep(0.0001)
    seconds = time.perf_counter() - started
    loader.join()
    return sorted(spent), int(keys * rounds / seconds)


def measure(program, keys, nice):
    with side.Server(program) as server:
        client = side.Client(server.port)
        client.run("SET", "sampled", "value")
        growing, pace = longest_answers(server, keys, 1, nice)
        if client.run("DBSIZE") != keys + 1:
            raise RuntimeError("keys are missing")
        bytes_per_key = server.resident_bytes() // keys
        steady, _ = longest_answers(server, min(keys, 1_000_000), max(1, keys // 1_000_000), nice)
    return {
        "longest answer while growing, ms": growing[-1] / 1e6,
        "longest answer while overwriting, ms": steady[-1] / 1e6,
        "p99.9 while growing, ms": side.percentile(growing, 0.999) / 1e6,
        "p99.9 while overwriting, ms": side.percentile(steady, 0.999) / 1e6,
        "median while growing, ms": side.percentile(growing, 0.5) / 1e6,
        "samples while growing": len(growing),
        "keys inserted per second": pace,
        "resident bytes per key": bytes_per_key,
    }


def main():
    options = side.arguments(__doc__, keys=10_000_000, nice=0)
    side.side_by_side(options, lambda program: measure(program, options.keys, options.nice))


main()
