"""One document that cannot be read keeps neither store from getting back all the others."""

from __future__ import annotations

from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from services.recovery.postgres_fill import PostgresFill
from services.stores import keys
from tests.claims.alert_path import Process, request, subscriber
from tests.recovery.test_database import database, empty, fill, ids

__all__ = ["database", "fill"]


async def test_postgresql_gets_back_what_can_be_read_in_redis(
    process: Process, fill: PostgresFill, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    await process.subscribers.save(subscriber(0))
    await process.claim(request("c1", "So1", 0, 1))
    await process.claim(request("c2", "So2", 1))
    await process.journal.drain_all()
    spoilt = {"alert": b"{"}
    await redis_manager.transaction(
        [
            ("XADD", keys.OUTBOX.of(0), "*", "alert", spoilt["alert"]),
            ("XADD", keys.OUTBOX.of(0), "*", "other", b"field"),
            ("SET", keys.CALL.of("c2"), b"[]"),
        ]
    )
    await empty(postgres_manager, "dropped")
    assert await fill.poll()
    assert await ids(postgres_manager, "SELECT call_id FROM calls") == ["c1"]
    claims = "SELECT call_id || ' ' || user_id FROM claims ORDER BY 1"
    assert await ids(postgres_manager, claims) == ["c1 0", "c1 1", "c2 1"]
    left = [entry.fields for entry in await redis_manager.xrange(keys.OUTBOX.of(0), start="-", count=9)]
    assert {b"{"} <= {fields.get("alert") for fields in left}, "it stays where it is"


async def test_redis_gets_back_what_can_be_read_in_postgresql(
    process: Process, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    await process.subscribers.save(subscriber(0))
    await process.claim(request("c1", "So1", 0, 1, 2))
    await process.journal.drain_all()
    await postgres_manager.execute("UPDATE claims SET document = '{}' WHERE user_id = 1")
    await redis_manager.transaction([("FLUSHALL",)])
    assert await process.refill.poll()
    assert sorted(entry.alert.user_id for entry in await process.hands.read()) == [0, 2]
