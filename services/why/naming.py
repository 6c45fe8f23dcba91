"""Filter sets of then, by the names that they have now: as on the alert, which is edited, and in the settings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from domain.why.verdicts import Judged, SetVerdict
from services.why.answers import CallExplanation
from services.why.history import Revision


def with_names_of_now(one: CallExplanation, revisions: Sequence[Revision]) -> CallExplanation:
    return replace(one, judged=named_as_now(one.judged, one.decided.decided_at, revisions))


def named_as_now(judged: Judged, at: datetime, revisions: Sequence[Revision]) -> Judged:
    """Rename sets that were judged at that moment. `revisions`: newest first, never empty.

    One that is gone keeps its name, also where another one has its number by now.
    """
    later = [one.subscriber for one in revisions if one.changed_at > at]

    def named(one: SetVerdict) -> SetVerdict:
        number = one.filter_set.number
        now = revisions[0].subscriber.filter_set(number)
        if now is None or not all(subscriber.filter_set(number) for subscriber in later):
            return one
        return replace(one, filter_set=replace(one.filter_set, name=now.name))

    return replace(judged, sets=tuple(map(named, judged.sets)))
