"""What we make ourselves, moments and zones, is never cut by the text that it stands in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest

from domain.subscribers.subscriber import Preferences
from domain.subscribers.zones import show_zone
from handlers.delivery.standing import local_moment
from texts import Texts
from texts.markup import utf16_length

TEXTS = Texts.load()
NOW = datetime(2026, 12, 1, tzinfo=UTC)
ZONE = max(map(show_zone, available_timezones()), key=len)
LATER = NOW + timedelta(days=29)
MOMENT = max((local_moment(Preferences(time_zone=zone), LATER, NOW) for zone in available_timezones()), key=len)


@pytest.mark.parametrize(
    ("name", "made", "families"),
    [
        ("zone", ZONE, ("",)),
        ("until", MOMENT, ("delivery.", "mute.", "button.", "state.", "held.")),
        ("since", f"{NOW:%d %b %Y, %H:%M}", ("reading.", "channels_admin.")),
        ("since", f"{NOW:%d %b, %H:%M}", ("maintenance.", "alarm.control.")),
        ("at", f"{NOW:%d %b %Y, %H:%M} UTC", ("correct.call", "broadcast.", "value.scheduled")),
    ],
)
def test_it_has_room(name: str, made: str, families: tuple[str, ...]) -> None:
    found = 0
    for key in TEXTS:
        for one in TEXTS.template(key).placeholders if key.startswith(families) else ():
            if one.name == name:
                found += 1
                assert one.limit_utf16 is None or one.limit_utf16 >= utf16_length(made), (key, made)
    assert found
