"""Changes of how alerts are delivered, as people choose them: each is a function from preferences to preferences."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar, get_args

from msgspec.structs import replace

from domain.calls.addresses import is_address
from domain.delivery.policy import mute, parse_cap, parse_pass_score, quiet_at, snooze_until_morning
from domain.delivery.quiet import parse_quiet_hours, quiet_until
from domain.filters.lists import Unreadable
from domain.filters.numbers import Assumed, read_value
from domain.reading.typed import NOTHING, clip, plain
from domain.subscribers.subscriber import (
    ALL_BUTTONS,
    NOTHING_PASSES,
    REPORTS,
    CardButton,
    CardField,
    Destination,
    MessageKind,
    Preferences,
    QuietHours,
)
from domain.subscribers.zones import parse_time_zone
from domain.tracking.ladder import MILESTONES
from runtime.errors import UserFacingError

Change = Callable[[Preferences], Preferences]
T = TypeVar("T")

KINDS: Final[tuple[MessageKind, ...]] = get_args(MessageKind)
FIELDS: Final[tuple[CardField, ...]] = get_args(CardField)
RUNGS: Final = {f"{rung:g}": rung for rung in (1.5, *sorted(MILESTONES))}
"""Multiples of which somebody may choose to be told, by how they are written."""
MUTED_FOR: Final = timedelta(days=1)
MAX_SNOOZE: Final = timedelta(days=365)
_DEFAULT_QUIET: Final = QuietHours(start_minute=23 * 60, end_minute=7 * 60)
"""For those who set the level before the hours."""
_SNOOZES: Final = {"1h": timedelta(hours=1), "8h": timedelta(hours=8)}
_CLEARED: Final[Mapping[str, Change]] = {
    "zone": lambda p: replace(p, time_zone="UTC"),
    "quiet": lambda p: replace(p, quiet=None, quiet_ended_until=None),
    "level": lambda p: replace(p, quiet=p.quiet and replace(p.quiet, pass_score=NOTHING_PASSES)),
    "cap": lambda p: replace(p, alerts_per_hour=None),
}


def typed_setting(what: str) -> str:
    """Return the name of a setting that is typed: `zone`, `quiet`, `level` or `cap`."""
    return _known(what, _CLEARED)


def typed(what: str, text: str) -> Change:
    """Read what was typed for a setting. Raises `UserFacingError`, also `Unsure`, with readings that can be typed."""
    if what in _CLEARED and what != "zone" and plain(text) in NOTHING:
        return cleared(what)
    match what:
        case "zone":
            zone = parse_time_zone(text)
            return lambda p: replace(p, time_zone=zone)
        case "quiet":
            start, end = parse_quiet_hours(text)
            return lambda p: replace(
                p,
                quiet=replace(p.quiet or _DEFAULT_QUIET, start_minute=start, end_minute=end),
                quiet_ended_until=None,
            )
        case "level":
            level = parse_pass_score(text)
            return lambda p: replace(p, quiet=replace(p.quiet or _DEFAULT_QUIET, pass_score=level))
        case "cap":
            cap = parse_cap(text)
            return lambda p: replace(p, alerts_per_hour=cap)
        case _:
            raise UserFacingError("callback.stale")


def cleared(what: str) -> Change:
    return _CLEARED[typed_setting(what)]


def sound(kind: str, *, audible: bool) -> Change:
    known = _known(kind, KINDS)
    return lambda p: replace(p, silent=p.silent - {known} if audible else p.silent | {known})


def quiet_ended(now: datetime) -> Change:
    """End the quiet hours of tonight; they begin again when they next would."""

    def ended(p: Preferences) -> Preferences:
        quiet = quiet_at(p, now)
        return replace(p, quiet_ended_until=quiet_until(quiet, p.time_zone, now)) if quiet else p

    return ended


def snooze(how_long: str, now: datetime) -> Change:
    """`how_long`: `1h`, `8h`, `morning` or `off`."""
    match how_long:
        case "off":
            return lambda p: replace(p, snoozed_until=None)
        case "morning":
            return lambda p: replace(p, snoozed_until=snooze_until_morning(p, now))
        case _:
            until = now + _SNOOZES[_known(how_long, _SNOOZES)]
            return lambda p: replace(p, snoozed_until=until)


def snoozed_for(text: str, now: datetime) -> Change:
    """Read for how long, as in `2h`. Raises `UserFacingError`."""
    too_long = UserFacingError(
        "number.out_of_range", typed=clip(text), largest=f"{MAX_SNOOZE.days}d", expected="/pause 2h"
    )
    try:
        seconds = read_value(plain(text) or "", "duration", Assumed())
    except Unreadable as error:
        if error.key == "number.out_of_range":
            raise too_long from error
        raise UserFacingError("pause.unreadable", typed=clip(text)) from error
    if seconds > MAX_SNOOZE.total_seconds():
        raise too_long
    if not seconds:
        raise UserFacingError("pause.unreadable", typed=clip(text))
    until = now + timedelta(seconds=seconds)
    return lambda p: replace(p, snoozed_until=until)


def token_muted(address: str, now: datetime, name: str = "") -> Change:
    if not is_address(address):
        raise UserFacingError("callback.stale")
    return lambda p: mute(p, address, now + MUTED_FOR, clip(name))


def news(*, wanted: bool) -> Change:
    return lambda p: replace(p, news=wanted)


def compact(*, is_compact: bool) -> Change:
    return lambda p: replace(p, card=replace(p.card, compact=is_compact))


def card_field(field: str, *, shown: bool) -> Change:
    known = _known(field, FIELDS)

    def change(preferences: Preferences) -> Preferences:
        card = preferences.card
        hidden = card.hidden - {known} if shown else card.hidden | {known}
        return replace(preferences, card=replace(card, hidden=hidden))

    return change


def card_button(button: str, *, shown: bool) -> Change:
    """Buttons keep their order, whichever was chosen last."""
    known: CardButton = _known(button, ALL_BUTTONS)

    def change(preferences: Preferences) -> Preferences:
        chosen = {*preferences.card.buttons, known} if shown else {*preferences.card.buttons} - {known}
        return replace(
            preferences, card=replace(preferences.card, buttons=tuple(b for b in ALL_BUTTONS if b in chosen))
        )

    return change


def milestone(rung: str, *, told: bool) -> Change:
    """One multiple more or less; they keep their order."""
    known = RUNGS[_known(rung, RUNGS)]

    def change(preferences: Preferences) -> Preferences:
        wanted = {one for one in RUNGS.values() if preferences.wants_milestone(one)}
        wanted = wanted | {known} if told else wanted - {known}
        return replace(preferences, milestones=tuple(one for one in RUNGS.values() if one in wanted))

    return change


def milestones(*, told: bool) -> Change:
    """Those that everybody is told, or none."""
    return lambda p: replace(p, milestones=None if told else ())


def report(name: str, *, sent: bool) -> Change:
    """One report more or less that comes by itself; they keep their order."""
    known = _known(name, REPORTS)

    def change(preferences: Preferences) -> Preferences:
        wanted = {one for one in REPORTS if preferences.wants_report(one)}
        wanted = wanted | {known} if sent else wanted - {known}
        return replace(preferences, reports=tuple(one for one in REPORTS if one in wanted))

    return change


def light_pictures(*, light: bool) -> Change:
    return lambda p: replace(p, light_pictures=light)


def delivered_to(destination: Destination | None) -> Change:
    return lambda p: replace(p, destination=destination)


def _known(value: str, values: Collection[T]) -> T:
    """Take only what a button of ours could have said; anything else is a stale button."""
    for known in values:
        if known == value:
            return known
    raise UserFacingError("callback.stale")
