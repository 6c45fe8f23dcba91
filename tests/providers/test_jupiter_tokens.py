from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from domain.calls.events import Origin, Token
from domain.calls.figures import FIGURES
from managers.http.api import APIRetryManager, NotAskedError
from managers.providers.jupiter import KEYLESS, SOL_MINT, JupiterManager, read_token
from runtime.errors import TransientError
from sandbox.market.figures import InventedTokens
from sandbox.providers.jupiter import PriceSandbox, token_body
from tests.feed.support import address

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
UPDATED_AT = datetime(2025, 6, 25, 5, 2, 21, 34_235, tzinfo=UTC)
# As Jupiter's documentation shows it, three windows of the same form.
SOL: dict[str, object] = {
    "id": SOL_MINT,
    "name": "Wrapped SOL",
    "symbol": "SOL",
    "icon": "https://example.org/sol.png",
    "decimals": 9,
    "circSupply": 531207433.3986673,
    "firstPool": {"id": "58oQChx4yWmvKdwLLZzBi4ChoCc2fqCUWBkwMihLYQo2", "createdAt": "2021-03-29T10:05:48Z"},
    "holderCount": 2342610,
    "audit": {
        "mintAuthorityDisabled": True,
        "freezeAuthorityDisabled": False,
        "topHoldersPercentage": 1.2422471238911812,
    },
    "organicScore": 98.92390784896082,
    "tags": ["community", "strict"],
    "fdv": 87824499429.22047,
    "mcap": 77275352037.79674,
    "usdPrice": 145.47114211747515,
    "priceBlockId": 349038717,
    "liquidity": 89970631.83880953,
    "launchpad": "Pump.fun",
    "website": "https://solana.example",
    "twitter": "https://x.com/solana",
    "telegram": "https://t.me/solana_chat",
    "stats5m": {"priceChange": 0.5, "buyVolume": 100.5, "sellVolume": 50, "numBuys": 3, "numSells": 4},
    "stats1h": {"priceChange": -3.25, "buyVolume": 1000, "sellVolume": 500, "numBuys": 30, "numSells": 40},
    "stats24h": {"priceChange": 900, "buyVolume": 20000, "numBuys": 300, "numSells": 400},
    "updatedAt": "2025-06-25T05:02:21.034234634Z",
}


@pytest.fixture
async def prices() -> AsyncIterator[PriceSandbox]:
    async with PriceSandbox(figures=InventedTokens(clock=lambda: NOW).token) as sandbox:
        yield sandbox


@pytest.fixture
def jupiter(prices: PriceSandbox, api_manager: APIRetryManager) -> JupiterManager:
    return JupiterManager(api_manager, prices.url)


@pytest.fixture
async def answering(api_manager: APIRetryManager) -> AsyncIterator[Callable[[bytes], JupiterManager]]:
    """A server that answers every question with the same bytes."""
    body = b""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/tokens/v2/search", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    def with_body(said: bytes) -> JupiterManager:
        nonlocal body
        body = said
        return JupiterManager(api_manager, f"http://127.0.0.1:{runner.addresses[0][1]}", clock=lambda: NOW)

    yield with_body
    await runner.cleanup()


async def test_a_token_is_read_whole(answering: Callable[[bytes], JupiterManager]):
    found = await answering(json.dumps([SOL, {"id": address(5)}, 7, None]).encode()).tokens([SOL_MINT])
    token = found.pop(SOL_MINT)
    assert not found  # what was not asked for is not taken
    figures = {
        "name": "Wrapped SOL",
        "symbol": "SOL",
        "price_usd": 145.47114211747515,
        "market_cap_usd": 77275352037.79674,
        "fdv_usd": 87824499429.22047,
        "liquidity_usd": 89970631.83880953,
        "volume_5m_usd": 150.5,
        "volume_1h_usd": 1_500.0,
        "volume_24h_usd": 20_000.0,
        "price_change_5m_percent": 0.5,
        "price_change_1h_percent": -3.25,
        "price_change_24h_percent": 900.0,
        "buys_1h": 30,
        "sells_1h": 40,
        "holders": 2_342_610,
        "created_at": datetime(2021, 3, 29, 10, 5, 48, tzinfo=UTC),
        "top10_percent": 1.2422471238911812,
        "mint_revoked": True,
        "freeze_revoked": False,
        "launchpad": "pump.fun",
        "website": "https://solana.example",
        "x_handle": "solana",
        "telegram": "solana_chat",
        "image_url": "https://example.org/sol.png",
    }
    for name in FIGURES:
        assert getattr(token, name) == figures.get(name), name
    assert token.origins == dict.fromkeys(figures, Origin("jupiter", UPDATED_AT))


async def test_hundred_mints_a_request_and_the_unknown_is_absent(prices: PriceSandbox, jupiter: JupiterManager):
    mints = [address(number) for number in range(1, 251)]
    invented = prices.figures

    def all_but_one(mint: str) -> Token | None:
        return None if mint == mints[3] else invented(mint)

    prices.figures = all_but_one
    found = await jupiter.tokens([*mints, mints[0]])
    assert set(found) == set(mints) - {mints[3]}
    assert prices.requests == 3
    assert await jupiter.tokens([]) == {}
    assert prices.requests == 3


async def test_the_stand_in_refuses_more_than_a_hundred(prices: PriceSandbox, session: aiohttp.ClientSession):
    for number, status in ((100, 200), (101, 400), (0, 400)):
        query = ",".join(map(address, range(1, number + 1)))
        async with session.get(f"{prices.url}/tokens/v2/search", params={"query": query}) as response:
            assert response.status == status


async def test_what_the_stand_in_says_is_what_it_was_given(prices: PriceSandbox, jupiter: JupiterManager):
    mint = address(7)
    given_token = prices.figures(mint)
    assert given_token is not None
    found = (await jupiter.tokens([mint]))[mint]
    assert set(found.origins) > {"market_cap_usd", "holders", "top10_percent", "volume_24h_usd", "created_at"}
    for name in ("fdv_usd", "holders", "created_at", "top10_percent", "mint_revoked", "freeze_revoked", "launchpad"):
        assert getattr(found, name) == getattr(given_token, name)
    assert {origin.source for origin in found.origins.values()} == {"jupiter"}


async def test_after_a_429_nothing_is_asked_until_jupiter_says_so(session: aiohttp.ClientSession):
    now_s = 0.0
    async with PriceSandbox(requests_per_minute=2) as prices:
        jupiter = JupiterManager(APIRetryManager(session, clock=lambda: now_s), prices.url)
        for _ in range(2):
            await jupiter.prices_usd([SOL_MINT])
        with pytest.raises(TransientError, match="429"):
            await jupiter.tokens([SOL_MINT])
        assert prices.requests == 3
        for ask in (jupiter.tokens, jupiter.prices_usd):
            with pytest.raises(NotAskedError, match="used up"):
                await ask([SOL_MINT])
        assert prices.requests == 3
        now_s += 61
        with pytest.raises(TransientError, match="HTTP 429"):
            await jupiter.tokens([SOL_MINT])  # the server's minute has not passed
        assert prices.requests == 4


async def test_the_keyless_limit_is_kept(session: aiohttp.ClientSession):
    now_s = 0.0
    async with PriceSandbox(requests_per_minute=KEYLESS.slots) as prices:
        jupiter = JupiterManager(APIRetryManager(session, clock=lambda: now_s), prices.url)
        for _ in range(KEYLESS.slots):
            now_s += 1
            await jupiter.prices_usd([SOL_MINT])
        with pytest.raises(NotAskedError) as refusal:
            await jupiter.tokens([SOL_MINT])
        assert refusal.value.again_in_s == KEYLESS.period_s - (KEYLESS.slots - 1)
        assert prices.requests == KEYLESS.slots


async def test_the_limit_shows_in_the_headers(session: aiohttp.ClientSession):
    async with PriceSandbox(requests_per_minute=1) as prices:
        said: list[tuple[int, str, str]] = []
        for _ in range(2):
            async with session.get(f"{prices.url}/price/v3", params={"ids": SOL_MINT}) as response:
                headers = response.headers
                said.append((response.status, headers["x-ratelimit-remaining"], headers["x-ratelimit-current"]))
                assert datetime.now(UTC).timestamp() < int(headers["x-ratelimit-reset"])
    assert said == [(200, "0", "1"), (429, "-1", "1")]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"message":"no"}', b"[" * 3_000, b"[1e9999", b"\xff"])
async def test_an_unreadable_answer_is_transient(answering: Callable[[bytes], JupiterManager], body: bytes):
    with pytest.raises(TransientError, match="unreadable"):
        await answering(body).tokens([SOL_MINT])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("usdPrice", 0),
        ("usdPrice", "145"),
        ("mcap", -1),
        ("mcap", True),
        ("fdv", 10**400),
        ("liquidity", -0.5),
        ("holderCount", 1.5),
        ("holderCount", -1),
        ("holderCount", 0),
        ("holderCount", 2**60),
        ("audit", []),
        ("audit", {"topHoldersPercentage": 101, "mintAuthorityDisabled": "true", "freezeAuthorityDisabled": 1}),
        ("firstPool", {"createdAt": "2019-01-01T00:00:00Z"}),
        ("firstPool", {"createdAt": "2026-11-20T12:00:00"}),
        ("firstPool", {"createdAt": 1_700_000_000}),
        ("stats1h", {"priceChange": -101, "buyVolume": -1, "sellVolume": None, "numBuys": 0.1, "numSells": "1"}),
        ("name", 5),
        ("icon", "javascript:alert(1)"),
        ("website", "https://x.com@evil.example"),
        ("twitter", "https://evil.example/x.com"),
        ("telegram", {"url": "t.me"}),
        ("launchpad", "<b>"),
    ],
)
def test_a_figure_that_makes_no_sense_costs_itself_only(path: str, value: object):
    whole, changed = read_token(SOL_MINT, SOL, NOW), read_token(SOL_MINT, {**SOL, path: value}, NOW)
    different = {n for n in FIGURES if getattr(whole, n) != getattr(changed, n)}
    assert different
    assert {getattr(changed, name) for name in different} == {None}
    assert set(changed.origins) == set(whole.origins) - different


def test_what_is_flagged_is_the_worst_risk_and_what_is_not_says_nothing():
    for flag, score in ((True, 100.0), (False, None), ("true", None), (None, None)):
        assert read_token(SOL_MINT, {**SOL, "audit": {"isSus": flag}}, NOW).risk_score == score


def test_texts_are_cut_and_nul_is_taken_out():
    token = read_token(SOL_MINT, {"name": "a\0" * 999, "symbol": "s" * 999}, NOW)
    assert (token.name, token.symbol) == ("a" * 200, "s" * 50)


@pytest.mark.parametrize("updated_at", ["2027-01-01T00:00:00Z", "2026-11-20T12:00:05Z", "yesterday", None, 5])
def test_an_update_in_the_future_is_one_of_now(updated_at: object):
    origins = read_token(SOL_MINT, {**SOL, "updatedAt": updated_at}, NOW).origins
    assert set(origins.values()) == {Origin("jupiter", NOW)}


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**400)
    | st.floats()
    | st.text(max_size=300)
    | st.sampled_from(
        ["2026-11-20T12:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "https://a.b/"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["createdAt", "priceChange", "buyVolume", "sellVolume", "numBuys"]), inner)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(SOL)), values, max_size=6))
def test_whatever_it_says_the_promises_hold(changes: dict[str, object]):
    token = read_token(SOL_MINT, {**SOL, **changes}, NOW)
    assert token.address == SOL_MINT
    for name in token.origins:
        value = getattr(token, name)
        assert value is not None
        if isinstance(value, float | int):
            assert math.isfinite(value)
            assert value >= (-100 if "change" in name else 0)
    assert all(origin.at <= NOW for origin in token.origins.values())
    assert len(token.name or "") <= 200
    assert token.created_at is None or token.created_at.utcoffset() == timedelta(0)


def test_the_stand_in_leaves_out_what_is_not_known():
    body = token_body(Token(address=SOL_MINT))
    assert None not in body.values()
    assert set(read_token(SOL_MINT, body, datetime.now(UTC)).origins) == set()
