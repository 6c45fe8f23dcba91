"""People and chats over a restart, in one file: whom Telegram knows, what was said, who has blocked the bot."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
import structlog
from msgspec import Struct

from sandbox.telegram.cloud import BotStatus, Chat, ChatKind, Cloud
from sandbox.telegram.people import ANONYMOUS, SandboxGroup, SandboxUser
from sandbox.telegram.updates import JsonObject

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

KEEP_EVERY_S: Final = 5.0
MESSAGES_KEPT: Final = 100
"""Of each chat, the newest."""


class KeptChat(Struct, kw_only=True, omit_defaults=True):
    messages: list[JsonObject] = []
    pinned_ids: list[int] = []
    silent_ids: list[int] = []


class KeptPerson(KeptChat, kw_only=True, omit_defaults=True):
    id: int
    name: str
    language_code: str
    is_started: bool = False
    is_blocked: bool = False
    is_deactivated: bool = False


class KeptGroup(KeptChat, kw_only=True, omit_defaults=True):
    id: int
    title: str
    kind: ChatKind
    is_forum: bool = False
    members: list[int] = []
    topics: dict[int, str] = {}
    bot_status: BotStatus = "member"
    migrated_to: int | None = None


class Kept(Struct, kw_only=True):
    last_message_id: int
    people: list[KeptPerson]
    groups: list[KeptGroup]


class Sandbox(Protocol):
    """What is kept of the sandbox."""

    cloud: Cloud

    def user(self, name: str, *, user_id: int | None = None, language_code: str = "en") -> SandboxUser: ...
    def users(self) -> list[SandboxUser]: ...
    def groups(self) -> list[SandboxGroup]: ...
    def restore_group(
        self, title: str, members: Sequence[SandboxUser], kind: ChatKind, chat_id: int
    ) -> SandboxGroup: ...


class Memory:
    def __init__(self, sandbox: Sandbox, path: Path) -> None:
        self._sandbox = sandbox
        self._path = path
        self._written = b""

    async def run(self) -> None:
        """Keep what has changed, every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            self.keep()

    def keep(self) -> None:
        """Write the file if anything has changed; a disk that takes nothing costs the memory alone."""
        document = msgspec.json.encode(self._kept())
        if document == self._written:
            return
        draft = self._path.with_suffix(".draft")
        try:
            draft.write_bytes(document)
            draft.replace(self._path)
        except OSError as error:
            log.warning("sandbox_not_kept", reason=str(error))
        else:
            self._written = document

    def restore(self) -> None:
        """Take up what an earlier run has kept; what cannot be read is set aside."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("sandbox_not_restored", reason=str(error))
            return
        cloud = self._sandbox.cloud
        cloud.last_message_id = kept.last_message_id
        senders: dict[int, JsonObject] = {cloud.bot["id"]: cloud.bot, ANONYMOUS["id"]: ANONYMOUS}
        for person in kept.people:
            user = self._sandbox.user(person.name, user_id=person.id, language_code=person.language_code)
            senders[user.id] = user.person
            user.chat.is_started, user.chat.is_blocked = person.is_started, person.is_blocked
            user.chat.is_deactivated = person.is_deactivated
        people = {user.id: user for user in self._sandbox.users()}
        for group in kept.groups:
            members = [people[member] for member in group.members if member in people]
            _fill(self._sandbox.restore_group(group.title, members, group.kind, group.id).chat, group)
        for one in (*kept.people, *kept.groups):
            _restore_messages(cloud.chats[one.id], one, senders)

    def _kept(self) -> Kept:
        return Kept(
            last_message_id=self._sandbox.cloud.last_message_id,
            people=[_person(user) for user in self._sandbox.users()],
            groups=[_group(group.chat) for group in self._sandbox.groups()],
        )


def _person(user: SandboxUser) -> KeptPerson:
    chat = user.chat
    return KeptPerson(
        id=user.id,
        name=user.name,
        language_code=user.person["language_code"],
        is_started=chat.is_started,
        is_blocked=chat.is_blocked,
        is_deactivated=chat.is_deactivated,
        messages=_newest(chat),
        pinned_ids=chat.pinned_ids,
        silent_ids=sorted(chat.silent_ids),
    )


def _group(chat: Chat) -> KeptGroup:
    return KeptGroup(
        id=chat.id,
        title=chat.card["title"],
        kind=chat.kind,
        is_forum=bool(chat.card.get("is_forum")),
        members=list(chat.members),
        topics=chat.topics,
        bot_status=chat.bot_status,
        migrated_to=chat.migrated_to,
        messages=_newest(chat),
        pinned_ids=chat.pinned_ids,
        silent_ids=sorted(chat.silent_ids),
    )


def _newest(chat: Chat) -> list[JsonObject]:
    return list(chat.messages.values())[-MESSAGES_KEPT:]


def _fill(chat: Chat, kept: KeptGroup) -> None:
    if kept.is_forum:
        chat.card["is_forum"] = True
    chat.topics = dict(kept.topics)
    chat.thread_ids = set(kept.topics)
    chat.migrated_to = kept.migrated_to
    chat.bot_status = kept.bot_status


def _restore_messages(chat: Chat, kept: KeptChat, senders: dict[int, JsonObject]) -> None:
    """Put messages back as if they had just been posted here: who wrote them is told by identity."""
    for message in kept.messages:
        sender = senders.get(message["from"]["id"])
        if sender is not None:
            chat.keep({**message, "from": sender, "chat": chat.card})
    chat.pinned_ids = [message_id for message_id in kept.pinned_ids if message_id in chat.messages]
    chat.silent_ids = chat.messages.keys() & kept.silent_ids
