"""Which figures of a token are waited for: those that some filter decides by, and what a card cannot do without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from domain.calls.events import Call, Channel, Token
from domain.filters.registry import FilterField
from domain.prices.readings import TokenRef
from domain.why.verdicts import figures_read
from services.providers.figures import FiguresService

FACE: Final = frozenset({"name", "symbol", "market_cap_usd"})
"""Without these a card says nothing."""
_WITHIN_S: Final = 1.8
_LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
_ANY: Final = Call(
    id="any", token=Token(address=""), channel=Channel(id="any"), called_at=_LONG_AGO, received_at=_LONG_AGO
)


def figures_behind(fields: Sequence[FilterField]) -> frozenset[str]:
    """Return which figures of a token these fields look at."""
    return frozenset[str]().union(*(figures_read(field, _ANY) for field in fields))


class DecisiveFigures:
    """What is asked about a call's token before it is decided; who knows the rest is asked all the same."""

    tokens_per_request: int = 1_000

    def __init__(self, figures: FiguresService, in_use: Callable[[], Sequence[FilterField]]) -> None:
        """`in_use`: fields that some filter has a rule for."""
        self._figures = figures
        self._in_use = in_use
        self._by_fields: tuple[tuple[FilterField, ...], frozenset[str]] = ((), FACE)

    def covers(self, token: TokenRef) -> bool:
        return bool(self._figures.gives(token))

    async def figures(self, tokens: Sequence[TokenRef]) -> dict[str, Token]:
        """Return what is known in time, by the tokens' keys."""
        return await self._figures.of(tokens, waits_for=self._waited_for(), within_s=_WITHIN_S)

    def _waited_for(self) -> frozenset[str]:
        fields = tuple(self._in_use())
        if fields != self._by_fields[0]:
            self._by_fields = (fields, FACE | figures_behind(fields))
        return self._by_fields[1]
