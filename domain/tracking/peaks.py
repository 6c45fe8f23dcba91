"""The highest believed price since each entry of a token, exactly, in a few numbers for all of them together.

Entries that came later have seen less, so by order of entry peaks never rise. What is kept is where they fall.
"""

from __future__ import annotations

from array import array
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

NUMBERS_PER_SEGMENT: Final = 3


Floats = npt.NDArray[np.float64]


class Peak(NamedTuple):
    price: float
    at: float


class Peaks:
    """Segments of consecutive entries with the same peak: first entry, price, time; three numbers each."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: bytes = b"") -> None:
        self.numbers = array("d", numbers)

    @property
    def nbytes(self) -> int:
        return len(self.numbers) * self.numbers.itemsize

    @property
    def lowest(self) -> float:
        """Of any entry; infinite without one."""
        return self.numbers[-2] if self.numbers else float("inf")

    def add(self, entry: int, price: float, at: float) -> None:
        """A new entry, at the end. Its own price is no peak of the ones before, so it begins at the lower of both."""
        if price < self.lowest:
            self.numbers.extend((entry, price, at))

    def add_many(self, entry: int, prices: Floats, ats: Floats) -> None:
        """The same for several, the first of which is `entry`."""
        lowest = np.minimum.accumulate(np.concatenate(([self.lowest], prices)))
        begins = (prices < lowest[:-1]).nonzero()[0]
        segments = np.stack((begins + float(entry), prices[begins], ats[begins]), axis=1)
        self.numbers.frombytes(segments.tobytes())

    def raise_to(self, price: float, at: float, entries: int, of: int) -> bool:
        """The first `entries` of all `of` have seen this price. Whether that is a new peak for any of them."""
        numbers = self.numbers
        end = place = self._segment(entries)
        while place > 0 and numbers[place - 2] < price:
            place -= NUMBERS_PER_SEGMENT
        if place == end:
            return False
        ends_at = numbers[end] if end < len(numbers) else of
        later = (entries, numbers[end - 2], numbers[end - 1]) if entries < ends_at else ()
        numbers[place:end] = array("d", (numbers[place], price, at, *later))
        return True

    def raise_all(self, price: float, at: float) -> None:
        """Every entry has seen this price."""
        numbers = self.numbers
        end = place = len(numbers)
        while place > 0 and numbers[place - 2] < price:
            place -= NUMBERS_PER_SEGMENT
        if place < end:
            numbers[place + 1], numbers[place + 2] = price, at
            del numbers[place + NUMBERS_PER_SEGMENT :]

    def of(self, entry: int) -> Peak:
        """Of one entry; lower than its own price where nothing has reached that since."""
        place = self._segment(entry + 1)
        return Peak(self.numbers[place - 2], self.numbers[place - 1])

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Entries are numbered anew: only those whose flag is set are left."""
        before = np.concatenate(([0], np.cumsum(kept)))
        segments = np.frombuffer(self.numbers, dtype=np.float64).reshape(-1, NUMBERS_PER_SEGMENT).copy()
        segments[:, 0] = before[segments[:, 0].astype(np.intp)]
        ends = np.append(segments[1:, 0], before[-1])
        self.numbers = array("d", segments[segments[:, 0] < ends].tobytes())

    def _segment(self, entries: int) -> int:
        """Where the segments end that begin before `entries`."""
        numbers = self.numbers
        end = len(numbers)
        while end > 0 and numbers[end - NUMBERS_PER_SEGMENT] >= entries:
            end -= NUMBERS_PER_SEGMENT
        return end
