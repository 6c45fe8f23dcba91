"""Of the rows that pass a call: which one each subscriber has it by, and which others of theirs pass as well."""

from __future__ import annotations

import numpy as np

from domain.calls.events import Call
from domain.matching.bits import Rows
from domain.matching.index import FilterIndex


def first_of_each(index: FilterIndex, rows: Rows) -> tuple[Rows, Rows]:
    """Of the rows of one subscriber the one with the lowest number; and the others, which most calls do not have."""
    if rows.size == 1:
        return rows, rows[:0]
    slots = index.slots[rows].astype(np.int64)
    order = np.argsort((slots << 32) | index.numbers[rows])
    slots = slots[order]
    is_first = np.ones(len(slots), dtype=np.bool_)
    np.not_equal(slots[1:], slots[:-1], is_first[1:])
    first = rows[order[is_first]]
    return first, rows[order[~is_first]] if first.size < rows.size else rows[:0]


def others_passing(index: FilterIndex, call: Call, first: Rows) -> Rows:
    """Of the subscribers of these rows all other rows that pass."""
    wanted = index.bitmap()
    index.mark(wanted, index.slots[first])
    return np.setdiff1d(index.match(call, np.invert(wanted, wanted)), first)


def numbers_of_each(index: FilterIndex, rows: Rows) -> dict[int, tuple[int, ...]]:
    """The numbers of these rows, ascending, by user id."""
    found: dict[int, tuple[int, ...]] = {}
    for user_id, number in sorted(zip(index.owners[rows].tolist(), index.numbers[rows].tolist(), strict=True)):
        found[user_id] = (*found.get(user_id, ()), number)
    return found
