"""Keeps records up to date: those alone of which something has changed, one after the other, in PostgreSQL.

What has to be computed is a column there, so nothing of it is forgotten in between; whatever is done again changes
nothing. While rounds are short a record is less than a minute behind, at most `RECORD_EVERY` where there are many, and
what is kept of each day stays as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from domain.tracking.records import Records
from managers.storage.postgres import PostgresManager
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.waiting import Progress, pause
from services.tracking.records import statements
from services.tracking.records.channel_info import ChannelInfo
from services.tracking.records.measuring import BASE, Bases, Measuring
from services.tracking.records.reachable import reachable_of

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 15.0
RECORD_EVERY: Final = timedelta(minutes=5)
SOONEST: Final = timedelta(seconds=30)
"""However often something of it changes, a record is computed no more often."""
SHORT_S: Final = 0.5
LONG_S: Final = 3 * SHORT_S
"""A tenth of the time between two looks."""
BASE_EVERY: Final = timedelta(minutes=15)
"""The base rate takes all tracked tokens; where they are fewer than `_MANY` it is computed each time."""
_MANY: Final = 10_000
_RETRY_S: Final = 5.0
_POSTPONED_FOR: Final = timedelta(minutes=15)
_PAGE: Final = 1_000
_AT_ONCE: Final = 100
_OVERLAP: Final = timedelta(minutes=1)


class RecordsRefresh:
    def __init__(
        self, *, postgres: PostgresManager, measuring: Measuring, channels: ChannelInfo, clock: Callable[[], datetime]
    ) -> None:
        self._postgres = postgres
        self._measuring = measuring
        self._channels = channels
        self._clock = clock
        self._bases: Bases = {}
        self._bases_at: datetime | None = None
        self.computed = 0
        """Records since the start."""
        self.took_s = 0.0
        """The last round."""
        self.every = SOONEST
        """A record that changes is computed so often."""

    async def run(self, progress: Progress) -> None:
        """Refresh for ever."""
        while True:
            stop_if_cancelled()
            progress()
            try:
                await self.refresh(progress)
            except TransientError as error:
                stop_if_cancelled()
                log.warning("records_delayed", reason=str(error))
                await pause(_RETRY_S, progress)
            await pause(LOOK_EVERY_S, progress)

    async def refresh(self, progress: Progress = lambda: None) -> int:
        """Compute what is due; returns how many records."""
        begun, now = time.monotonic(), self._clock()
        await self._take_claims(now, progress)
        await self._reach(progress)
        await self._postgres.fetch_row(statements.MARK_CHANGED, now, self.every, _OVERLAP)
        computed = 0
        while due := await self._postgres.fetch(statements.DUE, now, _AT_ONCE):
            await self._compute_base(now)
            for row in due:
                progress()
                await self._compute_or_postpone(row["kind"], row["subject"], now)
            computed += len(due)
        self.computed += computed
        self.took_s = time.monotonic() - begun
        self.every = paced(self.every, self.took_s)
        return computed

    async def _compute_or_postpone(self, kind: str, subject: str, now: datetime) -> None:
        """One that takes too long costs itself: the others have their turn."""
        try:
            await self._compute(kind, subject, now)
        except TransientError as error:
            stop_if_cancelled()
            log.warning("record_postponed", kind=kind, subject=subject, reason=str(error))
            await self._postgres.execute(statements.POSTPONE, kind, subject, now + _POSTPONED_FOR)

    async def _compute_base(self, now: datetime) -> None:
        known = self._bases.get("life")
        if self._bases_at is None or (
            self._bases_at != now and (known is None or known.n < _MANY or now - self._bases_at >= BASE_EVERY)
        ):
            await self._compute(BASE, "", now)
            self._bases, self._bases_at = await self._measuring.bases(now), now

    async def recompute(self, subjects: list[tuple[str, str]]) -> None:
        """Compute these at once."""
        now = self._clock()
        bases = await self._measuring.bases(now)
        for kind, subject in subjects:
            await self._compute(kind, subject, now, bases)

    async def _compute(self, kind: str, subject: str, as_of: datetime, bases: Bases | None = None) -> None:
        measured = await self._measuring.measure(kind, subject, as_of, self._bases if bases is None else bases)
        due_at = None if measured.due_at is None else max(measured.due_at, as_of + self.every)
        document = msgspec.json.encode(measured.records).decode()
        if kind == "channel":  # first: what is not there stays due
            await self._channels.put(subject, measured.records)
        await self._postgres.execute(statements.PUT, kind, subject, due_at, as_of, document)

    async def _reach(self, progress: Progress) -> None:
        """Compute what could be had of the calls that have changed."""
        async for rows in self._postgres.stream(statements.ENTERED, _OVERLAP, batch=_PAGE):
            progress()
            found = {row["number"]: reachable for row in rows if (reachable := reachable_of(row)) is not None}
            if found:
                await self._postgres.execute(statements.REACHABLE, list(found), list(found.values()))

    async def _take_claims(self, now: datetime, progress: Progress) -> None:
        """Learn what presets and filter sets let through, before it is forgotten."""
        while True:
            progress()
            row = await self._postgres.fetch_row(statements.TAKE_CLAIMS, _PAGE, now, self.every)
            if row is None or row["claims"] < _PAGE:
                return


def paced(every: timedelta, took_s: float) -> timedelta:
    """How often a record is computed from now on: less often after a long round, more often after a short one."""
    if took_s > LONG_S:
        return min(2 * every, RECORD_EVERY)
    return max(every / 2, SOONEST) if took_s < SHORT_S else every


def read_records(document: str) -> Records | None:
    """Read a record as it was stored; `None`: by another version, and it is computed anew when something changes."""
    try:
        return msgspec.json.decode(document, type=Records)
    except msgspec.MsgspecError as error:
        log.warning("record_unreadable", reason=str(error))
        return None
