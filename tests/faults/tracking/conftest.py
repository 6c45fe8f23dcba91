"""An exchange with a market on it, and what came of it in the table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from tests.faults.market import Workload
from tests.faults.servers import BreakablePostgres, BreakableRedis
from tests.faults.stage import Size, Stage
from tests.faults.tracking.books import TrackingCounts, judge
from tests.faults.tracking.exchange import Exchange
from tests.faults.tracking.fast_clock import FastClock
from tests.faults.tracking.lives import Span, draw_lives
from tests.faults.tracking.table import PROPERTY, TrackingRow

TrackingVerdict = Callable[..., None]
RATE = 60_000.0
"""A month would take less than a minute, if the bot had nothing to do in it."""
SEED = 15


@pytest.fixture
def clock(tmp_path: Path) -> FastClock:
    return FastClock(tmp_path / "clock", rate=RATE)


@pytest.fixture
async def stage(
    size: Size, clock: FastClock, fault_servers: tuple[BreakableRedis, BreakablePostgres]
) -> AsyncIterator[Stage]:
    """Without calls of its own."""
    redis, postgres = fault_servers
    nobody = Workload(seed=1, users=0, calls=0)
    async with Stage(size=size, seed=1, redis=redis, postgres=postgres, workload=nobody, clock=clock.now) as stage:
        yield stage


@pytest.fixture
async def exchange(request: pytest.FixtureRequest, stage: Stage, clock: FastClock) -> AsyncIterator[Exchange]:
    """`@pytest.mark.parametrize("exchange", [span], indirect=True)` says how much happens."""
    span: Span = request.param
    async with Exchange(stage, clock, draw_lives(span, seed=SEED), span) as exchange:
        yield exchange


@pytest.fixture
def verdict(request: pytest.FixtureRequest, exchange: Exchange) -> TrackingVerdict:
    """Say what was broken, print what came of it, and fail if anything of it is not so."""

    def give(what: str, counts: TrackingCounts, *, repeats: int = 0) -> None:
        row = TrackingRow(what=what, counts=counts, repeats=repeats)
        request.node.user_properties.append((PROPERTY, msgspec.json.encode(row).decode()))
        print("\n".join([row.line, *exchange.books.complaints]))  # noqa: T201 - the counts
        judge(counts, repeats=repeats)
        assert not exchange.stage.complaints, "\n".join([counts.line(), *exchange.stage.complaints])

    return give
