"""Weeks are made before their rows come and dropped when they are too old; no row is refused and none comes twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import pytest

from domain.stored.journal import DeliveryRecord
from embedded.postgres import EmbeddedPostgres
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from migrations import downgrade, migrate
from services.monitoring.readings import Reading
from services.retention.retention import KeptFor, RetentionService, partition_missing
from services.stores.journal import Journal, entry
from tests.databases import administer

KEPT_FOR: Final = KeptFor(
    deliveries=timedelta(days=180),
    messages=timedelta(days=90),
    settings=timedelta(days=365),
    outcomes=timedelta(days=730),
    actions=timedelta(days=730),
    activity=timedelta(days=30),
)
PARTITIONS: Final = "SELECT name, ends_at FROM partitions_of('deliveries') ORDER BY ends_at NULLS LAST"


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def delivery(number: int, at: datetime, status: str = "sent") -> bytes:
    record = DeliveryRecord(call_id=f"call {number}", user_id=7, set_number=1, status="sent", decided_at=at)
    return msgspec.json.encode(record).replace(b'"sent"', f'"{status}"'.encode())


async def counts(postgres: PostgresManager) -> dict[str, int]:
    rows = await postgres.fetch("SELECT tableoid::regclass::text AS part, count(*) AS rows FROM deliveries GROUP BY 1")
    return {row["part"]: row["rows"] for row in rows}


async def test_weeks_come_and_go(redis_manager: RedisManager, postgres_manager: PostgresManager) -> None:
    clock, journal = Clock(), Journal(redis_manager, postgres_manager)
    retention, started = RetentionService(postgres_manager, KEPT_FOR, clock), clock.now
    lacking = Reading(retention.lacking)
    alarm = partition_missing(lacking)
    await retention.tidy(lambda: None)
    await lacking.refresh()
    assert alarm() is None
    # Nobody made partitions for half a year: an alarm, and every row is stored all the same, also twice.
    clock.now += timedelta(days=178)
    await lacking.refresh()
    assert "deliveries" in str(alarm())
    late = [delivery(number, at) for number, at in enumerate((started, started + timedelta(days=100), clock.now))]
    for status in ("digest", "sent", "digest"):
        again = [one.replace(b'"sent"', f'"{status}"'.encode()) for one in late]
        await journal.append_with([], [entry("delivery", one) for one in again])
    await journal.drain_all()
    assert await counts(postgres_manager) == {"deliveries_before": 1, "deliveries_rest": 2}
    assert {row["status"] for row in await postgres_manager.fetch("SELECT status FROM deliveries")} == {"sent"}
    await retention.tidy(lambda: None)
    await lacking.refresh()
    assert alarm() is None
    monday = clock.now.date() - timedelta(days=clock.now.weekday())
    own = f"deliveries_{monday:%Y%m%d}"
    assert await counts(postgres_manager) == {"deliveries_before": 1, "deliveries_rest": 1, own: 1}
    await journal.append_with([], [entry("delivery", late[2])])
    await journal.drain_all()
    assert (await counts(postgres_manager))[own] == 1
    # What is old goes as a whole, and what never got a partition with it.
    clock.now += timedelta(days=120)
    await retention.tidy(lambda: None)
    assert await counts(postgres_manager) == {own: 1}
    names = [row["name"] for row in await postgres_manager.fetch(PARTITIONS)]
    assert "deliveries_before" not in names
    assert names[-1] == "deliveries_rest"


async def test_of_settings_that_version_stays_that_was_current(postgres_manager: PostgresManager) -> None:
    clock = Clock()
    retention = RetentionService(postgres_manager, KEPT_FOR, clock)
    for revision, days in ((1, 800), (2, 700), (3, 400), (4, 100)):
        at = clock.now - timedelta(days=days)
        await postgres_manager.execute("INSERT INTO subscriber_changes VALUES (7, $1, '{}', $2)", revision, at)
    await retention.tidy(lambda: None)
    rows = await postgres_manager.fetch("SELECT revision FROM subscriber_changes ORDER BY revision")
    assert [row["revision"] for row in rows] == [3, 4]


@pytest.fixture
async def old_dsn(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    await administer(postgres_server, "CREATE DATABASE uncut")
    yield postgres_server.dsn_of("uncut")
    await administer(postgres_server, "DROP DATABASE uncut WITH (FORCE)")


async def test_what_stands_already_is_converted_and_back(old_dsn: str) -> None:
    await migrate(old_dsn, "0008")
    now = datetime.now(UTC)
    put = """
        INSERT INTO deliveries (call_id, user_id, kind, set_number, status, decided_at, may_repeat)
        SELECT 'call ' || n, n, 'alert', 1, 'sent', $1::timestamptz - n * interval '1 day', false
        FROM generate_series(-30, 300) AS n
    """
    async with PostgresManager(old_dsn, min_connections=1) as postgres:
        await postgres.execute(put, now)
        await migrate(old_dsn)
        assert await counts(postgres) == {"deliveries_before": 331}
        (before, *_) = await postgres.fetch(PARTITIONS)
        assert now + timedelta(days=30) < before["ends_at"] <= now + timedelta(days=38)
        await RetentionService(postgres, KEPT_FOR, lambda: now).tidy(lambda: None)
        assert await RetentionService(postgres, KEPT_FOR, lambda: now).lacking() == []
        await downgrade(old_dsn, "0008")
        assert await counts(postgres) == {"deliveries": 331}


async def test_what_admins_and_people_did_goes_when_it_is_old(postgres_manager: PostgresManager) -> None:
    clock = Clock()
    for days in (1, 29, 31, 729, 731):
        at = clock.now - timedelta(days=days)
        await postgres_manager.execute("INSERT INTO activity VALUES (7, $1, 'tap', '')", at)
        await postgres_manager.execute(
            "INSERT INTO admin_actions VALUES ($1, $2, 1, 'owner', 'ban', 7, '', 'done', '')", str(days), at
        )
    await RetentionService(postgres_manager, KEPT_FOR, clock).tidy(lambda: None)
    left = "SELECT (SELECT count(*) FROM activity) AS activity, (SELECT count(*) FROM admin_actions) AS actions"
    assert dict((await postgres_manager.fetch(left))[0]) == {"activity": 2, "actions": 4}
