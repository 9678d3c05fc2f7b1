#!/usr/bin/env python3
"""Does active defragmentation give the memory back, how long does it take, and who waits for it?

Fills the server with keys of all types and sizes, small and big, until it uses one gigabyte (unless told otherwise),
then deletes 90% of them at random, and of the members of big values as many. Shown: the resident set beside what is
used, before and after; how long it took from switching it on until it rested, and how long until the pages were back
(MEMORY PURGE is not called: the allocator gives them back in its own time); and the answer times of a client that GETs
all the while, without and with it.

    scripts/measure/defrag.py --server target/release/russet-server --megabytes 1024
"""

import random
import sys
import time

import side

BIG_MEMBERS = 300_000
KEYS_AT_ONCE = 2_000
GIVE_UP_SECONDS = 300
SETTLED = 1.2
# The directive's default, 100mb, is as much as is left here.
IGNORED = "5mb"


def text(rng, longest):
    return b"v" * rng.randrange(1, longest)


def small(rng, number):
    """A key of one of many shapes, as the command that creates it."""
    name = b"key:%d" % number
    shape = number % 16
    if shape < 8:
        return (b"SET", name, text(rng, 400))
    if shape == 8:
        return (b"SET", name, text(rng, 4000))
    if shape == 9:
        return (b"HSET", name, *pairs(rng, rng.randrange(1, 20)))
    if shape == 10:
        return (b"HSET", name, *pairs(rng, 200))
    if shape == 11:
        return (b"RPUSH", name, *(text(rng, 60) for _ in range(rng.randrange(1, 300))))
    if shape == 12:
        return (b"SADD", name, *(b"member:%d" % rng.randrange(10**9) for _ in range(rng.randrange(1, 200))))
    if shape == 13:
        return (b"SADD", name, *(b"%d" % rng.randrange(10**9) for _ in range(rng.randrange(1, 100))))
    if shape == 14:
        return (b"ZADD", name, *scored(rng, range(rng.randrange(1, 200))))
    return (b"XADD", name, b"*", b"field", text(rng, 300))


def pairs(rng, count):
    for field in range(count):
        yield b"field:%d" % field
        yield text(rng, 60)


def scored(rng, numbers):
    for number in numbers:
        yield b"%d" % rng.randrange(10**6)
        yield b"member:%d" % number


def big(rng):
    """Values of many members: key, what adds some members by number, what removes them."""

    def of(numbers, make):
        return [part for number in numbers for part in make(number)]

    def name(number):
        return b"member:%09d" % number

    return [
        (b"big:hash", lambda ns: (b"HSET", b"big:hash", *of(ns, lambda n: (name(n), text(rng, 100)))), b"HDEL"),
        (b"big:set", lambda ns: (b"SADD", b"big:set", *map(name, ns)), b"SREM"),
        (b"big:zset", lambda ns: (b"ZADD", b"big:zset", *of(ns, lambda n: (b"%d" % n, name(n)))), b"ZREM"),
    ]


def batches(items, size):
    for first in range(0, len(items), size):
        yield items[first : first + size]


def pipeline(client, commands):
    for batch in batches(commands, 500):
        client.socket.sendall(b"".join(side.encode(*command) for command in batch))
        for _ in batch:
            client.reply()


def info(client, field):
    lines = client.run("INFO", "everything").decode().splitlines()
    return next(line.split(":", 1)[1] for line in lines if line.startswith(field + ":"))


def fill(client, rng, wanted):
    """Fills up to `wanted` bytes; how many keys there are."""
    for _, add, _ in big(rng):
        pipeline(client, [add(numbers) for numbers in batches(range(BIG_MEMBERS), 100)])
    keys = 0
    while int(info(client, "used_memory")) < wanted:
        pipeline(client, [small(rng, number) for number in range(keys, keys + KEYS_AT_ONCE)])
        keys += KEYS_AT_ONCE
    return keys


def thin_out(client, rng, keys):
    """Deletes nine in ten, in no order."""
    gone = rng.sample(range(keys), keys * 9 // 10)
    pipeline(client, [(b"DEL", *(b"key:%d" % number for number in batch)) for batch in batches(gone, 20)])
    for key, _, remove in big(rng):
        gone = rng.sample(range(BIG_MEMBERS), BIG_MEMBERS * 9 // 10)
        names = [b"member:%09d" % number for number in gone]
        pipeline(client, [(remove, key, *batch) for batch in batches(names, 20)])


def answer_times(server, goes_on):
    """Times of GETs, one after the other, for as long as `goes_on` says, asked every tenth of a second; ordered."""
    asker, request = side.Client(server.port).socket, side.encode("GET", "stays")
    times, next_look = [], time.monotonic()
    while True:
        times.append(side.timed_exchange(asker, request, b"$5\r\nvalue\r\n"))
        if time.monotonic() >= next_look:
            if not goes_on():
                return sorted(times)
            next_look = time.monotonic() + 0.1


def measure(program, megabytes, seed, quiet_seconds):
    with side.Server(program, "--activedefrag", "no", "--active-defrag-ignore-bytes", IGNORED) as server:
        client, rng = side.Client(server.port), random.Random(seed)
        client.run("SET", "stays", "value")
        keys = fill(client, rng, megabytes << 20)
        thin_out(client, rng, keys)
        # What was freed outright goes back first: the rest is what lies scattered.
        time.sleep(12)
        used, before = int(info(client, "used_memory")), server.resident_bytes()
        end = time.monotonic() + quiet_seconds
        without = answer_times(server, lambda: time.monotonic() < end)

        client.run("CONFIG", "SET", "activedefrag", "yes")
        started, seen = time.monotonic(), []

        def works():
            running = info(client, "active_defrag_running") != "0"
            seen.append(running)
            if time.monotonic() - started > GIVE_UP_SECONDS:
                sys.exit("it does not come to rest")
            return running or not any(seen)

        during = answer_times(server, works)
        rested = time.monotonic() - started
        while server.resident_bytes() > SETTLED * int(info(client, "used_memory")):
            if time.monotonic() - started > rested + 30:
                break
            time.sleep(0.1)
        settled = time.monotonic() - started
        after, used_after = server.resident_bytes(), int(info(client, "used_memory"))
        gaps, dirty = info(client, "allocator_frag_ratio"), info(client, "allocator_rss_bytes")
        moved, stayed = info(client, "active_defrag_hits"), info(client, "active_defrag_misses")
    return {
        "keys before": keys,
        "used, MiB": used / 2**20,
        "resident before, MiB": before / 2**20,
        "resident / used before": before / used,
        "resident after, MiB": after / 2**20,
        "resident / used after": after / used_after,
        "active / allocated after": float(gaps),
        "not given back yet, MiB": int(dirty) / 2**20,
        "seconds at work": rested,
        "seconds until pages are back": settled,
        "allocations moved": int(moved),
        "allocations that stayed": int(stayed),
        "p50 without, ms": side.percentile(without, 0.5) / 1e6,
        "p50 at work, ms": side.percentile(during, 0.5) / 1e6,
        "p99 without, ms": side.percentile(without, 0.99) / 1e6,
        "p99 at work, ms": side.percentile(during, 0.99) / 1e6,
        "p99.9 without, ms": side.percentile(without, 0.999) / 1e6,
        "p99.9 at work, ms": side.percentile(during, 0.999) / 1e6,
        "longest at work, ms": during[-1] / 1e6,
    }


def main():
    options = side.arguments(__doc__, megabytes=1024, seed=1, quiet_seconds=10.0)
    side.side_by_side(options, lambda program: measure(program, options.megabytes, options.seed, options.quiet_seconds))


main()
