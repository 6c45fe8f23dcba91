"""Which chain an address is a token of, and which token a pool is there for: two sources, the same promises."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings

from domain.calls.events import Token
from domain.posts.keys import Key, key_of
from domain.prices.readings import TokenRef
from managers.http.api import APIRetryManager
from managers.providers.dexscreener_lookup import DexScreenerLookup
from managers.providers.geckoterminal_lookup import GeckoTerminalLookup
from managers.providers.lookup import ChainFound, PoolFound, TokenLookup
from runtime.errors import TransientError
from sandbox.providers.dexscreener import DexScreenerSandbox, pair
from sandbox.providers.geckoterminal import GeckoTerminalSandbox
from sandbox.providers.pools import Pools, pool_of
from sandbox.providers.stand_in import Fault, StandIn
from tests.providers.figures_kit import ref, whole
from tests.providers.test_figure_providers import Answering, answering, documents

__all__ = ["answering"]

LOOKUPS: dict[str, tuple[Callable[..., StandIn], Callable[[APIRetryManager, str], TokenLookup]]] = {
    "dexscreener": (DexScreenerSandbox, DexScreenerLookup),
    "geckoterminal": (GeckoTerminalSandbox, GeckoTerminalLookup),
}
MINT, CONTRACT, UNKNOWN = pool_of("a mint"), ref(0xABC, "base").address, ref(0xDEF, "base").address
WETH, USDC = "0x4200000000000000000000000000000000000006", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"


def figures(asked: str) -> Token | None:
    if asked == MINT:
        return whole(TokenRef(MINT))
    return whole(TokenRef(asked, "base")) if asked == CONTRACT else None


@pytest.fixture
def pools() -> Pools:
    return Pools()


@pytest.fixture(params=list(LOOKUPS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def sandbox(name: str, pools: Pools) -> AsyncIterator[StandIn]:
    async with LOOKUPS[name][0](figures=figures, pools=pools) as running:
        yield running


@pytest.fixture
def lookup(name: str, sandbox: StandIn, api_manager: APIRetryManager) -> TokenLookup:
    return LOOKUPS[name][1](api_manager, sandbox.url)


class TestEveryLookup:
    async def test_finds_the_chain_of_an_address(self, lookup: TokenLookup, sandbox: StandIn) -> None:
        shouted = "0x" + CONTRACT[2:].upper()
        found = await lookup.chains_of([shouted, CONTRACT, UNKNOWN, MINT, "0x", "../../etc"])
        assert found == {
            CONTRACT: [ChainFound("base", 61_000.0, 1)],
            MINT: [ChainFound("solana", 61_000.0, 1)],  # a link to a pool may hold the token instead
        }
        before = sandbox.requests
        assert (
            await lookup.chains_of([MINT.lower(), "0x" + "1" * 64, WETH, USDC, "11111111111111111111111111111111"])
            == {}
        )
        assert await lookup.chains_of([]) == {}
        assert sandbox.requests == before
        with pytest.raises(ValueError, match="31 addresses"):
            await lookup.chains_of([ref(number, "base").address for number in range(1, 32)])

    async def test_finds_the_token_of_a_pool(self, lookup: TokenLookup, pools: Pools) -> None:
        on_solana, on_base = pools.of(MINT), pools.of(CONTRACT)
        assert await lookup.token_of_pool("solana", on_solana) == PoolFound("solana", MINT, "WHOLE")
        assert await lookup.token_of_pool("base", on_base) == PoolFound("base", CONTRACT, "WHOLE")
        assert await lookup.token_of_pool(None, on_solana) == PoolFound("solana", MINT, "WHOLE")
        assert await lookup.token_of_pool(None, on_base) == PoolFound("base", CONTRACT, "WHOLE")
        assert await lookup.token_of_pool("base", on_solana) is None
        assert await lookup.token_of_pool("solana", ref(99).address) is None

    async def test_asks_nothing_that_cannot_be_a_pool(self, lookup: TokenLookup, sandbox: StandIn) -> None:
        for pool in ("", "../../latest/dex/search", "a b c d e f g h", "x" * 81, "pool\0pool"):
            assert await lookup.token_of_pool("solana", pool) is None
            assert await lookup.token_of_pool(None, pool) is None
        assert await lookup.token_of_pool("../..", ref(99).address) is None
        assert sandbox.requests == 0

    @pytest.mark.parametrize("fault", ["html", "cut", "drop", "empty", "error", 302, 403, 429, 500])
    async def test_an_answer_of_somebody_else_is_no_answer(
        self, lookup: TokenLookup, sandbox: StandIn, pools: Pools, fault: Fault
    ) -> None:
        for ask in (
            lambda: lookup.chains_of([CONTRACT]),
            lambda: lookup.token_of_pool("base", pools.of(CONTRACT)),
        ):
            sandbox.will(fault)
            with pytest.raises(TransientError):
                await ask()


def written(number: int, chain: str, **changes: object) -> dict[str, Any]:
    base = {"address": ref(number, "base").address, "name": "x", "symbol": "X"}
    return (
        pair("1.5", liquidity_usd=None) | {"chainId": chain, "baseToken": base, "pairAddress": f"p{number}"} | changes
    )


async def test_the_deepest_pool_wins_and_others_are_told_of(answering: Answering, api_manager: APIRetryManager) -> None:
    said = [
        written(1, "bsc", liquidity={"usd": 900.0}),
        written(1, "base", liquidity={"usd": 50_000}),
        written(1, "base", liquidity={"usd": 70_000}),
        written(1, "arbitrum", liquidity={"usd": "x"}),
        written(1, "zora", liquidity={"usd": -5}),
        written(1, "<script>", liquidity={"usd": 9e9}),
        written(2, "ethereum", liquidity=None),
        written(3, "ethereum", liquidity={"usd": 9e9}),
        {"chainId": "base"},
        "x",
    ]
    body = json.dumps({"schemaVersion": "1.0.0", "pairs": said}).encode()
    lookup = DexScreenerLookup(api_manager, answering(body))
    asked = [ref(number, "base").address for number in (1, 2)]
    assert await lookup.chains_of(asked) == {
        asked[0]: [
            ChainFound("base", 70_000.0, 2),
            ChainFound("bsc", 900.0, 1),
            ChainFound("arbitrum", 0.0, 1),
            ChainFound("zora", 0.0, 1),
        ],
        asked[1]: [ChainFound("ethereum", 0.0, 1)],
    }
    assert lookup.unreadable == 2
    with pytest.raises(TransientError, match="other tokens"):
        await lookup.chains_of([UNKNOWN])


@pytest.mark.parametrize("nothing", [b'{"schemaVersion":"1.0.0","pairs":null}', b'{"pairs":[]}'])
async def test_null_is_dexscreeners_word_for_none(
    answering: Answering, api_manager: APIRetryManager, nothing: bytes
) -> None:
    lookup = DexScreenerLookup(api_manager, answering(nothing))
    assert await lookup.chains_of([CONTRACT]) == {}
    assert await lookup.token_of_pool("base", "0x" + "1" * 64) is None
    with pytest.raises(TransientError, match="unreadable"):
        await DexScreenerLookup(api_manager, answering(b'{"message":"no"}')).chains_of([CONTRACT])


@pytest.mark.parametrize(
    ("base", "quote", "token"),
    [
        (CONTRACT, WETH, CONTRACT),
        (WETH, CONTRACT, CONTRACT),
        (USDC, CONTRACT, CONTRACT),
        (USDC, WETH, None),
        ("0x0000000000000000000000000000000000000000", CONTRACT, CONTRACT),
        (MINT, CONTRACT, CONTRACT),  # no address of this chain
        ("<script>", "1" * 64, None),
    ],
)
async def test_a_coin_that_others_are_paid_in_is_not_what_a_pool_is_for(
    answering: Answering, api_manager: APIRetryManager, base: str, quote: str, token: str | None
) -> None:
    pool = "0x" + "ab" * 32  # of Uniswap v4: a key, and no address
    sides = {
        "baseToken": {"address": base, "symbol": "A\0 "},
        "quoteToken": {"address": quote, "symbol": "A"},
    }
    by_dexscreener = {"schemaVersion": "1", "pairs": [written(1, "base", pairAddress=pool) | sides]}
    related = {
        f"{side}_token": {"data": {"id": f"base_{address}"}} for side, address in (("base", base), ("quote", quote))
    }
    by_gecko = {
        "data": [{"id": "x", "type": "pool", "attributes": {"address": pool}, "relationships": related}],
        "included": [
            {"id": f"base_{address}", "type": "token", "attributes": {"symbol": "A"}} for address in (base, quote)
        ],
    }
    meant = None if token is None else PoolFound("base", token, "A")
    answers = ((DexScreenerLookup, by_dexscreener), (GeckoTerminalLookup, by_gecko))
    for make, body in answers:
        lookup = make(api_manager, answering(json.dumps(body).encode()))
        assert await lookup.token_of_pool("base", pool) == meant


async def test_links_of_dexscreener_have_lost_their_capitals(
    answering: Answering, api_manager: APIRetryManager
) -> None:
    pool = pool_of(MINT)
    base = {"address": MINT, "symbol": "M"}
    same, other = (
        written(1, "solana", pairAddress=pool, baseToken=base),
        written(2, "solana", pairAddress=ref(10).address),
    )
    body = json.dumps({"pairs": [other, same]}).encode()
    lookup = DexScreenerLookup(api_manager, answering(body))
    assert await lookup.token_of_pool("solana", pool.lower()) == PoolFound("solana", MINT, "M")
    twins = [same, same | {"pairAddress": pool.swapcase(), "baseToken": {"address": ref(11).address}}]
    lookup = DexScreenerLookup(api_manager, answering(json.dumps({"pairs": twins}).encode()))
    assert await lookup.token_of_pool("solana", pool) == PoolFound("solana", MINT, "M")
    assert await lookup.token_of_pool("solana", pool.lower()) is None  # nobody can say which


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=documents)
async def test_no_answer_raises_anything_but_what_may_pass(
    answering: Answering, session: aiohttp.ClientSession, document: object
) -> None:
    for make in (DexScreenerLookup, GeckoTerminalLookup):
        for body in (document, {"pairs": [document], "data": [document], "included": [document]}):
            lookup = make(APIRetryManager(session), answering(json.dumps(body).encode()))
            try:
                chains = await lookup.chains_of([CONTRACT])
                found = await lookup.token_of_pool("solana", MINT)
            except TransientError:
                continue
            assert set(chains) <= {CONTRACT}
            assert found is None or isinstance(key_of(found.address), Key)
