"""An admin finds money by whatever name they have for it, and what waits for them, page by page."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace
from solders.signature import Signature

from domain.payments.differences import Difference
from domain.payments.invoices import PRICE_HOLDS
from runtime.errors import UserFacingError
from services.payments.invoices import standing
from services.payments.settling.search import Found, PaymentSearch
from services.recovery.payments import PaymentsRefill
from tests.payments.ledger_kit import START, Stores, came, invoice
from tests.payments.settling.kit import ADMIN, Differ, settling_on
from tests.texts.hostile import HOSTILE

SIGNATURE = str(Signature.from_bytes(bytes([3] * 64)))
MONTH = replace(invoice(4, user_id=8), method="stars", asset="XTR", amount=Decimal(250), reference="")


@pytest.fixture
async def search(stores: Stores) -> PaymentSearch:
    ledger = stores.ledger
    await ledger.open(invoice(1), told_by_amount=True)
    await ledger.open(replace(invoice(2, amount="0.6"), payment_id="5077125051"), told_by_amount=True)
    await ledger.open(MONTH, told_by_amount=False)
    await ledger.arrived(came("0.5", f"solana:{SIGNATURE}:SOL"), "INV1")
    await ledger.arrived(came("7", f"solana:{SIGNATURE}:Mint", asset="USDC"), None)
    await ledger.arrived(came("0.6", "nowpayments:5077125051"), "INV2")
    await ledger.arrived(came("250", "stars:charge_1", asset="XTR"), "INV4")
    await stores.journal.drain_all()
    await stores.postgres.execute(
        "INSERT INTO subscribers (user_id, chat_id, name, plan, paused, unreachable, document, revision, updated_at) "
        "VALUES (7, 7, 'Ann <Smith>', 'pro', false, false, '{}', 1, now())"
    )
    return settling_on(stores).search


def names(found: Found) -> tuple[set[str], set[str], set[int]]:
    return (
        {file.invoice.id for file in found.invoices},
        {record.arrival.key for record in found.arrivals},
        {one.user_id for one in found.people},
    )


BOTH = {f"solana:{SIGNATURE}:SOL", f"solana:{SIGNATURE}:Mint"}


CASES: dict[str, tuple[set[str], set[str], set[int]]] = {
    "INV1": ({"INV1"}, set(), set()),
    " inv1\n": ({"INV1"}, set(), set()),
    SIGNATURE: (set(), BOTH, set()),
    f"https://solscan.io/tx/{SIGNATURE}?cluster=mainnet": (set(), BOTH, set()),
    f"https://explorer.solana.com/tx/{SIGNATURE}#x": (set(), BOTH, set()),
    "charge_1": (set(), {"stars:charge_1"}, set()),
    "5077125051": ({"INV2"}, {"nowpayments:5077125051"}, set()),
    "7": ({"INV1", "INV2"}, set(), set()),
    "8": ({"INV4"}, set(), set()),
    "@ann": (set(), set(), {7}),
    "smith": (set(), set(), {7}),
    "%": (set(), set(), set()),
    "999999999999999999999999": (set(), set(), set()),
    "": (set(), set(), set()),
}


@pytest.mark.parametrize("typed", CASES)
async def test_it_is_found_by_any_of_its_names(search: PaymentSearch, typed: str) -> None:
    assert names(await search.find(typed)) == CASES[typed]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
async def test_nothing_that_is_typed_breaks_it(search: PaymentSearch, hostile: str) -> None:
    typed = hostile.encode("utf-8", "replace").decode()
    assert not (await search.find(typed)).invoices
    assert await search.file(typed) is None


async def test_while_redis_is_empty_everything_is_still_found_and_listed(search: PaymentSearch, stores: Stores) -> None:
    before = {one: names(await search.find(one)) for one in ("INV1", SIGNATURE, "charge_1", "7")}
    file = await search.file("INV1")
    await stores.redis.transaction([("FLUSHALL",)])
    assert {one: names(await search.find(one)) for one in before} == before
    stored = await search.file("INV1")
    assert file is not None
    assert stored == replace(file, version=0)
    assert (await search.waiting("unmatched", 0, 10)).total == 1


async def test_what_fits_nothing_is_listed_page_by_page_until_it_is_settled(stores: Stores) -> None:
    services = settling_on(stores)
    for number in range(5):
        await stores.ledger.arrived(came("1", f"k{number}", START + timedelta(minutes=number)), None)
    await stores.journal.drain_all()
    stores.clock.pass_(hours=1)
    pages = [await services.search.waiting("unmatched", start, 2) for start in (0, 2, 4)]
    assert [[one.arrival.key for one in page.records] for page in pages] == [["k4", "k3"], ["k2", "k1"], ["k0"]]
    assert {page.total for page in pages} == {5}
    await services.settling.dismiss("k3", ADMIN, "none of ours")
    page = await services.search.waiting("unmatched", 0, 2)
    assert [one.arrival.key for one in page.records] == ["k4"], "before PostgreSQL knows it"
    await stores.journal.drain_all()
    assert (await services.search.waiting("unmatched", 0, 9)).total == 4


async def test_what_was_dismissed_comes_back_dismissed_to_an_emptied_redis(stores: Stores) -> None:
    settling = settling_on(stores).settling
    await stores.ledger.open(invoice(), told_by_amount=True)
    for key, fits in (("a", None), ("b", "INV1"), ("c", None)):
        await stores.ledger.arrived(came("0.1", key), fits)
    assert await settling.dismiss("a", ADMIN, "x") == await settling.dismiss("b", ADMIN, "y") == "dismissed"
    assert await settling.returned("c", ADMIN, "tx") == "returned"
    before = [await settling.record(key) for key in "abc"]
    await stores.journal.drain_all()
    await stores.redis.transaction([("FLUSHALL",)])
    refill = PaymentsRefill(redis=stores.redis, postgres=stores.postgres, clock=stores.clock)
    await refill.put_back(lambda: None)
    assert [await settling.record(key) for key in "abc"] == before
    assert await stores.ledger.unmatched() == []
    await stores.ledger.arrived(came("0.1", "a"), "INV1")
    assert await settling.record("a") == before[0]
    assert await settling.dismiss("b", ADMIN, "z") == "already"


async def test_what_bought_nothing_waits_and_what_pays_does_not(stores: Stores) -> None:
    services, ledger = settling_on(stores), stores.ledger
    late = START + PRICE_HOLDS * 2
    for number in range(1, 7):
        await ledger.open(invoice(number, amount=f"0.{number}"), told_by_amount=True)
    await ledger.arrived(came("0.1", "paid"), "INV1")
    await ledger.arrived(came("0.2", "late", late), "INV2")
    await ledger.arrived(came("0.1", "little"), "INV3")
    await ledger.arrived(came("9", "other coin", asset="USDC"), "INV4")
    await ledger.arrived(came("0.7", "much"), "INV5")
    await ledger.arrived(came("0.6", "refunded"), "INV6")
    await services.settling.returned("refunded", ADMIN, "tx")
    stores.clock.pass_(hours=2)
    await stores.journal.drain_all()
    found = await services.search.waiting("invoices", 0, 99)
    assert {one.arrival.key for one in found.records} == {"late", "little", "other coin", "much"}
    for record in found.records:
        assert record.invoice_id
        await services.settling.settle(record.arrival.key, record.invoice_id, ADMIN)
    await stores.journal.drain_all()
    assert (await services.search.waiting("invoices", 0, 99)).total == 0
    for number in range(1, 7):
        file = await ledger.find(f"INV{number}")
        assert file
        assert not standing(file, stores.clock.now).needs_admin


async def test_the_overview_counts(stores: Stores) -> None:
    differ = Differ([Difference(source="stars", what="amount", key="stars:c")])
    search = settling_on(stores, differ).search
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.1"), None)
    await stores.journal.drain_all()
    overview = await search.overview()
    assert (overview.open_invoices, overview.waiting) == (1, {"unmatched": 1, "invoices": 0})
    assert overview.differences == {"stars": 1}
    assert await search.differences() == differ.found


async def test_a_handle_stands_for_one_arrival(stores: Stores) -> None:
    search = settling_on(stores).search
    key = f"solana:{SIGNATURE}:{'M' * 44}"
    handle = await search.handle_of(key)
    assert await search.handle_of(key) == handle
    assert await search.key_of(handle) == key
    for stale in ("", "x", "a" * 20, ":", handle[:-1]):
        with pytest.raises(UserFacingError, match="stale"):
            await search.key_of(stale)
