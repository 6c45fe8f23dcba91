"""Any order, repetition, loss of answers, outage and restart: what is given is what is paid, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.payments.invoices import PRICE_HOLDS, Stage, assess
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager
from tests.faults.proxy import FaultProxy
from tests.payments.ledger_kit import START, Clock, Stores, came, invoice, stores_on

INVOICES = [invoice(1), invoice(2, amount="0.6", user_id=7), invoice(3, amount="0.7", user_id=8)]
Event = Literal["", "restart", "lose answer", "outage", "drain"]


FACTS = {
    "a": ("0.5", False),
    "b": ("0.6", False),
    "c": ("0.7", True),
    "d": ("0.1", False),
    "e": ("0.5", True),
    "f": ("0.4", False),
    "g": ("0.00001", False),
}
"""What came, by key: how much, and whether it was late. Sources differ in what they know of it, not in that."""


class Report(NamedTuple):
    """What a source says, as often as it likes."""

    key: str
    stage: Stage
    names: str | None


reports = st.builds(
    Report,
    key=st.sampled_from(sorted(FACTS)),
    stage=st.sampled_from(["seen", "confirming", "final", "final"]),
    names=st.sampled_from(["INV1", "INV2", "INV3", "INV9", None]),
)
steps = st.lists(
    st.tuples(reports, st.sampled_from(["", "", "", "restart", "lose answer", "outage", "drain"])), max_size=14
)


async def tell(stores: Stores, report: Report) -> None:
    amount, is_late = FACTS[report.key]
    at = START + PRICE_HOLDS * 2 if is_late else START
    arrival = came(amount, report.key, at, stage=report.stage)
    await stores.ledger.arrived(arrival, report.names)


async def tell_with(event: str, stores: Stores, report: Report, proxy: FaultProxy) -> None:
    match event:
        case "lose answer":
            proxy.lose_reply_to(b"EVALSHA")
        case "outage":
            await proxy.refuse()
        case "drain":
            await stores.journal.drain_all()
        case _:
            pass
    with suppress(RedisUnavailableError):
        await tell(stores, report)
    await proxy.repair()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
async def test_what_is_given_is_what_is_due(
    redis_url: str, redis_manager: RedisManager, postgres_manager: PostgresManager, steps: list[tuple[Report, Event]]
) -> None:
    await redis_manager.transaction([("FLUSHALL",)])
    await postgres_manager.execute("TRUNCATE invoices, arrivals, entitlements, outgoing")
    clock, left = Clock(), list(steps)
    async with stores_on(redis_url, postgres_manager, clock) as stores:
        for one in INVOICES:
            assert await stores.ledger.open(one, told_by_amount=True)
    async with FaultProxy(redis_url) as proxy:
        while left:
            async with stores_on(proxy.redis_url, postgres_manager, clock) as stores:
                event: Event = ""
                while left and event != "restart":
                    report, event = left.pop(0)
                    await tell_with(event, stores, report, proxy)
    async with stores_on(redis_url, postgres_manager, clock) as stores:
        for report, _ in steps:  # a source asks again until it was heard
            await tell(stores, report)
        await stores.journal.drain_all()
        await check(stores, postgres_manager, [report for report, _ in steps])


async def check(stores: Stores, postgres: PostgresManager, told: Sequence[Report]) -> None:
    files = [file for one in INVOICES if (file := await stores.ledger.find(one.id))]
    due = {f"invoice:{file.invoice.id}" for file in files if assess(file.invoice, file.arrivals, START).is_due}
    given_ = [one.key for user in (7, 8) for one in await stores.ledger.entitlements(user)]
    assert Counter(given_) == Counter(due)
    stored = await postgres.fetch("SELECT key FROM entitlements")
    assert Counter(row["key"] for row in stored) == Counter(due)
    receipts = Counter(f"invoice:{one.notice.invoice_id}" for one in await stores.told() if one.kind == "receipt")
    assert receipts == Counter(due)

    counted = [arrival.key for file in files for arrival in file.arrivals]
    unmatched = [record.arrival.key for record in await stores.ledger.unmatched()]
    assert Counter(counted + unmatched) == Counter({report.key for report in told}), "each once, and none is lost"
    rows = await postgres.fetch("SELECT invoice_id, document FROM arrivals")
    in_postgres = {(row["invoice_id"], _key(row["document"])) for row in rows}
    in_redis = {(file.invoice.id, arrival.key) for file in files for arrival in file.arrivals}
    assert in_postgres == in_redis | {(None, key) for key in unmatched}


def _key(document: str | bytes) -> str:
    return msgspec.json.decode(document)["arrival"]["key"]
