"""What this process journaled and PostgreSQL may not know yet: a Redis that was emptied gets it back."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from managers.redis.client import Command

MAX_BYTES: Final = 32 * 1024 * 1024
"""What is kept; with PostgreSQL away for long and Redis emptied then, older entries are gone."""


class Noted:
    __slots__ = ("at", "entry", "is_kept")

    def __init__(self, at: float, entry: Command, *, is_kept: bool) -> None:
        self.at = at
        self.entry = entry
        self.is_kept = is_kept
        """Whether the local store has it, too."""


class JournalTail:
    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most_bytes: int = MAX_BYTES) -> None:
        self._clock = clock
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: deque[Noted] = deque()
        self._some_are_kept = False
        self.redis_has_all: Callable[[], bool] = lambda: True
        """Whether nothing of it waits in a local store, or may be lost unnoticed. `services.stores.spool` knows."""

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, entries: Iterable[Command], *, kept: bool = False) -> None:
        """Keep entries (from `services.stores.journal.entry`) that are in the journal by now.

        `kept`: they are in the local store, too.
        """
        at = self._clock()
        self._some_are_kept |= kept
        for entry in entries:
            self._entries.append(Noted(at, entry, is_kept=kept))
            self._bytes += _size_bytes(entry)
        while self._bytes > self._most_bytes:
            self._drop()

    def forget(self, noted_before: float) -> None:
        """Everything noted before that moment of the clock is in PostgreSQL."""
        while self._entries and self._entries[0].at < noted_before:
            self._drop()

    def _drop(self) -> None:
        self._bytes -= _size_bytes(self._entries.popleft().entry)

    def told_before(self) -> float:
        """Return the moment before which everything noted has come into the journal.

        Ask before the journal is read: what comes into it afterwards may have been noted long before.
        """
        return self._clock() if self.redis_has_all() else -math.inf

    def entries(self) -> list[Command]:
        return [noted.entry for noted in self._entries]

    def not_kept(self) -> list[Noted]:
        """Return what the local store does not have."""
        return [noted for noted in self._entries if not noted.is_kept]

    def keep(self, entries: Iterable[Noted]) -> None:
        """The local store has them by now."""
        self._some_are_kept = True
        for noted in entries:
            noted.is_kept = True

    def keep_none(self) -> None:
        """What the local store had has left it."""
        if self._some_are_kept:
            self._some_are_kept = False
            for noted in self._entries:
                noted.is_kept = False


def _size_bytes(entry: Command) -> int:
    payload = entry[-1]
    return len(payload) if isinstance(payload, bytes) else 0
