"""How often something may be done."""

from __future__ import annotations

from msgspec import Struct


class Limit(Struct, frozen=True):
    """At most `slots` messages in any `period_s`."""

    slots: int
    period_s: float
