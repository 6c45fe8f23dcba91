"""Whom admins look for, what they see of somebody, and whom they ban."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.payments.entitlements import GRACE
from domain.subscribers.subscriber import Subscriber
from managers.storage.postgres import PostgresManager, Row
from runtime.errors import UserFacingError
from services.administration.admins import AdminsService
from services.subscribers.counted import BY_PLAN
from services.subscribers.subscribers import Subscribers
from texts.markup import cut
from texts.sanitise import inert

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FOUND: Final = 10
MAX_QUERY: Final = 64
MAX_NOTE_UTF16: Final = 500
_MAX_ID: Final = 2**53
_DAY: Final = timedelta(days=1)

_FIND: Final[LiteralString] = """
    SELECT s.user_id, s.name, coalesce(n.username, '') AS username
    FROM subscribers s LEFT JOIN seen n USING (user_id)
    WHERE lower(n.username) = lower($1) OR ($2 AND strpos(lower(s.name), lower($1)) > 0)
    ORDER BY lower(coalesce(n.username, '')) <> lower($1), length(s.name), s.user_id LIMIT $3
"""
_FACTS: Final[LiteralString] = """
    SELECT
        (SELECT count(*) FROM deliveries WHERE user_id = $1 AND decided_at > $2 AND kind = 'alert'
            AND status IN ('sent', 'merged')) AS alerts,
        (SELECT count(*) FROM deliveries WHERE user_id = $1 AND decided_at > $2 AND kind = 'alert'
            AND status NOT IN ('sent', 'merged')) AS not_sent,
        (SELECT count(*) FROM arrivals a JOIN invoices i ON i.id = a.invoice_id
            WHERE i.user_id = $1 AND a.stage = 'final' AND NOT a.refunded) AS payments,
        (SELECT max(a.arrived_at) FROM arrivals a JOIN invoices i ON i.id = a.invoice_id
            WHERE i.user_id = $1 AND a.stage = 'final' AND NOT a.refunded) AS paid_at,
        (SELECT count(*) FROM notes WHERE user_id = $1) AS notes,
        (SELECT at FROM seen WHERE user_id = $1) AS seen_at,
        (SELECT username FROM seen WHERE user_id = $1) AS username
"""
_NOTE: Final[LiteralString] = "INSERT INTO notes (user_id, admin_id, noted_at, said) VALUES ($1, $2, $3, $4)"
_NOTES: Final[LiteralString] = """
    SELECT admin_id, noted_at AS at, said FROM notes WHERE user_id = $1 ORDER BY id DESC OFFSET $2 LIMIT $3
"""
_ACTIVITY: Final[LiteralString] = """
    SELECT at, what, detail FROM activity WHERE user_id = $1 ORDER BY at DESC OFFSET $2 LIMIT $3
"""
_COUNT_ACTIVITY: Final[LiteralString] = "SELECT count(*) AS count FROM activity WHERE user_id = $1"


class Person(Struct, frozen=True, kw_only=True):
    user_id: int
    name: str
    """Attacker-controlled display name."""
    username: str = ""


class Note(Struct, frozen=True, kw_only=True):
    admin_id: int
    at: datetime
    said: str


class Done(Struct, frozen=True, kw_only=True):
    """What a person did."""

    at: datetime
    what: str
    detail: str


class Card(Struct, frozen=True, kw_only=True):
    subscriber: Subscriber
    username: str
    seen_at: datetime | None
    alerts: int
    """Sent within a day."""
    not_sent: int
    """Withheld, or held for a digest, within a day."""
    payments: int
    paid_at: datetime | None
    notes: Sequence[Note]
    """The latest."""
    notes_count: int
    activity: Sequence[Done]
    """The latest."""


class PlanCount(Struct, frozen=True):
    people: int
    active: int
    """Of these, whose plan stands, days of grace included."""


class PeopleService:
    def __init__(
        self,
        *,
        postgres: PostgresManager,
        subscribers: Subscribers,
        admins: AdminsService,
        clock: Callable[[], datetime],
    ) -> None:
        self._postgres = postgres
        self._subscribers = subscribers
        self._admins = admins
        self._clock = clock

    async def require(self, user_id: int) -> Subscriber:
        """Return somebody who has talked to the bot. `UserFacingError` for anybody else."""
        found = await self._subscribers.find(user_id) if 0 < user_id < _MAX_ID else None
        if found is None:
            raise UserFacingError("people.unknown", typed=user_id)
        return found

    async def meant(self, typed: str, points_at: int | None) -> Sequence[Person]:
        """Return who may be meant by an id, a @username or a part of a name, or by a message of theirs.

        `UserFacingError` for nobody. `points_at`: whose message was shown; with neither, theirs who hides it.
        """
        text = "".join(one for one in typed[:MAX_QUERY] if one.isprintable()).strip()
        if points_at is None and not text:
            raise UserFacingError("people.hidden")
        if points_at is not None or text.isdecimal():
            subscriber = await self.require(int(text) if points_at is None else points_at)
            return [Person(user_id=subscriber.user_id, name=subscriber.name)]
        name = text.removeprefix("@").strip()
        rows = await self._postgres.fetch(_FIND, name, not text.startswith("@"), FOUND) if name else []
        if not rows:
            raise UserFacingError("people.unknown", typed=text)
        return [Person(user_id=row["user_id"], name=row["name"], username=row["username"]) for row in rows]

    async def one_meant(self, typed: str, points_at: int | None) -> Person:
        """`meant`, where it has to be one. `UserFacingError` for several."""
        found = await self.meant(typed, points_at)
        if len(found) > 1:
            raise UserFacingError("people.several", typed=typed[:MAX_QUERY], count=len(found))
        return found[0]

    async def card(self, user_id: int, latest: int) -> Card:
        subscriber = await self.require(user_id)
        facts = await self._postgres.fetch_row(_FACTS, user_id, self._clock() - _DAY)
        if facts is None:
            raise UserFacingError("people.unknown", typed=user_id)
        return Card(
            subscriber=subscriber,
            username=facts["username"] or "",
            seen_at=facts["seen_at"],
            alerts=facts["alerts"],
            not_sent=facts["not_sent"],
            payments=facts["payments"],
            paid_at=facts["paid_at"],
            notes=await self.notes(user_id, 0, latest),
            notes_count=facts["notes"],
            activity=await self.activity(user_id, 0, latest),
        )

    async def note(self, user_id: int, admin_id: int, typed: str) -> None:
        """Keep what an admin says about somebody, made harmless and cut at `MAX_NOTE_UTF16`."""
        await self.require(user_id)
        said = inert(cut(typed, MAX_NOTE_UTF16), MAX_NOTE_UTF16, copyable=True)
        await self._postgres.execute(_NOTE, user_id, admin_id, self._clock(), said)

    async def notes(self, user_id: int, offset: int, limit: int) -> Sequence[Note]:
        return [_note(row) for row in await self._postgres.fetch(_NOTES, user_id, offset, limit)]

    async def activity(self, user_id: int, offset: int, limit: int) -> Sequence[Done]:
        """Return what they did, the latest first."""
        rows = await self._postgres.fetch(_ACTIVITY, user_id, offset, limit)
        return [Done(at=row["at"], what=row["what"], detail=row["detail"]) for row in rows]

    async def count_activity(self, user_id: int) -> int:
        row = await self._postgres.fetch_row(_COUNT_ACTIVITY, user_id)
        return int(row["count"]) if row else 0

    async def require_bannable(self, user_id: int) -> Subscriber:
        """Return somebody who may be banned. `UserFacingError` for an admin."""
        found = await self.require(user_id)
        if self._admins.role_of(user_id) is not None:
            raise UserFacingError("people.is_admin")
        return found

    async def ban(self, user_id: int, admin_id: int) -> bool:
        """Let somebody get nothing any more; `False`: they did not before. `UserFacingError` for an admin."""
        before = await self.require_bannable(user_id)
        now = self._clock()
        await self._subscribers.change(user_id, lambda s: replace(s, banned_at=s.banned_at or now))
        log.info("person_banned", user_id=user_id, admin_id=admin_id)
        return before.banned_at is None

    async def unban(self, user_id: int, admin_id: int) -> bool:
        before = await self.require(user_id)
        await self._subscribers.change(user_id, lambda s: replace(s, banned_at=None))
        log.info("person_unbanned", user_id=user_id, admin_id=admin_id)
        return before.banned_at is not None

    async def by_plan(self) -> dict[str, PlanCount]:
        """Count who has which plan, as their documents say."""
        now = self._clock()
        rows = await self._postgres.fetch(BY_PLAN, now, now - GRACE)
        return {row["plan"]: PlanCount(row["people"], row["active"]) for row in rows}


def _note(row: Row) -> Note:
    return Note(admin_id=row["admin_id"], at=row["at"], said=row["said"])
