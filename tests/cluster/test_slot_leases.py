"""Several senders, one limit: whoever joins, leaves, dies or freezes, the server never sees too much."""

import asyncio
import itertools
import math
import random
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from telegram.error import TelegramError, TimedOut

from embedded.valkey import EmbeddedRedis
from managers.redis.client import Argument, RedisManager, RedisUnavailableError, Reply
from managers.redis.scripts import Script, packed
from managers.telegram.rate_limiter import Answer, Lane, Limit, TelegramRateLimiter
from services.cluster.slot_leases import LEASE_S, RENEW, RENEWED_EACH_S, SlotLeases
from services.stores import keys
from tests.telegram.strict_server import StrictServer
from tests.telegram.virtual_time import run, virtual_clock

LOST_AFTER_S = 2.0
OVERALL, PRIVATE, GROUP = Limit(30, 1.0), Limit(1, 1.0), Limit(20, 60.0)
EPOCH_S = 1_800_000_000.0
QUARANTINE_S = LEASE_S + 1.0
"""How long an empty Redis grants nothing to those who do not say that they are alone."""
BACK_AFTER_DEATH_S = LEASE_S + LOST_AFTER_S + 3 * RENEWED_EACH_S


@dataclass
class VirtualRedis:
    """The real server running the real scripts; only what it takes for the time is the test's."""

    client: Any
    step_s: float = 0.0
    unavailable: bool = False
    loses_replies: bool = False
    calls: int = 0

    def execute(self, script: Script, names: Sequence[str], args: Sequence[Argument]) -> Reply:
        assert script.source.count("redis.call('TIME')") == 1
        source = script.source.replace("redis.call('TIME')", "{ARGV[2], ARGV[3]}")
        now_us = int((EPOCH_S + self.step_s + virtual_clock()) * 1_000_000)
        self.calls += 1
        return cast(
            "Reply", self.client.eval(source, len(names), *names, *args, now_us // 1_000_000, now_us % 1_000_000)
        )


@pytest.fixture(scope="module")
def redis_client(redis_server: EmbeddedRedis) -> Iterator[Any]:
    client = redis.Redis.from_url(redis_server.url)  # pyright: ignore[reportUnknownMemberType] - untyped driver
    yield client
    client.close()


def empty(client: Any) -> VirtualRedis:
    client.flushall()
    return VirtualRedis(client)


class Wire(RedisManager):
    """One sender's way to Redis: it takes its time, and nothing passes while the sender is frozen."""

    def __init__(self, server: VirtualRedis, awake: asyncio.Event, chance: random.Random) -> None:
        super().__init__("redis://127.0.0.1:1")
        self._server = server
        self._awake = awake
        self._chance = chance

    async def script(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Reply:
        await self._pass()
        if self._server.unavailable:
            raise RedisUnavailableError("away")
        reply = self._server.execute(script, keys, args)
        await self._pass()
        if self._server.loses_replies:
            raise RedisUnavailableError("the reply was lost")
        return reply

    async def _pass(self) -> None:
        await asyncio.sleep(self._chance.randrange(0, 16) / 1024)
        await self._awake.wait()


@dataclass
class Sender:
    """A process in small: workers with a backlog, a limiter, a lease, and a switch that freezes them all."""

    redis: VirtualRedis
    server: StrictServer
    overall: Limit
    chance: random.Random
    chats: Iterator[int]
    travels_s: Callable[[random.Random], float]
    """How long the next request takes to Telegram."""
    alone: bool
    hungry: asyncio.Event = field(default_factory=asyncio.Event)
    awake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.awake.set()
        self.limiter = TelegramRateLimiter(
            overall=self.overall, private=PRIVATE, group=GROUP, lost_after_s=LOST_AFTER_S, clock=virtual_clock
        )
        self.leases = SlotLeases(
            redis=Wire(self.redis, self.awake, self.chance),
            scheduler=self.limiter.scheduler,
            sender="sender",
            alone=lambda: self.alone,
        )

    @property
    def slots(self) -> int:
        return self.limiter.scheduler.slots

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        tasks = [asyncio.create_task(self.leases.run(lambda: None))]
        tasks += [asyncio.create_task(self._work()) for _ in range(2 * self.overall.slots)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks), tasks
            self.limiter.scheduler.stop_timer()

    async def _work(self) -> None:
        while True:
            await self.hungry.wait()
            chat_id = next(self.chats)
            async with self.limiter.slot(chat_id, Lane.ALERT) as slot:
                await asyncio.sleep(self.chance.choice([0.0, 0.0, 0.25]))  # what is written down before sending
                await self.awake.wait()
                with suppress(TelegramError):
                    await self.limiter.process_request(
                        self._wire(chat_id), (), {}, "sendMessage", {"chat_id": chat_id}, slot
                    )
            await self.awake.wait()

    def _wire(self, chat_id: int) -> Callable[[], Coroutine[Any, Any, Answer]]:
        async def send() -> Answer:
            there_s, back_s = self.travels_s(self.chance), self.chance.randrange(0, 100) / 1024
            asyncio.get_running_loop().call_later(there_s, self.server.arrive, chat_id)
            await asyncio.sleep(there_s + back_s)
            await self.awake.wait()
            if there_s > 0.1 and self.chance.random() < 0.3:
                raise TimedOut
            return True

        return send


@dataclass
class Scene:
    redis: VirtualRedis
    overall: Limit = OVERALL
    seed: int = 1
    server: StrictServer = field(default_factory=StrictServer)
    chats: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def sender(
        self,
        *,
        alone: bool = False,
        hungry: bool = True,
        travels_s: Callable[[random.Random], float] = lambda chance: chance.randrange(0, 100) / 1024,
    ) -> Sender:
        self.seed += 1
        chance = random.Random(self.seed)
        sender = Sender(
            redis=self.redis,
            server=self.server,
            overall=self.overall,
            chance=chance,
            chats=self.chats,
            travels_s=travels_s,
            alone=alone,
        )
        if hungry:
            sender.hungry.set()
        return sender

    def arrivals(self, since_s: float, until_s: float) -> int:
        return sum(since_s <= at < until_s for at, _ in self.server.arrivals)

    async def settle(self) -> None:
        """Wait until everything that is on its way has arrived, and judge."""
        await asyncio.sleep(LOST_AFTER_S)
        assert self.server.violations(self.overall, PRIVATE, GROUP) == []


@dataclass(frozen=True)
class Life:
    joins_s: float
    works_s: float
    leaves: bool
    freezes: list[tuple[float, float]]


def ticks(low_s: float, high_s: float) -> st.SearchStrategy[float]:
    return st.integers(int(low_s * 64), int(high_s * 64)).map(lambda n: n / 64)


def often_quick(chance: random.Random) -> float:
    return chance.randrange(0, 1900 if chance.random() < 0.1 else 100) / 1024


LIVES = st.builds(
    Life,
    joins_s=st.just(0.0) | ticks(0, 15),
    works_s=ticks(4, 25),
    leaves=st.booleans(),
    freezes=st.lists(st.tuples(ticks(2, 8), ticks(0.2, 4) | ticks(6, 12)), max_size=2),
)
TROUBLES = st.lists(st.tuples(st.sampled_from(["away", "loses_replies"]), ticks(4, 15), ticks(0.2, 8)), max_size=1)
LONG_LIFE = Life(joins_s=0.0, works_s=30.0, leaves=False, freezes=[])


async def live(scene: Scene, life: Life) -> None:
    async def freeze() -> None:
        for after_s, for_s in life.freezes:
            await asyncio.sleep(after_s)
            sender.awake.clear()
            await asyncio.sleep(for_s)
            sender.awake.set()

    await asyncio.sleep(life.joins_s)
    sender = scene.sender(travels_s=often_quick)
    freezing = asyncio.create_task(freeze())
    async with sender.working():
        await asyncio.sleep(life.works_s)
    if life.leaves and sender.awake.is_set():
        await sender.leases.leave()
    freezing.cancel()
    await asyncio.wait([freezing])


async def trouble(server: VirtualRedis, kind: str, after_s: float, for_s: float) -> None:
    await asyncio.sleep(after_s)
    setattr(server, kind, True)
    await asyncio.sleep(for_s)
    setattr(server, kind, False)


@given(st.lists(LIVES, min_size=1, max_size=4), TROUBLES, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_server_never_sees_too_much(
    redis_client: Any, lives: list[Life], troubles: list[tuple[str, float, float]], seed: int
) -> None:
    async def scenario() -> None:
        scene = Scene(empty(redis_client), Limit(6, 1.0), seed)
        async with asyncio.TaskGroup() as group:
            for life in (LONG_LIFE, *lives):
                group.create_task(live(scene, life))
            for kind, after_s, for_s in troubles:
                group.create_task(trouble(scene.redis, kind, after_s, for_s))
        await scene.settle()

    run(scenario())


async def throughput(client: Any, senders: int) -> int:
    """Arrivals within a minute, after everybody has joined."""
    scene = Scene(empty(client))
    async with AsyncExitStack() as stack:
        for _ in range(senders):
            await stack.enter_async_context(scene.sender().working())
        await asyncio.sleep(70)
    await scene.settle()
    return scene.arrivals(10, 70)


@pytest.mark.parametrize("senders", [2, 3, 7])
def test_together_they_achieve_what_one_does_alone(redis_client: Any, senders: int) -> None:
    alone = run(throughput(redis_client, 1))
    together = run(throughput(redis_client, senders))
    assert alone >= 0.8 * 30 * 60
    assert together >= 0.9 * alone


@pytest.mark.parametrize("idle", [1, 2, 5, 8])
def test_a_lone_hungry_sender_among_idle_ones_gets_nearly_all_within_two_seconds(redis_client: Any, idle: int) -> None:
    async def scenario() -> None:
        scene = Scene(empty(redis_client))
        async with AsyncExitStack() as stack:
            for _ in range(idle):
                await stack.enter_async_context(scene.sender(hungry=False).working())
            one = scene.sender(hungry=False)
            await stack.enter_async_context(one.working())
            await asyncio.sleep(QUARANTINE_S + 4)
            one.hungry.set()
            await asyncio.sleep(2)
            assert one.slots >= 25
            await asyncio.sleep(10)
            assert one.slots >= 25
        await scene.settle()

    run(scenario())


def test_a_share_is_handed_over_only_when_its_last_requests_have_cooled(redis_client: Any) -> None:
    async def scenario() -> None:
        scene = Scene(empty(redis_client))
        slow, quick = scene.sender(hungry=False, travels_s=lambda _: 1.5), scene.sender(hungry=False)
        async with slow.working(), quick.working():
            await asyncio.sleep(QUARANTINE_S + 4)
            slow.hungry.set()
            await asyncio.sleep(8)
            quick.hungry.set()
            await asyncio.sleep(8)
        await scene.settle()

    run(scenario())


def test_the_hungry_share_alike_and_one_that_becomes_idle_gives_its_share_away(redis_client: Any) -> None:
    async def scenario() -> None:
        scene = Scene(empty(redis_client))
        first, second = scene.sender(), scene.sender()
        async with first.working():
            await asyncio.sleep(QUARANTINE_S + 2)
            assert first.slots == 30
            async with second.working():
                await asyncio.sleep(5)
                assert (first.slots, second.slots) == (15, 15)
                first.hungry.clear()
                await asyncio.sleep(8)  # what waited already is sent first
                assert first.slots <= 3
                assert second.slots >= 27
        await scene.settle()

    run(scenario())


def test_the_slots_of_the_dead_come_back_after_their_last_requests_and_of_those_who_leave_at_once(
    redis_client: Any,
) -> None:
    async def scenario() -> None:
        scene = Scene(empty(redis_client))
        dead, heir = scene.sender(), scene.sender(hungry=False)
        async with heir.working():
            async with dead.working():
                await asyncio.sleep(QUARANTINE_S + 3)
            heir.hungry.set()
            await asyncio.sleep(LEASE_S + LOST_AFTER_S)
            assert heir.slots <= 30 - 25
            await asyncio.sleep(BACK_AFTER_DEATH_S - LEASE_S - LOST_AFTER_S + 1)
            assert heir.slots == 30
            heir.hungry.clear()
            polite = scene.sender()
            async with polite.working():
                await asyncio.sleep(8)
                assert polite.slots >= 25
                polite.hungry.clear()
                await asyncio.sleep(5)
            await polite.leases.leave()
            heir.hungry.set()
            await asyncio.sleep(2)
            assert heir.slots == 30
        await scene.settle()

    run(scenario())


def test_without_redis_a_sender_keeps_what_its_lease_covers_and_then_nothing(redis_client: Any) -> None:
    async def scenario() -> None:
        scene = Scene(empty(redis_client))
        sender = scene.sender()
        async with sender.working():
            await asyncio.sleep(QUARANTINE_S + 2)
            away_at, scene.redis.unavailable = virtual_clock(), True
            await asyncio.sleep(1)
            assert sender.slots == 30
            await asyncio.sleep(LEASE_S)
            assert sender.slots == 0
            await asyncio.sleep(20)
            assert scene.arrivals(away_at + LEASE_S + 1, math.inf) == 0
            scene.redis.unavailable = False
            await asyncio.sleep(LEASE_S + 2)
            assert sender.slots == 30
        await scene.settle()

    run(scenario())


def test_who_has_to_say_that_redis_takes_nothing_can_say_it(redis_client: Any) -> None:
    async def scenario() -> None:
        scene = Scene(empty(redis_client))
        gateway, other = scene.sender(), scene.sender()
        # `SlotLeases` of the gateway, which is not alone.
        gateway.leases = SlotLeases(
            redis=Wire(scene.redis, gateway.awake, gateway.chance),
            scheduler=gateway.limiter.scheduler,
            sender="gateway",
            alone=lambda: False,
            without_redis=1,
        )
        async with gateway.working(), other.working():
            await asyncio.sleep(QUARANTINE_S + 2)
            away_at, scene.redis.unavailable = virtual_clock(), True
            await asyncio.sleep(2 * LEASE_S + 1)
            assert (gateway.slots, other.slots) == (1, 0)
            await asyncio.sleep(20)
            assert 10 <= scene.arrivals(away_at + 2 * LEASE_S + 2, math.inf) <= 20
            scene.redis.unavailable = False
            await asyncio.sleep(QUARANTINE_S + 2)
            assert gateway.slots + other.slots >= 28
        await scene.settle()

    run(scenario())


def test_one_that_is_alone_needs_no_redis_and_no_patience(redis_client: Any) -> None:
    async def scenario() -> None:
        scene = Scene(empty(redis_client))
        killed, alone = scene.sender(alone=True), scene.sender(alone=True)
        async with killed.working():
            await asyncio.sleep(0.5)
            assert killed.slots == 30
        await asyncio.sleep(1)
        async with alone.working():
            await asyncio.sleep(LEASE_S + 1)
            assert alone.slots == 30
            scene.redis.unavailable = True
            for _ in range(40):
                await asyncio.sleep(0.5)
                assert alone.slots == 30
            alone.alone = False
            await asyncio.sleep(LEASE_S + 1)
            assert alone.slots == 0
        fresh = scene.sender(alone=True)
        async with fresh.working():
            await asyncio.sleep(0.5)
            assert fresh.slots == 30
        await scene.settle()

    run(scenario())


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_step_of_the_servers_clock_takes_nothing_from_anybody(redis_client: Any, step_s: float) -> None:
    async def scenario() -> None:
        scene = Scene(empty(redis_client))
        async with AsyncExitStack() as stack:
            senders = [scene.sender() for _ in range(3)]
            for sender in senders:
                await stack.enter_async_context(sender.working())
            await asyncio.sleep(QUARANTINE_S + 4)
            senders[0].awake.clear()
            await asyncio.sleep(0.5)
            scene.redis.step_s = step_s
            await asyncio.sleep(1.5)
            senders[0].awake.set()
            await asyncio.sleep(10)
            assert [sender.slots for sender in senders] == [10, 10, 10]
        await scene.settle()

    run(scenario())


def test_an_emptied_redis_forgets_nobody(redis_client: Any) -> None:
    async def scenario() -> None:
        scene = Scene(empty(redis_client))
        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(scene.sender().working())
            await asyncio.sleep(QUARANTINE_S + 4)
            redis_client.flushall()
            newcomer = scene.sender()
            await stack.enter_async_context(newcomer.working())
            await asyncio.sleep(QUARANTINE_S + 5)
            assert newcomer.slots == 10
        await scene.settle()

    run(scenario())


def test_slots_of_a_share_that_lapsed_are_worthless_and_exchanged_before_anything_is_sent() -> None:
    async def scenario() -> None:
        limiter, server = TelegramRateLimiter(clock=virtual_clock), StrictServer()

        async def hold_and_send(chat_id: int, until_s: float) -> None:
            async def wire() -> Answer:
                server.arrive(chat_id)
                return True

            async with limiter.slot(chat_id, Lane.ALERT) as slot:
                await asyncio.sleep(until_s)
                await limiter.process_request(wire, (), {}, "sendMessage", {"chat_id": chat_id}, slot)

        limiter.resize(3, until=5.0)
        async with asyncio.TaskGroup() as group:
            for chat_id, until_s in ((7, 6), (8, 8), (9, 8)):
                group.create_task(hold_and_send(chat_id, until_s))
            await asyncio.sleep(7)
            assert server.arrivals == []
            limiter.resize(1, until=20.0)  # the other two were handed out before and are worth nothing either
        assert [at for at, _ in server.arrivals] == pytest.approx([8.0, 9.0, 10.0], abs=0.01)

    run(scenario())


def test_shrinking_takes_free_slots_now_and_used_ones_when_they_have_cooled() -> None:
    async def scenario() -> None:
        limiter = TelegramRateLimiter(overall=Limit(4, 1.0), clock=virtual_clock)
        slots = limiter.scheduler
        used = [await slots.acquire(chat_id, Lane.ALERT) for chat_id in (1, 2, 3)]
        waiting = asyncio.create_task(slots.acquire(4, Lane.ALERT))
        assert (slots.held, slots.spare, limiter.demand) == (4, 1, 3)
        limiter.resize(1)
        await asyncio.sleep(0)
        assert (slots.held, slots.spare, limiter.demand) == (3, 0, 4)
        for slot in used:
            slot.sent_at = slot.answered_at = virtual_clock()
            slots.release(slot)
        assert slots.held == 3
        assert slots.quiet_in_s == 1.0
        await asyncio.sleep(0.5)
        assert slots.held == 3
        slots.release(await waiting)
        assert virtual_clock() >= 1.0
        assert (slots.held, slots.spare, limiter.demand) == (1, 1, 0)

    run(scenario())


# -- the script itself, on the server's own clock


def request(
    number: int, slots: int, held: int, demand: int, *, sender: str = "a", alone: bool = False
) -> list[Argument]:
    return packed(
        sender=sender,
        number=number,
        slots=slots,
        held=held,
        demand=demand,
        alone=alone,
        lease_ms=60_000,
        period_ms=1_000,
        hold_ms=60_000,
        since_ms=0,
        slack_ms=1_000,
        closed_ms=0,
    )


@given(st.integers(1, 40), st.lists(st.integers(0, 50), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_grants_are_fair_and_nothing_is_left_while_somebody_wants_it(
    redis_client: Any, slots: int, demands: list[int]
) -> None:
    redis_client.delete(keys.SLOT_LEASES.of())
    granted = [0] * len(demands)
    for number in range(1, 5):
        for place, demand in enumerate(demands):
            args = request(number, slots, granted[place], demand, sender=f"sender-{place}")
            granted[place] = redis_client.eval(RENEW.source, 1, keys.SLOT_LEASES.of(), *args)
            assert number == 1 or sum(granted) <= slots
    if len(demands) <= slots:
        assert all(share > 0 for share, demand in zip(granted, demands, strict=True) if demand)
    for share, demand in zip(granted, demands, strict=True):
        if share < demand:  # whoever lacks something has no less than anybody else, but for the odd slot
            assert share >= max(granted) - 1
            assert sum(granted) == slots


async def test_a_late_request_changes_nothing(redis_manager: RedisManager) -> None:
    async def ask(number: int, held: int) -> Reply:
        return await redis_manager.script(RENEW, [keys.SLOT_LEASES.of()], request(number, 30, held, 30))

    assert await ask(2, 0) == 30
    before = await redis_manager.get(keys.SLOT_LEASES.of())
    assert await ask(1, 0) == 0
    assert await ask(2, 0) == 0
    assert await redis_manager.get(keys.SLOT_LEASES.of()) == before


async def until(progressed: asyncio.Event, condition: Callable[[], bool]) -> None:
    while not condition():
        progressed.clear()
        await progressed.wait()


async def test_two_senders_divide_the_window_on_a_real_server(redis_url: str) -> None:
    progressed = asyncio.Event()
    async with AsyncExitStack() as stack:
        schedulers = [TelegramRateLimiter().scheduler for _ in range(2)]
        everything = [
            SlotLeases(
                redis=await stack.enter_async_context(RedisManager(redis_url)),
                scheduler=scheduler,
                sender=f"sender-{number}",
                alone=lambda: True,
            )
            for number, scheduler in enumerate(schedulers)
        ]
        tasks = [asyncio.create_task(leases.run(progressed.set)) for leases in everything]
        first, second = schedulers
        await until(progressed, lambda: first.slots == second.slots > 0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert first.held + second.held <= 30
        for leases in everything:
            await leases.leave()


@pytest.mark.parametrize(("alone", "slots"), [(True, 30), (False, 0)])
async def test_a_server_that_is_not_there_stops_all_but_the_lone_sender(alone: bool, slots: int) -> None:  # noqa: FBT001 - a parameter
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        progressed, scheduler = asyncio.Event(), TelegramRateLimiter().scheduler
        async with RedisManager(f"redis://127.0.0.1:{nobody.getsockname()[1]}") as manager:
            leases = SlotLeases(redis=manager, scheduler=scheduler, sender="a", alone=lambda: alone)
            task = asyncio.create_task(leases.run(progressed.set))
            await progressed.wait()
            assert scheduler.slots == slots
            task.cancel()
            await asyncio.wait([task])
            await leases.leave()
            assert scheduler.slots == 0
