"""Which sources are not believed on their word, of one token.

A source that was off by a factor of `ABSURD` may stay off while the price itself moves: then what it says comes back
into proportion and is as wrong as before. So it is doubted until another source agrees with it afterwards, or, where
none has spoken for `GAP_S`, until what it says is near the price that was settled. A fall may bring it there: then it
passes for a rise, by `NEAR` at most.
"""

from __future__ import annotations

from typing import NamedTuple

from domain.tracking.confirmation import GAP_S, is_absurd, is_near


class Said(NamedTuple):
    price: float
    at: float
    source: int


def is_off(said: Said, before: Said, settled: float) -> bool:
    """Out of all proportion to the settled price; or, unlike it, to what another source has just said."""
    if is_absurd(said.price, settled):
        return not _agree(said, before)
    if said.source == before.source or not is_absurd(said.price, before.price):
        return False
    return not is_near(said.price, settled)


class Doubts:
    def __init__(self) -> None:
        self.alone_since: dict[int, float] = {}
        """By source that is doubted: when another one spoke last, or the doubt began."""

    def __bool__(self) -> bool:
        return bool(self.alone_since)

    def __contains__(self, source: int) -> bool:
        return source in self.alone_since

    def hear(self, said: Said, before: Said, settled: float) -> bool:
        """Take in a price, after `before` as the latest accepted one; whether its source is doubted."""
        alone_since, source = self.alone_since, said.source
        if _agree(said, before):
            alone_since.pop(before.source, None)
        elif is_off(said, before, settled):
            alone_since[source] = said.at
        elif source in alone_since and said.at - alone_since[source] > GAP_S and is_near(said.price, settled):
            del alone_since[source]
        for other in alone_since:
            if other != source:
                alone_since[other] = said.at
        return source in alone_since


def _agree(said: Said, before: Said) -> bool:
    return said.source != before.source and is_near(said.price, before.price)
