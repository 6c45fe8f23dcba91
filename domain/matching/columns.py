"""The columns of the index: what all rows demand, and which rows a call leaves over.

A field of numbers gets a `RangeColumn` at its first rule, a field of choices a `ChoiceColumn`; words and waits are
labels of rows. A row without rules, in use or not, passes everything: the rows in use are the caller's concern.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.calls.events import Call
from domain.filters.explanation import fits, number_of, seen_also, seen_number, seen_text, seen_value
from domain.filters.registry import Choice, FilterField, FilterSet, Range, Words
from domain.matching.bits import ROWS_PER_WORD, Bitmap, RowNumbers, Sparse, few_rows_in, rows_in, words_for
from domain.matching.choices import ChoiceColumn
from domain.matching.labels import ComparedWords, Texts, WaitRules, Waits, WordRules, compared_rules
from domain.matching.memory import FEW_WORDS, RangeMemory, region_of
from domain.matching.ranges import RangeColumn
from domain.matching.thresholds import Floats, ThresholdTable
from domain.reading.visible import compared

FEW_ROWS: Final = 4
"""Verified one by one: for so few, numpy takes longer, most of all when its routines are cold."""
NO_ROWS: Final[RowNumbers] = np.empty(0, dtype=np.intp)

Step = tuple[Callable[[Call], float | str | None], list[float], list[Bitmap], int, int]
"""Of one column of numbers: the field's value, edges, views, place of the first operand, position of the field."""


class RowRules(NamedTuple):
    """The rules of one filter set, sorted by what looks at them."""

    ranges: dict[int, Range]
    """By column of the threshold table."""
    choices: dict[int, Choice]
    """By position of the field."""
    words: tuple[ComparedWords, ...]
    waits: Waits


class Columns:
    """For bitmaps of `words` words, until `resize`. Answers are valid until the next call of any method."""

    def __init__(self, fields: Sequence[FilterField], words: int, max_edges: int) -> None:
        self.fields = tuple(fields)
        self._max_edges = max_edges
        self._words_per_bitmap = words
        self._position = {field.key: position for position, field in enumerate(self.fields)}
        self._thresholds = ThresholdTable(words * ROWS_PER_WORD)
        self._ranges: list[RangeColumn] = []
        """By column of the threshold table, in the order in which fields came into use."""
        self._column_of: dict[int, int] = {}
        """Position of a field of numbers -> its column."""
        self._choices: dict[int, ChoiceColumn] = {}
        self._words = WordRules()
        self._waits = WaitRules(words)
        self._plan: list[Step] = []
        """Empty when columns came, went or were made anew; made at the next call."""
        self._memory = RangeMemory()
        self._texts_at = [at for at, field in enumerate(self.fields) if field.unit == "text"]
        self._make_buffers()

    def _make_buffers(self) -> None:
        self._result: Bitmap = np.zeros(self._words_per_bitmap, dtype=np.uint64)
        self._chosen: Bitmap = np.zeros(self._words_per_bitmap, dtype=np.uint64)
        self._scratch: Bitmap = np.zeros(self._words_per_bitmap, dtype=np.uint64)

    @property
    def nbytes(self) -> int:
        columns = sum(column.nbytes for column in (*self._ranges, *self._choices.values()))
        labels = self._words.nbytes + self._waits.nbytes
        return columns + labels + self._thresholds.nbytes + 3 * self._result.nbytes

    def resize(self, words: int) -> None:
        """Make room for more rows; contents stay."""
        self._words_per_bitmap = words
        self._thresholds.resize(words * ROWS_PER_WORD)
        for part in (*self._ranges, *self._choices.values(), self._waits):
            part.resize(words)
        self._make_buffers()
        self._changed()

    def in_use(self) -> list[FilterField]:
        """Fields that some row has a rule for, or has had one of choices; words are of what every call says."""
        numbers = [self.fields[position] for position, at in self._column_of.items() if self._ranges[at].count]
        return [*numbers, *(self.fields[position] for position in self._choices)]

    # writing

    def sort(self, filter_set: FilterSet) -> RowRules | None:
        """The rules of a set by what looks at them; `None` for a set that nothing can pass."""
        if not filter_set.enabled:
            return None
        ranges: dict[int, Range] = {}
        choices: dict[int, Choice] = {}
        words: list[tuple[int, Words]] = []
        waits: list[tuple[int, int]] = []
        for key, rule in filter_set.rules.items():
            position = self._position.get(key)
            if position is None or not fits(rule, self.fields[position].unit):
                return None
            if isinstance(rule, Range):
                ranges[self._range_column(position)] = rule
            elif isinstance(rule, Choice):
                self._open_choices(position)
                choices[position] = rule
            else:
                words.append((position, rule))
            if rule.missing == "wait":
                waits.append((position, rule.wait_minutes))
        return RowRules(ranges, choices, compared_rules(words), tuple(waits))

    def _range_column(self, position: int) -> int:
        number = self._column_of.get(position)
        if number is None:
            number = self._column_of[position] = self._thresholds.add_column()
            self._ranges.append(
                RangeColumn(self.fields[position], position, number, self._words_per_bitmap, self._max_edges)
            )
        return number

    def _open_choices(self, position: int) -> None:
        if position not in self._choices:
            self._choices[position] = ChoiceColumn(self.fields[position], self._words_per_bitmap)

    def write(self, row: int, rules: RowRules) -> None:
        """Replace what a row demands."""
        self._changed()
        had = self._thresholds.columns_of(row)
        self._erase(row, had - rules.ranges.keys())
        self._thresholds.write(row, rules.ranges)
        for number, rule in rules.ranges.items():
            column = self._ranges[number]
            column.write(row, rule)
            column.count += number not in had
            if column.wants_edges:
                self._rebuild(column)
        for position, rule in rules.choices.items():
            self._choices[position].write(row, rule)
        self._label(row, rules)

    def erase(self, row: int) -> None:
        """The row demands nothing any more."""
        self._changed()
        self._erase(row, self._thresholds.columns_of(row))
        self._thresholds.write(row, {})

    def _erase(self, row: int, columns: Iterable[int]) -> None:
        """Take away all rules of the row but its thresholds and the ranges of other columns."""
        for number in columns:
            column = self._ranges[number]
            column.erase(row)
            column.count -= 1
        for column in self._choices.values():
            if column.has_rule(row):
                column.erase(row)
        self._words.write(row, ())
        self._waits.write(row, ())

    def _label(self, row: int, rules: RowRules) -> None:
        if rules.words:
            self._words.write(row, rules.words)
        if rules.waits:
            self._waits.write(row, rules.waits)

    def write_last(self, rows: Sequence[int], rules: Sequence[RowRules]) -> None:
        """`write` for many rows that demand nothing yet, ascending, after all that do."""
        self._changed()
        self._thresholds.write_many(rows, [row_rules.ranges for row_rules in rules])
        self._fill_ranges(rows, rules)
        self._fill_choices(rows, rules)
        for row, row_rules in zip(rows, rules, strict=True):
            self._label(row, row_rules)

    def rebuild(self) -> None:
        """Choose edges from the thresholds as they are now and make the bitmaps anew."""
        for column in self._ranges:
            self._rebuild(column)

    def _rebuild(self, column: RangeColumn) -> None:
        self._changed()
        rows = self._words_per_bitmap * ROWS_PER_WORD
        column.rebuild(self._thresholds.rules_of(column.number, 0, rows))

    def _fill_ranges(self, rows: Sequence[int], rules: Sequence[RowRules]) -> None:
        """The thresholds are written already."""
        first_word, end_word = rows[0] >> 6, words_for(rows[-1] + 1)
        added = [0] * len(self._ranges)
        hidden: list[list[int]] = [[] for _ in self._ranges]
        for row, row_rules in zip(rows, rules, strict=True):
            for number, rule in row_rules.ranges.items():
                added[number] += 1
                if rule.missing != "pass":
                    hidden[number].append(row)
        for column in self._ranges:
            if not added[column.number]:
                continue
            column.count += added[column.number]
            column.hide_missing(np.array(hidden[column.number], dtype=np.int32))
            if column.wants_edges:
                self._rebuild(column)
            else:
                stretch = first_word * ROWS_PER_WORD, end_word * ROWS_PER_WORD
                column.fill(self._thresholds.rules_of(column.number, *stretch), first_word, end_word)

    def _fill_choices(self, rows: Sequence[int], rules: Sequence[RowRules]) -> None:
        for position, column in self._choices.items():
            choosy = [
                (row, some.choices[position]) for row, some in zip(rows, rules, strict=True) if position in some.choices
            ]
            column.write_many([row for row, _ in choosy], [rule for _, rule in choosy])

    # reading

    def waited_for(self, call: Call) -> dict[int, Bitmap]:
        """The fields that the call says nothing about, by position, with the rows that wait for them."""
        waits = self._waits.bitmaps
        return {at: rows for at, rows in waits.items() if seen_value(self.fields[at], call) is None}

    def waits_of(self, row: int) -> Waits:
        return self._waits.of(row)

    def passing(self, call: Call, used: Bitmap, hidden: Bitmap | None = None) -> RowNumbers:
        """Those of the rows in use, without the hidden ones, that pass. Ascending."""
        bitmaps, operands = self._look_up(call)
        if hidden is not None:
            left = self._intersect_choices(call, self._intersect(self._without(used, hidden), bitmaps))
            return self._verified(call, Sparse.of(left), operands)
        region = region_of(bitmaps)
        known = self._memory.get(region)
        if known is not None:
            return self._verified(call, self._choosing(call, known), operands)
        in_range = self._intersect(used, bitmaps)
        left = Sparse.of(self._intersect_choices(call, in_range))
        if left.words.size <= FEW_WORDS:
            self._memory.put(region, Sparse.of(in_range))
        return self._verified(call, left, operands)

    def waiting(self, call: Call, rows: Bitmap, hidden: Bitmap | None = None) -> RowNumbers:
        """Those of `rows`, without the hidden ones, that fail nothing: they pass or wait. Ascending."""
        bitmaps, operands = self._look_up(call, lenient=True)
        left = self._intersect(self._without(rows, hidden), bitmaps)
        left = self._intersect_choices(call, left, lenient=True)
        return self._verified(call, Sparse.of(left), operands, lenient=True)

    def _look_up(self, call: Call, *, lenient: bool = False) -> tuple[list[Bitmap], list[float]]:
        """Of each column of numbers that leaves somebody out, who may pass; and what all rows are verified against."""
        inf = math.inf
        operands = [inf] * (2 * len(self._ranges) + 1)
        bitmaps: list[Bitmap] = []
        for value_of, edges, views, at, position in self._plan or self._make_plan():
            value = value_of(call)
            if type(value) is not float or value != value:  # noqa: PLR0124 - NaN, without the price of a call
                value = number_of(value)
            if value is None:
                bitmaps.append(self._or_waits(views[-1], position) if lenient else views[-1])
            else:
                operands[at] = value
                operands[at + 1] = -value
                if edges:  # few rules: no row is left out before they are verified
                    bitmaps.append(views[bisect_right(edges, value)])
        return bitmaps, operands

    def _intersect(self, left: Bitmap, bitmaps: list[Bitmap]) -> Bitmap:
        result, bitwise_and = self._result, np.bitwise_and
        for bitmap in bitmaps:
            left = bitwise_and(left, bitmap, result)
        return left

    def _without(self, rows: Bitmap, hidden: Bitmap | None) -> Bitmap:
        return rows if hidden is None else np.bitwise_and(rows, np.invert(hidden, self._scratch), self._result)

    def _choosing(self, call: Call, in_range: Sparse) -> Sparse:
        """Those that choose the call's channel, chain, launchpad and exchange."""
        words, bits = in_range
        for column in self._choices.values():
            if column.count:
                bits = bits & column.passing_in(words, seen_text(column.field, call), seen_also(column.field, call))
        at = bits.nonzero()[0]
        return Sparse(words.take(at), bits.take(at))

    def _verified(self, call: Call, left: Sparse, operands: list[float], *, lenient: bool = False) -> RowNumbers:
        few = few_rows_in(left, FEW_ROWS)
        if few is None:
            found = rows_in(left)
            found = found[self._thresholds.verify(found, np.array(operands, dtype=np.float64))]
        else:
            holds = self._thresholds.holds
            few = [row for row in few if holds(row, operands)]
            found = np.array(few, dtype=np.intp) if few else NO_ROWS
        return self._with_words(call, found, lenient=lenient)

    def _changed(self) -> None:
        self._plan = []
        self._memory.forget()

    def _make_plan(self) -> list[Step]:
        """Everything that a call needs of the columns in use, side by side."""
        self._plan = [
            (column.field.value, column.edges, column.views, 2 * column.number + 1, column.position)
            for column in self._ranges
            if column.count
        ]
        return self._plan

    def _intersect_choices(self, call: Call, left: Bitmap, *, lenient: bool = False) -> Bitmap:
        for position, column in self._choices.items():
            if not column.count:
                continue
            value = seen_text(column.field, call)
            passing = column.passing(value, self._scratch, seen_also(column.field, call))
            if lenient and value is None:
                passing = self._or_waits(passing, position)
            left = np.bitwise_and(left, passing, self._chosen)
        return left

    def _or_waits(self, passing: Bitmap, position: int) -> Bitmap:
        waits = self._waits.bitmaps.get(position)
        return passing if waits is None else passing | waits

    def _compared_texts(self, call: Call) -> Texts:
        texts = {position: seen_text(self.fields[position], call) for position in self._texts_at}
        return {position: None if text is None else compared(text) for position, text in texts.items()}

    def passing_each(self, calls: Sequence[Call], rows: Bitmap) -> list[RowNumbers]:
        """`passing` of each call."""
        result: Bitmap = np.empty((len(calls), len(rows)), dtype=np.uint64)
        result[:] = rows
        operands = self._intersect_batch(calls, result)
        for column in self._choices.values():
            if column.count:
                for call, left in zip(calls, result, strict=True):
                    value, also = seen_text(column.field, call), seen_also(column.field, call)
                    np.bitwise_and(left, column.passing(value, self._scratch, also), left)
        which, found = np.divmod(rows_in(Sparse.of(result.ravel())), len(rows) * ROWS_PER_WORD)
        holds = self._thresholds.verify(found, operands.ravel(), which * operands.shape[1])
        parts = np.split(found[holds], np.searchsorted(which[holds], np.arange(1, len(calls))))
        return [self._with_words(call, some) for call, some in zip(calls, parts, strict=True)]

    def _with_words(self, call: Call, rows: RowNumbers, *, lenient: bool = False) -> RowNumbers:
        if not self._words.count or not rows.size:
            return rows
        return rows[self._words.verify(rows, self._compared_texts(call), lenient=lenient)]

    def _intersect_batch(self, calls: Sequence[Call], result: Bitmap) -> Floats:
        """Leave in `result` what passes by ranges; the operands of each call in a row of its own: (calls, 2C + 1)."""
        gathered = np.empty_like(result)
        operands: npt.NDArray[np.float64] = np.full((len(calls), 2 * len(self._ranges) + 1), np.inf)
        for column in self._ranges:
            if not column.count:
                continue
            values = [seen_number(column.field, call) for call in calls]
            missing = len(column.views) - 1
            buckets = [missing if value is None else bisect_right(column.edges, value) for value in values]
            np.bitwise_and(result, column.bits.take(buckets, 0, gathered, "clip"), result)
            at = 2 * column.number + 1
            operands[:, at] = [math.inf if value is None else value for value in values]
            operands[:, at + 1] = [math.inf if value is None else -value for value in values]
        return operands
