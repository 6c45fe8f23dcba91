"""sendMessage and sendChatAction."""

from __future__ import annotations

from typing import Any

import msgspec

from sandbox.telegram.cloud import Cloud
from sandbox.telegram.errors import bad_request
from sandbox.telegram.markup.formatting import text_content
from sandbox.telegram.methods.params import Params, decode_json
from sandbox.telegram.methods.registry import method
from sandbox.telegram.methods.sending import SendParams, open_chat

_ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)


class LinkPreviewOptions(msgspec.Struct, omit_defaults=True):
    is_disabled: bool = False
    url: str = ""
    prefer_small_media: bool = False
    prefer_large_media: bool = False
    show_above_text: bool = False


class SendMessage(SendParams):
    text: str = ""
    parse_mode: str = ""
    entities: str = ""
    link_preview_options: str = ""
    disable_web_page_preview: bool = False


@method("sendMessage", SendMessage, is_send=True)
def send_message(cloud: Cloud, params: SendMessage) -> dict[str, Any]:
    content = text_content(cloud, params.text, params.parse_mode, params.entities)
    preview = link_preview(params.link_preview_options, is_disabled=params.disable_web_page_preview)
    chat, outline = open_chat(cloud, params)
    cloud.charge(chat, "sendMessage")
    return cloud.post(chat, cloud.bot, {**outline, **content, **preview}, silent=params.disable_notification)


def link_preview(options: str, *, is_disabled: bool) -> dict[str, Any]:
    """`link_preview_options` of the message, if any were set."""
    chosen = LinkPreviewOptions(is_disabled)
    if options:
        chosen = decode_json(options, LinkPreviewOptions, "can't parse link preview options JSON object")
    shown = msgspec.to_builtins(chosen)
    return {"link_preview_options": shown} if shown else {}


class SendChatAction(Params):
    chat_id: str = ""
    action: str = ""


@method("sendChatAction", SendChatAction)
def send_chat_action(cloud: Cloud, params: SendChatAction) -> bool:
    if params.action not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    cloud.writable_chat(params.chat_id).tell("action", {"action": params.action})
    return True
