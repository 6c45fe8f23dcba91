"""What every method that sends has in common: where to, as an answer to what, with which buttons."""

from __future__ import annotations

from typing import Any

import msgspec

from sandbox.telegram.cloud import Chat, Cloud
from sandbox.telegram.errors import bad_request
from sandbox.telegram.markup.entities import utf16_length
from sandbox.telegram.markup.keyboards import inline_markup
from sandbox.telegram.methods.params import Params, decode_json


class SendParams(Params):
    chat_id: str = ""
    message_thread_id: int = 0
    reply_parameters: str = ""
    reply_to_message_id: int = 0
    allow_sending_without_reply: bool = False
    disable_notification: bool = False
    protect_content: bool = False
    reply_markup: str = ""
    message_effect_id: str = ""


class ReplyParameters(msgspec.Struct):
    message_id: int = 0
    chat_id: int | str | None = None
    allow_sending_without_reply: bool = False
    quote: str = ""


_KEPT_IN_QUOTES = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler", "custom_emoji"})
_MAX_QUOTE = 1024


def open_chat(cloud: Cloud, params: SendParams, *, for_invoice: bool = False) -> tuple[Chat, dict[str, Any]]:
    """Return the chat and the part of the message's content that does not depend on what is sent."""
    chat = cloud.writable_chat(params.chat_id)
    content: dict[str, Any] = {}
    if params.message_thread_id and (chat.kind == "private" or chat.card.get("is_forum")):
        if params.message_thread_id not in chat.thread_ids:
            raise bad_request("message thread not found")
        content["message_thread_id"] = params.message_thread_id
        content["is_topic_message"] = True
    replied, quote = _replied_message(cloud, chat, params)
    if replied is not None:
        content |= _quoted(replied, quote)
        content["reply_to_message"] = {key: value for key, value in replied.items() if key != "reply_to_message"}
    markup = inline_markup(params.reply_markup, chat, for_invoice=for_invoice)
    if markup is not None:
        content["reply_markup"] = markup
    if params.protect_content:
        content["has_protected_content"] = True
    if params.message_effect_id:
        if chat.kind != "private":
            raise bad_request("message effects can be used in private chats only")
        content["effect_id"] = params.message_effect_id
    return chat, content


def _replied_message(cloud: Cloud, chat: Chat, params: SendParams) -> tuple[dict[str, Any] | None, str]:
    """Return the message that is replied to, and what of it is quoted."""
    reply = ReplyParameters(params.reply_to_message_id, None, params.allow_sending_without_reply)
    if params.reply_parameters:
        unreadable = "can't parse reply parameters JSON object"
        reply = decode_json(params.reply_parameters, ReplyParameters, unreadable)
    if not reply.message_id:
        return None, ""
    there = cloud.find_chat(str(reply.chat_id)) if reply.chat_id is not None else chat
    message = there.messages.get(reply.message_id)
    if message is None and not reply.allow_sending_without_reply:
        raise bad_request("message to be replied not found")
    return message, reply.quote


def _quoted(message: dict[str, Any], quote: str) -> dict[str, Any]:
    """Return what a quote adds; it has to stand in the message, without the formatting that a quote would keep."""
    if not quote:
        return {}
    text = message.get("text") or message.get("caption") or ""
    place = text.find(quote)
    if place < 0 or len(quote) > _MAX_QUOTE:
        raise bad_request("QUOTE_TEXT_INVALID")
    position = utf16_length(text[:place])
    end = position + utf16_length(quote)
    for one in message.get("entities") or message.get("caption_entities") or ():
        if one["type"] in _KEPT_IN_QUOTES and one["offset"] < end and position < one["offset"] + one["length"]:
            raise bad_request("QUOTE_TEXT_INVALID")
    return {"quote": {"text": quote, "position": position, "is_manual": True}}
