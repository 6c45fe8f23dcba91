"""Channels, a listener of them, and what came of it in the table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.channels.outside import Outside
from tests.faults.channels.books import ChannelCounts, FigureCounts, judge
from tests.faults.channels.listening import Listening
from tests.faults.channels.table import PROPERTY, ChannelRow
from tests.faults.market import Workload
from tests.faults.process import FaultClock
from tests.faults.servers import BreakablePostgres, BreakableRedis
from tests.faults.stage import Size, Stage

ChannelVerdict = Callable[..., None]
SEED = 19


class Ahead:
    """A clock that bot and channels share, and that may be put forward."""

    def __init__(self, directory: Path) -> None:
        self._file = FaultClock(directory)
        self.path = str(self._file.path)
        self.s = 0.0

    def step(self, to_s: float) -> None:
        self.s = to_s
        self._file.step(to_s)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.s)


@pytest.fixture
def ahead(tmp_path: Path) -> Ahead:
    return Ahead(tmp_path)


@pytest.fixture
async def stage(size: Size, fault_servers: tuple[BreakableRedis, BreakablePostgres]) -> AsyncIterator[Stage]:
    """Without calls of its own."""
    redis, postgres = fault_servers
    nobody = Workload(seed=1, users=0, calls=0)
    async with Stage(size=size, seed=SEED, redis=redis, postgres=postgres, workload=nobody) as stage:
        yield stage


@pytest.fixture
async def listening(stage: Stage, ahead: Ahead) -> AsyncIterator[Listening]:
    async with Outside(SEED, clock=ahead.now) as outside, Listening(stage, outside) as listening:
        yield listening


@pytest.fixture
def verdict(request: pytest.FixtureRequest, listening: Listening) -> ChannelVerdict:
    """Say what was broken, print what came of it, and fail if anything of it is not so."""

    def give(what: str, counts: ChannelCounts, figures: FigureCounts | None = None) -> None:
        row = ChannelRow(what=what, counts=counts, figures=figures)
        request.node.user_properties.append((PROPERTY, msgspec.json.encode(row).decode()))
        print(row.line)  # noqa: T201 - the counts
        judge(row.counts)
        assert not listening.stage.complaints, "\n".join([row.line, *listening.stage.complaints])

    return give
