"""When each job is due and for whom, in Redis: a sorted set for each job and partition."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, cast

from msgspec import Struct

from domain.subscribers.partitions import partition_of
from managers.redis.client import Command, RedisManager
from managers.redis.scripts import Script, packed
from runtime.clock import milliseconds
from services.stores import keys

EVERYBODY: Final = "all"
"""Stands in place of a partition where a job is about no single subscriber."""
DIGEST: Final = "digest"
"""The job that sends what is held: whoever holds calls, in the same script, says when it is due."""
DELAYED: Final = "delayed"
"""The job that lets alerts go that a plan makes due later; it is said in the script that puts them aside."""
INVOICE_END: Final = "invoice_end"
"""The job that tells somebody that an invoice has ended; it is said in the script that stores the invoice."""
_AT_ONCE: Final = 200

_OF: Final = "/"

_ADVANCE: Final = Script.beside(__file__, "advance.lua")


class Due(Struct, frozen=True, kw_only=True):
    """Something whose time has come. It is the same thing for as long as all of this is the same."""

    job: str
    subject: str
    """A user id, one thing of a user's (`subject_of`), or `EVERYBODY`."""
    at: datetime

    @property
    def user_id(self) -> int:
        """For whom it is due; `ValueError` where it is about no single subscriber."""
        return int(self.subject.partition(_OF)[0])

    @property
    def thing(self) -> str:
        """Which thing of theirs it is about; empty where it is about none."""
        return self.subject.partition(_OF)[2]

    @property
    def place(self) -> Place:
        return Place(self.job, EVERYBODY if self.subject == EVERYBODY else partition_of(self.user_id))

    @property
    def moment(self) -> str:
        """Tells this due time from every other one of its job: the subject of an envelope that it puts."""
        return self.at.isoformat()


def subject_of(user_id: int, thing: str) -> str:
    """Name one thing of a user's: a job may be due for each of them."""
    return f"{user_id}{_OF}{thing}"


class Place(Struct, frozen=True):
    """Where due times stand together."""

    job: str
    partition: int | str
    """`EVERYBODY` for a job of no single subscriber."""

    @property
    def key(self) -> str:
        return keys.DUE.of(self.job, self.partition)


class DueTimes:
    def __init__(self, redis: RedisManager) -> None:
        self._redis = redis

    async def due(self, places: Sequence[Place], now: datetime) -> list[Due]:
        """Return what is due, in each place the longest due first; of very many in one place not all at once."""
        bounds = ("-inf", milliseconds(now), "WITHSCORES", "LIMIT", 0, _AT_ONCE)
        commands: list[Command] = [("ZRANGEBYSCORE", place.key, *bounds) for place in places]
        replies = cast("list[list[bytes]]", await self._redis.transaction(commands))
        return [
            Due(job=place.job, subject=subject.decode(), at=datetime.fromtimestamp(float(at_ms) / 1000, UTC))
            for place, reply in zip(places, replies, strict=True)
            for subject, at_ms in zip(reply[::2], reply[1::2], strict=True)
        ]

    async def set(self, job: str, user_id: int, at: datetime, *, unless_known: bool = False) -> None:
        """Say when a job is due for a subscriber; `unless_known` leaves a time that stands already."""
        await self.set_many(job, [(user_id, at)], unless_known=unless_known)

    async def set_many(self, job: str, due: Sequence[tuple[int, datetime]], *, unless_known: bool = False) -> None:
        """`set`, of many subscribers at once."""
        said = [_said(Place(job, partition_of(user_id)), user_id, at, unless_known=unless_known) for user_id, at in due]
        if said:
            await self._redis.transaction(said)

    async def set_for_everybody(self, job: str, at: datetime, *, unless_known: bool = False) -> None:
        await self._redis.transaction([_said(Place(job, EVERYBODY), EVERYBODY, at, unless_known=unless_known)])

    async def remove(self, job: str, user_id: int) -> None:
        """A job is not due for a subscriber any more."""
        await self._redis.transaction([("ZREM", Place(job, partition_of(user_id)).key, user_id)])

    async def advance(self, due: Due, then: datetime | None) -> bool:
        """Say when it is due next, if it still stands as it was seen. May be repeated."""
        then_ms = None if then is None else milliseconds(then)
        args = packed(subject=due.subject, seen_ms=milliseconds(due.at), then_ms=then_ms)
        return bool(await self._redis.script(_ADVANCE, [due.place.key], args))


def _said(place: Place, subject: int | str, at: datetime, *, unless_known: bool) -> Command:
    options = ("NX",) if unless_known else ()
    return ("ZADD", place.key, *options, milliseconds(at), subject)
