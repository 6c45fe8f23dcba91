"""Who is matched here follows what is stored: loaded at start, read anew when another process changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress

import structlog

from domain.filters.presets import Preset
from domain.filters.registry import FilterSet
from domain.subscribers.partitions import ALL, Partition, partition_of
from runtime.errors import TransientError, UnreadableError
from runtime.waiting import Progress
from services.subscribers.presets import PresetsService
from services.subscribers.roster import Roster
from services.subscribers.store import SubscribersStore
from services.subscribers.subscribers import Subscribers

log = structlog.get_logger(__name__)

_LOADED_AT_ONCE = 250
"""Sets that a preset's change writes into the matcher before calls get their turn again."""
_SAVED_AT_ONCE = 50

PROGRESS_EVERY = 50_000
"""Subscribers loaded between two lines at the terminal."""


class RosterLoading:
    def __init__(
        self, *, store: SubscribersStore, roster: Roster, subscribers: Subscribers, presets: PresetsService
    ) -> None:
        self._store = store
        self._roster = roster
        self._subscribers = subscribers
        self._presets = presets

    async def load(self, say: Callable[[str], None] = lambda _: None, partitions: Collection[Partition] = ALL) -> int:
        """Fill the matcher from the store, batch by batch; returns how many subscribers are known then.

        May run while calls are decided and subscribers change: who is known already has the newer document.
        """
        for key in await self._presets.restore():
            await self.follow_preset(key)
        roster = self._roster
        async for batch in self._store.load_all():
            before = len(roster)
            roster.load(self._subscribers.resolved(s) for s in batch if partition_of(s.user_id) in partitions)
            if len(roster) // PROGRESS_EVERY > before // PROGRESS_EVERY:
                say(f"Loading subscribers: {len(roster):,} so far.")
        try:
            await self.look_again(lambda: partitions)
        except TransientError as error:
            log.warning("unreadable_not_looked_at", reason=str(error))
        log.info("subscribers_loaded", total=len(roster))
        return len(roster)

    async def unload(self, partitions: Collection[Partition]) -> None:
        """Match nobody of these partitions any more."""
        for part in _parts(self._roster.of(partitions), _LOADED_AT_ONCE):
            self._roster.forget(part)
            await asyncio.sleep(0)

    async def refresh(self, user_id: int, partitions: Callable[[], Collection[Partition]] = lambda: ALL) -> None:
        """Read a subscriber anew whom another process changed. `partitions`: who is matched here, at any moment.

        Who cannot be read is matched as before.
        """
        self._store.forget(user_id)
        if partition_of(user_id) in partitions():
            with suppress(UnreadableError):
                await self._read_anew(user_id, partitions)

    async def look_again(
        self, partitions: Callable[[], Collection[Partition]] = lambda: ALL, progress: Progress = lambda: None
    ) -> None:
        """Read those anew who could not be read; who can be by now is matched again. `TransientError`: later."""
        for user_id in self._store.unreadable.standing:
            progress()
            self._store.forget(user_id)
            with suppress(UnreadableError):
                await self._read_anew(user_id, partitions)

    async def _read_anew(self, user_id: int, partitions: Callable[[], Collection[Partition]]) -> None:
        subscriber = await self._subscribers.find(user_id)
        if subscriber is None:  # they were deleted
            self._roster.forget([user_id])
        elif partition_of(user_id) in partitions():
            self._roster.put(subscriber)

    async def reload(self, partitions: Collection[Partition] = ALL, progress: Progress = lambda: None) -> None:
        """Read everybody anew: nobody can tell any more whom other processes changed."""
        self._store.forget_all()
        await self._presets.restore()
        if not partitions:
            return
        not_found = set(self._roster.of(partitions))
        async for batch in self._store.load_all():
            for subscriber in batch:
                not_found.discard(subscriber.user_id)
                if partition_of(subscriber.user_id) in partitions:
                    self._roster.put(self._subscribers.resolved(subscriber))
            progress()
            await asyncio.sleep(0)
        for user_id in not_found:  # deleted, unless they came meanwhile
            await self.refresh(user_id, lambda: partitions)

    async def refresh_preset(self, key: str) -> None:
        """Read the presets anew, of which another process changed one. It saves the followers' documents itself."""
        await self._presets.restore()
        await self._load_followers(key)

    async def follow_preset(self, preset_key: str) -> int:
        """Bring a changed preset to all who follow it; returns how many they are.

        Into the matcher first, then into the documents; both in parts, so that calls get their turn in between. A
        document that cannot be saved now is right when it is read, and saved with its next change.
        """
        user_ids = self._roster.followers.of(preset_key)
        await self._load_followers(preset_key)
        for part in _parts(user_ids, _SAVED_AT_ONCE):
            saving = (self._subscribers.change(user_id, lambda s: s) for user_id in part)
            for error in await asyncio.gather(*saving, return_exceptions=True):
                if isinstance(error, TransientError | UnreadableError):
                    log.warning("follower_not_saved", preset=preset_key, reason=str(error))
                elif isinstance(error, BaseException):
                    raise error
        return len(user_ids)

    async def _load_followers(self, preset_key: str) -> None:
        preset = self._presets.get(preset_key)
        if preset is None:  # of one that is gone the rules stay
            return
        for part in _parts(self._roster.followers.of(preset_key), _LOADED_AT_ONCE):
            self._roster.matcher.load(self._following(preset, part))
            await asyncio.sleep(0)

    def _following(self, preset: Preset, user_ids: Iterable[int]) -> Iterator[FilterSet]:
        """Return what the matcher needs of the followers' enabled sets, as they are now."""
        for user_id in user_ids:
            if self._roster.state(user_id) == "receiving":
                for number in self._roster.followers.enabled_sets(preset.key, user_id):
                    yield FilterSet(user_id=user_id, number=number, name=preset.key, rules=preset.rules)


def _parts(user_ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (user_ids[start : start + size] for start in range(0, len(user_ids), size))
