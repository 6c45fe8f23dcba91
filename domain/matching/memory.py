"""Which rows a call's numbers leave over, kept for the next call whose numbers fall between the same thresholds."""

from __future__ import annotations

from typing import Final

from domain.matching.bits import Bitmap, Sparse

Region = tuple[int, ...]
"""Between the thresholds of all columns: the identities of the bitmaps of its buckets."""
FEW_WORDS: Final = 16
"""Of bitmaps. When no more are left of a call, hardly anybody wants its token, as is so with most, and many tokens fall
into the same region: who is left by ranges alone is remembered for the next one there."""
MAX_WORDS: Final = 256
MAX_REGIONS: Final = 1_024
"""Of at most 4 kB each."""


def region_of(bitmaps: list[Bitmap]) -> Region:
    return tuple(map(id, bitmaps))


class RangeMemory:
    """Holds until any row changes (`forget`): identities of bitmaps mean nothing afterwards."""

    def __init__(self) -> None:
        self._rows: dict[Region, Sparse] = {}

    def get(self, region: Region) -> Sparse | None:
        return self._rows.get(region)

    def put(self, region: Region, in_range: Sparse) -> None:
        if in_range.words.size > MAX_WORDS:
            return
        if len(self._rows) >= MAX_REGIONS:
            self._rows.clear()
        self._rows[region] = in_range

    def forget(self) -> None:
        if self._rows:
            self._rows = {}
