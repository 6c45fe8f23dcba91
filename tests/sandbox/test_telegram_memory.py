"""People and chats over a restart of the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.telegram.server import TelegramSandbox
from tests.sandbox.telegram_kit import UNLIMITED, call

KEYS = {"inline_keyboard": [[{"text": "A", "callback_data": "a"}]]}


def sandbox(path: Path) -> TelegramSandbox:
    return TelegramSandbox(limits=UNLIMITED, kept_at=path)


async def test_people_chats_and_groups_are_there_again(tmp_path: Path) -> None:
    path = tmp_path / "telegram.json"
    async with sandbox(path) as telegram:
        ann, ben, cid = telegram.user("Ann", user_id=77), telegram.user("Ben"), telegram.user("Cid")
        forum = telegram.forum("Callers", [ann, ben])
        topic = forum.open_topic(ann, "Gems")
        await forum.send(ann, "/deliver_here", thread_id=topic, anonymous=True)
        own = await ann.send("/start")
        await ben.send("/start")
        ben.block()
        sent = await call(telegram, "sendMessage", chat_id=77, text="hi", reply_markup=KEYS)
        before = {chat.id: list(chat.messages) for chat in telegram.cloud.chats.values()}
    async with sandbox(path) as telegram:
        assert {chat.id: list(chat.messages) for chat in telegram.cloud.chats.values()} == before
        ann, ben, cid = telegram.user("Ann", user_id=77), telegram.user("Ben"), telegram.user("Cid")
        assert [user.chat.is_started for user in (ann, ben, cid)] == [True, True, False]
        assert [user.chat.is_blocked for user in (ann, ben, cid)] == [False, True, False]
        again = await call(telegram, "sendMessage", chat_id=77, text="once more")
        assert again["result"]["message_id"] > max(max(ids, default=0) for ids in before.values())
        edited = await call(telegram, "editMessageText", chat_id=77, message_id=sent["result"]["message_id"], text="ho")
        assert edited["ok"]
        await ann.send("/begin", edit_of=own["message_id"])
        [forum] = telegram.groups()
        assert (forum.title, forum.owner_id, forum.chat.topics) == ("Callers", 77, {topic: "Gems"})
        in_topic = await call(
            telegram, "sendMessage", chat_id=forum.chat_id, message_thread_id=topic, text="in the topic"
        )
        assert in_topic["ok"]
        with pytest.raises(LookupError, match="does not administer"):
            await forum.send(ben, "/deliver_here", anonymous=True)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"people": 1}', b'{"last_message_id": null}'])
async def test_a_file_that_cannot_be_read_costs_itself(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "telegram.json"
    path.write_bytes(content)
    async with sandbox(path) as telegram:
        assert telegram.users() == []
        await telegram.user("Ann").send("/start")
    async with sandbox(path) as telegram:
        assert [user.name for user in telegram.users()] == ["Ann"]


async def test_a_bot_has_no_menu_for_somebody_who_has_not_written_to_it(tmp_path: Path) -> None:
    async with sandbox(tmp_path / "telegram.json") as telegram:
        ann = telegram.user("Ann")
        commands = [{"command": "health", "description": "Health"}]
        menu = {"commands": commands, "scope": {"type": "chat", "chat_id": ann.id}}
        refused = await call(telegram, "setMyCommands", **menu)
        assert (refused["error_code"], refused["description"]) == (400, "Bad Request: chat not found")
        await ann.send("/start")
        assert (await call(telegram, "setMyCommands", **menu))["ok"]
        assert [each["command"] for each in telegram.cloud.commands_of(ann.chat)] == ["health"]
