"""Buttons and text in Telegram's form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from typing import Any

import msgspec
from telegram import CopyTextButton, InlineKeyboardButton, InlineKeyboardMarkup, InputFile

from domain.delivery.messages import Button, Media

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")


def markup(keyboard: Sequence[Sequence[Button]]) -> InlineKeyboardMarkup | None:
    """Turn rows of buttons into Telegram's form; no rows, no markup."""
    if not keyboard:
        return None
    return InlineKeyboardMarkup([[_button(button) for button in row] for row in keyboard])


def _button(button: Button) -> InlineKeyboardButton:
    copy_text = None if button.copy is None else CopyTextButton(button.copy)
    return InlineKeyboardButton(button.text, callback_data=button.data, url=button.url, copy_text=copy_text)


def keyboard_json(keyboard: Sequence[Sequence[Button]]) -> str | None:
    """Give what `markup` gives as Telegram reads it."""
    if not keyboard:
        return None
    rows = [[_button_fields(button) for button in row] for row in keyboard]
    return msgspec.json.encode({"inline_keyboard": rows}).decode()


def _button_fields(button: Button) -> dict[str, Any]:
    fields: dict[str, Any] = {"text": button.text}
    if button.data is not None:
        fields["callback_data"] = button.data
    if button.url is not None:
        fields["url"] = button.url
    if button.copy is not None:
        fields["copy_text"] = {"text": button.copy}
    return fields


def file_of(media: Media) -> str | InputFile:
    """What Telegram is given: the file itself where it was made here, else its address or id."""
    return InputFile(media.content, filename="picture.png") if media.content else media.source


def plain_text(html: str) -> str:
    """Take the tags away and keep what people would have read."""
    return unescape(_TAG.sub("", html))
