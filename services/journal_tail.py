"""What this process journaled and PostgreSQL may not know yet: a Redis that was emptied gets it back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from managers.redis import Command

MOST_BYTES: Final = 32 * 1024 * 1024
"""What is kept; with PostgreSQL away for long and Redis emptied then, older entries are gone."""


class JournalTail:
    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most_bytes: int = MOST_BYTES) -> None:
        self._clock = clock
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: deque[tuple[float, Command]] = deque()
        self._kept = 0
        """So many of the oldest were written down elsewhere."""

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, entries: Iterable[Command]) -> None:
        """Keep entries (from `services.journal.entry`) that are in the journal by now."""
        at = self._clock()
        for entry in entries:
            self._entries.append((at, entry))
            self._bytes += _size_bytes(entry)
        while self._bytes > self._most_bytes:
            self._drop()

    def forget(self, noted_before: float) -> None:
        """Everything noted before that moment of the clock is in PostgreSQL."""
        while self._entries and self._entries[0][0] < noted_before:
            self._drop()

    def _drop(self) -> None:
        _, entry = self._entries.popleft()
        self._bytes -= _size_bytes(entry)
        self._kept = max(0, self._kept - 1)

    def now(self) -> float:
        return self._clock()

    def to_keep(self) -> list[Command]:
        """Return what was not written down elsewhere yet (`keep`)."""
        return [entry for _, entry in islice(self._entries, self._kept, None)]

    def keep(self, entries: int) -> None:
        """So many of the first of `to_keep` are written down elsewhere by now."""
        self._kept = min(len(self._entries), self._kept + entries)

    def keep_none(self) -> None:
        """Nothing is written down elsewhere (any more)."""
        self._kept = 0

    def entries(self) -> list[Command]:
        return [entry for _, entry in self._entries]


def _size_bytes(entry: Command) -> int:
    payload = entry[-1]
    return len(payload) if isinstance(payload, bytes) else 0
