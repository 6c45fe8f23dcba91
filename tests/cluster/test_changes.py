from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from runtime.cancellation import end
from runtime.waiting import Progress
from services.cluster.changes import Changes, OnChange, preset_changed
from services.stores import keys
from services.stores.journal import Journal
from services.subscribers.store import StaleSubscriberError, SubscribersStore
from tests.cluster.kit import NOW

NOWHERE = PostgresManager("postgresql://postgres@/postgres?host=/nonexistent")


def store_of(redis: RedisManager, owner: str) -> SubscribersStore:
    cache = SmartCache[int, Subscriber | None].of("settings")
    return SubscribersStore(redis, NOWHERE, Journal(redis, NOWHERE), cache, owner)


def subscriber(user_id: int, revision: int, name: str = "Ada") -> Subscriber:
    return Subscriber(user_id=user_id, chat_id=user_id, name=name, created_at=NOW, revision=revision)


class Heard:
    """What one process hears of the others."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[int | str] = asyncio.Queue()
        self.on_change = OnChange(subscriber=self._put, preset=self._put, everything=self._everything)

    async def _put(self, what: int | str) -> None:
        self.queue.put_nowait(what)

    async def _everything(self, _progress: Progress) -> None:
        self.queue.put_nowait("everything")


@pytest.fixture
async def heard(redis_manager: RedisManager) -> AsyncIterator[Heard]:
    changes, heard = Changes(redis_manager, "ada", kept=10), Heard()
    await changes.open()
    tail = asyncio.create_task(changes.tail(lambda: None, heard.on_change))
    yield heard
    await end([tail])


async def test_others_are_heard_and_oneself_is_not(heard: Heard, redis_manager: RedisManager) -> None:
    ada, ben = store_of(redis_manager, "ada"), store_of(redis_manager, "ben")
    await ada.save(subscriber(1, 1))
    await ben.save(subscriber(2, 1))
    await ada.save(subscriber(3, 1))
    await ben.save(subscriber(1, 2))
    assert [await heard.queue.get() for _ in range(2)] == [2, 1]
    await redis_manager.transaction([preset_changed("fresh", "ada"), preset_changed("gems", "ben")])
    assert await heard.queue.get() == "gems"
    assert heard.queue.empty()


async def test_only_what_was_stored_is_told_and_once(redis_manager: RedisManager) -> None:
    ben = store_of(redis_manager, "ben")
    await ben.save(subscriber(1, 5))
    await ben.save(subscriber(1, 5))
    with pytest.raises(StaleSubscriberError):
        await ben.save(subscriber(1, 5, "Impostor"))
    (entry,) = await redis_manager.xrange(keys.CHANGES.of())
    assert entry.fields == {"user_id": b"1", "revision": b"5", "by": b"ben"}


async def test_what_changed_since_it_was_opened_is_told_later(redis_manager: RedisManager) -> None:
    changes, heard = Changes(redis_manager, "ada"), Heard()
    await store_of(redis_manager, "ben").save(subscriber(1, 1))
    await changes.open()
    await store_of(redis_manager, "ben").save(subscriber(2, 1))
    tail = asyncio.create_task(changes.tail(lambda: None, heard.on_change))
    assert await heard.queue.get() == 2
    await end([tail])


async def test_who_fell_behind_the_trim_reads_everything(redis_manager: RedisManager) -> None:
    changes, heard = Changes(redis_manager, "ada", kept=1), Heard()
    await changes.open()
    for user_id in range(1, 220):
        await store_of(redis_manager, "ben").save(subscriber(user_id, 1))
    await redis_manager.transaction([("XTRIM", keys.CHANGES.of(), "MAXLEN", 50)])
    tail = asyncio.create_task(changes.tail(lambda: None, heard.on_change))
    assert await heard.queue.get() == "everything"
    await store_of(redis_manager, "ben").save(subscriber(7, 2))
    assert await heard.queue.get() == 7
    await end([tail])


async def test_after_redis_was_emptied_everything_is_read(heard: Heard, redis_manager: RedisManager) -> None:
    await redis_manager.transaction([("FLUSHALL",)])
    await store_of(redis_manager, "ben").save(subscriber(1, 1))
    assert await heard.queue.get() == "everything"
    await store_of(redis_manager, "ben").save(subscriber(2, 1))
    assert await heard.queue.get() == 2


async def test_a_process_that_never_opened_begins_with_everything(redis_manager: RedisManager) -> None:
    heard = Heard()
    tail = asyncio.create_task(Changes(redis_manager, "ada").tail(lambda: None, heard.on_change))
    assert await heard.queue.get() == "everything"
    await end([tail])
