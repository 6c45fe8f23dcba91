"""When nobody is answered, /readyz says so and admins are told, whatever the cause."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from composition import Composition
from domain.delivery.messages import Message
from managers.telegram.rate_limiter import Lane
from managers.telegram.update_queue import Origin
from sandbox.telegram.server import TelegramSandbox
from services.monitoring.group import MonitoringServices
from tests.e2e.conftest import ADMIN, text_of


async def updates_part(bot: Composition) -> dict[str, Any]:
    document: dict[str, Any] = await bot.of(MonitoringServices).monitor.health_document()
    return next(part for part in document["parts"] if part["name"] == "updates")


async def test_a_dispatcher_that_is_stuck_is_noticed(bot: Composition, telegram: TelegramSandbox) -> None:
    admin = telegram.user("Admin", user_id=ADMIN)
    await admin.send("/start")
    await admin.next_message()
    assert (await updates_part(bot))["ok"]
    queue, released = bot.connections.telegram.queue, asyncio.Event()

    async def handle() -> None:
        await released.wait()

    queue.put(Origin(1, 1), handle)
    queue.clock = lambda: time.monotonic() + 100.0
    part = await updates_part(bot)
    assert not part["ok"]
    assert part["detail"].startswith("1 update waits, and none was handled for 1")
    told = await admin.next_message(where=lambda message: "waiting updates" in text_of(message))
    assert "none was handled" in text_of(told)
    released.set()
    await admin.next_message(where=lambda message: "🟢" in text_of(message))
    assert (await updates_part(bot))["ok"]


async def test_the_numbers_of_updates_are_shown(bot: Composition, telegram: TelegramSandbox) -> None:
    ann = telegram.user("Ann")
    telegram.cloud.publish("message", {"date": 1})
    await ann.send("/help")
    await ann.next_message()
    await bot.connections.telegram.queue.drained()
    numbers = {name: bot.metrics.registry.get_sample_value(name) for name in NUMBERS}
    assert numbers == NUMBERS


NUMBERS = {
    "updates_waiting": 0.0,
    "updates_oldest_age_seconds": 0.0,
    "updates_handled_total": 1.0,
    "updates_dropped_total": 0.0,
    "updates_given_up_total": 0.0,
    "updates_unreadable_total": 1.0,
}


WAITING = 2_000
FEW_SLOTS = 15
"""Half a second of what Telegram takes."""


async def test_help_and_health_are_answered_whatever_alerts_wait(bot: Composition, telegram: TelegramSandbox) -> None:
    ann, admin = telegram.user("Ann"), telegram.user("Admin", user_id=ADMIN)
    for person in (ann, admin):
        await person.send("/start")
        await person.next_message()
    sender = bot.connections.telegram

    async def alert(chat_id: int) -> None:
        async with sender.slot(chat_id, Lane.ALERT) as slot:
            await sender.send(Message(html="an alert"), chat_id=chat_id, slot=slot)

    strangers = [telegram.user(f"Stranger {number}") for number in range(WAITING)]
    for stranger in strangers:
        stranger.chat.is_started = True
    chats = [ann.chat_id, admin.chat_id] * 20 + [stranger.chat_id for stranger in strangers]
    alerts = [asyncio.create_task(alert(chat_id)) for chat_id in chats]
    await ann.next_message(where=lambda message: text_of(message) == "an alert")
    before = telegram.stats.messages
    await asyncio.gather(ann.send("/help"), admin.send("/health"))
    await ann.next_message(where=lambda message: "What I can do" in text_of(message))
    await admin.next_message(where=lambda message: "Telegram has confirmed no alert" in text_of(message))
    others = telegram.stats.messages - before
    still = sum(not task.done() for task in alerts)
    for task in alerts:
        task.cancel()
    await asyncio.wait(alerts)
    assert still > WAITING / 2
    # The two chats themselves take three messages within three seconds, and alerts have had them.
    assert others <= 3 * 30 + FEW_SLOTS
