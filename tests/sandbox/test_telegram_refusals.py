"""Telegram's refusals, word for word."""

from __future__ import annotations

import io
import json
from typing import Any

import aiohttp
import pytest

from sandbox.telegram.server import TelegramSandbox
from tests.sandbox.telegram_kit import UNLIMITED, Clock, call, started

ANN = "ANN"
"""Stands for a started user's chat in the tables below."""
OWN = "OWN"
"""Stands for the id of a message that the bot sent to Ann ("hello", no keyboard)."""
HERS = "HERS"
"""Stands for the id of a message that Ann sent."""

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def keyboard(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"inline_keyboard": [[button] for button in buttons]}


def markup(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"chat_id": ANN, "text": "x", "reply_markup": keyboard(*buttons)}


def html(text: str) -> dict[str, Any]:
    return {"chat_id": ANN, "text": text, "parse_mode": "HTML"}


def mdv2(text: str) -> dict[str, Any]:
    return {"chat_id": ANN, "text": text, "parse_mode": "MarkdownV2"}


BAD_REQUESTS: list[tuple[str, dict[str, Any], str]] = [
    ("sendMessage", {"text": "x"}, "chat_id is empty"),
    ("sendMessage", {"chat_id": 5, "text": "x"}, "chat not found"),
    ("sendMessage", {"chat_id": "@nobody", "text": "x"}, "chat not found"),
    ("sendMessage", {"chat_id": "abc", "text": "x"}, "chat not found"),
    ("sendMessage", {"chat_id": ANN}, "message text is empty"),
    ("sendMessage", {"chat_id": ANN, "text": " \n\t "}, "message text is empty"),
    ("sendMessage", html("<b> </b>"), "message text is empty"),
    ("sendMessage", {"chat_id": ANN, "text": "a" * 4097}, "message is too long"),
    ("sendMessage", {"chat_id": ANN, "text": "😀" * 2049}, "message is too long"),
    ("sendMessage", {"chat_id": ANN, "text": "a" * 40_000}, "text is too long"),
    ("sendMessage", {"chat_id": ANN, "text": "x", "parse_mode": "bbcode"}, "unsupported parse_mode"),
    (
        "sendMessage",
        {"chat_id": ANN, "text": "x", "reply_parameters": {"message_id": 999}},
        "message to be replied not found",
    ),
    ("sendMessage", {"chat_id": ANN, "text": "x", "message_thread_id": 7}, "message thread not found"),
    ("sendMessage", html("<x>"), 'can\'t parse entities: Unsupported start tag "x" at byte offset 0'),
    ("sendMessage", html("é<b>"), "can't parse entities: Can't find end tag corresponding to start tag b"),
    ("sendMessage", html("é</b>"), "can't parse entities: Unexpected end tag at byte offset 2"),
    (
        "sendMessage",
        html("<b>x</i>"),
        'can\'t parse entities: Unmatched end tag at byte offset 4, expected "</b>", found "</i>"',
    ),
    ("sendMessage", html("1 < 2"), 'can\'t parse entities: Unsupported start tag "" at byte offset 2'),
    ("sendMessage", html("a <b"), "can't parse entities: Unclosed start tag at byte offset 2"),
    ("sendMessage", html("<b>a</b"), "can't parse entities: Unclosed end tag at byte offset 4"),
    (
        "sendMessage",
        html("<span>a</span>"),
        'can\'t parse entities: Tag "span" must have class "tg-spoiler" at byte offset 0',
    ),
    (
        "sendMessage",
        html("<tg-emoji>a</tg-emoji>"),
        "can't parse entities: Invalid custom emoji identifier specified",
    ),
    (
        "sendMessage",
        mdv2("a.b"),
        "can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'",
    ),
    ("sendMessage", mdv2("é*x"), "can't parse entities: Can't find end of Bold entity at byte offset 2"),
    ("sendMessage", mdv2("[a](b"), "can't parse entities: Can't find end of a URL at byte offset 4"),
    (
        "sendMessage",
        {"chat_id": ANN, "text": "x", "entities": [{"type": "bold", "offset": 0, "length": 2}]},
        "entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 2",
    ),
    (
        "sendMessage",
        {"chat_id": ANN, "text": "x", "entities": [{"type": "loud", "offset": 0, "length": 1}]},
        "can't parse MessageEntity: Unsupported type specified",
    ),
    ("sendMessage", markup({"text": "x", "callback_data": "é" * 33}), "BUTTON_DATA_INVALID"),
    (
        "sendMessage",
        markup({"text": "x", "url": "ftp://example.com"}),
        "inline keyboard button URL 'ftp://example.com' is invalid: Unsupported URL protocol",
    ),
    (
        "sendMessage",
        markup({"text": "x", "url": "http://localhost/"}),
        "inline keyboard button URL 'http://localhost/' is invalid: Wrong HTTP URL",
    ),
    (
        "sendMessage",
        markup({"text": "x", "web_app": {"url": "http://example.com"}}),
        "inline keyboard button Web App URL 'http://example.com' is invalid: Only HTTPS links are allowed",
    ),
    ("sendMessage", markup({"text": "x", "copy_text": {"text": "a" * 257}}), "BUTTON_COPY_TEXT_INVALID"),
    (
        "sendMessage",
        markup({"text": "x"}),
        "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
    ),
    (
        "sendMessage",
        markup({"callback_data": "x"}),
        "can't parse inline keyboard button: Can't find field \"text\"",
    ),
    (
        "sendMessage",
        markup({"text": "", "callback_data": "x"}),
        "inline keyboard button text must be non-empty",
    ),
    ("sendMessage", markup(*[{"text": "x", "callback_data": "x"}] * 101), "reply markup is too long"),
    (
        "sendMessage",
        {
            "chat_id": ANN,
            "text": "x",
            "reply_markup": {"inline_keyboard": [[{"text": "x", "callback_data": "x"}] * 9]},
        },
        "reply markup is too long",
    ),
    (
        "sendMessage",
        {"chat_id": ANN, "text": "x", "reply_markup": "{"},
        "can't parse reply keyboard markup JSON object",
    ),
    ("sendMessage", {"chat_id": ANN, "text": "x", "reply_markup": "[]"}, "object expected as reply markup"),
    (
        "sendMessage",
        {"chat_id": ANN, "text": "x", "reply_markup": {"inline_keyboard": [{}]}},
        'field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays',
    ),
    ("sendPhoto", {"chat_id": ANN}, "there is no photo in the request"),
    ("sendPhoto", {"chat_id": ANN, "photo": "nonsense"}, "wrong file identifier/HTTP URL specified"),
    ("sendPhoto", {"chat_id": ANN, "photo": "http://nowhere/x"}, "wrong HTTP URL specified"),
    (
        "sendPhoto",
        {"chat_id": ANN, "photo": "https://example.com/a.png", "caption": "a" * 1025},
        "message caption is too long",
    ),
    ("sendMediaGroup", {"chat_id": ANN, "media": []}, "there are no messages to send"),
    (
        "sendMediaGroup",
        {"chat_id": ANN, "media": [{"type": "photo", "media": "https://example.com/a.png"}] * 11},
        "too many messages to send as an album",
    ),
    (
        "sendMediaGroup",
        {"chat_id": ANN, "media": [{"type": "animation", "media": "x"}]},
        "can't parse InputMedia: type \"animation\" can't be used in sendMediaGroup",
    ),
    ("editMessageText", {"text": "x"}, "message identifier is not specified"),
    ("editMessageText", {"text": "x", "inline_message_id": "a"}, "MESSAGE_ID_INVALID"),
    ("editMessageText", {"chat_id": ANN, "message_id": 999, "text": "x"}, "message to edit not found"),
    ("editMessageText", {"chat_id": ANN, "message_id": "no", "text": "x"}, "message to edit not found"),
    ("editMessageText", {"chat_id": ANN, "message_id": HERS, "text": "x"}, "message can't be edited"),
    ("editMessageText", {"chat_id": ANN, "message_id": OWN, "text": "hello"}, NOT_MODIFIED),
    ("editMessageReplyMarkup", {"chat_id": ANN, "message_id": OWN}, NOT_MODIFIED),
    (
        "editMessageReplyMarkup",
        {"chat_id": ANN, "message_id": OWN, "reply_markup": {"force_reply": True}},
        "inline keyboard expected",
    ),
    (
        "editMessageCaption",
        {"chat_id": ANN, "message_id": OWN, "caption": "x"},
        "there is no caption in the message to edit",
    ),
    ("deleteMessage", {"chat_id": ANN}, "message identifier is not specified"),
    ("deleteMessage", {"chat_id": ANN, "message_id": 999}, "message to delete not found"),
    ("pinChatMessage", {"chat_id": ANN, "message_id": 999}, "message to pin not found"),
    ("unpinChatMessage", {"chat_id": ANN}, "message to unpin not found"),
    (
        "answerCallbackQuery",
        {"callback_query_id": "1"},
        "query is too old and response timeout expired or query ID is invalid",
    ),
    ("answerCallbackQuery", {"callback_query_id": "1", "text": "a" * 201}, "MESSAGE_TOO_LONG"),
    ("sendChatAction", {"chat_id": ANN, "action": "dancing"}, "wrong parameter action in request"),
    ("setMyCommands", {"commands": [{"command": "BAD", "description": "x"}]}, "BOT_COMMAND_INVALID"),
    ("setMyCommands", {"commands": "?"}, "can't parse commands JSON object"),
    ("getFile", {}, "file_id not specified"),
    ("getFile", {"file_id": "x"}, "invalid file_id"),
    ("getChat", {"chat_id": 5}, "chat not found"),
    ("getChatMember", {"chat_id": ANN}, "invalid user_id specified"),
    ("getChatMember", {"chat_id": ANN, "user_id": 5}, "user not found"),
    ("getChatAdministrators", {"chat_id": ANN}, "there are no administrators in the private chat"),
    ("setWebhook", {"url": "http://127.0.0.1/", "secret_token": "?"}, "secret token contains unallowed characters"),
]


@pytest.mark.parametrize(("method", "params", "description"), BAD_REQUESTS)
async def test_bad_requests(method: str, params: dict[str, Any], description: str) -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = await started(telegram)
        own = await call(telegram, "sendMessage", chat_id=ann.id, text="hello")
        stands_for = {ANN: ann.id, OWN: own["result"]["message_id"], HERS: ann.messages[0]["message_id"]}
        filled = {
            name: stands_for.get(value, value) if isinstance(value, str) else value for name, value in params.items()
        }
        answer = await call(telegram, method, **filled)
        assert answer == {
            "ok": False,
            "status": 400,
            "error_code": 400,
            "description": f"Bad Request: {description}",
        }
        assert telegram.stats.errors == {f"Bad Request: {description}": 1}
        assert len(ann.messages) == 2


async def test_the_limits_themselves_are_allowed() -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = await started(telegram)
        buttons = [[{"text": "x", "callback_data": "é" * 32}] * 8] * 12
        for params in (
            {"text": "a" * 4096},
            {"text": "😀" * 2048},
            {"text": f"<b>{'a' * 4096}</b>", "parse_mode": "HTML"},
            {"text": "x", "reply_markup": {"inline_keyboard": buttons}},
            {"text": "x", "reply_markup": keyboard({"text": "c", "copy_text": {"text": "a" * 256}})},
            {"text": "x", "reply_markup": keyboard({"text": "u", "url": "tg://resolve?domain=x"})},
            {"text": "x", "reply_markup": {"keyboard": [["plain"]]}},
            {"text": "x", "reply_parameters": {"message_id": 999, "allow_sending_without_reply": True}},
        ):
            answer = await call(telegram, "sendMessage", chat_id=ann.id, **params)
            assert answer["ok"], answer
        assert (await call(telegram, "SENDMESSAGE", chat_id=ann.id, text="any case"))["ok"]


async def test_a_quote_stands_in_the_message_word_for_word_and_without_what_it_would_have_to_keep() -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = await started(telegram)
        text = "😀 <b>bold</b> <code>code</code>"
        sent = await call(telegram, "sendMessage", chat_id=ann.id, text=text, parse_mode="HTML")
        there = {"message_id": sent["result"]["message_id"], "allow_sending_without_reply": True}
        for quote, position in (("code", 8), ("cod", 8), ("Code", None), ("bold", None), ("d c", None)):
            reply = {"chat_id": ann.id, "text": "x", "reply_parameters": {**there, "quote": quote}}
            answer = await call(telegram, "sendMessage", **reply)
            if position is None:
                assert answer["description"] == "Bad Request: QUOTE_TEXT_INVALID"
            else:
                assert answer["result"]["quote"] == {"text": quote, "position": position, "is_manual": True}


async def test_entities_over_a_hundred_are_dropped_in_silence() -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann = await started(telegram)
        text = "<b>a</b> " * 150
        answer = await call(telegram, "sendMessage", chat_id=ann.id, text=text, parse_mode="HTML")
        assert len(answer["result"]["entities"]) == 100


async def test_forbidden_and_migrated() -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram:
        ann, ben, cat = await started(telegram), telegram.user("Ben"), await started(telegram, "Cat")
        ann.block()
        cat.deactivate()
        group = telegram.group("Traders", [ben])
        upgraded = group.upgrade(ben)
        kicked = telegram.group("Others", [ben])
        kicked.kick_bot(ben)
        for chat_id, expected in (
            (ann.id, "Forbidden: bot was blocked by the user"),
            (ben.id, "Forbidden: bot can't initiate conversation with a user"),
            (cat.id, "Forbidden: user is deactivated"),
            (kicked.chat_id, "Forbidden: bot was kicked from the group chat"),
        ):
            answer = await call(telegram, "sendMessage", chat_id=chat_id, text="x")
            assert (answer["status"], answer["description"]) == (403, expected)
        moved = await call(telegram, "sendMessage", chat_id=group.chat_id, text="x")
        assert moved["description"] == "Bad Request: group chat was upgraded to a supergroup chat"
        assert moved["parameters"] == {"migrate_to_chat_id": upgraded.chat_id}


async def test_a_callback_is_answered_once_and_in_time() -> None:
    clock = Clock()
    async with TelegramSandbox(limits=UNLIMITED, clock=clock, query_expiry_s=15.0) as telegram:
        ann = await started(telegram)
        await call(
            telegram,
            "sendMessage",
            chat_id=ann.id,
            text="x",
            reply_markup=keyboard({"text": "A", "callback_data": "a"}),
        )
        message = await ann.next_message()
        person, cloud = ann.person, telegram.cloud
        for wait_s, is_answered in ((14.9, True), (15.1, False)):
            query_id, _ = cloud.ask(person, message, "a")
            clock.now += wait_s
            assert (await call(telegram, "answerCallbackQuery", callback_query_id=query_id))["ok"] is is_answered
            assert not (await call(telegram, "answerCallbackQuery", callback_query_id=query_id))["ok"]
        with pytest.raises(TimeoutError):
            await ann.tap("A", timeout_s=0.01)


async def test_unknown_methods_and_broken_requests() -> None:
    async with TelegramSandbox() as telegram, aiohttp.ClientSession(telegram.url) as session:
        assert (await call(telegram, "sendNonsense"))["description"] == "Not Found"
        for token, status in (("7000000001:" + "x" * 35, 401), ("nonsense", 404), ("1:x", 404)):
            async with session.get(f"/bot{token}/getMe") as response:
                assert response.status == status
        base = f"/bot{telegram.token}/sendMessage"
        async with session.post(base, data=b"{", headers={"Content-Type": "application/json"}) as response:
            assert json.loads(await response.read())["description"] == "Bad Request: can't parse JSON object"
        async with session.put(base) as response:
            assert response.status == 404
        async with session.post(base, data=io.BytesIO(b"x" * 53 * 1024 * 1024), headers=FORM) as response:
            assert response.status == 413
        async with session.get(f"/file/bot{telegram.token}/photos/none.png") as response:
            assert response.status == 404


async def test_every_way_to_pass_parameters() -> None:
    async with TelegramSandbox(limits=UNLIMITED) as telegram, aiohttp.ClientSession(telegram.url) as session:
        ann = await started(telegram)
        base = f"/bot{telegram.token}/sendMessage"
        params = {"chat_id": str(ann.id), "text": "häßlich & gut"}
        form = aiohttp.FormData(params, default_to_multipart=True)
        async with session.get(base, params=params) as first, session.post(base, data=params) as second:
            assert first.status == second.status == 200
        async with session.post(base, data=form) as third, session.post(base, json=params) as fourth:
            assert third.status == fourth.status == 200
        assert [each["text"] for each in ann.messages[1:]] == ["häßlich & gut"] * 4
