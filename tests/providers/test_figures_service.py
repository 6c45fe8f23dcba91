from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from domain.calls.events import Disagreement, Origin, Token
from domain.calls.figures import known
from domain.calls.trust import believed
from domain.prices.readings import TokenRef
from managers.http.answers import FailedError
from managers.http.request_budget import Room
from runtime.errors import TransientError
from services.providers import figures as figures_service
from services.providers.figures import MAX_WANTED, FiguresService

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
FROG = TokenRef("Frog")
MARKET = frozenset({"price_usd", "market_cap_usd", "name"})
SAFETY = frozenset({"mint_revoked", "holders"})


def said(source: str, address: str = "Frog", **figures: Any) -> Token:
    return Token(address=address, **figures, origins=dict.fromkeys(figures, Origin(source, NOW)))


class Provider:
    """Says what it is told to say, when it is let."""

    def __init__(self, name: str, gives: frozenset[str], /, *, per_request: int = 30, **figures: Any) -> None:
        self.name, self.gives, self.tokens_per_request = name, gives, per_request
        self.knows = figures
        self.error: TransientError | None = None
        self.lets = asyncio.Event()
        self.lets.set()
        self.free = Room(10, 0.0)
        self.asked: list[list[str]] = []

    def covers(self, token: TokenRef) -> bool:
        return token.chain == "solana"

    def room(self) -> Room:
        return self.free

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        self.asked.append([token.address for token in tokens])
        await self.lets.wait()
        if self.error is not None:
            raise self.error
        return {token.key: said(self.name, token.address, **self.knows) for token in tokens} if self.knows else {}


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def service(*providers: Provider, clock: Clock | None = None) -> AsyncGenerator[FiguresService]:
    figures = FiguresService(providers, clock or Clock())
    async with asyncio.timeout(10):
        task = asyncio.create_task(figures.run(lambda: None))
        try:
            yield figures
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_each_figure_comes_from_whom_it_is_believed_of_most() -> None:
    dex = Provider("dexscreener", MARKET, price_usd=1.0, name="Frog")
    jupiter = Provider("jupiter", MARKET | SAFETY, price_usd=1.1, mint_revoked=True, holders=10)
    rugcheck = Provider("rugcheck", SAFETY, mint_revoked=True, holders=11)
    async with service(jupiter, rugcheck, dex) as figures:
        token = (await figures.of([FROG], within_s=5))[FROG.key]
    assert (token.price_usd, token.mint_revoked, token.holders) == (1.0, True, 10)
    sources = {name: origin.source for name, origin in token.origins.items()}
    assert sources == {
        "price_usd": "dexscreener",
        "name": "dexscreener",
        "mint_revoked": "rugcheck",
        "holders": "jupiter",
    }
    assert token.disputed == {}


async def test_who_waits_for_the_price_does_not_wait_for_the_audit() -> None:
    dex, rugcheck = Provider("dexscreener", MARKET, price_usd=1.0), Provider("rugcheck", SAFETY, mint_revoked=True)
    rugcheck.lets.clear()
    async with service(dex, rugcheck) as figures:
        first = await figures.of([FROG], waits_for=frozenset({"price_usd"}), within_s=60)
        assert (first[FROG.key].price_usd, first[FROG.key].mint_revoked) == (1.0, None)
        rugcheck.lets.set()
        second = await figures.of([FROG], waits_for=frozenset({"mint_revoked"}), within_s=60)
        assert (second[FROG.key].price_usd, second[FROG.key].mint_revoked) == (1.0, True)
    assert (dex.asked, rugcheck.asked) == ([["Frog"]], [["Frog"]])


async def test_nobody_waits_for_who_has_no_room_or_fails() -> None:
    dex, full = Provider("dexscreener", MARKET), Provider("rugcheck", SAFETY, mint_revoked=True)
    dex.error, full.free = TransientError("HTTP 502"), Room(0, 300.0)
    async with service(dex, full) as figures:
        assert await figures.of([FROG], within_s=60) == {}
        assert figures.problems() == {"dexscreener": "HTTP 502"}
    assert full.asked == []


async def test_what_is_wanted_together_is_one_request_and_what_was_asked_lately_none() -> None:
    dex, clock = Provider("dexscreener", MARKET, price_usd=1.0), Clock()
    tokens = [TokenRef(f"T{n}") for n in range(40)]
    async with service(dex, clock=clock) as figures:
        found = await asyncio.gather(*(figures.of([token], within_s=5) for token in tokens))
        assert [len(one) for one in found] == [1] * 40
        assert sorted(map(len, dex.asked)) == [10, 30]
        await figures.of(tokens, within_s=5)
        assert len(dex.asked) == 2
        clock.now += timedelta(minutes=1)
        await figures.of(tokens[:3], within_s=5)
        assert len(dex.asked) == 3


async def test_the_latest_wish_is_asked_first_and_the_oldest_are_dropped() -> None:
    slow = Provider("rugcheck", SAFETY, per_request=1, mint_revoked=True)
    slow.free = Room(0, 60.0)
    tokens = [TokenRef(f"T{n}") for n in range(MAX_WANTED + 5)]
    async with service(slow) as figures:
        await figures.of(tokens, within_s=0)
        assert figures.sources["rugcheck"].dropped == 5
        slow.free = Room(10, 0.0)
        await figures.of([TokenRef("last")], within_s=5)
        assert slow.asked[0] == ["last"]


def test_where_sources_do_not_agree_it_is_said() -> None:
    one = said("dexscreener", market_cap_usd=50_000.0, liquidity_usd=9_000.0)
    other = said("jupiter", market_cap_usd=120_000.0, liquidity_usd=10_000.0, mint_revoked=False)
    third = said("rugcheck", mint_revoked=True)
    token = believed("Frog", "solana", {"dexscreener": one, "jupiter": other, "rugcheck": third})
    assert (token.market_cap_usd, token.mint_revoked) == (50_000.0, True)
    assert token.disputed == {
        "market_cap_usd": Disagreement("jupiter", 120_000.0),
        "mint_revoked": Disagreement("jupiter", 0.0),
    }


def test_one_who_says_something_else_than_all_others_is_not_believed() -> None:
    lies = said("dexscreener", market_cap_usd=5e8)
    others = {source: said(source, market_cap_usd=cap) for source, cap in (("geckoterminal", 51e3), ("jupiter", 49e3))}
    token = believed("Frog", "solana", {"dexscreener": lies, **others})
    assert (token.market_cap_usd, token.origins["market_cap_usd"].source) == (51e3, "geckoterminal")
    assert token.disputed == {"market_cap_usd": Disagreement("dexscreener", 5e8)}
    of_two = believed("Frog", "solana", {"dexscreener": lies, "jupiter": others["jupiter"]})
    assert of_two.market_cap_usd == 5e8


def test_whose_price_is_wrong_is_not_believed_about_what_follows_from_it() -> None:
    lies = said("dexscreener", price_usd=0.01, market_cap_usd=450e3, fdv_usd=450e3, liquidity_usd=15e3)
    gecko = said("geckoterminal", price_usd=0.001, fdv_usd=45e3)
    jupiter = said("jupiter", price_usd=0.0011, market_cap_usd=46e3)
    token = believed("Frog", "solana", {"dexscreener": lies, "geckoterminal": gecko, "jupiter": jupiter})
    assert (token.price_usd, token.market_cap_usd, token.fdv_usd) == (0.001, 46e3, 45e3)
    assert (token.liquidity_usd, token.origins["liquidity_usd"].source) == (15e3, "dexscreener")
    assert token.disputed["market_cap_usd"] == Disagreement("dexscreener", 450e3)
    of_two = believed("Frog", "solana", {"dexscreener": lies, "jupiter": jupiter})
    assert of_two.market_cap_usd == 450e3, "nobody can tell who is right"


def test_of_risk_scores_the_worst_counts() -> None:
    clean, trap = said("rugcheck", risk_score=1.0), said("goplus", risk_score=100.0)
    token = believed("Frog", "solana", {"rugcheck": clean, "goplus": trap})
    assert (token.risk_score, token.origins["risk_score"].source) == (100.0, "goplus")


_figures = st.fixed_dictionaries(
    {},
    optional={
        "price_usd": st.floats(1e-12, 1e6),
        "market_cap_usd": st.floats(0, 1e12),
        "holders": st.integers(0, 10**9),
        "top10_percent": st.floats(0, 100),
        "mint_revoked": st.booleans(),
        "name": st.text(max_size=5),
    },
)


@given(answers=st.dictionaries(st.sampled_from(["dexscreener", "jupiter", "rugcheck", "goplus", "else"]), _figures))
def test_nothing_is_made_up_and_nothing_that_is_known_is_left_out(answers: dict[str, dict[str, Any]]) -> None:
    tokens = {source: said(source, **figures) for source, figures in answers.items()}
    token = believed("Frog", "solana", tokens)
    for name, value in known(token).items():
        origin = token.origins[name]
        assert getattr(tokens[origin.source], name) == value
    assert known(token).keys() == {name for figures in answers.values() for name in figures}
    for name, other in token.disputed.items():
        assert float(getattr(tokens[other.source], name)) == other.value
        assert other.source != token.origins[name].source


async def test_what_is_of_no_use_is_said_once_and_what_the_host_says_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figures_service, "TOGETHER_S", 0.001)
    misreads = Provider("birdeye", SAFETY)
    for error, lines in ((FailedError("nothing listens there"), 0), (TransientError("answers of another token"), 1)):
        misreads.error = error
        async with service(misreads) as figures:
            with capture_logs() as logs:
                for number in range(5):
                    await figures.of([TokenRef(f"{number}")], within_s=2)
            assert len([one for one in logs if one["log_level"] == "warning"]) == lines
            failing, why = figures.failing()["birdeye"]
            assert (failing.count, why) == (5, str(error))
            misreads.error = None
            await figures.of([TokenRef("well")], within_s=2)
            assert figures.failing()["birdeye"][0].count == 0
