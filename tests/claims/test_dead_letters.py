from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.stored.alerts import Alert
from domain.subscribers.partitions import PARTITIONS, partition_of
from managers.redis.client import RedisManager, RedisReplyError, RedisUnavailableError
from runtime.errors import UserFacingError
from services.claims.dead_letters import NEWEST, DeadLetters, Replayed
from services.monitoring.metrics import Metrics
from services.stores import keys
from tests.faults.proxy import FaultProxy
from tests.wiring import add_entry

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DEAD = keys.DEAD_LETTERS.of()


def alert_of(user_id: int, call_id: str = "c1") -> bytes:
    alert = Alert(
        user_id=user_id, call_id=call_id, token_address="So1", set_number=1, received_at=NOW, decided_at=NOW, late_s=3.5
    )
    return msgspec.json.encode(alert)


async def dead_letter(redis: RedisManager, alert: bytes, reason: str = "message is too long") -> str:
    now_ms = int(NOW.timestamp() * 1000)
    return await add_entry(redis, DEAD, {"alert": alert, "reason": reason, "buried_at_ms": now_ms})


async def waiting(redis: RedisManager) -> dict[int, list[bytes]]:
    """Alerts in the outboxes, by partition."""
    found = {p: await redis.xrange(keys.OUTBOX.of(p), count=10_000) for p in range(PARTITIONS)}
    return {p: [entry.fields["alert"] for entry in entries] for p, entries in found.items() if entries}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def dead_letters(redis_manager: RedisManager, metrics: Metrics) -> DeadLetters:
    return DeadLetters(redis_manager, metrics)


async def test_a_letter_says_whose_it_was_and_why_it_died(
    dead_letters: DeadLetters, redis_manager: RedisManager
) -> None:
    entry_id = await dead_letter(redis_manager, alert_of(7))
    [letter] = (await dead_letters.page()).dead_letters
    assert (letter.entry_id, letter.reason, letter.dead_lettered_at) == (entry_id, "message is too long", NOW)
    assert letter.outgoing
    assert msgspec.json.encode(letter.outgoing) == alert_of(7)


async def test_a_letter_goes_once_however_often_it_is_sent_again(
    dead_letters: DeadLetters, redis_manager: RedisManager, metrics: Metrics
) -> None:
    entry_id = await dead_letter(redis_manager, alert_of(23))
    assert [await dead_letters.replay(entry_id) for _ in range(3)] == ["replayed", "gone", "gone"]
    assert await waiting(redis_manager) == {partition_of(23): [alert_of(23)]}
    assert await dead_letters.count() == 0
    assert metrics.counts.alerts_replayed == 1


async def test_whoever_asks_at_the_same_moment_gets_it_sent_once(
    dead_letters: DeadLetters, redis_manager: RedisManager
) -> None:
    entry_id = await dead_letter(redis_manager, alert_of(23))
    outcomes = await asyncio.gather(*(dead_letters.replay(entry_id) for _ in range(8)), dead_letters.replay_all())
    assert outcomes.count("replayed") + outcomes.count(Replayed(replayed=1, unreadable=0)) == 1
    assert await waiting(redis_manager) == {partition_of(23): [alert_of(23)]}


async def test_a_replay_whose_answer_was_lost_may_be_asked_again(redis_url: str, redis_manager: RedisManager) -> None:
    entry_id = await dead_letter(redis_manager, alert_of(23))
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url, max_connections=1) as lossy:
        dead_letters = DeadLetters(lossy, Metrics())
        proxy.lose_reply_to(b"XADD")
        with pytest.raises(RedisUnavailableError):
            await dead_letters.replay(entry_id)
        assert proxy.lost == 1
        assert await dead_letters.replay(entry_id) == "gone"
    assert await waiting(redis_manager) == {partition_of(23): [alert_of(23)]}


async def test_a_letter_that_the_outbox_refuses_stays(dead_letters: DeadLetters, redis_manager: RedisManager) -> None:
    entry_id = await dead_letter(redis_manager, alert_of(23))
    await redis_manager.set(keys.OUTBOX.of(partition_of(23)), "no stream")
    with pytest.raises(RedisReplyError):
        await dead_letters.replay(entry_id)
    assert await dead_letters.count() == 1


@pytest.mark.parametrize("alert", [b"", b"\xff not json", b"{}", b"[1]"])
async def test_an_unreadable_letter_can_only_be_discarded(
    dead_letters: DeadLetters, redis_manager: RedisManager, alert: bytes
) -> None:
    entry_id = await dead_letter(redis_manager, alert, "unreadable")
    assert (await dead_letters.page()).dead_letters[0].outgoing is None
    assert await dead_letters.replay(entry_id) == "unreadable"
    assert await dead_letters.replay_all() == Replayed(replayed=0, unreadable=1)
    assert await waiting(redis_manager) == {}
    assert [await dead_letters.discard(entry_id) for _ in range(2)] == [True, False]
    assert await dead_letters.count() == 0


async def test_a_letter_of_another_hand_is_shown_too(dead_letters: DeadLetters, redis_manager: RedisManager) -> None:
    entry_id = await add_entry(redis_manager, DEAD, {"something": "else"})
    [letter] = (await dead_letters.page()).dead_letters
    assert (letter.outgoing, letter.reason) == (None, "")
    assert int(letter.dead_lettered_at.timestamp() * 1000) == int(entry_id.partition("-")[0])


async def test_all_go_to_the_outbox_of_their_subscriber(dead_letters: DeadLetters, redis_manager: RedisManager) -> None:
    for user_id in range(250):
        await dead_letter(redis_manager, alert_of(user_id))
    await dead_letter(redis_manager, b"?")
    assert await dead_letters.replay_all() == Replayed(replayed=250, unreadable=1)
    assert await dead_letters.replay_all() == Replayed(replayed=0, unreadable=1)
    assert await waiting(redis_manager) == {
        p: [alert_of(user_id) for user_id in range(250) if partition_of(user_id) == p] for p in range(PARTITIONS)
    }


async def test_what_died_after_the_question_is_not_meant(
    dead_letters: DeadLetters, redis_manager: RedisManager
) -> None:
    asked = await dead_letter(redis_manager, alert_of(1))
    later = await dead_letter(redis_manager, alert_of(2))
    assert (await dead_letters.replay_all(asked)).replayed == 1
    assert [letter.entry_id for letter in (await dead_letters.page()).dead_letters] == [later]
    assert await dead_letters.replay_all(asked) == Replayed(replayed=0, unreadable=0)


async def test_nothing_dead_nothing_sent(dead_letters: DeadLetters) -> None:
    page = await dead_letters.page()
    assert (page.dead_letters, page.newer, page.older) == ((), None, None)
    assert await dead_letters.replay_all() == Replayed(replayed=0, unreadable=0)


@pytest.mark.parametrize(
    "forged",
    [
        "-",
        "+",
        "$",
        "0",
        "0-0",
        "1",
        "1-",
        "-1",
        "(1-1",
        "1-01",
        "01-1",
        "٣-1",
        " 1-1",
        "1-1\n",
        "9" * 19 + "-1",
        "x-y",
    ],
)
async def test_an_id_that_redis_never_gave_is_a_stale_button(
    dead_letters: DeadLetters, redis_manager: RedisManager, forged: str
) -> None:
    await dead_letter(redis_manager, alert_of(1))
    for use in (dead_letters.page, dead_letters.replay, dead_letters.replay_all, dead_letters.discard):
        with pytest.raises(UserFacingError, match="stale"):
            await use(forged)
    assert await dead_letters.count() == 1


async def test_the_longest_ids_are_looked_up_like_any(dead_letters: DeadLetters, redis_manager: RedisManager) -> None:
    await dead_letter(redis_manager, alert_of(1))
    for entry_id in ("1-0", "999999999999999-999999999"):
        assert await dead_letters.replay(entry_id) == "gone"
        assert not await dead_letters.discard(entry_id)
        assert len((await dead_letters.page(entry_id)).dead_letters) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(total=st.integers(0, 12), count=st.integers(1, 4), gone=st.sets(st.integers(0, 11), max_size=6))
async def test_turning_pages_shows_every_letter_once_there_and_back(
    redis_url: str, total: int, count: int, gone: set[int]
) -> None:
    async with RedisManager(redis_url, max_connections=1) as redis:
        await redis.delete(DEAD)
        dead_letters = DeadLetters(redis, Metrics())
        ids = [await dead_letter(redis, alert_of(number)) for number in range(total)]
        left = [
            entry_id
            for number, entry_id in enumerate(ids)
            if number not in gone or not await dead_letters.discard(entry_id)
        ]
        newest_first = left[::-1]
        starts, shown = [NEWEST], list[str]()
        page = await dead_letters.page(NEWEST, count)
        while True:
            shown += [letter.entry_id for letter in page.dead_letters]
            if page.older is None:
                break
            starts.append(page.older)
            page = await dead_letters.page(page.older, count)
        assert shown == newest_first
        while page.newer is not None:
            starts.pop()
            assert page.newer == starts[-1]
            page = await dead_letters.page(page.newer, count)
        assert starts == [NEWEST]
