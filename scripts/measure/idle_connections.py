#!/usr/bin/env python3
"""What does an idle connection cost in memory?

Opens N connections (5,000 unless told otherwise), one PING on each, and divides the growth of resident
memory. A first hundred connections come before the measurement, so that what is allocated once does not
count. Also shown: the same after each has sent and received 16 KB once, and the server's CPU over ten idle
seconds with all of them open.

    scripts/measure/idle_connections.py --server target/release/russet-server --ref redis-server
"""

import resource
import time

import side


def measure(program, count):
    with side.Server(program, "--maxclients", str(count + 200)) as server:
        early = [side.Client(server.port) for _ in range(100)]
        for client in early:
            client.run("PING")
        before = server.resident_bytes()
        clients = []
        for _ in range(count):
            clients.append(side.Client(server.port))
            clients[-1].run("PING")
        after = server.resident_bytes()
        for client in clients:
            client.run("ECHO", b"x" * 16384)
        time.sleep(3)
        used = server.resident_bytes()
        cpu = server.cpu_seconds()
        time.sleep(10)
        idle_cpu = server.cpu_seconds() - cpu
        for client in clients + early:
            client.close()
    return {
        "bytes per idle connection": (after - before) // count,
        "bytes each, 3 s after 16 KB went through": (used - before) // count,
        "CPU ms per second, all idle": idle_cpu * 100,
    }


def main():
    options = side.arguments(__doc__, connections=5000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = options.connections + 500
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    side.side_by_side(options, lambda program: measure(program, options.connections))


main()
