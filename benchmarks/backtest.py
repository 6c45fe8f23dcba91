"""A filter set tried on a month of 1,000 calls a minute, in the process that does it: one core, lowest priority.

The archive is made for it, with every column of a call and what became of each, and deleted afterwards. What is tried
has rules on figures, on channels and on words, and is compared with two sets that are on. "Every call passes" has no
rule: what is accepted then is every token. The process starts, reads, replays, looks up what became of the calls, and
answers.

Reading row by row is what a backtest does without an archive: PostgreSQL's documents are decoded and held against the
same set by the plain predicate, in a sample.

Last, the bot gets calls as in `path`, in a short form, without a backtest and with one after the other on its own core.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import msgspec
import numpy as np
import psutil
import uvloop
from msgspec import Struct

from benchmarks import path
from benchmarks.kit.bot import running_bot
from benchmarks.kit.outside import Outside, outside
from benchmarks.kit.past import PastMonth
from benchmarks.kit.report import Row, at_most, for_comparison
from benchmarks.kit.traffic import Mix, Traffic, filter_sets
from benchmarks.kit.witness import witness
from domain.backtest.results import BacktestRequest, BacktestResult, Performance
from domain.calls.events import Call
from domain.filters.explanation import explain
from domain.filters.registry import Choice, FilterSet, Range, Words
from embedded.postgres import EmbeddedPostgres
from managers.storage.postgres import PostgresManager
from migrations import migrate
from services.backtest.process import CHILD, Computing

WITHIN_S = 60.0
CORES = path.CORES
_PUT: LiteralString = """
    INSERT INTO calls (call_id, token_address, channel_id, called_at, received_at, document, decided_at, reason,
        checked_channels) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, 'first_check', '{}') ON CONFLICT DO NOTHING
"""
_READ: LiteralString = "SELECT document FROM calls ORDER BY decided_at, number"

UNTIL = datetime(2026, 11, 30, tzinfo=UTC)
TIMEOUT_S = 900.0
POLL_EVERY_S = 0.05
MIB = 1 << 20

TRIED = FilterSet(
    user_id=1,
    number=1,
    name="",
    rules={
        "market_cap_usd": Range(50.0, 200.0),
        "holders": Range(50.0, missing="wait", wait_minutes=10),
        "liquidity_usd": Range(2_000.0),
        "channel": Choice(frozenset(f"@channel_{number}" for number in range(20))),
        "message_words": Words(("moon", "gem"), ("rug", "presale")),
        "name_words": Words((), ("test",), missing="pass"),
    },
)
ACTIVE = (
    FilterSet(user_id=1, number=2, name="", rules={"market_cap_usd": Range(1.0, 15.0), "mint_revoked": Range(1.0)}),
    FilterSet(user_id=1, number=3, name="", rules={"channel_win_rate": Range(97.0), "volume_1h_usd": Range(1e6)}),
)
EVERY_CALL = FilterSet(user_id=1, number=1, name="", rules={})
STEADY = path.Load(
    sets=20_000,
    calls_per_s=500,
    warm_s=5,
    seconds=30,
    mix=Mix(interest=0.0002, new_share=path.NEW_SHARE, followed_share=0.012, followers=path.FOLLOWERS),
    peer_calls=1,
)
QUICK_STEADY = path.Load(sets=1_000, calls_per_s=200, warm_s=1, seconds=3, mix=STEADY.mix, peer_calls=1)


class Size(Struct, frozen=True, kw_only=True):
    days: int
    calls_a_day: int
    sample: int
    """Rows that are read from PostgreSQL."""
    load: path.Load

    @property
    def calls(self) -> int:
        return self.days * self.calls_a_day


FULL = Size(days=30, calls_a_day=1_434_000, sample=50_000, load=STEADY)
QUICK = Size(days=5, calls_a_day=20_000, sample=2_000, load=QUICK_STEADY)


class Measured(Struct, frozen=True, kw_only=True):
    seconds: float
    cpu_s: float
    memory_mib: float
    result: BacktestResult


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="five small days, to see that it works")
    parser.add_argument("--part", choices=("archive", "bot"), help="only one of the two")


def run(arguments: argparse.Namespace) -> list[Row]:
    size = QUICK if arguments.quick else FULL
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(size, arguments.part))


async def _measure(size: Size, part: str | None) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bot-backtest-") as name:
        directory = Path(name)
        started = time.perf_counter()
        sys.stderr.write(f"{size.calls:,} calls are archived …\n")
        month = PastMonth(directory / "archive", days=size.days, calls_a_day=size.calls_a_day, until=UNTIL)
        await month.write()
        made_s = time.perf_counter() - started
        async with EmbeddedPostgres(directory / "postgres") as postgres:
            await migrate(postgres.dsn)
            asked = Asked(directory / "archive", postgres.dsn, size)
            if part != "bot":
                rows += await _archive(size, asked, directory, made_s)
                rows += await _row_by_row(size, postgres.dsn, rows[0].value)
            if part != "archive":
                rows += await _beside_the_bot(size, asked)
    return rows


class Asked:
    """What is asked of the process that computes."""

    def __init__(self, archive: Path, database_url: str, size: Size) -> None:
        self._archive = archive
        self._database_url = database_url
        self._size = size

    async def measured(self, tried: FilterSet, active: Sequence[FilterSet] = ()) -> Measured:
        """Ask; what computes has one core."""
        request = BacktestRequest(
            archive=str(self._archive),
            database_url=self._database_url,
            since=UNTIL - timedelta(days=self._size.days),
            until=UNTIL,
            tried=tried,
            active=tuple(active),
        )
        started = time.perf_counter()
        answering = asyncio.ensure_future(Computing(timeout_s=TIMEOUT_S).ask(request))
        memory_mib = cpu_s = 0.0
        try:
            while not answering.done():
                await asyncio.wait([answering], timeout=POLL_EVERY_S)
                for process in _computing():
                    process.cpu_affinity(CORES[:1])
                    memory_mib = max(memory_mib, process.memory_info().rss / MIB)
                    cpu_s = max(cpu_s, sum(process.cpu_times()[:2]))
        finally:
            answering.cancel()
            await asyncio.wait([answering])
        result = answering.result()
        if not isinstance(result, BacktestResult):
            raise TypeError("the process answered something else")
        return Measured(seconds=time.perf_counter() - started, cpu_s=cpu_s, memory_mib=memory_mib, result=result)


def _computing() -> list[psutil.Process]:
    """The process that computes, if it lives."""
    found: list[psutil.Process] = []
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if CHILD[-1] in process.cmdline():
                found.append(process)
    return found


async def _archive(size: Size, asked: Asked, directory: Path, made_s: float) -> list[Row]:
    typical = await asked.measured(TRIED, ACTIVE)
    every = await asked.measured(EVERY_CALL)
    files = sum(file.stat().st_size for file in (directory / "archive").rglob("*.parquet"))
    name = f"{size.calls:,} calls"
    return [
        at_most(f"{name}: from asking to the answer", typical.seconds, "s", WITHIN_S),
        for_comparison(f"{name}: time of the processor", typical.cpu_s, "s"),
        for_comparison(f"{name}: most memory of the process", typical.memory_mib, "MiB"),
        for_comparison(f"{name}: calls looked at", typical.result.calls, ""),
        for_comparison(f"{name}: alerts of the set that is tried", typical.result.tried.alerts, ""),
        for_comparison(f"{name}: alerts of the sets that are on", _alerts(typical.result.active), ""),
        for_comparison(f"{name}, every call passes: from asking to the answer", every.seconds, "s"),
        for_comparison(f"{name}, every call passes: most memory of the process", every.memory_mib, "MiB"),
        for_comparison(f"{name}, every call passes: alerts", every.result.tried.alerts, ""),
        for_comparison(f"{name}: size of the archive", files / MIB, "MiB"),
        for_comparison(f"{name}: making the archive", made_s, "s"),
    ]


def _alerts(active: Performance | None) -> int:
    return 0 if active is None else active.alerts


async def _row_by_row(size: Size, dsn: str, archive_s: float) -> list[Row]:
    """The same set held against calls as PostgreSQL has them."""
    traffic = Traffic(size.load.mix)
    at = [UNTIL - timedelta(days=40) + timedelta(milliseconds=number) for number in range(size.sample)]
    calls = [traffic.next_call(moment) for moment in at]
    rows = [
        (one.id, one.token.address, one.channel.id, moment, moment, msgspec.json.encode(one).decode(), moment)
        for one, moment in zip(calls, at, strict=True)
    ]
    decode = msgspec.json.Decoder(Call).decode
    async with PostgresManager(dsn, min_connections=1, max_connections=1) as postgres:
        await postgres.execute_many(_PUT, rows)
        started, read = time.perf_counter(), 0
        async for batch in postgres.stream(_READ):
            for row in batch:
                explain(TRIED, decode(row["document"]))
            read += len(batch)
        us_per_row = (time.perf_counter() - started) / read * 1e6
    us_per_archived = archive_s / size.calls * 1e6
    return [
        for_comparison("a call from the archive", us_per_archived, "µs"),
        for_comparison(f"a call from PostgreSQL, of {read:,}", us_per_row, "µs"),
        for_comparison("row by row against the archive", us_per_row / us_per_archived, "x"),
    ]


async def _beside_the_bot(size: Size, asked: Asked) -> list[Row]:
    """How long calls take to be decided, without a backtest and with one after the other."""
    load = size.load
    sys.stderr.write(f"{load.name} …\n")
    os.sched_setaffinity(0, CORES[1:] or CORES)  # whoever is started from here on inherits it
    try:
        async with outside(list(filter_sets(load.sets, load.mix.followers)), load.mix) as around:
            settings = await around.settings()
            async with running_bot(around.directory / "bot", seconds=TIMEOUT_S, **settings) as bot:
                bot.keep_to(CORES[0])
                preparing = asyncio.create_task(
                    around.feed.ask("prepare", load.calls_per_s * (load.warm_s + 2 * load.seconds))
                )
                await bot.wait_for("Loaded after")
                bot.ignore_output()
                await preparing
                await around.feed.ask("play", load.calls_per_s, load.calls_per_s * load.warm_s)
                alone, _ = await _decided(around, load)
                beside, backtests = await _decided(around, load, asked)
    finally:
        os.sched_setaffinity(0, CORES)
    return [
        for_comparison(f"{load.name}: p50 of frame sent → decided, without a backtest", alone[0], "ms"),
        for_comparison(f"{load.name}: p99 of frame sent → decided, without a backtest", alone[1], "ms"),
        for_comparison(f"{load.name}: p50 of frame sent → decided, beside backtests", beside[0], "ms"),
        for_comparison(f"{load.name}: p99 of frame sent → decided, beside backtests", beside[1], "ms"),
        for_comparison(f"{load.name}: backtests that were computed meanwhile", backtests, ""),
    ]


async def _decided(around: Outside, load: path.Load, asked: Asked | None = None) -> tuple[tuple[float, float], float]:
    """The percentiles in ms; and how many backtests were done, the last one in part."""
    with witness(around.redis_url) as watching:
        began, done = datetime.now(UTC), 0.0
        playing = asyncio.create_task(around.feed.ask("play", load.calls_per_s, load.calls_per_s * load.seconds))
        while asked is not None and not playing.done():
            computing = asyncio.create_task(asked.measured(TRIED, ACTIVE))
            await asyncio.wait([playing, computing], return_when=asyncio.FIRST_COMPLETED)
            done += computing.done()
            computing.cancel()
            await asyncio.wait([computing])
        await playing
        await asyncio.sleep(path.SETTLED_AFTER_S)
    ways = [
        (decided.decided_at - decided.call.called_at).total_seconds() * 1000 for decided, _ in watching.decided(began)
    ]
    p50, p99 = np.percentile(np.array(ways), [50, 99]).tolist()
    return (p50, p99), done
