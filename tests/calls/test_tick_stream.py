from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from domain.calls.events import PriceTick
from managers.redis.client import RedisManager
from runtime.cancellation import end
from services.calls.tick_stream import KEPT, TickStream
from services.stores import keys
from tests.cluster.kit import NOW
from tests.faults.proxy import FaultProxy
from tests.wiring import add_entry


def tick(address: str, second: int) -> PriceTick:
    return PriceTick(
        token_address=address, price_usd=second / 8, market_cap_usd=None, at=NOW + timedelta(seconds=second)
    )


async def test_the_latest_of_each_token_comes_through(redis_manager: RedisManager) -> None:
    here, there = TickStream(redis_manager), TickStream(redis_manager)
    await here.publish({})
    await here.publish({"a": tick("a", 1), "b": tick("b", 1)})
    await here.publish({"a": tick("a", 2)})
    assert await there.read() == {"a": tick("a", 2), "b": tick("b", 1)}
    await here.publish({"c": tick("c", 3)})
    assert await there.read() == {"c": tick("c", 3)}


async def test_one_entry_a_second_and_two_minutes_of_them(redis_manager: RedisManager) -> None:
    stream = TickStream(redis_manager)
    for second in range(4 * KEPT):
        await stream.publish({"a": tick("a", second)})
    assert KEPT <= await redis_manager.xlen(keys.TICKS.of()) < 2 * KEPT + 100  # whole nodes are trimmed


async def test_what_cannot_be_read_is_passed_over(redis_manager: RedisManager) -> None:
    await add_entry(redis_manager, keys.TICKS.of(), {"ticks": b"[{}]"})
    await add_entry(redis_manager, keys.TICKS.of(), {"other": b""})
    stream = TickStream(redis_manager)
    await stream.publish({"a": tick("a", 1)})
    assert await stream.read() == {"a": tick("a", 1)}


async def test_while_redis_is_away_the_newer_takes_the_place_of_the_older(
    redis_url: str, redis_manager: RedisManager
) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url) as redis:
        await proxy.refuse()
        second = 0
        taken, received = asyncio.Event(), asyncio.Queue[Mapping[str, PriceTick]]()

        def take() -> dict[str, PriceTick]:
            nonlocal second
            second += 1
            taken.set()
            return {"a": tick("a", second)} if second == 1 else {"b": tick("b", second)}

        publishing = asyncio.create_task(TickStream(redis).run(lambda: None, take))
        following = asyncio.create_task(TickStream(redis_manager).follow(lambda: None, received.put_nowait))
        await taken.wait()
        await proxy.repair()
        first = await received.get()
        assert first["a"] == tick("a", 1)
        await end([publishing, following])
