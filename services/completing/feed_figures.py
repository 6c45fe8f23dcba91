"""What a feed that knows tokens says of them later: it may have been out of reach when its call came."""

from __future__ import annotations

from collections.abc import Iterable

from domain.calls.events import Token
from domain.prices.readings import TokenRef
from services.calls.tokens import TokensService


class FeedFigures:
    def __init__(self, tokens: TokensService) -> None:
        self._tokens = tokens
        self._answered: frozenset[str] = frozenset()

    async def of(self, tokens: Iterable[TokenRef], *, within_s: float) -> dict[str, Token]:
        """Ask the feed about tokens. It takes two seconds at most by itself."""
        del within_s
        found = await self._tokens.said_of(tokens)
        self._answered = frozenset(found)
        return {key: token for key, token in found.items() if token.origins}

    def may_ask_again(self, token: TokenRef) -> bool:
        return token.key not in self._answered
