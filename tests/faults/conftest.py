"""Own servers that may be broken, the size of the scenarios, and the table of what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.conftest import is_full
from tests.faults.broadcasts import table as broadcasts_table
from tests.faults.channels import table as channels_table
from tests.faults.ledger import Counts, judge
from tests.faults.payments import table as payments_table
from tests.faults.reliability import (
    BROADCASTS,
    CHANNELS,
    FAULTS,
    PAYMENTS,
    REPORTS,
    SHORT_FORM,
    TRACKING,
    Row,
    faults_section,
    made_by,
    section,
    write_section,
)
from tests.faults.reports import table as reports_table
from tests.faults.servers import BreakablePostgres, BreakableRedis
from tests.faults.stage import FULL, SHORT, Size, Stage
from tests.faults.tracking import table as tracking_table

Verdict = Callable[..., None]
PROPERTY = "reliability"
SHORT_TIMEOUT_S, FULL_TIMEOUT_S = 120, 900


class Table(NamedTuple):
    """A section of the page beside `FAULTS`, of the scenarios in one room."""

    section: str
    room: str
    property: str
    row: Any
    make: Callable[[Any, list[str], str, str], str]
    """From rows, failed tests, what made them, and the section as it stood, where only some scenarios were played."""

    def rows(self, reports: Sequence[pytest.TestReport]) -> list[Any]:
        return [msgspec.json.decode(value, type=self.row) for value in _said(reports, self.property)]


TABLES = (
    Table(
        PAYMENTS,
        "payments",
        payments_table.PROPERTY,
        payments_table.PaymentRow,
        payments_table.payments_section,
    ),
    Table(
        TRACKING,
        "tracking",
        tracking_table.PROPERTY,
        tracking_table.TrackingRow,
        tracking_table.tracking_section,
    ),
    Table(
        REPORTS,
        "reports",
        reports_table.PROPERTY,
        reports_table.ReportRow,
        reports_table.reports_section,
    ),
    Table(
        CHANNELS,
        "channels",
        channels_table.PROPERTY,
        channels_table.ChannelRow,
        channels_table.channels_section,
    ),
    Table(
        BROADCASTS,
        "broadcasts",
        broadcasts_table.PROPERTY,
        broadcasts_table.BroadcastRow,
        broadcasts_table.broadcasts_section,
    ),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--reliability-table", type=Path, help="write what came of the fault scenarios into this page")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    timeout_s = FULL_TIMEOUT_S if is_full(config) else SHORT_TIMEOUT_S
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(timeout_s))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = [r for reports in terminalreporter.stats.values() for r in reports if isinstance(r, pytest.TestReport)]
    rows = [msgspec.json.decode(value, type=Row) for value in _said(reports, PROPERTY)]
    of_tables = {one.section: one.rows(reports) for one in TABLES}
    for row in sorted([*rows, *itertools.chain(*of_tables.values())], key=lambda row: row.what):
        terminalreporter.write_line(row.line)
    path: Path | None = config.getoption("--reliability-table", default=None)
    if path is None:
        return
    failed, made = sorted({r.nodeid for r in reports if r.failed}), "`make faults`" if is_full(config) else SHORT_FORM
    others = failed
    for one in TABLES:
        mine = [name for name in failed if f"faults/{one.room}/" in name]
        others = [name for name in others if name not in mine]
        if of_tables[one.section] or mine:
            before = "" if _is_whole(config.args) else section(path, one.section)
            write_section(path, one.section, one.make(of_tables[one.section], mine, made_by(made), before))
    if rows or others:
        write_section(path, FAULTS, faults_section(rows, others, is_full=is_full(config)))


def _is_whole(asked: Sequence[str]) -> bool:
    """Whether all fault scenarios were asked for."""
    return any(Path(one).resolve() == Path(__file__).parent for one in asked)


def _said(reports: Sequence[pytest.TestReport], name: str) -> set[str]:
    return {str(value) for report in reports for key, value in report.user_properties if key == name}


@pytest.fixture(scope="session")
def size(request: pytest.FixtureRequest) -> Size:
    return FULL if is_full(request.config) else SHORT


@pytest.fixture(scope="session")
def fault_servers() -> Iterator[tuple[BreakableRedis, BreakablePostgres]]:
    """Up until the session ends, whatever tests do to them."""
    directory = Path(tempfile.mkdtemp(prefix="bot-faults-"))
    redis, postgres = BreakableRedis(directory / "redis"), BreakablePostgres(directory / "postgres")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        for server in (redis, postgres):
            stack.callback(server.stop)
            server.start()
        asyncio.run(postgres.make_template())
        yield redis, postgres


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest,
    size: Size,
    fault_servers: tuple[BreakableRedis, BreakablePostgres],
) -> AsyncIterator[Stage]:
    redis, postgres = fault_servers
    seed = zlib.crc32(request.node.name.encode())
    async with Stage(size=size, seed=seed, redis=redis, postgres=postgres) as stage:
        yield stage


@pytest.fixture
def verdict(request: pytest.FixtureRequest, stage: Stage) -> Verdict:
    """Say what was broken, print what came of it, and fail if anything was lost or came twice."""

    def give(what: str, counts: Counts, *, repeats: int = 0) -> None:
        row = Row(what=what, counts=counts, repeats=repeats)
        request.node.user_properties.append((PROPERTY, msgspec.json.encode(row).decode()))
        print(row.line)  # noqa: T201 - the counts
        judge(counts, repeats=repeats)
        assert not stage.complaints, "\n".join([counts.line(), *stage.complaints])

    return give
