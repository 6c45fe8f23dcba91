"""Telegram is not there at the start, or not for us: the process goes on, and says so."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from aiohttp import web
from telegram import Update
from telegram.ext import ContextTypes, TypeHandler

from domain.delivery.messages import Message
from managers.telegram.client import TelegramManager
from managers.telegram.rate_limiter import Lane, TelegramRateLimiter
from runtime.errors import FatalError, NotSentError, TransientError
from tests.telegram.foreign_server import TOKEN, ForeignBotApi, cut, never, polling, refusal


@pytest.fixture
async def server() -> AsyncGenerator[ForeignBotApi]:
    async with ForeignBotApi() as server:
        yield server


def make(server: ForeignBotApi, token: str = TOKEN, stale_after_s: float = 60.0) -> TelegramManager:
    limiter = TelegramRateLimiter()
    return TelegramManager(token=token, api_base=server.url, limiter=limiter, stale_after_s=stale_after_s)


async def say_hello(update: Update, _: ContextTypes.DEFAULT_TYPE) -> None:
    assert update.effective_message is not None
    await update.effective_message.reply_text("hello")


async def test_it_connects_as_soon_as_telegram_answers(server: ForeignBotApi) -> None:
    server.script("getMe", cut, refusal(502, "Bad Gateway"), refusal(429, "Too Many Requests", retry_after=1))
    async with make(server).opened() as manager:
        manager.application.add_handler(TypeHandler(Update, say_hello))
        for _ in range(3):
            with pytest.raises(TransientError):
                await manager.connect()
            assert not manager.health().ok
            assert not manager.health().connected
        await manager.connect()
        await manager.connect()
        assert manager.health().ok
        assert manager.username == "filter_bot"
        await server.bring_text("hi")
        async with polling(manager):
            await server.until_asked("sendMessage")
    assert len(server.calls("getMe")) == 4


async def test_it_is_closed_cleanly_without_ever_having_been_connected(server: ForeignBotApi) -> None:
    await server.__aexit__(None, None, None)
    async with make(server).opened() as manager:
        with pytest.raises(TransientError):
            await manager.poll()
        async with manager.slot(7, Lane.ALERT) as slot:
            with pytest.raises(NotSentError):
                await manager.send(Message(html="hello"), chat_id=7, slot=slot)


async def test_messages_leave_before_telegram_has_told_who_we_are(server: ForeignBotApi) -> None:
    async with make(server).opened() as manager, manager.slot(7, Lane.ALERT) as slot:
        assert await manager.send(Message(html="hello"), chat_id=7, slot=slot) == 1


async def test_an_unknown_token_stays_fatal(server: ForeignBotApi) -> None:
    async with make(server, token="123456:WrongToken").opened() as manager:
        with pytest.raises(FatalError, match="TELEGRAM_BOT_TOKEN"):
            await manager.poll()


async def test_waiting_for_telegram_is_no_standstill(server: ForeignBotApi) -> None:
    server.script("deleteWebhook", never)
    moved = asyncio.Semaphore(0)
    async with make(server, stale_after_s=0.04) as manager:
        task = asyncio.create_task(manager.poll(moved.release))
        for _ in range(3):
            await moved.acquire()
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_a_second_poller_is_waited_out(server: ForeignBotApi) -> None:
    now_s = 0.0

    async def conflict(request: web.Request) -> web.StreamResponse:
        nonlocal now_s
        now_s += 50.0
        return await refusal(409, "Conflict: terminated by other getUpdates request")(request)

    server.script("getUpdates", conflict, conflict)
    manager = TelegramManager(
        token=TOKEN, api_base=server.url, limiter=TelegramRateLimiter(), stale_after_s=60.0, clock=lambda: now_s
    )
    async with manager:
        task = asyncio.create_task(manager.poll())
        await server.until_asked("getUpdates", 3)
        health = manager.health()
        assert health.conflict
        assert not health.ok
        assert health.last_poll_age_s == 0.0, "a refusal is an answer: polling is not stuck"
        assert not task.done()
        await server.bring_text("hi")
        await server.until_asked("getUpdates", 4)
        now_s += 60.0
        assert not manager.health().conflict
        task.cancel()
        await asyncio.wait([task])
