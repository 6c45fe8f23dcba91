"""The page for operators tells the truth: each reason is explained, and each example is read as the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from domain.posts.post import Button, Post
from domain.posts.reasons import REASONS
from domain.posts.understanding import understand
from tests.posts.corpus import reading
from tests.posts.corpus.reading import POSTED, filled

PAGE: Final = (Path(__file__).parent.parent.parent / "docs" / "posts.md").read_text(encoding="utf-8")
VERDICTS: Final = {"Calls": "call", "Updates": "update", "Neither": "none"}
_ROW: Final = re.compile(r"^\| `(\w+)` \|.*\| `(.*?)` \|$", re.MULTILINE)
_BUTTON: Final = re.compile(r"\[(\S+)\]")


def rows() -> list[tuple[str, str, str]]:
    sections = dict(part.split("\n", 1) for part in PAGE.split("\n## ")[1:])
    return [(verdict, *row) for title, verdict in VERDICTS.items() for row in _ROW.findall(sections[title])]


def post_of(example: str) -> Post:
    text = re.sub("MINT([1-6])", r"{mint\1}", example).replace("LOWERED", "{mint1:lower}").replace("0xTOKEN", "{evm1}")
    text = (
        re.sub(r"(?<!\{)\bMINT\b|(?<=_)MINT\b", "{mint1}", text)
        .replace("0xKEY", "{hash1}")
        .replace("SIGNATURE", "{sig1}")
    )
    text = filled(text.replace(" ⏎ ", "\n"))
    buttons = tuple(Button("Chart", target) for target in _BUTTON.findall(text))
    runs = reading.runs(_BUTTON.sub("", text))
    return Post(channel="@page", number=1, runs=runs, buttons=buttons, posted_at=POSTED)


def test_every_reason_is_explained() -> None:
    found_later = re.findall(
        r"^\| `(\w+)` \|", PAGE.split("\n## Not from its text\n")[1].split("\n## ")[0], re.MULTILINE
    )
    assert {*(code for _, code, _ in rows()), *found_later} == REASONS


@pytest.mark.parametrize(("verdict", "code", "example"), rows(), ids=lambda part: part[:24])
def test_an_example_is_read_as_the_page_says(verdict: str, code: str, example: str) -> None:
    post = post_of(example)
    understood = understand(
        post,
        earlier=[filled("{mint1}")] if code == "repeated" else [],
        before=understand(post) if code == "already_read" else None,
    )
    assert (understood.verdict, understood.reason) == (verdict, code)
