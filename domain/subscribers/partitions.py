"""Subscribers in fixed parts, so that work on them can be divided among processes and handed over part by part."""

from __future__ import annotations

from typing import Final

PARTITIONS: Final = 16
"""How many parts there are; never changed once alerts wait in a store."""

Partition = int
"""From 0 to `PARTITIONS` - 1."""
ALL: Final[frozenset[Partition]] = frozenset(range(PARTITIONS))


def partition_of(user_id: int) -> Partition:
    """The part to which everything about a subscriber belongs: their matching and their sending."""
    return user_id % PARTITIONS
