"""Faults that can be switched on: what a network and a busy Telegram do to a bot."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

Rate = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=600)]


class Fault(StrEnum):
    ERROR_5XX = "error_5xx"
    """502 with an HTML body; nothing was done."""
    DROP = "drop"
    """The connection closes without an answer; nothing was done."""
    TIMEOUT_AFTER_DELIVERY = "timeout_after_delivery"
    """The message was delivered, the answer never comes."""


class FaultChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What the page may send: only the named faults change. `storm_s` starts a 429 storm of that length."""

    latency_s: tuple[Seconds, Seconds] | None = None
    error_5xx_rate: Rate | None = None
    drop_rate: Rate | None = None
    timeout_after_delivery_rate: Rate | None = None
    storm_s: Seconds | None = None


class Faults:
    """Rates are probabilities (0-1) per request, drawn from a seeded generator so that a run can be repeated.

    Faults never touch getUpdates: without updates nothing would be left to observe.
    """

    def __init__(self, clock: Callable[[], float], *, seed: int = 1) -> None:
        self._clock = clock
        self._random = random.Random(seed)
        self._next: Counter[Fault] = Counter()
        self.latency_s: tuple[float, float] = (0.0, 0.0)
        """Least and most delay before a request is looked at."""
        self.error_5xx_rate = 0.0
        self.drop_rate = 0.0
        self.timeout_after_delivery_rate = 0.0
        self.storm_until = -math.inf
        """Until the sandbox's clock shows this, every send is refused with 429."""
        self.ahead_s = 0.0
        """By how much the date of an answer is later than this machine's: both grow old together with a moved clock."""
        self.hold_s = 120.0
        """How long an answer that never comes keeps its connection open."""

    def fail_next(self, fault: Fault, count: int = 1) -> None:
        """Let the next `count` requests that can meet this fault meet it, whatever the rates say."""
        self._next[fault] += count

    def storm(self, retry_after_s: float) -> None:
        """Refuse every send for this long."""
        self.storm_until = self._clock() + retry_after_s

    def storm_wait_s(self, now: float) -> int:
        return max(1, math.ceil(self.storm_until - now)) if now < self.storm_until else 0

    async def delay(self) -> None:
        low, high = self.latency_s
        if high > 0:
            await asyncio.sleep(self._random.uniform(low, high))

    def draw(self, *, is_send: bool) -> Fault | None:
        """Return the fault that this request meets, if any."""
        if self._meets(Fault.ERROR_5XX, self.error_5xx_rate):
            return Fault.ERROR_5XX
        if self._meets(Fault.DROP, self.drop_rate):
            return Fault.DROP
        if is_send and self._meets(Fault.TIMEOUT_AFTER_DELIVERY, self.timeout_after_delivery_rate):
            return Fault.TIMEOUT_AFTER_DELIVERY
        return None

    def _meets(self, fault: Fault, rate: float) -> bool:
        if self._next[fault] > 0:
            self._next[fault] -= 1
            return True
        return rate > 0 and self._random.random() < rate

    def change(self, change: FaultChange) -> None:
        if change.latency_s is not None:
            self.latency_s = (min(change.latency_s), max(change.latency_s))
        if change.error_5xx_rate is not None:
            self.error_5xx_rate = change.error_5xx_rate
        if change.drop_rate is not None:
            self.drop_rate = change.drop_rate
        if change.timeout_after_delivery_rate is not None:
            self.timeout_after_delivery_rate = change.timeout_after_delivery_rate
        if change.storm_s is not None:
            self.storm(change.storm_s)

    def describe(self) -> dict[str, object]:
        """Return the names of `FaultChange` with what is in force."""
        return {
            "latency_s": list(self.latency_s),
            "error_5xx_rate": self.error_5xx_rate,
            "drop_rate": self.drop_rate,
            "timeout_after_delivery_rate": self.timeout_after_delivery_rate,
            "storm_s": round(max(0.0, self.storm_until - self._clock()), 1),
        }
