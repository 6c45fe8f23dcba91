"""Whatever is said when a button was tapped has room in what Telegram shows then."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.conversation.menus import as_toast
from handlers.delivery.muting_menus import MUTED, UNMUTED
from tests.texts.telegram_html import units
from texts import Texts
from texts.markup import MAX_CALLBACK_ANSWER_UTF16, Html
from texts.renderer import DEFAULT_LIMIT_UTF16, Placeholder

ROOT: Final = Path(__file__).parents[2]
TEXTS: Final = Texts.load()
USUAL: Final = 16
"""As long as a number, a date or a plan is, where a text says no length of its own."""


def keys() -> Iterator[str]:
    """What a handler of a tap returns, and what errors say: they are shown in the same place, but in a window."""
    yield from (key for key in TEXTS if key.startswith("toast."))
    yield from (*MUTED.values(), *UNMUTED.values(), "mute.all_toast")
    for path in (ROOT / "handlers").rglob("*.py"):
        for handler in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(handler, ast.AsyncFunctionDef) and any(map(is_of_taps, handler.decorator_list)):
                yield from returned(handler)


def is_of_taps(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "callback"


def returned(handler: ast.AsyncFunctionDef) -> Iterator[str]:
    for statement in ast.walk(handler):
        if isinstance(statement, ast.Return) and statement.value is not None:
            for part in ast.walk(statement.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value in TEXTS:
                    yield part.value


def filled(one: Placeholder) -> object:
    limit = one.limit_utf16
    if limit is None:
        return Html()
    return "W" * (USUAL if limit == DEFAULT_LIMIT_UTF16 else limit)


@pytest.mark.parametrize("key", sorted({*keys()}))
def test_a_toast_is_never_cut(key: str) -> None:
    values = {one.name: filled(one) for one in TEXTS.template(key).placeholders}
    assert units(TEXTS.plain(key, "en", **values)) <= MAX_CALLBACK_ANSWER_UTF16


@given(parts=st.lists(st.text("Wx😀 ", max_size=150)))
def test_parts_of_a_toast_are_whole_or_not_there(parts: list[str]) -> None:
    said = as_toast(*map(Html, parts))
    assert units(said) <= MAX_CALLBACK_ANSWER_UTF16
    assert {*said.split("\n")} <= {"", *parts}
    if parts:
        assert said.startswith(parts[0])


def test_of_a_part_of_several_lines_as_many_come_as_fit() -> None:
    lines = [
        f"{number} calls that are held come at {number}:00 (America/Argentina/Buenos_Aires)." for number in (2, 3, 4)
    ]
    assert as_toast(Html("Everything is unmuted."), Html("\n".join(lines))).split("\n")[1:] == lines[:2]
