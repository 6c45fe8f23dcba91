"""Jupiter on loopback: prices (v3) and tokens (v2), with what one gives it, and with Jupiter's limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from domain.calls.events import Token
from sandbox.providers.stand_in import WINDOW_S, StandIn, nobody_knows

SOL_MINT = "So11111111111111111111111111111111111111112"

_MAX_PRICES = 50
_MAX_TOKENS = 100
_WINDOWS = ("5m", "1h", "24h")


class PriceSandbox(StandIn):
    """`async with PriceSandbox() as prices:` then ask `prices.url`."""

    name = "jupiter"

    def __init__(
        self,
        *,
        sol_usd: float = 165.0,
        figures: Callable[[str], Token | None] = nobody_knows,
        requests_per_minute: int = 30,
        noise: float = 0.0,
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        super().__init__(figures=figures, requests_per_minute=requests_per_minute, noise=noise, clock=clock, port=port)
        self.usd: dict[str, float] = {SOL_MINT: sol_usd}
        """By mint, ahead of the figures; one that is in neither has no reliable price and is left out."""

    def _route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/price/v3", self._prices)
        router.add_get("/tokens/v2/search", self._tokens)

    def _refusal(self, status: int) -> web.Response:
        too_many = status == web.HTTPTooManyRequests.status_code
        message = "[API Gateway] Too many requests" if too_many else "out of order"
        return web.json_response({"message": message}, status=status)

    def _limit_headers(self, *, exceeds: bool) -> dict[str, str]:
        reset_s = (self._answered_s[0] if self._answered_s else self.clock()) + WINDOW_S
        return {
            "x-ratelimit-remaining": str(self._limit - len(self._answered_s) - exceeds),
            "x-ratelimit-current": str(len(self._answered_s)),
            "x-ratelimit-reset": str(int(reset_s) + 1),
        }

    async def _prices(self, request: web.Request) -> web.Response:
        mints = _listed(request, "ids")
        if not 0 < len(mints) <= _MAX_PRICES:
            return web.json_response({"message": f"1 to {_MAX_PRICES} ids"}, status=400)
        found = ((mint, self._price(mint)) for mint in mints)
        return web.json_response({mint: body for mint, body in found if body is not None})

    def _price(self, mint: str) -> dict[str, Any] | None:
        """Tell the price alone; what has none is left out."""
        token = None if mint in self.usd else self.token(mint)
        if mint not in self.usd and (token is None or token.price_usd is None):
            return None
        return {
            "usdPrice": self.usd[mint] if token is None else token.price_usd,
            "blockId": 348_004_023,
            "decimals": 9 if mint == SOL_MINT else 6,
            "priceChange24h": 0.0,
            "liquidity": 1_000_000.0 if token is None else token.liquidity_usd or 0.0,
            "createdAt": "2024-06-05T08:55:25.527Z",
        }

    async def _tokens(self, request: web.Request) -> web.Response:
        mints = _listed(request, "query")
        if not 0 < len(mints) <= _MAX_TOKENS:
            return web.json_response({"message": f"1 to {_MAX_TOKENS} mints"}, status=400)
        known = (self.token(mint) for mint in dict.fromkeys(mints))
        return web.json_response([token_body(token) for token in known if token is not None])


def token_body(token: Token) -> dict[str, Any]:
    """Write a token as Jupiter does; what is not known is absent."""
    body = _without_none(
        {
            "id": token.address,
            "name": token.name,
            "symbol": token.symbol,
            "icon": token.image_url,
            "decimals": 6,
            "tokenProgram": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
            "holderCount": token.holders,
            "fdv": token.fdv_usd,
            "mcap": token.market_cap_usd,
            "usdPrice": token.price_usd,
            "liquidity": token.liquidity_usd,
            "launchpad": token.launchpad,
            "website": token.website or None,
            "twitter": f"https://x.com/{token.x_handle}" if token.x_handle else None,
            "telegram": f"https://t.me/{token.telegram}" if token.telegram else None,
            "firstPool": token.created_at and {"id": token.address, "createdAt": token.created_at.isoformat()},
            "audit": _without_none(
                {
                    "mintAuthorityDisabled": token.mint_revoked,
                    "freezeAuthorityDisabled": token.freeze_revoked,
                    "topHoldersPercentage": token.top10_percent,
                    "devBalancePercentage": token.developer_percent,
                }
            ),
            "updatedAt": datetime.now(UTC).isoformat(),
        }
    )
    return body | {f"stats{window}": _stats(token, window) for window in _WINDOWS}


def _stats(token: Token, window: str) -> dict[str, Any]:
    """Trade in a window. Volume is split by the numbers of trades, which are told for the hour only."""
    volume = getattr(token, f"volume_{window}_usd")
    bought = token.buys_1h / (token.buys_1h + token.sells_1h) if token.buys_1h and token.sells_1h else 0.5
    hourly = window == "1h"
    return _without_none(
        {
            "priceChange": getattr(token, f"price_change_{window}_percent"),
            "buyVolume": None if volume is None else volume * bought,
            "sellVolume": None if volume is None else volume * (1 - bought),
            "numBuys": token.buys_1h if hourly else None,
            "numSells": token.sells_1h if hourly else None,
        }
    )


def _listed(request: web.Request, parameter: str) -> list[str]:
    return [mint for mint in request.query.get(parameter, "").split(",") if mint]


def _without_none(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
