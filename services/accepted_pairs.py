"""Who was accepted before, while Redis cannot say so: what senders hold, and what PostgreSQL knows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final, LiteralString

import structlog
from cachetools import LRUCache

from domain.errors import TransientError
from managers.postgres import PostgresManager
from services.claims import Alert, ClaimRequest

log = structlog.get_logger(__name__)

ACCEPTED_FOR: Final = timedelta(days=14)
_REMEMBERED: Final = 20_000
"""It is about claims whose answers were lost right before Redis went away."""
_WITHIN_S: Final = 1.0
_ACCEPTED: Final[LiteralString] = """
    SELECT user_id FROM claims
    WHERE token_address = $1 AND user_id = ANY($2::bigint[]) AND claimed_at > now() - $3::interval
"""


class AcceptedPairs:
    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres
        self._handed_out: LRUCache[tuple[int, str], None] = LRUCache(_REMEMBERED)

    def handed_out(self, alert: Alert) -> None:
        """A sender has got this alert: should the answer to its claim be lost, it is not claimed again."""
        self._handed_out[alert.user_id, alert.call_id] = None

    def was_handed_out(self, alert: Alert) -> bool:
        return (alert.user_id, alert.call_id) in self._handed_out

    async def unknown(self, decision: ClaimRequest) -> list[tuple[int, int]]:
        """Return the accepted pairs of which nobody knows; those this process accepted the matcher has left out.

        While PostgreSQL is away as well that has to do.
        """
        pairs = [pair for pair in decision.accepted if (pair[0], decision.call_id) not in self._handed_out]
        if not pairs:
            return []
        user_ids = [user_id for user_id, _ in pairs]
        try:
            async with asyncio.timeout(_WITHIN_S):
                rows = await self._postgres.fetch(_ACCEPTED, decision.token_address, user_ids, ACCEPTED_FOR)
        except (TransientError, TimeoutError) as error:
            log.warning("claims_not_looked_up", call_id=decision.call_id, reason=str(error))
            return pairs
        known = {row["user_id"] for row in rows}
        return [pair for pair in pairs if pair[0] not in known]
