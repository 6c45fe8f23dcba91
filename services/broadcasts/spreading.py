"""The job that puts broadcasts into the outboxes, a few at a time, and shows how far they have come.

So little of them waits there that whatever else comes is next. What was put is written down afterwards: after a kill
some is put again, and its unique key says that it was put before. What came of it is what the senders wrote down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

import structlog

from domain.broadcasts.segments import may_hear
from runtime.cancellation import stop_if_cancelled
from runtime.errors import DeliveryError, TransientError, UnreadableError
from runtime.fault_points import fault_point
from runtime.waiting import Progress, pause, waits_s
from services.broadcasts.broadcasts import BroadcastService, Standing, envelope_of
from services.broadcasts.rows import Broadcast, BroadcastRows, Counts
from services.claims.putting import Putting
from services.monitoring.conditions import Said
from services.subscribers.subscribers import Subscribers

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_WAITING: Final = 100
"""What is sent in a few seconds: enough that nobody waits for the next ones to be put."""
LOOK_EVERY_S: Final = 0.25
IDLE_S: Final = 2.0
RETRY_S: Final = 2.0
SHOWN_EVERY: Final = timedelta(seconds=3)
"""Telegram takes so many edits of one message."""
STUCK_AFTER: Final = timedelta(minutes=10)
_PUT_AT_ONCE: Final = 25


class Screen(Protocol):
    """`handlers.admin.broadcasts.screen.BroadcastScreen` in the running bot."""

    async def going_on(self, standing: Standing) -> None:
        """Say how far it has come, where it is shown. Raises the `DeliveryError` tree."""
        ...

    async def over(self, standing: Standing) -> None:
        """Say what came of it. Raises the `DeliveryError` tree."""
        ...


class Spreading:
    def __init__(
        self,
        *,
        rows: BroadcastRows,
        service: BroadcastService,
        subscribers: Subscribers,
        putting: Putting,
        waiting: Callable[[], Awaitable[int]],
        screen: Screen,
        clock: Callable[[], datetime],
        max_waiting: int = MAX_WAITING,
    ) -> None:
        """`waiting`: how many messages of all kinds are in the outboxes; at `max_waiting` no more are put."""
        self._rows = rows
        self._service = service
        self._subscribers = subscribers
        self._putting = putting
        self._waiting = waiting
        self._screen = screen
        self._clock = clock
        self._max_waiting = max_waiting
        self._wake = asyncio.Event()
        service.changed = self._wake.set
        self._shown: dict[str, tuple[datetime, str, Counts]] = {}
        """By broadcast: when what was shown."""
        self._moved: dict[str, tuple[datetime, Counts]] = {}
        """By broadcast: since when it has come so far."""
        self.put = 0
        """Messages since the start."""

    async def run(self, progress: Progress) -> None:
        """Go on for ever with whatever was begun."""
        while True:
            stop_if_cancelled()
            progress()
            try:
                is_busy = await self.step(progress)
            except TransientError as error:
                stop_if_cancelled()
                log.warning("broadcast_delayed", reason=str(error))
                await pause(RETRY_S, progress)
                continue
            try:
                async with asyncio.timeout(waits_s(LOOK_EVERY_S if is_busy else IDLE_S)):
                    await self._wake.wait()
            except TimeoutError:
                stop_if_cancelled()
            self._wake.clear()

    async def step(self, progress: Progress = lambda: None) -> bool:
        """Put as much as there is room for, and show what has changed; tells whether anything goes on."""
        found = await self._rows.open()
        if not found:
            self._shown.clear()
            self._moved.clear()
            await self._service.say_when()
            return False
        for one in found:
            if one.state == "running":
                room = self._max_waiting - await self._waiting()
                await self._put_some(one, room, progress)
        for one in found:
            progress()
            await self._look(one)
        return any(one.state != "paused" for one in found)

    def problem(self) -> Said | None:
        """Why some do not come to their end, for an alarm."""
        now = self._clock()
        stuck = {
            f"broadcast {broadcast_id}": f"{broadcast_id} has stood still for "
            f"{int((now - since).total_seconds() // 60)} min, {counts.left + counts.under_way} are to get it"
            for broadcast_id, (since, counts) in self._moved.items()
            if now - since > STUCK_AFTER
        }
        return Said("; ".join(stuck.values()), stuck) if stuck else None

    async def _put_some(self, one: Broadcast, room: int, progress: Progress) -> None:
        user_ids = await self._rows.next(one.id, room) if room > 0 else []
        for start in range(0, len(user_ids), _PUT_AT_ONCE):
            progress()
            some = user_ids[start : start + _PUT_AT_ONCE]
            states = await asyncio.gather(*(self._put(one, user_id) for user_id in some))
            fault_point("broadcast_put")
            await self._rows.note(one.id, dict(zip(some, states, strict=True)))

    async def _put(self, one: Broadcast, user_id: int) -> Literal["put", "skipped"]:
        """Put it for somebody who may still hear of it."""
        try:
            subscriber = await self._subscribers.find(user_id)
        except UnreadableError:
            return "skipped"  # a word to many costs whoever cannot be read this one
        if subscriber is None or not may_hear(subscriber):
            return "skipped"
        is_new = await self._putting.put(envelope_of(one, user_id)) is not False
        self.put += is_new
        return "put"

    async def _look(self, one: Broadcast) -> None:
        """Show how far it has come, from time to time, and see whether it is over."""
        now, shown = self._clock(), self._shown.get(one.id)
        if shown and now - shown[0] < SHOWN_EVERY:
            return
        standing = await self._service.standing_of(one)
        counts = standing.counts
        self._note_moves(one, counts, now)
        self._shown[one.id] = (now, one.state, counts)
        if _is_over(one, counts):
            await self._end(standing, now)
        elif shown is None or (one.state, counts) != shown[1:]:
            await self._show(self._screen.going_on, standing)

    def _note_moves(self, one: Broadcast, counts: Counts, now: datetime) -> None:
        moved = self._moved.get(one.id)
        if moved is None or one.state == "paused" or moved[1] != counts:
            self._moved[one.id] = (now, counts)

    async def _end(self, standing: Standing, now: datetime) -> None:
        one = standing.broadcast
        if not await self._rows.end(one.id, standing.counts, now):
            return
        self._shown.pop(one.id, None)
        self._moved.pop(one.id, None)
        over = await self._service.standing(one.id)
        log.info("broadcast_over", broadcast=one.id, state=over.broadcast.state, sent=over.counts.sent)
        await self._show(self._screen.over, over)

    async def _show(self, how: Callable[[Standing], Awaitable[None]], standing: Standing) -> None:
        try:
            await how(standing)
        except DeliveryError as error:
            # It goes on all the same, and is shown by /broadcast.
            log.warning("broadcast_not_shown", broadcast=standing.broadcast.id, reason=str(error))


def _is_over(one: Broadcast, counts: Counts) -> bool:
    if counts.under_way or one.state == "paused":
        return False
    return one.state == "cancelled" or not counts.left
