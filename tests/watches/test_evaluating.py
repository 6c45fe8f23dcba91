"""What is watched, held against prices: told once for each crossing, whoever is killed in between."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from domain.delivery.policy import Send
from domain.stored.journal import DecidedCall
from domain.stored.outgoing import Envelope
from domain.subscribers.subscriber import Preferences, Subscriber
from domain.watches.conditions import Condition
from services.claims.outbox import OutboxEntry
from services.delivery.turns import QueuedMessage
from services.monitoring.readings import Reading
from services.watches import evaluating, telling
from services.watches.composing import WatchComposer
from services.watches.figures import UNTOLD_S, watches_wait
from tests.texts.telegram_html import shown
from tests.tracking.kit import Killed, address
from tests.watches.kit import WatchDesk
from texts import Texts

ANN = 1
TWICE = Condition(subject="multiple", side="above", value=2.0)
HALF = Condition(subject="multiple", side="below", value=0.5)
CAP = Condition(subject="market_cap", side="above", value=100_000.0)


async def test_once_is_once_and_a_wick_is_nothing(desk: WatchDesk) -> None:
    await desk.call("c1")
    await desk.tracking.round()
    assert (await desk.begin(ANN, TWICE, now_usd=1.0)).outcome == "begun"
    await desk.evaluator.round()
    desk.tick(1.0)
    desk.tick(2.5)
    desk.tick(1.0)
    await desk.evaluator.round()
    assert await desk.crossings() == []
    desk.rise(2.0)
    await desk.evaluator.round()
    assert await desk.crossings() == ["1"]
    assert await desk.watches.all(ANN) == [], "it has ended where its firing is written down"
    desk.rise(1.0)
    desk.rise(2.5)
    await desk.evaluator.round()
    assert await desk.crossings() == ["1"]
    [(_, told)] = await desk.notices()
    assert (told.price_usd, told.market_cap_usd, told.late_s, told.ended) == (2.0, 40_000.0, None, True)
    assert told.name == "T0"


async def test_each_time_waits_until_the_price_has_gone_back_far_enough(desk: WatchDesk) -> None:
    await desk.call("c1")
    await desk.tracking.round()
    await desk.begin(ANN, TWICE.timed(each_time=True), now_usd=1.0)
    await desk.evaluator.round()
    for price in (2.0, 1.99, 2.1, 1.91, 2.2):
        desk.rise(price)
        await desk.evaluator.round()
    assert await desk.crossings() == ["1"]
    desk.rise(1.8)
    desk.rise(2.2)
    await desk.evaluator.round()
    assert await desk.crossings() == ["1", "2"]
    [watch] = await desk.watches.all(ANN)
    assert (watch.crossings, watch.armed) == (2, False)


async def test_down_by_half_and_a_market_cap_that_only_the_call_has_said(desk: WatchDesk) -> None:
    await desk.call("c1")
    await desk.tracking.round()
    await desk.begin(ANN, HALF)
    await desk.begin(ANN, CAP)
    await desk.evaluator.round()
    desk.tick(4.0)
    desk.tick(4.0)  # two agree: that is the price when it was asked for
    desk.rise(5.0)
    await desk.evaluator.round()
    assert [notice.condition for _, notice in await desk.notices()] == [CAP]
    desk.rise(2.0)
    await desk.evaluator.round()
    assert [notice.condition for _, notice in await desk.notices()] == [CAP, HALF]


async def test_a_token_that_nobody_called_is_asked_for(desk: WatchDesk) -> None:
    await desk.begin(ANN, Condition(subject="price", side="above", value=0.5), token=9)
    await desk.evaluator.round()
    now = desk.clock().timestamp()
    assert desk.evaluator.due(now, 100) == [address(9)]
    assert desk.evaluator.due(now, 100) == []
    desk.heard(0.1, 9)
    assert desk.evaluator.due(desk.clock().timestamp() + 30, 100) == [], "it is far from there"
    desk.heard(0.6, 9)
    assert desk.evaluator.due(desk.clock().timestamp() + 30, 100) == [address(9)]
    desk.heard(0.6, 9, after_s=31)
    await desk.evaluator.round()
    [(_, told)] = await desk.notices()
    assert (told.price_usd, told.market_cap_usd, told.name) == (0.6, None, None)


async def test_what_came_while_nobody_looked_says_so(desk: WatchDesk) -> None:
    await desk.call("c1")
    await desk.tracking.round()
    await desk.begin(ANN, TWICE, now_usd=1.0)
    await desk.evaluator.round()
    desk.tick(1.0)
    await desk.evaluator.drained()
    await desk.tracking.drained()
    desk.restart()
    desk.clock.pass_(minutes=20)
    await desk.tracking.take_over()
    await desk.evaluator.round()
    for _ in range(3):
        desk.heard(2.5, after_s=1)
    await desk.evaluator.round()
    [(_, told)] = await desk.notices()
    assert 1_190 < (told.late_s or 0) < 1_210


POINTS = {"watch_crossed": evaluating, "watch_met": evaluating, "watch_put": telling}


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_every_step_it_is_told_once(
    desk: WatchDesk, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.call("c1")
    await desk.tracking.round()
    await desk.begin(ANN, TWICE, now_usd=1.0)
    await desk.begin(ANN, TWICE.timed(each_time=True), now_usd=1.0)
    await desk.evaluator.round()
    desk.rise(2.2)

    def kill(passed: str) -> None:
        if passed == point:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(POINTS[point], "fault_point", kill)
        with pytest.raises(Killed):
            await desk.evaluator.round()
    desk.restart()
    await desk.tracking.take_over()
    await desk.evaluator.round()
    desk.rise(2.3)
    await desk.evaluator.round()
    assert await desk.crossings() == ["1"]


async def silenced(desk: WatchDesk, person: Subscriber) -> None:
    current = await desk.person(ANN)
    await desk.store.save(replace(person, revision=current.revision + 1))


@pytest.mark.parametrize("how", ["snoozed", "paused"])
async def test_who_wants_silence_is_told_afterwards(desk: WatchDesk, how: str) -> None:
    await desk.call("c1")
    await desk.tracking.round()
    await desk.begin(ANN, TWICE, now_usd=1.0)
    person = await desk.person(ANN)
    until = desk.clock() + timedelta(hours=8)
    quiet = replace(person, preferences=Preferences(snoozed_until=until)) if how == "snoozed" else person
    await silenced(desk, replace(quiet, paused=how == "paused"))
    await desk.evaluator.round()
    desk.rise(2.2)
    await desk.evaluator.round()
    desk.clock.pass_(hours=7)
    await desk.evaluator.round()
    assert await desk.crossings() == []
    assert watches_wait(await read(desk))() is None, "nobody has to mend that"
    desk.clock.pass_(hours=2)
    await silenced(desk, person)
    await desk.evaluator.round()
    assert await desk.crossings() == ["1"]


async def read(desk: WatchDesk) -> Reading[telling.Waiting]:
    reading = Reading(desk.teller.waiting)
    await reading.refresh()
    return reading


async def test_admins_hear_of_what_waits_to_be_told(desk: WatchDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.call("c1")
    await desk.tracking.round()
    await desk.begin(ANN, TWICE, now_usd=1.0)
    await desk.evaluator.round()
    desk.rise(2.2)

    def kill(passed: str) -> None:
        if passed == "watch_met":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(evaluating, "fault_point", kill)
        with pytest.raises(Killed):
            await desk.evaluator.round()
    assert watches_wait(await read(desk))() is None
    desk.clock.pass_(seconds=UNTOLD_S + 1)
    assert watches_wait(await read(desk))() is not None


async def test_what_has_ended_is_not_told_and_twice_is_one(desk: WatchDesk) -> None:
    await desk.call("c1")
    await desk.tracking.round()
    outcomes = [(await desk.begin(ANN, TWICE, now_usd=1.0)).outcome for _ in range(2)]
    outcomes.append((await desk.begin(ANN, TWICE.timed(each_time=True), now_usd=1.0)).outcome)
    outcomes += [(await desk.begin(ANN, one)).outcome for one in (HALF, CAP, replace(CAP, value=2e5))]
    assert outcomes == ["begun", "already", "retimed", "begun", "begun", "full"]
    await desk.evaluator.round()
    assert len(desk.evaluator.memory) == 3
    [first, *_] = await desk.watches.all(ANN)
    assert not await desk.watches.end(ANN + 1, first.id), "it is not theirs"
    assert await desk.watches.end(ANN, first.id)
    assert not await desk.watches.end(ANN, first.id)
    desk.rise(2.2)  # before the end has come to who follows prices
    await desk.evaluator.round()
    assert await desk.crossings() == []
    assert len(desk.evaluator.memory) == 2
    assert await desk.watches.end_all(ANN, desk.clock()) == 2
    await desk.evaluator.round()
    assert not desk.evaluator.memory.tokens


async def test_the_second_of_two_quick_taps_begins_nothing_where_the_first_was_met_at_once(desk: WatchDesk) -> None:
    await desk.call("c1")
    await desk.tracking.round()
    there = Condition(subject="price", side="above", value=0.5)
    await desk.begin(ANN, there)
    await desk.evaluator.round()
    desk.rise(1.0)
    await desk.evaluator.round()
    assert (await desk.begin(ANN, there)).outcome == "already"
    desk.clock.pass_(seconds=30)
    assert (await desk.begin(ANN, there)).outcome == "begun"


async def test_who_does_not_follow_prices_holds_nothing(desk: WatchDesk) -> None:
    await desk.begin(ANN, CAP)
    await desk.evaluator.round()
    assert len(desk.evaluator.memory) == 1
    desk.tracking.book = None
    await desk.evaluator.round()
    assert len(desk.evaluator.memory) == 0
    await desk.tracking.take_over()
    await desk.evaluator.round()
    assert len(desk.evaluator.memory) == 1


async def test_tokens_of_a_ticker_are_found_those_of_ones_own_alerts_first(desk: WatchDesk) -> None:
    await desk.call("c1", ANN, token=0)
    desk.clock.pass_(minutes=1)
    twin = await desk.call("c2", token=1)
    again = replace(twin, id="c3", token=replace(twin.token, symbol="t0"))
    decided = DecidedCall(call=again, decided_at=desk.clock(), reason="first_check", checked_channels=())
    await desk.put("call", decided)
    found = await desk.watches.find(ANN, "T0")
    assert [(one.address, one.alerted) for one in found] == [(address(0), True), (address(1), False)]
    assert await desk.watches.find(ANN, "nothing") == []


async def test_what_was_held_comes_as_soon_as_the_pause_ends_and_says_so(desk: WatchDesk) -> None:
    await desk.call("c1")
    await desk.tracking.round()
    await desk.begin(ANN, TWICE, now_usd=1.0)
    await desk.begin(ANN, HALF, now_usd=1.0)
    await desk.users.subscribers.pause(ANN)
    await desk.evaluator.round()
    desk.rise(2.2)
    await desk.evaluator.round()
    assert await desk.watches.untold(ANN) == 1
    desk.clock.pass_(seconds=90)
    await desk.evaluator.round()
    await desk.users.subscribers.resume(ANN)
    await desk.evaluator.round()
    [(_, held)] = await desk.notices()
    assert held.held_s == pytest.approx(90, abs=1)
    composer = WatchComposer(Texts.load())
    assert "Held while nothing was sent to you: it got there 1m 30s ago." in await composed(desk, composer, held)
    desk.rise(0.4)
    await desk.evaluator.round()
    assert await desk.watches.untold(ANN) == 0
    told = [notice for _, notice in await desk.notices() if notice.condition == HALF]
    assert [one.held_s for one in told] == [None]
    assert "Held" not in await composed(desk, composer, told[0])


async def composed(desk: WatchDesk, composer: WatchComposer, notice: telling.WatchNotice) -> str:
    envelope = Envelope.of(telling.KIND, notice, user_id=ANN, subject="1", step="1", decided_at=desk.clock())
    entry = OutboxEntry(entry_id="1-1", outgoing=envelope)
    waiting = QueuedMessage(entry=entry, payload=notice, verdict=Send(is_late=True))
    return shown(composer.compose([waiting], await desk.person(ANN)).message.html)
