"""The highest market cap that a called token has reached since: from memory, or from what is written down."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Final, LiteralString

from managers.storage.postgres import PostgresManager
from services.tracking.book import Book, Measure, key_of
from services.tracking.tracking import TrackingService

# The highest rung is passed, how far nobody has written down until an hour, a day or a week after the call.
_WRITTEN: Final[LiteralString] = """
    SELECT o.market_cap_usd * greatest(1, o.peak_multiple, max(m.multiple)) AS peak_usd
    FROM outcomes o LEFT JOIN milestones m USING (call_id)
    WHERE o.token_address = $1 AND o.called_at >= $2
    GROUP BY o.call_id ORDER BY o.called_at LIMIT 1
"""
_MEASURES: Final[tuple[Measure, ...]] = ("price", "market_cap")


class TrackedPeaks:
    def __init__(self, tracking: TrackingService, postgres: PostgresManager) -> None:
        self._tracking = tracking
        self._postgres = postgres

    async def highest(self, address: str, since: datetime) -> float | None:
        """US dollars, since the first call from then on; `None` where there is none. `TransientError`."""
        book = self._tracking.book
        if book is not None:
            found = (_peak(book, key_of(address, measure), since.timestamp()) for measure in _MEASURES)
            known = [peak for peak in found if peak is not None]
            if known:
                return max(known)
        called_since = since - timedelta(seconds=1)
        row = await self._postgres.fetch_row(_WRITTEN, address, called_since)
        return None if row is None else row["peak_usd"]


def _peak(book: Book, key: str, since_s: float) -> float | None:
    if key not in book.tracker:
        return None
    token = book.tracker.number_of(key)
    entries, peaks = book.tracker.watching.entries[token], book.tracker.watching.peaks[token]
    later = (entries.column("at") >= int(since_s)).nonzero()[0]
    if not later.size:
        return None
    place = int(later[0])
    market_cap, price = float(entries.column("market_cap")[place]), float(entries.column("price")[place])
    return None if math.isnan(market_cap) else market_cap * max(1.0, peaks.of(place).price / price)
