"""People pay with Stars in the sandbox's Telegram, and get what they paid for: once for each charge, or a reason."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from domain.payments.stars import OPEN_FOR, payload_of
from managers.storage.postgres import PostgresManager
from managers.telegram.payments import TelegramPayments
from runtime.errors import UserFacingError
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.stars.faults import StarFault, StarFaultChange
from services.payments import keys
from tests.faults.proxy import FaultProxy
from tests.payments.ledger_kit import Clock
from tests.payments.stars.kit import (
    MONTH,
    STARS,
    TEXT,
    YEAR,
    Shop,
    Way,
    customer,
    hooked,
    money_of,
    polling,
    shop_on,
    texts_of,
    until,
)


async def test_a_year_is_paid_once(shop: Shop, ann: SandboxUser, clock: Clock) -> None:
    outcome = await ann.wallet.pay(await shop.sell(ann))
    assert outcome.status == "paid"
    await shop.settled()
    assert await shop.keys(ann) == ["stars 365"]
    assert (await shop.standing(ann)).until == clock.now + timedelta(days=365)
    [receipt] = await shop.stores.told()
    assert (receipt.kind, receipt.user_id) == ("receipt", ann.id)
    assert (receipt.notice.asset, receipt.notice.received, receipt.notice.until) == (
        "XTR",
        2_500,
        clock.now + timedelta(days=365),
    )
    assert await shop.stores.ledger.unmatched() == []
    assert await shop.stores.ledger.open_invoices() == []


async def test_a_subscription_gives_its_days_with_every_charge(shop: Shop, ann: SandboxUser, clock: Clock) -> None:
    outcome = await ann.wallet.pay(await shop.sell(ann, MONTH))
    [subscription] = ann.wallet.subscriptions
    await shop.settled()
    for _ in range(2):
        clock.pass_(days=30)
        ann.wallet.renew(subscription.id)
        await shop.settled()
    assert outcome.charge_id == subscription.id
    assert await shop.keys(ann) == ["stars 30"] * 3
    assert await shop.told() == [("receipt", "paid")] * 3, "each is told"
    assert [one.notice.received for one in await shop.stores.told()] == [STARS] * 3
    assert (await shop.standing(ann)).until == clock.now + timedelta(days=30)


async def test_a_subscription_is_ended_and_taken_up_again(shop: Shop, ann: SandboxUser) -> None:
    invoice = await shop.stars.open(ann.id, MONTH)
    with pytest.raises(UserFacingError):
        await shop.stars.set_renewal(invoice.id, renews=False)
    await ann.wallet.pay(await shop.stars.link(invoice, TEXT))
    await shop.settled()
    [subscription] = ann.wallet.subscriptions
    await shop.stars.set_renewal(invoice.id, renews=False)
    assert subscription.is_canceled_by_bot
    await shop.stars.set_renewal(invoice.id, renews=True)
    assert not subscription.is_canceled_by_bot


async def test_who_taps_twice_gets_one_invoice(shop: Shop, ann: SandboxUser, ben: SandboxUser, clock: Clock) -> None:
    first = await shop.stars.open(ann.id, YEAR)
    assert await shop.stars.open(ann.id, YEAR) == first
    assert await shop.stars.open(ann.id, MONTH) != first
    assert await shop.stars.open(ben.id, YEAR) != first
    clock.now += OPEN_FOR * 0.6
    assert await shop.stars.open(ann.id, YEAR) != first, "it would soon have expired"


async def test_a_paid_invoice_is_not_paid_again(shop: Shop, ann: SandboxUser) -> None:
    link = await shop.stars.link(await shop.stars.open(ann.id, YEAR), TEXT)
    assert (await ann.wallet.pay(link)).status == "paid"
    await shop.settled()
    again = await ann.wallet.pay(link)
    assert again.status == "failed"
    assert again.message.startswith("This invoice is paid already")
    assert ann.wallet.balance == 100_000 - 2_500


async def test_an_expired_invoice_is_not_paid(shop: Shop, ann: SandboxUser, clock: Clock) -> None:
    invoice = await shop.sell(ann)
    clock.now += OPEN_FOR + timedelta(seconds=1)
    assert (await ann.wallet.pay(invoice)).message.startswith("This invoice has expired")
    assert ann.wallet.balance == 100_000


async def test_somebody_else_is_refused_without_being_told_why(shop: Shop, ann: SandboxUser, ben: SandboxUser) -> None:
    link = await shop.stars.link(await shop.stars.open(ann.id, YEAR), TEXT)
    forwarded = await ben.wallet.pay(link)
    forged = await ben.wallet.pay(
        await TelegramPayments(shop.manager).create_invoice_link(TEXT, payload="no such invoice", stars=1)
    )
    assert forwarded.message == forged.message
    assert forwarded.message.startswith("This invoice is not open to you")
    assert ben.wallet.balance == 100_000


@pytest.mark.parametrize(
    "fault", [StarFault.TWICE, StarFault.LATE, StarFault.SAYS_CANCELLED], ids=lambda fault: fault.value
)
async def test_whatever_happens_to_the_update_it_counts_once(
    shop: Shop, ann: SandboxUser, telegram: TelegramSandbox, fault: StarFault
) -> None:
    telegram.stars.faults.change(StarFaultChange(next=[fault], late_s=0.2))
    outcome = await ann.wallet.pay(await shop.sell(ann))
    assert outcome.status == ("cancelled" if fault is StarFault.SAYS_CANCELLED else "paid")
    await shop.recorded(2 if fault is StarFault.TWICE else 1)
    assert await shop.keys(ann) == ["stars 365"]
    assert await shop.told() == [("receipt", "paid")]


async def test_who_was_told_that_nothing_was_paid_is_not_charged_again(
    shop: Shop, ann: SandboxUser, telegram: TelegramSandbox
) -> None:
    telegram.stars.faults.fail_next(StarFault.SAYS_CANCELLED)
    link = await shop.stars.link(await shop.stars.open(ann.id, YEAR), TEXT)
    assert (await ann.wallet.pay(link)).status == "cancelled"
    await shop.settled()
    assert (await ann.wallet.pay(link)).message.startswith("This invoice is paid already")
    assert ann.wallet.balance == 100_000 - 2_500


async def test_what_comes_after_a_restart_counts(
    telegram: TelegramSandbox, redis_url: str, postgres_manager: PostgresManager, clock: Clock, ann: SandboxUser
) -> None:
    telegram.stars.faults.fail_next(StarFault.AFTER_RESTART)
    async with shop_on(telegram, redis_url, postgres_manager, clock) as shop:
        await ann.wallet.pay(await shop.sell(ann))
        await shop.settled()
        assert await shop.keys(ann) == []
    async with shop_on(telegram, redis_url, postgres_manager, clock) as shop:
        await shop.settled()
        assert await shop.keys(ann) == ["stars 365"]
        assert await shop.told() == [("receipt", "paid")]


async def test_nobody_pays_where_the_bot_is_not_asked(
    redis_url: str, postgres_manager: PostgresManager, clock: Clock
) -> None:
    async with (
        TelegramSandbox(checkout_timeout_s=1.0) as telegram,
        shop_on(telegram, redis_url, postgres_manager, clock) as shop,
    ):
        ann = await customer(telegram)
        telegram.stars.faults.fail_next(StarFault.UNANSWERED)
        invoice = await shop.sell(ann)
        assert (await ann.wallet.pay(invoice)).status == "failed"
        assert await shop.keys(ann) == []
        assert (await ann.wallet.pay(invoice)).status == "paid"
        await shop.settled()
        assert await shop.keys(ann) == ["stars 365"]


@pytest.mark.parametrize("way", [polling, hooked])
async def test_without_redis_nothing_is_promised_and_nothing_is_lost(
    telegram: TelegramSandbox,
    redis_url: str,
    postgres_manager: PostgresManager,
    clock: Clock,
    ann: SandboxUser,
    way: Way,
) -> None:
    async with (
        FaultProxy(redis_url) as proxy,
        shop_on(telegram, proxy.redis_url, postgres_manager, clock, way) as shop,
    ):
        subscribing = await shop.sell(ann, MONTH)
        await ann.wallet.pay(subscribing)
        await shop.settled()
        invoice = await shop.sell(ann)
        await proxy.refuse()
        [subscription] = ann.wallet.subscriptions
        ann.wallet.renew(subscription.id)
        for _ in range(3):
            began_at = asyncio.get_running_loop().time()
            refused = await ann.wallet.pay(invoice)
            assert asyncio.get_running_loop().time() - began_at < 2.0
            assert refused.message.startswith("We cannot book payments right now")
        assert telegram.cloud.updates.pending(), "the renewal waits with Telegram"
        await proxy.repair()
        assert (await ann.wallet.pay(invoice)).status == "paid"
        await shop.settled()
        assert await shop.keys(ann) == ["stars 30", "stars 30", "stars 365"]
        assert await shop.told() == [("receipt", "paid")] * 3


async def test_a_redis_that_does_not_answer_is_not_waited_for(
    telegram: TelegramSandbox, redis_url: str, postgres_manager: PostgresManager, clock: Clock, ann: SandboxUser
) -> None:
    async with (
        FaultProxy(redis_url) as proxy,
        shop_on(telegram, proxy.redis_url, postgres_manager, clock) as shop,
    ):
        invoice = await shop.sell(ann)
        proxy.half_open()
        began_at = asyncio.get_running_loop().time()
        refused = await ann.wallet.pay(invoice)
        assert asyncio.get_running_loop().time() - began_at < 2.0
        assert refused.message.startswith("We cannot book payments right now")
        await proxy.repair()


async def test_money_that_fits_nothing_is_recorded_and_its_payer_told_once(
    shop: Shop, ann: SandboxUser, ben: SandboxUser, telegram: TelegramSandbox
) -> None:
    """Whatever the bot answered before: Telegram says that it was paid."""
    anns = await shop.stars.open(ann.id, MONTH)
    paid = {"currency": "XTR", "total_amount": STARS, "invoice_payload": anns.id, "telegram_payment_charge_id": "c9"}
    for _ in range(2):
        telegram.cloud.publish("message", money_of(ben, paid))
    await until(lambda: bool(texts_of(ben)))
    await shop.recorded(2)
    [unmatched] = await shop.stores.ledger.unmatched()
    assert (unmatched.arrival.amount, unmatched.note) == (STARS, f"from {ben.id} for {anns.id}")
    assert await shop.keys(ann) == await shop.keys(ben) == []
    [told] = texts_of(ben)
    assert "fit no invoice of yours" in told


async def test_a_hundred_updates_about_one_payment_count_once(
    shop: Shop, ann: SandboxUser, telegram: TelegramSandbox
) -> None:
    await ann.wallet.pay(await shop.sell(ann))
    await shop.recorded(1)
    [charge] = telegram.stars.ledger.charges.values()
    for _ in range(100):
        telegram.cloud.publish("message", money_of(ann, charge.as_payment()))
    await shop.recorded(101)
    assert await shop.keys(ann) == ["stars 365"]
    assert await shop.told() == [("receipt", "paid")]


@pytest.mark.parametrize(
    "forged",
    [
        {"total_amount": 1},
        {"currency": "USD"},
        {"invoice_payload": "INV"},
        {"invoice_payload": ""},
        {"invoice_payload": "x" * 4_000},
    ],
    ids=str,
)
async def test_a_payment_for_something_else_credits_nothing(
    shop: Shop, ann: SandboxUser, telegram: TelegramSandbox, forged: dict[str, object]
) -> None:
    invoice = await shop.stars.open(ann.id, MONTH)
    paid = {"currency": "XTR", "total_amount": STARS, "invoice_payload": invoice.id, "telegram_payment_charge_id": "c9"}
    telegram.cloud.publish("message", money_of(ann, paid | forged))
    await shop.recorded(1)
    assert await shop.keys(ann) == []
    assert len(await shop.stores.ledger.unmatched()) == 1


async def test_an_invoice_that_redis_has_lost_is_waited_for(
    shop: Shop, ann: SandboxUser, telegram: TelegramSandbox
) -> None:
    """It is filled from PostgreSQL again, and until then nobody knows what the money is for."""
    link = await shop.sell(ann, MONTH)
    assert isinstance(link, str)
    invoice = await shop.stars.open(ann.id, MONTH)
    await shop.stores.journal.drain_all()
    await shop.stores.redis.delete(keys.INVOICE.of(invoice.id))
    assert (await ann.wallet.pay(link)).status == "failed"
    paid = {"currency": "XTR", "total_amount": STARS, "invoice_payload": invoice.id, "telegram_payment_charge_id": "c9"}
    telegram.cloud.publish("message", money_of(ann, paid))
    await until(lambda: shop.brought.count > 1)
    assert telegram.cloud.updates.pending()
    assert await shop.stores.ledger.unmatched() == []
    assert await shop.stores.ledger.open(invoice, told_by_amount=False)
    await shop.settled()
    assert await shop.keys(ann) == ["stars 30"]


async def test_an_invoice_that_every_store_has_lost_is_what_telegram_kept_of_it(
    shop: Shop, ann: SandboxUser, ben: SandboxUser, telegram: TelegramSandbox
) -> None:
    invoice = await shop.stars.open(ann.id, MONTH)
    await shop.stores.redis.delete(keys.INVOICE.of(invoice.id))
    kept = {"currency": "XTR", "total_amount": STARS, "invoice_payload": payload_of(invoice)}
    telegram.cloud.publish("message", money_of(ben, kept | {"telegram_payment_charge_id": "c8"}))
    await shop.recorded(1)
    assert len(await shop.stores.ledger.unmatched()) == 1, "it was not sold to who paid"
    for _ in range(2):
        telegram.cloud.publish("message", money_of(ann, kept | {"telegram_payment_charge_id": "c9"}))
    await shop.recorded(3)
    assert await shop.keys(ann) == ["stars 30"]
    assert await shop.told() == [("receipt", "paid")]
    file = await shop.stores.ledger.find(invoice.id)
    assert file is not None
    assert replace(file.invoice, created_at=invoice.created_at, expires_at=invoice.expires_at) == invoice
