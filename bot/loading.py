"""Subscribers in memory: loaded while calls already flow, and kept right when another process changes something."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from bot.roles import Role
from runtime.counted import counted
from runtime.retry import retry_until_done
from runtime.supervision import Progress
from runtime.waiting import pause
from services.cluster.changes import Changes, OnChange
from services.cluster.ownership import Ownership
from services.subscribers.group import SubscriberServices

UNREADABLE_EVERY_S: Final = 60.0


class SubscribersInMemory:
    def __init__(
        self,
        *,
        subscribers: SubscriberServices,
        ownership: Ownership,
        changes: Changes,
        role: Role,
        say: Callable[[str], None],
    ) -> None:
        self._subscribers = subscribers
        self._ownership = ownership
        self._changes = changes
        self._role: Role = role
        self._say = say

    async def load(self) -> None:
        """Load what this role needs at the start. Nobody misses a call because they were loaded late."""
        if self._role == "send":
            await retry_until_done(self._subscribers.presets.restore)  # sets that follow one have its rules
        if self._role not in {"all", "gateway"}:
            return
        started_at = time.monotonic()
        total = await retry_until_done(partial(self._subscribers.loading.load, self._say))
        self._say(f"Loaded after {time.monotonic() - started_at:.1f} s: {counted(total, 'subscriber')}.")

    async def follow_changes(self, progress: Progress) -> None:
        """Take up what other processes change, for ever."""
        loading = self._subscribers.loading
        on_change = OnChange(
            subscriber=partial(loading.refresh, partitions=self._ownership.matched),
            preset=loading.refresh_preset,
            everything=self._reload,
        )
        await self._changes.tail(progress, on_change)

    async def put_back(self, progress: Progress) -> None:
        """Match those again who ran out by a clock that was ahead."""
        if self._subscribers.roster.forget_ended_early():
            await self._reload(progress)

    async def look_again(self, progress: Progress) -> None:
        """Try those again, for ever, whose documents could not be read."""
        loading, matched = self._subscribers.loading, self._ownership.matched
        while True:
            await pause(UNREADABLE_EVERY_S, progress)
            await retry_until_done(partial(loading.look_again, matched, progress), progress)

    async def _reload(self, progress: Progress) -> None:
        await self._subscribers.loading.reload(self._ownership.matched(), progress)
