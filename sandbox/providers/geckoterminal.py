"""GeckoTerminal on loopback: prices of tokens, candles of pools. Every number is decimal text, but those in candles."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from domain.calls.events import Token
from sandbox.providers.geckoterminal_entries import NATIVE, NETWORKS, pool_entry, token_entry
from sandbox.providers.pools import Pools, pool_of
from sandbox.providers.stand_in import StandIn, answer, nobody_knows

SOL_MINT = "So11111111111111111111111111111111111111112"

_MAX_TOKENS = 30
_MAX_CANDLES = 1_000
_AGGREGATES = {"minute": ((1, 5, 15), 60), "hour": ((1, 4, 12), 3_600), "day": ((1,), 86_400)}
_LOOKS = 60
"""Prices of which a candle is made."""


def no_history(mint: str, at: datetime) -> float | None:  # noqa: ARG001 - the same form as one that knows
    """Tell no price of any time."""
    return None


class GeckoTerminalSandbox(StandIn):
    """`async with GeckoTerminalSandbox() as gecko:` then ask `gecko.url`.

    `history`: what a token cost at a time; `None` before it was there.
    """

    name = "geckoterminal"

    def __init__(
        self,
        *,
        figures: Callable[[str], Token | None] = nobody_knows,
        history: Callable[[str, datetime], float | None] = no_history,
        pools: Pools | None = None,
        requests_per_minute: int = 30,
        noise: float = 0.0,
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        super().__init__(figures=figures, requests_per_minute=requests_per_minute, noise=noise, clock=clock, port=port)
        self.history = history
        self.pools = pools or Pools()
        self.inactive: set[str] = set()
        """Tokens that nobody trades: they have no price (`null`)."""
        self.wicks: dict[str, float] = {}
        """Factor of the high in every candle of a token that somebody moved it by for one trade."""

    def _route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/simple/networks/{network}/token_price/{tokens}", self._prices)
        router.add_get("/networks/{network}/pools/{pool}/ohlcv/{frame}", self._candles)
        router.add_get("/networks/{network}/tokens/multi/{tokens}", self._tokens)
        router.add_get("/networks/{network}/pools/multi/{pools}", self._pools)

    def _refusal(self, status: int) -> web.Response:
        if status == web.HTTPTooManyRequests.status_code:
            message = "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing"
            return answer({"status": {"error_code": status, "error_message": message}}, status=status)
        return _error(status, "out of order")

    async def _prices(self, request: web.Request) -> web.Response:
        asked = [address for address in request.match_info["tokens"].split(",") if address]
        if len(asked) > _MAX_TOKENS:
            return _error(422, "exceeded maximum number of addresses")
        if request.match_info["network"] != "solana":
            return _error(404, "Could not find network")
        found = [token for address in asked if (token := self.token(address)) is not None]
        attributes: dict[str, Any] = {
            "token_prices": {one.address: self._text(one, one.price_usd) for one in found},
        }
        if request.query.get("include_market_cap") == "true":
            falls_back = request.query.get("mcap_fdv_fallback") == "true"
            attributes["market_cap_usd"] = {
                one.address: self._text(one, one.fdv_usd or one.market_cap_usd if falls_back else None) for one in found
            }
        if request.query.get("include_total_reserve_in_usd") == "true":
            attributes["total_reserve_in_usd"] = {one.address: self._text(one, one.liquidity_usd) for one in found}
        data = {"id": "9bd64245-0c17-4549-9fba-f8eb4fb0c3d0", "type": "simple_token_price", "attributes": attributes}
        return answer({"data": data})

    async def _tokens(self, request: web.Request) -> web.Response:
        asked = [address for address in request.match_info["tokens"].split(",") if address]
        network = request.match_info["network"]
        if len(asked) > _MAX_TOKENS:
            return _error(422, "exceeded maximum number of addresses")
        if network not in NETWORKS:
            return _error(404, "Could not find network")
        known = (self.token(address) for address in dict.fromkeys(asked))
        found = [one for one in known if one is not None and NETWORKS[network] == one.chain]
        for one in found:
            self.pools.of(one.address)
        data = [token_entry(one, is_inactive=one.address in self.inactive) for one in found]
        pools = [pool_entry(one) for one in found] if "top_pools" in request.query.get("include", "") else []
        return answer({"data": data, "included": pools})

    async def _pools(self, request: web.Request) -> web.Response:
        network, asked = request.match_info["network"], request.match_info["pools"].split(",")
        if network not in NETWORKS:
            return _error(404, "Could not find network")
        mints = [mint for pool in asked if (mint := self.pools.token(pool)) is not None and pool_of(mint) == pool]
        found = [one for mint in mints if (one := self.token(mint)) is not None and NETWORKS[network] == one.chain]
        tokens = [entry for one in found for entry in (token_entry(one), NATIVE[one.chain])]
        return answer({"data": [pool_entry(one) for one in found], "included": tokens})

    def _text(self, token: Token, value: float | None) -> str | None:
        return None if value is None or token.address in self.inactive else f"{value:.30f}"

    async def _candles(self, request: web.Request) -> web.Response:
        """Candles newest first; times without any trade have none."""
        frame, token = request.match_info["frame"], request.query.get("token", "base")
        if request.match_info["pool"] != pool_of(token) or request.match_info["network"] != "solana":
            return _error(404, "Could not find pool")
        many, unit_s = _AGGREGATES.get(frame, ((), 0))
        aggregate, limit = int(request.query.get("aggregate", "1")), int(request.query.get("limit", "100"))
        if aggregate not in many or not 0 < limit <= _MAX_CANDLES:
            return _error(400, "Specified timeframe, aggregate or limit is invalid")
        length_s = aggregate * unit_s
        before_s = min(float(request.query.get("before_timestamp", "inf")), self.clock())
        last_s = int(before_s // length_s) * length_s
        starts_s = range(last_s, last_s - limit * length_s, -length_s)
        found = [candle for start_s in starts_s if (candle := self._candle(token, start_s, length_s)) is not None]
        attributes = {"ohlcv_list": found}
        sides = {
            "base": {"address": token, "name": "", "symbol": "", "coingecko_coin_id": None},
            "quote": {"address": SOL_MINT, "name": "Wrapped SOL", "symbol": "SOL", "coingecko_coin_id": None},
        }
        data = {"id": "5b1a", "type": "ohlcv_request_response", "attributes": attributes}
        return answer({"data": data, "meta": sides})

    def _candle(self, mint: str, start_s: int, length_s: int) -> list[float] | None:
        if mint in self.unknown:
            return None
        looks_s = (start_s + length_s * look / _LOOKS for look in range(_LOOKS))
        looks = [self.history(mint, datetime.fromtimestamp(at_s, UTC)) for at_s in looks_s if at_s <= self.clock()]
        prices = [price for price in looks if price is not None]
        if not prices:
            return None
        high = max(prices) * self.wicks.get(mint, 1.0)
        return [start_s, prices[0], high, min(prices), prices[-1], 1_000.0]


def _error(status: int, title: str) -> web.Response:
    return answer({"errors": [{"status": str(status), "title": title}]}, status=status)
