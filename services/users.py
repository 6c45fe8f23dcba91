"""Subscribers: the one place where their documents change.

Every change is saved (Redis and journal in one MULTI) and then written into the matcher before the caller goes
on, so the next call already obeys what the bot confirms. A set that follows a preset has the preset's rules whenever
it is read, whatever its document still says.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from weakref import WeakValueDictionary

import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.errors import TransientError, UserFacingError
from domain.filters import FilterSet, Missing, Rule
from domain.matching import Matcher
from domain.presets import Preset
from domain.subscribers import Preferences, Subscriber
from services.filter_sets import (
    FIELD_KEYS,
    check_size,
    set_name,
    set_of,
    with_channel_turned,
    with_missing,
    with_rule,
)
from services.followers import Followers
from services.presets import PresetsService
from services.subscribers_store import SubscribersStore
from services.subscriptions import TRIAL, SubscriptionsService
from services.versions import SetVersion, SubscriberHistory

log = structlog.get_logger(__name__)

_LOADED_AT_ONCE = 250
"""Sets that a preset's change writes into the matcher before calls get their turn again."""
_SAVED_AT_ONCE = 50

PROGRESS_EVERY = 50_000
"""Subscribers loaded between two lines at the terminal."""

State = Literal["receiving", "paused", "unreachable", "expired"]


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


@dataclass(frozen=True, kw_only=True, slots=True)
class UserCounts:
    total: int
    receiving: int
    paused: int
    unreachable: int
    expired: int


def state_of(subscriber: Subscriber, now: datetime) -> State:
    """Why a subscriber does or does not receive, the most telling reason first."""
    if subscriber.unreachable:
        return "unreachable"
    if not subscriber.paid_until or subscriber.paid_until <= now:
        return "expired"
    return "paused" if subscriber.paused else "receiving"


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
    ) -> None:
        self._store = store
        self._matcher = matcher
        self._presets = presets
        self._subscriptions = subscriptions
        self._history = history
        self._clock = clock
        self._followers = Followers()
        self._states: dict[int, State] = {}
        self._ends: list[tuple[datetime, int]] = []
        self._ends_at: dict[int, datetime] = {}
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def load(self, say: Callable[[str], None] = lambda _: None) -> int:
        """Fill the matcher from the store at start, batch by batch; returns the number of subscribers.

        May run while calls are decided and subscribers change: who is known already has the newer document.
        """
        for key in await self._presets.restore():
            await self.follow_preset(key)
        async for batch in self._store.load_all():
            now = self._clock()
            unknown = [self._resolved(s) for s in batch if s.user_id not in self._states]
            receiving = (s for s in unknown if s.receives_at(now))
            self._matcher.load(filter_set for s in receiving for filter_set in s.filter_sets)
            for subscriber in unknown:
                self._note(subscriber, now)
            if len(self._states) // PROGRESS_EVERY > (len(self._states) - len(unknown)) // PROGRESS_EVERY:
                say(f"Loading subscribers: {len(self._states):,} so far.")
        log.info("subscribers_loaded", total=len(self._states))
        return len(self._states)

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
        user_ids = self._followers.of(preset_key)
        preset = self._presets.get(preset_key)
        if preset is not None:  # of one that is gone the rules stay
            for part in _parts(user_ids, _LOADED_AT_ONCE):
                self._matcher.load(self._following(preset, part))
                await asyncio.sleep(0)
        for part in _parts(user_ids, _SAVED_AT_ONCE):
            saving = (self._change(user_id, lambda s: s) for user_id in part)
            for error in await asyncio.gather(*saving, return_exceptions=True):
                if isinstance(error, TransientError):
                    log.warning("follower_not_saved", preset=preset_key, reason=str(error))
                elif isinstance(error, BaseException):
                    raise error
        return len(user_ids)

    def count_followers(self, preset_key: str) -> int:
        return len(self._followers.of(preset_key))

    def _following(self, preset: Preset, user_ids: Iterable[int]) -> Iterator[FilterSet]:
        """Return what the matcher needs of the followers' enabled sets, as they are now."""
        for user_id in user_ids:
            if self._states.get(user_id) == "receiving":
                for number in self._followers.enabled_sets(preset.key, user_id):
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
        now, expired = self._clock(), 0
        while self._ends and self._ends[0][0] <= now:
            ended_at, user_id = heapq.heappop(self._ends)
            if self._ends_at.get(user_id) != ended_at:
                continue  # renewed since
            self._matcher.remove_subscriber(user_id)
            self._states[user_id] = "expired"
            expired += 1
        return expired

    def counts(self) -> UserCounts:
        states = Counter(self._states.values())
        return UserCounts(
            total=len(self._states),
            receiving=states["receiving"],
            paused=states["paused"],
            unreachable=states["unreachable"],
            expired=states["expired"],
        )

    async def page(self, offset: int, limit: int) -> Sequence[Subscriber]:
        """Subscribers in the order in which they came, for an admin's list."""
        ids = list(self._states)[offset : offset + limit]
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
        async with self._alone(user_id):
            before = await self._stored(user_id)
            after = change(self._resolved(before))
            return before if after == before else await self._save(after, before)

    async def _save(self, changed: Subscriber, before: Subscriber | None = None) -> Subscriber:
        saved = self._resolved(replace(changed, revision=changed.revision + 1))
        await self._store.save(saved)
        log.info("subscriber_changed", user_id=saved.user_id, revision=saved.revision)
        now = self._clock()
        receives = saved.receives_at(now)
        if before is None or receives != before.receives_at(now) or saved.filter_sets != before.filter_sets:
            if receives:
                self._matcher.put_subscriber(saved.user_id, saved.filter_sets)
            else:
                self._matcher.remove_subscriber(saved.user_id)
        self._note(saved, now)
        return saved

    def _note(self, subscriber: Subscriber, now: datetime) -> None:
        self._states[subscriber.user_id] = state_of(subscriber, now)
        self._followers.note(subscriber)
        ends_at = subscriber.paid_until
        if ends_at and ends_at > now and self._ends_at.get(subscriber.user_id) != ends_at:
            self._ends_at[subscriber.user_id] = ends_at
            heapq.heappush(self._ends, (ends_at, subscriber.user_id))

    def _alone(self, user_id: int) -> asyncio.Lock:
        """Changes of one subscriber wait for each other; those of different subscribers do not."""
        return self._locks.setdefault(user_id, asyncio.Lock())


def _parts(user_ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (user_ids[start : start + size] for start in range(0, len(user_ids), size))
