"""People and chats over a restart of the sandbox."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.telegram.server import DEFAULT_TOKEN, TelegramSandbox
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


class Killed:
    """The sandbox's Telegram as a process of its own, which ends without a word."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self._process = process
        self._url = url

    @classmethod
    async def started(cls, path: Path) -> Killed:
        arguments = ("-m", "sandbox.telegram", "--port", "0", "--keep", str(path))
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        assert process.stdout
        url = (await process.stdout.readline()).decode().split()[2].rstrip("/")
        return cls(process, url)

    async def bot(self, method: str, **params: Any) -> Any:
        return (await self._post(f"/bot{DEFAULT_TOKEN}/{method}", params))["result"]

    async def page(self, path: str, body: object) -> Any:
        return await self._post(f"/sandbox/api{path}", body)

    async def _post(self, path: str, body: object) -> Any:
        async with aiohttp.ClientSession(self._url) as session, session.post(path, json=body) as response:
            return json.loads(await response.read())

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()


async def test_what_was_confirmed_is_there_once_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "telegram.json"
    said: dict[int, str] = {}
    for run in range(2):
        telegram = await Killed.started(path)
        ann, ben = [(await telegram.page("/users", {"name": name}))["id"] for name in ("Ann", "Ben")]
        own = [await telegram.page(f"/users/{one}/messages", {"text": f"/start {run}"}) for one in (ann, ben)]
        alert = await telegram.bot("sendMessage", chat_id=ann, text=f"alert {run}")
        assert alert["message_id"] not in said
        edited = await telegram.bot(
            "editMessageText", chat_id=ann, message_id=alert["message_id"], text=f"another {run}"
        )
        deleted = await telegram.bot("sendMessage", chat_id=ben, text=f"deleted {run}")
        await telegram.bot("deleteMessage", chat_id=ben, message_id=deleted["message_id"])
        last = await telegram.bot("sendMessage", chat_id=ben, text=f"last {run}", disable_notification=True)
        await telegram.kill()
        said |= {message["message_id"]: message["text"] for message in (*own, edited, last)}
    async with sandbox(path) as telegram:
        chats = telegram.users()
        found = [message for user in chats for message in user.messages]
        assert len(found) == len(said)
        assert {message["message_id"]: message["text"] for message in found} == said
        silent = [user.chat.as_seen(message) for user in chats for message in user.messages]
        assert [message["text"] for message in silent if "is_silent" in message] == ["last 0", "last 1"]


async def test_who_they_are_and_what_they_did_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "telegram.json"
    telegram = await Killed.started(path)
    mara, ben = [await telegram.page("/users", {"name": name}) for name in ("Mara", "Ben")]
    await telegram.page(f"/users/{ben['id']}/block", {"blocked": True})
    group = await telegram.page("/groups", {"title": "Traders", "owner": mara["id"], "topics": True})
    topic = (await telegram.page(f"/users/{mara['id']}/groups/{group['id']}/topics", {"name": "Gems"}))["topics"]
    alert = await telegram.bot(
        "sendMessage", chat_id=group["id"], text="alert", message_thread_id=topic[0]["id"], reply_markup=KEYS
    )
    await telegram.kill()
    with path.with_suffix(".changes").open("ab") as changes:
        changes.write(b'{"last_message_id": 1, "per')  # a disk that was full
    async with sandbox(path) as again:
        assert [(user.name, user.chat.is_blocked) for user in again.users()] == [("Mara", False), ("Ben", True)]
        [found] = again.groups()
        assert (found.title, found.owner_id, found.chat.topics) == ("Traders", mara["id"], {topic[0]["id"]: "Gems"})
        assert found.messages[-1] == alert
    async with sandbox(path) as again:
        assert again.groups()[0].messages[-1] == alert
        assert not path.with_suffix(".changes").exists()


async def test_what_the_bot_has_not_taken_it_gets_after_a_kill_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "telegram.json"
    telegram = await Killed.started(path)
    ann = (await telegram.page("/users", {"name": "Ann"}))["id"]
    await telegram.page(f"/users/{ann}/messages", {"text": "taken"})
    [taken] = await telegram.bot("getUpdates")
    await telegram.bot("getUpdates", offset=taken["update_id"] + 1)
    await telegram.page(f"/users/{ann}/messages", {"text": "not taken"})
    await telegram.kill()
    for is_killed in (True, False):
        telegram = await Killed.started(path)
        [update] = await telegram.bot("getUpdates")
        assert update["message"]["text"] == "not taken"
        if is_killed:
            await telegram.kill()
    await telegram.page(f"/users/{ann}/messages", {"text": "later"})
    later = await telegram.bot("getUpdates", offset=update["update_id"] + 1)
    assert [each["message"]["text"] for each in later] == ["later"]
    await telegram.kill()
