from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.events import Call, Channel, Token
from domain.stored.journal import DeliveryRecord
from domain.subscribers.partitions import PARTITIONS, partition_of
from managers.redis.client import RedisManager, RedisUnavailableError
from managers.storage.postgres import PostgresManager
from services.claims.accepted_pairs import AcceptedPairs
from services.claims.claiming import CheckedChannel
from services.claims.dead_letters import DeadLetters
from services.claims.outbox import Alert, ClaimRequest, FeedCursor, Outbox, OutboxEntry
from services.claims.stored_calls import StoredCalls
from services.cluster.fencing import LeaseLostError
from services.monitoring.metrics import Metrics
from services.stores import keys
from services.stores.journal import Journal
from tests.faults.proxy import FaultProxy
from tests.wiring import add_entry, outbox_on, spool_on

NOW = datetime.now(UTC).replace(microsecond=0)
NOWHERE = PostgresManager("postgresql://postgres@/postgres?host=/nonexistent")


@pytest.fixture
def outbox(redis_manager: RedisManager) -> Outbox:
    return outbox_on(redis_manager, NOWHERE)


def call_of(call_id: str, address: str) -> Call:
    return Call(
        id=call_id,
        token=Token(address=address),
        channel=Channel(id="@alpha"),
        called_at=NOW,
        received_at=NOW + timedelta(seconds=1),
    )


def checked(channel_id: str, *, is_first: bool = False) -> CheckedChannel:
    return CheckedChannel(channel_id=channel_id, called_at=NOW, at=NOW + timedelta(seconds=2), is_first=is_first)


def request(call_id: str, address: str, *users: int, channel: CheckedChannel | None = None) -> ClaimRequest:
    return ClaimRequest(
        call_id=call_id,
        token_address=address,
        call_payload=msgspec.json.encode(call_of(call_id, address)),
        decided_payload=b"{}",
        accepted=[(user, 1) for user in users],
        accepted_record=json.dumps({"status": "accepted", "timestamp": call_id}).encode(),
        checked=channel or checked("@alpha", is_first=True),
        received_at=NOW + timedelta(seconds=1),
        decided_at=NOW + timedelta(seconds=2),
    )


def claimed(call_id: str, late_s: float | None = None) -> Alert:
    at = NOW + timedelta(seconds=2)
    return Alert(
        user_id=7,
        call_id=call_id,
        token_address="So1",
        set_number=1,
        received_at=at,
        decided_at=at,
        late_s=late_s,
    )


def delivered(entry: OutboxEntry) -> DeliveryRecord:
    alert = entry.alert
    return DeliveryRecord(
        call_id=alert.call_id,
        user_id=alert.user_id,
        set_number=alert.set_number,
        status="sent",
        message_id=5,
        decided_at=alert.decided_at,
        sent_at=alert.decided_at,
        may_repeat=entry.may_repeat,
    )


async def everything(redis: RedisManager) -> dict[str, object]:
    """All of Redis, times to live aside."""
    found: dict[str, object] = {}
    names = [name async for batch in redis.scan("*") for name in batch]
    for name in names:
        if name.startswith("outbox:") or name in {"journal", "dead_letters"}:
            found[name] = [(e.id, e.fields) for e in await redis.xrange(name, count=10_000)]
        elif name == "fences" or (name.startswith("processed_token:") and name.count(":") == 1):
            found[name] = await redis.hgetall(name)
        else:
            found[name] = await redis.get(name)
    return found


def iso(at: datetime) -> bytes:
    return at.isoformat().replace("+00:00", "Z").encode()


async def test_a_claim_writes_all_or_nothing_of_it(outbox: Outbox, redis_manager: RedisManager) -> None:
    trips = redis_manager.round_trips
    accepted = await outbox.claim(
        [request("c1", "So1", 7, 8), request("c2", "So2"), request("c3", "So2", channel=checked("@beta"))],
        FeedCursor(source="native", position=41),
    )
    # The script is new to the server: one more trip, once.
    assert redis_manager.round_trips <= trips + 2
    assert accepted == [{7, 8}, set(), set()]
    assert await redis_manager.get("processed_token:So1:7") == request("c1", "So1").accepted_record
    assert set(await redis_manager.hgetall("processed_token:So1")) == {"status", "timestamp", "channel:@alpha"}
    assert await redis_manager.hgetall("processed_token:So2") == {
        "status": b"rejected",
        "timestamp": iso(NOW + timedelta(seconds=2)),
        "channel:@alpha": iso(NOW),
        "channel:@beta": iso(NOW),
    }
    assert await outbox.cursor("native") == 41
    assert await outbox.cursor("other") is None
    assert msgspec.json.decode(await outbox.load_call(claimed("c1")) or b"", type=Call) == call_of("c1", "So1")
    assert await redis_manager.get(keys.CALL.of("c2")) is None
    assert await outbox.size() == 2
    journaled = await redis_manager.xrange(keys.JOURNAL.of())
    # Every decided call is journaled, whoever it was accepted for.
    # A call behind its claims: where PostgreSQL has it, it has them.
    assert [e.fields["kind"] for e in journaled] == [b"claim", b"claim", b"call", b"call", b"call"]


async def test_a_late_claim_keeps_the_figures_on_which_it_passed(outbox: Outbox) -> None:
    await outbox.claim([request("c1", "So1", 7)])
    later = replace(call_of("c1", "So1"), token=Token(address="So1", holders=5))
    late = replace(request("c1", "So1", 8), call_payload=msgspec.json.encode(later), late_s=60.0)
    for _ in range(2):
        assert await outbox.claim([late]) == [{8}]
    assert msgspec.json.decode(await outbox.load_call(claimed("c1")) or b"", type=Call) == call_of("c1", "So1")
    assert msgspec.json.decode(await outbox.load_call(claimed("c1", 60.0)) or b"", type=Call) == later
    assert await outbox.size() == 2


async def test_lifetimes(outbox: Outbox, redis_manager: RedisManager) -> None:
    await outbox.claim([request("c1", "So1", 7)])
    names = ["processed_token:So1:7", "processed_token:So1", "call:c1"]
    left = cast("list[int]", await redis_manager.transaction([("TTL", name) for name in names]))
    since_decided_s = (datetime.now(UTC) - NOW).total_seconds()
    assert abs(left[0] - (14 * 86400 - since_decided_s)) < 60
    assert 3600 - 60 < left[1] <= 3600
    assert left[2] > 14 * 86400 - 60


async def test_the_same_batch_again_changes_nothing_and_answers_the_same(
    outbox: Outbox, redis_manager: RedisManager
) -> None:
    batch = [request("c1", "So1", 7, 8), request("c2", "So2", 7), request("c3", "So1", 7, 9)]
    cursor = FeedCursor(source="native", position=3)
    first = await outbox.claim(batch, cursor)
    assert first == [{7, 8}, {7}, {9}]
    after_first = await everything(redis_manager)
    assert await outbox.claim(batch, cursor) == first
    assert await everything(redis_manager) == after_first
    # Even when the answer is forgotten, nobody gets anything twice.
    await redis_manager.delete(*[name for name in after_first if name.startswith("claim:")])
    assert await outbox.claim(batch, cursor) == [set(), set(), set()]
    for partition in (7, 8, 9):
        name = f"outbox:{partition}"
        assert (await everything(redis_manager))[name] == after_first[name]
    assert (await everything(redis_manager))["journal"] == after_first["journal"]


async def test_a_lost_answer_is_asked_for_again(redis_url: str, redis_manager: RedisManager) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url) as lossy:
        outbox = outbox_on(lossy, NOWHERE)
        await outbox.claim([request("c0", "So0", 1)])
        proxy.lose_reply_to(b"EVALSHA")
        with pytest.raises(RedisUnavailableError):
            await outbox.claim([request("c1", "So1", 7, 8)])
        assert await outbox.claim([request("c1", "So1", 7, 8)]) == [{7, 8}]
        assert await outbox.size() == 3
        entries = await take(outbox, "anna")
        await outbox.begin(entries)
        proxy.lose_reply_to(b"MULTI")
        records = [delivered(e) for e in entries]
        with pytest.raises(RedisUnavailableError):
            await outbox.finish(entries, records)
        await outbox.finish(entries, records)
        assert await outbox.size() == 0
        assert await outbox.recover("anna", min_idle_s=0) == []


async def test_racing_claims_accept_each_pair_once(redis_url: str) -> None:
    async with RedisManager(redis_url) as one, RedisManager(redis_url) as other:
        claims = [
            outbox_on(redis, NOWHERE).claim([request(f"c{n}", "So1", *range(20))])
            for n, redis in enumerate([one, other] * 5)
        ]
        accepted = [users for [users] in await asyncio.gather(*claims)]
        assert sorted(user for users in accepted for user in users) == list(range(20))
        assert await outbox_on(one, NOWHERE).size() == 20


async def test_further_filters_that_passed_stand_with_the_alert_alone_that_has_some(
    outbox: Outbox, redis_manager: RedisManager
) -> None:
    await outbox.claim([replace(request("c1", "So1", 7, 8), also={7: (2, 5)})])
    alerts = {entry.alert.user_id: entry.alert for entry in await take(outbox, "anna")}
    assert (alerts[7].also, alerts[8].also) == ((2, 5), ())
    claims = [e.fields["data"] for e in await redis_manager.xrange(keys.JOURNAL.of()) if e.fields["kind"] == b"claim"]
    assert [json.loads(data).get("also") for data in claims] == [[2, 5], None]
    assert msgspec.json.decode(msgspec.json.encode(alerts[8]), type=Alert) == alerts[8]


async def test_the_cursor_only_grows(outbox: Outbox) -> None:
    await outbox.claim([], FeedCursor(source="native", position=10))
    await outbox.claim([], FeedCursor(source="native", position=9))
    await outbox.claim([], FeedCursor(source="native", position=100))
    assert await outbox.cursor("native") == 100
    assert await outbox.claim([]) == []


async def commands_executed(redis: RedisManager) -> int:
    [stats] = await redis.transaction([("INFO", "commandstats")])
    calls = [
        line.partition(b"calls=")[2].partition(b",")[0]
        for line in cast("bytes", stats).splitlines()
        if b"calls=" in line
    ]
    return sum(map(int, calls))


async def test_work_depends_on_who_is_accepted_alone(outbox: Outbox, redis_manager: RedisManager) -> None:
    await outbox.claim([request("c0", "So0", 1)])
    costs: list[int] = []
    for n, users in enumerate([0, 10, 20], start=1):
        trips, executed = redis_manager.round_trips, await commands_executed(redis_manager)
        await outbox.claim([request(f"c{n}", f"So{n}", *range(users))])
        assert redis_manager.round_trips == trips + 2
        costs.append(await commands_executed(redis_manager) - executed)
    # Each has a record looked at and written, an alert, and a line in the journal.
    assert costs[2] - costs[1] == 40
    assert costs[0] <= 10


async def take(outbox: Outbox, consumer: str) -> list[OutboxEntry]:
    """Like a sender at its start and a little later."""
    recovered = await outbox.recover(consumer)
    return recovered + await outbox.read(consumer, count=100, block_ms=10)


async def test_from_claim_to_finish(outbox: Outbox, redis_manager: RedisManager) -> None:
    await outbox.claim([request("c1", "So1", 7, 8)])
    entries = await take(outbox, "anna")
    assert [(e.alert.user_id, e.alert.call_id, e.alert.set_number) for e in entries] == [(7, "c1", 1), (8, "c1", 1)]
    assert entries[0].alert.decided_at == NOW + timedelta(seconds=2)
    assert not any(e.may_repeat for e in entries)
    await outbox.begin(entries)
    await outbox.finish(entries, [delivered(e) for e in entries])
    assert await outbox.size() == 0
    assert await redis_manager.exists(*map(keys.IN_FLIGHT.of, range(PARTITIONS))) == 0
    journaled = await redis_manager.xrange(keys.JOURNAL.of())
    assert [e.fields["kind"] for e in journaled] == [b"claim", b"claim", b"call", b"delivery", b"delivery"]
    assert await take(outbox, "anna") == []


async def test_only_what_was_in_flight_may_repeat_after_a_crash(outbox: Outbox) -> None:
    await outbox.claim([request("c1", "So1", 1, 2, 3)])
    entries = await take(outbox, "anna")
    await outbox.begin(entries[:2])
    await outbox.give_back(entries[1:2])
    recovered = await outbox.recover("anna")
    assert [(e.alert.user_id, e.may_repeat) for e in recovered] == [(1, True), (2, False), (3, False)]
    # Tried again and surely not sent: the doubt about the first attempt remains.
    await outbox.begin(recovered)
    await outbox.give_back(recovered)
    again = await outbox.recover("anna")
    assert [(e.alert.user_id, e.may_repeat) for e in again] == [(1, True), (2, False), (3, False)]


async def test_the_alerts_of_a_dead_sender_are_taken_over(outbox: Outbox) -> None:
    await outbox.claim([request("c1", "So1", *range(1200))])
    await outbox.prepare()
    taken = [e for _ in range(13) for e in await outbox.read("anna", count=100, block_ms=10)]
    held = {(e.partition, e.entry_id) for e in taken}
    assert len(held) == 1200
    assert await outbox.recover("ben", min_idle_s=3600) == []
    recovered = await outbox.recover("ben", min_idle_s=0)
    assert {(e.partition, e.entry_id) for e in recovered} == held
    assert await outbox.recover("anna", min_idle_s=3600) == []


async def test_burying_is_done_once(outbox: Outbox, redis_manager: RedisManager) -> None:
    await outbox.claim([request("c1", "So1", 7)])
    [entry] = await take(outbox, "anna")
    await outbox.begin([entry])
    record = replace(delivered(entry), status="dead", reason="message is too long")
    await outbox.dead_letter(entry, "message is too long", [record])
    await outbox.dead_letter(entry, "message is too long", [record])
    [letter] = (await DeadLetters(redis_manager, Metrics()).page()).dead_letters
    assert (letter.outgoing, letter.reason) == (entry.alert, "message is too long")
    assert await outbox.size() == 0
    assert await redis_manager.exists(*map(keys.IN_FLIGHT.of, range(PARTITIONS))) == 0
    journaled = await redis_manager.xrange(keys.JOURNAL.of())
    record = msgspec.json.decode(journaled[-1].fields["data"], type=DeliveryRecord)
    assert (len(journaled), record.status, record.reason) == (3, "dead", "message is too long")


async def test_an_unreadable_alert_is_buried_and_blocks_nobody(outbox: Outbox, redis_manager: RedisManager) -> None:
    await add_entry(redis_manager, keys.OUTBOX.of(partition_of(7)), {"alert": b"\xff not json"})
    await outbox.claim([request("c1", "So1", 7)])
    assert [e.alert.user_id for e in await take(outbox, "anna")] == [7]
    [letter] = (await DeadLetters(redis_manager, Metrics()).page()).dead_letters
    assert letter.outgoing is None
    assert letter.reason.startswith("unreadable")


async def test_a_redis_that_was_emptied_brings_nothing_until_it_is_filled(
    outbox: Outbox, redis_manager: RedisManager
) -> None:
    await take(outbox, "anna")
    await redis_manager.transaction([("FLUSHALL",)])
    await outbox.claim([request("c1", "So1", 7)])
    assert await outbox.read("anna", count=10, block_ms=10) == []
    await outbox.prepare()
    assert [e.alert.user_id for e in await outbox.read("anna", count=10, block_ms=10)] == [7]


# What a batch may hold: few tokens and users, so that they meet often.
batches = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 4))), min_size=1, max_size=3),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches, repeats=st.lists(st.booleans(), min_size=5, max_size=5), crash_after=st.integers(0, 3))
async def test_whatever_is_claimed_repeated_and_killed_each_pair_arrives_once(
    redis_url: str, batches: list[list[tuple[int, set[int]]]], repeats: list[bool], crash_after: int
) -> None:
    async with RedisManager(redis_url, max_connections=2) as redis:
        await redis.transaction([("FLUSHALL",)])
        outbox = outbox_on(redis, NOWHERE)
        wanted: dict[tuple[str, int], str] = {}
        for number, batch in enumerate(batches):
            requests = [
                request(f"c{number}.{position}", f"So{token}", *sorted(users))
                for position, (token, users) in enumerate(batch)
            ]
            answers = await outbox.claim(requests)
            if repeats[number]:
                assert await outbox.claim(requests) == answers
            for one, users in zip(requests, answers, strict=True):
                fresh = {user for user, _ in one.accepted if (one.token_address, user) not in wanted}
                assert users == fresh
                wanted |= {(one.token_address, user): one.call_id for user in fresh}

        sent: list[OutboxEntry] = []
        entries = await take(outbox, "anna")
        for entry in entries[:crash_after]:
            await outbox.begin([entry])
            await outbox.finish([entry], [delivered(entry)])
            sent.append(entry)
        if entries[crash_after:]:
            await outbox.begin(entries[crash_after : crash_after + 1])
        after_crash = await take(outbox, "anna")
        assert [e.may_repeat for e in after_crash] == [True] * bool(after_crash) + [False] * (len(after_crash) - 1)
        await outbox.finish(after_crash, [delivered(e) for e in after_crash])
        sent += after_crash
        assert sorted((e.alert.token_address, e.alert.user_id, e.alert.call_id) for e in sent) == sorted(
            (token, user, call_id) for (token, user), call_id in wanted.items()
        )
        assert await outbox.size() == 0


# Partitions and those who own them


async def test_a_sender_reads_and_recovers_its_partitions_alone(outbox: Outbox) -> None:
    await outbox.claim([request("c1", "So1", *range(2 * PARTITIONS))])
    await outbox.prepare()
    assert await outbox.size({3, 4}) == 4
    assert sorted(e.alert.user_id for e in await outbox.read("anna", 99, 10, {3, 4})) == [3, 4, 19, 20]
    assert sorted(e.alert.user_id for e in await outbox.recover("ben", {4, 5})) == [4, 20]
    assert sorted(e.alert.user_id for e in await outbox.read("ben", 99, 10, {4, 5})) == [5, 21]
    assert await outbox.read("ben", 99, 10, ()) == []


async def test_who_lost_his_lease_claims_and_begins_nothing(redis_manager: RedisManager) -> None:
    fences = {"match:7": 1, "send:7": 1}
    old = fenced_outbox(redis_manager, dict(fences))
    await redis_manager.hset(keys.FENCES.of(), fences)
    assert await old.claim([request("c1", "So1", 7)]) == [{7}]
    entries = await take(old, "anna")
    await old.begin(entries)
    await old.give_back(entries)

    new = fenced_outbox(redis_manager, {"match:7": 2, "send:7": 2})
    await redis_manager.hset(keys.FENCES.of(), {"match:7": 2, "send:7": 2})
    before = await everything(redis_manager)
    with pytest.raises(LeaseLostError):
        await old.claim([request("c2", "So2", 7)], FeedCursor(source="native", position=9), {7: "5-1"})
    with pytest.raises(LeaseLostError):
        await old.claim([request("c1", "So1", 7)])  # not even the answer that it got before
    with pytest.raises(LeaseLostError):
        await old.begin(entries)
    assert await everything(redis_manager) == before
    assert await redis_manager.hgetall(keys.IN_FLIGHT.of(7)) == {}

    assert await new.claim([request("c2", "So2", 7)]) == [{7}]
    assert [e.may_repeat for e in await new.recover("ben", {7})] == [False]
    # An emptied Redis knows no owner at all: nobody acts before it was told again.
    await redis_manager.transaction([("FLUSHALL",)])
    with pytest.raises(LeaseLostError):
        await new.claim([request("c3", "So3", 7)])
    assert await everything(redis_manager) == {}


async def test_one_of_several_leases_that_is_lost_stops_the_whole_claim(redis_manager: RedisManager) -> None:
    await redis_manager.hset(keys.FENCES.of(), {"match:7": 1, "match:8": 5})
    with pytest.raises(LeaseLostError, match="match:8"):
        await fenced_outbox(redis_manager, {"match:7": 1, "match:8": 4}).claim([request("c1", "So1", 7)])
    assert await redis_manager.exists(keys.OUTBOX.of(7), "processed_token:So1:7") == 0


def fenced_outbox(redis: RedisManager, numbers: dict[str, int]) -> Outbox:
    """Whoever holds these leases under these numbers, as far as they know."""
    return Outbox(
        redis,
        Journal(redis, NOWHERE),
        spool_on(redis),
        StoredCalls(redis, NOWHERE),
        AcceptedPairs(NOWHERE),
        match_fences=lambda: {name: number for name, number in numbers.items() if name.startswith("match")},
        send_fences=lambda partition: {f"send:{partition}": numbers[f"send:{partition}"]},
    )
