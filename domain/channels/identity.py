"""Whether what answers to a channel's name is still the channel that was read: nothing that is shown says so outright.

Within one channel later posts have higher numbers, and the time of a post never changes, whatever is edited or deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

SLACK: Final = timedelta(minutes=1)
"""Times that are told by the same clock."""
AHEAD: Final = timedelta(hours=1)
"""Our own clock may be wrong by so much."""
EVIDENCE: Final = 3
"""So many posts have to contradict what was read, or all there are."""


def is_another(
    read_to: int,
    read_until: datetime | None,
    known: Mapping[int, datetime],
    shown: Iterable[tuple[int, datetime]],
    *,
    now: datetime,
) -> bool:
    """Compare number and time of posts that are `shown` with the newest that was read, and those that are `known`.

    A time that is still to come is nobody's: it says nothing of the post that bears it, nor of those behind it.
    """
    if read_until is not None and read_until > now + AHEAD:
        read_until = None
    compared = against = 0
    for number, posted_at in shown:
        if posted_at > now + AHEAD:
            continue
        before = known.get(number)
        if before is not None and before <= now + AHEAD:
            against += abs(posted_at - before) > SLACK
        elif read_until is None or number == read_to:
            continue
        elif number > read_to:
            against += posted_at < read_until - SLACK
        else:
            against += posted_at > read_until + SLACK
        compared += 1
    return against >= min(EVIDENCE, max(1, compared))
