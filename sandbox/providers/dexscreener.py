"""DexScreener on loopback: the pools of tokens, with the oddities of the original."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from aiohttp import web

from domain.calls.events import Token
from sandbox.providers.pools import Pools, pool_of
from sandbox.providers.stand_in import PAGE, StandIn, answer, nobody_knows

SOL_MINT = "So11111111111111111111111111111111111111112"
USDC_MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"

_MAX_TOKENS = 30
_MAX_FOUND = 30
_PAID_IN = {
    "solana": (SOL_MINT, "Wrapped SOL", "SOL"),
    "ethereum": ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "Wrapped Ether", "WETH"),
    "base": ("0x4200000000000000000000000000000000000006", "Wrapped Ether", "WETH"),
    "bsc": ("0xbb4CdB9CBd36B01bD1cBaEBF2De08d9173bc095c", "Wrapped BNB", "WBNB"),
}
"""By chain; each costs as much as SOL here."""
_WINDOWS = (("m5", "5m"), ("h1", "1h"), ("h24", "24h"))
_DEX_IDS = {"pump.fun": "pumpfun", "bonk": "launchlab", "believe": "meteoradbc"}
"""Of launchpads' curves; what else a token trades on is called as it is."""
_CURVES = {*_DEX_IDS.values(), "moonshot"}


class DexScreenerSandbox(StandIn):
    """`async with DexScreenerSandbox() as dexscreener:` then ask `dexscreener.url`."""

    name = "dexscreener"

    def __init__(
        self,
        *,
        sol_usd: float = 165.0,
        figures: Callable[[str], Token | None] = nobody_knows,
        pools: Pools | None = None,
        requests_per_minute: int = 300,
        noise: float = 0.0,
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        super().__init__(figures=figures, requests_per_minute=requests_per_minute, noise=noise, clock=clock, port=port)
        self.pools = pools or Pools()
        self.pairs: list[dict[str, Any]] = [pair(str(sol_usd))]
        """Answered for every token that one of them names, beside those that follow from the figures."""
        self.leftovers: dict[str, float] = {}
        """Market cap that the curve still shows that a token has left; it comes first in the answer."""
        self.on_quote_side: set[str] = set()
        """Tokens that are what their pool is paid in: it prices SOL."""

    @property
    def sol_usd(self) -> float:
        return float(self.pairs[0]["priceUsd"])

    @sol_usd.setter
    def sol_usd(self, price: float) -> None:
        self.pairs[0]["priceUsd"] = str(price)

    def _route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/tokens/v1/{chain}/{tokens}", self._tokens)
        router.add_get("/latest/dex/tokens/{tokens}", self._on_any_chain)
        router.add_get("/latest/dex/pairs/{chain}/{pool}", self._pool)
        router.add_get("/latest/dex/search", self._search)

    def _refusal(self, status: int) -> web.Response:
        return web.Response(status=status, text=PAGE, content_type="text/html")

    async def _tokens(self, request: web.Request) -> web.Response:
        asked = [address for address in request.match_info["tokens"].split(",") if address]
        if not 0 < len(asked) <= _MAX_TOKENS:
            return answer({"error": f"1 to {_MAX_TOKENS} addresses"}, status=400)
        chain = request.match_info["chain"]
        return answer([one for one in self._found(asked) if one["chainId"] == chain])

    async def _on_any_chain(self, request: web.Request) -> web.Response:
        asked = [address for address in request.match_info["tokens"].split(",") if address]
        if not 0 < len(asked) <= _MAX_TOKENS:
            return answer({"error": f"1 to {_MAX_TOKENS} addresses"}, status=400)
        return _listed(self._found(asked)[:_MAX_FOUND])

    async def _pool(self, request: web.Request) -> web.Response:
        """Addresses of pools may be written in small letters, as in the links of its own site."""
        found = self._of_pool(request.match_info["pool"])
        return _listed([one for one in found if one["chainId"] == request.match_info["chain"]])

    async def _search(self, request: web.Request) -> web.Response:
        """Addresses only; the original looks at names as well, and finds impostors."""
        asked = request.query.get("q", "")
        return _listed([*self._of_pool(asked), *self._found([asked])][:_MAX_FOUND])

    def _found(self, asked: list[str]) -> list[dict[str, Any]]:
        wanted = {_key(address) for address in asked}
        found = [one for one in self.pairs if wanted & _tokens_of(one)]
        return found + [one for address in dict.fromkeys(map(_key, asked)) for one in self._pairs_of(address)]

    def _of_pool(self, pool: str) -> list[dict[str, Any]]:
        mint = self.pools.token(pool)
        given = self.pairs if mint is None else [*self.pairs, *self._pairs_of(mint)]
        return [one for one in given if one["pairAddress"].lower() == pool.lower()]

    def _pairs_of(self, address: str) -> Iterator[dict[str, Any]]:
        token = self.token(address)
        if token is None or token.price_usd is None:
            return
        self.pools.of(address)
        if address in self.leftovers:
            yield _leftover(token, self.leftovers[address], self.sol_usd)
        yield _turned(token, self.sol_usd) if address in self.on_quote_side else token_pair(token, self.sol_usd)


def pair(
    price_usd: str, *, base: str = SOL_MINT, quote: str = USDC_MINT, liquidity_usd: float | None = 20_000_000.0
) -> dict[str, Any]:
    """Write a pool as DexScreener does; a bonding curve has no liquidity."""
    written: dict[str, Any] = {
        "chainId": "solana",
        "dexId": "orca",
        "pairAddress": "Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE",
        "baseToken": {"address": base, "name": "Wrapped SOL", "symbol": "SOL"},
        "quoteToken": {"address": quote, "name": "USD Coin", "symbol": "USDC"},
        "priceNative": price_usd,
        "priceUsd": price_usd,
    }
    if liquidity_usd is not None:
        written["liquidity"] = {"usd": liquidity_usd, "base": 1.0, "quote": 1.0}
    return written


def token_pair(token: Token, sol_usd: float) -> dict[str, Any]:
    """Write the main pool of a token, which is traded for SOL."""
    price_usd, dex_id = token.price_usd or 0.0, _DEX_IDS.get(token.dex or "", token.dex or "pumpswap")
    quote, quote_name, quote_symbol = _PAID_IN[token.chain]
    pool = pool_of(token.address)
    written: dict[str, Any] = {
        "chainId": token.chain,
        "dexId": dex_id,
        "url": f"https://dexscreener.com/{token.chain}/{pool.lower()}",
        "pairAddress": pool,
        "baseToken": {"address": _shown(token.address), "name": token.name or "", "symbol": token.symbol or ""},
        "quoteToken": {"address": quote, "name": quote_name, "symbol": quote_symbol},
        "priceNative": _decimal(price_usd / sol_usd),
        "priceUsd": _decimal(price_usd),
        "txns": {"h1": {"buys": token.buys_1h or 0, "sells": token.sells_1h or 0}},
        "volume": {name: getattr(token, f"volume_{window}_usd") or 0 for name, window in _WINDOWS},
        "priceChange": {
            name: change
            for name, window in _WINDOWS
            if (change := getattr(token, f"price_change_{window}_percent")) is not None
        },
        "fdv": token.fdv_usd or token.market_cap_usd,
        "marketCap": token.market_cap_usd,
        "pairCreatedAt": token.created_at and int(token.created_at.timestamp() * 1_000),
        "info": _info(token),
    }
    if token.liquidity_usd and dex_id not in _CURVES:
        half = token.liquidity_usd / 2
        written["liquidity"] = {"usd": token.liquidity_usd, "base": half / price_usd, "quote": half / sol_usd}
    return {name: value for name, value in written.items() if value is not None}


def _info(token: Token) -> dict[str, Any] | None:
    """Write what whoever made the token has paid to have shown."""
    socials = [
        {"type": kind, "url": f"{base}{place}"}
        for kind, base, place in (
            ("twitter", "https://x.com/", token.x_handle),
            ("telegram", "https://t.me/", token.telegram),
        )
        if place
    ]
    websites = [{"label": "Website", "url": token.website}] if token.website else []
    written = {"imageUrl": token.image_url, "websites": websites, "socials": socials}
    return {name: value for name, value in written.items() if value} or None


def _leftover(token: Token, market_cap_usd: float, sol_usd: float) -> dict[str, Any]:
    """Write the curve as it was left: nobody trades there, and its figures are nobody's."""
    factor = market_cap_usd / (token.market_cap_usd or 1.0)
    price_usd = (token.price_usd or 0.0) * factor
    return token_pair(token, sol_usd) | {
        "dexId": "pumpfun",
        "pairAddress": pool_of(token.address, "curve"),
        "priceUsd": _decimal(price_usd),
        "priceNative": _decimal(price_usd / sol_usd),
        "txns": {},
        "volume": {"m5": 0, "h1": 0, "h24": 0},
        "liquidity": {"usd": market_cap_usd / 200},
        "fdv": market_cap_usd,
        "marketCap": market_cap_usd,
    }


def _turned(token: Token, sol_usd: float) -> dict[str, Any]:
    """Write the same pool the other way round: it prices SOL, and its market cap is that of SOL."""
    written, price_usd = token_pair(token, sol_usd), token.price_usd or 1.0
    liquidity = written.get("liquidity")
    if liquidity is not None:
        written["liquidity"] = {"usd": liquidity["usd"], "base": liquidity["quote"], "quote": liquidity["base"]}
    return written | {
        "baseToken": written["quoteToken"],
        "quoteToken": written["baseToken"],
        "priceNative": _decimal(sol_usd / price_usd),
        "priceUsd": _decimal(sol_usd),
        "fdv": sol_usd * 6e8,
        "marketCap": sol_usd * 5e8,
    }


def _decimal(value: float) -> str:
    """Four significant digits, never with an exponent."""
    return f"{float(f'{value:.4g}'):.20f}".rstrip("0").rstrip(".")


def _listed(pairs: list[dict[str, Any]]) -> web.Response:
    return answer({"schemaVersion": "1.0.0", "pairs": pairs or None})


def _key(address: str) -> str:
    """Case matters on Solana alone."""
    return address.lower() if address.startswith("0x") else address


def _shown(address: str) -> str:
    """As a checksum would have it, with capitals."""
    return f"0x{address[2:].upper()}" if address.startswith("0x") else address


def _tokens_of(written: dict[str, Any]) -> set[str]:
    return {_key(written["baseToken"]["address"]), _key(written["quoteToken"]["address"])}
