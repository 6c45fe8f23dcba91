"""FilterIndex: which filter sets does this call pass? Exact, for all of them at once, in microseconds.

Every field that somebody has a rule on has a column (`domain/matching/ranges.py`, `domain/matching/choices.py`) that
gives one ready-made bitmap for what a call says: the rows that may pass. A call is the AND of these bitmaps, of the
rows in use and of NOT `seen`. The few rows left are verified against their thresholds and their words. A field that
nobody has a rule on costs nothing.

What a call does not say is a bitmap too: the rows that pass without it. Who would rather wait is found by a second,
lenient pass over the rows that wait for a field the call says nothing about; most calls need none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import chain, islice
from typing import Final, NamedTuple

import numpy as np

from domain.calls.events import Call
from domain.filters.registry import FIELDS, FilterField, FilterSet
from domain.matching.bits import BIT, NOT_BIT, ROWS_PER_WORD, Bitmap, Rows, add_rows, words_for
from domain.matching.columns import Columns
from domain.matching.directory import RowDirectory, Slots, UserIds
from domain.matching.labels import Waits

LOAD_CHUNK: Final = 50_000
"""Filter sets taken from a bulk load at a time: bounds what is held twice."""
DOUBLING_UP_TO_ROWS: Final = 65_536
"""Above this an index grows by a quarter, so that it never holds twice the memory it needs."""
BATCHED_UP_TO_ROWS: Final = 32_768
"""While bitmaps are short a call costs as many numpy calls as anything else; many calls can share them."""
BATCH: Final = 32
"""Calls matched together, so that their bitmaps fit the second-level cache."""


class WaitingRow(NamedTuple):
    """A row of which every rule passes or waits."""

    row: int
    waits: Waits
    """For what the call does not say."""


class FilterIndex:
    """One row per enabled filter set, found by `(user_id, number)`.

    A set that is switched off, or has a rule that nothing can pass (for a field this registry does not know, or not
    of its field's kind), takes no row. Not safe to use from several threads.
    """

    def __init__(self, fields: Sequence[FilterField] = FIELDS, max_edges: int = 127) -> None:
        self.fields = tuple(fields)
        self._directory = RowDirectory(ROWS_PER_WORD)
        self._used: Bitmap = np.zeros(1, dtype=np.uint64)
        self._columns = Columns(self.fields, len(self._used), max_edges)

    def __len__(self) -> int:
        """Rows in use."""
        return self._directory.rows_in_use

    # what callers see of rows

    @property
    def version(self) -> int:
        """Grows whenever a row gets or loses its owner or bitmaps change their length."""
        return self._directory.version

    @property
    def owners(self) -> UserIds:
        """(capacity,) user id per row; meaningless for a row that `match` did not just return."""
        return self._directory.owners

    @property
    def numbers(self) -> Slots:
        """(capacity,) number of the filter set per row; meaningless as for `owners`."""
        return self._directory.numbers

    @property
    def slots(self) -> Slots:
        """(capacity,) slot of the subscriber per row, -1 for a free row."""
        return self._directory.slot_of_row

    def slot(self, user_id: int) -> int:
        """A small number that is this subscriber's as long as the index lives, with or without rows."""
        return self._directory.slot(user_id)

    def numbers_of(self, user_id: int) -> list[int]:
        """Numbers of this subscriber's filter sets that have a row."""
        return self._directory.numbers_of(user_id)

    def find(self, user_id: int, number: int) -> int | None:
        """The row of one filter set."""
        return self._directory.find(user_id, number)

    def bitmap(self) -> Bitmap:
        """An empty bitmap of rows, to be filled by `mark` and passed to `match`."""
        return np.zeros_like(self._used)

    def mark(self, bitmap: Bitmap, slots: Slots) -> None:
        """Add all rows of these subscribers to a bitmap."""
        add_rows(bitmap, self._directory.rows_of(slots))

    def fields_in_use(self) -> list[FilterField]:
        """Fields that a figure decides about, for somebody."""
        return self._columns.in_use()

    def memory_bytes(self) -> int:
        return self._directory.nbytes + self._used.nbytes + self._columns.nbytes

    # changes

    def put(self, filter_set: FilterSet) -> None:
        """Add or replace one filter set; the next `match` obeys it."""
        row = self._directory.find(filter_set.user_id, filter_set.number)
        rules = self._columns.sort(filter_set)
        if rules is None:
            if row is not None:
                self._release(row)
            return
        if row is None:
            if self._directory.is_full():
                self._grow(self._directory.capacity + 1)
            row = self._directory.allocate(filter_set.user_id, filter_set.number)
            self._used[row >> 6] |= BIT[row & 63]
        self._columns.write(row, rules)

    def remove(self, user_id: int, number: int) -> None:
        """Forget one filter set; nothing happens when there is none."""
        row = self._directory.find(user_id, number)
        if row is not None:
            self._release(row)

    def load(self, filter_sets: Iterable[FilterSet]) -> None:
        """Add or replace many filter sets; the last of several with the same identity stays.

        May be called again and again with parts of a large set; calls are matched in between.
        """
        source = iter(filter_sets)
        while chunk := list(islice(source, LOAD_CHUNK)):
            self._load_chunk(chunk)

    def rebuild(self) -> None:
        """Choose edges from the thresholds as they are now and make the bitmaps anew."""
        self._columns.rebuild()

    def _release(self, row: int) -> None:
        self._columns.erase(row)
        self._used[row >> 6] &= NOT_BIT[row & 63]
        self._directory.release(row)

    def _load_chunk(self, chunk: Sequence[FilterSet]) -> None:
        latest = {(filter_set.user_id, filter_set.number): filter_set for filter_set in chunk}
        directory = self._directory
        for identity in latest:
            self.remove(*identity)
        rules = {identity: self._columns.sort(filter_set) for identity, filter_set in latest.items()}
        added = {identity: row_rules for identity, row_rules in rules.items() if row_rules is not None}
        if not added:
            return
        if directory.end + len(added) > directory.capacity:
            self._grow(directory.end + len(added))
        rows = [directory.allocate(*identity, at_end=True) for identity in added]
        add_rows(self._used, np.array(rows, dtype=np.int32))
        self._columns.write_last(rows, list(added.values()))

    def _grow(self, needed: int) -> None:
        capacity = self._directory.capacity
        larger = 2 * capacity if capacity < DOUBLING_UP_TO_ROWS else capacity + capacity // 4
        words = words_for(max(needed, larger))
        self._directory.resize(words * ROWS_PER_WORD)
        self._columns.resize(words)
        used = np.zeros(words, dtype=np.uint64)
        used[: len(self._used)] = self._used
        self._used = used

    # matching

    def match(self, call: Call, seen: Bitmap | None = None) -> Rows:
        """The rows whose filter set passes, ascending, without those in `seen`.

        `seen` is a bitmap as `bitmap` gives it; one from an earlier `version` may name rows of other people.
        """
        self._refuse_older(seen)
        return self._columns.passing(call, self._used, seen).astype(np.int32)

    def waiting(self, call: Call, seen: Bitmap | None = None) -> list[WaitingRow]:
        """The rows that do not pass but would wait, ascending, without those in `seen`."""
        self._refuse_older(seen)
        missing = self._columns.waited_for(call)
        if not missing:
            return []
        rows = self._columns.waiting(call, reduce(np.bitwise_or, missing.values()), seen).tolist()
        waits = map(self._columns.waits_of, rows)
        return [
            WaitingRow(row, tuple(wait for wait in some if wait[0] in missing))
            for row, some in zip(rows, waits, strict=True)
        ]

    def match_batch(self, calls: Sequence[Call]) -> list[Rows]:
        """`match` of each call; up to three times faster while the index is small."""
        if self._directory.capacity > BATCHED_UP_TO_ROWS:
            return [self.match(call) for call in calls]
        parts = [self._columns.passing_each(calls[at : at + BATCH], self._used) for at in range(0, len(calls), BATCH)]
        return [rows.astype(np.int32) for rows in chain.from_iterable(parts)]

    def _refuse_older(self, bitmap: Bitmap | None) -> None:
        if bitmap is not None and len(bitmap) != len(self._used):
            raise ValueError("the bitmap is older than the rows")
