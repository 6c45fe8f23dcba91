"""Updates: long poll, acknowledgement, 409, and the webhook with its redelivery."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from telegram.error import Conflict

from sandbox.telegram.server import TelegramSandbox
from tests.sandbox.telegram_kit import UNLIMITED, call, started, telegram_and_bot


def texts(answer: dict[str, Any]) -> list[str]:
    return [update["message"]["text"] for update in answer["result"]]


async def test_a_poll_waits_for_the_first_update() -> None:
    async with TelegramSandbox() as telegram:
        ann = telegram.user("Ann")
        poll = asyncio.create_task(call(telegram, "getUpdates", timeout=30))
        await telegram.cloud.updates.polling.wait()
        await ann.send("hello")
        assert texts(await poll) == ["hello"]


async def test_an_offset_acknowledges_what_is_before_it() -> None:
    async with TelegramSandbox() as telegram:
        ann = telegram.user("Ann")
        for number in range(5):
            await ann.send(f"{number}")
        everything = await call(telegram, "getUpdates")
        assert texts(everything) == ["0", "1", "2", "3", "4"]
        ids = [update["update_id"] for update in everything["result"]]
        assert ids == list(range(ids[0], ids[0] + 5))
        assert texts(await call(telegram, "getUpdates", limit=2)) == ["0", "1"]
        assert texts(await call(telegram, "getUpdates", offset=ids[2])) == ["2", "3", "4"]
        assert texts(await call(telegram, "getUpdates")) == ["2", "3", "4"]
        assert texts(await call(telegram, "getUpdates", offset=-1)) == ["4"]
        assert texts(await call(telegram, "getUpdates", offset=ids[4] + 1)) == []


async def test_allowed_updates_are_remembered() -> None:
    async with TelegramSandbox() as telegram:
        ann = telegram.user("Ann")
        await call(telegram, "getUpdates", allowed_updates=["message"])
        await ann.send("one")
        ann.block()
        updates = (await call(telegram, "getUpdates"))["result"]
        assert [sorted(update) for update in updates] == [["message", "update_id"]]
        info = (await call(telegram, "getWebhookInfo"))["result"]
        assert info["allowed_updates"] == ["message"]
        await call(telegram, "getUpdates", allowed_updates=[])
        ann.unblock()
        assert "my_chat_member" in (await call(telegram, "getUpdates"))["result"][-1]


async def test_the_earlier_of_two_pollers_is_told_409() -> None:
    async with telegram_and_bot() as (telegram, bot):
        first = asyncio.create_task(bot.get_updates(timeout=30))
        await telegram.cloud.updates.polling.wait()
        second = asyncio.create_task(call(telegram, "getUpdates", timeout=30))
        with pytest.raises(Conflict, match="terminated by other getUpdates request"):
            await first
        await telegram.user("Ann").send("hello")
        assert texts(await second) == ["hello"]


async def test_no_polling_while_a_webhook_is_set() -> None:
    async with TelegramSandbox() as telegram:
        poll = asyncio.create_task(call(telegram, "getUpdates", timeout=30))
        await telegram.cloud.updates.polling.wait()
        assert (await call(telegram, "setWebhook", url="http://127.0.0.1:9/hook"))["ok"]
        assert (await poll)["description"] == "Conflict: terminated by setWebhook request"
        refused = await call(telegram, "getUpdates")
        assert refused["description"] == (
            "Conflict: can't use getUpdates method while webhook is active; "
            "use deleteWebhook to delete the webhook first"
        )
        assert refused["status"] == 409
        assert (await call(telegram, "deleteWebhook"))["ok"]
        assert (await call(telegram, "getUpdates"))["ok"]


async def test_a_poll_under_way_ends_with_the_server() -> None:
    async with TelegramSandbox() as telegram:
        poll = asyncio.create_task(call(telegram, "getUpdates", timeout=50))
        await telegram.cloud.updates.polling.wait()
    assert (await poll)["result"] == []


@dataclass
class Hook:
    """A bot's webhook that answers with the given statuses, then with 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list[int])
    is_stuck: bool = False
    """Messages are taken, but never answered."""
    received: asyncio.Queue[tuple[dict[str, Any], str | None]] = field(
        default_factory=asyncio.Queue[tuple[dict[str, Any], str | None]]
    )

    async def handle(self, request: web.Request) -> web.Response:
        update = json.loads(await request.read())
        await self.received.put((update, request.headers.get("X-Telegram-Bot-Api-Secret-Token")))
        if self.is_stuck and "message" in update:
            await asyncio.Event().wait()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    async def next(self) -> tuple[str, str | None]:
        update, secret = await asyncio.wait_for(self.received.get(), 10)
        return update["message"]["text"], secret


@asynccontextmanager
async def listening(*statuses: int) -> AsyncGenerator[Hook]:
    hook = Hook(statuses=list(statuses))
    app = web.Application()
    app.router.add_post("/hook", hook.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield hook
    finally:
        await runner.cleanup()


async def test_the_webhook_gets_the_secret_and_what_was_pending() -> None:
    async with TelegramSandbox() as telegram, listening() as hook:
        ann = telegram.user("Ann")
        await ann.send("before")
        assert (await call(telegram, "setWebhook", url=hook.url, secret_token="s3cret"))["ok"]
        assert await hook.next() == ("before", "s3cret")
        await ann.send("after")
        assert await hook.next() == ("after", "s3cret")


async def test_an_update_is_redelivered_until_it_is_taken_and_in_order() -> None:
    async with TelegramSandbox(webhook_retry_s=0.01) as telegram, listening(500, 404) as hook:
        ann = telegram.user("Ann")
        await call(telegram, "setWebhook", url=hook.url, max_connections=3)
        await ann.send("one")
        await ann.send("two")
        assert [(await hook.next())[0] for _ in range(4)] == ["one", "one", "one", "two"]
        info = (await call(telegram, "getWebhookInfo"))["result"]
        assert info["url"] == hook.url
        assert info["max_connections"] == 3
        assert info["last_error_message"] == "Wrong response from the webhook: 404 Not Found"


async def test_a_pre_checkout_query_does_not_wait_behind_messages() -> None:
    async with TelegramSandbox() as telegram, listening() as hook:
        ann = telegram.user("Ann")
        ann.wallet.top_up(1)
        hook.is_stuck = True
        await call(telegram, "setWebhook", url=hook.url)
        await ann.send("takes long")
        await hook.next()
        invoice = {"title": "T", "description": "D", "payload": "p", "currency": "XTR"}
        link = await call(telegram, "createInvoiceLink", **invoice, prices=[{"label": "L", "amount": 1}])
        paying = asyncio.create_task(ann.wallet.pay(link["result"]))
        update, _ = await asyncio.wait_for(hook.received.get(), 10)
        query_id = update["pre_checkout_query"]["id"]
        assert (await call(telegram, "answerPreCheckoutQuery", pre_checkout_query_id=query_id, ok=True))["ok"]
        assert (await paying).status == "paid"


async def test_what_no_webhook_took_can_be_polled() -> None:
    async with TelegramSandbox(webhook_retry_s=60) as telegram, listening(500) as hook:
        ann = telegram.user("Ann")
        await call(telegram, "setWebhook", url=hook.url)
        await ann.send("one")
        await hook.next()
        assert (await call(telegram, "getWebhookInfo"))["result"]["pending_update_count"] == 1
        await call(telegram, "setWebhook", url="")
        assert texts(await call(telegram, "getUpdates")) == ["one"]
        await call(telegram, "deleteWebhook", drop_pending_updates=True)
        assert texts(await call(telegram, "getUpdates")) == []


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "http://example.com/hook", "ftp://127.0.0.1/", "nonsense"])
async def test_a_webhook_must_be_on_this_machine(url: str) -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        await started(telegram)
        answer = await call(telegram, "setWebhook", url=url)
        assert answer["description"].startswith("Bad Request: bad webhook: ")
