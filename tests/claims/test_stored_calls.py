"""The call behind an alert is found as long as anybody knows it."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from domain.calls.events import Call
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager
from runtime.errors import TransientError
from services.claims import stored_calls
from services.claims.claiming import alerts_of
from services.claims.stored_calls import StoredCalls
from services.stores.journal import Journal
from tests.claims.alert_path import NOW, call_of, request
from tests.faults.proxy import FaultProxy
from tests.wiring import outbox_on

NOWHERE = PostgresManager("postgresql://postgres@/postgres?host=/nonexistent")
CLAIM = request("c1", "So1", 7)
[ALERT] = alerts_of(CLAIM)
LATE = replace(CLAIM, late_s=60.0, decided_at=NOW + timedelta(seconds=60), call_payload=b'{"late":true}')
[LATE_ALERT] = alerts_of(LATE)


async def test_memory_then_redis_then_postgres(redis_url: str, postgres_manager: PostgresManager) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url) as redis:
        journal = Journal(redis, postgres_manager)
        await outbox_on(redis, postgres_manager, journal).claim([CLAIM])
        assert await StoredCalls(redis, NOWHERE).find(ALERT) == CLAIM.call_payload
        # PostgreSQL does not know it yet, and Redis cannot be asked.
        calls = StoredCalls(redis, postgres_manager)
        await proxy.refuse()
        with pytest.raises(RedisUnavailableError):
            await calls.find(ALERT)
        await proxy.repair()
        await journal.drain_all()
        await proxy.refuse()
        assert msgspec.json.decode(await calls.find(ALERT) or b"", type=Call) == call_of("c1", "So1")
        calls.remember(CLAIM, b"as it was")
        assert await calls.find(ALERT) == b"as it was"


async def test_what_an_emptied_redis_lost_comes_from_postgres(
    redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    journal = Journal(redis_manager, postgres_manager)
    await outbox_on(redis_manager, postgres_manager, journal).claim([CLAIM])
    await journal.drain_all()
    await redis_manager.transaction([("FLUSHALL",)])
    found = await StoredCalls(redis_manager, postgres_manager).find(ALERT)
    assert msgspec.json.decode(found or b"", type=Call) == call_of("c1", "So1")
    # Nobody says that it is gone before everybody was asked.
    with pytest.raises(TransientError):
        await StoredCalls(redis_manager, NOWHERE).find(ALERT)


async def test_what_nobody_knows_is_gone(redis_manager: RedisManager, postgres_manager: PostgresManager) -> None:
    assert await StoredCalls(redis_manager, postgres_manager).find(ALERT) is None


async def test_a_call_that_passed_late_is_another_one(
    redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    calls = StoredCalls(redis_manager, postgres_manager)
    calls.remember(CLAIM, CLAIM.call_payload)
    calls.remember(LATE, LATE.call_payload)
    assert await calls.find(ALERT) == CLAIM.call_payload
    assert await calls.find(LATE_ALERT) == LATE.call_payload


async def test_memory_is_bounded(
    redis_manager: RedisManager, postgres_manager: PostgresManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_calls, "REMEMBERED", 2)
    calls = StoredCalls(redis_manager, postgres_manager)
    claims = [request(f"c{number}", "So1", 7) for number in range(3)]
    for claim in claims:
        calls.remember(claim, claim.call_payload)
    found = [await calls.find(alert) for claim in claims for alert in alerts_of(claim)]
    assert found == [None, claims[1].call_payload, claims[2].call_payload]
