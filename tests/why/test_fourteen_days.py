"""The end of the fourteen days is the same moment in memory, in Redis, in PostgreSQL and for /why."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.calls.lifetimes import ACCEPTED_FOR
from domain.filters.registry import Range, Rule
from managers.redis.client import Command, RedisManager
from managers.storage.postgres import PostgresManager
from services.stores import keys
from tests.claims.alert_path import NOW, request
from tests.why.support import World, mint
from tests.wiring import outbox_on

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
EDGE = timedelta(seconds=30)
"""Nearer to the edge than this the time that the test itself takes would decide."""
EVERYTHING: dict[str, Rule] = {"holders": Range(minimum=100.0)}

steps = st.tuples(
    st.sampled_from(
        [MINUTE, HOUR / 2, HOUR + MINUTE, ACCEPTED_FOR - HOUR / 2, ACCEPTED_FOR - EDGE, ACCEPTED_FOR + EDGE]
    ),
    st.sampled_from(["@alpha", "@beta"]),
    st.booleans(),
)
"""How long after the last call, which channel, and whether the bot was started again before it."""


async def time_passes(world: World, passed: timedelta) -> None:
    """Put the clock of the world forward, and that by which Redis ends what it keeps."""
    world.clock.ahead += passed
    async for names in world.redis.scan("*"):
        replies = await world.redis.transaction([("PTTL", name) for name in names])
        lives = zip(names, cast("list[int]", replies), strict=True)
        ends: list[Command] = [
            ("PEXPIRE", name, left_ms - int(passed.total_seconds() * 1000)) for name, left_ms in lives if left_ms > 0
        ]
        await world.redis.transaction(ends)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happens=st.lists(steps, min_size=2, max_size=7))
@example(
    happens=[(ACCEPTED_FOR - HOUR / 2, "@alpha", False), (HOUR / 2 + MINUTE, "@alpha", False), (MINUTE, "@alpha", True)]
)
@example(happens=[(ACCEPTED_FOR - HOUR / 2, "@alpha", True), (HOUR / 2 + EDGE, "@beta", False)])
async def test_a_subscriber_gets_a_token_once_in_fourteen_days(
    redis_manager: RedisManager, postgres_manager: PostgresManager, happens: list[tuple[timedelta, str, bool]]
) -> None:
    await redis_manager.transaction([("FLUSHALL",)])
    await postgres_manager.execute("TRUNCATE subscribers, subscriber_changes, calls, claims, deliveries")
    world = World(redis_manager, postgres_manager)
    await world.joins(7, EVERYTHING, paid_until=NOW + 400 * ACCEPTED_FOR)
    await world.users.loading.refresh(7)
    accepted_at = last = timedelta()
    brought = "c0"
    await world.decides(world.call("c0", mint(1), holders=500))
    for number, (passed, channel, again) in enumerate(happens, start=1):
        await time_passes(world, passed)
        last += passed
        if again:
            ahead = world.clock.ahead
            world = World(redis_manager, postgres_manager)
            world.clock.ahead = ahead
            await world.users.loading.load()
        call = world.call(f"c{number}", mint(1), channel=channel, holders=500)
        is_new = last - accepted_at >= ACCEPTED_FOR
        before = await world.outbox.size()
        await world.decides(call)
        assert await world.outbox.size() - before == is_new
        if is_new:
            accepted_at, brought = last, call.id
        await world.journal.drain_all()
        found = await world.explanations.why_token(7, mint(1))
        told = next((one for one in found.calls if one.decided.call.id == call.id), None) if found else None
        if told is not None:
            assert told.outcome == ("accepted" if is_new else "sent_earlier")
            assert is_new or (told.earlier is not None and told.earlier.call_id == brought)


async def test_a_call_is_explained_by_an_alert_of_fourteen_days_before_it(world: World) -> None:
    """The alert's own call is too old to be explained by then; it is kept for this."""
    await world.joins(7, EVERYTHING, paid_until=NOW + 3 * ACCEPTED_FOR)
    await world.users.loading.refresh(7)
    await world.decides(world.call("c0", mint(1), holders=500))
    await world.journal.drain_all()
    await time_passes(world, ACCEPTED_FOR - HOUR / 2)
    skipped = world.call("c1", mint(1), holders=500)
    await world.decides(skipped)
    await time_passes(world, HOUR)
    await world.decides(world.call("c2", mint(1), holders=500))
    await world.journal.drain_all()
    await world.history.prune(lambda: None)
    why = await world.why(7, skipped)
    assert why.outcome == "sent_earlier"
    assert why.earlier is not None
    assert why.earlier.call_id == "c0"
    await time_passes(world, 2 * ACCEPTED_FOR)
    assert await world.history.prune(lambda: None) > 0
    assert await world.postgres.fetch("SELECT call_id FROM calls") == []


async def test_the_end_is_counted_from_the_decision_however_late_it_is_written(
    redis_manager: RedisManager, postgres_manager: PostgresManager, world: World
) -> None:
    waited = timedelta(days=2)
    # As if Redis had been away for two days.
    outbox = outbox_on(redis_manager, postgres_manager, world.journal, clock=lambda: NOW + waited)
    late = request("c1", "So1", 7)
    await outbox.claim([late])
    (left_ms,) = await redis_manager.transaction([("PTTL", keys.ACCEPTED_TOKEN.of("So1", 7))])
    assert timedelta(milliseconds=cast("int", left_ms)) <= ACCEPTED_FOR - waited
    await world.journal.drain_all()
    (row,) = await postgres_manager.fetch("SELECT claimed_at FROM claims")
    assert row["claimed_at"] == late.decided_at
    told: list[tuple[str, int, bool]] = []
    outbox.stood_before = lambda address, user_id, until: told.append((address, user_id, until <= NOW + ACCEPTED_FOR))
    assert await outbox.claim([request("c2", "So1", 7)]) == [set()]
    assert told == [("So1", 7, True)]
