"""Somebody else answers for the feed's HTTP side, for Jupiter or NOWPayments: that is no answer, whatever was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from yarl import URL

from managers.feed.sources.native import NativeSource
from managers.http.api import ATTEMPTS, FAILURES_IN_A_ROW, APIRetryManager
from managers.payments.nowpayments import NowPaymentsManager
from managers.providers.jupiter import SOL_MINT, JupiterManager
from runtime.errors import TransientError
from tests.feed.support import address
from tests.telegram.foreign_answers import PAGE, page, raw, said
from tests.telegram.foreign_server import Handler

ANSWERS: Mapping[str, Handler] = {
    **{f"page with {status}": page(status) for status in (200, 400, 401, 403, 404, 418)},
    "redirect": page(302, Location="https://login.example/"),
    "moved": page(308, Location="https://elsewhere.example/"),
    "empty": said(""),
    "no content": said("", 204),
    "null": said("null"),
    "text": said('"fine"'),
    "number": said("7"),
    "somebody else's list": said('["fine"'),
    "somebody else's object": said('{"status":"ok"}', 200),
    "half a document": said('{"calls":[{"type":"call","id":"a"'),
    "half a body": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n[]"),
    "rubbish in place of gzip": said(b"\x1f\x8b rubbish", Content_Encoding="gzip"),
    "no HTTP": raw(b"220 mail.example ESMTP ready\r\n"),
    "deeply nested": said("[" * 90_000),
    "not UTF-8": said(b'{"calls":\xff}'),
    "endless refusal": said(PAGE * 4_000, 403, "text/html"),
}
ENDLESS = said(b" " * (17 * 1024 * 1024))
LIKE_ITS_OWN = ("somebody else's object", "prices")
"""Jupiter's prices are an object of whatever mints it knows: here, of none."""


@asynccontextmanager
async def scripted(*answers_of_it: Handler) -> AsyncGenerator[tuple[str, list[Handler]]]:
    """Address of a server, and the answers that it gives one after the other, the last one for ever."""
    answers = list(answers_of_it)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (answers.pop(0) if len(answers) > 1 else answers[0])(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", answers
    finally:
        await runner.cleanup()


@pytest.fixture
async def script() -> AsyncIterator[tuple[str, list[Handler]]]:
    async with scripted() as server:
        yield server


Ask = Callable[[str, APIRetryManager], Awaitable[object]]
MINT = address(5)
ASKED: Mapping[str, Ask] = {
    "calls": lambda url, api: NativeSource("ws://x/", api_url=url, api=api).calls_since(0, 10),
    "token": lambda url, api: NativeSource("ws://x/", api_url=url, api=api).token(MINT),
    "channel": lambda url, api: NativeSource("ws://x/", api_url=url, api=api).channel("@a"),
    "tokens": lambda url, api: JupiterManager(api, url).tokens([MINT]),
    "prices": lambda url, api: JupiterManager(api, url).prices_usd([SOL_MINT]),
    "payment": lambda url, api: NowPaymentsManager(api, api_key="key", base_url=url).payment("1"),
    "coins": lambda url, api: NowPaymentsManager(api, api_key="key", base_url=url).coins(),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_is_not_the_hosts_own_is_no_answer(api_manager: APIRetryManager, name: str):
    """Whatever is asked; all at once, because each is tried again after a while."""
    async with asyncio.TaskGroup() as group:
        for asked in ASKED:
            if (name, asked) != LIKE_ITS_OWN:
                group.create_task(asked_in_vain(api_manager, ANSWERS[name], asked))


@pytest.mark.parametrize("asked", ASKED)
async def test_nor_is_what_does_not_end(api_manager: APIRetryManager, asked: str):
    await asked_in_vain(api_manager, ENDLESS, asked)


async def test_prices_of_nothing_are_an_answer(script: tuple[str, list[Handler]], api_manager: APIRetryManager):
    url, answers = script
    name, asked = LIKE_ITS_OWN
    answers.append(ANSWERS[name])
    assert await ASKED[asked](url, api_manager) == {}


async def asked_in_vain(api: APIRetryManager, answer: Handler, asked: str) -> None:
    async with scripted(answer) as (url, _):
        with pytest.raises(TransientError):
            pytest.fail(f"{asked}: taken for an answer: {await ASKED[asked](url, api)!r}")
        counts = api.counts[URL(url).authority]
        assert (counts.requests, counts.failures) == (ATTEMPTS, ATTEMPTS), f"{asked}: tried again, and counted"


@pytest.mark.parametrize("asked", ["token", "tokens"])
async def test_it_is_asked_again_and_counted_apart(
    script: tuple[str, list[Handler]], api_manager: APIRetryManager, asked: str
):
    url, answers = script
    own = {"token": f'{{"address":"{MINT}"}}', "tokens": f'[{{"id":"{MINT}"}}]'}[asked]
    answers += [page(200), page(404), said(own)]
    assert await ASKED[asked](url, api_manager)
    counts = api_manager.counts[URL(url).authority]
    assert (counts.requests, counts.failures, counts.foreign_answers) == (3, 2, 2)


async def test_who_is_never_answered_by_the_host_leaves_it_alone(
    script: tuple[str, list[Handler]], api_manager: APIRetryManager
):
    url, answers = script
    answers.append(page(403))
    for _ in range(FAILURES_IN_A_ROW // ATTEMPTS + 1):
        with pytest.raises(TransientError):
            await ASKED["token"](url, api_manager)
    assert api_manager.counts[URL(url).authority].breaker_opened == 1


@pytest.mark.parametrize("own", [said(""), said('{"error":"unknown"}')])
async def test_unknown_is_what_the_feed_itself_says(
    script: tuple[str, list[Handler]], api_manager: APIRetryManager, own: Handler
):
    url, answers = script

    async def not_found(request: web.Request) -> web.StreamResponse:
        response = await own(request)
        response.set_status(404)
        return response

    answers.append(not_found)
    assert await ASKED["token"](url, api_manager) is None
    assert await ASKED["channel"](url, api_manager) is None
    with pytest.raises(TransientError, match="404"):
        await ASKED["calls"](url, api_manager)
