"""Redis frozen, PostgreSQL cut off or emptied, a full disk: what that does, and that it is over."""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg

from services.monitoring.memory import MemoryReader, resident_bytes
from services.retention.retention import RetentionService
from services.stores import keys
from services.subscribers.store import SubscribersStore
from tests.alarms.kit import Provocation, Scene, Stage
from tests.faults.small_disk import SmallDisk
from tests.wiring import add_entry

MIB = 1 << 20
_WEEKS = "SELECT count(*) FROM pg_class WHERE relname ~ '^deliveries_([0-9]{8}|before)$'"


@asynccontextmanager
async def redis_frozen(scene: Scene) -> AsyncGenerator[None]:
    """SIGSTOP: connections stay open and bring nothing."""
    os.kill(scene.redis_server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(scene.redis_server.pid, signal.SIGCONT)


@asynccontextmanager
async def redis_frozen_for_long(scene: Scene) -> AsyncGenerator[None]:
    scene.hurry("Redis for long")
    async with redis_frozen(scene):
        yield


@asynccontextmanager
async def a_call_without_redis(scene: Scene) -> AsyncGenerator[None]:
    await scene.people(1)
    async with redis_frozen(scene):
        await scene.feed.burst(1)
        yield


@asynccontextmanager
async def postgres_frozen(scene: Scene) -> AsyncGenerator[None]:
    scene.postgres_proxy.half_open()
    yield
    await scene.postgres_proxy.repair()


@asynccontextmanager
async def postgres_refuses(scene: Scene) -> AsyncGenerator[None]:
    await scene.postgres_proxy.refuse()
    yield
    await scene.postgres_proxy.repair()


@asynccontextmanager
async def journal_waits(scene: Scene) -> AsyncGenerator[None]:
    await scene.postgres_proxy.refuse()
    await scene.feed.burst(1)
    yield
    await scene.postgres_proxy.repair()


@asynccontextmanager
async def postgres_emptied(scene: Scene) -> AsyncGenerator[None]:
    await scene.people(1)
    async with scene.database() as connection:
        while True:
            try:
                await connection.execute("DROP SCHEMA public CASCADE")
                break
            except asyncpg.DeadlockDetectedError:
                pass  # the bot writes to the tables in another order: PostgreSQL has chosen this one to try again
        await connection.execute("CREATE SCHEMA public")
    yield


@asynccontextmanager
async def no_partition(scene: Scene) -> AsyncGenerator[None]:
    async with scene.database() as connection, asyncio.timeout(30):
        while not await connection.fetchval(_WEEKS):  # noqa: ASYNC110 - made by a job of the bot
            await asyncio.sleep(0.1)
        await connection.execute(
            "DO $$ DECLARE name text; BEGIN FOR name IN SELECT c.relname FROM pg_class c"
            " WHERE c.relname ~ '^deliveries_([0-9]{8}|before)$' LOOP EXECUTE 'DROP TABLE ' || name; END LOOP; END $$"
        )
    yield
    await scene.bot.of(RetentionService).tidy(lambda: None)


@asynccontextmanager
async def disk_full(scene: Scene) -> AsyncGenerator[None]:
    disk = scene.parts["disk"]
    assert isinstance(disk, SmallDisk)
    disk.fill()
    yield
    disk.free()


@asynccontextmanager
async def letters_come(scene: Scene) -> AsyncGenerator[None]:
    for _ in range(5):
        await add_entry(scene.bot.connections.redis, "dead_letters", {"alert": "{}"})
    yield
    scene.ten_minutes_pass("dead letters")


@asynccontextmanager
async def memory_taken(scene: Scene) -> AsyncGenerator[None]:
    """Hold so much that the limit is near, and let it go."""
    reader = scene.bot.of(MemoryReader)
    reader.limit_mib, reader.read_every_s = int(resident_bytes() / MIB / 0.8) + 400, 0.0
    taken = mmap.mmap(-1, 500 * MIB)  # given back as soon as it is let go
    for at in range(0, len(taken), mmap.PAGESIZE):
        taken[at] = 1
    yield
    taken.close()


@asynccontextmanager
async def settings_broken(scene: Scene) -> AsyncGenerator[None]:
    [user], store, redis = await scene.people(1), scene.bot.of(SubscribersStore), scene.bot.connections.redis
    name = keys.SUBSCRIBER.of(user.id)
    await user.next_message(where=lambda message: "reply_markup" in message)
    whole = await redis.get(name)
    assert whole is not None
    await redis.set(name, b"{")
    store.forget(user.id)
    await user.send("/settings")
    yield
    await redis.set(name, whole)
    await user.send("/settings")


PROVOKED = {
    "Redis": Provocation(wrong=redis_frozen, is_quick=True),
    "Redis for long": Provocation(wrong=redis_frozen_for_long),
    "local store": Provocation(wrong=a_call_without_redis),
    "PostgreSQL": Provocation(wrong=postgres_frozen),
    "journal": Provocation(
        wrong=journal_waits, stage=Stage(limits={"services.monitoring.conditions:JOURNAL_AGE_S": 2.0})
    ),
    "PostgreSQL's data": Provocation(wrong=postgres_emptied, stage=Stage(on_disk=True)),
    "partitions": Provocation(wrong=no_partition),
    "disk": Provocation(wrong=disk_full, stage=Stage(on_disk=True)),
    "archive": Provocation(
        wrong=postgres_refuses,
        stage=Stage(
            on_disk=True,
            limits={
                "services.backtest.archive_job:FIRST_AFTER_S": 2.0,
                "services.backtest.archive_job:EVERY_S": 1.0,
                "services.backtest.archive_job:ALARM_AFTER_S": 0.0,
            },
        ),
    ),
    "dead letters": Provocation(wrong=letters_come),
    "memory": Provocation(wrong=memory_taken),
    "unreadable settings": Provocation(wrong=settings_broken),
}
