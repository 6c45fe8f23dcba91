"""The free tier: alerts come as late as the plan says, once, in order, whatever is killed, and are not late for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.lifetimes import FRESH_FOR
from domain.delivery.policy import Delay, Hold, Rules, Send, Verdict, decide, smaller_cap
from domain.payments.plans import Plan
from domain.subscribers.subscriber import Subscriber
from sandbox.telegram.people import SandboxUser
from services.delivery.delayed import Delaying
from services.schedule.due_times import DELAYED, Due
from services.stores import keys
from tests.delivery.kit import AT_ONCE, NOW, PLANS, Way, call_of, claim_of, entries_of, texts_of, way_of, whole_way
from tests.delivery.test_policy import ANN

MINUTE = timedelta(minutes=1)
DELAY = PLANS.free.delay if PLANS.free else timedelta(0)


@pytest.fixture
async def way(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    monkeypatch.setattr("services.delivery.delivery.COLD_START_S", 0.0)
    async with whole_way(redis_url, private=AT_ONCE) as way:
        yield way


async def free_person(way: Way, **changed: object) -> SandboxUser:
    person = await way.person()
    found = await way.users.subscribers.require(person.id)
    await way.store.save(replace(found, plan="free", revision=2, **changed))
    return person


def alerts(person: SandboxUser) -> list[str]:
    """The tokens that somebody was told of, in order."""
    texts = "\n".join(texts_of(person))
    return sorted((f"T{n}" for n in range(1, 40) if f"T{n}\n" in texts.replace(" ", "\n")), key=texts.index)


async def passes(way: Way, span: timedelta) -> None:
    way.clock.now += span
    await way.schedule.poll()
    await way.deliver()


async def test_an_alert_comes_when_the_plan_makes_it_due(way: Way) -> None:
    ann, ben = await free_person(way), await way.person()
    await way.claim(claim_of(call_of(1), ann.id, ben.id))
    await way.deliver()
    assert (alerts(ann), alerts(ben)) == ([], ["T1"])
    assert await way.outbox.size() == 0
    assert way.delivery.held == 0
    await passes(way, DELAY - MINUTE)
    assert alerts(ann) == []
    await passes(way, MINUTE)
    assert alerts(ann) == ["T1"]
    assert [(one.call_id, one.status) for one in await way.fates() if one.user_id == ann.id] == [("c1", "sent")]
    assert (way.metrics.speeds.p50_s, way.metrics.confirmed.p50_s) == (0, 0)
    await passes(way, 2 * DELAY)
    assert len(alerts(ann)) == 1


async def test_they_come_in_the_order_of_the_decisions(way: Way) -> None:
    ann = await free_person(way)
    for number in (3, 1, 2):
        await way.claim(claim_of(call_of(number), ann.id, decided_at=NOW + number * MINUTE))
    await way.deliver()
    for _ in range(3 + DELAY // MINUTE):
        await passes(way, MINUTE)
    assert alerts(ann) == ["T1", "T2", "T3"]


async def test_a_delay_longer_than_alerts_stay_fresh_makes_none_late(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PLANS.free
    slow = replace(PLANS, free=replace(PLANS.free, delay=6 * FRESH_FOR))
    monkeypatch.setattr(way.policy, "_plans", slow)
    ann = await free_person(way)
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    await passes(way, 6 * FRESH_FOR + MINUTE)
    assert [(one.kind, one.status) for one in await way.fates()] == [("alert", "sent")]


async def test_what_was_due_too_long_ago_goes_into_the_digest(way: Way) -> None:
    ann = await free_person(way)
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    await passes(way, DELAY + FRESH_FOR + MINUTE)
    assert [(one.status, one.reason) for one in await way.fates()] == [("digest", "stale")]


async def test_the_next_process_finds_them(way: Way) -> None:
    ann = await free_person(way)
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    after = way_of(way.redis, way.telegram, way.manager)
    after.clock.now = NOW
    await passes(after, DELAY)
    assert alerts(ann) == ["T1"]


async def test_two_who_look_at_once_and_answers_that_get_lost_change_nothing(way: Way) -> None:
    ann = await free_person(way)
    await way.claim(claim_of(call_of(1), ann.id))
    (entry,) = await entries_of(way)
    aside = [Delaying(entry=entry, until=NOW + DELAY)]
    delayed = way.delayed
    await delayed.put_aside(ann.id, aside)
    await delayed.put_aside(ann.id, aside)
    way.clock.now += DELAY
    due = Due(job=DELAYED, subject=str(ann.id), at=way.clock.now)
    assert [await delayed.let_go(due), await delayed.let_go(due)] == [1, 0]
    await delayed.put_aside(ann.id, aside)
    await passes(way, DELAY)
    assert alerts(ann) == ["T1"]
    assert await way.redis.exists(keys.DELAYED_ALERTS.of(ann.id)) == 0


async def test_who_pauses_meanwhile_gets_none(way: Way) -> None:
    ann = await free_person(way)
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    await way.users.subscribers.pause(ann.id)
    await passes(way, DELAY)
    assert [(one.status, one.reason) for one in await way.fates()] == [("withheld", "paused")]


async def test_an_hour_has_no_more_than_the_plan_includes(way: Way) -> None:
    assert PLANS.free
    assert PLANS.free.alerts_per_hour
    ann = await free_person(way)
    await way.claim(*(claim_of(call_of(number), ann.id, rated=50) for number in range(1, 16)))
    await way.deliver()
    await passes(way, DELAY)
    fates = [one.status for one in await way.fates() if one.kind == "alert"]
    assert fates.count("digest") == 15 - sum(status in {"sent", "merged"} for status in fates)
    assert 0 < sum(status in {"sent", "merged"} for status in fates) <= PLANS.free.alerts_per_hour


def verdict(subscriber: Subscriber, plan: Plan | None, age: timedelta, rules: Rules | None = None) -> Verdict:
    given = {"rules": rules} if rules else {}
    return decide(
        subscriber, token_address="So1", score=50, decided_at=NOW - age, now=NOW, recent=(), plan=plan, **given
    )


@given(st.integers(0, 100), st.integers(-5, 120))
def test_freshness_counts_from_when_it_is_due(delay: int, age: int) -> None:
    plan = Plan(key="free", filter_sets=1, delay=delay * MINUTE)
    decided = verdict(ANN, plan, age * MINUTE)
    if delay and age < delay:
        assert decided == Delay(NOW + (delay - age) * MINUTE)
    elif (age - delay) * MINUTE > FRESH_FOR:
        assert decided == Hold(NOW, "stale")
    else:
        assert decided == Send()


def test_only_alerts_are_delayed() -> None:
    plan = Plan(key="free", filter_sets=1, delay=MINUTE)
    assert verdict(ANN, plan, timedelta(0), Rules()) == Send()


@given(st.none() | st.integers(1, 9), st.none() | st.integers(1, 9))
def test_the_smaller_cap_counts(wanted: int | None, included: int | None) -> None:
    cap = smaller_cap(wanted, included)
    assert cap == smaller_cap(included, wanted)
    assert cap in {wanted, included}
    assert all(cap is not None and cap <= one for one in (wanted, included) if one is not None)
