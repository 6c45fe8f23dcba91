from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domain.matching.bits import ROWS_PER_WORD, Sparse, add_rows, few_rows_in, rows_in

WORDS = 12


@given(rows=st.sets(st.integers(0, WORDS * ROWS_PER_WORD - 1)), most=st.integers(0, 20))
def test_the_rows_of_a_bitmap_are_those_that_were_added_in_order(rows: set[int], most: int) -> None:
    bitmap = np.zeros(WORDS, dtype=np.uint64)
    add_rows(bitmap, np.array(list(rows), dtype=np.int32))
    sparse = Sparse.of(bitmap)
    assert rows_in(sparse).tolist() == sorted(rows)
    assert few_rows_in(sparse, most) == (sorted(rows) if len(rows) <= most else None)
