#!/usr/bin/env python3
"""What does a memory survey (RUSSET.MEMORY) cost the clients?

Fills the server with N keys (two million unless told otherwise) of 1000 prefixes, strings and hashes. Then a client
GETs keys one after the other: for some seconds without a survey and for as many seconds with one, in turn. Shown: the
median, the 99th and the 99.9th percentile and the longest answer of both, how long a survey takes, how much of that it is
at work, and per key.

    scripts/measure/survey_p99.py --server target/release/russet-server
"""

import time

import side


def fill(client, keys):
    for first in range(0, keys, 1000):
        batch = range(first, min(keys, first + 1000))
        client.socket.sendall(b"".join(one(n) for n in batch))
        for _ in batch:
            client.reply()


def one(n):
    if n % 4 == 0:
        return side.encode("HSET", f"user:{n % 997}:{n}", "name", "x" * (n % 50), "mail", "y" * (n % 40))
    return side.encode("SET", f"page:{n % 997}:{n}", "z" * (n % 200))


def ask(asker, seconds, keys):
    spent, turn, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        number = (turn * 7919) % (keys // 4) * 4
        request = side.encode("EXISTS", f"user:{number % 997}:{number}")
        spent.append(side.timed_exchange(asker, request, b":1\r\n"))
        turn += 1
    return spent


def status(client):
    words = client.run("RUSSET.MEMORY", "STATUS")
    return dict(zip(words[::2], words[1::2]))


def survey(client, asker, keys, limit):
    """Answer times while one runs, and its end."""
    spent, end = [], time.monotonic() + limit
    client.run("RUSSET.MEMORY", "START")
    while status(client)[b"state"] == b"running" and time.monotonic() < end:
        spent += ask(asker, 0.2, keys)
    return spent, status(client)


def measure(program, keys, seconds, rounds):
    with side.Server(program) as server:
        client, asker = server.connect(), side.Client(server.port).socket
        fill(client, keys)
        ask(asker, 1, keys)
        without, during = [], []
        for _ in range(rounds):
            without += ask(asker, seconds, keys)
            spent, last = survey(client, asker, keys, 60)
            during += spent
        report = client.run("RUSSET.MEMORY", "REPORT").decode()
    print("\n".join(report.splitlines()[:12]))
    figures = {}
    for name, spent in (("without", without), ("with", during)):
        spent.sort()
        for share in (0.5, 0.99, 0.999):
            figures[f"{name}: p{share * 100:g}, us"] = side.percentile(spent, share) / 1e3
        figures[f"{name}: longest, us"] = spent[-1] / 1e3
    figures["survey, s"] = last[b"elapsed-ms"] / 1e3
    figures["of that at work, s"] = last[b"spent-us"] / 1e6
    figures["per key, us"] = last[b"spent-us"] / last[b"keys"]
    return figures


def main():
    options = side.arguments(__doc__, keys=2_000_000, seconds=5.0, rounds=2)
    side.side_by_side(
        options, lambda program: measure(program, options.keys, options.seconds, options.rounds)
    )


main()
