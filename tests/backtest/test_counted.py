"""Of the same stored outcomes a backtest, a report and a record tell the same: hits, tokens, median, base rate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import polars as pl
import pytest

from domain.backtest.columns import FORMATS, OUTCOMES
from domain.backtest.results import BacktestRequest, BacktestResult
from domain.filters.registry import FilterSet
from domain.reports.figures import Window
from domain.stored.journal import DeliveryRecord
from domain.tracking.records import Record, record
from managers.archive.parquet import Archive, frame
from managers.storage.postgres import PostgresManager
from services.backtest.archiving import Archiving
from services.backtest.stored import StoredHistory
from services.backtest.trying import Trying
from services.reports.rows import ReportRows
from services.stores.journal_rows import writes_of
from services.tracking.records.measuring import Measuring
from tests.backtest.past import Past, PastCall, ago

ME = 7
DAY = timedelta(days=1)


async def backtest(postgres: PostgresManager, archive: Archive | None, now: datetime) -> BacktestResult:
    everything = FilterSet(user_id=ME, number=1, name="", rules={})
    wanted = BacktestRequest(archive=None, database_url="", since=now - 7 * DAY, until=now, tried=everything, active=())
    return await Trying(wanted, archive, StoredHistory(postgres), lambda _: None).run()


async def told(postgres: PostgresManager, call_id: str, at: datetime) -> None:
    delivery = DeliveryRecord(
        call_id=call_id, user_id=ME, kind="alert", set_number=1, status="sent", chat_id=ME, decided_at=at, sent_at=at
    )
    for statement, values in writes_of("delivery", msgspec.json.encode(delivery), at):
        await postgres.execute(statement, *values)


def some_calls(seed: int) -> list[PastCall]:
    random = Random(seed)
    return [
        PastCall(
            at=ago(hours=150 - number),
            token=random.randrange(60),
            figures={},
            followed=random.random() < 0.8,
            peak=random.choice([None, None, 1.0, 1.3, 2.0, random.paretovariate(1)]),
            at_least=random.random() < 0.2,
            scale=random.choice([1.0, 1.0, 0.25, 4.0]),
            excluded=random.choice([None, None, None, None, "repost"]),
            ended=random.random() < 0.5,
        )
        for number in range(100)
    ]


def held(found: BacktestResult) -> tuple[object, ...]:
    wins = found.tried.wins
    assert wins
    return wins.hits, wins.n, found.tried.median_multiple, found.tried.open


def kept(found: Record) -> tuple[object, ...]:
    assert found.wins
    return found.wins.hits, found.wins.n, found.median_multiple, found.open


@pytest.mark.parametrize("seed", range(3))
async def test_a_backtest_a_report_and_a_record_tell_the_same(
    past: Past, postgres_manager: PostgresManager, tmp_path: Path, seed: int
) -> None:
    plan = some_calls(seed)
    first: dict[int, str] = {}
    for one, call in zip(plan, await past.put(plan), strict=True):
        if one.token not in first:
            first[one.token] = call.id
            await told(postgres_manager, call.id, one.at)
    now = datetime.now(UTC)
    window, measuring, rows = (
        Window(start=now - 7 * DAY, end=now),
        Measuring(postgres_manager),
        ReportRows(postgres_manager),
    )
    alone = await backtest(postgres_manager, None, now)
    mine = await measuring.person(ME, now, "7d", None)
    calls = await rows.of_person(ME, window)
    assert held(alone) == kept(mine) == kept(record([one.outcome for one in calls], as_of=now.timestamp()))
    assert alone.tried.tokens == len(first)
    assert alone.tried.known < alone.tried.tokens  # what is not followed or does not count is unknown
    assert alone.base == await rows.base(window) == (await measuring.bases(now))["7d"]
    archive = Archive(tmp_path, FORMATS)
    await Archiving(archive, StoredHistory(postgres_manager), tracked_for=14 * DAY, kept_for=32 * DAY).run(now)
    assert await backtest(postgres_manager, archive, now) == alone


async def test_tokens_that_never_rose_count_while_they_are_open(past: Past, postgres_manager: PostgresManager) -> None:
    rose = [PastCall(at=ago(hours=3), token=n, figures={}, peak=3.0, ended=False) for n in range(5)]
    flat = [PastCall(at=ago(hours=2), token=n, figures={}, followed=True, ended=False) for n in range(5, 20)]
    await past.put([*rose, *flat, PastCall(at=ago(hours=1), token=99, figures={})])
    found = await backtest(postgres_manager, None, datetime.now(UTC))
    assert found.tried.wins is not None
    assert (found.tried.wins.hits, found.tried.wins.n, found.tried.median_multiple) == (5, 20, 1.0)
    assert (found.tried.tokens, found.tried.known) == (21, 20)
    assert [one.multiple for one in found.worst] == [1.0] * 10


async def test_of_calls_that_never_rose_those_that_may_still_rise_are_listed_last_and_marked(
    past: Past, postgres_manager: PostgresManager
) -> None:
    best = [PastCall(at=ago(hours=9), token=n, figures={}, peak=3.0) for n in range(12)]
    new = [PastCall(at=ago(hours=8), token=n, figures={}, followed=True, ended=False) for n in range(12, 24)]
    ended = [PastCall(at=ago(hours=1), token=n, figures={}, followed=True) for n in range(24, 28)]
    await past.put([*best, *new, *ended])
    found = await backtest(postgres_manager, None, datetime.now(UTC))
    assert [(one.multiple, one.is_open) for one in found.best] == [(3.0, False)] * 10
    assert [(one.multiple, one.is_open) for one in found.worst] == [(1.0, False)] * 4 + [(1.0, True)] * 6


async def test_a_correction_reaches_what_is_archived_and_files_of_before_are_replaced(
    past: Past, postgres_manager: PostgresManager, tmp_path: Path
) -> None:
    calls = await past.put(
        [PastCall(at=ago(days=2), token=n, figures={}, followed=True, peak=3.0 if n else None) for n in range(7)]
    )
    day, now = calls[0].called_at.date(), datetime.now(UTC)

    async def of_before():
        yield frame(OUTCOMES, [(calls[0].id, calls[0].token.address, calls[0].called_at, None, None, None)])

    before = Archive(tmp_path, {"calls": FORMATS["calls"], "outcomes": FORMATS["outcomes"] - 1})
    await before.write("outcomes", day, of_before())
    archive = Archive(tmp_path, FORMATS)
    archiving = Archiving(archive, StoredHistory(postgres_manager), tracked_for=DAY / 24, kept_for=32 * DAY)
    await archiving.run(now)
    assert before.days("outcomes") == []

    async def peaks() -> list[float | None]:
        kept = archive.scan("outcomes", day).sort(pl.col("call_id")).collect()
        return kept["peak_multiple"].to_list()

    assert await peaks() == [1.0, *[3.0] * 6]
    await postgres_manager.execute("UPDATE outcomes SET excluded = 'repost' WHERE call_id = $1", calls[1].id)
    await archiving.run(now)
    assert await peaks() == [1.0, *[3.0] * 6]  # nobody has said that anything changed
    assert (await backtest(postgres_manager, archive, now)).tried.known == 6  # what PostgreSQL has now holds
    await postgres_manager.execute(
        "INSERT INTO corrections (call_id, admin_id, corrected_at, action, scale, reason)"
        " VALUES ($1, 1, $2, 'repost', 1, '')",
        *(calls[1].id, now + timedelta(minutes=1)),
    )
    await archiving.run(now)
    assert await peaks() == [1.0, None, *[3.0] * 5]
    assert (await backtest(postgres_manager, archive, now)).tried.known == 6
