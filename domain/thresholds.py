"""The exact thresholds of every row, laid out so that a few hundred rows are verified in a handful of numpy calls.

Both kinds of threshold become one comparison: `minimum <= v` as it is, `v <= maximum` as `-maximum <= -v`. The
operand of field f is at position 2f (`v`) and 2f + 1 (`-v`) of a call's operands; position 2F always passes and
fills what a row does not use. Most people set a few thresholds, so a row has eight slots next to each other; the
few rows with more have a dense row of their own in a second table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from domain.bits import Flags
from domain.filters import Range

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Rules = dict[int, Range]
"""By position of the field in the registry."""

SLOTS: Final = 8
ALL_PASS: Final = int.from_bytes(b"\x01" * SLOTS, "little")
"""Eight true flags read as one number."""


def rule_bounds(limits: Range) -> tuple[float, float]:
    """(minimum, maximum) with infinities for open sides."""
    low = -math.inf if limits.minimum is None else float(limits.minimum)
    return low, math.inf if limits.maximum is None else float(limits.maximum)


class FieldRules(Struct, frozen=True):
    """What a stretch of rows demands of one field: `n` rows that have a rule, in ascending order."""

    rows: npt.NDArray[np.intp]
    """(n,) offsets from the start of the stretch."""
    minimums: Floats
    """(n,)"""
    maximums: Floats
    """(n,)"""


class ThresholdTable:
    """(rows, 8) codes and bounds, and a dense (wide rows, 2F) table for rows with more thresholds than slots."""

    def __init__(self, fields: int, rows: int) -> None:
        self.fields = fields
        self.unused = 2 * fields
        """Code of an empty slot, and position of the operand that always passes."""
        self._codes = np.full((rows, SLOTS), self.unused, dtype=np.uint16)
        self._bounds: Floats = np.full((rows, SLOTS), -np.inf)
        self._wide_of = np.full(rows, -1, dtype=np.int32)
        self._wide: Floats = np.full((0, 2 * fields + 1), -np.inf)
        self._wide_has: Flags = np.zeros((0, fields), dtype=np.bool_)
        self._wide_free: list[int] = []

    @property
    def nbytes(self) -> int:
        arrays = (self._codes, self._bounds, self._wide_of, self._wide, self._wide_has)
        return sum(array.nbytes for array in arrays)

    def resize(self, rows: int) -> None:
        """Make room for `rows` rows; contents stay."""
        codes, bounds, wide_of = self._codes, self._bounds, self._wide_of
        known = len(codes)
        self._codes = np.full((rows, SLOTS), self.unused, dtype=np.uint16)
        self._bounds = np.full((rows, SLOTS), -np.inf)
        self._wide_of = np.full(rows, -1, dtype=np.int32)
        self._codes[:known], self._bounds[:known], self._wide_of[:known] = codes, bounds, wide_of

    # writing

    def write(self, row: int, rules: Mapping[int, Range]) -> None:
        self.write_many([row], [rules])

    def write_many(self, rows: Sequence[int], rules: Sequence[Mapping[int, Range]]) -> None:
        """Replace what the rows demand."""
        codes: list[int] = []
        bounds: list[float] = []
        spare_codes = [self.unused] * SLOTS
        spare_bounds = [-math.inf] * SLOTS
        where = rows[0] if len(rows) == 1 else np.array(rows)
        self._free_wide(where)
        for row, row_rules in zip(rows, rules, strict=True):
            start = len(codes)
            for position, limits in row_rules.items():
                low, high = rule_bounds(limits)
                if limits.maximum is not None:
                    codes.append(2 * position + 1)
                    bounds.append(-high)
                if limits.minimum is not None or limits.maximum is None:
                    codes.append(2 * position)
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

    def _free_wide(self, where: int | npt.NDArray[np.intp]) -> None:
        wide_of = np.atleast_1d(self._wide_of[where])
        self._wide_free += wide_of[wide_of >= 0].tolist()
        self._wide_of[where] = -1

    def _write_wide(self, row: int, rules: Mapping[int, Range]) -> None:
        if not self._wide_free:
            known = len(self._wide)
            room = max(16, known)
            self._wide = np.concatenate([self._wide, np.full((room, self.unused + 1), -np.inf)])
            self._wide_has = np.concatenate([self._wide_has, np.zeros((room, self.fields), dtype=np.bool_)])
            self._wide_free = list(range(known + room - 1, known - 1, -1))
        wide = self._wide_free.pop()
        self._wide_of[row] = wide
        self._wide[wide] = -np.inf
        self._wide_has[wide] = False
        for position, limits in rules.items():
            low, high = rule_bounds(limits)
            self._wide[wide, 2 * position], self._wide[wide, 2 * position + 1] = low, -high
            self._wide_has[wide, position] = True

    # reading

    def positions(self, row: int) -> set[int]:
        """The fields a row has rules for."""
        wide = int(self._wide_of[row])
        if wide >= 0:
            return set(np.flatnonzero(self._wide_has[wide]).tolist())
        return {code >> 1 for code in self._codes[row].tolist() if code != self.unused}

    def field_rules(self, start: int, stop: int) -> list[FieldRules]:
        """What rows `start` to `stop` demand, field by field."""
        codes = self._codes[start:stop].ravel()
        bounds = self._bounds[start:stop].ravel()
        order = np.argsort(codes, kind="stable")
        ends = np.searchsorted(codes[order], np.arange(2 * self.fields + 1)).tolist()
        wide_of = self._wide_of[start:stop]
        wide_rows = np.flatnonzero(wide_of >= 0)
        wide = wide_of[wide_rows]
        low, high = np.empty(stop - start), np.empty(stop - start)
        has_rule = np.zeros(stop - start, dtype=np.bool_)
        result: list[FieldRules] = []
        for position in range(self.fields):
            at_low = order[ends[2 * position] : ends[2 * position + 1]]
            at_high = order[ends[2 * position + 1] : ends[2 * position + 2]]
            has = self._wide_has[wide, position]
            for rows in (at_low // SLOTS, at_high // SLOTS, wide_rows[has]):
                low[rows], high[rows], has_rule[rows] = -np.inf, np.inf, True
            low[at_low // SLOTS] = bounds[at_low]
            high[at_high // SLOTS] = -bounds[at_high]
            low[wide_rows[has]] = self._wide[wide[has], 2 * position]
            high[wide_rows[has]] = -self._wide[wide[has], 2 * position + 1]
            rows = np.flatnonzero(has_rule)
            has_rule[rows] = False
            result.append(FieldRules(rows, low[rows], high[rows]))
        return result

    def verify(self, rows: Places, operands: Floats, base: Places | None = None) -> Flags:
        """Which of `rows` hold, exactly.

        `operands` are the 2F + 1 operands of one call, or of several calls one after the other with `base[i]` the
        place where those of row i's call begin. The operand of a value that is missing passes: the caller has
        already left out the rows that have a rule for it.
        """
        places = self._codes.take(rows, 0)
        if base is not None:
            places = places + base[:, None]
        holds = self._bounds.take(rows, 0) <= operands.take(places)
        verdict = holds.view(np.uint64).ravel() == ALL_PASS
        if len(self._wide):
            self._verify_wide(rows, operands, base, verdict)
        return verdict

    def _verify_wide(self, rows: Places, operands: Floats, base: Places | None, verdict: Flags) -> None:
        wide_of = self._wide_of.take(rows)
        at = np.flatnonzero(wide_of >= 0)
        if not at.size:
            return
        seen = operands if base is None else operands.take(base[at, None] + np.arange(self.unused + 1))
        verdict[at] = (self._wide.take(wide_of[at], 0) <= seen).all(axis=1)
