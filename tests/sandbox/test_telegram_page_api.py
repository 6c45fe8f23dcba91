"""The HTTP side that the chat page uses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.telegram.server import TelegramSandbox
from tests.sandbox.telegram_kit import UNLIMITED, call, png, ptb_bot

API = "/sandbox/api"
BUTTONS = {"inline_keyboard": [[{"text": "A", "callback_data": "a"}, {"text": "U", "url": "https://x.com"}]]}


@asynccontextmanager
async def page(kept_at: Path | None = None) -> AsyncGenerator[tuple[TelegramSandbox, aiohttp.ClientSession]]:
    async with (
        TelegramSandbox(limits=UNLIMITED, kept_at=kept_at) as telegram,
        aiohttp.ClientSession(telegram.url) as session,
    ):
        yield telegram, session


async def get(session: aiohttp.ClientSession, path: str, **options: Any) -> tuple[int, Any]:
    async with session.get(f"{API}{path}", **options) as response:
        return response.status, json.loads(await response.read())


async def post(session: aiohttp.ClientSession, path: str, body: object, **options: Any) -> tuple[int, Any]:
    async with session.post(f"{API}{path}", json=body, **options) as response:
        return response.status, json.loads(await response.read())


async def test_users_and_their_messages() -> None:
    async with page() as (telegram, session):
        status, ann = await post(session, "/users", {"name": "Ann"})
        assert status == 201
        assert ann == {
            "id": ann["id"],
            "name": "Ann",
            "chat_id": ann["id"],
            "blocked": False,
            "last_text": None,
            "last_at": None,
        }
        status, message = await post(session, f"/users/{ann['id']}/messages", {"text": "/start"})
        assert status == 201
        assert message["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
        await call(telegram, "setMyCommands", commands=[{"command": "start", "description": "Start"}])
        await call(telegram, "sendMessage", chat_id=ann["id"], text="hi", reply_markup=BUTTONS)
        _, chat = await get(session, f"/users/{ann['id']}/chat")
        assert [each["text"] for each in chat["messages"]] == ["/start", "hi"]
        assert chat["messages"][1]["reply_markup"]["inline_keyboard"][0][0]["callback_data"] == "a"
        assert chat["commands"] == [{"command": "start", "description": "Start"}]
        _, users = await get(session, "/users")
        assert users["bot"]["username"] == "token_filter_bot"
        assert [(each["name"], each["last_text"]) for each in users["users"]] == [("Ann", "hi")]
        assert (await post(session, "/users", {"name": "Ann"}))[1]["id"] == ann["id"]


async def test_the_page_alone_knows_what_came_without_a_sound(tmp_path: Path) -> None:
    kept_at = tmp_path / "telegram.json"
    async with page(kept_at) as (telegram, session):
        ann = telegram.user("Ann")
        async with session.get(f"{API}/users/{ann.id}/events") as stream:
            await stream.content.readuntil(b"\n\n")
            await ann.send("/start")
            loud = await call(telegram, "sendMessage", chat_id=ann.id, text="loud")
            quiet = await call(telegram, "sendMessage", chat_id=ann.id, text="quiet", disable_notification=True)
            shot = await call(telegram, "sendPhoto", chat_id=ann.id, photo="https://x.com/a", disable_notification=True)
            edit = {"chat_id": ann.id, "message_id": quiet["result"]["message_id"], "text": "still quiet"}
            edited = await call(telegram, "editMessageText", **edit)
            assert not any("is_silent" in answer["result"] for answer in (loud, quiet, shot, edited))
            frames = [json.loads((await stream.content.readuntil(b"\n\n")).partition(b"data: ")[2]) for _ in range(5)]
        assert [frame.get("is_silent", False) for frame in frames] == [False, False, True, True, True]
    async with page(kept_at) as (telegram, session):
        _, chat = await get(session, f"/users/{telegram.users()[0].id}/chat")
        assert [one.get("is_silent", False) for one in chat["messages"]] == [False, False, True, True]


async def test_a_tap_brings_the_bots_answer() -> None:
    async with page() as (telegram, session), ptb_bot(telegram) as bot:
        ann = telegram.user("Ann")
        await ann.send("/start")
        sent = await call(telegram, "sendMessage", chat_id=ann.id, text="hi", reply_markup=BUTTONS)
        tap = {"message_id": sent["result"]["message_id"], "data": "a"}
        offset = (await bot.get_updates())[-1].update_id + 1
        answer = asyncio.create_task(post(session, f"/users/{ann.id}/taps", tap))
        (update,) = await bot.get_updates(offset=offset, timeout=10)
        assert update.callback_query is not None
        assert update.callback_query.data == "a"
        await update.callback_query.answer("done")
        assert await answer == (200, {"text": "done", "show_alert": False, "url": ""})
        for wrong in ({**tap, "data": "b"}, {**tap, "message_id": 999}):
            assert (await post(session, f"/users/{ann.id}/taps", wrong))[0] == 400


async def test_events_as_they_happen() -> None:
    async with page() as (telegram, session):
        ann = telegram.user("Ann")
        async with session.get(f"{API}/users/{ann.id}/events") as stream:
            assert stream.content_type == "text/event-stream"
            assert await stream.content.readuntil(b"\n\n") == b": ping\n\n"
            await ann.send("/start")
            sent = await call(telegram, "sendMessage", chat_id=ann.id, text="one")
            message_id = sent["result"]["message_id"]
            await call(telegram, "sendChatAction", chat_id=ann.id, action="typing")
            await call(telegram, "editMessageText", chat_id=ann.id, message_id=message_id, text="two")
            await call(telegram, "setMyCommands", commands=[{"command": "help", "description": "Help"}])
            await call(telegram, "deleteMessage", chat_id=ann.id, message_id=message_id)
            seen: list[tuple[str, Any]] = []
            for _ in range(6):
                frame = (await stream.content.readuntil(b"\n\n")).decode()
                event, data = frame.strip().split("\n")
                seen.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        assert [event for event, _ in seen] == ["message", "message", "action", "edit", "commands", "delete"]
        assert seen[0][1]["text"] == "/start"
        assert seen[2][1] == {"action": "typing"}
        assert seen[3][1]["text"] == "two"
        assert seen[4][1] == {"commands": [{"command": "help", "description": "Help"}]}
        assert seen[5][1] == {"message_id": message_id}


async def test_streams_end_with_the_server_and_with_the_tab() -> None:
    async with page() as (telegram, session):
        ann = telegram.user("Ann")
        listeners = len(ann.chat.listeners)
        stream = await session.get(f"{API}/users/{ann.id}/events")
        await stream.content.readuntil(b"\n\n")
        assert len(ann.chat.listeners) == listeners + 1
        stream.close()
        while len(ann.chat.listeners) > listeners:
            await ann.send("anyone?")
            await asyncio.sleep(0)
        last = await session.get(f"{API}/users/{ann.id}/events")
        await last.content.readuntil(b"\n\n")
        await telegram.__aexit__(None, None, None)
        assert await last.content.read() == b""


async def test_blocking() -> None:
    async with page() as (telegram, session):
        ann = telegram.user("Ann")
        await ann.send("/start")
        assert (await post(session, f"/users/{ann.id}/block", {"blocked": True}))[1]["blocked"]
        assert (await call(telegram, "sendMessage", chat_id=ann.id, text="x"))["status"] == 403
        assert not (await post(session, f"/users/{ann.id}/block", {"blocked": False}))[1]["blocked"]
        assert (await call(telegram, "sendMessage", chat_id=ann.id, text="x"))["ok"]


async def test_statistics_and_faults() -> None:
    async with page() as (telegram, session):
        telegram.extra_stats = lambda: {"feed_events_per_s": 12.5, "note": "calm"}
        status, faults = await post(session, "/faults", {"error_5xx_rate": 0.25, "latency_s": [0.0, 0.01]})
        assert status == 200
        assert (faults["error_5xx_rate"], telegram.faults.error_5xx_rate) == (0.25, 0.25)
        assert telegram.faults.latency_s == (0.0, 0.01)
        assert (await post(session, "/faults", {"error_5xx_rate": 2}))[0] == 400
        assert (await post(session, "/faults", {"nonsense": 1}))[0] == 400
        _, stats = await get(session, "/stats")
        assert stats["feed_events_per_s"] == 12.5
        assert stats["note"] == "calm"
        assert {"messages", "messages_per_s", "refusals_429", "errors", "updates", "faults"} <= set(stats)
        assert stats["faults"]["error_5xx_rate"] == 0.25
        await post(session, "/faults", {"storm_s": 30, "error_5xx_rate": 0})
        ann = telegram.user("Ann")
        await ann.send("/start")
        assert (await call(telegram, "sendMessage", chat_id=ann.id, text="x"))["status"] == 429


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/users", {"name": ""}),
        ("/users", {"name": "   "}),
        ("/users", {"name": "x" * 65}),
        ("/users", {"nom": "x"}),
        ("/users", []),
        ("/users/{ann}/messages", {"text": " \n"}),
        ("/users/{ann}/messages", {"text": "x" * 4097}),
        ("/users/{ann}/block", {"blocked": "perhaps"}),
    ],
)
async def test_bad_bodies_are_refused(path: str, body: object) -> None:
    async with page() as (telegram, session):
        status, answer = await post(session, path.format(ann=telegram.user("Ann").id), body)
        assert status == 400
        assert isinstance(answer["error"], str)


async def test_only_the_page_itself_may_ask() -> None:
    async with page() as (telegram, session):
        own = {"Origin": telegram.url}
        assert (await get(session, "/users", headers=own))[0] == 200
        assert (await get(session, "/users", headers={"Origin": "https://example.com"}))[0] == 403
        assert (await get(session, "/users", headers={"Origin": "null"}))[0] == 403
        assert (await get(session, "/users", headers={"Host": "example.com"}))[0] == 403
        assert (await get(session, "/users", headers={"Host": f"localhost:{telegram.port}"}))[0] == 200
        async with session.post(f"{API}/users", data='{"name":"x"}') as response:
            assert response.status == 400  # a form of another page can only send text/plain
        for path in ("/users/5/chat", "/users/x/chat", "/files/none"):
            assert (await get(session, path))[0] == 404


async def test_the_page_and_its_files() -> None:
    async with page() as (telegram, session):
        async with session.get("/") as response:
            assert response.status == 200
            assert response.content_type == "text/html"
            assert response.headers["Content-Security-Policy"] == (
                "default-src 'self'; img-src 'self' data: https: http://127.0.0.1:*; "
                "media-src 'self' https: http://127.0.0.1:*"
            )
        for name in ("..%2Fserver.py", "../server.py", "none.js", "%00"):
            async with session.get(f"/page/{name}") as response:
                assert response.status == 404
        ann = telegram.user("Ann")
        await ann.send("/start")
        async with ptb_bot(telegram) as bot:
            photo = await bot.send_photo(ann.id, png(), filename="a.png")
            document = await bot.send_document(ann.id, b"<script>", filename="a.html")
            linked = await bot.send_photo(ann.id, "https://example.com/a.png")
        assert document.document is not None
        async with session.get(f"{API}/files/{photo.photo[0].file_id}") as response:
            assert (response.content_type, await response.read()) == ("image/png", png())
        async with session.get(f"{API}/files/{document.document.file_id}") as response:
            assert response.content_type == "application/octet-stream"
        path = f"{API}/files/{linked.photo[0].file_id}"
        async with session.get(path, allow_redirects=False) as response:
            assert response.headers["Location"] == "https://example.com/a.png"
