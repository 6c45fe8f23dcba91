"""Tokens and pools as GeckoTerminal writes them (JSON:API): all amounts are decimal text."""

from __future__ import annotations

from typing import Any, Final

from domain.calls.events import Token
from sandbox.providers.pools import pool_of

NETWORKS: Final = {"solana": "solana", "eth": "ethereum", "base": "base", "bsc": "bsc"}
"""Our name of the chain by its own."""
_NETWORK: Final = {chain: network for network, chain in NETWORKS.items()}
_COINS: Final = {
    "solana": ("So11111111111111111111111111111111111111112", "Wrapped SOL", "SOL"),
    "ethereum": ("0x0000000000000000000000000000000000000000", "Ether", "ETH"),
    "base": ("0x4200000000000000000000000000000000000006", "Wrapped Ether", "WETH"),
    "bsc": ("0xbb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c", "Wrapped BNB", "WBNB"),
}
_WINDOWS: Final = (("m5", "5m"), ("h1", "1h"), ("h24", "24h"))


def _coin(chain: str) -> dict[str, Any]:
    address, name, symbol = _COINS[chain]
    attributes = {"address": address, "name": name, "symbol": symbol, "decimals": 9, "image_url": None}
    return {"id": f"{_NETWORK[chain]}_{address}", "type": "token", "attributes": attributes}


NATIVE: Final = {chain: _coin(chain) for chain in _COINS}
"""What tokens are paid in."""


def token_entry(token: Token, *, is_inactive: bool = False) -> dict[str, Any]:
    """One that nobody trades has no price (`null`)."""
    network = _NETWORK[token.chain]
    attributes: dict[str, Any] = {
        "address": token.address,
        "name": token.name,
        "symbol": token.symbol,
        "decimals": 6,
        "image_url": token.image_url or "missing.png",
        "coingecko_coin_id": None,
        "total_supply": "1000000000000000.0",
        "price_usd": None if is_inactive else _text(token.price_usd),
        "fdv_usd": None if is_inactive else _text(token.fdv_usd or token.market_cap_usd),
        "market_cap_usd": None,
        "total_reserve_in_usd": _text(token.liquidity_usd),
        "volume_usd": {"h24": _text(token.volume_24h_usd or 0.0)},
    }
    pools = [{"id": f"{network}_{pool_of(token.address)}", "type": "pool"}]
    return {
        "id": f"{network}_{token.address}",
        "type": "token",
        "attributes": attributes,
        "relationships": {"top_pools": {"data": pools}},
    }


def pool_entry(token: Token) -> dict[str, Any]:
    network, pool = _NETWORK[token.chain], pool_of(token.address)
    attributes: dict[str, Any] = {
        "address": pool,
        "name": f"{token.symbol} / {_COINS[token.chain][2]}",
        "base_token_price_usd": _text(token.price_usd),
        "pool_created_at": token.created_at.isoformat() if token.created_at else None,
        "price_change_percentage": {
            name: _text(getattr(token, f"price_change_{window}_percent")) for name, window in _WINDOWS
        },
        "transactions": {"h1": {"buys": token.buys_1h or 0, "sells": token.sells_1h or 0}},
        "volume_usd": {name: _text(getattr(token, f"volume_{window}_usd") or 0.0) for name, window in _WINDOWS},
        "reserve_in_usd": _text(token.liquidity_usd),
    }
    relations = {
        "base_token": f"{network}_{token.address}",
        "quote_token": NATIVE[token.chain]["id"],
        "dex": (token.dex or "pumpswap").replace(".", "-"),
    }
    return {
        "id": f"{network}_{pool}",
        "type": "pool",
        "attributes": attributes,
        "relationships": {name: {"data": {"id": id_, "type": name}} for name, id_ in relations.items()},
    }


def _text(value: float | None) -> str | None:
    return None if value is None else f"{value:.30f}"
