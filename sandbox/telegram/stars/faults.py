"""What can go wrong between Telegram, the payer's app and the bot when Stars are paid."""

from __future__ import annotations

import random
from collections import Counter
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from sandbox.telegram.faults import Rate, Seconds


class StarFault(StrEnum):
    TWICE = "twice"
    """The update with the payment comes twice, under two update ids."""
    LATE = "late"
    """The update with the payment comes `late_s` later."""
    AFTER_RESTART = "after_restart"
    """The update with the payment comes when the bot starts the next time (it asks getMe)."""
    UNANSWERED = "unanswered"
    """The pre-checkout query does not reach the bot, so nobody answers it."""
    SAYS_CANCELLED = "says_cancelled"
    """The payer's app says that nothing was paid, though it was."""


class StarFaultChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Only what is named changes. `next`: the next payment meets these, whatever the rates say."""

    rates: dict[StarFault, Rate] = {}
    next: list[StarFault] = []
    late_s: Seconds | None = None
    seed: Annotated[int, Meta(ge=0)] | None = None


class StarFaults:
    """Rates are probabilities (0-1) per payment, drawn from a seeded generator so that a run can be repeated."""

    def __init__(self, *, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._next: Counter[StarFault] = Counter()
        self.rates: dict[StarFault, float] = {}
        self.late_s = 5.0

    def fail_next(self, fault: StarFault, count: int = 1) -> None:
        """Let the next `count` payments that can meet this fault meet it."""
        self._next[fault] += count

    def meets(self, fault: StarFault) -> bool:
        if self._next[fault] > 0:
            self._next[fault] -= 1
            return True
        rate = self.rates.get(fault, 0.0)
        return rate > 0 and self._random.random() < rate

    def change(self, change: StarFaultChange) -> None:
        if change.seed is not None:
            self._random.seed(change.seed)
        if change.late_s is not None:
            self.late_s = change.late_s
        self.rates |= change.rates
        self._next.update(change.next)

    def describe(self) -> dict[str, object]:
        """Return the names of `StarFaultChange` with what is in force."""
        return {"rates": self.rates, "next": sorted(self._next.elements()), "late_s": self.late_s}
