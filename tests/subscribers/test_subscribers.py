"""Whatever subscribers change, alone or at once, the documents and the matcher say the same afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.filters.registry import FIELDS, Range
from domain.matching.matcher import Matcher
from domain.subscribers.partitions import PARTITIONS
from domain.subscribers.subscriber import Preferences, Subscriber
from handlers.conversation.base import Services
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager
from runtime.errors import UserFacingError
from services.stores.journal import Journal
from services.subscribers.copies import CopyNames
from services.subscribers.group import SubscriberServices
from services.subscribers.store import SubscribersStore
from services.subscribers.versions import SubscriberHistory
from tests.conversation.conftest import PLANS, PRESETS, Clock
from tests.conversation.telegram_wire import ADMIN_ID
from tests.filters.oracle import passes
from tests.filters.test_sets import accepted, call

USERS = (1, 2, 3)
KEYS = ("holders", "market_cap_usd")
Operation = tuple[str, int, int, int]
operations = st.lists(
    st.tuples(
        st.sampled_from(
            ["rule", "clear", "missing", "enable", "add", "copy", "remove", "preset", "use", "pause", "follow"]
        ),
        st.sampled_from(USERS),
        st.integers(1, 4),
        st.integers(0, 4),
    ),
    max_size=25,
)
_tokens = count()
COPIES = tuple(f"(copy {n})" for n in range(1, 102))


async def apply(services: Services, operation: Operation) -> None:
    name, user_id, number, value = operation
    users, key = services.subscribers, PRESETS[value % len(PRESETS)].key
    ways: dict[str, Callable[[], Awaitable[Any]]] = {
        "rule": lambda: users.sets.set_rule(user_id, number, KEYS[value % 2], Range(50.0 * value)),
        "clear": lambda: users.sets.set_rule(user_id, number, KEYS[value % 2], None),
        "missing": lambda: users.sets.set_missing(user_id, number, KEYS[value % 2], "pass"),
        "enable": lambda: users.sets.set_enabled(user_id, number, enabled=bool(value % 2)),
        "add": lambda: users.sets.add_set(user_id, f"{value}"),
        "copy": lambda: users.sets.copy_set(user_id, number, CopyNames(lambda one: one.name, COPIES)),
        "remove": lambda: users.sets.remove_set(user_id, number),
        "preset": lambda: users.sets.apply_preset(user_id, key),
        "use": lambda: users.sets.apply_preset(user_id, key, number),
        "pause": lambda: (users.subscribers.pause if value % 2 else users.subscribers.resume)(user_id),
        "follow": lambda: change_preset(services, key, value),
    }
    try:
        await ways[name]()
    except UserFacingError as error:
        assert error.key in {"filter_set.unknown", "filter_sets.limit", "rule.unknown"}  # noqa: PT017 - others are findings


async def change_preset(services: Services, key: str, value: int) -> None:
    await services.subscribers.presets.change(
        key, lambda p: replace(p, rules={"holders": Range(60.0 * value)}), ADMIN_ID
    )
    await services.subscribers.loading.follow_preset(key)


async def assert_agreement(services: Services, matcher: Matcher) -> None:
    users, now = services.subscribers, services.conversation.clock()
    for figures in ({"holders": 120}, {"market_cap_usd": 100.0}, {"holders": 70, "market_cap_usd": 199.0}):
        tested = call(next(_tokens), **figures)
        expected = {
            user_id
            for user_id in USERS
            if (subscriber := await users.subscribers.require(user_id)).receives_at(now)
            and any(s.enabled and passes(s, tested) for s in subscriber.filter_sets)
        }
        assert {user_id for user_id, _ in accepted(matcher, tested)} == expected


async def join(users: SubscriberServices) -> None:
    for user_id in USERS:
        await users.subscribers.open(user_id=user_id, chat_id=user_id, name="", language="en")
        await users.subscribers.resume(user_id)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations)
async def test_the_matcher_obeys_every_change(
    services: Services, matcher: Matcher, operations: list[Operation]
) -> None:
    await join(services.subscribers)
    for operation in operations:
        await apply(services, operation)
        await assert_agreement(services, matcher)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations)
async def test_changes_at_once_leave_documents_and_matcher_in_agreement(
    services: Services, matcher: Matcher, operations: list[Operation]
) -> None:
    await join(services.subscribers)
    await asyncio.gather(*(apply(services, operation) for operation in operations))
    await assert_agreement(services, matcher)


async def test_no_change_of_many_at_once_is_lost(services: Services) -> None:
    users = services.subscribers
    await join(users)
    await users.sets.add_set(1, "")
    keys = [field.key for field in FIELDS if field.unit == "usd"]
    await asyncio.gather(*(users.sets.set_rule(1, 1, key, Range(1.0)) for key in keys))
    assert set((await users.subscribers.require(1)).filter_sets[0].rules) == set(keys)


async def test_preferences_change_without_touching_the_rules(services: Services, matcher: Matcher) -> None:
    users = services.subscribers
    await join(users)
    await users.sets.apply_preset(1, "everything")
    version = matcher.index.version
    changed = await users.subscribers.change_preferences(1, lambda p: replace(p, alerts_per_hour=5))
    assert changed.preferences == Preferences(alerts_per_hour=5)
    assert matcher.index.version == version
    assert (await users.subscribers.require(1)).filter_sets[0].follows == "everything"


async def test_a_copy_of_a_shared_filter_is_not_made_twice_at_once(services: Services) -> None:
    users = services.subscribers
    await join(users)
    placed = await asyncio.gather(*(users.sets.add_set(1, "Moon", {"holders": Range(1.0)}) for _ in range(5)))
    assert {one.number for one in placed} == {1}
    assert len((await users.subscribers.require(1)).filter_sets) == 1


# who is in the matcher

PARTITION = 1


def loaded_by(
    services: Services, journal: Journal, redis: RedisManager, postgres: PostgresManager
) -> SubscriberServices:
    """Subscribers as another process knows them, in a matcher of its own."""
    cache = SmartCache[int, Subscriber | None].of("settings")
    return SubscriberServices.on(
        store=SubscribersStore(redis, postgres, journal, cache, owner="another"),
        matcher=Matcher(),
        presets=services.subscribers.presets,
        plans=PLANS,
        history=SubscriberHistory(postgres),
        sharing=services.subscribers.sharing,
        clock=services.conversation.clock,
    )


@pytest.fixture
async def shard(
    services: Services, journal: Journal, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> SubscriberServices:
    await join(services.subscribers)
    for user_id in USERS:
        await services.subscribers.sets.add_set(user_id, "Mine", {"holders": Range(100.0)})
    return loaded_by(services, journal, redis_manager, postgres_manager)


def who_gets(users: SubscriberServices, **figures: float) -> set[int]:
    matcher = users.roster.matcher
    return {user_id for user_id, _ in accepted(matcher, call(next(_tokens), **figures))}


async def test_only_what_is_asked_for_is_loaded_and_unloaded(shard: SubscriberServices) -> None:
    assert await shard.loading.load(partitions={1, 3}) == 2
    assert who_gets(shard, holders=120) == {1, 3}
    assert await shard.loading.load(partitions={2}) == 3
    await shard.loading.unload({3, 2})
    assert who_gets(shard, holders=120) == {1}
    assert (await shard.loading.load(partitions={2}), who_gets(shard, holders=120)) == (2, {1, 2})


async def test_a_partition_that_comes_back_has_what_changed_meanwhile(
    services: Services, shard: SubscriberServices
) -> None:
    await shard.loading.load()
    await shard.loading.unload({PARTITION})
    await services.subscribers.sets.set_rule(1, 1, "holders", Range(500.0))
    await shard.loading.refresh(1, lambda: {2, 3})  # somebody else's by now
    assert who_gets(shard, holders=600) == {2, 3}
    await shard.loading.load(partitions={PARTITION})
    assert who_gets(shard, holders=120) == {2, 3}
    assert who_gets(shard, holders=600) == {1, 2, 3}


async def test_what_another_process_changed_is_read_anew(services: Services, shard: SubscriberServices) -> None:
    await shard.loading.load()
    await services.subscribers.sets.set_rule(1, 1, "holders", Range(500.0))
    await services.subscribers.subscribers.pause(2)
    assert who_gets(shard, holders=120) == {1, 2, 3}
    await shard.loading.refresh(1)
    await shard.loading.refresh(2)
    await shard.loading.refresh(99)  # nobody
    assert who_gets(shard, holders=120) == {3}
    assert who_gets(shard, holders=600) == {1, 3}
    assert (await shard.subscribers.require(2)).paused


async def test_everything_is_read_anew(services: Services, shard: SubscriberServices) -> None:
    await shard.loading.load(partitions={1, 2})
    await services.subscribers.sets.set_rule(1, 1, "holders", Range(500.0))
    await services.subscribers.sets.set_rule(2, 1, "holders", Range(50.0))
    await services.subscribers.subscribers.pause(3)
    await shard.loading.reload({1, 2})
    assert who_gets(shard, holders=60) == {2}
    assert who_gets(shard, holders=600) == {1, 2}
    assert (await shard.subscribers.require(1)).filter_sets[0].rules == {"holders": Range(500.0)}


async def test_who_changes_something_before_he_is_loaded_is_matched_all_the_same(shard: SubscriberServices) -> None:
    """Neither their rules nor whether they receive have changed, yet the matcher has nothing of them."""
    await shard.subscribers.change_preferences(1, lambda p: replace(p, alerts_per_hour=5))
    assert who_gets(shard, holders=120) == {1}
    await shard.loading.load()
    assert who_gets(shard, holders=120) == {1, 2, 3}


async def test_who_is_loaded_again_runs_out_once(shard: SubscriberServices, clock: Clock) -> None:
    for _ in range(3):
        await shard.loading.load()
        await shard.loading.unload(range(PARTITIONS))
    await shard.loading.load()
    clock.now += timedelta(days=365)
    shard.roster.expire_due()
    assert shard.roster.expire_due() == 0
    assert who_gets(shard, holders=120) == set()
    assert shard.roster.counts().expired == len(USERS)
