"""Telegram's book and the ledger are compared: what only one has is named, and what was lost is written down."""

from __future__ import annotations

from datetime import timedelta

from managers.storage.postgres import PostgresManager
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.stars.faults import StarFault
from services.payments.reconciliation import Reconciliation, StarsSource
from services.payments.stars import ON_THE_WAY
from services.schedule.due_times import DueTimes
from services.schedule.schedule import Schedule
from tests.payments.ledger_kit import Clock
from tests.payments.stars.kit import MONTH, YEAR, Shop, invoice_for, shop_on


async def found(shop: Shop, *, later: bool = True) -> list[tuple[str, str]]:
    if later:
        shop.stores.clock.now += ON_THE_WAY + timedelta(seconds=2)
    await shop.stores.journal.drain_all()
    since = shop.stores.clock.now - timedelta(days=2)
    return sorted((one.what, one.charge_id) for one in await shop.stars.differences(since))


async def test_what_is_in_order_is_not_named(shop: Shop, ann: SandboxUser) -> None:
    await ann.wallet.pay(await shop.sell(ann))
    refunded = (await ann.wallet.pay(await shop.sell(ann, MONTH))).charge_id
    await shop.recorded(2)
    await shop.stars.refund(refunded)
    await shop.recorded(3)
    assert await found(shop) == []


async def test_a_payment_that_nobody_brought_is_named_and_made_good(
    telegram: TelegramSandbox, redis_url: str, postgres_manager: PostgresManager, clock: Clock, ann: SandboxUser
) -> None:
    telegram.stars.faults.fail_next(StarFault.AFTER_RESTART)
    async with shop_on(telegram, redis_url, postgres_manager, clock) as shop:
        charge_id = (await ann.wallet.pay(await shop.sell(ann))).charge_id
        assert await found(shop, later=False) == [], "it may be on its way"
        assert await found(shop) == [("not_recorded", charge_id)]
        differences = await shop.stars.differences(clock.now - timedelta(days=2))
        assert await shop.stars.recover(differences) == 1
        assert await shop.keys(ann) == ["stars 365"]
        assert await found(shop) == []
    async with shop_on(telegram, redis_url, postgres_manager, clock) as shop:
        await shop.recorded(1)
        assert await shop.keys(ann) == ["stars 365"], "it came all the same"


async def test_a_refund_that_nobody_brought_is_named_and_made_good(
    shop: Shop, ann: SandboxUser, telegram: TelegramSandbox
) -> None:
    charge_id = (await ann.wallet.pay(await shop.sell(ann))).charge_id
    await shop.recorded(1)
    telegram.stars.ledger.refund(ann.id, charge_id, telegram.stars.now_s())
    assert await found(shop) == [("refund_not_recorded", charge_id)]
    since = shop.stores.clock.now - timedelta(days=2)
    assert await shop.stars.recover(await shop.stars.differences(since)) == 1
    assert await shop.keys(ann) == ["refund -365", "stars 365"]
    assert await found(shop) == []


async def test_what_telegram_does_not_know_and_what_it_has_otherwise_is_named(
    shop: Shop, ann: SandboxUser, telegram: TelegramSandbox
) -> None:
    one = invoice_for(ann.id, "INV1")
    await shop.stores.ledger.open(one, told_by_amount=False)
    for charge_id in ("invented", "before"):
        arrival = shop.payment(ann, one, charge_id, days_ago=7 if charge_id == "before" else 0).as_arrival()
        await shop.stores.ledger.arrived(arrival, one.id)
    outcomes = [await ann.wallet.pay(await shop.sell(ann, offer)) for offer in (MONTH, YEAR)]
    await shop.recorded(2)
    kept, cheaper = (outcome.charge_id for outcome in outcomes)
    telegram.stars.ledger.transactions[1]["amount"] -= 1
    record = await shop.stores.ledger.record_of(f"stars:{kept}")
    assert record is not None
    assert record.invoice_id is not None
    refunded = shop.payment(ann, one, kept, is_refunded=True).as_arrival()
    await shop.stores.ledger.arrived(refunded, record.invoice_id)
    assert await found(shop) == sorted(
        [("not_at_telegram", "invented"), ("amount", cheaper), ("refund_not_at_telegram", kept)]
    )
    since = shop.stores.clock.now - timedelta(days=2)
    assert await shop.stars.recover(await shop.stars.differences(since)) == 0, "an admin looks at these"


async def test_telegrams_book_is_read_to_its_end(shop: Shop, ann: SandboxUser, telegram: TelegramSandbox) -> None:
    invoice = await shop.stars.open(ann.id, MONTH)
    sold = telegram.stars.invoices.behind(await shop.stars.link(invoice, shop.text))
    assert sold is not None
    assert ann.chat.person is not None
    charges = [telegram.stars.ledger.charge(ann.chat.person, sold, telegram.stars.now_s()) for _ in range(201)]
    telegram.stars.ledger.transactions.insert(7, {"id": "x", "amount": "much"})
    telegram.stars.ledger.transactions.insert(8, {"id": "y", "amount": 9, "date": 1, "receiver": {"type": "fragment"}})
    assert await found(shop) == sorted(("not_recorded", charge.id) for charge in charges if charge)


async def test_every_night_what_was_lost_is_made_good_and_what_remains_is_told(
    telegram: TelegramSandbox, redis_url: str, postgres_manager: PostgresManager, clock: Clock, ann: SandboxUser
) -> None:
    telegram.stars.faults.fail_next(StarFault.AFTER_RESTART)
    async with shop_on(telegram, redis_url, postgres_manager, clock) as shop:
        due_times = DueTimes(shop.stores.redis)
        nightly = Reconciliation(redis=shop.stores.redis, due_times=due_times, clock=clock)
        schedule = Schedule([nightly.job(StarsSource(shop.stars))], due_times=due_times, clock=clock)
        if clock.now.hour == 3:  # the hour of the job: the night that is meant is the next one
            clock.now += timedelta(hours=1)
        await schedule.poll()
        await ann.wallet.pay(await shop.sell(ann))
        nobody_asked = shop.payment(ann, invoice_for(ann.id, "NOBODY"), "unheard-of")
        clock.now += ON_THE_WAY + timedelta(seconds=2)
        await shop.stars.arrived(nobody_asked)
        assert await schedule.poll() == 0
        assert await shop.keys(ann) == []
        await shop.stores.journal.drain_all()
        clock.now += timedelta(days=1)
        assert await schedule.poll() == 1
        assert await shop.keys(ann) == ["stars 365"]
        [left] = await nightly.left()
        assert (left.source, left.what, left.key) == ("stars", "recorded_not_there", "stars:unheard-of")
        assert await schedule.poll() == 0, "once a night"
