"""Groups for the chat page, under `/sandbox/api/groups` and `/sandbox/api/users/{id}/groups/{group}`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Protocol

from aiohttp import web
from msgspec import Meta, Struct

from sandbox.telegram.cloud import Chat
from sandbox.telegram.page_http import json_answer, read_body, refusal, same_origin
from sandbox.telegram.people import SandboxGroup, SandboxUser, callback_buttons
from sandbox.telegram.updates import JsonObject

Title = Annotated[str, Meta(min_length=1, max_length=64)]


class NewGroup(Struct, forbid_unknown_fields=True):
    """A group of everybody who is there; `owner` has made it, added the bot, and administers it."""

    title: Title
    owner: int
    topics: bool = False


class NewTopic(Struct, forbid_unknown_fields=True):
    name: Title


class GroupMessage(Struct, forbid_unknown_fields=True):
    text: str
    thread_id: int | None = None
    anonymous: bool = False


class Tap(Struct, forbid_unknown_fields=True):
    message_id: int
    data: str


class Sandbox(Protocol):
    def users(self) -> list[SandboxUser]: ...
    def group(self, title: str, members: Sequence[SandboxUser]) -> SandboxGroup: ...
    def forum(self, title: str, members: Sequence[SandboxUser]) -> SandboxGroup: ...
    def groups(self) -> list[SandboxGroup]: ...


class GroupsApi:
    def __init__(self, sandbox: Sandbox, find_user: Callable[[web.Request], SandboxUser]) -> None:
        self._sandbox = sandbox
        self._find_user = find_user

    def routes(self, api: str) -> list[web.RouteDef]:
        group = f"{api}/users/{{id}}/groups/{{group}}"
        return [
            web.get(f"{api}/groups", same_origin(self._groups)),
            web.post(f"{api}/groups", same_origin(self._add)),
            web.get(f"{group}/chat", same_origin(self._chat)),
            web.post(f"{group}/messages", same_origin(self._send)),
            web.put(f"{group}/messages/{{message}}", same_origin(self._edit)),
            web.post(f"{group}/taps", same_origin(self._tap)),
            web.post(f"{group}/topics", same_origin(self._open_topic)),
        ]

    def of(self, request: web.Request) -> Chat:
        """Return the chat of the group that a request names; whoever asks is in it from now on."""
        return self._found(request)[1].chat

    async def _groups(self, _: web.Request) -> web.StreamResponse:
        return json_answer([_card(group) for group in self._sandbox.groups()])

    async def _add(self, request: web.Request) -> web.StreamResponse:
        wanted = await read_body(request, NewGroup)
        title, users = wanted.title.strip(), self._sandbox.users()
        owners = [user for user in users if user.id == wanted.owner]
        if not title or not owners:
            raise refusal(400, "a group needs a title and an owner")
        members = owners + [user for user in users if user.id != wanted.owner]
        made = (self._sandbox.forum if wanted.topics else self._sandbox.group)(title, members)
        made.add_bot(owners[0])
        return json_answer(_card(made), status=201)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        _, group = self._found(request)
        return json_answer(
            {"messages": list(map(group.chat.as_seen, group.messages)), "commands": [], "group": _card(group)}
        )

    async def _send(self, request: web.Request) -> web.StreamResponse:
        user, group = self._found(request)
        wanted = await read_body(request, GroupMessage)
        try:
            sent = await group.send(user, wanted.text, thread_id=wanted.thread_id, anonymous=wanted.anonymous)
        except (LookupError, ValueError) as error:
            raise refusal(400, str(error)) from error
        return json_answer(sent, status=201)

    async def _edit(self, request: web.Request) -> web.StreamResponse:
        user, group = self._found(request)
        wanted = await read_body(request, GroupMessage)
        try:
            return json_answer(await group.send(user, wanted.text, edit_of=message_id_of(request)))
        except (LookupError, ValueError) as error:
            raise refusal(400, str(error)) from error

    async def _tap(self, request: web.Request) -> web.StreamResponse:
        user, group = self._found(request)
        tap = await read_body(request, Tap)
        message = group.chat.messages.get(tap.message_id)
        if message is None or all(button["callback_data"] != tap.data for button in callback_buttons(message)):
            raise refusal(400, "the message has no such button")
        try:
            return json_answer(await user.tap_data(message, tap.data))
        except TimeoutError as error:
            raise refusal(504, str(error)) from error

    async def _open_topic(self, request: web.Request) -> web.StreamResponse:
        user, group = self._found(request)
        wanted = await read_body(request, NewTopic)
        try:
            group.open_topic(user, wanted.name)
        except LookupError as error:
            raise refusal(400, str(error)) from error
        return json_answer(_card(group), status=201)

    def _found(self, request: web.Request) -> tuple[SandboxUser, SandboxGroup]:
        user, wanted = self._find_user(request), request.match_info["group"]
        group = next((group for group in self._sandbox.groups() if str(group.chat_id) == wanted), None)
        if group is None:
            raise refusal(404, "no such group")
        group.join(user)
        return user, group


def message_id_of(request: web.Request) -> int:
    wanted = request.match_info["message"]
    if not (wanted.isascii() and wanted.isdecimal()):
        raise refusal(404, "no such message")
    return int(wanted)


def _card(group: SandboxGroup) -> JsonObject:
    chat, last = group.chat, next(reversed(group.chat.messages.values()), None)
    return {
        "id": chat.id,
        "title": group.title,
        "owner": group.owner_id,
        "members": list(chat.members),
        "is_forum": bool(chat.card.get("is_forum")),
        "topics": [{"id": thread_id, "name": name} for thread_id, name in chat.topics.items()],
        "last_text": last.get("text") or last.get("caption") if last else None,
        "last_at": last.get("edit_date", last["date"]) if last else None,
    }
