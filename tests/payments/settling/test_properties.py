"""Whatever sources report and admins decide, in any order, at once, again, through outages and restarts: what is given
is what the money that stands pays for, each once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Final, Literal, NamedTuple

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.payments.invoices import PRICE_HOLDS, Arrival
from domain.stored.payments import ArrivalRecord, InvoiceFile
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager
from runtime.errors import UserFacingError
from services.payments.invoices import standing
from services.payments.settling.search import PaymentSearch, Which
from tests.faults.proxy import FaultProxy
from tests.payments.ledger_kit import START, Clock, Stores, came, invoice, stores_on
from tests.payments.settling.kit import ADMIN, OTHER, file_of, settling_on

MONTH: Final = replace(invoice(3, user_id=8), method="stars", asset="XTR", amount=Decimal(250), reference="")
INVOICES: Final = [invoice(1), invoice(2, amount="0.6"), MONTH]
LATE: Final = START + PRICE_HOLDS * 2
FACTS: Final = {
    "a": came("0.5", "a"),
    "b": came("0.6", "b"),
    "c": came("0.5", "c", LATE),
    "d": came("0.1", "d"),
    "e": came("0.4", "e"),
    "f": came("7", "f", asset="USDC"),
    "stars:g": came("250", "stars:g", asset="XTR"),
}
Event = Literal["", "restart", "lose answer", "outage", "drain"]


class Deed(NamedTuple):
    what: Literal["report", "settle", "dismiss", "returned"]
    key: str
    invoice: str | None
    admin: int


deeds = st.builds(
    Deed,
    what=st.sampled_from(["report", "report", "settle", "dismiss", "returned"]),
    key=st.sampled_from(sorted(FACTS)),
    invoice=st.sampled_from(["INV1", "INV1", "INV2", "INV3", None]),
    admin=st.sampled_from([ADMIN, OTHER]),
)
events = st.sampled_from(["", "", "", "restart", "lose answer", "outage", "drain"])
steps = st.lists(st.tuples(st.lists(deeds, min_size=1, max_size=3), events), max_size=10)


async def do(stores: Stores, deed: Deed) -> tuple[str, str | None]:
    """Return what an admin is answered, for which invoice."""
    settling, verdict = settling_on(stores).settling, ""
    with suppress(UserFacingError, RedisUnavailableError):
        match deed.what:
            case "report":
                await stores.ledger.arrived(FACTS[deed.key], deed.invoice)
            case "settle":
                verdict = await settling.settle(deed.key, deed.invoice or "INV9", deed.admin)
            case "dismiss":
                verdict = await settling.dismiss(deed.key, deed.admin, "returned by hand")
            case "returned":
                verdict = await settling.returned(deed.key, deed.admin, "tx")
    return verdict, deed.invoice


async def do_with(event: Event, one: Stores, other: Stores, together: Sequence[Deed], proxy: FaultProxy) -> list[str]:
    match event:
        case "lose answer":
            proxy.lose_reply_to(b"EVALSHA")
        case "outage":
            await proxy.refuse()
        case "drain":
            await one.journal.drain_all()
        case _:
            pass
    done = await asyncio.gather(*(do((one, other)[number % 2], deed) for number, deed in enumerate(together)))
    await proxy.repair()
    return [f"{verdict} {invoice_id}" for verdict, invoice_id in done]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
async def test_what_is_given_is_what_stands(
    redis_url: str,
    redis_manager: RedisManager,
    postgres_manager: PostgresManager,
    steps: list[tuple[list[Deed], Event]],
) -> None:
    await redis_manager.transaction([("FLUSHALL",)])
    await postgres_manager.execute("TRUNCATE invoices, arrivals, entitlements, outgoing")
    clock, left, answers = Clock(), list(steps), Counter[str]()
    async with stores_on(redis_url, postgres_manager, clock) as other, FaultProxy(redis_url) as proxy:
        for one in INVOICES:
            assert await other.ledger.open(one, told_by_amount=one.method == "sol")
        while left:
            async with stores_on(proxy.redis_url, postgres_manager, clock) as stores:
                event: Event = ""
                while left and event != "restart":
                    together, event = left.pop(0)
                    answers.update(await do_with(event, stores, other, together, proxy))
        await other.journal.drain_all()
        clock.now = LATE
        await check(other, postgres_manager, answers)


async def check(stores: Stores, postgres: PostgresManager, answers: Counter[str]) -> None:
    files = [await file_of(stores, one.id) for one in INVOICES]
    given_ = Counter([one.key for user in (7, 8) for one in await stores.ledger.entitlements(user)])
    assert set(given_.values()) <= {1}
    for file in files[:2]:
        check_invoice(file, set(given_))
        assert answers[f"credited {file.invoice.id}"] <= 1, "one admin is told that they gave it"
    of_charges = sum(one.days for one in await stores.ledger.entitlements(8))
    assert of_charges == MONTH.days * sum(not one.refunded for one in files[2].arrivals)
    stored = await postgres.fetch("SELECT key FROM entitlements")
    assert Counter(row["key"] for row in stored) == given_
    receipts = [one for one in await stores.told() if one.kind == "receipt"]
    assert len(receipts) == sum(not key.startswith("refund:") for key in given_)

    await check_places(stores, postgres, files)
    search = settling_on(stores).search
    waiting = await keys_of(search, "invoices")
    flagged = {file.invoice.id for file in files if standing(file, stores.clock.now).needs_admin}
    assert {one.invoice_id for one in waiting} == flagged, "what the list says is what the invoices say"
    assert {one.arrival.key for one in await keys_of(search, "unmatched")} == {
        record.arrival.key for record in await stores.ledger.unmatched()
    }


def check_invoice(file: InvoiceFile, given_: set[str]) -> None:
    one, key = file.invoice, f"invoice:{file.invoice.id}"
    stands = [a for a in file.arrivals if not a.refunded and a.ruling != "dismissed"]
    is_accepted = any(a.ruling == "accepted" for a in stands)
    pays = is_accepted or worth([a for a in stands if a.at == START]) >= one.amount
    is_given, is_taken_back = key in given_, f"refund:{key}" in given_
    assert is_given or not is_taken_back
    if pays:
        assert is_given
    if is_given and not is_taken_back:
        assert is_accepted or worth(stands) >= one.amount
    if is_taken_back:
        assert any(a.refunded for a in file.arrivals)


def worth(arrivals: Sequence[Arrival]) -> Decimal:
    return sum((a.amount for a in arrivals if a.asset == "SOL"), Decimal(0))


async def keys_of(search: PaymentSearch, which: Which) -> tuple[ArrivalRecord, ...]:
    return (await search.waiting(which, 0, 99)).records


async def check_places(stores: Stores, postgres: PostgresManager, files: Sequence[InvoiceFile]) -> None:
    """Each arrival is in one place, and PostgreSQL says the same."""
    for key in FACTS:
        record = await stores.ledger.record_of(key)
        holders = [file.invoice.id for file in files if any(one.key == key for one in file.arrivals)]
        assert holders == ([record.invoice_id] if record and record.invoice_id else [])
        row = await postgres.fetch_row("SELECT document::text AS document FROM arrivals WHERE key = $1", key)
        assert (msgspec.json.decode(row["document"], type=ArrivalRecord) if row else None) == record
        if record and record.arrival.ruling:
            assert record.settled_by in {ADMIN, OTHER}
        if record:
            assert record.arrival.amount == FACTS[key].amount
