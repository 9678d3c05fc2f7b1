#!/usr/bin/env python3
"""What does a write cost when another key has to go for it?

Each server is filled until its limit, which is what it uses with `--keys` keys, and then written to with new keys only,
by `redis-benchmark -P 16`, so that every write evicts. Shown for each policy: server CPU time per write in microseconds,
the least of the rounds, which alternate between the servers, and how many keys went per write.

    scripts/measure/eviction.py --server target/release/russet-server --ref redis-server

Figures of two servers stand as reference / server; a ratio above 1 means that the server needs less.
"""

import contextlib
import os
import subprocess

import side

POLICIES = ("allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl", "volatile-lru")
VALUE_BYTES = 100
# As many names as redis-benchmark can draw from: nearly every one is new.
SPACE = 2_000_000_000


def info(client, name):
    text = client.run("INFO", "all").decode()
    return int(text.split(f"\n{name}:")[1].split()[0])


def load(server, words, count, space):
    """`count` writes of keys drawn from `space`."""
    command = ["redis-benchmark", "-p", str(server.port), "-c", "50", "-P", "16", "-q"]
    command += ["-n", str(count), "-r", str(space), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    side.pin(process.pid, 1)
    if process.wait() != 0:
        raise RuntimeError("redis-benchmark failed")


def words(policy):
    value = "v" * VALUE_BYTES
    expiry = ["EX", "100000"] if policy.startswith("volatile") else []
    return ["SET", "key:__rand_int__", value, *expiry]


def prepare(server, options, policy):
    client = server.connect()
    client.run("FLUSHALL")
    client.run("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", policy)
    load(server, words(policy), options.keys * 2, options.keys)
    limit = info(client, "used_memory")
    client.run("CONFIG", "SET", "maxmemory", str(limit))
    load(server, words(policy), options.keys, SPACE)


def one_round(server, options, policy):
    client = server.connect()
    spent, gone = server.cpu_seconds(), info(client, "evicted_keys")
    load(server, words(policy), options.writes, SPACE)
    spent, gone = server.cpu_seconds() - spent, info(client, "evicted_keys") - gone
    return spent * 1e6 / options.writes, gone / options.writes


def main():
    options = side.arguments(__doc__, keys=200_000, writes=400_000, rounds=3)
    programs = [options.server] + ([options.ref] if options.ref else [])
    print(f"{'policy':<16}{'CPU us/write':>24}{'ratio':>8}{'evicted/write':>20}")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(side.Server(program)) for program in programs]
        for server in servers:
            server.pin()
        for policy in POLICIES:
            for server in servers:
                prepare(server, options, policy)
            rounds = [
                [one_round(server, options, policy) for server in servers] for _ in range(options.rounds)
            ]
            cpu = [min(each[index][0] for each in rounds) for index in range(len(servers))]
            gone = [rounds[-1][index][1] for index in range(len(servers))]
            row = lambda figures, form: " / ".join(format(figure, form) for figure in reversed(figures))
            print(
                f"{policy:<16}{row(cpu, '.3f'):>24}{cpu[-1] / cpu[0]:>8.2f}{row(gone, '.2f'):>20}",
                flush=True,
            )


if __name__ == "__main__":
    main()
