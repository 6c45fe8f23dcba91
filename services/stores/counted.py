"""How an outcome `o` counts, for statements: in records, reports and backtests alike, and wherever one is shown.

A token counts by its first call that counts. Whatever a tracker writes down, rungs included, stands in the peak.
"""

from __future__ import annotations

from typing import Final, LiteralString

COUNTS: Final[LiteralString] = "o.excluded IS NULL"
PEAK: Final[LiteralString] = "greatest(1, coalesce(o.peak_multiple, 1) * o.scale)"
"""The highest confirmed multiple. What is followed had a price at the call, so it is no less than 1."""
REACHABLE: Final[LiteralString] = (
    "CASE WHEN o.reachable_multiple IS NOT NULL THEN least(o.reachable_multiple, " + PEAK + ") END"
)
"""`domain.tracking.outcome.Outcome.counted_reachable`."""
AT_ENTRY: Final[LiteralString] = "coalesce(abs(extract(epoch FROM d.sent_at - o.entry_at)) <= 15, false)"
"""Whether somebody was told, by the delivery `d`, when the first alert went out, by whose price `REACHABLE` goes: not
by a digest, or an alert of the free tier, minutes later."""
PEAK_AFTER_S: Final[LiteralString] = (
    "greatest(0, extract(epoch FROM coalesce(o.peak_at, o.called_at) - o.called_at)::double precision)"
)
