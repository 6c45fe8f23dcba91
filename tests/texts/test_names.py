"""A filter and a preset are called the same wherever somebody reads of them."""

from __future__ import annotations

import pytest

from domain.filters.presets import Preset
from domain.filters.registry import FilterSet
from services.cards.names import Names
from texts import Texts

PRESETS = {"early_gems": Preset(key="early_gems", name="Fresh & small"), "own_one": Preset(key="own_one", name="Own")}


@pytest.mark.parametrize(
    ("name", "number", "shown"),
    [
        ("early_gems", 1, "Fresh & small"),
        ("own_one", 1, "Own"),
        ("everything", 1, "Everything"),
        ("My filter", 1, "My filter"),
        ("", 3, "Filter 3"),
    ],
)
def test_a_set_is_named_as_its_preset_is_called_now(name: str, number: int, shown: str) -> None:
    names = Names(Texts.load(), PRESETS.get)
    assert names.of_set(FilterSet(user_id=7, number=number, name=name), "en") == shown
    assert names.shown(name, number, "en") == shown


def test_whatever_is_no_key_of_a_preset_stays_as_it_is() -> None:
    names = Names(Texts.load())
    assert names.of_preset("", "en") == ""
    assert names.of_preset("<b>what I typed</b>", "en") == "<b>what I typed</b>"
    assert names.of_preset("own_one", "en") == "own_one"
