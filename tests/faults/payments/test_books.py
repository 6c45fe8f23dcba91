"""The instruments themselves: whatever somebody got too much or too little of is seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.ledger import REPEAT_NOTE
from tests.faults.payments.books import PaymentCounts, judge
from tests.faults.payments.crowd import Payer
from tests.faults.payments.shop import Shop
from tests.faults.payments.table import PaymentRow, payments_section

NOW = datetime(2026, 11, 29, 14, tzinfo=UTC)


async def test_what_is_missing_and_what_is_too_much_is_seen(shop: Shop) -> None:
    payer, thief = shop.people[0], shop.people[1]
    payer.arrivals, payer.invoices = {"solana:a:SOL"}, {"INV1"}
    counts = await shop.books.counts()
    assert (counts.paid, counts.payments, counts.recorded, counts.lost, counts.untold) == (1, 1, 0, 1, 1)
    with pytest.raises(AssertionError, match="recorded 0"):
        judge(counts)

    await _record(shop, "solana:a:SOL")
    await _give(shop, payer, "invoice:INV1", is_shown=False)
    _tell(shop, payer, "INV1")
    counts = await shop.books.counts()
    assert (counts.recorded, counts.lost, counts.untold, counts.credited) == (1, 0, 0, 0)
    with pytest.raises(AssertionError, match="credited 0"):
        judge(counts)
    await _give(shop, payer, "invoice:INV1")
    assert (await shop.books.counts()).is_complete
    judge(await shop.books.counts())

    _tell(shop, payer, "INV1", note=REPEAT_NOTE)
    judge(await shop.books.counts(), repeats=1)
    with pytest.raises(AssertionError, match="told again 1"):
        judge(await shop.books.counts())
    _tell(shop, payer, "INV1")
    assert (await shop.books.counts()).told_twice == 1
    _tell(shop, thief, "INV2")
    assert (await shop.books.counts()).told_twice == 2
    await _give(shop, payer, "invoice:INV3")
    await _give(shop, thief, "invoice:INV2")
    await _record(shop, "solana:b:SOL")
    counts = await shop.books.counts()
    assert (counts.twice, counts.for_nothing, counts.unexplained, counts.credited) == (1, 1, 1, 0)


def test_the_table_sums_up_and_names_what_failed() -> None:
    counts = PaymentCounts(
        **dict.fromkeys(PaymentCounts.__struct_fields__, 2) | {"lost": 0, "twice": 0, "payments": 1_200}
    )
    rows = [PaymentRow(what=what, counts=counts, repeats=5) for what in ("Redis away", "Chain away")]
    said = payments_section(rows, ["tests/x.py::test_y"], "`make faults`.", "")
    assert said.index("| Chain away | 2 | 1,200 |") < said.index("| Redis away |")
    assert "2,400 payments in 2 scenarios: 0 lost, 0 twice, 4 for nothing. 4 receipts came again, of 10" in said
    assert said.endswith("- failed: `tests/x.py::test_y`")


async def _record(shop: Shop, key: str) -> None:
    async with shop.stage.database() as connection:
        await connection.execute(
            "INSERT INTO arrivals VALUES ($1, NULL, 'SOL', 1, $2, 'final', false, $2, '{}')", key, NOW
        )


async def _give(shop: Shop, payer: Payer, key: str, *, is_shown: bool = True) -> None:
    offer = payer.offer
    async with shop.stage.database() as connection:
        await connection.execute(
            "INSERT INTO entitlements VALUES ($1, $2, $3, $4, 1, $5, '{}') ON CONFLICT DO NOTHING",
            *(payer.user_id, key, offer.plan, offer.days, NOW),
        )
        if is_shown:
            until = NOW + timedelta(days=offer.days)
            await connection.execute(
                "UPDATE subscribers SET plan = $2, paid_until = $3 WHERE user_id = $1", payer.user_id, offer.plan, until
            )


def _tell(shop: Shop, payer: Payer, invoice_id: str, *, note: str = "") -> None:
    telegram = shop.stage.telegram
    text = f"Paid: 1 SOL for Pro, 30 days.\nYour plan runs until tomorrow. Invoice {invoice_id}.\n{note}"
    telegram.cloud.post(shop.stage.person(payer.user_id).chat, telegram.cloud.bot, {"text": text})
