"""People and chats over a restart: whom Telegram knows, what was said and not yet taken, who has blocked the bot.

All of it stands in one file, written anew every few seconds; what has changed since is appended to a second one before
anybody hears of it, so that a process that is killed forgets nothing that the bot was told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

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


AnyChat = TypeVar("AnyChat", KeptPerson, KeptGroup)


class Kept(Struct, kw_only=True):
    last_message_id: int
    people: list[KeptPerson]
    groups: list[KeptGroup]
    updates: list[JsonObject] = []
    """That the bot has not taken yet."""


class Change(Struct, kw_only=True, omit_defaults=True):
    """One line of what happened after the file was written; read twice it changes nothing more.

    The chat as it is now, and of its messages the one that is new or another.
    """

    last_message_id: int = 0
    person: KeptPerson | None = None
    group: KeptGroup | None = None
    deleted_id: int | None = None
    update: JsonObject | None = None
    taken_ids: list[int] = []
    """Of updates."""


class Sandbox(Protocol):
    """What is kept of the sandbox."""

    cloud: Cloud

    def user(self, name: str, *, user_id: int | None = None, language_code: str = "en") -> SandboxUser: ...
    def users(self) -> list[SandboxUser]: ...
    def restore_group(
        self, title: str, members: Sequence[SandboxUser], kind: ChatKind, chat_id: int
    ) -> SandboxGroup: ...


class Memory:
    def __init__(self, sandbox: Sandbox, path: Path) -> None:
        self._sandbox = sandbox
        self._path = path
        self._changes_path = path.with_suffix(".changes")
        self._written = b""

    async def run(self) -> None:
        """Keep what has changed, every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            self.keep()

    def keep(self) -> None:
        """Write the file if anything has changed; a disk that takes nothing costs the memory alone."""
        document = msgspec.json.encode(self._kept())
        draft = self._path.with_suffix(".draft")
        try:
            if document != self._written:
                draft.write_bytes(document)
                draft.replace(self._path)
            self._changes_path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("sandbox_not_kept", reason=str(error))
        else:
            self._written = document

    def note(self, chat: Chat, message_id: int | None) -> None:
        """Append what has just changed; the operating system has it when this returns."""
        message = chat.messages.get(message_id) if message_id is not None else None
        messages = [] if message is None else [message]
        change = Change(
            last_message_id=self._sandbox.cloud.last_message_id,
            person=_person(chat, messages) if chat.person else None,
            group=None if chat.person else _group(chat, messages),
            deleted_id=message_id if message is None else None,
        )
        self._append(change)

    def _note_update(self, update: JsonObject) -> None:
        """One whose payment waits for an answer is over when the process ends: nobody waits any more."""
        if "pre_checkout_query" not in update:
            self._append(Change(update=update))

    def _append(self, change: Change) -> None:
        try:
            with self._changes_path.open("ab", buffering=0) as changes:
                changes.write(msgspec.json.encode(change) + b"\n")
        except OSError as error:
            log.warning("sandbox_not_kept", reason=str(error))

    def restore(self) -> None:
        """Take up what an earlier run has kept, and keep what changes from now on; what cannot be read is set aside."""
        cloud = self._sandbox.cloud
        cloud.keeper = None
        self._take_up(_with_changes(self._read(), self._read_changes()))
        cloud.keeper = self.note
        cloud.updates.on_put = self._note_update
        cloud.updates.on_gone = lambda taken_ids: self._append(Change(taken_ids=taken_ids))

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("sandbox_not_restored", reason=str(error))
        return Kept(last_message_id=0, people=[], groups=[])

    def _read_changes(self) -> Iterator[Change]:
        try:
            lines = self._changes_path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("sandbox_not_restored", reason=str(error))
            return
        for line in lines:
            try:
                yield msgspec.json.decode(line, type=Change)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("sandbox_not_restored", reason=str(error))

    def _take_up(self, kept: Kept) -> None:
        cloud = self._sandbox.cloud
        cloud.last_message_id = kept.last_message_id
        cloud.updates.restore(kept.updates)
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
        cloud = self._sandbox.cloud
        groups = [chat for chat in cloud.chats.values() if chat.person is None]
        return Kept(
            last_message_id=cloud.last_message_id,
            people=[_person(chat, _newest(chat)) for chat in cloud.people()],
            groups=[_group(chat, _newest(chat)) for chat in groups],
            updates=[update for update in cloud.updates.pending() if "pre_checkout_query" not in update],
        )


def _with_changes(kept: Kept, changes: Iterable[Change]) -> Kept:
    people, groups = {one.id: one for one in kept.people}, {one.id: one for one in kept.groups}
    updates = {update["update_id"]: update for update in kept.updates}
    last_message_id = kept.last_message_id
    for change in changes:
        last_message_id = max(last_message_id, change.last_message_id)
        if change.person:
            people[change.person.id] = _merged(people.get(change.person.id), change.person, change.deleted_id)
        if change.group:
            groups[change.group.id] = _merged(groups.get(change.group.id), change.group, change.deleted_id)
        if change.update:
            updates[change.update["update_id"]] = change.update
        for taken_id in change.taken_ids:
            updates.pop(taken_id, None)
    return Kept(
        last_message_id=last_message_id,
        people=list(people.values()),
        groups=list(groups.values()),
        updates=list(updates.values()),
    )


def _merged(before: AnyChat | None, after: AnyChat, deleted_id: int | None) -> AnyChat:
    """Return the chat as it is after a change, with the messages that it had before."""
    messages = {message["message_id"]: message for message in (before.messages if before else ())}
    messages |= {message["message_id"]: message for message in after.messages}
    if deleted_id is not None:
        messages.pop(deleted_id, None)
    after.messages = list(messages.values())
    after.silent_ids = sorted({*(before.silent_ids if before else ()), *after.silent_ids} & messages.keys())
    return after


def _person(chat: Chat, messages: list[JsonObject]) -> KeptPerson:
    person = chat.person or {}
    return KeptPerson(
        id=chat.id,
        name=person["first_name"],
        language_code=person["language_code"],
        is_started=chat.is_started,
        is_blocked=chat.is_blocked,
        is_deactivated=chat.is_deactivated,
        messages=messages,
        pinned_ids=chat.pinned_ids,
        silent_ids=_silent(chat, messages),
    )


def _group(chat: Chat, messages: list[JsonObject]) -> KeptGroup:
    return KeptGroup(
        id=chat.id,
        title=chat.card["title"],
        kind=chat.kind,
        is_forum=bool(chat.card.get("is_forum")),
        members=list(chat.members),
        topics=chat.topics,
        bot_status=chat.bot_status,
        migrated_to=chat.migrated_to,
        messages=messages,
        pinned_ids=chat.pinned_ids,
        silent_ids=_silent(chat, messages),
    )


def _silent(chat: Chat, messages: list[JsonObject]) -> list[int]:
    return [message["message_id"] for message in messages if message["message_id"] in chat.silent_ids]


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
