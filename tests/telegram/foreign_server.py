"""The least that is a Bot API server, written from Telegram's documentation and sharing nothing with the sandbox."""

import asyncio
import itertools
import json
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from managers.telegram.client import TelegramManager

TOKEN = "123456:ForeignServerToken"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PRIVATE_CHAT = {"id": 7, "type": "private", "first_name": "Ann"}
BOT = {"id": 123456, "is_bot": True, "first_name": "Filter", "username": "filter_bot"}
SENDER = {"id": 7, "is_bot": False, "first_name": "Ann"}


def refusal(code: int, description: str, **parameters: object) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        body: dict[str, object] = {"ok": False, "error_code": code, "description": description}
        return web.json_response(body | ({"parameters": parameters} if parameters else {}), status=code)

    return answer


async def never(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def cut(request: web.Request) -> web.StreamResponse:
    """Read the request and break the connection."""
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def answer_and_close(_: web.Request) -> web.StreamResponse:
    """Answer getMe and keep no connection."""
    response = web.json_response({"ok": True, "result": BOT})
    response.force_close()
    return response


@asynccontextmanager
async def polling(manager: TelegramManager) -> AsyncGenerator[None]:
    """Poll until the block ends; what came may still be in handling then."""
    task = asyncio.create_task(manager.poll())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


@dataclass
class ForeignBotApi:
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    scripted: dict[str, deque[Handler]] = field(default_factory=lambda: defaultdict[str, deque[Handler]](deque))
    """The next answers of a method; without any it does what it should."""
    updates: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Those that are not confirmed, by id and as they are written."""
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    url: str = ""

    def __post_init__(self) -> None:
        self._message_ids = itertools.count(1)
        self._update_ids = itertools.count(1)
        self._changed = asyncio.Condition()
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.add_routes([web.post("/bot{token}/{method}", self._call), web.get("/file/bot{token}/{path}", self._file)])
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def script(self, method: str, *answers: Handler) -> None:
        self.scripted[method].extend(answers)

    async def until_asked(self, method: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait until `method` was called so often; returns the parameters of its calls."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.calls(method)) >= times)
        return self.calls(method)

    def calls(self, method: str) -> list[dict[str, Any]]:
        return [parameters for name, parameters in self.asked if name == method]

    async def bring(self, **content: object) -> None:
        await self.bring_written(lambda number: json.dumps({"update_id": number, **content}))

    async def bring_written(self, write: Callable[[int], str]) -> None:
        """Let an update come as `write` writes it, given its id; it need not be one."""
        async with self._changed:
            number = next(self._update_ids)
            self.updates.append((number, write(number)))
            self._changed.notify_all()

    async def skip_ids(self, count: int) -> None:
        """Use up ids, as Telegram may when nothing has come for a week."""
        for _ in range(count):
            next(self._update_ids)

    async def until_confirmed(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: not self.updates)

    async def bring_text(
        self, text: str, chat: dict[str, Any] = PRIVATE_CHAT, sender: dict[str, Any] | None = None
    ) -> None:
        message_id = next(self._message_ids)
        who = sender or (SENDER | {"id": chat["id"]} if chat["type"] == "private" else SENDER)
        await self.bring(message={"message_id": message_id, "date": 1, "chat": chat, "from": who, "text": text})

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if request.match_info["token"] != TOKEN:
            return await refusal(401, "Unauthorized")(request)
        parameters = {
            name: value.file.read() if isinstance(value, web.FileField) else value
            for name, value in (await request.post()).items()
        }
        async with self._changed:
            self.asked.append((method, parameters))
            self._changed.notify_all()
        if self.scripted[method]:
            return await self.scripted[method].popleft()(request)
        if method == "getUpdates":
            return await self.get_updates(parameters)
        return web.json_response({"ok": True, "result": self._result(method, parameters)})

    def _result(self, method: str, parameters: dict[str, Any]) -> object:
        if method == "getMe":
            return BOT
        if method == "getWebhookInfo":
            url = next((asked["url"] for asked in reversed(self.calls("setWebhook"))), "")
            return {"url": url, "has_custom_certificate": False, "pending_update_count": len(self.updates)}
        if method.startswith("send"):
            chat = PRIVATE_CHAT | {"id": int(parameters["chat_id"])}
            return {"message_id": next(self._message_ids), "date": 1, "chat": chat}
        return True

    async def get_updates(self, parameters: dict[str, Any]) -> web.StreamResponse:
        offset = int(parameters.get("offset", 0))
        async with self._changed:
            self.updates = [(number, written) for number, written in self.updates if number >= offset]
            self._changed.notify_all()
            if not self.updates and int(parameters.get("timeout", 0)):
                await self._changed.wait_for(lambda: self.updates)
            page = ",".join(written for _, written in self.updates[: int(parameters.get("limit", 100))])
            return web.Response(text=f'{{"ok":true,"result":[{page}]}}', content_type="application/json")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.files[request.match_info["path"]])
