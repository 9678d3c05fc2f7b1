#!/usr/bin/env python3
"""What do operations on values of millions of elements cost, and does filling them keep anybody waiting?

For each shape both servers are filled alike, while one client asks PING every 200 microseconds or so and keeps the
longest answer. Then each operation runs some thousand times in pipelines, and the server's own CPU time is divided by
their number. The figure to look at is the ratio, reference / server: above 1 the server is ahead.

    scripts/measure/big_values.py --server target/release/russet-server --ref redis-server --scale 1.0
"""

import multiprocessing
import random
import time

import side

PIPELINE = 64


def send_all(client, commands):
    """Sends commands in pipelines; how many there were."""
    count, batch = 0, []
    for command in commands:
        batch.append(side.encode(*command))
        if len(batch) == PIPELINE:
            count += flush(client, batch)
            batch = []
    return count + flush(client, batch)


def flush(client, batch):
    client.socket.sendall(b"".join(batch))
    for _ in batch:
        client.reply()
    return len(batch)


def many(verb, key, parts, per_command):
    """One command for `per_command` parts each."""
    gathered = []
    for index, part in enumerate(parts, 1):
        gathered.extend(part)
        if index % per_command == 0:
            yield (verb, key, *gathered)
            gathered = []
    if gathered:
        yield (verb, key, *gathered)


def shapes(scale):
    """Name, how it is filled, and what is done with it."""
    n_list, n_big, n_set = int(10_000_000 * scale), int(5_000_000 * scale), int(1_000_000 * scale)
    middle, rng = n_list // 2, random.Random(7)

    def pick():
        return rng.randrange(n_big)

    fill_list = lambda: many("RPUSH", "list", ((f"element:{i:010d}",) for i in range(n_list)), 100)
    fill_hash = lambda: many("HSET", "hash", ((f"field:{i:010d}", f"value:{i:010d}") for i in range(n_big)), 50)
    fill_zset = lambda: many("ZADD", "zset", ((pick(), f"member:{i:010d}") for i in range(n_big)), 50)
    fill_stream = lambda: (("XADD", "stream", f"{i + 1}-0", "sensor", i % 100, "reading", i) for i in range(n_big))

    def fill_sets():
        yield from many("SADD", "set:1", ((f"member:{i:010d}",) for i in range(n_set)), 100)
        yield from many("SADD", "set:2", ((f"member:{i:010d}",) for i in range(n_set // 2, n_set + n_set // 2)), 100)

    return [
        ("list", fill_list, [
            ("LINDEX middle", 5_000, lambda i: ("LINDEX", "list", middle + i)),
            ("LRANGE middle 100", 3_000, lambda i: ("LRANGE", "list", middle + i, middle + i + 99)),
            ("LSET middle", 5_000, lambda i: ("LSET", "list", middle + i, f"element:{i:010d}")),
            ("RPUSH", 50_000, lambda i: ("RPUSH", "list", f"element:{i:010d}")),
            ("LPOP", 50_000, lambda i: ("LPOP", "list")),
        ]),
        ("hash", fill_hash, [
            ("HGET", 50_000, lambda i: ("HGET", "hash", f"field:{pick():010d}")),
            ("HSET existing", 50_000, lambda i: ("HSET", "hash", f"field:{pick():010d}", f"value:{i:010d}")),
            ("HSET new", 50_000, lambda i: ("HSET", "hash", f"other:{i:010d}", f"value:{i:010d}")),
            ("HDEL", 50_000, lambda i: ("HDEL", "hash", f"field:{pick():010d}")),
        ]),
        ("zset", fill_zset, [
            ("ZSCORE", 50_000, lambda i: ("ZSCORE", "zset", f"member:{pick():010d}")),
            ("ZRANK", 50_000, lambda i: ("ZRANK", "zset", f"member:{pick():010d}")),
            ("ZADD new score", 50_000, lambda i: ("ZADD", "zset", pick(), f"member:{pick():010d}")),
            ("ZADD new member", 50_000, lambda i: ("ZADD", "zset", pick(), f"other:{i:010d}")),
            ("ZRANGE by rank 100", 5_000, lambda i: (lambda r: ("ZRANGE", "zset", r, r + 99))(pick())),
            ("ZRANGE BYSCORE 10", 20_000,
             lambda i: ("ZRANGE", "zset", pick(), "+inf", "BYSCORE", "LIMIT", 0, 10)),
            ("ZPOPMIN", 50_000, lambda i: ("ZPOPMIN", "zset")),
        ]),
        ("stream", fill_stream, [
            ("XADD", 50_000, lambda i: ("XADD", "stream", "*", "sensor", i, "reading", i)),
            ("XRANGE 10", 20_000, lambda i: ("XRANGE", "stream", pick() + 1, "+", "COUNT", 10)),
            ("XREVRANGE 10", 20_000, lambda i: ("XREVRANGE", "stream", pick() + 1, "-", "COUNT", 10)),
            ("XDEL", 20_000, lambda i: ("XDEL", "stream", f"{pick() + 1}-0")),
        ]),
        ("sets", fill_sets, [
            ("SISMEMBER", 50_000, lambda i: ("SISMEMBER", "set:1", f"member:{rng.randrange(n_set):010d}")),
            ("SINTERCARD", 3, lambda i: ("SINTERCARD", 2, "set:1", "set:2")),
            ("SINTERSTORE", 2, lambda i: ("SINTERSTORE", "set:3", "set:1", "set:2")),
        ]),
    ]


def fill(port, scale, index, done):
    client = side.Client(port)
    send_all(client, shapes(scale)[index][1]())
    done.value = 1


def measure(program, scale, index):
    name, _, operations = shapes(scale)[index]
    with side.Server(program) as server:
        done = multiprocessing.Value("i", 0)
        filler = multiprocessing.Process(target=fill, args=(server.port, scale, index, done))
        asker = side.Client(server.port).socket
        longest, before = 0, server.cpu_seconds()
        filler.start()
        while not done.value:
            longest = max(longest, side.timed_exchange(asker, side.encode("PING"), b"+PONG\r\n"))
            time.sleep(0.0002)
        filler.join()
        figures = {"fill, CPU s": server.cpu_seconds() - before, "longest PING, ms": longest / 1e6}
        client = side.Client(server.port)
        for operation, count, make in operations:
            commands, before = [make(i) for i in range(count)], server.cpu_seconds()
            send_all(client, commands)
            figures[f"{operation}, us"] = (server.cpu_seconds() - before) * 1e6 / count
        figures["resident MB"] = server.resident_bytes() / 1e6
    return figures


def main():
    options = side.arguments(__doc__, scale=1.0)
    print(f"{'shape':<8}{'operation':<28}{'reference':>12}{'server':>12}{'ratio':>8}")
    for index, (name, _, _) in enumerate(shapes(options.scale)):
        reference, ours = (measure(p, options.scale, index) for p in (options.ref, options.server))
        for figure, theirs in reference.items():
            ratio = theirs / max(ours[figure], 1e-9)
            print(f"{name:<8}{figure:<28}{theirs:>12.2f}{ours[figure]:>12.2f}{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
