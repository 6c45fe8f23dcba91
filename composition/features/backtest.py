"""Filters tried on past calls, and the archive that these are read from."""

from __future__ import annotations

from functools import partial

from bot.jobs import JobSpec
from bot.roles import Role
from composition.feature import Alarm, Base, Feature
from handlers.backtest.screen import BacktestScreen
from handlers.conversation.base import ConversationServices
from runtime.clock import now
from services.backtest.archive_job import ArchiveJob
from services.backtest.backtests import Backtests
from services.backtest.process import Computing
from services.reports.group import ReportServices
from services.running.controls import Controls

CONVERSING: frozenset[Role] = frozenset({"all", "gateway"})
TRIED_WITHIN_S = 300.0
ARCHIVED_WITHIN_S = 6 * 3600.0
"""At the first time there may be two weeks to write."""

BACKTEST = JobSpec(name="backtest", does="tries filters on past calls, one after the other", roles=CONVERSING)
ARCHIVE = JobSpec(name="archive", does="keeps past calls as Parquet files", roles=CONVERSING)
JOBS = (BACKTEST, ARCHIVE)


def build(base: Base) -> Feature:
    connections, settings, conversation = base.connections, base.settings, base.of(ConversationServices)
    directory = None if connections.data_dir is None else connections.data_dir / "archive"
    backtests = Backtests(
        computing=Computing(timeout_s=TRIED_WITHIN_S),
        screen=BacktestScreen(conversation.telegram, base.texts, base.of(ReportServices).drawing),
        archive=directory,
        database_url=connections.database_url,
        clock=now,
        ids_of=partial(_ids_of, base),
    )
    base.metrics.gauge("backtests_waiting", "Backtests in the queue.", lambda: backtests.waiting)
    base.metrics.counter_each("backtests_done", "Backtests that ended.", "how", lambda: {**backtests.done})
    if directory is None:
        return Feature(services=[backtests], jobs=[BACKTEST.run_by(backtests.run)])
    archive = ArchiveJob(
        computing=Computing(timeout_s=ARCHIVED_WITHIN_S),
        directory=directory,
        database_url=connections.database_url,
        tracked_for_days=settings.track_for_days,
        kept_for_days=settings.archive_for_days,
        clock=now,
    )
    return Feature(
        services=[backtests],
        jobs=[BACKTEST.run_by(backtests.run), ARCHIVE.run_by(archive.run)],
        alarms=[Alarm("archive", archive.problem, after_s=0.0)],
    )


def _ids_of(base: Base, channel_id: str) -> tuple[str, ...]:
    return base.of(Controls).merges.ids_of(channel_id)
