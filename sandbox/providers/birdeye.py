"""Birdeye on loopback: overview and security of a token, for whoever has the key."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from domain.calls.events import Token
from sandbox.providers.holders import holder
from sandbox.providers.stand_in import StandIn, answer, nobody_knows

KEY = "birdeye-key-of-the-sandbox"


class BirdeyeSandbox(StandIn):
    """`async with BirdeyeSandbox() as birdeye:` then ask `birdeye.url` with `KEY`."""

    name = "birdeye"

    def __init__(
        self,
        *,
        figures: Callable[[str], Token | None] = nobody_knows,
        requests_per_minute: int = 60,
        noise: float = 0.0,
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        super().__init__(figures=figures, requests_per_minute=requests_per_minute, noise=noise, clock=clock, port=port)
        self.failing: set[str] = set()
        """Tokens for which it has nothing but an excuse, with HTTP 200."""

    def _route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/defi/token_overview", self._overview)
        router.add_get("/defi/token_security", self._security)

    def _refusal(self, status: int) -> web.Response:
        return answer({"success": False, "message": "Something went wrong"}, status=status)

    async def _overview(self, request: web.Request) -> web.Response:
        return self._said(request, overview)

    async def _security(self, request: web.Request) -> web.Response:
        return self._said(request, security)

    def _said(self, request: web.Request, write: Callable[[Token], dict[str, Any]]) -> web.Response:
        if request.headers.get("X-API-KEY") != KEY:
            return answer({"success": False, "message": "Unauthorized"}, status=401)
        address = request.query.get("address", "")
        if address in self.failing:
            return answer({"success": False, "message": "Something went wrong"})
        token = self.token(address)
        known = token is not None and token.chain == request.headers.get("x-chain", "solana")
        return answer({"success": True, "data": write(token) if token is not None and known else None})


def overview(token: Token) -> dict[str, Any]:
    """Write what it trades at; what is not known is absent."""
    written = {
        "address": token.address,
        "symbol": token.symbol,
        "name": token.name,
        "decimals": 6,
        "logoURI": token.image_url,
        "price": token.price_usd,
        "liquidity": token.liquidity_usd,
        "mc": token.market_cap_usd,
        "fdv": token.fdv_usd,
        "supply": 1e9,
        "holder": token.holders,
        "priceChange1hPercent": token.price_change_1h_percent,
        "priceChange24hPercent": token.price_change_24h_percent,
        "v1hUSD": token.volume_1h_usd,
        "v24hUSD": token.volume_24h_usd,
        "buy1h": token.buys_1h,
        "sell1h": token.sells_1h,
        "extensions": {
            "website": token.website,
            "twitter": f"https://x.com/{token.x_handle}" if token.x_handle else None,
            "telegram": f"https://t.me/{token.telegram}" if token.telegram else None,
        },
    }
    return {name: value for name, value in written.items() if value is not None}


def security(token: Token) -> dict[str, Any]:
    """Write who could do what: an authority that was given up is `null`, and shares are fractions."""
    creator = holder(token.address, 0)
    written: dict[str, Any] = {
        "creatorAddress": creator,
        "creatorPercentage": _fraction(token.developer_percent),
        "top10HolderPercent": _fraction(None if token.top10_percent is None else min(100.0, token.top10_percent * 1.3)),
        "top10UserPercent": _fraction(token.top10_percent),
        "isToken2022": False,
        "transferFeeEnable": None,
        "lockInfo": None,
    }
    if token.mint_revoked is not None:
        written["ownerAddress"] = None if token.mint_revoked else creator
    if token.freeze_revoked is not None:
        written |= {
            "freezeable": None if token.freeze_revoked else True,
            "freezeAuthority": None if token.freeze_revoked else creator,
        }
    if token.metadata_immutable is not None:
        written["mutableMetadata"] = not token.metadata_immutable
    return written


def _fraction(percent: float | None) -> float | None:
    return None if percent is None else percent / 100
