"""Figures of tokens as GeckoTerminal has them: of the token what all its pools say, of its trades the largest pool."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from domain.calls.events import Origin, Token
from domain.prices.readings import TokenRef, address_key, price, worth
from managers.feed.sources.base import venue
from managers.feed.sources.links import media_link
from managers.http.request_budget import Limit
from managers.providers.bodies import HUNDRED, MAX_COUNT, Body, created, names, token_of, whole
from managers.providers.geckoterminal import KEYLESS, NETWORKS
from managers.providers.geckoterminal_entries import Entry, ask, by_id
from managers.providers.provider import Provider
from runtime.errors import TransientError

_WINDOWS: Final = (("m5", "5m"), ("h1", "1h"), ("h24", "24h"))
_VENUES: Final = {"pump-fun": "pump.fun"}
"""Called so by everybody else."""


class GeckoTerminalFigures(Provider):
    """Works without a key. Every method raises `TransientError`."""

    name: str = "geckoterminal"
    base_url = "https://api.geckoterminal.com/api/v2"
    limit: Limit = KEYLESS
    tokens_per_request: int = 30
    gives: frozenset[str] = frozenset(
        {
            *("name", "symbol", "price_usd", "market_cap_usd", "fdv_usd", "liquidity_usd", "created_at"),
            *("volume_5m_usd", "volume_1h_usd", "volume_24h_usd", "buys_1h", "sells_1h", "dex", "image_url"),
            *("price_change_5m_percent", "price_change_1h_percent", "price_change_24h_percent"),
        }
    )

    def covers(self, token: TokenRef) -> bool:
        return token.chain in NETWORKS

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        chain = tokens[0].chain
        addresses = ",".join(token.key for token in tokens)
        said = await ask(self._api, f"{self._url}/networks/{NETWORKS[chain]}/tokens/multi/{addresses}", "top_pools")
        if said is None:
            raise TransientError("HTTP 404 from GeckoTerminal")
        at, pools = self._clock(), by_id(said.included, "pool")
        entries = {
            address_key(chain, address): entry
            for entry in by_id(said.data, "token").values()
            if isinstance(address := entry.attributes.get("address"), str)
        }
        found = {one.key: read_token(one, entries[one.key], pools, at) for one in tokens if one.key in entries}
        if said.data and not found:
            raise TransientError("GeckoTerminal answers of other tokens")
        return found


def read_token(token: TokenRef, entry: Entry, pools: dict[str, Entry], at: datetime) -> Token:
    said = entry.attributes
    own = [pools[id_] for id_ in entry.all_named("top_pools") if isinstance(id_, str) and id_ in pools]
    own = [pool for pool in own if pool.named("base_token") == entry.id]
    figures: dict[str, Any] = {
        **names(said),
        "price_usd": price(said.get("price_usd")),
        "market_cap_usd": worth(said.get("market_cap_usd")) or None,
        "fdv_usd": worth(said.get("fdv_usd")) or None,
        "liquidity_usd": worth(said.get("total_reserve_in_usd")),
        "created_at": created(token.chain, [pool.attributes.time("pool_created_at") for pool in own], at),
        "image_url": media_link(said.get("image_url")),
        **(_trading(own[0]) if own else {}),
        "volume_24h_usd": worth(said.body("volume_usd").get("h24")),
    }
    return token_of(token, figures, Origin("geckoterminal", at))


def _trading(pool: Entry) -> dict[str, Any]:
    said = pool.attributes
    volume, change, hour = said.body("volume_usd"), said.body("price_change_percentage"), _hour(said)
    dex = venue(pool.named("dex"))
    figures: dict[str, Any] = {"dex": _VENUES.get(dex or "", dex), "buys_1h": hour["buys"], "sells_1h": hour["sells"]}
    for theirs, ours in _WINDOWS:
        figures[f"volume_{ours}_usd"] = worth(volume.get(theirs))
        figures[f"price_change_{ours}_percent"] = change.decimal(theirs, at_least=-HUNDRED)
    return figures


def _hour(said: Body) -> dict[str, int | None]:
    trades = said.body("transactions").body("h1")
    return {side: whole(trades.decimal(side, at_most=MAX_COUNT)) for side in ("buys", "sells")}
