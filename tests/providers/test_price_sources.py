"""Several providers together: the most trusted first, the next one where it fails, each within its limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from domain.calls.events import Token
from domain.prices.readings import PriceReading, TokenRef
from managers.http.api import APIRetryManager
from managers.providers.dexscreener import DexScreenerManager
from managers.providers.geckoterminal import GeckoTerminalManager
from managers.providers.jupiter import JupiterManager
from sandbox.market.market import Market
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.geckoterminal import GeckoTerminalSandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.providers.pools import pool_of
from sandbox.providers.stand_in import Fault, StandIn
from services.monitoring.gauges import show_price_sources
from services.monitoring.metrics import Metrics
from services.providers.price_source import FIRST_PAUSE_S, FIRST_REST_S
from services.providers.price_sources import SPARE, WAITS_S, PriceSources
from tests.feed.support import address

START = datetime(2026, 11, 28, 12, tzinfo=UTC)
TOKENS = [TokenRef(address(number)) for number in range(1, 401)]


@dataclass
class Outside:
    """The three stand-ins and the bot's clock, which they share."""

    jupiter: PriceSandbox
    dexscreener: DexScreenerSandbox
    gecko: GeckoTerminalSandbox
    sources: PriceSources
    price_usd: float = 2e-6
    now_s: float = 0.0

    @property
    def all(self) -> tuple[StandIn, ...]:
        return self.jupiter, self.dexscreener, self.gecko

    def figures(self, mint: str) -> Token:
        return Token(
            address=mint,
            price_usd=self.price_usd,
            market_cap_usd=self.price_usd * 1e9,
            liquidity_usd=9_000.0,
            dex="pumpswap",
        )

    def now(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    async def said(self, tokens: Iterable[TokenRef]) -> dict[TokenRef, PriceReading]:
        readings = await self.sources.read(list(tokens))
        found = {reading.token: reading for reading in readings}
        assert len(found) == len(readings)
        return found


@pytest.fixture
async def outside(session: aiohttp.ClientSession) -> AsyncIterator[Outside]:
    world: Outside

    def seconds() -> float:
        return world.now_s

    def figures(mint: str) -> Token:
        return world.figures(mint)

    def history(mint: str, at: datetime) -> float:
        return world.price_usd

    def now() -> datetime:
        return world.now()

    def unix() -> float:
        return world.now().timestamp()

    async with AsyncExitStack() as stack:
        jupiter = await stack.enter_async_context(PriceSandbox(figures=figures, noise=0.005, clock=unix))
        dexscreener = await stack.enter_async_context(DexScreenerSandbox(figures=figures, noise=0.005, clock=unix))
        gecko = await stack.enter_async_context(
            GeckoTerminalSandbox(figures=figures, history=history, noise=0.005, clock=unix)
        )
        api = APIRetryManager(session, clock=seconds)
        candles = GeckoTerminalManager(api, gecko.url, clock=now)
        providers = (
            JupiterManager(api, jupiter.url, clock=now),
            DexScreenerManager(api, dexscreener.url, clock=now),
            candles,
        )
        sources = PriceSources(providers, candles=candles, clock=seconds)
        world = Outside(jupiter, dexscreener, gecko, sources)
        yield world


def by_source(readings: Iterable[PriceReading]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for reading in readings:
        counted[reading.source] = counted.get(reading.source, 0) + 1
    return counted


async def test_all_three_are_asked_at_once_the_most_trusted_about_the_first(outside: Outside) -> None:
    found = await outside.said(TOKENS)
    assert set(found) == set(TOKENS)
    assert all(one.price_usd == pytest.approx(outside.price_usd, rel=0.006) for one in found.values())
    assert {found[token].source for token in TOKENS[:100]} == {"jupiter"}
    assert by_source(found.values()) == {"jupiter": 100, "dexscreener": 300}
    assert {name: counts.requests for name, counts in outside.sources.counts.items()} == {
        "jupiter": 2,
        "dexscreener": 10,
        "geckoterminal": 0,
    }
    assert {one.name: one.used for one in outside.sources.health()} == {
        "jupiter": 2,
        "dexscreener": 10,
        "geckoterminal": 0,
    }
    outside.now_s += 60
    assert {one.used for one in outside.sources.health()} == {0}


async def test_there_is_room_for_so_many_and_no_more_are_asked(outside: Outside) -> None:
    room = outside.sources.room()
    # A tenth of what each minute leaves: 2 requests of Jupiter, 28 of DexScreener, 2 of GeckoTerminal.
    assert (room.tokens, room.again_in_s) == (2 * 50 + 28 * 30 + 2 * 30, 0.0)
    many = [TokenRef(address(number)) for number in range(1, 2_001)]
    assert len(await outside.said(many)) == room.tokens
    empty = outside.sources.room()
    assert (empty.tokens, empty.again_in_s) == (0, pytest.approx(60 / 285))
    assert await outside.said(many) == {}
    outside.now_s += empty.again_in_s
    assert outside.sources.room().tokens == 30


async def test_in_a_minute_no_limit_is_touched_and_the_spare_is_left(outside: Outside) -> None:
    asked_from = 0
    while outside.now_s < 180:
        room = outside.sources.room()
        if not room.tokens:
            outside.now_s += room.again_in_s
            continue
        some = [TOKENS[at % len(TOKENS)] for at in range(asked_from, asked_from + min(room.tokens, len(TOKENS)))]
        await outside.sources.read(some)
        asked_from += len(some)
    for sandbox, limit in zip(outside.all, (30, 300, 30), strict=True):
        assert sandbox.refused == 0
        assert 0.9 * (limit - SPARE[sandbox.name]) <= sandbox.most_in_a_window <= limit - SPARE[sandbox.name]
    assert all(counts.limited == 0 for counts in outside.sources.counts.values())


@pytest.mark.parametrize("fault", ["html", "cut", "drop", 500, 429])
async def test_where_one_fails_the_next_one_answers(outside: Outside, fault: Fault) -> None:
    outside.jupiter.will(fault)
    found = await outside.said(TOKENS[:50])
    assert by_source(found.values()) == {"dexscreener": 50}
    counts = outside.sources.counts["jupiter"]
    assert (counts.answered, counts.limited + counts.failed) == (0, 50)
    health = {one.name: one for one in outside.sources.health()}
    assert (health["jupiter"].ok, health["jupiter"].age_s) == (False, None)
    assert health["jupiter"].last_problem
    assert (health["dexscreener"].ok, health["dexscreener"].age_s) == (True, 0.0)


async def test_what_one_does_not_know_the_next_one_is_asked_and_not_the_first_again(outside: Outside) -> None:
    outside.jupiter.unknown = {token.address for token in TOKENS[:10]}
    outside.dexscreener.unknown = {TOKENS[0].address}
    found = await outside.said(TOKENS[:20])
    assert by_source(found.values()) == {"jupiter": 10, "dexscreener": 9, "geckoterminal": 1}
    outside.jupiter.unknown = set()
    asked = outside.jupiter.requests
    assert by_source((await outside.said(TOKENS[1:10])).values()) == {"dexscreener": 9}
    assert outside.jupiter.requests == asked
    outside.now_s += FIRST_REST_S
    assert by_source((await outside.said(TOKENS[1:10])).values()) == {"jupiter": 9}


async def test_what_only_one_knows_waits_for_its_room_and_comes_with_a_later_call(outside: Outside) -> None:
    rare = TOKENS[350:360]
    outside.dexscreener.unknown = outside.gecko.unknown = {token.address for token in rare}
    await outside.said(TOKENS[:100])
    assert outside.sources.health()[0].again_in_s == 3.0  # Jupiter's room is used up
    assert await outside.said(rare) == {}
    asked = outside.dexscreener.requests
    outside.now_s += 3
    found = await outside.said(TOKENS[200:201])
    assert set(found) == {*rare, TOKENS[200]}
    assert by_source(found.values()) == {"jupiter": 11}
    assert outside.dexscreener.requests == asked


async def test_who_waits_is_not_asked_again_of_those_who_did_not_know_it(outside: Outside) -> None:
    rare = TOKENS[350:360]
    outside.dexscreener.unknown = outside.gecko.unknown = {token.address for token in rare}
    outside.jupiter.status = 429
    await outside.said(TOKENS[:1])  # from now on Jupiter is left alone for a minute
    assert await outside.said(rare) == {}
    asked = outside.dexscreener.requests, outside.gecko.requests
    outside.now_s += FIRST_REST_S + 5
    assert await outside.said([]) == {}
    assert (outside.dexscreener.requests, outside.gecko.requests) == asked
    outside.jupiter.status = 200
    outside.now_s += 60 - FIRST_REST_S
    assert set(await outside.said([])) == set(rare)


async def test_nobody_waits_for_ever(outside: Outside) -> None:
    outside.dexscreener.unknown = outside.gecko.unknown = {TOKENS[350].address}
    await outside.said(TOKENS[:100])
    assert await outside.said(TOKENS[350:351]) == {}
    outside.now_s += WAITS_S
    assert set(await outside.said(TOKENS[:1])) == {TOKENS[0]}


async def test_a_mark_off_by_ten_thousand_is_checked_with_the_next_one_at_once(outside: Outside) -> None:
    token = TOKENS[0]
    assert (await outside.said([token]))[token].source == "jupiter"
    outside.jupiter.off_by = {token.address: 1e4}
    found = (await outside.said([token]))[token]
    assert found.source == "dexscreener"
    assert found.price_usd == pytest.approx(outside.price_usd, rel=0.006)
    assert outside.sources.counts["jupiter"].set_aside == 1
    outside.jupiter.off_by = {}
    outside.price_usd /= 1e5  # this time it is true, and the second one says so
    outside.now_s += 10
    assert (await outside.said([token]))[token].price_usd == pytest.approx(outside.price_usd, rel=0.006)
    assert outside.sources.counts["jupiter"].set_aside == 2


async def test_a_stale_pool_and_the_wrong_side_never_show(outside: Outside) -> None:
    outside.jupiter.status = 503
    outside.dexscreener.leftovers = {token.address: 3e8 for token in TOKENS[:15]}
    outside.dexscreener.on_quote_side = {token.address for token in TOKENS[10:25]}
    found = await outside.said(TOKENS[:30])
    # Beside a leftover a pool that prices SOL is turned round.
    assert by_source(found.values()) == {"dexscreener": 30}
    assert all(one.price_usd == pytest.approx(outside.price_usd, rel=0.02) for one in found.values())


async def test_who_is_limited_although_we_kept_the_limit_is_left_alone_longer_each_time(outside: Outside) -> None:
    outside.dexscreener.status = 429
    outside.jupiter.status = outside.gecko.status = 503
    waits: list[float] = []
    for _ in range(6):
        before = outside.dexscreener.requests
        await outside.said(TOKENS[:30])
        assert outside.dexscreener.requests > before
        [health] = [one for one in outside.sources.health() if one.name == "dexscreener"]
        waits.append(health.again_in_s)
        outside.now_s += health.again_in_s
    assert waits == [FIRST_PAUSE_S, 10.0, 20.0, 40.0, 60.0, 60.0]


async def test_other_chains_are_asked_of_whoever_has_them(outside: Outside) -> None:
    elsewhere, nowhere = TokenRef("0xAbC", "ethereum"), TokenRef("x", "nowhere")
    outside.dexscreener.pairs.append(
        {
            "chainId": "ethereum",
            "dexId": "uniswap",
            "pairAddress": "pool",
            "baseToken": {"address": "0xABC"},
            "quoteToken": {"address": "0x0"},
            "priceUsd": "0.5",
        }
    )
    found = await outside.said([elsewhere, TOKENS[0], nowhere])
    assert {token: one.source for token, one in found.items()} == {elsewhere: "dexscreener", TOKENS[0]: "jupiter"}


async def test_nothing_is_asked_twice_in_one_call(outside: Outside) -> None:
    assert await outside.said([]) == {}
    assert len(await outside.said([TOKENS[0]] * 40)) == 1
    assert outside.jupiter.requests == 1


async def test_what_each_one_did_stands_in_the_metrics(outside: Outside) -> None:
    metrics = Metrics()
    show_price_sources(metrics, outside.sources)
    outside.jupiter.unknown = {TOKENS[0].address}
    outside.jupiter.off_by = {TOKENS[1].address: 1e4}
    await outside.said(TOKENS[:2])
    outside.jupiter.off_by = {}
    await outside.said(TOKENS[1:2])
    outside.dexscreener.will(500)
    outside.jupiter.status = 503
    outside.now_s += 7
    await outside.said(TOKENS[:2])

    def value(name: str, source: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"source": source})

    shown = ("requests", "asked", "answered", "unknown", "failed", "limited", "set_aside")
    assert [value(f"prices_{name}_total", "jupiter") for name in shown] == [3, 4, 2, 1, 1, 0, 1]
    assert [value(f"prices_{name}_total", "dexscreener") for name in shown] == [4, 4, 3, 0, 1, 0, 0]
    assert value("prices_answer_age_seconds", "jupiter") == 7.0


async def test_several_may_ask_at_the_same_time(outside: Outside) -> None:
    found = await asyncio.gather(*(outside.sources.read(TOKENS[at : at + 40]) for at in range(0, 400, 40)))
    assert sum(map(len, found)) == 400
    assert all(sandbox.refused == 0 for sandbox in outside.all)


async def test_the_high_of_a_gap_where_the_budget_reaches(outside: Outside) -> None:
    token = TOKENS[0]
    gap = outside.now() - timedelta(minutes=30), outside.now()
    high = await outside.sources.high(token, pool_of(token.address), *gap)
    assert high is not None
    assert high.price_usd == outside.price_usd
    outside.gecko.will("html", "html")
    assert await outside.sources.high(token, pool_of(token.address), *gap) is None
    for _ in range(40):
        await outside.sources.high(token, pool_of(token.address), *gap)
    assert outside.gecko.refused == 0
    assert outside.gecko.requests == 30
    sources = outside.sources
    assert (sources.highs_asked, sources.highs_found, sources.highs_refused) == (42, 28, 14)
    assert await sources.high(TokenRef("x", "nowhere"), "pool", *gap) is None


async def test_the_market_drives_all_three_alike(session: aiohttp.ClientSession) -> None:
    market, at = Market(seed=5), START
    mints = {market.next_call(at + timedelta(seconds=number)).token.address for number in range(60)}
    asked_at = at + timedelta(minutes=10)
    truth = {mint: token for mint in mints if (token := market.token(mint, asked_at))}

    def unix() -> float:
        return asked_at.timestamp()

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        jupiter = await enter(PriceSandbox(figures=truth.get, noise=0.005, clock=unix))
        dexscreener = await enter(DexScreenerSandbox(figures=truth.get, noise=0.005, clock=unix))
        gecko = await enter(GeckoTerminalSandbox(figures=truth.get, noise=0.005, clock=unix))
        api = APIRetryManager(session)
        providers = (
            JupiterManager(api, jupiter.url),
            DexScreenerManager(api, dexscreener.url),
            GeckoTerminalManager(api, gecko.url),
        )
        for provider in providers:
            tokens = [TokenRef(mint) for mint in sorted(truth)][:30]
            readings = await provider.read(tokens)
            assert {one.token for one in readings} == set(tokens)
            for one in readings:
                assert one.price_usd == pytest.approx(truth[one.token.address].price_usd, rel=0.007)
