"""The manager against a Bot API server that is not ours: only `api_base` says where it is."""

import asyncio
import json
import traceback
from collections.abc import AsyncGenerator

import pytest
from telegram import Update
from telegram.ext import ContextTypes, TypeHandler

from domain.delivery.messages import Button, Message
from managers.telegram.client import ALLOWED_UPDATES, TelegramManager
from managers.telegram.markup import markup, plain_text
from managers.telegram.rate_limiter import Lane, TelegramRateLimiter
from managers.telegram.update_queue import PER_PERSON
from runtime.errors import (
    BotError,
    ChatMigratedError,
    FatalError,
    FloodError,
    MessageRefusedError,
    NotSentError,
    OutcomeUnknownError,
    RecipientGoneError,
    TransientError,
)
from tests.telegram.foreign_server import (
    PRIVATE_CHAT,
    SENDER,
    TOKEN,
    ForeignBotApi,
    Handler,
    answer_and_close,
    cut,
    never,
    polling,
    refusal,
)

HELLO = Message(html="<b>hello</b>")
Context = ContextTypes.DEFAULT_TYPE


@pytest.fixture
async def server() -> AsyncGenerator[ForeignBotApi]:
    async with ForeignBotApi() as server:
        yield server


def make(server: ForeignBotApi, token: str = TOKEN, stale_after_s: float = 60.0) -> TelegramManager:
    limiter = TelegramRateLimiter()
    return TelegramManager(token=token, api_base=server.url, limiter=limiter, stale_after_s=stale_after_s)


@pytest.fixture
async def manager(server: ForeignBotApi) -> AsyncGenerator[TelegramManager]:
    async with make(server) as manager:
        yield manager


async def send(manager: TelegramManager, message: Message = HELLO, chat_id: int = 7) -> int:
    async with manager.slot(chat_id, Lane.ALERT) as slot:
        return await manager.send(message, chat_id=chat_id, slot=slot)


async def test_a_message_arrives_with_its_markup_and_buttons(manager: TelegramManager, server: ForeignBotApi) -> None:
    keyboard = (
        (Button(text="Chart", url="https://example.org/"), Button(text="Why?", data="why:1")),
        (Button(text="Copy", copy="So111"),),
    )
    assert await send(manager, Message(html="<b>1 &lt; 2</b>", keyboard=keyboard, silent=True)) == 1
    (sent,) = server.calls("sendMessage")
    assert (sent["chat_id"], sent["text"], sent["parse_mode"]) == ("7", "<b>1 &lt; 2</b>", "HTML")
    assert sent["disable_notification"] == "true"
    assert json.loads(sent["link_preview_options"]) == {"is_disabled": True}
    assert json.loads(sent["reply_markup"]) == {
        "inline_keyboard": [
            [{"text": "Chart", "url": "https://example.org/"}, {"text": "Why?", "callback_data": "why:1"}],
            [{"text": "Copy", "copy_text": {"text": "So111"}}],
        ]
    }


def test_no_buttons_make_no_keyboard() -> None:
    assert markup(()) is None


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("<b>a</b> &amp; <a href='https://x.org/?a=1&amp;b=2'>b</a>", "a & b"),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ("<x <b>y</b>", "<x y"),
        ("&lt;b&gt;", "<b>"),
    ],
)
def test_plain_text_is_what_people_would_have_read(html: str, plain: str) -> None:
    assert plain_text(html) == plain


async def test_unreadable_markup_is_sent_without_it(manager: TelegramManager, server: ForeignBotApi) -> None:
    server.script("sendMessage", refusal(400, "Bad Request: can't parse entities: Unsupported start tag"))
    keyboard = ((Button(text="Why?", data="why:1"),),)
    assert await send(manager, Message(html="<b>A&amp;B</b> <x>", keyboard=keyboard)) == 1
    first, second = server.calls("sendMessage")
    assert first["text"] == "<b>A&amp;B</b> <x>"
    assert second["text"] == "A&B "
    assert "parse_mode" not in second
    assert second["reply_markup"] == first["reply_markup"]


async def test_buttons_that_are_refused_are_left_out(manager: TelegramManager, server: ForeignBotApi) -> None:
    server.script("sendMessage", refusal(400, "Bad Request: BUTTON_URL_INVALID"))
    await send(manager, Message(html="<b>a</b>", keyboard=((Button(text="x", url="https://x.y"),),)))
    _, second = server.calls("sendMessage")
    assert "reply_markup" not in second
    assert second["text"] == "<b>a</b>"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(403, "Forbidden: bot was blocked by the user"), RecipientGoneError),
        (refusal(403, "Forbidden: user is deactivated"), RecipientGoneError),
        (refusal(403, "Forbidden: bot was kicked from the supergroup chat"), RecipientGoneError),
        (refusal(400, "Bad Request: chat not found"), RecipientGoneError),
        (refusal(400, "Bad Request: PEER_ID_INVALID"), RecipientGoneError),
        (refusal(400, "Bad Request: have no rights to send a message"), RecipientGoneError),
        (refusal(400, "Bad Request: CHAT_WRITE_FORBIDDEN"), RecipientGoneError),
        (refusal(400, "Bad Request: not enough rights to send text messages to the chat"), RecipientGoneError),
        (refusal(400, "Bad Request: message is too long"), MessageRefusedError),
        (refusal(400, "Bad Request: message text is empty"), MessageRefusedError),
        (refusal(500, "Internal Server Error"), OutcomeUnknownError),
        (refusal(502, "Bad Gateway"), OutcomeUnknownError),
        (refusal(401, "Unauthorized"), FatalError),
        (cut, OutcomeUnknownError),
    ],
)
async def test_each_refusal_says_what_follows_from_it(
    manager: TelegramManager, server: ForeignBotApi, answer: Handler, kind: type[BotError]
) -> None:
    server.script("sendMessage", answer)
    with pytest.raises(BotError) as caught:
        await send(manager)
    assert type(caught.value) is kind
    assert len(server.calls("sendMessage")) == 1


async def test_a_moved_group_says_where_it_is(manager: TelegramManager, server: ForeignBotApi) -> None:
    text = "Bad Request: group chat was upgraded to a supergroup chat"
    server.script("sendMessage", refusal(400, text, migrate_to_chat_id=-1001234567890))
    with pytest.raises(ChatMigratedError) as caught:
        await send(manager, chat_id=-5)
    assert caught.value.new_chat_id == -1001234567890


async def test_a_flood_refusal_goes_to_the_sender(manager: TelegramManager, server: ForeignBotApi) -> None:
    server.script("sendMessage", refusal(429, "Too Many Requests: retry after 7", retry_after=7))
    with pytest.raises(FloodError) as caught:
        await send(manager)
    assert caught.value.retry_after_s == 7


async def test_without_a_server_nothing_was_sent(server: ForeignBotApi) -> None:
    server.script("getMe", answer_and_close)
    async with make(server) as manager:
        await server.__aexit__(None, None, None)
        with pytest.raises(NotSentError):
            await send(manager)


async def test_an_unknown_token_is_fatal_and_not_repeated_to_anybody(server: ForeignBotApi) -> None:
    with pytest.raises(FatalError) as caught:
        async with make(server, token="123456:WrongToken"):
            pass
    told = "".join(traceback.format_exception(caught.value))
    assert "TELEGRAM_BOT_TOKEN" in told
    assert "WrongToken" not in str(caught.value)
    assert "The token" not in told


async def test_no_server_at_the_start_is_transient_and_leaves_nothing_open(server: ForeignBotApi) -> None:
    await server.__aexit__(None, None, None)
    with pytest.raises(TransientError):
        async with make(server):
            pass


async def test_it_says_who_it_is_and_shows_its_commands(manager: TelegramManager, server: ForeignBotApi) -> None:
    assert (await manager.me()).username == "filter_bot"
    await manager.set_commands({"start": "Begin", "help": "What I can do"})
    await manager.set_commands({"users": "Who is here"}, chat_id=42, language="de")
    everybody, one_chat = server.calls("setMyCommands")
    assert json.loads(everybody["commands"]) == [
        {"command": "start", "description": "Begin"},
        {"command": "help", "description": "What I can do"},
    ]
    assert "scope" not in everybody
    assert json.loads(one_chat["scope"]) == {"type": "chat", "chat_id": 42}
    assert one_chat["language_code"] == "de"


async def answer_text(update: Update, _: Context) -> None:
    assert update.effective_message is not None
    await update.effective_message.reply_text(f"you said {update.effective_message.text}")


async def test_polling_brings_updates_to_handlers_and_confirms_them(
    manager: TelegramManager, server: ForeignBotApi
) -> None:
    manager.application.add_handler(TypeHandler(Update, answer_text))
    await server.bring_text("before")
    async with polling(manager):
        await server.bring_text("after")
        answers = await server.until_asked("sendMessage", 2)
        assert [answer["text"] for answer in answers] == ["you said before", "you said after"]
        assert manager.health().ok
        assert manager.health().polling
    assert not manager.health().polling
    asked = server.calls("getUpdates")
    assert json.loads(asked[0]["allowed_updates"]) == list(ALLOWED_UPDATES)
    assert asked[-1]["offset"] == "3", "what was read is not read again after a restart"
    (webhook,) = server.calls("deleteWebhook")
    assert webhook.get("drop_pending_updates", "false") == "false"


async def test_a_second_poller_shows_in_health(manager: TelegramManager, server: ForeignBotApi) -> None:
    reason = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    server.script("getUpdates", refusal(409, reason))
    async with polling(manager):
        await server.until_asked("getUpdates", 2)
        health = manager.health()
        assert health.conflict
        assert not health.ok


async def test_a_poll_that_nobody_answers_does_not_stay_unnoticed(server: ForeignBotApi) -> None:
    server.script("getUpdates", never)
    async with make(server, stale_after_s=0.05) as manager:
        with pytest.raises(TransientError, match="getUpdates"):
            await manager.poll()
        assert not manager.health().polling
        manager.application.add_handler(TypeHandler(Update, answer_text))
        await server.bring_text("again")
        async with polling(manager):
            await server.until_asked("sendMessage")


async def test_polling_can_be_given_up_while_telegram_is_away(server: ForeignBotApi) -> None:
    async with make(server) as manager:
        server.script("deleteWebhook", never)
        task = asyncio.create_task(manager.poll())
        await server.until_asked("deleteWebhook")
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_a_webhook_is_set_and_its_updates_are_handled(manager: TelegramManager, server: ForeignBotApi) -> None:
    manager.application.add_handler(TypeHandler(Update, answer_text))
    await manager.set_webhook("https://example.org/telegram/webhook", "Secret_1-2")
    (webhook,) = server.calls("setWebhook")
    assert webhook["secret_token"] == "Secret_1-2"
    assert json.loads(webhook["allowed_updates"]) == list(ALLOWED_UPDATES)
    message = {"message_id": 1, "date": 1, "chat": PRIVATE_CHAT, "from": SENDER, "text": "hi"}
    await manager.feed_update({"update_id": 1, "message": {"message_id": "no message"}})
    await manager.feed_update({"update_id": 2, "message": message})
    (answer,) = await server.until_asked("sendMessage")
    assert answer["text"] == "you said hi"
    assert manager.health().ok


@pytest.mark.parametrize("secret", ["", "with space", "ü", "x" * 257])
async def test_a_webhook_without_a_proper_secret_is_refused(
    manager: TelegramManager, server: ForeignBotApi, secret: str
) -> None:
    with pytest.raises(FatalError):
        await manager.set_webhook("https://example.org/telegram/webhook", secret)
    assert server.calls("setWebhook") == []


async def test_one_chat_is_handled_in_order_and_does_not_hold_up_another(
    manager: TelegramManager, server: ForeignBotApi
) -> None:
    release = asyncio.Event()
    handled: list[tuple[int, str]] = []

    async def handle(update: Update, _: Context) -> None:
        assert update.effective_chat is not None
        assert update.effective_message is not None
        text = update.effective_message.text or ""
        if text == "slow":
            await release.wait()
        handled.append((update.effective_chat.id, text))
        if text == "other":
            release.set()

    manager.application.add_handler(TypeHandler(Update, handle))
    await server.bring_text("slow")
    for number in range(PER_PERSON - 1):
        await server.bring_text(str(number))
    await server.bring_text("other", chat=PRIVATE_CHAT | {"id": 8})
    async with polling(manager):
        await release.wait()
    await manager.queue.drained()
    assert handled[0] == (8, "other")
    assert handled[1:] == [(7, "slow"), *((7, str(number)) for number in range(PER_PERSON - 1))]
