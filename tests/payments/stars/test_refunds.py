"""What is paid back takes its days with it, once, and the person is told; whoever pays it back."""

from __future__ import annotations

import pytest

from domain.payments.stars import arrival_key
from managers.storage.postgres import PostgresManager
from runtime.errors import MessageRefusedError, UserFacingError
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.stars.faults import StarFault, StarFaultChange
from tests.faults.proxy import FaultProxy
from tests.payments.ledger_kit import Clock
from tests.payments.stars.kit import MONTH, STARS, Shop, invoice_for, money_of, shop_on, texts_of


async def test_an_admin_refunds_once(shop: Shop, ann: SandboxUser, clock: Clock) -> None:
    charge_id = (await ann.wallet.pay(await shop.sell(ann))).charge_id
    await shop.settled()
    assert await shop.stars.refund(charge_id)
    await shop.recorded(2)
    assert not await shop.stars.refund(charge_id), "Telegram has done so before"
    await shop.settled()
    assert ann.wallet.balance == 100_000
    assert await shop.keys(ann) == ["refund -365", "stars 365"]
    assert not (await shop.standing(ann)).is_active(clock.now)
    assert await shop.told() == [("receipt", "paid"), ("payment", "refunded")]


async def test_one_renewal_of_three_is_refunded_by_telegram(
    shop: Shop, ann: SandboxUser, telegram: TelegramSandbox
) -> None:
    await ann.wallet.pay(await shop.sell(ann, MONTH))
    [subscription] = ann.wallet.subscriptions
    ann.wallet.renew(subscription.id)
    ann.wallet.renew(subscription.id)
    await shop.recorded(3)
    second = list(telegram.stars.ledger.charges)[1]
    telegram.stars.refund(ann.chat, second)
    await shop.recorded(4)
    assert await shop.keys(ann) == ["refund -30", "stars 30", "stars 30", "stars 30"]
    assert (await shop.told())[-1] == ("payment", "refunded")
    assert [one.notice.received for one in await shop.stores.told()] == [STARS] * 4


async def test_what_is_refunded_before_it_is_known_gives_nothing(
    shop: Shop, ann: SandboxUser, telegram: TelegramSandbox
) -> None:
    telegram.stars.faults.change(StarFaultChange(next=[StarFault.LATE], late_s=0.3))
    charge_id = (await ann.wallet.pay(await shop.sell(ann))).charge_id
    with pytest.raises(UserFacingError):
        await shop.stars.refund(charge_id)
    telegram.stars.refund(ann.chat, charge_id)
    await shop.recorded(2)
    assert await shop.keys(ann) == []
    assert await shop.told() == [("payment", "refunded")]


async def test_a_refunded_invoice_may_be_paid_again(shop: Shop, ann: SandboxUser) -> None:
    invoice = await shop.stars.open(ann.id, MONTH)
    first = await ann.wallet.pay(await shop.hand_over(ann, invoice))
    await shop.settled()
    await shop.stars.refund(first.charge_id)
    assert (await ann.wallet.pay(await shop.hand_over(ann, invoice))).status == "paid"
    await shop.recorded(3)
    assert await shop.keys(ann) == ["refund -30", "stars 30", "stars 30"]


async def test_what_fits_nothing_is_refunded_and_its_payer_told(
    shop: Shop, ann: SandboxUser, ben: SandboxUser, telegram: TelegramSandbox
) -> None:
    charge_id = await stray_payment(shop, ann, ben, telegram)
    assert await shop.stars.refund(charge_id)
    await shop.recorded(2)
    assert ben.wallet.balance == 100_000
    assert await shop.stores.ledger.unmatched() == [], "nothing is left to do"
    record = await shop.stores.ledger.record_of(arrival_key(charge_id))
    assert record is not None
    assert record.arrival.refunded
    assert await shop.keys(ann) == await shop.keys(ben) == []


async def test_what_an_admin_settled_is_refunded_to_who_paid_it(
    shop: Shop, ann: SandboxUser, ben: SandboxUser, telegram: TelegramSandbox
) -> None:
    charge_id = await stray_payment(shop, ann, ben, telegram)
    [record] = await shop.stores.ledger.unmatched()
    outcome = await shop.stores.ledger.arrived(record.arrival, record.note.split()[-1], settled_by=1)
    assert outcome.credited
    assert await shop.keys(ann) == ["stars 30"]
    assert await shop.stars.refund(charge_id)
    await shop.recorded(2)
    assert ben.wallet.balance == 100_000
    assert await shop.keys(ann) == ["refund -30", "stars 30"]
    assert await shop.stores.ledger.unmatched() == []


async def stray_payment(shop: Shop, ann: SandboxUser, ben: SandboxUser, telegram: TelegramSandbox) -> str:
    """Let Ben pay an invoice of Ann's, as if the bot had agreed."""
    invoice = await shop.stars.open(ann.id, MONTH)
    sold = telegram.stars.invoices.behind(await shop.stars.link(invoice, shop.text))
    assert sold is not None
    assert ben.chat.person is not None
    charge = telegram.stars.ledger.charge(ben.chat.person, sold, telegram.stars.now_s())
    assert charge is not None
    telegram.cloud.publish("message", money_of(ben, charge.as_payment()))
    await shop.recorded(1)
    return charge.id


async def test_nobody_gets_back_what_nobody_has_paid(shop: Shop, ann: SandboxUser, ben: SandboxUser) -> None:
    with pytest.raises(UserFacingError):
        await shop.stars.refund("no such charge")
    one = invoice_for(ann.id, "INV1")
    await shop.stores.ledger.open(one, told_by_amount=False)
    await shop.stores.ledger.arrived(shop.payment(ann, one, "invented").as_arrival(), one.id)
    with pytest.raises(MessageRefusedError, match=r"(?i)charge_not_found"):
        await shop.stars.refund("invented")
    assert await shop.keys(ann) == ["stars 30"], "Telegram has not paid it back"
    assert texts_of(ben) == []


async def test_redis_that_goes_away_meanwhile_learns_of_the_refund(
    telegram: TelegramSandbox, redis_url: str, postgres_manager: PostgresManager, clock: Clock, ann: SandboxUser
) -> None:
    async with (
        FaultProxy(redis_url) as proxy,
        shop_on(telegram, proxy.redis_url, postgres_manager, clock) as shop,
    ):
        charge_id = (await ann.wallet.pay(await shop.sell(ann))).charge_id
        await shop.settled()
        await proxy.refuse()
        telegram.stars.refund(ann.chat, charge_id)
        await shop.recorded(2, acknowledged=False)
        await proxy.repair()
        await shop.settled()
        assert await shop.keys(ann) == ["refund -365", "stars 365"]
