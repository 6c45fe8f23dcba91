"""What is turned off: people read why, nothing of theirs changes, other processes and the next start obey."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from domain.admins.controls import FEATURES, Control, had_to_wait, is_known
from handlers.conversation.routing import CallbackRoute, CommandRoute, InputRoute
from services.monitoring.alarms import AlarmsService
from services.running.controls import Controls
from services.running.processes import Processes
from tests.admin.people.house import OWNER, VICTIM, House, house_on
from tests.admin.people.test_every_route import plausible
from tests.conversation.reading import alert, button, toast, words
from tests.conversation.telegram_wire import Person, Said

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def turn_off(owner: Person, what: str) -> list[Said]:
    asked = await owner.taps(button(await owner.writes("/maintenance"), f"⏸ {what}"))
    return await owner.taps(button(asked, "Yes, "))


async def go_read_only(owner: Person) -> None:
    await owner.taps(button(await owner.writes("/maintenance"), "⏸ Read-only mode"))
    asked = await owner.writes("Back at <b>noon</b>")
    assert "Back at <b>noon<" in words(asked)
    assert "obeys within seconds" in (toast(await owner.taps(button(asked, "Yes, turn it on"))) or "")


async def test_in_read_only_mode_people_look_and_change_nothing_and_read_why(
    house: House, owner: Person, victim: Person
) -> None:
    await go_read_only(owner)
    await house.written()
    before = await house.state()
    for route in house.routes.commands.values():
        if route.admin is None:
            said = await victim.writes(f"/{route.name}")
            refused = [one for one in said if "Back at" in (one.text or "") and one.message and not one.buttons]
            assert bool(refused) == (not route.goes_on), route.name
    for route in house.routes.callbacks.values():
        if route.admin is None and not route.goes_on:
            assert "I am being worked on" in alert(await victim.taps(plausible(route.data, house).pack())), route
    for route in house.routes.inputs.values():
        if route.admin is None:
            await house.made.bot.services.conversation.inputs.expect(VICTIM, route.kind, "")
            assert "I am being worked on" in words(await victim.writes("20k - 2M")), route
    assert await house.state() == before
    assert "I am being worked on: nothing can be changed now" in words(await victim.writes("/status"))
    assert (await owner.taps(button(await owner.writes("/maintenance"), "▶ End: Read-only mode")))[-1].text == "Ended."
    await victim.writes("/pause")
    assert (await house.subscriber()).paused


async def test_what_goes_on_in_read_only_mode_changes_nothing(house: House, victim: Person) -> None:
    """Otherwise a route could be marked so and change something all the same."""
    looking: list[CommandRoute | CallbackRoute | InputRoute] = [
        one for one in (*house.routes.commands.values(), *house.routes.callbacks.values()) if one.goes_on
    ]
    assert len(looking) > 40
    await house.written()
    before = await house.state()
    for route in looking:
        if isinstance(route, CommandRoute):
            await victim.writes(f"/{route.name}")
        elif isinstance(route, CallbackRoute):
            await victim.taps(plausible(route.data, house).pack())
    after = await house.state()
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} <= {"seen", "activity"}


async def test_newcomers_are_told_in_read_only_mode(house: House, owner: Person) -> None:
    await go_read_only(owner)
    newcomer = house.person(9_999)
    assert "I am being worked on" in words(await newcomer.writes("/start"))
    assert await house.postgres.fetch("SELECT 1 FROM subscribers WHERE user_id = 9999") == []


async def test_it_holds_in_other_processes_and_after_a_restart(
    house: House, owner: Person, redis_url: str, postgres_dsn: str, tmp_path: Path
) -> None:
    async with house_on(redis_url, postgres_dsn, tmp_path / "other", "bob") as elsewhere:
        there, controls = elsewhere.person(VICTIM), elsewhere.made.of(Controls)
        await go_read_only(owner)
        await controls.load()
        assert "I am being worked on" in words(await there.writes("/pause"))
    async with house_on(redis_url, postgres_dsn, tmp_path / "next", "cid") as later:
        await later.made.of(Controls).prepare()
        assert "I am being worked on" in words(await later.person(VICTIM).writes("/pause"))
        later.made.of(AlarmsService).poll()
        (alarm,) = [one for one in later.made.of(AlarmsService).active() if one.name == "turned off"]
        assert "read-only mode is on since" in alarm.reason
        said = words(await later.person(OWNER).writes("/health"))
        assert "read-only mode is on since" in said
        assert "controls read-only" in said


async def test_calls_held_and_draining_are_explained_and_told(house: House, owner: Person) -> None:
    asked = await owner.taps(button(await owner.writes("/maintenance"), "⏸ Calls held"))
    assert "None is lost" in words(asked, "edited")
    await owner.taps(button(asked, "Yes, hold them"))
    assert house.made.of(Controls).intake_rests
    await turn_off(owner, "Draining")
    assert house.made.of(Controls).feed_rests
    left = await house.made.of(Processes).left()
    assert (left.undecided, left.unsent) == (0, 0)
    assert "Drained: nothing is on the way" in words(await owner.writes("/maintenance"))


async def test_a_feature_that_is_off_cannot_be_begun(house: House, owner: Person, victim: Person) -> None:
    for what in ("Backtests", "Reports", "Free trials"):
        asked = await owner.taps(button(await owner.writes("/maintenance"), f"⏸ {what}"))
        assert "while trials are off gets none later either" in words(asked, "edited")
        await owner.taps(button(asked, "Yes, "))
    assert "turned off for the moment" in words(await victim.writes("/backtest"))
    assert "turned off for the moment" in words(await victim.writes("/report"))
    await house.person(9_999).writes("/start")
    (row,) = await house.postgres.fetch("SELECT count(*) AS n FROM entitlements WHERE user_id = 9999")
    assert row["n"] == 0
    newcomer = await house.subscriber(9_999)
    assert not newcomer.has_plan_at(datetime.now(UTC)) or newcomer.plan == "free"
    assert "Backtests is turned off" in told(house)
    await owner.taps(button(await owner.writes("/maintenance"), "▶ End: Backtests"))
    assert "turned off" not in words(await victim.writes("/backtest"))


def told(house: House) -> str:
    alarms = house.made.of(AlarmsService)
    alarms.poll()
    return "; ".join(one.reason for one in alarms.active()).replace("backtest", "Backtests")


async def test_only_what_there_is_can_be_turned_off(house: House, owner: Person) -> None:
    for data in ("askctl:everything:", "askctl:blocked:x", "askctl:feature:", "liftctl:source:native"):
        assert "out of date" in alert(await owner.taps(data)), data
    assert house.made.of(Controls).told() == []


@given(st.sampled_from(["read_only", "intake", "drain", "feature", "source", "blocked", "x"]), st.text(max_size=8))
def test_no_other_words_name_something(name: str, subject: str) -> None:
    if is_known(name, subject):
        assert (name in {"read_only", "intake", "drain"} and not subject) or subject in FEATURES


@given(
    st.integers(-300, 300),
    st.lists(st.tuples(st.integers(-100, 100), st.none() | st.integers(-100, 200)), max_size=4),
)
def test_a_call_had_to_wait_if_it_met_a_pause(called: int, pauses: list[tuple[int, int | None]]) -> None:
    holds = [
        Control(
            name="intake",
            subject="",
            reason="",
            admin_id=1,
            since=NOW + since * MINUTE,
            until=None if until is None else NOW + until * MINUTE,
        )
        for since, until in pauses
    ]
    meant = any(since - 10 <= called <= (999 if until is None else until) for since, until in pauses)
    assert had_to_wait(NOW + called * MINUTE, holds, 10 * MINUTE) == meant
