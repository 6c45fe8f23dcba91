from __future__ import annotations

import asyncio

import pytest

from managers.redis.client import RedisManager, RedisReplyError, RedisUnavailableError
from services.claims.claiming import CLAIM, ClaimRequest, claim_command
from services.cluster.fencing import LeaseLostError, lease_lost
from services.cluster.leases import Leases, Progress
from services.stores import keys
from tests.cluster.kit import NOW, TTL_S, SlowRedis, World
from tests.faults.proxy import FaultProxy


@pytest.fixture
def world(redis_manager: RedisManager) -> World:
    return World(redis_manager)


def leases_of(world: World, owner: str) -> Leases:
    return Leases(world.redis, owner, TTL_S, world.clock)


async def test_one_owner_at_a_time(world: World) -> None:
    ada, ben = leases_of(world, "ada"), leases_of(world, "ben")
    assert await ada.acquire(["ingest", "match:1"]) == {"ingest", "match:1"}
    assert await ben.acquire(["ingest", "match:2"]) == {"match:2"}
    assert not ben.is_valid("ingest")
    with pytest.raises(LeaseLostError):
        ben.fence("ingest")
    before = ada.fence("ingest")
    await ada.release(["ingest"])
    assert not ada.is_valid("ingest")
    assert await ben.acquire(["ingest"]) == {"ingest"}
    assert ben.fence("ingest") > before


async def test_renewal_is_one_round_trip_and_keeps_the_number(world: World, redis_manager: RedisManager) -> None:
    ada = leases_of(world, "ada")
    names = [f"match:{p}" for p in range(16)]
    await ada.acquire(names)
    numbers = ada.fences(names)
    for _ in range(5):
        await world.wait(TTL_S * 0.9)
        before = redis_manager.round_trips
        assert await ada.renew() == frozenset()
        assert redis_manager.round_trips - before <= 2  # the second where the script was unknown yet
        assert ada.fences(names) == numbers


async def test_what_is_held_is_not_taken_again(world: World, redis_manager: RedisManager) -> None:
    ada = leases_of(world, "ada")
    await ada.acquire(["ingest"])
    number, before = ada.fence("ingest"), redis_manager.round_trips
    assert await ada.acquire(["ingest"]) == {"ingest"}
    assert (ada.fence("ingest"), redis_manager.round_trips) == (number, before)


async def test_an_expired_lease_is_taken_and_the_old_owner_learns_it(world: World) -> None:
    ada, ben = leases_of(world, "ada"), leases_of(world, "ben")
    await ada.acquire(["ingest"])
    await world.wait(TTL_S)
    assert not ada.is_valid("ingest")  # by its own clock, without asking
    assert await ben.acquire(["ingest"]) == {"ingest"}
    assert await ada.renew() == {"ingest"}
    assert await ada.renew() == frozenset()
    assert ben.is_valid("ingest")


async def test_an_expired_lease_that_nobody_took_goes_on(world: World) -> None:
    ada = leases_of(world, "ada")
    await ada.acquire(["ingest"])
    number = ada.fence("ingest")
    await world.wait(3 * TTL_S)
    assert not ada.is_valid("ingest")
    assert await ada.renew() == frozenset()
    assert ada.fence("ingest") == number
    assert await leases_of(world, "ben").acquire(["ingest"]) == frozenset()


async def test_a_lease_that_somebody_had_meanwhile_does_not_go_on(world: World) -> None:
    ada, ben = leases_of(world, "ada"), leases_of(world, "ben")
    await ada.acquire(["ingest", "poller"])
    await world.wait(TTL_S)
    await ben.acquire(["ingest", "poller"])
    await ben.release(["ingest"])
    await world.wait(TTL_S)
    assert await ada.renew() == {"ingest", "poller"}
    assert not ada.is_valid("ingest")


async def test_after_a_restart_the_same_owner_takes_over_at_once(world: World) -> None:
    before, after = leases_of(world, "ada"), leases_of(world, "ada")
    await before.acquire(["ingest"])
    assert await after.acquire(["ingest"]) == {"ingest"}
    assert after.fence("ingest") > before.fence("ingest")
    # The earlier process, if it still lives, has lost it and takes nothing away.
    assert await before.renew() == {"ingest"}
    await before.release(["ingest"])
    assert await after.renew() == frozenset()


async def test_a_lease_ends_for_its_owner_before_it_ends_in_redis(world: World, redis_url: str) -> None:
    async with SlowRedis(redis_url, world) as slow:
        ada, ben = Leases(slow, "ada", TTL_S, world.clock), leases_of(world, "ben")
        slow.request_takes_s = TTL_S / 2
        slow.reply_takes_s = TTL_S * 0.6
        assert await ada.acquire(["ingest"]) == frozenset()  # the reply came too late to be of use
        assert await ben.acquire(["ingest"]) == frozenset()
        await world.wait(TTL_S * 0.4)
        assert await ben.acquire(["ingest"]) == {"ingest"}
        assert not ada.is_valid("ingest")


async def test_a_lost_reply_costs_nothing(world: World, redis_url: str) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url) as redis:
        ada = Leases(redis, "ada", TTL_S, world.clock)
        await ada.acquire(["match:0", "match:2"])
        await ada.renew()
        await ada.release(["match:2"])  # Redis knows all scripts now: what is asked is executed
        for operation in (lambda: ada.acquire(["match:1"]), ada.renew):
            proxy.lose_reply_to(b"match:1")
            with pytest.raises(RedisUnavailableError):
                await operation()
            await operation()
        assert proxy.lost == 2
        assert ada.is_valid("match:0")
        assert ada.is_valid("match:1")
        proxy.lose_reply_to(keys.LEASE.of("match:1").encode())
        await ada.release(["match:0", "match:1"])
        assert await leases_of(world, "ben").acquire(["match:0", "match:1"]) == {"match:0", "match:1"}


async def test_an_emptied_redis_knows_no_old_number(world: World, redis_manager: RedisManager) -> None:
    ada, ben = leases_of(world, "ada"), leases_of(world, "ben")
    await ada.acquire(["ingest", "match:1"])
    numbers = ada.fences(["ingest", "match:1"])
    await redis_manager.transaction([("FLUSHALL",)])
    await ben.acquire(["ingest"])
    assert ben.fence("ingest") > numbers["ingest"]
    assert await ada.renew() == {"ingest"}
    assert ada.fence("match:1") == numbers["match:1"]  # nobody took it: it goes on
    assert await redis_manager.hget(keys.FENCES.of(), "match:1") == str(numbers["match:1"]).encode()


def claim_of(user_id: int, fences: dict[str, int]) -> tuple[list[str], list[bytes | str | int | float]]:
    request = ClaimRequest(
        call_id="call-1",
        token_address="mint",
        call_payload=b"{}",
        accepted=[(user_id, 1)],
        accepted_record=b"{}",
        received_at=NOW,
        decided_at=NOW,
    )
    return claim_command([request], fences=fences, match_cursors={1: "5-0"})


async def test_a_frozen_owner_changes_nothing(world: World, redis_manager: RedisManager) -> None:
    ada, ben = leases_of(world, "ada"), leases_of(world, "ben")
    await ada.acquire(["match:0", "match:1"])
    stale = ada.fences(["match:0", "match:1"])
    # Frozen right before it sends its claim; meanwhile the time passes and somebody else takes over one of the two.
    await world.wait(2 * TTL_S)
    await ben.acquire(["match:1"])
    with pytest.raises(RedisReplyError) as refused:
        await redis_manager.script(CLAIM, *claim_of(1, stale))
    assert isinstance(lease_lost(refused.value), LeaseLostError)
    names = [key.decode() for key in await everything(redis_manager)]
    assert sorted(names) == sorted([keys.FENCES.of(), keys.LEASE.of("match:1")])
    assert await redis_manager.script(CLAIM, *claim_of(1, ben.fences(["match:1"]))) == b"1"


async def everything(redis: RedisManager) -> list[bytes]:
    (found,) = await redis.transaction([("KEYS", "*")])
    assert isinstance(found, list)
    return [key for key in found if isinstance(key, bytes)]


async def test_while_redis_is_away_only_who_is_alone_leads_on(world: World, redis_url: str) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url) as redis:
        lonely = Leases(redis, "ada", TTL_S, world.clock, alone=lambda: True)
        among_others = Leases(redis, "ben", TTL_S, world.clock)
        await lonely.acquire(["ingest"])
        await among_others.acquire(["match:1"])
        await proxy.refuse()
        for leases in (lonely, among_others):
            with pytest.raises(RedisUnavailableError):
                await leases.renew()
        await world.wait(TTL_S * 0.999)
        assert lonely.is_valid("ingest")
        assert not among_others.is_valid("match:1")
        with pytest.raises(RedisUnavailableError):
            await lonely.renew()
        await world.wait(TTL_S * 0.9)
        assert lonely.is_valid("ingest")
        # A process that was frozen for long has not asked whether Redis is still away.
        await world.wait(TTL_S)
        assert not lonely.is_valid("ingest")
        await proxy.repair()
        assert await lonely.renew() == frozenset()
        assert lonely.is_valid("ingest")
        # Redis is there: being alone is no excuse any more.
        await world.wait(TTL_S)
        assert not lonely.is_valid("ingest")


async def leading(leases: Leases, name: str, leaders: asyncio.Queue[str]) -> None:
    async def work(_: Progress) -> None:
        await leaders.put(leases.owner)
        try:
            await asyncio.Event().wait()
        finally:
            leaders.put_nowait(f"{leases.owner} stopped")

    await leases.lead(name, work, lambda: None)


async def test_a_leader_that_does_not_renew_stops_and_another_leads(redis_manager: RedisManager) -> None:
    leaders: asyncio.Queue[str] = asyncio.Queue()
    ada, ben = Leases(redis_manager, "ada", 0.4), Leases(redis_manager, "ben", 0.4)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        tasks = [group.create_task(leading(ada, "poller", leaders))]
        assert await leaders.get() == "ada"
        tasks.append(group.create_task(ben.run(lambda: None)))
        tasks.append(group.create_task(leading(ben, "poller", leaders)))
        # `ada` has nobody who renews.
        assert await leaders.get() == "ada stopped"
        while (leader := await leaders.get()) != "ben":
            assert leader.startswith("ada")  # it may be quicker once more
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])  # or it takes what the other gives back
        for task in tasks:
            task.cancel()
    assert not ben.is_valid("poller")
    assert await redis_manager.exists(keys.LEASE.of("poller")) == 0  # given back


async def test_an_error_of_the_leader_gives_the_lease_back(redis_manager: RedisManager) -> None:
    async def work(_: Progress) -> None:
        raise RedisUnavailableError("away")

    ada = Leases(redis_manager, "ada")
    with pytest.raises(RedisUnavailableError):
        await ada.lead("poller", work, lambda: None)
    assert await Leases(redis_manager, "ben").acquire(["poller"]) == {"poller"}
