"""Which row belongs to whom: rows come and go with filter sets, a subscriber's slot stays for the life of the process.

A row is found by `(user_id, number)`; the rows of one subscriber form a linked list. Whatever has to be remembered
about a person (a token's accepted subscribers) is remembered by slot, never by row: a row that is reused says
nothing about its new owner.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from domain.matching.bits import Rows

Slots = npt.NDArray[np.int32]
UserIds = npt.NDArray[np.int64]


class RowDirectory:
    """Rows 0 … capacity - 1; `version` grows whenever a row gets or loses its owner or the capacity changes."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.version = 0
        self.rows_in_use = 0
        self.end = 0
        """No row at or after this one was ever in use."""
        self.slot_of_row: Slots = np.full(capacity, -1, dtype=np.int32)
        """(capacity,) -1 for a free row."""
        self.owners: UserIds = np.zeros(capacity, dtype=np.int64)
        """(capacity,) user id; meaningless for a free row."""
        self.numbers: Slots = np.zeros(capacity, dtype=np.int32)
        """(capacity,) number of the filter set; meaningless for a free row."""
        self._next: Rows = np.full(capacity, -1, dtype=np.int32)
        self._free: list[int] = []
        self._slots: dict[int, int] = {}
        self._first: Rows = np.full(64, -1, dtype=np.int32)

    @property
    def nbytes(self) -> int:
        """Arrays, and the dictionary of subscribers at what CPython takes for two whole numbers each."""
        arrays = (self.slot_of_row, self.owners, self.numbers, self._next, self._first)
        return sum(array.nbytes for array in arrays) + self._slots.__sizeof__() + 64 * len(self._slots)

    def resize(self, capacity: int) -> None:
        known = self.capacity
        for name in ("slot_of_row", "owners", "numbers", "_next"):
            old = getattr(self, name)
            new = np.full(capacity, -1, dtype=old.dtype)
            new[:known] = old
            setattr(self, name, new)
        self.capacity = capacity
        self.version += 1

    # subscribers

    def slot(self, user_id: int) -> int:
        """The subscriber's slot, a new one at first sight."""
        slot = self._slots.get(user_id)
        if slot is None:
            slot = self._slots[user_id] = len(self._slots)
            if slot == len(self._first):
                self._first = np.concatenate([self._first, np.full(slot, -1, dtype=np.int32)])
        return slot

    def numbers_of(self, user_id: int) -> list[int]:
        """The filter sets of this subscriber that have a row."""
        slot = self._slots.get(user_id)
        if slot is None:
            return []
        return self.numbers[self.rows_of(np.array([slot], dtype=np.int32))].tolist()

    def rows_of(self, slots: Slots) -> Rows:
        """All rows of these subscribers, in no particular order."""
        rows = self._first.take(slots)
        rows = rows[rows >= 0]
        found = [rows]
        while rows.size:
            rows = self._next.take(rows)
            rows = rows[rows >= 0]
            found.append(rows)
        return np.concatenate(found)

    # rows

    def find(self, user_id: int, number: int) -> int | None:
        slot = self._slots.get(user_id)
        if slot is None:
            return None
        row = int(self._first[slot])
        while row >= 0 and self.numbers[row] != number:
            row = int(self._next[row])
        return None if row < 0 else row

    def is_full(self) -> bool:
        return not self._free and self.end == self.capacity

    def allocate(self, user_id: int, number: int, *, at_end: bool = False) -> int:
        """A row for a filter set that has none; there must be room (at the end, if asked for there)."""
        if self._free and not at_end:
            row = self._free.pop()
        else:
            row = self.end
            self.end += 1
        slot = self.slot(user_id)
        self.slot_of_row[row] = slot
        self.owners[row] = user_id
        self.numbers[row] = number
        self._next[row] = self._first[slot]
        self._first[slot] = row
        self.rows_in_use += 1
        self.version += 1
        return row

    def release(self, row: int) -> None:
        slot = int(self.slot_of_row[row])
        following = self._next[row]
        before = int(self._first[slot])
        if before == row:
            self._first[slot] = following
        else:
            while self._next[before] != row:
                before = int(self._next[before])
            self._next[before] = following
        self._next[row] = -1
        self.slot_of_row[row] = -1
        self._free.append(row)
        self.rows_in_use -= 1
        self.version += 1
