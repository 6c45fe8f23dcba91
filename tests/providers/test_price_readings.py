"""The three providers of prices, asked over real sockets: what they say is read alike, and their faults cost little."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web

from domain.calls.events import Token
from domain.prices.readings import PriceReading, TokenRef
from managers.http.answers import RefusedError
from managers.http.api import APIRetryManager, NotAskedError
from managers.providers.dexscreener import DexScreenerManager
from managers.providers.geckoterminal import GeckoTerminalManager
from managers.providers.jupiter import JupiterManager
from runtime.errors import TransientError
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.geckoterminal import GeckoTerminalSandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.providers.pools import pool_of
from sandbox.providers.stand_in import Fault, StandIn
from services.providers.price_source import PriceProvider
from tests.feed.support import address

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MAKERS: Mapping[str, tuple[type[StandIn], Callable[[APIRetryManager, str], PriceProvider]]] = {
    "jupiter": (PriceSandbox, lambda api, url: JupiterManager(api, url, clock=lambda: NOW)),
    "dexscreener": (DexScreenerSandbox, lambda api, url: DexScreenerManager(api, url, clock=lambda: NOW)),
    "geckoterminal": (GeckoTerminalSandbox, lambda api, url: GeckoTerminalManager(api, url, clock=lambda: NOW)),
}

PATHS = {
    "jupiter": f"/price/v3?ids={address(1)}",
    "dexscreener": f"/tokens/v1/solana/{address(1)}",
    "geckoterminal": f"/simple/networks/solana/token_price/{address(1)}",
}


def ref(number: int) -> TokenRef:
    return TokenRef(address(number))


def figures(mint: str) -> Token | None:
    price_usd = 1e-6 * (1 + mint.count("1"))
    return Token(
        address=mint,
        price_usd=price_usd,
        market_cap_usd=price_usd * 1e9,
        liquidity_usd=12_000.0,
        volume_5m_usd=500.0,
        dex="pumpswap",
    )


def price_of(token: TokenRef) -> float:
    found = figures(token.address)
    assert found is not None
    assert found.price_usd is not None
    return found.price_usd


@pytest.fixture(params=list(MAKERS))
async def pair(
    request: pytest.FixtureRequest, api_manager: APIRetryManager
) -> AsyncIterator[tuple[StandIn, PriceProvider]]:
    """A stand-in and the manager that asks it."""
    stand_in, manager = MAKERS[request.param]
    async with stand_in(figures=figures) as sandbox:  # pyright: ignore[reportCallIssue] - each knows its limit
        yield sandbox, manager(api_manager, sandbox.url)


@pytest.fixture
async def dexscreener() -> AsyncIterator[DexScreenerSandbox]:
    async with DexScreenerSandbox(figures=figures) as sandbox:
        yield sandbox


@pytest.fixture
async def answering(api_manager: APIRetryManager) -> AsyncIterator[Callable[[object], str]]:
    """The address of a server that answers every question with this."""
    said: list[object] = []

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=json.dumps(said[-1]).encode(), content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    def with_body(body: object) -> str:
        said.append(body)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield with_body
    await runner.cleanup()


async def test_a_whole_batch_is_read_in_one_request(pair: tuple[StandIn, PriceProvider]) -> None:
    sandbox, provider = pair
    tokens = [ref(number) for number in range(1, provider.tokens_per_request + 1)]
    sandbox.unknown = {tokens[3].address}
    readings = {reading.token: reading for reading in await provider.read(tokens)}
    assert set(readings) == set(tokens) - {tokens[3]}
    assert sandbox.requests == 1
    for token, reading in readings.items():
        assert reading.price_usd == pytest.approx(price_of(token), rel=1e-3)
        assert reading.liquidity_usd == pytest.approx(12_000.0)
        assert (reading.at, reading.source) == (NOW, sandbox.name)


async def test_one_more_than_a_batch_is_refused(pair: tuple[StandIn, PriceProvider]) -> None:
    _, provider = pair
    with pytest.raises(RefusedError, match="HTTP 4"):
        await provider.read([ref(number) for number in range(1, provider.tokens_per_request + 2)])


async def test_the_limit_is_counted_to_the_letter_and_room_says_so(
    pair: tuple[StandIn, PriceProvider], session: aiohttp.ClientSession
) -> None:
    sandbox, provider = pair
    slots = provider.limit.slots
    for asked in range(slots):
        assert provider.room().requests == slots - asked
        await provider.read([ref(1)])
    assert provider.room().requests == 0
    assert 50 < provider.room().again_in_s <= 60
    with pytest.raises(NotAskedError, match="used up"):
        await provider.read([ref(1)])
    assert (sandbox.requests, sandbox.refused) == (slots, 0)
    async with session.get(f"{sandbox.url}{PATHS[sandbox.name]}") as response:
        assert response.status == 429
    assert (sandbox.refused, sandbox.most_in_a_window) == (1, slots + 1)


@pytest.mark.parametrize("fault", ["html", "cut", "drop", 404, 500, 502])
async def test_what_is_no_answer_is_transient_and_is_not_asked_again(
    pair: tuple[StandIn, PriceProvider], fault: Fault
) -> None:
    sandbox, provider = pair
    sandbox.will(fault)
    with pytest.raises(TransientError):
        await provider.read([ref(1), ref(2)])
    assert sandbox.requests == 1
    assert len(await provider.read([ref(1), ref(2)])) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_obeyed(pair: tuple[StandIn, PriceProvider], status: int) -> None:
    sandbox, provider = pair
    sandbox.status, sandbox.retry_after_s = status, 40.0
    with pytest.raises(TransientError):
        await provider.read([ref(1)])
    asked = sandbox.requests
    room = provider.room()
    assert room.requests == 0
    assert 38 < room.again_in_s <= 61
    with pytest.raises(TransientError, match="used up"):
        await provider.read([ref(1)])
    assert sandbox.requests == asked


async def test_after_failing_again_and_again_one_request_tries(session: aiohttp.ClientSession) -> None:
    now_s = 0.0
    async with DexScreenerSandbox(figures=figures) as sandbox:
        provider = DexScreenerManager(APIRetryManager(session, clock=lambda: now_s), sandbox.url)
        for _ in range(5):
            sandbox.will("drop")
        for _ in range(5):
            with pytest.raises(TransientError):
                await provider.read([ref(1)])
        assert provider.room().requests == 0
        now_s += 11
        room = provider.room()
        assert (room.requests, room.is_trial) == (1, True)
        assert await provider.read([ref(1)])
        assert provider.room().requests > 1


async def test_jupiter_leaves_out_what_it_holds_unreliable(
    answering: Callable[[object], str], api_manager: APIRetryManager
) -> None:
    said = {
        address(1): {"usdPrice": 0.0000421, "liquidity": 18_250.5, "blockId": 348004025, "decimals": 6},
        address(2): {"usdPrice": None, "liquidity": 5.0},
        address(3): {"usdPrice": "1.5"},
        address(4): 7,
        address(5): {"usdPrice": 2.5, "liquidity": -1, "blockId": None, "priceChange24h": None},
        address(9): {"usdPrice": 1.0},
    }
    provider = JupiterManager(api_manager, answering(said), clock=lambda: NOW)
    readings = await provider.read([ref(number) for number in range(1, 8)])
    assert [(one.token, one.price_usd, one.liquidity_usd) for one in readings] == [
        (ref(1), 0.0000421, 18_250.5),
        (ref(5), 2.5, None),
    ]
    assert provider.unreadable == 1


async def test_dexscreener_takes_the_pool_that_lives(
    dexscreener: DexScreenerSandbox, api_manager: APIRetryManager
) -> None:
    provider = DexScreenerManager(api_manager, dexscreener.url, clock=lambda: NOW)
    dexscreener.leftovers = {address(1): 295_307_085.0}
    dexscreener.on_quote_side = {address(2)}
    readings = {one.token: one for one in await provider.read([ref(1), ref(2), ref(3)])}
    for token in (ref(1), ref(2), ref(3)):
        assert readings[token].price_usd == pytest.approx(price_of(token), rel=1e-2)
        assert readings[token].pool == pool_of(token.address)
    assert readings[ref(2)].market_cap_usd is None
    assert readings[ref(3)].market_cap_usd == pytest.approx(price_of(ref(3)) * 1e9)


async def test_dexscreener_a_pair_that_makes_no_sense_costs_itself(
    answering: Callable[[object], str], api_manager: APIRetryManager
) -> None:
    def written(number: int, **changes: object) -> dict[str, object]:
        return {
            "chainId": "solana",
            "dexId": "raydium",
            "pairAddress": f"pool {number}",
            "labels": ["CPMM"],
            "baseToken": {"address": address(number), "name": "x", "symbol": "x"},
            "quoteToken": {"address": address(99), "name": "Wrapped SOL", "symbol": "SOL"},
            "priceNative": "0.0000001113",
            "priceUsd": "0.00001499",
            "txns": {"h6": {"buys": 93, "sells": 48}},
            "volume": {"h6": 2201.67, "h1": 0, "m5": 0},
        } | changes

    said = [
        written(1),
        written(2, priceUsd=None),
        written(3, priceUsd="NaN"),
        written(4, chainId="ethereum"),
        written(5, baseToken="x"),
        "x",
        None,
        written(6, liquidity={"usd": 10.31, "base": 343909, "quote": 0.03828}, fdv=14996),
        written(7, volume={"h24": None}, txns={}),
        written(8, marketCap=-5, liquidity={}),
    ]
    provider = DexScreenerManager(api_manager, answering(said), clock=lambda: NOW)
    readings = await provider.read([ref(number) for number in range(1, 10)])
    assert [one.token for one in readings] == [ref(1), ref(6), ref(7), ref(8)]
    assert {one.price_usd for one in readings} == {0.00001499}
    assert [one.liquidity_usd for one in readings] == [None, 10.31, None, None]
    assert [one.market_cap_usd for one in readings] == [None, 14996.0, None, None]
    assert provider.unreadable == 3


async def test_addresses_of_other_chains_may_come_with_capitals(
    answering: Callable[[object], str], api_manager: APIRetryManager
) -> None:
    token = TokenRef("0x4b025567ef3e47e7c6f091ba2e224d250eaeedad", "ethereum")
    written = {
        "chainId": "ethereum",
        "dexId": "uniswap",
        "pairAddress": "pool",
        "baseToken": {"address": "0x4B025567eF3E47e7c6F091bA2E224D250EaeeDaD"},
        "quoteToken": {"address": "0x0"},
        "priceUsd": "0.0000462785114387554",
    }
    dexscreener = DexScreenerManager(api_manager, answering([written]))
    assert [one.token for one in await dexscreener.read([token])] == [token]
    said = {"data": {"attributes": {"token_prices": {"0x4B025567eF3E47e7c6F091bA2E224D250EaeeDaD": "0.5"}}}}
    gecko = GeckoTerminalManager(api_manager, answering(said))
    assert [one.price_usd for one in await gecko.read([token])] == [0.5]
    assert not dexscreener.covers(TokenRef("x", "dogechain"))
    assert not gecko.covers(TokenRef("x", "dogechain"))


async def test_geckoterminals_decimal_text_is_read(
    answering: Callable[[object], str], api_manager: APIRetryManager
) -> None:
    said = {
        "data": {
            "id": "1",
            "type": "simple_token_price",
            "attributes": {
                "token_prices": {
                    address(1): "2.01740501818281139280643369246331938081195545621783950028423694",
                    address(2): None,
                    address(3): "abc",
                    address(4): ["1"],
                    address(5): "0.0000462785114387554",
                },
                "market_cap_usd": {address(1): "478960276.377951", address(5): None},
                "total_reserve_in_usd": {address(1): "38853273.63502", address(5): "-97.3671492356286"},
            },
        }
    }
    provider = GeckoTerminalManager(api_manager, answering(said), clock=lambda: NOW)
    readings = await provider.read([ref(number) for number in range(1, 7)])
    assert readings == [
        PriceReading(
            token=ref(1),
            price_usd=float("2.01740501818281128"),
            at=NOW,
            source="geckoterminal",
            liquidity_usd=38853273.63502,
            market_cap_usd=478960276.377951,
        ),
        PriceReading(token=ref(5), price_usd=0.0000462785114387554, at=NOW, source="geckoterminal"),
    ]


def spiked(mint: str, at: datetime) -> float | None:
    """Ten times as much for ten minutes, an hour ago; nothing before that day."""
    if at < NOW - timedelta(days=1):
        return None
    return 10.0 if timedelta(minutes=60) < NOW - at <= timedelta(minutes=70) else 1.0


@pytest.fixture
async def gecko() -> AsyncIterator[GeckoTerminalSandbox]:
    async with GeckoTerminalSandbox(history=spiked, clock=NOW.timestamp) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("since_min", "until_min", "high_usd"),
    [
        (90, 30, 10.0),
        (50, 0, 1.0),
        (60, 5, 1.0),  # it began before, and no candle from before counts
        (2_000, 0, 10.0),  # candles of five minutes
        (20_000, 0, 10.0),  # of an hour
        (900_000, 0, 1.0),  # of a day, of which this one is not over
        (3_000, 2_000, None),  # nothing was traded
        (0.5, 0, None),
    ],
)
async def test_the_high_of_a_gap_comes_from_its_candles(
    gecko: GeckoTerminalSandbox,
    api_manager: APIRetryManager,
    since_min: float,
    until_min: float,
    high_usd: float | None,
) -> None:
    provider = GeckoTerminalManager(api_manager, gecko.url)
    since, until = NOW - timedelta(minutes=since_min), NOW - timedelta(minutes=until_min)
    high = await provider.high(ref(1), pool_of(address(1)), since, until)
    assert gecko.requests == 1
    assert (None if high is None else high.price_usd) == high_usd
    if high is not None:
        assert since <= high.at <= until
        assert high.volume_usd == 1_000.0


async def test_a_wick_of_a_candle_is_no_high(gecko: GeckoTerminalSandbox, api_manager: APIRetryManager) -> None:
    provider = GeckoTerminalManager(api_manager, gecko.url)
    gecko.wicks = {address(1): 1e4, address(2): 3.0}
    since = NOW - timedelta(minutes=50)
    wick = await provider.high(ref(1), pool_of(address(1)), since, NOW)
    spike = await provider.high(ref(2), pool_of(address(2)), since, NOW)
    assert wick is not None
    assert spike is not None
    assert (wick.price_usd, spike.price_usd) == (1.0, 3.0)


async def test_candles_of_another_pool_are_no_high(
    gecko: GeckoTerminalSandbox, answering: Callable[[object], str], api_manager: APIRetryManager
) -> None:
    since = NOW - timedelta(minutes=50)
    assert await GeckoTerminalManager(api_manager, gecko.url).high(ref(1), "nobody's", since, NOW) is None
    stamp = int(since.timestamp()) + 60
    broken = [[stamp, "1", "2", "1", "1", "5"], [stamp, 1, None, 1, 1, 5], [1, 2], "x", [9e99, 1, 9, 1, 1, 1]]
    said = {
        "data": {"attributes": {"ohlcv_list": broken}},
        "meta": {"base": {"address": address(1)}, "quote": {"address": address(2)}},
    }
    provider = GeckoTerminalManager(api_manager, answering(said))
    high = await provider.high(ref(1), "pool", since, NOW)
    assert high is not None
    assert high.price_usd == 2.0
    assert provider.unreadable == 4
    with pytest.raises(TransientError, match="another pool"):
        await provider.high(ref(3), "pool", since, NOW)
