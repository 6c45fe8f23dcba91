"""Of the rows that pass a call: which one each subscriber has it by, and which others of theirs pass as well."""

from __future__ import annotations

import numpy as np

from domain.calls.events import Call
from domain.matching.bits import Rows
from domain.matching.directory import Slots
from domain.matching.index import FilterIndex


def first_of_each(index: FilterIndex, rows: Rows) -> Rows:
    """Of the rows of one subscriber the one with the lowest number."""
    if rows.size == 1:
        return rows
    slots = index.slots[rows].astype(np.int64)
    order = np.argsort((slots << 32) | index.numbers[rows])
    slots = slots[order]
    is_first = np.ones(len(slots), dtype=np.bool_)
    np.not_equal(slots[1:], slots[:-1], is_first[1:])
    return rows[order[is_first]]


def further_of_each(index: FilterIndex, rows: Rows, first: Rows) -> dict[int, tuple[int, ...]]:
    """The numbers of the rows that are not in `first`, ascending, by user id; most calls have none."""
    if rows.size == first.size:
        return {}
    further = np.setdiff1d(rows, first, assume_unique=True)
    found: dict[int, tuple[int, ...]] = {}
    for user_id, number in sorted(zip(index.owners[further].tolist(), index.numbers[further].tolist(), strict=True)):
        found[user_id] = (*found.get(user_id, ()), number)
    return found


def passing_of(index: FilterIndex, call: Call, slots: Slots) -> Rows:
    """All rows of these subscribers that pass."""
    wanted = index.bitmap()
    index.mark(wanted, slots)
    return index.match(call, np.invert(wanted, wanted))
