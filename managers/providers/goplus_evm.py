"""A contract of an EVM chain as GoPlus writes it: flags are "0" or "1", shares are fractions, absent is unknown.

What it could not look into (closed source, a proxy, no pool) is absent or an empty text.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from domain.calls.events import Origin, Token
from domain.prices.readings import TokenRef
from managers.providers.bodies import HUNDRED, MAX_COUNT, Body, names, token_of, whole
from managers.providers.holders import Holder, is_label_of_nobody, locked_percent, share_that_stays, top_ten_percent

EVM_GIVES: Final = frozenset(
    {
        *("name", "symbol", "holders", "top10_percent", "developer_percent", "lp_locked_percent", "mint_revoked"),
        *("freeze_revoked", "buy_tax_percent", "sell_tax_percent", "risk_score"),
    }
)
_WORST: Final = 100.0
_MAX_TEXT: Final = 200


def read_contract(token: TokenRef, document: object, at: datetime) -> Token:
    body = Body(document)
    holders = whole(body.decimal("holder_count", at_least=1, at_most=MAX_COUNT))
    figures: dict[str, Any] = {
        **names(body, "token_name", "token_symbol"),
        "holders": holders,
        "top10_percent": _top_ten(body, holders, at),
        "developer_percent": _percent(body, "creator_percent"),
        "lp_locked_percent": _locked(body, at),
        "mint_revoked": _nobody_can(body, "is_mintable"),
        "freeze_revoked": _nobody_can(body, "transfer_pausable", "is_blacklisted"),
        "buy_tax_percent": _tax(body, "buy_tax"),
        "sell_tax_percent": _tax(body, "sell_tax"),
        "risk_score": _WORST if _is_a_trap(body) else None,
    }
    return token_of(token, figures, Origin("goplus", at))


def _flag(body: Body, name: str) -> bool | None:
    return {"0": False, "1": True}.get(body.string(name, 1) or "")


def _percent(body: Body, name: str) -> float | None:
    share = body.decimal(name, at_most=1)
    return None if share is None else share * HUNDRED


def _nobody_can(body: Body, *powers: str) -> bool | None:
    """`True` only of a contract that can be read, and whose code nobody can change."""
    said = [_flag(body, power) for power in powers]
    if any(said):
        return False
    is_readable = _flag(body, "is_open_source") is True and _flag(body, "is_proxy") is False
    return True if is_readable and None not in said else None


def _is_a_trap(body: Body) -> bool:
    """It cannot be sold, or pretends to be another. That it is neither is nobody's word for its being safe."""
    is_fake = body.body("fake_token").decimal("value") == 1
    return is_fake or any(_flag(body, name) for name in ("is_honeypot", "cannot_sell_all", "is_airdrop_scam"))


def _tax(body: Body, name: str) -> float | None:
    """Of one that cannot be sold, or that nobody trades, a tax says nothing."""
    means_something = _flag(body, "is_in_dex") is not False and not _flag(body, "is_honeypot")
    return _percent(body, name) if means_something else None


def _top_ten(body: Body, holders: int | None, at: datetime) -> float | None:
    nobodys = {(pool.string("pair", _MAX_TEXT) or "").lower() for pool in body.bodies("dex")}
    listed: list[Holder] = []
    for one in body.bodies("holders"):
        share = one.decimal("percent", at_most=1)
        address = (one.string("address", _MAX_TEXT) or "").lower()
        is_held_for_all = address in nobodys or is_label_of_nobody(one.string("tag", _MAX_TEXT))
        is_somebody = not is_held_for_all and share_that_stays(one, at) != 1
        listed.append(Holder(None if share is None else share * HUNDRED, is_somebody))
    return top_ten_percent(listed, holders)


def _locked(body: Body, at: datetime) -> float | None:
    """Of the deepest pool. Positions in Uniswap v4 are no tokens: of those it always says that they are not locked."""
    pools = body.bodies("dex")
    deepest = max(pools, key=lambda pool: pool.decimal("liquidity") or 0.0, default=Body(None))
    name = deepest.string("name", _MAX_TEXT)
    if not name or name.lower().endswith("v4"):
        return None
    return locked_percent(body.bodies("lp_holders"), at)
