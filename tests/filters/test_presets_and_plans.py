from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from domain.filters.presets import load_presets
from domain.filters.registry import Choice, FilterSet, Range, Words
from domain.payments.plans import load_plans
from runtime.errors import FatalError
from tests.filters.oracle import passes
from tests.filters.strategies import NOON, call_with

CONFIG = Path(__file__).parents[2] / "config"


def test_the_presets_that_come_with_the_product() -> None:
    presets = load_presets((CONFIG / "presets.toml").read_text(encoding="utf-8"))
    assert [preset.key for preset in presets] == [
        "early_gems",
        "safe_mid_caps",
        "proven_channels",
        "fresh_launches",
        "everything",
    ]
    assert presets[0].rules["market_cap_usd"] == Range(20_000.0, 300_000.0)
    assert presets[0].rules["name_words"] == Words((), ("test",), missing="pass")
    assert presets[1].rules["mint_revoked"] == Range(1.0, None, missing="wait", wait_minutes=10)
    assert presets[3].rules["chain"] == Choice(frozenset({"solana"}))
    assert presets[4].rules == {}


def test_a_launch_of_which_little_is_known_passes_the_preset_for_launches() -> None:
    call = call_with(channel="pump.fun/launches")
    token = msgspec.structs.replace(call.token, market_cap_usd=4_900.0, created_at=NOON)
    launch = msgspec.structs.replace(call, token=token)
    passed = [
        preset.key
        for preset in load_presets((CONFIG / "presets.toml").read_text(encoding="utf-8"))
        if passes(FilterSet(user_id=1, number=1, name="", rules=preset.rules), launch)
    ]
    assert passed == ["fresh_launches", "everything"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds nothing"),
        ("[a]\nrules = 3", r"\[a\] rules: expected a table"),
        ("[a]\n[a]", "line 2"),
        ("[a", "end of document"),
        ("[a]\nrules.holders = 150 -", "line 2"),
        ("a = 1", "a: expected a table"),
        ('["A b"]', r"\[A b\]"),
        ("[a]\nrule.holders = '3'", r"\[a\] rule: unknown"),
        ("[a]\nrules.height = '3'", r"\[a\] rules.height: there is no such filter"),
        ("[a]\nrules.holders = 3", r"\[a\] rules.holders: expected text"),
        ("[a]\nrules.holders = 'many'", r"\[a\] rules.holders: cannot read \"many\" \(number.unreadable\)"),
        ("[a]\nrules.holders = 'any'", r"\[a\] rules.holders: leave out"),
        ("[a]\nrules.mint_revoked = true", r"\[a\] rules.mint_revoked: expected text"),
        ("[a]\nrules.mint_revoked = 'perhaps'", r"cannot read \"perhaps\" \(flag.unreadable\)"),
        ("[a]\nrules.channel = ','", r"\(list.unreadable\)"),
        ("[a]\nrules.holders = {rule = '3'}", r"\[a\] rules.holders.missing: expected one of fail, pass, wait"),
        ("[a]\nrules.holders = {missing = 'pass'}", r"\[a\] rules.holders.rule: expected text"),
        ("[a]\nrules.holders = {rule = '3', missing = 'wait'}", r"rules.holders.wait_minutes: expected 1 to 60"),
        ("[a]\nrules.holders = {rule = '3', missing = 'pass', wait_minutes = 3}", "a whole number, where it waits"),
        ("[a]\nrules.holders = {rule = '3', policy = 'pass'}", r"\[a\] rules.holders policy: unknown"),
    ],
)
def test_a_bad_presets_file_is_named_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(FatalError, match=problem):
        load_presets(text)


def test_the_plans_that_come_with_the_product() -> None:
    plans = load_plans((CONFIG / "plans.toml").read_text(encoding="utf-8"))
    assert [(plan.key, plan.days) for plan in plans] == [
        ("trial", 7),
        ("month_1", 30),
        ("month_3", 90),
        ("month_6", 180),
        ("month_12", 365),
    ]
    paid = plans[1:]
    per_day = [plan.price_usd / plan.days for plan in paid]
    assert per_day == sorted(per_day, reverse=True), "longer is cheaper by the day"
    assert [plan.filter_sets for plan in plans] == sorted({plan.filter_sets for plan in plans})
    assert plans[0].filter_sets == 2


def test_a_price_is_exactly_what_is_written() -> None:
    text = TRIAL + "[month]\ndays = 30\nprice_usd = '0.1'\nfilter_sets = 1"
    price = load_plans(text)[1].price_usd
    assert price == Decimal("0.10")
    assert str(price) == "0.10"


TRIAL = "[trial]\ndays = 7\nprice_usd = '0'\nfilter_sets = 1\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds nothing"),
        ("[month]\ndays = 1\nprice_usd = '1'\nfilter_sets = 1", r"\[trial\] is missing"),
        (TRIAL.replace("7", "0"), r"\[trial\] days"),
        (TRIAL.replace("7", "true"), r"\[trial\] days"),
        (TRIAL.replace("7", "7.5"), r"\[trial\] days"),
        (TRIAL.replace("'0'", "'5'"), r"\[trial\] price_usd: the trial is free"),
        (TRIAL.replace("'0'", "0"), r"\[trial\] price_usd: expected text"),
        (TRIAL + "[month]\ndays = 1\nprice_usd = '0'\nfilter_sets = 1", r"\[month\] price_usd: the trial"),
        *(
            (TRIAL + f"[month]\ndays = 1\nprice_usd = '{price}'\nfilter_sets = 1", r"\[month\] price_usd: expected")
            for price in ("-1", "NaN", "Infinity", "1.999", "free", "1e999", "100001", "")
        ),
        (TRIAL + "filter_set = 1", r"\[trial\] filter_set: unknown"),
        (TRIAL.replace("filter_sets = 1", ""), r"\[trial\] filter_sets: expected a whole number"),
    ],
)
def test_a_bad_plans_file_is_named_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(FatalError, match=problem):
        load_plans(text)
