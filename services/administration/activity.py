"""What people did and when: noted in memory, written in batches. Never on the way of an answer, never worth a retry."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, LiteralString

import structlog
from msgspec import Struct

from managers.storage.postgres import PostgresDataError, PostgresManager
from runtime.errors import TransientError
from runtime.waiting import Progress, pause
from services.stores.journal_rows import storable_text

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY_S: Final = 2.0
MAX_WAITING: Final = 20_000
"""Beyond it the oldest is forgotten, and counted."""
_BATCH: Final = 1_000
_MAX_UTF16: Final = 64

# Whoever was deleted since is not written down again.
_WRITE: Final[LiteralString] = """
    INSERT INTO activity (user_id, at, what, detail)
    SELECT x.user_id, x.at, x.what, x.detail
    FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[]) AS x (user_id, at, what, detail)
    WHERE NOT EXISTS (SELECT 1 FROM erasures e WHERE e.user_id = x.user_id AND e.erased_at >= x.at)
"""
_SEEN: Final[LiteralString] = """
    INSERT INTO seen (user_id, username, at)
    SELECT x.user_id, x.username, x.at
    FROM unnest($1::bigint[], $2::timestamptz[], $3::text[]) AS x (user_id, at, username)
    WHERE NOT EXISTS (SELECT 1 FROM erasures e WHERE e.user_id = x.user_id AND e.erased_at >= x.at)
    ON CONFLICT (user_id) DO UPDATE SET username = excluded.username, at = excluded.at WHERE seen.at < excluded.at
"""


class Activity(Struct, frozen=True):
    user_id: int
    at: datetime
    what: str
    """`/command`, `tap`, or `answer` to a question."""
    detail: str
    """What the button carried, or the kind of question; never what somebody typed."""
    username: str = ""
    """Theirs at that time, without `@`."""


class ActivityService:
    def __init__(self, postgres: PostgresManager, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._clock = clock
        self._waiting: deque[Activity] = deque(maxlen=MAX_WAITING)
        self.forgotten = 0
        """What could not be written down."""

    def note(self, user_id: int, what: str, detail: str = "", username: str = "") -> None:
        """Remember it for the next batch."""
        if len(self._waiting) == MAX_WAITING:
            self.forgotten += 1
        self._waiting.append(Activity(user_id, self._clock(), what, storable_text(detail)[:_MAX_UTF16], username))

    async def run(self, progress: Progress) -> None:
        """Write what was noted, for ever."""
        while True:
            progress()
            await self.write()
            await pause(EVERY_S, progress)

    async def write(self) -> None:
        """Write what was noted; what cannot be written now waits for the next time."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                await self._store(batch)
            except PostgresDataError as error:
                self.forgotten += len(batch)
                log.warning("activity_refused", count=len(batch), reason=str(error))
            except TransientError as error:
                room = MAX_WAITING - len(self._waiting)
                self.forgotten += max(0, len(batch) - room)
                self._waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))
                log.warning("activity_waits", count=len(self._waiting), reason=str(error))
                return

    async def _store(self, batch: Sequence[Activity]) -> None:
        latest = list({one.user_id: one for one in batch}.values())
        ids, times = [one.user_id for one in batch], [one.at for one in batch]
        async with self._postgres.transaction() as statements:
            await statements.execute(_WRITE, ids, times, [one.what for one in batch], [one.detail for one in batch])
            whose = ([one.user_id for one in latest], [one.at for one in latest], [one.username for one in latest])
            await statements.execute(_SEEN, *whose)
