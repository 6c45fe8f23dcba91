"""Which channels are one, for statements: rows keep the channel that called, and are counted for its main one."""

# ruff: noqa: S608 - put together of constants alone: the type checker refuses anything else

from __future__ import annotations

from typing import Final, LiteralString

MERGED: Final[LiteralString] = (
    "(SELECT subject AS channel_id, main FROM controls WHERE name = 'merged' AND until IS NULL)"
)
"""A row for each channel that is another one."""


def counted_for(channel: LiteralString) -> LiteralString:
    """Return the ids of all channels whose calls count for the one that an expression names, as an array."""
    return (
        "ARRAY(SELECT " + channel + " UNION ALL SELECT subject FROM controls WHERE name = 'merged' AND until IS NULL"
        " AND main = " + channel + ")"
    )
