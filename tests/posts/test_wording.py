"""What is hoped, what was reached and what is said of others, line by line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import pytest

from domain.posts.post import Post, Run
from domain.posts.understanding import Understood, understand
from tests.posts.corpus.reading import POSTED, filled

LINES: Final[dict[str, list[str]]] = tomllib.loads((Path(__file__).parent / "lines.toml").read_text(encoding="utf-8"))
MISSED_AT_MOST: Final = 0.06
"""Of results in free words. Most posts of results name a token that the channel has called, and need no words."""


def heard(text: str, earlier: tuple[str, ...] = ()) -> Understood:
    runs = (Run(filled(text)),)
    return understand(Post(channel="@any", number=1, runs=runs, posted_at=POSTED), earlier=earlier)


@pytest.mark.parametrize("line", LINES["beside_calls"])
def test_beside_a_call_it_is_still_a_call(line: str) -> None:
    for text in (f"{line}\n{{mint1}}\nmc 50k", f"$TOK\n{{mint1}}\n{line}", f"$TOK CA: {{mint1}} {line}"):
        assert heard(text).verdict == "call", heard(text).reason


def test_results_are_known_by_their_words() -> None:
    missed = [
        line for line in LINES["results"] if {heard(line).reason, heard(f"{line}\n{{mint1}}").reason} != {"result"}
    ]
    assert len(missed) <= MISSED_AT_MOST * len(LINES["results"]), missed


@pytest.mark.parametrize("line", LINES["results"])
def test_a_result_is_no_second_call_in_whatever_words(line: str) -> None:
    again = heard(f"{line}\n{{mint1}}", earlier=(filled("{mint1}"),))
    assert (again.verdict, again.calls) == ("update", ())
    assert heard(line).verdict == "none"
