"""People and groups of the sandbox: what a person does in the app, as Python calls."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from sandbox.telegram.cloud import Chat, Cloud
from sandbox.telegram.markup.entities import as_json, clean, detect, trim, utf16_length
from sandbox.telegram.stars.wallet import Wallet
from sandbox.telegram.updates import JsonObject

TEXT_MAX = 4096
ANONYMOUS: JsonObject = {"id": 1_087_968_824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
"""In whose name Telegram lets an anonymous admin write."""
_TOPIC_COLOUR = 7_322_096
_UNREAD_KEPT = 1_000
_ANSWER_TIMEOUT_S = 10.0


def compose(text: str) -> JsonObject:
    """Return the content of a text message that a person types; ValueError if the app would not send it."""
    text, _ = trim(clean(text), [])
    if not text:
        raise ValueError("the text is empty")
    if utf16_length(text) > TEXT_MAX:
        raise ValueError(f"the text is longer than {TEXT_MAX} UTF-16 units")
    entities = as_json(detect(text, []))
    return {"text": text, "entities": entities} if entities else {"text": text}


def callback_buttons(message: JsonObject) -> list[JsonObject]:
    """Return the inline buttons of a message that send callback data."""
    rows: list[list[JsonObject]] = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [button for row in rows for button in row if "callback_data" in button]


class Inbox:
    """Bot messages in one chat, new and edited, in the order in which they came."""

    def __init__(self, cloud: Cloud, chat: Chat) -> None:
        self._bot = cloud.bot
        self._chat = chat
        self._unread: deque[JsonObject] = deque(maxlen=_UNREAD_KEPT)
        self._arrived = asyncio.Event()
        chat.listeners.append(self._on_event)

    def _on_event(self, event: str, data: JsonObject) -> None:
        if event in {"message", "edit"} and data["from"] is self._bot:
            self._unread.append(data)
            self._arrived.set()

    async def take(self, timeout_s: float, where: Callable[[JsonObject], bool] | None) -> JsonObject:
        """Await the oldest unread message that fits; those before it count as read. TimeoutError if none."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    while self._unread:
                        message = self._unread.popleft()
                        if where is None or where(message):
                            return message
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError as error:
            raise TimeoutError(f"nothing fitting came to chat {self._chat.id} in {timeout_s:g} s") from error


class SandboxUser:
    """A person in a private chat with the bot."""

    def __init__(self, cloud: Cloud, chat: Chat, person: JsonObject) -> None:
        self._cloud = cloud
        self.chat = chat
        self.person = person
        self.wallet = Wallet(cloud, chat)
        self._inbox = Inbox(cloud, chat)

    @property
    def id(self) -> int:
        return self.chat.id

    @property
    def chat_id(self) -> int:
        return self.chat.id

    @property
    def name(self) -> str:
        return self.person["first_name"]

    @property
    def messages(self) -> list[JsonObject]:
        """The newest messages of the chat, the person's own among them, oldest first."""
        return list(self.chat.messages.values())

    async def send(self, text: str, *, edit_of: int | None = None) -> JsonObject:
        """Write to the bot, or change an own message. Writing to a blocked bot unblocks it, as in the app."""
        content = compose(text)
        self.unblock()
        self.chat.is_started = True
        if edit_of is not None:
            return self._edit(edit_of, content)
        message = self._cloud.post(self.chat, self.person, content)
        self._cloud.publish("message", message)
        return message

    def _edit(self, message_id: int, content: JsonObject) -> JsonObject:
        former = self.chat.messages.get(message_id)
        if former is None or former["from"] is not self.person:
            raise LookupError(f"message {message_id} is not {self.name}'s to edit")
        kept = {key: value for key, value in former.items() if key not in {"text", "entities"}}
        message = self._cloud.replace(self.chat, {**kept, **content})
        self._cloud.publish("edited_message", message)
        return message

    async def tap(
        self, button_text: str, message: JsonObject | None = None, *, timeout_s: float = _ANSWER_TIMEOUT_S
    ) -> JsonObject:
        """Tap the inline button with this text, in the newest message that has it, and await the answer.

        Returns `{"text", "show_alert", "url"}`; LookupError without such a button, TimeoutError unanswered.
        """
        candidates = reversed(self.chat.messages.values()) if message is None else [message]
        for candidate in candidates:
            for button in callback_buttons(candidate):
                if button["text"] == button_text:
                    return await self.tap_data(candidate, button["callback_data"], timeout_s=timeout_s)
        raise LookupError(f"no message to {self.name} has a button {button_text!r}")

    async def tap_data(self, message: JsonObject, data: str, *, timeout_s: float = _ANSWER_TIMEOUT_S) -> JsonObject:
        """Send the callback data of one button and await the bot's answer."""
        current = self.chat.messages.get(message["message_id"], message)
        _, answer = self._cloud.ask(self.person, current, data)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise TimeoutError(f"the bot did not answer {data!r} in {timeout_s:g} s") from error

    async def next_message(
        self, *, timeout_s: float = 10, where: Callable[[dict[str, Any]], bool] | None = None
    ) -> JsonObject:
        """Await the next unread bot message (new or edited) that fits; those passed over count as read."""
        return await self._inbox.take(timeout_s, where)

    def block(self) -> None:
        if not self.chat.is_blocked:
            self.chat.is_blocked = True
            self._cloud.changed(self.chat)
            self._membership("member", "kicked")

    def unblock(self) -> None:
        if self.chat.is_blocked:
            self.chat.is_blocked = False
            self._cloud.changed(self.chat)
            self._membership("kicked", "member")

    def deactivate(self) -> None:
        """Delete the account: the bot is not told, it finds out by its next message."""
        self.chat.is_deactivated = True
        self._cloud.changed(self.chat)

    def _membership(self, old: str, new: str) -> None:
        self._cloud.publish("my_chat_member", membership_change(self._cloud, self.chat, self.person, old, new))


class SandboxGroup:
    """A group with the bot in it."""

    def __init__(self, cloud: Cloud, chat: Chat) -> None:
        self._cloud = cloud
        self.chat = chat
        self._inbox = Inbox(cloud, chat)

    @property
    def chat_id(self) -> int:
        return self.chat.id

    @property
    def title(self) -> str:
        return self.chat.card["title"]

    @property
    def messages(self) -> list[JsonObject]:
        return list(self.chat.messages.values())

    async def send(
        self,
        sender: SandboxUser,
        text: str,
        *,
        thread_id: int | None = None,
        anonymous: bool = False,
        edit_of: int | None = None,
    ) -> JsonObject:
        """Write as a member; with privacy mode on (the default) the bot gets only what is meant for it.

        `anonymous`: as the group, which its owner may. `LookupError` for a topic, or a message of theirs, that is not
        there.
        """
        self._check(sender, thread_id, anonymous=anonymous)
        content = compose(text)
        if edit_of is not None:
            return self._edit(sender, edit_of, content)
        place = {"message_thread_id": thread_id, "is_topic_message": True} if thread_id else {}
        written_by = ANONYMOUS if anonymous else sender.person
        as_group = {"sender_chat": self.chat.card} if anonymous else {}
        message = self._cloud.post(self.chat, written_by, {**as_group, **place, **content})
        self._tell("message", message)
        return message

    def _check(self, sender: SandboxUser, thread_id: int | None, *, anonymous: bool) -> None:
        if sender.id not in self.chat.members:
            raise LookupError(f"{sender.name} is not in {self.title}")
        if thread_id is not None and thread_id not in self.chat.thread_ids:
            raise LookupError(f"{self.title} has no topic {thread_id}")
        if anonymous and sender.id != self.owner_id:
            raise LookupError(f"{sender.name} does not administer {self.title}")

    @property
    def owner_id(self) -> int | None:
        return next(iter(self.chat.members), None)

    def _edit(self, sender: SandboxUser, message_id: int, content: JsonObject) -> JsonObject:
        former = self.chat.messages.get(message_id)
        is_theirs = former is not None and (
            former["from"] is sender.person or (former["from"] is ANONYMOUS and sender.id == self.owner_id)
        )
        if former is None or not is_theirs or "text" not in former:
            raise LookupError(f"message {message_id} is not {sender.name}'s to edit")
        kept = {key: value for key, value in former.items() if key not in {"text", "entities"}}
        message = self._cloud.replace(self.chat, {**kept, **content})
        self._tell("edited_message", message)
        return message

    def _tell(self, kind: str, message: JsonObject) -> None:
        if self.chat.bot_status not in {"member", "administrator"}:
            return
        username: str = self._cloud.bot["username"]
        commands = [entity for entity in message.get("entities", ()) if entity["type"] == "bot_command"]
        if commands or f"@{username}" in message["text"]:
            self._cloud.publish(kind, message)

    def open_topic(self, by: SandboxUser, name: str) -> int:
        """Open a topic of a forum; return its thread id. `LookupError` where there are none, or `by` is no member."""
        self._check(by, None, anonymous=False)
        if not self.chat.card.get("is_forum"):
            raise LookupError(f"{self.title} has no topics")
        thread_id = self._cloud.last_message_id + 1
        self.chat.thread_ids.add(thread_id)
        self.chat.topics[thread_id] = name
        created = {"forum_topic_created": {"name": name, "icon_color": _TOPIC_COLOUR}}
        place = {"message_thread_id": thread_id, "is_topic_message": True}
        self._cloud.publish("message", self._cloud.post(self.chat, by.person, {**place, **created}))
        return thread_id

    def join(self, member: SandboxUser) -> None:
        """Take somebody in who is not there yet."""
        if member.id not in self.chat.members:
            self.chat.members[member.id] = member.person
            joined = {"new_chat_members": [member.person]}
            self._cloud.publish("message", self._cloud.post(self.chat, member.person, joined))

    def add_bot(self, by: SandboxUser) -> None:
        self.chat.bot_status = "member"
        self._cloud.changed(self.chat)
        self._cloud.publish("my_chat_member", membership_change(self._cloud, self.chat, by.person, "left", "member"))

    async def next_message(
        self, *, timeout_s: float = 10, where: Callable[[dict[str, Any]], bool] | None = None
    ) -> JsonObject:
        return await self._inbox.take(timeout_s, where)

    def kick_bot(self, by: SandboxUser) -> None:
        self.chat.bot_status = "kicked"
        self._cloud.changed(self.chat)
        change = membership_change(self._cloud, self.chat, by.person, "member", "kicked")
        self._cloud.publish("my_chat_member", change)

    def upgrade(self, by: SandboxUser) -> SandboxGroup:
        """Make it a supergroup: a new chat id, and service messages in both chats."""
        new_id = -1_000_000_000_000 + self.chat.id
        members = self.chat.members.values()
        new_chat = self._cloud.add_group(self.title, members, kind="supergroup", chat_id=new_id)
        leaving = self._cloud.post(self.chat, by.person, {"migrate_to_chat_id": new_id})
        arriving = self._cloud.post(new_chat, by.person, {"migrate_from_chat_id": self.chat.id})
        self.chat.migrated_to = new_id
        self._cloud.changed(self.chat)
        self._cloud.publish("message", leaving)
        self._cloud.publish("message", arriving)
        return SandboxGroup(self._cloud, new_chat)


def membership_change(cloud: Cloud, chat: Chat, actor: JsonObject, old: str, new: str) -> JsonObject:
    """Return a ChatMemberUpdated about the bot itself."""
    return {
        "chat": chat.card,
        "from": actor,
        "date": int(time.time()),
        "old_chat_member": bot_member(cloud, old),
        "new_chat_member": bot_member(cloud, new),
    }


def bot_member(cloud: Cloud, status: str) -> JsonObject:
    if status == "kicked":
        return {"user": cloud.bot, "status": "kicked", "until_date": 0}
    return {"user": cloud.bot, "status": status}
