"""Reply markups: what Telegram keeps of them and what it refuses."""

from __future__ import annotations

from typing import Any

import msgspec

from sandbox.telegram.cloud import Chat
from sandbox.telegram.errors import ApiError, bad_request
from sandbox.telegram.markup.entities import clean, utf16_length
from sandbox.telegram.markup.links import LinkError, checked_link, linked_user_id

BUTTONS_MAX = 100
BUTTONS_IN_ROW_MAX = 8
CALLBACK_DATA_MAX_BYTES = 64
COPY_TEXT_MAX = 256

JsonObject = dict[str, Any]
_STYLES = frozenset({"", "danger", "primary", "success"})


class CopyText(msgspec.Struct):
    text: str


class WebApp(msgspec.Struct):
    url: str


class InlineButton(msgspec.Struct):
    text: str
    url: str = ""
    callback_data: str = ""
    pay: bool | None = None
    switch_inline_query: str | None = None
    switch_inline_query_current_chat: str | None = None
    login_url: JsonObject | None = None
    web_app: WebApp | None = None
    copy_text: CopyText | None = None
    style: str = ""
    icon_custom_emoji_id: str = ""


class KeyboardButton(msgspec.Struct):
    text: str


class ReplyMarkup(msgspec.Struct):
    """Any of the four kinds of markup; which one it is shows in what is set."""

    inline_keyboard: list[list[InlineButton]] | None = None
    keyboard: list[list[KeyboardButton | str]] | None = None
    remove_keyboard: bool = False
    force_reply: bool = False


_DECODER = msgspec.json.Decoder(ReplyMarkup)


def inline_markup(text: str, chat: Chat, *, only_inline: bool = False, for_invoice: bool = False) -> JsonObject | None:
    """Return the inline keyboard that stays with the message; None without one.

    `only_inline`: an edited message cannot carry anything else. `for_invoice`: the first button must pay.
    """
    if not text:
        return None
    markup = _decoded(text)
    if markup.keyboard:
        for row in markup.keyboard:
            for button in row:
                if not (button if isinstance(button, str) else button.text):
                    raise bad_request("keyboard button text must be non-empty")
    elif markup.inline_keyboard:
        return _inline_keyboard(markup.inline_keyboard, chat, for_invoice=for_invoice)
    if only_inline and (markup.keyboard or markup.remove_keyboard or markup.force_reply):
        raise bad_request("inline keyboard expected")
    return None


def _decoded(text: str) -> ReplyMarkup:
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError as error:
        raise _misshapen(str(error)) from error
    except msgspec.DecodeError as error:
        raise bad_request("can't parse reply keyboard markup JSON object") from error


def _misshapen(why: str) -> ApiError:
    """Return Telegram's words for JSON of the wrong shape; `why` is msgspec's, which names the place."""
    place = why.rpartition("`$")[2].rstrip("`")
    is_button = place.count("[") >= 2  # noqa: PLR2004 -- a keyboard has two dimensions
    if place.startswith(".inline_keyboard"):
        return _misshapen_inline(why, place, is_button=is_button)
    if not place.startswith(".keyboard"):
        return bad_request("object expected as reply markup")
    if not is_button:
        return bad_request('field "keyboard" must be an Array of Arrays')
    return bad_request("can't parse keyboard button: KeyboardButton must be a String or an Object")


def _misshapen_inline(why: str, place: str, *, is_button: bool) -> ApiError:
    if not is_button:
        return bad_request('field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays')
    if "missing required field" in why:
        return _unreadable('Can\'t find field "text"')
    if place.endswith("]"):
        return _unreadable("InlineKeyboardButton must be an Object")
    return _unreadable(f'Field "{place.rpartition(".")[2]}" has a wrong type')


def _inline_keyboard(given: list[list[InlineButton]], chat: Chat, *, for_invoice: bool) -> JsonObject | None:
    rows = [[_inline_button(button, chat) for button in row] for row in given if row]
    if sum(len(row) for row in rows) > BUTTONS_MAX or any(len(row) > BUTTONS_IN_ROW_MAX for row in rows):
        raise bad_request("reply markup is too long")
    pays = ["pay" in button for row in rows for button in row]
    if for_invoice and pays and not pays[0]:
        raise bad_request("REPLY_MARKUP_BUY_EMPTY")
    if any(pays[1:] if for_invoice else pays):
        raise bad_request("BUTTON_TYPE_INVALID")
    return {"inline_keyboard": rows} if rows else None


def _inline_button(button: InlineButton, chat: Chat) -> JsonObject:
    if button.style not in _STYLES:
        raise _unreadable("invalid button style specified")
    text = clean(button.text)
    if not text.strip():
        raise bad_request("inline keyboard button text must be non-empty")
    kept = {"text": text, **_action(button, chat)}
    if button.style:
        kept["style"] = button.style
    if button.icon_custom_emoji_id:
        kept["icon_custom_emoji_id"] = button.icon_custom_emoji_id
    return kept


def _action(button: InlineButton, chat: Chat) -> JsonObject:
    """Return what the button does; of several fields Telegram keeps the first in its own order."""
    if button.url:
        return {"url": _button_url(button.url, "inline keyboard button")}
    if button.callback_data:
        if len(button.callback_data.encode("utf-8", "surrogatepass")) > CALLBACK_DATA_MAX_BYTES:
            raise bad_request("BUTTON_DATA_INVALID")
        return {"callback_data": button.callback_data}
    if button.pay is not None:
        return {"pay": True}
    for name in ("switch_inline_query", "switch_inline_query_current_chat", "login_url"):
        if getattr(button, name) is not None:
            return {name: getattr(button, name)}
    if button.web_app is not None:
        return {"web_app": _web_app(button.web_app.url, chat)}
    if button.copy_text is not None:
        if not 1 <= utf16_length(button.copy_text.text) <= COPY_TEXT_MAX:
            raise bad_request("BUTTON_COPY_TEXT_INVALID")
        return {"copy_text": {"text": button.copy_text.text}}
    raise _unreadable("Text buttons are unallowed in the inline keyboard")


def _button_url(url: str, what: str) -> str:
    if (user_id := linked_user_id(url)) is not None:
        return f"tg://user?id={user_id}"
    try:
        return checked_link(url)
    except LinkError as error:
        raise bad_request(f"{what} {error}") from error


def _web_app(url: str, chat: Chat) -> JsonObject:
    if chat.kind != "private":
        raise bad_request("BUTTON_TYPE_INVALID")
    if not url.lower().startswith("https://"):
        raise bad_request(f"inline keyboard button Web App URL '{url}' is invalid: Only HTTPS links are allowed")
    return {"url": _button_url(url, "inline keyboard button Web App")}


def _unreadable(why: str) -> ApiError:
    return bad_request(f"can't parse inline keyboard button: {why}")
