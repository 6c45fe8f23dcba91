"""The exact thresholds of every row, laid out so that a few hundred rows are verified in a handful of numpy calls.

Both kinds of threshold become one comparison: `minimum <= v` as it is, `v <= maximum` as `-maximum <= -v`. A field
gets a column number at its first rule; the operands of column c are at positions 2c + 1 (`v`) and 2c + 2 (`-v`) of
a call's operands. Position 0 always passes and fills what a row does not use. Most people set a few thresholds, so a
row has eight slots next to each other; the few rows with more have a dense row of their own in a second table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import le
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from domain.filters.registry import Range
from domain.matching.bits import Flags, RowNumbers

Floats = npt.NDArray[np.float64]
RangeRules = Mapping[int, Range]
"""By column."""

SLOTS: Final = 8
ALL_PASS: Final = int.from_bytes(b"\x01" * SLOTS, "little")
"""Eight true flags read as one number."""
UNUSED: Final = 0
"""Code of an empty slot, and position of the operand that always passes."""


def rule_bounds(limits: Range) -> tuple[float, float]:
    """(minimum, maximum) with infinities for open sides; upside down where NaN means that no value is in it."""
    low = -math.inf if limits.minimum is None else float(limits.minimum)
    high = math.inf if limits.maximum is None else float(limits.maximum)
    return (math.inf, -math.inf) if math.isnan(low) or math.isnan(high) else (low, high)


class FieldRules(Struct, frozen=True):
    """What a stretch of rows demands of one field: `n` rows that have a rule, in ascending order."""

    rows: RowNumbers
    """(n,) offsets from the start of the stretch."""
    minimums: Floats
    """(n,)"""
    maximums: Floats
    """(n,)"""


class ThresholdTable:
    """(rows, 8) codes and bounds, and a dense (wide rows, 2C + 1) table for rows with more thresholds than slots."""

    def __init__(self, rows: int) -> None:
        self.columns = 0
        self._codes = np.full((rows, SLOTS), UNUSED, dtype=np.uint16)
        self._bounds: Floats = np.full((rows, SLOTS), -np.inf)
        self._wide_of = np.full(rows, -1, dtype=np.int32)
        self._wide: Floats = np.full((0, 1), -np.inf)
        self._wide_has: Flags = np.zeros((0, 0), dtype=np.bool_)
        self._wide_free: list[int] = []

    @property
    def nbytes(self) -> int:
        arrays = (self._codes, self._bounds, self._wide_of, self._wide, self._wide_has)
        return sum(array.nbytes for array in arrays)

    def resize(self, rows: int) -> None:
        """Make room for `rows` rows; contents stay."""
        codes, bounds, wide_of = self._codes, self._bounds, self._wide_of
        known = len(codes)
        self._codes = np.full((rows, SLOTS), UNUSED, dtype=np.uint16)
        self._bounds = np.full((rows, SLOTS), -np.inf)
        self._wide_of = np.full(rows, -1, dtype=np.int32)
        self._codes[:known], self._bounds[:known], self._wide_of[:known] = codes, bounds, wide_of

    def add_column(self) -> int:
        """The number of a new column, that no row has a rule for."""
        column = self.columns
        self.columns += 1
        self._widen()
        return column

    def _widen(self, more_rows: int = 0) -> None:
        known = len(self._wide)
        wide: Floats = np.full((known + more_rows, 2 * self.columns + 1), -np.inf)
        wide_has = np.zeros((known + more_rows, self.columns), dtype=np.bool_)
        wide[:known, : self._wide.shape[1]] = self._wide
        wide_has[:known, : self._wide_has.shape[1]] = self._wide_has
        self._wide, self._wide_has = wide, wide_has

    # writing

    def write(self, row: int, rules: RangeRules) -> None:
        """Replace what the row demands."""
        self.write_many([row], [rules])

    def write_many(self, rows: Sequence[int], rules: Sequence[RangeRules]) -> None:
        """Replace what the rows demand."""
        codes: list[int] = []
        bounds: list[float] = []
        spare_codes = [UNUSED] * SLOTS
        spare_bounds = [-math.inf] * SLOTS
        where = rows[0] if len(rows) == 1 else np.array(rows)
        self._free_wide(where)
        for row, row_rules in zip(rows, rules, strict=True):
            start = len(codes)
            for column, limits in row_rules.items():
                low, high = rule_bounds(limits)
                if high < math.inf:
                    codes.append(2 * column + 2)
                    bounds.append(-high)
                if low > -math.inf or high == math.inf:
                    codes.append(2 * column + 1)
                    bounds.append(low)
            used = len(codes) - start
            if used > SLOTS:
                del codes[start:], bounds[start:]
                self._write_wide(row, row_rules)
                used = 0
            codes += spare_codes[used:]
            bounds += spare_bounds[used:]
        self._codes[where] = np.array(codes, dtype=np.uint16).reshape(-1, SLOTS)
        self._bounds[where] = np.array(bounds, dtype=np.float64).reshape(-1, SLOTS)

    def _free_wide(self, where: int | RowNumbers) -> None:
        if not len(self._wide):
            return
        wide_of = np.atleast_1d(self._wide_of[where])
        self._wide_free += wide_of[wide_of >= 0].tolist()
        self._wide_of[where] = -1

    def _write_wide(self, row: int, rules: RangeRules) -> None:
        if not self._wide_free:
            known = len(self._wide)
            self._widen(max(16, known))
            self._wide_free = list(range(len(self._wide) - 1, known - 1, -1))
        wide = self._wide_free.pop()
        self._wide_of[row] = wide
        self._wide[wide] = -np.inf
        self._wide_has[wide] = False
        for column, limits in rules.items():
            low, high = rule_bounds(limits)
            self._wide[wide, 2 * column + 1], self._wide[wide, 2 * column + 2] = low, -high
            self._wide_has[wide, column] = True

    # reading

    def columns_of(self, row: int) -> set[int]:
        """The columns a row has rules for."""
        wide = int(self._wide_of[row])
        if wide >= 0:
            return set(np.flatnonzero(self._wide_has[wide]).tolist())
        return {(code - 1) >> 1 for code in self._codes[row].tolist() if code != UNUSED}

    def rules_of(self, column: int, start: int, stop: int) -> FieldRules:
        """What rows `start` to `stop` demand of one column."""
        codes = self._codes[start:stop].ravel()
        bounds = self._bounds[start:stop].ravel()
        at_low = np.flatnonzero(codes == 2 * column + 1)
        at_high = np.flatnonzero(codes == 2 * column + 2)
        wide_of = self._wide_of[start:stop]
        wide_rows = np.flatnonzero(wide_of >= 0)
        wide_rows = wide_rows[self._wide_has[wide_of[wide_rows], column]]
        wide = wide_of[wide_rows]
        low, high = np.full(stop - start, -np.inf), np.full(stop - start, np.inf)
        has_rule = np.zeros(stop - start, dtype=np.bool_)
        for rows in (at_low // SLOTS, at_high // SLOTS, wide_rows):
            has_rule[rows] = True
        low[at_low // SLOTS] = bounds[at_low]
        high[at_high // SLOTS] = -bounds[at_high]
        low[wide_rows] = self._wide[wide, 2 * column + 1]
        high[wide_rows] = -self._wide[wide, 2 * column + 2]
        rows = np.flatnonzero(has_rule)
        return FieldRules(rows, low[rows], high[rows])

    def verify(self, rows: RowNumbers, operands: Floats, base: RowNumbers | None = None) -> Flags:
        """Which of `rows` hold, exactly.

        `operands` are the 2C + 1 operands of one call, or of several calls one after the other with `base[i]` the
        place where those of row i's call begin. The operands of a value that is missing pass (infinity): the caller
        has already left out the rows that do not let it.
        """
        places = self._codes.take(rows, 0)
        if base is not None:
            places = places + base[:, None]
        holds = self._bounds.take(rows, 0) <= operands.take(places)
        verdict = holds.view(np.uint64).ravel() == ALL_PASS
        if len(self._wide):
            self._verify_wide(rows, operands, base, verdict)
        return verdict

    def holds(self, row: int, operands: Sequence[float]) -> bool:
        """`verify` of one row for one call."""
        wide = int(self._wide_of[row])
        if wide >= 0:
            return all(map(le, self._wide[wide].tolist(), operands))
        codes: list[int] = self._codes[row].tolist()
        bounds: list[float] = self._bounds[row].tolist()
        return all(bound <= operands[code] for code, bound in zip(codes, bounds, strict=True))

    def _verify_wide(self, rows: RowNumbers, operands: Floats, base: RowNumbers | None, verdict: Flags) -> None:
        wide_of = self._wide_of.take(rows)
        at = np.flatnonzero(wide_of >= 0)
        if not at.size:
            return
        seen = operands if base is None else operands.take(base[at, None] + np.arange(2 * self.columns + 1))
        verdict[at] = (self._wide.take(wide_of[at], 0) <= seen).all(axis=1)
