#!/usr/bin/env python3
"""How long does anybody wait while a million keys expire in the same second?

Sets N keys (one million unless told otherwise) that all expire at one moment, some seconds away, and a
hundred that stay. From one second before that moment a client GETs those that stay, one after the other,
until the server no longer counts any key that expires. Shown: the 99th percentile and the longest answer
before and after the moment, and how long it took until memory was given back, that is until DBSIZE shows
only those that stay.

    scripts/measure/expiry_p99.py --server target/release/russet-server --ref redis-server
"""

import time

import side

STAYING = 100
GIVE_UP_SECONDS = 120


def fill(client, keys, moment_ms):
    at = str(moment_ms).encode()
    for first in range(0, keys, 1000):
        count = min(1000, keys - first)
        client.socket.sendall(
            b"".join(
                b"*5\r\n$3\r\nSET\r\n$12\r\n%012d\r\n$16\r\nxxxxxxxxxxxxxxxx\r\n$4\r\nPXAT\r\n$13\r\n%b\r\n" % (n, at)
                for n in range(first, first + count)
            )
        )
        missing = 5 * count
        while missing:
            missing -= len(client.socket.recv(missing))


def measure(program, keys, lead_seconds):
    with side.Server(program) as server:
        client = side.Client(server.port)
        for n in range(STAYING):
            client.run("SET", f"stay:{n}", "value")
        moment = time.time() + lead_seconds
        fill(client, keys, int(moment * 1000))
        if time.time() > moment - 1.5:
            raise RuntimeError("filling took too long: give more --lead-seconds")
        if client.run("DBSIZE") != keys + STAYING:
            raise RuntimeError("keys are missing before their time")
        time.sleep(moment - 1 - time.time())
        before, during, gone_after = watch(server, client, moment)
    return {
        "median before, ms": side.percentile(before, 0.5) / 1e6,
        "median while expiring, ms": side.percentile(during, 0.5) / 1e6,
        "p99 before, ms": side.percentile(before, 0.99) / 1e6,
        "p99 while expiring, ms": side.percentile(during, 0.99) / 1e6,
        "p99.9 while expiring, ms": side.percentile(during, 0.999) / 1e6,
        "longest while expiring, ms": during[-1] / 1e6,
        "samples while expiring": len(during),
        "seconds until all are gone": gone_after,
    }


def watch(server, other, moment):
    """Answer times before `moment` and from it until all are gone, ordered; and how long that took."""
    asker = side.Client(server.port).socket
    requests = [side.encode("GET", f"stay:{n}") for n in range(STAYING)]
    before, during, turn, next_look = [], [], 0, moment
    while True:
        spent = side.timed_exchange(asker, requests[turn % STAYING], b"$5\r\nvalue\r\n")
        now = time.time()
        (before if now < moment else during).append(spent)
        turn += 1
        if now >= next_look:
            if other.run("DBSIZE") == STAYING:
                return sorted(before), sorted(during), time.time() - moment
            next_look = now + 0.01
            if now > moment + GIVE_UP_SECONDS:
                raise RuntimeError(f"{other.run('DBSIZE')} keys are still there")


def main():
    options = side.arguments(__doc__, keys=1_000_000, lead_seconds=20.0)
    side.side_by_side(options, lambda program: measure(program, options.keys, options.lead_seconds))


main()
