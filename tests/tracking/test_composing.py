"""What somebody reads of a milestone, and to which message it is the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import Destination, QuietHours
from sandbox.telegram.people import SandboxUser
from services.tracking.composing import MilestoneComposer
from services.tracking.fan_out import KIND, MilestoneNotice
from tests.delivery.kit import AT_ONCE, NOW, Way, call_of, claim_of, texts_of, way_of, whole_way
from texts import Texts

ROWS = (MilestoneComposer(Texts.load()).row(),)


@pytest.fixture
async def way(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    monkeypatch.setattr("services.delivery.delivery.COLD_START_S", 0.0)
    async with whole_way(redis_url, private=AT_ONCE) as way:
        yield way_of(way.redis, way.telegram, way.manager, ROWS)


def milestone(user: SandboxUser, rung: float, call_id: str = "c1", **more: Any) -> Envelope:
    about: dict[str, Any] = {
        "call_id": call_id,
        "token_address": "T",
        "name": "MCAT",
        "rung": rung,
        "then_usd": 20_000.0,
        "now_usd": 20_600.0 * rung,
        "after_s": 2_520.0,
        "message_id": 1,
        "chat_id": user.id,
    }
    notice = MilestoneNotice(**about | more)
    return Envelope.of(KIND, notice, user_id=user.id, subject=call_id, step=f"{rung:g}x", decided_at=NOW)


async def test_what_waits_of_one_call_comes_as_the_highest_and_answers_its_alert(way: Way) -> None:
    ann = await way.person()
    alert = ann.messages[0]["message_id"]
    for one in (2.0, 5.0, 3.0):
        await way.putting.put(milestone(ann, one, message_id=alert))
    await way.putting.put(milestone(ann, 2.0, "c2", message_id=999_999, after_s=0.2))
    await way.deliver()
    assert texts_of(ann) == [
        "🚀 5x · MCAT · $20k → $103k in 42m",
        "🚀 2x · MCAT · $20k → $41.2k at once",
    ]
    first, second = (m for m in ann.messages if m["from"]["is_bot"])
    assert first["reply_to_message"]["message_id"] == alert
    assert "reply_to_message" not in second, "the alert was deleted"
    assert sorted(fate.call_id for fate in await way.fates()) == [
        "milestone:c1:2x",
        "milestone:c1:3x",
        "milestone:c1:5x",
        "milestone:c2:2x",
    ]


async def test_what_is_far_beyond_the_rung_says_how_far(way: Way) -> None:
    ann = await way.person()
    await way.putting.put(milestone(ann, 3.0, now_usd=94_000.0))
    await way.deliver()
    assert texts_of(ann) == ["🚀 3x · MCAT · $20k → $94k (4.7x) in 42m"]


async def test_in_a_message_of_several_calls_it_answers_what_is_said_of_its_own(way: Way) -> None:
    ann = await way.person()
    calls = [call_of(n) for n in range(2)]
    await way.claim(*(claim_of(call, ann.id) for call in calls))
    await way.deliver()
    [merged] = [m for m in ann.messages if m["from"]["is_bot"]]
    told = {"message_id": merged["message_id"], "of_several": True, "channel": "Alpha"}
    addresses = [calls[1].token.address, "A" * 44]
    for number, address in enumerate(addresses):
        await way.putting.put(milestone(ann, 2.0, f"c{number}", token_address=address, in_digest=bool(number), **told))
    await way.deliver()
    quoting, other = [m for m in ann.messages if m["from"]["is_bot"]][1:]
    assert quoting["quote"]["text"] == addresses[0]
    assert quoting["text"].splitlines()[1:] == ["📣 Alpha (told with others)", addresses[0]]
    assert "reply_to_message" not in other, "the message says nothing of it, and its first lines are of another token"
    assert other["text"].splitlines()[1:] == ["📣 Alpha (in your digest)", addresses[1]]
    assert {fate.status for fate in await way.fates() if fate.kind == KIND} == {"sent"}


NIGHT = QuietHours(start_minute=12 * 60, end_minute=14 * 60)


@pytest.mark.parametrize(
    ("preferences", "is_silent"), [({}, False), ({"silent": frozenset({"milestone"})}, True), ({"quiet": NIGHT}, True)]
)
async def test_the_sound_is_turned_off_by_choice_and_by_night(
    way: Way, preferences: dict[str, Any], *, is_silent: bool
) -> None:
    ann = await way.person(**preferences)
    await way.putting.put(milestone(ann, 2.0))
    await way.deliver()
    [told] = (m for m in ann.messages if m["from"]["is_bot"])
    assert (told["message_id"] in ann.chat.silent_ids) == is_silent


async def test_in_another_chat_than_the_alert_it_stands_alone(way: Way) -> None:
    ann = await way.person()
    group = way.telegram.group("Callers", [ann])
    await way.users.subscribers.change_preferences(
        ann.id, lambda p: type(p)(destination=Destination(chat_id=group.chat.id, title="Callers"))
    )
    theirs = await group.send(ann, "Good morning")
    await way.putting.put(milestone(ann, 2.0, message_id=theirs["message_id"]))
    await way.deliver()
    message = await group.next_message(where=lambda m: m["from"]["is_bot"])
    assert message["text"].startswith("🚀 2x")
    assert "reply_to_message" not in message


async def test_late_ones_say_so(way: Way) -> None:
    ann = await way.person()
    await way.putting.put(milestone(ann, 2.0, "c1", late_s=720.0))
    await way.putting.put(milestone(ann, 2.0, "c2", name=None, measure="price", then_usd=0.00001, now_usd=0.00002))
    way.clock.now = NOW + timedelta(minutes=9)
    await way.deliver()
    seen, told = texts_of(ann)
    assert seen.splitlines()[1] == "⏱ Seen late: it got there at some time in the 12m before."
    assert told.splitlines() == [
        "🚀 2x · T · $0.0₄1 → $0.0₄2 in 42m",
        "⏱ Told late: the price may be another one by now.",
    ]


async def test_a_name_is_only_a_name(way: Way) -> None:
    ann = await way.person()
    await way.putting.put(milestone(ann, 2.0, name="<b>x</b> @someone t.me/evil" * 40))
    await way.deliver()
    [message] = [m for m in ann.messages if m["from"]["is_bot"]]
    assert {entity["type"] for entity in message["entities"]} == {"bold"}
    assert len(message["text"]) < 100
