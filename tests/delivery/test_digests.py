"""What is held back comes in a digest, each call once, and says what it did."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.events import Token
from domain.delivery.policy import Hold
from domain.stored.alerts import Alert
from domain.subscribers.partitions import partition_of
from domain.subscribers.subscriber import MessageKind, QuietHours
from sandbox.telegram.people import SandboxUser
from services.claims.outbox import OutboxEntry
from services.delivery.digest_lines import CALLS_SHOWN
from services.delivery.digest_order import DigestOrder
from services.delivery.held import Holding
from services.delivery.turns import QueuedMessage
from services.schedule.due_times import DIGEST
from services.stores import keys
from tests.delivery.kit import AT_ONCE, NOW, Way, call_of, claim_of, entries_of, texts_of, way_of, whole_way
from texts.markup import MAX_TEXT_UTF16, utf16_length

NIGHT = QuietHours(start_minute=12 * 60, end_minute=14 * 60, pass_score=90)
CAPS = st.none() | st.integers(5_000, 400_000)
MORNING = datetime(2026, 11, 20, 14, tzinfo=UTC)


async def test_the_night_is_quiet_and_the_morning_tells(way: Way) -> None:
    ann = await way.person(quiet=NIGHT)
    calls = [call_of(n) for n in range(2)]
    await way.claim(*(claim_of(call, ann.id, rated=50) for call in calls), claim_of(call_of(7), ann.id, rated=95))
    await way.deliver()
    [strong] = texts_of(ann)
    assert "T7" in strong
    way.clock.now = MORNING - timedelta(seconds=1)
    assert await way.schedule.poll() == 0
    way.clock.now = MORNING
    address = calls[0].token.address
    way.market.tokens[address] = Token(address=address, market_cap_usd=120_000)
    way.market.peaks[address] = 300_000
    fallen = calls[1].token.address
    way.market.tokens[fallen] = Token(address=fallen, market_cap_usd=8_000)
    assert await way.schedule.poll() == 1
    assert await way.schedule.poll() == 0
    await way.deliver()
    digest = texts_of(ann)[-1]
    assert "While it was quiet: 2 calls" in digest
    assert digest.replace("\u2060", "").splitlines()[2:] == [
        "1. $T0 · 6x · $50k → $120k · peak $300k",
        "📣 Alpha · Chart",
        calls[0].token.address,
        "2. $T1 · 1x · $50k → $8k",
        "📣 Alpha · Chart",
        calls[1].token.address,
    ]
    order = await DigestOrder(way.redis, way.metrics).of(ann.id, ["c1", "c0"])
    assert sorted(order, key=order.__getitem__) == ["c0", "c1"], "as /digest tells them again, whatever they become"
    fates = [(f.call_id, f.kind, f.status, f.reason) for f in await way.fates()]
    assert fates == [
        ("c0", "alert", "digest", "quiet"),
        ("c1", "alert", "digest", "quiet"),
        ("c7", "alert", "sent", None),
        ("c0", "digest", "sent", "quiet"),
        ("c1", "digest", "sent", "quiet"),
    ]
    assert await way.redis.exists(keys.HELD_CALLS.of(ann.id), keys.DUE.of(DIGEST, partition_of(ann.id))) == 0
    assert await way.outbox.size() == 0
    assert (way.metrics.counts.alerts_deferred, way.metrics.counts.digests_sent) == (2, 1)


@pytest.mark.parametrize(
    ("now", "line"),
    [
        (107_500, "1. $T0 · 1x · $50k → $108k (2.15x, not confirmed yet)"),
        (56_000, "1. $T0 · 1x · $50k → $56k (1.12x, not confirmed yet)"),
        (54_000, "1. $T0 · 1x · $50k → $54k (1.08x, not confirmed yet)"),
        (50_500, "1. $T0 · 1x · $50k → $50.5k"),
    ],
)
async def test_what_stands_above_the_confirmed_highest_is_said_to_be_unconfirmed(
    way: Way, now: float, line: str
) -> None:
    ann, call = await way.person(quiet=NIGHT), call_of(0)
    await way.claim(claim_of(call, ann.id, rated=50))
    await way.deliver()
    way.clock.now, address = MORNING, call.token.address
    way.market.tokens[address] = Token(address=address, market_cap_usd=now)
    way.market.peaks[address] = 50_000
    await way.schedule.poll()
    await way.deliver()
    assert texts_of(ann)[-1].replace("\u2060", "").splitlines()[2] == line


async def test_beyond_the_cap_the_best_come_and_the_rest_is_told_at_the_full_hour(way: Way) -> None:
    ann = await way.person(alerts_per_hour=3)
    scores = [10, 90, 50, 80, 20]
    await way.claim(*(claim_of(call_of(n), ann.id, rated=score) for n, score in enumerate(scores)))
    await way.deliver()
    merged, used_up = texts_of(ann)
    assert [n for n in range(5) if f"T{n}\n" in merged] == [1, 3]
    assert used_up.startswith("⏳ You get up to 3 alerts in any 60 minutes: most of them as calls pass, the last")
    way.clock.now = datetime(2026, 11, 20, 13, tzinfo=UTC)
    assert await way.schedule.poll() == 1
    await way.deliver()
    digest = texts_of(ann)[-1]
    assert "Beyond your alerts per hour: 3 calls" in digest
    # The digest takes no slot: one is left within the hour, for a call above the median.
    later = ((call_of(8), 60), (call_of(9), 99))
    await way.claim(*(claim_of(call, ann.id, rated=s, decided_at=way.clock.now) for call, s in later))
    await way.deliver()
    best, all_used = texts_of(ann)[-2:]
    assert "T9" in best
    assert all_used.startswith("⏳ Your 3 alerts of the last 60 minutes are used up.")
    assert len([one for one in await way.policy.recent_alerts(ann.id, way.clock.now) if one.sent]) == 3


async def test_what_becomes_of_more_than_the_cap_is_said_once_a_day(way: Way) -> None:
    ann = await way.person(alerts_per_hour=1)
    said: list[int] = []
    for hours in (0, 2, 11.7):  # until midnight it is 11 h 40 min
        way.clock.now = NOW + timedelta(hours=hours)
        await way.claim(*(claim_of(call_of(int(hours * 10) + n), ann.id, decided_at=way.clock.now) for n in range(2)))
        await way.deliver()
        await way.schedule.poll()
        await way.deliver()
        said.append(sum("once a day" in text for text in texts_of(ann)))
    assert said == [1, 1, 2]


async def test_a_long_night_makes_one_digest_with_the_best_and_a_number(way: Way) -> None:
    ann = await way.person(quiet=NIGHT)
    # Each at its longest: it reached us late, too.
    posted_at = NOW - timedelta(minutes=9, seconds=59)
    calls = [replace(call_of(n, name="🧨" * 60), called_at=posted_at) for n in range(45)]
    calls = [replace(call, channel=replace(call.channel, title="🧨" * 60)) for call in calls]
    await way.claim(*(claim_of(call, ann.id, rated=50 + n // 15) for n, call in enumerate(calls)))
    await way.deliver()
    addresses = [call.token.address for call in calls]
    way.market.peaks |= {addresses[3]: 1_000_000, addresses[20]: 500_000, addresses[40]: 20_000}
    way.clock.now = MORNING
    assert await way.schedule.poll() == 1
    await way.deliver()
    [digest] = texts_of(ann)
    assert utf16_length(digest) <= MAX_TEXT_UTF16
    assert "While it was quiet: 45 calls" in digest
    assert "And 30 more" in digest
    assert digest.count("⏱ reached me 9m 59s late") == CALLS_SHOWN
    # What rose comes first, then what did not, then of what nobody knows anything the best by score.
    told = [addresses.index(address) for address in digest.split() if address in addresses]
    assert told == [3, 20, 40, *range(30, 40), 41, 42]
    assert "20x · $50k at the call · peak $1M" in digest
    assert "$20k" not in digest
    told_of = [f.call_id for f in await way.fates() if f.kind == "digest" and f.status == "sent"]
    assert sorted(told_of) == sorted(call.id for call in calls)
    [message] = [m for m in ann.messages if m["from"]["is_bot"]]
    assert "Show more" in str(message["reply_markup"])
    assert len(message["entities"]) <= 100


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(caps=st.lists(st.tuples(CAPS, CAPS), min_size=2, max_size=2 * CALLS_SHOWN))
async def test_a_digest_is_sorted_by_the_figure_that_its_lines_show(
    redis_url: str, caps: list[tuple[int | None, int | None]]
) -> None:
    async with whole_way(redis_url, private=AT_ONCE) as way:
        await way.redis.transaction([("FLUSHALL",)])
        ann = await way.person(quiet=NIGHT)
        calls = [call_of(n) for n in range(len(caps))]
        await way.claim(*(claim_of(call, ann.id, rated=n * 37 % 90) for n, call in enumerate(calls)))
        await way.deliver()
        for call, (peak, now) in zip(calls, caps, strict=True):
            address = call.token.address
            way.market.peaks |= {address: peak} if peak else {}
            way.market.tokens |= {address: Token(address=address, market_cap_usd=now)} if now else {}
        way.clock.now = MORNING
        await way.schedule.poll()
        await way.deliver()
        [digest] = texts_of(ann)
        assert "by which they are sorted" in digest
        lines = [line.split(" · ")[1:] for line in digest.splitlines() if re.match(r"\d+\. ", line)]
        bold = [float(first[0].rstrip("x")) if first and first[0].endswith("x") else 0.0 for first in lines]
        # What is confirmed never falls; a price of this moment may. It stands for what nobody follows.
        best = sorted((max(50_000, peak or now or 0) / 50_000 if peak or now else 0.0 for peak, now in caps))
        assert bold == sorted(bold, reverse=True)
        assert bold == [pytest.approx(one, rel=0.01) for one in best[::-1][:CALLS_SHOWN]]


@pytest.mark.parametrize("wishes", [{}, {"silent": frozenset[MessageKind]()}])
async def test_a_digest_is_silent_unless_somebody_wants_its_sound(way: Way, wishes: dict[str, Any]) -> None:
    ann = await way.person(quiet=NIGHT, **wishes)
    await way.claim(claim_of(call_of(1), ann.id, rated=50))
    await way.deliver()
    way.clock.now = MORNING
    await way.schedule.poll()
    [entry] = await entries_of(way)
    waiting = QueuedMessage(entry=entry)
    await way.kinds.prepare(waiting, await way.users.subscribers.require(ann.id))
    assert waiting.message
    assert waiting.message.silent == (not wishes)


async def test_a_digest_waits_for_the_end_of_a_snooze(way: Way) -> None:
    ann = await way.person(quiet=NIGHT)
    await way.claim(claim_of(call_of(1), ann.id, rated=50))
    await way.deliver()
    await way.users.subscribers.change_preferences(
        ann.id, lambda p: type(p)(snoozed_until=MORNING + timedelta(hours=1))
    )
    way.clock.now = MORNING
    assert await way.schedule.poll() == 0
    assert await way.due(MORNING) == []
    way.clock.now = MORNING + timedelta(hours=1)
    assert await way.schedule.poll() == 1


async def test_a_digest_that_may_have_arrived_is_marked(way: Way) -> None:
    ann = await way.person(quiet=NIGHT)
    await way.claim(claim_of(call_of(1), ann.id, rated=50))
    await way.deliver()
    way.clock.now = MORNING
    await way.schedule.poll()
    entries = await way.outbox.read("sender", count=9, block_ms=10)
    await way.outbox.begin(entries)  # and here the process is killed
    again = way_of(way.redis, way.telegram, way.manager)
    again.clock.now = MORNING
    await again.deliver()
    [digest] = texts_of(ann)
    assert "may be a repeat" in digest


async def test_who_left_gets_no_digest(way: Way) -> None:
    ann = await way.person(quiet=NIGHT)
    await way.claim(claim_of(call_of(1), ann.id, rated=50))
    await way.deliver()
    await way.users.subscribers.pause(ann.id)
    way.clock.now = MORNING
    await way.schedule.poll()
    await way.deliver()
    assert texts_of(ann) == []
    assert [(f.kind, f.status, f.reason) for f in await way.fates()][-1] == ("digest", "withheld", "paused")


def entry_of(number: int) -> OutboxEntry:
    alert = Alert(user_id=1, call_id=f"c{number}", token_address="So1", set_number=1, received_at=NOW, decided_at=NOW)
    return OutboxEntry(entry_id="", outgoing=alert)


async def test_holding_again_after_the_digest_left_changes_nothing(way: Way) -> None:
    ann = await way.person()
    subscriber = await way.users.subscribers.require(ann.id)
    await way.claim(claim_of(call_of(1), ann.id))
    entries = await way.outbox.recover("sender") + await way.outbox.read("sender", count=9, block_ms=10)
    holdings = [Holding(entry=entry, verdict=Hold(NOW, "quiet")) for entry in entries]
    await way.held.hold(subscriber.user_id, holdings, NOW, capped=False)
    await way.held.hold(subscriber.user_id, holdings, NOW, capped=False)
    calls = await way.held.of(ann.id)
    assert await way.held.dispatch(ann.id, calls, NOW)
    assert not await way.held.dispatch(ann.id, calls, NOW)
    await way.held.hold(subscriber.user_id, holdings, NOW, capped=False)
    assert await way.held.of(ann.id) == []
    assert await way.outbox.size() == 1
    assert len(await way.fates()) == 1


async def test_a_call_that_is_held_while_the_digest_leaves_keeps_its_time(way: Way) -> None:
    ann = await way.person()
    subscriber, full_hour = await way.users.subscribers.require(ann.id), NOW.replace(hour=13, minute=0)
    await way.claim(claim_of(call_of(1), ann.id), claim_of(call_of(2), ann.id))
    first, second = await way.outbox.recover("sender") + await way.outbox.read("sender", count=9, block_ms=10)
    await way.held.hold(subscriber.user_id, [Holding(entry=first, verdict=Hold(NOW, "stale"))], NOW, capped=False)
    seen = await way.held.of(ann.id)
    await way.held.hold(subscriber.user_id, [Holding(entry=second, verdict=Hold(full_hour, "cap"))], NOW, capped=False)
    await way.held.dispatch(ann.id, seen, NOW)
    await way.held.postpone(ann.id, seen=0, until=NOW)
    assert await way.due(NOW) == [ann.id]
    way.clock.now = NOW
    assert await way.schedule.poll() == 0
    assert await way.due(NOW) == []
    assert await way.due(full_hour) == [ann.id]


def restarted(way: Way) -> Way:
    again = way_of(way.redis, way.telegram, way.manager)
    again.clock.now = way.clock.now
    return again


STEPS = ["claim", "claim", "deliver", "kill", "hour", "late", "look", "block", "return"]
steps = st.lists(st.sampled_from(STEPS), min_size=3, max_size=16)


async def comes_back(way: Way, ann: SandboxUser) -> None:
    ann.unblock()
    await way.users.subscribers.set_unreachable(ann.id, unreachable=False)
    await way.held.bring_forward(ann.id, way.clock.now)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
async def test_whatever_happens_each_call_is_told_once(redis_url: str, steps: list[str]) -> None:
    async with whole_way(redis_url, private=AT_ONCE) as first:
        way = first
        await way.redis.transaction([("FLUSHALL",)])
        ann = await way.person(alerts_per_hour=2)
        claimed = 0
        for step in [*steps, "return", *["deliver", "hour", "look"] * 3, "deliver"]:
            match step:
                case "claim":
                    rated = claimed * 37 % 101
                    await way.claim(claim_of(call_of(claimed), ann.id, rated=rated, decided_at=way.clock.now))
                    claimed += 1
                case "late":
                    way.clock.pass_(minutes=11)
                case "block":
                    ann.block()
                case "return":
                    await comes_back(way, ann)
                case "kill":
                    # Everything in memory is gone; nothing was in flight.
                    way = restarted(way)
                case "hour":
                    await way.deliver()
                    way.clock.pass_(hours=1)
                case "look":
                    await way.schedule.poll()
                case _:
                    await way.deliver()
        told = texts_of(ann)
        addresses = [call_of(n).token.address for n in range(claimed)]
        assert [sum(address in text for text in told) for address in addresses] == [1] * claimed
