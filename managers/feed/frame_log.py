"""What is said of frames that cannot be read, or that refuse us: in a few lines, whatever a feed sends."""

from __future__ import annotations

from typing import Final

EXCERPT_CHARACTERS: Final = 120
REFUSED: Final = "it says: "
"""Before the words with which the feed itself refuses us."""


class LogBudget:
    """So many lines a minute; the rest is only counted, so that a flood of junk does not fill the disk."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._minute = -1
        self._spent = 0
        self._unlogged = 0

    def spend(self, now_s: float) -> int | None:
        """How many lines were kept back since the last one, or `None` if this one is to be, too."""
        minute = int(now_s // 60)
        if minute != self._minute:
            self._minute, self._spent = minute, 0
        if self._spent >= self._per_minute:
            self._unlogged += 1
            return None
        self._spent += 1
        unlogged, self._unlogged = self._unlogged, 0
        return unlogged


def printable(text: str) -> str:
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return shown[:EXCERPT_CHARACTERS]
