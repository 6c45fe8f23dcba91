"""What of everything that waits for one subscriber goes out now; the rest is held, withheld or given up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, Protocol

from msgspec.structs import replace

from domain.delivery.policy import BEYOND_CAP, Delay, Hold, Send, Withhold
from domain.subscribers.subscriber import Subscriber
from runtime.retry import retry_until_done
from services.delivery.delayed import DelayedAlerts, Delaying
from services.delivery.held import HeldCalls, Holding
from services.delivery.kinds import Kinds
from services.delivery.policy import PolicyService
from services.delivery.settling import Settler
from services.delivery.turns import QueuedMessage
from services.monitoring.metrics import Metrics
from services.subscribers.subscribers import Subscribers

LOOKED_AT: Final = 50
"""Waiting entries of one subscriber that are decided together."""


class CapUsedUp(Protocol):
    async def __call__(self, subscriber: Subscriber, until: datetime, now: datetime, *, are_all: bool) -> None:
        """Hear whose alerts of the hour are used up, and until when the others wait.

        `are_all`: those that are kept for better calls, too.
        """
        ...


class Sorter:
    def __init__(
        self,
        *,
        kinds: Kinds,
        subscribers: Subscribers,
        policy: PolicyService,
        held: HeldCalls,
        delayed: DelayedAlerts,
        settler: Settler,
        metrics: Metrics,
        clock: Callable[[], datetime],
        used_up: CapUsedUp | None = None,
    ) -> None:
        """`used_up` is told of those whose alerts of the hour are."""
        self._used_up = used_up
        self._kinds = kinds
        self._subscribers = subscribers
        self._policy = policy
        self._held = held
        self._delayed = delayed
        self._settler = settler
        self._metrics = metrics
        self._clock = clock

    async def sort_out(
        self, user_id: int, queue: deque[QueuedMessage]
    ) -> tuple[Subscriber | None, list[QueuedMessage]]:
        """Settle what is not to go out now; return what is, by lane, in each lane the oldest first."""
        subscriber = await retry_until_done(lambda: self._subscribers.find(user_id))
        looked_at = [waiting for waiting in islice(queue, LOOKED_AT) if not waiting.settled]
        if subscriber is None:
            await self._settler.withhold(looked_at, "unknown")
            return None, []
        readable = [waiting for waiting in looked_at if await self._is_readable(waiting)]
        outgoing = [waiting.entry.outgoing for waiting in readable]
        rules, now = [self._kinds.of(one).rules for one in outgoing], self._clock()
        verdicts = await self._policy.decide(subscriber, outgoing, rules, now)
        holdings: list[Holding] = []
        delayings: list[Delaying] = []
        sendable: list[QueuedMessage] = []
        for waiting, verdict in zip(readable, verdicts, strict=True):
            match verdict:
                case Withhold(reason=reason):
                    await self._settler.withhold([waiting], reason)
                case Hold():
                    entry = replace(waiting.entry, may_repeat=waiting.may_repeat)
                    holdings.append(Holding(entry=entry, verdict=verdict))
                    waiting.settled = True
                case Delay(until=until):
                    delayings.append(Delaying(entry=waiting.entry, until=until))
                    waiting.settled = True
                case Send():
                    waiting.verdict = verdict
                    sendable.append(waiting)
        if holdings:
            await self._hold(subscriber, holdings, now)
        if delayings:
            await retry_until_done(lambda: self._delayed.put_aside(user_id, delayings))
        return subscriber, sorted(sendable, key=lambda waiting: self._kinds.of(waiting.entry.outgoing).lane)

    async def _is_readable(self, waiting: QueuedMessage) -> bool:
        reason = await self._kinds.read(waiting)
        if reason is not None:
            await self._settler.dead_letter([waiting], reason)
        return reason is None

    async def _hold(self, subscriber: Subscriber, holdings: Sequence[Holding], now: datetime) -> None:
        is_capped = self._policy.is_capped(subscriber)
        held = await retry_until_done(lambda: self._held.hold(subscriber.user_id, holdings, now, capped=is_capped))
        self._metrics.counts.alerts_deferred += len(held)
        self._metrics.counts.alerts_outdated += [one.verdict.reason for one in held].count("stale")
        capped = [one.verdict for one in held if one.verdict.reason in BEYOND_CAP]
        if capped and self._used_up is not None:
            until, are_all = max(one.until for one in capped), any(one.reason == "cap" for one in capped)
            await self._used_up(subscriber, until, now, are_all=are_all)
