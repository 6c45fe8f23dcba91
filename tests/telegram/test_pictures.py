"""Answers with a picture, against the sandbox's Telegram."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator

import pytest
import segno
from msgspec.structs import replace

from domain.delivery.messages import Button, Message
from managers.telegram.client import TelegramManager
from managers.telegram.conversation import TelegramConversation
from managers.telegram.rate_limiter import TelegramRateLimiter
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox

TEXT = Message(html="<b>hello</b>", keyboard=((Button(text="Go on", data="go"),),))


def png(what: str) -> bytes:
    picture = io.BytesIO()
    segno.make(what).save(picture, kind="png", scale=4)
    return picture.getvalue()


PICTURE = replace(TEXT, picture=png("solana:one"))
OTHER = replace(TEXT, html="other", picture=png("solana:other"))
BROKEN = replace(TEXT, picture=b"no picture")


@pytest.fixture
async def telegram() -> AsyncGenerator[TelegramSandbox]:
    async with TelegramSandbox() as telegram:
        yield telegram


@pytest.fixture
async def ann(telegram: TelegramSandbox) -> SandboxUser:
    ann = telegram.user("Ann")
    await ann.send("/start")
    return ann


@pytest.fixture
async def conversation(telegram: TelegramSandbox) -> AsyncGenerator[TelegramConversation]:
    manager = TelegramManager(token=telegram.token, api_base=telegram.url, limiter=TelegramRateLimiter())
    async with manager.opened():
        yield TelegramConversation(manager)


async def test_a_picture_comes_with_text_and_buttons(conversation: TelegramConversation, ann: SandboxUser) -> None:
    message_id = await conversation.send(ann.id, PICTURE)
    message = ann.chat.messages[message_id]
    assert message["photo"][-1]["file_size"] == len(PICTURE.picture)
    assert (message["caption"], message["caption_entities"][0]["type"]) == ("hello", "bold")
    assert message["reply_markup"]["inline_keyboard"][0][0]["text"] == "Go on"


@pytest.mark.parametrize("before", [TEXT, PICTURE], ids=["text", "picture"])
async def test_a_message_gets_a_picture_in_place(
    conversation: TelegramConversation, ann: SandboxUser, before: Message
) -> None:
    message_id = await conversation.send(ann.id, before)
    await conversation.edit(ann.id, message_id, OTHER)
    message = ann.chat.messages[message_id]
    assert message["photo"][-1]["file_size"] == len(OTHER.picture)
    assert message["caption"] == "other"
    assert "text" not in message
    assert "reply_markup" in message


async def test_a_refused_picture_leaves_the_text(conversation: TelegramConversation, ann: SandboxUser) -> None:
    sent = ann.chat.messages[await conversation.send(ann.id, BROKEN)]
    assert (sent["text"], "photo" in sent) == ("hello", False)
    await conversation.edit(ann.id, sent["message_id"], replace(BROKEN, html="more"))
    assert ann.chat.messages[sent["message_id"]]["text"] == "more"


async def test_text_takes_the_place_of_a_picture_once(conversation: TelegramConversation, ann: SandboxUser) -> None:
    message_id = await conversation.send(ann.id, PICTURE)
    await conversation.edit(ann.id, message_id, TEXT)
    assert message_id not in ann.chat.messages
    assert [message["text"] for message in ann.messages if message["from"]["is_bot"]] == ["hello"]
    await conversation.edit(ann.id, message_id, TEXT)
    await conversation.edit(ann.id, message_id, replace(TEXT, html="more"))
    assert [message["text"] for message in ann.messages if message["from"]["is_bot"]] == ["more"]
