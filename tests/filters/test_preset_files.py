from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from domain.filters.presets import load_presets
from domain.filters.registry import Choice, FilterSet, Range, Words
from handlers.filters.set_menus import POLICIES
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


def test_what_a_preset_does_about_what_is_not_known_is_among_what_can_be_tapped() -> None:
    presets = load_presets((CONFIG / "presets.toml").read_text(encoding="utf-8"))
    policies = {(rule.missing, rule.wait_minutes) for preset in presets for rule in preset.rules.values()}
    assert policies <= {*POLICIES}
    *some, last = (str(minutes) for missing, minutes in POLICIES if missing == "wait")
    document = " ".join((CONFIG.parent / "docs/filters.md").read_text(encoding="utf-8").split())
    assert f"*wait* {', '.join(some)} or {last} minutes" in document


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
