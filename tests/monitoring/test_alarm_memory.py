"""An alarm outlives the process that told of it: whoever follows tells that all is well again, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from managers.redis.client import RedisManager
from runtime.errors import OutcomeUnknownError
from services.monitoring.alarm_memory import NOTHING_REPORTED, ByChat, ReportedAlarm, ReportedAlarms, StoredAlarmMemory
from services.monitoring.alarm_state import KNOWN_AFTER_S
from services.monitoring.alarms import AlarmsService
from services.stores import keys
from tests.faults.proxy import FaultProxy
from tests.monitoring.test_alarms import ANN, BEN, Scene
from tests.telegram.virtual_time import run, virtual_clock
from texts import Texts

START = datetime(2026, 1, 1, tzinfo=UTC)


def time_of_day() -> datetime:
    return START + timedelta(seconds=virtual_clock())


class Kept:
    """What is remembered, without a wire: hours pass in milliseconds here."""

    def __init__(self) -> None:
        self.told = NOTHING_REPORTED
        self.refuses = 0

    async def load(self) -> ReportedAlarms:
        return self.told

    async def save(self, chats: ByChat) -> bool:
        if self.refuses:
            self.refuses -= 1
            return False
        self.told = ReportedAlarms(saved_at=time_of_day(), chats=chats)
        return True


class Process(Scene):
    """One of several that follow each other."""

    def __init__(self, kept: Kept, *names: str, chats: tuple[int, ...] = (ANN,)) -> None:
        super().__init__(chats=chats)
        self.is_ending = False
        self.alarms = AlarmsService(
            messenger=self,
            chat_ids=chats,
            texts=Texts.load(),
            clock=virtual_clock,
            time_of_day=time_of_day,
            memory=kept,
            is_ending=lambda: self.is_ending,
        )
        for name in names or ("redis",):
            self.alarms.watch(name, lambda name=name: self.wrong.get(name))


def play(story: Callable[[], Coroutine[None, None, None]]) -> None:
    run(story())


async def breaks(process: Process, *, for_s: float = 60.0) -> None:
    """Let it run, with something wrong when it ends."""
    process.wrong["redis"] = "does not answer"
    async with process.running():
        await asyncio.sleep(for_s)


def test_the_end_of_an_alarm_is_told_after_a_restart() -> None:
    kept = Kept()
    first, second, third = (Process(kept, chats=(ANN, BEN)) for _ in range(3))

    async def story() -> None:
        await breaks(first)
        async with second.running():
            await asyncio.sleep(600)
        async with third.running():
            await asyncio.sleep(600)

    play(story)
    for chat_id in (ANN, BEN):
        assert [text[0] for text in first.texts(chat_id)] == ["🔴"]
        [ended] = second.texts(chat_id)
        assert ended.startswith("🟢 redis is over after 1m"), "counted from when it began"
        assert "does not answer" in ended
    assert third.said == []


def test_what_is_still_wrong_after_a_restart_is_not_told_again() -> None:
    kept = Kept()
    first, second = Process(kept), Process(kept)

    async def story() -> None:
        await breaks(first)
        async with second.running():
            await asyncio.sleep(KNOWN_AFTER_S - 1)  # nobody has asked yet
            [standing] = second.alarms.active()
            assert standing.for_s > 60
            second.wrong["redis"] = "does not answer"
            await asyncio.sleep(600)
            assert second.said == []
            del second.wrong["redis"]
            await asyncio.sleep(60)

    play(story)
    assert [text[0] for text in second.texts()] == ["🟢"]


def test_a_killed_process_is_remembered_as_far_as_it_told() -> None:
    """Whatever could not be saved at once is saved soon."""
    kept = Kept()
    kept.refuses = 3
    first, second = Process(kept), Process(kept)

    async def story() -> None:
        await breaks(first)
        async with second.running():
            await asyncio.sleep(60)

    play(story)
    assert [text[0] for text in second.texts()] == ["🟢"]


def test_a_process_killed_while_it_tells_has_written_it_down() -> None:
    kept = Kept()
    first, second = Process(kept), Process(kept)

    async def story() -> None:
        first.wrong["redis"] = "does not answer"
        seen: list[ByChat] = []
        first.fail = lambda _chat_id: seen.append(kept.told.chats) or OutcomeUnknownError("no answer")
        async with first.running():
            await asyncio.sleep(6.5)
        assert list(seen[0][ANN]) == ["redis"]
        kept.told = ReportedAlarms(saved_at=time_of_day(), chats=seen[0])  # it was killed in that moment
        async with second.running():
            await asyncio.sleep(60)

    play(story)
    assert [text[0] for text in second.texts()] == ["🟢"]


def test_another_admin_and_another_alarm_are_told_what_they_do_not_know() -> None:
    kept = Kept()
    first, second = Process(kept), Process(kept, "redis", "feed", chats=(ANN, BEN))

    async def story() -> None:
        await breaks(first)
        second.wrong |= {"redis": "does not answer", "feed": "is silent"}
        async with second.running():
            await asyncio.sleep(60)

    play(story)
    assert [text[:6] for text in second.texts(ANN)] == ["🔴 feed"]
    assert sorted(word for text in second.texts(BEN) for word in ("redis", "feed") if word in text) == ["feed", "redis"]


def test_one_who_leads_again_goes_on_from_what_the_other_told() -> None:
    kept = Kept()
    first, second = Process(kept), Process(kept)

    async def story() -> None:
        await breaks(first)
        async with second.running():  # tells that it is over
            await asyncio.sleep(60)
        del first.wrong["redis"]
        async with first.running():
            await asyncio.sleep(60)

    play(story)
    assert [text[0] for text in [*first.texts(), *second.texts()]] == ["🔴", "🟢"]


def test_while_a_process_ends_nothing_begins() -> None:
    process = Process(Kept(), "feed", "redis")

    async def story() -> None:
        async with process.running():
            await asyncio.sleep(10)
            process.is_ending = True
            process.wrong |= {"feed": "not connected", "redis": "does not answer"}
            await asyncio.sleep(60)

    play(story)
    assert process.said == []


TOLD = {7: {"feed": ReportedAlarm(reason="is silent", began_at=START)}}


async def test_it_is_kept_in_redis_and_in_a_file_and_the_newer_counts(
    redis_manager: RedisManager, tmp_path: Path
) -> None:
    path, now = tmp_path / "told.json", [START]
    mine = StoredAlarmMemory(redis_manager, path, lambda: now[0])
    elsewhere = StoredAlarmMemory(redis_manager, None, lambda: now[0])
    assert await mine.load() == NOTHING_REPORTED
    assert await mine.save(TOLD)
    assert (await mine.load()).chats == (await elsewhere.load()).chats == TOLD
    await redis_manager.delete(keys.REPORTED_ALARMS.of())
    assert (await mine.load()).chats == TOLD, "Redis was emptied"
    now[0] += timedelta(seconds=1)
    assert await elsewhere.save({})
    assert (await mine.load()).chats == {}, "another process has told the end"


async def test_without_redis_the_file_remembers(redis_url: str, tmp_path: Path) -> None:
    async with FaultProxy(redis_url, seed=1) as proxy, RedisManager(proxy.redis_url) as redis:
        memory = StoredAlarmMemory(redis, tmp_path / "told.json", lambda: START)
        await proxy.refuse()
        assert not await memory.save(TOLD), "to be tried again"
        assert (await memory.load()).chats == TOLD


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"saved_at":1,"chats":{}}', b"\xff"])
async def test_what_cannot_be_read_is_nothing(redis_manager: RedisManager, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "told.json"
    path.write_bytes(content)
    await redis_manager.set(keys.REPORTED_ALARMS.of(), content)
    assert await StoredAlarmMemory(redis_manager, path, lambda: START).load() == NOTHING_REPORTED


async def test_a_file_that_cannot_be_written_stops_nothing(redis_manager: RedisManager, tmp_path: Path) -> None:
    memory = StoredAlarmMemory(redis_manager, tmp_path / "gone" / "told.json", lambda: START)
    assert not await memory.save(TOLD)
    assert (await memory.load()).chats == TOLD
