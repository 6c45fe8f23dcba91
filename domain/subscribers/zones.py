"""Time zones as people type them: `Berlin`, `Europe/Berlin`, `UTC+2`, `New York`, `EST`.

An abbreviation is no zone: it names a time that several regions keep, some of them only in winter. Who types one is
asked for the region, and so is who types a name that several regions have.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from domain.reading.typed import Unsure, clip, plain
from runtime.errors import UserFacingError

MAX_SUGGESTIONS: Final = 3
_OFFSET: Final = re.compile(r"(?:utc|gmt)? ?([+-]) ?(\d{1,2})(?:[:.]?([0-5]\d))?")
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
_NO_OFFSET: Final = frozenset({"Etc/GMT+0", "Etc/GMT-0"})
_FIXED: Final = re.compile(r"Etc/GMT([+-])(\d{1,2})")
_SHORTEST: Final = 5
"""Letters of a name that is misspelled or suggested: one abbreviation is no better than another."""
_AREAS_WITHOUT_PLACES: Final = frozenset({"Etc", "US", "Canada", "Brazil", "Mexico", "Chile"})
"""`Brazil/East` gives no place that people would call "East"."""


def _regions(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    split = (line.split(":") for line in lines)
    return {short: tuple(names.split()) for shorts, names in split for short in shorts.split()}


_ABBREVIATIONS: Final[Mapping[str, tuple[str, ...]]] = _regions(
    (
        "est: America/New_York America/Panama America/Jamaica Australia/Sydney",
        "edt et eastern: America/New_York America/Toronto",
        "cst: America/Chicago America/Mexico_City America/Costa_Rica Asia/Shanghai America/Havana",
        "cdt ct central: America/Chicago America/Winnipeg America/Havana",
        "mst: America/Denver America/Phoenix",
        "mdt mt mountain: America/Denver America/Edmonton",
        "pst: America/Los_Angeles America/Vancouver Asia/Manila",
        "pdt pt pacific: America/Los_Angeles America/Vancouver",
        "akst akdt: America/Anchorage",
        "hst: Pacific/Honolulu",
        "ast: America/Halifax America/Puerto_Rico Asia/Riyadh",
        "adt: America/Halifax",
        "nst ndt: America/St_Johns",
        "brt: America/Sao_Paulo",
        "art: America/Argentina/Buenos_Aires",
        "clt clst: America/Santiago",
        "cot: America/Bogota",
        "pet: America/Lima",
        "gmt: Europe/London Africa/Accra UTC",
        "bst: Europe/London Asia/Dhaka",
        "wet west: Europe/Lisbon Africa/Casablanca",
        "ist: Asia/Kolkata Europe/Dublin Asia/Jerusalem",
        "idt: Asia/Jerusalem",
        "cet: Europe/Berlin Europe/Paris Europe/Warsaw Africa/Algiers",
        "cest met mest mez mesz: Europe/Berlin Europe/Paris Europe/Warsaw",
        "eet: Europe/Kyiv Europe/Athens Africa/Cairo Africa/Tripoli",
        "eest: Europe/Kyiv Europe/Athens Africa/Cairo",
        "msk: Europe/Moscow",
        "trt: Europe/Istanbul",
        "sast: Africa/Johannesburg",
        "wat: Africa/Lagos",
        "cat: Africa/Harare",
        "eat: Africa/Nairobi",
        "gst: Asia/Dubai Atlantic/South_Georgia",
        "pkt: Asia/Karachi",
        "npt: Asia/Kathmandu",
        "ict: Asia/Bangkok Asia/Ho_Chi_Minh",
        "wib: Asia/Jakarta",
        "sgt: Asia/Singapore",
        "myt: Asia/Kuala_Lumpur",
        "hkt: Asia/Hong_Kong",
        "pht: Asia/Manila",
        "jst: Asia/Tokyo",
        "kst: Asia/Seoul",
        "awst: Australia/Perth",
        "acst acdt: Australia/Adelaide Australia/Darwin",
        "aest: Australia/Sydney Australia/Brisbane",
        "aedt: Australia/Sydney",
        "nzst nzdt: Pacific/Auckland",
        "est5edt: America/New_York",
        "cst6cdt: America/Chicago",
        "mst7mdt: America/Denver",
        "pst8pdt: America/Los_Angeles",
    )
)


def parse_time_zone(text: str) -> str:
    """Return the IANA name. Raises `UserFacingError`; where several are meant or spelled alike `Unsure`, with names."""
    typed, read = clip(text), plain(text)
    wanted = _bare(read or "")
    if read in {"utc", "z", "zulu"}:
        return "UTC"
    if wanted in _ABBREVIATIONS:
        regions = _ABBREVIATIONS[wanted]
        if len(regions) == 1:
            return regions[0]
        raise Unsure("zone.which", regions, typed=typed)
    offset = _offset(read or "")
    found = (offset,) if offset else _names().get(wanted, ())
    if len(found) == 1:
        return "UTC" if found[0] in _NO_OFFSET else found[0]
    if found:
        raise Unsure("zone.which", found, typed=typed)
    alike = difflib.get_close_matches(wanted, _suggested(), MAX_SUGGESTIONS) if len(wanted) >= _SHORTEST else ()
    suggestions = tuple(dict.fromkeys(name for one in alike for name in _names()[one]))[:MAX_SUGGESTIONS]
    if suggestions:
        raise Unsure("zone.unknown", suggestions, typed=typed)
    raise UserFacingError("zone.unreadable", typed=typed)


def show_zone(name: str) -> str:
    """`Europe/Berlin`, `America/New York`, `UTC+2`; `parse_time_zone` reads what it gave itself."""
    fixed = _FIXED.fullmatch(name)
    if fixed:
        # IANA counts the other way round: east of Greenwich is minus.
        return f"UTC{'+' if fixed[1] == '-' else '-'}{fixed[2]}"
    return name.replace("_", " ")


def _bare(text: str) -> str:
    """Without accents, as names of zones are written."""
    apart = unicodedata.normalize("NFD", text)
    return "".join(sign for sign in apart if not unicodedata.combining(sign)).replace(" ", "_")


@cache
def _names() -> dict[str, tuple[str, ...]]:
    """By what people may type, in small letters: the whole name, or the place at its end."""
    whole = sorted(name for name in available_timezones() if name not in {"localtime", "Factory"})
    whole = [name for name in whole if not name.startswith(("posix/", "right/", "SystemV/"))]
    places: dict[str, tuple[str, ...]] = {}
    for name in whole:
        area, _, place = name.rpartition("/")
        if area and area not in _AREAS_WITHOUT_PLACES and place.lower() not in _ABBREVIATIONS:
            places[_bare(place.lower())] = (*places.get(_bare(place.lower()), ()), name)
    return {**_without_doubles(places), **{name.lower(): (name,) for name in whole}}


def _without_doubles(places: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """`America/Louisville` is an old name of `America/Kentucky/Louisville`: of one area the first is enough."""
    return {
        place: tuple({name.partition("/")[0]: name for name in reversed(names)}.values())
        for place, names in places.items()
    }


@cache
def _suggested() -> tuple[str, ...]:
    return tuple(name for name in _names() if len(name) >= _SHORTEST and name not in _ABBREVIATIONS)


def _offset(wanted: str) -> str | None:
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
    return f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"
