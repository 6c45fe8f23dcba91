"""Telegram's side of an account, at the border of Telethon's client: no MTProto server can run here.

What goes over it are the library's own objects, written as they go over the wire and read back by its reader; what is
raised are its own errors. Methods and what they give are as https://docs.telethon.dev says.
"""

# pyright: reportPrivateUsage=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownParameterType=false

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from telethon import errors, functions, types
from telethon.extensions import BinaryReader

ACCESS_HASH = 77
MARKET_ID = 900


def wire(thing: Any) -> Any:
    """Return an object as the library reads it off the wire."""
    return BinaryReader(bytes(thing)).tgread_object()


class Telegram:
    """Channels, and what was posted in them; outlives the clients of its accounts."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.posts: defaultdict[str, list[types.Message]] = defaultdict(list)
        self.strangers: set[str] = set()
        """Channels that no account is a member of."""
        self.members: defaultdict[str, set[str]] = defaultdict(set)
        """Where not empty: the accounts that are."""
        self.clients: list[Client] = []
        self.problems: dict[str, list[Exception]] = defaultdict(list)
        """By request: what it fails with, one after the other."""
        self.refuses: dict[str, Exception] = {}
        """By account: what every request fails with."""
        self.asked: list[Any] = []
        self.kept: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        """Session files."""

    def channel(self, name: str) -> int:
        return self.ids.setdefault(name, 1_000 + len(self.ids))

    def chat(self, name: str, account: str = "") -> types.Channel:
        return types.Channel(
            id=self.channel(name),
            title=name.removeprefix("@").title(),
            photo=types.ChatPhotoEmpty(),
            date=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
            broadcast=True,
            access_hash=ACCESS_HASH,
            username=name.removeprefix("@").title(),
            left=name in self.strangers or bool(self.members[name] and account not in self.members[name]),
        )

    def message(self, name: str, number: int, text: str, at: datetime, **more: Any) -> types.Message:
        return types.Message(id=number, peer_id=types.PeerChannel(self.channel(name)), date=at, message=text, **more)

    def keep(self, name: str, text: str, at: datetime, **more: Any) -> types.Message:
        """Post something of which nobody is told."""
        number = self.posts[name][-1].id + 1 if self.posts[name] else 1
        self.posts[name].append(self.message(name, number, text, at, **more))
        return self.posts[name][-1]

    def post(self, name: str, text: str, at: datetime, **more: Any) -> types.Message:
        message = self.keep(name, text, at, **more)
        self.tell(name, types.UpdateNewChannelMessage(message, pts=message.id, pts_count=1))
        return message

    def edit(self, name: str, number: int, text: str, at: datetime, **more: Any) -> None:
        posts = self.posts[name]
        place = next(place for place, one in enumerate(posts) if one.id == number)
        posts[place] = self.message(name, number, text, posts[place].date or at, edit_date=at, **more)
        self.tell(name, types.UpdateEditChannelMessage(posts[place], pts=number, pts_count=1))

    def tell(self, name: str, update: Any) -> None:
        for client in self.clients:
            if client.is_open and not self.chat(name, client.account).left:
                client.queue.put_nowait((name, wire(update)))

    def cut(self) -> None:
        """Every connection ends."""
        for client in self.clients:
            client.end()

    def fails(self, request: type, *found: Exception) -> None:
        self.problems[request.__name__] += found

    def open_clients(self) -> list[Client]:
        return [client for client in self.clients if client.is_open]


class Kept:
    """What a session file says."""

    def __init__(self, file: dict[str, Any]) -> None:
        self._file = file

    def get_input_entity(self, name: str) -> Any:
        if name not in self._file:
            raise ValueError(f"Could not find input entity with key {name}")
        return self._file[name]


class Client:
    """The few methods of `TelegramClient` that are used."""

    def __init__(self, telegram: Telegram, account: str) -> None:
        self._telegram = telegram
        self.account = account
        self.session = Kept(telegram.kept[account])
        self.handlers: list[Callable[[Any], Awaitable[None]]] = []
        self.queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.disconnected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_open = False
        self._telling: asyncio.Task[None] | None = None
        telegram.clients.append(self)

    def add_event_handler(self, handler: Callable[[Any], Awaitable[None]], event: Any) -> None:
        self.handlers.append(handler)

    async def connect(self) -> None:
        self.is_open = True
        self._telling = asyncio.create_task(self._tell())

    async def disconnect(self) -> None:
        self.end()
        if self._telling:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    def end(self) -> None:
        self.is_open = False
        if not self.disconnected.done():
            self.disconnected.set_result(None)

    async def _tell(self) -> None:
        while True:
            name, update = await self.queue.get()
            chat = wire(self._telegram.chat(name, self.account))
            update._entities = {int(f"-100{chat.id}"): chat}
            for handler in self.handlers:
                await handler(update)

    async def __call__(self, request: Any) -> Any:
        await asyncio.sleep(0)
        telegram = self._telegram
        telegram.asked.append(request)
        if not self.is_open:
            raise ConnectionError("Cannot send requests while disconnected")
        if self.account in telegram.refuses:
            raise telegram.refuses[self.account]
        if found := telegram.problems[type(request).__name__]:
            raise found.pop(0)
        match request:
            case functions.updates.GetStateRequest():
                return wire(types.updates.State(1, 0, datetime.fromisoformat("2026-01-01T00:00:00+00:00"), 0, 0))
            case functions.contacts.ResolveUsernameRequest():
                return self._resolve(request)
            case functions.messages.GetHistoryRequest():
                return self._history(request)
            case _:
                raise errors.BadRequestError(request, "METHOD_INVALID")

    def _resolve(self, request: Any) -> Any:
        name = f"@{request.username.lower()}"
        if name not in self._telegram.ids:
            raise errors.UsernameNotOccupiedError(request)
        chat = self._telegram.chat(name, self.account)
        found = types.contacts.ResolvedPeer(types.PeerChannel(chat.id), [chat], [])
        self._telegram.kept[self.account][name.removeprefix("@")] = types.InputPeerChannel(chat.id, ACCESS_HASH)
        return wire(found)

    def _history(self, request: Any) -> Any:
        name = next(name for name, number in self._telegram.ids.items() if number == request.peer.channel_id)
        assert request.peer.access_hash == ACCESS_HASH
        shown = [one for one in self._telegram.posts[name] if not request.offset_id or one.id < request.offset_id]
        chats: list[Any] = [self._telegram.chat(name, self.account)]
        newest_first: list[Any] = list(reversed(shown))[: request.limit]
        return wire(types.messages.ChannelMessages(1, len(shown), newest_first, [], chats, []))
