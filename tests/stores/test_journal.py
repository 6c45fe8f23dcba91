from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import msgspec
import pytest

from domain.calls.events import Call, Channel, ChannelRecord, Token
from domain.stored.journal import DecidedCall, DeliveryRecord, DeliveryStatus
from domain.subscribers.subscriber import Subscriber
from embedded.postgres import EmbeddedPostgres
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager, PostgresSchemaError, PostgresUnavailableError, Row
from migrations import migrate
from services.stores import keys
from services.stores.journal import Journal, entry
from tests.conftest import UNSAFE_BUT_FAST
from tests.wiring import add_entry

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def journal(redis_manager: RedisManager, postgres_manager: PostgresManager) -> Journal:
    return Journal(redis_manager, postgres_manager)


def subscriber(revision: int, name: str = "Ada") -> bytes:
    who = Subscriber(user_id=7, chat_id=7, name=name, created_at=NOW, revision=revision, plan=f"plan {revision}")
    return msgspec.json.encode(who)


def call(call_id: str, *, name: str = "Coin", minutes: int = 0, title: str = "Alpha") -> bytes:
    received_at = NOW + timedelta(minutes=minutes)
    channel = Channel(id="@alpha", title=title, record=ChannelRecord(calls=3, win_rate_percent=50.0))
    token = Token(address="So1", name=name, market_cap_usd=1.5e6)
    decided = Call(id=call_id, token=token, channel=channel, called_at=received_at, received_at=received_at)
    return msgspec.json.encode(
        DecidedCall(call=decided, decided_at=received_at, reason="first_check", checked_channels=("@alpha",))
    )


def delivery(
    call_id: str,
    status: DeliveryStatus,
    *,
    message_id: int | None = None,
    sent_at: datetime | None = None,
    latency_s: float | None = None,
) -> bytes:
    return msgspec.json.encode(
        DeliveryRecord(
            call_id=call_id,
            user_id=7,
            set_number=1,
            status=status,
            message_id=message_id,
            decided_at=NOW,
            sent_at=sent_at,
            latency_s=latency_s,
        )
    )


async def dump(postgres: PostgresManager) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "subscribers": rows(await postgres.fetch("SELECT * FROM subscribers ORDER BY user_id")),
        "changes": rows(await postgres.fetch("SELECT * FROM subscriber_changes ORDER BY user_id, revision")),
        "channels": rows(await postgres.fetch("SELECT * FROM channels ORDER BY channel_id")),
        "calls": rows(await postgres.fetch("SELECT * FROM calls ORDER BY call_id")),
        "deliveries": rows(await postgres.fetch("SELECT * FROM deliveries ORDER BY call_id, user_id, kind")),
        "rejected": rows(await postgres.fetch("SELECT entry_id, kind FROM journal_rejected ORDER BY entry_id")),
    }


def rows(found: list[Row]) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in found]


async def row_of(postgres: PostgresManager, statement: LiteralString) -> Row:
    row = await postgres.fetch_row(statement)
    assert row is not None
    return row


async def test_every_kind_reaches_its_table(
    journal: Journal, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    replies = await journal.append_with(
        [("SET", "a", "b"), ("GET", "a")],
        [
            entry("subscriber", subscriber(1)),
            entry("call", call("c1")),
            entry("delivery", delivery("c1", "sent", message_id=9, sent_at=NOW, latency_s=0.5)),
        ],
    )
    assert replies == [b"OK", b"b"]
    assert (await journal.lag()).entries == 3
    assert await journal.drain_all() == 3
    lag = await journal.lag()
    assert (lag.entries, lag.age_s) == (0, 0.0)
    who = await row_of(postgres_manager, "SELECT *, document ->> 'name' AS named FROM subscribers")
    assert (who["user_id"], who["plan"], who["revision"], who["named"]) == (7, "plan 1", 1, "Ada")
    one = await row_of(postgres_manager, "SELECT * FROM calls")
    assert (one["call_id"], one["token_address"], one["market_cap_usd"]) == ("c1", "So1", 1.5e6)
    channel = await row_of(postgres_manager, "SELECT *, document #>> '{record,calls}' AS calls FROM channels")
    assert (channel["channel_id"], channel["title"], channel["calls"]) == ("@alpha", "Alpha", "3")
    sent = await row_of(postgres_manager, "SELECT * FROM deliveries")
    assert (sent["status"], sent["message_id"], sent["kind"], sent["latency_s"]) == ("sent", 9, "alert", 0.5)


async def test_the_later_state_wins_in_whatever_order(
    journal: Journal, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    for payload in (subscriber(1), subscriber(3), subscriber(2), subscriber(3, name="Impostor")):
        await redis_manager.transaction([entry("subscriber", payload)])
    for payload in (call("c2", minutes=9, title="New"), call("c1", title="Old")):
        await redis_manager.transaction([entry("call", payload)])
    for status in ("dead", "sent", "dead"):
        await redis_manager.transaction([entry("delivery", delivery("c1", status))])
    await journal.drain_all()
    stored = await dump(postgres_manager)
    assert [(row[2], row[8]) for row in stored["subscribers"]] == [("Ada", 3)]
    assert [row[1] for row in stored["changes"]] == [1, 2, 3]
    assert [row[1] for row in stored["channels"]] == ["New"]
    assert [row[4] for row in stored["deliveries"]] == ["sent"]


async def test_a_crash_between_commit_and_forgetting_repeats_harmlessly(
    journal: Journal, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    changes = [entry("subscriber", subscriber(n)) for n in range(1, 6)]
    changes += [entry("call", call(f"c{n}", minutes=n)) for n in range(5)]
    changes += [entry("delivery", delivery(f"c{n}", "sent" if n % 2 else "dead")) for n in range(5)]
    await redis_manager.transaction(changes)
    kept = await redis_manager.xrange(keys.JOURNAL.of())
    await journal.drain_all()
    first = await dump(postgres_manager)
    for start in (0, 7):
        # The same entries, ids included, as if XDEL had never arrived; the second time only some of them.
        again = [
            ("XADD", keys.JOURNAL.of(), e.id, "kind", e.fields["kind"], "data", e.fields["data"]) for e in kept[start:]
        ]
        await redis_manager.transaction([("DEL", keys.JOURNAL.of()), *again])
        await journal.drain_all()
        assert await dump(postgres_manager) == first


async def test_two_drains_at_once_do_no_harm(
    journal: Journal, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    await redis_manager.transaction([entry("call", call(f"c{n:04}")) for n in range(1500)])
    others = [Journal(redis_manager, postgres_manager) for _ in range(2)]
    await asyncio.gather(journal.drain_all(), *(other.drain_all() for other in others))
    assert len((await dump(postgres_manager))["calls"]) == 1500


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("subscriber", b"not json"),
        ("subscriber", b"\xff\xfe"),
        ("subscriber", b'{"user_id": "seven"}'),
        ("subscriber", subscriber(1).replace(b'"user_id":7', b'"user_id":123456789012345678901')),
        ("subscriber", subscriber(1).replace(b'"user_id":7', b'"user_id":12345678901234567890')),
        ("subscriber", subscriber(1).replace(b"Ada", b"\\ud800")),
        ("no such kind\x00", b"{}"),
        ("delivery", delivery("c1", "sent", message_id=1 << 63)),
    ],
)
async def test_a_poisoned_entry_is_put_aside_and_blocks_nobody(
    journal: Journal, redis_manager: RedisManager, postgres_manager: PostgresManager, kind: Any, payload: bytes
) -> None:
    await redis_manager.transaction([entry("call", call("c1")), entry(kind, payload), entry("call", call("c2"))])
    await add_entry(redis_manager, keys.JOURNAL.of(), {"nothing": "known"})
    assert await journal.drain_all() == 4
    assert journal.rejected == 2
    stored = await dump(postgres_manager)
    assert [row[0] for row in stored["calls"]] == ["c1", "c2"]
    assert [row[1] for row in stored["rejected"]] == [kind.replace("\x00", ""), ""]


async def test_hostile_names_are_stored_without_what_cannot_be(
    journal: Journal, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    name = "a\x00b \\u0000 <b>'; DROP TABLE calls; --\u202e\U0001f4a5"
    await redis_manager.transaction([entry("call", call("c1", name=name, title="\x00T"))])
    await redis_manager.transaction([entry("subscriber", subscriber(1, name=name))])
    await journal.drain_all()
    clean = name.replace("\x00", "")
    assert journal.rejected == 0
    row = await row_of(postgres_manager, "SELECT document #>> '{token,name}' AS name FROM calls")
    assert row["name"] == clean
    row = await row_of(postgres_manager, "SELECT name, document ->> 'name' AS document FROM subscribers")
    assert (row["name"], row["document"]) == (clean, clean)


async def test_a_missing_schema_is_no_poison(
    journal: Journal, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    await postgres_manager.execute("DROP TABLE calls")
    await redis_manager.transaction([entry("call", call("c1"))])
    with pytest.raises(PostgresSchemaError):
        await journal.drain_all()
    assert (await journal.lag()).entries == 1
    assert journal.rejected == 0


async def until_empty(journal: Journal) -> None:
    while (await journal.lag()).entries:  # noqa: ASYNC110 - only Redis knows
        await asyncio.sleep(0.01)


async def test_it_runs_on_through_outages_of_postgres(redis_manager: RedisManager) -> None:
    with tempfile.TemporaryDirectory(prefix="bot-tests-") as directory:
        data_dir = Path(directory)
        dsn = f"postgresql://postgres@/postgres?host={data_dir / 'cluster'}"
        async with PostgresManager(dsn, min_connections=1, max_connections=2) as postgres:
            journal = Journal(redis_manager, postgres)
            await redis_manager.transaction([entry("call", call("c1"))])
            with pytest.raises(PostgresUnavailableError):
                await journal.drain_once()
            async with EmbeddedPostgres(data_dir, settings=UNSAFE_BUT_FAST) as server:
                await migrate(dsn)  # first: a journal without its tables is a fatal error
                running = asyncio.create_task(journal.run())
                await until_empty(journal)
                os.kill(server.pid, signal.SIGKILL)
            await redis_manager.transaction([entry("call", call("c2"))])
            async with EmbeddedPostgres(data_dir, settings=UNSAFE_BUT_FAST):
                await until_empty(journal)
                assert [row[0] for row in (await dump(postgres))["calls"]] == ["c1", "c2"]
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


async def test_it_waits_for_a_redis_that_is_away(postgres_manager: PostgresManager, redis_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="bot-tests-") as directory:
        link = Path(directory) / "redis.sock"
        async with RedisManager(f"unix://{link}") as redis:
            journal = Journal(redis, postgres_manager)
            running = asyncio.create_task(journal.run())
            await asyncio.sleep(0)
            link.symlink_to(redis_url.removeprefix("unix://"))
            await redis.transaction([entry("call", call("c1"))])
            await until_empty(journal)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert len((await dump(postgres_manager))["calls"]) == 1
