"""Who listens to which channel, as bitmaps.

A row either listens to all channels (one bitmap for everybody) or names some. The names are kept per row in one
flat table; the bitmap of a channel is made from it at the channel's first call and from then on kept up to date.
The number of bitmaps is bounded, the least recently called channel goes first, so neither ten thousand channels
nor a feed full of invented ones cost more memory than a bound that is known.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.bits import BIT, NOT_BIT, Rows, Words, add_rows, words_for

MAX_BITMAPS: Final = 512
"""At a million rows a bitmap is 125 kB."""


class ChannelListeners:
    def __init__(self, capacity: int, max_bitmaps: int = MAX_BITMAPS) -> None:
        self.all_channels: Words = np.zeros(words_for(capacity), dtype=np.uint64)
        """Rows that listen to whatever is called."""
        self._max_bitmaps = max_bitmaps
        self._ids: dict[str, int] = {}
        self._bitmaps: OrderedDict[int, Words] = OrderedDict()
        # One entry per (row, channel); a row's entries are next to each other, `channel` is -1 where unused.
        self._entry_channel: npt.NDArray[np.int32] = np.full(64, -1, dtype=np.int32)
        self._entry_row: Rows = np.full(64, -1, dtype=np.int32)
        self._entries_end = 0
        self._entries_used = 0
        self._start: npt.NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)
        self._count: npt.NDArray[np.int32] = np.zeros(capacity, dtype=np.int32)

    @property
    def nbytes(self) -> int:
        arrays = (self.all_channels, self._entry_channel, self._entry_row, self._start, self._count)
        return sum(array.nbytes for array in arrays) + sum(bitmap.nbytes for bitmap in self._bitmaps.values())

    def resize(self, capacity: int) -> None:
        known = len(self._start)
        for name in ("_start", "_count"):
            new = np.zeros(capacity, dtype=np.int32)
            new[:known] = getattr(self, name)
            setattr(self, name, new)
        words = np.zeros(words_for(capacity), dtype=np.uint64)
        words[: len(self.all_channels)] = self.all_channels
        self.all_channels = words
        self._bitmaps.clear()

    def listening(self, channel_id: str) -> Words | None:
        """The rows that named this channel; `None` when nobody did. Valid until the next change of any row."""
        channel = self._ids.get(channel_id)
        if channel is None:
            return None
        bitmap = self._bitmaps.get(channel)
        if bitmap is None:
            bitmap = np.zeros_like(self.all_channels)
            add_rows(
                bitmap,
                self._entry_row[: self._entries_end][self._entry_channel[: self._entries_end] == channel],
            )
            self._bitmaps[channel] = bitmap
            if len(self._bitmaps) > self._max_bitmaps:
                self._bitmaps.popitem(last=False)
        else:
            self._bitmaps.move_to_end(channel)
        return bitmap

    def write(self, row: int, channels: frozenset[str]) -> None:
        """Replace what a row listens to; no channel named means all."""
        self.erase(row)
        word, bit = row >> 6, row & 63
        if not channels:
            self.all_channels[word] |= BIT[bit]
            return
        ids = [self._ids.setdefault(channel, len(self._ids)) for channel in channels]
        self._append(row, ids)
        for channel in ids:
            bitmap = self._bitmaps.get(channel)
            if bitmap is not None:
                bitmap[word] |= BIT[bit]

    def write_new(self, rows: Sequence[int], channels: Sequence[frozenset[str]]) -> None:
        """`write` for many rows that listen to nothing yet."""
        undemanding = [row for row, named in zip(rows, channels, strict=True) if not named]
        add_rows(self.all_channels, np.array(undemanding, dtype=np.int32))
        for row, named in zip(rows, channels, strict=True):
            if named:
                self.write(row, named)

    def erase(self, row: int) -> None:
        """The row listens to nothing any more."""
        word, bit = row >> 6, row & 63
        self.all_channels[word] &= NOT_BIT[bit]
        count = int(self._count[row])
        if not count:
            return
        start = int(self._start[row])
        for channel in self._entry_channel[start : start + count].tolist():
            bitmap = self._bitmaps.get(channel)
            if bitmap is not None:
                bitmap[word] &= NOT_BIT[bit]
        self._entry_channel[start : start + count] = -1
        self._count[row] = 0
        self._entries_used -= count

    def _append(self, row: int, ids: Sequence[int]) -> None:
        count = len(ids)
        if self._entries_end + count > len(self._entry_channel):
            self._make_room(count)
        start = self._entries_end
        self._entry_channel[start : start + count] = ids
        self._entry_row[start : start + count] = row
        self._start[row], self._count[row] = start, count
        self._entries_end += count
        self._entries_used += count

    def _make_room(self, count: int) -> None:
        """Close the gaps that changed rows left, and grow when that would not help for long."""
        live = np.flatnonzero(self._entry_channel[: self._entries_end] >= 0)
        needed = self._entries_used + count
        size = max(64, len(self._entry_channel), needed + needed // 2)
        channel, row = np.full(size, -1, dtype=np.int32), np.full(size, -1, dtype=np.int32)
        channel[: len(live)] = self._entry_channel[live]
        row[: len(live)] = self._entry_row[live]
        firsts = np.flatnonzero(np.diff(row[: len(live)], prepend=-1))
        self._start[row[firsts]] = firsts
        self._entry_channel, self._entry_row = channel, row
        self._entries_end = len(live)
