#!/usr/bin/env python3
"""How many reads of a cache hit, when it has room for a quarter of what is asked for?

A client reads keys drawn from a Zipf distribution (0.99) and stores each one it does not find, as users of a cache do.
Then the same with scans in between: runs of keys that are asked for once and never again. Both traces are the same for
both servers, as are `maxmemory-samples`. Room for a quarter means: the limit is what the server uses with a quarter of
the keys in it. Shown: the share of hits in the second half of each trace.

The field that remembers when a key was used last counts seconds, so a trace is spread over some (`--seconds`).

    scripts/measure/hit_ratio.py --server target/release/russet-server --ref redis-server
"""

import bisect
import itertools
import random
import time

import side

VALUE = b"v" * 200
BATCH = 100
POLICIES = ("allkeys-lru", "allkeys-lfu")


def zipf(keys, reads, rng):
    """`reads` key numbers; which key has which rank is shuffled."""
    totals = list(itertools.accumulate(1 / rank**0.99 for rank in range(1, keys + 1)))
    names = list(range(keys))
    rng.shuffle(names)
    return [names[bisect.bisect(totals, rng.random() * totals[-1])] for _ in range(reads)]


def polluted(trace, keys):
    """The trace with a scan of a twentieth of the keys after every half as many reads as there are keys."""
    fresh, every = keys, keys // 2
    mixed = []
    for first in range(0, len(trace), every):
        mixed += trace[first : first + every]
        mixed += range(fresh, fresh + keys // 20)
        fresh += keys // 20
    return mixed


def used(client):
    info = client.run("INFO", "memory").decode()
    return int(info.split("used_memory:")[1].split()[0])


def words(*parts):
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def key(number):
    return b"key:%012d" % number


def batch(client, stream, numbers):
    """Reads the keys and stores those missing; how many were there."""
    client.socket.sendall(b"".join(words(b"GET", key(number)) for number in numbers))
    missing = []
    for number in numbers:
        length = int(stream.readline()[1:])
        if length < 0:
            missing.append(number)
        else:
            stream.read(length + 2)
    if missing:
        client.socket.sendall(b"".join(words(b"SET", key(number), VALUE) for number in missing))
        for _ in missing:
            assert stream.readline() == b"+OK\r\n"
    return len(numbers) - len(missing)


def measure(program, policy, trace, keys, samples, seconds):
    with side.Server(program) as server:
        client = side.Client(server.port)
        stream = client.socket.makefile("rb")
        for first in range(0, keys // 4, BATCH):
            batch(client, stream, range(first, first + BATCH))
        time.sleep(0.3)
        limit = used(client)
        client.run("FLUSHALL")
        client.run("CONFIG", "SET", "maxmemory-policy", policy)
        client.run("CONFIG", "SET", "maxmemory-samples", str(samples))
        client.run("CONFIG", "SET", "maxmemory", str(limit))
        hits = counted = 0
        started = time.monotonic()
        for first in range(0, len(trace), BATCH):
            found = batch(client, stream, trace[first : first + BATCH])
            if first >= len(trace) // 2:
                hits, counted = hits + found, counted + min(BATCH, len(trace) - first)
            time.sleep(max(0, started + seconds * first / len(trace) - time.monotonic()))
        return hits / counted, int(client.run("DBSIZE"))


def main():
    args = side.arguments(__doc__.splitlines()[0], keys=40_000, reads=300_000, samples=5, seconds=8, seed=1)
    rng = random.Random(args.seed)
    plain = zipf(args.keys, args.reads, rng)
    traces = (("zipf", plain), ("zipf and scans", polluted(plain, args.keys)))
    print(f"{'trace':16}{'policy':14}{'server':>22}{'hits':>9}{'keys kept':>12}")
    for name, trace in traces:
        for policy in POLICIES:
            for program in filter(None, (args.server, args.ref)):
                ratio, kept = measure(program, policy, trace, args.keys, args.samples, args.seconds)
                print(f"{name:16}{policy:14}{program[-20:]:>22}{100 * ratio:8.2f}%{kept:12}", flush=True)


if __name__ == "__main__":
    main()
