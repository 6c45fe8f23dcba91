"""Sets of row numbers as bitmaps: 64 rows to a little-endian uint64 word, row r is bit r % 64 of word r // 64."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Bitmap = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int32]
RowNumbers = npt.NDArray[np.intp]
"""What numpy indexes with: such rows need no conversion."""
Flags = npt.NDArray[np.bool_]

ROWS_PER_WORD: Final = 64
BITS: Final[Bitmap] = np.left_shift(np.uint64(1), np.arange(ROWS_PER_WORD, dtype=np.uint64))
"""`BITS[i]` has only bit i."""
BIT: Final = tuple(BITS)
"""The same as scalars, which index faster."""
NOT_BIT: Final = tuple(np.invert(BITS))
EVERY_ROW: Final = np.uint64(2**64 - 1)
"""A word in which every bit is set."""


def words_for(rows: int) -> int:
    return -(-rows // ROWS_PER_WORD)


def pack(flags: Flags) -> Bitmap:
    """A bitmap of the rows whose flag is set; the number of flags is a multiple of 64."""
    return np.packbits(flags, bitorder="little").view(np.uint64)


def unpack(bitmap: Bitmap) -> Flags:
    return np.unpackbits(bitmap.view(np.uint8), bitorder="little").view(np.bool_)


class Sparse(NamedTuple):
    """A bitmap by its words that are not empty, ascending."""

    words: RowNumbers
    bits: Bitmap

    @classmethod
    def of(cls, bitmap: Bitmap) -> Sparse:
        words = np.not_equal(bitmap, 0).nonzero()[0]  # numpy looks for true flags several times faster than for numbers
        return cls(words, bitmap.take(words))


def rows_in(sparse: Sparse) -> RowNumbers:
    """The rows, ascending."""
    places = unpack(sparse.bits).nonzero()[0]
    rows = sparse.words.take(places >> 6)
    rows <<= 6
    rows |= places & 63
    return rows


def few_rows_in(sparse: Sparse, most: int) -> list[int] | None:
    """`rows_in`, bit by bit; `None` if these are more than `most`."""
    if sparse.words.size > most:
        return None
    rows: list[int] = []
    for word, bits in zip(sparse.words.tolist(), sparse.bits.tolist(), strict=True):
        if len(rows) + bits.bit_count() > most:
            return None
        left = bits
        while left:
            lowest = left & -left
            rows.append(ROWS_PER_WORD * word + lowest.bit_length() - 1)
            left ^= lowest
    return rows


def add_rows(bitmap: Bitmap, rows: Rows) -> None:
    """Set the bits of `rows` in place."""
    np.bitwise_or.at(bitmap, rows >> 6, BITS.take(rows & 63))
