"""Money in a store that loses its data: it comes back from the other, and nothing is credited meanwhile or twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import LiteralString

import pytest
from msgspec.structs import replace

from domain.payments.entitlements import Entitlement
from domain.payments.invoices import LATE_COUNTS, PRICE_HOLDS, Invoice
from domain.stored.payments import SourceCursor
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from services.payments.ledger import IncompleteLedgerError, Ledger
from services.payments.notices import PaymentNotices
from services.recovery.postgres_fill import PostgresFill
from services.stores import keys
from services.stores.database import Database
from tests.claims.alert_path import Process
from tests.payments.ledger_kit import came, invoice
from tests.recovery.test_database import database, fill

__all__ = ["database", "fill"]

NOW = datetime.now(UTC)
CURSOR = SourceCursor(source="solana:Wallet", position="sig", slot=77, at=NOW)
TABLES: tuple[LiteralString, ...] = (
    "SELECT id, document FROM invoices ORDER BY id",
    "SELECT key, invoice_id, stage, document FROM arrivals ORDER BY key",
    "SELECT user_id, key, document FROM entitlements ORDER BY user_id, key",
    "SELECT source, slot, document FROM payment_cursors",
)


def now() -> datetime:
    return datetime.now(UTC)


def ledger_on(process: Process) -> Ledger:
    return Ledger(process.redis, process.journal, messages=PaymentNotices(clock=now), clock=now, needs_epoch=True)


def made(number: int, amount: str, at: datetime = NOW) -> Invoice:
    return invoice(number, amount=amount, at=at)


@pytest.fixture
async def ledger(process: Process) -> Ledger:
    """One invoice is paid, one half, one is open, one is long gone; of two that fit none one is dismissed."""
    ledger = ledger_on(process)
    for one in (made(1, "0.5"), replace(made(2, "0.6"), payment_id="p2"), made(3, "0.7")):
        assert await ledger.open(one, told_by_amount=True)
    assert await ledger.open(made(4, "0.8", NOW - PRICE_HOLDS - LATE_COUNTS - timedelta(hours=1)), told_by_amount=True)
    await ledger.arrived(came("0.5", "a", NOW, stage="confirming"), "INV1")
    await ledger.arrived(came("0.5", "a", NOW), "INV1")
    await ledger.arrived(came("0.2", "b", NOW), "INV2")
    await ledger.arrived(came("0.1", "c", NOW), None, note="who?")
    await ledger.arrived(came("0.1", "z", NOW), None, note="who?")
    await ledger.arrived(came("0.1", "z", NOW), None, settled_by=1, ruling="dismissed", note="sent back")
    await ledger.give(7, Entitlement(key="trial", plan="trial", days=3, at=NOW))
    await ledger.move_cursor(CURSOR)
    return ledger


async def everything(ledger: Ledger) -> list[object]:
    files = [await ledger.find(f"INV{number}") for number in range(1, 5)]
    told = [await ledger.told_by("reference", f"ref{number}") for number in range(1, 5)]
    return [
        [file and replace(file, version=0, arrivals=tuple(sorted(file.arrivals, key=repr))) for file in files],
        told,
        await ledger.told_by("payment", "p2"),
        [await ledger.told_by_amount("SOL", made(0, amount).amount) for amount in ("0.5", "0.6", "0.7", "0.4")],
        sorted(await ledger.open_ids()),
        [file.invoice.id for file in await ledger.of_person(7)][-1],
        await ledger.unmatched(),
        [await ledger.counts_for(key) for key in "abcz"],
        await ledger.record_of("z"),
        sorted(await ledger.entitlements(7), key=repr),
        await ledger.entitled(),
        await ledger.cursor(CURSOR.source),
    ]


@pytest.mark.parametrize("drained", [False, True])
@pytest.mark.parametrize("all_is_gone", [False, True], ids=["its word is doubted", "emptied"])
async def test_an_emptied_redis_gets_all_of_it_back(
    process: Process, ledger: Ledger, redis_manager: RedisManager, *, drained: bool, all_is_gone: bool
) -> None:
    before = await everything(ledger)
    if drained:
        await process.journal.drain_all()
    if all_is_gone:
        await redis_manager.transaction([("FLUSHALL",)])
    else:
        await redis_manager.delete(keys.EPOCH.of())

    with pytest.raises(IncompleteLedgerError):
        await ledger.arrived(came("0.5", "other", NOW), "INV1")
    with pytest.raises(IncompleteLedgerError):
        await ledger.arrived(came("0.4", "new", NOW), None)
    with pytest.raises(IncompleteLedgerError):
        await ledger.open(made(5, "0.9"), told_by_amount=True)
    with pytest.raises(IncompleteLedgerError):
        await ledger.give(7, Entitlement(key="trial", plan="trial", days=3, at=NOW))
    with pytest.raises(IncompleteLedgerError):
        await ledger.cursor(CURSOR.source)

    assert await process.refill.poll()
    assert await everything(ledger) == before
    assert await ledger.told_by_amount("SOL", Decimal("0.4")) == "INV2", "so much is missing of it"
    assert not (await ledger.arrived(came("0.5", "a", NOW), "INV1")).credited
    assert not await ledger.give(7, Entitlement(key="trial", plan="trial", days=3, at=NOW))
    assert not await ledger.open(made(5, "0.7"), told_by_amount=True), "the amount is still another's"
    assert (await ledger.arrived(came("0.4", "d", NOW), "INV2")).credited
    assert len(await ledger.entitlements(7)) == 3


async def test_an_emptied_postgresql_gets_all_of_it_back(
    process: Process, ledger: Ledger, database: Database, fill: PostgresFill, postgres_manager: PostgresManager
) -> None:
    async def rows() -> list[list[tuple[object, ...]]]:
        return [[tuple(row) for row in await postgres_manager.fetch(table)] for table in TABLES]

    await process.journal.drain_all()
    before = await rows()
    assert [len(table) for table in before] == [4, 4, 2, 1]
    await database.poll()
    await postgres_manager.execute("DROP SCHEMA public CASCADE")
    await postgres_manager.execute("CREATE SCHEMA public")
    assert await fill.poll()
    assert await rows() == before
    await ledger.arrived(came("0.4", "d", NOW), "INV2")
    await process.journal.drain_all()
    assert [len(table) for table in await rows()] == [4, 5, 3, 1]
