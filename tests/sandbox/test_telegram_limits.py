"""Flood limits: strict windows on a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.telegram.limits import FloodGate, FloodLimits, SlidingWindow, Window
from sandbox.telegram.server import TelegramSandbox
from tests.sandbox.telegram_kit import Clock, call, png, started, telegram_and_bot

gaps = st.lists(st.floats(0, 2, allow_nan=False), min_size=1, max_size=200)


@given(gaps=gaps, count=st.integers(1, 5), seconds=st.sampled_from([1.0, 3.0, 60.0]))
def test_no_window_ever_lets_in_more_than_its_count(gaps: list[float], count: int, seconds: float) -> None:
    window, now, let_in = SlidingWindow(Window(count, seconds)), 0.0, list[float]()
    for gap in gaps:
        now += gap
        if not window.wait_s(now, 1):
            window.take(now, 1)
            let_in.append(now)
    for at in let_in:
        assert sum(1 for other in let_in if at <= other < at + seconds - 1e-6) <= count


@given(gaps=gaps, count=st.integers(1, 5), seconds=st.sampled_from([1.0, 3.0, 60.0]))
def test_whoever_waits_as_told_is_let_in(gaps: list[float], count: int, seconds: float) -> None:
    window, now = SlidingWindow(Window(count, seconds)), 0.0
    for gap in gaps:
        now += gap
        wait_s = window.wait_s(now, 1)
        now += wait_s
        assert window.wait_s(now, 1) == 0
        window.take(now, 1)


def test_one_chat_has_a_short_burst_and_then_a_message_a_second() -> None:
    gate = FloodGate(FloodLimits())
    assert [gate.enter(1, 0.0) for _ in range(4)] == [0, 0, 0, 3]
    assert gate.enter(1, 1.0) == 2
    assert gate.enter(2, 1.0) == 0
    assert gate.enter(1, 3.0) == 0


def test_a_refusal_closes_the_chat_for_as_long_as_it_said() -> None:
    gate = FloodGate(FloodLimits(overall=None, private=Window(1, 1.5)))
    assert gate.enter(1, 0.0) == 0
    assert gate.enter(1, 0.1) == 2
    assert gate.enter(1, 1.6) == 1  # the window has room again, but the refusal said two seconds
    assert gate.enter(1, 2.1) == 0


def test_thirty_a_second_over_all_chats_and_twenty_a_minute_in_a_group() -> None:
    gate = FloodGate(FloodLimits())
    assert [gate.enter(chat, 0.0) for chat in range(1, 31)] == [0] * 30
    assert gate.enter(31, 0.999) == 1
    assert gate.enter(1, 0.999, is_send=False) == 0  # edits count for their chat only
    gate = FloodGate(FloodLimits(overall=None))
    assert [gate.enter(-1, float(second)) for second in range(20)] == [0] * 20
    assert gate.enter(-1, 20.0) == 40
    assert gate.enter(-2, 20.0, weight=10) == 0
    assert gate.enter(-2, 20.0, weight=10) == 0
    assert gate.enter(-2, 20.0) == 60


async def test_the_server_answers_429_with_retry_after() -> None:
    clock = Clock()
    async with TelegramSandbox(clock=clock) as telegram:
        ann = await started(telegram)
        answers = [await call(telegram, "sendMessage", chat_id=ann.id, text=f"{n}") for n in range(4)]
        assert [answer["ok"] for answer in answers] == [True, True, True, False]
        assert answers[3] == {
            "ok": False,
            "status": 429,
            "error_code": 429,
            "description": "Too Many Requests: retry after 3",
            "parameters": {"retry_after": 3},
        }
        clock.now += 2.5
        assert (await call(telegram, "sendMessage", chat_id=ann.id, text="x"))["parameters"] == {"retry_after": 1}
        clock.now += 0.5
        assert (await call(telegram, "sendMessage", chat_id=ann.id, text="x"))["ok"]
        assert telegram.stats.refusals_429 == 2
        assert telegram.stats.messages == 4
        assert [each.at for each in telegram.stats.deliveries] == [1000.0] * 3 + [1003.0]
        assert len(ann.messages) == 1 + 4


async def test_edits_count_and_answers_and_actions_do_not() -> None:
    async with TelegramSandbox(clock=Clock()) as telegram:
        ann = await started(telegram)
        sent = await call(telegram, "sendMessage", chat_id=ann.id, text="0")
        for _ in range(5):
            assert (await call(telegram, "sendChatAction", chat_id=ann.id, action="typing"))["ok"]
        edit = {"chat_id": ann.id, "message_id": sent["result"]["message_id"]}
        assert (await call(telegram, "editMessageText", text="1", **edit))["ok"]
        assert (await call(telegram, "editMessageText", text="2", **edit))["ok"]
        assert (await call(telegram, "editMessageText", text="3", **edit))["status"] == 429
        assert (await call(telegram, "editMessageText", text="2", **edit))["status"] == 400  # checked first
        assert (await call(telegram, "deleteMessage", **edit))["ok"]
        assert (telegram.stats.messages, telegram.stats.edits) == (1, 2)


async def test_a_refused_message_does_not_count() -> None:
    async with TelegramSandbox(clock=Clock()) as telegram:
        ann = await started(telegram)
        for _ in range(10):
            assert (await call(telegram, "sendMessage", chat_id=ann.id, text=""))["status"] == 400
        assert (await call(telegram, "sendMessage", chat_id=ann.id, text="x"))["ok"]


async def test_an_album_counts_as_its_messages() -> None:
    clock = Clock()
    async with TelegramSandbox(clock=clock) as telegram:
        group = telegram.group("Traders", [telegram.user("Ann")])
        media = [{"type": "photo", "media": "https://example.com/a.png"}] * 10
        for _ in range(2):
            assert (await call(telegram, "sendMediaGroup", chat_id=group.chat_id, media=media))["ok"]
        refused = await call(telegram, "sendMessage", chat_id=group.chat_id, text="x")
        assert refused["parameters"] == {"retry_after": 60}
        assert telegram.stats.messages == 20


async def test_a_storm_refuses_everything_that_is_sent() -> None:
    clock = Clock()
    async with TelegramSandbox(clock=clock) as telegram:
        ann = await started(telegram)
        telegram.faults.storm(7)
        assert (await call(telegram, "sendMessage", chat_id=ann.id, text="x"))["parameters"] == {"retry_after": 7}
        assert (await call(telegram, "getMe"))["ok"]
        clock.now += 7
        assert (await call(telegram, "sendMessage", chat_id=ann.id, text="x"))["ok"]


@pytest.mark.parametrize("limits", [FloodLimits.off()])
async def test_switched_off(limits: FloodLimits) -> None:
    async with telegram_and_bot(limits, clock=Clock()) as (telegram, bot):
        ann = await started(telegram)
        for number in range(40):
            await bot.send_message(ann.id, f"{number}")
        await bot.send_photo(ann.id, png())
        assert telegram.stats.messages == 41
