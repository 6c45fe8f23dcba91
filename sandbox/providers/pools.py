"""Addresses of invented pools, the same for a token at every provider."""

from __future__ import annotations

from hashlib import blake2s

from solders.pubkey import Pubkey


def pool_of(mint: str, which: str = "main") -> str:
    digest = blake2s(f"{which} {mint}".encode()).digest()
    return f"0x{digest[:20].hex()}" if mint.startswith("0x") else str(Pubkey(digest))


class Pools:
    """Which token a pool is there for, of those that anybody was told of."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}

    def of(self, mint: str) -> str:
        """Address of its pool, which can be looked up from now on."""
        pool = pool_of(mint)
        self._tokens[pool.lower()] = mint
        return pool

    def token(self, pool: str) -> str | None:
        return self._tokens.get(pool.lower())
