"""Asking HTTP APIs: against a server on loopback whose every answer the test decides."""

from __future__ import annotations

import asyncio
import gzip
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from managers.http.api import FAILURES_IN_A_ROW, APIRetryManager, NotAskedError
from managers.http.hosts import BREAKER_OPEN_S
from managers.http.request_budget import LOST_AFTER_S, Budget, Limit, pause_s
from runtime.errors import TransientError

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Clock:
    """Monotonic seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Server:
    """Plays one answer per request, the last one again and again."""

    def __init__(self) -> None:
        self.url = self.host = ""
        self.answers: list[Answer] = []
        self.arrivals: list[float] = []
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()

    def will(self, *answers: int | Answer) -> None:
        self.answers = [status(answer) if isinstance(answer, int) else answer for answer in answers]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.arrivals.append(asyncio.get_running_loop().time())
        self.arrived.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    async def hang(self, request: web.Request) -> web.StreamResponse:
        await self.release.wait()
        return web.Response(body=b"late")


def status(code: int, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, body=b"fine" if code == 200 else b"", headers=named)

    return answer


async def drop(request: web.Request) -> web.StreamResponse:
    """Cut the connection before a byte of the answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_short(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"half of it")
    return await drop(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_get("/", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.host = f"127.0.0.1:{runner.addresses[0][1]}"
    server.url = f"http://{server.host}/"
    yield server
    await runner.cleanup()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def still(session: aiohttp.ClientSession, clock: Clock) -> APIRetryManager:
    """A manager whose time the test tells."""
    return APIRetryManager(session, clock=clock)


async def fail(api: APIRetryManager, server: Server, times: int) -> None:
    for _ in range(times):
        with pytest.raises(TransientError):
            await api.get(server.url, timeout_s=2, attempts=1)


@pytest.mark.parametrize("trouble", [500, 503, drop, cut_short])
async def test_what_fails_for_a_moment_is_asked_again(server: Server, api_manager: APIRetryManager, trouble: Answer):
    server.will(trouble, trouble, 200)
    assert await api_manager.get(server.url, timeout_s=8) == b"fine"
    counts = api_manager.counts[server.host]
    assert (counts.requests, counts.retries, counts.failures, counts.breaker_opened) == (3, 2, 2, 0)
    assert len(server.arrivals) == 3  # aiohttp repeats none by itself
    health = api_manager.health()[server.host]
    assert (health.ok, health.again_in_s, health.last_problem) == (True, 0.0, None)


async def test_there_is_an_end_to_asking_again(server: Server, api_manager: APIRetryManager):
    server.will(503)
    with pytest.raises(TransientError, match="HTTP 503 from 127"):
        await api_manager.get(server.url, timeout_s=8, attempts=2)
    assert len(server.arrivals) == 2
    assert api_manager.health()[server.host].last_problem == f"HTTP 503 from {server.host}"


async def test_the_unknown_is_none(server: Server, api_manager: APIRetryManager):
    server.will(404)
    assert await api_manager.get(server.url, timeout_s=2) is None
    assert len(server.arrivals) == 1


@pytest.mark.parametrize("refusal", [400, 401, 403, 410])
async def test_a_refusal_is_final_and_no_failure(server: Server, still: APIRetryManager, refusal: int):
    server.will(refusal)
    for _ in range(FAILURES_IN_A_ROW * 2):
        with pytest.raises(TransientError, match=f"HTTP {refusal}"):
            await still.get(server.url, timeout_s=2)
    counts = still.counts[server.host]
    assert (counts.requests, counts.failures) == (FAILURES_IN_A_ROW * 2, 0)
    assert still.health()[server.host].ok


async def test_a_redirect_leads_nowhere(server: Server, api_manager: APIRetryManager):
    server.will(status(302, Location=server.url), 200)
    with pytest.raises(TransientError, match="HTTP 302"):
        await api_manager.get(server.url, timeout_s=2)
    assert len(server.arrivals) == 1


async def test_a_bomb_is_not_swallowed(server: Server, api_manager: APIRetryManager):
    bomb = gzip.compress(bytes(2**24 + 1))

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    server.will(answer)
    with pytest.raises(TransientError, match="exceeds"):
        await api_manager.get(server.url, timeout_s=8)
    assert api_manager.counts[server.host].failures == 0


async def test_nobody_there_is_transient(api_manager: APIRetryManager, unused_tcp_port: int):
    for url in (f"http://127.0.0.1:{unused_tcp_port}/", "ftp://127.0.0.1/", "nowhere"):
        with pytest.raises(TransientError):
            await api_manager.get(url, timeout_s=2)


@pytest.mark.parametrize("timeout_s", [0.0, 1.9, 8.1, math.nan])
async def test_a_timeout_is_two_to_eight_seconds(api_manager: APIRetryManager, timeout_s: float):
    with pytest.raises(ValueError, match="timeout_s"):
        await api_manager.get("http://127.0.0.1:1/", timeout_s=timeout_s)


@pytest.mark.parametrize("busy", [429, 503])
async def test_retry_after_is_waited_for(server: Server, api_manager: APIRetryManager, busy: int):
    server.will(status(busy, Retry_After="0.7"), 200)
    assert await api_manager.get(server.url, timeout_s=8) == b"fine"
    first, second = server.arrivals
    assert second - first >= 0.7


async def test_a_pause_holds_for_everybody_and_is_not_waited_for_in_vain(
    server: Server, still: APIRetryManager, clock: Clock
):
    server.will(status(429, Retry_After="30"), 200)
    with pytest.raises(TransientError, match="HTTP 429"):
        await still.get(server.url, timeout_s=8)
    with pytest.raises(NotAskedError, match=r"limit .* used up; again in 30.0 s") as refusal:
        await still.get(server.url, timeout_s=8)
    assert refusal.value.again_in_s == 30.0
    assert len(server.arrivals) == 1
    counts = still.counts[server.host]
    assert (counts.refused_by_budget, counts.failures) == (1, 0)
    clock.now_s += 30
    assert await still.get(server.url, timeout_s=8) == b"fine"


@pytest.mark.parametrize(
    ("limit", "headers", "pause"),
    [
        (None, {}, 2.0),
        (None, {"Retry_After": "99999"}, 300.0),
        (Limit(30, 60.0), {}, 2.0),
        (Limit(30, 60.0), {"Retry_After": "99999"}, 60.0),
        (Limit(30, 60.0), {"x_ratelimit_reset": "20"}, 20.0),
    ],
)
async def test_a_pause_has_a_length_whatever_the_headers_say(
    server: Server, still: APIRetryManager, limit: Limit | None, headers: dict[str, str], pause: float
):
    if limit is not None:
        still.limit(server.url, limit)
    server.will(status(429, **headers))
    await fail(still, server, 1)
    assert still.health()[server.host].again_in_s == pytest.approx(pause)


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DATE = format_datetime(NOW, usegmt=True)
SOON = format_datetime(NOW + timedelta(seconds=45), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": SOON, "Date": DATE}, 45.0),
        ({"Retry-After": DATE, "Date": SOON}, 0.0),
        ({"Retry-After": "Fri, 20 Nov 2026 12:00:45 -0000", "Date": DATE}, 45.0),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 7), "Date": DATE}, 7.0),
        ({"x-ratelimit-reset": "7"}, 7.0),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"Retry-After": "5", "x-ratelimit-reset": "7"}, 5.0),
    ],
)
def test_headers_say_how_long(headers: dict[str, str], wait_s: float | None):
    assert pause_s(headers) == wait_s


header = (
    st.binary(max_size=40).map(lambda raw: raw.decode("latin-1"))
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from([DATE, DATE + "99999"])
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["Retry-After", "Date", "x-ratelimit-reset"]), header))
def test_no_header_breaks_anything(headers: dict[str, str]):
    wait_s = pause_s(headers)
    assert wait_s is None or (math.isfinite(wait_s) and wait_s >= 0)


@pytest.mark.parametrize("wall_clock", ["right", "set back meanwhile"])
async def test_a_host_that_keeps_failing_is_shut_out_and_tried_again(
    server: Server, still: APIRetryManager, clock: Clock, wall_clock: str, monkeypatch: pytest.MonkeyPatch
):
    server.will(500)
    if wall_clock == "set back meanwhile":
        ahead_s = time.time() + 3_600
        monkeypatch.setattr(time, "time", lambda: ahead_s)
    await fail(still, server, FAILURES_IN_A_ROW)
    monkeypatch.undo()
    assert not still.health()[server.host].ok
    clock.now_s += BREAKER_OPEN_S - 1
    with pytest.raises(NotAskedError, match=r"shut out .*HTTP 500.* 1.0 s"):
        await still.get(server.url, timeout_s=8)
    assert len(server.arrivals) == FAILURES_IN_A_ROW
    clock.now_s += 1
    await fail(still, server, 2)  # one tries and fails, so the other is refused
    assert len(server.arrivals) == FAILURES_IN_A_ROW + 1
    counts = still.counts[server.host]
    assert (counts.failures, counts.breaker_opened, counts.refused_by_breaker) == (FAILURES_IN_A_ROW + 1, 2, 2)
    clock.now_s += BREAKER_OPEN_S
    server.will(200)
    assert await still.get(server.url, timeout_s=8) == b"fine"
    health = still.health()[server.host]
    assert (health.ok, health.last_problem) == (True, None)
    await fail_less_often_than_shuts_out(still, server)


async def fail_less_often_than_shuts_out(api: APIRetryManager, server: Server) -> None:
    """Only failures in a row count."""
    for _ in range(2):
        server.will(500)
        await fail(api, server, FAILURES_IN_A_ROW - 1)
        server.will(404)
        assert await api.get(server.url, timeout_s=2) is None
    assert api.health()[server.host].ok


async def test_one_tries_while_the_others_are_refused(server: Server, still: APIRetryManager, clock: Clock):
    server.will(500)
    await fail(still, server, FAILURES_IN_A_ROW)
    clock.now_s += BREAKER_OPEN_S
    server.will(server.hang)
    server.arrived.clear()
    async with asyncio.TaskGroup() as group:
        trying = group.create_task(still.get(server.url, timeout_s=8))
        await server.arrived.wait()
        await fail(still, server, 3)
        assert still.counts[server.host].refused_by_breaker == 3
        server.release.set()
    assert trying.result() == b"late"
    assert await still.get(server.url, timeout_s=8) == b"late"


async def test_hosts_do_not_suffer_for_each_other(server: Server, still: APIRetryManager, unused_tcp_port: int):
    server.will(200)
    for _ in range(FAILURES_IN_A_ROW):
        with pytest.raises(TransientError):
            await still.get(f"http://127.0.0.1:{unused_tcp_port}/", timeout_s=2, attempts=1)
    assert await still.get(server.url, timeout_s=2) == b"fine"
    assert [health.ok for health in still.health().values()] == [False, True]


async def test_a_frozen_host_costs_the_deadline_and_is_then_shut_out(server: Server, api_manager: APIRetryManager):
    server.will(server.hang)
    asking = [api_manager.get(server.url, timeout_s=2) for _ in range(FAILURES_IN_A_ROW)]
    async with asyncio.timeout(6):
        said = await asyncio.gather(*asking, return_exceptions=True)
    assert {str(error) for error in said} == {f"no answer from {server.host} within 2 s"}
    counts = api_manager.counts[server.host]
    assert (counts.requests, counts.failures, counts.breaker_opened) == (FAILURES_IN_A_ROW, FAILURES_IN_A_ROW, 1)
    with pytest.raises(NotAskedError):
        await api_manager.get(server.url, timeout_s=2)


async def test_callers_who_lose_patience_shut_a_frozen_host_out(server: Server, still: APIRetryManager, clock: Clock):
    server.will(server.hang)
    for _ in range(FAILURES_IN_A_ROW):
        assert still.health().get(server.host) is None or still.health()[server.host].ok
        server.arrived.clear()
        asking = asyncio.create_task(still.get(server.url, timeout_s=8))
        await server.arrived.wait()
        clock.now_s += 1.5
        await cancelled(asking)
    assert not still.health()[server.host].ok


async def cancelled(task: asyncio.Task[bytes | None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_question_leaves_nothing_behind(
    server: Server, still: APIRetryManager, clock: Clock, session: aiohttp.ClientSession
):
    still.limit(server.url, Limit(1, 1.0))
    server.will(server.hang)
    others = asyncio.all_tasks()
    asking = asyncio.create_task(still.get(server.url, timeout_s=8))
    await server.arrived.wait()
    waiting = asyncio.create_task(still.get(server.url, timeout_s=8))
    await asyncio.sleep(0)
    await cancelled(waiting)
    await cancelled(asking)
    assert asking not in asyncio.all_tasks() - others
    assert still.health()[server.host].ok  # who gave up at once says nothing about the host
    assert (still.counts[server.host].requests, still.counts[server.host].failures) == (1, 0)
    # The request may still be on its way, so its slot is not given to another yet.
    assert still.health()[server.host].again_in_s == LOST_AFTER_S + 1.0
    clock.now_s += LOST_AFTER_S + 1.0
    server.will(200)
    assert await still.get(server.url, timeout_s=2) == b"fine"


async def test_who_was_to_try_and_was_cancelled_lets_the_next_one_try(
    server: Server, still: APIRetryManager, clock: Clock
):
    server.will(500)
    await fail(still, server, FAILURES_IN_A_ROW)
    clock.now_s += BREAKER_OPEN_S
    server.will(server.hang)
    server.arrived.clear()
    trying = asyncio.create_task(still.get(server.url, timeout_s=8))
    await server.arrived.wait()
    await cancelled(trying)
    assert not still.health()[server.host].ok
    server.will(200)
    assert await still.get(server.url, timeout_s=8) == b"fine"
    assert still.health()[server.host].ok


async def test_only_the_one_that_tries_ends_the_shutting_out(server: Server, still: APIRetryManager, clock: Clock):
    server.will(server.hang, 500)
    early = asyncio.create_task(still.get(server.url, timeout_s=8))
    await server.arrived.wait()
    await fail(still, server, FAILURES_IN_A_ROW)
    await cancelled(early)
    with pytest.raises(NotAskedError):
        await still.get(server.url, timeout_s=8)


async def test_an_early_answer_ends_it_for_everybody(server: Server, still: APIRetryManager, clock: Clock):
    """One that was on its way before the host was shut out answers while another tries, which is then cancelled."""
    server.will(server.hang, *[500] * FAILURES_IN_A_ROW, server.hang)
    early = asyncio.create_task(still.get(server.url, timeout_s=8))
    await server.arrived.wait()
    await fail(still, server, FAILURES_IN_A_ROW)
    clock.now_s += BREAKER_OPEN_S
    never = asyncio.Event()

    async def hang_for_ever(request: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    server.will(hang_for_ever)
    server.arrived.clear()
    trying = asyncio.create_task(still.get(server.url, timeout_s=8))
    await server.arrived.wait()
    server.release.set()
    assert await early == b"late"
    await cancelled(trying)
    server.will(200)
    assert await asyncio.gather(*(still.get(server.url, timeout_s=8) for _ in range(3))) == [b"fine"] * 3


async def test_a_full_budget_says_when_there_is_room(server: Server, still: APIRetryManager, clock: Clock):
    still.limit(server.url, Limit(2, 60.0))
    server.will(200)
    await still.get(server.url, timeout_s=2)
    clock.now_s += 20
    await still.get(server.url, timeout_s=2)
    with pytest.raises(NotAskedError, match=r"again in 40\.0 s") as refusal:
        await still.get(server.url, timeout_s=8)
    assert refusal.value.again_in_s == 40.0
    assert (still.room(server.url).requests, still.room(server.url).used) == (0, 2)
    clock.now_s += 40
    assert await still.get(server.url, timeout_s=2) == b"fine"
    assert (len(server.arrivals), still.counts[server.host].refused_by_budget) == (3, 1)


async def test_a_request_that_never_left_takes_no_budget(still: APIRetryManager, unused_tcp_port: int):
    url = f"http://127.0.0.1:{unused_tcp_port}/"
    still.limit(url, Limit(1, 60.0))
    for _ in range(2):
        with pytest.raises(TransientError, match="Connect"):
            await still.get(url, timeout_s=2, attempts=1)


async def test_the_server_never_sees_more_than_the_limit(server: Server, api_manager: APIRetryManager):
    limit = Limit(4, 0.2)
    api_manager.limit(server.url, limit)
    server.will(200, 500, drop, 200, 200, 429, cut_short, 200)
    said = await asyncio.gather(*(api_manager.get(server.url, timeout_s=8) for _ in range(12)))
    assert said == [b"fine"] * 12
    assert_kept(limit, server.arrivals)
    assert len(server.arrivals) == api_manager.counts[server.host].requests


def assert_kept(limit: Limit, arrivals: Sequence[float]) -> None:
    """No window of one period, wherever it begins, holds more arrivals than the limit."""
    ordered = sorted(arrivals)
    too_close = [
        later - earlier
        for earlier, later in zip(ordered, ordered[limit.slots :], strict=False)
        if earlier + limit.period_s > later
    ]
    assert not too_close


# What befalls a request: (pause before asking, way to the server, whole way; `None`: nobody waits for the answer).
requests = st.tuples(st.floats(0, 3), st.floats(0, 1), st.one_of(st.none(), st.floats(0, 5)), st.booleans())


@settings(deadline=None)
@given(st.integers(1, 4), st.floats(0.1, 5), st.lists(requests, max_size=40))
def test_the_budget_holds_whatever_the_delays(
    slots: int, period_s: float, befalls: list[tuple[float, float, float | None, bool]]
):
    clock = Clock()
    budget = Budget(clock)
    budget.limit = limit = Limit(slots, period_s)
    arrivals: list[float] = []
    for pause, way, answer_s, left in befalls:
        clock.now_s += pause
        while (wait_s := budget.wait_s()) > 0:
            clock.now_s = max(clock.now_s + wait_s, math.nextafter(clock.now_s, math.inf))
        with budget.slot() as slot:
            sent_at = clock.now_s
            if not left:
                slot.was_used = False
            elif answer_s is None:
                arrivals.append(sent_at + way * LOST_AFTER_S)
            else:
                clock.now_s += answer_s
                arrivals.append(sent_at + way * answer_s)
                slot.arrived_by = clock.now_s
    assert_kept(limit, arrivals)


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(0, 8))
def test_slots_in_flight_count(slots: int, wanted: int):
    budget = Budget(Clock())
    budget.limit = Limit(slots, 1.0)

    def take(left: int) -> int:
        if not left or budget.wait_s() > 0:
            return 0
        with budget.slot():
            return 1 + take(left - 1)

    assert take(wanted) == min(slots, wanted)


async def test_what_the_library_says_of_an_answer_tells_no_key_in_the_address(still: APIRetryManager):
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"no answer of HTTP at all\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TransientError) as failure:
            await still.get(f"http://127.0.0.1:{port}/v2/9fA3kQ7xYz41?api-key=k3y-of-rpc", timeout_s=2, attempts=1)
    assert f"http://127.0.0.1:{port}/…" in str(failure.value)
    [health] = still.health().values()
    for said in (str(failure.value), str(health.last_problem)):
        assert "9fA3kQ7xYz41" not in said
        assert "k3y" not in said


async def test_who_was_seen_elsewhere_is_asked_by_everybody_at_once(server: Server, still: APIRetryManager):
    server.will(500)
    await fail(still, server, FAILURES_IN_A_ROW)
    assert not still.health()[server.host].ok
    server.will(200)
    assert still.welcome(server.url)
    asked = [still.get(server.url, timeout_s=2) for _ in range(4)]
    assert await asyncio.gather(*asked) == [b"fine"] * 4
    assert not still.welcome(server.url)
    server.will(500)
    await fail(still, server, FAILURES_IN_A_ROW)
    assert not still.health()[server.host].ok
