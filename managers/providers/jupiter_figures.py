"""Figures of tokens as Jupiter has them, for whoever asks each provider alike."""

from __future__ import annotations

from collections.abc import Sequence

from domain.calls.events import Token
from domain.prices.readings import TokenRef
from managers.http.request_budget import Room
from managers.providers.jupiter import TOKENS_PER_REQUEST, JupiterManager


class JupiterFigures:
    """Every method raises `TransientError`."""

    name: str = "jupiter"
    tokens_per_request: int = TOKENS_PER_REQUEST
    gives: frozenset[str] = frozenset(
        {
            *("name", "symbol", "price_usd", "market_cap_usd", "fdv_usd", "liquidity_usd", "buys_1h", "sells_1h"),
            *("volume_5m_usd", "volume_1h_usd", "volume_24h_usd", "holders", "created_at", "top10_percent"),
            *("price_change_5m_percent", "price_change_1h_percent", "price_change_24h_percent"),
            *("developer_percent", "mint_revoked", "freeze_revoked", "launchpad", "website", "x_handle", "telegram"),
            *("image_url", "risk_score"),
        }
    )

    def __init__(self, jupiter: JupiterManager) -> None:
        self._jupiter = jupiter

    def covers(self, token: TokenRef) -> bool:
        return self._jupiter.covers(token)

    def room(self) -> Room:
        return self._jupiter.room()

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        return await self._jupiter.tokens([token.address for token in tokens], attempts=1)
