"""The HTTP side for the bot: `/bot<token>/<method>` and `/file/bot<token>/<path>`."""

from __future__ import annotations

import asyncio
import re
import time
from contextvars import ContextVar
from email.utils import formatdate
from typing import Any

import msgspec
from aiohttp import web

from sandbox.telegram.cloud import Cloud
from sandbox.telegram.errors import ApiError
from sandbox.telegram.faults import Fault

# Importing a module of methods registers them.
from sandbox.telegram.methods import (
    bot as methods_bot,
)
from sandbox.telegram.methods import (
    chat as methods_chat,
)
from sandbox.telegram.methods import (
    edit as methods_edit,
)
from sandbox.telegram.methods import (
    media as methods_media,
)
from sandbox.telegram.methods import (
    payments as methods_payments,
)
from sandbox.telegram.methods import (
    send as methods_send,
)
from sandbox.telegram.methods import (
    updates as methods_updates,
)
from sandbox.telegram.methods.params import decode_params, read_arguments
from sandbox.telegram.methods.registry import METHODS, Method

METHOD_MODULES = (
    methods_bot,
    methods_chat,
    methods_edit,
    methods_media,
    methods_payments,
    methods_send,
    methods_updates,
)

ARRIVED_AT_NS: ContextVar[int] = ContextVar("arrived_at_ns")
"""When the request that is being answered arrived, since the epoch."""

_TOKEN = re.compile(r"[1-9]\d{0,15}:[A-Za-z0-9_-]{10,64}")
_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head></html>"
_JSON = {"Content-Type": "application/json"}
_NOT_FOUND = ApiError(404, "Not Found")


class BotApi:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._closing = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", "/bot{token}/{method}", self._call),
            web.get("/file/bot{token}/{path:.+}", self._file),
        ]

    def close(self) -> None:
        """Let go of every request that is held open, because the server stops."""
        self._closing.set()
        self._cloud.updates.close()

    async def _call(self, request: web.Request) -> web.StreamResponse:
        ARRIVED_AT_NS.set(time.time_ns())
        try:
            self._check_token(request.match_info["token"])
            called = METHODS.get(request.match_info["method"].lower())
            if called is None or request.method not in {"GET", "POST"}:
                raise _NOT_FOUND
            self._cloud.stats.requests[called.name] += 1
            fault = await self._fault(called)
            if fault is Fault.ERROR_5XX:
                return web.Response(status=502, text=_BAD_GATEWAY, content_type="text/html")
            if fault is Fault.DROP:
                return self._drop(request)
            answer = await self._run(called, request)
        except ApiError as error:
            return self._refuse(error)
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(ApiError(413, "Request Entity Too Large"))
        if fault is Fault.TIMEOUT_AFTER_DELIVERY:
            return await self._never_answer(request)
        return self._json(answer)

    def _check_token(self, token: str) -> None:
        if token != self._cloud.token:
            raise ApiError(401, "Unauthorized") if _TOKEN.fullmatch(token) else _NOT_FOUND

    async def _run(self, called: Method, request: web.Request) -> bytes:
        arguments = await read_arguments(request)
        params = decode_params(arguments.texts, called.params)
        if arguments.uploads:
            params.uploads = arguments.uploads
        result = called.function(self._cloud, params)
        if called.is_async:
            result = await result
        return msgspec.json.encode({"ok": True, "result": result})

    async def _fault(self, called: Method) -> Fault | None:
        if called.name == "getUpdates":
            return None
        faults = self._cloud.faults
        await faults.delay()
        fault = faults.draw(is_send=called.is_send)
        if fault is not None:
            self._cloud.stats.faults_injected[fault] += 1
        return fault

    def _drop(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=502)  # never leaves: the connection is gone

    async def _never_answer(self, request: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(self._cloud.faults.hold_s):
                await self._closing.wait()
        except TimeoutError:
            return self._drop(request)
        return self._drop(request)

    def _refuse(self, error: ApiError) -> web.Response:
        self._cloud.stats.refused(error.code, error.description)
        body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
        if error.parameters:
            body["parameters"] = error.parameters
        return self._json(msgspec.json.encode(body), status=error.code)

    def _json(self, body: bytes, *, status: int = 200) -> web.Response:
        ahead_s = self._cloud.faults.ahead_s
        headers = _JSON | {"Date": formatdate(time.time() + ahead_s, usegmt=True)} if ahead_s else _JSON
        return web.Response(body=body, status=status, headers=headers)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        try:
            self._check_token(request.match_info["token"])
            file = self._cloud.files.by_path(request.match_info["path"])
            if file is None:
                raise _NOT_FOUND
        except ApiError as error:
            return self._refuse(error)
        return web.Response(body=file.data, content_type="application/octet-stream")
