"""Birdeye (https://docs.birdeye.so): figures of tokens, for whoever has a key.

A token costs 80 of the compute units that a plan has for a month, on other chains than Solana 30.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from domain.calls.events import Origin, Token
from domain.prices.readings import TokenRef, price, worth
from managers.feed.sources.links import media_link, telegram_handle, web_link, x_handle
from managers.http.answers import Shape
from managers.http.api import APIRetryManager
from managers.http.json_repair import decoded
from managers.http.request_budget import Limit
from managers.providers.bodies import HUNDRED, Body, names, token_of
from managers.providers.provider import Provider
from runtime.clock import now
from runtime.errors import TransientError

FREE: Final = Limit(1, 1.0)
"""Of the plan that costs nothing."""
CHAINS: Final = frozenset({"solana", "ethereum", "bsc", "base"})
"""Called as we call them."""

_TIMEOUT_S: Final = 5.0
_WINDOWS: Final = ("1h", "24h")
_SECURITY: Final = frozenset(
    {"top10_percent", "developer_percent", "mint_revoked", "freeze_revoked", "metadata_immutable"}
)
_TAXES: Final = frozenset({"buy_tax_percent", "sell_tax_percent"})


class _Envelope(Struct):
    success: bool
    data: Any = None


_SHAPE: Final[Shape] = msgspec.json.Decoder(_Envelope)


class BirdeyeManager(Provider):
    """One token at a time. Every method raises `TransientError`."""

    name: str = "birdeye"
    base_url = "https://public-api.birdeye.so"
    tokens_per_request: int = 1
    gives: frozenset[str] = frozenset(
        {
            *("name", "symbol", "price_usd", "market_cap_usd", "fdv_usd", "liquidity_usd", "holders"),
            *("volume_1h_usd", "volume_24h_usd", "price_change_1h_percent", "price_change_24h_percent"),
            *("buys_1h", "sells_1h", "website", "x_handle", "telegram", "image_url"),
            *_SECURITY,
            *_TAXES,
        }
    )

    def __init__(
        self,
        api: APIRetryManager,
        key: str,
        base_url: str | None = None,
        *,
        limit: Limit = FREE,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._key = key
        self.limit = limit
        super().__init__(api, base_url, clock=clock)

    def covers(self, token: TokenRef) -> bool:
        return token.chain in CHAINS

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        (token,) = tokens
        overview = Body(await self._data("/defi/token_overview", token))
        if not overview:
            return {}
        if TokenRef(str(overview.get("address")), token.chain).key != token.key:
            raise TransientError("Birdeye answers of another token, or of none")
        figures = read_overview(overview)
        if token.chain == "solana":
            try:
                figures |= read_security(Body(await self._data("/defi/token_security", token)))
            except TransientError:
                if not any(value is not None for value in figures.values()):
                    raise  # otherwise what is known already is worth more than none
        return {token.key: token_of(token, figures, Origin(self.name, self._clock()))}

    async def _data(self, path: str, token: TokenRef) -> object:
        headers = {"X-API-KEY": self._key, "x-chain": token.chain, "Accept": "application/json"}
        body = await self._api.get(
            self._url + path,
            params={"address": token.key},
            headers=headers,
            timeout_s=_TIMEOUT_S,
            attempts=1,
            shape=_SHAPE,
        )
        if body is None:
            return None
        envelope = decoded(_SHAPE, body)
        if not envelope.success:
            raise TransientError("Birdeye says that it did not succeed")
        return envelope.data


def read_overview(body: Body) -> dict[str, Any]:
    extensions = body.body("extensions")
    figures: dict[str, Any] = {
        **names(body),
        "price_usd": price(body.number("price")),
        "market_cap_usd": worth(body.number("mc") or body.number("marketCap")) or None,
        "fdv_usd": worth(body.number("fdv")) or None,
        "liquidity_usd": worth(body.number("liquidity")),
        "holders": body.count("holder") or None,
        "buys_1h": body.count("buy1h"),
        "sells_1h": body.count("sell1h"),
        "website": web_link(extensions.get("website")) or None,
        "x_handle": x_handle(extensions.get("twitter")) or None,
        "telegram": telegram_handle(extensions.get("telegram")) or None,
        "image_url": media_link(body.get("logoURI")),
    }
    for window in _WINDOWS:
        figures[f"volume_{window}_usd"] = worth(body.number(f"v{window}USD"))
        figures[f"price_change_{window}_percent"] = body.number(f"priceChange{window}Percent", at_least=-HUNDRED)
    return figures


def read_security(body: Body) -> dict[str, Any]:
    """Of a token on Solana: shares are fractions, and an authority that is `null` was given up."""
    has_fee = body.flag("transferFeeEnable")
    tax = 0.0 if has_fee is False or (body.flag("isToken2022") is False and not has_fee) else None
    return {
        # Without pools and programs; `top10HolderPercent` is with them.
        "top10_percent": _percent(body, "top10UserPercent"),
        "developer_percent": _percent(body, "creatorPercentage"),
        "mint_revoked": _is_given_up(body, "ownerAddress"),
        "freeze_revoked": False if body.flag("freezeable") else _is_given_up(body, "freezeAuthority"),
        "metadata_immutable": None if (mutable := body.flag("mutableMetadata")) is None else not mutable,
        "buy_tax_percent": tax,
        "sell_tax_percent": tax,
    }


def _is_given_up(body: Body, authority: str) -> bool | None:
    said = body.get(authority)
    if authority in body and said is None:
        return True
    return False if isinstance(said, str) and said else None


def _percent(body: Body, name: str) -> float | None:
    share = body.number(name, at_most=1)
    return None if share is None else share * HUNDRED
