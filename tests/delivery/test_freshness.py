"""What waited too long, or could not be delivered, comes in as few digests as possible; nothing is given up for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from domain.calls.lifetimes import FRESH_FOR
from domain.delivery.policy import MAX_UNREACHABLE_WAIT, Hold
from domain.filters.registry import Range
from domain.subscribers.partitions import partition_of
from domain.subscribers.subscriber import Destination, QuietHours
from runtime.errors import (
    ChatMigratedError,
    DeliveryError,
    FloodError,
    MessageRefusedError,
    NotSentError,
    OutcomeUnknownError,
    RecipientGoneError,
    TopicGoneError,
    TransientError,
)
from sandbox.telegram.faults import Fault
from services.delivery.digest_lines import CALLS_SHOWN
from services.delivery.digests import GATHERED_FOR
from services.delivery.held import Holding
from services.delivery.sending import ChatTarget
from services.delivery.turns import QueuedMessage
from services.schedule.due_times import DIGEST
from services.stores import keys
from tests.delivery.kit import AT_ONCE, NOW, Way, call_of, claim_of, entries_of, texts_of, way_of, whole_way

SECOND = timedelta(seconds=1)


@pytest.fixture
async def way(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    monkeypatch.setattr("services.delivery.delivery.COLD_START_S", 0.0)
    async with whole_way(redis_url, private=AT_ONCE) as way:
        yield way


def too_late(way: Way) -> None:
    way.clock.now = NOW + FRESH_FOR + SECOND


async def fates(way: Way) -> list[tuple[str, str, str, str | None]]:
    return [(fate.call_id, fate.kind, fate.status, fate.reason) for fate in await way.fates()]


async def test_up_to_the_limit_an_alert_is_an_alert(way: Way) -> None:
    ann = await way.person()
    await way.claim(claim_of(call_of(1), ann.id))
    way.clock.now = NOW + FRESH_FOR
    await way.deliver()
    assert await fates(way) == [("c1", "alert", "sent", None)]


async def test_what_waited_too_long_comes_in_a_digest_at_once(way: Way) -> None:
    ann = await way.person()
    await way.claim(*(claim_of(call_of(n), ann.id) for n in range(2)))
    too_late(way)
    await way.deliver()
    assert texts_of(ann) == []
    assert await way.schedule.poll() == 1
    await way.deliver()
    [digest] = texts_of(ann)
    assert "Not sent in time: 2 calls" in digest
    assert "T0 · $50k at the call" in digest
    assert await fates(way) == [
        ("c0", "alert", "digest", "stale"),
        ("c1", "alert", "digest", "stale"),
        ("c0", "digest", "sent", "stale"),
        ("c1", "digest", "sent", "stale"),
    ]


async def test_what_may_have_arrived_before_it_was_too_late_says_so(way: Way) -> None:
    ann = await way.person()
    await way.claim(*(claim_of(call_of(n), ann.id) for n in range(2)))
    [first, _] = await entries_of(way)
    await way.outbox.begin([first])  # and here the process is killed
    too_late(way)
    again = way_of(way.redis, way.telegram, way.manager)
    again.clock.now = way.clock.now
    await again.deliver()
    assert again.metrics.counts.alerts_outdated == again.metrics.counts.alerts_deferred == 2
    assert await again.schedule.poll() == 1
    await again.deliver()
    [digest] = texts_of(ann)
    assert "T0 · $50k at the call · ↻" in digest
    assert "T1 · $50k at the call\n" in digest
    assert digest.endswith("↻ You may have got this one before.")


async def test_who_let_a_call_wait_for_a_figure_gets_it_as_an_alert(way: Way) -> None:
    ann = await way.person()
    late = claim_of(call_of(1), ann.id, late_s=1_800.0, decided_at=NOW + timedelta(minutes=30))
    await way.claim(late)
    way.clock.now = NOW + timedelta(minutes=31)
    await way.deliver()
    [text] = texts_of(ann)
    assert "Passed 30m after the call" in text


async def test_a_digest_is_never_too_old(way: Way) -> None:
    ann = await way.person()
    await way.claim(claim_of(call_of(1), ann.id))
    too_late(way)
    await way.deliver()
    await way.schedule.poll()
    way.clock.pass_(days=2)
    await way.deliver()
    [digest] = texts_of(ann)
    assert "Not sent in time: 1 call." in digest


async def test_what_is_too_late_at_night_waits_for_the_morning(way: Way) -> None:
    ann = await way.person(quiet=QuietHours(start_minute=12 * 60, end_minute=14 * 60, pass_score=90))
    await way.claim(claim_of(call_of(1), ann.id, rated=95), claim_of(call_of(2), ann.id, rated=50))
    too_late(way)
    await way.deliver()
    assert await way.schedule.poll() == 0
    way.clock.now = datetime(2026, 11, 20, 14, tzinfo=UTC)
    assert await way.schedule.poll() == 1
    await way.deliver()
    [digest] = texts_of(ann)
    assert "Not sent in time: 2 calls" in digest


async def test_what_is_too_late_takes_no_part_in_the_hour(way: Way) -> None:
    ann = await way.person(alerts_per_hour=3)
    await way.claim(*(claim_of(call_of(n), ann.id, rated=99) for n in range(5)))
    too_late(way)
    await way.deliver()
    assert await way.policy.recent_alerts(ann.id, way.clock.now) == []


async def test_many_that_are_too_late_make_one_digest(way: Way) -> None:
    ann = await way.person()
    await way.claim(*(claim_of(call_of(n), ann.id) for n in range(2 * CALLS_SHOWN + 5)))
    too_late(way)
    await way.deliver()
    assert await way.schedule.poll() == 1
    await way.deliver()
    assert len(texts_of(ann)) == 1


async def test_while_a_digest_cannot_leave_the_next_one_gathers(way: Way) -> None:
    ann, ben = await way.person(), await way.person()
    subscriber = await way.users.subscribers.require(ann.id)
    for number in range(6):
        await way.claim(claim_of(call_of(number), ann.id))
        [entry] = [entry for entry in await entries_of(way) if entry.outgoing.kind == "alert"]
        await way.held.hold(
            subscriber.user_id,
            [Holding(entry=entry, verdict=Hold(way.clock.now, "stale"))],
            way.clock.now,
            capped=False,
        )
        # Only the first look finds nothing in the outbox.
        assert await way.schedule.poll() == (number == 0)
        assert await way.schedule.poll() == 0, "it is not checked again and again"
        way.clock.pass_(minutes=1)
    await way.claim(claim_of(call_of(9), ben.id))
    await way.recover_and_deliver()
    assert len(texts_of(ann)) == 1
    assert texts_of(ben), "and it holds nobody else up"
    way.clock.now += GATHERED_FOR
    assert await way.schedule.poll() == 1
    await way.deliver()
    first, second = texts_of(ann)
    assert "1 call." in first
    assert "5 calls" in second


# who cannot be written to


async def test_what_waits_for_somebody_who_blocked_the_bot_is_kept_for_him(way: Way) -> None:
    ann = await way.person()
    ann.block()
    await way.claim(*(claim_of(call_of(n), ann.id) for n in range(3)))
    await way.deliver()
    subscriber = await way.users.subscribers.require(ann.id)
    assert subscriber.unreachable
    assert subscriber.paid_until == NOW + timedelta(days=30)
    assert [fate[2:] for fate in await fates(way)] == [("digest", "unreachable")] * 3
    assert await way.dead_lettered() == []
    # What was claimed before the matcher knew is kept as well.
    await way.claim(claim_of(call_of(3), ann.id))
    await way.deliver()
    assert await way.schedule.poll() == 0
    assert await way.due(way.clock.now) == []
    ann.unblock()
    way.clock.pass_(minutes=50)
    await way.users.subscribers.open(user_id=ann.id, chat_id=ann.id, name=ann.name, language="en")
    assert await way.schedule.poll() == 1
    await way.deliver()
    [digest] = texts_of(ann)
    assert "I could not reach you with 4 calls" in digest


async def test_who_comes_back_while_nothing_can_be_noted_is_back_all_the_same(way: Way) -> None:
    ann = await way.person()
    await way.users.subscribers.set_unreachable(ann.id, unreachable=True)

    async def is_unavailable(user_id: int, at: datetime) -> None:
        raise TransientError(f"nothing can be noted of {user_id} at {at}")

    way.users.subscribers._returned = is_unavailable  # pyright: ignore[reportPrivateUsage] - Redis goes away right after the document was saved
    back = await way.users.subscribers.set_unreachable(ann.id, unreachable=False)
    assert back is not None
    assert not back.unreachable


async def test_who_was_ended_by_a_clock_that_ran_ahead_is_matched_again(way: Way) -> None:
    ann = await way.person()
    await way.users.loading.load()
    await way.users.sets.add_set(ann.id, "Mine", {"holders": Range(1.0, missing="pass")})
    way.clock.pass_(days=400)
    assert way.users.roster.expire_due() == 1
    assert way.matcher.decide(call_of(1), way.clock.now).accepted == ()
    way.clock.pass_(days=-300)
    assert way.users.roster.forget_ended_early() == 0, "it would have ended all the same"
    way.clock.now = NOW
    assert way.users.roster.forget_ended_early() == 1
    await way.users.loading.load()
    assert way.users.roster.counts().receiving == 1
    assert way.matcher.decide(call_of(2), NOW).accepted == ((ann.id, 1),)


async def test_who_stays_away_is_looked_at_less_and_less(way: Way) -> None:
    ann = await way.person()
    await way.users.subscribers.set_unreachable(ann.id, unreachable=True)
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    waits: list[timedelta] = []
    for _ in range(15):
        assert await way.schedule.poll() == 0
        [(_, due_ms)] = await way.redis.zrange_by_score(keys.DUE.of(DIGEST, partition_of(ann.id)))
        waits.append(datetime.fromtimestamp(due_ms / 1000, UTC) - way.clock.now)
        way.clock.now += waits[-1]
    assert waits == sorted(waits)
    assert waits[-1] == MAX_UNREACHABLE_WAIT
    await way.users.subscribers.set_unreachable(ann.id, unreachable=False)
    assert await way.schedule.poll() == 1, "nobody has to say that they are back"


async def test_bringing_forward_what_is_not_there_does_nothing(way: Way) -> None:
    await way.held.bring_forward(7, NOW)
    assert await way.due(NOW) == []


async def test_a_digest_that_meets_a_block_is_taken_apart_and_comes_later(way: Way) -> None:
    ann = await way.person()
    await way.claim(*(claim_of(call_of(n), ann.id) for n in range(2)))
    too_late(way)
    await way.deliver()
    assert await way.schedule.poll() == 1
    ann.block()
    await way.deliver()
    assert [call.call_id for call in await way.held.of(ann.id)] == ["c0", "c1"]
    assert await way.outbox.size() == 0
    assert await way.schedule.poll() == 0
    ann.unblock()
    await way.users.subscribers.set_unreachable(ann.id, unreachable=False)
    assert await way.schedule.poll() == 1
    await way.deliver()
    [digest] = texts_of(ann)
    assert "Not sent in time: 2 calls" in digest


async def test_taking_a_digest_back_again_after_it_left_changes_nothing(way: Way) -> None:
    ann = await way.person()
    subscriber = await way.users.subscribers.require(ann.id)
    await way.claim(claim_of(call_of(1), ann.id))
    too_late(way)
    await way.deliver()
    await way.schedule.poll()
    [digest] = await entries_of(way)
    holdings = [Holding(entry=digest, verdict=Hold(way.clock.now, "unreachable"))]
    await way.held.hold(subscriber.user_id, holdings, way.clock.now, capped=False)
    assert await way.schedule.poll() == 1
    await way.held.hold(subscriber.user_id, holdings, way.clock.now, capped=False)
    assert await way.held.of(ann.id) == []
    assert await way.outbox.size() == 1


async def test_whoever_does_not_come_back_in_his_paid_time_gets_nothing(way: Way) -> None:
    ann = await way.person()
    await way.users.subscribers.set_unreachable(ann.id, unreachable=True)
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    way.clock.pass_(days=31)
    assert await way.schedule.poll() == 1
    await way.deliver()
    assert (await fates(way))[-1] == ("c1", "digest", "withheld", "expired")


# what Telegram says


TRIED_AGAIN = [FloodError(3), OutcomeUnknownError("502"), NotSentError("refused")]
REFUSED = [MessageRefusedError("message is too long"), TopicGoneError("topic closed"), DeliveryError("anything else")]


async def waiting_for(way: Way, user_id: int, count: int) -> list[QueuedMessage]:
    await way.claim(*(claim_of(call_of(n), user_id) for n in range(count)))
    return [QueuedMessage(entry=entry) for entry in await entries_of(way)]


@pytest.mark.parametrize("error", TRIED_AGAIN, ids=lambda error: type(error).__name__)
async def test_however_long_telegram_is_away_nothing_is_given_up(way: Way, error: DeliveryError) -> None:
    ann = await way.person()
    batch = await waiting_for(way, ann.id, 2)
    way.clock.pass_(days=3)
    await way.settler.answer(error, batch, await way.users.subscribers.require(ann.id), ChatTarget(ann.id))
    assert not any(waiting.settled for waiting in batch)
    assert await way.dead_lettered() == []
    is_unknown = isinstance(error, OutcomeUnknownError)
    assert [waiting.may_repeat for waiting in batch] == [is_unknown] * 2
    # A flood refusal closes the chat at the limiter; the others back off.
    assert (batch[0].pause_s > 0) == (not isinstance(error, FloodError))


@pytest.mark.parametrize("error", REFUSED, ids=lambda error: type(error).__name__)
async def test_what_telegram_refuses_for_good_goes_to_the_dead_letters(way: Way, error: DeliveryError) -> None:
    ann = await way.person()
    batch = await waiting_for(way, ann.id, 1)
    await way.settler.answer(error, batch, await way.users.subscribers.require(ann.id), ChatTarget(ann.id))
    assert batch[0].settled
    assert await way.dead_lettered() == [str(error)]


async def test_who_is_refused_together_is_tried_alone(way: Way) -> None:
    ann = await way.person()
    batch = await waiting_for(way, ann.id, 2)
    refusal = MessageRefusedError("message is too long")
    await way.settler.answer(refusal, batch, await way.users.subscribers.require(ann.id), ChatTarget(ann.id))
    assert [(waiting.alone, waiting.settled) for waiting in batch] == [(True, False)] * 2


async def test_a_block_pauses_the_delivery_and_a_group_that_moved_is_followed(way: Way) -> None:
    ann = await way.person(destination=Destination(chat_id=-5, title="Callers"))
    batch = await waiting_for(way, ann.id, 1)
    subscriber = await way.users.subscribers.require(ann.id)
    await way.settler.answer(ChatMigratedError(-100_5), batch, subscriber, ChatTarget(-5))
    moved = (await way.users.subscribers.require(ann.id)).preferences.destination
    assert moved == Destination(chat_id=-100_5, title="Callers")
    await way.settler.answer(RecipientGoneError("blocked"), batch, subscriber, ChatTarget(ann.id))
    assert (await way.users.subscribers.require(ann.id)).unreachable
    assert not batch[0].settled
    assert await way.dead_lettered() == []


async def test_telegram_comes_back_after_an_outage(way: Way) -> None:
    ann = await way.person()
    way.telegram.faults.fail_next(Fault.ERROR_5XX)
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    [text] = texts_of(ann)
    assert "may be a repeat" in text
