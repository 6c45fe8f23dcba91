"""Records equal a plain recomputation of the same outcomes, and only those are computed of which something changed."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from domain.filters.registry import FilterSet
from domain.stored.alerts import Alert
from domain.subscribers.subscriber import Subscriber
from domain.tracking.outcome import HORIZONS_S, Ending, Outcome, reachable_multiple
from domain.tracking.records import WINDOWS, Rate, Record, first_calls, record, wins
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from services.tracking.entries import Entries
from services.tracking.records import statements
from services.tracking.records.channel_info import ChannelInfo
from services.tracking.records.measuring import Measuring, set_subject
from services.tracking.records.refreshing import (
    LONG_S,
    RECORD_EVERY,
    SHORT_S,
    SOONEST,
    RecordsRefresh,
    paced,
    read_records,
)
from tests.delivery.kit import Clock
from tests.tracking.kit import NOW, Desk, address

ENDINGS: tuple[Ending | None, ...] = (None, None, "age", "silence", "liquidity", "fallen")
CHANNELS = ("@alpha", "@beta", "@quiet")
_PUT = """
    INSERT INTO outcomes (call_id, number, token_address, channel_id, called_at, opened_at, measure, price_usd,
        peak_multiple, peak_at, at_least, return_1h, return_24h, return_7d, updated_at, ended_at, ending,
        reachable_multiple, excluded, scale)
    VALUES ($1, $2, $3, $4, $5, $5, 'price', 1, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""


class Story:
    """One outcome, as a row and as the domain has it."""

    def __init__(self, rng: random.Random, number: int) -> None:
        self.number, self.call_id = number, f"c{number}"
        self.channel = CHANNELS[rng.randrange(20) // 10 if number % 50 else 2]
        self.token = address(rng.randrange(60))
        self.called_at = NOW - timedelta(seconds=rng.choice([3e4, 3e5, 2e6, 6e6]) * rng.random(), milliseconds=number)
        self.peak = rng.choice([None, 1.0, 1 + 4 * rng.random() ** 3, rng.paretovariate(1)])
        self.peak_at = None if self.peak is None else self.called_at + timedelta(seconds=rng.random() * 9_000)
        self.at_least = rng.random() < 0.2
        self.returns = {s: 3 * rng.random() for s in HORIZONS_S if rng.random() < 0.5}
        self.ending: Ending | None = rng.choice(ENDINGS)
        self.ended_at = None if self.ending is None else self.called_at + timedelta(seconds=rng.random() * 7e5)
        self.reachable = rng.choice([None, 2 * rng.random()])
        self.excluded = "repost" if rng.random() < 0.05 else None
        self.scale = rng.choice([1.0, 1.0, 1.0, 0.25, 8.0])

    async def store(self, postgres: PostgresManager) -> None:
        hour, day, week = (self.returns.get(s) for s in HORIZONS_S)
        values = (self.call_id, self.number, self.token, self.channel, self.called_at, self.peak, self.peak_at)
        rest = (
            hour,
            day,
            week,
            NOW - timedelta(hours=1),
            self.ended_at,
            self.ending,
            self.reachable,
            self.excluded,
            self.scale,
        )
        await postgres.execute(_PUT, *values, self.at_least, *rest)

    def outcome(self) -> Outcome:
        return Outcome(
            token=self.token,
            channel=0,
            called_at=self.called_at.timestamp(),
            price_usd=1.0,
            peak_multiple=max(1.0, (self.peak or 1.0) * self.scale),
            peak_after_s=0.0 if self.peak_at is None else (self.peak_at - self.called_at).total_seconds(),
            at_least=self.at_least,
            reachable_multiple=self.reachable,
            returns={s: multiple * self.scale for s, multiple in self.returns.items()},
            ended_at=None if self.ended_at is None else self.ended_at.timestamp(),
            ending=self.ending,
        )


def plain(stories: list[Story], window: timedelta | None, base: Rate | None, as_of: datetime = NOW) -> Record:
    """A record by the plain program."""
    outcomes = [story.outcome() for story in stories if story.excluded is None]
    return record(outcomes, as_of=as_of.timestamp(), window_s=window.total_seconds() if window else None, base=base)


def plain_base(stories: list[Story], window: timedelta | None) -> Rate | None:
    outcomes = [
        one.outcome() for one in stories if one.excluded is None and (not window or one.called_at > NOW - window)
    ]
    return wins([one.peak_multiple for one in first_calls(outcomes)])


def same(found: Record, expected: Record) -> None:
    for name in found.__struct_fields__:
        ours, theirs = getattr(found, name), getattr(expected, name)
        if name == "returns":
            assert ours.keys() == theirs.keys()
            for s in ours:
                assert [*_numbers(ours[s])] == pytest.approx([*_numbers(theirs[s])])
        elif isinstance(ours, Rate):
            assert isinstance(theirs, Rate)
            assert [*_numbers(ours)] == pytest.approx([*_numbers(theirs)])
        else:
            assert ours == (theirs if theirs is None else pytest.approx(theirs)), name


def _numbers(one: object) -> list[float]:
    return [getattr(one, name) for name in getattr(one, "__struct_fields__", ())]


def refresh_on(postgres: PostgresManager, redis: RedisManager, clock: Clock) -> RecordsRefresh:
    channels = ChannelInfo(redis)
    return RecordsRefresh(postgres=postgres, measuring=Measuring(postgres), channels=channels, clock=clock)


async def stored(postgres: PostgresManager, kind: str, subject: str) -> dict[str, Record]:
    row = await postgres.fetch_row(statements.GET, kind, [subject])
    assert row is not None
    found = read_records(row["document"])
    assert found is not None
    return {**found.by_window}


async def documents(postgres: PostgresManager) -> dict[str, datetime]:
    rows = await postgres.fetch("SELECT kind || ':' || subject AS subject, as_of FROM records")
    return {row["subject"]: row["as_of"] for row in rows}


@pytest.mark.parametrize("seed", range(4))
async def test_records_equal_a_plain_recomputation(
    postgres_manager: PostgresManager, redis_manager: RedisManager, seed: int
) -> None:
    rng, clock = random.Random(seed), Clock()
    stories = [Story(rng, number) for number in range(1, 160)]
    for story in stories:
        await story.store(postgres_manager)
    refresh = refresh_on(postgres_manager, redis_manager, clock)
    assert await refresh.refresh() == len(CHANNELS)
    base = await stored(postgres_manager, "all", "")
    for window, length in WINDOWS.items():
        expected_base = plain_base(stories, length)
        assert base[window].wins == expected_base
        for channel in CHANNELS:
            found = (await stored(postgres_manager, "channel", channel))[window]
            same(found, plain([one for one in stories if one.channel == channel], length, expected_base))
    assert await refresh.refresh() == 0


async def test_only_what_changed_is_computed_again_and_each_day_stays(
    postgres_manager: PostgresManager, redis_manager: RedisManager
) -> None:
    rng, clock = random.Random(9), Clock()
    for number in range(1, 120):
        await Story(rng, number).store(postgres_manager)
    refresh = refresh_on(postgres_manager, redis_manager, clock)
    await refresh.refresh()
    before = await documents(postgres_manager)
    alpha = await stored(postgres_manager, "channel", "@alpha")
    clock.pass_(days=40)
    statement = "UPDATE outcomes SET peak_multiple = 900, updated_at = $1 WHERE number = 7 RETURNING channel_id"
    row = await postgres_manager.fetch_row(statement, clock())
    assert row is not None
    await postgres_manager.execute("UPDATE records SET due_at = 'infinity' WHERE subject <> $1", row["channel_id"])
    assert await refresh.refresh() == 1
    after = await documents(postgres_manager)
    assert {name for name in after if after[name] != before.get(name)} == {f"channel:{row['channel_id']}", "all:"}
    then = await postgres_manager.fetch_row(statements.AS_OF, "channel", "@alpha", NOW + timedelta(days=3))
    assert then is not None
    kept = read_records(then["document"])
    assert kept is not None
    assert kept.by_window == alpha


async def six_of_alpha(postgres: PostgresManager) -> None:
    for number in range(1, 7):
        story = Story(random.Random(number), number)
        story.channel, story.token, story.called_at, story.excluded = "@alpha", address(number), NOW, None
        await story.store(postgres)


async def test_what_has_changed_is_counted_within_a_minute_while_rounds_are_short(
    postgres_manager: PostgresManager, redis_manager: RedisManager
) -> None:
    clock = Clock()
    await six_of_alpha(postgres_manager)
    refresh = refresh_on(postgres_manager, redis_manager, clock)
    assert await refresh.refresh() == 1
    refresh.every = SOONEST  # whatever this machine made of it
    for passed_s, computed in ((10, 0), (15, 0), (10, 1)):
        clock.pass_(seconds=passed_s)
        await postgres_manager.execute("UPDATE outcomes SET updated_at = $1 WHERE number = 1", clock())
        assert await refresh.refresh() == computed
        refresh.every = SOONEST


def test_many_records_are_counted_less_often_until_rounds_are_short_again() -> None:
    every = SOONEST
    for _ in range(9):
        every = paced(every, LONG_S + 0.1)
    assert every == RECORD_EVERY
    assert paced(every, SHORT_S) == every
    for _ in range(9):
        every = paced(every, SHORT_S / 2)
    assert every == SOONEST


async def test_a_window_closes_behind_its_calls(postgres_manager: PostgresManager, redis_manager: RedisManager) -> None:
    clock = Clock()
    await six_of_alpha(postgres_manager)
    refresh = refresh_on(postgres_manager, redis_manager, clock)
    await refresh.refresh()
    for days, calls in ((0.9, 6), (0.2, 0)):
        clock.pass_(days=days)
        await refresh.refresh()
        records = await stored(postgres_manager, "channel", "@alpha")
        assert (records["24h"].calls, records["7d"].calls, records["life"].calls) == (calls, 6, 6)


async def test_what_a_set_and_its_preset_let_through(desk: Desk) -> None:
    postgres = desk.postgres
    who = Subscriber(
        user_id=5,
        chat_id=5,
        name="Ann",
        created_at=NOW,
        filter_sets=(
            FilterSet(user_id=5, number=1, name="moon", follows="moon"),
            FilterSet(user_id=5, number=2, name="mine"),
        ),
    )
    await desk.put("subscriber", who)
    desk.clock.pass_(minutes=1)
    await desk.tracking.take_over()
    for number in range(12):
        call = await desk.call(f"c{number}", token=number)
        await desk.put(
            "claim",
            Alert(
                user_id=5,
                call_id=call.id,
                token_address=call.token.address,
                set_number=1 if number < 7 else 2,
                also=(2,) if number < 3 else (),
                received_at=desk.clock(),
                decided_at=desk.clock(),
            ),
        )
    await desk.tracking.round()
    desk.rise(3.0, token=0)
    desk.rise(2.0, token=8)
    await desk.tell()
    refresh = refresh_on(postgres, desk.redis, desk.clock)
    assert await refresh.refresh() == 4
    for kind, subject, tokens, won in (
        ("preset", "moon", 7, 1),
        ("set", set_subject(5, 1), 7, 1),
        ("set", set_subject(5, 2), 8, 2),
        ("channel", "@alpha", 12, 2),
    ):
        found = (await stored(postgres, kind, subject))["life"]
        assert found.wins is not None
        assert (found.tokens, found.wins.hits, found.base_percent) == (tokens, won, pytest.approx(100 * 2 / 12))


async def test_what_could_be_had_counts_from_the_alert_and_by_the_pool(desk: Desk) -> None:
    """Called at $1; the alert goes out at $1.5; the peak after it is $6, and the pool is small."""
    await desk.subscribe(5)
    await desk.tracking.take_over()
    call = await desk.call("c1")
    await desk.call("c2", token=1)  # of which nobody was told
    await desk.tracking.round()
    desk.rise(1.5)
    desk.read(1.5, after_s=1.0)
    await desk.accept(call, 5)
    await desk.settle(call, 5, "sent")
    assert desk.tracking.book is not None
    assert await Entries(desk.postgres, desk.clock).note(desk.tracking.book) == 1
    desk.rise(6.0)
    desk.rise(2.0)
    await desk.tell()
    await refresh_on(desk.postgres, desk.redis, desk.clock).refresh()
    rows = await desk.postgres.fetch("SELECT call_id, entry_multiple, reachable_multiple FROM outcomes ORDER BY number")
    assert [(row["call_id"], row["entry_multiple"]) for row in rows] == [("c1", 1.5), ("c2", None)]
    expected = reachable_multiple(1.5, 6.0, entry_liquidity_usd=30_000.0, peak_liquidity_usd=30_000.0)
    assert rows[0]["reachable_multiple"] == pytest.approx(expected)
    assert expected < 4
    assert rows[1]["reachable_multiple"] is None


async def test_an_entry_long_after_the_price_is_none(desk: Desk) -> None:
    await desk.tracking.take_over()
    call = await desk.call("c1")
    await desk.tracking.round()
    desk.clock.pass_(minutes=2)
    await desk.accept(call, 5)
    await desk.settle(call, 5, "sent")
    assert desk.tracking.book is not None
    assert await Entries(desk.postgres, desk.clock).note(desk.tracking.book) == 0
