"""Single marks that are plainly off: set aside until a second source, or the same one again and again, says so too."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from domain.prices.readings import PriceReading, TokenRef

OFF_BY: Final = 1e3
"""So many times more or less than a moment ago is more often a fault than a price."""
AGREES_WITHIN: Final = 10.0
REPEATS: Final = 3
"""So often in a row the same source has to say it where no other one does."""
COUNTS_FOR: Final = timedelta(minutes=30)
"""An older price is nothing to hold another one against."""
MAX_TOKENS: Final = 100_000


class _Mark(Struct, gc=False):
    price_usd: float
    at: datetime
    source: str
    times: int = 1


class _Known(Struct, gc=False):
    believed: _Mark
    aside: _Mark | None = None


class Marks:
    """What was last believed of each token; the least recently read are forgotten."""

    def __init__(self, max_tokens: int = MAX_TOKENS) -> None:
        self._max_tokens = max_tokens
        self._known: OrderedDict[TokenRef, _Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def believes(self, reading: PriceReading) -> bool:
        """Whether it may be used; `False` when it is set aside, to be borne out by another."""
        mark = _Mark(reading.price_usd, reading.at, reading.source)
        known = self._known.get(reading.token)
        if known is None:
            self._known[reading.token] = _Known(mark)
            if len(self._known) > self._max_tokens:
                self._known.popitem(last=False)
            return True
        self._known.move_to_end(reading.token)
        if mark.at - known.believed.at > COUNTS_FOR or _within(mark, known.believed, OFF_BY):
            known.believed, known.aside = mark, None
            return True
        return self._holds_against(known, mark)

    def _holds_against(self, known: _Known, mark: _Mark) -> bool:
        aside = known.aside
        if aside is not None and _within(mark, aside, AGREES_WITHIN):
            mark.times = aside.times + 1
            if mark.source != aside.source or mark.times >= REPEATS:
                known.believed, known.aside = mark, None
                return True
        known.aside = mark
        return False


def _within(one: _Mark, other: _Mark, factor: float) -> bool:
    return other.price_usd / factor < one.price_usd < other.price_usd * factor
