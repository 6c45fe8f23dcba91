"""Which chain an address is a token of, and which token a pool is there for, as GeckoTerminal knows it.

It knows networks one by one, so a question without a chain is asked of several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from domain.posts.chains import EVM_CHAINS
from domain.prices.readings import address_key, worth
from managers.http.request_budget import Limit
from managers.providers.geckoterminal import KEYLESS, NETWORKS
from managers.providers.geckoterminal_entries import Entry, ask, by_id
from managers.providers.lookup import (
    ChainFound,
    PoolFound,
    PoolSide,
    deepest_first,
    is_pool,
    token_among,
    tokens_among,
)
from managers.providers.provider import Provider
from runtime.errors import TransientError

ON_EVM: Final = tuple(chain for chain in NETWORKS if chain in EVM_CHAINS)


class GeckoTerminalLookup(Provider):
    """Works without a key. Every method raises `TransientError`."""

    name: str = "geckoterminal"
    base_url = "https://api.geckoterminal.com/api/v2"
    limit: Limit = KEYLESS

    async def chains_of(self, addresses: Sequence[str]) -> dict[str, list[ChainFound]]:
        """One question for each chain: without one of the answers nobody can say which is the deepest."""
        asked = tokens_among(addresses)
        found: dict[str, list[ChainFound]] = {}
        for chain in NETWORKS:
            own = [key.address for key in asked if (key.family == "solana") is (chain == "solana")]
            for address, place in (await self._on(chain, own)).items() if own else ():
                found.setdefault(address, []).append(place)
        return {address: deepest_first(chains) for address, chains in found.items()}

    async def _on(self, chain: str, asked: Sequence[str]) -> dict[str, ChainFound]:
        url = f"{self._url}/networks/{NETWORKS[chain]}/tokens/multi/{','.join(asked)}"
        said = await ask(self._api, url, "top_pools")
        if said is None:
            return {}
        tokens = {address_key(chain, _address(token)): token for token in by_id(said.data, "token").values()}
        own = {address: tokens[address] for address in asked if address in tokens}
        if said.data and not own:
            raise TransientError("GeckoTerminal answers of other tokens")
        places = {
            address: ChainFound(
                chain,
                worth(token.attributes.get("total_reserve_in_usd")) or 0.0,
                len(token.all_named("top_pools")),
            )
            for address, token in own.items()
        }
        return {address: place for address, place in places.items() if place.pools}

    async def token_of_pool(self, chain: str | None, pool: str) -> PoolFound | None:
        if not is_pool(pool):
            return None
        if chain is not None:
            return await self._token_of(chain, pool) if chain in NETWORKS else None
        for each in ON_EVM if pool.lower().startswith("0x") else ("solana",):
            if (found := await self._token_of(each, pool)) is not None:
                return found
        return None

    async def _token_of(self, chain: str, pool: str) -> PoolFound | None:
        url = f"{self._url}/networks/{NETWORKS[chain]}/pools/multi/{pool}"
        said = await ask(self._api, url, "base_token,quote_token")
        if said is None:
            return None
        tokens = by_id(said.included, "token")
        for entry in by_id(said.data, "pool").values():
            if address_key(chain, _address(entry)) == address_key(chain, pool):
                return token_among(chain, _sides(NETWORKS[chain], entry, tokens))
        if said.data:
            raise TransientError("GeckoTerminal answers of another pool")
        return None


def _address(entry: Entry) -> str:
    said = entry.attributes.get("address")
    return said if isinstance(said, str) else ""


def _sides(network: str, pool: Entry, tokens: dict[str, Entry]) -> list[PoolSide]:
    """The id of a token is its network and its address."""
    sides: list[PoolSide] = []
    for relation in ("base_token", "quote_token"):
        id_ = pool.named(relation)
        if isinstance(id_, str):
            token = tokens.get(id_)
            symbol = token.attributes.get("symbol") if token is not None else None
            sides.append(PoolSide(id_.removeprefix(f"{network}_"), symbol))
    return sides
