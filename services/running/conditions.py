"""What admins are reminded of: what one of them has turned off stands."""

from __future__ import annotations

from domain.admins.controls import Control
from services.monitoring.conditions import Condition, Reason, about, because
from services.running.controls import Controls


def kept_back(controls: Controls) -> Condition:
    """Alarm while anything is turned off or paused; channels are blocked for good and no reason."""

    def reason() -> tuple[Reason, ...] | None:
        told = controls.told()
        if not told:
            return None
        return tuple(map(_said, told))

    return reason


def _said(one: Control) -> Reason:
    of_which = {"subject": one.subject} if one.subject else {}
    said = because(f"alarm.control.{one.name}", since=f"{one.since:%d %b, %H:%M}", **of_which)
    return about(f"{one.name} {one.subject}", said)
