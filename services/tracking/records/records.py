"""Records, as the conversation reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.tracking.records import WINDOWS, Rate, Record, Records, Window, shown_base
from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError
from services.tracking.records import statements
from services.tracking.records.measuring import BASE, Bases, Measuring, set_subject
from services.tracking.records.refreshing import read_records

log = structlog.get_logger(__name__)

BEST: Final = 50
"""Calls that `/top` shows."""
BEST_OF_PERSON: Final = 5
_READ: Final = 8 * BEST
"""Rows of which the best are taken: a token is called more than once."""


class BestCall(Struct, frozen=True):
    """A call and the highest multiple that it has reached so far."""

    call_id: str
    token_address: str
    channel: str
    """Attacker-controlled text."""
    symbol: str | None
    """Attacker-controlled text."""
    called_at: datetime
    multiple: float
    at_least: bool
    open: bool


class ChannelStanding(Struct, frozen=True):
    channel_id: str
    title: str | None
    """Attacker-controlled text."""
    record: Record


class ChannelsPage(Struct, frozen=True):
    standings: list[ChannelStanding]
    total: int
    as_of: datetime | None = None
    """When the one among them was counted that was counted longest ago."""


class Performance(Struct, frozen=True):
    record: Record
    best: list[BestCall]


class RecordsService:
    def __init__(self, *, postgres: PostgresManager, measuring: Measuring, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._measuring = measuring
        self._clock = clock

    async def many(self, kind: str, subjects: Sequence[str]) -> dict[str, Records]:
        """Return the records that there are, by subject. `TransientError`."""
        rows = await self._postgres.fetch(statements.GET, kind, list(subjects))
        read = {row["subject"]: read_records(row["document"]) for row in rows}
        bases = await self._bases()
        return {subject: with_bases(records, bases) for subject, records in read.items() if records is not None}

    async def find(self, kind: str, subject: str) -> Records | None:
        """Return one; also `None` where PostgreSQL is unavailable: it is shown beside something else."""
        try:
            return (await self.many(kind, [subject])).get(subject)
        except TransientError as error:
            log.warning("record_unavailable", kind=kind, subject=subject, reason=str(error))
            return None

    async def of_set(self, user_id: int, number: int) -> Records | None:
        return await self.find("set", set_subject(user_id, number))

    async def of_presets(self, keys: Sequence[str]) -> dict[str, Records]:
        """Return what there is; none where PostgreSQL is unavailable."""
        try:
            return await self.many("preset", keys)
        except TransientError as error:
            log.warning("record_unavailable", kind="preset", reason=str(error))
            return {}

    async def as_of(self, kind: str, subject: str, moment: datetime) -> Records | None:
        """Return what was known at some time before `moment`: of a day that had ended, or of the day until then."""
        row = await self._postgres.fetch_row(statements.AS_OF, kind, subject, moment)
        return None if row is None else read_records(row["document"])

    async def base(self, window: Window) -> Rate | None:
        """Return the win rate of all tracked tokens."""
        return (await self._bases()).get(window)

    async def channels(self, window: Window, start: int, limit: int) -> ChannelsPage:
        """Return a page of the channels with a call in the window, the surely best first."""
        rows = await self._postgres.fetch(statements.CHANNELS[window], limit, start)
        bases = await self._bases()
        found = [(row, records) for row in rows if (records := read_records(row["document"])) is not None]
        standings = [
            ChannelStanding(row["subject"], row["title"], with_bases(records, bases).by_window[window])
            for row, records in found
        ]
        as_of = min((records.as_of for _, records in found), default=None)
        return ChannelsPage(standings, rows[0]["total"] if rows else 0, as_of)

    async def best(self, window: Window) -> list[BestCall]:
        """Return the best calls of a window, each token once."""
        rows = await self._postgres.fetch(statements.BEST, self._clock(), WINDOWS[window], _READ)
        by_token: dict[str, BestCall] = {}
        for row in rows:
            by_token.setdefault(row["token_address"], msgspec.convert(dict(row), BestCall))
        return list(by_token.values())[:BEST]

    async def performance(self, user_id: int, window: Window) -> Performance:
        """Say what became of what somebody was told, as it stands now."""
        now, length = self._clock(), WINDOWS[window]
        record = await self._measuring.person(user_id, now, window, await self.base(window))
        rows = await self._postgres.fetch(statements.BEST_OF_PERSON, now, length, user_id, BEST_OF_PERSON)
        return Performance(record, [msgspec.convert(dict(row), BestCall) for row in rows])

    async def _bases(self) -> Bases:
        """Return the win rate of all tracked tokens in each window, as they were counted last."""
        row = await self._postgres.fetch_row(statements.GET, BASE, [""])
        records = None if row is None else read_records(row["document"])
        return {} if records is None else {name: one.wins for name, one in records.by_window.items()}


def with_bases(records: Records, bases: Bases) -> Records:
    """Put beside each rate what all tokens reach now: a record is older where nothing of it has changed."""
    by_window = {
        window: one if one.wins is None else replace(one, base_percent=shown_base(bases.get(window)))
        for window, one in records.by_window.items()
    }
    return replace(records, by_window=by_window)
