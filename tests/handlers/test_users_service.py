"""Whatever subscribers change, alone or at once, the documents and the matcher say the same afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.errors import UserFacingError
from domain.explanation import passes
from domain.filters import FIELDS, Range
from domain.matching import Matcher
from domain.subscribers import Preferences
from handlers.base import Services
from services.users import UsersService
from tests.handlers.conftest import PRESETS
from tests.handlers.telegram_wire import ADMIN_ID
from tests.handlers.test_sets import accepted, call

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


async def apply(services: Services, operation: Operation) -> None:
    name, user_id, number, value = operation
    users, key = services.users, PRESETS[value % len(PRESETS)].key
    ways: dict[str, Callable[[], Awaitable[Any]]] = {
        "rule": lambda: users.set_rule(user_id, number, KEYS[value % 2], Range(50.0 * value)),
        "clear": lambda: users.set_rule(user_id, number, KEYS[value % 2], None),
        "missing": lambda: users.set_missing(user_id, number, KEYS[value % 2], "pass"),
        "enable": lambda: users.set_enabled(user_id, number, enabled=bool(value % 2)),
        "add": lambda: users.add_set(user_id, f"{value}"),
        "copy": lambda: users.copy_set(user_id, number, "copy"),
        "remove": lambda: users.remove_set(user_id, number),
        "preset": lambda: users.apply_preset(user_id, key),
        "use": lambda: users.apply_preset(user_id, key, number),
        "pause": lambda: users.set_paused(user_id, paused=bool(value % 2)),
        "follow": lambda: change_preset(services, key, value),
    }
    try:
        await ways[name]()
    except UserFacingError as error:
        assert error.key in {"filter_set.unknown", "filter_sets.limit", "rule.unknown"}  # noqa: PT017 - others are findings


async def change_preset(services: Services, key: str, value: int) -> None:
    await services.presets.change(key, lambda p: replace(p, rules={"holders": Range(60.0 * value)}), ADMIN_ID)
    await services.users.follow_preset(key)


async def assert_agreement(services: Services, matcher: Matcher) -> None:
    users, now = services.users, services.clock()
    for figures in ({"holders": 120}, {"market_cap_usd": 100.0}, {"holders": 70, "market_cap_usd": 199.0}):
        tested = call(next(_tokens), **figures)
        expected = {
            user_id
            for user_id in USERS
            if (subscriber := await users.require(user_id)).receives_at(now)
            and any(s.enabled and passes(s, tested) for s in subscriber.filter_sets)
        }
        assert {user_id for user_id, _ in accepted(matcher, tested)} == expected


async def join(users: UsersService) -> None:
    for user_id in USERS:
        await users.open(user_id=user_id, chat_id=user_id, name="", language="en")
        await users.set_paused(user_id, paused=False)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations)
async def test_the_matcher_obeys_every_change(
    services: Services, matcher: Matcher, operations: list[Operation]
) -> None:
    await join(services.users)
    for operation in operations:
        await apply(services, operation)
        await assert_agreement(services, matcher)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations)
async def test_changes_at_once_leave_documents_and_matcher_in_agreement(
    services: Services, matcher: Matcher, operations: list[Operation]
) -> None:
    await join(services.users)
    await asyncio.gather(*(apply(services, operation) for operation in operations))
    await assert_agreement(services, matcher)


async def test_no_change_of_many_at_once_is_lost(services: Services) -> None:
    users = services.users
    await join(users)
    await users.add_set(1, "")
    keys = [field.key for field in FIELDS if field.unit == "usd"]
    await asyncio.gather(*(users.set_rule(1, 1, key, Range(1.0)) for key in keys))
    assert set((await users.require(1)).filter_sets[0].rules) == set(keys)


async def test_preferences_change_without_touching_the_rules(services: Services, matcher: Matcher) -> None:
    users = services.users
    await join(users)
    await users.apply_preset(1, "everything")
    version = matcher.index.version
    changed = await users.change_preferences(1, lambda p: replace(p, alerts_per_hour=5))
    assert changed.preferences == Preferences(alerts_per_hour=5)
    assert matcher.index.version == version
    assert (await users.require(1)).filter_sets[0].follows == "everything"


async def test_a_copy_of_a_shared_filter_is_not_made_twice_at_once(services: Services) -> None:
    users = services.users
    await join(users)
    placed = await asyncio.gather(*(users.add_set(1, "Moon", {"holders": Range(1.0)}) for _ in range(5)))
    assert {one.number for one in placed} == {1}
    assert len((await users.require(1)).filter_sets) == 1
