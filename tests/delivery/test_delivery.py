"""One alert, many, and what Telegram has to say about them."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from domain.filters.registry import FilterSet
from domain.subscribers.partitions import PARTITIONS, partition_of
from domain.subscribers.subscriber import Card, Destination, MessageKind
from managers.telegram.rate_limiter import Lane
from sandbox.telegram.faults import Fault
from services.delivery import delivery
from services.delivery.sending import ChatTarget
from services.delivery.turns import QueuedMessage
from tests.claims.alert_path import until
from tests.delivery.kit import NOW, Way, call_of, claim_of, texts_of, way_of, whole_way
from texts.markup import MAX_TEXT_UTF16, utf16_length


async def test_one_alert_is_a_full_card(way: Way) -> None:
    ann = await way.person()
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    [text] = texts_of(ann)
    assert "$50k market cap at call" in text
    [fate] = await way.fates()
    assert (fate.status, fate.message_id, fate.kind) == ("sent", ann.messages[-1]["message_id"], "alert")
    assert [sent.call.id for sent in way.sent] == ["c1"]
    assert not ann.messages[-1].get("disable_notification")


async def test_an_alert_names_its_filter_as_the_screen_of_that_does(way: Way) -> None:
    ann = await way.person()
    subscriber = await way.store.find(ann.id)
    assert subscriber
    unnamed = FilterSet(user_id=ann.id, number=1, name="", rules={})
    await way.store.save(replace(subscriber, revision=subscriber.revision + 1, filter_sets=(unnamed,)))
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    [text] = texts_of(ann)
    assert "✓ Filter 1" in text


async def test_what_waits_together_comes_together(way: Way) -> None:
    ann = await way.person()
    calls = [call_of(n) for n in range(13)]
    await way.claim(*(claim_of(call, ann.id) for call in calls))
    await way.deliver()
    texts = texts_of(ann)
    assert len(texts) == 2
    assert all(utf16_length(text) <= MAX_TEXT_UTF16 for text in texts)
    shown = [call.id for text in texts for call in calls if call.token.address in text]
    assert shown == [call.id for call in calls]
    fates = await way.fates()
    assert [(f.call_id, f.status) for f in fates] == [(call.id, "merged") for call in calls]
    assert {f.message_id for f in fates} == {m["message_id"] for m in ann.messages if m["from"]["is_bot"]}
    assert way.metrics.counts.alerts_merged == 13
    assert await way.outbox.size() == 0


async def test_a_slow_chat_merges_and_holds_nobody_else_up(way: Way) -> None:
    ann, ben = await way.person(), await way.person()
    async with way.sending():
        async with way.manager.slot(ann.id, Lane.ALERT):
            await way.claim(*(claim_of(call_of(n), ann.id, ben.id) for n in range(3)))
            await ben.next_message()
            assert texts_of(ann) == []
        message = await ann.next_message()
        async with asyncio.timeout(20):
            await way.delivery.drained()
    assert all(f"T{n}" in message["text"] for n in range(3))


async def test_who_no_longer_receives_gets_nothing(way: Way) -> None:
    ann, ben, cid = await way.person(), await way.person(), await way.person(snoozed_until=NOW + timedelta(hours=1))
    await way.users.subscribers.pause(ann.id)
    call = call_of(1)
    await way.users.subscribers.change_preferences(
        ben.id, lambda p: type(p)(muted_tokens={call.token.address: NOW + timedelta(hours=1)})
    )
    await way.claim(claim_of(call, ann.id, ben.id, cid.id))
    await way.deliver()
    assert texts_of(ann) + texts_of(ben) + texts_of(cid) == []
    reasons = {fate.user_id: (fate.status, fate.reason) for fate in await way.fates()}
    assert reasons == {
        ann.id: ("withheld", "paused"),
        ben.id: ("withheld", "muted"),
        cid.id: ("withheld", "snoozed"),
    }


async def test_a_late_alert_says_so(way: Way) -> None:
    ann = await way.person()
    await way.claim(claim_of(call_of(2), ann.id, late_s=180.0))
    await way.deliver()
    [text] = texts_of(ann)
    assert "Passed 3m after the call" in text
    assert "⚡" not in text


@pytest.mark.parametrize(
    ("silent", "late", "expected"),
    [
        ({"alert"}, (None,), True),
        ({"alert"}, (180.0,), False),
        ({"late"}, (180.0,), True),
        ({"alert"}, (None, 180.0), False),
        ({"alert", "late"}, (None, 180.0), True),
    ],
)
async def test_sounds_are_chosen_by_kind(
    way: Way,
    silent: set[MessageKind],
    late: tuple[float | None, ...],
    expected: bool,  # noqa: FBT001 - a parameter
) -> None:
    ann = await way.person(silent=frozenset(silent))
    calls = [call_of(n) for n in range(len(late))]
    await way.claim(*(claim_of(call, ann.id, late_s=s) for call, s in zip(calls, late, strict=True)))
    entries = await way.outbox.recover("other") + await way.outbox.read("other", count=9, block_ms=10)
    waiting = [QueuedMessage(entry=entry, call=call) for entry, call in zip(entries, calls, strict=True)]
    composed = way.kinds.message(waiting, await way.users.subscribers.require(ann.id), ChatTarget(ann.id))
    assert composed.message.silent == expected


async def test_an_answer_that_never_comes_marks_the_next_try(redis_url: str) -> None:
    async with whole_way(redis_url, answer_timeout_s=0.3) as way:
        ann = await way.person()
        way.telegram.faults.fail_next(Fault.TIMEOUT_AFTER_DELIVERY)
        await way.claim(*(claim_of(call_of(n), ann.id) for n in range(2)))
        await way.deliver()
        first, second = texts_of(ann)
        assert "may be a repeat" not in first
        assert second.count("may be a repeat") == 2
        assert [fate.may_repeat for fate in await way.fates()] == [True, True]


async def test_a_kill_between_request_and_settling_marks_what_was_in_flight(way: Way) -> None:
    ann = await way.person()
    await way.claim(*(claim_of(call_of(n), ann.id) for n in range(2)))
    entries = await way.outbox.recover("sender") + await way.outbox.read("sender", count=9, block_ms=10)
    await way.outbox.begin(entries[:1])
    [first, second] = await way.outbox.recover("sender")
    assert (first.may_repeat, second.may_repeat) == (True, False)


async def test_a_card_that_cannot_be_made_takes_no_other_with_it(way: Way) -> None:
    ann = await way.person()
    # One cannot be read; of the other the age cannot be told: its clock has no zone.
    naive = call_of(3, created_at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the fault
    await way.claim(*(claim_of(call, ann.id) for call in (call_of(0), call_of(1), call_of(2), naive)))
    await way.redis.set("call:c1", b'{"id":"c1"}')
    await way.recover_and_deliver()  # who has just started does not remember the calls
    fates = {fate.call_id: fate.status for fate in await way.fates()}
    assert fates == {"c0": "sent", "c1": "dead", "c2": "sent", "c3": "dead"}


async def test_a_group_gets_the_alerts_without_the_buttons_of_its_owner(way: Way) -> None:
    ann = await way.person()
    group = way.telegram.group("Callers", [ann])
    await way.users.subscribers.change_preferences(
        ann.id, lambda p: type(p)(destination=Destination(chat_id=group.chat_id))
    )
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    assert texts_of(ann) == []
    [message] = [m for m in group.messages if m["from"]["is_bot"]]
    buttons = [b for row in message["reply_markup"]["inline_keyboard"] for b in row]
    assert buttons
    assert not any("callback_data" in button for button in buttons)


async def test_a_lost_group_brings_the_alerts_home(way: Way) -> None:
    ann = await way.person()
    group = way.telegram.group("Callers", [ann])
    await way.users.subscribers.change_preferences(
        ann.id, lambda p: type(p)(destination=Destination(chat_id=group.chat_id, title="Callers"))
    )
    group.kick_bot(ann)
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    note, alert = texts_of(ann)
    assert "no longer write to “Callers”" in note
    assert "T1" in alert
    subscriber = await way.users.subscribers.require(ann.id)
    assert subscriber.preferences.destination is None
    assert not subscriber.unreachable


async def test_a_group_that_moved_is_followed(way: Way) -> None:
    ann = await way.person()
    group = way.telegram.group("Callers", [ann])
    await way.users.subscribers.change_preferences(
        ann.id, lambda p: type(p)(destination=Destination(chat_id=group.chat_id))
    )
    new = group.upgrade(ann)
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    assert [m["text"] for m in new.messages if m["from"]["is_bot"]]
    destination = (await way.users.subscribers.require(ann.id)).preferences.destination
    assert destination is not None
    assert destination.chat_id == new.chat_id


async def test_a_deleted_topic_falls_back_to_general(way: Way) -> None:
    ann = await way.person()
    forum = way.telegram.group("Forum", [ann]).upgrade(ann)
    forum.chat.card["is_forum"] = True
    forum.chat.thread_ids.add(7)
    await way.users.subscribers.change_preferences(
        ann.id, lambda p: type(p)(destination=Destination(chat_id=forum.chat_id, thread_id=7))
    )
    await way.claim(claim_of(call_of(1), ann.id))
    await way.deliver()
    forum.chat.thread_ids.clear()
    await way.claim(claim_of(call_of(2), ann.id))
    await way.deliver()
    topics = [m.get("message_thread_id") for m in forum.messages if m["from"]["is_bot"]]
    assert topics == [7, None]
    destination = (await way.users.subscribers.require(ann.id)).preferences.destination
    assert destination == Destination(chat_id=forum.chat_id)


@pytest.mark.parametrize("compact", [False, True])
async def test_a_compact_card_is_shorter(way: Way, compact: bool) -> None:  # noqa: FBT001 - a parameter
    ann = await way.person(card=Card(compact=compact, hidden=frozenset({"channel"}), buttons=("why",)))
    await way.claim(claim_of(call_of(1, liquidity_usd=9_000.0), ann.id))
    await way.deliver()
    [text] = texts_of(ann)
    assert ("$9k liquidity" in text) == compact
    assert "Alpha" not in text
    [[button]] = ann.messages[-1]["reply_markup"]["inline_keyboard"]
    assert button["callback_data"].startswith("why:")


# partitions that come and go


async def test_release_waits_for_what_is_under_way_and_says_what_may_have_arrived(redis_url: str) -> None:
    async with whole_way(redis_url, answer_timeout_s=0.5) as way:
        ann, ben = await way.person(), await way.person()
        way.telegram.faults.fail_next(Fault.TIMEOUT_AFTER_DELIVERY)
        await way.claim(claim_of(call_of(1), ann.id))
        async with way.sending(), asyncio.timeout(10):
            await ann.next_message()  # the answer is still to come
            release = asyncio.create_task(way.delivery.release([partition_of(ann.id)]))
            done, _ = await asyncio.wait({release}, timeout=0.1)
            assert not done
            assert await release == {(ann.id, "c1")}
            assert way.delivery.held == 0
            # Others go on.
            await way.claim(claim_of(call_of(2), ann.id, ben.id))
            await ben.next_message()
        assert len(texts_of(ann)) == 1
        found = await way.outbox.recover("next", [partition_of(ann.id)])
        assert [(e.alert.call_id, e.may_repeat) for e in found] == [("c1", True)]


async def test_what_was_in_hand_is_sent_by_the_next_owner_alone(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await way.person()
    monkeypatch.setattr(delivery, "COLD_START_S", 0.0)
    other = way_of(way.redis, way.telegram, way.manager)
    async with way.sending(), asyncio.timeout(15):
        async with way.manager.slot(ann.id, Lane.ALERT):
            await way.claim(*(claim_of(call_of(n), ann.id) for n in range(3)))
            await until(lambda: way.delivery.held == 3)
            assert await way.delivery.release(range(PARTITIONS)) == set()
            assert way.delivery.held == 0
        async with other.sending():
            await other.delivery.drained()
    [text] = texts_of(ann)
    assert all(f"T{n}" in text for n in range(3))
    assert "may be a repeat" not in text
    assert (len(way.sent), len(other.sent)) == (0, 3)


async def test_a_partition_that_comes_back_is_sent_again(way: Way) -> None:
    ann = await way.person()
    await way.delivery.release([partition_of(ann.id)])
    await way.claim(claim_of(call_of(1), ann.id))
    async with way.sending(), asyncio.timeout(15):
        way.delivery.take_over([partition_of(ann.id)])
        await ann.next_message()
        await way.delivery.drained()
    assert len(texts_of(ann)) == 1
    assert await way.outbox.size() == 0


async def test_release_does_not_wait_for_the_backlog(way: Way) -> None:
    people = [await way.person() for _ in range(60)]
    way.telegram.faults.latency_s = (0.05, 0.05)
    await way.claim(claim_of(call_of(1), *(person.id for person in people)))
    async with way.sending(), asyncio.timeout(30):
        await until(lambda: bool(way.sent))
        await way.delivery.release(range(PARTITIONS))
        assert sum(len(texts_of(person)) for person in people) < len(people) / 2
        assert await way.outbox.size() > len(people) / 2


async def test_what_a_dead_sender_took_is_found_and_what_is_in_hand_is_not(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LOST_AFTER_S", 0.02)
    monkeypatch.setattr(delivery, "READ_BLOCK_MS", 20)
    monkeypatch.setattr(delivery, "COLD_START_S", 0.0)
    ann, ben = await way.person(), await way.person()
    async with asyncio.timeout(15), way.manager.slot(ann.id, Lane.ALERT), way.sending():
        await way.claim(claim_of(call_of(1), ann.id))
        await until(lambda: bool(way.delivery.held))
        # Somebody reads what is not theirs any more, and dies.
        partition = [partition_of(ben.id)]
        await way.delivery.release(partition)
        await way.claim(claim_of(call_of(2), ben.id))
        assert len(await way.outbox.read("dead", 9, 10, partition)) == 1
        way.delivery._owned.update(partition)  # pyright: ignore[reportPrivateUsage] - recovered before
        await ben.next_message()
        await until(lambda: way.delivery.held == 1)
        assert texts_of(ann) == []
    assert (len(texts_of(ann)), len(texts_of(ben))) == (0, 1)
    assert [sent.call.id for sent in way.sent] == ["c2"]
