"""Every call that was held against filters is remembered, once, with the decision about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from domain.calls.events import Call
from domain.filters.registry import Range
from domain.stored.journal import DecidedCall
from services.stores import keys
from tests.why.support import World, mint

HOLDERS = Range(minimum=100.0)


async def journaled(world: World) -> list[DecidedCall]:
    entries = await world.redis.xrange(keys.JOURNAL.of(), count=1000)
    return [
        msgspec.json.decode(one.fields["data"], type=DecidedCall) for one in entries if one.fields["kind"] == b"call"
    ]


async def stored(world: World) -> Sequence[tuple[str, str, list[str]]]:
    rows = await world.postgres.fetch("SELECT call_id, reason, checked_channels FROM calls ORDER BY call_id")
    return [tuple(row) for row in rows]


async def test_accepted_or_not_each_decided_call_is_stored_with_its_reason(world: World) -> None:
    await world.joins(7, {"holders": HOLDERS})
    passing = world.call("c1", mint(1), holders=150)
    failing = world.call("c2", mint(2), holders=50)
    other_channel = world.call("c3", mint(2), channel="@beta", holders=60)
    again = world.call("c4", mint(2), holders=70)
    stale = replace(world.call("c5", mint(3)), called_at=world.clock() - timedelta(hours=1))
    await world.decides(passing, failing, other_channel, again, stale)
    assert [one.call.id for one in await journaled(world)] == ["c1", "c2", "c3", "c5"]
    await world.journal.drain_all()
    assert await stored(world) == [
        ("c1", "first_check", ["@alpha"]),
        ("c2", "first_check", ["@alpha"]),
        ("c3", "new_channel", ["@alpha", "@beta"]),
        ("c5", "stale", []),
    ]
    row = await world.postgres.fetch_row("SELECT document, decided_at FROM calls WHERE call_id = 'c2'")
    assert row is not None
    assert msgspec.json.decode(row["document"], type=Call) == failing
    assert failing.received_at < row["decided_at"] <= world.clock()


async def test_a_batch_that_is_claimed_again_is_journaled_once(world: World) -> None:
    await world.joins(7, {"holders": HOLDERS})
    requests = await world.decides(world.call("c1", mint(1), holders=150), world.call("c2", mint(2), holders=5))
    for _ in range(3):
        await world.decisions.claim(requests, None)
    assert [one.call.id for one in await journaled(world)] == ["c1", "c2"]
    await world.journal.drain_all()
    # The mark ends after minutes; PostgreSQL keeps the first decision for good.
    await world.redis.delete(keys.JOURNALED_CALL.of("c1"), keys.JOURNALED_CALL.of("c2"))
    await world.decides(world.call("c1", mint(1), holders=1))
    await world.journal.drain_all()
    assert [call_id for call_id, _, _ in await stored(world)] == ["c1", "c2"]
    assert [one.call.token.holders for one in await world.history.calls_of(mint(1), 10)] == [150]


@pytest.mark.parametrize("old", [0, 3, 1000, 2001])
async def test_only_what_is_older_than_14_days_is_forgotten(world: World, old: int) -> None:
    document = msgspec.json.encode(world.call("c", mint(1))).decode()
    now = world.clock()
    rows = [
        (f"c{number}", mint(1), "@alpha", now, now, document, now - age, "first_check", list[str]())
        for number, age in enumerate([timedelta(days=15)] * old + [timedelta(days=13)] * 2)
    ]
    await world.postgres.execute_many(
        "INSERT INTO calls (call_id, token_address, channel_id, called_at, received_at, document, decided_at, reason, "
        "checked_channels) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9)",
        rows,
    )
    beats: list[None] = []
    assert await world.history.prune(lambda: beats.append(None)) == old
    assert len(beats) == old // 1000 + 2  # one for the claims
    assert len(await stored(world)) == 2


async def test_by_a_clock_that_may_be_wrong_no_call_is_too_old(world: World) -> None:
    """Before Telegram has told what time it is, a call is as old as it seems, and is sent or held by that later."""
    await world.joins(1, {"market_cap_usd": Range(minimum=1_000.0)})
    old = replace(world.call("c1", mint(1), market_cap_usd=5_000.0), called_at=world.clock() - timedelta(hours=1))
    [known] = await world.decides(old)
    assert (known.accepted, known.decided_payload != b"") == ((), True)
    world.is_sure = False
    seems_old = replace(world.call("c2", mint(2), market_cap_usd=5_000.0), called_at=world.clock() - timedelta(hours=1))
    [accepted] = await world.decides(seems_old)
    assert accepted.accepted == ((1, 1),)
    assert accepted.decided_at == seems_old.called_at
