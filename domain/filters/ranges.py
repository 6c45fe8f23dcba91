"""Ranges as people type and read them: `20k - 2M`, `>20k`, `-2M`, `20k+`, `1d 6h - 2d`, `yes`.

Where a number can be meant in two ways, every way is tried: one that makes sense is taken, and shown; of several the
person is asked.
"""

from __future__ import annotations

import re
from typing import Final

from domain.filters.lists import Unreadable
from domain.filters.numbers import DURATION_UNITS, NEGATIVE, Assumed, read_value, show_value
from domain.filters.registry import Range, Unit
from domain.reading.typed import NOTHING, Unsure, plain

_YES: Final = Range(1.0, None)
_NO: Final = Range(None, 0.0)
_FLAGS: Final = {"yes": _YES, "y": _YES, "true": _YES, "no": _NO, "n": _NO, "false": _NO}
_BOUND: Final = re.compile(
    r"(?P<low>>=?|≥|min(?:imum)?|from|over|above|at least|(?:no|not) less than|(?:more|greater|higher|older) than)"
    r"|(?P<high><=?|≤|max(?:imum)?|under|below|up to|at most|(?:no|not) more than"
    r"|(?:less|fewer|lower|younger|newer) than)"
)
_BOUND_AFTER: Final = re.compile(
    r" (?:(?:or|and) (?:(?P<low>more|up|upwards|above|over|higher)|(?P<high>less|fewer|below|under|lower))"
    r"|(?:at )?(?:(?P<least>min(?:imum)?|least)|(?P<most>max(?:imum)?|most)))$"
)
_PAIR: Final = re.compile(r"(?:between|from) (?P<low>.+?) ?(?:\band\b|\bto\b|\buntil\b|(?<=\S)-| - ) ?(?P<high>.+)")
_IN_DOLLARS: Final = re.compile(r"\$|usd|dollars|\d{4}|\d[ ,'.]\d{3}")
"""What is said in whole dollars: a sign, or thousands that are written out."""
_BETWEEN: Final = re.compile(r"-|~|\.{2,3}|\bto\b")


def read_range(
    text: str, unit: Unit, *, in_thousands: bool = False, name: re.Pattern[str] | None = None
) -> Range | None:
    """With `in_thousands`, of dollars of which one has thousands: `20 - 200` may leave the `k` out.

    `name`: what people call the figure; it may stand beside its numbers, as in `8k - 60k mc`. `None` where no rule is
    wanted. Raises `Unreadable`, and `Unsure` with readings as `show_range` shows them.
    """
    typed = plain(text)
    if typed is None:
        raise Unreadable("number.unreadable")
    if name is not None:
        typed = " ".join(name.sub(" ", typed).split()) or typed
    if typed in NOTHING:
        return None
    if unit == "flag":
        if typed not in _FLAGS:
            raise Unreadable("flag.unreadable")
        return _FLAGS[typed]
    try:
        as_point = _range(typed, unit, Assumed())
    except Unreadable as error:
        if error.key == "duration.no_unit":
            raise _which_unit(typed) from None
        as_groups = _range_of_groups(typed, unit)
        if as_groups is None:
            raise
        return as_groups
    as_groups = _range_of_groups(typed, unit)
    if as_groups in {None, as_point}:
        return _sure_of_thousands(typed, unit, as_point) if in_thousands else as_point
    readings = (show_range(as_groups, unit), show_range(as_point, unit))
    raise Unsure("number.which", readings, grouped=readings[0], decimal=readings[1])


def _range_of_groups(typed: str, unit: Unit) -> Range | None:
    return _range_as(typed, unit, Assumed(groups=True))


def _sure_of_thousands(typed: str, unit: Unit, as_dollars: Range) -> Range:
    """The range, where `$`, a number written out or the order of the ends says that nobody left thousands out."""
    as_thousands = None if _IN_DOLLARS.search(typed) else _range_as(typed, unit, Assumed(thousands=True))
    if as_thousands in {None, as_dollars}:
        return as_dollars
    readings = (show_range(as_thousands, unit), show_range(as_dollars, unit))
    raise Unsure("number.thousands", readings, thousands=readings[0], dollars=readings[1])


def _range_as(typed: str, unit: Unit, assumed: Assumed) -> Range | None:
    try:
        return _range(typed, unit, assumed)
    except Unreadable:
        return None


def _which_unit(typed: str) -> Exception:
    """Ask for the unit, with what the range would be in each one that makes sense."""
    readings: list[str] = []
    refusal = Unreadable("number.unreadable")
    for unit in DURATION_UNITS:
        try:
            readings.append(show_range(_range(typed, "duration", Assumed(duration=unit)), "duration"))
        except Unreadable as error:
            refusal = error
    if not readings:
        return refusal
    number = re.search(r"\d[\d.]*(?![\d. ]*[a-z])", typed)
    bare = number[0].rstrip(".") if number else "10"
    return Unsure("duration.no_unit", readings, examples=", ".join(bare + unit for unit in DURATION_UNITS))


def _range(typed: str, unit: Unit, assumed: Assumed) -> Range:
    low, high = _signed_ends(typed) if unit == "change" else _ends(typed, unit)
    minimum = None if low is None else read_value(low, unit, assumed)
    maximum = None if high is None else read_value(high, unit, assumed)
    if minimum is not None and maximum is not None and minimum > maximum:
        raise Unreadable("range.upside_down", minimum=show_value(minimum, unit), maximum=show_value(maximum, unit))
    return Range(minimum, maximum)


def _ends(typed: str, unit: Unit) -> tuple[str | None, str | None]:
    """The texts of minimum and maximum; at least one of them."""
    worded = _worded_ends(typed)
    if worded:
        return worded
    if typed.endswith("+"):
        return typed[:-1].strip(), None
    low, *more = (part.strip() for part in _BETWEEN.split(typed))
    if not more:
        return (None, low) if unit == "duration" else (low, None)
    high = more[0]
    if len(more) > 1 and not (low and high):
        raise Unreadable("number.negative")
    if len(more) > 1 or not (low or high) or typed.startswith("~"):
        raise Unreadable("range.unreadable")
    return low or None, high or None


def _worded_ends(typed: str) -> tuple[str | None, str | None] | None:
    """`_ends` where words or signs say which is which: `between 20k and 2M`, `at least 20k`, `20k or more`."""
    pair = _PAIR.fullmatch(typed)
    if pair:
        return pair["low"], pair["high"]
    bound, after = _BOUND.match(typed), _BOUND_AFTER.search(typed)
    if bound is None and after is None:
        return None
    is_low = bound["low"] if bound else after and (after["low"] or after["least"])
    rest = typed[bound.end() :] if bound else typed[: after.start()] if after else typed
    return (rest.strip(), None) if is_low else (None, rest.strip())


def _signed_ends(typed: str) -> tuple[str | None, str | None]:
    """`_ends` where a number may begin with a sign: only a dash after the first number parts the two."""
    worded = _worded_ends(typed)
    if worded or typed.endswith("+"):
        return worded or _ends(typed, "change")
    between = _BETWEEN.search(typed, 1 if NEGATIVE.match(typed) else 0)
    if between is None:
        return typed, None
    low, high = typed[: between.start()].strip(), typed[between.end() :].strip()
    if not (low or high):
        raise Unreadable("range.unreadable")
    return low or None, high or None


def show_range(limits: Range | None, unit: Unit) -> str:
    """`$20k – $2M`, `≥ 40%`, `≤ 3h`, `yes`, `any`; `read_range` reads it back."""
    if limits is None or (limits.minimum is None and limits.maximum is None):
        return "any"
    if unit == "flag":
        return "yes" if limits.minimum is not None else "no"
    if limits.maximum is None:
        return f"≥ {show_value(limits.minimum, unit)}"
    if limits.minimum is None:
        return f"≤ {show_value(limits.maximum, unit)}"
    return f"{show_value(limits.minimum, unit)} – {show_value(limits.maximum, unit)}"
