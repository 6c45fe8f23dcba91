"""Calls as they are followed: told once each, whoever is killed in between, and what they became is written down."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.calls.events import PriceTick
from domain.subscribers.subscriber import Preferences
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager, PostgresUnavailableError
from services.tracking import fan_out, tracking
from services.tracking.book import AHEAD_S, chunk_of
from services.tracking.peaks import TrackedPeaks
from tests.tracking.kit import NOW, TRACKED_FOR, Desk, Killed, address, message_id

ANN, BEN = 1, 2


async def test_several_at_once_are_told_as_the_highest_and_each_once(desk: Desk) -> None:
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    await desk.call("c1", ANN)
    await desk.tracking.round()
    desk.rise(5.15)
    await desk.tell()
    assert await desk.steps() == [(ANN, "c1", "5x")]
    [told] = await desk.told()
    assert (told.notice.then_usd, round(told.notice.now_usd)) == (20_000, 103_000)
    assert (told.notice.message_id, told.notice.late_s) == (message_id("c1", ANN), None)
    desk.rise(3.0)
    desk.rise(5.5)
    desk.rise(10.0)
    await desk.settled()
    assert await desk.steps() == [(ANN, "c1", "5x"), (ANN, "c1", "10x")]


async def test_nobody_is_told_who_got_no_alert_and_everybody_what_they_want(desk: Desk) -> None:
    people = count(1)
    ann, ben, cat, dan, eve, fay = (next(people) for _ in range(6))
    for user_id in (ann, cat, dan):
        await desk.subscribe(user_id)
    await desk.subscribe(ben, Preferences(milestones=(1.5, 3.0)))
    await desk.subscribe(eve, Preferences(milestones=()))
    await desk.subscribe(fay, Preferences(muted_tokens={address(0): desk.clock() + timedelta(hours=1)}))
    await desk.tracking.take_over()
    call = await desk.call("c1", ann, ben, eve, fay)
    await desk.accept(call, cat)
    await desk.settle(call, cat, "withheld")
    await desk.accept(call, dan)  # and nobody knows what becomes of it
    await desk.tracking.round()
    desk.rise(2.0)
    await desk.settled()
    assert await desk.steps() == [(ann, "c1", "2x"), (ben, "c1", "1.5x")]


async def test_an_alert_that_goes_out_after_the_price_has_doubled_is_answered_then(desk: Desk) -> None:
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    call = await desk.call("c1")
    await desk.accept(call, ANN)
    await desk.tracking.round()
    desk.rise(2.0)
    await desk.tell()
    assert await desk.steps() == []
    desk.clock.pass_(minutes=1)
    await desk.settle(call, ANN, "sent")
    await desk.tell()
    assert await desk.steps() == [(ANN, "c1", "2x")]


async def test_calls_in_a_digest_are_answered_there_and_others_of_the_token_by_their_own_price(desk: Desk) -> None:
    await desk.subscribe(ANN)
    await desk.subscribe(BEN)
    await desk.tracking.take_over()
    first = await desk.call("c1", BEN)
    await desk.accept(first, ANN)
    await desk.settle(first, ANN, "digest")
    await desk.settle(first, ANN, "sent", kind="digest")
    await desk.call("c2", BEN, price_usd=2.0, market_cap_usd=40_000.0)
    await desk.tracking.round()
    desk.rise(4.0)
    await desk.settled()
    assert await desk.steps() == [(ANN, "c1", "3x"), (BEN, "c1", "3x"), (BEN, "c2", "2x")]


async def test_a_call_without_a_price_is_followed_by_its_market_cap(desk: Desk) -> None:
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    await desk.call("c1", ANN, price_usd=None)
    await desk.call("c2", ANN, price_usd=None, market_cap_usd=None, token=1)
    await desk.tracking.round()
    for _ in range(3):
        desk.tick(500.0, market_cap_usd=42_000.0)
    await desk.settled()
    assert await desk.steps() == [(ANN, "c1", "2x")]
    assert desk.tracking.untracked == 1


@pytest.mark.parametrize("written", [True, False])
async def test_what_crossed_while_nobody_tracked_is_late_and_nothing_is_told_twice(
    desk: Desk,
    written: bool,  # noqa: FBT001 - a parameter
) -> None:
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    await desk.call("c1", ANN)
    await desk.call("c2", ANN, token=1)
    await desk.tracking.round()
    desk.rise(2.5)
    await desk.tell()
    if written:
        await desk.tracking.drained()
    desk.restart()
    desk.clock.pass_(minutes=12)
    await desk.call("c3", ANN, token=2)
    await desk.tracking.take_over()
    for _ in range(3):
        desk.read(5.1)
        desk.read(2.1, token=1)
        desk.read(2.1, token=2)
    await desk.settled()
    assert await desk.steps() == [(ANN, "c1", "2x"), (ANN, "c1", "5x"), (ANN, "c2", "2x"), (ANN, "c3", "2x")]
    late = {one.call_id: one.notice.late_s for one in await desk.told() if one.step != "2x" or one.call_id != "c1"}
    assert (late["c1"] or 0) > 600
    assert (late["c2"] or 0) > 600
    assert late["c3"] is None


POINTS = {"crossed": tracking, "reached": tracking, "snapshot": tracking, "fanned_out": fan_out}


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_every_step_nothing_is_lost_and_nothing_comes_twice(
    desk: Desk, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.subscribe(ANN)
    await desk.subscribe(BEN)
    await desk.tracking.take_over()
    await desk.call("c1", ANN, BEN)
    await desk.tracking.round()
    desk.rise(2.2)

    def kill(passed: str) -> None:
        if passed == point:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(POINTS[point], "fault_point", kill)
        with pytest.raises(Killed):
            await desk.tell_and_end()
    desk.restart()
    await desk.tracking.take_over()
    desk.rise(2.2)
    await desk.settled()
    assert await desk.steps() == [(ANN, "c1", "2x"), (BEN, "c1", "2x")]


async def test_a_part_never_knows_of_a_rung_that_is_not_written_down(desk: Desk) -> None:
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    await desk.call("c1", ANN)
    await desk.tracking.round()
    desk.rise(2.2)
    await desk.tracking.sweep()
    desk.restart()
    await desk.tracking.take_over()
    desk.rise(1.0)
    await desk.settled()
    assert await desk.steps() == [(ANN, "c1", "2x")]


async def test_a_call_that_stands_in_a_newer_part_is_not_taken_in_again(desk: Desk) -> None:
    await desk.tracking.take_over()
    await desk.call("c1")
    await desk.call("c2", token=1)
    await desk.tracking.round()
    await desk.tracking.sweep(chunk_of(address(0)) + 1)
    desk.restart()
    await desk.tracking.take_over()
    assert (desk.tracking.calls, sorted(desk.tracking.keys)) == (2, sorted([address(0), address(1)]))


async def test_ticks_while_nobody_tracks_are_kept_for_whoever_takes_over(desk: Desk) -> None:
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    await desk.call("c1", ANN)
    await desk.tracking.drained()
    desk.restart()
    desk.rise(2.2)
    await desk.tracking.take_over()
    desk.rise(1.0)
    await desk.settled()
    assert await desk.steps() == [(ANN, "c1", "2x")]
    [told] = await desk.told()
    assert told.notice.late_s is None, "the gap was short"


async def test_a_price_from_the_future_makes_no_other_price_old(desk: Desk) -> None:
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    await desk.call("c1", ANN)
    await desk.tracking.round()
    tomorrow = desk.clock() + timedelta(days=1)
    tick = PriceTick(token_address=address(0), price_usd=1.0, market_cap_usd=None, at=tomorrow)
    desk.tracking.take_in({address(0): tick})
    desk.clock.pass_(seconds=AHEAD_S)
    desk.rise(2.2)
    await desk.settled()
    assert await desk.steps() == [(ANN, "c1", "2x")]


ACTS = st.lists(
    st.one_of(st.floats(0.2, 30.0), st.sampled_from(["tell", "restart", "drained", "call", "wait"])),
    min_size=1,
    max_size=14,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
async def test_each_milestone_of_each_call_is_told_to_each_person_at_most_once(
    redis_manager: RedisManager, postgres_manager: PostgresManager, acts: list[float | str]
) -> None:
    await redis_manager.transaction([("FLUSHALL",)])
    for table in ("calls", "claims", "deliveries", "outcomes", "milestones", "tracker_snapshots"):
        await postgres_manager.execute(f"TRUNCATE {table}")  # pyright: ignore[reportArgumentType]
    desk = Desk(redis_manager, postgres_manager)
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    calls: dict[str, float] = {}
    highest: dict[str, float] = {}
    price, numbers = 1.0, count(1)
    for act in ("call", *acts, "tell"):
        if isinstance(act, float):
            price = act
            desk.rise(price)
            highest |= {call: max(before, price) for call, before in highest.items()}
        elif act == "call":
            name = f"c{next(numbers)}"
            await desk.call(name, ANN, price_usd=price)
            await desk.tracking.round()
            calls[name] = highest[name] = price
        elif act == "tell":
            await desk.tell()
        elif act == "drained":
            await desk.tracking.drained()
        elif act == "wait":
            desk.clock.pass_(minutes=20)
        else:
            await desk.tracking.round()
            desk.restart()
            await desk.tracking.take_over()
    await desk.settled()
    told = await desk.steps()
    assert len(told) == len(set(told))
    for call, at_call in calls.items():
        rungs = [one.notice.rung for one in await desk.told() if one.call_id == call]
        assert all(rung <= highest[call] / at_call * 1.000_001 for rung in rungs), (call, rungs)


async def test_while_postgresql_is_away_nothing_is_forgotten(desk: Desk) -> None:
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    await desk.call("c1", ANN)
    await desk.tracking.round()
    await desk.postgres.execute("ALTER TABLE milestones RENAME TO gone")
    desk.rise(2.2)
    with pytest.raises(PostgresUnavailableError):
        await desk.tracking.round()
    assert desk.tracking.unwritten > 0
    desk.rise(1.0)
    await desk.postgres.execute("ALTER TABLE gone RENAME TO milestones")
    await desk.settled()
    assert await desk.steps() == [(ANN, "c1", "2x")]


async def test_a_database_that_was_filled_again_has_other_numbers_and_nobody_is_told_of_another_call(
    desk: Desk,
) -> None:
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    await desk.call("c1", ANN)
    await desk.tracking.round()
    for table in ("calls", "claims", "deliveries", "outcomes", "milestones", "tracker_snapshots"):
        await desk.postgres.execute(f"TRUNCATE {table} RESTART IDENTITY")  # pyright: ignore[reportArgumentType]
    await desk.postgres.execute("UPDATE identity SET filled_at = now()")
    await desk.call("c2", ANN, price_usd=4.0)
    await desk.tracking.round()
    desk.rise(8.8)
    await desk.settled()
    assert await desk.steps() == [(ANN, "c2", "2x")]


async def test_by_an_hour_and_at_the_end_it_is_written_down_what_a_call_did(desk: Desk) -> None:
    await desk.subscribe(ANN)
    await desk.tracking.take_over()
    await desk.call("c1", ANN)
    await desk.tracking.round()
    desk.rise(3.0)
    await desk.tracking.drained()
    for _ in range(13):
        desk.tick(1.5, after_s=290)
        await desk.tracking.sweep()
    [row] = await desk.postgres.fetch("SELECT * FROM outcomes")
    assert (row["return_1h"], row["return_24h"], row["peak_multiple"]) == (1.5, None, 3.0)
    assert (row["token_address"], row["channel_id"], row["price_usd"]) == (address(0), "@alpha", 1.0)
    desk.clock.pass_(days=TRACKED_FOR / timedelta(days=1))
    await desk.tracking.sweep()
    [row] = await desk.postgres.fetch("SELECT * FROM outcomes")
    assert (row["ending"], row["ended_at"], row["peak_multiple"]) == ("age", desk.clock(), 3.0)
    assert (desk.tracking.calls, len(desk.tracking.keys)) == (0, 0)


async def test_what_has_ended_stays_so_after_a_restart_from_an_older_part(desk: Desk) -> None:
    await desk.tracking.take_over()
    await desk.call("c1")
    await desk.tracking.drained()
    await desk.call("c2")
    await desk.call("c3", token=1)
    await desk.tracking.round()
    await desk.postgres.execute("UPDATE outcomes SET ended_at = $1, ending = 'silence' WHERE call_id <> 'c3'", NOW)
    desk.restart()
    await desk.tracking.take_over()
    assert desk.tracking.keys == [address(1)]


async def test_a_peak_is_known_in_every_process_and_after_a_restart(desk: Desk) -> None:
    await desk.tracking.take_over()
    first = await desk.call("c1")
    await desk.tracking.round()
    desk.rise(2.5)
    second = await desk.call("c2", price_usd=2.0, market_cap_usd=40_000.0)
    await desk.tracking.round()
    desk.tick(9.0)  # a wick
    desk.rise(1.0)
    peaks = TrackedPeaks(desk.tracking, desk.postgres)
    assert await peaks.highest(address(0), first.called_at) == 50_000.0
    assert await peaks.highest(address(0), second.called_at) == 40_000.0
    assert await peaks.highest(address(1), first.called_at) is None
    desk.restart()
    peaks = TrackedPeaks(desk.tracking, desk.postgres)
    assert await peaks.highest(address(0), first.called_at) == 50_000.0
    await desk.tracking.take_over()
    assert await TrackedPeaks(desk.tracking, desk.postgres).highest(address(0), first.called_at) == 50_000.0


async def test_a_token_that_nobody_can_sell_ends_its_calls(desk: Desk) -> None:
    await desk.tracking.take_over()
    await desk.call("c1")
    await desk.tracking.round()
    for _ in range(2):
        desk.clock.pass_(minutes=61)
        await desk.call(f"again{desk.clock()}", liquidity_usd=10.0)
        await desk.tracking.round()
    await desk.tracking.sweep()
    rows = await desk.postgres.fetch("SELECT call_id, ending FROM outcomes")
    assert {row["ending"] for row in rows} == {"liquidity"}
    assert desk.tracking.calls == 0
