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
WARNINGS_MISSED_AT_MOST: Final = 0.05
"""Of warnings about what the channel has not called."""


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


def test_a_warning_is_no_call_in_whatever_language() -> None:
    missed = [line for line in LINES["warnings"] if heard(f"{line}\n{{mint1}}").verdict != "none"]
    assert len(missed) <= WARNINGS_MISSED_AT_MOST * len(LINES["warnings"]), missed


@pytest.mark.parametrize(
    "text",
    [
        "Hacker: {mint1}",
        "Exploiter address: {mint1}",
        "attacker's wallet {mint1}",
        "Адрес хакера: {mint1}",
        "黑客地址：{mint1}",
        "dirección del hacker: {mint1}",
        "the scammer's address is {mint1}",
    ],
)
def test_the_address_of_a_thief_is_no_token(text: str) -> None:
    assert heard(text).verdict == "none"


@pytest.mark.parametrize(
    "text",
    [
        "Revoke approvals to {evm1}",
        "top holder is the raydium pool {mint1}, the rest is spread",
        "Second biggest holder is an exchange wallet: {mint1}",
        "which wallet do i trade from? track it\n{mint1}",
        "you asked for my address so you can copy me: {mint1}",
        "Refunds are sent out from {mint1}",
        "team tokens sit in {mint1}, vesting for a year",
        "Don't interact with {evm1}",
        "It sends everything to {mint1}",
    ],
)
def test_whose_an_address_is_may_be_said_in_a_sentence(text: str) -> None:
    assert heard(text).verdict == "none"


@pytest.mark.parametrize(
    "text",
    [
        "LP BURNED\n$TOK {evm1}\nTx: https://etherscan.io/tx/{hash1}",
        "Contest! Three winners get $TOK\n{mint1}",
        "Kraken will list $TOK at 10:00 UTC {evm1}",
        "$TOK Buy!\nSpent 2 SOL ($400)\nTX: https://solscan.io/tx/{sig1}\n{mint1}",
        "can somebody confirm this is the real one? {mint1}",
    ],
)
def test_news_of_a_token_is_a_call_of_none(text: str) -> None:
    assert (heard(text).verdict, heard(text).reason) == ("none", "news")
    known = (filled("{mint1}"), filled("{evm1}"))
    assert (heard(text, earlier=known).verdict, heard(text, earlier=known).calls) == ("update", ())


@pytest.mark.parametrize("text", ["$HACKER: {mint1}", "$WHALE: {mint1}", "$TRADER: {mint1}", "Pirate: {mint1}"])
def test_a_symbol_is_nobodys_wallet(text: str) -> None:
    assert heard(text).verdict == "call"


@pytest.mark.parametrize(
    "line",
    [
        "Sold half here",
        "I took profits",
        "Stop loss hit",
        "closed my position ✅",
        "Exited full",
        "Took some profit in this",
    ],
)
def test_who_leaves_calls_nothing(line: str) -> None:
    assert (heard(f"{line}\n{{mint1}}").verdict, heard(f"{line}\n{{mint1}}").reason) == ("update", "exit")
