"""RugCheck on loopback: full reports, with the oddities of the original."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from domain.calls.events import Token
from sandbox.providers.holders import POOL_PERCENT, holder, shares
from sandbox.providers.pools import pool_of
from sandbox.providers.stand_in import PAGE, StandIn, answer, nobody_knows

_SUPPLY = 10**15
_DECIMALS = 6
_NOBODY = "1" * 32
_POOL_AUTHORITY = "GpMZbSM2GgvTKHJirzeGfMFoaZ8UR2X7F4v8vHTvxFbL"
_SOL_MINT = "So11111111111111111111111111111111111111112"
_CURVES = {"pump.fun": "pump_fun", "bonk": "launchlab", "believe": "meteora_dbc", "moonshot": "moonshot"}


class RugCheckSandbox(StandIn):
    """`async with RugCheckSandbox() as rugcheck:` then ask `rugcheck.url`."""

    name = "rugcheck"

    def __init__(
        self,
        *,
        figures: Callable[[str], Token | None] = nobody_knows,
        requests_per_minute: int = 30,
        noise: float = 0.0,
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        super().__init__(figures=figures, requests_per_minute=requests_per_minute, noise=noise, clock=clock, port=port)
        self.nulls: set[str] = set()
        """Tokens of which it has the account and nothing else yet: the lists are `null`."""
        self.not_indexed: set[str] = set()
        """Tokens that are too new: HTTP 400."""

    def _route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/v1/tokens/{mint}/report", self._report)

    def _refusal(self, status: int) -> web.Response:
        if status == web.HTTPTooManyRequests.status_code:
            return web.Response(status=status, text=PAGE, content_type="text/html")
        return answer({"error": "out of order"}, status=status)

    async def _report(self, request: web.Request) -> web.Response:
        mint = request.match_info["mint"]
        if mint in self.not_indexed:
            return answer({"error": "unable to generate report"}, status=400)
        token = self.token(mint)
        if token is None or token.chain != "solana":
            return answer({"error": "not found"}, status=404)
        return answer(report(token, with_nulls=mint in self.nulls))


def report(token: Token, *, with_nulls: bool = False) -> dict[str, Any]:
    """Write a full report; what is not known is as empty as the original leaves it."""
    creator = holder(token.address, 0)
    developer = token.developer_percent
    return {
        "mint": token.address,
        "tokenProgram": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        "creator": creator if developer is not None else "",
        **({"creatorBalance": int(_SUPPLY * developer / 100)} if developer is not None else {}),
        "token": {
            **_authority("mintAuthority", creator, is_revoked=token.mint_revoked),
            "supply": _SUPPLY,
            "decimals": _DECIMALS,
            "isInitialized": True,
            **_authority("freezeAuthority", creator, is_revoked=token.freeze_revoked),
        },
        "token_extensions": None,
        "tokenMeta": {
            "name": token.name or "",
            "symbol": token.symbol or "",
            "uri": "",
            "updateAuthority": creator,
            **({} if token.metadata_immutable is None else {"mutable": not token.metadata_immutable}),
        },
        "topHolders": None if with_nulls or token.top10_percent is None else _holders(token),
        "risks": None if with_nulls or token.risk_score is None else [],
        "score": int((token.risk_score or 0.0) * 300),
        "score_normalised": 0 if with_nulls else int(token.risk_score or 0.0),
        "fileMeta": {"description": "", "name": token.name or "", "symbol": "", "image": token.image_url or ""},
        "lockers": {},
        "lockerOwners": {},
        "markets": None if with_nulls or token.liquidity_usd is None else [_market(token)],
        "totalMarketLiquidity": 0.0 if with_nulls else token.liquidity_usd or 0.0,
        "totalHolders": 0 if with_nulls else token.holders or 0,
        "price": token.price_usd or 0.0,
        "rugged": False,
        "transferFee": {"pct": token.buy_tax_percent or 0.0, "maxAmount": 0, "authority": _NOBODY},
        "knownAccounts": {
            creator: {"name": "Creator", "type": "CREATOR"},
            _POOL_AUTHORITY: {"name": "Pool", "type": "AMM"},
        },
        "insiderNetworks": None,
        "creatorTokens": None,
    }


def _authority(name: str, creator: str, *, is_revoked: bool | None) -> dict[str, str | None]:
    return {} if is_revoked is None else {name: None if is_revoked else creator}


def _holders(token: Token) -> list[dict[str, Any]]:
    """The pool first."""
    pool = _holder(pool_of(token.address, "vault"), _POOL_AUTHORITY, POOL_PERCENT)
    return [pool] + [
        _holder(pool_of(token.address, f"account {place}"), holder(token.address, place), percent)
        for place, percent in enumerate(shares(token))
    ]


def _holder(account: str, owner: str, percent: float) -> dict[str, Any]:
    amount = int(_SUPPLY * percent / 100)
    return {
        "address": account,
        "amount": amount,
        "decimals": _DECIMALS,
        "pct": percent,
        "uiAmount": amount / 10**_DECIMALS,
        "uiAmountString": str(amount / 10**_DECIMALS),
        "owner": owner,
        "insider": False,
    }


def _market(token: Token) -> dict[str, Any]:
    """Of a curve it says that all is locked, although nothing there could be."""
    curve = _CURVES.get(token.dex or "")
    half_usd = (token.liquidity_usd or 0.0) / 2
    locked = 100.0 if curve else token.lp_locked_percent
    pool = {
        "baseUSD": half_usd,
        "quoteUSD": half_usd,
        "holders": None,
        "lpLockedUSD": 2 * half_usd * (locked or 0.0) / 100,
        **({"lpLockedPct": locked} if locked is not None else {}),
    }
    return {
        "pubkey": pool_of(token.address),
        "marketType": curve or "raydium_cpmm",
        "mintA": _SOL_MINT,
        "mintB": token.address,
        "mintLP": _NOBODY if curve else pool_of(token.address, "lp"),
        "lp": pool,
    }
