"""Conditions as people type them: `2x`, `-50%`, `mc > 1M`, `price < 0.001`, `down 30% each time`.

Numbers are read as everywhere (`domain.filters.ranges`). What can be meant in several ways is read in all of them, and
the person is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from domain.filters.lists import Unreadable
from domain.filters.ranges import read_range
from domain.filters.registry import Range, Unit
from domain.reading.typed import Unsure, clip, plain
from domain.watches.conditions import Condition, Figures, Side, Subject
from runtime.errors import UserFacingError

_TIMES: Final = re.compile(r"[, ]*\b(?:(?P<each>each(?: time)?|every(?: time)?|always|repeat)|(?:only )?once)$")
_SUBJECT: Final = re.compile(
    r"(?P<cap>market ?cap|marketcap|m ?cap|mc|cap|fdv)\b|(?P<price>price|p)\b(?! ?%)|(?P<multiple>multiple)\b"
)
_SIDE: Final = re.compile(
    r"(?P<above>>=?|≥|over|above|at least|more than|(?:rises?|goes|up) (?:to|above|over)|up)"
    r"|(?P<below><=?|≤|under|below|at most|less than|(?:falls?|drops?|goes down|down) (?:to|below|under)|down)"
    r"|(?P<at>=|at|to|is|hits?|reaches)"
)
_TO: Final = re.compile(r"(?:to|above|over|below|under)$")
_MULTIPLE: Final = re.compile(r"[x×] ?[\d.,]+|[\d.,]+ ?[x×]")
_CHANGE: Final = re.compile(r"[-+]? ?[\d.,]+ ?(?:%|percent)")
_WHEN: Final = re.compile(r"(?:(?:tell|alert|notify) me )?(?:when|if)(?: it)? ")
_TRAILING: Final = re.compile(r" ?\b(up|down)$")


def read_conditions(text: str, now: Figures) -> tuple[Condition, ...]:
    """Every way in which it can be meant, the likeliest first. Raises `UserFacingError` where there is none."""
    typed = plain(text)
    if not typed:
        raise UserFacingError("watch.unreadable", typed=clip(text))
    typed = _WHEN.sub("", typed, count=1) if _WHEN.match(typed) else typed
    times = _TIMES.search(typed)
    each_time = bool(times and times["each"])
    if times:
        typed = typed[: times.start()].strip()
    found = [one.timed(each_time=each_time) for one in dict.fromkeys(_read(typed, now))]
    sound = tuple(one for one in found if one.is_sound)
    if not sound:
        raise UserFacingError("watch.never" if found else "watch.unreadable", typed=clip(text))
    return sound


def _read(typed: str, now: Figures) -> Iterator[Condition]:
    subject, typed = _subject_of(typed)
    side, is_level, typed = _side_of(typed)
    if subject in {None, "multiple"} and _MULTIPLE.fullmatch(typed):
        yield from _multiples(typed, side)
    elif subject in {None, "price", "multiple"} and _CHANGE.fullmatch(typed) and not is_level:
        yield from _changes(typed, side)
    elif subject != "multiple":
        subjects: tuple[Subject, ...] = (subject,) if subject else ("market_cap", "price")
        for value in _numbers(typed, "usd", in_thousands=subject == "market_cap"):
            for one in subjects:
                for way in (side,) if side else _ways(value, now.of(one)):
                    yield Condition(subject=one, side=way, value=value)


def _subject_of(typed: str) -> tuple[Subject | None, str]:
    found = _SUBJECT.match(typed)
    if found is None:
        return None, typed
    subject: Subject = "market_cap" if found["cap"] else "price" if found["price"] else "multiple"
    return subject, typed[found.end() :].strip()


def _side_of(typed: str) -> tuple[Side | None, bool, str]:
    """The side, whether a level follows and no change, and the rest."""
    found = _SIDE.match(typed)
    if found:
        side: Side | None = "above" if found["above"] else "below" if found["below"] else None
        is_level = bool(_TO.search(found[0])) or found[0][0] in "<>≥≤="
        return side, is_level, typed[found.end() :].strip()
    after = _TRAILING.search(typed)
    if after:
        return ("above" if after[1] == "up" else "below"), False, typed[: after.start()].strip()
    return (None, False, typed) if not typed.endswith("+") else ("above", True, typed[:-1].strip())


def _multiples(typed: str, side: Side | None) -> Iterator[Condition]:
    for value in _numbers(typed, "multiple"):
        way: Side = side or ("above" if value > 1 else "below")
        yield Condition(subject="multiple", side=way, value=value)


def _changes(typed: str, side: Side | None) -> Iterator[Condition]:
    typed = re.sub(r"(?<=[-+]) ", "", typed)
    for percent in _numbers(typed, "change"):
        is_signed = typed[0] in "+-"
        sides: tuple[Side, ...] = ("above", "below")
        if is_signed:
            sides = ("below",) if percent < 0 else ("above",)
        for way in sides:
            if side in {None, way}:
                share = abs(percent) / 100
                yield Condition(
                    subject="multiple", side=way, value=_rounded(1 + share if way == "above" else 1 - share)
                )


def _ways(value: float, now: float | None) -> tuple[Side, ...]:
    """Up or down, where nobody said it: from where the token stands, if that is known."""
    if now is None or value == now:
        return ("above", "below")
    return ("above",) if value > now else ("below",)


def _numbers(typed: str, unit: Unit, *, in_thousands: bool = False) -> Iterator[float]:
    """Each way to read one number."""
    try:
        yield from _one(read_range(typed, unit, in_thousands=in_thousands))
    except Unsure as error:
        for reading in error.readings:
            yield from _one(read_range(reading, unit))
    except Unreadable:
        return


def _one(found: Range | None) -> Iterator[float]:
    if found is not None and found.maximum is None and found.minimum is not None:
        yield found.minimum


def _rounded(value: float) -> float:
    return float(f"{value:.9g}")
