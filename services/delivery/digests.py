"""The digest: what each held call did since, sent when the silence that held it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog
from cachetools import LRUCache

from domain.buttons.cards import ShowDigest
from domain.calls.events import Call
from domain.delivery.messages import Button, Message
from domain.delivery.policy import BEYOND_CAP, DIGESTS, digest_waits_until, may_leave_at
from domain.stored.alerts import HeldCall
from domain.stored.outgoing import Digest
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from runtime.retry import retry_until_done
from services.claims.outbox import Outbox
from services.delivery.composing import Composed, Composer
from services.delivery.digest_lines import CALLS_SHOWN, DigestCall, DigestLines
from services.delivery.digest_order import DigestOrder
from services.delivery.held import CALLS_PER_DIGEST, HeldCalls
from services.delivery.kinds import Kind
from services.delivery.turns import QueuedMessage
from services.schedule.due_times import DIGEST, Due
from services.schedule.schedule import Job
from services.subscribers.subscribers import Subscribers
from texts.markup import join
from texts.renderer import Texts

log = structlog.get_logger(__name__)

GATHERED_FOR: Final = timedelta(seconds=15)
"""While their last digest has not left, what is due for somebody is looked at only so often, and gathers."""
_DISPATCHED: Final = 10_000
"""Subscribers whose last digest is remembered."""


class DigestsService:
    """Nobody has digests queue up: while Telegram is unavailable the next one gathers what comes too late meanwhile."""

    def __init__(
        self,
        *,
        held: HeldCalls,
        subscribers: Subscribers,
        clock: Callable[[], datetime],
    ) -> None:
        self._held = held
        self._subscribers = subscribers
        self._clock = clock
        self._last: LRUCache[int, str] = LRUCache(_DISPATCHED)
        """By user id: the outbox entry of their last digest."""

    def job(self) -> Job:
        return Job(name=DIGEST, run=self.send)

    async def send(self, due: Due) -> int:
        """Put what is due for a subscriber into the outbox, and say when the rest is; returns how many digests."""
        user_id = due.user_id
        now = self._clock()
        calls = await self._held.of(user_id)
        subscriber = await self._subscribers.find(user_id)
        newest_at = max((call.held_at for call in calls), default=now)
        waits_until = digest_waits_until(subscriber, now, newest_at) if subscriber else now
        if waits_until <= now and await self._last_one_waits(user_id):
            waits_until = now + GATHERED_FOR
        if waits_until > now:
            await self._held.postpone(user_id, seen=len(calls), until=waits_until)
            return 0
        leaves = {call.call_id: _leaves_at(subscriber, call) for call in calls}
        ready = [call for call in calls if leaves[call.call_id] <= now]
        sent = 0
        for start in range(0, len(ready), CALLS_PER_DIGEST):
            entry_id = await self._held.dispatch(user_id, ready[start : start + CALLS_PER_DIGEST], now)
            if entry_id:
                self._last[user_id] = entry_id
                sent += 1
        later = [at for at in leaves.values() if at > now]
        await self._held.postpone(user_id, seen=len(later), until=min(later, default=now))
        if sent:
            log.info("digest_dispatched", user_id=user_id, calls=len(ready), messages=sent)
        return sent

    async def _last_one_waits(self, user_id: int) -> bool:
        entry_id = self._last.get(user_id)
        if entry_id is None:
            return False
        if await self._held.waits(user_id, entry_id):
            return True
        self._last.pop(user_id, None)
        return False


class DigestComposer(Composer):
    """Composes a digest when its turn has come, so that its figures are as new as the message.

    It tells of the best; the others are told page by page to whoever asks (`services.delivery.digest_pages`).
    """

    def __init__(self, *, outbox: Outbox, order: DigestOrder, lines: DigestLines, texts: Texts) -> None:
        self._outbox = outbox
        self._order = order
        self._lines = lines
        self._texts = texts

    def row(self) -> Kind:
        return Kind(name="digest", lane=Lane.ALERT, rules=DIGESTS, composer=self, tells_calls=True, to_destination=True)

    async def prepare(self, waiting: QueuedMessage, subscriber: Subscriber) -> None:
        digest = waiting.entry.outgoing
        if not isinstance(digest, Digest):
            raise TypeError(f"a {digest.kind} is no digest")
        calls = await self._lines.sorted(await asyncio.gather(*map(self._call, digest.held)))
        await self._order.keep(digest.user_id, digest.decided_at, [one.call_id for one in calls])
        waiting.message = self._message(digest.held, calls, subscriber, may_repeat=waiting.may_repeat)

    def is_ready(self, waiting: QueuedMessage) -> bool:
        return waiting.message is not None

    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        del subscriber
        if together[0].message is None:
            raise ValueError("a digest that was not prepared")
        return Composed(together[0].message, (together[0],))

    def _message(
        self, held: Sequence[HeldCall], calls: Sequence[DigestCall], subscriber: Subscriber, *, may_repeat: bool
    ) -> Message:
        language, preferences = subscriber.language, subscriber.preferences
        shown = calls[:CALLS_SHOWN]
        left = len(calls) - len(shown)
        reasons = {"cap" if one.reason in BEYOND_CAP else one.reason for one in held}
        title = f"digest.title.{reasons.pop()}" if len(reasons) == 1 else "digest.title"
        blocks = [self._texts.render(title, language, count=len(held)), self._lines.lines(shown, language)]
        if left:
            rest = "digest.rest_elsewhere" if preferences.destination else "digest.rest"
            blocks.append(self._texts.render(rest, language, count=left))
        if may_repeat:
            blocks.append(self._texts.render("card.may_repeat", language))
        elif any(one.may_repeat for one in held):
            blocks.append(self._texts.render("digest.repeats", language))
        more = Button(text=self._texts.plain("button.show_more", language), data=ShowDigest(1, 0).pack())
        return Message(
            html=str(join("\n\n", blocks)),
            keyboard=((more,),) if left else (),
            silent="digest" in preferences.silent,
        )

    async def _call(self, held: HeldCall) -> DigestCall:
        stored = await retry_until_done(lambda: self._outbox.load_call(held))
        return DigestCall(
            call_id=held.call_id,
            address=held.token_address,
            call=read_call(stored, held.call_id),
            received_at=held.received_at,
            score=held.score,
            may_repeat=held.may_repeat,
        )


def _leaves_at(subscriber: Subscriber | None, call: HeldCall) -> datetime:
    return may_leave_at(subscriber.preferences, call.reason, call.held_at) if subscriber else call.held_at


def read_call(stored: bytes | None, call_id: str) -> Call | None:
    try:
        return None if stored is None else msgspec.json.decode(stored, type=Call)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("stored_call_unreadable", call_id=call_id, reason=str(error))
        return None
