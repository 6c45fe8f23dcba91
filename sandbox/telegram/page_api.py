"""The HTTP side for the chat page: JSON and server-sent events under `/sandbox/api`, same origin only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Protocol, Self

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from sandbox.telegram.cloud import Chat, Cloud
from sandbox.telegram.faults import FaultChange
from sandbox.telegram.page_groups import GroupsApi, message_id_of
from sandbox.telegram.page_http import json_answer, read_body, refusal, same_origin
from sandbox.telegram.people import SandboxGroup, SandboxUser, callback_buttons
from sandbox.telegram.stars.page import StarsApi
from sandbox.telegram.updates import JsonObject
from sandbox.telegram.wallets.hook import WalletHook
from sandbox.telegram.wallets.page import WalletsApi

ExtraStats = Callable[[], Mapping[str, float | int | str]]

PAGE_DIRECTORY = Path(__file__).resolve().parent / "page"
_FILES = "https: http://127.0.0.1:*"
"""Where a picture or film sent by address may be: anywhere, and in the sandbox's own feed."""
_CONTENT_POLICY = f"default-src 'self'; img-src 'self' data: {_FILES}; media-src 'self' {_FILES}"
_SHOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4", "video/webm"})
_EVENTS_WAITING_MAX = 1_000
_PING_EVERY_S = 15.0


class Sandbox(Protocol):
    """What the page needs of the sandbox."""

    cloud: Cloud
    extra_stats: ExtraStats | None
    wallets: list[WalletHook]

    def user(self, name: str, *, user_id: int | None = None, language_code: str = "en") -> SandboxUser: ...
    def users(self) -> list[SandboxUser]: ...
    def group(self, title: str, members: Sequence[SandboxUser]) -> SandboxGroup: ...
    def forum(self, title: str, members: Sequence[SandboxUser]) -> SandboxGroup: ...
    def groups(self) -> list[SandboxGroup]: ...
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
        data = self._chat.as_seen(data) if event in {"message", "edit"} else data
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
        self._groups = GroupsApi(sandbox, self._user)
        self._stars = StarsApi(sandbox.cloud, self._user)
        self._wallets = WalletsApi(lambda: sandbox.wallets)

    def routes(self) -> list[web.RouteDef]:
        api = "/sandbox/api"
        return [
            web.get("/", same_origin(self._index)),
            web.get("/page/{name:[\\w.-]+(?:/[\\w.-]+)?}", same_origin(self._asset)),
            web.get(f"{api}/users", same_origin(self._users)),
            web.post(f"{api}/users", same_origin(self._add_user)),
            web.get(f"{api}/users/{{id}}/chat", same_origin(self._chat)),
            web.post(f"{api}/users/{{id}}/messages", same_origin(self._send)),
            web.put(f"{api}/users/{{id}}/messages/{{message}}", same_origin(self._edit)),
            web.post(f"{api}/users/{{id}}/taps", same_origin(self._tap)),
            web.post(f"{api}/users/{{id}}/block", same_origin(self._block)),
            web.get(f"{api}/users/{{id}}/events", same_origin(self._events)),
            web.get(f"{api}/users/{{id}}/groups/{{group}}/events", same_origin(self._group_events)),
            web.get(f"{api}/files/{{file_id}}", same_origin(self._file)),
            web.get(f"{api}/stats", same_origin(self._stats)),
            web.post(f"{api}/faults", same_origin(self._faults)),
            *self._groups.routes(api),
            *self._stars.routes(api),
            *self._wallets.routes(api),
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
        return json_answer(
            {
                "bot": {"id": bot["id"], "name": bot["first_name"], "username": bot["username"]},
                "users": [_card(user) for user in self._sandbox.users()],
            }
        )

    async def _add_user(self, request: web.Request) -> web.StreamResponse:
        name = (await read_body(request, NewUser)).name.strip()
        if not name:
            raise refusal(400, "the name is empty")
        return json_answer(_card(self._sandbox.user(name)), status=201)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        commands = self._sandbox.cloud.commands_of(user.chat)
        stars = self._sandbox.cloud.stars.view(user.chat)
        return json_answer(
            {"messages": list(map(user.chat.as_seen, user.messages)), "commands": commands, "stars": stars}
        )

    async def _send(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        try:
            return json_answer(await user.send((await read_body(request, NewMessage)).text), status=201)
        except ValueError as error:
            raise refusal(400, str(error)) from error

    async def _edit(self, request: web.Request) -> web.StreamResponse:
        user, text = self._user(request), (await read_body(request, NewMessage)).text
        try:
            return json_answer(await user.send(text, edit_of=message_id_of(request)))
        except (LookupError, ValueError) as error:
            raise refusal(400, str(error)) from error

    async def _tap(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        tap = await read_body(request, Tap)
        message = user.chat.messages.get(tap.message_id)
        if message is None or all(button["callback_data"] != tap.data for button in callback_buttons(message)):
            raise refusal(400, "the message has no such button")
        try:
            return json_answer(await user.tap_data(message, tap.data))
        except TimeoutError as error:
            raise refusal(504, str(error)) from error

    async def _block(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        if (await read_body(request, Block)).blocked:
            user.block()
        else:
            user.unblock()
        return json_answer(_card(user))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, self._user(request).chat)

    async def _group_events(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, self._groups.of(request))

    async def _stream(self, request: web.Request, chat: Chat) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        with EventStream(chat) as stream:
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
            raise refusal(404, "no such file")
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
        return json_answer(
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
        faults.change(await read_body(request, FaultChange))
        return json_answer(faults.describe())

    def _user(self, request: web.Request) -> SandboxUser:
        wanted = request.match_info["id"]
        user = self._sandbox.user_by_id(int(wanted)) if wanted.isdecimal() else None
        if user is None:
            raise refusal(404, "no such user")
        return user


def _card(user: SandboxUser) -> JsonObject:
    last = next(reversed(user.chat.messages.values()), None)
    return {
        "id": user.id,
        "name": user.name,
        "chat_id": user.chat_id,
        "blocked": user.chat.is_blocked,
        "last_text": _summary(last) if last else None,
        "last_at": last.get("edit_date", last["date"]) if last else None,
    }


def _summary(message: JsonObject) -> str:
    if "successful_payment" in message:
        return f"⭐ {message['successful_payment']['total_amount']} paid"
    if "refunded_payment" in message:
        return f"⭐ {message['refunded_payment']['total_amount']} refunded"
    return message.get("text") or message.get("caption") or message.get("invoice", {}).get("title", "")


def _static(name: str) -> web.StreamResponse:
    path = (PAGE_DIRECTORY / name).resolve()
    if not path.is_relative_to(PAGE_DIRECTORY) or not path.is_file():
        raise refusal(404, "no such file")
    headers = {"Content-Security-Policy": _CONTENT_POLICY, "Cache-Control": "no-cache"}
    return web.FileResponse(path, headers={**headers, "X-Content-Type-Options": "nosniff"})
