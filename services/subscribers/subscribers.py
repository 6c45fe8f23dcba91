"""Subscribers: the one place where their documents change.

Every change is saved (Redis and journal in one MULTI) and then written into the matcher before the caller goes
on, so the next call already obeys what the bot confirms. A set that follows a preset has the preset's rules whenever
it is read, whatever its document still says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeVar
from weakref import WeakValueDictionary

import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.delivery.policy import ends_early, why_no_alerts
from domain.payments.entitlements import PlanStanding
from domain.payments.plans import FREE, TRIAL, Plans
from domain.subscribers.subscriber import Preferences, Subscriber
from runtime.errors import TransientError, UnreadableError, UserFacingError
from services.subscribers.presets import PresetsService
from services.subscribers.roster import Roster
from services.subscribers.store import StaleSubscriberError, SubscribersStore

log = structlog.get_logger(__name__)

T = TypeVar("T")

_ATTEMPTS = 3


class Opened(Struct, frozen=True):
    subscriber: Subscriber
    created: bool


class Subscribers:
    def __init__(
        self,
        *,
        store: SubscribersStore,
        roster: Roster,
        presets: PresetsService,
        plans: Plans,
        clock: Callable[[], datetime],
        returned: Callable[[int, datetime], Awaitable[None]] | None = None,
    ) -> None:
        """`returned`: told of everybody who can be written to again, or ends quiet hours, a snooze or a pause early."""
        self.welcome: Callable[[int], Awaitable[PlanStanding]] | None = None
        """Gives somebody new their trial, once for ever, and returns what they have. `services.plans` sets it."""
        self.saved: Callable[[Subscriber, Subscriber | None], Awaitable[None]] | None = None
        """Told of every change, and of what was before it. `services.reports` sets it."""
        self._store = store
        self._roster = roster
        self._presets = presets
        self._plans = plans
        self._clock = clock
        self._returned = returned
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def open(self, *, user_id: int, chat_id: int, name: str, language: str) -> Opened:
        """Find the subscriber who says /start, or begin a free trial. Whoever speaks is reachable again.

        `TransientError` when Redis is unavailable: to somebody new nothing is promised then. `UserFacingError` for
        somebody who is being deleted, `UnreadableError` for somebody whose document cannot be read: they are not new.
        """
        async with self._alone(user_id):
            known = await self._store.find(user_id)
            if known:
                back = replace(known, chat_id=chat_id, name=name, language=language, unreachable=False)
                return Opened(known if back == known else await self._save(back, known), created=False)
            has = await self._welcomed(user_id)
            fresh = Subscriber(
                user_id=user_id,
                chat_id=chat_id,
                name=name,
                language=language,
                created_at=self._clock(),
                revision=0,
                plan=has.plan or TRIAL,
                paid_until=has.until,
            )
            try:
                return Opened(await self._save(fresh), created=True)
            except StaleSubscriberError as error:
                if error.standing:
                    raise
                raise UserFacingError("leaving.not_over") from error

    async def _welcomed(self, user_id: int) -> PlanStanding:
        return PlanStanding() if self.welcome is None else await self.welcome(user_id)

    async def find(self, user_id: int) -> Subscriber | None:
        """Return the subscriber; `None`: there is none. `UnreadableError`: there is one who cannot be served now."""
        subscriber = await self._store.find(user_id)
        return None if subscriber is None else self.resolved(subscriber)

    async def named(self, user_id: int) -> str:
        """Return what a list calls somebody: their name, or the id of whoever is unknown or cannot be read."""
        try:
            subscriber = await self._store.find(user_id)
        except UnreadableError:
            subscriber = None
        return subscriber.name if subscriber else str(user_id)

    async def require(self, user_id: int) -> Subscriber:
        return self.resolved(await self._stored(user_id))

    async def change_preferences(self, user_id: int, change: Callable[[Preferences], Preferences]) -> Subscriber:
        return await self.change(user_id, lambda s: replace(s, preferences=change(s.preferences)))

    async def pause(self, user_id: int) -> Subscriber:
        return await self.change(user_id, lambda s: replace(s, paused=True))

    async def pause_for(self, user_id: int, snooze: Callable[[Preferences], Preferences]) -> Subscriber:
        """Pause for a while, and no longer for good."""
        return await self.change(user_id, lambda s: replace(s, paused=False, preferences=snooze(s.preferences)))

    async def resume(self, user_id: int) -> Subscriber:
        """End a pause, and a snooze with it."""
        return await self.change(
            user_id, lambda s: replace(s, paused=False, preferences=replace(s.preferences, snoozed_until=None))
        )

    async def set_unreachable(self, user_id: int, *, unreachable: bool) -> Subscriber | None:
        """Note what Telegram says about the chat; `None` for somebody who never said /start."""
        if await self._store.find(user_id) is None:
            return None
        return await self.change(user_id, lambda s: replace(s, unreachable=unreachable))

    async def move(self, user_id: int, *, chat_id: int) -> Subscriber:
        """Follow a chat that got a new id."""
        return await self.change(user_id, lambda s: replace(s, chat_id=chat_id))

    async def remove(self, user_id: int, begin: Callable[[], Awaitable[T]]) -> T:
        """Know somebody no more who is deleted by `begin`; nobody changes them meanwhile. Returns what it returns."""
        async with self._alone(user_id):
            removed = await begin()
            self._store.forget(user_id)
            self._roster.forget([user_id])
            return removed

    async def page(self, offset: int, limit: int) -> Sequence[Subscriber]:
        """Subscribers in the order in which they came, for an admin's list; who cannot be read is left out."""
        found: list[Subscriber] = []
        for user_id in self._roster.ids()[offset : offset + limit]:
            with suppress(UnreadableError):
                subscriber = await self._store.find(user_id)
                found += [subscriber] if subscriber else []
        return found

    async def _stored(self, user_id: int) -> Subscriber:
        subscriber = await self._store.find(user_id)
        if subscriber is None:
            raise UserFacingError("user.unknown")
        return subscriber

    def resolved(self, subscriber: Subscriber) -> Subscriber:
        """Give every set that follows a preset the rules of the preset; and nobody a free tier that there is not."""
        if subscriber.plan == FREE and self._plans.free is None:
            subscriber = replace(subscriber, plan=TRIAL)
        if all(s.follows is None for s in subscriber.filter_sets):
            return subscriber
        return replace(subscriber, filter_sets=tuple(map(self._presets.followed, subscriber.filter_sets)))

    async def change(self, user_id: int, change: Callable[[Subscriber], Subscriber]) -> Subscriber:
        """Save what `change` makes of the document; it may be called again when another process was faster."""
        for attempts_left in reversed(range(_ATTEMPTS)):
            async with self._alone(user_id):
                before = await self._stored(user_id)
                after = change(self.resolved(before))
                try:
                    return before if after == before else await self._save(after, before)
                except StaleSubscriberError:
                    # Another process was faster: change what stands now.
                    if not attempts_left:
                        raise
        raise AssertionError("the last attempt raises")  # pragma: no cover

    async def _save(self, changed: Subscriber, before: Subscriber | None = None) -> Subscriber:
        saved = self.resolved(replace(changed, revision=changed.revision + 1))
        await self._store.save(saved)
        log.info("subscriber_changed", user_id=saved.user_id, revision=saved.revision)
        saved = self.resolved(saved)  # a preset may have changed meanwhile, without knowing of this follower
        self._roster.put(saved, before)
        await self._tell(saved, before)
        now = self._clock()
        if self._returned and before and _is_free_again(before, saved, now):
            try:
                await self._returned(saved.user_id, now)
            except TransientError as error:
                # What was kept for them comes later by itself.
                log.warning("return_not_noted", user_id=saved.user_id, reason=str(error))
        return saved

    async def _tell(self, saved: Subscriber, before: Subscriber | None) -> None:
        if self.saved is None:
            return
        try:
            await self.saved(saved, before)
        except TransientError as error:
            log.warning("change_not_told", user_id=saved.user_id, reason=str(error))

    def _alone(self, user_id: int) -> asyncio.Lock:
        """Changes of one subscriber wait for each other; those of different subscribers do not."""
        return self._locks.setdefault(user_id, asyncio.Lock())


def _is_free_again(before: Subscriber, after: Subscriber, now: datetime) -> bool:
    """Whether what is held may come sooner; to somebody who has paused, a digest would be lost."""
    if why_no_alerts(after, now):
        return False
    was_away = before.unreachable and not after.unreachable
    was_closed = why_no_alerts(before, now) is not None
    return was_away or was_closed or ends_early(before.preferences, after.preferences, now)
