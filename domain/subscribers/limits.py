"""How many filter sets may be on: a smaller plan pauses the youngest and deletes none."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from domain.filters.registry import FilterSet


def fitted(sets: Sequence[FilterSet], limit: int) -> tuple[FilterSet, ...]:
    """Pause what is beyond the limit, the youngest first, or turn on again what had to pause, the oldest first.

    What the subscriber turned off stays off.
    """
    room = limit - sum(one.enabled for one in sets)
    kept = [*sets]
    order = range(len(kept)) if room > 0 else reversed(range(len(kept)))
    for place in order:
        one = kept[place]
        if room > 0 and one.paused_by_plan:
            kept[place] = replace(one, enabled=True, paused_by_plan=False)
            room -= 1
        elif room < 0 and one.enabled:
            kept[place] = replace(one, enabled=False, paused_by_plan=True)
            room += 1
    return tuple(kept)


def paused_between(before: Sequence[FilterSet], after: Sequence[FilterSet]) -> tuple[FilterSet, ...]:
    """Return what has to pause now and did not before."""
    return tuple(new for new, old in _both(before, after) if new.paused_by_plan and not old.paused_by_plan)


def resumed_between(before: Sequence[FilterSet], after: Sequence[FilterSet]) -> tuple[FilterSet, ...]:
    """Return what had to pause before and is on now."""
    return tuple(new for new, old in _both(before, after) if new.enabled and old.paused_by_plan)


def _both(before: Sequence[FilterSet], after: Sequence[FilterSet]) -> list[tuple[FilterSet, FilterSet]]:
    known = {one.number: one for one in before}
    return [(one, known[one.number]) for one in after if one.number in known]
