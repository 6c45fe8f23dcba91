"""From the outbox to the chat: each message leaves once, in its turn, and its fate is written down.

One worker per subscriber who has something waiting, so a slow or blocked chat holds nobody else up. When their turn
comes, everything that waits for them is looked at: what is not to go out now is held or withheld; of the rest, what is
first goes into one message with what merges with it. That is marked in flight right before the request and settled
together after it, so a hard kill leaves at most `SEND_SLOTS` messages of which nobody can say whether they arrived;
those are sent again, marked.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from itertools import islice

import structlog
from msgspec import Struct
from structlog.contextvars import bound_contextvars

from domain.calls.events import Call
from domain.stored.alerts import Alert
from domain.subscribers.partitions import Partition, partition_of
from domain.subscribers.subscriber import Subscriber
from runtime.clock import now
from runtime.errors import DeliveryError, TransientError, UnreadableError
from runtime.fault_points import fault_point
from runtime.pace import pace
from runtime.retry import retry_until_done
from runtime.waiting import Progress, reporting
from services.claims.outbox import Outbox, OutboxEntry
from services.cluster.fencing import LeaseLostError
from services.delivery.kinds import Kinds
from services.delivery.sending import Receipt, Sender
from services.delivery.settling import Settler
from services.delivery.sorting import LOOKED_AT, Sorter
from services.delivery.turns import QueuedMessage
from services.monitoring.metrics import Metrics
from services.stores.in_flight_log import pairs_of

log = structlog.get_logger(__name__)

SEND_SLOTS = 5
"""Requests in flight at once; also the most messages that can repeat after a hard kill."""
READ_COUNT = 500
READ_BLOCK_MS = 1_000
MAX_HELD = 5_000
"""Alerts held in memory; the rest waits in the outbox."""
COLD_START_S = 3.0
"""A process that was killed may have used up what Telegram allows each chat within three seconds."""
DRAIN_POLL_S = 0.05
AT_ONCE_S = 0.001
RETRY_S = 0.5
UNREADABLE_AGAIN_S = 30.0
"""So often somebody is looked for who cannot be read, while something waits for them."""
LOST_AFTER_S = 60.0
"""Who took an alert so long ago and does not own its partition will not send it."""


class Sent(Struct, frozen=True, kw_only=True):
    """Told to whoever watches the bot work."""

    user_id: int
    name: str
    call: Call
    speed_s: float | None
    """From the call's arrival here until the alert was handed to Telegram, as the card says."""
    repeat: bool
    late_s: float | None = None
    """It passed so long after the call, when a missing figure arrived; `None`: at once."""


class DeliveryService:
    def __init__(
        self,
        *,
        outbox: Outbox,
        kinds: Kinds,
        sorter: Sorter,
        sender: Sender,
        settler: Settler,
        metrics: Metrics,
        on_sent: Callable[[Sent], None],
        consumer: str,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._clock = clock
        self._outbox = outbox
        self._kinds = kinds
        self._sorter = sorter
        self._sender = sender
        self._settler = settler
        self._metrics = metrics
        self._on_sent = on_sent
        self._consumer = consumer
        self._queues: dict[int, deque[QueuedMessage]] = {}
        self._in_hand: set[tuple[Partition, str]] = set()
        """Entries read from the outbox and not yet settled."""
        self._room = asyncio.Condition()
        self._in_flight = asyncio.Semaphore(SEND_SLOTS)
        self._sending: set[int] = set()
        """Subscribers of whom something is being sent or settled."""
        self._leaving: set[Partition] = set()
        """Of these nothing new begins: `release` waits for what is under way."""
        self._owned: set[Partition] = set()
        self._unrecovered: set[Partition] = set()
        self._recovered: set[Partition] = set()
        """Those that were recovered before."""
        self._reading = asyncio.Lock()
        self._answer_was_lost = False
        """Entries may be ours in Redis that never came."""

    @property
    def held(self) -> int:
        """Alerts read from the outbox and not yet settled."""
        return len(self._in_hand)

    @property
    def owned(self) -> frozenset[Partition]:
        """The partitions that are sent here."""
        return frozenset(self._owned)

    @property
    def recovered(self) -> frozenset[Partition]:
        """Of these, those of which everything was taken up that a predecessor left."""
        return frozenset(self._owned - self._unrecovered)

    def take_over(self, partitions: Iterable[Partition]) -> None:
        """Send what these partitions hold, from now on; nobody else does."""
        self._owned.update(partitions)
        self._unrecovered.update(partitions)

    async def release(self, partitions: Iterable[Partition]) -> set[tuple[int, str]]:
        """Send nothing more of these partitions; return when nothing of them is under way.

        What was in hand stays in the outbox. Returns (user, call) of alerts that may have arrived already.
        """
        released = frozenset(partitions)
        self._owned -= released
        self._unrecovered -= released
        self._leaving |= released
        unknown: set[tuple[int, str]] = set()
        try:
            async with self._reading:  # what is being read right now is in hand afterwards
                pass
            async with self._room:
                await self._room.wait_for(lambda: not any(partition_of(user) in released for user in self._sending))
                for user_id, queue in self._queues.items():
                    if partition_of(user_id) in released:
                        unknown.update(pair for w in queue if w.may_repeat for pair in pairs_of(w.entry.outgoing))
                        self._let_go(queue, [w for w in queue if w.entry.is_local])
        finally:
            self._leaving -= released
            async with self._room:
                self._room.notify_all()
        return unknown

    async def run(self, progress: Progress) -> None:
        """Deliver until cancelled. Whatever is unsettled then stays in the outbox for the next start."""
        async with asyncio.TaskGroup() as workers:
            looked_at = time.monotonic()
            while True:
                progress()
                if self.held >= MAX_HELD:  # Telegram may be away for hours: those who send have to move, not this
                    await reporting(self._has_room(), progress)
                if self._unrecovered:
                    await self._take(self._recover, workers)
                if self._answer_was_lost and not self._outbox.is_behind:
                    self._answer_was_lost = not await self._take(partial(self._find_lost, AT_ONCE_S), workers)
                if time.monotonic() - looked_at > LOST_AFTER_S / 2:
                    looked_at = time.monotonic()
                    await self._take(partial(self._find_lost, LOST_AFTER_S), workers)
                if not await self._take(self._read, workers):
                    self._answer_was_lost = True

    async def _has_room(self) -> None:
        async with self._room:
            await self._room.wait_for(lambda: self.held < MAX_HELD)

    async def drained(self) -> None:
        """Return when the outbox has nothing left to send."""
        while self.held or await retry_until_done(self._left):  # noqa: ASYNC110 - other senders empty it too
            await asyncio.sleep(DRAIN_POLL_S)

    async def _left(self) -> int:
        return await self._outbox.size(self._owned)

    async def _take(self, source: Callable[[], Awaitable[list[OutboxEntry]]], workers: asyncio.TaskGroup) -> bool:
        """Take in what a source gives; `False` when it gave no answer."""
        async with self._reading:
            try:
                entries = await source()
            except TransientError as error:
                log.warning("outbox_not_read", reason=str(error))
                await asyncio.sleep(RETRY_S)
                return False
            self._take_in(entries, workers)
            if entries:
                await asyncio.sleep(0)  # they are on their way before more are asked for
            return True

    async def _recover(self) -> list[OutboxEntry]:
        """Take up what a predecessor left of partitions that are new here."""
        partitions = sorted(self._unrecovered)
        recovered = await self._outbox.recover(self._consumer, partitions)
        self._unrecovered.difference_update(partitions)
        # What is recovered a second time was counted when it was claimed, or recovered first.
        new = {partition for partition in partitions if partition not in self._recovered}
        self._recovered |= new
        found = sum(isinstance(entry.outgoing, Alert) and entry.partition in new for entry in recovered)
        self._metrics.counts.alerts_recovered += found
        if recovered:
            await asyncio.sleep(COLD_START_S)
        return recovered

    async def _find_lost(self, min_idle_s: float) -> list[OutboxEntry]:
        """Return what was taken so long ago and never settled, although it is ours.

        Somebody has read it too late to know that, or it was given to us in an answer that got lost.
        """
        # What is in hand now may be settled until the answer comes.
        in_hand = frozenset(self._in_hand)
        found = await self._outbox.recover(self._consumer, sorted(self._owned), min_idle_s=min_idle_s)
        return [entry for entry in found if (entry.partition, entry.entry_id) not in in_hand]

    async def _read(self) -> list[OutboxEntry]:
        partitions = sorted(self._owned - self._unrecovered)
        return await self._outbox.read(self._consumer, READ_COUNT, READ_BLOCK_MS, partitions)

    def _take_in(self, entries: list[OutboxEntry], workers: asyncio.TaskGroup) -> None:
        for entry in entries:
            place = (entry.partition, entry.entry_id)
            if place in self._in_hand or not (entry.is_local or entry.partition in self._owned):
                continue
            user_id = entry.outgoing.user_id
            self._in_hand.add(place)
            known = self._queues.get(user_id)
            if known is None:
                queue = self._queues[user_id] = deque([QueuedMessage(entry=entry)])
                workers.create_task(self._serve(user_id, queue), name=f"messages to {user_id}")
            else:
                known.append(QueuedMessage(entry=entry))
                if (row := self._kinds.find(entry.outgoing)) is not None:
                    # Their worker may wait for the turn of a broadcast; what has come is looked at when that comes.
                    self._sender.hasten(user_id, row.lane)

    async def _serve(self, user_id: int, queue: deque[QueuedMessage]) -> None:
        """Settle what waits for one subscriber, oldest first, until nothing does."""
        while queue:
            again_s = 0.0
            try:
                await self._turn(user_id, queue)
            except UnreadableError:
                again_s = pace.seconds(UNREADABLE_AGAIN_S)
                async with self._under_way(user_id):
                    await self._settler.leave(queue)
            await self._leave(queue)
            pauses = [waiting.pause_s for waiting in islice(queue, LOOKED_AT)]
            if pauses and (pause_s := max(again_s, *pauses)):
                await asyncio.sleep(pause_s)
        del self._queues[user_id]

    async def _leave(self, queue: deque[QueuedMessage]) -> None:
        """Let the settled ones go."""
        async with self._room:
            self._let_go(queue, [waiting for waiting in queue if not waiting.settled])
            self._room.notify_all()

    def _let_go(self, queue: deque[QueuedMessage], left: Sequence[QueuedMessage]) -> None:
        self._in_hand.difference_update((w.entry.partition, w.entry.entry_id) for w in queue)
        self._in_hand.update((w.entry.partition, w.entry.entry_id) for w in left)
        queue.clear()
        queue.extend(left)

    @asynccontextmanager
    async def _request_to(self, user_id: int) -> AsyncGenerator[None]:
        """One of the few requests in flight."""
        async with self._in_flight, self._under_way(user_id):
            yield

    @asynccontextmanager
    async def _under_way(self, user_id: int) -> AsyncGenerator[None]:
        """`release` waits for the end of what is done inside, and it for the end of a `release`."""
        async with self._room:
            await self._room.wait_for(lambda: partition_of(user_id) not in self._leaving)
            self._sending.add(user_id)
        try:
            yield
        finally:
            self._sending.discard(user_id)
            async with self._room:
                self._room.notify_all()

    async def _turn(self, user_id: int, queue: deque[QueuedMessage]) -> None:
        """Wait for the turn, then send one message or find that nothing is to be sent."""
        async with self._under_way(user_id):
            subscriber, sendable = await self._sorter.sort_out(user_id, queue)
        if subscriber is None or not sendable:
            return
        batch = sendable[:1]
        place, lane = self._kinds.target(batch[0], subscriber), self._kinds.of(batch[0].entry.outgoing).lane
        began_at = self._note_turn(batch[0])
        try:
            await self._kinds.prepare(batch[0], subscriber)
            async with self._sender.slot(place, lane) as slot, self._request_to(user_id):
                self._metrics.stage("turn", time.perf_counter() - began_at)
                # The turn may have come much later: others have arrived, or the subscriber has changed their mind.
                current, sendable = await self._sorter.sort_out(user_id, queue)
                if current is None or not sendable or self._kinds.target(sendable[0], current) != place:
                    return
                subscriber, batch = current, sendable[:1]
                if not self._kinds.is_ready(batch[0]):
                    return
                message = self._kinds.message(sendable, subscriber, place)
                batch = list(message.batch)
                with bound_contextvars(call_id=batch[0].entry.outgoing.key):
                    await retry_until_done(lambda: self._outbox.begin([waiting.entry for waiting in batch]))
                    fault_point("begun")
                    with self._metrics.timed("telegram"):
                        receipt = await self._sender.send(message.message, place, slot, media=message.media)
                    fault_point("sent")
                    with self._metrics.timed("settle"):
                        await self._sent(batch, subscriber, receipt)
                fault_point("settled")
        except LeaseLostError as error:
            # If it is lost for good, `release` takes these away.
            log.warning("lease_in_doubt", user_id=user_id, reason=str(error))
            for waiting in batch:
                waiting.pause_s = RETRY_S
        except DeliveryError as error:
            await self._settler.answer(error, batch, subscriber, place)

    def _note_turn(self, first: QueuedMessage) -> float:
        """Count how long it took from the decision until it is first for its subscriber; once for each message."""
        if first.turned_at is None:
            first.turned_at = time.perf_counter()
            if isinstance(first.entry.outgoing, Alert):
                waited = self._clock() - first.entry.outgoing.decided_at
                self._metrics.stage("outbox", waited.total_seconds())
        return time.perf_counter()

    async def _sent(self, batch: Sequence[QueuedMessage], subscriber: Subscriber, receipt: Receipt) -> None:
        await self._settler.sent(batch, subscriber, receipt)
        for waiting in batch:
            if waiting.call is not None:
                self._on_sent(
                    Sent(
                        user_id=subscriber.user_id,
                        name=subscriber.name,
                        call=waiting.call,
                        speed_s=waiting.speed_s,
                        repeat=waiting.may_repeat,
                        late_s=waiting.entry.alert.late_s,
                    )
                )
