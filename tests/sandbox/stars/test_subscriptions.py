"""Subscriptions in Stars: renewed, cancelled by either side, ended without Stars."""

from __future__ import annotations

import pytest
from telegram import Message
from telegram.error import BadRequest

from sandbox.telegram.people import SandboxUser
from sandbox.telegram.stars.invoices import PERIOD_S
from tests.sandbox.stars.kit import PERIODIC, PRICE, Till
from tests.sandbox.telegram_kit import Clock, started, telegram_and_bot

DAY_S = 86_400


async def subscribed(till: Till, payer: SandboxUser, stars: int = 10 * PRICE) -> tuple[str, Message]:
    """Let somebody subscribe; the id of the subscription and the message with the first payment."""
    payer.wallet.top_up(stars)
    outcome, update = await till.sell(payer, await till.bot.create_invoice_link(**PERIODIC))
    assert update.message is not None
    return outcome.charge_id, update.message


async def test_a_subscription_renews_at_the_end_of_each_period() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        till = Till(bot)
        first_id, message = await subscribed(till, ann)
        payment = message.successful_payment
        assert payment is not None
        assert payment.subscription_expiration_date is not None
        assert (payment.is_recurring, payment.is_first_recurring) == (True, True)
        assert (payment.subscription_expiration_date - message.date).days == 30

        telegram.stars.advance(30 * DAY_S - 60)
        assert await till.updates() == []
        telegram.stars.advance(60 * DAY_S + 120)
        renewals = [update.message for update in await till.updates()]
        seen = {first_id}
        for number, renewal in enumerate(renewals, start=1):
            assert renewal is not None
            paid = renewal.successful_payment
            assert paid is not None
            assert paid.subscription_expiration_date is not None
            assert (paid.is_recurring, paid.is_first_recurring, paid.invoice_payload) == (True, None, "sub_1")
            assert (paid.subscription_expiration_date - payment.subscription_expiration_date).days == 30 * number
            assert (paid.subscription_expiration_date - renewal.date).days == 30
            seen.add(paid.telegram_payment_charge_id)
        assert len(renewals) == 3
        assert len(seen) == 4, "a charge id of its own for each payment"
        assert ann.wallet.balance == 6 * PRICE


async def test_the_sandboxes_clock_renews_by_itself() -> None:
    clock = Clock()
    async with telegram_and_bot(clock=clock) as (telegram, bot):
        ann = await started(telegram)
        till = Till(bot)
        await subscribed(till, ann)
        clock.now += PERIOD_S
        update = await till.next()
        assert update.message is not None
        assert update.message.successful_payment is not None
        assert update.message.successful_payment.is_recurring


async def test_a_person_cancels_and_may_change_their_mind() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        till = Till(bot)
        subscription_id, _ = await subscribed(till, ann)
        ann.wallet.cancel(subscription_id)
        ann.wallet.resume(subscription_id)
        telegram.stars.advance(PERIOD_S)
        assert len(await till.updates()) == 1
        ann.wallet.cancel(subscription_id)
        telegram.stars.advance(2 * PERIOD_S)
        assert await till.updates() == []
        assert [each.has_lapsed for each in ann.wallet.subscriptions] == [True]
        with pytest.raises(LookupError):
            ann.wallet.resume(subscription_id)


async def test_the_bot_cancels_and_allows_to_go_on() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann, ben = await started(telegram), await started(telegram, "Ben")
        till = Till(bot)
        subscription_id, _ = await subscribed(till, ann)
        assert await bot.edit_user_star_subscription(ann.id, subscription_id, is_canceled=True)
        with pytest.raises(LookupError, match="the bot has cancelled"):
            ann.wallet.resume(subscription_id)
        assert await bot.edit_user_star_subscription(ann.id, subscription_id, is_canceled=False)
        assert ann.wallet.subscriptions[0].is_canceled, "it is the person who takes it up again"
        ann.wallet.resume(subscription_id)
        telegram.stars.advance(PERIOD_S)
        renewal = (await till.next()).message
        assert renewal is not None
        assert renewal.successful_payment is not None
        for user_id, charge_id in (
            (ben.id, subscription_id),
            (ann.id, renewal.successful_payment.telegram_payment_charge_id),
        ):
            with pytest.raises(BadRequest, match="Charge_not_found"):
                await bot.edit_user_star_subscription(user_id, charge_id, is_canceled=True)
        await bot.edit_user_star_subscription(ann.id, subscription_id, is_canceled=True)
        telegram.stars.advance(PERIOD_S)
        assert await till.updates() == []
        with pytest.raises(BadRequest, match="Subscription_not_active"):
            await bot.edit_user_star_subscription(ann.id, subscription_id, is_canceled=False)


async def test_without_stars_it_ends_and_can_be_bought_again() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        till = Till(bot)
        ann.wallet.top_up(PRICE)
        link = await bot.create_invoice_link(**PERIODIC)
        await till.sell(ann, link)
        ann.wallet.top_up(PRICE - 1)
        assert (await ann.wallet.pay(link)).error == "SUBSCRIPTION_ALREADY_ACTIVE"
        telegram.stars.advance(PERIOD_S)
        assert await till.updates() == []
        ann.wallet.top_up(10 * PRICE)
        telegram.stars.advance(PERIOD_S)
        assert await till.updates() == [], "what has ended does not come back by itself"
        outcome, update = await till.sell(ann, link)
        assert outcome.status == "paid"
        assert update.message is not None
        assert update.message.successful_payment is not None
        assert update.message.successful_payment.is_first_recurring


async def test_a_refunded_subscription_goes_on_until_it_is_cancelled() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        till = Till(bot)
        subscription_id, _ = await subscribed(till, ann)
        await bot.refund_star_payment(ann.id, subscription_id)
        await till.next()
        telegram.stars.advance(PERIOD_S)
        assert len(await till.updates()) == 1


async def test_two_people_subscribe_by_one_link() -> None:
    async with telegram_and_bot() as (telegram, bot):
        people = [await started(telegram), await started(telegram, "Ben")]
        till = Till(bot)
        link = await bot.create_invoice_link(**PERIODIC)
        for person in people:
            person.wallet.top_up(2 * PRICE)
            await till.sell(person, link)
        telegram.stars.advance(PERIOD_S)
        payers = [update.effective_user for update in await till.updates()]
        assert {payer.id for payer in payers if payer is not None} == {person.id for person in people}
        assert [person.wallet.balance for person in people] == [0, 0]
