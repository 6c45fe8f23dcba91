from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.subscribers.partitions import ALL, PARTITIONS
from managers.redis.client import RedisManager, RedisUnavailableError
from services.cluster.fencing import LeaseLostError
from services.cluster.leases import Leases
from services.cluster.members import ALL_ROLES, Member, Members, Shard
from services.cluster.ownership import Share
from services.cluster.partition_owner import PartitionOwner, assigned
from tests.cluster.kit import TTL_S, Process, SlowRedis, World
from tests.faults.proxy import FaultProxy

FIRST_HALF = frozenset(range(0, PARTITIONS, 2))


def member(owner: str, shard: Shard | None = None) -> Member:
    started_at = datetime(2025, 6, 1, tzinfo=UTC)
    return Member(owner=owner, instance="1", roles=("match",), protocol=1, started_at=started_at, shard=shard)


shards = st.none() | st.integers(1, 4).flatmap(lambda n: st.builds(Shard, st.integers(1, n), st.just(n)))
living = st.dictionaries(st.text("abc", min_size=1, max_size=3), shards, max_size=6)


@settings(max_examples=40)
@given(living, st.randoms())
def test_everybody_comes_to_the_same_assignment(found: dict[str, Shard | None], dice: Random) -> None:
    members = [member(owner, shard) for owner, shard in found.items()]
    shuffled = members.copy()
    dice.shuffle(shuffled)
    assert assigned(members) == assigned(shuffled)
    assert set(assigned(members)) == (set(ALL) if members else set())


def test_shards_come_first_the_rest_goes_round() -> None:
    assert assigned([]) == {}
    assert set(assigned([member("a")]).values()) == {"a"}
    halves = assigned([member("b", Shard(1, 2)), member("a", Shard(2, 2))])
    assert [halves[p] for p in range(4)] == ["b", "a", "b", "a"]
    doubled = assigned([member("b", Shard(1, 2)), member("a", Shard(1, 2))])
    assert [doubled[p] for p in range(0, 16, 2)] == ["a"] * 8
    assert {doubled[p] for p in range(1, 16, 2)} == {"b"}


@pytest.fixture
def world(redis_manager: RedisManager) -> World:
    return World(redis_manager)


async def start(world: World, name: str, shard: Shard | None = None) -> Process:
    process = Process.of(world.redis, world, name, shard)
    await process.members.join()
    return process


async def test_a_joining_process_gets_its_share_when_the_other_has_finished(world: World) -> None:
    ada = await start(world, "ada")
    await ada.round()
    assert ada.owner.share.owned == ada.working == ALL
    ben = await start(world, "ben")
    await ben.round()
    assert ben.owner.share.owned == frozenset()
    await ada.round()
    assert ada.owner.share.owned == ada.working == FIRST_HALF
    await ben.round()
    assert ben.owner.share.owned == ben.working == ALL - FIRST_HALF


async def test_a_dead_one_is_followed_after_its_time(world: World) -> None:
    ada, ben = await start(world, "ada", Shard(1, 2)), await start(world, "ben", Shard(2, 2))
    for process in (ada, ben, ada):
        await process.round()
    assert ada.owner.share.owned == FIRST_HALF
    await world.wait(TTL_S * 0.8)
    await ada.round()
    assert ada.owner.share.owned == FIRST_HALF
    await world.wait(TTL_S * 0.3)
    await ada.round()
    assert ada.owner.share.owned == ALL
    assert ben.owner.share.owned == frozenset()


async def test_leaving_hands_over_at_once(world: World) -> None:
    ada, ben = await start(world, "ada"), await start(world, "ben")
    for process in (ada, ben, ada):
        await process.round()
    await ben.owner.give_up()
    await ben.members.leave()
    await ben.owner.step()  # the loop may turn once more
    assert ben.working == set()
    await ada.round()
    assert ada.owner.share.owned == ALL


async def test_after_a_restart_everything_is_there_at_once(world: World) -> None:
    before = await start(world, "ada")
    await before.round()
    after = await start(world, "ada")
    await after.round()
    assert after.owner.share.owned == ALL
    numbers = dict(before.gained)
    assert all(number > numbers[p] for p, number in after.gained)


async def test_what_is_in_flight_is_finished_under_the_old_number(world: World) -> None:
    may_finish = asyncio.Event()
    finished: list[dict[str, int]] = []

    async def gained(_: frozenset[int]) -> None: ...

    async def lost(partitions: frozenset[int]) -> None:
        assert not owner.share.owned & partitions
        await may_finish.wait()
        finished.append(owner.share.fences(partitions))

    ada = await start(world, "ada")
    owner = PartitionOwner(Share(ada.leases, "match"), ada.members, gained=gained, lost=lost)
    await owner.step()
    ben = await start(world, "ben")
    await ada.members.beat()
    handing_over = asyncio.create_task(owner.step())
    for _ in range(3):
        await ben.round()
        assert ben.owner.share.owned == frozenset()
    may_finish.set()
    await handing_over
    assert [len(numbers) for numbers in finished] == [8]
    await ben.round()
    assert ben.owner.share.owned == ALL - FIRST_HALF
    with pytest.raises(LeaseLostError):
        owner.share.fences([1])


async def test_who_cannot_begin_gives_back_and_who_cannot_finish_keeps(world: World) -> None:
    failures = 1

    async def fails(_: frozenset[int]) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise RedisUnavailableError("away")

    async def succeeds(_: frozenset[int]) -> None: ...

    ada = await start(world, "ada")
    beginner = PartitionOwner(Share(ada.leases, "match"), ada.members, gained=fails, lost=succeeds)
    with pytest.raises(RedisUnavailableError):
        await beginner.step()
    assert beginner.share.owned == frozenset()
    await beginner.step()
    assert beginner.share.owned == ALL
    await beginner.give_up()

    finisher = PartitionOwner(Share(ada.leases, "match"), ada.members, gained=succeeds, lost=fails)
    await finisher.step()
    ben = await start(world, "ben")
    await ada.members.beat()
    failures = 1
    with pytest.raises(RedisUnavailableError):
        await finisher.step()
    await ben.round()
    assert ben.owner.share.owned == frozenset()
    await finisher.step()
    await ben.round()
    assert ben.owner.share.owned == ALL - FIRST_HALF


async def test_an_expired_lease_is_lost_without_redis(world: World, redis_url: str) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url) as redis:
        ada = Process.of(redis, world, "ada")
        await ada.members.join()
        await ada.round()
        await proxy.refuse()
        await world.wait(TTL_S)
        assert ada.owner.share.owned == frozenset()
        await ada.owner.drop_expired()
        assert ada.working == set()
        await proxy.repair()
        await ada.round()
        assert ada.owner.share.owned == ada.working == ALL


async def test_the_loops_divide_the_work_and_take_over(redis_manager: RedisManager) -> None:
    shares: dict[str, frozenset[int]] = {}
    changed = asyncio.Condition()

    def running(name: str, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        leases, members = Leases(redis_manager, name, 0.6), Members(redis_manager, name, ALL_ROLES, ttl_s=0.6)

        async def note(_: frozenset[int]) -> None:
            async with changed:
                shares[name] = owner.share.owned
                changed.notify_all()

        owner = PartitionOwner(Share(leases, "match"), members, gained=note, lost=note, step_every_s=0.05)
        jobs = [members.run(lambda: None), leases.run(lambda: None), owner.run(lambda: None)]
        return [group.create_task(job) for job in jobs]

    async def until(expected: dict[str, frozenset[int]]) -> None:
        async with asyncio.timeout(30), changed:
            await changed.wait_for(lambda: shares == expected)

    async with asyncio.TaskGroup() as group:
        ada = running("ada", group)
        await until({"ada": ALL})
        ben = running("ben", group)
        await until({"ada": FIRST_HALF, "ben": ALL - FIRST_HALF})
        for task in ada:
            task.cancel()  # and nobody gives anything back
        del shares["ada"]
        await until({"ben": ALL})
        for task in ben:
            task.cancel()


names = st.sampled_from(["ada", "ben", "cyd"])
actions = st.lists(
    st.one_of(
        st.tuples(st.just("round"), names),
        st.tuples(st.just("round"), names),
        st.tuples(st.sampled_from(["join", "leave", "kill", "freeze", "thaw"]), names),
        st.tuples(st.sampled_from(["slow request", "slow reply"]), names),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 0.4, 0.9, 1.0, 2.5])),
    ),
    max_size=40,
)


class Cluster:
    def __init__(self, world: World, url: str, stack: AsyncExitStack) -> None:
        self.world, self.url, self.stack = world, url, stack
        self.connections: dict[str, SlowRedis] = {}
        self.processes: dict[str, Process] = {}
        self.frozen: set[str] = set()
        self.highest: dict[int, int] = {}

    async def do(self, action: str, what: str | float) -> None:
        if isinstance(what, float | int):
            await self.world.wait(what * TTL_S)
        elif action == "join":
            if what not in self.processes:
                await self.join(what)
        elif what not in self.processes:
            return
        elif action == "kill":
            del self.processes[what]
            self.frozen.discard(what)
        elif action == "freeze":
            self.frozen.add(what)
        elif action == "thaw":
            self.frozen.discard(what)
        elif what not in self.frozen:
            await self.act(action, what)

    async def join(self, name: str) -> None:
        if name not in self.connections:
            self.connections[name] = await self.stack.enter_async_context(SlowRedis(self.url, self.world))
        process = Process.of(self.connections[name], self.world, name)
        await process.members.join()
        self.processes[name] = process

    async def act(self, action: str, name: str) -> None:
        process, redis = self.processes[name], self.connections[name]
        if action == "leave":
            await process.owner.give_up()
            await process.members.leave()
            del self.processes[name]
            return
        redis.request_takes_s = TTL_S * 0.4 if action == "slow request" else 0.0
        redis.reply_takes_s = TTL_S * 0.4 if action == "slow reply" else 0.0
        try:
            await process.round()
        except LeaseLostError:
            return  # it took so long that what was gained is gone again
        finally:
            redis.request_takes_s = redis.reply_takes_s = 0.0

    def check(self) -> None:
        owned = [p for process in self.processes.values() for p in process.owner.share.owned]
        assert len(owned) == len(set(owned)), "two believe to own the same"
        for process in self.processes.values():
            assert process.owner.share.owned <= process.working
            for partition, number in process.gained:
                assert number > self.highest.get(partition, 0)
                self.highest[partition] = number
            process.gained.clear()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions)
async def test_never_two_owners_of_one_partition(
    redis_manager: RedisManager, redis_url: str, actions: list[tuple[str, str | float]]
) -> None:
    await redis_manager.transaction([("FLUSHALL",)])
    world = World(redis_manager)
    async with AsyncExitStack() as stack:
        cluster = Cluster(world, redis_url, stack)
        await cluster.join("ada")
        for action, what in actions:
            await cluster.do(action, what)
            cluster.check()
        # And when everybody is well again, everything has an owner.
        cluster.frozen.clear()
        if not cluster.processes:
            await cluster.join("ada")
        await world.wait(2 * TTL_S)
        for _ in range(3):
            for name in list(cluster.processes):
                await cluster.do("round", name)
                cluster.check()
        assert {p for process in cluster.processes.values() for p in process.owner.share.owned} == ALL
