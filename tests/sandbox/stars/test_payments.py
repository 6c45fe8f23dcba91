"""Telegram Stars as the real library sees them: invoices, payments, refunds, the list of transactions."""

from __future__ import annotations

import asyncio

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, TransactionPartnerUser
from telegram.error import BadRequest

from sandbox.telegram.limits import FloodLimits, Window
from tests.sandbox.stars.kit import MONTH, PERIODIC, PRICE, Till
from tests.sandbox.telegram_kit import Clock, call, started, telegram_and_bot


async def test_an_invoice_is_sent_asked_about_paid_and_receipted() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(1_000)
        till = Till(bot)
        await till.updates()
        sent = await bot.send_invoice(ann.id, **MONTH)
        assert sent.invoice is not None
        assert (sent.invoice.currency, sent.invoice.total_amount) == ("XTR", PRICE)
        assert (sent.invoice.title, sent.invoice.start_parameter) == ("Pro, one month", "")

        paying = asyncio.create_task(ann.wallet.pay(await ann.next_message()))
        query = (await till.next()).pre_checkout_query
        assert query is not None
        assert (query.from_user.id, query.currency, query.total_amount) == (ann.id, "XTR", PRICE)
        assert query.invoice_payload == "inv_7f3a"
        assert ann.wallet.balance == 1_000, "nothing is taken before the bot agrees"
        assert await bot.answer_pre_checkout_query(query.id, ok=True)

        outcome = await paying
        update = await till.next()
        assert update.message is not None
        payment = update.message.successful_payment
        assert payment is not None
        assert update.message.from_user is not None
        assert (update.message.chat.id, update.message.from_user.id) == (ann.id, ann.id)
        assert (payment.currency, payment.total_amount, payment.invoice_payload) == ("XTR", PRICE, "inv_7f3a")
        assert payment.telegram_payment_charge_id == outcome.charge_id
        assert (payment.provider_payment_charge_id, payment.is_recurring) == ("", None)
        assert not payment.api_kwargs
        assert not update.message.api_kwargs
        assert (outcome.status, ann.wallet.balance) == ("paid", 750)
        assert (await bot.get_my_star_balance()).amount == PRICE


async def test_the_bot_may_refuse_with_a_reason() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        await till.updates()
        paying = asyncio.create_task(ann.wallet.pay(await bot.create_invoice_link(**MONTH)))
        query = (await till.next()).pre_checkout_query
        assert query is not None
        await query.answer(ok=False, error_message="The price has changed.")
        outcome = await paying
        assert (outcome.status, outcome.error) == ("failed", "BOT_PRECHECKOUT_FAILED")
        assert outcome.message == "The price has changed."
        assert ann.wallet.balance == PRICE
        assert await till.updates() == []


async def test_a_link_is_paid_by_whoever_has_it_and_again() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann, ben = telegram.user("Ann"), telegram.user("Ben")
        till = Till(bot)
        link = await bot.create_invoice_link(**MONTH)
        assert link.startswith("https://t.me/$")
        slug = link.removeprefix("https://t.me/$")
        seen: set[str] = set()
        for payer, spelling in ((ann, link), (ann, f"https://t.me/invoice/{slug}"), (ben, f"tg://invoice?slug={slug}")):
            payer.wallet.top_up(PRICE)
            outcome, update = await till.sell(payer, spelling)
            assert update.effective_user is not None
            assert update.effective_user.id == payer.id
            seen.add(outcome.charge_id)
        assert len(seen) == 3
        await bot.send_message(ben.id, "Whoever has paid may be written to.")
        with pytest.raises(LookupError):
            await ann.wallet.pay("https://t.me/$nothing")


async def test_a_message_is_paid_once_by_each_who_sees_it() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann, ben = await started(telegram), telegram.user("Ben")
        ann.wallet.top_up(10 * PRICE)
        ben.wallet.top_up(10 * PRICE)
        till = Till(bot)
        await bot.send_invoice(ann.id, **MONTH)
        message = await ann.next_message()
        await till.updates()
        first = asyncio.create_task(ann.wallet.pay(message))
        query = (await till.next()).pre_checkout_query
        assert query is not None
        assert (await ann.wallet.pay(message)).error == "FORM_SUBMIT_DUPLICATE", "while the first is under way"
        await query.answer(ok=True)
        assert (await first).status == "paid"
        assert (await ann.wallet.pay(message)).error == "FORM_SUBMIT_DUPLICATE"
        forwarded, update = await till.sell(ben, message)
        assert forwarded.status == "paid"
        assert update.effective_chat is not None
        assert update.effective_chat.id == ben.id

        own = await bot.send_invoice(ann.id, **MONTH, start_parameter="plans")
        with pytest.raises(LookupError):
            await ben.wallet.pay(own.to_dict())
        await bot.delete_message(ann.id, own.message_id)
        with pytest.raises(LookupError):
            await ann.wallet.pay(own.to_dict())


async def test_without_stars_the_bot_is_not_even_asked() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE - 1)
        till = Till(bot)
        await till.updates()
        link = await bot.create_invoice_link(**MONTH)
        assert (await ann.wallet.pay(link)).error == "BALANCE_TOO_LOW"
        assert await till.updates() == []
        ann.wallet.top_up(1)
        both = [asyncio.create_task(ann.wallet.pay(link)) for _ in range(2)]
        queries = [(await till.next()).pre_checkout_query for _ in both]
        for query in queries:
            assert query is not None
            await query.answer(ok=True)
        outcomes = [await each for each in both]
        assert [each.status for each in outcomes] == ["paid", "failed"], "the bot agreed to both, the Stars are for one"
        assert len(await till.updates()) == 1
        for amount in (0, -1, 1_000_001):
            with pytest.raises(ValueError, match="Stars at a time"):
                ann.wallet.top_up(amount)


async def test_an_answer_has_ten_seconds() -> None:
    clock = Clock()
    async with telegram_and_bot(clock=clock) as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        await till.updates()
        link = await bot.create_invoice_link(**MONTH)
        for wait_s, status in ((10.1, "failed"), (9.9, "paid")):
            paying = asyncio.create_task(ann.wallet.pay(link))
            query = (await till.next()).pre_checkout_query
            assert query is not None
            clock.now += wait_s
            if status == "failed":
                with pytest.raises(BadRequest, match="Query is too old and response timeout expired or query id is"):
                    await query.answer(ok=True)
            else:
                await query.answer(ok=True)
            assert (await paying).status == status
            with pytest.raises(BadRequest, match="Query is too old"):
                await query.answer(ok=True)
        assert ann.wallet.balance == 0


async def test_a_query_that_nobody_answers_ends_at_the_payers() -> None:
    async with telegram_and_bot(checkout_timeout_s=0.05) as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        await till.updates()
        outcome = await ann.wallet.pay(await bot.create_invoice_link(**MONTH))
        assert (outcome.status, outcome.error) == ("failed", "BOT_PRECHECKOUT_TIMEOUT")
        query = (await till.next()).pre_checkout_query
        assert query is not None
        with pytest.raises(BadRequest, match="Query is too old"):
            await query.answer(ok=True)
        assert ann.wallet.balance == PRICE


async def test_a_query_comes_only_to_a_bot_that_allows_it() -> None:
    async with telegram_and_bot(checkout_timeout_s=0.05) as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        await bot.get_updates(allowed_updates=["message"])
        outcome = await ann.wallet.pay(await bot.create_invoice_link(**MONTH))
        assert outcome.error == "BOT_PRECHECKOUT_TIMEOUT"
        assert [each.pre_checkout_query for each in await bot.get_updates()] == [None]


async def test_a_payer_who_closes_the_app_is_charged_all_the_same() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        await till.updates()
        paying = asyncio.create_task(ann.wallet.pay(await bot.create_invoice_link(**MONTH)))
        query = (await till.next()).pre_checkout_query
        assert query is not None
        paying.cancel()
        await asyncio.wait([paying])
        await query.answer(ok=True)
        assert (await till.next()).message is not None
        assert ann.wallet.balance == 0


async def test_a_refund_gives_back_once_and_says_so() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann, ben = await started(telegram), await started(telegram, "Ben")
        ann.wallet.top_up(PRICE)
        till = Till(bot)
        outcome, _ = await till.sell(ann, await bot.create_invoice_link(**MONTH))
        with pytest.raises(BadRequest, match="Charge_not_found"):
            await bot.refund_star_payment(ben.id, outcome.charge_id)
        with pytest.raises(BadRequest, match="Charge_not_found"):
            await bot.refund_star_payment(ann.id, "stxNothing")
        assert await bot.refund_star_payment(ann.id, outcome.charge_id)
        message = (await till.next()).message
        assert message is not None
        refunded = message.refunded_payment
        assert refunded is not None
        assert (refunded.currency, refunded.total_amount, refunded.invoice_payload) == ("XTR", PRICE, "inv_7f3a")
        assert refunded.telegram_payment_charge_id == outcome.charge_id
        with pytest.raises(BadRequest, match="Charge_already_refunded"):
            await bot.refund_star_payment(ann.id, outcome.charge_id)
        assert ann.wallet.balance == PRICE
        assert (await bot.get_my_star_balance()).amount == 0


async def test_transactions_are_listed_oldest_first_in_pages() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(100_000)
        till = Till(bot)
        once, often = await bot.create_invoice_link(**MONTH), await bot.create_invoice_link(**PERIODIC)
        charges = [(await till.sell(ann, link))[0].charge_id for link in (once, often, once)]
        await bot.refund_star_payment(ann.id, charges[0])
        listed = (await bot.get_star_transactions()).transactions
        assert [each.id for each in listed] == [*charges, charges[0]]
        assert [each.source is None for each in listed] == [False, False, False, True]
        assert all(each.amount == PRICE for each in listed)
        for transaction, payload, period_days in ((listed[1], "sub_1", 30), (listed[3], "inv_7f3a", None)):
            partner = transaction.source or transaction.receiver
            assert isinstance(partner, TransactionPartnerUser)
            assert (partner.user.id, partner.transaction_type) == (ann.id, "invoice_payment")
            assert partner.invoice_payload == payload
            period = partner.subscription_period
            assert (None if period is None else period.days) == period_days
            assert not partner.api_kwargs
        page = (await bot.get_star_transactions(offset=1, limit=2)).transactions
        assert [each.id for each in page] == charges[1:3]
        assert (await bot.get_star_transactions(offset=4)).transactions == ()


async def test_a_hundred_transactions_at_most() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        ann.wallet.top_up(100_000)
        link = await bot.create_invoice_link(**MONTH)
        invoice = ann.wallet.invoice_behind(link)
        for _ in range(101):
            telegram.stars.ledger.charge(ann.person, invoice, telegram.stars.now_s())
        assert len((await bot.get_star_transactions()).transactions) == 100
        assert len((await bot.get_star_transactions(limit=500)).transactions) == 100
        assert len((await bot.get_star_transactions(limit=0)).transactions) == 1


async def test_a_keyboard_under_an_invoice_begins_with_paying() -> None:
    def keyboard(*buttons: InlineKeyboardButton) -> InlineKeyboardMarkup:
        return InlineKeyboardMarkup([[button] for button in buttons])

    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        pay, other = InlineKeyboardButton("Pay ⭐ 250", pay=True), InlineKeyboardButton("Back", callback_data="back")
        sent = await bot.send_invoice(ann.id, **MONTH, reply_markup=keyboard(pay, other))
        assert sent.reply_markup == keyboard(pay, other)
        with pytest.raises(BadRequest, match="Reply_markup_buy_empty"):
            await bot.send_invoice(ann.id, **MONTH, reply_markup=keyboard(other, pay))
        for buttons in ((pay, pay), (pay, other, pay)):
            with pytest.raises(BadRequest, match="Button_type_invalid"):
                await bot.send_invoice(ann.id, **MONTH, reply_markup=keyboard(*buttons))
        with pytest.raises(BadRequest, match="Button_type_invalid"):
            await bot.send_message(ann.id, "no invoice", reply_markup=keyboard(pay))
        with pytest.raises(BadRequest, match="Reply_markup_buy_empty"):
            await bot.edit_message_reply_markup(ann.id, sent.message_id, reply_markup=keyboard(other))
        await bot.edit_message_reply_markup(ann.id, sent.message_id, reply_markup=keyboard(pay))
        await _refuse_other_edits(bot, ann.id, sent.message_id)


async def _refuse_other_edits(bot: Bot, chat_id: int, message_id: int) -> None:
    with pytest.raises(BadRequest, match="There is no text in the message to edit"):
        await bot.edit_message_text("x", chat_id, message_id)
    with pytest.raises(BadRequest, match="There is no caption in the message to edit"):
        await bot.edit_message_caption(chat_id, message_id, caption="x")


async def test_an_invoice_counts_towards_the_flood_limits() -> None:
    async with telegram_and_bot(FloodLimits(private=Window(1, 60.0))) as (telegram, bot):
        ann = await started(telegram)
        await bot.send_invoice(ann.id, **MONTH)
        price = [{"label": "Pro", "amount": PRICE}]
        refused = await call(telegram, "sendInvoice", **{**MONTH, "chat_id": ann.id, "prices": price})
        assert refused["status"] == 429
        assert telegram.stats.messages == 1
        assert len(ann.messages) == 2
