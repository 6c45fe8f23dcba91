"""A PostgreSQL that lost its data is told from a new one, and gets back what Redis has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import LiteralString

import msgspec
import pytest
from msgspec.structs import replace

from domain.filters.presets import Preset
from domain.filters.registry import FilterSet, Range
from domain.stored.snapshots import PresetChange
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager, PostgresStatementError
from migrations import migrate
from services.recovery.postgres_fill import PostgresFill
from services.stores import keys
from services.stores.database import Database, DatabaseIncompleteError
from services.stores.journal import entry
from services.subscribers.presets import PresetsStore
from services.subscribers.sharing import SharingService
from tests.claims.alert_path import NOW, Process, request, subscriber

_EMPTIED: dict[str, tuple[LiteralString, ...]] = {
    "dropped": ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"),
    "truncated": (
        "TRUNCATE identity, subscribers, subscriber_changes, channels, calls, deliveries, claims, presets, shared_sets",
    ),
    "truncated with its revision": (
        "TRUNCATE alembic_version, identity, subscribers, subscriber_changes, channels, calls, deliveries, claims",
    ),
    "without subscribers": ("TRUNCATE subscribers, subscriber_changes",),
}


@pytest.fixture
def database(redis_manager: RedisManager, postgres_manager: PostgresManager, postgres_dsn: str) -> Database:
    return Database(redis_manager, postgres_manager, migrate=partial(migrate, postgres_dsn))


@pytest.fixture
def fill(redis_manager: RedisManager, postgres_manager: PostgresManager, database: Database) -> PostgresFill:
    return PostgresFill(
        redis=redis_manager,
        postgres=postgres_manager,
        database=database,
        say=lambda _: None,
        clock=lambda: datetime.now(UTC),
    )


async def empty(postgres: PostgresManager, how: str) -> None:
    for statement in _EMPTIED[how]:
        await postgres.execute(statement)


async def ids(postgres: PostgresManager, statement: LiteralString) -> list[object]:
    return [row[0] for row in await postgres.fetch(statement)]


def with_filters(user_id: int) -> Subscriber:
    rules = FilterSet(user_id=user_id, number=1, name="first", rules={"holders": Range(100.0, None)})
    return replace(subscriber(user_id), filter_sets=(rules,))


async def test_a_new_pair_belongs_together(process: Process, database: Database, fill: PostgresFill) -> None:
    del process  # it has filled the Redis
    assert (await database.poll()).state == "whole"
    assert not await fill.poll()
    await database.check()


@pytest.mark.parametrize("how", _EMPTIED)
async def test_emptied(
    how: str,
    process: Process,
    database: Database,
    fill: PostgresFill,
    redis_manager: RedisManager,
    postgres_manager: PostgresManager,
) -> None:
    everybody = {user_id: with_filters(user_id) for user_id in range(5)}
    for who in everybody.values():
        await process.subscribers.save(who)
    presets = PresetsStore(redis_manager, postgres_manager, process.journal)
    change = PresetChange(key="big", preset=Preset(key="big", rules={}), revision=1, changed_at=NOW, changed_by=1)
    await presets.save(change)
    sharing = SharingService(
        redis=redis_manager, postgres=postgres_manager, journal=process.journal, clock=lambda: datetime.now(UTC)
    )
    shared = await sharing.share(everybody[0], everybody[0].filter_sets[0])
    await process.claim(replace(request("c1", "So1", 0, 1, 2, 3), also={1: (2,), 3: (4, 5)}))
    sent, held, dead, _ = await process.hands.read()
    await process.finish(sent)
    await process.hold(held)
    await process.dead_letter(dead)
    await process.journal.drain_all()
    before = (await database.poll()).redis_id

    await empty(postgres_manager, how)
    standing = await database.poll()
    assert standing.state == "emptied"
    assert standing.problem is not None
    with pytest.raises(DatabaseIncompleteError):
        await database.check()
    process.journal.check = database.check
    loaded = {who.user_id: who async for batch in process.subscribers.load_all() for who in batch}
    assert loaded == everybody  # from Redis, without waiting for anything
    assert await fill.poll()

    standing = await database.poll()
    assert (standing.state, standing.redis_id) == ("whole", before)
    assert "filled from Redis: 5 subscribers, 4 alerts" in str(standing.problem)
    documents = await ids(postgres_manager, "SELECT document::text FROM subscribers ORDER BY user_id")
    assert [msgspec.json.decode(str(one), type=Subscriber) for one in documents] == list(everybody.values())
    if how != "truncated with its revision":
        assert await ids(postgres_manager, "SELECT key FROM presets") == ["big"]
        assert await ids(postgres_manager, "SELECT code FROM shared_sets") == [shared.code]
    assert await ids(postgres_manager, "SELECT call_id FROM calls") == ["c1"]
    assert await process.fates() == {
        (0, "c1"): "sent" if how == "without subscribers" else "unrecorded",
        (1, "c1"): "digest",
        (2, "c1"): "dead",
    }
    also = "SELECT (document -> 'also')::text FROM claims WHERE document ? 'also' ORDER BY user_id"
    assert await ids(postgres_manager, also) == ["[2]", "[4, 5]"]
    claimed_at = await ids(postgres_manager, "SELECT DISTINCT claimed_at FROM claims")
    assert all(isinstance(at, datetime) and abs(at - NOW) < timedelta(seconds=1) for at in claimed_at)
    assert not await fill.poll()


async def test_what_was_settled_before_is_not_sent_again_should_redis_be_emptied_afterwards(
    process: Process, fill: PostgresFill, redis_manager: RedisManager, postgres_manager: PostgresManager
) -> None:
    await process.subscribers.save(subscriber(0))
    await process.claim(request("c1", "So1", 0, 1))
    sent, _ = await process.hands.read()
    await process.finish(sent)
    await process.journal.drain_all()
    await empty(postgres_manager, "dropped")
    assert await fill.poll()
    await redis_manager.transaction([("FLUSHALL",)])
    assert await process.refill.poll()
    assert [(e.alert.user_id, e.alert.call_id) for e in await process.hands.read()] == [(1, "c1")]
    assert await process.claim(request("c2", "So1", 0, 1, 2)) == [{2}]


async def test_the_journal_goes_on_only_in_its_own_database(
    process: Process, database: Database, fill: PostgresFill, postgres_manager: PostgresManager
) -> None:
    await process.subscribers.save(subscriber(0))
    await process.journal.drain_all()
    await database.poll()
    await postgres_manager.execute("UPDATE identity SET id = 'another'")
    await process.subscribers.save(subscriber(1))
    with pytest.raises(DatabaseIncompleteError):
        await process.journal.drain_all()
    assert await ids(postgres_manager, "SELECT user_id FROM subscribers") == [0]
    assert (await database.poll()).state == "foreign"
    with pytest.raises(DatabaseIncompleteError):
        await fill.poll()
    assert await ids(postgres_manager, "SELECT user_id FROM subscribers") == [0]


async def test_an_older_backup(
    process: Process, database: Database, fill: PostgresFill, postgres_manager: PostgresManager
) -> None:
    await process.subscribers.save(subscriber(0))
    await process.claim(request("c1", "So1", 0))
    await process.journal.drain_all()
    backup = await postgres_manager.fetch("SELECT document::text, journal_at FROM subscribers, identity")
    changed = replace(with_filters(0), revision=2)
    await process.subscribers.save(changed)
    await process.subscribers.save(subscriber(1))
    [sent] = await process.hands.read()
    await process.finish(sent)
    await process.journal.drain_all()

    await postgres_manager.execute("TRUNCATE subscribers, subscriber_changes, deliveries")
    await postgres_manager.execute("UPDATE identity SET journal_at = $1", backup[0]["journal_at"])
    await process.journal.append_with([], [entry("subscriber", msgspec.json.encode(subscriber(2)))])
    with pytest.raises(DatabaseIncompleteError):
        await process.journal.drain_all()
    assert (await database.poll()).state == "behind"
    assert await fill.poll()
    assert await process.journal.drain_all() == 1
    assert (await database.poll()).state == "whole"
    assert await ids(postgres_manager, "SELECT revision FROM subscribers ORDER BY user_id") == [2, 1, 1]
    assert await process.fates() == {(0, "c1"): "unrecorded"}


async def test_a_fill_that_was_interrupted_goes_on(
    process: Process, database: Database, fill: PostgresFill, postgres_manager: PostgresManager
) -> None:
    await process.subscribers.save(subscriber(0))
    await process.journal.drain_all()
    await database.poll()
    await empty(postgres_manager, "dropped")
    await database.make_schema()
    await database.begin_filling(await database.poll())
    assert (await database.poll()).state == "filling"
    await process.subscribers.save(subscriber(1))
    assert await process.journal.drain_all() == 1  # what is new need not wait for it
    assert await fill.poll()
    assert await ids(postgres_manager, "SELECT user_id FROM subscribers ORDER BY user_id") == [0, 1]


async def test_both_emptied_at_once(
    process: Process,
    database: Database,
    redis_manager: RedisManager,
    postgres_manager: PostgresManager,
    postgres_dsn: str,
    tmp_path: Path,
) -> None:
    known = tmp_path / "database"
    remembering = partial(
        Database, redis_manager, postgres_manager, known=known, migrate=partial(migrate, postgres_dsn)
    )
    assert (await remembering().poll()).state == "whole"
    assert known.read_text("utf-8").strip() == (await database.poll()).redis_id
    await empty(postgres_manager, "dropped")
    await redis_manager.transaction([("FLUSHALL",)])
    later = remembering()
    assert (await later.poll()).state == "waiting"
    await later.make_schema()
    commands, lost_both = await later.of_filled_redis()
    assert lost_both
    await redis_manager.transaction([*commands, ("SET", keys.EPOCH.of(), "filled")])
    assert "both Redis and PostgreSQL were emptied" in str((await later.poll()).problem)
    del process


async def test_another_programs_database(postgres_manager: PostgresManager, postgres_dsn: str) -> None:
    await postgres_manager.execute("UPDATE alembic_version SET version_num = 'a1b2c3'")
    with pytest.raises(PostgresStatementError, match="belongs to another program"):
        await migrate(postgres_dsn)
