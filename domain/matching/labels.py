"""What a few rows have beyond numbers and choices: rules on words, and rules that wait for a value.

Both are labels: equal ones are kept once and counted, a row holds the number of its label, 0 for none. So the few
rows that are left of a call are sorted by label, and each different label is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from domain.filters.explanation import finds
from domain.filters.registry import Missing, Words
from domain.matching.bits import BIT, NOT_BIT, Bitmap, Flags, RowNumbers
from domain.reading.visible import compared_word

LabelT = TypeVar("LabelT", bound=Hashable)
Waits = tuple[tuple[int, int], ...]
"""(position of the field, minutes) of each rule that waits."""
Texts = Mapping[int, str | None]
"""As they are compared, by position of the field; `None` where the call has none."""


class RowLabels(Generic[LabelT]):
    """One label, or none, for each row. Nothing is allocated before the first."""

    def __init__(self) -> None:
        self.count = 0
        """Rows that have a label."""
        self._number_of_row: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._labels: list[LabelT | None] = [None]
        self._uses: list[int] = [0]
        self._numbers: dict[LabelT, int] = {}
        self._free: list[int] = []

    @property
    def nbytes(self) -> int:
        return self._number_of_row.nbytes + self._numbers.__sizeof__() + 300 * len(self._numbers)

    def of(self, row: int) -> LabelT | None:
        return self._labels[int(self._number_of_row[row])] if row < len(self._number_of_row) else None

    def write(self, row: int, label: LabelT | None) -> None:
        if row >= len(self._number_of_row):
            if label is None:
                return
            larger = np.zeros(max(64, row + 1 + row // 4), dtype=np.int32)
            larger[: len(self._number_of_row)] = self._number_of_row
            self._number_of_row = larger
        before = int(self._number_of_row[row])
        after = 0 if label is None else self._number(label)
        self._number_of_row[row] = after
        self.count += (after > 0) - (before > 0)
        if before:
            self._let_go(before)

    def _number(self, label: LabelT) -> int:
        number = self._numbers.get(label)
        if number is None:
            if not self._free:
                self._free.append(len(self._labels))
                self._labels.append(None)
                self._uses.append(0)
            number = self._numbers[label] = self._free.pop()
            self._labels[number] = label
        self._uses[number] += 1
        return number

    def _let_go(self, number: int) -> None:
        self._uses[number] -= 1
        label = self._labels[number]
        if not self._uses[number] and label is not None:
            del self._numbers[label]
            self._labels[number] = None
            self._free.append(number)

    def select(self, rows: RowNumbers, holds: Callable[[LabelT], bool]) -> Flags:
        """Which of the rows have no label, or one that holds."""
        numbers = self._number_of_row.take(np.minimum(rows, len(self._number_of_row) - 1))
        numbers[rows >= len(self._number_of_row)] = 0
        distinct, which = np.unique(numbers, return_inverse=True)
        asked: list[int] = distinct.tolist()
        labels = [self._labels[number] for number in asked]
        verdicts = np.array([label is None or holds(label) for label in labels], dtype=np.bool_)
        return verdicts[which]


class ComparedWords(Struct, frozen=True):
    """A rule on words as it is compared."""

    position: int
    included: tuple[str, ...]
    excluded: tuple[str, ...]
    missing: Missing


def compared_rules(rules: Iterable[tuple[int, Words]]) -> tuple[ComparedWords, ...]:
    return tuple(
        ComparedWords(
            position, tuple(map(compared_word, rule.included)), tuple(map(compared_word, rule.excluded)), rule.missing
        )
        for position, rule in rules
    )


class WordRules:
    """The rules on words of all rows, verified one by one on the rows that are left."""

    def __init__(self) -> None:
        self._labels: RowLabels[tuple[ComparedWords, ...]] = RowLabels()

    @property
    def count(self) -> int:
        return self._labels.count

    @property
    def nbytes(self) -> int:
        return self._labels.nbytes

    def write(self, row: int, rules: tuple[ComparedWords, ...]) -> None:
        self._labels.write(row, rules or None)

    def verify(self, rows: RowNumbers, texts: Texts, *, lenient: bool) -> Flags:
        """Which rows pass; with `lenient` also those that only wait for a text."""

        def holds(rules: tuple[ComparedWords, ...]) -> bool:
            for rule in rules:
                text = texts[rule.position]
                if text is None:
                    if rule.missing == "fail" or (rule.missing == "wait" and not lenient):
                        return False
                elif not finds(rule.included, rule.excluded, text):
                    return False
            return True

        return self._labels.select(rows, holds)


class WaitRules:
    """Which rows wait, for what and how long."""

    def __init__(self, words: int) -> None:
        self._labels: RowLabels[Waits] = RowLabels()
        self._words = words
        self.bitmaps: dict[int, Bitmap] = {}
        """By position of the field: the rows that wait for it. No entry for a field that nobody waits for."""
        self._counts: dict[int, int] = {}

    @property
    def nbytes(self) -> int:
        return self._labels.nbytes + sum(bitmap.nbytes for bitmap in self.bitmaps.values())

    def resize(self, words: int) -> None:
        for position, old in self.bitmaps.items():
            self.bitmaps[position] = np.zeros(words, dtype=np.uint64)
            self.bitmaps[position][: len(old)] = old
        self._words = words

    def of(self, row: int) -> Waits:
        return self._labels.of(row) or ()

    def write(self, row: int, waits: Waits) -> None:
        before = self.of(row)
        if waits == before:
            return
        word, bit = row >> 6, row & 63
        for position, _ in before:
            self.bitmaps[position][word] &= NOT_BIT[bit]
            self._counts[position] -= 1
            if not self._counts[position]:
                del self.bitmaps[position]
        for position, _ in waits:
            if position not in self.bitmaps:
                self.bitmaps[position] = np.zeros(self._words, dtype=np.uint64)
            self.bitmaps[position][word] |= BIT[bit]
            self._counts[position] = self._counts.get(position, 0) + 1
        self._labels.write(row, waits or None)
