"""Whatever is delayed, lost, refused or cancelled: the server never sees too much, and nobody starves."""

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from telegram.error import TelegramError

from managers.telegram.rate_limiter import Lane, Limit, Slot, TelegramRateLimiter
from tests.telegram.strict_server import StrictServer, request
from tests.telegram.virtual_time import run, virtual_clock

OVERALL, PRIVATE, GROUP = Limit(4, 1.0), Limit(1, 1.0), Limit(3, 8.0)
LOST_AFTER_S = 6.0


@dataclass(frozen=True)
class Job:
    chat_id: int
    lane: Lane
    starts_s: float
    there_s: float
    back_s: float
    timeout_s: float
    cancelled_after_s: float | None
    retry_after: int | None
    holds_slot: bool


def ticks(up_to_s: float) -> st.SearchStrategy[float]:
    """Multiples of 2**-6 s, so that sums are exact and a violation is one."""
    return st.integers(0, int(up_to_s * 64)).map(lambda n: n / 64)


JOBS = st.builds(
    Job,
    chat_id=st.sampled_from([1, 2, 3, 4, 5, 6, -1, -2]),
    lane=st.sampled_from(Lane),
    starts_s=ticks(4.0),
    there_s=ticks(3.0) | ticks(0.1),
    back_s=ticks(3.0) | ticks(0.1),
    timeout_s=st.just(5.0),
    cancelled_after_s=st.none() | st.none() | ticks(8.0),
    retry_after=st.none() | st.none() | st.none() | st.integers(1, 4),
    holds_slot=st.booleans(),
)


async def perform(limiter: TelegramRateLimiter, server: StrictServer, job: Job) -> None:
    async def send(how: Lane | Slot) -> None:
        await request(
            limiter,
            server,
            job.chat_id,
            how=how,
            there_s=job.there_s,
            back_s=job.back_s,
            timeout_s=job.timeout_s,
            retry_after=job.retry_after,
        )

    await asyncio.sleep(job.starts_s)
    try:
        async with asyncio.timeout(job.cancelled_after_s):
            if job.holds_slot:
                async with limiter.slot(job.chat_id, job.lane) as slot:
                    await send(slot)
            else:
                await send(job.lane)
    except (TelegramError, TimeoutError):
        pass


async def play(jobs: list[Job]) -> tuple[StrictServer, TelegramRateLimiter]:
    limiter = TelegramRateLimiter(
        overall=OVERALL, private=PRIVATE, group=GROUP, lost_after_s=LOST_AFTER_S, clock=virtual_clock
    )
    server = StrictServer()
    async with asyncio.timeout(10_000), asyncio.TaskGroup() as group:  # virtual seconds: everybody gets there
        for job in jobs:
            group.create_task(perform(limiter, server, job))
    assert limiter.stats.in_flight == 0
    assert not any(limiter.stats.waiting.values())
    assert len(server.arrivals) <= limiter.stats.sent
    await asyncio.sleep(LOST_AFTER_S + GROUP.period_s + 5)
    return server, limiter


@given(st.lists(JOBS, max_size=40))
def test_no_window_ever_sees_too_many_arrivals_and_everything_is_given_back(jobs: list[Job]) -> None:
    server, limiter = run(play(jobs))
    assert server.violations(OVERALL, PRIVATE, GROUP) == []
    assert limiter.stats.chats == 0
    assert len(server.arrivals) == limiter.stats.sent


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_the_real_limits_hold_under_load(data: st.DataObject) -> None:
    jitter = data.draw(st.randoms(use_true_random=False))
    chats = [1 + n // 3 for n in range(200)] + [-1] * 45

    async def scenario():
        limiter, server = TelegramRateLimiter(clock=virtual_clock), StrictServer()
        async with asyncio.TaskGroup() as group:
            for chat_id in chats:
                there_s, back_s = (jitter.randrange(0, 200) / 1024 for _ in range(2))
                lane = jitter.choice(list(Lane))
                group.create_task(request(limiter, server, chat_id, how=lane, there_s=there_s, back_s=back_s))
        return server

    server = run(scenario())
    assert len(server.arrivals) == len(chats)
    assert server.violations(Limit(30, 1.0), Limit(1, 1.0), Limit(20, 60.0)) == []


@given(st.sets(st.integers(0, 29)), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_cancelled_waiters_give_back_everything_and_the_others_keep_their_order(
    cancelled: set[int], at_64ths: int
) -> None:
    async def scenario():
        limiter, server, order = TelegramRateLimiter(clock=virtual_clock), StrictServer(), list[int]()

        async def numbered(number: int):
            await request(limiter, server, 7, how=Lane.ALERT)
            order.append(number)

        tasks = [asyncio.create_task(numbered(number)) for number in range(30)]
        await asyncio.sleep(at_64ths / 64)
        for number in cancelled:
            tasks[number].cancel()
        await asyncio.wait(tasks)
        assert limiter.waiting(Lane.ALERT) == 0
        await asyncio.sleep(2)
        assert limiter.stats.chats == 0
        return order

    order = run(scenario())
    assert order == [number for number in range(30) if number not in cancelled or number in order]
    assert len(order) >= 30 - len(cancelled)
