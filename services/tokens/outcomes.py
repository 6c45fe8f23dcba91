"""What became of the calls of one token."""

# ruff: noqa: S608 - put together of constants alone: the type checker refuses anything else

from __future__ import annotations

from datetime import datetime
from typing import Final, LiteralString

import msgspec
from msgspec import Struct

from domain.tracking.outcome import Ending
from managers.storage.postgres import PostgresManager
from services.stores.counted import COUNTS, PEAK, PEAK_AFTER_S

MAX_OUTCOMES: Final = 100
_FIND: Final[LiteralString] = (
    """
    SELECT o.call_id, coalesce(c.title, o.channel_id) AS channel, o.channel_id, o.called_at, o.market_cap_usd,
        """
    + PEAK
    + " AS multiple, "
    + PEAK_AFTER_S
    + " AS after_s, o.at_least, o.ending, "
    + COUNTS
    + """ AS counts
    FROM outcomes o LEFT JOIN channels c USING (channel_id)
    WHERE o.token_address = $1 ORDER BY o.called_at DESC LIMIT $2
"""
)


class CallOutcome(Struct, frozen=True, kw_only=True):
    call_id: str
    channel: str
    """Title, or id. Attacker-controlled text."""
    channel_id: str
    called_at: datetime
    market_cap_usd: float | None
    multiple: float
    """The highest that was confirmed so far, of the price at the call; 1 where it never rose."""
    after_s: float
    at_least: bool
    ending: Ending | None
    counts: bool
    """An admin has not excluded it."""


class Outcomes:
    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres

    async def of(self, address: str) -> list[CallOutcome]:
        """Return the newest first. `TransientError`."""
        rows = await self._postgres.fetch(_FIND, address, MAX_OUTCOMES)
        return [msgspec.convert(dict(row), CallOutcome) for row in rows]
