"""Redis dies, stands still, forgets everything, answers into the void, and is unavailable."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from embedded.valkey import EmbeddedRedis
from managers.redis.client import RedisManager, RedisUnavailableError
from tests.faults.conftest import Verdict
from tests.faults.ledger import IN_FLIGHT
from tests.faults.stage import Stage

FROZEN_S = 7.0
"""Longer than the bot waits for a reply."""
REPLIES_LOST = 0.03


async def test_killed_and_restarted(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            await stage.redis.kill()
            await stage.redis.restart()
        counts = await stage.finish(bot)
    verdict("Redis killed and started again", counts)


@pytest.mark.thorough
async def test_frozen(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            stage.redis.freeze()
            await asyncio.sleep(FROZEN_S)
            stage.redis.thaw()
        counts = await stage.finish(bot)
    verdict(f"Redis frozen for {FROZEN_S:g} s", counts)


@pytest.mark.thorough
async def test_emptied(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            await stage.redis.empty()
        counts = await stage.finish(bot)
    verdict("Redis emptied (FLUSHALL) while alerts wait in it", counts)


@pytest.mark.thorough
async def test_emptied_while_the_bot_is_down(stage: Stage, verdict: Verdict) -> None:
    """PostgreSQL is all that is left: whoever was told is known there, and nobody is told again."""
    async with stage.bot() as bot:
        await stage.warm_up()
        await stage.play(stage.size.calls // 2)
        await stage.finish(bot)
    await stage.redis.empty()
    async with stage.bot() as bot:
        for call in tuple(stage.published):  # the very same calls, as a feed might repeat them
            stage.publish(call)
        await stage.play()
        counts = await stage.finish(bot)
    verdict("Redis emptied while the bot is down", counts)


@pytest.mark.thorough
async def test_replies_lost(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            stage.redis_proxy.lose_replies(REPLIES_LOST)
            await stage.ledger.more(len(stage.ledger.missing) // 2)
        await stage.redis_proxy.repair()
        lost = stage.redis_proxy.lost
        counts = await stage.finish(bot)
    assert lost > 0
    verdict(f"{REPLIES_LOST:.0%} of Redis's replies lost", counts)


@pytest.mark.thorough
@pytest.mark.parametrize("fault", ["cut", "slow", "half-open"])
async def test_connection(fault: str, stage: Stage, verdict: Verdict) -> None:
    proxy = stage.redis_proxy
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing(over_s=8):
            match fault:
                case "cut":
                    for _ in range(10):
                        proxy.cut()
                        await asyncio.sleep(0.3)
                case "slow":
                    proxy.delay(0.05)
                    await asyncio.sleep(3)
                case _:
                    proxy.half_open()
                    await asyncio.sleep(FROZEN_S)
            await proxy.repair()
        counts = await stage.finish(bot)
    verdict(f"The connections to Redis {fault}", counts)


@pytest.mark.thorough
async def test_away(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing(over_s=stage.size.away_s):
            await stage.redis_proxy.refuse()
            await asyncio.sleep(stage.size.away_s)
            await stage.redis_proxy.repair()
        counts = await stage.finish(bot)
    verdict(f"Redis away for {stage.size.away_s:g} s", counts)


@pytest.mark.thorough
async def test_away_for_five_minutes(stage: Stage, verdict: Verdict) -> None:
    away_s = 300.0
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing(over_s=away_s):
            await stage.redis.kill()
            await asyncio.sleep(away_s)
            await stage.redis.restart()
        counts = await stage.finish(bot)
    verdict("Redis killed, away for 5 minutes", counts)


@pytest.mark.thorough
async def test_alerts_go_on_while_it_is_away(stage: Stage, verdict: Verdict) -> None:
    """Calls that are made while nobody answers reach whom they concern, before Redis is back."""
    async with stage.bot() as bot:
        await stage.warm_up()
        await stage.redis_proxy.refuse()
        await stage.play(stage.size.calls // 2, over_s=2.0)
        await stage.ledger.complete(patience_s=15)
        went_on = not stage.ledger.missing
        await stage.redis_proxy.repair()
        await stage.play()
        counts = await stage.finish(bot)
    verdict("Redis away, and alerts go on meanwhile", counts)
    assert went_on, "no alerts while Redis was unavailable"


@pytest.mark.thorough
async def test_bot_killed_while_it_is_away(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            await stage.redis_proxy.refuse()
            await asyncio.sleep(stage.size.away_s)
            await bot.kill()
    starting = asyncio.create_task(_back_soon(stage))
    async with stage.bot() as bot:
        await starting
        counts = await stage.finish(bot)
    verdict("`kill -9` of the bot while Redis is unavailable", counts, repeats=IN_FLIGHT)


@pytest.mark.thorough
async def test_bot_killed_while_it_merges(stage: Stage, verdict: Verdict) -> None:
    """Redis is back, and the bot dies while it hands over what it had written down by itself."""
    async with stage.bot(FAULT_POINT="merging:2") as bot:
        await stage.warm_up()
        await stage.redis_proxy.refuse()
        await stage.play(stage.size.calls // 2, over_s=4.0)
        await stage.redis_proxy.repair()
        await bot.dies(timeout_s=60)
    await stage.play(over_s=0.2)
    async with stage.bot() as bot:
        counts = await stage.finish(bot)
    verdict("`kill -9` of the bot at “merging”", counts, repeats=IN_FLIGHT)


async def _back_soon(stage: Stage) -> None:
    await asyncio.sleep(1.0)
    await stage.redis_proxy.repair()


@pytest.mark.thorough
async def test_fail_over(stage: Stage, verdict: Verdict) -> None:
    """The leader steps down during blocked reads; the same address leads to another server from then on."""
    leader_port, follower_port = free_ports(2)
    async with (
        EmbeddedRedis(stage.data_dir / "follower", port=follower_port) as follower,
        RedisManager(stage.redis.url) as leader,
    ):
        try:
            await leader.transaction([("CONFIG", "SET", "port", leader_port)])
            await follow(follower.url, leader_port)
            async with stage.bot() as bot:
                await stage.warm_up()
                async with stage.playing():
                    await leader.transaction([("FAILOVER", "TIMEOUT", 10_000)])
                    await until_read_only(leader)
                    stage.redis_proxy.lead_to(follower.url)
                counts = await stage.finish(bot)
        finally:
            await leader.transaction([("REPLICAOF", "NO", "ONE"), ("CONFIG", "SET", "port", 0)])
    verdict("A fail-over of Redis to its replica", counts)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as taken:
        sockets = [taken.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


async def follow(url: str, port: int) -> None:
    """Return when the server has everything that the one on the port has."""
    async with RedisManager(url) as redis:
        await redis.transaction([("REPLICAOF", "127.0.0.1", port)])
        while True:
            [role] = await redis.transaction([("ROLE",)])
            if isinstance(role, list) and role[3] == b"connected":
                return
            await asyncio.sleep(0.02)


async def until_read_only(redis: RedisManager) -> None:
    while True:
        try:
            await redis.set("written", "yes", ex_s=1)
        except RedisUnavailableError as error:
            if "READONLY" in str(error):
                return
        await asyncio.sleep(0.005)
