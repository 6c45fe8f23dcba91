"""Subscribers: the one place where their documents change.

Every change is saved (Redis and journal in one MULTI) and then written into the matcher before the caller goes
on, so the next call already obeys what the bot confirms.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from weakref import WeakValueDictionary

import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.errors import UserFacingError
from domain.filters import FIELDS, FilterSet, Range
from domain.matching import Matcher
from domain.subscribers import Subscriber
from services.presets import PresetsService
from services.subscribers_store import SubscribersStore
from services.subscriptions import TRIAL, SubscriptionsService

log = structlog.get_logger(__name__)

FIELD_KEYS = frozenset(field.key for field in FIELDS)
MAX_CHANNELS_PER_SET = 100

State = Literal["receiving", "paused", "unreachable", "expired"]


class Opened(Struct, frozen=True):
    subscriber: Subscriber
    created: bool


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
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._matcher = matcher
        self._presets = presets
        self._subscriptions = subscriptions
        self._clock = clock
        self._states: dict[int, State] = {}
        self._ends: list[tuple[datetime, int]] = []
        self._ends_at: dict[int, datetime] = {}
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def load(self) -> int:
        """Fill the matcher from the store at start, batch by batch; returns the number of subscribers.

        May run while calls are decided and subscribers change: who is known already has the newer document.
        """
        async for batch in self._store.load_all():
            now = self._clock()
            unknown = [s for s in batch if s.user_id not in self._states]
            receiving = (s for s in unknown if s.receives_at(now))
            self._matcher.load(filter_set for s in receiving for filter_set in s.filter_sets)
            for subscriber in unknown:
                self._note(subscriber, now)
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
        return await self._store.find(user_id)

    async def require(self, user_id: int) -> Subscriber:
        subscriber = await self._store.find(user_id)
        if subscriber is None:
            raise UserFacingError("user.unknown")
        return subscriber

    async def set_range(self, user_id: int, number: int, field_key: str, value: Range | None) -> Subscriber:
        if field_key not in FIELD_KEYS:
            raise UserFacingError("filter.unknown", typed=field_key)

        if value is None and (await self.require(user_id)).filter_set(number) is None:
            return await self.require(user_id)

        def change(filter_set: FilterSet) -> FilterSet:
            ranges = {key: kept for key, kept in filter_set.ranges.items() if key != field_key}
            return replace(filter_set, ranges=ranges if value is None else {**ranges, field_key: value})

        return await self._change_set(user_id, number, change)

    async def toggle_channel(self, user_id: int, number: int, channel_id: str) -> Subscriber:
        def change(filter_set: FilterSet) -> FilterSet:
            channels = filter_set.channels ^ {channel_id}
            if len(channels) > MAX_CHANNELS_PER_SET:
                raise UserFacingError("channels.too_many", limit=MAX_CHANNELS_PER_SET)
            return replace(filter_set, channels=channels)

        return await self._change_set(user_id, number, change)

    async def clear_channels(self, user_id: int, number: int) -> Subscriber:
        return await self._change_set(user_id, number, lambda s: replace(s, channels=frozenset[str]()))

    async def set_enabled(self, user_id: int, number: int, *, enabled: bool) -> Subscriber:
        return await self._change_set(user_id, number, lambda s: replace(s, enabled=enabled))

    async def apply_preset(self, user_id: int, preset_key: str) -> Subscriber:
        """Filter set 1 becomes this preset; it is made if the subscriber has none."""
        preset = self._presets.find(preset_key)
        chosen = FilterSet(
            user_id=user_id, number=1, name=preset.key, ranges=dict(preset.ranges), channels=preset.channels
        )

        def change(subscriber: Subscriber) -> Subscriber:
            others = tuple(s for s in subscriber.filter_sets if s.number != chosen.number)
            return replace(subscriber, filter_sets=(chosen, *others))

        return await self._change(user_id, change)

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
            current = subscriber.filter_set(number) or FilterSet(user_id=user_id, number=number, name="")
            others = [s for s in subscriber.filter_sets if s.number != number]
            sets = sorted([*others, change(current)], key=lambda s: s.number)
            return replace(subscriber, filter_sets=tuple(sets))

        if number != 1 and (await self.require(user_id)).filter_set(number) is None:
            raise UserFacingError("filter_set.unknown")
        return await self._change(user_id, changed)

    async def _change(self, user_id: int, change: Callable[[Subscriber], Subscriber]) -> Subscriber:
        async with self._alone(user_id):
            before = await self.require(user_id)
            after = change(before)
            return before if after == before else await self._save(after, before)

    async def _save(self, changed: Subscriber, before: Subscriber | None = None) -> Subscriber:
        saved = replace(changed, revision=changed.revision + 1)
        await self._store.save(saved)
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
        ends_at = subscriber.paid_until
        if ends_at and ends_at > now and self._ends_at.get(subscriber.user_id) != ends_at:
            self._ends_at[subscriber.user_id] = ends_at
            heapq.heappush(self._ends, (ends_at, subscriber.user_id))

    def _alone(self, user_id: int) -> asyncio.Lock:
        """Changes of one subscriber wait for each other; those of different subscribers do not."""
        return self._locks.setdefault(user_id, asyncio.Lock())
