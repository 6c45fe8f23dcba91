"""An update that cannot be read costs itself: the rest of its page is handled, and it does not come again."""

import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from telegram import Update
from telegram.ext import ContextTypes, TypeHandler

from managers.telegram.client import TelegramManager
from managers.telegram.polling import next_offset
from managers.telegram.rate_limiter import TelegramRateLimiter
from managers.telegram.updates import identified, read_page
from tests.telegram.foreign_server import PRIVATE_CHAT, SENDER, TOKEN, ForeignBotApi, Handler, polling, refusal

Write = Callable[[int], str]
MESSAGE: dict[str, Any] = {"message_id": 1, "date": 1, "chat": PRIVATE_CHAT, "from": SENDER}
POLL_AS_OLDER_SERVERS_SEND_IT = {"id": "5", "question": "Moon?", "options": [{"text": "yes", "voter_count": 1}]}
EMPTY: dict[str, Any] = {}
DEEP = "[" * 90_000 + "]" * 90_000


def written(**content: object) -> Write:
    return lambda number: json.dumps({"update_id": number, **content})


def as_text(text: str) -> Write:
    return lambda number: text.replace("NUMBER", str(number))


UNREADABLE: dict[str, Write] = {
    "no message_id": written(message={key: value for key, value in MESSAGE.items() if key != "message_id"}),
    "no date": written(message={key: value for key, value in MESSAGE.items() if key != "date"}),
    "no chat": written(message={"message_id": 1, "date": 1}),
    "date of another age": written(message=MESSAGE | {"date": 10**18}),
    "poll of an older server": written(message=MESSAGE | {"poll": POLL_AS_OLDER_SERVERS_SEND_IT}),
    "empty story": written(message=MESSAGE | {"story": EMPTY}),
    "chat that is none": written(message=MESSAGE | {"chat": 7}),
    "chat named in words": written(message=MESSAGE | {"chat": PRIVATE_CHAT | {"id": "seven"}}),
    "sender in a list": written(message=MESSAGE | {"from": [SENDER]}),
    "message in a list": written(callback_query={"id": "1", "from": SENDER, "message": [MESSAGE]}),
    "tap without a person": written(callback_query={"id": "1", "chat_instance": "1", "data": "x"}),
    "number in words": as_text('{"update_id": "NUMBER", "message": {}}'),
    "number among many": as_text(f'{{"message": {json.dumps(MESSAGE)}, "update_id": "NUMBER"}}'),
    "nested deeply": as_text(f'{{"update_id":NUMBER,"message":{DEEP}}}'),
    "nested deeply, number last": as_text(f'{{"message":{DEEP}, "update_id" : NUMBER }}'),
    "number of many digits": as_text('{"update_id":NUMBER,"message":{"message_id":' + "9" * 5_000 + "}}"),
    "no JSON within": as_text('{"update_id":NUMBER,"message":{"text":"a [{ \\" b",,}}'),
}
NAMELESS: dict[str, Write] = {
    "no number": as_text(json.dumps({"message": MESSAGE})),
    "number that is none": as_text('{"update_id": [NUMBER], "message": {}}'),
    "number that is true": as_text('{"update_id": true, "message": {}}'),
    "number below nought": as_text('{"update_id": -NUMBER, "message": {}}'),
    "no object": as_text("17"),
    "a list": as_text("[1, 2]"),
    "nothing": as_text("null"),
    "nested deeply, no number": as_text(DEEP),
}


@pytest.fixture
async def server() -> AsyncGenerator[ForeignBotApi]:
    async with ForeignBotApi() as server:
        yield server


@pytest.fixture
async def manager(server: ForeignBotApi) -> AsyncGenerator[TelegramManager]:
    limiter = TelegramRateLimiter()
    async with TelegramManager(token=TOKEN, api_base=server.url, limiter=limiter) as manager:
        manager.application.add_handler(TypeHandler(Update, answer))
        yield manager


async def answer(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
    assert update.effective_message is not None
    await update.effective_message.reply_text(f"you said {update.effective_message.text}")


async def said(server: ForeignBotApi, times: int) -> list[str]:
    return [answer["text"] for answer in await server.until_asked("sendMessage", times)]


@pytest.mark.parametrize("poison", [*UNREADABLE.values(), *NAMELESS.values()], ids=[*UNREADABLE, *NAMELESS])
async def test_the_rest_of_the_page_is_handled(server: ForeignBotApi, manager: TelegramManager, poison: Write) -> None:
    await server.bring_text("before")
    await server.bring_written(poison)
    await server.bring_written(poison)
    await server.bring_text("after", chat=PRIVATE_CHAT | {"id": 8})
    await server.bring_written(poison)
    async with polling(manager):
        assert sorted(await said(server, 2)) == ["you said after", "you said before"]
        await server.until_confirmed()
        assert manager.inbox.unreadable == 3
        await server.bring_text("next", chat=PRIVATE_CHAT | {"id": 9})
        assert (await said(server, 3))[-1] == "you said next"
        assert manager.health().ok
    assert manager.inbox.unreadable == 3
    assert len(server.calls("getUpdates")) < 10


@pytest.mark.parametrize("name", ["no number", "nested deeply, no number"])
async def test_one_without_a_number_far_away_holds_up_nobody(
    server: ForeignBotApi, manager: TelegramManager, name: str
) -> None:
    await server.bring_text("before")
    async with polling(manager):
        await said(server, 1)
        await server.skip_ids(1_000_000)
        await server.bring_written(NAMELESS[name])
        await server.until_asked("getUpdates", 3)
        await server.bring_text("after", chat=PRIVATE_CHAT | {"id": 8})
        assert await said(server, 2) == ["you said before", "you said after"]
        await server.until_confirmed()
    assert manager.inbox.unreadable <= 2, "however often it came"
    assert len(server.calls("getUpdates")) < 10, "what cannot be got past is not asked for without a pause"


async def test_unreadable_ones_do_not_fill_the_log(server: ForeignBotApi, manager: TelegramManager) -> None:
    deep = "[" * 5_000 + "]" * 5_000
    for _ in range(250):
        await server.bring_written(as_text(f'{{"update_id":NUMBER,"message":{deep}}}'))
    with capture_logs() as logs:
        async with polling(manager):
            await server.until_confirmed()
    told = [entry for entry in logs if entry["event"] == "update_unreadable"]
    assert len(told) == 10
    assert manager.inbox.unreadable == 250
    assert len(json.dumps(told)) < 20_000


async def test_several_people_who_cannot_be_read_are_noticed(server: ForeignBotApi, manager: TelegramManager) -> None:
    """Then it is not one of them: nobody is being answered."""
    async with polling(manager):
        for _ in range(5):
            await server.bring_written(written(message=MESSAGE | {"story": EMPTY}))
        await server.until_confirmed()
        assert manager.health().ok, "one person alone does not make the bot unwell"
        for number in range(5):
            person = {"chat": PRIVATE_CHAT | {"id": number + 10}, "from": SENDER | {"id": number + 10}}
            await server.bring_written(written(message=MESSAGE | person | {"story": EMPTY}))
        await server.until_confirmed()
        health = manager.health()
        assert not health.ok
        assert health.problem == "the last updates of several people could not be read"
        await server.bring_text("hi")
        await said(server, 1)
        assert manager.health().ok


def answered_with(body: str, status: int = 200) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=status, content_type="application/json")

    return answer


@pytest.mark.parametrize(
    "instead",
    [
        answered_with("<html>Sign in to the network</html>"),
        answered_with(""),
        answered_with("[]"),
        answered_with("null"),
        answered_with('{"ok":true}'),
        answered_with('{"ok":true,"result":true}'),
        answered_with('{"ok":true,"result":{"update_id":1}}'),
        answered_with('{"ok":true,"result":[{"update_id":1'),
        answered_with('{"ok":false,"description":"no"}'),
        answered_with(DEEP),
        answered_with("<html>502</html>", 502),
        answered_with('{"ok":false,"parameters":7,"description":"no"}', 500),
        refusal(400, "Bad Request: who are you"),
    ],
)
async def test_what_is_no_page_is_asked_for_again_after_a_pause(
    server: ForeignBotApi, manager: TelegramManager, instead: Handler
) -> None:
    server.script("getUpdates", instead, instead)
    async with polling(manager):
        await server.until_asked("getUpdates", 1)
        await server.bring_text("hi")
        assert await said(server, 1) == ["you said hi"]
    assert len(server.calls("getUpdates")) <= 5


async def test_a_page_too_large_for_what_is_on_the_way_is_asked_for_in_parts(
    server: ForeignBotApi, manager: TelegramManager
) -> None:
    async def picky(request: web.Request) -> web.StreamResponse:
        asked = dict(await request.post())
        if int(str(asked.get("limit", 100))) > 10:
            return web.Response(text="<html>413</html>", status=413, content_type="text/html")
        return await server.get_updates(asked)

    server.script("getUpdates", *[picky] * 50)
    for number in range(25):
        await server.bring_text(str(number), chat=PRIVATE_CHAT | {"id": 10 + number})
    async with polling(manager):
        assert len(await said(server, 25)) == 25
        await server.until_confirmed()
    assert manager.health().ok


async def test_an_empty_answer_at_once_is_not_asked_for_without_end(
    server: ForeignBotApi, manager: TelegramManager
) -> None:
    empty = answered_with('{"ok":true,"result":[]}')
    server.script("getUpdates", *[empty] * 3)
    async with polling(manager):
        await server.until_asked("getUpdates", 2)
        await server.bring_text("hi")
        assert await said(server, 1) == ["you said hi"]
    assert len(server.calls("getUpdates")) <= 6


async def test_a_page_that_comes_again_is_not_handled_again(server: ForeignBotApi, manager: TelegramManager) -> None:
    """As from a cache on the way."""
    page = json.dumps({"ok": True, "result": [{"update_id": 5, "message": MESSAGE | {"text": "once"}}]})
    server.script("getUpdates", *[answered_with(page)] * 3)
    await server.skip_ids(10)
    async with polling(manager):
        await server.until_asked("getUpdates", 3)
        await server.bring_text("twice")
        assert await said(server, 2) == ["you said once", "you said twice"]
    assert manager.queue.handled == 2


async def test_by_webhook_an_unreadable_one_is_taken_and_dropped(
    server: ForeignBotApi, manager: TelegramManager
) -> None:
    for number, poison in enumerate(UNREADABLE.values()):
        try:
            update = json.loads(poison(number))
        except (ValueError, RecursionError):
            continue  # the web edge refuses it
        await manager.feed_update(update)
    assert manager.inbox.unreadable >= 10
    await manager.feed_update({"update_id": 99, "message": MESSAGE | {"text": "hi"}})
    assert await said(server, 1) == ["you said hi"]


async def test_a_poll_that_brings_no_page_shows_in_health(server: ForeignBotApi) -> None:
    """Restarts of the poll do not hide it."""
    now_s = 0.0

    async def no_page(_: web.Request) -> web.StreamResponse:
        nonlocal now_s
        now_s += 40.0
        return web.Response(text="<html>", content_type="text/html")

    server.script("getUpdates", *[no_page] * 3)
    limiter = TelegramRateLimiter()
    manager = TelegramManager(token=TOKEN, api_base=server.url, limiter=limiter, clock=lambda: now_s)
    async with manager:
        async with polling(manager):
            await server.until_asked("getUpdates", 3)
            health = manager.health()
            assert not health.ok
            assert "getUpdates" in (health.problem or "")
            await server.bring_text("hi")
            await server.until_confirmed()
            assert manager.health().ok
        assert manager.health().last_poll_age_s is None


ID = st.integers(min_value=0, max_value=50)


@given(st.lists(st.tuples(ID, st.booleans()), max_size=20), st.sampled_from([None, 100]))
def test_going_on_passes_a_page_and_nothing_else(spread: list[tuple[int, bool]], offset: int | None) -> None:
    """Against a Telegram that knows the true ids, some of which it does not tell."""
    true_id, page, ids = 99, list[object](), list[int]()
    for gap, is_told in spread:
        true_id += 1 + gap
        ids.append(true_id)
        page.append({"update_id": true_id} if is_told else {})
    asked = next_offset(page, offset)
    told = [identified(item) for item in page if identified(item) is not None]
    if not told and offset is None:
        assert asked is None
        return
    assert asked is not None
    assert asked <= true_id + 1, "what comes later is not passed"
    last_told = max((number for number in told if number is not None), default=99)
    assert asked > last_told
    if not any(gap for gap, _ in spread):
        assert asked == true_id + 1, "ids that follow each other are passed at once"


@given(st.recursive(st.none() | st.integers() | st.text() | st.floats(), st.lists, max_leaves=9))
def test_a_page_that_has_to_be_taken_apart_loses_nothing(value: object) -> None:
    readable = {"update_id": 3, "message": {"text": value}}
    page = f'{{"ok":true,"result":[ {json.dumps(readable)} ,{{"update_id":4,"a":{DEEP}}},{json.dumps(readable)}]}}'
    answer = read_page(page.encode("utf-8", "surrogatepass"))
    assert answer is not None
    first, deep, last = answer["result"]
    assert json.dumps(first) == json.dumps(last) == json.dumps(readable)
    assert identified(deep) == 4
