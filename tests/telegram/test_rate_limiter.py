import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from telegram.error import BadRequest, RetryAfter

from managers.telegram.answers import FloodRefusedError
from managers.telegram.rate_limiter import Answer, Lane, Slot, TelegramRateLimiter, retry_after_s
from tests.telegram.strict_server import StrictServer, request
from tests.telegram.virtual_time import run, virtual_clock


def make_limiter() -> TelegramRateLimiter:
    return TelegramRateLimiter(clock=virtual_clock)


def now() -> float:
    return virtual_clock()


async def gather(*coroutines: Coroutine[Any, Any, object]) -> None:
    async with asyncio.TaskGroup() as group:
        for coroutine in coroutines:
            group.create_task(coroutine)


def sent_times(server: StrictServer, chat_id: int) -> list[float]:
    return [at for at, where in server.arrivals if where == chat_id]


def test_a_slot_of_a_private_chat_is_reusable_one_second_after_the_reply() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        await gather(*(request(limiter, server, 7, back_s=0.5) for _ in range(3)))
        return sent_times(server, 7)

    assert run(scenario()) == pytest.approx([0.0, 1.5, 3.0], abs=0.01)


def test_a_group_takes_twenty_at_once_and_the_next_after_a_minute() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        await gather(*(request(limiter, server, -7) for _ in range(21)))
        return sent_times(server, -7)

    times = run(scenario())
    assert times[:20] == [0.0] * 20
    assert times[20] == pytest.approx(60.0, abs=0.01)


@pytest.mark.parametrize("name", ["@channel", "-100500"])
def test_names_and_numbers_in_text_count_as_what_they_are(name: str) -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        await gather(*(request(limiter, server, name) for _ in range(20)))
        return now()

    assert run(scenario()) == 0.0


def test_a_timed_out_request_holds_its_slot_until_the_time_out_and_a_period() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        lost = request(limiter, server, 7, there_s=4.0, back_s=4.0, timeout_s=5.0)
        results = await asyncio.gather(lost, request(limiter, server, 7), return_exceptions=True)
        assert isinstance(results[0], Exception)
        return sent_times(server, 7)

    assert run(scenario()) == pytest.approx([4.0, 6.0], abs=0.01)


def test_a_cancelled_request_holds_its_slot_as_long_as_it_could_still_arrive() -> None:
    async def scenario():
        limiter, server = TelegramRateLimiter(clock=virtual_clock, lost_after_s=10.0), StrictServer()
        sending = asyncio.create_task(request(limiter, server, 7, there_s=9.0))
        await asyncio.sleep(1.0)
        sending.cancel()
        await asyncio.wait([sending])
        await request(limiter, server, 7)
        return sent_times(server, 7)

    assert run(scenario()) == pytest.approx([9.0, 11.0], abs=0.01)


def test_a_lost_request_does_not_keep_the_other_slots_of_its_group_closed() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        lost = asyncio.create_task(request(limiter, server, -7, back_s=30.0))
        await asyncio.sleep(0)
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(request(limiter, server, -7, back_s=2.0))
            await asyncio.sleep(1.0)
            lost.cancel()
        return sent_times(server, -7)[-1]

    assert run(scenario()) == pytest.approx(62.0, abs=0.01)


def test_a_waiter_that_is_cancelled_in_the_moment_of_its_turn_gives_the_slot_back() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        async with limiter.slot(7, Lane.ALERT):
            waiting = asyncio.create_task(request(limiter, server, 7))
            await asyncio.sleep(0)
            assert limiter.waiting(Lane.REPLY) == 1
        assert limiter.waiting(Lane.REPLY) == 0
        waiting.cancel()
        await asyncio.wait([waiting])
        return limiter.stats.in_flight, limiter.stats.chats, server.arrivals

    assert run(scenario()) == (0, 0, [])


def test_a_slot_without_a_request_is_free_again_at_once() -> None:
    async def scenario():
        limiter = make_limiter()
        for _ in range(100):
            async with limiter.slot(7, Lane.ALERT):
                pass
        return now(), limiter.stats

    ended_at, stats = run(scenario())
    assert ended_at == 0.0
    assert (stats.sent, stats.in_flight, stats.chats) == (0, 0, 0)


def test_a_held_slot_is_not_waited_for_twice_and_a_second_request_under_it_is() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        async with limiter.slot(7, Lane.ALERT) as slot:
            await request(limiter, server, 7, how=slot)
            await request(limiter, server, 7, how=slot)
        return sent_times(server, 7)

    assert run(scenario()) == pytest.approx([0.0, 1.0], abs=0.01)


def test_the_second_request_under_a_slot_goes_before_what_waits_for_the_chat() -> None:
    async def scenario():
        limiter, server, order = make_limiter(), StrictServer(), list[Any]()

        async def other():
            await request(limiter, server, 7)
            order.append("other")

        async with asyncio.TaskGroup() as group, limiter.slot(7, Lane.ALERT) as slot:
            group.create_task(other())
            await request(limiter, server, 7, how=slot)
            await request(limiter, server, 7, how=slot)
            order.append("slot")
        return order

    assert run(scenario()) == ["slot", "other"]


@pytest.mark.parametrize("released", [False, True])
def test_a_slot_serves_its_own_chat_while_it_is_held(*, released: bool) -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        async with limiter.slot(7, Lane.ALERT) as slot:
            if not released:
                with pytest.raises(ValueError, match="does not serve"):
                    await request(limiter, server, 8, how=slot)
        if released:
            with pytest.raises(ValueError, match="does not serve"):
                await request(limiter, server, 7, how=slot)
        assert server.arrivals == []

    run(scenario())


@pytest.mark.parametrize("endpoint", ["getMe", "sendChatAction", "getChat", "setMyCommands", "deleteMessage"])
def test_what_makes_no_message_passes_straight(endpoint: str) -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        await gather(*(request(limiter, server, 7, endpoint=endpoint) for _ in range(100)))
        return now()

    assert run(scenario()) == 0.0


def test_a_request_without_a_chat_passes_straight() -> None:
    async def scenario():
        limiter = make_limiter()

        async def answer() -> Answer:
            return True

        for _ in range(100):
            await limiter.process_request(answer, (), {}, "answerCallbackQuery", {"id": "1"}, None)
        return now()

    assert run(scenario()) == 0.0


def test_other_errors_reach_the_caller_and_are_not_repeated() -> None:
    async def scenario():
        limiter, calls = make_limiter(), list[int]()

        async def refuse() -> Answer:
            calls.append(1)
            raise BadRequest("message text is empty")

        with pytest.raises(BadRequest):
            await limiter.process_request(refuse, (), {}, "sendMessage", {"chat_id": 7}, None)
        return len(calls), limiter.stats.in_flight

    assert run(scenario()) == (1, 0)


class Flood:
    """Refuses the first `times` requests with `retry_after`."""

    def __init__(self, times: int, retry_after: int) -> None:
        self.times, self.retry_after = times, retry_after
        self.asked_at: list[float] = []

    async def __call__(self) -> Answer:
        self.asked_at.append(now())
        if len(self.asked_at) <= self.times:
            raise FloodRefusedError(timedelta(seconds=self.retry_after))
        return True


def send(
    limiter: TelegramRateLimiter,
    callback: Callable[[], Coroutine[Any, Any, Answer]],
    chat_id: int,
    how: Lane | Slot | None,
) -> Coroutine[Any, Any, Answer]:
    return limiter.process_request(callback, (), {}, "sendMessage", {"chat_id": chat_id}, how)


def test_a_refused_reply_is_repeated_when_telegram_said() -> None:
    async def scenario():
        limiter, flood = make_limiter(), Flood(times=2, retry_after=5)
        assert await send(limiter, flood, 7, Lane.REPLY) is True
        return flood.asked_at, limiter.stats.refusals

    asked_at, refusals = run(scenario())
    assert asked_at == pytest.approx([0.0, 5.0, 10.0], abs=0.01)
    assert refusals == 2


@pytest.mark.parametrize(("retry_after", "asked"), [(5, 4), (3600, 1)])
def test_a_reply_is_not_repeated_for_ever(retry_after: int, asked: int) -> None:
    async def scenario():
        limiter, flood = make_limiter(), Flood(times=99, retry_after=retry_after)
        with pytest.raises(RetryAfter):
            await send(limiter, flood, 7, None)
        return len(flood.asked_at)

    assert run(scenario()) == asked


def test_a_reply_to_a_chat_that_is_closed_for_long_is_refused_at_once() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        with pytest.raises(RetryAfter):
            await request(limiter, server, 7, retry_after=900)
        await asyncio.sleep(100)
        with pytest.raises(RetryAfter) as refused:
            await request(limiter, server, 7)
        assert retry_after_s(refused.value) == pytest.approx(800, abs=1)
        assert now() == pytest.approx(100, abs=1)
        await request(limiter, server, 8)
        await asyncio.sleep(780)
        await request(limiter, server, 7)
        return now()

    assert run(scenario()) == pytest.approx(900, abs=1), "what is closed for less than anybody's patience is waited for"


def test_a_reply_goes_before_thousands_of_alerts() -> None:
    """Whoever asks for help gets the next free slot or the one after it, whatever waits for others and for them."""

    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        alerts = [*range(1, 3001), *[5000] * 2000]
        backlog = [asyncio.create_task(request(limiter, server, chat, how=Lane.ALERT)) for chat in alerts]
        before = list[int]()
        for chat_id in (5000, 6000, 5000, 7000):
            await asyncio.sleep(5)
            already = len(server.arrivals)
            await request(limiter, server, chat_id, how=Lane.REPLY)
            at = len(server.arrivals) - 1 - server.arrivals[::-1].index((now(), chat_id))
            others = [where for _, where in server.arrivals[already:at]]
            before.append(len(others) if chat_id != 5000 else others.count(5000))
        for task in backlog:
            task.cancel()
        await asyncio.wait(backlog)
        return before

    assert max(run(scenario())) <= 1


def test_what_is_hastened_goes_as_if_it_had_waited_in_the_earlier_lane() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()

        async def hasten() -> None:
            await asyncio.sleep(2.5)
            assert limiter.waiting(Lane.FOLLOW_UP) > 300
            limiter.hasten(399, Lane.ALERT)
            assert limiter.waiting(Lane.ALERT) == 1
            limiter.hasten(399, Lane.REPORT)
            limiter.hasten(9_999, Lane.ALERT)
            assert limiter.waiting(Lane.ALERT) == 1

        many = (request(limiter, server, chat, how=Lane.FOLLOW_UP) for chat in range(1, 400))
        await gather(hasten(), *many)
        assert set(limiter.stats.waiting.values()) == {0}
        return sent_times(server, 399), len(server.arrivals)

    times, count = run(scenario())
    assert times == pytest.approx([3.0], abs=0.1)
    assert count == 399


def test_a_broadcast_leaves_slots_to_what_comes_while_nobody_else_waits() -> None:
    async def scenario():
        limiter, server, waited = make_limiter(), StrictServer(), list[float]()
        backlog = [asyncio.create_task(request(limiter, server, one, how=Lane.BROADCAST)) for one in range(1, 400)]
        for chat_id in range(5000, 5020):
            await asyncio.sleep(0.35)
            before = now()
            await request(limiter, server, chat_id, how=Lane.ALERT)
            waited.append(now() - before)
        await asyncio.wait(backlog)
        return max(waited), now()

    waited_s, took_s = run(scenario())
    assert waited_s == 0.0
    assert 399 / 26 < took_s < 399 / 24, "it takes five sixths of what there is"


def test_a_refusal_under_a_held_slot_is_the_senders_matter_and_closes_the_chat() -> None:
    async def scenario():
        limiter, server, flood = make_limiter(), StrictServer(), Flood(times=1, retry_after=7)
        async with limiter.slot(7, Lane.ALERT) as slot:
            with pytest.raises(RetryAfter):
                await send(limiter, flood, 7, slot)
        await request(limiter, server, 8)
        await request(limiter, server, 7)
        return len(flood.asked_at), server.arrivals

    asked, arrivals = run(scenario())
    assert asked == 1
    assert arrivals == [(0.0, 8), (pytest.approx(7.0, abs=0.01), 7)]


def test_a_second_refused_chat_within_the_pause_closes_everything() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        for chat_id, pause in ((7, 20), (8, 9)):
            async with limiter.slot(chat_id, Lane.ALERT) as slot:
                with pytest.raises(RetryAfter):
                    await send(limiter, Flood(times=1, retry_after=pause), chat_id, slot)
        await gather(*(request(limiter, server, chat_id) for chat_id in (7, 8, 9)))
        return {chat_id: at for at, chat_id in server.arrivals}

    assert run(scenario()) == pytest.approx({9: 9.0, 8: 9.0, 7: 20.0}, abs=0.01)


def test_a_second_refused_chat_after_the_pause_closes_only_itself() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        for chat_id in (7, 8):
            async with limiter.slot(chat_id, Lane.ALERT) as slot:
                with pytest.raises(RetryAfter):
                    await send(limiter, Flood(times=1, retry_after=5), chat_id, slot)
            await asyncio.sleep(6)
        before = now()
        await request(limiter, server, 9)
        return now() - before

    assert run(scenario()) == 0.0


def test_ten_thousand_waiters_of_closed_and_slow_chats_do_not_hold_up_a_new_one() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        async with limiter.slot(1, Lane.ALERT) as slot:
            with pytest.raises(RetryAfter):
                await send(limiter, Flood(times=1, retry_after=3000), 1, slot)
        waiting = [asyncio.create_task(request(limiter, server, 1, how=Lane.PAYMENT)) for _ in range(10_000)]
        await asyncio.sleep(0)
        assert limiter.waiting(Lane.PAYMENT) == 10_000
        hanging = asyncio.create_task(request(limiter, server, 2, there_s=30.0))
        await asyncio.sleep(1.0)
        before = now()
        await request(limiter, server, 3, how=Lane.BROADCAST)
        waited = now() - before
        for task in [*waiting, hanging]:
            task.cancel()
        await asyncio.wait([*waiting, hanging])
        return waited, limiter.stats.waiting

    waited, waiting = run(scenario())
    assert waited == 0.0
    assert not any(waiting.values())


def test_one_lane_of_a_chat_is_first_come_first_served() -> None:
    async def scenario():
        limiter, server, order = make_limiter(), StrictServer(), list[Any]()

        async def numbered(number: int):
            await request(limiter, server, 7, how=Lane.ALERT)
            order.append(number)

        await gather(*(numbered(number) for number in range(20)))
        return order

    assert run(scenario()) == list(range(20))


def test_a_reply_overtakes_a_backlog_of_other_chats_and_of_its_own() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        backlog = [
            asyncio.create_task(request(limiter, server, chat_id, how=Lane.ALERT))
            for chat_id in (*range(1, 1001), *[5000] * 20)
        ]
        await asyncio.sleep(10)
        before = now()
        await request(limiter, server, 5000, how=Lane.REPLY)
        waited = now() - before
        await asyncio.wait(backlog)
        return waited

    assert run(scenario()) < 2.1


def test_every_lane_gets_its_share_of_a_saturated_bot() -> None:
    async def scenario():
        limiter, server, done = make_limiter(), StrictServer(), Counter[Lane]()

        async def flow(lane: Lane, chat_id: int):
            await request(limiter, server, chat_id, how=lane)
            done[lane] += 1

        tasks = [asyncio.create_task(flow(lane, 1 + lane * 10_000 + number)) for lane in Lane for number in range(2000)]
        await asyncio.sleep(119)
        shares = {lane: done[lane] for lane in Lane}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return shares

    shares = run(scenario())
    total = sum(shares.values())
    for lane, weight in zip(Lane, (64, 32, 16, 4, 2, 1), strict=True):
        assert shares[lane] == pytest.approx(total * weight / 119, abs=40)


@pytest.mark.parametrize("rtt_s", [0.005, 0.02, 0.08])
def test_at_least_nine_tenths_of_the_limit_are_used(rtt_s: float) -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        chats = range(1, 3001)
        await gather(*(request(limiter, server, c, there_s=rtt_s / 2, back_s=rtt_s / 2) for c in chats))
        return len(chats) / now()

    assert run(scenario()) >= 27.0


def test_nothing_is_remembered_of_chats_that_are_silent() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        await gather(*(request(limiter, server, chat_id) for chat_id in [*range(1, 300), *range(-99, 0)]))
        at_the_end = limiter.stats.chats
        await asyncio.sleep(61)
        return at_the_end, limiter.stats.chats

    at_the_end, later = run(scenario())
    assert at_the_end > 0
    assert later == 0


def test_the_numbers_tell_what_happened() -> None:
    async def scenario():
        limiter, server = make_limiter(), StrictServer()
        tasks = [asyncio.create_task(request(limiter, server, 7, how=Lane.REPORT)) for _ in range(3)]
        await asyncio.sleep(0.5)
        stats = limiter.stats
        await asyncio.wait(tasks)
        return stats, limiter.stats

    during, after = run(scenario())
    assert (during.sent, during.waited, during.waiting[Lane.REPORT]) == (1, 2, 2)
    assert (after.sent, after.in_flight, after.waiting[Lane.REPORT]) == (3, 0, 0)
