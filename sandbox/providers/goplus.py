"""GoPlus on loopback, for Solana and EVM chains: what happened is a code in a body that comes with HTTP 200."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from domain.calls.events import Token
from sandbox.providers.holders import POOL_PERCENT, holder, ten_shares
from sandbox.providers.pools import pool_of
from sandbox.providers.stand_in import StandIn, answer, nobody_knows

_CHAINS = {"1": "ethereum", "56": "bsc", "8453": "base"}
_LISTED = 10
_BURNT_AT = "0x000000000000000000000000000000000000dead"
_FLAGS = (
    *("anti_whale_modifiable", "can_take_back_ownership", "cannot_buy", "cannot_sell_all", "external_call"),
    *("hidden_owner", "honeypot_with_same_creator", "is_honeypot", "selfdestruct", "slippage_modifiable"),
)


class GoPlusSandbox(StandIn):
    """`async with GoPlusSandbox() as goplus:` then ask `goplus.url`."""

    name = "goplus"

    def __init__(
        self,
        *,
        figures: Callable[[str], Token | None] = nobody_knows,
        requests_per_minute: int = 30,
        tokens_per_request: int = 100,
        noise: float = 0.0,
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        super().__init__(figures=figures, requests_per_minute=requests_per_minute, noise=noise, clock=clock, port=port)
        self.pending: set[str] = set()
        """Tokens that it has only begun with: code 2, and nothing of them."""
        self.closed_source: set[str] = set()
        """Contracts that it cannot read: flags are absent, taxes are empty texts."""
        self.traps: set[str] = set()
        """Contracts that let nobody sell."""
        self._most = tokens_per_request

    def _route(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/v1/solana/token_security", self._mints)
        router.add_get("/api/v1/token_security/{chain}", self._contracts)

    def _refusal(self, status: int) -> web.Response:
        if status == web.HTTPTooManyRequests.status_code:
            return _said(4029, "too many requests", {})
        return answer({"code": 5000, "message": "System error", "result": None}, status=status)

    async def _mints(self, request: web.Request) -> web.Response:
        asked = _asked(request)
        if len(asked) != 1:
            return _said(2004, "Contract address format error!", None)
        return self._results(asked, "solana", mint)

    async def _contracts(self, request: web.Request) -> web.Response:
        """Whatever the capitals of the question, the answer has none."""
        chain = _CHAINS.get(request.match_info["chain"])
        if chain is None:
            return _said(2018, "ChainID not supported", None)
        asked = [address.lower() for address in _asked(request)]
        if not 0 < len(asked) <= self._most or not all(address.startswith("0x") for address in asked):
            return _said(2004, "Contract address format error!", None)
        return self._results(asked, chain, self._contract)

    def _contract(self, token: Token) -> dict[str, Any]:
        if token.address in self.closed_source:
            return closed_contract(token)
        return contract(token) | ({"is_honeypot": "1"} if token.address in self.traps else {})

    def _results(self, asked: list[str], chain: str, write: Callable[[Token], dict[str, Any]]) -> web.Response:
        known = [token for address in asked if (token := self.token(address)) is not None and token.chain == chain]
        results = {token.address: write(token) for token in known if token.address not in self.pending}
        if any(token.address in self.pending for token in known):
            return _said(2, "partial data obtained. The complete data can be requested again in about 15 s", results)
        return _said(1, "OK", results)


def _asked(request: web.Request) -> list[str]:
    return [address for address in request.query.get("contract_addresses", "").split(",") if address]


def _said(code: int, message: str, result: object) -> web.Response:
    return answer({"code": code, "message": message, "result": result})


def mint(token: Token) -> dict[str, Any]:
    """Write a token on Solana; what is not known is absent."""
    powers = {
        "mintable": token.mint_revoked,
        "freezable": token.freeze_revoked,
        "metadata_mutable": token.metadata_immutable,
        "transfer_fee_upgradable": True,
    }
    written: dict[str, Any] = {
        name: {"status": "0" if is_off else "1", "authority": []}
        for name, is_off in powers.items()
        if is_off is not None
    }
    has_fee = bool(token.buy_tax_percent)
    rate = {"fee_rate": str(token.buy_tax_percent), "maximum_fee": "0"}
    return written | {
        "default_account_state": "1",
        "dex": [{"dex_name": "raydium", "id": pool_of(token.address), "type": "Standard", **_depth(token, "tvl")}],
        "holder_count": str(token.holders or ""),
        "holders": _holders(token, "account"),
        "lp_holders": _lp_holders(token, "account", "1nc1nerator11111111111111111111111111111111"),
        "metadata": {"name": token.name or "", "symbol": token.symbol or "", "description": "", "uri": ""},
        "non_transferable": "0",
        "total_supply": "1000000000",
        "transfer_fee": {"current_fee_rate": rate, "scheduled_fee_rate": []} if has_fee else {},
        "transfer_hook": [],
        "trusted_token": 0,
    }


def contract(token: Token) -> dict[str, Any]:
    """Write a contract whose source is open; what is not known is absent or an empty text."""
    written = dict.fromkeys(_FLAGS, "0") | {
        **_names(token),
        "buy_tax": _fraction(token.buy_tax_percent),
        "sell_tax": _fraction(token.sell_tax_percent),
        "creator_percent": _fraction(token.developer_percent),
        "is_in_dex": "1",
        "is_open_source": "1",
        "is_proxy": "0",
        "owner_address": "0x0000000000000000000000000000000000000000",
    }
    if token.mint_revoked is not None:
        written["is_mintable"] = str(int(not token.mint_revoked))
    if token.freeze_revoked is not None:
        written |= {"transfer_pausable": str(int(not token.freeze_revoked)), "is_blacklisted": "0"}
    return written | {
        "dex": [{"name": "UniswapV2", "pair": pool_of(token.address), **_depth(token, "liquidity")}],
        "holders": _holders(token, "address"),
        "lp_holder_count": "2",
        "lp_holders": _lp_holders(token, "address", _BURNT_AT),
    }


def closed_contract(token: Token) -> dict[str, Any]:
    return {**_names(token), "is_open_source": "0", "is_in_dex": "1", "dex": [], "buy_tax": "", "sell_tax": ""}


def _names(token: Token) -> dict[str, Any]:
    return {
        "token_name": token.name or "",
        "token_symbol": token.symbol or "",
        "holder_count": str(token.holders or ""),
        "total_supply": "1000000000",
    }


def _depth(token: Token, name: str) -> dict[str, str]:
    return {name: f"{token.liquidity_usd or 0.0:.8f}"}


def _holders(token: Token, address: str) -> list[dict[str, Any]]:
    """Ten, of which the pool is the first."""
    if token.top10_percent is None:
        return []
    pool = {address: pool_of(token.address), "tag": "UniswapV2", **_share(POOL_PERCENT)}
    return [pool] + [
        {address: holder(token.address, place), "tag": "", **_share(percent)}
        for place, percent in enumerate(ten_shares(token)[: _LISTED - 1])
    ]


def _lp_holders(token: Token, address: str, burnt_at: str) -> list[dict[str, Any]]:
    locked = token.lp_locked_percent
    if locked is None:
        return []
    owners = ((burnt_at, locked), (holder(token.address, 0), 100.0 - locked))
    return [{address: owner, "tag": "", **_share(percent)} for owner, percent in owners]


def _share(percent: float) -> dict[str, Any]:
    return {"percent": _fraction(percent), "balance": f"{percent * 1e7:.6f}", "is_locked": 0, "is_contract": 0}


def _fraction(percent: float | None) -> str:
    return "" if percent is None else f"{percent / 100:.18f}"
