"""Figures of calls as people read them at a glance. What cannot be true counts as not given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from domain.calls.events import Token
from domain.filters.numbers import show_short
from domain.filters.registry import Unit

Span = Literal["5m", "1h", "24h"]

_SUBSCRIPT: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ZEROS_WRITTEN_OUT: Final = 3
_PRICE_DIGITS: Final = 3
_UNBELIEVABLE: Final = 1e18
_PRICE_WITH_CENTS_USD: Final = 1_000
_SECOND_MS: Final = 1_000
_MINUTE_S: Final = 60
_ALL_LOST_PERCENT: Final = -100


def shown_figure(value: float | None, unit: Unit) -> str | None:
    """Show a figure; one that cannot be true (negative, not finite, beyond all money) counts as not given."""
    return show_short(value, unit) if value is not None and 0 <= value < _UNBELIEVABLE else None


def show_price(price_usd: float | None) -> str | None:
    """Show a price with three significant digits; many zeros are counted: 0.0000000123 is `$0.0₇123`."""
    if price_usd is None or not 0 <= price_usd < _UNBELIEVABLE:
        return None
    if price_usd >= 1:
        return f"${price_usd:.2f}" if price_usd < _PRICE_WITH_CENTS_USD else shown_figure(price_usd, "usd")
    if price_usd == 0:
        return "$0"
    mantissa, exponent = f"{price_usd:.{_PRICE_DIGITS - 1}e}".split("e")
    zeros = -int(exponent) - 1
    digits = mantissa.replace(".", "").rstrip("0")
    if zeros < 0:
        return "$1.00"  # 0.9996 rounds up to it
    if zeros <= _ZEROS_WRITTEN_OUT:
        return f"$0.{'0' * zeros}{digits}"
    return f"$0.0{str(zeros).translate(_SUBSCRIPT)}{digits}"


def shown_speed(seconds: float | None) -> str | None:
    """Show how fast something was, alike wherever people read it: `14 ms`, `1.2 s`, `5m`."""
    if seconds is None or not 0 <= seconds < _UNBELIEVABLE:
        return None
    ms = round(seconds * _SECOND_MS)
    if ms < _SECOND_MS:
        return f"{ms} ms"
    return f"{seconds:.1f} s" if seconds < _MINUTE_S else shown_figure(seconds, "duration")


def show_volume(token: Token) -> tuple[Span, str] | None:
    """Show the volume of the span that tells most of those that are known: an hour, else a day, else five minutes."""
    known: dict[Span, float | None] = {
        "1h": token.volume_1h_usd,
        "24h": token.volume_24h_usd,
        "5m": token.volume_5m_usd,
    }
    return _first(known, lambda value: shown_figure(value, "usd"))


def show_change(token: Token) -> tuple[Span, str] | None:
    """Show how the price changed, `show_volume`'s way."""
    known: dict[Span, float | None] = {
        "1h": token.price_change_1h_percent,
        "24h": token.price_change_24h_percent,
        "5m": token.price_change_5m_percent,
    }
    return _first(known, _shown_change)


def _shown_change(percent: float | None) -> str | None:
    if percent is None or not _ALL_LOST_PERCENT <= percent < _UNBELIEVABLE:
        return None
    return ("+" if percent > 0 else "") + show_short(percent, "change")


def _first(known: Mapping[Span, float | None], show: Callable[[float | None], str | None]) -> tuple[Span, str] | None:
    return next(((span, shown) for span, value in known.items() if (shown := show(value))), None)
