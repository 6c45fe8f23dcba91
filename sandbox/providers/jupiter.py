"""Jupiter on loopback: prices (v3) and tokens (v2), with what one gives it, and with Jupiter's limits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from domain.calls.events import Token

SOL_MINT = "So11111111111111111111111111111111111111112"

_HOST = "127.0.0.1"
_MAX_PRICES = 50
_MAX_TOKENS = 100
_WINDOW_S = 60.0
_WINDOWS = ("5m", "1h", "24h")


def nobody_knows(mint: str) -> Token | None:  # noqa: ARG001 - the same form as one that knows
    """Tell nothing of any token."""
    return None


class PriceSandbox:
    """`async with PriceSandbox() as prices:` then ask `prices.url`.

    `figures` gives what is known of a token; one that it does not know is left out of the answer.
    """

    def __init__(
        self,
        *,
        sol_usd: float = 165.0,
        figures: Callable[[str], Token | None] = nobody_knows,
        requests_per_minute: int = 30,
        port: int = 0,
    ) -> None:
        self.usd: dict[str, float] = {SOL_MINT: sol_usd}
        """By mint; one that is absent has no reliable price and is left out of the answer."""
        self.figures = figures
        self.status = 200
        """Anything else is answered instead of what was asked for."""
        self.requests = 0
        self.url = ""
        self._limit = requests_per_minute
        self._answered_s: deque[float] = deque()
        """When the requests of the last minute came, Unix time."""
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._gateway])
        app.router.add_get("/price/v3", self._prices)
        app.router.add_get("/tokens/v2/search", self._tokens)
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

    @web.middleware
    async def _gateway(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Count the request against the limit, and say how much is left in the headers."""
        self.requests += 1
        now_s = time.time()
        while self._answered_s and self._answered_s[0] <= now_s - _WINDOW_S:
            self._answered_s.popleft()
        exceeds = len(self._answered_s) >= self._limit
        if exceeds or self.status == web.HTTPTooManyRequests.status_code:
            response = web.json_response({"message": "[API Gateway] Too many requests"}, status=429)
        elif self.status != web.HTTPOk.status_code:
            response = web.json_response({"message": "out of order"}, status=self.status)
        else:
            self._answered_s.append(now_s)
            response = await handler(request)
        reset_s = (self._answered_s[0] if self._answered_s else now_s) + _WINDOW_S
        response.headers["x-ratelimit-remaining"] = str(self._limit - len(self._answered_s) - exceeds)
        response.headers["x-ratelimit-current"] = str(len(self._answered_s))
        response.headers["x-ratelimit-reset"] = str(int(reset_s) + 1)
        return response

    async def _prices(self, request: web.Request) -> web.Response:
        mints = _listed(request, "ids")
        if not 0 < len(mints) <= _MAX_PRICES:
            return web.json_response({"message": f"1 to {_MAX_PRICES} ids"}, status=400)
        return web.json_response(
            {
                mint: {
                    "usdPrice": self.usd[mint],
                    "blockId": 348_004_023,
                    "decimals": 9 if mint == SOL_MINT else 6,
                    "priceChange24h": 0.0,
                    "liquidity": 1_000_000.0,
                    "createdAt": "2024-06-05T08:55:25.527Z",
                }
                for mint in mints
                if mint in self.usd
            }
        )

    async def _tokens(self, request: web.Request) -> web.Response:
        mints = _listed(request, "query")
        if not 0 < len(mints) <= _MAX_TOKENS:
            return web.json_response({"message": f"1 to {_MAX_TOKENS} mints"}, status=400)
        known = (self.figures(mint) for mint in dict.fromkeys(mints))
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
