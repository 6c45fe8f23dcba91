"""What an adapter is that knows figures of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from domain.calls.events import Token
from domain.prices.readings import TokenRef
from managers.http.request_budget import Room


class FigureProvider(Protocol):
    """One provider's dialect. Holds no cache and remembers nothing of tokens."""

    @property
    def name(self) -> str:
        """Short name for logs and metrics, and the source in every figure's origin."""
        ...

    @property
    def tokens_per_request(self) -> int: ...

    @property
    def gives(self) -> frozenset[str]:
        """Fields of `Token` that it may know."""
        ...

    def covers(self, token: TokenRef) -> bool: ...

    def room(self) -> Room: ...

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        """What it knows of at most `tokens_per_request` tokens of one chain, by `TokenRef.key`; asked once.

        A token that the source does not know is absent. A figure that it does not know, or that makes no sense, is
        `None`: never 0, never `False`. Each figure has its origin. Anything else is a `TransientError`.
        """
        ...
