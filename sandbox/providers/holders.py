"""Who holds an invented token, as those who list the largest holders would find it."""

from __future__ import annotations

from typing import Final

from domain.calls.events import Token
from sandbox.providers.pools import pool_of

FALLS_BY: Final = 0.7
"""Each of the ten has so much of what the one before has."""
POOL_PERCENT: Final = 18.0
_REST: Final = 9


def holder(mint: str, place: int) -> str:
    """Address of whoever has the largest share but `place`."""
    return pool_of(mint, f"holder {place}")


def ten_shares(token: Token) -> list[float]:
    """Percent of the supply, falling; together `top10_percent`."""
    total = token.top10_percent or 0.0
    first = total * (1 - FALLS_BY) / (1 - FALLS_BY**10)
    return [first * FALLS_BY**place for place in range(10)]


def shares(token: Token) -> list[float]:
    """Of the twenty largest but the pool."""
    ten = ten_shares(token)
    return ten + [ten[-1] / 2] * _REST
