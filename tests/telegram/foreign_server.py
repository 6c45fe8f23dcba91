"""The least that is a Bot API server, written from Telegram's documentation and sharing nothing with the sandbox."""

import asyncio
import itertools
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

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


@dataclass
class ForeignBotApi:
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    scripted: dict[str, deque[Handler]] = field(default_factory=lambda: defaultdict[str, deque[Handler]](deque))
    """The next answers of a method; without any it does what it should."""
    updates: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
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
        async with self._changed:
            self.updates.append({"update_id": next(self._update_ids), **content})
            self._changed.notify_all()

    async def bring_text(self, text: str, chat: dict[str, Any] = PRIVATE_CHAT) -> None:
        message_id = next(self._message_ids)
        await self.bring(message={"message_id": message_id, "date": 1, "chat": chat, "from": SENDER, "text": text})

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
        return web.json_response({"ok": True, "result": await self._result(method, parameters)})

    async def _result(self, method: str, parameters: dict[str, Any]) -> object:
        if method == "getMe":
            return BOT
        if method == "getUpdates":
            return await self._wait_for_updates(int(parameters.get("offset", 0)), int(parameters.get("timeout", 0)))
        if method.startswith("send"):
            chat = PRIVATE_CHAT | {"id": int(parameters["chat_id"])}
            return {"message_id": next(self._message_ids), "date": 1, "chat": chat}
        return True

    async def _wait_for_updates(self, offset: int, timeout_s: int) -> list[dict[str, Any]]:
        async with self._changed:
            self.updates = [update for update in self.updates if update["update_id"] >= offset]
            if not self.updates and timeout_s:
                await self._changed.wait_for(lambda: self.updates)
            return self.updates

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.files[request.match_info["path"]])
