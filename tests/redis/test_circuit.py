from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from embedded.valkey import EmbeddedRedis
from managers.redis.circuit import QUICK_ATTEMPTS, Circuit
from managers.redis.client import RedisManager, RedisReplyError, RedisUnavailableError
from managers.redis.errors import RedisBusyError, RedisTimeoutError
from runtime.cancellation import end


@pytest.fixture
def short_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bot-tests-") as directory:
        yield Path(directory)


@asynccontextmanager
async def probed(redis: RedisManager) -> AsyncGenerator[None]:
    begun = asyncio.Event()
    job = asyncio.create_task(redis.run(begun.set))
    try:
        await begun.wait()
        yield
    finally:
        await end([job])
        assert job.cancelled()


async def lose(redis: RedisManager) -> int:
    """Ask until nobody is asked any more; return how many questions that took."""
    asked = 0
    while True:
        try:
            await redis.get("a")
        except RedisUnavailableError as error:
            asked += 1
            if "circuit open" in str(error):
                return asked


def outcome(circuit: Circuit, error: Exception | None) -> None:
    with suppress(RedisUnavailableError, RedisReplyError), circuit.attempt():
        if error is not None:
            raise error


def is_refused(circuit: Circuit) -> bool:
    try:
        circuit.check()
    except RedisUnavailableError:
        return True
    return False


def test_failures_in_a_row_open_it_and_an_answer_closes_it() -> None:
    circuit = Circuit()
    for _ in range(3):
        for _ in range(QUICK_ATTEMPTS - 1):
            outcome(circuit, RedisUnavailableError("refused"))
        assert not circuit.is_open
        outcome(circuit, None)
    for _ in range(QUICK_ATTEMPTS):
        outcome(circuit, RedisUnavailableError("refused"))
    assert circuit.is_open
    assert circuit.opened_at is not None
    assert circuit.opened_at.tzinfo is not None
    outcome(circuit, RedisReplyError("WRONGTYPE", "also an answer"))
    assert not circuit.is_open
    assert circuit.reconnects == 1


def test_silence_opens_it_at_once_and_a_refusal_never() -> None:
    circuit = Circuit()
    for _ in range(3 * QUICK_ATTEMPTS):
        outcome(circuit, RedisBusyError("OOM"))
    assert not circuit.is_open
    outcome(circuit, RedisTimeoutError("no answer"))
    assert circuit.is_open


def test_a_call_from_before_the_outage_says_nothing_about_the_time_after_it() -> None:
    circuit = Circuit()
    with ExitStack() as long_call:
        long_call.enter_context(suppress(RedisUnavailableError))
        long_call.enter_context(circuit.attempt())
        outcome(circuit, RedisTimeoutError("no answer"))
        outcome(circuit, None)
        raise RedisTimeoutError("no answer to what was asked before")
    assert not circuit.is_open
    assert circuit.reconnects == 1


async def test_nobody_is_refused_unless_somebody_probes() -> None:
    circuit = Circuit()
    outcome(circuit, RedisTimeoutError("no answer"))
    assert not is_refused(circuit)
    refused: asyncio.Queue[bool] = asyncio.Queue()

    async def probe() -> None:
        refused.put_nowait(is_refused(circuit))
        raise RedisUnavailableError("still away")

    job = asyncio.create_task(circuit.keep_probing(probe, healthy_every_s=30, progress=lambda: None))
    assert [await refused.get() for _ in range(3)] == [True, True, True]
    await end([job])
    assert not is_refused(circuit)


async def test_a_cancelled_call_says_nothing(redis_manager: RedisManager) -> None:
    async with probed(redis_manager):
        for _ in range(2 * QUICK_ATTEMPTS):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await redis_manager.xread("s", after="0-0", count=1, block_ms=1000)
        assert not redis_manager.is_unavailable


async def test_away_at_start_refused_at_once_and_back(short_dir: Path) -> None:
    async with RedisManager(f"unix://{short_dir}/redis.sock") as redis, probed(redis):
        assert await lose(redis) <= QUICK_ATTEMPTS + 1
        assert redis.is_unavailable
        trips = redis.round_trips
        for _ in range(100):
            with pytest.raises(RedisUnavailableError, match="circuit open"):
                await redis.set("a", "b")
            with pytest.raises(RedisUnavailableError, match="circuit open"):
                await redis.transaction([("SET", "a", "b")])
        assert redis.round_trips == trips
        async with EmbeddedRedis(short_dir):
            await redis.wait_until_available()
            assert await redis.set("a", "b")
            assert (redis.is_unavailable, redis.reconnects) == (False, 1)
            assert redis.latency_s is not None


async def test_a_refused_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        url = f"redis://127.0.0.1:{taken.getsockname()[1]}"
        async with RedisManager(url) as redis, probed(redis):
            assert await lose(redis) <= QUICK_ATTEMPTS + 1
            with pytest.raises(RedisUnavailableError):
                await redis.ping()  # a probe goes out all the same


async def test_killed_under_load_and_back_on_fresh_connections(short_dir: Path) -> None:
    async with RedisManager(f"unix://{short_dir}/redis.sock") as redis:
        async with EmbeddedRedis(short_dir) as server:
            # Else a server that is busy syncing answers before it writes, for up to two seconds.
            await redis.transaction([("CONFIG", "SET", "appendfsync", "always")])
            await asyncio.gather(*(redis.set(f"k{n}", n) for n in range(40)))
            async with probed(redis):
                os.kill(server.pid, signal.SIGKILL)
                outcomes = await asyncio.gather(*(lose(redis) for _ in range(20)))
                assert sum(outcomes) <= 20 * QUICK_ATTEMPTS
        async with EmbeddedRedis(short_dir), probed(redis):
            await redis.wait_until_available()
            values = await asyncio.gather(*(redis.get(f"k{n}") for n in range(40)))
            assert values == [str(n).encode() for n in range(40)]


async def test_a_frozen_server_costs_one_time_out_and_not_one_per_caller(short_dir: Path) -> None:
    async with (
        EmbeddedRedis(short_dir) as server,
        RedisManager(server.url, max_connections=5, reply_timeout_s=0.3) as redis,
        probed(redis),
    ):
        await redis.set("a", "b")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            trips = redis.round_trips
            answers = await asyncio.gather(*(redis.get("a") for _ in range(200)), return_exceptions=True)
            assert all(isinstance(answer, RedisUnavailableError) for answer in answers)
            assert redis.is_unavailable
            with pytest.raises(RedisUnavailableError, match="circuit open"):
                await redis.get("a")
            # One question per connection, and the probe.
            assert redis.round_trips - trips <= 5 + 2
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await redis.wait_until_available()
        assert await redis.get("a") == b"b"


async def test_a_full_server_is_not_away(redis_manager: RedisManager) -> None:
    async with probed(redis_manager):
        await redis_manager.transaction([("CONFIG", "SET", "maxmemory", 1)])
        try:
            for _ in range(2 * QUICK_ATTEMPTS):
                with pytest.raises(RedisUnavailableError, match="OOM"):
                    await redis_manager.set("a", "b")
            assert not redis_manager.is_unavailable
            assert await redis_manager.get("a") is None
        finally:
            await redis_manager.transaction([("CONFIG", "SET", "maxmemory", 0)])


async def test_no_free_connection_is_not_an_outage(redis_url: str) -> None:
    async with RedisManager(redis_url, max_connections=1, reply_timeout_s=0.2) as redis, probed(redis):
        await redis.ping()
        trips = redis.round_trips
        turns = redis._turns  # pyright: ignore[reportPrivateUsage] - as if a long call held the connection
        async with turns:
            for _ in range(2):
                with pytest.raises(RedisBusyError, match="no connection"):
                    await redis.get("a")
        assert redis.round_trips == trips
        assert not redis.is_unavailable
        assert await redis.get("a") is None


async def test_health_is_looked_at_and_reported(redis_url: str) -> None:
    beats = asyncio.Semaphore(0)
    async with RedisManager(redis_url, health_check_interval_s=0) as redis:
        assert redis.latency_s is None
        job = asyncio.create_task(redis.run(beats.release))
        for _ in range(3):
            await beats.acquire()
        await end([job])
        assert redis.latency_s is not None
        assert redis.latency_s > 0
        assert (redis.is_unavailable, redis.reconnects) == (False, 0)
