"""Sets of row numbers as bitmaps: 64 rows to a little-endian uint64 word, row r is bit r % 64 of word r // 64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Bitmap = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

ROWS_PER_WORD: Final = 64
BITS: Final[Bitmap] = np.left_shift(np.uint64(1), np.arange(ROWS_PER_WORD, dtype=np.uint64))
"""`BITS[i]` has only bit i."""
BIT: Final = tuple(BITS)
"""The same as scalars, which index faster."""
NOT_BIT: Final = tuple(np.invert(BITS))
EVERY_ROW: Final = np.uint64(2**64 - 1)
"""A word in which every bit is set."""
NO_ROWS: Final[Rows] = np.empty(0, dtype=np.int32)
FEW_WORDS: Final = 2
"""Looked through bit by bit: quicker than numpy, of which each routine that is rarely used costs most when cold."""


def words_for(rows: int) -> int:
    return -(-rows // ROWS_PER_WORD)


def pack(flags: Flags) -> Bitmap:
    """A bitmap of the rows whose flag is set; the number of flags is a multiple of 64."""
    return np.packbits(flags, bitorder="little").view(np.uint64)


def unpack(bitmap: Bitmap) -> Flags:
    return np.unpackbits(bitmap.view(np.uint8), bitorder="little").view(np.bool_)


def rows_in(bitmap: Bitmap) -> npt.NDArray[np.intp]:
    """The rows of a sparse bitmap, ascending; in the type that numpy indexes with, which saves conversions."""
    words = np.not_equal(bitmap, 0).nonzero()[0]  # numpy looks for true flags several times faster than for numbers
    if not words.size:
        return words
    if words.size <= FEW_WORDS:
        pairs = zip(words.tolist(), bitmap.take(words).tolist(), strict=True)
        return np.array([ROWS_PER_WORD * word + bit for word, bits in pairs for bit in _set_bits(bits)], dtype=np.intp)
    places = unpack(bitmap.take(words)).nonzero()[0]
    rows = words.take(places >> 6)
    rows <<= 6
    rows |= places & 63
    return rows


def _set_bits(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def add_rows(bitmap: Bitmap, rows: Rows) -> None:
    """Set the bits of `rows` in place."""
    np.bitwise_or.at(bitmap, rows >> 6, BITS.take(rows & 63))
