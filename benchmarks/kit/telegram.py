"""The sandbox's Telegram for benchmarks: people who have all said /start, and what arrived when."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from msgspec import Struct

from sandbox.telegram.bot_api import ARRIVED_AT_NS
from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.server import DEFAULT_TOKEN, TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses

TOKEN = DEFAULT_TOKEN
_RECEIPT = re.compile(r"Paid: .* Invoice (\w+)\.", re.DOTALL)


class Arrival(Struct, frozen=True, array_like=True):
    """A message that was let in."""

    at_us: int
    """Since the epoch."""
    chat_id: int
    message_id: int
    alerts: int


class Received(Struct, frozen=True):
    arrivals: list[Arrival]
    twice: int
    """Alerts for a (chat, token) that had been told before."""
    refusals: int
    """429 answers."""


class TelegramPart:
    """Lives in a process of its own, see `benchmarks/kit/processes.py`."""

    def __init__(self, telegram: TelegramSandbox) -> None:
        self.url = telegram.url
        self._telegram = telegram
        self._arrivals: list[Arrival] = []
        self._told: set[tuple[int, str]] = set()
        self._twice = 0
        self._receipts: dict[str, list[int]] = {}
        telegram.on_message(self._note)

    def add_people(self, user_ids: Iterable[int]) -> None:
        """Add people who have written to the bot."""
        cloud = self._telegram.cloud
        for user_id in user_ids:
            cloud.add_person("Somebody", user_id=user_id, language_code="en").is_started = True

    def received(self) -> Received:
        return Received(self._arrivals, self._twice, self._telegram.stats.refusals_429)

    def receipts(self) -> dict[str, list[int]]:
        """When each receipt arrived, by id of the invoice; microseconds since the epoch."""
        return self._receipts

    def count(self) -> int:
        """Messages let in so far."""
        return self._telegram.stats.messages

    def _note(self, message: JsonObject) -> None:
        at_us = ARRIVED_AT_NS.get() // 1000
        chat_id, addresses = message["chat"]["id"], copied_addresses(message)
        told = {(chat_id, address) for address in addresses}
        self._twice += len(told & self._told)
        self._told |= told
        if found := _RECEIPT.search(message.get("text", "")):
            self._receipts.setdefault(found[1], []).append(at_us)
        self._arrivals.append(Arrival(at_us, chat_id, message["message_id"], len(addresses)))


@asynccontextmanager
async def telegram_part(limits: FloodLimits, latency_s: tuple[float, float]) -> AsyncGenerator[TelegramPart]:
    """A Telegram with these limits; `latency_s`: least and most delay before a request is looked at."""
    async with TelegramSandbox(limits=limits) as telegram:
        telegram.faults.latency_s = latency_s
        yield TelegramPart(telegram)
