"""Who is told of a milestone: everybody who was told of the call, and wants this rung; each once.

A row is looked at until everybody's alert has gone out or will not: a price may double before Telegram has taken the
alert. What is put is put under a unique key, so a row may be looked at as often as it takes, and after any kill. Who
cannot be read is waited for as who has no alert yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

import structlog
from cachetools import LRUCache
from msgspec import Struct

from domain.calls.lifetimes import FRESH_FOR
from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import Subscriber
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError, UnreadableError
from runtime.fault_points import fault_point
from runtime.waiting import Progress, pause, waits_s
from services.claims.putting import Putting
from services.subscribers.subscribers import Subscribers
from services.tracking.milestones import Milestone, MilestoneRows, Recipient

log = structlog.get_logger(__name__)

KIND: Final = "milestone"
LOOK_EVERY_S: Final = 1.0
RETRY_S: Final = 2.0
SETTLES_AFTER: Final = timedelta(minutes=2)
"""So long after a call the journal may still bring who it was accepted for."""
WAITS_FOR: Final = FRESH_FOR + timedelta(minutes=2)
"""An alert that has not gone out by then is told in a digest, which says itself what the call did."""
LATE_FROM_S: Final = 60.0
"""When it was reached is known well enough, if not to the second."""
_SOON: Final = timedelta(seconds=1)
_SLOW: Final = timedelta(seconds=30)
_AT_ONCE: Final = 200
_REMEMBERED: Final = 100_000
_PUT_AT_ONCE: Final = 50


class MilestoneNotice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one person is told."""

    call_id: str
    token_address: str
    name: str | None = None
    """Attacker-controlled text."""
    rung: float
    measure: str = "market_cap"
    """What the two figures are: `price` or `market_cap`."""
    then_usd: float
    now_usd: float
    after_s: float
    late_s: float | None = None
    """It was reached at some time within so many seconds before it was seen."""
    message_id: int
    """Of the message that told them of the call."""
    chat_id: int | None = None
    of_several: bool = False
    """That message tells of other calls as well."""
    in_digest: bool = False
    channel: str | None = None
    """Who called it. Attacker-controlled text."""


class FanOut:
    def __init__(
        self,
        *,
        rows: MilestoneRows,
        subscribers: Subscribers,
        putting: Putting,
        clock: Callable[[], datetime],
    ) -> None:
        self._rows = rows
        self._subscribers = subscribers
        self._putting = putting
        self._clock = clock
        self._put_before: LRUCache[tuple[int, str, float], None] = LRUCache(_REMEMBERED)
        """Saves a round trip each time that a row is looked at; the unique key is what counts."""
        self._wake = asyncio.Event()
        self.put = 0
        """Messages since the start."""

    def wake(self) -> None:
        """There are new rows."""
        self._wake.set()

    async def run(self, progress: Progress) -> None:
        """Tell for ever."""
        while True:
            stop_if_cancelled()
            progress()
            try:
                while await self.tell(progress):
                    pass
            except TransientError as error:
                stop_if_cancelled()
                log.warning("milestones_delayed", reason=str(error))
                await pause(RETRY_S, progress)
            try:
                async with asyncio.timeout(waits_s(LOOK_EVERY_S)):
                    await self._wake.wait()
            except TimeoutError:
                stop_if_cancelled()
            self._wake.clear()

    async def tell(self, progress: Progress = lambda: None) -> int:
        """Put what is due into the outbox; returns how many rows were looked at."""
        now = self._clock()
        pending = await self._rows.pending(now, _AT_ONCE)
        if not pending:
            return 0
        found = await self._rows.recipients({one.call_id for one in pending})
        by_call: dict[str, list[Recipient]] = {}
        for recipient in found:
            by_call.setdefault(recipient.call_id, []).append(recipient)
        told: list[Milestone] = []
        later: list[Milestone] = []
        for call_id, rows in groupby(pending, key=lambda one: one.call_id):
            progress()
            rungs, recipients = list(rows), by_call.get(call_id, [])
            are_served = await self._tell(rungs, recipients)
            (told if _is_final(rungs, recipients, now, are_served=are_served) else later).extend(rungs)
        fault_point("fanned_out")
        if told:
            await self._rows.told(told, now)
        if later:
            await self._rows.later([(one, now + _again_in(now - one.confirmed_at)) for one in later])
        return len(pending)

    async def _tell(self, rungs: Sequence[Milestone], recipients: Sequence[Recipient]) -> bool:
        """Put what is due; return whether everybody could be served."""
        are_served = True
        reached = [one for one in recipients if _was_told(one, rungs[-1])]
        for start in range(0, len(reached), _PUT_AT_ONCE):
            some = reached[start : start + _PUT_AT_ONCE]
            are_served &= all(await asyncio.gather(*(self._serve(rungs, recipient) for recipient in some)))
        return are_served

    async def _serve(self, rungs: Sequence[Milestone], recipient: Recipient) -> bool:
        try:
            subscriber = await self._subscribers.find(recipient.user_id)
        except UnreadableError:
            return False
        if subscriber is not None:
            await self._put(rungs, recipient, subscriber)
        return True

    async def _put(self, rungs: Sequence[Milestone], recipient: Recipient, subscriber: Subscriber) -> None:
        if (highest := _highest(rungs, subscriber, self._clock())) is None:
            return
        done, notice = (recipient.user_id, highest.call_id, highest.rung), _notice(highest, recipient)
        if notice is None or done in self._put_before:
            return
        self.put += 1 if await self._putting.put(_envelope(notice, highest, recipient.user_id)) else 0
        self._put_before[done] = None


def _highest(rungs: Sequence[Milestone], subscriber: Subscriber, now: datetime) -> Milestone | None:
    """The highest rung that they want, if any; the lower ones count as told with it."""
    preferences = subscriber.preferences
    muted_until = preferences.muted_tokens.get(rungs[0].token_address)
    if muted_until is not None and now < muted_until:
        return None
    wanted = [one for one in rungs if preferences.wants_milestone(one.rung)]
    return max(wanted, key=lambda one: one.rung, default=None)


def _was_told(recipient: Recipient, milestone: Milestone) -> bool:
    """Whether they know of the call, and did not only learn of it long after it had got there."""
    if recipient.message_id is None or recipient.sent_at is None:
        return False
    return recipient.sent_at <= milestone.confirmed_at + FRESH_FOR


def _is_final(rungs: Sequence[Milestone], recipients: Sequence[Recipient], now: datetime, *, are_served: bool) -> bool:
    """Whether nobody else can have to be told."""
    newest = max(one.confirmed_at for one in rungs)
    if now - newest > WAITS_FOR:
        return True
    return are_served and now - rungs[0].opened_at > SETTLES_AFTER and all(one.status for one in recipients)


def _again_in(age: timedelta) -> timedelta:
    return min(_SLOW, max(_SOON, age / 2))


def _notice(milestone: Milestone, recipient: Recipient) -> MilestoneNotice | None:
    then = milestone.market_cap_usd or milestone.price_usd
    if then is None or recipient.message_id is None:
        return None
    late_s = (milestone.reached_at - (milestone.since or milestone.called_at)).total_seconds()
    return MilestoneNotice(
        call_id=milestone.call_id,
        token_address=milestone.token_address,
        name=milestone.symbol or milestone.name,
        rung=milestone.rung,
        measure="market_cap" if milestone.market_cap_usd else "price",
        then_usd=then,
        now_usd=then * milestone.multiple,
        after_s=max(0.0, (milestone.reached_at - milestone.called_at).total_seconds()),
        late_s=late_s if milestone.late and late_s >= LATE_FROM_S else None,
        message_id=recipient.message_id,
        chat_id=recipient.chat_id,
        of_several=recipient.status in {"merged", "digest"},
        in_digest=recipient.status == "digest",
        channel=milestone.channel,
    )


def _envelope(notice: MilestoneNotice, milestone: Milestone, user_id: int) -> Envelope:
    step = f"{milestone.rung:g}x"
    decided_at = milestone.confirmed_at
    return Envelope.of(KIND, notice, user_id=user_id, subject=notice.call_id, step=step, decided_at=decided_at)
