"""Which tokens to ask the providers for next, from what they allow.

Each token wants to be asked at a rate, and whose turn is the most overdue by that measure goes first. So if the budget
suffices, nobody waits longer than their bound, and if it does not, all wait longer by the same factor, which is
`stretch`. Tokens near a milestone get what the others leave over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

LIVE_S: Final = 180.0
NEAR_S: Final = 20.0
"""A reading and the one that confirms it are then less than a minute apart."""
DEAD_S: Final = 6 * 3600.0
"""A dead token may come back; rarely."""
NEAR_BY: Final = 1.1
"""Within a tenth of its next rung."""
NOT_BEFORE: Final = 0.5
"""Share of its bound that must have passed: what nobody needs is not asked."""
USED: Final = 0.9
"""Share of the budget that is planned with: turns are whole batches."""
MUST_FROM: Final = 0.9
"""Share of its bound after which a token goes first."""
MUST_FIRST: Final = 1e6
_GOLDEN: Final = 0.618033988749895

Pace = Literal["live", "near", "dead"]
_BOUND_S: Final[dict[Pace, float]] = {"live": LIVE_S, "near": LIVE_S, "dead": DEAD_S}


class PollPlanner:
    """Tokens are small numbers. `per_s` is how many of them the providers together may be asked for in a second."""

    def __init__(self, per_s: float) -> None:
        if not per_s > 0:
            raise ValueError("without a budget nothing can be asked")
        self._per_s = per_s
        self._asked_at = np.empty(0)
        self._asked_before = np.empty(0)
        self._bound_s = np.empty(0)
        """Infinite for numbers that are not in use."""
        self._is_near: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)

    @property
    def per_s(self) -> float:
        return self._per_s

    @per_s.setter
    def per_s(self, per_s: float) -> None:
        self._per_s = per_s

    @property
    def demand_per_s(self) -> float:
        """Without what is near a milestone."""
        return float((1 / self._bound_s).sum())

    @property
    def stretch(self) -> float:
        """By which factor everybody waits longer than they should; 1 if the budget suffices."""
        return max(1.0, self.demand_per_s / self._per_s)

    def put(self, token: int, pace: Pace, now: float) -> None:
        """Ask for a token from now on, or at another pace. A new one is asked for soon; new dead ones are spread."""
        if token >= len(self._bound_s):
            self._grow(token + 1)
        if np.isinf(self._bound_s[token]):
            overdue = token * _GOLDEN % 1 if pace == "dead" else 1.0
            self._asked_at[token] = self._asked_before[token] = now - overdue * _BOUND_S[pace]
        self._bound_s[token] = _BOUND_S[pace]
        self._is_near[token] = pace == "near"

    def remove(self, token: int) -> None:
        if token < len(self._bound_s):
            self._bound_s[token], self._is_near[token] = np.inf, False

    def answered(self, tokens: Iterable[int], at: float) -> None:
        """A price came by another way, the feed for instance: nobody has to ask for it now."""
        some = np.fromiter(tokens, dtype=np.intp)
        self._asked_at[some] = np.maximum(self._asked_at[some], at)

    def failed(self, tokens: Iterable[int]) -> None:
        """No answer came: it is their turn as before."""
        some = np.fromiter(tokens, dtype=np.intp)
        self._asked_at[some] = self._asked_before[some]

    def plan(self, now: float, count: int) -> list[int]:
        """At most so many tokens, the most overdue first; they count as asked now."""
        if count <= 0:
            return []
        waited = self._overdue(now)
        due = (waited >= NOT_BEFORE).nonzero()[0]
        if len(due) > count:
            due = due[waited[due].argpartition(len(due) - count)[len(due) - count :]]
        due = due[waited[due].argsort()[::-1]]
        self._asked_before[due] = self._asked_at[due]
        self._asked_at[due] = now
        return due.tolist()

    def waiting_s(self, now: float) -> npt.NDArray[np.float64]:
        """How long ago each token was asked for, those that are not dead: the age of their prices."""
        return now - self._asked_at[self._bound_s <= LIVE_S]

    def _overdue(self, now: float) -> npt.NDArray[np.float64]:
        """How much of what they may wait tokens have waited; whose own bound is close goes before what is extra."""
        since, rates = np.abs(now - self._asked_at), 1 / self._bound_s  # a clock that was set back has asked nobody yet
        owed = since * rates
        more = self._is_near * (1 / NEAR_S - rates)
        wanted, left = float(more.sum()), USED * self._per_s - float(rates.sum())
        if wanted > 0 and left > 0:
            rates += more * min(1.0, left / wanted)
        return np.where(owed >= MUST_FROM, MUST_FIRST + owed + 1e-6 * self._is_near, since * rates)

    def _grow(self, tokens: int) -> None:
        more = max(64, len(self._bound_s), tokens - len(self._bound_s))
        self._asked_at = np.append(self._asked_at, np.zeros(more))
        self._asked_before = np.append(self._asked_before, np.zeros(more))
        self._bound_s = np.append(self._bound_s, np.full(more, np.inf))
        self._is_near = np.append(self._is_near, np.zeros(more, dtype=np.bool_))


def pace_of(price_usd: float, next_up_usd: float, *, dead: bool) -> Pace:
    """How often a token wants to be asked, from how far it is to the next rung of any entry."""
    if dead:
        return "dead"
    return "near" if price_usd * NEAR_BY >= next_up_usd else "live"
