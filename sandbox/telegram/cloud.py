"""What Telegram remembers: the bot, its users and chats, their messages, callback queries, commands."""

from __future__ import annotations

import asyncio
import itertools
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from sandbox.telegram.commands import CommandBook, CommandList
from sandbox.telegram.errors import OLD_QUERY, ApiError, bad_request, flood, forbidden
from sandbox.telegram.faults import Faults
from sandbox.telegram.files import FileStore
from sandbox.telegram.limits import FloodGate, FloodLimits
from sandbox.telegram.stars.payments import Stars
from sandbox.telegram.stats import ServerStats
from sandbox.telegram.updates import JsonObject, UpdateQueue
from sandbox.telegram.webhook import WebhookSender

Listener = Callable[[str, JsonObject], None]
"""Called with `message`, `edit`, `delete`, `action`, `commands` or `stars` and its data."""

ChatKind = Literal["private", "group", "supergroup"]
BotStatus = Literal["member", "administrator", "left", "kicked"]

Keeper = Callable[["Chat", int | None], None]
"""Called as soon as a chat is another, with the id of the message that is new, changed or gone (None: of none)."""

_MESSAGES_KEPT = 500
_QUERIES_KEPT = 10_000
_USER_ID_BASE = 100_000_000
_USER_ID_SPAN = 900_000_000


@dataclass(slots=True, eq=False, kw_only=True)
class Chat:
    id: int
    kind: ChatKind
    card: JsonObject
    """The Chat object that messages carry."""
    person: JsonObject | None = None
    """The User object behind a private chat."""
    members: dict[int, JsonObject] = field(default_factory=dict[int, JsonObject])
    messages: dict[int, JsonObject] = field(default_factory=dict[int, JsonObject])
    """The newest messages by id, oldest first. Messages are replaced, never changed; share them freely."""
    listeners: list[Listener] = field(default_factory=list[Listener])
    thread_ids: set[int] = field(default_factory=set[int])
    topics: dict[int, str] = field(default_factory=dict[int, str])
    """Of a forum: the names of those of its threads that people opened."""
    pinned_ids: list[int] = field(default_factory=list[int])
    silent_ids: set[int] = field(default_factory=set[int])
    """Messages that came without a sound: the app of whoever gets them knows, the Bot API says it nowhere."""
    is_started: bool = False
    """The person has written to the bot at least once."""
    is_blocked: bool = False
    is_deactivated: bool = False
    bot_status: BotStatus = "member"
    migrated_to: int | None = None

    def tell(self, event: str, data: JsonObject) -> None:
        for listener in tuple(self.listeners):
            listener(event, data)

    def keep(self, message: JsonObject) -> None:
        self.messages[message["message_id"]] = message
        if len(self.messages) > _MESSAGES_KEPT:
            oldest = next(iter(self.messages))
            del self.messages[oldest]
            self.silent_ids.discard(oldest)

    def as_seen(self, message: JsonObject) -> JsonObject:
        """Return a message with what a person's app knows besides."""
        return {**message, "is_silent": True} if message.get("message_id") in self.silent_ids else message


@dataclass(slots=True, eq=False)
class CallbackQuery:
    asked_at: float
    answer: asyncio.Future[JsonObject]


class Cloud:
    """One bot's Telegram. Everything here is synchronous; only answers to callback queries are awaited."""

    def __init__(
        self,
        *,
        token: str,
        username: str,
        limits: FloodLimits,
        clock: Callable[[], float],
        query_expiry_s: float,
        checkout_timeout_s: float,
        webhook_retry_s: float,
    ) -> None:
        self.token = token
        self.bot: JsonObject = {
            "id": int(token.partition(":")[0]),
            "is_bot": True,
            "first_name": "Token Filter Bot",
            "username": username,
        }
        self.clock = clock
        self.chats: dict[int, Chat] = {}
        self.files = FileStore()
        self.commands = CommandBook()
        self.texts: dict[tuple[str, str], str] = {}
        """Name and descriptions of the bot by (field, language code)."""
        self.menu_buttons: dict[int, JsonObject] = {}
        self.updates = UpdateQueue()
        self.webhook = WebhookSender(self.updates, first_retry_s=webhook_retry_s)
        self.stats = ServerStats()
        self.faults = Faults(clock)
        self.stars = Stars(self, checkout_timeout_s=checkout_timeout_s)
        self.message_observers: list[Callable[[JsonObject], None]] = []
        self.keeper: Keeper | None = None
        """Writes down what changes before anybody is told of it."""
        self._gate = FloodGate(limits)
        self._query_expiry_s = query_expiry_s
        self.last_message_id = 0
        self._query_ids = itertools.count(time.time_ns())
        self._queries: dict[str, CallbackQuery] = {}

    # Chats

    def add_person(self, name: str, *, user_id: int | None, language_code: str) -> Chat:
        """Add a private chat. Without an id, it gets one that the same name gets again after a restart."""
        if user_id is None:
            user_id = _USER_ID_BASE + zlib.crc32(name.encode("utf-8", "replace")) % _USER_ID_SPAN
            while user_id in self.chats:
                user_id += 1
        person: JsonObject = {
            "id": user_id,
            "is_bot": False,
            "first_name": name,
            "language_code": language_code,
        }
        card: JsonObject = {"id": user_id, "type": "private", "first_name": name}
        chat = self.chats[user_id] = Chat(id=user_id, kind="private", card=card, person=person)
        self.changed(chat)
        return chat

    def add_group(self, title: str, members: Iterable[JsonObject], *, kind: ChatKind, chat_id: int) -> Chat:
        card: JsonObject = {"id": chat_id, "type": kind, "title": title}
        if kind == "group":
            card["all_members_are_administrators"] = False
        chat = Chat(id=chat_id, kind=kind, card=card, members={member["id"]: member for member in members})
        self.chats[chat_id] = chat
        self.changed(chat)
        return chat

    def changed(self, chat: Chat, message_id: int | None = None) -> None:
        """Have it written down that the chat, or one message in it, is another now."""
        if self.keeper:
            self.keeper(chat, message_id)

    def people(self) -> list[Chat]:
        return [chat for chat in self.chats.values() if chat.person is not None]

    def find_chat(self, chat_id: str) -> Chat:
        """Find the chat a request names, whatever the bot may do there."""
        if not chat_id:
            raise bad_request("chat_id is empty")
        digits = chat_id[1:] if chat_id[0] == "-" else chat_id
        chat = self.chats.get(int(chat_id)) if digits.isdecimal() else None
        if chat is None:
            raise bad_request("chat not found")
        return chat

    def writable_chat(self, chat_id: str) -> Chat:
        """Find the chat a request names, if Telegram lets the bot write there."""
        chat = self.find_chat(chat_id)
        if chat.kind == "private":
            _check_private(chat)
        else:
            _check_group(chat)
        return chat

    def commands_of(self, chat: Chat) -> CommandList:
        """Return the command menu that the person of a private chat sees."""
        language: str = chat.person["language_code"] if chat.person else ""
        return self.commands.shown_in_private(chat.id, language)

    def commands_changed(self) -> None:
        for chat in self.people():
            if chat.listeners:
                chat.tell("commands", {"commands": self.commands_of(chat)})

    # Messages

    def charge(self, chat: Chat, method: str, *, count: int = 1, is_send: bool = True) -> None:
        """Pass the flood gate or raise 429. Called last, when nothing else can refuse the message."""
        now = self.clock()
        wait_s = self.faults.storm_wait_s(now) or self._gate.enter(chat.id, now, weight=count, is_send=is_send)
        if wait_s:
            raise flood(wait_s)
        self.stats.delivered(now, chat.id, method, count=count, is_send=is_send)

    def post(self, chat: Chat, sender: JsonObject, content: JsonObject, *, silent: bool = False) -> JsonObject:
        """Put a new message into the chat; `content` holds everything but its ids, sender and date."""
        message: JsonObject = {
            "message_id": self._next_message_id(),
            "from": sender,
            "chat": chat.card,
            "date": int(time.time()),
            **content,
        }
        if silent:
            chat.silent_ids.add(message["message_id"])
        chat.keep(message)
        self.changed(chat, message["message_id"])
        chat.tell("message", message)
        if sender is self.bot:
            self._show(message)
        return message

    def _next_message_id(self) -> int:
        self.last_message_id += 1
        return self.last_message_id

    def replace(self, chat: Chat, message: JsonObject) -> JsonObject:
        """Put an edited message in the place of its former self."""
        message["edit_date"] = int(time.time())
        chat.messages[message["message_id"]] = message
        self.changed(chat, message["message_id"])
        chat.tell("edit", message)
        if message["from"] is self.bot:
            self._show(message)
        return message

    def delete(self, chat: Chat, message_id: int) -> None:
        del chat.messages[message_id]
        chat.silent_ids.discard(message_id)
        if message_id in chat.pinned_ids:
            chat.pinned_ids.remove(message_id)
        self.changed(chat, message_id)
        chat.tell("delete", {"message_id": message_id})

    def _show(self, message: JsonObject) -> None:
        for observer in self.message_observers:
            observer(message)

    # Callback queries

    def ask(self, person: JsonObject, message: JsonObject, data: str) -> tuple[str, asyncio.Future[JsonObject]]:
        """Send the bot the callback query of a tap; the future holds its answer."""
        query_id = str(next(self._query_ids))
        query = CallbackQuery(self.clock(), asyncio.get_running_loop().create_future())
        self._queries[query_id] = query
        if len(self._queries) > _QUERIES_KEPT:
            del self._queries[next(iter(self._queries))]
        self.publish(
            "callback_query",
            {
                "id": query_id,
                "from": person,
                "message": message,
                "chat_instance": str(zlib.crc32(str(message["chat"]["id"]).encode())),
                "data": data,
            },
        )
        return query_id, query.answer

    def answer(self, query_id: str, answer: JsonObject) -> None:
        query = self._queries.pop(query_id, None)
        if query is None or self.clock() - query.asked_at > self._query_expiry_s:
            raise bad_request(OLD_QUERY)
        if not query.answer.done():
            query.answer.set_result(answer)

    def publish(self, kind: str, content: JsonObject) -> None:
        self.stats.updates += 1
        self.updates.put(kind, content)


def _check_private(chat: Chat) -> None:
    if chat.is_deactivated:
        raise forbidden("user is deactivated")
    if chat.is_blocked:
        raise forbidden("bot was blocked by the user")
    if not chat.is_started:
        raise forbidden("bot can't initiate conversation with a user")


def _check_group(chat: Chat) -> None:
    if chat.migrated_to is not None:
        raise bad_request("group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": chat.migrated_to})
    refusal: ApiError | None = None
    if chat.bot_status == "kicked":
        refusal = forbidden(f"bot was kicked from the {chat.kind} chat")
    elif chat.bot_status == "left":
        refusal = forbidden(f"bot is not a member of the {chat.kind} chat")
    if refusal is not None:
        raise refusal
