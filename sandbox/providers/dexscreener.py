"""DexScreener on loopback: the pools of a token, as one gives them."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from aiohttp import web

SOL_MINT = "So11111111111111111111111111111111111111112"
USDC_MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"

_HOST = "127.0.0.1"


class DexScreenerSandbox:
    """`async with DexScreenerSandbox() as dexscreener:` then ask `dexscreener.url`."""

    def __init__(self, *, sol_usd: float = 165.0, port: int = 0) -> None:
        self.pairs: list[dict[str, Any]] = [pair(str(sol_usd))]
        """Answered for every token that one of them names."""
        self.status = 200
        """Anything else is answered instead of what was asked for."""
        self.requests = 0
        self.url = ""
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def sol_usd(self) -> float:
        return float(self.pairs[0]["priceUsd"])

    @sol_usd.setter
    def sol_usd(self, price: float) -> None:
        self.pairs[0]["priceUsd"] = str(price)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/tokens/v1/{chain}/{tokens}", self._tokens)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, _HOST, self._port).start()
        self.url = f"http://{_HOST}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _tokens(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.status != web.HTTPOk.status_code:
            return web.Response(status=self.status, text="<html>busy</html>", content_type="text/html")
        asked = set(request.match_info["tokens"].split(","))
        chain = request.match_info["chain"]
        found = [one for one in self.pairs if one["chainId"] == chain and asked & _tokens_of(one)]
        return web.json_response(found)


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


def _tokens_of(written: dict[str, Any]) -> set[str]:
    return {written["baseToken"]["address"], written["quoteToken"]["address"]}
