"""From the outbox to the chat: each claimed alert leaves once, in its turn, and its fate is written down.

One worker per subscriber who has something waiting, so a slow or blocked chat holds nobody else up. When his turn
comes, everything that waits for him is looked at: what is not to go out now is held or withheld, the rest goes into
one message. Its alerts are marked in flight right before the request and settled together after it, so a hard kill
leaves at most `SEND_SLOTS` messages of which nobody can say whether they arrived; those are sent again, marked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice

import structlog
from msgspec import Struct

from domain.calls import Call
from domain.errors import DeliveryError
from domain.policy import Hold, Withhold
from domain.subscribers import Subscriber
from managers.rate_limiter import Lane
from services.composing import Composer
from services.held import HeldCalls, Holding
from services.metrics import Metrics
from services.outbox import Outbox, OutboxEntry
from services.persistence import persistently
from services.policy import PolicyService
from services.sending import Receipt, Sender, place_of
from services.settling import Settler
from services.turns import Waiting
from services.users import UsersService

log = structlog.get_logger(__name__)

SEND_SLOTS = 5
"""Requests in flight at once; also the most messages that can repeat after a hard kill."""
READ_COUNT = 500
READ_BLOCK_MS = 1_000
MAX_HELD = 5_000
"""Alerts held in memory; the rest waits in the outbox."""
LOOKED_AT = 50
"""Waiting alerts of one subscriber that are decided together."""
COLD_START_S = 3.0
"""A process that was killed may have used up what Telegram allows each chat within three seconds."""
DRAIN_LOOK_S = 0.05


class Sent(Struct, frozen=True, kw_only=True):
    """Told to whoever watches the bot work."""

    user_id: int
    name: str
    call: Call
    latency_ms: float
    repeat: bool


class DeliveryService:
    def __init__(
        self,
        *,
        outbox: Outbox,
        users: UsersService,
        policy: PolicyService,
        held: HeldCalls,
        sender: Sender,
        composer: Composer,
        metrics: Metrics,
        clock: Callable[[], datetime],
        on_sent: Callable[[Sent], None],
        consumer: str,
    ) -> None:
        self._outbox = outbox
        self._users = users
        self._policy = policy
        self._holds = held
        self._sender = sender
        self._composer = composer
        self._metrics = metrics
        self._clock = clock
        self._on_sent = on_sent
        self._consumer = consumer
        self._settler = Settler(
            outbox=outbox, users=users, sender=sender, composer=composer, metrics=metrics, clock=clock
        )
        self._queues: dict[int, deque[Waiting]] = {}
        self._held = 0
        self._room = asyncio.Condition()
        self._in_flight = asyncio.Semaphore(SEND_SLOTS)

    @property
    def held(self) -> int:
        """Alerts read from the outbox and not yet settled."""
        return self._held

    async def run(self, progress: Callable[[], None]) -> None:
        """Deliver until cancelled. Whatever is unsettled then stays in the outbox for the next start."""
        async with asyncio.TaskGroup() as workers:
            recovered = await persistently(lambda: self._outbox.recover(self._consumer))
            self._metrics.counts.alerts_recovered += sum(entry.alert.kind == "alert" for entry in recovered)
            if recovered:
                await asyncio.sleep(COLD_START_S)
            self._take_in(recovered, workers)
            while True:
                progress()
                async with self._room:
                    await self._room.wait_for(lambda: self._held < MAX_HELD)
                self._take_in(await persistently(self._read), workers)

    async def drained(self) -> None:
        """Return when the outbox has nothing left to send."""
        while self._held or await persistently(self._outbox.size):  # noqa: ASYNC110 - other senders empty it too
            await asyncio.sleep(DRAIN_LOOK_S)

    async def _read(self) -> list[OutboxEntry]:
        return await self._outbox.read(self._consumer, count=READ_COUNT, block_ms=READ_BLOCK_MS)

    def _take_in(self, entries: list[OutboxEntry], workers: asyncio.TaskGroup) -> None:
        for entry in entries:
            user_id = entry.alert.user_id
            self._held += 1
            known = self._queues.get(user_id)
            if known is None:
                queue = self._queues[user_id] = deque([Waiting(entry=entry)])
                workers.create_task(self._serve(user_id, queue), name=f"alerts of {user_id}")
            else:
                known.append(Waiting(entry=entry))

    async def _serve(self, user_id: int, queue: deque[Waiting]) -> None:
        """Settle what waits for one subscriber, oldest first, until nothing does."""
        while queue:
            await self._turn(user_id, queue)
            await self._leave(queue)
            if queue and queue[0].pause_s:
                await asyncio.sleep(queue[0].pause_s)
        del self._queues[user_id]

    async def _leave(self, queue: deque[Waiting]) -> None:
        """Let the settled ones go."""
        left = [waiting for waiting in queue if not waiting.settled]
        gone = len(queue) - len(left)
        queue.clear()
        queue.extend(left)
        if gone:
            async with self._room:
                self._held -= gone
                self._room.notify()

    async def _turn(self, user_id: int, queue: deque[Waiting]) -> None:
        """Wait for the turn, then send one message or find that nothing is to be sent."""
        subscriber, sendable = await self._sort_out(user_id, queue)
        if subscriber is None or not sendable:
            return
        await self._composer.prepare(sendable[0], subscriber)
        place, batch = place_of(subscriber), sendable[:1]
        try:
            async with self._sender.slot(place, Lane.ALERT) as slot, self._in_flight:
                # The turn may have come much later: others have arrived, or the subscriber has changed his mind.
                current, sendable = await self._sort_out(user_id, queue)
                if current is None or not sendable or place_of(current) != place:
                    return
                subscriber, batch = current, sendable[:1]
                if not self._composer.is_ready(batch[0]):
                    return
                message = self._composer.message(sendable, subscriber, place)
                batch = list(message.batch)
                await persistently(lambda: self._outbox.begin([waiting.entry for waiting in batch]))
                receipt = await self._sender.send(message.message, place, slot, media=message.media)
                await self._sent(batch, subscriber, receipt)
        except DeliveryError as error:
            await self._settler.answer(error, batch, subscriber, place)

    async def _sort_out(self, user_id: int, queue: deque[Waiting]) -> tuple[Subscriber | None, list[Waiting]]:
        """Hold and withhold what is not to go out now; return what is, oldest first."""
        subscriber = await persistently(lambda: self._users.find(user_id))
        looked_at = [waiting for waiting in islice(queue, LOOKED_AT) if not waiting.settled]
        if subscriber is None:
            await self._settler.withhold(looked_at, "unknown")
            return None, []
        readable = [waiting for waiting in looked_at if await self._is_readable(waiting)]
        now = self._clock()
        verdicts = await self._policy.decide(subscriber, [waiting.entry.alert for waiting in readable], now)
        holdings: list[Holding] = []
        sendable: list[Waiting] = []
        for waiting, verdict in zip(readable, verdicts, strict=True):
            match verdict:
                case Withhold(reason=reason):
                    await self._settler.withhold([waiting], reason)
                case Hold():
                    holdings.append(Holding(entry=waiting.entry, verdict=verdict))
                    waiting.settled = True
                case _:
                    sendable.append(waiting)
        if holdings:
            await persistently(lambda: self._holds.hold(subscriber, holdings, now))
            self._metrics.counts.alerts_put_aside += len(holdings)
        return subscriber, sendable

    async def _is_readable(self, waiting: Waiting) -> bool:
        alert = waiting.entry.alert
        if waiting.call is None and alert.kind == "alert":
            waiting.call = await self._composer.load(alert)
            if waiting.call is None:
                await self._settler.bury([waiting], "the stored call is gone")
        return not waiting.settled

    async def _sent(self, batch: Sequence[Waiting], subscriber: Subscriber, receipt: Receipt) -> None:
        latencies_ms = await self._settler.sent(batch, subscriber, receipt)
        for waiting, latency_ms in zip(batch, latencies_ms, strict=True):
            if waiting.call is not None:
                self._on_sent(
                    Sent(
                        user_id=subscriber.user_id,
                        name=subscriber.name,
                        call=waiting.call,
                        latency_ms=latency_ms,
                        repeat=waiting.may_repeat,
                    )
                )
