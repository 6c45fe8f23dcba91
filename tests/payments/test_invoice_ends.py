"""An invoice that ends unpaid is told to its owner once, whatever is killed, and not while something is under way."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from domain.payments.invoices import LATE_COUNTS, PRICE_HOLDS, Arrival
from domain.stored.outgoing import Envelope
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError
from sandbox.payments.solana.server import SolanaSandbox
from services.claims.putting import Putting
from services.payments.invoice_ends import InvoiceEnds
from services.payments.notices import ENDS_AFTER, PaymentNotices
from services.recovery.payments import PaymentsRefill
from services.schedule.due_times import DueTimes
from services.schedule.schedule import Schedule
from services.stores.spool import Spool
from tests.payments.ledger_kit import START, Clock, Stores, came, invoice
from tests.payments.solana_kit import Shop

END = START + PRICE_HOLDS + ENDS_AFTER


class Process:
    """One that looks at what is due."""

    def __init__(self, stores: Stores, *, killed: bool = False) -> None:
        self._putting = Putting(Spool(stores.redis), stores.journal)
        self._killed = killed
        due_times = DueTimes(stores.redis)
        self.ends = InvoiceEnds(
            ledger=stores.ledger,
            notices=PaymentNotices(clock=stores.clock),
            put=self._put,
            due_times=due_times,
            clock=stores.clock,
        )
        self.schedule = Schedule([self.ends.job()], due_times=due_times, clock=stores.clock)

    async def _put(self, envelope: Envelope) -> bool | None:
        put = await self._putting.put(envelope)
        if self._killed:
            raise TransientError("killed")
        return put


async def told(stores: Stores) -> list[tuple[str, bool]]:
    return [(one.notice.state, one.notice.needs_admin) for one in await stores.told() if one.kind == "payment"]


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        ([], [("expired", False)]),
        ([came("0.41")], [("underpaid", False), ("underpaid", True)]),
        ([came("50", asset="USDC")], [("open", True), ("expired", True)]),
        ([came("0.5")], []),
        ([replace(came("0.5"), refunded=True)], [("refunded", False)]),
        ([came("0.7")], []),
    ],
)
async def test_what_is_told_at_the_end(
    stores: Stores, arrivals: list[Arrival], expected: list[tuple[str, bool]]
) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    for one in arrivals:
        await stores.ledger.arrived(one, "INV1")
    process = Process(stores)
    stores.clock.now = END - timedelta(seconds=1)
    assert await process.schedule.poll() == 0
    for _ in range(3):
        stores.clock.pass_(seconds=1)
        await process.schedule.poll()
    stores.clock.pass_(days=2)
    assert await process.schedule.poll() == 0
    assert await told(stores) == expected


async def test_each_invoice_ends_by_itself_and_stars_do_not(stores: Stores) -> None:
    for one in (invoice(1), invoice(2, amount="0.6", at=START + timedelta(minutes=5))):
        assert await stores.ledger.open(one, told_by_amount=True)
    stars = replace(invoice(3), method="stars", asset="XTR", amount=Decimal(100), reference="")
    assert await stores.ledger.open(stars, told_by_amount=False)
    process = Process(stores)
    stores.clock.now = END
    assert await process.schedule.poll() == 1
    stores.clock.pass_(days=1)
    assert await process.schedule.poll() == 1
    assert [one.notice.invoice_id for one in await stores.told()] == ["INV1", "INV2"]


async def test_a_kill_between_telling_and_noting_it_tells_once(stores: Stores) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    stores.clock.now = END
    with pytest.raises(TransientError):
        await Process(stores, killed=True).schedule.poll()
    process = Process(stores)
    assert await process.schedule.poll() == 0, "it had been told"
    assert await DueTimes(stores.redis).due([], stores.clock.now) == []
    assert await told(stores) == [("expired", False)]


async def test_what_is_confirming_is_waited_for(shop: Shop, solana: SolanaSandbox) -> None:
    payer, asked = solana.wallet(sol=10), await shop.invoice("sol")
    process = Process(shop.stores)
    process.ends.looks["sol"] = lambda one: shop.watcher.check(one.id)
    shop.clock.now = asked.invoice.expires_at - timedelta(seconds=1)
    solana.advance()
    payer.pay(asked.url)
    solana.advance(2)
    shop.clock.now = asked.invoice.expires_at + ENDS_AFTER
    assert await process.schedule.poll() == 0
    assert await shop.state(asked) == "confirming", "the chain was asked before anything was said"
    solana.finalize()
    shop.clock.pass_(minutes=3)
    assert await process.schedule.poll() == 0
    assert [one.kind for one in await shop.told(asked)] == ["payment", "receipt"]


async def test_what_was_forked_away_ends_unpaid(stores: Stores) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.5", at=START + PRICE_HOLDS, stage="confirming"), "INV1")
    process = Process(stores)
    stores.clock.now = END
    assert await process.schedule.poll() == 0
    stores.clock.pass_(minutes=6)
    assert await process.schedule.poll() == 1
    assert await told(stores) == [("confirming", False), ("expired", False)]


async def test_what_never_becomes_final_is_not_looked_at_for_ever(stores: Stores) -> None:
    one = replace(invoice(), method="nowpayments", reference="", payment_id="p1")
    await stores.ledger.open(one, told_by_amount=False)
    await stores.ledger.arrived(came("0.5", stage="seen"), "INV1")
    process, looks = Process(stores), 0

    async def look(_invoice: object) -> None:
        nonlocal looks
        looks += 1

    process.ends.looks["nowpayments"] = look
    while stores.clock.now < START + LATE_COUNTS + timedelta(days=3):
        stores.clock.pass_(hours=1)
        await process.schedule.poll()
    assert 10 < looks < 100
    assert await told(stores) == [("seen", False)]


async def test_while_nobody_can_be_asked_it_is_not_said_for_an_hour(stores: Stores) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    process = Process(stores)

    async def away(_invoice: object) -> None:
        raise TransientError("no server")

    process.ends.looks["sol"] = away
    for minutes in range(0, 60, 10):
        stores.clock.now = END + timedelta(minutes=minutes)
        assert await process.schedule.poll() == 0
    stores.clock.now = END + timedelta(minutes=80)
    assert await process.schedule.poll() == 1


async def test_an_emptied_redis_learns_again_what_ends(
    stores: Stores, redis_manager: RedisManager, postgres_manager: PostgresManager, clock: Clock
) -> None:
    for number, amount in ((1, "0.5"), (2, "0.6")):
        await stores.ledger.open(invoice(number, amount=amount), told_by_amount=True)
    await stores.ledger.arrived(came("0.6"), "INV2")
    await stores.journal.drain_all()
    await redis_manager.transaction([("FLUSHALL",)])
    await PaymentsRefill(redis=stores.redis, postgres=postgres_manager, clock=clock).put_back(lambda: None)
    clock.now = END
    assert await Process(stores).schedule.poll() == 1
    assert [(one.kind, one.notice.invoice_id) for one in await stores.told()] == [("payment", "INV1")]
