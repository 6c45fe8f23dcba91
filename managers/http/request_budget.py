"""How often a host may be asked: by our own count, and by what it says itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from heapq import heappop, heappush
from typing import Final

from msgspec import Struct

from runtime.limit import Limit

__all__ = ["LOST_AFTER_S", "UNLIMITED", "Budget", "Limit", "Room", "pause_s"]

UNLIMITED: Final = Limit(2**62, 0.0)
LOST_AFTER_S: Final = 8.0
"""A request that nobody waits for any more reaches the host within this time after it was sent, or never."""

_UNIX_TIMES_FROM_S = 1e9
"""A smaller `x-ratelimit-reset` is a number of seconds from now."""


class Room(Struct, frozen=True):
    requests: int
    """As many may be asked now."""
    again_in_s: float
    """0 while there are any, else how long there are none at least."""
    is_trial: bool = False
    """It has failed: the one request is to find out whether it is well again."""
    used: int = 0
    """Of what may be asked in a period, by this process."""


@dataclass(slots=True)
class _Slot:
    sent_at: float
    arrived_by: float
    """The latest moment at which its request can have reached the host."""
    was_used: bool = True


class Budget:
    """At most `limit.slots` requests reach the host in any `limit.period_s`, whatever the delays on the way.

    A slot is free again one period after the *answer* to its request, so two arrivals that share a slot are a period
    apart at least; see `managers/telegram/send_slots.py`. A request that was given up may still be on its way: it
    counts as arrived `LOST_AFTER_S` after it was sent.

    A limit that is a guess is halved when the host says that it was too much, and has one slot more after every
    period without that.
    """

    def __init__(self, clock: Callable[[], float], share: Callable[[], float] = lambda: 1.0) -> None:
        """`share`: how much of a limit is ours now, where other processes ask, too."""
        self.limit = UNLIMITED
        """As declared, for all who ask."""
        self._share = share
        self._is_guess = False
        self._halved_to = 0
        self._halved_at = -math.inf
        self._clock = clock
        self._taken = 0
        self._arrivals: list[float] = []

    def declare(self, limit: Limit, *, is_guess: bool) -> None:
        self.limit, self._is_guess = limit, is_guess

    def slots(self) -> int:
        """As many as may be used in a period now."""
        slots = self._own().slots
        periods = (self._clock() - self._halved_at) / self.limit.period_s if self._halved_to else math.inf
        return slots if math.isinf(periods) else min(slots, self._halved_to + int(periods))

    def _own(self) -> Limit:
        """Our share of the limit: whose share is less than one slot waits longer for it."""
        share = self._share()
        if share >= 1:
            return self.limit
        slots = self.limit.slots * share
        return Limit(int(slots), self.limit.period_s) if slots >= 1 else Limit(1, self.limit.period_s / slots)

    def was_too_much(self, slot: _Slot) -> None:
        """The host said so of this request. What was sent before the last halving says nothing of what is left."""
        if self._is_guess and slot.sent_at > self._halved_at:
            self._halved_to, self._halved_at = max(1, self.slots() // 2), self._clock()

    def wait_s(self) -> float:
        """0 when there is room, else how long there is none at least."""
        now, period_s = self._clock(), self._own().period_s
        while self._arrivals and self._arrivals[0] + period_s <= now:
            heappop(self._arrivals)
        if self._taken + len(self._arrivals) < self.slots():
            return 0.0
        return self._arrivals[0] + period_s - now if self._arrivals else period_s

    def free(self) -> int:
        """Requests that may be asked now."""
        return 0 if self.wait_s() > 0 else self.slots() - self._taken - len(self._arrivals)

    def used(self) -> int:
        """Requests that count in the period that ends now."""
        self.wait_s()  # forgets those before
        return self._taken + len(self._arrivals)

    def counting(self) -> list[float]:
        """Seconds since each request that counts now reached the host; less than 0 for what is on its way."""
        self.wait_s()  # forgets those before
        now = self._clock()
        return [now - arrived for arrived in self._arrivals] + [-LOST_AFTER_S] * self._taken

    def note(self, ages_s: Iterable[float]) -> None:
        """Count requests that reached the host so many seconds ago, of somebody whose place this process takes."""
        now = self._clock()
        for age_s in ages_s:
            heappush(self._arrivals, now - max(age_s, -LOST_AFTER_S))

    @contextmanager
    def slot(self) -> Generator[_Slot]:
        """Use one slot; only right after `wait_s()` gave 0. The user notes when the answer came."""
        now = self._clock()
        slot = _Slot(sent_at=now, arrived_by=now + LOST_AFTER_S)
        self._taken += 1
        try:
            yield slot
        finally:
            self._taken -= 1
            if slot.was_used:
                heappush(self._arrivals, slot.arrived_by)


def pause_s(headers: Mapping[str, str]) -> float | None:
    """How long the server wants to be left alone, from `Retry-After` or `x-ratelimit-reset`; `None`: it does not say.

    Moments are measured from the answer's own `Date`, so that it does not matter how well our clock is set.
    """
    now_s = _date_s(headers.get("Date"))
    if now_s is None:
        now_s = time.time()
    after = headers.get("Retry-After")
    wait_s, moment_s = _number(after), _date_s(after)
    if wait_s is None and moment_s is None:
        reset = _number(headers.get("x-ratelimit-reset"))
        wait_s, moment_s = (reset, None) if (reset or 0.0) < _UNIX_TIMES_FROM_S else (None, reset)
    if moment_s is not None:
        wait_s = moment_s - now_s
    return None if wait_s is None else max(0.0, wait_s)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date_s(text: str | None) -> float | None:
    """Read an HTTP date as Unix time."""
    try:
        moment = parsedate_to_datetime(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
