"""What people read about their payments: what happened, and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from domain.delivery.policy import Send
from domain.payments.amounts import Method
from domain.payments.invoices import PRICE_HOLDS, Arrival, Invoice, Ruling, assess
from sandbox.telegram.people import SandboxUser
from services.claims.outbox import OutboxEntry
from services.delivery.payment_messages import PaymentComposer
from services.delivery.turns import QueuedMessage
from services.payments.invoice_ends import InvoiceEnds
from services.payments.ledger import Ledger
from services.payments.notices import ENDS_AFTER, PaymentNotice, PaymentNotices
from services.stores.journal import Journal
from tests.delivery.kit import AT_ONCE, NOW, NOWHERE, Way, texts_of, way_of, whole_way
from tests.payments.ledger_kit import came, invoice
from texts import Texts

ZONE = "Europe/Rome"
"""An hour later than UTC in November."""

SEEN = (
    "👀 We see 0.41 of 0.5 SOL for invoice INV1. The network has not confirmed it yet; there is nothing for you to do."
)
CONFIRMING = (
    "⏳ We see 0.41 of 0.5 SOL for invoice INV1, and the network is confirming it. There is nothing for you to do now; "
    "I write again when it is done."
)
RECEIPT_OF_TOO_MUCH = (
    "✅ Paid: 0.7 SOL for Pro, 30 days.\nYour plan runs until 20 Dec 2026, 13:20 (Europe/Rome). Invoice INV1.\n\n"
    "ℹ️ That is 0.2 SOL more than was asked; send nothing more.\n\n{admin}"
)
OVERPAID = (
    "ℹ️ 0.7 SOL arrived for invoice INV1, which is 0.2 more than was asked. The invoice is paid; send nothing more."
    "\n\n{admin}"
)
FOREIGN = (
    "ℹ️ Something arrived for invoice INV1 that is not SOL. The invoice is still open: to pay it, send 0.5 SOL until "
    "13:40 (Europe/Rome).\n\n{admin}"
)
REFUNDED = (
    "↩️ What you paid for invoice INV1 was sent back to you. /plan shows what you have; there is nothing for you to do."
)
LATE_AND_SHORT = (
    "⚠️ We see 0.2 of 0.5 SOL for invoice INV1, whose time ended at 13:40 (Europe/Rome). Send nothing more to it."
    "\n\n{admin}"
)
LATE = (
    "⌛ We see 0.5 SOL for invoice INV1, but it came after 13:40 (Europe/Rome), when its price no longer held. "
    "Send nothing more to it.\n\n{admin}"
)


ENDED = (
    "⌛ Invoice INV1 ended at 13:40 (Europe/Rome) and nothing came. Do not pay it any more; /plan makes a new one. "
    "If you have paid, paste the transaction here."
)
ENDED_ELSEWHERE = (
    "⌛ Invoice INV1 ended at 13:40 (Europe/Rome) and nothing came. Do not pay it any more; /plan makes a new one. "
    "If you have paid, it is still found by itself; if not within an hour, write to /paysupport."
)
ENDED_FOREIGN = (
    "⌛ Invoice INV1 ended at 13:40 (Europe/Rome); what came for it is not SOL. Send nothing more to it.\n\n"
    "An admin looks at it and settles it; nothing is lost. Questions: /paysupport"
)
ENDED_SHORT = (
    "⚠️ We see 0.41 of 0.5 SOL for invoice INV1, whose time ended at 13:40 (Europe/Rome). Send nothing more to it.\n\n"
    "An admin looks at it and settles it; nothing is lost. Questions: /paysupport"
)


SETTLED_OVERPAID = (
    "✅ 0.7 SOL arrived for invoice INV1, which is 0.2 more than was asked. An admin has settled it: the invoice is "
    "paid, and nothing more was given. Questions: /paysupport"
)


SETTLED_ELSE = (
    "✅ Invoice INV1 is paid. An admin has settled what else came for it: nothing more was given. "
    "Questions: /paysupport"
)
SETTLED_BACK = (
    "↩️ Invoice INV1 is paid; other money that came for it was sent back to you. There is nothing for you to do."
)


class Ruled(NamedTuple):
    """What an admin says of an arrival."""

    key: str
    ruling: Ruling | None
    refunded: bool = False


@pytest.fixture
async def way(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    monkeypatch.setattr("services.delivery.delivery.COLD_START_S", 0.0)
    async with whole_way(redis_url, private=AT_ONCE) as way:
        yield way_of(way.redis, way.telegram, way.manager, PaymentComposer(Texts.load()).rows())


def ledger_of(way: Way) -> Ledger:
    return Ledger(way.redis, Journal(way.redis, NOWHERE), messages=PaymentNotices(clock=way.clock), clock=way.clock)


async def person_with_invoice(way: Way, ledger: Ledger) -> tuple[SandboxUser, Invoice]:
    ann = await way.person(time_zone=ZONE)
    made = invoice(user_id=ann.id, at=NOW)
    assert await ledger.open(made, told_by_amount=True)
    return ann, made


def read_by(ann: SandboxUser) -> list[str]:
    """What Ann reads; what keeps clients from making a link of her zone is not seen."""
    return [text.replace("\u2060", "") for text in texts_of(ann)]


async def read_after(way: Way, ledger: Ledger, ann: SandboxUser, *arrivals: Arrival) -> list[str]:
    for one in arrivals:
        await ledger.arrived(one, "INV1")
        await way.deliver()
    return read_by(ann)


async def test_the_way_to_a_receipt_is_told_step_by_step(way: Way) -> None:
    ledger = ledger_of(way)
    ann, made = await person_with_invoice(way, ledger)
    read = await read_after(
        way,
        ledger,
        ann,
        came("0.41", at=NOW, stage="seen"),
        came("0.41", at=NOW, stage="confirming"),
        came("0.41", at=NOW),
        came("0.09", "b", at=NOW),
    )
    assert read == [
        SEEN,
        CONFIRMING,
        (
            "⚠️ We see 0.41 of 0.5 SOL for invoice INV1; send 0.09 SOL more to the same address until "
            "13:40 (Europe/Rome).\nWallet"
        ),
        "✅ Paid: 0.5 SOL for Pro, 30 days.\nYour plan runs until 20 Dec 2026, 13:20 (Europe/Rome). Invoice INV1.",
    ]
    underpaid = ann.messages[-2]
    [[amount, address]] = underpaid["reply_markup"]["inline_keyboard"]
    assert (amount["copy_text"]["text"], address["copy_text"]["text"]) == ("0.09", made.address)


async def test_the_rest_that_is_seen_is_counted_with_what_came(way: Way) -> None:
    ledger = ledger_of(way)
    ann, _ = await person_with_invoice(way, ledger)
    steps = (
        came("0.41", at=NOW),
        came("0.09", "b", at=NOW, stage="seen"),
        came("0.09", "b", at=NOW, stage="confirming"),
    )
    _, seen, confirming = await read_after(way, ledger, ann, *steps)
    assert seen.startswith("👀 We see 0.5 of 0.5 SOL for invoice INV1.")
    assert confirming.startswith("⏳ We see 0.5 of 0.5 SOL for invoice INV1, and")


@pytest.mark.parametrize(
    ("arrivals", "passes", "ruled", "last"),
    [
        ([came("0.7", at=NOW)], timedelta(0), Ruled("a", "accepted"), SETTLED_OVERPAID),
        (
            [came("0.5", at=NOW), came("0.2", "b", at=NOW)],
            timedelta(0),
            Ruled("b", "dismissed"),
            SETTLED_ELSE,
        ),
        (
            [came("0.5", at=NOW), came("5", "b", asset="USDC", at=NOW)],
            timedelta(0),
            Ruled("b", "accepted"),
            SETTLED_ELSE,
        ),
        (
            [came("0.5", at=NOW), came("0.2", "b", at=NOW)],
            timedelta(0),
            Ruled("b", None, refunded=True),
            SETTLED_BACK,
        ),
        (
            [came("0.5", at=NOW + PRICE_HOLDS * 2)],
            PRICE_HOLDS * 2,
            Ruled("a", "dismissed"),
            "ℹ️ An admin has settled what came for invoice INV1: nothing was given for it. Questions: /paysupport",
        ),
    ],
    ids=["too much", "twice", "another coin", "sent back", "late"],
)
async def test_who_paid_hears_what_an_admin_settled_once(
    way: Way, arrivals: Sequence[Arrival], passes: timedelta, ruled: Ruled, last: str
) -> None:
    ledger = ledger_of(way)
    ann, _ = await person_with_invoice(way, ledger)
    way.clock.now += passes
    read = await read_after(way, ledger, ann, *arrivals)
    assert "An admin looks at it" in read[-1]
    one = replace(next(one for one in arrivals if one.key == ruled.key), refunded=ruled.refunded)
    for _ in range(2):
        await ledger.arrived(one, "INV1", settled_by=789, ruling=ruled.ruling or "accepted")
        await way.deliver()
    assert read_by(ann) == [*read, last]


@pytest.mark.parametrize(
    ("arrivals", "passes", "last"),
    [
        (
            [came("0.7", at=NOW)],
            timedelta(0),
            RECEIPT_OF_TOO_MUCH,
        ),
        (
            [came("0.5", at=NOW), came("0.2", "b", at=NOW)],
            timedelta(0),
            OVERPAID,
        ),
        (
            [came("0.2", at=NOW)],
            PRICE_HOLDS + timedelta(minutes=1),
            LATE_AND_SHORT,
        ),
        (
            [came("0.5", at=NOW + PRICE_HOLDS * 2)],
            PRICE_HOLDS * 2,
            LATE,
        ),
        (
            [came("50", asset="USDC", at=NOW)],
            timedelta(0),
            FOREIGN,
        ),
        (
            [replace(came("0.3", at=NOW), refunded=True)],
            timedelta(0),
            REFUNDED,
        ),
    ],
)
async def test_what_does_not_go_as_it_should_is_explained(
    way: Way, arrivals: Sequence[Arrival], passes: timedelta, last: str
) -> None:
    ledger = ledger_of(way)
    ann, _ = await person_with_invoice(way, ledger)
    way.clock.now += passes
    read = await read_after(way, ledger, ann, *arrivals)
    admin = "An admin looks at it and settles it; nothing is lost. Questions: /paysupport"
    assert read[-1] == last.format(admin=admin)


async def test_a_receipt_comes_at_night_and_after_the_plan_has_ended(way: Way) -> None:
    ledger = ledger_of(way)
    ann, _ = await person_with_invoice(way, ledger)
    subscriber = await way.store.find(ann.id)
    assert subscriber is not None
    ended = replace(subscriber, revision=subscriber.revision + 1, paused=True, paid_until=NOW - timedelta(days=9))
    await way.store.save(ended)
    [receipt] = await read_after(way, ledger, ann, came("0.5", at=NOW))
    assert receipt.startswith("✅ Paid")
    assert len(await ledger.entitlements(ann.id)) == 1
    assert (await ledger.entitlements(ann.id))[0].price_usd == Decimal("50.00")


@pytest.mark.parametrize(
    ("method", "arrivals", "expected"),
    [
        ("sol", [], ENDED),
        ("nowpayments", [], ENDED_ELSEWHERE),
        ("sol", [came("50", asset="USDC", at=NOW)], ENDED_FOREIGN),
        ("sol", [came("0.41", at=NOW)], ENDED_SHORT),
    ],
)
async def test_the_end_of_an_invoice_says_what_came_and_what_to_do(
    way: Way, method: Method, arrivals: Sequence[Arrival], expected: str
) -> None:
    ledger, notices = ledger_of(way), PaymentNotices(clock=way.clock)
    ann = await way.person(time_zone=ZONE)
    await ledger.open(replace(invoice(user_id=ann.id, at=NOW), method=method), told_by_amount=True)
    ends = InvoiceEnds(ledger=ledger, notices=notices, put=way.putting.put, due_times=way.due_times, clock=way.clock)
    await read_after(way, ledger, ann, *arrivals)
    way.schedule.add(ends.job())
    way.clock.now += PRICE_HOLDS + ENDS_AFTER
    assert await way.schedule.poll() == 1
    await way.deliver()
    assert read_by(ann)[-1] == expected
    assert "reply_markup" not in ann.messages[-1]
    file, subscriber = await ledger.find("INV1"), await way.store.find(ann.id)
    assert file is not None
    assert subscriber is not None
    envelope = notices.ended(file, assess(file.invoice, file.arrivals, way.clock()))
    assert envelope is not None
    payload = msgspec.json.decode(envelope.payload, type=PaymentNotice)
    waiting = QueuedMessage(entry=OutboxEntry(entry_id="1-1", outgoing=envelope), payload=payload, verdict=Send())
    composed = PaymentComposer(Texts.load()).compose([waiting], subscriber)
    assert composed.message.silent is (expected is not ENDED_SHORT)
