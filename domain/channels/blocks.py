"""Whether the whole other side refuses us, or only one channel of it: who is refused alone waits alone.

It may say so ("too many requests"), or answer several channels in a row with anything but a page: 403, 503, a
challenge.
Times are those of a clock that only goes forward.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

FIRST_BLOCK_S: Final = 30.0
MAX_BLOCK_S: Final = 900.0
IN_A_ROW: Final = 5
"""So many channels that are answered without a page, and none with one between them, are a block."""
PROBES: Final = 2
"""Likewise, once it is one."""
_DOUBLINGS: Final = 10


class Block:
    def __init__(self) -> None:
        self.since: datetime | None = None
        """Until a page is read again."""
        self.because: str = ""
        self._until_s = 0.0
        self._times = 0
        self._is_refused = False
        """Somebody was told to wait since a page was read."""
        self._unserved: set[str] = set()
        """Channels that were answered without a page since one was read, or since the last wait began."""
        self._may_end_early = False

    def is_on(self, now_s: float) -> bool:
        """Whether nothing is to be asked for."""
        return now_s < self._until_s

    @property
    def needs_probe(self) -> bool:
        """Whether a page has to be read before everybody goes on: one channel at a time is asked for."""
        return self.since is not None

    def answered(self) -> None:
        """A page was read."""
        if self._may_end_early:
            self._until_s, self._may_end_early = 0.0, False
        self._is_refused = False
        self._unserved.clear()
        self._times, self.since, self.because = 0, None, ""

    def refused(self, because: str, *, for_s: float | None, is_only: bool, now_s: float, now: datetime) -> bool:
        """Somebody was told to wait. Returns whether everybody has to: that is so from the second one on.

        `is_only`: no other channel is read.
        """
        if not self._is_refused and not is_only:
            self._is_refused = True
            return False
        self._begin(because, for_s, now_s, now, may_end_early=False)
        return True

    def unserved(self, channel: str, because: str, *, channels: int, now_s: float, now: datetime) -> None:
        """A channel, of so many, was answered without a page."""
        self._unserved.add(channel)
        needed = PROBES if self.since is not None else max(PROBES, min(IN_A_ROW, channels))
        if len(self._unserved) >= needed:
            self._unserved.clear()
            self._begin(because, None, now_s, now, may_end_early=True)

    def _begin(self, because: str, for_s: float | None, now_s: float, now: datetime, *, may_end_early: bool) -> None:
        if not self.is_on(now_s):
            self._until_s = now_s + wait_s(for_s, self._times)
            self._times += 1
            self._may_end_early = may_end_early
        self.since = self.since or now
        self.because = because


def wait_s(for_s: float | None, times: int) -> float:
    """How long who was refused waits: as long as they are asked to, or longer each time."""
    return min(MAX_BLOCK_S, for_s if for_s is not None else FIRST_BLOCK_S * 2 ** min(times, _DOUBLINGS))
