"""Client-side caching as its users run it: redis-py over RESP3 with its cache in default settings.

Usage: run.py PORT [MIN_VERSION]; the last line is OK. The library wants a server of 7.4 or later; MIN_VERSION lets it
try an older reference.
"""

import sys
import time

import redis
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection

PORT = int(sys.argv[1])
if len(sys.argv) > 2:
    CacheProxyConnection.MIN_ALLOWED_VERSION = sys.argv[2]


def caching_client():
    return redis.Redis(host="127.0.0.1", port=PORT, protocol=3, cache_config=CacheConfig(), decode_responses=True)


def calls(plain, command):
    """How often the server has run a command."""
    return plain.info("commandstats").get("cmdstat_" + command, {}).get("calls", 0)


def until(what, condition):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain: " + what)


def reads_are_answered_from_the_cache(cached, plain):
    plain.set("a", "1")
    assert cached.get("a") == "1"
    before = calls(plain, "get")
    assert all(cached.get("a") == "1" for _ in range(50))
    assert calls(plain, "get") == before
    assert cached.get_cache().size == 1


def others_writes_invalidate(cached, plain):
    for turn in range(20):
        plain.set("a", str(turn))
        until("the new value", lambda: cached.get("a") == str(turn))
    plain.delete("a")
    until("the key is gone", lambda: cached.get("a") is None)


def own_writes_invalidate(cached, plain):
    cached.set("own", "1")
    assert cached.get("own") == "1"
    cached.set("own", "2")
    until("the own new value", lambda: cached.get("own") == "2")


def every_type_is_cached(cached, plain):
    reads = [
        ("hash", lambda: plain.hset("hash", "f", time.time_ns()), lambda: cached.hgetall("hash")),
        ("list", lambda: plain.rpush("list", "x"), lambda: cached.lrange("list", 0, -1)),
        ("set", lambda: plain.sadd("set", time.time_ns()), lambda: cached.smembers("set")),
        ("zset", lambda: plain.zadd("zset", {str(time.time_ns()): 1}), lambda: cached.zrange("zset", 0, -1)),
    ]
    for name, write, read in reads:
        write()
        old = read()
        assert read() == old, name
        write()
        until(name + " has changed", lambda: read() != old)


def lives_to_be_read(cached, plain, life_ms):
    plain.set("brief", "1", px=life_ms)
    return cached.get("brief") == "1"


def expiry_and_flush_invalidate(cached, plain):
    # On a busy machine a short life may be over before the first read.
    assert any(lives_to_be_read(cached, plain, life_ms) for life_ms in (150, 1500, 15000))
    until("it expired", lambda: cached.get("brief") is None)
    plain.mset({f"key:{n}": n for n in range(50)})
    assert cached.mget([f"key:{n}" for n in range(50)]) == [str(n) for n in range(50)]
    plain.flushall()
    until("all are gone", lambda: cached.get("key:1") is None)
    until("all are gone", lambda: cached.mget(["key:1", "key:2"]) == [None, None])


def scripts_and_transactions_invalidate(cached, plain):
    plain.set("s", "1")
    assert cached.get("s") == "1"
    plain.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, "s", "2")
    until("what the script wrote", lambda: cached.get("s") == "2")
    with plain.pipeline(transaction=True) as block:
        block.incr("s").incr("s").execute()
    until("what the transaction wrote", lambda: cached.get("s") == "4")
    plain.rename("s", "t")
    until("it was renamed", lambda: cached.get("s") is None and cached.get("t") == "4")


def two_caches_see_each_other(cached, plain):
    with caching_client() as second:
        for turn in range(20):
            writer, reader = (cached, second) if turn % 2 else (second, cached)
            reader.get("shared")
            writer.set("shared", turn)
            until("what the other wrote", lambda: reader.get("shared") == str(turn))


def main():
    plain = redis.Redis(host="127.0.0.1", port=PORT, protocol=2, decode_responses=True)
    cases = [
        reads_are_answered_from_the_cache, others_writes_invalidate, own_writes_invalidate, every_type_is_cached,
        expiry_and_flush_invalidate, scripts_and_transactions_invalidate, two_caches_see_each_other,
    ]
    for case in cases:
        plain.flushall()
        with caching_client() as cached:
            case(cached, plain)
        print(case.__name__, flush=True)
    print("OK")


main()
