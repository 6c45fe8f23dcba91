"""When a condition is met, and when it may be met again."""

from __future__ import annotations

from typing import Final, Literal

from domain.tracking.confirmation import Level
from domain.watches.conditions import Side
from domain.watches.evidence import Levels

REARMS_BY: Final = 0.05
"""After it was met the price has to go back by this share before it can be met again: one that trembles there is one
crossing."""
_EXACTLY: Final = 1e-9
"""Twice 0.1 is not 0.2 for a computer."""

Change = Literal["met", "armed"]


def judge(side: Side, target_usd: float, levels: Levels, *, armed: bool) -> tuple[Change, Level] | None:
    """What the confirmed levels do to a condition; `armed`: it has not been met since it was last not."""
    risen, fallen = levels.risen, levels.fallen
    if side == "above":
        if armed and risen is not None and risen.price >= target_usd * (1 - _EXACTLY):
            return "met", risen
        if not armed and fallen is not None and fallen.price <= target_usd * (1 - REARMS_BY):
            return "armed", fallen
        return None
    if armed and fallen is not None and fallen.price <= target_usd * (1 + _EXACTLY):
        return "met", fallen
    if not armed and risen is not None and risen.price >= target_usd / (1 - REARMS_BY):
        return "armed", risen
    return None


def rearms_at(side: Side, target_usd: float) -> float:
    return target_usd * (1 - REARMS_BY) if side == "above" else target_usd / (1 - REARMS_BY)
