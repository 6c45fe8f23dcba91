from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.payments.invoices import LATE_COUNTS, PRICE_HOLDS, Arrival, Invoice, Stage, assess

START = datetime(2026, 11, 29, 14, tzinfo=UTC)
IN_TIME = START + timedelta(minutes=5)
AFTER = START + PRICE_HOLDS + timedelta(minutes=1)
RATE = Decimal(100)
INVOICE = Invoice(
    id="K7QZ2M9R",
    user_id=7,
    plan="pro",
    days=30,
    price_usd=Decimal("50.00"),
    method="sol",
    asset="SOL",
    amount=Decimal("0.500042"),
    rate_usd=RATE,
    created_at=START,
    expires_at=START + PRICE_HOLDS,
)


def came(
    amount: str,
    key: str = "a",
    at: datetime = IN_TIME,
    *,
    asset: str = "SOL",
    stage: Stage = "final",
    refunded: bool = False,
) -> Arrival:
    return Arrival(key=key, asset=asset, amount=Decimal(amount), at=at, stage=stage, refunded=refunded)


amounts = st.builds(
    came,
    st.sampled_from(["0.1", "0.25", "0.500042"]),
    at=st.sampled_from([IN_TIME, AFTER, AFTER + LATE_COUNTS]),
    asset=st.sampled_from(["SOL", "SOL", "USDC"]),
    stage=st.sampled_from(["confirming", "final"]),
)


@pytest.mark.parametrize(
    ("arrivals", "now", "state", "flags"),
    [
        ([], IN_TIME, "open", ""),
        ([], AFTER, "expired", ""),
        ([came("0.500042", stage="seen")], IN_TIME, "seen", ""),
        ([came("0.500042", stage="confirming")], IN_TIME, "confirming", ""),
        ([came("0.500042", stage="confirming", at=AFTER)], AFTER, "confirming", ""),
        ([came("0.500042", stage="confirming")], AFTER, "expired", ""),
        ([came("0.500042")], IN_TIME, "paid", "due"),
        ([came("0.500042")], AFTER, "paid", "due"),
        ([came("0.5")], IN_TIME, "paid", "due"),
        ([came("0.41")], IN_TIME, "underpaid", ""),
        ([came("0.41")], AFTER, "underpaid", "admin"),
        ([came("0.41"), came("0.090042", "b")], IN_TIME, "topped_up", "due"),
        ([came("0.41"), came("0.090042", "b", stage="seen")], IN_TIME, "seen", ""),
        ([came("0.7")], IN_TIME, "overpaid", "due admin"),
        ([came("0.500042", at=AFTER)], AFTER, "paid", "due"),
        ([came("0.500042", refunded=True)], IN_TIME, "refunded", ""),
        ([came("50", asset="USDC")], IN_TIME, "open", "admin"),
    ],
)
def test_what_stands(arrivals: list[Arrival], now: datetime, state: str, flags: str) -> None:
    """`due`: it is credited; `admin`: somebody looks at it."""
    found = assess(INVOICE, arrivals, now, rate_usd=RATE)
    assert (found.state, found.is_due, found.needs_admin) == (state, "due" in flags, "admin" in flags)


def test_what_is_missing_is_said_exactly() -> None:
    found = assess(INVOICE, [came("0.41")], IN_TIME)
    assert (found.received, found.missing, found.excess) == (Decimal("0.41"), Decimal("0.090042"), 0)
    over = assess(INVOICE, [came("0.7")], IN_TIME)
    assert (over.missing, over.excess) == (0, Decimal("0.199958"))


@pytest.mark.parametrize(
    ("rate", "at", "state"),
    [
        (RATE, AFTER, "paid"),
        (RATE * Decimal("0.98"), AFTER, "paid"),
        (RATE * Decimal("0.97"), AFTER, "late"),
        (None, AFTER, "late"),
        (RATE, START + PRICE_HOLDS + LATE_COUNTS + timedelta(seconds=1), "late"),
    ],
)
def test_late_is_taken_at_what_it_is_worth(rate: Decimal | None, at: datetime, state: str) -> None:
    found = assess(INVOICE, [came("0.500042", at=at)], at, rate_usd=rate)
    assert found.state == state
    assert found.needs_admin == (state == "late")


def test_what_comes_late_takes_nothing_from_what_came_in_time() -> None:
    in_time, late = came("0.500042"), came("0.1", "b", at=AFTER + LATE_COUNTS)
    for order in ([in_time, late], [late, in_time]):
        found = assess(INVOICE, order, AFTER)
        assert (found.state, found.is_due, found.needs_admin) == ("overpaid", True, True)


@given(st.lists(amounts, max_size=4), st.lists(amounts, max_size=4), st.none() | st.just(RATE))
def test_more_never_makes_a_paid_invoice_unpaid(some: list[Arrival], more: list[Arrival], rate: Decimal | None) -> None:
    before = [replace(one, key=f"a{place}") for place, one in enumerate(some)]
    after = before + [replace(one, key=f"b{place}") for place, one in enumerate(more)]
    assert assess(INVOICE, after, AFTER, rate_usd=rate).is_due >= assess(INVOICE, before, AFTER, rate_usd=rate).is_due


def test_what_was_credited_stays_so() -> None:
    found = assess(INVOICE, [came("0.500042", at=AFTER)], AFTER, credited=True)
    assert found.is_due
    assert found.state == "paid"


arrivals = st.lists(
    st.builds(
        Arrival,
        key=st.sampled_from("abcdef"),
        asset=st.sampled_from(["SOL", "SOL", "USDC"]),
        amount=st.sampled_from([Decimal("0.1"), Decimal("0.25"), Decimal("0.500042"), Decimal("0.000001")]),
        at=st.sampled_from([IN_TIME, AFTER]),
        stage=st.sampled_from(["seen", "confirming", "final"]),
        refunded=st.booleans(),
    ),
    max_size=8,
)


@given(arrivals, st.randoms(), st.sampled_from([IN_TIME, AFTER]))
def test_order_and_repetition_change_nothing(came_in: list[Arrival], random: Random, now: datetime) -> None:
    shuffled = [*came_in, *came_in]
    random.shuffle(shuffled)
    assert assess(INVOICE, shuffled, now, rate_usd=RATE) == assess(INVOICE, came_in, now, rate_usd=RATE)


@given(arrivals, st.sampled_from([IN_TIME, AFTER]))
def test_nothing_is_due_without_its_money(came_in: list[Arrival], now: datetime) -> None:
    found = assess(INVOICE, came_in, now, rate_usd=RATE)
    most: dict[str, Decimal] = {}
    for one in came_in:
        if one.asset == "SOL" and one.stage == "final" and not any(r.refunded and r.key == one.key for r in came_in):
            most[one.key] = max(most.get(one.key, Decimal(0)), one.amount)
    if found.is_due:
        assert sum(most.values()) + Decimal("0.0001") > INVOICE.amount


@given(arrivals)
def test_money_that_buys_nothing_is_shown_to_an_admin(came_in: list[Arrival]) -> None:
    later = INVOICE.expires_at + LATE_COUNTS
    found = assess(INVOICE, [replace(one, stage="final", refunded=False) for one in came_in], later)
    assert found.is_due or found.needs_admin or not came_in
