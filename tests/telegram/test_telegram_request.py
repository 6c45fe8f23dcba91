import asyncio
import contextlib
import traceback
from collections.abc import AsyncGenerator

import pytest
from aiohttp import web
from telegram import Bot
from telegram.error import NetworkError, RetryAfter, TelegramError, TimedOut

from managers.telegram.rate_limiter import retry_after_s
from managers.telegram.request import AiohttpRequest, RequestNotSentError
from tests.telegram.foreign_server import TOKEN, ForeignBotApi, Handler, cut, never, refusal


@pytest.fixture
async def server() -> AsyncGenerator[ForeignBotApi]:
    async with ForeignBotApi() as server:
        yield server


@pytest.fixture
async def request_() -> AsyncGenerator[AiohttpRequest]:
    async with AiohttpRequest() as request:
        yield request


@pytest.fixture
def bot(server: ForeignBotApi, request_: AiohttpRequest) -> Bot:
    return Bot(
        TOKEN,
        base_url=f"{server.url}/bot",
        base_file_url=f"{server.url}/file/bot",
        request=request_,
        get_updates_request=AiohttpRequest(),
    )


async def failure_of(bot: Bot) -> TelegramError:
    with pytest.raises(TelegramError) as caught:
        await bot.send_message(7, "hello")
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    return caught.value


async def test_text_arrives_as_it_was(server: ForeignBotApi, bot: Bot) -> None:
    message = await bot.send_message(7, "a&b=c %20 + ü 🚀\n", disable_notification=True)
    assert message.message_id == 1
    assert server.calls("sendMessage") == [
        {"chat_id": "7", "text": "a&b=c %20 + ü 🚀\n", "disable_notification": "true"}
    ]


async def test_files_are_uploaded_with_their_caption(server: ForeignBotApi, bot: Bot) -> None:
    photo = b"\x89PNG\x00\xff" * 300_000
    await bot.send_photo(7, photo, caption="ü")
    assert server.calls("sendPhoto") == [{"chat_id": "7", "caption": "ü", "photo": photo}]


async def test_files_are_downloaded(server: ForeignBotApi, request_: AiohttpRequest) -> None:
    server.files["logo"] = b"\x00" * 100_000
    assert await request_.retrieve(f"{server.url}/file/bot{TOKEN}/logo") == b"\x00" * 100_000


async def test_a_refused_connection_is_surely_not_sent(bot: Bot, server: ForeignBotApi) -> None:
    await server.__aexit__(None, None, None)
    assert isinstance(await failure_of(bot), RequestNotSentError)


async def test_a_request_that_found_no_free_connection_is_surely_not_sent(server: ForeignBotApi) -> None:
    server.script("sendMessage", never)
    async with AiohttpRequest(connections=1, pool_timeout_s=0.01, connect_timeout_s=1.0) as request:
        bot = Bot(TOKEN, base_url=f"{server.url}/bot", request=request)
        hanging = asyncio.create_task(bot.send_message(7, "first"))
        await server.until_asked("sendMessage")
        assert isinstance(await failure_of(bot), RequestNotSentError)
        hanging.cancel()
        await asyncio.wait([hanging])
    assert len(server.calls("sendMessage")) == 1


async def test_an_answer_that_does_not_come_is_a_time_out(bot: Bot, server: ForeignBotApi) -> None:
    server.script("sendMessage", never)
    with pytest.raises(TimedOut):
        await bot.send_message(7, "hello", read_timeout=0.05)
    assert len(server.calls("sendMessage")) == 1


async def cut_in_the_answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"ok": true')
    assert request.transport is not None
    request.transport.abort()
    return response


@pytest.mark.parametrize("answer", [cut, cut_in_the_answer])
async def test_a_connection_that_breaks_after_sending_leaves_it_open(
    bot: Bot, server: ForeignBotApi, answer: Handler
) -> None:
    server.script("sendMessage", answer)
    error = await failure_of(bot)
    assert type(error) is NetworkError
    assert len(server.calls("sendMessage")) == 1, "a POST is never repeated by itself"


async def test_a_flood_refusal_says_how_long(bot: Bot, server: ForeignBotApi) -> None:
    server.script("sendMessage", refusal(429, "Too Many Requests: retry after 7", retry_after=7))
    error = await failure_of(bot)
    assert isinstance(error, RetryAfter)
    assert retry_after_s(error) == 7


async def test_a_bad_gateway_is_open(bot: Bot, server: ForeignBotApi) -> None:
    server.script("sendMessage", refusal(502, "Bad Gateway"))
    assert type(await failure_of(bot)) is NetworkError


async def test_it_can_be_opened_again(server: ForeignBotApi) -> None:
    request = AiohttpRequest()
    bot = Bot(TOKEN, base_url=f"{server.url}/bot", request=request)
    assert isinstance(await failure_of(bot), RequestNotSentError)
    for _ in range(2):
        await request.initialize()
        await request.initialize()
        await bot.send_message(7, "hello")
        await request.shutdown()
        await request.shutdown()


async def test_only_a_success_counts_as_one(bot: Bot, server: ForeignBotApi, request_: AiohttpRequest) -> None:
    server.script("sendMessage", refusal(403, "Forbidden: bot was blocked by the user"))
    await failure_of(bot)
    assert request_.last_success_at is None
    await bot.send_message(7, "hello")
    assert request_.last_success_at is not None


def dated(body: str, date: str, status: int = 200) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=status, headers={"Date": date}, content_type="application/json")

    return answer


async def test_only_telegrams_own_answers_tell_what_time_it_is(server: ForeignBotApi) -> None:
    heard: list[str | None] = []
    sound = [
        '{"ok":true,"result":{"id":5,"is_bot":true,"first_name":"Filter","username":"filter_bot"}}',
        '{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1"}',
    ]
    foreign = ["<html>403</html>", "", "[]", "{}", '{"ok":1}', '{"result":true}', '{"ok":true', "[" * 90_000, "null"]
    statuses = [200, 429, 403, 200, 200, 200, 200, 502, 200, 200, 200]
    for body, status in zip([*sound, *foreign], statuses, strict=True):
        server.script("getMe", dated(body, f"{body[:20]!r}", status))
    async with AiohttpRequest(heard=lambda date, took_s: heard.append(date) if 0 < took_s < 60 else None) as request:
        for _ in statuses:
            with contextlib.suppress(TelegramError):
                await request.do_request(f"{server.url}/bot{TOKEN}/getMe", "POST")
    assert heard == [f"{body[:20]!r}" for body in sound]
