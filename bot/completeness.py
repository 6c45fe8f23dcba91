"""No work begins before the stores are ours and complete, and at the end PostgreSQL gets the last entries."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from domain.subscribers.partitions import ALL
from runtime.errors import FatalError, TransientError
from runtime.retry import retry_until_done
from services.claims.outbox import Outbox
from services.cluster.ownership import Ownership
from services.delivery.delivery import DeliveryService
from services.recovery.refill import Refill
from services.stores.database import Database
from services.stores.journal import Journal
from services.stores.spool import Spool

log = structlog.get_logger(__name__)

LAST_DRAIN_S: Final = 2.0


class Completeness:
    def __init__(
        self,
        *,
        spool: Spool,
        refill: Refill,
        database: Database,
        journal: Journal,
        outbox: Outbox,
        delivery: DeliveryService,
        ownership: Ownership,
    ) -> None:
        self._spool = spool
        self._refill = refill
        self._database = database
        self._journal = journal
        self._outbox = outbox
        self._delivery = delivery
        self._ownership = ownership

    async def prepare(self) -> None:
        """Complete the stores, and take up what an earlier life left. `FatalError` when PostgreSQL is not ours."""
        await retry_until_done(self._spool.begin)
        await retry_until_done(self._refill.poll)
        await self._meet_database()
        await self._outbox.recover_local()
        if self._ownership.is_whole:
            self._delivery.take_over(ALL)

    def is_awaited(self) -> bool:
        """Whether Redis is being filled, or told what happened without it."""
        return self._refill.is_filling or self._spool.is_closed

    async def finish(self) -> None:
        """Let PostgreSQL have the last entries: should Redis be emptied now, nobody has to be asked twice."""
        if not self._ownership.is_whole:
            return  # the others go on draining
        try:
            async with asyncio.timeout(LAST_DRAIN_S):
                await self._journal.drain_all()
        except (TransientError, TimeoutError) as error:
            log.info("journal_left_for_later", reason=str(error))

    async def _meet_database(self) -> None:
        """Refuse to work on somebody else's data. An emptied PostgreSQL is filled by whoever has the journal."""
        try:
            standing = await self._database.poll()
        except TransientError as error:
            log.warning("database_not_polled", reason=str(error))
            return
        if standing.state == "foreign":
            raise FatalError(f"PostgreSQL is not ours: {standing.problem}.")
