"""The jobs towards Telegram: what it says at the start ends nothing but what has to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.supervision import Job, Progress, Pulse, supervise
from bot.updates import Updates, Webhook
from managers.cancellation import end
from managers.rate_limiter import TelegramRateLimiter
from managers.telegram import TelegramManager
from tests.telegram.foreign_server import TOKEN, ForeignBotApi, cut, refusal

HOOK = Webhook(url="https://bot.example.org/hook", secret="s3cret")


class Scene:
    """A Telegram that answers as a test says, and the jobs as the bot supervises them."""

    def __init__(self, api: ForeignBotApi, telegram: TelegramManager) -> None:
        self.api = api
        self.telegram = telegram
        self.said: list[str] = []
        self.led: list[str] = []

    def updates(self, *, webhook: Webhook | None = None, leads: bool = False) -> Updates:
        async def show_menus() -> None:
            await self.telegram.set_commands({"start": "Begin"})

        async def lead(name: str, work: Job, progress: Progress) -> None:
            self.led.append(name)
            await work(progress)

        return Updates(
            self.telegram,
            webhook=webhook,
            show_menus=show_menus,
            say=self.said.append,
            lead=lead if leads else None,
        )


@asynccontextmanager
async def working(*jobs: Job) -> AsyncGenerator[None]:
    async with asyncio.TaskGroup() as group:
        pulse = Pulse()
        tasks = [group.create_task(supervise(str(number), job, pulse)) for number, job in enumerate(jobs)]
        yield
        await end(tasks)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with ForeignBotApi() as api:
        telegram = TelegramManager(token=TOKEN, api_base=api.url, limiter=TelegramRateLimiter())
        async with telegram.opened():
            yield Scene(api, telegram)


async def test_whatever_telegram_says_at_the_start_is_waited_for(scene: Scene) -> None:
    flood = refusal(429, "Too Many Requests", retry_after=1)
    scene.api.script("getMe", cut, refusal(502, "Bad Gateway"), flood)
    scene.api.script("setMyCommands", flood)
    updates = scene.updates()
    assert not updates.is_open
    async with working(updates.keep_connected, updates.show_menus, updates.take):
        await scene.api.until_asked("getUpdates")
        await scene.api.until_asked("setMyCommands", 2)
        assert updates.is_open
        await updates.drained()
        assert not updates.is_open
    assert scene.said == ["Telegram cannot be reached; trying on.", "Telegram is reached."]


async def test_refused_menus_are_done_without(scene: Scene) -> None:
    scene.api.script("setMyCommands", refusal(400, "Bad Request: BOT_COMMAND_INVALID"))
    updates = scene.updates()
    async with working(updates.keep_connected, updates.show_menus, updates.take):
        await scene.api.until_asked("setMyCommands")
        await scene.api.until_asked("getUpdates")
    assert len(scene.api.calls("setMyCommands")) == 1
    assert scene.said == []


async def test_a_refused_webhook_is_set_as_soon_as_it_is_taken(scene: Scene) -> None:
    unknown = refusal(400, "Bad Request: bad webhook: Failed to resolve host")
    scene.api.script("setWebhook", refusal(429, "Too Many Requests", retry_after=1), unknown)
    updates = scene.updates(webhook=HOOK)
    async with working(updates.keep_connected, updates.take):
        asked = await scene.api.until_asked("setWebhook", 3)
    assert asked[-1]["url"] == HOOK.url
    assert "getUpdates" not in [method for method, _ in scene.api.asked]
    (said,) = scene.said
    assert "check PUBLIC_URL" in said


async def test_who_cannot_reach_telegram_keeps_nobody_else_from_polling(scene: Scene) -> None:
    updates = scene.updates(leads=True)
    async with working(updates.take):
        await asyncio.sleep(0)
        assert scene.led == []
        async with working(updates.keep_connected):
            await scene.api.until_asked("getUpdates")
    assert scene.led == ["gateway"]


def test_the_secret_stays_one() -> None:
    assert HOOK.secret not in repr(HOOK)
