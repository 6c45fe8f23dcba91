"""Figures of tokens as DexScreener has them from the pool in which each is traded most."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from domain.calls.events import Origin, Token
from domain.prices.pools import Pool, own_pools
from domain.prices.readings import TokenRef, address_key, worth
from managers.feed.sources.base import venue
from managers.feed.sources.links import media_link, telegram_handle, web_link, x_handle
from managers.http.answers import Shape
from managers.http.json_repair import decoded
from managers.http.request_budget import Limit
from managers.providers.bodies import HUNDRED, Body, at_unix, created, names, token_of
from managers.providers.dexscreener import CHAINS, KEYLESS
from managers.providers.dexscreener_pairs import Pair, pool_of_pair, readable
from managers.providers.provider import Provider
from runtime.errors import TransientError

LAUNCHPADS: Final = {"pumpfun": "pump.fun", "moonshot": "moonshot", "fourmeme": "four.meme", "boopfun": "boop.fun"}
"""By the name of their curve; of the other curves, tokens of several launchpads are traded on one."""

_TIMEOUT_S: Final = 5.0
_WINDOWS: Final = (("m5", "5m"), ("h1", "1h"), ("h24", "24h"))
_SHAPE: Final[Shape] = msgspec.json.Decoder(list[msgspec.Raw])


class DexScreenerFigures(Provider):
    """Works without a key. Every method raises `TransientError`."""

    name: str = "dexscreener"
    base_url = "https://api.dexscreener.com"
    limit: Limit = KEYLESS
    tokens_per_request: int = 30
    gives: frozenset[str] = frozenset(
        {
            *("name", "symbol", "price_usd", "market_cap_usd", "fdv_usd", "liquidity_usd", "created_at"),
            *("volume_5m_usd", "volume_1h_usd", "volume_24h_usd", "buys_1h", "sells_1h"),
            *("price_change_5m_percent", "price_change_1h_percent", "price_change_24h_percent"),
            *("launchpad", "dex", "website", "x_handle", "telegram", "image_url"),
        }
    )

    def covers(self, token: TokenRef) -> bool:
        return token.chain in CHAINS

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        chain = tokens[0].chain
        url = f"{self._url}/tokens/v1/{CHAINS[chain]}/{','.join(token.key for token in tokens)}"
        body = await self._api.get(url, timeout_s=_TIMEOUT_S, attempts=1, shape=_SHAPE)
        if body is None:
            raise TransientError("HTTP 404 from DexScreener")
        everything, unreadable = readable(decoded(_SHAPE, body))
        self.unreadable += unreadable
        pairs = [pair for pair in everything if pair.chain_id == CHAINS[chain]]
        asked = {token.key for token in tokens}
        of_token: dict[str, list[Pair]] = {}
        for pair in pairs:
            for side in (pair.base_token, pair.quote_token):
                if (key := address_key(chain, side.address)) in asked:
                    of_token.setdefault(key, []).append(pair)
        if everything and not of_token:
            raise TransientError("DexScreener answers of other tokens")
        at = self._clock()
        read = ((token, read_pairs(token, of_token.get(token.key, ()), at)) for token in tokens)
        return {token.key: found for token, found in read if found is not None}


def read_pairs(token: TokenRef, pairs: Sequence[Pair], at: datetime) -> Token | None:
    """From the pool to believe; `None` where none prices the token."""
    pools: dict[str, tuple[Pool, Pair]] = {}
    for pair in pairs:
        if (pool := pool_of_pair(pair)) is not None:
            pools.setdefault(pool.address, (pool, pair))
    best = own_pools(token, [pool for pool, _ in pools.values()])
    if not best:
        return None
    pool = best[0]
    pair = pools[pool.address][1]
    own = [one for one in pairs if address_key(token.chain, one.base_token.address) == token.key]
    figures: dict[str, Any] = {
        **names(Body({"name": pair.base_token.name, "symbol": pair.base_token.symbol})),
        "price_usd": pool.base_usd,
        "market_cap_usd": worth(pair.market_cap) or None,
        "fdv_usd": worth(pair.fdv) or None,
        "liquidity_usd": pool.liquidity_usd,
        # Of a token that has moved, the pool that it left is the older one.
        "created_at": created(token.chain, [_created_at(one) for one in own], at),
        "launchpad": next((LAUNCHPADS[one.dex_id] for one in own if one.dex_id in LAUNCHPADS), None),
        "dex": LAUNCHPADS.get(pair.dex_id) or venue(pair.dex_id),
        **_trading(pair),
        **_links(Body(pair.info)),
    }
    return token_of(token, figures, Origin("dexscreener", at))


def _trading(pair: Pair) -> dict[str, Any]:
    volume, change, hour = Body(pair.volume), Body(pair.price_change), Body(pair.txns).body("h1")
    figures: dict[str, Any] = {"buys_1h": hour.count("buys"), "sells_1h": hour.count("sells")}
    for theirs, ours in _WINDOWS:
        figures[f"volume_{ours}_usd"] = worth(volume.number(theirs))
        figures[f"price_change_{ours}_percent"] = change.number(theirs, at_least=-HUNDRED)
    return figures


def _links(info: Body) -> dict[str, str | None]:
    """The first of each kind that can be understood."""
    socials = [
        (one.get("type") or one.get("platform"), one.get("url") or one.get("handle")) for one in info.bodies("socials")
    ]
    sites = (web_link(site.get("url")) for site in info.bodies("websites"))
    return {
        "website": next((site for site in sites if site), None),
        "x_handle": next((found for kind, at in socials if kind == "twitter" and (found := x_handle(at))), None),
        "telegram": next(
            (found for kind, at in socials if kind == "telegram" and (found := telegram_handle(at))), None
        ),
        "image_url": media_link(info.get("imageUrl")),
    }


def _created_at(pair: Pair) -> datetime | None:
    at_ms = Body({"at": pair.pair_created_at}).number("at", at_least=1)
    return at_unix(None if at_ms is None else at_ms / 1_000)
