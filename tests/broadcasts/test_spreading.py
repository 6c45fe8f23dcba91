"""Who gets a broadcast, once, whatever is killed, and what overtakes it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from domain.broadcasts.segments import Audience
from domain.delivery.messages import Message
from domain.delivery.policy import Send, decide
from domain.subscribers.subscriber import QuietHours
from managers.storage.postgres import PostgresManager
from managers.telegram.conversation import TelegramConversation
from managers.telegram.send_windows import OVERALL
from runtime.errors import FatalError, UserFacingError
from sandbox.telegram.updates import JsonObject
from services.broadcasts import spreading
from services.broadcasts.composing import NewsComposer
from services.broadcasts.spreading import STUCK_AFTER
from services.stores import keys
from tests.broadcasts.kit import READ, ROOM, Broadcasts, broadcasts_on, heard
from tests.delivery.kit import call_of, claim_of, texts_of, way_of
from texts import Texts

AT_ONCE = OVERALL.slots
"""The rest waits for its turn."""


class KilledError(FatalError):
    """The process ends here."""


async def test_everybody_gets_it_once_and_no_document_is_changed(broadcasts: Broadcasts) -> None:
    people = await broadcasts.people(7)
    paying, gone = people[0], people[1]
    await broadcasts.change(paying, plan="pro")
    before = [await broadcasts.document(person) for person in people]
    gone.deactivate()
    broadcast_id = await broadcasts.begun()
    await broadcasts.to_the_end()
    assert heard(people) == [1, 0, 1, 1, 1, 1, 1]
    after = [await broadcasts.document(person) for person in people]
    assert after[1] == replace(before[1], unreachable=True, revision=after[1].revision)
    assert [*after[:1], *after[2:]] == [*before[:1], *before[2:]]
    counts = await broadcasts.counts(broadcast_id)
    assert (counts.total, counts.sent, counts.blocked, counts.left, counts.gone) == (7, 6, 1, 0, 0)
    rows = await broadcasts.postgres.fetch("SELECT 1 FROM broadcast_recipients")
    assert not rows, "nobody is remembered once it is over"


async def test_a_document_that_cannot_be_read_costs_one_person_the_news(
    broadcasts: Broadcasts, postgres_manager: PostgresManager
) -> None:
    people = await broadcasts.people(3)
    broadcast_id = await broadcasts.begun()
    await broadcasts.way.redis.set(keys.SUBSCRIBER.of(people[1].id), b"{")
    other = broadcasts_on(
        way_of(broadcasts.way.redis, broadcasts.way.telegram, broadcasts.way.manager), postgres_manager
    )  # which has nobody in memory
    await other.to_the_end()
    assert heard(people) == [1, 0, 1]
    assert (await other.counts(broadcast_id)).left == 0


@pytest.mark.parametrize("dies_at", [1, 2])
async def test_killed_in_the_middle_nobody_gets_it_twice_and_nobody_is_left_out(
    broadcasts: Broadcasts, monkeypatch: pytest.MonkeyPatch, postgres_manager: PostgresManager, dies_at: int
) -> None:
    broadcasts = broadcasts_on(broadcasts.way, postgres_manager, room=30)
    people = await broadcasts.people(30)
    broadcast_id = await broadcasts.begun()
    passed = 0

    def die(_: str) -> None:
        nonlocal passed
        passed += 1
        if passed == dies_at:
            raise KilledError

    monkeypatch.setattr(spreading, "fault_point", die)
    with pytest.raises(KilledError):
        await broadcasts.step()
    monkeypatch.undo()
    way = way_of(broadcasts.way.redis, broadcasts.way.telegram, broadcasts.way.manager)
    other = broadcasts_on(way, postgres_manager)
    await other.to_the_end()
    assert heard(people) == [1] * 30
    assert (await other.counts(broadcast_id)).sent == 30
    assert other.spreading.put == max(0, 30 - 25 * dies_at), "what was put before the kill was not put again"


async def test_who_is_banned_deleted_or_wants_no_news_meanwhile_gets_none(broadcasts: Broadcasts) -> None:
    people = await broadcasts.people(5)
    broadcast_id = await broadcasts.begun()
    await broadcasts.change(people[0], banned_at=broadcasts.way.clock.now)
    subscriber = await broadcasts.document(people[1])
    await broadcasts.change(people[1], preferences=replace(subscriber.preferences, news=False))
    await broadcasts.postgres.execute("SELECT erase_person($1, '{}')", people[2].id)
    await broadcasts.way.redis.delete(keys.SUBSCRIBER.of(people[2].id))
    await broadcasts.to_the_end()
    assert heard(people) == [0, 0, 0, 1, 1]
    counts = await broadcasts.counts(broadcast_id)
    assert (counts.total, counts.sent, counts.skipped, counts.gone) == (5, 2, 2, 1)


async def test_who_is_banned_while_it_waits_for_them_gets_none(broadcasts: Broadcasts) -> None:
    (ann,) = await broadcasts.people(1)
    broadcast_id = await broadcasts.begun()
    await broadcasts.step()
    await broadcasts.change(ann, banned_at=broadcasts.way.clock.now)
    await broadcasts.to_the_end()
    assert heard([ann]) == [0]
    assert (await broadcasts.counts(broadcast_id)).skipped == 1


async def test_no_more_of_it_waits_than_there_is_room_for(broadcasts: Broadcasts) -> None:
    people = await broadcasts.people(ROOM + 10)
    await broadcasts.begun()
    for _ in range(2):
        await broadcasts.step()
        assert await broadcasts.way.outbox.size() == ROOM
    await broadcasts.to_the_end()
    assert heard(people) == [1] * (ROOM + 10)


async def test_at_night_and_to_who_has_snoozed_it_comes_without_a_sound(broadcasts: Broadcasts) -> None:
    way, now = broadcasts.way, broadcasts.way.clock.now
    night = QuietHours(start_minute=0, end_minute=23 * 60 + 59)
    (ann,) = await broadcasts.people(1, quiet=night)
    (ben,) = await broadcasts.people(1, snoozed_until=now + timedelta(days=1))
    (eve,) = await broadcasts.people(1)
    rules = NewsComposer(Texts.load()).row().rules
    for person, silent in ((ann, True), (ben, True), (eve, False)):
        who = replace(await broadcasts.document(person), paid_until=now - timedelta(days=9))
        verdict = decide(who, token_address="", score=0, decided_at=now, now=way.clock.now, recent=(), rules=rules)
        assert verdict == Send(silent=silent)


async def test_an_alert_goes_before_the_broadcast_that_waits_for_the_same_person(
    broadcasts: Broadcasts, postgres_manager: PostgresManager
) -> None:
    broadcasts = broadcasts_on(broadcasts.way, postgres_manager, room=90)
    people = await broadcasts.people(80)
    await broadcasts.begun()
    await broadcasts.step()
    arrived: list[int] = []
    some = asyncio.Event()

    def note(message: JsonObject) -> None:
        arrived.append(message["chat"]["id"])
        if len(arrived) == AT_ONCE:
            some.set()

    broadcasts.way.telegram.on_message(note)
    async with broadcasts.way.sending():
        await some.wait()
        ann = next(person for person in reversed(people) if person.id not in arrived)
        await broadcasts.way.claim(claim_of(call_of(1), ann.id, decided_at=broadcasts.way.clock.now))
        await broadcasts.way.delivery.drained()
    told = [READ in text for text in texts_of(ann)]
    assert told == [False, True], "the alert came first"
    assert arrived.index(ann.id) < len(people) - 10, "and before those of others"
    assert heard(people) == [1] * len(people)


async def test_paused_it_stands_still_and_goes_on_where_it_was(broadcasts: Broadcasts) -> None:
    people = await broadcasts.people(3)
    broadcast_id = await broadcasts.begun()
    await broadcasts.service.pause(broadcast_id)
    assert not await broadcasts.step()
    await broadcasts.way.deliver()
    assert heard(people) == [0, 0, 0]
    broadcasts.way.clock.now += 2 * STUCK_AFTER
    assert not await broadcasts.step()
    assert broadcasts.spreading.problem() is None
    await broadcasts.service.resume(broadcast_id)
    await broadcasts.to_the_end()
    assert heard(people) == [1, 1, 1]
    for act in (broadcasts.service.pause, broadcasts.service.resume, broadcasts.service.cancel):
        with pytest.raises(UserFacingError):
            await act(broadcast_id)


async def test_ended_early_what_is_under_way_arrives_and_no_more(broadcasts: Broadcasts) -> None:
    people = await broadcasts.people(ROOM + 5)
    broadcast_id = await broadcasts.begun()
    await broadcasts.step()
    await broadcasts.service.cancel(broadcast_id)
    await broadcasts.to_the_end()
    assert sum(heard(people)) == ROOM
    counts = await broadcasts.counts(broadcast_id)
    assert (counts.sent, counts.left, counts.done) == (ROOM, 5, ROOM)
    assert (await broadcasts.service.require(broadcast_id)).state == "cancelled"


async def test_one_that_stands_still_is_an_alarm(broadcasts: Broadcasts) -> None:
    await broadcasts.people(3)
    broadcast_id = await broadcasts.begun()
    await broadcasts.step()
    await broadcasts.step()
    assert broadcasts.spreading.problem() is None
    broadcasts.way.clock.now += STUCK_AFTER
    await broadcasts.step()
    assert f"{broadcast_id} has stood still for 10 min, 3 are to get it" in str(broadcasts.spreading.problem())
    await broadcasts.to_the_end()
    assert broadcasts.spreading.problem() is None


async def test_it_begins_at_its_time_also_in_a_redis_that_was_emptied(broadcasts: Broadcasts) -> None:
    people, service, clock = await broadcasts.people(2), broadcasts.service, broadcasts.way.clock
    await broadcasts.written()
    kept, dropped = await service.draft("<i>later</i>", 1), await service.draft("not at all", 1)
    for one in (kept, dropped):
        await service.schedule(one, clock.now + timedelta(hours=2))
    await service.unschedule(dropped)
    await broadcasts.way.redis.delete(keys.DUE.of("broadcast", "all"))
    assert not await broadcasts.step(), "it says anew when it is due"
    assert await broadcasts.schedule.poll() == 0
    clock.now += timedelta(hours=2)
    assert await broadcasts.schedule.poll() == 1
    assert await broadcasts.schedule.poll() == 0
    await broadcasts.to_the_end()
    assert [texts_of(person) for person in people] == [["later"]] * 2


async def test_how_far_it_has_come_is_shown_at_most_every_few_seconds_and_the_end_is_news(
    broadcasts: Broadcasts,
) -> None:
    people = await broadcasts.people(3)
    admin = broadcasts.way.telegram.user("Admin")
    await admin.send("/start")
    broadcast_id = await broadcasts.begun(Audience("trial"))
    shown = await TelegramConversation(broadcasts.way.manager).send(admin.id, Message(html="here"))
    await broadcasts.service.show_in(broadcast_id, admin.id, shown)
    edits: list[JsonObject] = []
    broadcasts.way.telegram.on_message(lambda m: edits.append(m) if "edit_date" in m else None)
    await broadcasts.step()
    await broadcasts.way.deliver()
    await broadcasts.written()
    for _ in range(5):
        await broadcasts.spreading.step()
    assert len(edits) == 1
    await broadcasts.to_the_end()
    assert heard(people) == [1, 1, 1]
    assert "100%" in admin.messages[-2]["text"]
    assert "went to 3 of 3 people" in admin.messages[-1]["text"]


async def test_nobody_is_told_of_a_segment_in_which_nobody_is(broadcasts: Broadcasts) -> None:
    await broadcasts.people(1)
    with pytest.raises(UserFacingError, match="nobody"):
        await broadcasts.begun(Audience("free"))
