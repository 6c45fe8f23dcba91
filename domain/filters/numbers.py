"""Numbers as people type and read them: `1.5k`, `$40,000`, `20.000,50`, `12%`, `2.5x`, `1d 6h`.

A number that is read is a finite float, in the unit of the field (see `domain.filters.registry.Unit`), not negative but
for a change, and of at most nine significant digits; what `show_value` shows of such a number reads as the same
number. What is read here is in the plain form of `domain.reading.typed`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from domain.filters.lists import Unreadable
from domain.filters.registry import Unit
from domain.reading.typed import clip

DIGITS: Final = 9
"""Significant digits that are kept. Prices are not known any better, and nobody types more."""
MAX_VALUE: Final[dict[Unit, Decimal]] = {
    "usd": Decimal(10**15),
    "percent": Decimal(100),
    "change": Decimal(10**9),
    "multiple": Decimal(10**9),
    "ratio": Decimal(10**9),
    "score": Decimal(100),
    "count": Decimal(10**12),
    "duration": Decimal(3650 * 86_400),
}
MIN_VALUE: Final = Decimal("1e-18")
"""Anything smaller but zero is out of range."""
MAX_SHOWN: Final = Decimal(10**16)
"""Feeds say anything; what is larger is shown with an exponent."""
SHORT_DIGITS: Final = 3
_ALL_DIGITS: Final = 17
"""Significant digits of a float."""

DurationUnit = Literal["m", "h", "d"]
DURATION_UNITS: Final[tuple[DurationUnit, ...]] = ("m", "h", "d")


class Assumed(Struct, frozen=True):
    """What is taken for granted where a number can be meant in two ways."""

    groups: bool = False
    """`20.000` is twenty thousand, not twenty."""
    thousands: bool = False
    """Dollars below a thousand that no letter scales are thousands: `20` is twenty thousand."""
    duration: DurationUnit | None = None
    """Of a duration without a unit; `None`: nothing is, and `duration.no_unit` is raised."""


_GROUPED: Final = re.compile(r"\d{1,3}(?:[ ,']\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3}){2,}|\d+(?:\.\d*)?|\.\d+")
_WITH_COMMA: Final = re.compile(r"(\d{1,3}(?:[ '.]\d{3})+|0),(\d+)|(\d+),(\d{1,2}|\d{4,})")
"""A comma is decimal where it cannot part thousands."""
_EITHER: Final = re.compile(r"[1-9]\d{0,2}\.\d{3}")
"""Twenty thousand to some, twenty to others."""
_BELOW_THOUSAND: Final[frozenset[Unit]] = frozenset({"percent", "score"})
"""Nothing in them can be meant as thousands."""
_NUMBER: Final = r"(?P<number>[\d.,' ]*\d\.?)"
_SCALES: Final = {
    "": 1,
    **dict.fromkeys(("k", "thousand", "thousands"), 10**3),
    **dict.fromkeys(("m", "mn", "mln", "mil", "mill", "mio", "million", "millions"), 10**6),
    **dict.fromkeys(("b", "bn", "bln", "bil", "billion", "billions"), 10**9),
}
_THOUSAND: Final = 1_000
_SCALE: Final = rf"(?P<scale>{'|'.join(sorted(filter(None, _SCALES), key=len, reverse=True))})?"
_PATTERNS: Final[dict[Unit, re.Pattern[str]]] = {
    "usd": re.compile(rf"(?:\$|usd)? ?{_NUMBER} ?{_SCALE} ?(?:\$|usd|dollars)?"),
    "percent": re.compile(rf"{_NUMBER} ?(?:%|percent)?"),
    "change": re.compile(rf"[-+]?{_NUMBER} ?(?:%|percent)?"),
    "multiple": re.compile(rf"[x×]? ?{_NUMBER} ?[x×]?"),
    "ratio": re.compile(rf"{_NUMBER} ?{_SCALE}"),
    "score": re.compile(rf"{_NUMBER}(?: ?/ ?100)?"),
    "count": re.compile(rf"{_NUMBER} ?{_SCALE}"),
}
_SUFFIXES: Final[dict[Unit, str]] = {"percent": "%", "change": "%", "multiple": "x"}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION_PART: Final = re.compile(
    r"(\d{1,12}(?:\.\d{1,12})?) ?"
    r"(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)(?![a-z])[ ,]*"
)
_BARE: Final = re.compile(r"\d{1,12}(?:\.\d{1,12})?")
NEGATIVE: Final = re.compile(r"-[$x×]?[\d.]")
"""A dash that touches a number is a sign; with a space between it is the dash of a range, as in `- 3h`."""


def read_value(typed: str, unit: Unit, assumed: Assumed) -> float:
    """A number in its unit. Raises `Unreadable`."""
    if unit != "change" and NEGATIVE.match(typed):
        raise Unreadable("number.negative")
    number = _duration(typed, assumed) if unit == "duration" else _number(typed, unit, assumed)
    if number is None:
        raise Unreadable("number.unreadable")
    number = _rounded(number, DIGITS)
    if unit in {"count", "duration"} and number != number.to_integral_value():
        raise Unreadable("number.unreadable")
    if abs(number) > MAX_VALUE[unit] or 0 < abs(number) < MIN_VALUE:
        raise Unreadable("number.out_of_range", largest=show_value(float(MAX_VALUE[unit]), unit))
    return float(number)


def _number(typed: str, unit: Unit, assumed: Assumed) -> Decimal | None:
    pattern = _PATTERNS.get(unit)
    match = pattern.fullmatch(typed) if pattern else None
    if match is None:
        return None
    scale = match.groupdict().get("scale") or ""
    written = _decimal(match["number"].strip(), groups=assumed.groups and not scale)
    if written is None:
        return None
    number = Decimal(written) * _SCALES[scale]
    if assumed.thousands and not scale and number < _THOUSAND:
        number *= _THOUSAND
    return -number if unit == "change" and typed.startswith("-") else number


def _decimal(typed: str, *, groups: bool) -> str | None:
    """The number with a decimal point and without anything between thousands."""
    comma = _WITH_COMMA.fullmatch(typed)
    if comma:
        whole, part = comma[1] or comma[3], comma[2] or comma[4]
        return re.sub(r"[ '.]", "", whole) + "." + part
    if not _GROUPED.fullmatch(typed):
        return None
    if typed.count(".") > 1 or (groups and _EITHER.fullmatch(typed)):
        return typed.replace(".", "")
    return re.sub(r"[ ,']", "", typed)


def _duration(typed: str, assumed: Assumed) -> Decimal | None:
    """Seconds of `1d 6h`; a number without a unit says nothing, but for zero."""
    if typed == "0":
        return Decimal(0)
    if _BARE.fullmatch(typed):
        if assumed.duration is None:
            raise Unreadable("duration.no_unit")
        typed += assumed.duration
    total, at = Decimal(0), 0
    while at < len(typed):
        part = _DURATION_PART.match(typed, at)
        if part is None:
            return None
        total += Decimal(part[1]) * _SECONDS[part[2][0]]
        at = part.end()
    return total if at else None


def show_value(value: float | str | None, unit: Unit) -> str:
    """Exactly what was typed, as short as it goes; a measured value with more digits, rounded to three of them.

    `?` for a value nobody knows. A duration that is no whole number of seconds shows its two largest units. A text
    is clipped, and still hostile.
    """
    return _show(value, unit, DIGITS)


def show_short(value: float | str | None, unit: Unit) -> str:
    """A measured value at a glance: three significant digits, the two largest units of a duration."""
    return _show(value, unit, SHORT_DIGITS)


def show_apart(value: float | str | None, unit: Unit, limits: Collection[str]) -> str:
    """`show_short`, with as many more digits as it takes to read otherwise than limits, as shown, that it is not."""
    for digits in range(SHORT_DIGITS, _ALL_DIGITS + 1):
        shown = _show(value, unit, digits, digits)
        if shown not in limits:
            return shown
    if isinstance(value, float) and unit == "duration" and not value.is_integer():
        return f"{value:,.3f}s"
    return show_short(value, unit)


def _show(value: float | str | None, unit: Unit, digits: int, rounded_to: int = SHORT_DIGITS) -> str:
    if isinstance(value, str):
        return clip(value)
    if value is None or math.isnan(value):
        return "?"
    if unit == "flag":
        return "yes" if value else "no"
    return _show_number(value, unit, digits, rounded_to)


def _show_number(value: float, unit: Unit, digits: int, rounded_to: int) -> str:
    sign = "-" if value < 0 else ""
    if math.isinf(value):
        return f"{sign}∞"
    exact = abs(Decimal(repr(float(value))))
    if exact > MAX_SHOWN or 0 < exact < MIN_VALUE:
        return f"{sign}{exact:.1e}"
    if unit == "duration":
        return sign + _show_duration(exact, None if digits > SHORT_DIGITS else 2)
    if len(exact.normalize().as_tuple().digits) > digits:
        exact = _rounded(exact, rounded_to)
    shown = _plain(exact) + _SUFFIXES[unit] if unit in _SUFFIXES else _scaled(exact)
    if unit not in _BELOW_THOUSAND and _EITHER.fullmatch(shown.rstrip("%x")):
        shown = shown[:-1] + "0" + shown[-1] if unit in _SUFFIXES else shown + "0"
    return sign + ("$" if unit == "usd" else "") + shown


def _rounded(number: Decimal, digits: int) -> Decimal:
    """To that many significant digits."""
    if not number:
        return Decimal(0)
    return round(number, digits - 1 - number.adjusted())


def _plain(number: Decimal) -> str:
    """Without exponent and without zeros that say nothing; thousands are parted."""
    shown = f"{number:,f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _scaled(number: Decimal) -> str:
    """`1.5k` where that is shorter than `1,500`."""
    best = _plain(number)
    for sign, exponent in (("k", 3), ("M", 6), ("B", 9)):
        if number.adjusted() >= exponent:
            scaled = _plain(number.scaleb(-exponent)) + sign
            best = scaled if len(scaled) < len(best) else best
    return best


def _show_duration(seconds: Decimal, parts: int | None) -> str:
    whole = int(seconds)
    if whole != seconds:
        parts = 2
    shown: list[str] = []
    for sign in ("d", "h", "m", "s"):
        count, whole = divmod(whole, _SECONDS[sign])
        if count:
            shown.append(f"{count}{sign}")
        elif shown and parts is not None:
            parts -= 1  # "2d 5m" says less at a glance than "2d"
        if parts is not None and len(shown) >= parts:
            break
    return " ".join(shown) or "0s"
