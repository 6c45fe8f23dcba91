"""People who read reports, a clock that runs fast, and what came of it in the table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tests.faults.market import Workload
from tests.faults.reports.evenings import Evenings, ReportCounts, begins_at, judge
from tests.faults.reports.table import PROPERTY, ReportRow
from tests.faults.servers import BreakablePostgres, BreakableRedis
from tests.faults.stage import Size, Stage
from tests.faults.tracking.fast_clock import FastClock

ReportVerdict = Callable[..., None]
RATE = 240_000.0
"""An hour takes 15 ms; where something is due, the clock stands until it has come."""


@pytest.fixture
def clock(tmp_path: Path) -> FastClock:
    return FastClock(tmp_path / "clock", rate=RATE, began=begins_at(datetime.now(UTC)))


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
async def evenings(stage: Stage, clock: FastClock) -> Evenings:
    evenings = Evenings(stage, clock)
    await evenings.enrol()
    return evenings


@pytest.fixture
def verdict(request: pytest.FixtureRequest, evenings: Evenings) -> ReportVerdict:
    """Say what was broken, print what came of it, and fail if anything of it is not so."""

    def give(what: str, counts: ReportCounts, *, repeats: int = 0) -> None:
        row = ReportRow(what=what, counts=counts, repeats=repeats)
        request.node.user_properties.append((PROPERTY, msgspec.json.encode(row).decode()))
        print("\n".join([row.line, *evenings.complaints]))  # noqa: T201 - the counts
        judge(counts, repeats=repeats)
        complaints = [*evenings.complaints, *evenings.stage.complaints]
        assert not complaints, "\n".join([counts.line(), *complaints])

    return give
