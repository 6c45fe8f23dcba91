"""Own servers that may be broken, the size of the scenarios, and the table of what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.conftest import is_full
from tests.faults.channels import table as channels_table
from tests.faults.ledger import Counts, judge
from tests.faults.payments import table
from tests.faults.reliability import (
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
    paid = [msgspec.json.decode(value, type=table.PaymentRow) for value in _said(reports, table.PROPERTY)]
    tracked = [
        msgspec.json.decode(value, type=tracking_table.TrackingRow) for value in _said(reports, tracking_table.PROPERTY)
    ]
    reported = [
        msgspec.json.decode(value, type=reports_table.ReportRow) for value in _said(reports, reports_table.PROPERTY)
    ]
    read = [
        msgspec.json.decode(value, type=channels_table.ChannelRow) for value in _said(reports, channels_table.PROPERTY)
    ]
    for row in sorted([*rows, *paid, *tracked, *reported, *read], key=lambda row: row.what):
        terminalreporter.write_line(row.line)
    path: Path | None = config.getoption("--reliability-table", default=None)
    if path is None:
        return
    failed, full = sorted({r.nodeid for r in reports if r.failed}), is_full(config)
    of_payments = [name for name in failed if "faults/payments/" in name]
    of_tracking = [name for name in failed if "faults/tracking/" in name]
    of_reports = [name for name in failed if "faults/reports/" in name]
    of_channels = [name for name in failed if "faults/channels/" in name]
    others = [name for name in failed if name not in {*of_payments, *of_tracking, *of_reports, *of_channels}]
    if rows or others:
        write_section(path, FAULTS, faults_section(rows, others, is_full=full))
    if paid or of_payments:
        said = table.payments_section(paid, of_payments, made_by("`make faults`" if full else SHORT_FORM))
        write_section(path, PAYMENTS, said)
    if tracked or of_tracking:
        _write_tracking(path, tracked, of_tracking, made_by("`make faults`" if full else SHORT_FORM), config.args)
    if reported or of_reports:
        said = reports_table.reports_section(reported, of_reports, made_by("`make faults`" if full else SHORT_FORM))
        write_section(path, REPORTS, said)
    if read or of_channels:
        before = "" if _is_whole(config.args) else section(path, CHANNELS)
        made = made_by("`make faults`" if full else SHORT_FORM)
        write_section(path, CHANNELS, channels_table.channels_section(read, of_channels, made, before=before))


def _is_whole(asked: Sequence[str]) -> bool:
    """Whether all fault scenarios were asked for."""
    return any(Path(one).resolve() == Path(__file__).parent for one in asked)


def _write_tracking(
    path: Path,
    rows: Sequence[tracking_table.TrackingRow],
    failed: Sequence[str],
    made_by: str,
    asked: Sequence[str],
) -> None:
    """Rows of scenarios that were not asked for stay."""
    before = "" if _is_whole(asked) else section(path, TRACKING)
    write_section(path, TRACKING, tracking_table.tracking_section(rows, failed, made_by, before=before))


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
