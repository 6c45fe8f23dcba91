"""The filter registry: one frozen row per filter, everything else derives from it.

A row gives the storage key (also the index column and the text key `filter.<key>`), the unit (which decides how
people type and read it), the value seen in a call, and a worked example for the prompt. A `FilterSet` is a named
AND of ranges over these fields, plus the channels it listens to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from domain.calls import Call

Unit = Literal["usd", "percent", "multiple", "count", "duration"]
"""`usd`: US dollars; `percent`: 0-100; `multiple`: ratio, 2.0 is "2x"; `count`: whole number; `duration`: seconds."""


class FilterField(Struct, frozen=True, kw_only=True):
    key: str
    """At most 24 characters of `[a-z0-9_]`: storage key, index column, text key, callback argument."""
    unit: Unit
    value: Callable[[Call], float | None]
    """What the call says about this field; `None` when it does not say."""
    example: str
    """What a person could type, for the prompt: `20k - 2M`."""


class Range(Struct, frozen=True, omit_defaults=True):
    """Closed interval; `None` is open on that side. Both `None` is not a range: the rule is absent instead."""

    minimum: float | None = None
    maximum: float | None = None


class FilterSet(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named AND of rules. `number` is unique per subscriber (1, 2, …); `(user_id, number)` is the identity."""

    user_id: int
    number: int
    name: str
    enabled: bool = True
    ranges: dict[str, Range] = {}
    """By `FilterField.key`; a field that is absent is not filtered."""
    channels: frozenset[str] = frozenset()
    """Channel ids listened to; empty means all."""


def _age_s(call: Call) -> float | None:
    created_at = call.token.created_at
    return None if created_at is None else (call.called_at - created_at).total_seconds()


FIELDS: tuple[FilterField, ...] = (
    FilterField(key="market_cap_usd", unit="usd", value=lambda c: c.token.market_cap_usd, example="20k - 2M"),
    FilterField(key="liquidity_usd", unit="usd", value=lambda c: c.token.liquidity_usd, example="10k -"),
    FilterField(key="token_age_s", unit="duration", value=_age_s, example="- 3h"),
    FilterField(key="holders", unit="count", value=lambda c: c.token.holders, example="150 -"),
    FilterField(
        key="channel_win_rate",
        unit="percent",
        value=lambda c: c.channel.record and c.channel.record.win_rate_percent,
        example="40% -",
    ),
    FilterField(
        key="channel_average_gain",
        unit="multiple",
        value=lambda c: c.channel.record and c.channel.record.average_multiple,
        example="2.5x -",
    ),
)
