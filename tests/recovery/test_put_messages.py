"""Messages that are no alerts are in every store that alerts are in: whichever is lost, each still goes out once."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager
from migrations import migrate
from runtime.errors import TransientError
from runtime.waiting import Progress
from services.claims.outbox import OutboxEntry
from services.claims.putting import Putting
from services.delivery.held import records_of
from services.recovery.postgres_fill import PostgresFill
from services.stores import keys
from services.stores.database import Database
from tests.claims.alert_path import NOW, Pair, Process, pair_of, process_on, request, take_away
from tests.delivery.notices import notice
from tests.faults.proxy import FaultProxy


@pytest.fixture
def putting(process: Process) -> Putting:
    return Putting(process.spool, process.journal)


@pytest.fixture
def fill(redis_manager: RedisManager, postgres_manager: PostgresManager, postgres_dsn: str) -> PostgresFill:
    database = Database(redis_manager, postgres_manager, migrate=partial(migrate, postgres_dsn))
    return PostgresFill(
        redis=redis_manager,
        postgres=postgres_manager,
        database=database,
        say=lambda _: None,
        clock=lambda: datetime.now(UTC),
    )


async def flush(redis: RedisManager) -> None:
    await redis.transaction([("FLUSHALL",)])


async def send(process: Process, *entries: OutboxEntry) -> None:
    await process.outbox.begin(entries)
    records = [replace(r, status="sent", sent_at=NOW, message_id=1) for one in entries for r in records_of(one)]
    await process.outbox.finish(entries, records)
    for one in entries:
        process.hands.drop(one)


def marks(entries: list[OutboxEntry]) -> dict[Pair, bool]:
    return {pair_of(one): one.may_repeat for one in entries}


@pytest.mark.parametrize("drained", [False, True])
async def test_an_emptied_redis_gets_back_what_did_not_go_out_and_what_did(
    process: Process,
    putting: Putting,
    redis_manager: RedisManager,
    drained: bool,  # noqa: FBT001 - a parameter
) -> None:
    for user in range(3):
        assert await putting.put(notice(user, at=NOW))
    await process.claim(request("c1", "So1", 7))
    entries = {one.outgoing.user_id: one for one in await process.hands.read()}
    await send(process, entries[0])
    await process.outbox.begin([entries[1]])
    process.hands.begun.add(pair_of(entries[1]))
    if drained:
        await process.journal.drain_all()

    await flush(redis_manager)
    assert await process.refill.poll()
    expected = {(1, "notice:welcome:"): True, (2, "notice:welcome:"): False, (7, "c1"): False}
    assert marks(await process.hands.read()) == expected
    assert [await putting.put(notice(user, at=NOW)) for user in range(4)] == [False, False, False, True]


async def test_a_redis_that_is_emptied_again_while_it_is_filled_is_filled_anew(
    redis_manager: RedisManager, postgres_manager: PostgresManager, path: Path, redis_url: str
) -> None:
    emptyings = 0

    async def emptied_again(_progress: Progress) -> None:
        nonlocal emptyings
        if emptyings < 2:
            emptyings += 1
            await flush(redis_manager)

    async with process_on(redis_url, postgres_manager, path, filling=emptied_again) as process:
        await process.start()
        for user in range(3):
            await Putting(process.spool, process.journal).put(notice(user, at=NOW))
        emptyings = 0
        await flush(redis_manager)
        assert await process.refill.poll()
        assert emptyings == 2
        assert {user_id for user_id, _ in marks(await process.hands.read())} == {0, 1, 2}
        assert await redis_manager.get(keys.EPOCH.of()) == process.journal.epoch


async def test_a_new_process_fills_an_emptied_redis_with_what_was_put(
    redis_manager: RedisManager, postgres_manager: PostgresManager, path: Path, redis_url: str
) -> None:
    async with process_on(redis_url, postgres_manager, path) as before:
        await before.start()
        for user in range(2):
            await Putting(before.spool, before.journal).put(notice(user, at=NOW))
        await send(before, *[one for one in await before.hands.read() if one.outgoing.user_id == 0])
        await before.journal.drain_all()
    await flush(redis_manager)
    async with process_on(redis_url, postgres_manager, path) as process:
        await process.start()
        assert list(marks(await process.hands.read())) == [(1, "notice:welcome:")]
        assert await Putting(process.spool, process.journal).put(notice(0, at=NOW)) is False


async def test_an_emptied_postgres_gets_back_what_was_put_and_that_it_is_settled(
    process: Process,
    putting: Putting,
    fill: PostgresFill,
    redis_manager: RedisManager,
    postgres_manager: PostgresManager,
) -> None:
    for user in range(3):
        await putting.put(notice(user, at=NOW))
    sent, dead, _ = sorted(await process.hands.read(), key=lambda one: one.outgoing.user_id)
    await send(process, sent)
    await process.outbox.dead_letter(dead, "refused", records_of(dead))
    process.hands.drop(dead)
    await process.journal.drain_all()
    await postgres_manager.execute("DROP SCHEMA public CASCADE")
    await postgres_manager.execute("CREATE SCHEMA public")
    assert await fill.poll()
    rows = await postgres_manager.fetch("SELECT user_id, kind, status FROM deliveries ORDER BY user_id")
    assert [tuple(row) for row in rows] == [(0, "notice", "unrecorded"), (1, "notice", "dead")]

    await flush(redis_manager)
    assert await process.refill.poll()
    assert list(marks(await process.hands.read())) == [(2, "notice:welcome:")]
    assert [await putting.put(notice(user, at=NOW)) for user in range(3)] == [False] * 3


async def test_without_redis_it_is_written_down_and_goes_out_once_when_redis_is_back(
    process: Process, putting: Putting, proxy: FaultProxy
) -> None:
    await putting.put(notice(1, at=NOW))
    proxy.lose_reply_to(b"EVALSHA")
    with pytest.raises(RedisUnavailableError):
        await putting.put(notice(2, at=NOW))  # it happened, and nobody was told
    await take_away(process, proxy)
    for user in (1, 2, 3, 3):
        assert await putting.put(notice(user, at=NOW)) is None
    await proxy.repair()
    await process.come_back()
    assert sorted(marks(await process.hands.read())) == [(user, "notice:welcome:") for user in (1, 2, 3)]
    assert process.spool.waiting == 0


STEPS = ["put", "put again", "read", "send", "kill", "flush", "drain", "begin"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), min_size=4, max_size=20))
async def test_whatever_happens_each_goes_out_once_and_a_repeat_is_marked(
    redis_url: str,
    redis_manager: RedisManager,
    postgres_manager: PostgresManager,
    tmp_path: Path,
    steps: list[str],
) -> None:
    await flush(redis_manager)
    await postgres_manager.execute("TRUNCATE outgoing, claims, deliveries, calls, channels, subscribers CASCADE")
    path = tmp_path / "store.sqlite"
    path.unlink(missing_ok=True)
    put, left = 0, list(steps)
    settled: list[Pair] = []
    while left:
        async with process_on(redis_url, postgres_manager, path) as process:
            await process.start()
            putting = Putting(process.spool, process.journal)
            while left and (step := left.pop(0)) != "kill":
                match step:
                    case "put":
                        assert await putting.put(notice(put, at=NOW)) is True
                        put += 1
                    case "put again" if put:
                        assert await putting.put(notice(put // 2, at=NOW)) is False
                    case "flush":
                        await flush(redis_manager)
                        with suppress(TransientError):
                            await process.refill.poll()
                    case "drain":
                        await process.journal.drain_all()
                    case "begin" if process.hands.entries:
                        await process.outbox.begin(process.hands.entries[:1])
                        process.hands.begun.add(pair_of(process.hands.entries[0]))
                    case "send" if process.hands.entries:
                        settled.append(pair_of(process.hands.entries[0]))
                        await send(process, process.hands.entries[0])
                    case _:
                        await process.hands.read()
            await process.journal.drain_all()  # what a kill leaves undrained while Redis lives, Redis has
    async with process_on(redis_url, postgres_manager, path) as process:
        await process.start()
        while entries := await process.hands.read():
            settled += [pair_of(one) for one in entries]
            await send(process, *entries)
    assert sorted(settled) == [(user, "notice:welcome:") for user in range(put)]
