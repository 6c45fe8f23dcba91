"""Untyped JSON of providers: what is not as expected, or makes no sense, is simply not there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

import msgspec

from domain.calls.events import Chain, Origin, Token
from domain.prices.readings import TokenRef, number
from managers.feed.sources.base import (
    ETHEREUM_GENESIS,
    NAME_LIMIT,
    SOLANA_GENESIS,
    SYMBOL_LIMIT,
    clamped,
    cut,
    is_plausible,
)

MAX_COUNT: Final = 2**53
HUNDRED: Final = 100.0


class Body:
    """One JSON object; anything else is an empty one."""

    def __init__(self, value: object) -> None:
        self._members = cast("dict[str, object]", value) if isinstance(value, dict) else {}

    def __bool__(self) -> bool:
        return bool(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def get(self, name: str) -> object:
        return self._members.get(name)

    def body(self, name: str) -> Body:
        return Body(self.get(name))

    def bodies(self, name: str) -> list[Body]:
        """The entries of a list; one that is no object is an empty one."""
        value = self.get(name)
        return [Body(entry) for entry in cast("list[object]", value)] if isinstance(value, list) else []

    def string(self, name: str, limit: int) -> str | None:
        value = self.get(name)
        return cut(value, limit) if isinstance(value, str) else None

    def flag(self, name: str) -> bool | None:
        value = self.get(name)
        return value if isinstance(value, bool) else None

    def number(self, name: str, *, at_least: float = 0.0, at_most: float = math.inf) -> float | None:
        """A number of JSON's own."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            return clamped(float(value), at_least, at_most)
        except OverflowError:
            return None

    def decimal(self, name: str, *, at_least: float = 0.0, at_most: float = math.inf) -> float | None:
        """A number, or decimal text."""
        found = number(self.get(name))
        return None if found is None else clamped(found, at_least, at_most)

    def count(self, name: str) -> int | None:
        return whole(self.number(name, at_most=MAX_COUNT))

    def moment(self, name: str, now: datetime) -> datetime | None:
        """A time of Solana's: not before its genesis."""
        moment = self.time(name)
        return moment if moment is not None and is_plausible(moment, now) else None

    def time(self, name: str) -> datetime | None:
        try:
            moment = msgspec.convert(self.get(name), datetime, strict=True)
            # A time without an offset is no time.
            return None if moment.tzinfo is None else moment.astimezone(UTC)
        except (msgspec.ValidationError, OverflowError):
            return None


def whole(value: float | None) -> int | None:
    return int(value) if value is not None and value.is_integer() else None


def at_unix(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def created(chain: str, moments: list[datetime | None], now: datetime) -> datetime | None:
    """The first of the moments at which something can have been made on this chain."""
    since = SOLANA_GENESIS if chain == "solana" else ETHEREUM_GENESIS
    return min((one for one in moments if one is not None and is_plausible(one, now, since)), default=None)


def names(body: Body, name: str = "name", symbol: str = "symbol") -> dict[str, str | None]:
    """Name and symbol as they are shown; a blank one is none."""
    said = {"name": body.string(name, NAME_LIMIT), "symbol": body.string(symbol, SYMBOL_LIMIT)}
    return {key: (value or "").strip() or None for key, value in said.items()}


def token_of(ref: TokenRef, figures: Mapping[str, Any], origin: Origin) -> Token:
    """What is known of it, each figure with this origin."""
    known = {name: value for name, value in figures.items() if value is not None}
    return Token(address=ref.key, chain=cast("Chain", ref.chain), **known, origins=dict.fromkeys(known, origin))
