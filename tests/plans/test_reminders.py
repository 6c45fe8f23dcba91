"""Before a plan ends somebody is reminded, each time once, and not when they have renewed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.payments.invoices import Arrival
from domain.payments.plans import Offer
from domain.payments.stars import arrival_key
from managers.telegram.client import TelegramManager
from managers.telegram.payments import TelegramPayments
from managers.telegram.rate_limiter import TelegramRateLimiter
from sandbox.telegram.people import SandboxUser
from services.payments.stars import StarsService
from services.plans.reminders import next_reminder
from tests.delivery.kit import NOW, NOWHERE, PLANS
from tests.plans.kit import DAY, Shop, about, at, open_shop, shop_on

HOUR = timedelta(hours=1)
UNTIL = NOW + (PLANS.trial_days + 30) * DAY


@pytest.fixture
async def shop(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr("services.delivery.delivery.COLD_START_S", 0.0)
    async with open_shop(redis_url) as shop:
        yield shop


def reminders(shop: Shop, person: SandboxUser) -> list[str]:
    return about(shop.told(person), "Renew")


async def buyer(shop: Shop) -> SandboxUser:
    ann = await shop.newcomer()
    await shop.buys(ann, "pro", 30)
    return ann


async def test_seven_three_one_and_no_days_before_the_end(shop: Shop) -> None:
    ann = await buyer(shop)
    counts: list[int] = []
    for day in (8, 7, 6, 4, 3, 2, 1):
        await shop.passes(UNTIL - day * DAY - shop.clock.now, step=DAY)
        counts.append(len(reminders(shop, ann)))
    assert counts == [0, 1, 1, 1, 2, 2, 3]
    await shop.passes(DAY)
    soon, closer, tomorrow, over = reminders(shop, ann)
    assert "ends in 7 days" in soon
    assert "ends in 3 days" in closer
    assert "Renew now and nothing stops" in tomorrow
    assert "Everything goes on until" in over
    await shop.passes(3 * DAY)
    assert len(reminders(shop, ann)) == 4


async def test_who_has_a_subscription_is_told_that_it_renews_by_itself(shop: Shop) -> None:
    ann, limiter = await shop.newcomer(), TelegramRateLimiter()
    telegram = TelegramPayments(TelegramManager(token="1:A", api_base="http://127.0.0.1:9", limiter=limiter))
    stars = StarsService(ledger=shop.ledger, telegram=telegram, postgres=NOWHERE, clock=shop.clock)
    shop.reminders.renews_at = stars.renews_at
    paid = await stars.open(ann.id, Offer(plan="pro", months=1, days=30, price_usd=Decimal(5), stars=250))
    charge = Arrival(key=arrival_key("c"), asset="XTR", amount=Decimal(250), at=shop.clock.now + HOUR)
    await shop.ledger.arrived(charge, paid.id)
    await shop.entitling.apply(ann.id)
    await shop.passes(UNTIL - 6 * DAY - shop.clock.now, step=DAY)
    (told,) = about(shop.told(ann), "⏳")
    assert f"Your subscription renews by itself on {at(charge.at + 30 * DAY)}" in told
    assert not reminders(shop, ann)


async def test_the_end_of_a_trial_is_told_once(shop: Shop) -> None:
    ann = await shop.newcomer()
    await shop.passes(PLANS.trial_days * DAY + DAY)
    assert [len(about(shop.told(ann), words)) for words in ("in 3 days", "Renew now", "has ended")] == [1, 1, 1]
    assert len(about(shop.told(ann), "ended")) == 1


async def test_who_renews_is_not_reminded_of_the_old_end(shop: Shop) -> None:
    ann = await buyer(shop)
    await shop.passes(UNTIL - 4 * DAY - shop.clock.now, step=DAY)
    assert len(reminders(shop, ann)) == 1
    await shop.buys(ann, "pro", 30, key="invoice:2")
    await shop.passes(20 * DAY, step=DAY)
    assert len(reminders(shop, ann)) == 1
    await shop.passes(7 * DAY)
    assert len(reminders(shop, ann)) == 2


async def test_of_what_was_missed_the_latest_comes(shop: Shop) -> None:
    ann = await buyer(shop)
    shop.clock.now = UNTIL - 2 * DAY
    await shop.look()
    (only,) = reminders(shop, ann)
    assert "ends in 3 days" in only
    shop.clock.now = UNTIL + 3 * DAY
    await shop.look()
    assert len(reminders(shop, ann)) == 1


async def test_another_process_does_not_remind_again(shop: Shop) -> None:
    ann = await buyer(shop)
    shop.clock.now = UNTIL - 7 * DAY
    other = await shop_on(shop.way.redis, shop.way.telegram, shop.way.manager)
    other.clock.now = shop.clock.now
    due = await shop.way.due_times.due([], shop.clock.now)
    assert due == []
    await shop.way.schedule.poll()
    await shop.entitling.apply(ann.id)
    await other.way.schedule.poll()
    await shop.look()
    assert len(reminders(shop, ann)) == 1


async def test_what_waited_too_long_is_not_told(shop: Shop) -> None:
    ann = await buyer(shop)
    shop.clock.now = UNTIL - 7 * DAY
    await shop.way.schedule.poll()
    shop.clock.now += 13 * HOUR
    await shop.way.deliver()
    assert reminders(shop, ann) == []


def test_the_next_one_is_later_than_the_last() -> None:
    assert next_reminder("pro", UNTIL, UNTIL - 8 * DAY) == UNTIL - 7 * DAY
    assert next_reminder("pro", UNTIL, UNTIL - 7 * DAY) == UNTIL - 3 * DAY
    assert next_reminder("pro", UNTIL, UNTIL - HOUR) == UNTIL
    assert next_reminder("trial", UNTIL, UNTIL - HOUR) is None
    assert next_reminder("pro", UNTIL, UNTIL) is None
    assert next_reminder("free", UNTIL, UNTIL - 8 * DAY) is None
