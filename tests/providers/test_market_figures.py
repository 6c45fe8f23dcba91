"""Figures of trade: which pool they come from, and that one that makes no sense costs itself alone."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.calls.events import Token
from domain.prices.readings import TokenRef
from managers.http.answers import DeniedError
from managers.http.api import APIRetryManager
from managers.http.request_budget import Limit
from managers.providers.birdeye import BirdeyeManager, read_overview, read_security
from managers.providers.bodies import Body
from managers.providers.dexscreener_figures import DexScreenerFigures
from managers.providers.geckoterminal_figures import GeckoTerminalFigures
from runtime.errors import TransientError
from sandbox.providers.birdeye import KEY, BirdeyeSandbox
from sandbox.providers.dexscreener import DexScreenerSandbox
from tests.providers.figures_kit import NOW, known_on, ref, whole
from tests.providers.test_figure_providers import Answering, answering

__all__ = ["answering"]

TOKEN, OTHER = ref(7), ref(8)
CREATED = datetime(2026, 11, 28, 20, 59, 33, tzinfo=UTC)
PAIR: dict[str, Any] = {
    "chainId": "solana",
    "dexId": "raydium",
    "url": "https://dexscreener.com/solana/pool",
    "pairAddress": "pool",
    "labels": ["CPMM"],
    "baseToken": {"address": TOKEN.address, "name": "HOHO ", "symbol": "HOHO "},
    "quoteToken": {"address": "So11111111111111111111111111111111111111112", "name": "Wrapped SOL", "symbol": "SOL"},
    "priceNative": "0.0000001113",
    "priceUsd": "0.00001499",
    "txns": {"m5": {"buys": 0, "sells": 0}, "h1": {"buys": 3, "sells": 0}, "h24": {"buys": 93, "sells": 48}},
    "volume": {"h24": 2201.67, "h6": 2201.67, "h1": 12.5, "m5": 0},
    "priceChange": {"h6": 31.43, "h24": 31.43},
    "liquidity": {"usd": 10.31, "base": 343909, "quote": 0.03828},
    "fdv": 14996,
    "marketCap": 14990,
    "pairCreatedAt": int(CREATED.timestamp() * 1000),
    "info": {
        "imageUrl": "https://example.org/1.png?key=f5",
        "websites": [
            {"label": "Evil", "url": "javascript:alert(1)"},
            {"label": "Website", "url": "https://hoho.example/"},
        ],
        "socials": [
            {"type": "discord", "url": "https://discord.example"},
            {"type": "twitter", "url": "https://x.com/hohosol"},
            {"platform": "telegram", "handle": "hoho_chat"},
        ],
    },
}


def pair(**changes: object) -> dict[str, Any]:
    merged = deepcopy(PAIR) | changes
    return {name: value for name, value in merged.items() if value is not ...}


async def dexscreener(answering: Answering, api: APIRetryManager, pairs: list[object]) -> dict[str, Token]:
    adapter = DexScreenerFigures(api, answering(json.dumps(pairs).encode()), clock=lambda: NOW)
    return await adapter.figures([TOKEN, OTHER])


async def test_dexscreener_is_read_whole(answering: Answering, api_manager: APIRetryManager) -> None:
    found = await dexscreener(answering, api_manager, [pair(), "x", None, pair(baseToken=5)])
    assert set(found) == {TOKEN.key}
    token = found[TOKEN.key]
    assert {name: getattr(token, name) for name in token.origins} == {
        "name": "HOHO",
        "symbol": "HOHO",
        "price_usd": 0.00001499,
        "market_cap_usd": 14_990.0,
        "fdv_usd": 14_996.0,
        "liquidity_usd": 10.31,
        "volume_5m_usd": 0.0,
        "volume_1h_usd": 12.5,
        "volume_24h_usd": 2201.67,
        "price_change_24h_percent": 31.43,
        "buys_1h": 3,
        "sells_1h": 0,
        "created_at": CREATED,
        "dex": "raydium",
        "website": "https://hoho.example/",
        "x_handle": "hohosol",
        "telegram": "hoho_chat",
        "image_url": "https://example.org/1.png?key=f5",
    }


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"txns": "x"}, {"buys_1h", "sells_1h"}),
        ({"txns": {"h1": {"buys": 1.5, "sells": -1}}}, {"buys_1h", "sells_1h"}),
        ({"volume": {"m5": "1", "h1": None, "h24": -5}}, {"volume_5m_usd", "volume_1h_usd", "volume_24h_usd"}),
        ({"volume": []}, {"volume_5m_usd", "volume_1h_usd", "volume_24h_usd"}),
        ({"priceChange": {"h24": -101}}, {"price_change_24h_percent"}),
        ({"liquidity": ...}, {"liquidity_usd"}),
        ({"liquidity": {"usd": 1e14}}, {"liquidity_usd"}),
        ({"marketCap": 0}, {"market_cap_usd"}),
        ({"marketCap": "NaN"}, {"market_cap_usd"}),
        ({"fdv": 10**400}, {"fdv_usd"}),
        ({"pairCreatedAt": 0}, {"created_at"}),
        ({"pairCreatedAt": 1_500_000_000_000}, {"created_at"}),
        ({"pairCreatedAt": 9e300}, {"created_at"}),
        ({"info": None}, {"website", "x_handle", "telegram", "image_url"}),
        ({"info": {"socials": [5], "websites": "x"}}, {"website", "x_handle", "telegram", "image_url"}),
        ({"dexId": "<b>"}, {"dex"}),
        ({"baseToken": {"address": TOKEN.address, "name": 5, "symbol": " "}}, {"name", "symbol"}),
    ],
)
async def test_what_makes_no_sense_costs_itself_alone(
    answering: Answering, api_manager: APIRetryManager, changes: dict[str, object], lost: set[str]
) -> None:
    complete = (await dexscreener(answering, api_manager, [pair()]))[TOKEN.key]
    found = (await dexscreener(answering, api_manager, [pair(**changes)]))[TOKEN.key]
    assert set(complete.origins) - set(found.origins) == lost
    assert all(getattr(found, name) == getattr(complete, name) for name in found.origins)


async def test_only_pools_that_price_the_token_count(answering: Answering, api_manager: APIRetryManager) -> None:
    turned = pair(baseToken=PAIR["quoteToken"], quoteToken=PAIR["baseToken"], priceUsd="165")
    assert await dexscreener(answering, api_manager, [turned]) == {}
    assert await dexscreener(answering, api_manager, [pair(priceUsd=...)]) == {}
    assert await dexscreener(answering, api_manager, []) == {}
    for stray in (pair(baseToken={"address": "x"}), pair(chainId="base")):
        with pytest.raises(TransientError, match="other tokens"):
            await dexscreener(answering, api_manager, [stray])


async def test_a_curve_that_was_left_says_only_where_the_token_began(
    answering: Answering, api_manager: APIRetryManager
) -> None:
    """A leftover shows a market cap of hundreds of millions beside the pool in which the token is traded."""
    older = int(datetime(2026, 11, 28, 20, tzinfo=UTC).timestamp() * 1000)
    leftover = pair(
        dexId="pumpfun",
        pairAddress="left",
        priceUsd="0.29",
        marketCap=295_307_085,
        fdv=295_307_085,
        liquidity={"usd": 1_467_997},
        volume={"h1": 0, "m5": 0},
        txns={},
        pairCreatedAt=older,
    )
    live = pair(dexId="pumpswap", pairAddress="live", marketCap=2333, volume={"h1": 8.95}, liquidity={"usd": 2326})
    token = (await dexscreener(answering, api_manager, [leftover, live]))[TOKEN.key]
    assert (token.market_cap_usd, token.liquidity_usd, token.dex) == (2333.0, 2326.0, "pumpswap")
    assert (token.launchpad, token.created_at) == ("pump.fun", datetime(2026, 11, 28, 20, tzinfo=UTC))
    curve = pair(dexId="pumpfun", marketCap=42_000, liquidity=..., volume={"h1": 4000})
    token = (await dexscreener(answering, api_manager, [curve]))[TOKEN.key]
    assert (token.market_cap_usd, token.liquidity_usd) == (42_000.0, None)
    assert (token.dex, token.launchpad) == ("pump.fun", "pump.fun")


async def test_the_stand_in_has_leftovers_and_checksums(api_manager: APIRetryManager) -> None:
    async with DexScreenerSandbox(figures=known_on("solana")) as sandbox:
        sandbox.leftovers = {TOKEN.address: 295_307_085.0}
        token = (await DexScreenerFigures(api_manager, sandbox.url).figures([TOKEN]))[TOKEN.key]
        assert token.market_cap_usd == whole(TOKEN).market_cap_usd
        assert token.launchpad == "pump.fun"
    async with DexScreenerSandbox(figures=known_on("base")) as sandbox:
        asked = TokenRef(f"0x{0xABCDEF:040X}".replace("0X", "0x"), "base")
        found = await DexScreenerFigures(api_manager, sandbox.url).figures([asked])
        assert [(key, token.address, token.chain) for key, token in found.items()] == [(asked.key, asked.key, "base")]


GECKO_TOKEN: dict[str, Any] = {
    "id": f"solana_{TOKEN.address}",
    "type": "token",
    "attributes": {
        "address": TOKEN.address,
        "name": "TRUMPET",
        "symbol": "TRUMP",
        "decimals": 6,
        "image_url": "https://example.org/trumpet.jpg",
        "price_usd": "2.0174050182",
        "fdv_usd": "2017403219.4789",
        "total_reserve_in_usd": "38853273.6350283264033294",
        "volume_usd": {"h24": "2099707.5067169"},
        "market_cap_usd": "478960276.377951",
    },
    "relationships": {"top_pools": {"data": [{"id": "solana_none"}, {"id": "solana_turned"}, {"id": "solana_own"}]}},
}


def gecko_pool(name: str, base: str, **attributes: object) -> dict[str, Any]:
    return {
        "id": f"solana_{name}",
        "type": "pool",
        "attributes": {
            "pool_created_at": "2026-01-18T10:39:31Z",
            "price_change_percentage": {"m5": "0", "h1": "0.023", "h24": "-0.584"},
            "transactions": {"h1": {"buys": 10, "sells": 22, "buyers": 6}},
            "volume_usd": {"m5": "0.0", "h1": "22383.1305344185", "h24": "524824.856290105"},
        }
        | attributes,
        "relationships": {
            "base_token": {"data": {"id": f"solana_{base}", "type": "token"}},
            "dex": {"data": {"id": "meteora", "type": "dex"}},
        },
    }


async def gecko(answering: Answering, api: APIRetryManager, token: object, *pools: object) -> dict[str, Token]:
    body = json.dumps({"data": [token, None, 5], "included": [*pools, "x"]}).encode()
    return await GeckoTerminalFigures(api, answering(body), clock=lambda: NOW).figures([TOKEN, OTHER])


async def test_geckoterminal_is_read_whole(answering: Answering, api_manager: APIRetryManager) -> None:
    turned, own = gecko_pool("turned", "x"), gecko_pool("own", TOKEN.address)
    found = await gecko(answering, api_manager, GECKO_TOKEN, turned, own)
    assert set(found) == {TOKEN.key}
    token = found[TOKEN.key]
    assert set(token.origins) == GeckoTerminalFigures.gives
    assert (token.price_usd, token.market_cap_usd) == (2.0174050182, 478960276.377951)
    assert (token.volume_5m_usd, token.volume_1h_usd, token.volume_24h_usd) == (0.0, 22383.1305344185, 2099707.5067169)
    assert (token.price_change_5m_percent, token.price_change_24h_percent) == (0.0, -0.584)
    assert (token.buys_1h, token.sells_1h, token.dex) == (10, 22, "meteora")
    own["relationships"]["dex"]["data"]["id"] = "pump-fun"
    assert (await gecko(answering, api_manager, GECKO_TOKEN, own))[TOKEN.key].dex == "pump.fun"


async def test_geckoterminal_what_nobody_trades_has_no_price(
    answering: Answering, api_manager: APIRetryManager
) -> None:
    silent = deepcopy(GECKO_TOKEN)
    silent["attributes"] |= {
        "price_usd": None,
        "fdv_usd": "NaN",
        "market_cap_usd": None,
        "total_reserve_in_usd": "-97.37",
        "image_url": "missing.png",
    }
    token = (await gecko(answering, api_manager, silent))[TOKEN.key]
    assert set(token.origins) == {"name", "symbol", "volume_24h_usd"}
    silent["attributes"]["address"] = "somebody else's"
    with pytest.raises(TransientError, match="other tokens"):
        await gecko(answering, api_manager, silent)


@pytest.mark.parametrize(
    ("said", "figure", "value"),
    [
        ({"top10UserPercent": 0.304}, "top10_percent", 30.4),
        ({"top10HolderPercent": 0.304}, "top10_percent", None),  # pools are in it
        ({"top10UserPercent": 30.4}, "top10_percent", None),
        ({"creatorPercentage": 0.05}, "developer_percent", 5.0),
        ({"ownerAddress": None}, "mint_revoked", True),
        ({"ownerAddress": "x"}, "mint_revoked", False),
        ({"ownerAddress": ""}, "mint_revoked", None),
        ({}, "mint_revoked", None),
        ({"freezeable": None, "freezeAuthority": None}, "freeze_revoked", True),
        ({"freezeable": True, "freezeAuthority": None}, "freeze_revoked", False),
        ({"freezeAuthority": "x"}, "freeze_revoked", False),
        ({"mutableMetadata": True}, "metadata_immutable", False),
        ({"mutableMetadata": None}, "metadata_immutable", None),
        ({"transferFeeEnable": None}, "buy_tax_percent", None),
        ({"transferFeeEnable": None, "isToken2022": False}, "buy_tax_percent", 0.0),
        ({"transferFeeEnable": True, "isToken2022": True}, "sell_tax_percent", None),
        ({"transferFeeEnable": False, "isToken2022": True}, "sell_tax_percent", 0.0),
    ],
)
def test_birdeyes_security_has_three_states(said: dict[str, object], figure: str, value: object) -> None:
    found = read_security(Body(said))[figure]
    assert found == (pytest.approx(value) if isinstance(value, float) else value)


def test_birdeyes_older_name_of_the_market_cap() -> None:
    assert read_overview(Body({"marketCap": 5.0}))["market_cap_usd"] == 5.0
    assert read_overview(Body({"mc": 7, "marketCap": 5.0}))["market_cap_usd"] == 7.0
    assert read_overview(Body({"mc": 0, "holder": 0}))["holders"] is None


async def test_birdeye_without_its_key_and_without_its_security(api_manager: APIRetryManager) -> None:
    async with BirdeyeSandbox(figures=known_on("solana")) as sandbox:
        limit = Limit(60, 60.0)
        adapter = BirdeyeManager(api_manager, KEY, sandbox.url, limit=limit)
        sandbox.failing = {TOKEN.address}
        with pytest.raises(TransientError, match="did not succeed"):
            await adapter.figures([TOKEN])
        sandbox.failing = set()
        sandbox.will(200, 500)
        found = (await adapter.figures([TOKEN]))[TOKEN.key]
        assert (found.price_usd, found.mint_revoked) == (whole(TOKEN).price_usd, None)
        with pytest.raises(DeniedError):
            await BirdeyeManager(api_manager, "wrong", sandbox.url, limit=limit).figures([TOKEN])
