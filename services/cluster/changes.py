"""What one process changes and others have in memory: subscribers and presets, told by a stream.

Whoever stores a change appends to the stream in the same script or transaction; every process reads it and takes up
what the others changed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from msgspec import Struct

from managers.redis.client import Command, RedisManager, StreamEntry
from runtime.cancellation import stop_if_cancelled
from runtime.waiting import Progress
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


CHANGES_KEPT: Final = 100_000
_COUNT: Final = 1_000
_BLOCK_MS: Final = 2_000


def preset_changed(key: str, by: str) -> Command:
    """Return the command that tells of a changed preset, for the MULTI of the change."""
    return ("XADD", keys.CHANGES.of(), "MAXLEN", "~", CHANGES_KEPT, "*", "preset", key, "by", by)


class OnChange(Struct, frozen=True, kw_only=True):
    """What to do about what others changed; each may be called again for the same change."""

    subscriber: Callable[[int], Awaitable[None]]
    """Read the subscriber of this user id anew."""
    preset: Callable[[str], Awaitable[None]]
    """Read the preset of this key anew."""
    everything: Callable[[Progress], Awaitable[None]]
    """Read everything anew, step by step: nobody can tell any more what was changed."""


class Changes:
    def __init__(self, redis: RedisManager, owner: str, *, kept: int = CHANGES_KEPT) -> None:
        self._redis = redis
        self._owner = owner
        self._kept = kept
        self._read_to: str | None = None

    async def open(self) -> None:
        """Remember where the stream is now. Before everything is read: what changes from then on, `tail` tells."""
        # A mark of our own, even in an empty stream: as long as it is there, nothing after it was trimmed.
        mark = ("XADD", keys.CHANGES.of(), "MAXLEN", "~", self._kept, "*", "by", self._owner)
        (reply,) = await self._redis.transaction([mark])
        if not isinstance(reply, bytes):
            raise TypeError("XADD returns the id of the entry")
        self._read_to = reply.decode()

    async def tail(self, progress: Progress, on_change: OnChange) -> None:
        """Tell what others change, for ever. `RedisUnavailableError`: call it again, it goes on where it was."""
        while True:
            stop_if_cancelled()
            progress()
            if self._read_to is None:
                await self._begin_anew(on_change, progress)
            else:
                await self._read_on(self._read_to, on_change, progress)

    async def _read_on(self, read_to: str, on_change: OnChange, progress: Progress) -> None:
        found = await self._redis.xread(keys.CHANGES.of(), after=read_to, count=_COUNT, block_ms=_BLOCK_MS)
        if not found:
            return
        if not await self._redis.xrange(keys.CHANGES.of(), start=read_to, end=read_to, count=1):
            # Trimmed, and who knows what else with it; or Redis was emptied.
            log.warning("changes_missed", read_to=read_to)
            self._read_to = None
            return
        await self._apply(found, on_change, progress)
        self._read_to = found[-1].id

    async def _begin_anew(self, on_change: OnChange, progress: Progress) -> None:
        await self.open()
        opened, self._read_to = self._read_to, None
        await on_change.everything(progress)
        self._read_to = opened  # only now: were it interrupted, everything would have to be read again

    async def _apply(self, found: Sequence[StreamEntry], on_change: OnChange, progress: Progress) -> None:
        others = [entry.fields for entry in found if entry.fields.get("by") != self._owner.encode()]
        for user_id in dict.fromkeys(fields["user_id"] for fields in others if "user_id" in fields):
            progress()
            await on_change.subscriber(int(user_id))
        for key in dict.fromkeys(fields["preset"] for fields in others if "preset" in fields):
            progress()
            await on_change.preset(key.decode())
