"""The tracker in parts, in PostgreSQL, so that another process goes on where this one was.

Several processes may write at once while a lease changes hands: whatever stands there is a true state, with the number
of the call from which on calls are to be read again. What was written down since is put into it when it is restored.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString

from msgspec import Struct

from managers.storage.postgres import PostgresManager

_LEVEL: Final = 1
_PUT: Final[LiteralString] = """
    INSERT INTO tracker_snapshots (chunk, next_number, taken_at, data)
    SELECT * FROM unnest($1::int[], $2::bigint[], $3::timestamptz[], $4::bytea[])
    ON CONFLICT (chunk) DO UPDATE SET
        next_number = excluded.next_number, taken_at = excluded.taken_at, data = excluded.data
"""
_ALL: Final[LiteralString] = "SELECT chunk, next_number, taken_at, data FROM tracker_snapshots WHERE chunk < $1"


class Part(Struct, frozen=True, kw_only=True):
    chunk: int
    next_number: int
    """Calls from this one on are not in it."""
    taken_at: datetime
    packed: bytes

    @property
    def data(self) -> bytes:
        """Raises `zlib.error` when it is damaged."""
        return zlib.decompress(self.packed)


def packed(data: bytes) -> bytes:
    return zlib.compress(data, _LEVEL)


class Snapshots:
    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres

    async def put(self, parts: Sequence[Part]) -> None:
        columns = (
            [part.chunk for part in parts],
            [part.next_number for part in parts],
            [part.taken_at for part in parts],
            [part.packed for part in parts],
        )
        await self._postgres.execute(_PUT, *columns)

    async def all(self, chunks: int) -> list[Part]:
        parts: list[Part] = []
        async for rows in self._postgres.stream(_ALL, chunks, batch=8):
            parts += (
                Part(chunk=row["chunk"], next_number=row["next_number"], taken_at=row["taken_at"], packed=row["data"])
                for row in rows
            )
        return parts
