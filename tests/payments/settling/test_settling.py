"""What an admin says of money that arrived: it is credited once, or never, and whoever comes second is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from msgspec.structs import replace
from solders.signature import Signature
from structlog.testing import capture_logs

from domain.payments.invoices import PRICE_HOLDS
from managers.storage.postgres import PostgresManager
from runtime.errors import UserFacingError
from services.payments.invoices import standing
from services.payments.ledger import IncompleteLedgerError, Ledger
from services.payments.notices import PaymentNotices
from services.payments.settling.settling import Settling, Verdict
from tests.payments.ledger_kit import START, Clock, Stores, came, invoice, stores_on
from tests.payments.settling.kit import ADMIN, OTHER, file_of, given, settling_on

LATE = START + PRICE_HOLDS * 2
OURS, BACK = (f"{Signature.from_bytes(bytes([n] * 64))}" for n in (1, 2))
ARRIVED = f"solana:{OURS}:SOL"


@pytest.fixture
def settling(stores: Stores) -> Settling:
    return settling_on(stores).settling


@pytest.mark.parametrize(
    ("amount", "asset", "at", "invoice_id"),
    [
        ("0.5", "SOL", START, None),
        ("0.5", "SOL", LATE, "INV1"),
        ("0.41", "SOL", START, "INV1"),
        ("60", "USDC", START, "INV1"),
        ("0.00002", "SOL", START, None),
    ],
    ids=["fits nothing", "late", "too little", "another coin", "worth nothing"],
)
async def test_it_is_credited_once_whatever_it_is_worth(
    stores: Stores, settling: Settling, amount: str, asset: str, at: object, invoice_id: str | None
) -> None:
    assert at in {START, LATE}
    await stores.ledger.open(invoice(), told_by_amount=True)
    arrival = came(amount, "a", LATE if at == LATE else START, asset=asset)
    await stores.ledger.arrived(arrival, invoice_id, note="memo")
    stores.clock.pass_(hours=1)
    assert await given(stores) == []
    assert await settling.settle("a", "INV1", ADMIN) == "credited"
    assert await settling.settle("a", "INV1", OTHER) == "already"
    assert not (await stores.ledger.arrived(arrival, "INV1")).is_new, "its source says it again"
    assert await given(stores) == [("invoice:INV1", 30)]
    file = await file_of(stores, "INV1")
    assert [(one.settled_by, one.note, one.arrival.ruling) for one in file.records] == [(ADMIN, "memo", "accepted")]
    assert not standing(file, stores.clock.now).needs_admin
    assert await stores.ledger.unmatched() == []
    assert Counter(one.kind for one in await stores.told())["receipt"] == 1


@pytest.mark.parametrize("settled", ["a", "b"])
async def test_an_invoice_that_was_paid_twice_is_settled_with_one_of_them(
    stores: Stores, settling: Settling, settled: str
) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    for key in ("a", "b"):
        await stores.ledger.arrived(came("0.5", key), "INV1", note=f"memo {key}")
    assert standing(await file_of(stores, "INV1"), stores.clock.now).needs_admin
    assert await settling.settle(settled, "INV1", ADMIN) == "recorded"
    file = await file_of(stores, "INV1")
    assert not standing(file, stores.clock.now).needs_admin
    assert [(one.settled_by, one.note) for one in file.records] == [(ADMIN, "memo a"), (ADMIN, "memo b")]
    assert await given(stores) == [("invoice:INV1", 30)]
    *_, last = await stores.told()
    assert (last.kind, last.notice.state, last.notice.needs_admin) == ("payment", "overpaid", False)


async def test_what_comes_twice_beyond_a_price_is_looked_at_twice(stores: Stores, settling: Settling) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    for key in ("a", "b", "c"):
        await stores.ledger.arrived(came("0.5", key), "INV1")
    assert await settling.settle("c", "INV1", ADMIN) == "recorded"
    assert standing(await file_of(stores, "INV1"), stores.clock.now).needs_admin


async def test_what_comes_beyond_a_payment_that_an_admin_accepted_is_looked_at(
    stores: Stores, settling: Settling
) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.5", "a", LATE), "INV1")
    assert await settling.settle("a", "INV1", ADMIN) == "credited"
    for key in ("b", "c"):
        await stores.ledger.arrived(came("0.5", key), "INV1")
    assert await settling.settle("b", "INV1", ADMIN) == "recorded"
    assert standing(await file_of(stores, "INV1"), stores.clock.now).needs_admin


async def test_two_admins_at_once_credit_once(redis_url: str, postgres_manager: PostgresManager, clock: Clock) -> None:
    async with (
        stores_on(redis_url, postgres_manager, clock) as one,
        stores_on(redis_url, postgres_manager, clock) as other,
    ):
        for number, amount in ((1, "0.5"), (2, "0.6")):
            await one.ledger.open(invoice(number, amount=amount), told_by_amount=True)
        await one.ledger.arrived(came("0.1"), None)
        decide = [settling_on(one).settling.settle, settling_on(other).settling.settle]
        verdicts: list[Verdict] = await asyncio.gather(
            *(decide[n % 2]("a", f"INV{n % 2 + 1}", ADMIN + n % 2) for n in range(10))
        )
        assert Counter(verdicts) == {"credited": 1, "already": 4, "elsewhere": 5}
        assert len(await one.ledger.entitlements(7)) == 1
        assert len([told for told in await one.told() if told.kind == "receipt"]) == 1


@pytest.mark.parametrize("fits", [None, "INV1"])
async def test_what_is_dismissed_counts_for_nothing_and_waits_for_nobody(
    stores: Stores, settling: Settling, fits: str | None
) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.41"), fits, note="memo")
    stores.clock.pass_(hours=1)
    assert await settling.dismiss("a", ADMIN, "returned by hand") == "dismissed"
    assert await settling.dismiss("a", OTHER, "none of ours") == "already"
    record = await settling.record("a")
    assert (record.settled_by, record.note, record.arrival.ruling) == (ADMIN, "memo; returned by hand", "dismissed")
    assert await stores.ledger.unmatched() == []
    assert not standing(await file_of(stores, "INV1"), stores.clock.now).needs_admin

    await stores.ledger.arrived(came("0.41"), "INV1", note="pasted by 7")
    await stores.ledger.arrived(came("0.09", "b"), "INV1")
    assert await given(stores) == [], "money that was sent back pays for nothing"
    assert await settling.record("a") == record
    assert await settling.settle("a", "INV1", OTHER) == "credited", "it was dismissed by mistake"
    assert await given(stores) == [("invoice:INV1", 30)]
    assert await settling.dismiss("a", ADMIN, "again") == "already"


async def test_more_money_under_the_name_of_what_was_dismissed_is_looked_at_again(
    stores: Stores, settling: Settling
) -> None:
    await stores.ledger.arrived(came("0.1"), None)
    await settling.dismiss("a", ADMIN, "dust")
    await stores.ledger.arrived(came("0.1"), None)
    assert await stores.ledger.unmatched() == []
    await stores.ledger.arrived(came("0.2"), None)
    assert [one.arrival.ruling for one in await stores.ledger.unmatched()] == [None]


async def test_what_pays_an_invoice_is_not_dismissed(stores: Stores, settling: Settling) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.7"), "INV1")
    assert standing(await file_of(stores, "INV1"), START).needs_admin
    assert await settling.dismiss("a", ADMIN, "returned the rest") == "pays"
    assert await settling.settle("a", "INV1", ADMIN) == "recorded", "it is left as it is"
    assert not standing(await file_of(stores, "INV1"), START).needs_admin
    await stores.ledger.arrived(came("0.5", "b"), "INV1")
    assert standing(await file_of(stores, "INV1"), START).needs_admin
    assert await settling.dismiss("b", ADMIN, "returned") == "dismissed", "the other one pays"
    assert not standing(await file_of(stores, "INV1"), START).needs_admin
    assert await given(stores) == [("invoice:INV1", 30)]


async def test_what_was_sent_back_by_hand_takes_what_was_given_for_it(stores: Stores, settling: Settling) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.5", ARRIVED), "INV1")
    with capture_logs() as logs:
        verdicts = [await settling.returned(ARRIVED, by, f"https://solscan.io/tx/{BACK}?x=1") for by in (ADMIN, OTHER)]
    assert verdicts == ["taken_back", "already"]
    assert [(one["admin"], one["arrival"], one["invoice"]) for one in logs if one["event"] == "payment_returned"] == [
        (ADMIN, ARRIVED, "INV1"),
        (OTHER, ARRIVED, "INV1"),
    ]
    assert await given(stores) == [("invoice:INV1", 30), ("refund:invoice:INV1", -30)]
    file = await file_of(stores, "INV1")
    assert [(one.settled_by, one.note) for one in file.records] == [(ADMIN, f"refunded by transaction {BACK}")]
    stands = standing(file, START)
    assert (stands.state, stands.is_due, stands.needs_admin) == ("refunded", False, False)
    assert [(one.kind, one.notice.state) for one in await stores.told()] == [
        ("receipt", "paid"),
        ("payment", "refunded"),
    ]

    await stores.ledger.arrived(came("0.5", ARRIVED), "INV1")
    await stores.ledger.arrived(came("0.5", "b"), "INV1")
    assert len(await given(stores)) == 2, "nothing is given for it again"
    assert standing(await file_of(stores, "INV1"), START).needs_admin, "that money has to go somewhere"
    with pytest.raises(UserFacingError, match="taken_back"):
        await settling.settle("b", "INV1", ADMIN)
    assert await settling.dismiss("b", ADMIN, "returned") == "dismissed"
    assert not standing(await file_of(stores, "INV1"), START).needs_admin


async def test_what_is_sent_back_beside_what_pays_takes_nothing(stores: Stores, settling: Settling) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.5", ARRIVED), "INV1")
    await stores.ledger.arrived(came("0.5", "nowpayments:1"), "INV1")
    assert await settling.returned("nowpayments:1", ADMIN, "payout-17") == "returned"
    assert await given(stores) == [("invoice:INV1", 30)]
    assert standing(await file_of(stores, "INV1"), START).state == "paid"

    await stores.ledger.open(invoice(2, amount="0.6"), told_by_amount=True)
    await stores.ledger.arrived(came("0.1", "c"), "INV2")
    await stores.ledger.arrived(came("5", "d", asset="USDC"), "INV2")
    assert await settling.settle("c", "INV2", ADMIN) == "credited"
    assert await settling.returned("d", ADMIN, "tx") == "returned", "what an admin accepted stands"
    assert await settling.returned("c", ADMIN, "tx") == "taken_back"
    assert [one for one in await given(stores) if "INV2" in one[0]] == [
        ("invoice:INV2", 30),
        ("refund:invoice:INV2", -30),
    ]


async def test_what_fits_nothing_and_was_sent_back_is_settled_no_more(stores: Stores, settling: Settling) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.5", ARRIVED), None)
    assert await settling.returned(ARRIVED, ADMIN, BACK) == "returned"
    assert await stores.ledger.unmatched() == []
    for refused in (settling.settle(ARRIVED, "INV1", ADMIN), settling.dismiss(ARRIVED, ADMIN, "x")):
        with pytest.raises(UserFacingError, match="is_refunded"):
            await refused
    await stores.ledger.arrived(came("0.5", ARRIVED), "INV1")
    assert await given(stores) == [], "whoever claims it later"


@pytest.mark.parametrize("typed", ["", "thanks", OURS[:40], "0" * 88, f"https://solscan.io/tx/{OURS}", OURS])
async def test_a_refund_needs_a_transaction_that_is_not_the_payment(
    stores: Stores, settling: Settling, typed: str
) -> None:
    await stores.ledger.arrived(came("0.5", ARRIVED), None)
    with pytest.raises(UserFacingError, match=r"no_transaction|own_transaction"):
        await settling.returned(ARRIVED, ADMIN, typed)
    assert not (await settling.record(ARRIVED)).arrival.refunded


async def test_what_is_not_final_or_not_known_is_not_settled(stores: Stores, settling: Settling) -> None:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.4", stage="confirming"), "INV1")
    with pytest.raises(UserFacingError, match="not_final"):
        await settling.settle("a", "INV1", ADMIN)
    with pytest.raises(UserFacingError, match="arrival_unknown"):
        await settling.settle("b", "INV1", ADMIN)
    await stores.ledger.arrived(came("0.4"), "INV1")
    with pytest.raises(UserFacingError, match="invoice_unknown"):
        await settling.settle("a", "INV9", ADMIN)
    assert await given(stores) == []


async def test_nothing_is_settled_while_redis_is_being_filled(stores: Stores) -> None:
    ledger = Ledger(
        stores.redis,
        stores.journal,
        messages=PaymentNotices(clock=stores.clock),
        clock=stores.clock,
        needs_epoch=True,
    )
    settling = settling_on(replace(stores, ledger=ledger)).settling
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.4"), "INV1")
    for refused in (
        settling.settle("a", "INV1", ADMIN),
        settling.settle("b", "INV1", ADMIN),
        settling.dismiss("a", ADMIN, "x"),
        settling.returned("a", ADMIN, "x"),
    ):
        with pytest.raises(IncompleteLedgerError):
            await refused
    assert await given(stores) == []
    assert (await file_of(stores, "INV1")).records[0].arrival == came("0.4", at=START + timedelta(0))
