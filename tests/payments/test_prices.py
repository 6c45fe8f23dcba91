"""Until when something can be paid, by the clocks of whoever pays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from handlers.payments.prices import ends

NOW = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "15:30 (UTC)"),
        ("Europe/Berlin", "16:30 (Europe/Berlin)"),
        ("Asia/Tokyo", "21 Nov 00:30 (Asia/Tokyo)"),
    ],
)
def test_the_zone_is_theirs_and_named(zone: str, shown: str) -> None:
    assert ends(NOW.replace(hour=15), NOW, zone) == shown
