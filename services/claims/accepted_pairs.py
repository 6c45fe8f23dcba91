"""Who was accepted before, while Redis cannot say so: what senders hold, and what PostgreSQL knows."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final, LiteralString

import structlog
from cachetools import LRUCache

from domain.calls.lifetimes import ACCEPTED_FOR
from domain.stored.alerts import Alert
from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError
from services.claims.claiming import ClaimRequest

log = structlog.get_logger(__name__)

_REMEMBERED: Final = 20_000
"""It is about claims whose answers were lost right before Redis became unavailable."""
_WITHIN_S: Final = 1.0
_ACCEPTED: Final[LiteralString] = """
    SELECT user_id, max(claimed_at) AS accepted_at FROM claims
    WHERE token_address = $1 AND user_id = ANY($2::bigint[]) AND claimed_at > $3 GROUP BY user_id
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

    async def known(self, decision: ClaimRequest) -> dict[int, datetime | None]:
        """Return the users who were accepted before, and when; `None` for an alert that a sender has got.

        Those this process accepted the matcher has left out. While PostgreSQL is unavailable as well that has to do.
        """
        known: dict[int, datetime | None] = {
            user_id: None for user_id, _ in decision.accepted if (user_id, decision.call_id) in self._handed_out
        }
        user_ids = [user_id for user_id, _ in decision.accepted if user_id not in known]
        if not user_ids:
            return known
        since = decision.decided_at - ACCEPTED_FOR
        try:
            async with asyncio.timeout(_WITHIN_S):
                rows = await self._postgres.fetch(_ACCEPTED, decision.token_address, user_ids, since)
        except (TransientError, TimeoutError) as error:
            log.warning("claims_not_looked_up", call_id=decision.call_id, reason=str(error))
            return known
        return known | {row["user_id"]: row["accepted_at"] for row in rows}
