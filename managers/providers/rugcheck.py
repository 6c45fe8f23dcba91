"""RugCheck (https://api.rugcheck.xyz/swagger): what somebody could do to those who hold a token on Solana."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec

from domain.calls.events import Origin, Token
from domain.prices.readings import TokenRef, price, worth
from managers.feed.sources.links import media_link
from managers.http.answers import RefusedError, Shape
from managers.http.json_repair import decoded
from managers.http.request_budget import Limit
from managers.providers.bodies import HUNDRED, Body, at_unix, names, token_of
from managers.providers.holders import BURNT_AT, Holder, top_ten_percent
from managers.providers.provider import Provider
from runtime.errors import TransientError

GUESSED: Final = Limit(30, 60.0)
"""No limit is documented."""

_TIMEOUT_S: Final = 5.0
_NOBODY: Final = "1" * 32
"""Stands where there is no account: of a pool's liquidity token on a curve, and in concentrated pools."""
_CLASSIC_PROGRAM: Final = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
_CURVES: Final = frozenset({"pump_fun", "launchlab", "raydium_launchlab", "moonshot", "moonit", "meteora_dbc"})
_FOR_EVERYBODY: Final = frozenset({"AMM", "LOCKER"})
_UNKNOWN: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})
"""How a mint is answered that has not been looked at yet."""
_MAX_ADDRESS: Final = 64
_SHAPE: Final[Shape] = msgspec.json.Decoder(dict[str, Any])


class RugCheckManager(Provider):
    """Works without a key. Every method raises `TransientError`."""

    name: str = "rugcheck"
    base_url = "https://api.rugcheck.xyz"
    limit: Limit = GUESSED
    is_guess = True
    tokens_per_request: int = 1
    gives: frozenset[str] = frozenset(
        {
            *("name", "symbol", "price_usd", "liquidity_usd", "holders", "top10_percent", "developer_percent"),
            *("lp_locked_percent", "mint_revoked", "freeze_revoked", "metadata_immutable"),
            *("buy_tax_percent", "sell_tax_percent", "risk_score", "image_url"),
        }
    )

    def covers(self, token: TokenRef) -> bool:
        return token.chain == "solana"

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        (token,) = tokens
        url = f"{self._url}/v1/tokens/{token.address}/report"
        try:
            body = await self._api.get(url, timeout_s=_TIMEOUT_S, attempts=1, shape=_SHAPE)
        except RefusedError as error:
            if error.status not in _UNKNOWN:
                raise
            body = None
        if body is None:
            return {}
        report = decoded(_SHAPE, body)
        if report.get("mint") != token.address:
            raise TransientError("RugCheck answers of another token, or of none")
        return {token.key: read_report(token, report, self._clock())}


def read_report(token: TokenRef, document: object, at: datetime) -> Token:
    """Read a full report, untyped as it came."""
    report = Body(document)
    holders = report.count("totalHolders") or None  # somebody has been given the supply
    tax = _tax(report)
    figures: dict[str, Any] = {
        **_names(report),
        "price_usd": price(report.number("price")),
        "liquidity_usd": _liquidity(report),
        "holders": holders,
        "top10_percent": _top_ten(report, holders),
        "developer_percent": _developer(report),
        "lp_locked_percent": _locked(report, at),
        "mint_revoked": _revoked(report, "mintAuthority"),
        "freeze_revoked": _revoked(report, "freezeAuthority"),
        "metadata_immutable": _immutable(report.body("tokenMeta")),
        "buy_tax_percent": tax,
        "sell_tax_percent": tax,
        "risk_score": _score(report),
        "image_url": media_link(report.body("fileMeta").get("image")),
    }
    return token_of(token, figures, Origin("rugcheck", at))


def _names(report: Body) -> dict[str, str | None]:
    on_chain, in_file = names(report.body("tokenMeta")), names(report.body("fileMeta"))
    return {name: on_chain[name] or in_file[name] for name in on_chain}


def _liquidity(report: Body) -> float | None:
    """0 only where it has looked at a pool."""
    liquidity = worth(report.number("totalMarketLiquidity"))
    return liquidity if liquidity or report.bodies("markets") else None


def _score(report: Body) -> float | None:
    """The worst where it has seen the liquidity taken out, whatever its rules add up to."""
    if report.flag("rugged") is True:
        return HUNDRED
    score = report.number("score_normalised", at_most=HUNDRED)
    was_looked_at = isinstance(report.get("risks"), list) and _was_read(report)
    return score if score or was_looked_at else None


def _was_read(report: Body) -> bool:
    """Whether it has looked at the token's account: what is 0 before that says nothing."""
    return isinstance(report.get("token"), dict)


def _revoked(report: Body, authority: str) -> bool | None:
    """Whether nobody has it; what stands at the top is a copy that is empty, too, where nothing was read."""
    account = report.body("token")
    said = [body.get(authority) for body in (account, report) if authority in body]
    if any(isinstance(one, str) and one not in {"", _NOBODY} for one in said):
        return False
    was_read = account.flag("isInitialized") is True and authority in account
    return True if was_read and all(one is None for one in said) else None


def _immutable(meta: Body) -> bool | None:
    mutable = meta.flag("mutable")
    was_read = any(meta.string(name, _MAX_ADDRESS) for name in ("name", "symbol", "uri"))
    return None if mutable is None or not was_read else not mutable


def _tax(report: Body) -> float | None:
    """What a transfer costs; of a program that knows no fees, 0 is certain."""
    percent = report.body("transferFee").number("pct", at_most=HUNDRED)
    is_certain = report.get("tokenProgram") == _CLASSIC_PROGRAM or bool(report.body("token_extensions"))
    return percent if percent or (is_certain and _was_read(report)) else None


def _developer(report: Body) -> float | None:
    creator = report.string("creator", _MAX_ADDRESS)
    if not creator:
        return None
    balance, supply = report.number("creatorBalance"), report.body("token").number("supply")
    if balance is not None and supply and balance <= supply:
        return HUNDRED * balance / supply
    accounts = [one for one in report.bodies("topHolders") if one.get("owner") == creator]
    shares = [share for one in accounts if (share := one.number("pct", at_most=HUNDRED)) is not None]
    return min(sum(shares), HUNDRED) if shares and len(shares) == len(accounts) else None


def _top_ten(report: Body, holders: int | None) -> float | None:
    known, markets = report.body("knownAccounts"), report.bodies("markets")
    nobodys = {
        *BURNT_AT,
        *(address for address in known if known.body(address).get("type") in _FOR_EVERYBODY),
        *(address for name in ("lockers", "lockerOwners") for address in report.body(name)),
        *(market.string("pubkey", _MAX_ADDRESS) for market in markets),
    }
    listed = [
        Holder(
            one.number("pct", at_most=HUNDRED),
            is_somebody=not {one.string("owner", _MAX_ADDRESS), one.string("address", _MAX_ADDRESS)} & nobodys,
        )
        for one in report.bodies("topHolders")
    ]
    return top_ten_percent(listed, holders)


def _locked(report: Body, at: datetime) -> float | None:
    """Of the deepest pool. Where a curve is all there is nothing was locked; concentrated pools have no such token."""
    lockers = report.body("lockers")
    ends = [at_unix(lockers.body(address).number("unlockDate")) for address in lockers]
    if any(end is not None and end <= at for end in ends):
        return None  # it may be taken out by now, and RugCheck counts it all the same
    pools = [market for market in report.bodies("markets") if market.get("marketType") not in _CURVES]
    if not pools:
        return None
    deepest = max(pools, key=_depth)
    has_token = deepest.string("mintLP", _MAX_ADDRESS) not in {None, "", _NOBODY}
    return deepest.body("lp").number("lpLockedPct", at_most=HUNDRED) if has_token else None


def _depth(market: Body) -> float:
    pool = market.body("lp")
    return (worth(pool.number("baseUSD")) or 0.0) + (worth(pool.number("quoteUSD")) or 0.0)
