from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.valkey import EmbeddedRedis
from managers.redis.client import RedisManager, RedisReplyError, RedisUnavailableError
from managers.redis.scripts import Script
from runtime.errors import FatalError, TransientError
from tests.faults.proxy import FaultProxy
from tests.wiring import add_entry


@pytest.fixture
def short_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bot-tests-") as directory:
        yield Path(directory)


async def test_strings(redis_manager: RedisManager) -> None:
    assert await redis_manager.ping() > 0
    assert await redis_manager.get("a") is None
    assert await redis_manager.set("a", b"\x00\xff", ex_s=100)
    assert not await redis_manager.set("a", "other", nx=True)
    assert await redis_manager.mget(["a", "b"]) == [b"\x00\xff", None]
    assert await redis_manager.exists("a", "b") == 1
    assert await redis_manager.delete("a", "b") == 1


async def test_hashes_and_sets(redis_manager: RedisManager) -> None:
    await redis_manager.hset("h", {"one": 1, "two": "2"})
    assert await redis_manager.hmget("h", ["one", "three"]) == [b"1", None]
    assert await redis_manager.hgetall("h") == {"one": b"1", "two": b"2"}
    await redis_manager.transaction([("HDEL", "h", "one")])
    assert await redis_manager.hget("h", "one") is None
    await redis_manager.transaction([("SADD", "s", *range(5000)), ("SREM", "s", 0)])
    members = {member async for batch in redis_manager.sscan("s", count=100) for member in batch}
    assert members == {str(n) for n in range(1, 5000)}
    assert [key async for batch in redis_manager.scan("s*") for key in batch] == ["s"]


async def test_nothing_asked_nothing_sent(redis_manager: RedisManager) -> None:
    before = redis_manager.commands_sent
    assert await redis_manager.mget([]) == []
    assert await redis_manager.transaction([]) == []
    assert await redis_manager.xack("s", "g") == 0
    assert await redis_manager.hset("h", {}) == 0
    assert redis_manager.commands_sent == before


async def test_transaction_is_one_round_trip(redis_manager: RedisManager) -> None:
    trips = redis_manager.round_trips
    assert await redis_manager.transaction([("SET", "a", 1), ("INCR", "a"), ("GET", "b")]) == [b"OK", 2, None]
    assert redis_manager.round_trips == trips + 1


async def test_streams_and_groups(redis_manager: RedisManager) -> None:
    assert await redis_manager.xgroup_create("s", "g")
    assert not await redis_manager.xgroup_create("s", "g")
    first = await add_entry(redis_manager, "s", {"n": 1})
    second = await add_entry(redis_manager, "s", {"n": 2})
    taken = await redis_manager.xreadgroup_many(["s"], "g", "anna", count=10, block_ms=10)
    assert [(e.id, e.fields) for e in taken["s"]] == [(first, {"n": b"1"}), (second, {"n": b"2"})]
    assert await redis_manager.xreadgroup_many(["s"], "g", "anna", count=10, block_ms=1) == {}
    await redis_manager.xack("s", "g", first)
    _, claimed = await redis_manager.xautoclaim("s", "g", "ben", min_idle_ms=0, start="0-0", count=10)
    assert [e.id for e in claimed] == [second]
    await redis_manager.xdel("s", second)
    _, held = await redis_manager.xautoclaim("s", "g", "anna", min_idle_ms=0, start="0-0", count=10)
    assert [(e.id, e.fields) for e in held] == [], "what is deleted is nobody's"
    assert await redis_manager.xlen("s") == 1
    assert [e.id for e in await redis_manager.xread("s", after="0-0", count=5, block_ms=10)] == [first]


async def test_waiting_on_a_stream_ends_when_something_comes(redis_manager: RedisManager) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(redis_manager.xread("s", after="0-0", count=1, block_ms=60_000))
        await add_entry(redis_manager, "s", {"n": 1})
    entries = waiting.result() or await redis_manager.xread("s", after="0-0", count=1, block_ms=1)
    assert len(entries) == 1


async def test_scripts_survive_a_server_that_forgets_them(redis_manager: RedisManager) -> None:
    script = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert await redis_manager.script(script, ["n"], [5]) == 5
    await redis_manager.transaction([("SCRIPT", "FLUSH")])
    assert await redis_manager.script(script, ["n"], [5]) == 10
    sent = redis_manager.commands_sent
    assert await redis_manager.script(script, ["n"], [5]) == 15
    assert redis_manager.commands_sent == sent + 1


async def test_refusals_are_fatal_and_say_why(redis_manager: RedisManager) -> None:
    await redis_manager.set("text", "a")
    with pytest.raises(RedisReplyError) as refusal:
        await redis_manager.hget("text", "x")
    assert refusal.value.code == "WRONGTYPE"
    assert refusal.value.__cause__ is not None
    with pytest.raises(RedisReplyError) as refusal:
        await redis_manager.transaction([("SET", "b", 1), ("INCR", "text")])
    assert refusal.value.code == "ERR"
    with pytest.raises(RedisReplyError):
        await redis_manager.script(Script("return redis.call('NO_SUCH_COMMAND')"), [], [])
    assert issubclass(RedisReplyError, FatalError)
    assert issubclass(RedisUnavailableError, TransientError)


async def test_a_full_server_is_a_matter_of_time(redis_manager: RedisManager) -> None:
    await redis_manager.transaction([("CONFIG", "SET", "maxmemory", 1)])
    try:
        with pytest.raises(RedisUnavailableError, match="OOM"):
            await redis_manager.set("a", "b")
        with pytest.raises(RedisUnavailableError, match="OOM"):
            await redis_manager.transaction([("SET", "a", "b")])
        with pytest.raises(RedisUnavailableError, match="OOM"):
            await redis_manager.script(Script("return redis.call('SET', 'a', 'b')"), [], [])
    finally:
        await redis_manager.transaction([("CONFIG", "SET", "maxmemory", 0)])


async def test_a_lost_reply_executes_nothing_twice(redis_url: str) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url) as redis:
        await redis.ping()
        proxy.lose_reply_to(b"XADD")
        with pytest.raises(RedisUnavailableError):
            await add_entry(redis, "s", {"n": 1})
        proxy.lose_reply_to(b"INCR")
        with pytest.raises(RedisUnavailableError):
            await redis.transaction([("INCR", "n"), ("INCR", "n")])
        proxy.lose_reply_to(b"EVAL")
        with pytest.raises(RedisUnavailableError):
            await redis.script(Script("return redis.call('INCR', 'n')"), [], [])
        assert proxy.lost == 3
        assert await redis.xlen("s") == 1
        # The script was not known to the server: its first request was answered NOSCRIPT, and that got lost.
        assert await redis.get("n") == b"2"


async def ask_for_ever(redis: RedisManager) -> None:
    while True:
        await redis.ping()


async def test_away_at_start_killed_and_back(short_dir: Path) -> None:
    async with RedisManager(f"unix://{short_dir}/redis.sock") as redis:
        with pytest.raises(RedisUnavailableError):
            await redis.ping()
        async with EmbeddedRedis(short_dir) as server:
            # Else a server that is busy syncing answers before it writes, for up to two seconds.
            await redis.transaction([("CONFIG", "SET", "appendfsync", "always")])
            await asyncio.gather(*(redis.set(f"k{n}", n) for n in range(40)))
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(RedisUnavailableError):
                await ask_for_ever(redis)
        async with EmbeddedRedis(short_dir):
            assert await redis.get("k39") == b"39"


async def test_a_frozen_server_is_away(short_dir: Path) -> None:
    async with EmbeddedRedis(short_dir) as server, RedisManager(server.url, reply_timeout_s=0.3) as redis:
        await redis.ping()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(RedisUnavailableError):
                await redis.ping()
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert await redis.ping() > 0


async def test_a_cancelled_command_leaves_the_connection_usable(redis_url: str) -> None:
    async with RedisManager(redis_url, max_connections=1) as redis:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await redis.xread("s", after="0-0", count=1, block_ms=2000)
        await redis.set("a", "b")
        assert await redis.get("a") == b"b"
