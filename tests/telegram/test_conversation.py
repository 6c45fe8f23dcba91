"""Answers to people over a Telegram that takes none: whoever watches the bot is told so, and when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from domain.delivery.messages import Message
from managers.telegram.client import TelegramManager
from managers.telegram.conversation import TelegramConversation
from managers.telegram.rate_limiter import TelegramRateLimiter
from runtime.errors import FloodError
from tests.telegram.foreign_server import TOKEN, ForeignBotApi, Handler, refusal

HELLO = Message(html="hello")
BLOCKED = refusal(403, "Forbidden: bot was blocked by the user")
BROKEN = refusal(500, "Internal Server Error")


class Scene:
    def __init__(self, api: ForeignBotApi, telegram: TelegramManager) -> None:
        self.now_s = 1_000.0
        self.api = api
        self.conversation = TelegramConversation(telegram, clock=lambda: self.now_s)

    async def answers(self, *handlers: Handler, method: str = "sendMessage", apart_s: float = 5.0) -> None:
        """Answer somebody else each time, while Telegram makes this of it."""
        ways: dict[str, Callable[[int], Awaitable[object]]] = {
            "sendMessage": lambda chat_id: self.conversation.send(chat_id, HELLO),
            "editMessageText": lambda chat_id: self.conversation.edit(chat_id, 1, HELLO),
            "answerCallbackQuery": lambda chat_id: self.conversation.answer(str(chat_id)),
        }
        for number, handler in enumerate(handlers):
            self.api.script(method, handler)
            await asyncio.gather(ways[method](7 + number), return_exceptions=True)
            self.now_s += apart_s


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    async with ForeignBotApi() as api:
        telegram = TelegramManager(token=TOKEN, api_base=api.url, limiter=TelegramRateLimiter())
        async with telegram.opened():
            yield Scene(api, telegram)


@pytest.mark.parametrize("method", ["sendMessage", "editMessageText", "answerCallbackQuery"])
async def test_answers_that_do_not_arrive_are_noticed_until_one_does(scene: Scene, method: str) -> None:
    await scene.answers(BROKEN, BROKEN, method=method)
    assert scene.conversation.problem is None, "two may be chance"
    await scene.answers(BROKEN, method=method)
    assert "the last 3 answers have not arrived" in (scene.conversation.problem or "")
    await scene.conversation.send(7, HELLO)
    assert scene.conversation.problem is None


async def test_messages_that_telegram_refuses_are_no_answers_either(scene: Scene) -> None:
    await scene.answers(*[refusal(400, "Bad Request: message is too long")] * 3)
    assert "too long" in (scene.conversation.problem or "")


async def test_people_who_block_the_bot_say_nothing_about_it(scene: Scene) -> None:
    await scene.answers(*[BLOCKED] * 9)
    assert scene.conversation.problem is None


async def test_a_flood_refusal_of_one_chat_says_nothing_about_the_others(scene: Scene) -> None:
    scene.api.script("sendMessage", refusal(429, "Too Many Requests: retry after 900", retry_after=900))
    for _ in range(5):
        with pytest.raises(FloodError):
            await scene.conversation.send(7, HELLO)
        scene.now_s += 5.0
    assert len(scene.api.calls("sendMessage")) == 1, "the chat is left alone"
    assert scene.conversation.problem is None


async def test_what_was_long_ago_says_nothing_about_now(scene: Scene) -> None:
    await scene.answers(*[BROKEN] * 4)
    assert scene.conversation.problem is not None
    scene.now_s += 301.0
    assert scene.conversation.problem is None
    await scene.answers(BROKEN)
    assert scene.conversation.problem is None
