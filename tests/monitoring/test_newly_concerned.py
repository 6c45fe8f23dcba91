"""One alarm is for many: what comes to it while it stands is told once, by name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from domain.posts.reasons import Reason as PostReason
from managers.redis.client import RedisManager
from services.channels.conditions import calls_no_more, closed
from services.channels.rows import ReadChannel
from services.cluster.members import Members
from services.monitoring.alarm_memory import ByChat, ReportedAlarms
from services.monitoring.alarm_state import FORGOTTEN_AFTER_S, MAX_REPORTS_PER_HOUR, SETTLED_AFTER_S
from services.monitoring.alarms import AlarmsService
from services.monitoring.conditions import Condition, about, alarms_elsewhere, because
from services.monitoring.payment_conditions import payments_unmatched
from services.monitoring.process_conditions import access_denied, jobs_stuck
from services.monitoring.readings import Reading
from tests.monitoring.test_alarms import ANN, BEN, HOUR_S, TEXTS, Scene, play
from tests.telegram.virtual_time import virtual_clock


class Hosts:
    """Who does not let us in: an alarm that is for many."""

    def __init__(self) -> None:
        self.denied: dict[str, str] = {}
        self.condition = access_denied(lambda: self.denied)


def scene_of(condition: Condition, *, chats: tuple[int, ...] = (ANN,), after_s: float = 5.0) -> Scene:
    scene = Scene(chats=chats)
    scene.alarms.watch("access", condition, after_s=after_s)
    return scene


def test_each_is_told_once_and_by_name_while_the_alarm_stands_for_another_one() -> None:
    hosts = Hosts()
    scene = scene_of(hosts.condition, chats=(ANN, BEN))

    async def story() -> None:
        hosts.denied["one"] = "401"
        await asyncio.sleep(100)
        hosts.denied["two"] = "403"
        await asyncio.sleep(2 * HOUR_S)
        hosts.denied.clear()
        await asyncio.sleep(100)

    play(scene, story)
    for chat in (ANN, BEN):
        began, added, ended = scene.texts(chat)
        assert began.startswith("🔴 access one")
        assert added.startswith("🔴 access now also (1): two")
        assert "one" not in added
        assert ended.startswith("🟢 access is over")


def test_what_is_there_for_a_moment_or_was_away_for_one_is_no_news() -> None:
    hosts = Hosts()
    scene = scene_of(hosts.condition)

    async def story() -> None:
        hosts.denied |= {"one": "401", "two": "401"}
        await asyncio.sleep(100)
        for _ in range(20):
            hosts.denied["blip"] = "401"
            await asyncio.sleep(2)
            del hosts.denied["blip"]
            del hosts.denied["two"]
            await asyncio.sleep(20)
            hosts.denied["two"] = "401"
        await asyncio.sleep(100)

    play(scene, story)
    assert len(scene.said) == 1


def test_what_was_well_for_long_is_told_again() -> None:
    hosts = Hosts()
    scene = scene_of(hosts.condition)

    async def story() -> None:
        hosts.denied |= {"one": "401", "two": "401"}
        await asyncio.sleep(100)
        del hosts.denied["two"]
        await asyncio.sleep(FORGOTTEN_AFTER_S + 10)
        hosts.denied["two"] = "401"
        await asyncio.sleep(100)

    play(scene, story)
    assert [text.startswith("🔴 access now also (1): two") for text in scene.texts()] == [False, True]


def test_many_that_come_one_by_one_are_a_few_messages_and_none_is_left_out() -> None:
    hosts = Hosts()
    scene = scene_of(hosts.condition)

    async def story() -> None:
        for number in range(12):
            hosts.denied[f"h{number}"] = "401"
            await asyncio.sleep(30)
        await asyncio.sleep(SETTLED_AFTER_S + 100)

    play(scene, story)
    within_s = scene.said[0][0] + 400
    assert len([at for at, *_ in scene.said if at < within_s]) < MAX_REPORTS_PER_HOUR
    counted = re.findall(r"now also \((\d+)\)", " ".join(scene.texts()))
    assert sum(map(int, counted)) == 11
    assert len(scene.said) <= MAX_REPORTS_PER_HOUR + 1


class Kept:
    def __init__(self) -> None:
        self.told = ReportedAlarms(saved_at=datetime.now(UTC), chats={})

    async def load(self) -> ReportedAlarms:
        return self.told

    async def save(self, chats: ByChat) -> bool:
        self.told = ReportedAlarms(saved_at=datetime.now(UTC), chats=dict(chats))
        return True


def test_the_next_process_knows_of_which_it_was_told() -> None:
    kept, hosts = Kept(), Hosts()

    def begun() -> Scene:
        scene = Scene()
        scene.alarms = AlarmsService(messenger=scene, chat_ids=(ANN,), texts=TEXTS, clock=virtual_clock, memory=kept)
        scene.alarms.watch("access", hosts.condition)
        return scene

    async def first() -> None:
        hosts.denied["one"] = "401"
        await asyncio.sleep(60)
        hosts.denied["two"] = "401"
        await asyncio.sleep(60)

    async def second() -> None:
        await asyncio.sleep(60)
        hosts.denied["three"] = "401"
        await asyncio.sleep(60)

    play(before := begun(), first)
    play(after := begun(), second)
    assert len(before.said) == 2
    assert [text.split(" does")[0] for text in after.texts()] == ["🔴 access now also (1): three"]


async def test_what_concerns_another_process_is_told_by_name_as_well(redis_manager: RedisManager) -> None:
    one, other = Members(redis_manager, "one", {"gateway"}), Members(redis_manager, "other", {"listen"})
    hosts, said = Hosts(), Scene()
    own = AlarmsService(messenger=said, chat_ids=(), texts=TEXTS, clock=lambda: 0.0)
    own.watch("access", hosts.condition, after_s=0.0)
    other.alarms, other.alarm_parts = own.own, own.own_parts
    for member in (one, other):
        await member.join()

    async def concerned(*names: str) -> list[str]:
        hosts.denied = dict.fromkeys(names, "401")
        own.poll()
        await other.beat()
        await one.beat()
        there = AlarmsService(
            messenger=said, chat_ids=(), texts=TEXTS, clock=lambda: 0.0, elsewhere=lambda: alarms_elsewhere(one)
        )
        there.poll()
        return list(there._alarms["access @ other"].parts)  # pyright: ignore[reportPrivateUsage]

    assert await concerned("one") == ["one"]
    assert await concerned("one", "two") == ["one", "two"]


def a_channel(name: str, problem: str | None) -> ReadChannel:
    now = datetime.now(UTC)
    return ReadChannel(
        channel=name,
        title=None,
        state="read",
        added_by=None,
        added_at=now,
        read_to=1,
        revision=1,
        last_post_at=now,
        last_read_at=now,
        problem=problem,
        problem_since=now - timedelta(hours=1),
    )


async def unmatched_of(count: int) -> Condition:
    async def ask() -> int:
        return count

    reading = Reading(ask)
    await reading.refresh()
    return payments_unmatched(reading)


async def as_is(condition: Condition) -> Condition:
    return condition


def of_silent(names: tuple[str, ...]) -> Condition:
    def miss(channel: str) -> PostReason | None:
        return "symbol_only" if channel in names else None

    return calls_no_more(lambda: [a_channel(name, None) for name in ("@one", "@two")], miss)


CONCERNED: dict[str, Callable[[tuple[str, ...]], Awaitable[Condition]]] = {
    "channels closed": lambda names: as_is(
        closed(lambda: [a_channel(name, "not_found") for name in names], lambda: datetime.now(UTC))
    ),
    "channels without calls": lambda names: as_is(of_silent(names)),
    "access": lambda names: as_is(access_denied(lambda: dict.fromkeys(names, "401"))),
    "jobs": lambda names: as_is(jobs_stuck(lambda _: dict.fromkeys(names, 99.0))),
    "unmatched payments": lambda names: unmatched_of(len(names)),
}


@pytest.mark.parametrize("name", CONCERNED)
async def test_conditions_that_are_for_many_say_whom_they_concern(name: str) -> None:
    for names in (("@one",), ("@one", "@two")):
        alarms = AlarmsService(messenger=Scene(), chat_ids=(), texts=TEXTS, clock=lambda: 0.0)
        alarms.watch(name, await CONCERNED[name](names), after_s=0.0)
        alarms.poll()
        assert len(alarms.own_parts()[name]) == len(names)


def test_one_reason_for_several_is_said_once() -> None:
    scene = scene_of(lambda: about(("a", "b"), because("alarm.jobs_stuck", jobs="a, b", seconds="61")))

    async def story() -> None:
        await asyncio.sleep(100)

    play(scene, story)
    assert len(scene.said) == 1
