"""What the tests of the sandbox's Telegram share: a running server, the real library's bot, raw requests."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from telegram import Bot
from telegram.ext import Application, ApplicationBuilder

from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox

AnyApplication = Application[Any, Any, Any, Any, Any, Any]
UNLIMITED = FloodLimits.off()


class Clock:
    """Monotonic seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def ptb_bot(telegram: TelegramSandbox) -> Bot:
    return Bot(telegram.token, base_url=f"{telegram.url}/bot", base_file_url=f"{telegram.url}/file/bot")


@asynccontextmanager
async def telegram_and_bot(
    limits: FloodLimits = UNLIMITED, **options: Any
) -> AsyncGenerator[tuple[TelegramSandbox, Bot]]:
    async with TelegramSandbox(limits=limits, **options) as telegram, ptb_bot(telegram) as bot:
        yield telegram, bot


@asynccontextmanager
async def running(telegram: TelegramSandbox, app: AnyApplication) -> AsyncGenerator[AnyApplication]:
    """Poll with the real Updater until the block ends."""
    updater = app.updater
    assert updater is not None
    async with app:
        await app.start()
        await updater.start_polling()
        try:
            yield app
        finally:
            await updater.stop()
            await app.stop()


def application(telegram: TelegramSandbox) -> AnyApplication:
    builder = ApplicationBuilder().token(telegram.token)
    return builder.base_url(f"{telegram.url}/bot").base_file_url(f"{telegram.url}/file/bot").build()


async def call(telegram: TelegramSandbox, method: str, /, **params: Any) -> dict[str, Any]:
    """Send a raw Bot API request; the whole answer with the HTTP status as `status`."""
    url = f"{telegram.url}/bot{telegram.token}/{method}"
    async with aiohttp.ClientSession() as session, session.post(url, json=params) as response:
        answer = json.loads(await response.read())
        return {**answer, "status": response.status}


async def started(telegram: TelegramSandbox, name: str = "Ann") -> SandboxUser:
    user = telegram.user(name)
    await user.send("/start")
    return user


def png(width: int = 64, height: int = 32) -> bytes:
    """As much of a PNG as tells its size."""
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x00"
