"""Editing and deleting messages, and answering taps on their buttons."""

from __future__ import annotations

from typing import Any

from sandbox.telegram.cloud import Chat, Cloud
from sandbox.telegram.errors import NOT_MODIFIED, bad_request
from sandbox.telegram.markup.entities import utf16_length
from sandbox.telegram.markup.formatting import caption_content, text_content
from sandbox.telegram.markup.keyboards import inline_markup
from sandbox.telegram.markup.links import checked_link_or_none
from sandbox.telegram.media import media_content, stored_media
from sandbox.telegram.methods.media import InputMedia
from sandbox.telegram.methods.params import Params, decode_json
from sandbox.telegram.methods.registry import method
from sandbox.telegram.methods.send import link_preview

JsonObject = dict[str, Any]

_ANSWER_MAX = 200
_DELETED_AT_ONCE_MAX = 100
_TEXT = frozenset({"text", "entities", "link_preview_options"})
_CAPTION = frozenset({"caption", "caption_entities"})
_MEDIA = frozenset({"photo", "animation", "video", "document"})
_VOLATILE = frozenset({"edit_date"})


class EditParams(Params):
    chat_id: str = ""
    message_id: int = 0
    inline_message_id: str = ""
    reply_markup: str = ""


def _editable(cloud: Cloud, params: EditParams) -> tuple[Chat, JsonObject]:
    """Find the bot's own message that is to be edited."""
    if not params.chat_id and not params.message_id:
        if params.inline_message_id:
            raise bad_request("MESSAGE_ID_INVALID")  # the bot sends no inline messages
        raise bad_request("message identifier is not specified")
    chat = cloud.writable_chat(params.chat_id)
    message = chat.messages.get(params.message_id)
    if message is None:
        raise bad_request("message to edit not found")
    if message["from"] is not cloud.bot:
        raise bad_request("message can't be edited")
    return chat, message


def _edit(cloud: Cloud, params: EditParams, name: str, dropped: frozenset[str], content: JsonObject) -> JsonObject:
    """Replace the fields `dropped` by `content`. Without a new keyboard the old one goes, as on Telegram."""
    chat, former = _editable(cloud, params)
    markup = inline_markup(params.reply_markup, chat, only_inline=True, for_invoice="invoice" in former)
    kept = {
        key: value for key, value in former.items() if key not in dropped and key not in {"reply_markup", "edit_date"}
    }
    message = {**kept, **content}
    if markup is not None:
        message["reply_markup"] = markup
    if message == {key: value for key, value in former.items() if key not in _VOLATILE}:
        raise bad_request(NOT_MODIFIED)
    cloud.charge(chat, name, is_send=False)
    return cloud.replace(chat, message)


class EditMessageText(EditParams):
    text: str = ""
    parse_mode: str = ""
    entities: str = ""
    link_preview_options: str = ""
    disable_web_page_preview: bool = False


@method("editMessageText", EditMessageText, is_send=True)
def edit_message_text(cloud: Cloud, params: EditMessageText) -> JsonObject:
    content = text_content(cloud, params.text, params.parse_mode, params.entities)
    preview = link_preview(params.link_preview_options, is_disabled=params.disable_web_page_preview)
    if "text" not in _editable(cloud, params)[1]:
        raise bad_request("there is no text in the message to edit")
    return _edit(cloud, params, "editMessageText", _TEXT, {**content, **preview})


class EditMessageCaption(EditParams):
    caption: str = ""
    parse_mode: str = ""
    caption_entities: str = ""
    show_caption_above_media: bool = False


@method("editMessageCaption", EditMessageCaption, is_send=True)
def edit_message_caption(cloud: Cloud, params: EditMessageCaption) -> JsonObject:
    content = caption_content(cloud, params.caption, params.parse_mode, params.caption_entities)
    if _editable(cloud, params)[1].keys() & {"text", "invoice"}:
        raise bad_request("there is no caption in the message to edit")
    return _edit(cloud, params, "editMessageCaption", _CAPTION, content)


class EditMessageMedia(EditParams):
    media: str = ""


@method("editMessageMedia", EditMessageMedia, is_send=True)
def edit_message_media(cloud: Cloud, params: EditMessageMedia) -> JsonObject:
    item = decode_json(params.media, InputMedia, "can't parse input media JSON object")
    if item.type not in _MEDIA:
        raise bad_request(f'can\'t parse InputMedia: type "{item.type}" is unsupported')
    caption = item.caption_content(cloud)
    if "invoice" in _editable(cloud, params)[1]:
        raise bad_request("there is no media in the message to edit")
    file = stored_media(cloud, item.type, item.media, "media", params.uploads)
    content = {**media_content(file), **caption}
    return _edit(cloud, params, "editMessageMedia", _TEXT | _CAPTION | _MEDIA, content)


@method("editMessageReplyMarkup", EditParams, is_send=True)
def edit_message_reply_markup(cloud: Cloud, params: EditParams) -> JsonObject:
    return _edit(cloud, params, "editMessageReplyMarkup", frozenset(), {})


class DeleteMessage(Params):
    chat_id: str = ""
    message_id: int = 0


@method("deleteMessage", DeleteMessage)
def delete_message(cloud: Cloud, params: DeleteMessage) -> bool:
    if not params.chat_id:
        raise bad_request("chat identifier is not specified")
    if not params.message_id:
        raise bad_request("message identifier is not specified")
    chat = cloud.writable_chat(params.chat_id)
    message = chat.messages.get(params.message_id)
    if message is None:
        raise bad_request("message to delete not found")
    if not _is_deletable(cloud, chat, message):
        raise bad_request("message can't be deleted")
    cloud.delete(chat, params.message_id)
    return True


class DeleteMessages(Params):
    chat_id: str = ""
    message_ids: str = ""


@method("deleteMessages", DeleteMessages)
def delete_messages(cloud: Cloud, params: DeleteMessages) -> bool:
    if not params.message_ids:
        raise bad_request("message identifiers are not specified")
    message_ids = decode_json(params.message_ids, list[int], "can't parse message_ids JSON object")
    if len(message_ids) > _DELETED_AT_ONCE_MAX:
        raise bad_request("too many message identifiers specified")
    chat = cloud.writable_chat(params.chat_id)
    for message_id in message_ids:
        message = chat.messages.get(message_id)
        if message is not None and _is_deletable(cloud, chat, message):
            cloud.delete(chat, message_id)
    return True


def _is_deletable(cloud: Cloud, chat: Chat, message: JsonObject) -> bool:
    return chat.kind == "private" or message["from"] is cloud.bot or chat.bot_status == "administrator"


class AnswerCallbackQuery(Params):
    callback_query_id: str = ""
    text: str = ""
    show_alert: bool = False
    url: str = ""


@method("answerCallbackQuery", AnswerCallbackQuery)
def answer_callback_query(cloud: Cloud, params: AnswerCallbackQuery) -> bool:
    if utf16_length(params.text) > _ANSWER_MAX:
        raise bad_request("MESSAGE_TOO_LONG")
    if params.url and checked_link_or_none(params.url) is None:
        raise bad_request("URL_INVALID")
    answer = {"text": params.text, "show_alert": params.show_alert, "url": params.url}
    cloud.answer(params.callback_query_id, answer)
    return True
