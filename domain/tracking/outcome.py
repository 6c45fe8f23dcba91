"""What a call became, and when its story is over."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from domain.tracking.confirmation import POSITION_USD
from domain.tracking.standing import Standing, TokenState

HORIZONS_S: Final = (3_600, 86_400, 604_800)
"""Returns are taken an hour, a day and a week after the call."""
TRACKED_FOR_S: Final = 30 * 86_400.0
"""Then a call ends by age."""
THIN_FOR_S: Final = 3_600.0
"""A pool that stays empty for so long is not between two migrations."""
SILENT_FOR_S: Final = 86_400.0
FALLEN_TO: Final = 0.01
"""Share of the all-time high; with so little left, an hour without a trade is enough."""
FALLEN_SILENT_FOR_S: Final = 3_600.0

Ending = Literal["liquidity", "silence", "fallen", "age"]


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one call, as it stands; of an ended one, for ever. Multiples are of the price at the call."""

    token: str
    channel: int
    called_at: float
    price_usd: float
    peak_multiple: float
    peak_after_s: float
    at_least: bool = False
    """The peak may have been higher."""
    wick_multiple: float | None = None
    """A higher price that was never confirmed; no statistic counts it."""
    reachable_multiple: float | None = None
    """As `reachable_multiple` computes it; `None` where no alert was sent or the liquidity is unknown."""
    returns: dict[int, float] = {}
    """Multiple at each horizon, in seconds after the call, that has passed with a price."""
    ended_at: float | None = None
    ending: Ending | None = None

    @property
    def counted_reachable(self) -> float | None:
        """What is told beside the peak, and so no more than that.

        The peak counts from the price at the call. Where the price was lower when the alert was sent, that fall is
        luck of a moment, and no gain of the call.
        """
        return None if self.reachable_multiple is None else min(self.reachable_multiple, self.peak_multiple)

    @property
    def died(self) -> bool:
        return self.ending is not None and self.ending != "age"


def outcome(
    token: str,
    standing: Standing,
    *,
    returns: dict[int, float] | None = None,
    reachable: float | None = None,
    ended_at: float | None = None,
    ending: Ending | None = None,
) -> Outcome:
    wick = standing.wick_usd
    return Outcome(
        token=token,
        channel=standing.channel,
        called_at=standing.called_at,
        price_usd=standing.price_usd,
        peak_multiple=standing.peak_multiple,
        peak_after_s=max(0.0, standing.peak_at - standing.called_at),
        at_least=standing.at_least,
        wick_multiple=None if wick is None else wick / standing.price_usd,
        reachable_multiple=reachable,
        returns=returns or {},
        ended_at=ended_at,
        ending=ending,
    )


def cause_of_death(state: TokenState, asked_at: float) -> Ending | None:
    """Whether a token is dead by what is known at `asked_at`, when a provider was last asked and has answered.

    A time in which nobody asked is no silence.
    """
    if state.thin_since is not None and state.liquidity_at - state.thin_since >= THIN_FOR_S:
        return "liquidity"
    silent_s = asked_at - state.moved_at
    if state.price_usd <= FALLEN_TO * state.ath_usd and silent_s >= FALLEN_SILENT_FOR_S:
        return "fallen"
    return "silence" if silent_s >= SILENT_FOR_S else None


def reachable_multiple(
    entry_usd: float,
    peak_usd: float,
    *,
    entry_liquidity_usd: float,
    peak_liquidity_usd: float,
    position_usd: float = POSITION_USD,
) -> float:
    """What somebody could have made of the call: in when the alert was sent, all out at the confirmed peak since then.

    Both trades move the price of a constant-product pool, half of whose liquidity is money: buying for s out of a side
    of R costs 1 + s/R times the price, selling what is worth v yields v*R/(R + v). Fees are left out.
    """
    if min(entry_liquidity_usd, peak_liquidity_usd) <= 0:
        return 0.0
    bought_at = entry_usd * (1 + position_usd / (entry_liquidity_usd / 2))
    worth, side = position_usd * peak_usd / bought_at, peak_liquidity_usd / 2
    return worth * side / (side + worth) / position_usd
