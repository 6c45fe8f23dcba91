"""The jobs towards Telegram: what it says at the start ends nothing but what has to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot.updates import UNREACHABLE, Updates, Webhook
from managers.telegram.client import TelegramManager
from managers.telegram.rate_limiter import TelegramRateLimiter
from runtime.cancellation import end
from runtime.supervision import Job, Progress, Pulse, supervise
from tests.telegram.foreign_server import TOKEN, ForeignBotApi, Handler, cut, refusal

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
            webhook_poll_s=0.05,
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
    assert scene.said == [UNREACHABLE, "Telegram is reached."]


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


def webhook_info(url: str = HOOK.url, waiting: int = 0, failed_at: int | None = None) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        info: dict[str, object] = {"url": url, "has_custom_certificate": False, "pending_update_count": waiting}
        if failed_at is not None:
            info |= {"last_error_date": failed_at, "last_error_message": "Connection refused"}
        return web.json_response({"ok": True, "result": info})

    return answer


async def no_word(_: web.Request) -> web.StreamResponse:
    return web.json_response({"ok": True, "result": True})


async def looks(scene: Scene, updates: Updates, *answers: Handler) -> list[str | None]:
    """What is known to be wrong after each look that Telegram answers like this, noted when the next one comes."""
    known: list[str | None] = []

    def noting(answer: Handler) -> Handler:
        async def noted(request: web.Request) -> web.StreamResponse:
            known.append(updates.webhook_problem)
            return await answer(request)

        return noted

    scene.api.script("getWebhookInfo", *map(noting, (*answers, webhook_info())))
    async with working(updates.keep_connected, updates.take):
        await scene.api.until_asked("getWebhookInfo", len(answers) + 2)
    return known[1:]


async def test_a_webhook_that_brings_nothing_is_noticed(scene: Scene) -> None:
    """An old failure says nothing, and neither does one that left nothing behind."""
    updates = scene.updates(webhook=HOOK)
    known = await looks(
        scene,
        updates,
        webhook_info(waiting=3, failed_at=100),
        webhook_info(waiting=3, failed_at=100),
        webhook_info(waiting=4, failed_at=160),
        refusal(502, "Bad Gateway"),
        no_word,
        webhook_info(waiting=0, failed_at=200),
    )
    cannot = "Telegram cannot bring 4 updates: Connection refused"
    assert known == [None, None, cannot, cannot, cannot, None]


async def test_a_webhook_that_somebody_removed_is_set_again(scene: Scene) -> None:
    scene.api.script("getWebhookInfo", webhook_info(url=""), webhook_info())
    updates = scene.updates(webhook=HOOK)
    async with working(updates.keep_connected, updates.take):
        await scene.api.until_asked("setWebhook", 2)
        await scene.api.until_asked("getWebhookInfo", 2)
    assert len(scene.api.calls("setWebhook")) == 2


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
