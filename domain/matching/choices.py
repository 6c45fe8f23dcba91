"""One column of the index: which rows may pass by the channel, chain, launchpad or exchange of a call.

One bitmap, `unnamed`, tells which rows pass a value that nobody named: those without a rule, and those that only
exclude. The bitmap of a value holds the rows that say otherwise about it, because they include or exclude it: so
`unnamed XOR bitmap` are the rows that pass. The names are kept per row in one flat table; the bitmap of a value is
made from it at the value's first call and from then on kept up to date. The bitmaps are bounded, the least recently
called value goes first, so neither ten thousand channels nor a feed full of invented ones cost more memory than a
bound that is known.

What is called by several names is one value: a row passes that includes one of the names and excludes none. For it the
values that a row excludes beside what it includes, which otherwise say nothing, are kept as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.filters.registry import Choice, FilterField
from domain.matching.bits import BIT, EVERY_ROW, NOT_BIT, ROWS_PER_WORD, Bitmap, RowNumbers, Rows, add_rows

BITMAPS: Final = 512
"""So many are kept however long they are; at a million rows a bitmap is 125 kB."""
BITMAP_BYTES: Final = 12 * 1024 * 1024
"""While they are short, more are kept: making one means looking at the values of all rows."""
NO_RULE: Final = -1


class ChoiceColumn:
    """`count` rows have a rule. A row that has none, or is not in use, passes every value."""

    def __init__(self, field: FilterField, words: int, max_bitmaps: int | None = None) -> None:
        self.field = field
        self.count = 0
        self.unnamed: Bitmap = np.full(words, EVERY_ROW)
        """Rows that pass a value nobody named."""
        self.missing: Bitmap = np.full(words, EVERY_ROW)
        """Rows that pass a call without a value."""
        self._max_bitmaps = max_bitmaps
        self._ids: dict[str, int] = {}
        self._bitmaps: OrderedDict[int, Bitmap] = OrderedDict()
        # One entry per (row, value); a row's entries are next to each other, `value` is -1 where unused.
        self._entry_value: npt.NDArray[np.int32] = np.full(64, -1, dtype=np.int32)
        self._entry_row: Rows = np.full(64, -1, dtype=np.int32)
        self._entries_end = 0
        self._entries_used = 0
        self._start: npt.NDArray[np.int32] = np.zeros(words * ROWS_PER_WORD, dtype=np.int32)
        self._named: npt.NDArray[np.int32] = np.full(words * ROWS_PER_WORD, NO_RULE, dtype=np.int32)
        """(capacity,) how many entries a row has, `NO_RULE` for a row without a rule."""
        self._refusing: dict[int, set[int]] = {}
        """Rows that include something and exclude this value, which may be another name of it."""
        self._refused: dict[int, tuple[int, ...]] = {}
        """The same by row."""

    @property
    def nbytes(self) -> int:
        arrays = (self.unnamed, self.missing, self._entry_value, self._entry_row, self._start, self._named)
        held = sum(array.nbytes for array in (*arrays, *self._bitmaps.values()))
        refused = 100 * (len(self._refusing) + len(self._refused) + 2 * sum(map(len, self._refused.values())))
        return held + refused + self._ids.__sizeof__() + 100 * len(self._ids)

    def resize(self, words: int) -> None:
        known, rows = len(self._start), words * ROWS_PER_WORD
        start, named = np.zeros(rows, dtype=np.int32), np.full(rows, NO_RULE, dtype=np.int32)
        start[:known], named[:known] = self._start, self._named
        self._start, self._named = start, named
        for name in ("unnamed", "missing"):
            bitmap = np.full(words, EVERY_ROW)
            bitmap[: known // ROWS_PER_WORD] = getattr(self, name)
            setattr(self, name, bitmap)
        self._bitmaps.clear()

    # reading

    def passing(self, value: str | None, into: Bitmap, also: tuple[str, ...] = ()) -> Bitmap:
        """The rows that pass, perhaps written into `into`. Valid until the next change of any row.

        `also`: what else the value is called.
        """
        if value is None:
            return self.missing
        if also:
            return np.bitwise_xor(self.unnamed, self._saying((value, *also)), into)
        number = self._ids.get(value)
        if number is None:
            return self.unnamed
        return np.bitwise_xor(self.unnamed, self._bitmap(number), into)

    def passing_in(self, words: RowNumbers, value: str | None, also: tuple[str, ...] = ()) -> Bitmap:
        """`passing`, of these words alone."""
        if value is None:
            return self.missing.take(words)
        if also:
            return np.bitwise_xor(self.unnamed, self._saying((value, *also))).take(words)
        number = self._ids.get(value)
        unnamed = self.unnamed.take(words)
        return unnamed if number is None else np.bitwise_xor(unnamed, self._bitmap(number).take(words), unnamed)

    def _saying(self, called: Iterable[str]) -> Bitmap:
        """The rows that say something else than `unnamed` does about a value with these names."""
        numbers = [number for name in called if (number := self._ids.get(name)) is not None]
        saying = np.zeros_like(self.unnamed)
        for number in numbers:
            np.bitwise_or(saying, self._bitmap(number), saying)
        for row in set[int]().union(*(self._refusing.get(number, ()) for number in numbers)):
            saying[row >> 6] &= NOT_BIT[row & 63]
        return saying

    def _bitmap(self, number: int) -> Bitmap:
        bitmap = self._bitmaps.get(number)
        if bitmap is None:
            bitmap = np.zeros_like(self.unnamed)
            add_rows(bitmap, self._entry_row.take(np.flatnonzero(self._entry_value[: self._entries_end] == number)))
            self._bitmaps[number] = bitmap
            if len(self._bitmaps) > (self._max_bitmaps or max(BITMAPS, BITMAP_BYTES // bitmap.nbytes)):
                self._bitmaps.popitem(last=False)
        else:
            self._bitmaps.move_to_end(number)
        return bitmap

    # writing

    def has_rule(self, row: int) -> bool:
        return bool(self._named[row] >= 0)

    def write(self, row: int, rule: Choice) -> None:
        """Give the row, which has none, a rule."""
        word, bit = row >> 6, row & 63
        if rule.included:
            self.unnamed[word] &= NOT_BIT[bit]
        if rule.missing != "pass":
            self.missing[word] &= NOT_BIT[bit]
        self._note(row, rule)

    def write_many(self, rows: Sequence[int], rules: Sequence[Choice]) -> None:
        """`write` for many rows."""
        choosy = [row for row, rule in zip(rows, rules, strict=True) if rule.included]
        silent = [row for row, rule in zip(rows, rules, strict=True) if rule.missing != "pass"]
        for bitmap, hidden_rows in ((self.unnamed, choosy), (self.missing, silent)):
            hidden = np.zeros_like(bitmap)
            add_rows(hidden, np.array(hidden_rows, dtype=np.int32))
            np.bitwise_and(bitmap, np.invert(hidden), bitmap)
        for row, rule in zip(rows, rules, strict=True):
            self._note(row, rule)

    def _note(self, row: int, rule: Choice) -> None:
        """Note the values about which the row says something else than `unnamed` does."""
        values = rule.included - rule.excluded if rule.included else rule.excluded
        word, bit = row >> 6, row & 63
        numbers = [self._ids.setdefault(value, len(self._ids)) for value in values]
        self._append(row, numbers)
        for number in numbers:
            bitmap = self._bitmaps.get(number)
            if bitmap is not None:
                bitmap[word] |= BIT[bit]
        if rule.included and rule.excluded:
            self._refuse(row, tuple(self._ids.setdefault(value, len(self._ids)) for value in rule.excluded))
        self.count += 1

    def _refuse(self, row: int, numbers: tuple[int, ...]) -> None:
        self._refused[row] = numbers
        for number in numbers:
            self._refusing.setdefault(number, set()).add(row)

    def _refuse_no_more(self, row: int) -> None:
        for number in self._refused.pop(row, ()):
            rows = self._refusing[number]
            rows.discard(row)
            if not rows:
                del self._refusing[number]

    def erase(self, row: int) -> None:
        """The row, which has a rule, has none any more."""
        word, bit = row >> 6, row & 63
        self.unnamed[word] |= BIT[bit]
        self.missing[word] |= BIT[bit]
        start, named = int(self._start[row]), int(self._named[row])
        for number in self._entry_value[start : start + named].tolist():
            bitmap = self._bitmaps.get(number)
            if bitmap is not None:
                bitmap[word] &= NOT_BIT[bit]
        self._entry_value[start : start + named] = -1
        self._named[row] = NO_RULE
        self._refuse_no_more(row)
        self._entries_used -= named
        self.count -= 1

    def _append(self, row: int, numbers: Sequence[int]) -> None:
        count = len(numbers)
        if self._entries_end + count > len(self._entry_value):
            self._make_room(count)
        start = self._entries_end
        self._entry_value[start : start + count] = numbers
        self._entry_row[start : start + count] = row
        self._start[row], self._named[row] = start, count
        self._entries_end += count
        self._entries_used += count

    def _make_room(self, count: int) -> None:
        """Close the gaps that changed rows left, and grow when that would not help for long."""
        live = np.flatnonzero(self._entry_value[: self._entries_end] >= 0)
        needed = self._entries_used + count
        size = max(64, len(self._entry_value), needed + needed // 2)
        value, row = np.full(size, -1, dtype=np.int32), np.full(size, -1, dtype=np.int32)
        value[: len(live)] = self._entry_value[live]
        row[: len(live)] = self._entry_row[live]
        firsts = np.flatnonzero(np.diff(row[: len(live)], prepend=-1))
        self._start[row[firsts]] = firsts
        self._entry_value, self._entry_row = value, row
        self._entries_end = len(live)
