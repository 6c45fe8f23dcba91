"""What admins have turned off, paused, blocked, featured or merged, for every process and beyond a restart.

PostgreSQL keeps it. Each process has all of it in memory and reads it anew every two seconds, so what is changed in one
is obeyed in all within that. While PostgreSQL is unavailable nothing is changed, and what was read last is obeyed; a
process that has never read it does as if nothing were turned off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, LiteralString

import msgspec
import structlog

from domain.admins.controls import CONTROLS, TOLD, Control, ControlName, had_to_wait
from domain.calls.lifetimes import FRESH_FOR
from domain.calls.merges import Merges
from managers.storage.postgres import PostgresManager
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError, UserFacingError
from runtime.retry import retry_until_done
from runtime.waiting import Progress, pause

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY_S: Final = 2.0
MAX_STANDING: Final = 1_000
READ_WITHIN_S: Final = 3.0
"""At the start; then the work begins without it."""

_ALL: Final[LiteralString] = """
    SELECT name, subject, reason, main, admin_id, since, until FROM controls
    WHERE until IS NULL OR until > now() - interval '1 day' ORDER BY since, name, subject
"""
_PUT: Final[LiteralString] = """
    INSERT INTO controls (name, subject, reason, admin_id, since) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (name, subject) DO UPDATE SET
        reason = excluded.reason, admin_id = excluded.admin_id, until = NULL,
        since = CASE WHEN controls.until IS NULL THEN controls.since ELSE excluded.since END
    RETURNING name, subject, reason, admin_id, since, until
"""
LIFT: Final[LiteralString] = "UPDATE controls SET until = $3 WHERE name = $1 AND subject = $2 AND until IS NULL"


class Controls:
    def __init__(self, postgres: PostgresManager, clock: Callable[[], datetime], *, feed: str = "") -> None:
        """`feed`: name of the source of calls, while which is paused calls wait."""
        self._postgres = postgres
        self._clock = clock
        self._feed = feed
        self._standing: dict[tuple[str, str], Control] = {}
        self._ended: dict[tuple[str, str], Control] = {}
        """Of the last day."""
        self._merges = Merges()
        self._noted = 0

    @property
    def merges(self) -> Merges:
        return self._merges

    def find(self, name: ControlName, subject: str = "") -> Control | None:
        return self._standing.get((name, subject))

    def stands(self, name: ControlName, subject: str = "") -> bool:
        return (name, subject) in self._standing

    def of(self, name: ControlName) -> frozenset[str]:
        """Return of what it stands."""
        return frozenset(one.subject for one in self._standing.values() if one.name == name)

    def told(self) -> list[Control]:
        """Return what admins are reminded of, the oldest first."""
        return sorted((one for one in self._standing.values() if one.name in TOLD), key=lambda one: one.since)

    def read_only(self) -> str | None:
        """Return why people can change nothing; `None`: they can."""
        found = self.find("read_only")
        return found.reason if found else None

    def is_off(self, feature: str) -> bool:
        return self.stands("feature", feature)

    @property
    def feed_rests(self) -> bool:
        """Whether the feed is not to be read: it is paused, or the bot is drained."""
        return self.stands("drain") or self.stands("source", self._feed)

    @property
    def intake_rests(self) -> bool:
        return self.stands("intake")

    def made_wait(self, called_at: datetime) -> bool:
        """Whether a call is late because it had to wait for what an admin did, within the last day."""
        if not self._standing and not self._ended:
            return False
        return had_to_wait(called_at, self._holds(), FRESH_FOR)

    def _holds(self) -> list[Control]:
        known = (*self._standing.values(), *self._ended.values())
        return [
            one
            for one in known
            if one.name in {"intake", "drain"} or (one.name == "source" and one.subject == self._feed)
        ]

    async def prepare(self) -> None:
        """Read it before any work, if PostgreSQL answers in time."""
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                await self.load()
        except (TransientError, TimeoutError) as error:
            stop_if_cancelled()
            log.warning("controls_not_read", reason=str(error) or "no answer in time")

    async def run(self, progress: Progress) -> None:
        """Read it anew, for ever."""
        while True:
            await retry_until_done(self.load, progress)
            await pause(EVERY_S, progress)

    async def load(self) -> None:
        while True:
            noted = self._noted
            rows = await self._postgres.fetch(_ALL)
            if noted == self._noted:  # what was noted meanwhile may be newer than what was read
                break
        read = [msgspec.convert(dict(row), Control) for row in rows if row["name"] in CONTROLS]
        self._standing = {(one.name, one.subject): one for one in read if one.until is None}
        self._ended = {(one.name, one.subject): one for one in read if one.until is not None}
        self._note_merges()

    async def put(self, name: ControlName, subject: str, reason: str, by: int) -> Control:
        """Let it stand; what stands already keeps its beginning. `TransientError`: nothing was changed."""
        self.require_room(name, subject)
        row = await self._postgres.fetch_row(_PUT, name, subject, reason, by, self._clock())
        if row is None:
            raise TransientError("PostgreSQL kept nothing")
        control = msgspec.convert(dict(row), Control)
        self.note(control)
        log.warning("control_put", name=name, subject=subject, admin_id=by)
        return control

    def require_room(self, name: ControlName, subject: str) -> None:
        """Refuse one more than there may be (`UserFacingError`)."""
        if len(self._standing) >= MAX_STANDING and not self.stands(name, subject):
            raise UserFacingError("running.too_many", limit=MAX_STANDING)

    def note(self, control: Control) -> None:
        """Know of one at once that PostgreSQL has been told of."""
        key = (control.name, control.subject)
        stands, ended = (self._standing, self._ended) if control.until is None else (self._ended, self._standing)
        ended.pop(key, None)
        stands[key] = control
        self._noted += 1
        self._note_merges()

    def _note_merges(self) -> None:
        found = sorted((one for one in self._standing.values() if one.name == "merged"), key=lambda one: one.since)
        self._merges = Merges.of((one.subject, one.main) for one in found)

    async def lift(self, name: ControlName, subject: str, by: int) -> bool:
        """Let it stand no more; `False`: it did not."""
        now = self._clock()
        tag = await self._postgres.execute(LIFT, name, subject, now)
        if found := self.find(name, subject):
            self.note(msgspec.structs.replace(found, until=now))
        log.warning("control_lifted", name=name, subject=subject, admin_id=by)
        return tag != "UPDATE 0"
