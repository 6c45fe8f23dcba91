"""How high calls have risen that are still followed, written down within about a minute.

A rung is written at once; what lies between two rungs waits here for its turn, so that a record, a report and the
answer to an address say the same of a call as somebody who asks the tracker.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, LiteralString

import numpy as np

from domain.tracking.peaks import NUMBERS_PER_SEGMENT, Floats
from managers.storage.postgres import PostgresManager
from services.tracking.book import CHUNKS, Book

_PAGE: Final = 2_000
_AT_ONCE: Final = 500
"""Tokens that are looked at without a pause."""
_Rise = tuple[int, float, Floats, Floats, Floats]
"""Token, its peaks added up, and of the entries that have risen: number, multiple and time."""
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
        keys, count = tuple(book.keys[self._next_chunk]), 0
        for start in range(0, len(keys), _AT_ONCE):
            found = [rise for key in keys[start : start + _AT_ONCE] if (rise := self._rise(book, key)) is not None]
            count += await self._write(found)
            await asyncio.sleep(0)
        self._next_chunk = (self._next_chunk + 1) % CHUNKS
        return count

    async def _write(self, found: Sequence[_Rise]) -> int:
        if not found:
            return 0
        columns = [np.concatenate(column) for column in zip(*(one[2:] for one in found), strict=True)]
        for start in range(0, len(columns[0]), _PAGE):
            numbers, multiples, ats = (column[start : start + _PAGE].tolist() for column in columns)
            moments = [datetime.fromtimestamp(at, UTC) for at in ats]
            await self._postgres.execute(_NOTE, numbers, multiples, moments, self._clock())
        for token, total, *_ in found:
            self._noted[token] = total
        return len(columns[0])

    def _rise(self, book: Book, key: str) -> _Rise | None:
        if key not in book.tracker:
            return None
        token = book.tracker.number_of(key)
        entries, peaks = book.tracker.watching.entries[token], book.tracker.watching.peaks[token]
        total = sum(peaks.numbers[1::NUMBERS_PER_SEGMENT])
        if token >= len(self._noted):
            self._noted.extend([0.0] * (token + 1 - len(self._noted)))
        if self._noted[token] == total:
            return None
        segments = np.frombuffer(peaks.numbers.tobytes(), dtype=np.float64).reshape(-1, NUMBERS_PER_SEGMENT)
        prices = entries.column("price")
        counts = np.diff(np.append(segments[:, 0], len(prices))).astype(np.intp)
        reached = np.repeat(segments[:, 1], counts)
        has_risen = reached > prices
        ats = np.repeat(segments[:, 2], counts)[has_risen]
        return token, total, entries.column("id")[has_risen], (reached / prices)[has_risen], ats
