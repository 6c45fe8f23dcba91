"""A stored day comes out the same by live claims, from PostgreSQL and from the archive; the archive is whole or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median

import polars as pl
import pytest
from msgspec.structs import replace

from domain.backtest.columns import COLUMNS, FORMATS
from domain.backtest.replay import Replay, replay
from domain.backtest.results import BacktestRequest, BacktestResult
from domain.calls.events import ChannelRecord
from domain.filters.registry import Choice, FilterSet, Range, Rule, Words
from managers.archive.parquet import Archive, ArchiveError, frame
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from services.backtest.archiving import Archiving
from services.backtest.stored import StoredHistory
from services.backtest.trying import Trying
from tests.backtest.past import Past, PastCall, ago
from tests.why.support import World, mint

ME, OTHER = 7, 8
DAY = timedelta(days=1)
MINE: tuple[dict[str, Rule], ...] = (
    {"holders": Range(300.0), "name_words": Words(("cat",), ("rug",))},
    {
        "channel": Choice(frozenset({"@beta"})),
        "channel_win_rate": Range(40.0, missing="pass"),
        "liquidity_usd": Range(1e4),
    },
)


@pytest.fixture
def history(postgres_manager: PostgresManager) -> StoredHistory:
    return StoredHistory(postgres_manager)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive", FORMATS)


def archiving(archive: Archive, history: StoredHistory) -> Archiving:
    return Archiving(archive, history, tracked_for=14 * DAY, kept_for=32 * DAY)


async def live_day(world: World) -> None:
    """A day of calls, as the bot decides them, with somebody else who changes their filters."""
    random = Random(5)
    await world.joins(ME, *MINE)
    for number in range(300):
        world.clock.ahead += timedelta(minutes=random.choice([0, 1, 2, 9, 20]))
        if number % 40 == 20:
            await world.changes(OTHER, {"holders": Range(float(number))}) if number > 40 else await world.joins(OTHER)
        call = world.call(
            f"c{number}",
            mint(random.randrange(40)),
            channel=random.choice(["@alpha", "@beta", "@gamma"]),
            holders=random.choice([None, 100, 250, 400]),
            liquidity_usd=random.choice([None, 5e3, 2e4]),
        )
        name = random.choice(["A Cat", "c\u200bat", "ＣＡＴ rug", "Dog"])
        record = ChannelRecord(win_rate_percent=random.choice([None, 30.0, 50.0]))
        call = replace(
            call, token=replace(call.token, name=name), channel=replace(call.channel, record=record), text=None
        )
        if random.random() < 0.05:
            call = replace(call, called_at=call.called_at - timedelta(hours=1))
        await world.decides(call)
    await world.journal.drain_all()


async def test_a_stored_day_both_ways(
    redis_manager: RedisManager, postgres_manager: PostgresManager, history: StoredHistory, archive: Archive
) -> None:
    world = World(redis_manager, postgres_manager)
    began = world.clock()
    await live_day(world)
    rows = await postgres_manager.fetch("SELECT call_id, document FROM claims WHERE user_id = $1", ME)
    claimed = sorted(row["call_id"] for row in rows)
    assert len(claimed) > 20
    sets = [FilterSet(user_id=ME, number=n, name="", rules=rules) for n, rules in enumerate(MINE, start=1)]
    ended = world.clock() + timedelta(seconds=1)
    assert await accepted(sets, history.calls(began, ended)) == claimed
    archived = await archiving(archive, history).run(ended + 2 * DAY)  # whatever hour it is, all of it is over
    assert archived.calls == await history.count(began, ended)
    frames = [archive.scan("calls", day).collect() for day in archive.days("calls")]
    assert await accepted(sets, some(frames)) == claimed


async def accepted(sets: list[FilterSet], calls: AsyncIterator[pl.DataFrame]) -> list[str]:
    mine = Replay(sets)
    async for part in calls:
        replay([mine], part.lazy(), part["decided_at"][-1])
    return sorted(mine.accepted()["call_id"].to_list())


async def some(frames: list[pl.DataFrame]) -> AsyncIterator[pl.DataFrame]:
    for one in frames:
        yield one


async def test_days_are_written_once_again_where_calls_came_late_and_deleted_when_old(
    past: Past, history: StoredHistory, archive: Archive
) -> None:
    noon = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC) + timedelta(hours=12)
    await past.put([PastCall(at=noon - days * DAY, token=days, figures={}, peak=2.0) for days in (1, 2, 5, 20)])
    await past.put([PastCall(at=noon, token=100, figures={})])
    writing = archiving(archive, history)
    assert (await writing.run(noon)).days == 3
    assert archive.days("calls") == [(noon - days * DAY).date() for days in (5, 2, 1)]
    assert archive.days("outcomes") == archive.days("calls")
    assert (await writing.run(noon)).calls == 0
    await past.put([PastCall(at=noon - 2 * DAY, token=7, figures={})])
    assert (await writing.run(noon)).calls == 2
    assert archive.rows("calls", (noon - 2 * DAY).date()) == 2
    await writing.run(noon + 31 * DAY)
    assert archive.days("calls")[0] == (noon - DAY).date()


async def test_a_file_is_whole_or_not_there(archive: Archive, tmp_path: Path) -> None:
    day = date(2026, 11, 1)

    async def breaks() -> AsyncIterator[pl.DataFrame]:
        yield frame(COLUMNS, [])
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        await archive.write("calls", day, breaks())
    assert archive.days("calls") == []
    folder = tmp_path / "archive" / "calls"
    assert list(folder.iterdir()) == []
    (folder / ".writing-killed").mkdir()
    for name in ("2026-11-02.0.parquet", "nonsense.parquet", f"x.{FORMATS['calls']}.parquet"):
        (folder / name).write_bytes(b"of another time")
    await archive.write("calls", day, some([frame(COLUMNS, [])]))
    assert archive.days("calls") == [day]
    assert not (folder / ".writing-killed").exists()
    (folder / f"2026-11-01.{FORMATS['calls']}.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(ArchiveError):
        archive.columns("calls", day)


def request(*rules: dict[str, Rule], days: int = 7, active: tuple[FilterSet, ...] = ()) -> BacktestRequest:
    now = datetime.now(UTC)
    tried = FilterSet(user_id=ME, number=1, name="", rules=rules[0] if rules else {}, enabled=False)
    return BacktestRequest(archive=None, database_url="", since=now - days * DAY, until=now, tried=tried, active=active)


async def tried(wanted: BacktestRequest, archive: Archive | None, history: StoredHistory) -> BacktestResult:
    told: list[float] = []
    result = await Trying(wanted, archive, history, told.append).run()
    assert told == sorted(told)
    assert told[-1] == 1.0
    return result


async def test_figures_of_archive_and_postgresql_together(past: Past, history: StoredHistory, archive: Archive) -> None:
    calls = [
        PastCall(at=ago(hours=100 - number), token=number % 30, figures={"holders": number}, peak=1 + number / 20)
        for number in range(99)
    ]
    await past.put([replace(one, reachable=(one.peak or 0) + 1) if one.token % 2 else one for one in calls])
    active = (FilterSet(user_id=ME, number=2, name="", rules={"holders": Range(None, 9.0)}),)
    wanted = request({"holders": Range(5.0)}, active=active)
    alone = await tried(wanted, None, history)
    await archiving(archive, history).run(datetime.now(UTC))
    both = await tried(wanted, archive, history)
    assert both == alone
    assert len(archive.days("calls")) >= 3
    first = {one.token: one for one in reversed(calls) if one.figures["holders"] >= 5}
    assert (alone.tried.alerts, alone.tried.tokens, alone.tried.known) == (30, 30, 30)
    assert alone.tried.wins is not None
    assert alone.tried.wins.hits == sum((one.peak or 0) >= 2 for one in first.values())
    assert alone.tried.reachable_known == 15
    # It is told beside the peak of the same tokens; bought below the price at the call, it is not more than that.
    assert alone.tried.median_reachable == median(one.peak or 0 for one in first.values() if one.token % 2)
    assert alone.tried.median_reachable_peak == alone.tried.median_reachable
    assert (alone.both, alone.only_tried, alone.only_active) == (10, 20, 0)
    assert [one.multiple for one in alone.best] == sorted(((one.peak or 0) for one in first.values()), reverse=True)[
        :10
    ]
    assert [one.multiple for one in alone.worst] == sorted((one.peak or 0) for one in first.values())[:10]
    assert sum(day.alerts for day in alone.daily) == 30


async def test_nothing_stored_few_and_old(past: Past, history: StoredHistory, archive: Archive) -> None:
    nothing = await tried(request(), archive, history)
    assert (nothing.covered_from, nothing.calls, nothing.tried.alerts) == (None, 0, 0)
    await past.put([PastCall(at=ago(days=20), token=1, figures={}), PastCall(at=ago(hours=30), token=2, figures={})])
    found = await tried(request(days=30), archive, history)
    assert found.calls == 1  # of older days PostgreSQL has only what somebody got
    assert (found.tried.alerts, found.tried.known, found.tried.wins, found.base) == (1, 0, None, None)
    # A whole day without calls between then and now counts as missing, which depends on the hour.
    assert found.days == pytest.approx(1.25 - found.days_missing, abs=0.01)


async def test_a_day_that_lacks_a_column_or_is_damaged_counts_as_missing(
    past: Past, history: StoredHistory, archive: Archive, tmp_path: Path
) -> None:
    await past.put([PastCall(at=ago(hours=20 + 24 * number), token=number, figures={}) for number in range(4)])
    await archiving(archive, history).run(datetime.now(UTC))
    days = archive.days("calls")
    lacking = archive.scan("calls", days[1]).drop("holders").collect()
    await archive.write("calls", days[1], some([lacking]))
    assert (await tried(request({}), archive, history)).days_missing == 0
    found = await tried(request({"holders": Range(missing="pass")}), archive, history)
    assert (found.days_missing, found.tried.alerts) == (1, 3)
    (tmp_path / "archive" / "calls" / f"{days[1]}.{FORMATS['calls']}.parquet").write_bytes(b"PAR1 damaged")
    assert (await tried(request({}), archive, history)).days_missing == 1


async def test_the_chain_of_a_call_is_archived_and_a_filter_on_it_tried(
    postgres_manager: PostgresManager, history: StoredHistory, archive: Archive
) -> None:
    chains = ("solana", "base", "bsc", "base", "ethereum")
    past = Past(postgres_manager)
    calls = await past.put(
        [PastCall(at=ago(days=2, minutes=n), token=n, figures={"chain": chain}) for n, chain in enumerate(chains)]
    )
    await archiving(archive, history).run(datetime.now(UTC))
    frames = [archive.scan("calls", day).collect() for day in archive.days("calls")]
    kept = {row["call_id"]: row["chain"] for one in frames for row in one.iter_rows(named=True)}
    assert kept == {call.id: chain for call, chain in zip(calls, chains, strict=True)}
    wanted: dict[str, Rule] = {"chain": Choice(frozenset({"base", "ethereum"}))}
    sets = [FilterSet(user_id=ME, number=1, name="", rules=wanted)]
    passed = sorted(call.id for call in calls if call.token.chain in {"base", "ethereum"})
    assert await accepted(sets, some(frames)) == passed
    began, ended = ago(days=3), ago(days=1)
    assert await accepted(sets, history.calls(began, ended)) == passed
