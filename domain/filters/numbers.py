"""Rules and numbers as people type and read them: `1.5k`, `$40,000`, `-20% - 200%`, `1d 6h`, `yes`, `cat, -inu`.

A number that is read is a finite float, in the unit of the field (see `domain.filters.registry.Unit`), not negative but
for a change, and of at most nine significant digits; what `show_value` shows of such a number reads as the same
number, and `parse_rule(show_rule(r, field), field) == r` for every rule r that was read. The words accepted here are
grammar, not sentences: what people are told is in `texts/`, under the keys of the errors.
"""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import Decimal
from typing import Final

import msgspec

from domain.filters.lists import MAX_LENGTH, NOTHING, Unreadable, clip, read_choice, read_words, show_list
from domain.filters.registry import MAX_WAIT_MINUTES, Choice, FilterField, Missing, Range, Rule, Unit, Words
from runtime.errors import UserFacingError

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
EXAMPLES: Final[dict[Unit, str]] = {
    "usd": "20k",
    "percent": "12%",
    "change": "-20%",
    "multiple": "2.5x",
    "ratio": "1.2",
    "score": "40",
    "count": "150",
    "duration": "3h",
    "flag": "yes",
}

_NUMBER: Final = r"(?P<number>\d{1,3}(?:[ ,']\d{3})+(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
_SCALES: Final = {"": 1, "k": 10**3, "m": 10**6, "mn": 10**6, "mln": 10**6, "b": 10**9, "bn": 10**9}
_SCALE: Final = r"(?P<scale>k|mln|mn|m|bn|b)?"
_PATTERNS: Final[dict[Unit, re.Pattern[str]]] = {
    "usd": re.compile(rf"(?:\$|usd)? ?{_NUMBER} ?{_SCALE} ?(?:\$|usd)?"),
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
_SPACES: Final = re.compile(r"\s+")
_DASHES: Final = str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))

_YES: Final = Range(1.0, None)
_NO: Final = Range(None, 0.0)
_FLAGS: Final = {"yes": _YES, "y": _YES, "true": _YES, "no": _NO, "n": _NO, "false": _NO}
_BOUND: Final = re.compile(
    r"(?P<low>>=?|≥|min(?:imum)?|from|over|above|at least)|(?P<high><=?|≤|max(?:imum)?|under|below|up to|at most)"
)
_BETWEEN: Final = re.compile(r"-|\.{2,3}|\bto\b")
_NEGATIVE: Final = re.compile(r"-[$x×]?[\d.]")
"""A dash that touches a number is a sign; with a space between it is the dash of a range, as in `- 3h`."""


def parse_rule(text: str, field: FilterField) -> Rule | None:
    """A rule that fails where the value is missing, or `None` where the person wants none (`any`, `off`, `none`).

    Numbers: `20k - 2M`, `20k..2M`, `20k to 2M`; `20k -`, `>20k`, `min 20k`, `20k+`; `- 3h`, `<3h`, `max 3h`. One
    number alone is the minimum, of a duration the maximum; both ends belong to the range. In a change a dash that
    touches a number at its beginning is a sign. Flags: `yes`, `no`. Choices and words: see `domain.filters.lists`.

    Raises `UserFacingError` with `typed` and `expected` (an example): `number.unreadable`, `number.negative`,
    `number.out_of_range` (`largest`), `range.unreadable`,
    `range.upside_down` (with `minimum` and `maximum` as shown), `flag.unreadable`, `list.unreadable` (no item),
    `list.too_many` (`largest`), `list.too_long` (`item`, `largest`), `list.contradiction` (`item`).
    """
    try:
        if field.unit == "choice":
            return read_choice(text, in_lower_case=field.group == "origin")
        if field.unit == "text":
            return read_words(text)
        return _range(_clean(text), field.unit)
    except Unreadable as error:
        raise UserFacingError(error.key, typed=clip(text), expected=field.example, **error.arguments) from None


def show_rule(rule: Rule | None, field: FilterField) -> str:
    """`$20k – $2M`, `≥ 40%`, `≤ 3h`, `yes`, `cat, "one, two", -inu`, `any`; `parse_rule` reads it back.

    The policy for missing values is not part of it.
    """
    if isinstance(rule, Choice):
        return show_list(sorted(rule.included), sorted(rule.excluded)) or "any"
    if isinstance(rule, Words):
        return show_list(rule.included, rule.excluded) or "any"
    return _show_range(rule, field.unit)


def with_policy(rule: Rule, missing: Missing, wait_minutes: int = 0) -> Rule:
    """The same rule with another policy for missing values; `wait_minutes` is ignored unless it waits.

    Raises `UserFacingError` `wait.out_of_range` (with `largest`) for a wait that is not 1 to 60 minutes.
    """
    if missing != "wait":
        wait_minutes = 0
    elif not 1 <= wait_minutes <= MAX_WAIT_MINUTES:
        raise UserFacingError("wait.out_of_range", typed=str(wait_minutes), expected="10", largest=MAX_WAIT_MINUTES)
    return msgspec.structs.replace(rule, missing=missing, wait_minutes=wait_minutes)


def show_value(value: float | str | None, unit: Unit) -> str:
    """Exactly what was typed, as short as it goes; a measured value with more digits, rounded to three of them.

    `?` for a value nobody knows. A duration that is no whole number of seconds shows its two largest units. A text
    is clipped, and still hostile.
    """
    return _show(value, unit, DIGITS)


def show_short(value: float | str | None, unit: Unit) -> str:
    """A measured value at a glance: three significant digits, the two largest units of a duration."""
    return _show(value, unit, SHORT_DIGITS)


# reading


def _clean(text: str) -> str:
    """One kind of digit, dash, space and case; what is too long to be a number is not looked at."""
    if len(text) > MAX_LENGTH:
        raise Unreadable("number.unreadable")
    plain = unicodedata.normalize("NFKC", text).translate(_DASHES).replace("’", "'").lower()
    return _SPACES.sub(" ", plain).strip()


def _range(typed: str, unit: Unit) -> Range | None:
    if typed in NOTHING:
        return None
    if unit == "flag":
        if typed not in _FLAGS:
            raise Unreadable("flag.unreadable")
        return _FLAGS[typed]
    low, high = _signed_ends(typed) if unit == "change" else _ends(typed, unit)
    minimum = None if low is None else _value(low, unit)
    maximum = None if high is None else _value(high, unit)
    if minimum is not None and maximum is not None and minimum > maximum:
        raise Unreadable("range.upside_down", minimum=show_value(minimum, unit), maximum=show_value(maximum, unit))
    return Range(minimum, maximum)


def _ends(typed: str, unit: Unit) -> tuple[str | None, str | None]:
    """The texts of minimum and maximum; at least one of them."""
    bound = _BOUND.match(typed)
    if bound:
        rest = typed[bound.end() :].strip()
        return (rest, None) if bound["low"] else (None, rest)
    if typed.endswith("+"):
        return typed[:-1].strip(), None
    low, *more = (part.strip() for part in _BETWEEN.split(typed))
    if not more:
        return (None, low) if unit == "duration" else (low, None)
    high = more[0]
    if _NEGATIVE.match(typed) or (len(more) > 1 and not high):
        raise Unreadable("number.negative")
    if len(more) > 1 or not (low or high):
        raise Unreadable("range.unreadable")
    return low or None, high or None


def _signed_ends(typed: str) -> tuple[str | None, str | None]:
    """`_ends` where a number may begin with a sign: only a dash after the first number parts the two."""
    bound = _BOUND.match(typed)
    if bound or typed.endswith("+"):
        return _ends(typed, "change")
    between = _BETWEEN.search(typed, 1 if _NEGATIVE.match(typed) else 0)
    if between is None:
        return typed, None
    low, high = typed[: between.start()].strip(), typed[between.end() :].strip()
    if not (low or high):
        raise Unreadable("range.unreadable")
    return low or None, high or None


def _value(typed: str, unit: Unit) -> float:
    if unit != "change" and _NEGATIVE.match(typed):
        raise Unreadable("number.negative")
    number = _duration(typed) if unit == "duration" else _number(typed, unit)
    if number is None:
        raise Unreadable("number.unreadable")
    number = _rounded(number, DIGITS)
    if unit in {"count", "duration"} and number != number.to_integral_value():
        raise Unreadable("number.unreadable")
    if abs(number) > MAX_VALUE[unit] or 0 < abs(number) < MIN_VALUE:
        raise Unreadable("number.out_of_range", largest=show_value(float(MAX_VALUE[unit]), unit))
    return float(number)


def _number(typed: str, unit: Unit) -> Decimal | None:
    pattern = _PATTERNS.get(unit)
    match = pattern.fullmatch(typed) if pattern else None
    if match is None:
        return None
    scale = match.groupdict().get("scale") or ""
    number = Decimal(re.sub(r"[ ,']", "", match["number"])) * _SCALES[scale]
    return -number if unit == "change" and typed.startswith("-") else number


def _duration(typed: str) -> Decimal | None:
    """Seconds of `1d 6h`; a number without a unit says nothing, but for zero."""
    if typed == "0":
        return Decimal(0)
    total, at = Decimal(0), 0
    while at < len(typed):
        part = _DURATION_PART.match(typed, at)
        if part is None:
            return None
        total += Decimal(part[1]) * _SECONDS[part[2][0]]
        at = part.end()
    return total if at else None


# showing


def _show_range(limits: Range | None, unit: Unit) -> str:
    if limits is None or (limits.minimum is None and limits.maximum is None):
        return "any"
    if unit == "flag":
        return "yes" if limits.minimum is not None else "no"
    if limits.maximum is None:
        return f"≥ {show_value(limits.minimum, unit)}"
    if limits.minimum is None:
        return f"≤ {show_value(limits.maximum, unit)}"
    return f"{show_value(limits.minimum, unit)} – {show_value(limits.maximum, unit)}"


def _show(value: float | str | None, unit: Unit, digits: int) -> str:
    if isinstance(value, str):
        return clip(value)
    if value is None or math.isnan(value):
        return "?"
    if unit == "flag":
        return "yes" if value else "no"
    return _show_number(value, unit, digits)


def _show_number(value: float, unit: Unit, digits: int) -> str:
    sign = "-" if value < 0 else ""
    if math.isinf(value):
        return f"{sign}∞"
    exact = abs(Decimal(repr(float(value))))
    if exact > MAX_SHOWN or 0 < exact < MIN_VALUE:
        return f"{sign}{exact:.1e}"
    if unit == "duration":
        return sign + _show_duration(exact, None if digits == DIGITS else 2)
    if len(exact.normalize().as_tuple().digits) > digits:
        exact = _rounded(exact, SHORT_DIGITS)
    if unit in _SUFFIXES:
        return sign + _plain(exact) + _SUFFIXES[unit]
    return sign + ("$" if unit == "usd" else "") + _scaled(exact)


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
