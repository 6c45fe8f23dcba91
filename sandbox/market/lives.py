"""The life of one token and the record of one channel, both as plain arithmetic."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from domain.calls.events import ChannelRecord
from sandbox.market.traits import Traits, draw_traits

SUPPLY = 1_000_000_000
WIN_MULTIPLE = 2.0

_DAY_S = 86_400.0
_RECENT_S = 30 * _DAY_S
_KEPT_RECENT = 20_000
_HIGHEST_MULTIPLE = 150.0
_SURVIVORS_SHARE = 0.07
_WOBBLES = 7


@dataclass(slots=True, eq=False)
class LiveCall:
    """A call whose outcome is not public yet."""

    id: str
    caller: Caller
    at_s: float
    price_usd: float


@dataclass(slots=True, kw_only=True, eq=False)
class TokenLife:
    """A token's whole future, drawn when it is first called: it rises to its peak, falls, and dies.

    Times are Unix seconds. The price starts at `price_usd`, reaches `price_usd * peak_multiple` at
    `peaks_at_s`, never goes higher, and falls monotonically afterwards.
    """

    mint: str
    name: str | None
    symbol: str | None
    created_at_s: float
    called_at_s: float
    price_usd: float
    peak_multiple: float
    rise_s: float
    fall_s: float
    floor_multiple: float
    wobble: float
    liquidity_share: float
    holders: int
    traits: Traits
    calls: list[LiveCall] = field(default_factory=list["LiveCall"])
    settled: bool = False

    @property
    def peaks_at_s(self) -> float:
        return self.called_at_s + self.rise_s

    @property
    def dies_at_s(self) -> float:
        return self.peaks_at_s + 5 * self.fall_s

    @property
    def peak_price_usd(self) -> float:
        return self.price_usd * self.peak_multiple

    def price_at(self, at_s: float) -> float:
        progress = max(0.0, (at_s - self.called_at_s) / self.rise_s)
        if progress < 1:
            # The dips vanish at both ends, so that entry and peak are exact.
            dip = self.wobble * math.sin(math.pi * progress) * abs(math.sin(_WOBBLES * math.pi * progress))
            return self.price_usd * self.peak_multiple**progress * (1 - dip)
        left = math.exp(-(at_s - self.peaks_at_s) / self.fall_s)
        return self.price_usd * (self.floor_multiple + (self.peak_multiple - self.floor_multiple) * left)

    def best_multiple(self, call: LiveCall) -> float:
        """Highest price from the call on, relative to the price at the call."""
        return max(1.0, self.peak_price_usd / call.price_usd) if call.at_s < self.peaks_at_s else 1.0


class Caller:
    """A channel: how good it is, how often it speaks, and what became of its calls so far.

    Times are seconds since the market began; what was before that is negative.
    """

    def __init__(self, *, channel_id: str, title: str, win_rate: float, weight: float, random: Random) -> None:
        self.id = channel_id
        self.title = title
        self.win_rate = win_rate
        """Probability that a token which it is first to call reaches 2x."""
        self.weight = weight
        self.repost_share = 0.55 - 0.6 * win_rate
        self._multiples: list[float] = []
        self._sum = 0.0
        self._recent: deque[tuple[float, float]] = deque(maxlen=_KEPT_RECENT)
        """When an outcome became known and what it was, over 30 days, in order."""
        earlier = random.randint(40, 600)
        # A quarter to a whole year of calls, evenly spread.
        life_s = _DAY_S * (90 + 275 * win_rate)
        for number in range(earlier):
            self.settle(self.draw_multiple(random), life_s * (number / earlier - 1))

    def draw_multiple(self, random: Random) -> float:
        """Pareto with P(multiple >= 2) = win rate: most go nowhere, a few go very far."""
        exponent = -math.log2(self.win_rate)
        return min(_HIGHEST_MULTIPLE, (1 - random.random()) ** (-1 / exponent))

    def settle(self, multiple: float, at_s: float) -> None:
        insort(self._multiples, multiple)
        self._sum += multiple
        self._recent.append((at_s, multiple))
        self._forget_old(at_s)

    def record(self) -> ChannelRecord:
        return _record(self._multiples, self._sum)

    def record_30d(self, at_s: float) -> ChannelRecord:
        self._forget_old(at_s)
        multiples = sorted(multiple for _, multiple in self._recent)
        return _record(multiples, sum(multiples))

    def _forget_old(self, at_s: float) -> None:
        while self._recent and self._recent[0][0] <= at_s - _RECENT_S:
            self._recent.popleft()


def _record(multiples: Sequence[float], total: float) -> ChannelRecord:
    """Sum up multiples in ascending order. Of no call nothing can be said but that."""
    count = len(multiples)
    if not count:
        return ChannelRecord(calls=0)
    wins = count - bisect_left(multiples, WIN_MULTIPLE)
    upper, lower = multiples[count // 2], multiples[(count - 1) // 2]
    return ChannelRecord(
        calls=count,
        win_rate_percent=round(100 * wins / count, 2),
        average_multiple=round(total / count, 3),
        median_multiple=round((upper + lower) / 2, 3),
    )


def draw_life(
    random: Random,
    details: Random,
    *,
    mint: str,
    name: str | None,
    symbol: str | None,
    at_s: float,
    multiple: float,
) -> TokenLife:
    """Draw the future of a token that is called for the first time at `at_s` and will peak at `multiple`.

    `details` draws what does not move the price, so that more of it changes no market that is known.
    """
    market_cap_usd = min(5e7, max(4_000.0, random.lognormvariate(math.log(60_000), 1.3)))
    survives = random.random() < _SURVIVORS_SHARE
    rise_s = random.lognormvariate(math.log(120), 0.6) * (1 + math.log2(multiple) / 4)
    holders = int(market_cap_usd**0.6 * random.lognormvariate(0, 0.5) / 2)
    created_at_s = at_s - min(30 * _DAY_S, random.lognormvariate(math.log(1_500), 1.8))
    return TokenLife(
        mint=mint,
        name=name,
        symbol=symbol,
        created_at_s=created_at_s,
        called_at_s=at_s,
        price_usd=market_cap_usd / SUPPLY,
        peak_multiple=multiple,
        rise_s=min(1_500.0, max(15.0, rise_s)),
        fall_s=min(900.0, max(30.0, random.lognormvariate(math.log(180), 0.7))),
        floor_multiple=random.uniform(0.3, 0.9) if survives else random.uniform(0.005, 0.12),
        wobble=random.uniform(0.05, 0.3),
        liquidity_share=random.uniform(0.08, 0.35),
        holders=max(3, holders),
        traits=draw_traits(
            details,
            mint=mint,
            name=name,
            created_at_s=created_at_s,
            called_at_s=at_s,
            is_sound=survives or multiple >= WIN_MULTIPLE,
        ),
    )
