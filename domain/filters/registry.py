"""The filter registry: one frozen row per filter, everything else derives from it.

A row gives the storage key (also the index column and the text key `filter.<key>`), the group of the menu it stands
in, the unit (which decides the kind of rule, and how people type and read it), the value seen in a call, and a worked
example for the prompt. A `FilterSet` is a named AND of rules over these fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from domain.calls.events import Call, ChannelRecord
from domain.filters.values import CHAINS, EXCHANGES, LAUNCHPADS, Known
from domain.reading.visible import PART

NumberUnit = Literal["usd", "percent", "change", "multiple", "ratio", "count", "duration", "score", "flag"]
"""`usd`: US dollars; `percent`: 0-100; `change`: percent, may be negative; `multiple`: 2.0 is "2x"; `ratio`: plain
number; `count`: whole number; `duration`: seconds; `score`: 0-100; `flag`: 1 is yes, 0 is no."""
Unit = Literal["usd", "percent", "change", "multiple", "ratio", "count", "duration", "score", "flag", "choice", "text"]
"""A `NumberUnit` takes a `Range`, `choice` a `Choice`, `text` a `Words`."""
Group = Literal["size", "trading", "safety", "origin", "call", "channel"]
Missing = Literal["fail", "pass", "wait"]
"""What a rule says when the call has no value for it. `wait`: not yet; look again when the value arrives."""

MAX_WAIT_MINUTES = 60


class FilterField(Struct, frozen=True, kw_only=True):
    key: str
    """At most 24 characters of `[a-z0-9_]`: storage key, index column, text key, callback argument."""
    group: Group
    unit: Unit
    value: Callable[[Call], float | str | None]
    """What the call says about this field; `None` when it does not say."""
    example: str
    """What a person could type, for the prompt: `20k - 2M`."""
    known: tuple[Known, ...] = ()
    """Of a choice: the values that calls are known to have."""
    also: Callable[[Call], tuple[str, ...]] | None = None
    """Of a choice: what else the same value is called. A rule that names one of these names it."""


class Range(Struct, frozen=True, omit_defaults=True, tag="range"):
    """Closed interval; `None` is open on that side. Both `None` is not a range: the rule is absent instead."""

    minimum: float | None = None
    maximum: float | None = None
    missing: Missing = "fail"
    wait_minutes: int = 0
    """1-60 where `missing` is `wait`, else 0. The same in every rule."""


class Choice(Struct, frozen=True, omit_defaults=True, tag="choice"):
    """The value is one of `included` (empty: any) and none of `excluded`. Compared as they are."""

    included: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    missing: Missing = "fail"
    wait_minutes: int = 0


class Words(Struct, frozen=True, omit_defaults=True, tag="words"):
    """The text contains one of `included` (empty: any text) and none of `excluded`.

    Both sides are compared as they are shown (`domain.reading.visible`), caseless, each part of the text for itself; a
    word may hold spaces. At most 20 words of 50 characters.
    """

    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    missing: Missing = "fail"
    wait_minutes: int = 0


Rule = Range | Choice | Words


class FilterSet(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named AND of rules. `number` is unique per subscriber (1, 2, …); `(user_id, number)` is the identity."""

    user_id: int
    number: int
    name: str
    """Chosen by the subscriber, or the key of the preset it was taken from."""
    enabled: bool = True
    rules: dict[str, Rule] = {}
    """By `FilterField.key`; a field that is absent is not filtered. No rule at all: every call passes."""
    follows: str | None = None
    """Key of the preset whose changes reach this set; `None` once the subscriber changed a rule themselves."""
    paused_by_plan: bool = False
    """It was on, and is off because the plan holds fewer. A larger plan turns it on again."""


def _age_s(call: Call) -> float | None:
    created_at = call.token.created_at
    return None if created_at is None else (call.called_at - created_at).total_seconds()


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _percent(part: float | None, whole: float | None) -> float | None:
    ratio = _ratio(part, whole)
    return None if ratio is None else ratio * 100


def _present(link: str | None) -> float | None:
    """Unknown, known to be absent (empty), or there."""
    return None if link is None else float(bool(link))


def _first_caller(call: Call) -> float | None:
    return None if call.calling_channels is None else float(call.calling_channels == 1)


def _name(call: Call) -> str | None:
    """Name and symbol, each for itself: no phrase is found across the two."""
    parts = [part.replace(PART, " ") for part in (call.token.name, call.token.symbol) if part]
    return PART.join(parts) or None


def _post(call: Call) -> str | None:
    return None if call.text is None else call.text.replace(PART, " ")


def _record_fields(suffix: str, record: Callable[[Call], ChannelRecord | None]) -> tuple[FilterField, ...]:
    """The five figures of a channel's record, over its whole life or the last 30 days."""

    def field(key: str, unit: NumberUnit, example: str, figure: Callable[[ChannelRecord], float | None]) -> FilterField:
        def value(call: Call) -> float | None:
            found = record(call)
            return None if found is None else figure(found)

        return FilterField(key=f"{key}{suffix}", group="channel", unit=unit, value=value, example=example)

    return (
        field("channel_win_rate", "percent", "40% -", lambda r: r.win_rate_percent),
        field("channel_win_rate_low", "percent", "30% -", lambda r: r.win_rate_low_percent),
        field("channel_average_gain", "multiple", "2.5x -", lambda r: r.average_multiple),
        field("channel_median_gain", "multiple", "1.5x -", lambda r: r.median_multiple),
        field("channel_calls", "count", "20 -", lambda r: r.calls),
    )


def _row(
    key: str,
    group: Group,
    unit: Unit,
    example: str,
    value: Callable[[Call], float | str | None],
    known: tuple[Known, ...] = (),
    also: Callable[[Call], tuple[str, ...]] | None = None,
) -> FilterField:
    return FilterField(key=key, group=group, unit=unit, example=example, value=value, known=known, also=also)


FIELDS: tuple[FilterField, ...] = (
    _row("market_cap_usd", "size", "usd", "20k - 2M", lambda c: c.token.market_cap_usd),
    _row("fdv_usd", "size", "usd", "20k - 5M", lambda c: c.token.fdv_usd),
    _row("price_usd", "size", "usd", "0.0001 - 0.01", lambda c: c.token.price_usd),
    _row("liquidity_usd", "size", "usd", "10k -", lambda c: c.token.liquidity_usd),
    _row(
        "liquidity_share", "size", "percent", "5% -", lambda c: _percent(c.token.liquidity_usd, c.token.market_cap_usd)
    ),
    _row("volume_5m_usd", "trading", "usd", "2k -", lambda c: c.token.volume_5m_usd),
    _row("volume_1h_usd", "trading", "usd", "20k -", lambda c: c.token.volume_1h_usd),
    _row("volume_24h_usd", "trading", "usd", "100k -", lambda c: c.token.volume_24h_usd),
    _row("change_5m", "trading", "change", "-10% - 50%", lambda c: c.token.price_change_5m_percent),
    _row("change_1h", "trading", "change", "-20% - 200%", lambda c: c.token.price_change_1h_percent),
    _row("change_24h", "trading", "change", "-50% - 500%", lambda c: c.token.price_change_24h_percent),
    _row("buy_sell_ratio_1h", "trading", "ratio", "1.2 -", lambda c: _ratio(c.token.buys_1h, c.token.sells_1h)),
    _row("holders", "safety", "count", "150 -", lambda c: c.token.holders),
    _row("top10_percent", "safety", "percent", "- 30%", lambda c: c.token.top10_percent),
    _row("developer_percent", "safety", "percent", "- 5%", lambda c: c.token.developer_percent),
    _row("snipers_percent", "safety", "percent", "- 20%", lambda c: c.token.snipers_percent),
    _row("lp_locked_percent", "safety", "percent", "90% -", lambda c: c.token.lp_locked_percent),
    _row("mint_revoked", "safety", "flag", "yes", lambda c: c.token.mint_revoked),
    _row("freeze_revoked", "safety", "flag", "yes", lambda c: c.token.freeze_revoked),
    _row("metadata_immutable", "safety", "flag", "yes", lambda c: c.token.metadata_immutable),
    _row("buy_tax_percent", "safety", "percent", "- 5%", lambda c: c.token.buy_tax_percent),
    _row("sell_tax_percent", "safety", "percent", "- 5%", lambda c: c.token.sell_tax_percent),
    _row("risk_score", "safety", "score", "- 40", lambda c: c.token.risk_score),
    _row("token_age_s", "origin", "duration", "- 3h", _age_s),
    _row("chain", "origin", "choice", "solana", lambda c: c.token.chain, CHAINS),
    _row("launchpad", "origin", "choice", "pump.fun", lambda c: c.token.launchpad, LAUNCHPADS),
    _row("dex", "origin", "choice", "raydium", lambda c: c.token.dex, EXCHANGES),
    _row("has_website", "origin", "flag", "yes", lambda c: _present(c.token.website)),
    _row("has_x", "origin", "flag", "yes", lambda c: _present(c.token.x_handle)),
    _row("has_telegram", "origin", "flag", "yes", lambda c: _present(c.token.telegram)),
    _row("name_words", "origin", "text", "cat, dog, -inu", _name),
    _row("channel", "call", "choice", "@alpha_calls", lambda c: c.channel.id, also=lambda c: c.channel.also),
    _row("calling_channels", "call", "count", "2 -", lambda c: c.calling_channels),
    _row("first_caller", "call", "flag", "yes", _first_caller),
    _row(
        "multiple_since_first",
        "call",
        "multiple",
        "- 2x",
        lambda c: _ratio(c.token.market_cap_usd, c.first_market_cap_usd),
    ),
    _row("message_words", "call", "text", "stealth, -presale", _post),
    *_record_fields("", lambda c: c.channel.record),
    *_record_fields("_30d", lambda c: c.channel.record_30d),
)

IN_THOUSANDS: Final = frozenset(field.key for field in FIELDS if field.unit == "usd") - {"price_usd"}
"""Sums of dollars that people name in thousands, and may leave the `k` out of."""
