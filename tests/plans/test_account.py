"""Somebody asks what they have, what there is, and under which terms; and meets the limits of their plan."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from domain.payments.entitlements import GRACE, Entitlement
from domain.subscribers.partitions import partition_of
from handlers.conversation.base import Services
from handlers.delivery.buttons import ShowMuted
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager
from services.claims.putting import Putting
from services.payments.ledger import Ledger
from services.plans.entitling import PLAN_END
from services.plans.reminders import REMINDER, RemindersService
from services.schedule.due_times import DueTimes, Place
from services.schedule.schedule import Schedule
from services.stores.journal import Journal
from tests.conversation.conftest import NOW, PLANS, PRESETS, Clock
from tests.conversation.reading import alert, button, words
from tests.conversation.telegram_wire import USER_ID, Person
from tests.wiring import NoMessages, spool_on

DAY = timedelta(days=1)
TRIAL_TIME = PLANS.trial_days * DAY


@pytest.fixture
def ledger(redis_manager: RedisManager, journal: Journal, clock: Clock) -> Ledger:
    return Ledger(redis_manager, journal, messages=NoMessages(), clock=clock)


async def buy(services: Services, ledger: Ledger, clock: Clock, plan: str, days: int) -> None:
    clock.now += timedelta(seconds=1)
    given = Entitlement(key=f"invoice:{clock.now}", plan=plan, days=days, price_usd=Decimal(days), at=clock.now)
    await ledger.give(USER_ID, given)
    await services.plans.entitling.apply(USER_ID)


async def test_somebody_new_is_promised_nothing_without_redis(ann: Person, services: Services) -> None:
    async def unavailable(user_id: int) -> None:
        raise RedisUnavailableError(f"no answer for {user_id}")

    subscribers = services.subscribers.subscribers
    welcome = subscribers.welcome
    subscribers.welcome = unavailable  # pyright: ignore[reportAttributeAccessIssue] - it never returns
    refused = words(await ann.writes("/start"))
    assert "try again in a moment" in refused
    assert "trial" not in refused
    assert await subscribers.find(USER_ID) is None
    subscribers.welcome = welcome
    assert f"free trial: {PLANS.trial_days}" in words(await ann.writes("/start"))


async def test_from_the_trial_to_the_free_tier_to_a_plan(
    ann: Person, services: Services, clock: Clock, ledger: Ledger
) -> None:
    await ann.writes("/start")
    for preset in PRESETS[:3]:
        await ann.taps(f"preset:{preset.key}")
    status = words(await ann.writes("/status"))
    assert f"Days left: {PLANS.trial_days}" in status
    assert f"Filters: 3 of {PLANS.trial.filter_sets}" in status
    assert f"Alerts per hour: up to {PLANS.trial.alerts_per_hour}" in status
    assert "No delay by the plan" in status
    await services.subscribers.subscribers.change_preferences(USER_ID, lambda p: replace(p, alerts_per_hour=2))
    for command in ("/status", "/plan"):
        told = f"Alerts per hour: up to {PLANS.trial.alerts_per_hour} · you chose 2"
        assert told in words(await ann.writes(command)), command
    await services.subscribers.subscribers.change_preferences(USER_ID, lambda p: replace(p, alerts_per_hour=None))
    assert "before your trial ends" in status

    clock.now = NOW + TRIAL_TIME
    assert "Your plan has ended" in words(await ann.writes("/status"))
    assert "Alerts are on" in words(await ann.writes("/start"))
    status = words(await ann.writes("/status"))
    assert "Free\nIt does not end." in status
    assert "Filters: 3 of 1 · paused by your plan: 2" in status
    assert "Alerts come 5 min after" in status
    assert "turn on what you like best" in status
    menu = await ann.writes("/settings")
    assert "⏸ Steady mid caps · paused by your plan" in words(menu)
    opened = await ann.taps("set:2")
    assert "Steady mid caps is paused: your plan holds fewer filters" in words(opened, "edited")
    assert "Filters that your plan lets be on: 1" in alert(await ann.taps(button(opened, "🟢 Turn on")))
    assert "Filters that your plan includes: 1" in alert(await ann.taps("addset"))

    await buy(services, ledger, clock, "pro", 30)
    status = words(await ann.writes("/status"))
    assert "Pro\nDays left: 30" in status
    assert f"Filters: 3 of {PLANS.of('pro').filter_sets}" in status
    assert "as many as pass" in status
    assert "the days add up" in status
    assert "paused" not in words(await ann.writes("/settings"))


async def test_the_days_of_grace_say_until_when(ann: Person, services: Services, clock: Clock, ledger: Ledger) -> None:
    await ann.writes("/start")
    await buy(services, ledger, clock, "starter", 30)
    clock.now = NOW + TRIAL_TIME + 31 * DAY
    status = words(await ann.writes("/status"))
    assert "Everything goes on until " + (NOW + TRIAL_TIME + 30 * DAY + GRACE).strftime("%d %b %Y") in status
    assert "Alerts are on" in words(await ann.writes("/settings")) or "no filter yet" in words(
        await ann.writes("/settings")
    )
    assert "renew now and nothing stops" in status


async def test_what_there_is_and_what_it_costs(ann: Person) -> None:
    await ann.writes("/start")
    plans = words(await ann.writes("/plan"))
    for plan in PLANS.sold:
        for offer in plan.offers:
            shown = f"{offer.months} mo ({offer.days} days): ${offer.price_usd:,.0f}"
            assert shown in plans
    assert "Filters: 0 of " in plans
    assert "Starter · filters: 5 · alerts per hour: 60 · personal alerts: 20" in plans
    assert "Pro · filters: 20 · alerts: as many as pass" in plans
    assert "after a plan has ended, alerts 5 min later" in plans


async def test_what_is_muted_and_when_the_plan_ends_are_said_in_their_own_zone(
    ann: Person, services: Services, clock: Clock
) -> None:
    await ann.writes("/start")
    [before] = await ann.writes("/status")
    assert "All that is muted" not in before.buttons
    until = {"gone": clock.now, "still": clock.now + DAY}
    change = services.subscribers.subscribers.change_preferences
    await change(
        USER_ID, lambda p: replace(p, time_zone="Asia/Tokyo", muted_tokens=until, muted_channels={"@alpha": "Alpha"})
    )
    [said] = await ann.writes("/status")
    ends = (NOW + TRIAL_TIME).astimezone(ZoneInfo("Asia/Tokyo"))
    assert f"until {ends:%d %b %Y, %H:%M} (Asia/\u2060Tokyo)" in words([said])
    assert "🔇 Muted: 1 channel, 1 token. None of these calls comes." in words([said])
    assert button([said], "All that is muted") == ShowMuted(0).pack()


@pytest.mark.parametrize("command", ["/terms", "/privacy", "/paysupport"])
async def test_what_the_operator_has_to_write_says_that_it_is_a_placeholder(ann: Person, command: str) -> None:
    assert "A placeholder" in words(await ann.writes(command))  # also to somebody who never said /start


async def test_who_comes_back_after_their_trial_is_promised_none(
    ann: Person, services: Services, clock: Clock, ledger: Ledger
) -> None:
    trial = Entitlement(key="trial", plan="trial", days=PLANS.trial_days, at=NOW - 100 * DAY)
    await ledger.give(USER_ID, trial)
    greeting = words(await ann.writes("/start"))
    assert "You have had your free trial" in greeting
    assert (await services.subscribers.subscribers.require(USER_ID)).plan == "free"
    clock.now += DAY
    assert "Days left" not in words(await ann.writes("/status"))


async def test_who_comes_while_trials_are_off_is_not_told_that_they_have_had_one(
    ann: Person, services: Services
) -> None:
    services.plans.entitling.gives_trials = lambda: False
    greeting = words(await ann.writes("/start"))
    assert "free trial" not in greeting
    assert "/status says what you have now" in greeting
    assert (await services.subscribers.subscribers.require(USER_ID)).plan == "free"


async def test_what_is_due_comes_back_from_postgresql(
    ann: Person,
    services: Services,
    clock: Clock,
    ledger: Ledger,
    journal: Journal,
    redis_manager: RedisManager,
    postgres_manager: PostgresManager,
) -> None:
    await ann.writes("/start")
    await buy(services, ledger, clock, "pro", 30)
    await journal.drain_all()
    await redis_manager.transaction([("FLUSHALL",)])
    due_times = DueTimes(redis_manager)
    reminders = RemindersService(
        subscribers=services.subscribers.subscribers,
        putting=Putting(spool_on(redis_manager), journal),
        due_times=due_times,
        postgres=postgres_manager,
        clock=clock,
    )
    schedule = Schedule([services.plans.entitling.job(), reminders.job()], due_times=due_times, clock=clock)
    assert await schedule.rebuild() == 2
    until = NOW + TRIAL_TIME + 30 * DAY

    async def due(job: str) -> list[object]:
        found = await due_times.due([Place(job, partition_of(USER_ID))], until + 10 * DAY)
        return [one.at for one in found]

    assert await due(PLAN_END) == [until + GRACE]
    assert await due(REMINDER) == [until - 7 * DAY]


async def test_who_begins_anew_with_a_plan_that_was_kept_reads_its_name_and_end(
    ann: Person, clock: Clock, ledger: Ledger
) -> None:
    bought = Entitlement(key="invoice:1", plan="pro", days=30, price_usd=Decimal(30), at=NOW - DAY)
    trial = Entitlement(key="trial", plan="trial", days=PLANS.trial_days, at=NOW - 2 * DAY)
    for one in (trial, bought):
        await ledger.give(USER_ID, one)
    greeting = words(await ann.writes("/start"))
    until = NOW + (28 + PLANS.trial_days) * DAY
    assert f"Your plan Pro runs until {until:%d %b %Y, %H:%M} (UTC)." in greeting
    assert "trial" not in greeting
