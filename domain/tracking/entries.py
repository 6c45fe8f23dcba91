"""The entries of all tokens as columns, 31 bytes each; those of one token stand together."""

from __future__ import annotations

from collections.abc import Iterable
from mmap import mmap
from struct import Struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.tracking.ladder import DOWN_STEPS, UP_STEPS, UPS

Ids = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

COLUMNS: Final[dict[str, np.dtype[Any]]] = {
    "price": np.dtype(np.float64),
    "next_up": np.dtype(np.float32),
    "market_cap": np.dtype(np.float32),
    "id": np.dtype(np.uint32),
    "at": np.dtype(np.uint32),
    "channel": np.dtype(np.uint32),
    "ups": np.dtype(np.uint8),
    "downs": np.dtype(np.uint8),
    "late": np.dtype(np.uint8),
}
"""`price`: at the call. `next_up`: a little below the price at the next rung, never above it. `market_cap`: NaN where
it is unknown. `at`: of the call. `ups`, `downs`: rungs that were reached. `late`: what came right after the call was
not seen."""
BYTES_PER_ENTRY: Final = sum(dtype.itemsize for dtype in COLUMNS.values())

_PACKERS: Final = tuple(
    (name, Struct("=" + dtype.char.replace("L", "I")), dtype.itemsize) for name, dtype in COLUMNS.items()
)
"""numpy takes several times longer to set a single number."""
_STEP: Final = 4
"""Room grows by multiples of it, so that what one token leaves often fits another."""
_GROWTH: Final = 16
"""By a sixteenth."""
_WASTE: Final = 8
"""An eighth of all room may be left unused."""
BELOW: Final = 1 - 2.0**-22
"""Wider than what single precision rounds away."""
ABOVE: Final = 1 + 1e-12


class Pool:
    """Room for entries. It grows by a quarter; memory that was never written to takes none of the machine's."""

    def __init__(self) -> None:
        self.columns: dict[str, npt.NDArray[Any]] = {name: np.empty(0, dtype) for name, dtype in COLUMNS.items()}
        self._size = 0
        self._used = 0
        self._left: dict[int, list[int]] = {}
        """Size -> where there is room of that size that was given back."""
        self._wasted = 0

    @property
    def nbytes(self) -> int:
        return self._used * BYTES_PER_ENTRY

    @property
    def is_wasteful(self) -> bool:
        return self._wasted > self._used // _WASTE

    def take(self, room: int) -> int:
        """Returns where it begins. Views of columns are fetched again after it."""
        left = self._left.get(room)
        if left:
            self._wasted -= room
            return left.pop()
        start, self._used = self._used, self._used + room
        if self._used > self._size:
            self._size = max(self._used, self._size * 5 // 4)
            for name, column in self.columns.items():
                memory = mmap(-1, self._size * column.itemsize)
                larger = self.columns[name] = np.frombuffer(memory, column.dtype)
                larger[:start] = column[:start]
        return start

    def give_back(self, start: int, room: int) -> None:
        if room:
            self._left.setdefault(room, []).append(start)
            self._wasted += room

    def pack(self, all_entries: Iterable[Entries]) -> None:
        """Leave no room unused between these, which are all that there are."""
        some = list(all_entries)
        rooms = np.array([entries.room for entries in some], dtype=np.intp)
        starts = np.array([entries.start for entries in some], dtype=np.intp)
        ends = rooms.cumsum()
        places = np.arange(int(rooms.sum())) + np.repeat(starts - (ends - rooms), rooms)
        for name, column in self.columns.items():
            self.columns[name] = column[places]
        for entries, end in zip(some, ends.tolist(), strict=True):
            entries.start = end - entries.room
        self._size = self._used = len(places)
        self._left, self._wasted = {}, 0


class Entries:
    """Of one token, in the order in which they came, which is that of their ids."""

    __slots__ = ("_pool", "count", "room", "start")

    def __init__(self, pool: Pool, count: int = 0) -> None:
        self.count = count
        self.room = -(-count // _STEP) * _STEP
        self.start = pool.take(self.room)
        self._pool = pool

    def __len__(self) -> int:
        return self.count

    def column(self, name: str) -> npt.NDArray[Any]:
        """A view, valid until the next entry of any token comes or goes."""
        return self._pool.columns[name][self.start : self.start + self.count]

    def add(self, price: float, market_cap: float, entry_id: int, at: int, channel: int, *, late: bool) -> int:
        """Returns the place of the entry."""
        place = self.count
        if place == self.room:
            self._resize(place + max(_STEP, place // _GROWTH))
        self.count += 1
        next_up = price * UPS[0] * BELOW
        values = (price, next_up, market_cap, entry_id, at, channel, 0, 0, late)
        for (name, packer, size), value in zip(_PACKERS, values, strict=True):
            packer.pack_into(self._pool.columns[name].data, (self.start + place) * size, value)
        return place

    def extend(self, columns: dict[str, npt.NDArray[Any]]) -> int:
        """Several at once, columns as `add` takes them. Returns the place of the first one."""
        place, prices = self.count, columns["price"]
        needed = place + len(prices)
        if needed > self.room:
            self._resize(max(needed, self.room + self.room // _GROWTH))
        self.count = needed
        none = np.zeros(len(prices), dtype=np.uint8)
        derived = {"next_up": prices * (UPS[0] * BELOW), "ups": none, "downs": none}
        for name, values in (columns | derived).items():
            self.column(name)[place:] = values
        return place

    def put_many(self, columns: dict[str, npt.NDArray[Any]]) -> None:
        """Fill all of them at once."""
        for name, values in columns.items():
            self.column(name)[:] = values

    def keep(self, kept: Flags) -> None:
        """Forget those whose flag is not set."""
        columns = {name: self.column(name)[kept] for name in COLUMNS}
        self.count = int(np.count_nonzero(kept))
        self._resize(self.count)
        self.put_many(columns)

    def close(self) -> None:
        """Forget all of them, for good."""
        self._pool.give_back(self.start, self.room)
        self.count = self.room = 0

    def place_of(self, entry_id: int) -> int:
        """Raises `KeyError` if there is none."""
        ids = self.column("id")
        place = int(ids.searchsorted(entry_id))
        if place == self.count or ids[place] != entry_id:
            raise KeyError(entry_id)
        return place

    def set_ups(self, places: npt.NDArray[np.intp], ups: npt.NDArray[np.intp]) -> None:
        self.column("ups")[places] = ups
        self.column("next_up")[places] = self.column("price")[places] * UP_STEPS[ups] * BELOW

    def highest_quiet(self) -> float:
        """Up to here no entry reaches its next rung upwards."""
        return float(self.column("next_up").min()) if self.count else float("inf")

    def lowest_quiet(self) -> float:
        """Above it no entry reaches its next rung downwards."""
        return float(self.down_prices().max()) * ABOVE if self.count else 0.0

    def down_prices(self) -> Floats:
        """The price of each entry at its next rung downwards."""
        return self.column("price") * DOWN_STEPS.take(self.column("downs"), mode="clip")

    def _resize(self, room: int) -> None:
        old, old_room = self.start, self.room
        self.room = -(-room // _STEP) * _STEP
        self.start = self._pool.take(self.room)
        kept = min(old_room, self.room)
        for column in self._pool.columns.values():
            column[self.start : self.start + kept] = column[old : old + kept]
        self._pool.give_back(old, old_room)
