from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.channels.blocks import PROBES
from domain.channels.patience import CLOSED_AGAIN_S, Patience
from managers.channels.base import BlockedError, ChannelClosedError, ChannelReader, NotServedError, Page
from managers.http.answers import ForeignAnswerError
from services.channels.polling import AT_MOST_TURNS, AT_ONCE, SLOW_AT_ONCE, PollingService
from services.channels.turns import ChannelTurns
from tests.channels.support import ALPHA, NOW, Kit, mint

BETA = "@beta_calls"


@asynccontextmanager
async def polling(
    kit: Kit, *, reader: ChannelReader | None = None, turns: ChannelTurns | None = None, requests_per_s: float = 1_000
) -> AsyncGenerator[PollingService]:
    service = PollingService(
        reader=reader or kit.book,
        turns=turns or ChannelTurns(kit.taking),
        listed=kit.listed,
        requests_per_s=requests_per_s,
        at_least_s=0.01,
        clock=lambda: NOW,
    )
    kit.listed.changed = service.wake
    async with asyncio.timeout(10):
        task = asyncio.create_task(service.run(lambda: None))
        try:
            yield service
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(happened: Callable[[], bool]) -> None:
    while not happened():  # noqa: ASYNC110 - what it waits for is somebody else's number
        await asyncio.sleep(0.005)


async def looked_at(kit: Kit, channel: str, times: int = 1) -> None:
    asked = kit.book.asked[channel]
    await until(lambda: kit.book.asked[channel] >= asked + times)


async def test_what_is_posted_is_called_once(kit: Kit) -> None:
    async with polling(kit):
        await looked_at(kit, ALPHA, 2)
        for n in range(5):
            kit.book.post(ALPHA, f"CA: {mint(n)}", NOW)
        await looked_at(kit, ALPHA, 3)
    assert [address for _, address in await kit.called()] == [mint(n) for n in range(5)]


async def test_what_was_posted_while_nobody_read_is_paged_back_to(kit: Kit) -> None:
    await kit.look()
    for n in range(57):
        kit.book.post(ALPHA, f"CA: {mint(n)}", NOW - timedelta(hours=1))
    async with polling(kit) as service:
        await until(lambda: kit.taking.calls == 57)
        assert service.counts.paged_back == 2
    assert [address for _, address in await kit.called()] == [mint(n) for n in range(57)]


class Wayward:
    """Reads a book, and fails at one channel."""

    name = "wayward"

    def __init__(self, kit: Kit, error: Exception) -> None:
        self.kit = kit
        self.error: Exception | None = error

    async def newest(self, channel: str) -> Page:
        page = await self.kit.book.newest(channel)
        if channel == BETA and self.error is not None:
            raise self.error
        return page

    async def before(self, channel: str, number: int) -> Page:
        return await self.kit.book.before(channel, number)


async def test_a_channel_that_cannot_be_read_costs_itself_and_says_why(kit: Kit) -> None:
    await kit.listed.configured([BETA])
    wayward = Wayward(kit, ChannelClosedError(BETA, "no_preview"))
    async with polling(kit, reader=wayward):
        await looked_at(kit, ALPHA, 3)
        found = None
        while found is None or found.problem is None:
            found = await kit.listed.find(BETA)
        assert (found.problem, found.problem_since) == ("no_preview", NOW)
        asked = kit.book.asked[BETA]
        await looked_at(kit, ALPHA, 3)
        assert kit.book.asked[BETA] == asked == 1


async def test_after_a_restart_the_first_page_says_how_often_a_channel_posts(kit: Kit) -> None:
    await kit.listed.configured([BETA])
    for n in range(20):
        kit.book.post(ALPHA, "gm", NOW - timedelta(minutes=20 - n))
    kit.book.post(BETA, "gm", NOW - timedelta(days=3))
    for name in (ALPHA, BETA):
        await kit.look(name)
    async with polling(kit, requests_per_s=20) as service:
        await looked_at(kit, ALPHA)
        await looked_at(kit, BETA)
        service.wake()
        await until(lambda: (service.interval_of(ALPHA) or 1) < (service.interval_of(BETA) or 0))
        assert service.interval_of(BETA) == pytest.approx(AT_MOST_TURNS * 2 / 20), "the quiet one waits little longer"


async def test_who_blocks_us_is_left_alone_and_nothing_is_lost(kit: Kit) -> None:
    await kit.listed.configured([BETA])
    for name in (ALPHA, BETA):
        await kit.look(name)
    async with polling(kit) as service:
        kit.book.problem = BlockedError("429", for_s=0.2)
        await until(lambda: service.blocked_since == NOW)
        for name in (ALPHA, BETA):
            kit.book.post(name, f"CA: {mint(len(name))}", NOW)
        kit.book.problem = None
        await until(lambda: kit.taking.calls == 2)
        assert service.blocked_since is None
    assert len(await kit.called()) == 2


async def test_one_channel_that_is_refused_waits_alone_while_others_are_answered(kit: Kit) -> None:
    await kit.listed.configured([BETA])
    wayward = Wayward(kit, BlockedError("429", for_s=60))
    async with polling(kit, reader=wayward) as service:
        await until(lambda: service.counts.blocked > 0)
        await looked_at(kit, ALPHA, 5)
        assert service.blocked_since is None
        assert kit.book.asked[BETA] == 1


async def test_a_channel_is_read_as_soon_as_it_is_added_and_not_while_it_is_paused(kit: Kit) -> None:
    async with polling(kit):
        await looked_at(kit, ALPHA)
        await kit.listed.add("https://t.me/Beta_Calls", 1)
        await looked_at(kit, BETA)
        await kit.listed.change(BETA, "paused", of=("read",))
        await looked_at(kit, ALPHA, 3)
        asked = kit.book.asked[BETA]
        await looked_at(kit, ALPHA, 3)
        assert kit.book.asked[BETA] <= asked + 1
        await kit.listed.change(BETA, "read", of=("paused",))
        await looked_at(kit, BETA, 2)


async def test_a_long_way_back_in_one_channel_holds_nobody_up(kit: Kit) -> None:
    await kit.listed.configured([BETA])
    for name in (ALPHA, BETA):
        await kit.look(name)
    for n in range(400):
        kit.book.post(BETA, f"spam {n}", NOW)
    async with polling(kit, requests_per_s=20) as service:
        await until(lambda: service.counts.paged_back >= 8)
        assert kit.book.asked[ALPHA] >= 4


class Host:
    """Reads a book, as a host that answers whom it likes: by channel an error, and how long it takes over it."""

    name = "host"

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.errors: dict[str, Exception] = {}
        self.takes_s: dict[str, float] = {}
        self.asked: list[str] = []
        self.at_it: Counter[str] = Counter()
        self.were_slow: set[str] = set()

    async def newest(self, channel: str) -> Page:
        self.asked.append(channel)
        self.at_it[channel] += 1
        try:
            if takes_s := self.takes_s.get(channel):
                await asyncio.sleep(takes_s)
                self.were_slow.add(channel)
            if channel in self.errors:
                raise self.errors[channel]
            return await self._kit.book.newest(channel)
        finally:
            self.at_it[channel] -= 1

    async def before(self, channel: str, number: int) -> Page:
        return await self._kit.book.before(channel, number)


async def many(kit: Kit, count: int) -> list[str]:
    names = [f"@channel{n}" for n in range(count)]
    await kit.listed.change(ALPHA, "paused", of=("read",))
    await kit.listed.configured(names)
    for name in names:
        await kit.look(name)
    return names


@pytest.mark.parametrize(
    "error", [NotServedError("HTTP 403 from t.me"), ForeignAnswerError("a challenge")], ids=lambda e: type(e).__name__
)
async def test_a_host_that_serves_nobody_is_left_alone_until_it_serves_one(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("domain.channels.blocks.FIRST_BLOCK_S", 0.3)
    host = Host(kit)
    names = await many(kit, 60)
    async with polling(kit, reader=host) as service:
        await until(lambda: len(host.asked) > len(names))
        host.errors = dict.fromkeys(names, error)
        await until(lambda: service.blocked_since is not None)
        before = len(host.asked)
        await asyncio.sleep(1.0)
        assert len(host.asked) - before <= AT_ONCE + 3 * PROBES
        assert str(error) in service.blocked_because
        host.errors = {}
        kit.book.post(names[-1], f"CA: {mint(1)}", NOW)
        await until(lambda: service.blocked_since is None and kit.taking.calls == 1)


async def test_a_block_in_the_middle_of_a_long_way_back_stops_neither_for_ever(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.channels.blocks.FIRST_BLOCK_S", 0.05)
    host = Host(kit)
    names = await many(kit, 3)
    for n in range(400):
        kit.book.post(names[0], f"spam {n}", NOW)
    async with polling(kit, reader=host, requests_per_s=40) as service:
        await until(lambda: service.counts.paged_back > 1)
        host.errors = dict.fromkeys(names[1:], NotServedError("HTTP 403 from t.me"))
        await until(lambda: kit.taking.verdicts.total() == 400)


async def test_one_channel_that_is_not_served_costs_itself(kit: Kit) -> None:
    host = Host(kit)
    names = await many(kit, 10)
    host.errors = {names[0]: NotServedError("HTTP 403 from t.me")}
    async with polling(kit, reader=host) as service:
        await until(lambda: len(host.asked) > 100)
        assert service.blocked_since is None
        assert host.asked.count(names[0]) == 1


async def test_slow_channels_hold_nobody_up(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.channels.patience.SLOW_S", 0.1)
    monkeypatch.setattr("domain.channels.patience.SLOW_TIMES", 0.01)
    host = Host(kit)
    names = await many(kit, 30)
    slow = names[:20]
    async with polling(kit, reader=host):
        await until(lambda: len(set(host.asked)) == len(names))
        host.takes_s = dict.fromkeys(slow, 0.2)
        await until(lambda: host.were_slow >= set(slow))
        await until(lambda: sum(host.at_it[name] for name in slow) <= SLOW_AT_ONCE)
        for _ in range(100):
            await asyncio.sleep(0.005)
            assert sum(host.at_it[name] for name in slow) <= SLOW_AT_ONCE


@given(st.lists(st.sampled_from(["failed", "slow", "closed", "read"]), max_size=40))
def test_nobody_waits_for_less_than_before_nor_for_ever(events: list[str]) -> None:
    patience, last = Patience(), dict[str, float]()
    for event in events:
        patience.took(10.0 if event == "slow" else 0.1)
        match event:
            case "failed" | "slow":
                waits = max(patience.failed(), patience.slow_wait_s)
            case "closed":
                waits = patience.closed()
            case _:
                patience.read()
                last.clear()
                continue
        assert last.get(event, 0.0) <= waits <= CLOSED_AGAIN_S
        last[event] = waits


def test_what_goes_wrong_once_is_looked_at_soon() -> None:
    patience = Patience()
    assert [patience.failed() for _ in range(3)] == [5.0, 30.0, 30.0]
    assert [patience.closed() for _ in range(6)] == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]
    patience.read()
    assert (patience.failed(), patience.closed()) == (5.0, 60.0)
