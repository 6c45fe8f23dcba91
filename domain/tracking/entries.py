"""The entries of one token as columns in a single block of memory, 31 bytes each."""

from __future__ import annotations

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

_OFFSETS: Final = {
    name: sum(dtype.itemsize for dtype in list(COLUMNS.values())[:place]) for place, name in enumerate(COLUMNS)
}
_PLACES: Final = {name: (dtype, _OFFSETS[name]) for name, dtype in COLUMNS.items()}
_PACKERS: Final = tuple(
    (Struct("=" + dtype.char.replace("L", "I")), _OFFSETS[name], dtype.itemsize) for name, dtype in COLUMNS.items()
)
"""numpy takes several times longer to set a single number."""
_STEP: Final = 4
"""Room grows by multiples of it, so that every column stays aligned."""
_GROWTH: Final = 16
"""By a sixteenth."""
BELOW: Final = 1 - 2.0**-22
"""Wider than what single precision rounds away."""
ABOVE: Final = 1 + 1e-12


class Entries:
    """In the order in which they came, which is that of their ids."""

    __slots__ = ("_block", "_room", "count")

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self._room = 0
        self._block = bytearray()
        self._resize(max(_STEP, count))

    def __len__(self) -> int:
        return self.count

    @property
    def nbytes(self) -> int:
        return len(self._block)

    def column(self, name: str) -> npt.NDArray[Any]:
        """A view, valid until the next entry comes or goes."""
        dtype, offset = _PLACES[name]
        return np.ndarray(self.count, dtype, self._block, self._room * offset)

    def add(self, price: float, market_cap: float, entry_id: int, at: int, channel: int, *, late: bool) -> int:
        """Returns the place of the entry."""
        place = self.count
        if place == self._room:
            self._resize(place + max(_STEP, place // _GROWTH))
        self.count += 1
        next_up = price * UPS[0] * BELOW
        values = (price, next_up, market_cap, entry_id, at, channel, 0, 0, late)
        for (packer, offset, size), value in zip(_PACKERS, values, strict=True):
            packer.pack_into(self._block, self._room * offset + place * size, value)
        return place

    def extend(self, columns: dict[str, npt.NDArray[Any]]) -> int:
        """Several at once, columns as `add` takes them. Returns the place of the first one."""
        place, prices = self.count, columns["price"]
        needed = place + len(prices)
        if needed > self._room:
            self._resize(max(needed, self._room + self._room // _GROWTH))
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
        self.count = self._room = int(np.count_nonzero(kept))
        self._block = bytearray()
        self._resize(max(_STEP, self.count), copy=False)
        self.put_many(columns)

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

    def _resize(self, room: int, *, copy: bool = True) -> None:
        room = -(-room // _STEP) * _STEP
        old, old_room = self._block, self._room
        self._block, self._room = bytearray(room * BYTES_PER_ENTRY), room
        if not copy:
            return
        for name, dtype in COLUMNS.items():
            start, size = old_room * _OFFSETS[name], old_room * dtype.itemsize
            at = room * _OFFSETS[name]
            self._block[at : at + size] = old[start : start + size]
