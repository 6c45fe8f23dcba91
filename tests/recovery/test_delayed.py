"""What a plan makes due later is neither lost nor doubled when a store loses something meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from services.claims.outbox import OutboxEntry
from services.delivery.delayed import DelayedAlerts, Delaying
from services.monitoring.metrics import Metrics
from services.recovery.postgres_fill import PostgresFill
from services.schedule.due_times import DELAYED, Due
from services.stores import keys
from services.stores.database import Database
from tests.claims.alert_path import Process, request
from tests.recovery.test_database import database, empty, fill
from tests.recovery.test_refill import flush, marks

__all__ = ["database", "fill"]

LATER = timedelta(hours=1)


async def put_aside(process: Process) -> None:
    """Claim an alert for each of two, and put aside what the first one gets."""
    await process.claim(request("c1", "So1", 0, 1))
    entries: dict[int, OutboxEntry] = {e.outgoing.user_id: e for e in await process.hands.read()}
    delaying = Delaying(entry=entries[0], until=datetime.now(UTC) + LATER)
    await delayed(process).put_aside(0, [delaying])
    process.hands.drop(entries[0])


def delayed(process: Process, ahead: timedelta = timedelta(0)) -> DelayedAlerts:
    return DelayedAlerts(process.redis, process.spool, Metrics(), lambda: datetime.now(UTC) + ahead)


@pytest.mark.parametrize("all_is_gone", [True, False], ids=["emptied", "its word is doubted"])
async def test_redis_is_filled_again(process: Process, redis_manager: RedisManager, *, all_is_gone: bool) -> None:
    await put_aside(process)
    await process.journal.drain_all()
    if all_is_gone:
        await flush(redis_manager)
    else:
        await redis_manager.delete(keys.EPOCH.of())
    assert await process.refill.poll()
    assert set(marks(await process.hands.read())) == {(0, "c1"), (1, "c1")}
    due = Due(job=DELAYED, subject="0", at=datetime.now(UTC) + LATER)
    assert await delayed(process, 2 * LATER).let_go(due) == 0


async def test_postgresql_is_filled_again(
    process: Process, database: Database, fill: PostgresFill, postgres_manager: PostgresManager
) -> None:
    await put_aside(process)
    await process.journal.drain_all()
    await database.poll()
    await empty(postgres_manager, "truncated")
    assert (await database.poll()).state == "emptied"
    assert await fill.poll()
    assert await process.fates() == {}, "both are claimed, and nobody says that they are settled"
    assert [row[0] for row in await postgres_manager.fetch("SELECT user_id FROM claims ORDER BY user_id")] == [0, 1]
    due = Due(job=DELAYED, subject="0", at=datetime.now(UTC) + LATER)
    assert await delayed(process, 2 * LATER).let_go(due) == 1
    assert set(marks(await process.hands.read())) == {(0, "c1"), (1, "c1")}
