"""Tables that grow without end: what is older than it is kept goes, by whole weeks where the table is cut into them.

A week's partition is made before its first row comes. A row that finds none lands in the default partition, and moves
when its own is made: nothing is ever refused.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString

import structlog
from msgspec import Struct

from managers.storage.postgres import PostgresManager
from runtime.retry import retry_until_done
from runtime.waiting import Progress, pause
from services.monitoring.conditions import Condition, Reason, about, because
from services.monitoring.readings import Reading

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CUT_BY_WEEKS: Final = ("deliveries", "outgoing")
DAYS: Final = 7
AHEAD: Final = 3
"""Weeks for which there is a partition, beside this one."""
EVERY_S: Final = 3600.0
_BATCH: Final = 1000

_ADD: Final[LiteralString] = "SELECT add_partition($1, $2, $3) AS is_new"
_DROP: Final[LiteralString] = "SELECT drop_partitions($1, $2) AS dropped"
_READY: Final[LiteralString] = """
    SELECT parent FROM unnest($1::text[]) AS parent WHERE NOT EXISTS (
        SELECT 1 FROM partitions_of(parent) p WHERE p.starts_at <= $2 AND $2 < p.ends_at)
"""
# Of a person's settings that version stays that was current at the time.
_SETTINGS: Final[LiteralString] = """
    DELETE FROM subscriber_changes WHERE (user_id, revision) IN (
        SELECT user_id, revision FROM subscriber_changes o WHERE changed_at < $1 AND EXISTS (
            SELECT 1 FROM subscriber_changes n
            WHERE n.user_id = o.user_id AND n.revision > o.revision AND n.changed_at < $1)
        ORDER BY changed_at LIMIT $2)
"""
_OUTCOMES: Final[LiteralString] = """
    WITH old AS (SELECT call_id FROM outcomes WHERE ended_at < $1 ORDER BY ended_at LIMIT $2),
    reached AS (DELETE FROM milestones WHERE call_id IN (SELECT call_id FROM old))
    DELETE FROM outcomes WHERE call_id IN (SELECT call_id FROM old)
"""


_ACTIONS: Final[LiteralString] = """
    DELETE FROM admin_actions WHERE number IN (SELECT number FROM admin_actions WHERE at < $1 ORDER BY at LIMIT $2)
"""
_ACTIVITY: Final[LiteralString] = """
    DELETE FROM activity WHERE ctid = ANY (ARRAY(SELECT ctid FROM activity WHERE at < $1 LIMIT $2))
"""


class KeptFor(Struct, frozen=True, kw_only=True):
    deliveries: timedelta
    messages: timedelta
    settings: timedelta
    outcomes: timedelta
    actions: timedelta
    """Of admins."""
    activity: timedelta


class RetentionService:
    def __init__(self, postgres: PostgresManager, kept_for: KeptFor, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._kept_for = kept_for
        self._clock = clock

    async def run(self, progress: Progress) -> None:
        """Look once an hour, for ever."""
        while True:
            await retry_until_done(lambda: self.tidy(progress), progress)
            await pause(EVERY_S, progress)

    async def tidy(self, progress: Progress) -> None:
        """Make the partitions of the weeks to come, and let go what is too old. May be repeated."""
        now, kept_for = self._clock(), self._kept_for
        for table in CUT_BY_WEEKS:
            await self._add(table, now, progress)
        await self._drop("outgoing", now - kept_for.messages, progress)
        await self._drop("deliveries", now - kept_for.deliveries, progress)
        await self._delete(_SETTINGS, now - kept_for.settings, progress)
        await self._delete(_OUTCOMES, now - kept_for.outcomes, progress)
        await self._delete(_ACTIONS, now - kept_for.actions, progress)
        await self._delete(_ACTIVITY, now - kept_for.activity, progress)

    async def lacking(self) -> list[str]:
        """Return the tables that have no partition for tomorrow's rows."""
        tomorrow = self._clock() + timedelta(days=1)
        rows = await self._postgres.fetch(_READY, list(CUT_BY_WEEKS), tomorrow)
        return [row["parent"] for row in rows]

    async def _add(self, table: str, now: datetime, progress: Progress) -> None:
        today = now.astimezone(UTC).date()
        monday = today - timedelta(days=today.weekday())
        for week in range(AHEAD + 1):
            progress()
            first_day = monday + timedelta(days=DAYS * week)
            row = await self._postgres.fetch_row(_ADD, table, first_day, DAYS)
            if row and row["is_new"]:
                log.info("partition_added", table=table, first_day=first_day.isoformat())

    async def _drop(self, table: str, before: datetime, progress: Progress) -> None:
        progress()
        row = await self._postgres.fetch_row(_DROP, table, before)
        if row and row["dropped"]:
            log.info("partitions_dropped", table=table, count=row["dropped"], before=before.isoformat())

    async def _delete(self, statement: LiteralString, before: datetime, progress: Progress) -> None:
        while True:
            progress()
            tag = await self._postgres.execute(statement, before, _BATCH)
            if int(tag.rpartition(" ")[2]) < _BATCH:
                return


def partition_missing(lacking: Reading[list[str]]) -> Condition:
    def reason() -> Reason | None:
        tables = lacking.value
        return about(tables, because("alarm.partition_missing", tables=", ".join(tables))) if tables else None

    return reason
