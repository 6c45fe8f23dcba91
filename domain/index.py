"""FilterIndex: which filter sets does this call pass? Exact, for all of them at once, in microseconds.

Per field at most 127 sorted edges cut the number line into buckets; for each bucket a bitmap tells which rows have
a range that touches it (all of them, where a row has no rule for the field), and one more bitmap who may pass when
the value is missing: those without a rule. A call is the AND of one ready-made bitmap per field, the bitmap of the
rows that listen to the channel, and NOT `seen`. The few rows left are verified against their thresholds.

Edges only decide how many rows are verified in vain, never the answer: they may be old, few or absent. They are
chosen anew when a bulk load has doubled the number of rows, when a small index grows, and by `rebuild`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.bits import BIT, NO_ROWS, NOT_BIT, ROWS_PER_WORD, Rows, Words, add_rows, pack, rows_in, words_for
from domain.calls import Call
from domain.directory import RowDirectory, Slots, UserIds
from domain.explanation import seen_value
from domain.filters import FIELDS, FilterField, FilterSet
from domain.listeners import ChannelListeners
from domain.thresholds import FieldRules, Floats, Rules, ThresholdTable, rule_bounds

LOAD_CHUNK: Final = 50_000
"""Filter sets taken from a bulk load at a time: bounds what is held twice."""
DOUBLING_UP_TO_ROWS: Final = 65_536
"""Above this an index grows by a quarter, so that it never holds twice the memory it needs."""
REBUILT_WHEN_GROWING_UP_TO_ROWS: Final = 8_192
"""A rebuild of this many rows takes a few milliseconds; above it only `load` and `rebuild` choose edges."""
BATCHED_UP_TO_ROWS: Final = 32_768
"""While bitmaps are short a call costs as many numpy calls as anything else; many calls can share them."""
BATCH: Final = 32
"""Calls matched together, so that their bitmaps fit the second-level cache."""


def choose_edges(rules: FieldRules, max_edges: int) -> list[float]:
    """Sorted distinct finite edges: most of them the thresholds chosen most, the rest quantiles of the others.

    A value v is in bucket `bisect_right(edges, v)`, so an edge belongs to the bucket above it. A closed maximum
    therefore ends a bucket at the next float64 after it.
    """
    with np.errstate(over="ignore"):  # what follows the largest float64 is infinity, which is no edge
        ends = np.concatenate([rules.minimums, np.nextafter(rules.maximums, np.inf)])
    thresholds, chosen = np.unique(ends[np.isfinite(ends)], return_counts=True)
    if len(thresholds) > max_edges:
        popular = np.argsort(-chosen, kind="stable")[: max_edges * 3 // 4]
        others = np.delete(np.arange(len(thresholds)), popular)
        spread = np.repeat(others, chosen[others])
        steps = max_edges - len(popular)
        quantiles = spread[(np.arange(1, steps + 1) * len(spread)) // (steps + 1)]
        thresholds = thresholds[np.union1d(popular, quantiles)]
    return thresholds.tolist()


class FilterIndex:
    """One row per enabled filter set, found by `(user_id, number)`.

    A set that is switched off, or has a rule for a field this registry does not know (which nothing can pass),
    takes no row. Not safe to use from several threads.
    """

    def __init__(self, fields: Sequence[FilterField] = FIELDS, max_edges: int = 127) -> None:
        self.fields = tuple(fields)
        self._max_edges = max_edges
        self._position = {field.key: position for position, field in enumerate(self.fields)}
        self._directory = RowDirectory(ROWS_PER_WORD)
        self._thresholds = ThresholdTable(len(self.fields), ROWS_PER_WORD)
        self._listeners = ChannelListeners(ROWS_PER_WORD)
        self._rows_at_rebuild = 0
        self._edges: list[list[float]] = [[] for _ in self.fields]
        self._make_bitmaps()

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

    def bitmap(self) -> Words:
        """An empty bitmap of rows, to be filled by `mark` and passed to `match`."""
        return np.zeros(self._words, dtype=np.uint64)

    def mark(self, bitmap: Words, slots: Slots) -> None:
        """Add all rows of these subscribers to a bitmap."""
        add_rows(bitmap, self._directory.rows_of(slots))

    def memory_bytes(self) -> int:
        views = 128 * len(self._bits)
        tables = self._directory.nbytes + self._thresholds.nbytes + self._listeners.nbytes
        return self._bits.nbytes + self._result.nbytes + tables + views

    # changes

    def put(self, filter_set: FilterSet) -> None:
        """Add or replace one filter set; the next `match` obeys it."""
        row = self._directory.find(filter_set.user_id, filter_set.number)
        rules = self._rules(filter_set)
        if rules is None:
            if row is not None:
                self._release(row)
            return
        column_rules = set(rules)
        if row is None:
            if self._directory.is_full():
                self._grow(self._directory.capacity + 1)
            row = self._directory.allocate(filter_set.user_id, filter_set.number)
            self._bits[:, row >> 6] |= BIT[row & 63]
        else:
            column_rules |= self._thresholds.positions(row)
        self._thresholds.write(row, rules)
        self._listeners.write(row, filter_set.channels)
        for position in column_rules:
            self._write_column(row, position, rules)

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
        """Choose edges from the thresholds as they are now and make every bitmap anew."""
        rules = self._thresholds.field_rules(0, self._directory.end)
        self._edges = [choose_edges(field_rules, self._max_edges) for field_rules in rules]
        self._make_bitmaps()
        self._fill(0, words_for(self._directory.end))
        self._rows_at_rebuild = len(self)

    def _rules(self, filter_set: FilterSet) -> Rules | None:
        """Rules by position, or `None` for a set that nothing can pass."""
        position = self._position
        if not filter_set.enabled or not filter_set.ranges.keys() <= position.keys():
            return None
        return {position[key]: limits for key, limits in filter_set.ranges.items()}

    def _write_column(self, row: int, position: int, rules: Rules) -> None:
        """Set the row's bit in the buckets of one field that its rule touches, clear it in the others."""
        column = self._bits[self._first_bucket[position] : self._first_bucket[position + 1], row >> 6]
        limits = rules.get(position)
        if limits is None:
            np.bitwise_or(column, BIT[row & 63], column)
            return
        np.bitwise_and(column, NOT_BIT[row & 63], column)
        low, high = rule_bounds(limits)
        edges = self._edges[position]
        touched = column[bisect_right(edges, low) : bisect_right(edges, high) + 1]
        np.bitwise_or(touched, BIT[row & 63], touched)

    def _release(self, row: int) -> None:
        self._bits[:, row >> 6] &= NOT_BIT[row & 63]
        self._thresholds.write(row, {})
        self._listeners.erase(row)
        self._directory.release(row)

    def _load_chunk(self, chunk: Sequence[FilterSet]) -> None:
        latest = {(filter_set.user_id, filter_set.number): filter_set for filter_set in chunk}
        directory = self._directory
        for identity in latest:
            self.remove(*identity)
        rules = {identity: self._rules(filter_set) for identity, filter_set in latest.items()}
        added = {identity: row_rules for identity, row_rules in rules.items() if row_rules is not None}
        if not added:
            return
        first = directory.end
        if first + len(added) > directory.capacity:
            self._grow(first + len(added))
        rows = [directory.allocate(*identity, at_end=True) for identity in added]
        self._thresholds.write_many(rows, list(added.values()))
        self._listeners.write_new(rows, [latest[identity].channels for identity in added])
        if len(self) >= 2 * self._rows_at_rebuild:
            self.rebuild()
        else:
            self._fill(first >> 6, words_for(directory.end))

    def _grow(self, needed: int) -> None:
        capacity = self._directory.capacity
        larger = 2 * capacity if capacity < DOUBLING_UP_TO_ROWS else capacity + capacity // 4
        capacity = words_for(max(needed, larger)) * ROWS_PER_WORD
        for part in (self._directory, self._thresholds, self._listeners):
            part.resize(capacity)
        if capacity <= REBUILT_WHEN_GROWING_UP_TO_ROWS:
            self.rebuild()
        else:
            old = self._bits
            self._make_bitmaps()
            self._bits[:, : old.shape[1]] = old

    # bitmaps

    def _make_bitmaps(self) -> None:
        """Empty bitmaps for the edges and the capacity as they are: per field its buckets, then "missing"."""
        self._words = words_for(self._directory.capacity)
        self._first_bucket = [0]
        for edges in self._edges:
            self._first_bucket.append(self._first_bucket[-1] + len(edges) + 2)
        self._bits: Words = np.zeros((self._first_bucket[-1], self._words), dtype=np.uint64)
        views = [
            list(self._bits[first:end]) for first, end in zip(self._first_bucket, self._first_bucket[1:], strict=False)
        ]
        self._columns = list(zip(self.fields, self._edges, views, strict=True))
        """Per field its edges and one ready-made view for each bucket."""
        self._result: Words = np.zeros(self._words, dtype=np.uint64)

    def _fill(self, first_word: int, end_word: int) -> None:
        """Compute the bitmaps of a stretch of rows from their thresholds."""
        start, stop = first_word * ROWS_PER_WORD, end_word * ROWS_PER_WORD
        used = ~self._directory.free_rows(start, stop)
        for position, rules in enumerate(self._thresholds.field_rules(start, stop)):
            edges = np.array(self._edges[position], dtype=np.float64)
            lowest = np.searchsorted(edges, rules.minimums, side="right")
            highest = np.searchsorted(edges, rules.maximums, side="right")
            possible = lowest <= highest
            buckets = np.arange(len(edges) + 2)
            begin = np.argsort(lowest, kind="stable")
            begin = begin[possible[begin]]
            begins = np.searchsorted(lowest[begin], buckets)
            finish = np.argsort(highest, kind="stable")
            finish = finish[possible[finish]]
            finishes = np.searchsorted(highest[finish], buckets)
            begin, finish = rules.rows[begin], rules.rows[finish]
            bits = self._bits[self._first_bucket[position] : self._first_bucket[position + 1]]
            touching = used.copy()
            touching[rules.rows] = False
            bits[-1, first_word:end_word] = pack(touching)
            for bucket in range(len(edges) + 1):
                touching[begin[begins[bucket] : begins[bucket + 1]]] = True
                if bucket:
                    touching[finish[finishes[bucket - 1] : finishes[bucket]]] = False
                bits[bucket, first_word:end_word] = pack(touching)

    # matching

    def match(self, call: Call, seen: Words | None = None) -> Rows:
        """The rows whose filter set passes, ascending, without those in `seen`.

        `seen` is a bitmap as `bitmap` gives it; one from an earlier `version` may name rows of other people.
        """
        result = self._result
        bitwise_and = np.bitwise_and
        channel = self._listeners.listening(call.channel.id)
        if channel is None:
            result[:] = self._listeners.all_channels
        else:
            np.bitwise_or(self._listeners.all_channels, channel, result)
        operands: list[float] = []
        for field, edges, views in self._columns:
            value = seen_value(field, call)
            if value is None:
                bitwise_and(result, views[-1], result)
                operands += (math.inf, math.inf)
            else:
                bitwise_and(result, views[bisect_right(edges, value)], result)
                operands += (value, -value)
        if seen is not None:
            if len(seen) != len(result):
                raise ValueError("the bitmap is older than the rows")
            bitwise_and(result, np.invert(seen), result)
        rows = rows_in(result)
        if not rows.size:
            return NO_ROWS
        operands.append(math.inf)
        return rows[self._thresholds.verify(rows, np.array(operands))].astype(np.int32)

    def match_batch(self, calls: Sequence[Call]) -> list[Rows]:
        """`match` of each call; up to three times faster while the index is small."""
        if self._directory.capacity > BATCHED_UP_TO_ROWS:
            return [self.match(call) for call in calls]
        parts = [self._match_together(calls[at : at + BATCH]) for at in range(0, len(calls), BATCH)]
        return list(chain.from_iterable(parts))

    def _match_together(self, calls: Sequence[Call]) -> list[Rows]:
        values = [[seen_value(field, call) for call in calls] for field in self.fields]
        result = np.empty((len(calls), self._words), dtype=np.uint64)
        for at, call in enumerate(calls):
            channel = self._listeners.listening(call.channel.id)
            everybody = self._listeners.all_channels
            np.bitwise_or(everybody, everybody if channel is None else channel, result[at])
        gathered = np.empty_like(result)
        for edges, first, end, row in zip(
            self._edges, self._first_bucket, self._first_bucket[1:], values, strict=False
        ):
            buckets = [end - 1 if value is None else first + bisect_right(edges, value) for value in row]
            np.bitwise_and(result, self._bits.take(buckets, 0, gathered, "clip"), result)
        found = rows_in(result.ravel())
        if not found.size:
            return [NO_ROWS] * len(calls)
        which, rows = np.divmod(found, self._words * ROWS_PER_WORD)
        operands = self._batch_operands(values, len(calls))
        holds = self._thresholds.verify(rows, operands.ravel(), which * operands.shape[1])
        rows = rows[holds].astype(np.int32)
        return np.split(rows, np.searchsorted(which[holds], np.arange(1, len(calls))))

    def _batch_operands(self, values: Sequence[Sequence[float | None]], calls: int) -> Floats:
        """The operands of each call in a row of its own: (calls, 2F + 1)."""
        operands: npt.NDArray[np.float64] = np.full((calls, 2 * len(self.fields) + 1), np.inf)
        if self.fields:
            seen = np.array([[np.nan if value is None else value for value in row] for row in values]).T
            known = ~np.isnan(seen)
            operands[:, 0:-1:2][known] = seen[known]
            operands[:, 1:-1:2][known] = -seen[known]
        return operands
