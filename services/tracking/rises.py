"""How high calls have risen that are still followed, written down within about a minute.

A rung is written at once; what lies between two rungs waits here for its turn, so that a record, a report and the
answer to an address say the same of a call as somebody who asks the tracker.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, LiteralString

import numpy as np

from domain.tracking.peaks import NUMBERS_PER_SEGMENT, Floats
from managers.storage.postgres import PostgresManager
from services.tracking.book import CHUNKS, Book

_PAGE: Final = 2_000
_NOTE: Final[LiteralString] = """
    UPDATE outcomes o SET peak_multiple = x.multiple, peak_at = x.at, updated_at = $4
    FROM unnest($1::bigint[], $2::double precision[], $3::timestamptz[]) AS x (number, multiple, at)
    WHERE o.number = x.number AND o.ended_at IS NULL AND coalesce(o.peak_multiple, 1) < x.multiple
"""


class Rises:
    def __init__(self, postgres: PostgresManager, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._clock = clock
        self._next_chunk = 0
        self._noted = array("d")
        """By number of a token: its peaks when they were written down, added up."""

    async def note(self, book: Book) -> int:
        """Write down what has risen in the next part of all tokens; returns of how many calls."""
        chunk = self._next_chunk
        found = [rise for key in book.keys[chunk] if (rise := self._rise(book, key)) is not None]
        if found:
            columns = [np.concatenate(column) for column in zip(*(one[2:] for one in found), strict=True)]
            for start in range(0, len(columns[0]), _PAGE):
                numbers, multiples, ats = (column[start : start + _PAGE].tolist() for column in columns)
                moments = [datetime.fromtimestamp(at, UTC) for at in ats]
                await self._postgres.execute(_NOTE, numbers, multiples, moments, self._clock())
        for token, total, *_ in found:
            self._noted[token] = total
        self._next_chunk = (chunk + 1) % CHUNKS
        return sum(len(one[2]) for one in found)

    def _rise(self, book: Book, key: str) -> tuple[int, float, Floats, Floats, Floats] | None:
        """Token, its peaks added up, and of the entries that have risen: number, multiple and time; else `None`."""
        token = book.tracker.number_of(key)
        entries, peaks = book.tracker.watching.entries[token], book.tracker.watching.peaks[token]
        segments = np.frombuffer(peaks.numbers, dtype=np.float64).reshape(-1, NUMBERS_PER_SEGMENT).copy()
        total = float(segments[:, 1].sum())
        if token >= len(self._noted):
            self._noted.extend([0.0] * (token + 1 - len(self._noted)))
        if self._noted[token] == total:
            return None
        prices = entries.column("price")
        counts = np.diff(np.append(segments[:, 0], len(prices))).astype(np.intp)
        reached = np.repeat(segments[:, 1], counts)
        has_risen = reached > prices
        ats = np.repeat(segments[:, 2], counts)[has_risen]
        return token, total, entries.column("id")[has_risen], (reached / prices)[has_risen], ats
