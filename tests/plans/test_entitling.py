"""Whatever somebody is given, in whatever order and however often it is looked at, their document shows all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.delivery.quiet import shown_time
from domain.payments.entitlements import GRACE, standing_of
from domain.payments.plans import FREE, TRIAL
from managers.redis.client import RedisUnavailableError
from runtime.errors import UserFacingError
from services.administration.granting import GrantingService
from services.plans.entitling import shown_in
from services.stores.journal import Journal
from tests.delivery.kit import NOW, NOWHERE, PLANS
from tests.plans.kit import DAY, Shop, about, numbers_on, open_shop, shop_on

TRIAL_TIME = PLANS.trial_days * DAY
SECOND = timedelta(seconds=1)


@pytest.fixture
async def shop(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr("services.delivery.delivery.COLD_START_S", 0.0)
    async with open_shop(redis_url) as shop:
        yield shop


async def test_the_trial_comes_once_per_person_for_ever(shop: Shop) -> None:
    ann = await shop.newcomer()
    assert (await shop.document(ann)).plan == TRIAL
    assert (await shop.document(ann)).paid_until == NOW + TRIAL_TIME
    shop.clock.now += DAY
    await shop.forgets(ann)
    assert (await shop.starts(ann)).paid_until == NOW + TRIAL_TIME
    shop.clock.now += TRIAL_TIME
    await shop.forgets(ann)
    back = await shop.starts(ann)
    assert (back.plan, back.receives_at(shop.clock.now)) == (FREE, True)


async def test_who_had_no_trial_has_what_they_paid_for_however_often_it_is_looked_at(shop: Shop) -> None:
    """Their document says what they bought: that is no trial from before there was a ledger."""
    ann = shop.way.telegram.user("Ann")
    await shop.enrols(ann, plan=FREE)
    await shop.buys(ann, "pro")
    bought = await shop.document(ann)
    await shop.entitling.apply(ann.id)
    await shop.buys(ann, "pro", key="invoice:2")
    await shop.entitling.apply(ann.id)
    assert bought.paid_until == NOW + SECOND + 30 * DAY
    assert (await shop.document(ann)).paid_until == NOW + SECOND + 60 * DAY
    assert {one.key for one in await shop.ledger.entitlements(ann.id)} == {"invoice:1", "invoice:2"}


async def test_a_trial_from_before_there_was_a_ledger_goes_on_in_what_is_bought(shop: Shop) -> None:
    ann = shop.way.telegram.user("Ann")
    await shop.enrols(ann, plan=TRIAL, paid_until=NOW + 3 * DAY)
    await shop.buys(ann, "pro")
    await shop.entitling.apply(ann.id)
    assert (await shop.document(ann)).paid_until == NOW + 33 * DAY


async def test_without_redis_nothing_is_promised(shop: Shop) -> None:
    async def unavailable(user_id: int) -> None:
        raise RedisUnavailableError(f"no answer for {user_id}")

    welcome = shop.way.users.subscribers.welcome
    shop.way.users.subscribers.welcome = unavailable  # pyright: ignore[reportAttributeAccessIssue] - it returns nothing
    with pytest.raises(RedisUnavailableError):
        await shop.newcomer()
    person = shop.way.telegram.user("Ann 1")
    assert await shop.way.users.subscribers.find(person.id) is None
    shop.way.users.subscribers.welcome = welcome
    assert (await shop.starts(person)).plan == TRIAL


async def test_after_the_trial_the_free_tier_pauses_the_youngest_filters_and_says_which(shop: Shop) -> None:
    ann = await shop.newcomer(sets=3)
    await shop.passes(TRIAL_TIME - SECOND)
    assert (await shop.document(ann)).plan == TRIAL
    await shop.passes(2 * SECOND)
    document = await shop.document(ann)
    assert (document.plan, numbers_on(document), len(document.filter_sets)) == (FREE, [1], 3)
    assert shop.way.users.roster.state(ann.id) == "receiving"
    (told,) = about(shop.told(ann), "has ended")
    assert "Filter 2" in told
    assert "Filter 3" in told
    assert "Filter 1" not in told

    with pytest.raises(UserFacingError, match=r"filter_sets\.limit_on"):
        await shop.way.users.sets.set_enabled(ann.id, 3, enabled=True)
    await shop.way.users.sets.set_enabled(ann.id, 1, enabled=False)
    assert numbers_on(await shop.way.users.sets.set_enabled(ann.id, 3, enabled=True)) == [3]

    await shop.buys(ann, "pro")
    await shop.way.deliver()
    document = await shop.document(ann)
    assert (document.plan, document.paid_until, numbers_on(document)) == ("pro", shop.clock.now + 30 * DAY, [2, 3])
    (told,) = about(shop.told(ann), "on again")
    assert "Filter 2" in told
    assert "Filter 3" not in told
    await shop.passes(2 * DAY)
    assert len(about(shop.told(ann), "has ended")) == 1


async def test_what_an_admin_gives_and_takes_back_says_until_when_in_their_zone(shop: Shop) -> None:
    ann, way = await shop.newcomer(), shop.way
    granting = GrantingService(
        redis=way.redis,
        journal=Journal(way.redis, NOWHERE),
        ledger=shop.ledger,
        subscribers=way.users.subscribers,
        entitling=shop.entitling,
        putting=way.putting,
        plans=PLANS,
        clock=way.clock,
    )
    await way.users.subscribers.change_preferences(ann.id, lambda p: replace(p, time_zone="Asia/Tokyo"))

    async def told_until(days: str) -> str:
        await way.deliver()
        until = (await shop.document(ann)).paid_until
        assert until
        told = shop.told(ann)[-1].replace("\u2060", "")
        assert days in told
        assert shown_time(until, "Asia/Tokyo") in told
        return told

    for again in ("", "again"):
        shop.clock.now += DAY
        await granting.grant(ann.id, "pro", 20, f"first{again}")
        await told_until("is extended until" if again else "is Pro now, until")
    await granting.revoke(ann.id, "back")
    ends = await told_until("Pro now ends")
    assert shown_time(shop.clock.now + GRACE, "Asia/Tokyo")[:11] in ends

    ben = await shop.newcomer()
    await granting.revoke(ben.id, "trial")
    await way.deliver()
    assert len(about(shop.told(ben), "has ended")) == 1
    assert not about(shop.told(ben), "now ends")


async def test_a_rule_does_not_turn_on_what_the_plan_has_no_room_for(shop: Shop) -> None:
    ann = await shop.newcomer(sets=1)
    await shop.way.users.sets.add_set(ann.id, "Empty")
    await shop.passes(TRIAL_TIME + SECOND)
    document = await shop.way.users.sets.set_rule(
        ann.id, 2, "holders", (await shop.document(ann)).filter_sets[0].rules["holders"]
    )
    assert [(one.enabled, one.paused_by_plan) for one in document.filter_sets] == [(True, False), (False, True)]


async def test_two_days_of_grace_and_then_the_free_tier(shop: Shop) -> None:
    ann = await shop.newcomer(sets=6)
    await shop.buys(ann, "pro", 30)
    until = NOW + TRIAL_TIME + 30 * DAY
    assert (await shop.document(ann)).paid_until == until
    await shop.passes(until + GRACE - shop.clock.now - SECOND, step=DAY)
    document = await shop.document(ann)
    assert (document.plan, len(numbers_on(document)), document.receives_at(shop.clock.now)) == ("pro", 6, True)
    assert shop.way.users.roster.state(ann.id) == "receiving"
    await shop.passes(2 * SECOND)
    assert ((await shop.document(ann)).plan, numbers_on(await shop.document(ann))) == (FREE, [1])


async def test_who_renews_in_the_days_of_grace_is_told_of_no_end(shop: Shop) -> None:
    ann = await shop.newcomer()
    await shop.buys(ann, "pro", 30)
    await shop.passes(TRIAL_TIME + 31 * DAY, step=DAY)
    await shop.buys(ann, "pro", 30, key="invoice:2")
    await shop.passes(20 * DAY, step=DAY)
    assert (await shop.document(ann)).plan == "pro"
    assert about(shop.told(ann), "has ended") == []


async def test_a_larger_plan_and_back(shop: Shop) -> None:
    ann = await shop.newcomer(sets=5)
    await shop.buys(ann, "pro", 30)
    await shop.way.users.sets.add_set(ann.id, "Sixth", (await shop.document(ann)).filter_sets[0].rules)
    await shop.buys(ann, "starter", 365, key="invoice:2")
    document = await shop.document(ann)
    assert (numbers_on(document), document.filter_sets[5].paused_by_plan) == ([1, 2, 3, 4, 5], True)
    await shop.way.deliver()
    assert len(about(shop.told(ann), "Sixth")) == 1


async def test_what_a_kill_left_is_found_by_the_next_process(shop: Shop) -> None:
    ann = await shop.newcomer(sets=3)
    await shop.passes(TRIAL_TIME + SECOND)
    await shop.gives(ann, "pro", 30)  # killed here
    assert (await shop.document(ann)).plan == FREE
    after = await shop_on(shop.way.redis, shop.way.telegram, shop.way.manager)
    after.clock.now = shop.clock.now
    assert await after.ledger.entitled() == [ann.id]
    await after.look()
    assert ((await after.document(ann)).plan, numbers_on(await after.document(ann))) == ("pro", [1, 2, 3])
    assert await after.ledger.entitled() == []
    await after.look()
    assert len(about(after.told(ann), "on again")) == 1


async def test_many_at_once_tell_once(shop: Shop) -> None:
    ann = await shop.newcomer(sets=3)
    shop.clock.now += TRIAL_TIME
    other = await shop_on(shop.way.redis, shop.way.telegram, shop.way.manager)
    other.clock.now = shop.clock.now
    await asyncio.gather(*(one.entitling.apply(ann.id) for one in [shop, other] * 5))
    await shop.way.deliver()
    shop.way.store.forget_all()
    assert ((await shop.document(ann)).plan, numbers_on(await shop.document(ann))) == (FREE, [1])
    assert len(about(shop.told(ann), "has ended")) == 1


async def test_one_broken_entitlement_costs_itself(shop: Shop) -> None:
    ann, ben = await shop.newcomer(), await shop.newcomer()
    await shop.gives(ann, "pro", 30)
    await shop.gives(ben, "pro", 30)
    await shop.way.redis.hset(f"entitlements:{ann.id}", {"broken": b"{"})
    await shop.entitling.heal()
    assert (await shop.document(ben)).plan == "pro"
    assert await shop.ledger.entitled() == [ann.id]


async def test_who_came_before_there_was_a_ledger_keeps_what_they_had(shop: Shop) -> None:
    ann = await shop.way.person()
    before = await shop.document(ann)
    assert await shop.entitling.apply(ann.id) == before
    await shop.buys(ann, "pro", 30)
    assert (await shop.document(ann)).paid_until == NOW + 60 * DAY
    await shop.forgets(ann)
    assert (await shop.starts(ann)).plan == "pro"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("give"), st.sampled_from(["starter", "pro"]), st.sampled_from([30, 90, -30])),
        st.tuples(st.just("wait"), st.just(""), st.integers(1, 50)),
        st.tuples(st.just("look"), st.just(""), st.just(0)),
        st.tuples(st.just("start"), st.just(""), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
async def test_a_document_shows_the_sum_of_what_was_given(shop: Shop, steps: list[tuple[str, str, int]]) -> None:
    ann = await shop.newcomer(sets=5)
    for number, (what, plan, value) in enumerate(steps):
        if what == "give":
            await shop.gives(ann, plan, value, key=f"{ann.id}:{number}")
        elif what == "wait":
            shop.clock.now += value * DAY
        elif what == "look":
            await shop.look()
        else:
            await shop.starts(ann)
    await shop.look()
    document, now = await shop.document(ann), shop.clock.now
    standing = standing_of(await shop.ledger.entitlements(ann.id))
    assert document == shown_in(document, standing, PLANS, now)
    assert document.paid_until == standing.until
    assert document.has_plan_at(now)
    assert len(document.filter_sets) == 5
    assert len(numbers_on(document)) == min(5, PLANS.of(document.plan).filter_sets)
    assert shop.way.users.roster.state(ann.id) == "receiving"
    assert await shop.ledger.entitled() == []


async def test_without_a_free_tier_the_end_is_the_end(shop: Shop) -> None:
    ann = await shop.newcomer(sets=3)
    standing = standing_of(await shop.ledger.entitlements(ann.id))
    document = shown_in(await shop.document(ann), standing, replace(PLANS, free=None), NOW + TRIAL_TIME)
    assert (document.plan, document.receives_at(NOW + TRIAL_TIME), numbers_on(document)) == (TRIAL, False, [1, 2, 3])
