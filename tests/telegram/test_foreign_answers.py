"""Only Telegram's own word decides; everything else leaves open what became of the request, whatever was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
from telegram import Update
from telegram.ext import ContextTypes, TypeHandler

from domain.delivery.messages import Media, Message
from managers.telegram.client import TelegramManager
from managers.telegram.conversation import TelegramConversation
from managers.telegram.errors import telegram_errors
from managers.telegram.rate_limiter import Lane, TelegramRateLimiter
from runtime.errors import FatalError, FloodError, OutcomeUnknownError, RecipientGoneError
from tests.telegram.foreign_answers import ANSWERS, FORBIDDEN, MESSAGE, page, said
from tests.telegram.foreign_server import TOKEN, ForeignBotApi, Handler
from tests.wiring import AT_WILL

HELLO = Message(html="hello")

PICTURE = Media(kind="photo", source="https://example.org/a.png")


@pytest.fixture
async def server() -> AsyncGenerator[ForeignBotApi]:
    async with ForeignBotApi() as server:
        yield server


@pytest.fixture
async def manager(server: ForeignBotApi) -> AsyncGenerator[TelegramManager]:
    limiter = TelegramRateLimiter(overall=AT_WILL, private=AT_WILL)
    async with TelegramManager(token=TOKEN, api_base=server.url, limiter=limiter).opened() as manager:
        yield manager


async def send(manager: TelegramManager) -> object:
    async with manager.slot(7, Lane.ALERT) as slot:
        return await manager.send(HELLO, chat_id=7, slot=slot)


async def send_media(manager: TelegramManager) -> object:
    async with manager.slot(7, Lane.ALERT) as slot:
        return await manager.send_media(HELLO, PICTURE, chat_id=7, slot=slot)


async def get_updates(manager: TelegramManager) -> object:
    with telegram_errors():
        return await manager.application.bot.get_updates()


async def delete_webhook(manager: TelegramManager) -> object:
    with telegram_errors():
        return await manager.application.bot.delete_webhook()


METHODS: dict[str, Callable[[TelegramManager], Awaitable[object]]] = {
    "getMe": TelegramManager.connect,
    "sendMessage": send,
    "sendPhoto": send_media,
    "sendMessage in answer": lambda manager: TelegramConversation(manager).send(7, HELLO),
    "editMessageText": lambda manager: TelegramConversation(manager).edit(7, 1, HELLO),
    "answerCallbackQuery": lambda manager: TelegramConversation(manager).answer("1", "hello"),
    "getChatMember": lambda manager: manager.administers(-5, 7),
    "setMyCommands": lambda manager: manager.set_commands({"start": "Begin"}),
    "setWebhook": lambda manager: manager.set_webhook("https://bot.example/hook", "secret"),
    "deleteWebhook": delete_webhook,
    "getUpdates": get_updates,
}
MESSAGES = ("sendMessage", "sendPhoto", "sendMessage in answer")


@pytest.mark.parametrize("what", METHODS)
async def test_what_is_not_telegrams_decides_nothing(
    manager: TelegramManager, server: ForeignBotApi, what: str
) -> None:
    method = what.split(maxsplit=1)[0]
    for number, (name, answer) in enumerate(ANSWERS.items(), 1):
        server.script(method, answer)
        with pytest.raises(OutcomeUnknownError) as caught:
            pytest.fail(f"{name} was taken for an answer to {method}: {await METHODS[what](manager)!r}")
        assert TOKEN.partition(":")[2] not in str(caught.value)
        assert manager.foreign_answers == number, f"{name} was not counted"
        assert len(server.calls(method)) == number, f"{name}: a request is never repeated by itself"


@pytest.mark.parametrize("what", MESSAGES)
@pytest.mark.parametrize(
    "body",
    [
        '{"ok":true,"result":true}',
        '{"ok":true,"result":[]}',
        '{"ok":true,"result":{}}',
        '{"ok":true,"result":{"message_id":"1"}}',
        '{"ok":true,"result":{"message_id":1,"photo":7}}',
        '{"ok":true,"result":{"message_id":1,"photo":[{}]}}',
    ],
)
async def test_only_a_message_says_that_one_was_sent(
    manager: TelegramManager, server: ForeignBotApi, what: str, body: str
) -> None:
    server.script(what.split(maxsplit=1)[0], said(body))
    with pytest.raises(OutcomeUnknownError):
        await METHODS[what](manager)
    await METHODS[what](manager)


async def test_who_we_are_is_only_said_whole(manager: TelegramManager, server: ForeignBotApi) -> None:
    server.script("getMe", said('{"ok":true,"result":true}'), said('{"ok":true,"result":{"id":5}}'))
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError):
            await manager.connect()
    await manager.connect()
    assert manager.username == "filter_bot"


@pytest.mark.parametrize("status", [200, 403, 502])
async def test_a_refusal_is_one_whatever_the_status(
    manager: TelegramManager, server: ForeignBotApi, status: int
) -> None:
    server.script("sendMessage", said(FORBIDDEN, status))
    with pytest.raises(RecipientGoneError):
        await send(manager)
    assert manager.foreign_answers == 0


@pytest.mark.parametrize("code", [401, 404])
async def test_that_the_token_is_unknown_only_telegram_can_say(
    manager: TelegramManager, server: ForeignBotApi, code: int
) -> None:
    description = {401: "Unauthorized", 404: "Not Found"}[code]
    own = said(f'{{"ok":false,"error_code":{code},"description":"{description}"}}', code)
    server.script("getMe", page(code), own)
    with pytest.raises(OutcomeUnknownError):
        await manager.connect()
    with pytest.raises(FatalError, match="TELEGRAM_BOT_TOKEN"):
        await manager.connect()


async def test_a_flood_refusal_without_a_time_takes_it_from_the_header(
    manager: TelegramManager, server: ForeignBotApi
) -> None:
    body = '{"ok":false,"error_code":429,"description":"Too Many Requests"}'
    server.script("sendMessage", said(body, 429, Retry_After="3"))
    with pytest.raises(FloodError) as caught:
        await send(manager)
    assert caught.value.retry_after_s == 3


async def test_a_message_was_sent_whatever_a_proxy_calls_the_answer(
    manager: TelegramManager, server: ForeignBotApi
) -> None:
    """To take it for unknown would send the message again, for ever."""
    server.script("sendMessage", said(MESSAGE, content_type="text/plain"))
    assert await send(manager) == 1


async def test_an_answer_with_half_a_surrogate_pair_is_an_answer(
    manager: TelegramManager, server: ForeignBotApi
) -> None:
    server.script("sendMessage", said(r'{"ok":true,"result":{"message_id":5,"text":"Cat\ud83d"}}'))
    assert await send(manager) == 5


@pytest.mark.parametrize("answer", [page(404), said("[]"), said('{"ok":true,"result":true}')])
async def test_polling_goes_on(manager: TelegramManager, server: ForeignBotApi, answer: Handler) -> None:
    """A poll that is answered by somebody else is asked again after a pause, and stands for no answer."""
    heard: asyncio.Queue[str | None] = asyncio.Queue()

    async def hear(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.effective_message is not None
        heard.put_nowait(update.effective_message.text)

    server.script("getUpdates", answer)
    manager.application.add_handler(TypeHandler(Update, hear))
    await manager.connect()
    polling = asyncio.create_task(manager.poll())
    await server.until_asked("getUpdates")
    await server.bring_text("Dog")
    assert await heard.get() == "Dog"
    assert manager.foreign_answers == 1
    polling.cancel()
    await asyncio.wait([polling])


async def test_half_a_surrogate_pair_in_an_update_costs_itself(manager: TelegramManager, server: ForeignBotApi) -> None:
    text = r'{"message_id":1,"date":1,"chat":{"id":7,"type":"private"},"text":"Cat\ud83d"}'
    server.script("getUpdates", said(f'{{"ok":true,"result":[{{"update_id":1,"message":{text}}}]}}'))
    (update,) = await manager.application.bot.get_updates()
    assert update.message is not None
    assert update.message.text == "Cat\ufffd"
