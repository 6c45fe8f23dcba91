"""Several senders share Telegram's overall limit: who may use how many of its slots, and until when.

Every sender holds a share by lease and renews it each second, saying how many slots it holds and how many it
could use. The script grants by demand, max-min fair, and never more than nobody else may still be using:

- a sender counts for what it *says* it holds, and it says so until a slot has cooled (`SlotScheduler.held`);
- a sender that is silent counts for all it was granted until its lease has ended, its last requests can no
  longer arrive, and a period has passed;
- a sender uses nothing beyond the end of its lease, counted on its own clock from before it asked.

So the windows of all senders together are one ack-clocked window of N slots (see `managers/telegram/send_slots.py`).
With more hungry senders than slots some get nothing; nobody runs that many.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

import structlog

from managers.redis.client import RedisManager, RedisUnavailableError
from managers.redis.scripts import Script, packed
from managers.telegram.send_slots import SlotScheduler
from runtime.cancellation import stop_if_cancelled
from runtime.waiting import Progress
from services.stores import keys

log = structlog.get_logger(__name__)

LEASE_S = 3.0
"""A sender that could not renew for so long sends nothing."""
RENEWED_EACH_S = 1.0
_MIN_WAIT_S = 0.05
"""Not even a sender that runs short renews again before this."""
_ANSWER_WITHIN_S = 1.0
_CLOCK_SLACK_S = 1.0
"""What Redis may believe to have passed beyond what the asking sender's clock says."""

RENEW: Final = Script.beside(__file__, "renew_slots.lua")
_LEAVE: Final = Script.beside(__file__, "leave_slots.lua")


class SlotLeases:
    """Keeps the scheduler's share of the overall window leased: nothing is sent before `run` has asked for one.

    `sender` names the process in the leases; every start makes it a new one. `alone` tells whether nobody else can be
    sending: then the whole window is used while Redis is down, and a predecessor's slots come back without waiting
    for the longest time that its last requests might take.

    `without_redis`: so many slots are used where Redis does not answer, or takes nothing, and others may be sending:
    whoever talks to admins has to be able to say so. The others stop for the same reason; where they do not, it is so
    many messages too much at worst.
    """

    def __init__(
        self,
        *,
        redis: RedisManager,
        scheduler: SlotScheduler,
        sender: str,
        alone: Callable[[], bool],
        without_redis: int = 0,
    ) -> None:
        self._redis = redis
        self._scheduler = scheduler
        self._sender = f"{sender}:{secrets.token_hex(4)}"
        self._alone = alone
        self._without_redis = without_redis
        self._covered_until = scheduler.clock()
        """What the lease covers ends then, and has cooled."""
        self._careful_until = -math.inf
        """Somebody may have used a slot without Redis, which does not know of it yet."""
        self._number = 0
        self._answered_at: float | None = None
        """When the last answered request (or else the first) was about to leave."""
        self._has_enough = False
        self._redis_answers = True
        scheduler.resize(0)

    async def run(self, progress: Progress) -> None:
        """Renew the lease for ever."""
        clock = self._scheduler.clock
        while True:
            stop_if_cancelled()
            started_at = clock()
            await self._keep()
            progress()
            if self._has_enough:
                # Demand may rise within the second; there may be slots that nobody else needs.
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, started_at + RENEWED_EACH_S - clock())):
                        await self._scheduler.short.wait()
                await asyncio.sleep(max(0.0, started_at + _MIN_WAIT_S - clock()))
            else:
                await asyncio.sleep(max(0.0, started_at + RENEWED_EACH_S - clock()))

    async def leave(self) -> None:
        """Give everything back as soon as it has cooled. Call it when the last message is sent and `run` has ended."""
        self._scheduler.resize(0, until=-math.inf)
        self._number += 1
        cools_ms = _milliseconds(self._scheduler.quiet_in_s)
        args = packed(sender=self._sender, number=self._number, cools_ms=cools_ms)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await self._redis.script(_LEAVE, [keys.SLOT_LEASES.of()], args)
        except (RedisUnavailableError, TimeoutError) as error:
            stop_if_cancelled()
            log.warning("slot_lease_not_given_back", reason=str(error))

    async def _keep(self) -> None:
        """Renew, or see what is left without Redis: what the lease still covers, or everything if alone."""
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await self._renew()
        except (RedisUnavailableError, TimeoutError) as error:
            stop_if_cancelled()
            alone, now = self._alone(), self._scheduler.clock()
            self._careful_until = now + LEASE_S
            if alone:
                self._scheduler.resize(self._scheduler.limits.slots, until=now + LEASE_S)
            elif self._without_redis and now >= self._covered_until:
                self._scheduler.resize(self._without_redis, until=now + LEASE_S)
            self._has_enough = False
            if self._redis_answers:
                log.warning("slot_lease_not_renewed", reason=str(error) or "no answer in time", alone=alone)
            self._redis_answers = False
        else:
            if not self._redis_answers:
                log.info("slot_lease_renewed", slots=self._scheduler.slots)
            self._redis_answers = True

    async def _renew(self) -> None:
        """Renew, and once more if that made slots free for others."""
        scheduler = self._scheduler
        for _ in range(2):
            scheduler.short.clear()
            held, demand, asked_at = scheduler.held, scheduler.demand, scheduler.clock()
            granted = await self._ask(held, demand, asked_at)
            if asked_at < self._careful_until and not self._alone():
                granted = max(0, granted - 1)
            scheduler.resize(granted, until=asked_at + LEASE_S)
            self._covered_until = asked_at + LEASE_S + scheduler.limits.period_s
            self._answered_at = asked_at
            self._has_enough = granted >= demand
            if scheduler.held >= held:
                return

    async def _ask(self, held: int, demand: int, asked_at: float) -> int:
        if self._answered_at is None:
            self._answered_at = asked_at
        self._number += 1
        limits = self._scheduler.limits
        args = packed(
            sender=self._sender,
            number=self._number,
            slots=limits.slots,
            held=held,
            demand=demand,
            alone=self._alone(),
            lease_ms=_milliseconds(LEASE_S),
            period_ms=_milliseconds(limits.period_s),
            hold_ms=_milliseconds(self._scheduler.lost_after_s + limits.period_s + _CLOCK_SLACK_S),
            since_ms=_milliseconds(asked_at - self._answered_at),
            slack_ms=_milliseconds(_CLOCK_SLACK_S),
            closed_ms=_milliseconds(LEASE_S + limits.period_s),
        )
        return cast("int", await self._redis.script(RENEW, [keys.SLOT_LEASES.of()], args))


def _milliseconds(duration_s: float) -> int:
    """Never less than the duration, whichever millisecond Redis believes it to be."""
    return math.ceil(duration_s * 1000) + 1
