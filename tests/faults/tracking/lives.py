"""What tokens do: seeded, by plain arithmetic. A price stands for a while, then for another while somewhere else.

No level is left before it could be confirmed, but for wicks, which are one tick; so what the bot has to find out does
not depend on which of the ticks it sees, and a loop over the raw ticks says the same.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

from solders.pubkey import Pubkey

from domain.calls.events import Token
from domain.tracking.outcome import SILENT_FOR_S

STEP_S: Final = 300.0
"""Between two ticks of a token: less than what counts as a gap, and all parts of the tracker are looked at once."""
CHANNELS: Final = tuple(f"@caller_{number}" for number in range(12))
SUPPLY: Final = 1e6
LIQUIDITY_USD: Final = 40_000.0
LEFT_USD: Final = 50.0
"""Of the pool, where somebody has taken the money."""
WOBBLES_TO: Final = 0.995
"""More than `MOVED_BY`: somebody trades."""
ROUNDED_BY: Final = 0.0005
HOUR_S, DAY_S = 3_600.0, 86_400.0

End = Literal["age", "liquidity", "fallen", "silence"]


@dataclass(frozen=True, slots=True)
class PlannedCall:
    at_s: float
    channel: str


@dataclass(slots=True, kw_only=True)
class Life:
    """Times are seconds since the market began."""

    address: str
    symbol: str
    calls: list[PlannedCall]
    starts_s: list[float]
    prices: list[float]
    """From each of `starts_s` on."""
    end: End
    dies_s: float
    """When the money goes, the price falls for good, or nobody trades any more; infinite for who lives on."""
    wicks: dict[float, float] = field(default_factory=dict[float, float])
    """One tick at this factor of the price."""

    def price(self, at_s: float) -> float:
        """Without wicks. It moves a little all the time, while it lives."""
        price = self.prices[max(0, bisect_right(self.starts_s, at_s) - 1)]
        wobbles = int(at_s / STEP_S) % 4 == 0 and not self._stands_still(at_s)
        return four_digits(price * WOBBLES_TO if wobbles else price)

    def told(self, at_s: float) -> float:
        """As providers say it: of what nobody trades any more a little less than the feed does, as if they rounded it
        otherwise. That is no trade."""
        price = self.price(at_s)
        return price * (1 - ROUNDED_BY) if self._stands_still(at_s) else price

    def _stands_still(self, at_s: float) -> bool:
        return self.end in {"fallen", "silence"} and at_s >= self.dies_s

    def tick(self, at_s: float) -> float:
        return four_digits(self.price(at_s) * self.wicks.get(at_s, 1.0))

    def liquidity(self, at_s: float) -> float:
        return LEFT_USD if self.end == "liquidity" and at_s >= self.dies_s else LIQUIDITY_USD

    def token(self, at_s: float) -> Token:
        price = self.told(at_s)
        return Token(
            address=self.address,
            symbol=self.symbol,
            name=self.symbol.title(),
            price_usd=price,
            market_cap_usd=round(price * SUPPLY, 2),
            fdv_usd=round(price * SUPPLY, 2),
            liquidity_usd=self.liquidity(at_s),
            volume_24h_usd=50_000.0,
            volume_1h_usd=5_000.0,
            holders=500,
            dex="pumpswap",
        )


def four_digits(price: float) -> float:
    """As all providers tell it."""
    return float(f"{price:.4g}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """How much happens in a market."""

    tokens: int
    called_within_s: float
    lasts_s: float
    """Levels are drawn for so long after the first call."""
    tracked_for_s: float


def draw_lives(span: Span, *, seed: int) -> list[Life]:
    random = Random(seed)
    return [_draw(random, number, span) for number in range(span.tokens)]


def _draw(random: Random, number: int, span: Span) -> Life:
    lasts_s = span.lasts_s
    first_s = _whole(STEP_S + random.uniform(0.0, span.called_within_s))
    channels = random.sample(CHANNELS, 2)
    calls = [PlannedCall(first_s, channels[0])]
    if random.random() < 0.5:
        calls.append(PlannedCall(_whole(first_s + random.uniform(0.02, 0.3) * lasts_s), channels[1]))
    price = first_price = 10 ** random.uniform(-3.0, 0.0)
    starts_s, prices, at_s, highest = [0.0], [price], first_s, price
    ends: tuple[End, ...] = ("age", "age", "liquidity", "fallen")
    end = random.choice((*ends, "silence") if lasts_s > 2 * SILENT_FOR_S else ends)
    dies_s = float("inf") if end == "age" else _whole(calls[-1].at_s + random.uniform(0.05, 0.8) * lasts_s)
    while True:
        at_s = _whole(at_s + random.choice((4, 6, 20, 60, 150)) * STEP_S + random.uniform(0, 0.03) * lasts_s)
        if at_s >= min(dies_s - 5 * STEP_S, first_s + lasts_s):
            break
        price = min(first_price * 150, max(first_price / 8, price * random.choice((0.4, 0.75, 1.3, 1.6, 2.15, 3.3))))
        highest = max(highest, price)
        starts_s.append(at_s)
        prices.append(price)
    if end != "age":
        starts_s.append(dies_s)
        prices.append({"liquidity": price * 0.02, "fallen": highest * 0.004, "silence": price}[end])
    life = Life(
        address=str(Pubkey(random.randbytes(32))),
        symbol=f"COIN{number}",
        calls=calls,
        starts_s=starts_s,
        prices=prices,
        end=end,
        dies_s=dies_s,
    )
    for place in range(1, len(starts_s) - 1):
        if random.random() < 0.3:  # in the middle of a level, so that the ticks around it are at home
            life.wicks[_whole((starts_s[place] + starts_s[place + 1]) / 2)] = random.choice((6.0, 40.0, 0.1))
    return life


def _whole(at_s: float) -> float:
    return round(at_s / STEP_S) * STEP_S
