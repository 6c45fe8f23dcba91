from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.filters.registry import Choice, FilterSet, Range
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager, PostgresUnavailableError
from services.stores import keys
from services.stores.journal import Journal
from services.subscribers.store import StaleSubscriberError, SubscribersStore

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


def store_on(redis: RedisManager, postgres: PostgresManager) -> SubscribersStore:
    return SubscribersStore(
        redis, postgres, Journal(redis, postgres), SmartCache[int, Subscriber | None].of("settings")
    )


@pytest.fixture
def nowhere() -> PostgresManager:
    return PostgresManager("postgresql://postgres@/postgres?host=/nonexistent")


@pytest.fixture
def store(redis_manager: RedisManager, postgres_manager: PostgresManager) -> SubscribersStore:
    return store_on(redis_manager, postgres_manager)


def ada(revision: int = 1, *, user_id: int = 7, name: str = "Ada \x00 \u202e") -> Subscriber:
    rules = FilterSet(
        user_id=user_id,
        number=1,
        name="first",
        rules={
            "market_cap_usd": Range(20_000.0, None),
            "holders": Range(None, 150.0),
            "channel": Choice(frozenset({"@alpha", "@beta", "pump.fun/launches"})),
        },
    )
    return Subscriber(
        user_id=user_id,
        chat_id=user_id,
        name=name,
        created_at=NOW,
        paid_until=NOW,
        revision=revision,
        filter_sets=(rules,),
    )


async def everybody(store: SubscribersStore) -> dict[int, Subscriber]:
    return {who.user_id: who async for batch in store.load_all() for who in batch}


async def test_saved_is_found(
    store: SubscribersStore, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    assert await store.find(7) is None
    await store.save(ada())
    assert await store.find(7) == ada()
    # Another process, with nothing in memory.
    assert await store_on(redis_manager, postgres_manager).find(7) == ada()


async def test_an_older_or_equal_revision_is_refused(store: SubscribersStore, redis_manager: RedisManager) -> None:
    await store.save(ada(1))
    await store.save(ada(5))
    for revision in (1, 4, 5):
        with pytest.raises(StaleSubscriberError) as refusal:
            await store.save(ada(revision, name="Impostor"))
        assert refusal.value.standing == 5
    assert await store.find(7) == ada(5)
    assert await redis_manager.xlen(keys.JOURNAL.of()) == 2


async def test_saving_the_same_again_is_no_conflict(store: SubscribersStore, redis_manager: RedisManager) -> None:
    await store.save(ada(2))
    await store.save(ada(2))
    assert await redis_manager.xlen(keys.JOURNAL.of()) == 1


async def test_of_two_racing_changes_one_is_refused(
    redis_url: str, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    stores = [store_on(redis_manager, postgres_manager) for _ in range(4)]
    await stores[0].save(ada(1))
    changes = [store.save(ada(2, name=f"change {n}")) for n, store in enumerate(stores)]
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert sorted(map(str, map(type, results))) == sorted([str(type(None)), *[str(StaleSubscriberError)] * 3])
    winner = results.index(None)
    found = [await store.find(7) for store in stores]
    assert {who.name for who in found if who is not None} == {f"change {winner}"}
    assert None not in found


async def test_everybody_is_loaded_with_what_was_still_in_the_journal(
    store: SubscribersStore, postgres_manager: PostgresManager
) -> None:
    for user_id in range(1, 31):
        await store.save(ada(user_id=user_id, name=f"user {user_id}"))
    await store.save(ada(2, user_id=3, name="changed"))
    found = await everybody(store)
    assert len(found) == 30
    assert found[3] == ada(2, user_id=3, name="changed")
    assert len(await postgres_manager.fetch("SELECT user_id FROM subscribers")) == 30


async def test_an_emptied_redis_is_filled_again(
    store: SubscribersStore, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    await store.save(ada(3, name="Ada"))
    await store.save(ada(1, user_id=8, name="Ben"))
    await everybody(store)
    await redis_manager.transaction([("FLUSHALL",)])
    assert set(await everybody(store)) == {7, 8}
    document = await redis_manager.get(keys.SUBSCRIBER.of(7))
    assert document is not None
    assert msgspec.json.decode(document, type=Subscriber) == ada(3, name="Ada")
    assert await redis_manager.xlen(keys.JOURNAL.of()) == 0
    # And it goes on from the revision that stood.
    with pytest.raises(StaleSubscriberError):
        await store.save(ada(1))
    await store.save(ada(4))


async def test_who_is_not_in_redis_is_looked_up_once_more(
    store: SubscribersStore, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    await store.save(ada(3, name="Ada"))
    await everybody(store)
    await redis_manager.transaction([("FLUSHALL",)])
    other = store_on(redis_manager, postgres_manager)
    assert await other.find(7) == ada(3, name="Ada")
    assert await redis_manager.exists(keys.SUBSCRIBER.of(7)) == 1


async def test_without_postgres_everybody_comes_from_redis(
    redis_manager: RedisManager, nowhere: PostgresManager
) -> None:
    store = store_on(redis_manager, nowhere)
    for user_id in range(1, 31):
        await store.save(ada(user_id=user_id))
    assert set(await everybody(store)) == set(range(1, 31))
    with pytest.raises(PostgresUnavailableError):
        await store.find(99)  # a Redis of which nobody knows whether it is complete
    await redis_manager.set(keys.EPOCH.of(), "filled")
    assert await store.find(99) is None
    assert await redis_manager.xlen(keys.JOURNAL.of()) == 30


async def test_without_redis_everybody_comes_from_postgres(
    store: SubscribersStore, postgres_manager: PostgresManager
) -> None:
    await store.save(ada(name="Ada"))
    await everybody(store)
    async with RedisManager("unix:///nonexistent/redis.sock") as unavailable:
        lonely = store_on(unavailable, postgres_manager)
        assert await everybody(lonely) == {7: ada(name="Ada")}
        assert await lonely.find(7) == ada(name="Ada")
        with pytest.raises(RedisUnavailableError):
            await lonely.find(8)
        with pytest.raises(RedisUnavailableError):
            await lonely.save(ada(2))


changes = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 6), st.sampled_from("abc")), max_size=25)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes)
async def test_redis_and_postgres_agree_whatever_is_saved(
    redis_manager: RedisManager, postgres_manager: PostgresManager, changes: list[tuple[int, int, str]]
) -> None:
    await redis_manager.transaction([("FLUSHALL",)])
    await postgres_manager.execute("TRUNCATE subscribers, subscriber_changes")
    store = store_on(redis_manager, postgres_manager)
    standing: dict[int, Subscriber] = {}
    history: set[tuple[int, int]] = set()
    for user_id, revision, name in changes:
        change = ada(revision, user_id=user_id, name=name)
        stands = standing.get(user_id)
        if stands is None or stands.revision < revision or stands == change:
            await store.save(change)
            standing[user_id] = change
            history.add((user_id, revision))
        else:
            with pytest.raises(StaleSubscriberError):
                await store.save(change)
        assert await store.find(user_id) == standing[user_id]
    assert await everybody(store) == standing
    stored = await postgres_manager.fetch("SELECT user_id, revision FROM subscriber_changes")
    assert {(row["user_id"], row["revision"]) for row in stored} == history
