"""The HTTP side for the chat page: JSON and server-sent events under `/sandbox/api`, same origin only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Protocol, Self, TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from sandbox.telegram.cloud import Chat, Cloud
from sandbox.telegram.faults import FaultChange
from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.updates import JsonObject

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ExtraStats = Callable[[], Mapping[str, float | int | str]]

PAGE_DIRECTORY = Path(__file__).parent / "page"
_FILES = "https: http://127.0.0.1:*"
"""Where a picture or film sent by address may be: anywhere, and in the sandbox's own feed."""
_CONTENT_POLICY = f"default-src 'self'; img-src 'self' data: {_FILES}; media-src 'self' {_FILES}"
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SHOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4", "video/webm"})
_EVENTS_WAITING_MAX = 1_000
_PING_EVERY_S = 15.0


class Sandbox(Protocol):
    """What the page needs of the sandbox."""

    cloud: Cloud
    extra_stats: ExtraStats | None

    def user(self, name: str, *, user_id: int | None = None, language_code: str = "en") -> SandboxUser: ...
    def users(self) -> list[SandboxUser]: ...
    def user_by_id(self, user_id: int) -> SandboxUser | None: ...


class NewUser(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=64)]


class NewMessage(Struct, forbid_unknown_fields=True):
    text: str


class Tap(Struct, forbid_unknown_fields=True):
    message_id: int
    data: str


class Block(Struct, forbid_unknown_fields=True):
    blocked: bool


Body = TypeVar("Body", NewUser, NewMessage, Tap, Block, FaultChange)


class EventStream:
    """One browser tab that listens to a chat; a tab that does not read is cut off, and reloads."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()

    def __enter__(self) -> Self:
        self._chat.listeners.append(self.put)
        return self

    def __exit__(self, *_: object) -> None:
        self._chat.listeners.remove(self.put)

    def put(self, event: str, data: JsonObject) -> None:
        if self._waiting.qsize() < _EVENTS_WAITING_MAX:
            self._waiting.put_nowait(b"event: %s\ndata: %s\n\n" % (event.encode(), msgspec.json.encode(data)))
        else:
            self.end()

    def end(self) -> None:
        self._waiting.put_nowait(None)

    async def next(self) -> bytes | None:
        """Await the next frame, a ping when nothing happens, None at the end."""
        try:
            async with asyncio.timeout(_PING_EVERY_S):
                return await self._waiting.get()
        except TimeoutError:
            return b": ping\n\n"


class PageApi:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._streams: set[EventStream] = set()

    def routes(self) -> list[web.RouteDef]:
        api = "/sandbox/api"
        return [
            web.get("/", _same_origin(self._index)),
            web.get("/page/{name}", _same_origin(self._asset)),
            web.get(f"{api}/users", _same_origin(self._users)),
            web.post(f"{api}/users", _same_origin(self._add_user)),
            web.get(f"{api}/users/{{id}}/chat", _same_origin(self._chat)),
            web.post(f"{api}/users/{{id}}/messages", _same_origin(self._send)),
            web.post(f"{api}/users/{{id}}/taps", _same_origin(self._tap)),
            web.post(f"{api}/users/{{id}}/block", _same_origin(self._block)),
            web.get(f"{api}/users/{{id}}/events", _same_origin(self._events)),
            web.get(f"{api}/files/{{file_id}}", _same_origin(self._file)),
            web.get(f"{api}/stats", _same_origin(self._stats)),
            web.post(f"{api}/faults", _same_origin(self._faults)),
        ]

    def close(self) -> None:
        """End every event stream, because the server stops."""
        for stream in self._streams:
            stream.end()

    async def _index(self, _: web.Request) -> web.StreamResponse:
        return _static("index.html")

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        return _static(request.match_info["name"])

    async def _users(self, _: web.Request) -> web.StreamResponse:
        bot = self._sandbox.cloud.bot
        return _json(
            {
                "bot": {"id": bot["id"], "name": bot["first_name"], "username": bot["username"]},
                "users": [_card(user) for user in self._sandbox.users()],
            }
        )

    async def _add_user(self, request: web.Request) -> web.StreamResponse:
        name = (await _body(request, NewUser)).name.strip()
        if not name:
            raise _refusal(400, "the name is empty")
        return _json(_card(self._sandbox.user(name)), status=201)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        commands = self._sandbox.cloud.commands_of(user.chat)
        return _json({"messages": user.messages, "commands": commands})

    async def _send(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        try:
            return _json(await user.send((await _body(request, NewMessage)).text), status=201)
        except ValueError as error:
            raise _refusal(400, str(error)) from error

    async def _tap(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        tap = await _body(request, Tap)
        message = user.chat.messages.get(tap.message_id)
        if message is None or all(button["callback_data"] != tap.data for button in callback_buttons(message)):
            raise _refusal(400, "the message has no such button")
        try:
            return _json(await user.tap_data(message, tap.data))
        except TimeoutError as error:
            raise _refusal(504, str(error)) from error

    async def _block(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        if (await _body(request, Block)).blocked:
            user.block()
        else:
            user.unblock()
        return _json(_card(user))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        with EventStream(user.chat) as stream:
            self._streams.add(stream)
            try:
                await response.prepare(request)
                await response.write(b": ping\n\n")
                while (frame := await stream.next()) is not None:
                    await response.write(frame)
            except ConnectionResetError:
                return response  # the tab was closed
            finally:
                self._streams.discard(stream)
        return response

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file = self._sandbox.cloud.files.get(request.match_info["file_id"])
        if file is None:
            raise _refusal(404, "no such file")
        if file.source_url:
            raise web.HTTPFound(file.source_url)
        is_shown = file.content_type in _SHOWN
        return web.Response(
            body=file.data,
            content_type=file.content_type if is_shown else "application/octet-stream",
            headers={"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"},
        )

    async def _stats(self, _: web.Request) -> web.StreamResponse:
        cloud, extra = self._sandbox.cloud, self._sandbox.extra_stats
        stats = cloud.stats
        return _json(
            {
                "messages": stats.messages,
                "edits": stats.edits,
                "messages_per_s": stats.messages_per_s(cloud.clock()),
                "refusals_429": stats.refusals_429,
                "errors": stats.errors.total(),
                "updates": stats.updates,
                "faults": cloud.faults.describe(),
                **(extra() if extra else {}),
            }
        )

    async def _faults(self, request: web.Request) -> web.StreamResponse:
        faults = self._sandbox.cloud.faults
        faults.change(await _body(request, FaultChange))
        return _json(faults.describe())

    def _user(self, request: web.Request) -> SandboxUser:
        wanted = request.match_info["id"]
        user = self._sandbox.user_by_id(int(wanted)) if wanted.isdecimal() else None
        if user is None:
            raise _refusal(404, "no such user")
        return user


def _card(user: SandboxUser) -> JsonObject:
    last = next(reversed(user.chat.messages.values()), None)
    return {
        "id": user.id,
        "name": user.name,
        "chat_id": user.chat_id,
        "blocked": user.chat.is_blocked,
        "last_text": (last.get("text") or last.get("caption") or "") if last else None,
        "last_at": last.get("edit_date", last["date"]) if last else None,
    }


def _json(content: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(content),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _refusal(status: int, why: str) -> web.HTTPException:
    kinds: dict[int, type[web.HTTPException]] = {
        400: web.HTTPBadRequest,
        403: web.HTTPForbidden,
        404: web.HTTPNotFound,
        504: web.HTTPGatewayTimeout,
    }
    body = msgspec.json.encode({"error": why}).decode()
    return kinds[status](text=body, content_type="application/json")


async def _body(request: web.Request, kind: type[Body]) -> Body:
    """Read the JSON body; other content types are refused, so no form of a foreign page gets here."""
    if request.content_type != "application/json":
        raise _refusal(400, "the body must be application/json")
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        raise _refusal(400, str(error)) from error


def _static(name: str) -> web.StreamResponse:
    path = PAGE_DIRECTORY / name
    if path.parent != PAGE_DIRECTORY or not path.is_file():
        raise _refusal(404, "no such file")
    headers = {"Content-Security-Policy": _CONTENT_POLICY, "Cache-Control": "no-cache"}
    return web.FileResponse(path, headers={**headers, "X-Content-Type-Options": "nosniff"})


def _same_origin(handler: Handler) -> Handler:
    """Refuse a foreign page (Origin) and a foreign name that resolves to this machine (Host)."""

    @wraps(handler)
    async def guarded(request: web.Request) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        origin = request.headers.get("Origin")
        if _host_name(f"//{host}") not in _LOOPBACK_NAMES:
            raise _refusal(403, "the sandbox answers on loopback names only")
        if origin is not None and origin != f"http://{host}":
            raise _refusal(403, "another origin may not speak to the sandbox")
        return await handler(request)

    return guarded


def _host_name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
