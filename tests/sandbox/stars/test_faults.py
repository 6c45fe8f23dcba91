"""What can go wrong when Stars are paid, switched on for a test."""

from __future__ import annotations

import asyncio

import pytest
from telegram.error import BadRequest, TimedOut

from sandbox.telegram.faults import Fault
from sandbox.telegram.stars.faults import StarFault, StarFaultChange, StarFaults
from tests.sandbox.stars.kit import MONTH, PERIODIC, PRICE, Till
from tests.sandbox.telegram_kit import ptb_bot, started, telegram_and_bot


async def test_the_payment_comes_twice() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        telegram.stars.faults.fail_next(StarFault.TWICE)
        _, update = await till.sell(ann, await bot.create_invoice_link(**MONTH))
        (again,) = await till.updates()
        assert again.update_id != update.update_id
        assert again.message == update.message
        assert ann.wallet.balance == 0, "charged once"


async def test_the_payment_comes_late() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        faults = telegram.stars.faults
        faults.change(StarFaultChange(next=[StarFault.LATE], late_s=0.05))
        paying = asyncio.create_task(ann.wallet.pay(await bot.create_invoice_link(**MONTH)))
        await till.next()  # her /start
        query = (await till.next()).pre_checkout_query
        assert query is not None
        await query.answer(ok=True)
        assert (await paying).status == "paid"
        message = (await till.next()).message
        assert message is not None
        assert message.successful_payment is not None


async def test_what_is_late_when_the_sandbox_stops_never_comes() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        telegram.stars.faults.change(StarFaultChange(next=[StarFault.LATE], late_s=600))
        paying = asyncio.create_task(ann.wallet.pay(await bot.create_invoice_link(**MONTH)))
        await till.next()
        query = (await till.next()).pre_checkout_query
        assert query is not None
        await query.answer(ok=True)
        await paying
    assert telegram.cloud.updates.pending()[-1].keys() == {"update_id", "pre_checkout_query"}


async def test_the_payment_comes_after_a_restart_of_the_bot() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        telegram.stars.faults.fail_next(StarFault.AFTER_RESTART)
        paying = asyncio.create_task(ann.wallet.pay(await bot.create_invoice_link(**MONTH)))
        await till.next()
        query = (await till.next()).pre_checkout_query
        assert query is not None
        await query.answer(ok=True)
        outcome = await paying
        assert await till.updates() == []
        async with ptb_bot(telegram) as restarted:
            (update,) = [each for each in await restarted.get_updates() if each.message]
            assert update.message is not None
            assert update.message.successful_payment is not None
            assert update.message.successful_payment.telegram_payment_charge_id == outcome.charge_id


async def test_the_query_never_reaches_the_bot() -> None:
    async with telegram_and_bot(checkout_timeout_s=0.02) as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        await till.updates()
        telegram.stars.faults.fail_next(StarFault.UNANSWERED)
        outcome = await ann.wallet.pay(await bot.create_invoice_link(**MONTH))
        assert (outcome.status, outcome.error) == ("failed", "BOT_PRECHECKOUT_TIMEOUT")
        assert await till.updates() == []
        assert ann.wallet.balance == PRICE


async def test_the_app_says_cancelled_though_it_was_charged() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        telegram.stars.faults.fail_next(StarFault.SAYS_CANCELLED)
        outcome, update = await Till(bot).sell(ann, await bot.create_invoice_link(**MONTH))
        assert (outcome.status, outcome.charge_id) == ("cancelled", "")
        assert update.message is not None
        assert update.message.successful_payment is not None
        assert ann.wallet.balance == 0


async def test_renewals_meet_them_too() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(10 * PRICE)
        till = Till(bot)
        outcome, _ = await till.sell(ann, await bot.create_invoice_link(**PERIODIC))
        telegram.stars.faults.change(StarFaultChange(rates={StarFault.TWICE: 1.0}))
        ann.wallet.renew(outcome.charge_id)
        first, second = await till.updates()
        assert first.message == second.message
        assert ann.wallet.balance == 8 * PRICE


def test_the_same_seed_gives_the_same_faults() -> None:
    def met(seed: int) -> list[bool]:
        faults = StarFaults(seed=seed)
        faults.change(StarFaultChange(rates={StarFault.TWICE: 0.5}))
        return [faults.meets(StarFault.TWICE) for _ in range(100)]

    assert met(1) == met(1)
    assert met(1) != met(2)
    assert set(met(1)) == {False, True}
    faults = StarFaults()
    faults.change(StarFaultChange(rates={StarFault.TWICE: 0.5}, next=[StarFault.LATE], late_s=3, seed=7))
    assert faults.describe() == {"rates": {"twice": 0.5}, "next": ["late"], "late_s": 3}


async def test_an_answer_that_got_lost_was_carried_out() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        outcome, _ = await Till(bot).sell(ann, await bot.create_invoice_link(**MONTH))
        telegram.faults.fail_next(Fault.TIMEOUT_AFTER_DELIVERY)
        with pytest.raises(TimedOut):
            await bot.refund_star_payment(ann.id, outcome.charge_id, read_timeout=0.2)
        assert ann.wallet.balance == PRICE
        with pytest.raises(BadRequest, match="Charge_already_refunded"):
            await bot.refund_star_payment(ann.id, outcome.charge_id)
