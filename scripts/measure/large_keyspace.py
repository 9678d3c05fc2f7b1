#!/usr/bin/env python3
"""What do SET and GET cost among millions of keys, where nearly each is a wait for memory?

Server and load have a core each. The servers are filled first and then take turns, in short rounds, so that a machine whose
speed changes does so for both. Depths 16 and 64 are redis-benchmark's. One request at a time comes from redis-benchmark,
too, and from `steady_load` (an example of this crate): redis-benchmark spends more on such a request than a server does, so
that servers wait for it, the faster one more often, and what falling asleep and waking up costs is in its figure; the other
keeps them at work. Shown: medians of the server's own CPU time per request, of the rounds' ratios (reference / server: above
1 the server is ahead), and of requests between two sleeps.

    cargo build --release --example steady_load
    scripts/measure/large_keyspace.py --server target/release/russet-server --ref redis-server
"""

import contextlib
import statistics
import subprocess

import side

def redis_benchmark(server, test, keys, count, pipeline):
    words = ["redis-benchmark", "-p", str(server.port), "-t", test, "-n", str(count), "-r", str(keys)]
    words += ["-d", "64", "-P", str(pipeline), "-q"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return count


def sleeps(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("voluntary_ctxt_switches:"))
    return int(line.split()[1])


def loads(options):
    """Name, and what loads a server; how many requests it sent."""
    for test in "set", "get":
        yield f"{test}, steady load", lambda server: side.steady_load(server, test, options.keys, options.seconds)
        for pipeline, count in (1, options.requests), (16, 10 * options.requests), (64, 10 * options.requests):
            yield f"{test}, redis-benchmark -P {pipeline}", lambda server: redis_benchmark(
                server, test, options.keys, count, pipeline
            )


def measure(server, load):
    cpu, slept = server.cpu_seconds(), sleeps(server)
    count = load(server)
    return (server.cpu_seconds() - cpu) * 1e6 / count, count / max(1, sleeps(server) - slept)


def main():
    options = side.arguments(__doc__, keys=5_000_000, rounds=15, requests=60_000, seconds=0.6)
    side.pin(0, 1)
    programs = [program for program in (options.ref, options.server) if program]
    print(f"{'CPU, us':<32}{'reference':>12}{'server':>12}{'ratio':>8}{'requests per sleep':>26}")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(side.Server(program)) for program in programs]
        for server in servers:
            server.pin()
            redis_benchmark(server, "set", options.keys, options.keys * 12 // 5, 64)
        for name, load in loads(options):
            rounds = [[measure(server, load) for server in servers] for _ in range(options.rounds)]
            spent = [statistics.median(each[at][0] for each in rounds) for at in (0, -1)]
            awake = [statistics.median(each[at][1] for each in rounds) for at in (0, -1)]
            ratio = statistics.median(each[0][0] / each[-1][0] for each in rounds)
            print(f"{name:<32}{spent[0]:>12.3f}{spent[1]:>12.3f}{ratio:>8.2f}{awake[0]:>14.0f}{awake[1]:>12.0f}", flush=True)


if __name__ == "__main__":
    main()
