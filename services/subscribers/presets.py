"""Starting points that a subscriber can take and change; an admin changes them in the chat.

Those of `config/presets.toml` are the initial ones. A change of an admin lies over them: in memory, in Redis (one
field per preset) and, through the journal, in PostgreSQL.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, LiteralString, cast

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.filters.presets import Preset
from domain.filters.registry import FilterSet, Rule
from domain.stored.snapshots import PresetChange
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager, PostgresUnavailableError
from runtime.errors import UserFacingError
from services.cluster.changes import preset_changed
from services.stores import keys
from services.stores.journal import Journal, entry
from services.stores.unreadable import NOT_READABLE, Unreadable
from texts.markup import cut
from texts.sanitise import inert

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_PRESETS: Final = 30
"""As many as a menu can show."""
MAX_ABOUT_UTF16: Final = 200
INITIAL: Final = 0
"""Before the first change."""
_KEY_LENGTH: Final = 20
"""Leaves room for a number behind a key that is taken."""

_HISTORY: Final[LiteralString] = """
    SELECT document, count(*) OVER () AS total FROM preset_changes WHERE key = $1
    ORDER BY revision DESC OFFSET $2 LIMIT $3
"""
_REVISION: Final[LiteralString] = "SELECT document FROM preset_changes WHERE key = $1 AND revision = $2"
_ALL: Final[LiteralString] = "SELECT key, document FROM presets ORDER BY changed_at, key"


class PresetHistory(Struct, frozen=True, kw_only=True):
    total: int
    changes: Sequence[PresetChange]
    """One page, the latest first."""


class PresetsStore:
    """Where the changes last. `TransientError` when Redis is unavailable."""

    def __init__(self, redis: RedisManager, postgres: PostgresManager, journal: Journal, owner: str = "") -> None:
        """`owner`: the process by whom changes are made (`services.cluster.changes`)."""
        self._redis = redis
        self._postgres = postgres
        self._journal = journal
        self._owner = owner
        self.unreadable = Unreadable[str]("preset")

    async def save(self, change: PresetChange) -> None:
        document = _encoded(change)
        await self._journal.append_with(
            [("HSET", keys.PRESETS.of(), change.key, document), preset_changed(change.key, self._owner)],
            [entry("preset", document)],
        )

    async def load(self) -> list[PresetChange]:
        """Return all changes, the oldest first; what an emptied Redis lacks is put back.

        One of the two stores is enough; without either `PostgresUnavailableError`. What cannot be read is left out,
        and stays as it is.
        """
        broken = set[str]()
        in_redis = await self._in_redis(broken)
        try:
            rows = await self._postgres.fetch(_ALL)
        except PostgresUnavailableError as error:
            if in_redis is None:
                raise
            log.warning("presets_loaded_from_redis", reason=str(error))
            rows = []
        changes = dict(in_redis or {})
        broken_in_redis = frozenset(broken)
        for row in rows:
            change = self._read(row["key"], row["document"], broken)
            if change and (change.key not in changes or changes[change.key].revision < change.revision):
                changes[change.key] = change
        if in_redis is not None:
            lacks = {key: one for key, one in changes.items() if in_redis.get(key) != one}
            await self._put_back([one for key, one in lacks.items() if key not in broken_in_redis])
        for key in self.unreadable.standing:
            if key not in broken:
                self.unreadable.clear(key)
        return sorted(changes.values(), key=lambda change: (change.changed_at, change.key))

    async def history(self, key: str, offset: int, limit: int) -> PresetHistory:
        """What was changed in this moment may be lacking. `TransientError` while PostgreSQL is away."""
        rows = await self._postgres.fetch(_HISTORY, key, offset, limit)
        changes = [msgspec.json.decode(row["document"], type=PresetChange) for row in rows]
        return PresetHistory(total=cast("int", rows[0]["total"]) if rows else 0, changes=changes)

    async def revision(self, key: str, revision: int) -> PresetChange | None:
        row = await self._postgres.fetch_row(_REVISION, key, revision)
        return msgspec.json.decode(row["document"], type=PresetChange) if row else None

    def _read(self, key: str, document: bytes | str, broken: set[str]) -> PresetChange | None:
        try:
            return msgspec.json.decode(document, type=PresetChange)
        except NOT_READABLE as error:
            self.unreadable.note(key, error, "Redis" if isinstance(document, bytes) else "PostgreSQL")
            broken.add(key)
            return None

    async def _in_redis(self, broken: set[str]) -> dict[str, PresetChange] | None:
        try:
            documents = await self._redis.hgetall(keys.PRESETS.of())
        except RedisUnavailableError as error:
            log.warning("presets_loaded_from_postgresql", reason=str(error))
            return None
        read = {key: self._read(key, document, broken) for key, document in documents.items()}
        return {key: change for key, change in read.items() if change is not None}

    async def _put_back(self, changes: Iterable[PresetChange]) -> None:
        try:
            await self._redis.hset(keys.PRESETS.of(), {change.key: _encoded(change) for change in changes})
        except RedisUnavailableError as error:
            log.warning("presets_not_put_back", reason=str(error))


def _encoded(change: PresetChange) -> bytes:
    return msgspec.json.encode(change, order="sorted")


class PresetsService:
    def __init__(self, initial: Iterable[Preset], *, store: PresetsStore, clock: Callable[[], datetime]) -> None:
        self._initial = {preset.key: preset for preset in initial}
        self._presets = dict(self._initial)
        self._store = store
        self._clock = clock
        self._revisions: dict[str, int] = {}
        self._changing = asyncio.Lock()

    async def restore(self) -> Sequence[str]:
        """Lay the stored changes over the initial presets; returns the keys that were changed or removed."""
        changes = await self._store.load()
        for change in changes:
            if change.revision > self._revisions.get(change.key, 0):
                self._lay_over(change)
        return [change.key for change in changes]

    def all(self) -> tuple[Preset, ...]:
        return tuple(self._presets.values())

    def get(self, key: str) -> Preset | None:
        return self._presets.get(key)

    def find(self, key: str) -> Preset:
        """Return the preset or raise `UserFacingError("preset.unknown")`: the key comes from outside."""
        try:
            return self._presets[key]
        except KeyError:
            raise UserFacingError("preset.unknown", typed=key) from None

    async def add(self, name: str, rules: Mapping[str, Rule], admin_id: int) -> Preset:
        """Make a preset; its key is made from its name."""
        async with self._changing:
            if len(self._presets) >= MAX_PRESETS:
                raise UserFacingError("preset.too_many", limit=MAX_PRESETS)
            preset = Preset(key=self._free_key(name), name=name, rules=dict(rules))
            return await self._put(preset, admin_id)

    async def change(self, key: str, change: Callable[[Preset], Preset], admin_id: int) -> Preset:
        async with self._changing:
            before = self.find(key)
            after = change(before)
            return before if after == before else await self._put(after, admin_id)

    async def set_rules(self, key: str, rules: Mapping[str, Rule], admin_id: int) -> Preset:
        return await self.change(key, lambda preset: replace(preset, rules=dict(rules)), admin_id)

    async def rename(self, key: str, name: str, admin_id: int) -> Preset:
        return await self.change(key, lambda preset: replace(preset, name=name), admin_id)

    async def describe(self, key: str, typed: str, admin_id: int) -> Preset:
        """Take what an admin typed, made harmless and cut at `MAX_ABOUT_UTF16`."""
        about = inert(cut(typed, MAX_ABOUT_UTF16), MAX_ABOUT_UTF16, copyable=True)
        return await self.change(key, lambda preset: replace(preset, about=about), admin_id)

    async def history(self, key: str, offset: int, limit: int) -> PresetHistory:
        return await self._store.history(key, offset, limit)

    def initial(self, key: str) -> Preset | None:
        """Return what a preset is before anybody changes it; it is no change, and has the revision `INITIAL`."""
        return self._initial.get(key)

    async def at(self, key: str, revision: int) -> Preset:
        """Return what a preset was by a change. `UserFacingError` where it is gone, or there was none."""
        if revision == INITIAL:
            former = self.initial(key)
        else:
            change = await self._store.revision(key, revision)
            former = change.preset if change else None
        if former is None:
            raise UserFacingError("callback.stale")
        return former

    async def restore_revision(self, key: str, revision: int, admin_id: int) -> Preset:
        """Let a preset be again what it was; see `at`."""
        former = await self.at(key, revision)
        return await self.change(key, lambda _preset: former, admin_id)

    async def remove(self, key: str, admin_id: int) -> None:
        async with self._changing:
            self.find(key)
            await self._store_change(key, None, admin_id)

    def followed(self, filter_set: FilterSet) -> FilterSet:
        """Return the set with the rules of the preset that it follows; a preset that is gone is followed no more.

        One that cannot be read is followed by the rules that the set has of it.
        """
        if filter_set.follows is None:
            return filter_set
        if filter_set.follows in self._store.unreadable and filter_set.follows not in self._revisions:
            return filter_set
        preset = self._presets.get(filter_set.follows)
        if preset is None:
            return replace(filter_set, follows=None)
        return filter_set if filter_set.rules == preset.rules else replace(filter_set, rules=dict(preset.rules))

    async def _put(self, preset: Preset, admin_id: int) -> Preset:
        await self._store_change(preset.key, preset, admin_id)
        return preset

    async def _store_change(self, key: str, preset: Preset | None, admin_id: int) -> None:
        change = PresetChange(
            key=key,
            preset=preset,
            revision=self._revisions.get(key, 0) + 1,
            changed_at=self._clock(),
            changed_by=admin_id,
        )
        await self._store.save(change)
        self._lay_over(change)
        log.info("preset_changed", key=key, removed=preset is None, revision=change.revision, admin_id=admin_id)

    def _lay_over(self, change: PresetChange) -> None:
        self._revisions[change.key] = change.revision
        if change.preset is None:
            self._presets.pop(change.key, None)
        else:
            self._presets[change.key] = change.preset

    def _free_key(self, name: str) -> str:
        words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:_KEY_LENGTH].strip("_") or "preset"
        taken = self._presets.keys() | self._revisions.keys()
        number, key = 1, words
        while key in taken:
            number += 1
            key = f"{words}_{number}"
        return key
