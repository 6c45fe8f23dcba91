"""The machine goes down: Redis comes back without what it wrote last, and is filled from PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from embedded.valkey import EmbeddedRedis
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from runtime.errors import FatalError
from services.claims.outbox import FeedCursor
from services.delivery.held import records_of
from services.stores import keys
from tests.claims.alert_path import NOW, SOURCE, pair_of, process_on, request, subscriber


def die(server: EmbeddedRedis) -> None:
    os.kill(server.pid, signal.SIGKILL)
    server.stop()  # takes note that it is gone, and frees the directory


def switch_off(server: EmbeddedRedis) -> None:
    """As far as the server can tell later."""
    die(server)
    server.boot_note.write_text("an earlier life of the machine")


async def test_what_says_that_nothing_is_missing_goes_with_the_machine_and_with_it_alone(data_dir: Path) -> None:
    async def has_gone(end: Callable[[EmbeddedRedis], None]) -> bool:
        """Start on what there is, look, and end it so."""
        server = EmbeddedRedis(data_dir, complete_key="complete")
        server.start()
        async with RedisManager(server.url) as redis:
            has_gone = await redis.get("complete") is None
            assert has_gone is server.lacks_writes
            await redis.set("complete", "yes")
        end(server)
        return has_gone

    server = EmbeddedRedis(data_dir)
    async with server, RedisManager(server.url) as redis:
        await redis.set("complete", "yes")
    for end, goes in ((die, False), (EmbeddedRedis.stop, False), (switch_off, False), (die, True), (die, False)):
        assert await has_gone(end) is goes


async def test_a_start_that_comes_to_nothing_forgets_no_power_cut(data_dir: Path) -> None:
    server = EmbeddedRedis(data_dir)
    server.start()
    switch_off(server)
    (data_dir / "appendonlydir").rename(data_dir / "elsewhere")
    (data_dir / "appendonlydir").write_text("not a directory")
    with pytest.raises(FatalError):
        EmbeddedRedis(data_dir).start()
    (data_dir / "appendonlydir").unlink()
    (data_dir / "elsewhere").rename(data_dir / "appendonlydir")
    async with EmbeddedRedis(data_dir) as server:
        assert server.lacks_writes


async def test_what_redis_lost_is_mended_from_postgres(
    data_dir: Path, postgres_manager: PostgresManager, path: Path
) -> None:
    server = EmbeddedRedis(data_dir)
    server.start()
    async with process_on(server.url, postgres_manager, path) as before:
        await before.start()
        await before.subscribers.save(subscriber(7))
        await before.claim(request("c1", "So1", 1, 2, 3, 4), cursor=FeedCursor(source=SOURCE, position=1))
        first, second, third, _ = await before.hands.read()
        await before.hold(first)
        await before.hold(second)

        shutil.copytree(data_dir / "appendonlydir", data_dir / "on disk")

        [earlier, _] = [*await before.held.of(1), *await before.held.of(2)]
        await before.finish(third)
        await before.held.dispatch(1, [earlier], earlier.due_at)
        digest = next(e for e in await before.hands.read() if e.outgoing.kind == "digest")
        await before.outbox.finish([digest], [replace(one, status="sent", sent_at=NOW) for one in records_of(digest)])
        before.hands.drop(digest)
        await before.subscribers.save(replace(subscriber(7), name="Ann", revision=subscriber(7).revision + 1))
        await before.claim(request("c2", "So2", 5), cursor=FeedCursor(source=SOURCE, position=2))
        await before.finish(next(e for e in await before.hands.read() if pair_of(e) == (5, "c2")))
        await before.journal.drain_all()

    switch_off(server)
    shutil.rmtree(data_dir / "appendonlydir")
    (data_dir / "on disk").rename(data_dir / "appendonlydir")

    async with (
        EmbeddedRedis(data_dir, complete_key=keys.EPOCH.of()) as server,
        process_on(server.url, postgres_manager, path) as process,
    ):
        await process.start()
        assert [(pair_of(e), e.may_repeat) for e in await process.hands.read()] == [((4, "c1"), True)]
        assert await process.held.of(1) == []
        assert [call.call_id for call in await process.held.of(2)] == ["c1"]
        assert await process.claim(request("c3", "So1", 1, 2, 3, 4), request("c4", "So2", 5)) == [set(), set()]
        found = await process.subscribers.find(7)
        assert found is not None
        assert found.name == "Ann"
