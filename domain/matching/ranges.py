"""One column of the index: which rows may pass by what a call says about one field of numbers.

At most 127 sorted edges cut the number line into buckets; for each bucket a bitmap tells which rows have a range that
touches it, and one more bitmap which rows may pass when the value is missing. A row without a rule for the field,
and a row that is not in use, is in all of them: so it costs nothing to write.

Edges only decide how many rows are verified in vain, never the answer: they may be old, few or absent. They are
chosen when the column has a good number of rules, and anew whenever it has twice as many.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import numpy as np

from domain.filters.registry import FilterField, Range
from domain.matching.bits import BIT, EVERY_ROW, NOT_BIT, ROWS_PER_WORD, Bitmap, Rows, add_rows, pack
from domain.matching.thresholds import FieldRules, rule_bounds

EDGES_FROM: Final = 64
"""Rules; so few survivors more are verified as fast as they are left out."""


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


class RangeColumn:
    """`position` is the field's, `number` the column of the threshold table; `count` rows have a rule."""

    def __init__(self, field: FilterField, position: int, number: int, words: int, max_edges: int) -> None:
        self.field = field
        self.position = position
        self.number = number
        self.count = 0
        self.edges: list[float] = []
        self._max_edges = max_edges
        self._edges_from = EDGES_FROM
        self.bits: Bitmap = np.full((2, words), EVERY_ROW)
        """(buckets + 1, words), the last one for calls without a value."""
        self.views: list[Bitmap] = list(self.bits)

    @property
    def missing(self) -> Bitmap:
        """Rows that pass a call without a value."""
        return self.views[-1]

    @property
    def nbytes(self) -> int:
        return self.bits.nbytes + 128 * len(self.views) + 32 * len(self.edges)

    @property
    def wants_edges(self) -> bool:
        """So many rules that edges should be chosen anew by `rebuild`."""
        return self.count >= self._edges_from

    def _replace(self, bits: Bitmap) -> None:
        self.bits, self.views = bits, list(bits)

    def resize(self, words: int) -> None:
        bits = np.full((len(self.bits), words), EVERY_ROW)
        bits[:, : self.bits.shape[1]] = self.bits
        self._replace(bits)

    # one row

    def write(self, row: int, rule: Range) -> None:
        """Set the row's bit in the buckets that its rule touches, clear it in the others."""
        column = self.bits[:, row >> 6]
        np.bitwise_and(column, NOT_BIT[row & 63], column)
        low, high = rule_bounds(rule)
        touched = column[bisect_right(self.edges, low) : bisect_right(self.edges, high) + 1]
        np.bitwise_or(touched, BIT[row & 63], touched)
        if rule.missing == "pass":
            column[-1] |= BIT[row & 63]

    def erase(self, row: int) -> None:
        """The row has no rule any more."""
        column = self.bits[:, row >> 6]
        np.bitwise_or(column, BIT[row & 63], column)

    # many rows

    def hide_missing(self, rows: Rows) -> None:
        """These rows, which had no rule, do not pass without a value."""
        hidden = np.zeros_like(self.missing)
        add_rows(hidden, rows)
        np.bitwise_and(self.missing, np.invert(hidden), self.missing)

    def rebuild(self, rules: FieldRules) -> None:
        """Choose edges by the rules of all rows and make the bitmaps anew."""
        self.edges = choose_edges(rules, self._max_edges) if self.count else []
        self._edges_from = max(EDGES_FROM, 2 * self.count)
        missing, words = self.missing, self.bits.shape[1]
        bits = np.full((len(self.edges) + 2, words), EVERY_ROW)
        bits[-1] = missing
        self._replace(bits)
        if self.count:
            self.fill(rules, 0, words)

    def fill(self, rules: FieldRules, first_word: int, end_word: int) -> None:
        """Compute the bitmaps of a stretch of rows from their thresholds, but for `missing`."""
        edges = np.array(self.edges, dtype=np.float64)
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
        touching = np.ones((end_word - first_word) * ROWS_PER_WORD, dtype=np.bool_)
        touching[rules.rows] = False
        for bucket in range(len(edges) + 1):
            touching[begin[begins[bucket] : begins[bucket + 1]]] = True
            if bucket:
                touching[finish[finishes[bucket - 1] : finishes[bucket]]] = False
            self.bits[bucket, first_word:end_word] = pack(touching)
