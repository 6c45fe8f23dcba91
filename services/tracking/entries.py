"""At what price somebody could get in: what the tracker believes when the first alert of a call has been sent.

An alert is told of by the journal a moment later. A price that is more than a minute away from the sending says nothing
about it: then the entry stays unknown, and so does what could be reached from it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, LiteralString

from managers.storage.postgres import PostgresManager, Row
from services.tracking.book import Book, key_of

WITHIN_S: Final = 60.0
"""How far the price may be from the sending."""
NOTE_EVERY: Final = timedelta(seconds=2)
_LOOK_BACK: Final = timedelta(minutes=15)
_AT_ONCE: Final = 1_000

_SENT: Final[LiteralString] = """
    SELECT o.number, o.token_address, o.measure, coalesce(CASE o.measure WHEN 'price' THEN o.price_usd
        ELSE o.market_cap_usd END, 0) AS price_usd, extract(epoch FROM min(d.sent_at))::double precision AS sent_at
    FROM outcomes o JOIN deliveries d USING (call_id)
    WHERE o.called_at > $1 AND o.entry_at IS NULL AND o.ended_at IS NULL AND d.kind = 'alert'
        AND d.status IN ('sent', 'merged')
    GROUP BY o.number, o.token_address, o.measure, o.price_usd, o.market_cap_usd ORDER BY o.number DESC LIMIT $2
"""
_NOTE: Final[LiteralString] = """
    UPDATE outcomes o SET entry_at = to_timestamp(x.sent_at), entry_multiple = x.multiple,
        entry_liquidity_usd = x.liquidity_usd, updated_at = $5
    FROM unnest($1::bigint[], $2::double precision[], $3::double precision[], $4::double precision[])
        AS x (number, sent_at, multiple, liquidity_usd)
    WHERE o.number = x.number AND o.entry_at IS NULL
"""


class Entries:
    def __init__(self, postgres: PostgresManager, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._clock = clock
        self._noted_at: datetime | None = None

    async def note(self, book: Book) -> int:
        """Write down what is known of alerts that have been sent; returns of how many calls."""
        now = self._clock()
        if self._noted_at is not None and timedelta(0) <= now - self._noted_at < NOTE_EVERY:
            return 0
        self._noted_at = now
        rows = await self._postgres.fetch(_SENT, now - _LOOK_BACK, _AT_ONCE)
        found = [(row, *entry) for row in rows if (entry := _entry(book, row)) is not None]
        if found:
            numbers = [row["number"] for row, _, _ in found]
            sent_at = [row["sent_at"] for row, _, _ in found]
            multiples, liquidity = [one[1] for one in found], [one[2] for one in found]
            await self._postgres.execute(_NOTE, numbers, sent_at, multiples, liquidity, now)
        return len(found)


def _entry(book: Book, row: Row) -> tuple[float, float | None] | None:
    """Multiple of the price at the call, and liquidity, as the tracker knows them."""
    key = key_of(row["token_address"], row["measure"])
    if key not in book.tracker or not row["price_usd"]:
        return None
    state = book.tracker.state(book.tracker.number_of(key))
    if abs(state.at - row["sent_at"]) > WITHIN_S:
        return None
    return state.price_usd / row["price_usd"], state.liquidity_usd
