from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payments.entitlements import GRACE, Entitlement, PlanStanding, standing_of

START = datetime(2026, 11, 29, tzinfo=UTC)
DAY = timedelta(days=1)


def bought(key: str, plan: str, days: int, price: str, at: datetime = START) -> Entitlement:
    return Entitlement(key=key, plan=plan, days=days, price_usd=Decimal(price), at=at)


entitlements = st.builds(
    Entitlement,
    key=st.uuids().map(str),
    plan=st.sampled_from(["starter", "pro"]),
    days=st.sampled_from([7, 30, 90, 365]),
    price_usd=st.sampled_from([Decimal(0), Decimal(29), Decimal(300)]),
    at=st.integers(0, 500 * 24).map(lambda hours: START + timedelta(hours=hours)),
)


def test_nothing_given_is_nothing() -> None:
    standing = standing_of([])
    assert standing == PlanStanding()
    assert not standing.is_active(START)
    assert not standing.is_in_grace(START)


def test_days_add_up() -> None:
    standing = standing_of([bought("a", "pro", 30, "29"), bought("b", "pro", 30, "29", START + 10 * DAY)])
    assert standing.until == START + 60 * DAY
    assert standing.is_active(START + 60 * DAY - DAY)


def test_after_the_end_days_begin_when_they_are_bought() -> None:
    standing = standing_of([bought("a", "pro", 30, "29"), bought("b", "pro", 30, "29", START + 50 * DAY)])
    assert standing.until == START + 80 * DAY


def test_days_of_grace() -> None:
    standing = standing_of([bought("a", "pro", 30, "29")])
    end = START + 30 * DAY
    assert not standing.is_active(end)
    assert standing.is_in_grace(end)
    assert not standing.is_in_grace(end + GRACE)


def test_an_upgrade_takes_along_what_is_left_at_its_worth() -> None:
    """15 of 30 days at 1 dollar are left, which are 5 days at 3 dollars."""
    up = standing_of([bought("a", "starter", 30, "30"), bought("b", "pro", 30, "90", START + 15 * DAY)])
    assert up.plan == "pro"
    assert up.until == START + 15 * DAY + 35 * DAY


def test_a_trial_goes_on_in_what_is_bought() -> None:
    trial = Entitlement(key="trial", plan="trial", days=7, at=START)
    assert standing_of([trial, bought("a", "pro", 30, "90", START + 2 * DAY)]).until == START + 37 * DAY


def test_a_refund_takes_days_back() -> None:
    back = Entitlement(key="refund:a", plan="pro", days=-30, at=START + 10 * DAY)
    standing = standing_of([bought("a", "pro", 30, "29"), back])
    assert standing.until == START + 10 * DAY


@pytest.mark.parametrize("earlier", [timedelta(0), timedelta(seconds=3), 5 * DAY])
def test_nothing_is_taken_back_before_it_is_given(earlier: timedelta) -> None:
    back = Entitlement(key="refund:stars:a", plan="pro", days=-30, at=START - earlier)
    assert standing_of([bought("stars:a", "pro", 30, "29"), back]).until == START


@given(st.lists(entitlements, max_size=8), st.randoms())
def test_order_and_repetition_change_nothing(given_: list[Entitlement], random: Random) -> None:
    shuffled = [*given_, *given_]
    random.shuffle(shuffled)
    assert standing_of(shuffled) == standing_of(given_)


@given(st.lists(entitlements, min_size=1, max_size=8), entitlements)
def test_more_is_never_less(given_: list[Entitlement], more: Entitlement) -> None:
    """Bought later, of the same plan: the end moves by exactly the days."""
    before = standing_of(given_)
    latest = max(one.at for one in given_)
    assert before.plan
    later = Entitlement(key="more", plan=before.plan, days=more.days, price_usd=more.price_usd, at=latest + DAY)
    assert before.until
    assert standing_of([*given_, later]).until == max(before.until, later.at) + more.days * DAY


@given(st.lists(entitlements, max_size=8))
def test_no_value_is_made_or_lost(given_: list[Entitlement]) -> None:
    """What is left is worth no more than was paid, to the second that is rounded away at each change of plan."""
    standing = standing_of(given_)
    latest = max((one.at for one in given_), default=START)
    left_days = Decimal(0)
    if standing.until and standing.until > latest:
        left_days = Decimal((standing.until - latest).total_seconds()) / 86_400
    assert left_days * standing.usd_per_day <= sum(one.price_usd for one in given_) + Decimal("0.01")
