"""Delivery of updates to a webhook, redelivered until the bot answers 2xx."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
import msgspec

from sandbox.telegram.errors import bad_request
from sandbox.telegram.updates import JsonObject, UpdateQueue

_RETRY_MAX_S = 60.0
_GROWTH = 2.0
_ANSWER_TIMEOUT_S = 30.0
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(slots=True, kw_only=True)
class Webhook:
    url: str
    secret_token: str
    max_connections: int
    last_error_at: int | None = None
    last_error: str = ""
    lanes: list[asyncio.Queue[JsonObject]] = field(default_factory=list[asyncio.Queue[JsonObject]])
    """Updates of one chat keep their order in one lane; pre-checkout queries take another."""

    def put(self, update: JsonObject) -> None:
        self.lanes[_lane_of(update) % len(self.lanes)].put_nowait(update)


class WebhookSender:
    def __init__(self, updates: UpdateQueue, *, first_retry_s: float) -> None:
        self._updates = updates
        self._first_retry_s = first_retry_s
        self._task: asyncio.Task[None] | None = None
        self.webhook: Webhook | None = None

    async def start(self, webhook: Webhook) -> None:
        """Deliver everything pending and to come there instead of where it went before."""
        await self.stop()
        webhook.lanes = [asyncio.Queue() for _ in range(webhook.max_connections)]
        self.webhook = webhook
        for update in self._updates.pending():
            webhook.put(update)
        self._updates.attach(webhook.put)
        self._task = asyncio.create_task(self._run(webhook), name="sandbox-webhook")

    async def stop(self) -> None:
        """End delivery; what was not delivered stays pending for getUpdates or the next webhook."""
        self._updates.detach()
        self.webhook = None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, webhook: Webhook) -> None:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S)
        headers = {"Content-Type": "application/json"}
        if webhook.secret_token:
            headers["X-Telegram-Bot-Api-Secret-Token"] = webhook.secret_token
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            asyncio.TaskGroup() as group,
        ):
            for lane in webhook.lanes:
                group.create_task(self._drain(webhook, lane, session))

    async def _drain(self, webhook: Webhook, lane: asyncio.Queue[JsonObject], session: aiohttp.ClientSession) -> None:
        while True:
            update = await lane.get()
            delay_s = self._first_retry_s
            while self._updates.is_pending(update["update_id"]):
                wait_s = await self._deliver(webhook, session, update)
                if wait_s is None:
                    self._updates.delivered(update["update_id"])
                    break
                await asyncio.sleep(max(delay_s, wait_s))
                delay_s = min(delay_s * _GROWTH, _RETRY_MAX_S)

    async def _deliver(self, webhook: Webhook, session: aiohttp.ClientSession, update: JsonObject) -> float | None:
        """None once the bot took it, else the least delay before the next attempt in seconds."""
        try:
            async with session.post(webhook.url, data=msgspec.json.encode(update)) as answer:
                await answer.read()
                if answer.ok:
                    return None
                webhook.last_error = f"Wrong response from the webhook: {answer.status} {answer.reason}"
                retry_after = answer.headers.get("Retry-After", "")
                wait_s = float(retry_after) if retry_after.isdecimal() else 0.0
        except TimeoutError:
            webhook.last_error, wait_s = "Read timeout expired", 0.0
        except aiohttp.ClientError:
            webhook.last_error, wait_s = "Connection refused", 0.0
        webhook.last_error_at = int(time.time())
        return min(wait_s, 3_600.0)


def check_url(url: str) -> None:
    """Telegram wants https; the sandbox wants the bot on this machine, where there are no certificates."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK_NAMES:
        raise bad_request("bad webhook: the sandbox delivers to http:// addresses on loopback only")


def _lane_of(update: JsonObject) -> int:
    kind = next(reversed(update))  # an update is its id and then the one thing that happened
    content: JsonObject = update[kind]
    if kind == "pre_checkout_query":
        return content["from"]["id"] + 1
    message: JsonObject = content.get("message", content)
    return message.get("chat", message.get("from", {})).get("id", 0)
