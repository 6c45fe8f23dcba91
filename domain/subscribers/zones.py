"""Time zones as people type them: `Berlin`, `Europe/Berlin`, `UTC+2`, `New York`."""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from runtime.errors import UserFacingError

MAX_SUGGESTIONS: Final = 3
_MAX_LENGTH: Final = 64
_OFFSET: Final = re.compile(r"(?:utc|gmt)? ?([+-]) ?(\d{1,2})(?::?(\d{2}))?")
_DASHES: Final = str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))
_LAST_EAST: Final = 14
_LAST_WEST: Final = 12
_ODD: Final = {
    ("+", 3, 30): "Asia/Tehran",
    ("+", 4, 30): "Asia/Kabul",
    ("+", 5, 30): "Asia/Kolkata",
    ("+", 5, 45): "Asia/Kathmandu",
    ("+", 6, 30): "Asia/Yangon",
    ("+", 8, 45): "Australia/Eucla",
    ("+", 9, 30): "Australia/Darwin",
    ("-", 9, 30): "Pacific/Marquesas",
}
"""Offsets that are no full hours, each by a place that has it all year round."""


def parse_time_zone(text: str) -> str:
    """Return the IANA name. Raises `UserFacingError` with up to three names that are spelled alike."""
    typed = text[:_MAX_LENGTH]
    wanted = " ".join(typed.translate(_DASHES).lower().split())
    name = _offset(wanted) or _names().get(wanted.replace(" ", "_"))
    if name is None:
        alike = difflib.get_close_matches(wanted.replace(" ", "_"), _names(), n=MAX_SUGGESTIONS, cutoff=0.6)
        suggestions = (
            ", ".join(dict.fromkeys(_names()[one] for one in alike)) or "Europe/Berlin, America/New_York, UTC+2"
        )
        raise UserFacingError("zone.unknown", typed=typed, suggestions=suggestions)
    return name


@cache
def _names() -> dict[str, str]:
    """By what people may type, in small letters: the whole name, or the place at its end where that is one place."""
    whole = sorted(name for name in available_timezones() if name not in {"localtime", "Factory"})
    whole = [name for name in whole if not name.startswith(("posix/", "right/", "SystemV/"))]
    places: dict[str, str] = {}
    for name in whole:
        area, _, place = name.rpartition("/")
        # Areas without a slash in front are the ones people know; "US/Eastern" gives no place of its own.
        if area and area not in {"Etc", "US"}:
            places.setdefault(place.lower(), name)
    return {**places, **{name.lower(): name for name in whole}}


def _offset(wanted: str) -> str | None:
    if wanted in {"utc", "gmt", "z"}:
        return "UTC"
    found = _OFFSET.fullmatch(wanted)
    if found is None:
        return None
    sign, hours, minutes = found[1], int(found[2]), int(found[3] or 0)
    if minutes:
        return _ODD.get((sign, hours, minutes))
    if hours == 0:
        return "UTC"
    if hours > (_LAST_EAST if sign == "+" else _LAST_WEST):
        return None
    # IANA counts the other way round: east of Greenwich is minus.
    return f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"
