"""What admins do with a broadcast: write it, choose who gets it, let it begin, hold it up, end it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.broadcasts.segments import Audience
from domain.stored.outgoing import Envelope
from runtime.errors import UserFacingError
from services.broadcasts.composing import BROADCAST, News
from services.broadcasts.markup import read_markup
from services.broadcasts.rows import Broadcast, BroadcastRows, Counts
from services.schedule.due_times import Due, DueTimes
from services.schedule.schedule import Job

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

JOB: Final = "broadcast"
"""The job of the schedule that begins what is due."""


class Standing(Struct, frozen=True, kw_only=True):
    broadcast: Broadcast
    counts: Counts
    people: int | None
    """Who would get it now; `None` once it was begun."""


class BroadcastService:
    """Every change of a broadcast that is in no state for it is a `UserFacingError`."""

    def __init__(self, rows: BroadcastRows, due_times: DueTimes, clock: Callable[[], datetime]) -> None:
        self._rows = rows
        self._due_times = due_times
        self._clock = clock
        self.changed: Callable[[], None] = lambda: None
        """Told when something began or goes on."""

    def job(self) -> Job:
        return Job(name=JOB, run=self._begin_due, for_everybody=True)

    async def draft(self, typed: str, by: int) -> str:
        """Keep a text that was typed, for everybody at first; returns its id. `UserFacingError` for bad markup."""
        return await self._rows.draft(read_markup(typed), by, self._clock())

    async def rewrite(self, broadcast_id: str, typed: str) -> None:
        self._require(await self._rows.rewrite(broadcast_id, read_markup(typed)))

    async def aim(self, broadcast_id: str, audience: Audience) -> None:
        self._require(await self._rows.aim(broadcast_id, audience))

    async def discard(self, broadcast_id: str) -> None:
        self._require(await self._rows.discard(broadcast_id))

    async def require(self, broadcast_id: str) -> Broadcast:
        found = await self._rows.find(broadcast_id)
        if found is None:
            raise UserFacingError("broadcast.unknown")
        return found

    async def standing(self, broadcast_id: str) -> Standing:
        return await self.standing_of(await self.require(broadcast_id))

    async def standing_of(self, one: Broadcast) -> Standing:
        people = None if one.started_at else await self._rows.count(one.audience, self._clock())
        counts = await self._rows.counts(one, key_of(one)) if one.started_at else Counts()
        return Standing(broadcast=one, counts=counts, people=people)

    async def latest(self, count: int) -> list[Broadcast]:
        """Return the latest first; of what still goes out, how far it has come."""
        found = await self._rows.latest(count)
        return [replace(one, counts=await self._rows.counts(one, key_of(one))) if one.is_open else one for one in found]

    async def languages(self) -> list[str]:
        return await self._rows.languages()

    async def people(self, audience: Audience) -> int:
        """Count who would get it now."""
        return await self._rows.count(audience, self._clock())

    async def begin(self, broadcast_id: str) -> None:
        """Let it begin now, for those that it is for at this moment."""
        one = await self.require(broadcast_id)
        if not await self._rows.count(one.audience, self._clock()):
            raise UserFacingError("broadcast.nobody")
        self._require(await self._rows.begin(one, self._clock()))
        log.info("broadcast_begun", broadcast=broadcast_id)
        self.changed()

    async def schedule(self, broadcast_id: str, at: datetime) -> None:
        if at <= self._clock():
            raise UserFacingError("moment.passed", typed=f"{at:%H:%M} UTC")
        self._require(await self._rows.schedule(broadcast_id, at))
        await self.say_when()

    async def unschedule(self, broadcast_id: str) -> None:
        self._require(await self._rows.unschedule(broadcast_id))

    async def pause(self, broadcast_id: str) -> None:
        self._require(await self._rows.pause(broadcast_id))

    async def resume(self, broadcast_id: str) -> None:
        self._require(await self._rows.resume(broadcast_id))
        self.changed()

    async def cancel(self, broadcast_id: str) -> None:
        """End it for whom nothing was put yet."""
        self._require(await self._rows.cancel(broadcast_id))
        self.changed()

    async def show_in(self, broadcast_id: str, chat_id: int, message_id: int) -> None:
        """Let this message say from now on how far it has come."""
        await self._rows.show_in(broadcast_id, chat_id, message_id)

    async def say_when(self) -> None:
        """Say to the schedule when the next one is due. May be repeated: a Redis that was emptied has lost it."""
        at = await self._rows.next_due()
        if at is not None:
            await self._due_times.set_for_everybody(JOB, at)

    async def _begin_due(self, due: Due) -> int:
        begun = 0
        for broadcast_id in await self._rows.due(self._clock()):
            begun += await self._rows.begin(await self.require(broadcast_id), self._clock())
        await self._due_times.advance(due, await self._rows.next_due())
        self.changed()
        return begun

    def _require(self, did: bool) -> None:  # noqa: FBT001 - the answer of a statement
        if not did:
            raise UserFacingError("broadcast.not_now")


def envelope_of(one: Broadcast, user_id: int) -> Envelope:
    """Return what goes to somebody: the same, and so once, whenever it is put."""
    if one.started_at is None:
        raise ValueError(f"{one.id} has not begun")
    news = News(html=str(one.html))
    return Envelope.of(BROADCAST, news, user_id=user_id, subject=one.id, decided_at=one.started_at)


def key_of(one: Broadcast) -> str:
    """The key of its envelopes."""
    return f"{BROADCAST}:{one.id}:"
