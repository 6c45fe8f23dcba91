"""Broadcasts in PostgreSQL: what stands in a row, and how it changes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, cast

import msgspec
from msgspec import Struct

from domain.broadcasts.segments import Audience, audience_of
from domain.payments.entitlements import GRACE
from managers.storage.postgres import PostgresManager, Row
from services.broadcasts import statements
from texts.markup import Html

State = Literal["draft", "scheduled", "running", "paused", "cancelled", "done"]
_STATES: Final[Mapping[str, State]] = {
    one: one for one in ("draft", "scheduled", "running", "paused", "cancelled", "done")
}
_LANGUAGES: Final = 12
_NOBODY: Final = Audience("language", "?")
"""Where a row says what this version does not know."""


class Counts(Struct, frozen=True, kw_only=True):
    """Of those that it was for when it began."""

    total: int = 0
    left: int = 0
    """Nothing was put for them yet."""
    under_way: int = 0
    """In an outbox."""
    sent: int = 0
    blocked: int = 0
    """They have blocked the bot."""
    failed: int = 0
    """Telegram refuses it; it is among the dead letters."""
    skipped: int = 0
    """Banned meanwhile, or want no news any more."""

    @property
    def gone(self) -> int:
        """Deleted meanwhile."""
        return self.total - (self.left + self.under_way + self.sent + self.blocked + self.failed + self.skipped)

    @property
    def done(self) -> int:
        return self.total - self.left - self.under_way


class Broadcast(Struct, frozen=True, kw_only=True):
    id: str
    created_by: int
    created_at: datetime
    html: Html
    audience: Audience
    state: State
    due_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    shown_in: tuple[int, int] | None
    """Chat and message in which it is shown how far it has come."""
    total: int
    counts: Counts | None
    """The last word, once it is over; until then as they stand, where somebody asked."""

    @property
    def is_open(self) -> bool:
        """Whether anything of it may still go out."""
        return self.started_at is not None and self.ended_at is None


class BroadcastRows:
    """`TransientError` while PostgreSQL is unavailable. What changes a row says whether it did."""

    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres

    async def find(self, broadcast_id: str) -> Broadcast | None:
        row = await self._postgres.fetch_row(statements.FIND, broadcast_id)
        return _broadcast(row) if row else None

    async def latest(self, count: int) -> list[Broadcast]:
        return [_broadcast(row) for row in await self._postgres.fetch(statements.LATEST, count)]

    async def open(self) -> list[Broadcast]:
        """Return those that were begun and are not over, the longest begun first."""
        return [_broadcast(row) for row in await self._postgres.fetch(statements.OPEN)]

    async def draft(self, html: Html, by: int, now: datetime) -> str:
        broadcast_id = secrets.token_hex(6)
        await self._postgres.execute(statements.DRAFT, broadcast_id, by, now, str(html))
        return broadcast_id

    async def rewrite(self, broadcast_id: str, html: Html) -> bool:
        return _did(await self._postgres.execute(statements.REWRITE, broadcast_id, str(html)))

    async def aim(self, broadcast_id: str, audience: Audience) -> bool:
        tag = await self._postgres.execute(statements.AIM, broadcast_id, audience.segment, audience.language)
        return _did(tag)

    async def discard(self, broadcast_id: str) -> bool:
        return _did(await self._postgres.execute(statements.DISCARD, broadcast_id))

    async def schedule(self, broadcast_id: str, at: datetime) -> bool:
        return _did(await self._postgres.execute(statements.SCHEDULE, broadcast_id, at))

    async def unschedule(self, broadcast_id: str) -> bool:
        return _did(await self._postgres.execute(statements.UNSCHEDULE, broadcast_id))

    async def begin(self, one: Broadcast, now: datetime) -> bool:
        """Begin it for everybody that it is for at this moment; both or neither, once."""
        audience = one.audience
        async with self._postgres.transaction() as both:
            if not _did(await both.execute(statements.BEGIN, one.id, now)):
                return False
            meant = (audience.segment, audience.language, now, now - GRACE)
            await both.execute(statements.ENROL, *meant, one.id)
            await both.execute(statements.TOTAL, one.id)
        return True

    async def pause(self, broadcast_id: str) -> bool:
        return _did(await self._postgres.execute(statements.PAUSE, broadcast_id))

    async def resume(self, broadcast_id: str) -> bool:
        return _did(await self._postgres.execute(statements.RESUME, broadcast_id))

    async def cancel(self, broadcast_id: str) -> bool:
        return _did(await self._postgres.execute(statements.CANCEL, broadcast_id))

    async def show_in(self, broadcast_id: str, chat_id: int, message_id: int) -> None:
        await self._postgres.execute(statements.SHOWN, broadcast_id, chat_id, message_id)

    async def due(self, now: datetime) -> list[str]:
        return [row["id"] for row in await self._postgres.fetch(statements.DUE, now)]

    async def next_due(self) -> datetime | None:
        row = await self._postgres.fetch_row(statements.NEXT_DUE)
        return row["at"] if row else None

    async def count(self, audience: Audience, now: datetime) -> int:
        """Count who would get it now."""
        meant = (audience.segment, audience.language, now, now - GRACE)
        row = await self._postgres.fetch_row(statements.COUNT, *meant)
        return cast("int", row["people"]) if row else 0

    async def who(self, audience: Audience, now: datetime) -> list[int]:
        """Return who would get it now."""
        meant = (audience.segment, audience.language, now, now - GRACE)
        return [row["user_id"] for row in await self._postgres.fetch(statements.WHO, *meant)]

    async def languages(self) -> list[str]:
        """Return the languages that people have, the most frequent first."""
        return [row["language"] for row in await self._postgres.fetch(statements.LANGUAGES, _LANGUAGES)]

    async def next(self, broadcast_id: str, count: int) -> list[int]:
        """Return for whom nothing was put yet."""
        return [row["user_id"] for row in await self._postgres.fetch(statements.NEXT, broadcast_id, count)]

    async def note(self, broadcast_id: str, states: Mapping[int, Literal["put", "skipped"]]) -> None:
        await self._postgres.execute(statements.NOTE, broadcast_id, list(states), list(states.values()))

    async def counts(self, one: Broadcast, key: str) -> Counts:
        """`key`: that of its envelopes."""
        if one.counts is not None:
            return one.counts
        row = await self._postgres.fetch_row(statements.COUNTS, one.id, key)
        found: dict[str, int] = dict(row) if row else {}
        return Counts(total=one.total, **found)

    async def end(self, broadcast_id: str, counts: Counts, now: datetime) -> bool:
        """Write down what came of it, and forget for whom it was."""
        async with self._postgres.transaction() as both:
            said = msgspec.json.encode(counts).decode()
            if not _did(await both.execute(statements.END, broadcast_id, now, said)):
                return False
            await both.execute(statements.FORGET, broadcast_id)
        return True


def _did(tag: str) -> bool:
    return not tag.endswith(" 0")


def _broadcast(row: Row) -> Broadcast:
    shown = (row["shown_chat_id"], row["shown_message_id"])
    return Broadcast(
        id=row["id"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        html=Html(row["html"]),
        audience=audience_of(row["segment"], row["language"]) or _NOBODY,
        state=_STATES[row["state"]],
        due_at=row["due_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        shown_in=None if shown[0] is None or shown[1] is None else shown,
        total=row["total"],
        counts=msgspec.json.decode(row["counts"], type=Counts) if row["counts"] else None,
    )
