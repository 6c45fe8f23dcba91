"""Jupiter's price API v3 on loopback, with the prices one gives it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from aiohttp import web

SOL_MINT = "So11111111111111111111111111111111111111112"

_HOST = "127.0.0.1"
_MAX_IDS = 50


class PriceSandbox:
    """`async with PriceSandbox() as prices:` then ask `prices.url`."""

    def __init__(self, *, sol_usd: float = 165.0, port: int = 0) -> None:
        self.usd: dict[str, float] = {SOL_MINT: sol_usd}
        """By mint; one that is absent has no reliable price and is left out of the answer."""
        self.status = 200
        """Anything else is answered instead of prices."""
        self.requests = 0
        self.url = ""
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/price/v3", self._answer)
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

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.status != web.HTTPOk.status_code:
            return web.json_response({"message": "[API Gateway] Too many requests"}, status=self.status)
        mints = [mint for mint in request.query.get("ids", "").split(",") if mint]
        if not 0 < len(mints) <= _MAX_IDS:
            return web.json_response({"message": f"1 to {_MAX_IDS} ids"}, status=400)
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
