from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domain.bits import ROWS_PER_WORD, add_rows, rows_in

WORDS = 12


@given(rows=st.sets(st.integers(0, WORDS * ROWS_PER_WORD - 1)))
def test_the_rows_of_a_bitmap_are_those_that_were_added_in_order(rows: set[int]) -> None:
    """Few words and many are looked through in different ways."""
    bitmap = np.zeros(WORDS, dtype=np.uint64)
    add_rows(bitmap, np.array(list(rows), dtype=np.int32))
    assert rows_in(bitmap).tolist() == sorted(rows)
