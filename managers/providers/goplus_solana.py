"""A token on Solana as GoPlus writes it: everything is an object or a text, and absent is unknown."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from domain.calls.events import Origin, Token
from domain.prices.readings import TokenRef
from managers.providers.bodies import HUNDRED, MAX_COUNT, Body, names, token_of, whole
from managers.providers.holders import Holder, is_label_of_nobody, locked_percent, share_that_stays, top_ten_percent

SOLANA_GIVES: Final = frozenset(
    {
        *("name", "symbol", "holders", "top10_percent", "lp_locked_percent", "mint_revoked", "freeze_revoked"),
        *("metadata_immutable", "buy_tax_percent", "sell_tax_percent"),
    }
)
_MAX_TEXT: Final = 200


def read_mint(token: TokenRef, document: object, at: datetime) -> Token:
    body = Body(document)
    holders = whole(body.decimal("holder_count", at_least=1, at_most=MAX_COUNT))
    tax = _tax(body)
    figures: dict[str, Any] = {
        **names(body.body("metadata")),
        "holders": holders,
        "top10_percent": _top_ten(body, holders, at),
        "lp_locked_percent": _locked(body, at),
        "mint_revoked": _is_off(body, "mintable"),
        "freeze_revoked": _is_off(body, "freezable"),
        "metadata_immutable": _is_off(body, "metadata_mutable"),
        "buy_tax_percent": tax,
        "sell_tax_percent": tax,
    }
    return token_of(token, figures, Origin("goplus", at))


def _is_off(body: Body, power: str) -> bool | None:
    return {"0": True, "1": False}.get(body.body(power).string("status", 1) or "")


def _tax(body: Body) -> float | None:
    """Only where there is none: in which unit a rate is written, nobody documents."""
    fee = body.get("transfer_fee")
    if fee == {}:
        return 0.0 if _is_off(body, "transfer_fee_upgradable") else None
    rate = body.body("transfer_fee").body("current_fee_rate").decimal("fee_rate")
    return 0.0 if rate == 0 else None


def _top_ten(body: Body, holders: int | None, at: datetime) -> float | None:
    pools = {pool.string("id", _MAX_TEXT) for pool in body.bodies("dex")}
    nobodys = pools - {None, ""}
    listed: list[Holder] = []
    for one in body.bodies("holders"):
        share = one.decimal("percent", at_most=1)
        accounts = {one.string("account", _MAX_TEXT), one.string("token_account", _MAX_TEXT)}
        is_held_for_all = bool(accounts & nobodys) or is_label_of_nobody(one.string("tag", _MAX_TEXT))
        is_somebody = not is_held_for_all and share_that_stays(one, at) != 1
        listed.append(Holder(None if share is None else share * HUNDRED, is_somebody))
    return top_ten_percent(listed, holders)


def _locked(body: Body, at: datetime) -> float | None:
    """Of the deepest pool; a concentrated one has no token that could be locked."""
    pools = body.bodies("dex")
    deepest = max(pools, key=lambda pool: pool.decimal("tvl") or 0.0, default=Body(None))
    if deepest.get("type") != "Standard":
        return None
    return locked_percent(body.bodies("lp_holders"), at)
