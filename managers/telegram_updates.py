"""How updates come in: by a webhook that is proved, and in which order they are handled."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Any
from weakref import WeakValueDictionary

from telegram import Update
from telegram.ext import BaseUpdateProcessor

from domain.errors import FatalError

_BACKLOG = 10_000
_WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


def webhook_secret(secret: str) -> str:
    """Return `secret` if it is one: without it anybody could bring forged updates, payments among them."""
    if not _WEBHOOK_SECRET.fullmatch(secret):
        raise FatalError("The webhook secret must be 1-256 characters of A-Z, a-z, 0-9, _ and -.")
    return secret


class ChatOrderProcessor(BaseUpdateProcessor):
    """One update after the other per chat, different chats side by side, at most `concurrent` at a time."""

    __slots__ = ("_locks", "_running")

    def __init__(self, concurrent: int) -> None:
        # The base class counts waiting updates too; bounding those would let one chat block the others.
        super().__init__(max_concurrent_updates=_BACKLOG)
        self._running = asyncio.Semaphore(concurrent)
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def initialize(self) -> None:
        """Open nothing: python-telegram-bot asks for the method."""

    async def shutdown(self) -> None:
        """Close nothing, likewise."""

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        async with self._locks.setdefault(_ordered_by(update), asyncio.Lock()), self._running:
            await coroutine


def _ordered_by(update: object) -> int:
    if not isinstance(update, Update):
        return 0
    whose = update.effective_chat or update.effective_user
    return 0 if whose is None else whose.id
