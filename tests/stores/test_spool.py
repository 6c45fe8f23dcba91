"""Redis goes away and comes back; alerts leave all the same, each once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from domain.subscribers.partitions import PARTITIONS, partition_of
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager
from managers.storage.sqlite import LocalStoreError
from runtime.lock import Gate
from runtime.waiting import Progress
from services.claims.dead_letters import DeadLetters
from services.claims.outbox import FeedCursor
from services.monitoring.metrics import Metrics
from services.stores import keys
from services.stores.operations import Transaction
from services.stores.spool import Spool
from tests.claims.alert_path import SOURCE, Process, pair_of, process_on, request, take_away, until
from tests.faults.proxy import FaultProxy
from tests.wiring import spool_on


async def come_back(process: Process, proxy: FaultProxy) -> None:
    await proxy.repair()
    await process.come_back()


async def accepted_in_redis(redis: RedisManager) -> int:
    return sum([len(batch) async for batch in redis.scan("processed_token:*:*")])


async def accepted_in_postgres(process: Process) -> set[tuple[int, str]]:
    await process.journal.drain_all()
    rows = await process.postgres.fetch("SELECT user_id, call_id FROM claims")
    return {(row["user_id"], row["call_id"]) for row in rows}


# without Redis


async def test_what_is_claimed_without_redis_is_delivered_and_told_to_both_stores(
    process: Process, proxy: FaultProxy, redis_manager: RedisManager
) -> None:
    await take_away(process, proxy)
    assert await process.claim(request("c1", "So1", 7, 8), cursor=FeedCursor(source=SOURCE, position=5)) == [{7, 8}]
    assert process.spool.is_local
    entries = await process.hands.read()
    assert [pair_of(e) for e in entries] == [(7, "c1"), (8, "c1")]
    assert all(e.is_local and not e.may_repeat for e in entries)
    assert await process.outbox.load_call(entries[0].alert) == request("c1", "So1").call_payload
    for entry in tuple(entries):
        await process.outbox.begin([entry])
        await process.finish(entry)

    await come_back(process, proxy)
    assert (process.spool.is_local, process.spool.waiting, process.spool.local_alerts) == (False, 0, 0)
    assert await redis_manager.exists("processed_token:So1:7", "processed_token:So1:8") == 2
    assert await process.outbox.cursor(SOURCE) == 5
    assert await process.outbox.size() == 0
    assert await process.hands.read() == []
    assert await accepted_in_postgres(process) == {(7, "c1"), (8, "c1")}
    assert await process.fates() == {(7, "c1"): "sent", (8, "c1"): "sent"}
    # From now on Redis is asked again, and knows them.
    assert await process.claim(request("c2", "So1", 7, 9)) == [{9}]
    assert process.spool.waiting == 0


async def test_local_alerts_that_are_not_sent_yet_stay_local_after_the_merge(
    process: Process, proxy: FaultProxy
) -> None:
    await take_away(process, proxy)
    await process.claim(request("c1", "So1", 7))
    [entry] = await process.hands.read()
    await come_back(process, proxy)
    assert await process.outbox.size() == process.spool.local_alerts == 1
    await process.outbox.begin([entry])
    await process.finish(entry)
    assert process.spool.waiting == 1  # what settles a local alert is written down with it
    await process.spool.merge()
    await process.journal.drain_all()
    assert await process.fates() == {(7, "c1"): "sent"}
    assert await process.outbox.size() == 0


async def test_an_alert_whose_claim_lost_its_reply_leaves_once(process: Process, proxy: FaultProxy) -> None:
    await process.claim(request("c0", "So0", 1))  # the server knows the script
    proxy.lose_reply_to(b"EVALSHA")
    with pytest.raises(RedisUnavailableError):
        await process.claim(request("c1", "So1", 7, 8))
    await take_away(process, proxy)
    assert await process.claim(request("c1", "So1", 7, 8)) == [{7, 8}]
    entries = await process.hands.read()
    assert [pair_of(e) for e in entries] == [(7, "c1"), (8, "c1")]
    await process.finish(*entries)
    await come_back(process, proxy)
    # Of the twins in the outbox nothing is left, and the others are untouched.
    assert [pair_of(e) for e in await process.hands.read()] == [(1, "c0")]
    assert await process.outbox.size() == 1


async def test_what_a_sender_has_is_not_claimed_again_without_redis(process: Process, proxy: FaultProxy) -> None:
    await process.claim(request("c0", "So0", 1))
    proxy.lose_reply_to(b"EVALSHA")
    with pytest.raises(RedisUnavailableError):
        await process.claim(request("c1", "So1", 7, 8))
    entries = await process.hands.read()
    assert [pair_of(e) for e in entries] == [(1, "c0"), (7, "c1"), (8, "c1")]
    await take_away(process, proxy)
    assert await process.claim(request("c1", "So1", 7, 8)) == [set()]
    assert process.spool.local_alerts == 0
    await process.finish(*entries)
    await come_back(process, proxy)
    assert await process.hands.read() == []
    assert await process.outbox.size() == 0
    assert await accepted_in_postgres(process) == {(1, "c0"), (7, "c1"), (8, "c1")}


async def test_whom_postgres_knows_is_not_claimed_again_without_redis(process: Process, proxy: FaultProxy) -> None:
    await process.claim(request("c1", "So1", 7))
    await process.journal.drain_all()
    await take_away(process, proxy)
    assert await process.claim(request("c2", "So1", 7, 8), request("c3", "So2", 7)) == [{8}, {7}]
    await come_back(process, proxy)
    assert await process.outbox.size() == 3
    assert sorted(map(pair_of, await process.hands.read() + await process.hands.read()))


async def test_with_postgres_away_as_well_the_matchers_memory_has_to_do(
    process: Process, proxy: FaultProxy, path: Path
) -> None:
    nowhere = PostgresManager("postgresql://postgres@/postgres?host=/nonexistent")
    async with process_on(proxy.redis_url, nowhere, path.with_name("other.sqlite")) as other:
        await other.start()
        await take_away(other, proxy)
        assert await other.claim(request("c1", "So1", 7)) == [{7}]
        assert [pair_of(e) for e in await other.hands.read()] == [(7, "c1")]
    assert not process.spool.is_local


@pytest.mark.parametrize("was_begun", [False, True])
async def test_the_next_process_takes_up_what_a_killed_one_left_locally(
    proxy: FaultProxy,
    postgres_manager: PostgresManager,
    path: Path,
    was_begun: bool,  # noqa: FBT001 - a parameter
) -> None:
    async with process_on(proxy.redis_url, postgres_manager, path) as killed:
        await killed.start()
        await take_away(killed, proxy)
        await killed.claim(request("c1", "So1", 7), request("c2", "So2", 8))
        entries = await killed.hands.read()
        if was_begun:
            await killed.outbox.begin(entries[:1])
    await proxy.repair()
    async with process_on(proxy.redis_url, postgres_manager, path) as process:
        await process.start()
        found = await process.hands.read()
        assert [(pair_of(e), e.may_repeat) for e in found] == [((7, "c1"), was_begun), ((8, "c2"), False)]
        assert await process.outbox.load_call(found[1].alert) == request("c2", "So2").call_payload
        assert await process.claim(request("c3", "So1", 7)) == [set()]
        await process.finish(*found)
        await process.spool.merge()
        await process.journal.drain_all()
        assert await process.fates() == {(7, "c1"): "sent", (8, "c2"): "sent"}
        assert await process.outbox.size() == 0


async def test_what_was_begun_without_redis_may_repeat_after_a_kill(
    proxy: FaultProxy, postgres_manager: PostgresManager, path: Path
) -> None:
    async with process_on(proxy.redis_url, postgres_manager, path) as killed:
        await killed.start()
        await killed.claim(request("c1", "So1", 7, 8))
        entries = await killed.hands.read()
        await take_away(killed, proxy)
        await killed.claim(request("c2", "So2", 9))
        await killed.outbox.begin(entries[:1])
    await proxy.repair()
    async with process_on(proxy.redis_url, postgres_manager, path) as process:
        process.leases.owner = "the same, later"  # its number is another one
        await process.redis.transaction([("DEL", *(keys.LEASE.of(f"send:{p}") for p in range(PARTITIONS)))])
        await process.start()
        found = {pair_of(e): e.may_repeat for e in await process.hands.read() + await process.hands.read()}
        assert found == {(7, "c1"): True, (8, "c1"): False, (9, "c2"): False}
        assert process.store.refused == 0


async def replay_twice(process: Process, proxy: FaultProxy) -> None:
    """Bring everything to Redis, lose what came of it, and bring it again."""
    await proxy.repair()
    operations = await process.store.first(1_000)
    await process.spool.replay_all()
    await process.store.append([one.operation for one in operations if one.operation is not None])
    await process.spool.merge()


async def test_holding_a_local_alert_reaches_redis_once(process: Process, proxy: FaultProxy) -> None:
    await process.claim(request("c0", "So0", 7))
    await take_away(process, proxy)
    await process.claim(request("c1", "So1", 7), request("c2", "So2", 7))
    entries = await process.hands.read()
    assert len(entries) == 2
    for entry in tuple(entries):
        await process.hold(entry)
    assert process.spool.local_alerts == 0
    await replay_twice(process, proxy)
    held = await process.held.of(7)
    assert [call.call_id for call in held] == ["c1", "c2"]
    await process.journal.drain_all()
    assert await process.fates() == {(7, "c1"): "digest", (7, "c2"): "digest"}
    # Once its digest went out, no replay brings a call back.
    assert await process.held.dispatch(7, held, held[0].held_at) is not None
    [entry] = [e for e in await process.hands.read() if e.outgoing.kind == "alert"]
    assert pair_of(entry) == (7, "c0")


async def test_a_held_call_does_not_come_back_after_its_digest(process: Process, proxy: FaultProxy) -> None:
    await take_away(process, proxy)
    await process.claim(request("c1", "So1", 7))
    [entry] = await process.hands.read()
    await process.hold(entry)
    await proxy.repair()
    operations = [one.operation for one in await process.store.first(100) if one.operation is not None]
    await process.spool.merge()
    await process.held.dispatch(7, await process.held.of(7), entry.alert.decided_at)
    await process.store.append(operations)
    await process.spool.merge()
    assert await process.held.of(7) == []
    assert await process.outbox.size() == 1


async def test_burying_a_local_alert_reaches_redis_once(
    process: Process, proxy: FaultProxy, redis_manager: RedisManager
) -> None:
    await take_away(process, proxy)
    await process.claim(request("c1", "So1", 7))
    [entry] = await process.hands.read()
    await process.dead_letter(entry)
    await replay_twice(process, proxy)
    dead_letters = (await DeadLetters(redis_manager, Metrics()).page()).dead_letters
    assert [(letter.outgoing, letter.reason) for letter in dead_letters] == [(entry.alert, "refused")]
    await process.journal.drain_all()
    assert await process.fates() == {(7, "c1"): "dead"}


async def test_entries_of_both_stores_are_settled_together(process: Process, proxy: FaultProxy) -> None:
    await process.claim(request("c1", "So1", 7))
    await process.hands.read()
    await take_away(process, proxy)
    await process.claim(request("c2", "So2", 7))
    entries = await process.hands.read()
    assert [e.is_local for e in entries] == [False, True]
    await process.outbox.begin(entries)
    await process.outbox.give_back(entries)
    await process.outbox.begin(entries)
    await process.finish(*entries)
    await come_back(process, proxy)
    assert await process.outbox.size() == 0
    assert await process.redis.exists(keys.IN_FLIGHT.of(partition_of(7))) == 0
    await process.journal.drain_all()
    assert await process.fates() == {(7, "c1"): "sent", (7, "c2"): "sent"}


async def test_what_was_finished_without_redis_is_not_found_as_lost_before_the_merge(
    process: Process, proxy: FaultProxy
) -> None:
    await process.claim(request("c1", "So1", 7))
    [entry] = await process.hands.read()
    await take_away(process, proxy)
    await process.finish(entry)
    await proxy.repair()
    await process.redis.ping()
    assert process.spool.waiting == 1
    assert await process.outbox.recover("anna", min_idle_s=0.001) == []


async def test_a_full_store_holds_claims_back_and_goes_on_when_redis_is_there(
    proxy: FaultProxy, postgres_manager: PostgresManager, path: Path
) -> None:
    async with process_on(proxy.redis_url, postgres_manager, path, max_operations=3) as process:
        await process.start()
        await take_away(process, proxy)
        for number in range(3):
            assert await process.claim(request(f"c{number}", f"So{number}", 7)) == [{7}]
        for _ in range(2):
            with pytest.raises(LocalStoreError, match="full"):
                await process.claim(request("c3", "So3", 7))
        # What is in it gets out: the store is full of claims, not of alerts.
        entries = await process.hands.read()
        assert len(entries) == 3
        await process.outbox.begin(entries[:1])
        await process.finish(entries[0])
        with pytest.raises(LocalStoreError, match="full"):
            await process.claim(request("c3", "So3", 7))
        await come_back(process, proxy)
        assert await process.claim(request("c3", "So3", 7)) == [{7}]
        assert sorted(map(pair_of, await process.hands.read())) == [(7, "c1"), (7, "c2"), (7, "c3")]


async def test_only_who_has_worked_with_redis_goes_on_without_it(
    proxy: FaultProxy, postgres_manager: PostgresManager, path: Path
) -> None:
    async with process_on(proxy.redis_url, postgres_manager, path) as process:
        await take_away(process, proxy)
        with pytest.raises(RedisUnavailableError):
            await process.spool.execute(Transaction(commands=[("SET", "a", "1")]))
        assert process.spool.waiting == 0


async def test_who_is_not_alone_or_has_no_store_waits_for_redis(
    process: Process, proxy: FaultProxy, redis_manager: RedisManager
) -> None:
    setting = Transaction(commands=[("SET", "a", "1")])
    accompanied = Spool(process.redis, store=process.store, is_alone=lambda: False)
    storeless = spool_on(process.redis)
    for spool in (accompanied, storeless):
        await spool.begin()
        assert await spool.execute(setting) == [b"OK"]
    await take_away(process, proxy)
    for spool in (accompanied, storeless):
        with pytest.raises(RedisUnavailableError):
            await spool.execute(setting)
        assert not spool.is_local
        assert spool.waiting == 0
    await redis_manager.delete("a")


async def test_a_single_failure_is_no_outage(process: Process, proxy: FaultProxy) -> None:
    await process.claim(request("c0", "So0", 1))
    proxy.lose_reply_to(b"EVALSHA")
    with pytest.raises(RedisUnavailableError):
        await process.claim(request("c1", "So1", 7))
    assert await process.claim(request("c1", "So1", 7)) == [{7}]
    assert not process.spool.is_local


async def test_the_job_brings_everything_back_by_itself(process: Process, proxy: FaultProxy) -> None:
    merged = asyncio.Event()
    refills = 0

    async def refill(_progress: Progress) -> None:
        nonlocal refills
        refills += 1
        if not process.redis.is_unavailable:
            merged.set()

    await take_away(process, proxy)
    await process.claim(request("c1", "So1", 7))
    job = asyncio.create_task(process.spool.run(lambda: None, refill))
    try:
        await proxy.repair()
        await process.redis.ping()  # as `RedisManager.run` does
        async with asyncio.timeout(10):
            await merged.wait()
            await until(lambda: not process.spool.is_local)
        assert await process.redis.exists("processed_token:So1:7") == 1
        assert refills >= 1
    finally:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job


async def test_claims_go_on_while_others_merge(
    process: Process, proxy: FaultProxy, redis_manager: RedisManager
) -> None:
    """Whatever comes while operations are being brought to Redis comes after them, and nothing waits for ever."""
    await take_away(process, proxy)
    for number in range(100):
        await process.claim(request(f"c{number}", f"So{number}", 7))
    await proxy.repair()
    await process.redis.ping()

    async def claim_on() -> None:
        for number in range(100, 140):
            assert await process.claim(request(f"c{number}", f"So{number}", 7)) == [{7}]

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(claim_on())
        for _ in range(3):
            group.create_task(process.spool.merge())
    await process.spool.merge()
    assert await accepted_in_redis(redis_manager) == 140
    assert await process.outbox.size() == 140
    assert len(await accepted_in_postgres(process)) == 140


async def test_two_replays_at_once_keep_the_order(process: Process, proxy: FaultProxy) -> None:
    await take_away(process, proxy)
    for number in range(60):
        await process.spool.execute(Transaction(commands=[("RPUSH", "order", number)]))
    await proxy.repair()
    await asyncio.gather(*(process.spool.replay_all() for _ in range(3)))
    [order] = await process.redis.transaction([("LRANGE", "order", 0, -1)])
    assert order == [b"%d" % number for number in range(60)]


# the gate


async def test_who_closes_the_gate_is_alone() -> None:
    gate = Gate()
    seen: list[str] = []
    leave = asyncio.Event()

    async def inside(name: str) -> None:
        async with gate:
            seen.append(f"{name} in")
            await leave.wait()
            seen.append(f"{name} out")

    async def closing() -> None:
        async with gate.closed():
            seen.append("alone")
            await asyncio.sleep(0)
            seen.append("done")

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(inside("a"))
        group.create_task(inside("b"))
        await asyncio.sleep(0)
        group.create_task(closing())
        group.create_task(closing())
        await asyncio.sleep(0)
        group.create_task(inside("c"))
        await asyncio.sleep(0)
        assert seen == ["a in", "b in"]
        leave.set()
    assert seen.index("alone") > seen.index("b out")
    assert [seen[i + 1] for i, word in enumerate(seen) if word == "alone"] == ["done", "done"]
    assert seen.index("done") < seen.index("c in")


async def test_whoever_gives_up_at_the_gate_keeps_nobody_waiting() -> None:
    gate = Gate()
    leave = asyncio.Event()

    async def inside() -> None:
        async with gate:
            await leave.wait()

    async def closing() -> None:
        async with gate.closed():
            pass

    first = asyncio.create_task(inside())
    await asyncio.sleep(0)
    gives_up = asyncio.create_task(closing())
    await asyncio.sleep(0)
    leave_later = [asyncio.create_task(inside()) for _ in range(3)]
    await asyncio.sleep(0)
    gives_up.cancel()
    leave_later[0].cancel()
    leave.set()
    async with asyncio.timeout(5):
        done = await asyncio.gather(first, gives_up, *leave_later, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in done] == [False, True, True, False, False]
        await closing()
        await inside()
