"""What a digest told of, page by page: which calls were in it is what is written down of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, LiteralString

from msgspec import Struct

from domain.calls.score import score
from managers.storage.postgres import PostgresManager, Row
from services.delivery.digest_lines import DigestCall, DigestLines, best_first
from services.delivery.digest_order import DigestOrder
from services.delivery.digests import read_call
from texts.markup import Html

# The highest rung is passed, how far nobody has written down until an hour, a day or a week after the call.
_CALLS: Final[LiteralString] = """
    SELECT d.call_id, d.may_repeat, c.token_address, c.received_at, c.document,
        (SELECT o.market_cap_usd * greatest(1, o.peak_multiple, max(m.multiple))
         FROM outcomes o LEFT JOIN milestones m USING (call_id)
         WHERE o.call_id = d.call_id GROUP BY o.call_id) AS peak_usd
    FROM deliveries d JOIN calls c USING (call_id)
    WHERE d.user_id = $1 AND d.kind = 'digest' AND d.status = 'sent' AND d.chat_id = $2 AND d.message_id = $3
    ORDER BY d.decided_at, d.call_id
"""
_LAST: Final[LiteralString] = """
    SELECT chat_id, message_id FROM deliveries
    WHERE user_id = $1 AND kind = 'digest' AND status = 'sent' AND chat_id IS NOT NULL
        AND message_id = coalesce($2::bigint, message_id)
    ORDER BY sent_at DESC LIMIT 1
"""


class DigestPlace(Struct, frozen=True):
    """A digest that was sent."""

    chat_id: int
    message_id: int


class DigestPages:
    """`PostgresUnavailableError` when nobody can tell."""

    def __init__(self, postgres: PostgresManager, order: DigestOrder, lines: DigestLines) -> None:
        self._postgres = postgres
        self._order = order
        self._lines = lines

    async def last(self, user_id: int, message_id: int | None = None) -> DigestPlace | None:
        """Where the last digest that somebody got is, or the one with this number."""
        row = await self._postgres.fetch_row(_LAST, user_id, message_id)
        return None if row is None else DigestPlace(row["chat_id"], row["message_id"])

    async def calls(self, user_id: int, place: DigestPlace) -> tuple[list[DigestCall], bool]:
        """Return what somebody's digest told of, and whether in its order; nothing while it is not written down.

        Where nobody knows the order any more they are sorted by what they have reached since.
        """
        rows = await self._postgres.fetch(_CALLS, user_id, place.chat_id, place.message_id)
        calls = best_first([_call_of(row) for row in rows])
        order = await self._order.of(user_id, [one.call_id for one in calls])
        return sorted(calls, key=lambda one: order.get(one.call_id, math.inf)), len(order) == len(calls)

    async def lines(self, shown: Sequence[DigestCall], language: str, first: int) -> Html:
        return self._lines.lines(await self._lines.priced(await self._lines.with_peaks(shown)), language, first)


def _call_of(row: Row) -> DigestCall:
    call = read_call(row["document"].encode(), row["call_id"])
    return DigestCall(
        call_id=row["call_id"],
        address=row["token_address"],
        call=call,
        received_at=row["received_at"],
        score=score(call) if call else 0,
        may_repeat=row["may_repeat"],
        peak_usd=row["peak_usd"],
    )
