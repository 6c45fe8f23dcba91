"""An admin refunds Stars: once, to who paid them, and nobody is charged for the next month."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.payments.stars import arrival_key
from runtime.errors import UserFacingError
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from tests.payments.settling.kit import ADMIN, OTHER, settling_on
from tests.payments.stars.kit import MONTH, Shop
from tests.payments.stars.test_refunds import stray_payment

MONTH_S = 31 * 86_400


async def test_a_refund_ends_the_subscription(shop: Shop, ann: SandboxUser, telegram: TelegramSandbox) -> None:
    settling = settling_on(shop.stores, stars=shop.stars).settling
    key = arrival_key((await ann.wallet.pay(await shop.sell(ann, MONTH))).charge_id)
    await shop.settled()
    [renewing] = await shop.stars.renewing(ann.id)
    file = await shop.stores.ledger.find(renewing.invoice.id)
    assert file
    assert renewing.at == file.arrivals[0].at + timedelta(days=30)
    assert await settling.refund(key, ADMIN) == "refunded"
    assert await settling.refund(key, OTHER) == "refunded_before"
    await shop.recorded(2)
    assert await shop.stars.renewing(ann.id) == []
    telegram.stars.advance(MONTH_S)
    await shop.settled()
    assert ann.wallet.balance == 100_000
    assert await shop.keys(ann) == ["refund -30", "stars 30"]


async def test_what_is_paid_once_has_nothing_to_end(shop: Shop, ann: SandboxUser) -> None:
    settling = settling_on(shop.stores, stars=shop.stars).settling
    key = arrival_key((await ann.wallet.pay(await shop.sell(ann))).charge_id)
    await shop.settled()
    assert await shop.stars.renewing(ann.id) == []
    assert await settling.dismiss(key, ADMIN, "x") == "pays"
    assert await settling.refund(key, ADMIN) == "refunded"
    assert await shop.keys(ann) == ["refund -365", "stars 365"]


async def test_what_was_settled_for_another_goes_back_to_who_paid(
    shop: Shop, ann: SandboxUser, ben: SandboxUser, telegram: TelegramSandbox
) -> None:
    settling = settling_on(shop.stores, stars=shop.stars).settling
    key = arrival_key(await stray_payment(shop, ann, ben, telegram))
    invoice_id = (await settling.record(key)).note.split()[-1]
    assert await settling.settle(key, invoice_id, ADMIN) == "credited"
    assert [await settling.refund(key, by) for by in (ADMIN, OTHER)] == ["refunded", "refunded_before"]
    assert ben.wallet.balance == 100_000
    assert await shop.keys(ann) == ["refund -30", "stars 30"]
    with pytest.raises(UserFacingError, match="is_refunded"):
        await settling.settle(key, invoice_id, ADMIN)


async def test_what_telegram_does_not_know_is_not_refunded(shop: Shop, ann: SandboxUser) -> None:
    settling = settling_on(shop.stores, stars=shop.stars).settling
    invoice = await shop.stars.open(ann.id, MONTH)
    await shop.stores.ledger.arrived(shop.payment(ann, invoice, "invented").as_arrival(), invoice.id)
    with pytest.raises(UserFacingError, match="telegram_refuses"):
        await settling.refund(arrival_key("invented"), ADMIN)
    with pytest.raises(UserFacingError, match="arrival_unknown"):
        await settling.refund(arrival_key("nobody's"), ADMIN)
    assert await shop.keys(ann) == ["stars 30"]
