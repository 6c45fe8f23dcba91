"""The file of plans: what it says, and what is refused about it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from domain.payments.plans import load_plans
from runtime.errors import FatalError

CONFIG = Path(__file__).parents[2] / "config"
TRIAL = "[trial]\ndays = 7\nfilter_sets = 1\n"
FREE = "[free]\nfilter_sets = 1\n"
MONTH = "[pro]\nfilter_sets = 3\n[pro.months]\n1 = { price_usd = '29.00', stars = 100 }\n"


def test_the_plans_that_come_with_the_product() -> None:
    plans = load_plans((CONFIG / "plans.toml").read_text(encoding="utf-8"))
    assert [plan.key for plan in plans.sold] == ["starter", "pro"]
    assert plans.free
    assert (plans.free.filter_sets, plans.free.delay) == (1, timedelta(minutes=5))
    assert (plans.trial_days, plans.trial.filter_sets) == (7, 5)
    for plan in plans.sold:
        assert [offer.months for offer in plan.offers] == [1, 3, 6, 12]
        for per_day in ([o.price_usd / o.days for o in plan.offers], [(o.stars or 0) / o.days for o in plan.offers]):
            assert per_day == sorted(per_day, reverse=True), "longer is cheaper by the day"
    sizes = [plans.free.filter_sets, *(plan.filter_sets for plan in plans.sold)]
    assert sizes == sorted(sizes), "the smallest first"


def test_a_price_is_exactly_what_is_written() -> None:
    offer = load_plans(TRIAL + MONTH.replace("29.00", "0.1")).offer("pro", 1)
    assert offer
    assert (offer.price_usd, str(offer.price_usd)) == (Decimal("0.10"), "0.10")
    assert (offer.days, offer.stars) == (30, 100)


def test_what_is_not_written_is_not_sold() -> None:
    plans = load_plans(TRIAL + MONTH.replace(", stars = 100", ""))
    offer = plans.offer("pro", 1)
    assert offer
    assert offer.stars is None
    assert plans.offer("pro", 3) is None
    assert plans.offer("gold", 1) is None
    assert plans.free is None


def test_a_plan_that_is_sold_no_more_holds_what_the_trial_does() -> None:
    plans = load_plans(TRIAL + FREE.replace("1", "2") + MONTH)
    assert plans.of("gone") == plans.trial
    assert [plans.of(key).filter_sets for key in ("free", "trial", "pro")] == [2, 1, 3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds nothing"),
        (MONTH, r"\[trial\] is missing"),
        (TRIAL.replace("7", "0"), r"\[trial\] days"),
        (TRIAL.replace("7", "true"), r"\[trial\] days"),
        (TRIAL.replace("7", "7.5"), r"\[trial\] days"),
        (TRIAL + "price_usd = '1'", r"\[trial\] price_usd: unknown"),
        (TRIAL + "filter_set = 1", r"\[trial\] filter_set: unknown"),
        (TRIAL.replace("filter_sets = 1", ""), r"\[trial\] filter_sets: expected a whole number"),
        (TRIAL + "alerts_per_hour = 0", r"\[trial\] alerts_per_hour: expected a whole number"),
        (TRIAL + "delay_minutes = 5", r"\[trial\] delay_minutes: unknown"),
        (TRIAL + FREE + "delay_minutes = 0", r"\[free\] delay_minutes: expected a whole number"),
        (TRIAL + FREE + "days = 3", r"\[free\] days: unknown"),
        (TRIAL + "[pro]\nfilter_sets = 3", r"\[pro.months\]: expected a price"),
        (TRIAL + MONTH.replace("1 =", "2 ="), r"\[pro.months\] 2: expected"),
        (TRIAL + MONTH.replace("stars", "star"), r"\[pro.months\] 1 star: unknown"),
        (TRIAL + MONTH.replace("100", "25001"), r"\[pro.months\] 1 stars: expected a whole number"),
        (TRIAL + MONTH.replace("'29.00'", "29"), r"\[pro.months\] 1 price_usd: expected text"),
        *(
            (TRIAL + MONTH.replace("29.00", price), r"\[pro.months\] 1 price_usd: expected")
            for price in ("0", "-1", "NaN", "Infinity", "1.999", "free", "1e999", "100001", "")
        ),
    ],
)
def test_a_bad_plans_file_is_named_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(FatalError, match=problem):
        load_plans(text)
