#!/usr/bin/env python3
"""What do scripts, functions, transactions and messages cost?

Each operation runs some thousand times over fifty connections, and the server's own CPU time is divided by their
number. Server and clients have a core each. The servers take turns, so that a busy machine is busy for both; of several
rounds the least counts. The figure to look at is the ratio, reference / server: above 1 the server is ahead.

    scripts/measure/programs.py --server target/release/russet-server --ref redis-server --rounds 3
"""

import resource
import selectors

import side

CALLS = """
redis.call('SET', KEYS[1], ARGV[1])
redis.call('INCRBY', KEYS[2], 1)
return redis.call('GET', KEYS[1])
"""
LIBRARY = "#!lua name=calls\nredis.register_function('three', function(KEYS, ARGV)" + CALLS + "end)"
CONNECTIONS = 50


def send_all(clients, command, count, pipeline, replies_each):
    """Sends `command` (bytes, of so many replies) `count` times, in turn over the connections."""
    full = command * pipeline
    for _ in range(count // pipeline // len(clients)):
        for client in clients:
            client.socket.sendall(full)
        for client in clients:
            for _ in range(pipeline * replies_each):
                client.reply()


def send_one_by_one(clients, commands, count):
    """Sends several commands, each after the reply to the one before."""
    for _ in range(count // len(clients)):
        for command in commands:
            send_all(clients, command, len(clients), 1, 1)


class Readers:
    """Connections that only receive."""

    def __init__(self, server, count):
        self.clients = [server.connect() for _ in range(count)]
        self.selector = selectors.DefaultSelector()
        for client in self.clients:
            self.selector.register(client.socket, selectors.EVENT_READ)

    def close(self):
        for client in self.clients:
            client.close()
        self.selector.close()

    def receive(self, expected):
        """Waits for so many bytes over all connections."""
        while expected > 0:
            for key, _ in self.selector.select(timeout=10):
                expected -= len(key.fileobj.recv(1 << 16))


def published(server, subscribers, count):
    """CPU for the second `count` messages to so many."""
    readers = Readers(server, subscribers)
    for client in readers.clients:
        client.run("SUBSCRIBE", "news")
    sender, message = server.connect(), "m" * 64
    size = len(side.encode("message", "news", message))
    for _ in range(2):
        before = server.cpu_seconds()
        for _ in range(count):
            sender.run("PUBLISH", "news", message)
            readers.receive(subscribers * size)
        spent = server.cpu_seconds() - before
    readers.close()
    sender.close()
    return spent


def subscribed(server, count):
    """CPU for subscribing so many channels, a hundred by command."""
    client, before = server.connect(), server.cpu_seconds()
    for first in range(0, count, 100):
        client.socket.sendall(side.encode("SUBSCRIBE", *(f"channel:{n}" for n in range(first, first + 100))))
        for _ in range(100):
            client.reply()
    spent = server.cpu_seconds() - before
    client.close()
    return spent


TRANSACTION = [
    side.encode("MULTI"),
    *(side.encode("SET", f"key:{n}", f"value:{n}") for n in range(10)),
    side.encode("EXEC"),
]


def commands(client):
    """Name, request, how often it is sent alone, and how often in pipelines."""
    sha = client.run("SCRIPT", "LOAD", CALLS).decode()
    client.run("FUNCTION", "LOAD", LIBRARY)
    client.run("SET", "key", "value")
    parts = (2, "one", "two", "value")
    return [
        ("GET", side.encode("GET", "key"), 20_000, 80_000),
        ("SET", side.encode("SET", "key", "value"), 20_000, 80_000),
        ("EVAL of 3 calls", side.encode("EVAL", CALLS, *parts), 15_000, 40_000),
        ("EVALSHA of 3 calls", side.encode("EVALSHA", sha, *parts), 15_000, 40_000),
        ("FCALL of 3 calls", side.encode("FCALL", "three", *parts), 15_000, 40_000),
    ]


def operations(client):
    """Name, what does it so many times with connections, and how many times."""
    for name, request, alone, piped in commands(client):
        yield f"{name}, P=1", lambda clients, count: send_all(clients, request, count, 1, 1), alone
        yield f"{name}, P=16", lambda clients, count: send_all(clients, request, count, 16, 1), piped
    name, block = "MULTI, 10 SETs, EXEC", b"".join(TRANSACTION)
    yield f"{name}, P=1", lambda clients, count: send_one_by_one(clients, TRANSACTION, count), 4_000
    yield f"{name}, P=16", lambda clients, count: send_all(clients, block, count, 16, len(TRANSACTION)), 16_000


def measure(program):
    """Name of each operation and its microseconds of CPU."""
    figures = {}
    with side.Server(program, "--maxclients", "12000") as server:
        server.pin()
        clients = [server.connect() for _ in range(CONNECTIONS)]
        for name, run, count in operations(clients[0]):
            run(clients, count // 10)
            before = server.cpu_seconds()
            run(clients, count)
            figures[name] = (server.cpu_seconds() - before) * 1e6 / count
        for subscribers, count in [(1, 10_000), (100, 300), (10_000, 6)]:
            figures[f"PUBLISH to {subscribers:,}"] = published(server, subscribers, count) * 1e6 / count
        figures["SUBSCRIBE, each of 100,000"] = subscribed(server, 100_000) * 10
    return figures


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    options = side.arguments(__doc__, rounds=3)
    side.pin(0, 1)
    programs = [program for program in (options.ref, options.server) if program]
    least = [{} for _ in programs]
    for _ in range(options.rounds):
        for best, program in zip(least, programs):
            for name, spent in measure(program).items():
                best[name] = min(spent, best.get(name, spent))
    print(f"{'CPU, us':<30}{'reference':>12}{'server':>12}{'ratio':>8}")
    for name, ours in least[-1].items():
        theirs = least[0][name]
        print(f"{name:<30}{theirs:>12.2f}{ours:>12.2f}{theirs / max(ours, 1e-9):>8.2f}")


if __name__ == "__main__":
    main()
