"""Subscribers: the one place where their documents change.

Every change is saved (Redis and journal in one MULTI) and then written into the matcher before the caller goes
on, so the next call already obeys what the bot confirms. A set that follows a preset has the preset's rules whenever
it is read, whatever its document still says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from weakref import WeakValueDictionary

import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.filters.presets import Preset
from domain.filters.registry import FilterSet, Missing, Rule
from domain.matching.matcher import Matcher
from domain.subscribers.partitions import ALL, Partition, partition_of
from domain.subscribers.subscriber import Preferences, Subscriber
from runtime.errors import TransientError, UserFacingError
from services.payments.subscriptions import TRIAL, SubscriptionsService
from services.subscribers.filter_sets import (
    FIELD_KEYS,
    check_size,
    set_name,
    set_of,
    with_channel_turned,
    with_missing,
    with_rule,
)
from services.subscribers.presets import PresetsService
from services.subscribers.receivers import Receivers, State, UserCounts, state_of
from services.subscribers.store import StaleSubscriberError, SubscribersStore
from services.subscribers.versions import SetVersion, SubscriberHistory

log = structlog.get_logger(__name__)

__all__ = ["Opened", "Placed", "State", "UserCounts", "UsersService", "state_of"]

_LOADED_AT_ONCE = 250
"""Sets that a preset's change writes into the matcher before calls get their turn again."""
_SAVED_AT_ONCE = 50
_ATTEMPTS = 3

PROGRESS_EVERY = 50_000
"""Subscribers loaded between two lines at the terminal."""


class Opened(Struct, frozen=True):
    subscriber: Subscriber
    created: bool


class Placed(Struct, frozen=True):
    """A set that was added, or found to be there already."""

    subscriber: Subscriber
    number: int

    @property
    def filter_set(self) -> FilterSet:
        return next(s for s in self.subscriber.filter_sets if s.number == self.number)


class UsersService:
    def __init__(
        self,
        *,
        store: SubscribersStore,
        matcher: Matcher,
        presets: PresetsService,
        subscriptions: SubscriptionsService,
        history: SubscriberHistory,
        clock: Callable[[], datetime],
        returned: Callable[[int, datetime], Awaitable[None]] | None = None,
    ) -> None:
        """`returned`: told of everybody who can be written to again."""
        self._store = store
        self._receivers = Receivers(matcher, clock)
        self._presets = presets
        self._subscriptions = subscriptions
        self._history = history
        self._clock = clock
        self._returned = returned
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def load(self, say: Callable[[str], None] = lambda _: None, partitions: Collection[Partition] = ALL) -> int:
        """Fill the matcher from the store, batch by batch; returns how many subscribers are known then.

        May run while calls are decided and subscribers change: who is known already has the newer document.
        """
        for key in await self._presets.restore():
            await self.follow_preset(key)
        receivers = self._receivers
        async for batch in self._store.load_all():
            before = len(receivers)
            receivers.load(self._resolved(s) for s in batch if partition_of(s.user_id) in partitions)
            if len(receivers) // PROGRESS_EVERY > before // PROGRESS_EVERY:
                say(f"Loading subscribers: {len(receivers):,} so far.")
        log.info("subscribers_loaded", total=len(receivers))
        return len(receivers)

    async def unload(self, partitions: Collection[Partition]) -> None:
        """Match nobody of these partitions any more."""
        for part in _parts(self._receivers.of(partitions), _LOADED_AT_ONCE):
            self._receivers.forget(part)
            await asyncio.sleep(0)

    async def refresh(self, user_id: int, partitions: Callable[[], Collection[Partition]] = lambda: ALL) -> None:
        """Read a subscriber anew whom another process changed. `partitions`: who is matched here, at any moment."""
        self._store.forget(user_id)
        if partition_of(user_id) not in partitions():
            return
        subscriber = await self.find(user_id)
        if subscriber is not None and partition_of(user_id) in partitions():
            self._receivers.put(subscriber)

    async def reload(
        self, partitions: Collection[Partition] = ALL, progress: Callable[[], None] = lambda: None
    ) -> None:
        """Read everybody anew: nobody can tell any more whom other processes changed."""
        self._store.forget_all()
        await self._presets.restore()
        if not partitions:
            return
        async for batch in self._store.load_all():
            for subscriber in batch:
                if partition_of(subscriber.user_id) in partitions:
                    self._receivers.put(self._resolved(subscriber))
            progress()
            await asyncio.sleep(0)

    async def refresh_preset(self, key: str) -> None:
        """Read the presets anew, of which another process changed one. It saves the followers' documents itself."""
        await self._presets.restore()
        await self._load_followers(key)

    async def open(self, *, user_id: int, chat_id: int, name: str, language: str) -> Opened:
        """Find the subscriber who says /start, or begin a free trial. Whoever speaks is reachable again."""
        async with self._alone(user_id):
            known = await self._store.find(user_id)
            if known:
                back = replace(known, chat_id=chat_id, name=name, language=language, unreachable=False)
                return Opened(known if back == known else await self._save(back, known), created=False)
            fresh = Subscriber(
                user_id=user_id,
                chat_id=chat_id,
                name=name,
                language=language,
                created_at=self._clock(),
                revision=0,
                plan=TRIAL,
                paid_until=self._subscriptions.trial_until(),
            )
            return Opened(await self._save(fresh), created=True)

    async def find(self, user_id: int) -> Subscriber | None:
        subscriber = await self._store.find(user_id)
        return None if subscriber is None else self._resolved(subscriber)

    async def require(self, user_id: int) -> Subscriber:
        return self._resolved(await self._stored(user_id))

    # filter sets

    async def set_rule(self, user_id: int, number: int, field_key: str, rule: Rule | None) -> Subscriber:
        if field_key not in FIELD_KEYS:
            raise UserFacingError("filter.unknown", typed=field_key)
        check_size(rule)
        return await self._change_set(user_id, number, lambda s: with_rule(s, field_key, rule))

    async def set_missing(
        self, user_id: int, number: int, field_key: str, missing: Missing, wait_minutes: int = 0
    ) -> Subscriber:
        return await self._change_set(user_id, number, lambda s: with_missing(s, field_key, missing, wait_minutes))

    async def turn_channel(self, user_id: int, number: int, channel_id: str) -> Subscriber:
        return await self._change_set(user_id, number, lambda s: with_channel_turned(s, channel_id))

    async def set_enabled(self, user_id: int, number: int, *, enabled: bool) -> Subscriber:
        return await self._change_set(user_id, number, lambda s: replace(s, enabled=enabled))

    async def rename_set(self, user_id: int, number: int, name: str) -> Subscriber:
        """`UserFacingError("set.name_empty")` or `("set.name_long")` for what is no name."""
        visible = set_name(name)
        return await self._change_set(user_id, number, lambda s: replace(s, name=visible))

    async def add_set(self, user_id: int, name: str, rules: Mapping[str, Rule] | None = None) -> Placed:
        """Add a set; an empty one is off until it has a rule. The same name and rules are not added twice."""
        chosen = dict(rules or {})

        def is_same(filter_set: FilterSet) -> bool:
            return bool(chosen) and filter_set.name == name and filter_set.rules == chosen

        fresh = FilterSet(user_id=user_id, number=0, name=name, rules=chosen, enabled=bool(chosen))
        return await self._add(user_id, lambda _: fresh, is_same)

    async def copy_set(self, user_id: int, number: int, name: str) -> Placed:
        """Duplicate one's own set under another name; the copy follows no preset."""
        visible = set_name(name)

        def copied(subscriber: Subscriber) -> FilterSet:
            return replace(set_of(subscriber, number), name=visible, follows=None)

        return await self._add(user_id, copied, lambda _: False)

    async def remove_set(self, user_id: int, number: int) -> Subscriber:
        def change(subscriber: Subscriber) -> Subscriber:
            set_of(subscriber, number)
            return replace(subscriber, filter_sets=tuple(s for s in subscriber.filter_sets if s.number != number))

        return await self._change(user_id, change)

    async def apply_preset(self, user_id: int, preset_key: str, number: int | None = None) -> Placed:
        """Let a set become this preset and follow it; without a number add one, unless one follows it already."""
        preset = self._presets.find(preset_key)
        fresh = FilterSet(
            user_id=user_id, number=number or 0, name=preset.key, rules=dict(preset.rules), follows=preset.key
        )
        if number is None:
            return await self._add(user_id, lambda _: fresh, lambda s: s.follows == preset.key)
        return Placed(await self._change_set(user_id, number, lambda _: fresh), number)

    async def versions(self, user_id: int, number: int) -> Sequence[SetVersion]:
        """Return the earlier forms of a set, the latest first."""
        return await self._history.versions(set_of(await self.require(user_id), number))

    async def restore_version(self, user_id: int, number: int, revision: int) -> Subscriber:
        """Give a set the name and the rules that it had; whether it is on stays as it is."""
        forms = (v.filter_set for v in await self.versions(user_id, number) if v.revision == revision)
        earlier = next(forms, None)
        if earlier is None:
            raise UserFacingError("version.unknown")
        rules = {key: rule for key, rule in earlier.rules.items() if key in FIELD_KEYS}
        return await self._change_set(
            user_id, number, lambda s: replace(s, name=earlier.name, rules=rules, follows=None)
        )

    async def follow_preset(self, preset_key: str) -> int:
        """Bring a changed preset to all who follow it; returns how many they are.

        Into the matcher first, then into the documents; both in parts, so that calls get their turn in between. A
        document that cannot be saved now is right when it is read, and saved with its next change.
        """
        user_ids = self._receivers.followers.of(preset_key)
        await self._load_followers(preset_key)
        for part in _parts(user_ids, _SAVED_AT_ONCE):
            saving = (self._change(user_id, lambda s: s) for user_id in part)
            for error in await asyncio.gather(*saving, return_exceptions=True):
                if isinstance(error, TransientError):
                    log.warning("follower_not_saved", preset=preset_key, reason=str(error))
                elif isinstance(error, BaseException):
                    raise error
        return len(user_ids)

    async def _load_followers(self, preset_key: str) -> None:
        preset = self._presets.get(preset_key)
        if preset is None:  # of one that is gone the rules stay
            return
        for part in _parts(self._receivers.followers.of(preset_key), _LOADED_AT_ONCE):
            self._receivers.matcher.load(self._following(preset, part))
            await asyncio.sleep(0)

    def count_followers(self, preset_key: str) -> int:
        return len(self._receivers.followers.of(preset_key))

    def _following(self, preset: Preset, user_ids: Iterable[int]) -> Iterator[FilterSet]:
        """Return what the matcher needs of the followers' enabled sets, as they are now."""
        for user_id in user_ids:
            if self._receivers.state(user_id) == "receiving":
                for number in self._receivers.followers.enabled_sets(preset.key, user_id):
                    yield FilterSet(user_id=user_id, number=number, name=preset.key, rules=preset.rules)

    # everything else

    async def change_preferences(self, user_id: int, change: Callable[[Preferences], Preferences]) -> Subscriber:
        return await self._change(user_id, lambda s: replace(s, preferences=change(s.preferences)))

    async def set_paused(self, user_id: int, *, paused: bool) -> Subscriber:
        return await self._change(user_id, lambda s: replace(s, paused=paused))

    async def set_unreachable(self, user_id: int, *, unreachable: bool) -> Subscriber | None:
        """Note what Telegram says about the chat; `None` for somebody who never said /start."""
        if await self._store.find(user_id) is None:
            return None
        return await self._change(user_id, lambda s: replace(s, unreachable=unreachable))

    async def move(self, user_id: int, *, chat_id: int) -> Subscriber:
        """Follow a chat that got a new id."""
        return await self._change(user_id, lambda s: replace(s, chat_id=chat_id))

    def expire_due(self) -> int:
        """Take everybody whose time has run out from the matcher; O(1) when nobody's has."""
        return self._receivers.expire_due()

    def forget_ended_early(self) -> int:
        """After the clock was put back: who only seemed to have run out is unknown again, for the next `load`."""
        return self._receivers.forget_ended_early()

    def counts(self) -> UserCounts:
        return self._receivers.counts()

    async def page(self, offset: int, limit: int) -> Sequence[Subscriber]:
        """Subscribers in the order in which they came, for an admin's list."""
        ids = self._receivers.ids()[offset : offset + limit]
        found = [await self._store.find(user_id) for user_id in ids]
        return [subscriber for subscriber in found if subscriber]

    async def _change_set(self, user_id: int, number: int, change: Callable[[FilterSet], FilterSet]) -> Subscriber:
        def changed(subscriber: Subscriber) -> Subscriber:
            set_of(subscriber, number)
            sets = tuple(change(s) if s.number == number else s for s in subscriber.filter_sets)
            return replace(subscriber, filter_sets=sets)

        return await self._change(user_id, changed)

    async def _add(
        self, user_id: int, make: Callable[[Subscriber], FilterSet], is_same: Callable[[FilterSet], bool]
    ) -> Placed:
        """Add what `make` gives under the next number, up to the limit of the plan, unless one is the same."""

        def added(subscriber: Subscriber) -> Subscriber:
            sets = subscriber.filter_sets
            if any(map(is_same, sets)):
                return subscriber
            limit = self._subscriptions.filter_sets_limit(subscriber)
            if len(sets) >= limit:
                raise UserFacingError("filter_sets.limit", limit=limit)
            number = max((s.number for s in sets), default=0) + 1
            return replace(subscriber, filter_sets=(*sets, replace(make(subscriber), number=number)))

        subscriber = await self._change(user_id, added)
        same = (s.number for s in subscriber.filter_sets if is_same(s))
        return Placed(subscriber, next(same, subscriber.filter_sets[-1].number))

    async def _stored(self, user_id: int) -> Subscriber:
        subscriber = await self._store.find(user_id)
        if subscriber is None:
            raise UserFacingError("user.unknown")
        return subscriber

    def _resolved(self, subscriber: Subscriber) -> Subscriber:
        """Give every set that follows a preset the rules of the preset."""
        if all(s.follows is None for s in subscriber.filter_sets):
            return subscriber
        return replace(subscriber, filter_sets=tuple(map(self._presets.followed, subscriber.filter_sets)))

    async def _change(self, user_id: int, change: Callable[[Subscriber], Subscriber]) -> Subscriber:
        for attempts_left in reversed(range(_ATTEMPTS)):
            async with self._alone(user_id):
                before = await self._stored(user_id)
                after = change(self._resolved(before))
                try:
                    return before if after == before else await self._save(after, before)
                except StaleSubscriberError:
                    # Another process was faster: change what stands now.
                    if not attempts_left:
                        raise
        raise AssertionError("the last attempt raises")  # pragma: no cover

    async def _save(self, changed: Subscriber, before: Subscriber | None = None) -> Subscriber:
        saved = self._resolved(replace(changed, revision=changed.revision + 1))
        await self._store.save(saved)
        log.info("subscriber_changed", user_id=saved.user_id, revision=saved.revision)
        saved = self._resolved(saved)  # a preset may have changed meanwhile, without knowing of this follower
        self._receivers.put(saved, before)
        if self._returned and before and before.unreachable and not saved.unreachable:
            try:
                await self._returned(saved.user_id, self._clock())
            except TransientError as error:
                # What was kept for him comes later by itself.
                log.warning("return_not_noted", user_id=saved.user_id, reason=str(error))
        return saved

    def _alone(self, user_id: int) -> asyncio.Lock:
        """Changes of one subscriber wait for each other; those of different subscribers do not."""
        return self._locks.setdefault(user_id, asyncio.Lock())


def _parts(user_ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (user_ids[start : start + size] for start in range(0, len(user_ids), size))
