from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.telegram_bot import TelegramBot
from domain.buttons.data import CallbackData
from domain.filters.registry import FIELDS, FilterField
from handlers.admin.buttons import TakeRules
from handlers.filters.buttons import (
    ApplyPreset,
    ClearField,
    CopyShared,
    RestoreVersion,
    SetChannel,
    SetFlag,
    SetMissing,
    ShowField,
    ShowPresets,
    UsePreset,
    channel_tag,
)
from runtime.errors import UserFacingError

KINDS = CallbackData.__subclasses__()
"""Of every room: the bot that is imported here has them all."""


assert TelegramBot.__mro__


class Everything(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "x"
    number: int
    text: str
    flag: bool


everything = st.builds(Everything, st.integers(-999, 999), st.text(max_size=4), st.booleans())


@given(everything)
def test_what_is_packed_is_what_is_unpacked(data: Everything) -> None:
    packed = data.pack()
    assert 1 <= len(packed.encode()) <= 64
    assert Everything.unpack(packed) == data


def read(kind: type[CallbackData], data: str) -> CallbackData | None:
    """Read a button, or tell that it is stale; any other error is one of the test's findings."""
    try:
        return kind.unpack(data)
    except UserFacingError as error:
        if error.key != "callback.stale":
            raise
        return None


@given(st.sampled_from([*KINDS, Everything]), st.text(st.characters(codec=None), max_size=100))
def test_foreign_data_is_a_stale_button(kind: type[CallbackData], data: str) -> None:
    unpacked = read(kind, data)
    assert unpacked is None or unpacked.pack() == data


@given(st.sampled_from([*KINDS, Everything]), st.lists(st.text(":%0159+-_axé\x00", max_size=9), max_size=5))
def test_forged_parts_are_a_stale_button(kind: type[CallbackData], parts: list[str]) -> None:
    data = ":".join((kind.prefix, *parts))
    unpacked = read(kind, data)
    assert unpacked is None or unpacked.pack() == data


@pytest.mark.parametrize(
    "data",
    [
        "x:01:a:1",
        "x:+1:a:1",
        "x:1:%61:1",
        "x:1:a:true",
        "x:1:a",
        "x:1:a:1:",
        "x",
        "",
        "X:1:a:1",
        "x:1_0:a:1",
        "x:٣:a:1",
    ],
)
def test_only_one_spelling_is_ours(data: str) -> None:
    with pytest.raises(UserFacingError, match="stale"):
        Everything.unpack(data)


@given(st.text(min_size=30, max_size=100))
def test_too_much_is_refused_before_telegram_refuses_it(text: str) -> None:
    data = Everything(10**40, text, flag=True)
    with pytest.raises(ValueError, match="64 bytes"):
        data.pack()


def test_prefixes_are_unique() -> None:
    assert len({kind.prefix for kind in KINDS}) == len(KINDS)


def test_a_preset_button_says_so() -> None:
    assert ApplyPreset("careful").pack() == "preset:careful"
    assert not ShowPresets(1).pack().startswith("preset:")


@pytest.mark.parametrize("field", FIELDS, ids=[field.key for field in FIELDS])
def test_every_rule_fits_a_button(field: FilterField) -> None:
    for kind in (ShowField, ClearField):
        assert kind(999, field.key).pack()
    assert SetFlag(999, field.key, value=False).pack()
    assert SetMissing(999, field.key, "wait", 60).pack()


@given(st.text(st.characters(codec=None)))
def test_every_channel_fits_a_button(channel_id: str) -> None:
    assert SetChannel(999, 9_999, channel_tag(channel_id), "out").pack()


def test_every_preset_and_every_link_fits_a_button() -> None:
    assert UsePreset(999_999, "k" * 24).pack()
    assert TakeRules("k" * 24, 999_999).pack()
    assert CopyShared("c" * 16).pack()
    assert RestoreVersion(999_999, 999_999_999).pack()
