"""Nobody who was deleted comes back by what was still on its way to PostgreSQL.

Entries of the journal are applied in their order. One of somebody who was deleted is dropped, unless they have begun
anew and it is from then. The transactions of the journal come one after the other, so none misses an erasure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, LiteralString, cast

import msgspec
from msgspec import Struct

from managers.storage.postgres import Statements
from services.stores import journal_rows as rows
from services.stores.journal_rows import Write

_ERASED: Final[LiteralString] = """
    SELECT e.user_id, array_agg(e.born_at) AS born_at,
        (SELECT (s.document ->> 'created_at')::timestamptz FROM subscribers s WHERE s.user_id = e.user_id) AS back_at
    FROM erasures e WHERE e.user_id = ANY($1) GROUP BY e.user_id
"""
_WHOSE: Final[Mapping[LiteralString, tuple[int, int]]] = {
    rows.PUT_SUBSCRIBER: (0, 9),
    rows.PUT_SUBSCRIBER_CHANGE: (0, 3),
    rows.PUT_CLAIM: (1, 3),
    rows.PUT_OUTGOING: (1, 3),
    rows.PUT_DELIVERY: (1, 6),
    rows.PUT_SHARED_SET: (1, 3),
}
"""Where each row says whose it is and when it was decided."""
_DOCUMENT: Final[Mapping[LiteralString, int]] = {rows.PUT_SUBSCRIBER: 7, rows.PUT_SUBSCRIBER_CHANGE: 2}


class _Born(Struct, frozen=True):
    created_at: datetime


class _Gone:
    """Somebody who was deleted, at least once."""

    def __init__(self, born_at: Sequence[datetime | None], back_at: datetime | None) -> None:
        self._born_at = frozenset(born_at)
        self._back_at = back_at

    def lasts(self, statement: LiteralString, values: Sequence[object]) -> bool:
        place = _DOCUMENT.get(statement)
        if place is None:
            return self._back_at is not None and cast("datetime", values[_WHOSE[statement][1]]) >= self._back_at
        born_at = msgspec.json.decode(cast("str", values[place]), type=_Born).created_at
        if born_at in self._born_at:
            return False
        self._back_at = born_at
        return True


def between_erasures(writes: Sequence[Write]) -> Iterator[Sequence[Write]]:
    """Divide what is written in order: an erasure is about what comes before it, and stands alone."""
    start = 0
    for position, (statement, _) in enumerate(writes):
        if statement == rows.PUT_ERASURE:
            yield writes[start:position]
            yield writes[position : position + 1]
            start = position + 1
    yield writes[start:]


async def lasting(statements: Statements, writes: Sequence[Write]) -> Sequence[Write]:
    """Return what is to be written: nothing of who was deleted."""
    places = ((_WHOSE.get(statement), values) for statement, values in writes)
    whose = {cast("int", values[place[0]]) for place, values in places if place is not None}
    if not whose:
        return writes
    found = await statements.fetch(_ERASED, list(whose))
    if not found:
        return writes
    gone = {row["user_id"]: _Gone(row["born_at"], row["back_at"]) for row in found}
    return [write for write in writes if _lasts(gone, *write)]


def _lasts(gone: Mapping[int, _Gone], statement: LiteralString, values: Sequence[object]) -> bool:
    place = _WHOSE.get(statement)
    who = None if place is None else gone.get(cast("int", values[place[0]]))
    return who is None or who.lasts(statement, values)
