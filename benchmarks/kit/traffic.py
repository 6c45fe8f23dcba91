"""Subscribers and calls of a market that goes on and on, for benchmarks of the whole program.

The filter sets are those of `benchmarks/kit/workload.py` on fields that feeds really have; those that demand no minimum
at all are left out, as they would take any token. A new token is one of the many that interest hardly anybody: its
values are log-normal, but `interest` times what they would be where 1.2 % of the sets pass. Each further call comes
from another channel and with figures that have moved a little.

The last of the subscribers may be followers: each takes whatever a channel of their own calls, so that calls from these
channels become alerts at an even pace, however little the rest of the market interests anybody. All of it is seeded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace
from solders.pubkey import Pubkey

from benchmarks.kit import workload
from domain.calls.events import Call, Channel, Token
from domain.filters.registry import Choice, FilterSet, Range, Rule

FIELDS: dict[str, tuple[str, float]] = {
    "field_0": ("developer_percent", 1),
    "field_1": ("top10_percent", 10),
    "field_2": ("holders", 1_000),
    "field_3": ("volume_5m_usd", 1_000),
    "field_4": ("volume_1h_usd", 10_000),
    "field_5": ("market_cap_usd", 100_000),
    "field_6": ("price_usd", 0.001),
    "field_7": ("risk_score", 10),
    "field_8": ("change_24h", 100),
    "field_9": ("liquidity_usd", 10_000),
    "field_10": ("fdv_usd", 100_000),
    "field_11": ("volume_24h_usd", 100_000),
    "field_12": ("change_5m", 1),
    "field_13": ("change_1h", 10),
    "field_14": ("snipers_percent", 10),
}
"""Field of the workload -> key in the registry and median of its values."""
TOKEN_NAMES = {f"change_{span}": f"price_change_{span}_percent" for span in ("5m", "1h", "24h")}
"""Where the registry's key is not the name of the token's attribute."""
WHOLE, AT_MOST_100 = {"holders"}, {"developer_percent", "top10_percent", "risk_score", "snipers_percent"}
FIRST_USER = 2**32
REMEMBERED = 2_000
"""Tokens that are called again and again."""
DRIFT = 0.02
"""Of the logarithm of a figure from one call of a token to another."""
MARKET_OPENED = datetime(2026, 1, 1, tzinfo=UTC)
SOME_TEXT = "New entry, looks strong, liquidity is fine and the chart has just turned. Do your own research."

Figures = npt.NDArray[np.float64]

_MEDIANS = np.array([median for _, median in FIELDS.values()])
_SCALES = dict(zip(workload.NAMES, _MEDIANS / workload.MEDIANS, strict=True))


def filter_sets(count: int, followers: int = 0) -> Iterator[FilterSet]:
    """`count` sets, one per subscriber, `followers` among them; user ids from `FIRST_USER` on."""
    user_ids = iter(range(FIRST_USER, FIRST_USER + count - followers))
    for candidate in workload.filter_sets(count + count // 50 + 100):
        rules = {FIELDS[key][0] if key in FIELDS else key: _scaled(key, rule) for key, rule in candidate.rules.items()}
        if any(isinstance(rule, Range) and rule.minimum is not None for rule in rules.values()):
            user_id = next(user_ids, None)
            if user_id is None:
                break
            yield replace(candidate, user_id=user_id, name="Mine", rules=rules)
    for number in range(followers):
        rule = Choice(frozenset({_followed_channel(number)}))
        user_id = FIRST_USER + count - followers + number
        yield FilterSet(user_id=user_id, number=1, name="Mine", rules={"channel": rule})


def _followed_channel(number: int) -> str:
    return f"@followed_{number}"


def _scaled(key: str, rule: Rule) -> Rule:
    if not isinstance(rule, Range):
        return rule
    scale = float(_SCALES[key])
    low = None if rule.minimum is None else rule.minimum * scale
    high = None if rule.maximum is None else rule.maximum * scale
    return Range(low, high)


class Mix(Struct, frozen=True, kw_only=True):
    """What comes over the wire."""

    interest: float
    new_share: float
    """Of calls that are the first of their token."""
    followed_share: float = 0.0
    """Of calls that come from followed channels, each with a token of its own."""
    followers: int = 0


class Traffic:
    """Calls without end."""

    def __init__(self, mix: Mix, seed: int = 5) -> None:
        self._mix = mix
        self._random = np.random.default_rng(seed)
        self._known: deque[tuple[str, Figures]] = deque(maxlen=REMEMBERED)
        self._seed = seed
        self._count = self._followed = 0

    def next_call(self, at: datetime) -> Call:
        kind = self._random.random()
        channel = workload.CHANNELS[self._random.integers(len(workload.CHANNELS))]
        if kind < self._mix.followed_share:
            address, figures = self._new_token()
            channel = _followed_channel(self._followed % self._mix.followers)
            self._followed += 1
        elif kind < self._mix.new_share or not self._known:
            address, figures = self._new_token()
            self._known.append((address, figures))
        else:
            address, figures = self._known[self._random.integers(len(self._known))]
        moved = figures * np.exp(DRIFT * self._random.standard_normal(len(figures)))
        self._count += 1
        return Call(
            id=f"{self._seed}-{self._count}",
            token=_token(address, moved),
            channel=Channel(id=channel, title=channel.removeprefix("@")),
            called_at=at,
            received_at=at,
            text=SOME_TEXT,
        )

    def _new_token(self) -> tuple[str, Figures]:
        spread = np.exp(workload.SIGMA * self._random.standard_normal(len(_MEDIANS)))
        return str(Pubkey.from_bytes(self._random.bytes(32))), _MEDIANS * self._mix.interest * spread


def _token(address: str, figures: Figures) -> Token:
    """A token of which the feed says everything, so that nobody else is asked about it."""
    values: dict[str, Any] = {}
    for (key, _), value in zip(FIELDS.values(), figures.tolist(), strict=True):
        bounded = min(100.0, value) if key in AT_MOST_100 else value
        values[TOKEN_NAMES.get(key, key)] = round(bounded) if key in WHOLE else bounded
    return Token(
        address=address,
        name="Some Token",
        symbol="SOME",
        buys_1h=120,
        sells_1h=80,
        created_at=MARKET_OPENED + timedelta(days=1),
        lp_locked_percent=100.0,
        mint_revoked=True,
        freeze_revoked=True,
        metadata_immutable=True,
        buy_tax_percent=0.0,
        sell_tax_percent=0.0,
        launchpad="pump.fun",
        dex="pumpswap",
        website="https://example.org/",
        x_handle="some_token",
        telegram="some_token",
        **values,
    )
