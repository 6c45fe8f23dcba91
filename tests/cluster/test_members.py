from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import cast

import pytest

from managers.redis.client import Argument, RedisManager, RedisUnavailableError, Reply
from managers.redis.scripts import Script
from runtime.clock import Clock
from runtime.errors import FatalError
from runtime.reference import TO_DECIDE
from services.cluster.members import ALL_ROLES, Members, Role, Shard
from services.stores import keys
from tests.cluster.kit import TTL_S, World
from tests.faults.proxy import FaultProxy


@pytest.fixture
def world(redis_manager: RedisManager) -> World:
    return World(redis_manager)


def member(world: World, owner: str, *roles: Role, protocol: int = 1, shard: Shard | None = None) -> Members:
    return Members(world.redis, owner, roles or ALL_ROLES, protocol=protocol, shard=shard, ttl_s=TTL_S)


def owners(members: Members, role: Role | None = None) -> list[str]:
    return [one.owner for one in members.living(role)]


async def test_members_see_each_other_by_role(world: World) -> None:
    ada, ben = member(world, "ada", "match"), member(world, "ben", "match", "send", shard=Shard(1, 2))
    assert owners(ada) == []
    await ben.join()
    await ada.join()
    await ben.beat()
    for one in (ada, ben):
        assert owners(one) == ["ada", "ben"]
        assert owners(one, "match") == ["ada", "ben"]
        assert owners(one, "send") == ["ben"]
        assert owners(one, "gateway") == []
    assert ada.living()[1].shard == Shard(1, 2)


async def test_who_is_silent_lives_no_more(world: World) -> None:
    ada, ben = member(world, "ada"), member(world, "ben")
    await ada.join()
    await ben.join()
    await world.wait(TTL_S * 0.9)
    await ada.beat()
    assert owners(ada) == ["ada", "ben"]
    await world.wait(TTL_S * 0.2)
    await ada.beat()
    assert owners(ada) == ["ada"]
    await ben.beat()
    await ada.beat()
    assert owners(ada) == ["ada", "ben"]


async def test_who_leaves_is_gone_at_once(world: World) -> None:
    ada, ben = member(world, "ada"), member(world, "ben")
    await ada.join()
    await ben.join()
    await ada.beat()
    assert not ada.alone
    await ben.leave()
    await ada.beat()
    assert owners(ada) == ["ada"]
    assert ada.alone


async def test_alone_is_who_does_everything_and_has_seen_nobody_for_a_while(world: World) -> None:
    ada, matcher = member(world, "ada"), member(world, "ben", "match")
    assert not ada.alone  # it does not know yet
    await ada.join()
    assert ada.alone
    await matcher.join()
    assert not matcher.alone
    await ada.beat()
    assert not ada.alone
    await matcher.leave()
    await ada.leave()
    await matcher.join()
    assert not matcher.alone  # it cannot do everything


async def test_a_silence_is_not_taken_for_absence_too_early(redis_manager: RedisManager) -> None:
    world = World(redis_manager)
    ada = Members(redis_manager, "ada", ALL_ROLES, ttl_s=10.0)
    ben = Members(redis_manager, "ben", ALL_ROLES, ttl_s=10.0)
    await ada.join()
    await ben.join()
    await world.wait(30)
    await ada.beat()
    assert owners(ada) == ["ada"]
    assert not ada.alone
    await world.wait(31)
    await ada.beat()
    assert ada.alone


async def test_another_protocol_does_not_begin(world: World, redis_manager: RedisManager) -> None:
    ada = member(world, "ada")
    await ada.join()
    newer = member(world, "ben", protocol=2)
    with pytest.raises(FatalError, match=r"protocol 2.*ada speaks 1"):
        await newer.join()
    await ada.beat()
    assert owners(ada) == ["ada"]
    assert await redis_manager.hget(keys.MEMBERS.of(), "ben") is None
    # The same process in a newer version takes the place of the older.
    await member(world, "ada", protocol=2).join()
    await newer.join()


async def test_a_protocol_that_died_out_does_not_come_back(world: World) -> None:
    frozen = member(world, "ada")
    await frozen.join()
    await world.wait(2 * TTL_S)
    newer = member(world, "ben", protocol=2)
    await newer.join()
    with pytest.raises(FatalError, match="Run the same version everywhere"):
        await frozen.beat()
    await newer.beat()


async def test_of_two_with_one_name_the_later_goes_on(world: World) -> None:
    earlier, later = member(world, "ada"), member(world, "ada")
    await earlier.join()
    await later.join()
    with pytest.raises(FatalError, match="Another process runs as “ada”"):
        await earlier.beat()
    await earlier.leave()
    await later.beat()
    assert owners(later) == ["ada"]
    assert later.alone


async def test_an_emptied_redis_is_no_replacement(world: World, redis_manager: RedisManager) -> None:
    ada = member(world, "ada")
    await ada.join()
    await redis_manager.transaction([("FLUSHALL",)])
    await ada.beat()
    assert owners(ada) == ["ada"]


async def test_while_redis_is_away_the_last_view_stays(redis_url: str) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url) as redis:
        ada = Members(redis, "ada", ALL_ROLES)
        await ada.join()
        await proxy.refuse()
        with pytest.raises(RedisUnavailableError):
            await ada.beat()
        assert ada.alone
        assert owners(ada) == ["ada"]
        await ada.leave()  # says so, and goes on


class Machine:
    """A machine whose clock is ahead of the truth by so much."""

    def __init__(self, ahead_s: float) -> None:
        self.clock = Clock(wall_ns=lambda: time.time_ns() + int(ahead_s * 1e9))

    def ask_telegram(self) -> None:
        for _ in range(TO_DECIDE):
            self.clock.heard(format_datetime(datetime.now(UTC), usegmt=True), 0.0)

    @property
    def error_s(self) -> float:
        return abs((self.clock() - datetime.now(UTC)).total_seconds())


class WrongRedis(RedisManager):
    """Redis on a machine whose clock is wrong, too."""

    ahead_ms = 0

    async def script(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Reply:
        reply = cast("list[Reply]", await super().script(script, keys, args))
        return [part + self.ahead_ms if isinstance(part, int) else part for part in reply]


@pytest.mark.parametrize("redis_ahead_s", [0.0, 86_400.0, -86_400.0])
async def test_who_asks_telegram_tells_the_others_what_time_it_is(redis_url: str, redis_ahead_s: float) -> None:
    """Whatever the clocks of the three machines say."""
    asks, listens = Machine(-7_200), Machine(3_600)
    async with WrongRedis(redis_url) as redis:
        redis.ahead_ms = int(redis_ahead_s * 1000)
        ada = Members(redis, "ada", ["gateway"], ttl_s=TTL_S, clock=asks.clock, asks_telegram=True)
        ben = Members(redis, "ben", ["match"], ttl_s=TTL_S, clock=listens.clock)
        await tell(ada, ben, asks, listens)


async def tell(ada: Members, ben: Members, asks: Machine, listens: Machine) -> None:
    await ben.join()
    await ada.join()
    await ben.beat()
    assert not listens.clock.is_sure, "nobody knows"
    asks.ask_telegram()
    await ada.beat()  # now it knows how late it is by the clock of Redis
    await ada.beat()
    for _ in range(TO_DECIDE):
        await ben.beat()
    assert listens.clock.is_sure
    assert max(asks.error_s, listens.error_s) < 2
    await ben.beat()
    await ada.beat()
    assert {one.owner: round(one.clock_wrong_by_s or 0, -1) for one in ada.living()} == {"ada": -7_200, "ben": 3_600}
