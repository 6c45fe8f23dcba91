"""Presets: followed until a rule is changed, and changed by admins for all who follow."""

from __future__ import annotations

import pytest
from msgspec.structs import replace as changed

from domain.filters.registry import FilterSet, Range
from domain.matching.matcher import Matcher
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import Services
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from managers.storage.postgres import PostgresManager, PostgresUnavailableError
from services.stores import keys
from services.stores.journal import Journal
from services.subscribers.group import SubscriberServices
from services.subscribers.presets import PresetsService, PresetsStore
from services.subscribers.store import SubscribersStore
from services.subscribers.versions import SubscriberHistory
from tests.conversation.conftest import BEN_ID, NOW, PLANS, PRESETS
from tests.conversation.reading import alert, button, only, words
from tests.conversation.telegram_wire import ADMIN_ID, USER_ID, Person
from tests.filters.test_sets import accepted, call

KEY = "everything"


async def follow(person: Person, key: str = KEY) -> None:
    await person.writes("/start")
    await person.taps(f"preset:{key}")


async def make_filter(admin: Person, typed: str) -> None:
    """Let the admin have a filter 1 with one rule."""
    await admin.writes("/start")
    await admin.taps("addset")
    await admin.taps("field:1:market_cap_usd")
    await admin.writes(typed)


def fresh_store(redis: RedisManager, postgres: PostgresManager) -> SubscribersStore:
    """Return a store of another process, with nothing in memory."""
    cache = SmartCache[int, Subscriber | None].of("settings")
    return SubscribersStore(redis, postgres, Journal(redis, postgres), cache)


async def test_a_change_reaches_all_followers_and_nobody_else(
    ann: Person, ben: Person, admin: Person, services: Services, matcher: Matcher
) -> None:
    await follow(ann)
    await follow(ben)
    await ben.taps("field:1:holders")
    await ben.writes("10 -")
    assert (await services.subscribers.subscribers.require(BEN_ID)).filter_sets[0].follows is None
    before = (await services.subscribers.subscribers.require(BEN_ID)).filter_sets
    assert accepted(matcher, call(1, market_cap_usd=5.0)) == [(USER_ID, 1)]

    await make_filter(admin, "1M -")
    menu = await admin.writes("/presets")
    menu = await admin.taps(button(menu, "Everything"))
    assert "followers: 1" in words(menu, "edited")
    asked = await admin.taps(button(menu, "Take the rules of"))
    assert "All who follow it get them at once: 1." in words(asked, "edited")
    assert accepted(matcher, call(9, market_cap_usd=5.0)) == [(USER_ID, 1)]
    menu = await admin.taps(button(asked, "Yes, change"))
    assert "Followers reached: 1" in words(menu, "edited")

    assert accepted(matcher, call(2, market_cap_usd=5.0)) == []
    assert (USER_ID, 1) in accepted(matcher, call(3, market_cap_usd=2e6))
    (own,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert (own.rules, own.follows) == ({"market_cap_usd": Range(1e6)}, KEY)
    assert (await services.subscribers.subscribers.require(BEN_ID)).filter_sets == before


async def test_who_is_paused_or_off_gets_the_rules_but_no_calls(
    ann: Person, ben: Person, admin: Person, services: Services, matcher: Matcher
) -> None:
    await follow(ann)
    await follow(ben)
    await ann.writes("/pause")
    await ben.taps("enable:1:0")
    await make_filter(admin, "1M -")
    await admin.taps(button(await admin.taps(f"asktakerules:{KEY}:1"), "Yes, change"))
    assert accepted(matcher, call(1, market_cap_usd=2e6)) == [(ADMIN_ID, 1)]
    for user_id in (USER_ID, BEN_ID):
        assert (await services.subscribers.subscribers.require(user_id)).filter_sets[0].rules == {
            "market_cap_usd": Range(1e6)
        }


async def test_a_set_becomes_a_preset_and_leaves_it(ann: Person, services: Services) -> None:
    await ann.writes("/start")
    await ann.taps("addset")
    menu = await ann.taps(button(await ann.taps("set:1"), "📋 Presets"))
    await ann.taps(button(menu, "Steady mid caps"))
    (own,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert (own.follows, own.name) == ("safe_mid_caps", "safe_mid_caps")
    await ann.taps("missing:1:holders:pass:0")
    (own,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert own.follows is None


async def test_presets_are_added_reworded_and_removed(ann: Person, admin: Person, services: Services) -> None:
    await make_filter(admin, "1M -")
    menu = await admin.writes("/presets")
    await admin.taps(button(menu, "New preset from"))
    assert "Nothing has changed" in words(await admin.writes("\u200b"))
    menu = await admin.writes("Whales <i>& co</i>")
    assert "on the list" in words(menu)
    key = services.subscribers.presets.all()[-1].key
    await admin.taps(button(menu, "Describe"))
    assert "at most 200" in words(await admin.writes("x" * 4_000))
    assert "Only the <large> ones" in words(await admin.writes("Only the <large> ones"))
    await admin.taps(f"namepreset:{key}")
    assert "Big fish" in words(await admin.writes("Big fish"))

    greeting = await ann.writes("/start")
    shown = words(await ann.taps(button(greeting, "Big fish")), "edited")
    assert key not in shown
    assert shown.count("Big fish") > 1
    await admin.taps(f"namepreset:{key}")
    await admin.writes("Large fish")
    shown = words(await ann.taps("set:1"), "edited")
    assert ("Big fish" in shown, shown.count("Large fish") > 1) == (False, True)
    assert (await services.subscribers.subscribers.require(USER_ID)).filter_sets[0].rules == {
        "market_cap_usd": Range(1e6)
    }
    await admin.taps(button(await admin.taps(f"removepreset:{key}"), "Yes, delete"))
    (own,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert (own.rules, own.follows) == ({"market_cap_usd": Range(1e6)}, None)
    assert "There is no preset" in alert(await ann.taps(f"preset:{key}"))


async def test_only_admins_change_presets(ann: Person, services: Services) -> None:
    await follow(ann)
    before = services.subscribers.presets.all()
    for data in (f"asktakerules:{KEY}:1", f"removeyes:{KEY}", "adminpresets", f"namepreset:{KEY}", "newpreset:1"):
        assert "out of date" in alert(await ann.taps(data))
    assert "don't know this command" in words(await ann.writes("/presets"))
    assert services.subscribers.presets.all() == before


async def test_changes_survive_a_restart_and_an_emptied_redis(
    ann: Person,
    admin: Person,
    services: Services,
    journal: Journal,
    redis_manager: RedisManager,
    postgres_manager: PostgresManager,
) -> None:
    await follow(ann)
    await make_filter(admin, "1M -")
    await admin.taps(button(await admin.taps(f"asktakerules:{KEY}:1"), "Yes, change"))
    await admin.taps(button(await admin.taps(f"removepreset:{PRESETS[0].key}"), "Yes, delete"))
    # A document that the change did not reach: the process ended in between.
    store = fresh_store(redis_manager, postgres_manager)
    stored = await store.find(USER_ID)
    assert stored
    stale = changed(stored.filter_sets[0], rules={})
    await store.save(changed(stored, revision=stored.revision + 1, filter_sets=(stale,)))
    await journal.drain_all()
    assert journal.rejected == 0
    await redis_manager.transaction([("FLUSHALL",)])

    matcher = Matcher()
    presets = PresetsService(
        PRESETS, store=PresetsStore(redis_manager, postgres_manager, journal), clock=services.conversation.clock
    )
    users = SubscriberServices.on(
        store=fresh_store(redis_manager, postgres_manager),
        matcher=matcher,
        presets=presets,
        plans=PLANS,
        history=SubscriberHistory(postgres_manager),
        sharing=services.subscribers.sharing,
        clock=services.conversation.clock,
    )
    assert await users.loading.load() == 2
    assert presets.get(PRESETS[0].key) is None
    assert presets.find(KEY).rules == {"market_cap_usd": Range(1e6)}
    assert len(await redis_manager.hgetall(keys.PRESETS.of())) == 2
    assert (await users.subscribers.require(USER_ID)).filter_sets[0].rules == {"market_cap_usd": Range(1e6)}
    assert (USER_ID, 1) not in matcher.decide(call(1, market_cap_usd=5.0), NOW).accepted
    assert (USER_ID, 1) in matcher.decide(call(2, market_cap_usd=2e6), NOW).accepted
    await presets.change(KEY, lambda p: changed(p, about="x"), ADMIN_ID)
    await journal.drain_all()
    row = await postgres_manager.fetch_row("SELECT revision FROM presets WHERE key = $1", KEY)
    assert row
    assert row["revision"] == 2


async def test_one_store_is_enough_at_the_start(
    services: Services, journal: Journal, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    await services.subscribers.presets.change(KEY, lambda p: changed(p, about="x"), ADMIN_ID)
    await journal.drain_all()
    nowhere = PostgresManager("postgresql://postgres@/postgres?host=/nonexistent")
    assert len(await PresetsStore(redis_manager, nowhere, journal).load()) == 1
    async with RedisManager("unix:///nonexistent/redis.sock") as unavailable:
        assert len(await PresetsStore(unavailable, postgres_manager, journal).load()) == 1
        with pytest.raises(PostgresUnavailableError):
            await PresetsStore(unavailable, nowhere, journal).load()


async def test_thousands_of_followers_are_reached_in_parts(services: Services, matcher: Matcher) -> None:
    users = services.subscribers
    for user_id in range(1, 301):
        await users.subscribers.open(user_id=user_id, chat_id=user_id, name="", language="en")
        await users.sets.apply_preset(user_id, KEY)
    await services.subscribers.presets.change(KEY, lambda p: changed(p, rules={"holders": Range(9.0)}), ADMIN_ID)
    assert await users.loading.follow_preset(KEY) == 300
    assert accepted(matcher, call(1, holders=8)) == []
    assert len(accepted(matcher, call(2, holders=9))) == 300
    documents = [await users.subscribers.require(user_id) for user_id in range(1, 301)]
    assert all(d.filter_sets[0].rules == {"holders": Range(9.0)} for d in documents)


async def test_the_list_of_an_admin_without_filters_can_be_read(admin: Person) -> None:
    await admin.writes("/start")
    assert only(await admin.writes("/presets"), "sent").buttons


async def test_one_that_cannot_be_read_costs_itself_and_is_followed_as_before(
    redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    def process() -> PresetsService:
        store = PresetsStore(redis_manager, postgres_manager, Journal(redis_manager, postgres_manager))
        return PresetsService((), store=store, clock=lambda: NOW)

    presets = process()
    first, second, third = [
        await presets.add(name, {"holders": Range(number)}, ADMIN_ID)
        for number, name in enumerate(("one", "two", "three"), start=1)
    ]
    await Journal(redis_manager, postgres_manager).drain_all()
    whole = await redis_manager.hget(keys.PRESETS.of(), second.key)
    assert whole is not None
    await redis_manager.hset(keys.PRESETS.of(), {second.key: b"{"})
    await postgres_manager.execute("UPDATE presets SET document = '{}' WHERE key = $1", second.key)
    again = process()
    assert await again.restore() == [first.key, third.key]
    assert again.all() == (first, third)
    following = FilterSet(user_id=7, number=1, name="Mine", rules=dict(second.rules), follows=second.key)
    assert again.followed(following) == following
    assert await redis_manager.hget(keys.PRESETS.of(), second.key) == b"{"
    await redis_manager.hset(keys.PRESETS.of(), {second.key: whole})
    await again.restore()
    assert second in again.all()
