"""Reading what the bot said with Telegram's eyes."""

from __future__ import annotations

from tests.conversation.telegram_wire import Said
from tests.texts.telegram_html import assert_sendable, shown, units


def only(said: list[Said], how: str) -> Said:
    """Return the one message of this kind, having looked at it with Telegram's eyes."""
    (one,) = [one for one in said if one.how == how]
    assert one.text
    assert_sendable(one.text)
    assert all(len(data.encode()) <= 64 for data in one.buttons.values() if data)
    assert all(0 < units(label) <= 64 for label in one.buttons)
    return one


def words(said: list[Said], how: str = "sent") -> str:
    return shown(only(said, how).text or "")


def button(said: list[Said], label: str) -> str:
    """Data of the one button whose label begins so."""
    (data,) = [data for one in said for text, data in one.buttons.items() if text.startswith(label) and data]
    return data


def alert(said: list[Said]) -> str:
    """Return what a tap was refused with."""
    (text,) = [one.text for one in said if one.how == "alerted"]
    return text or ""


def toast(said: list[Said]) -> str | None:
    (text,) = [one.text for one in said if one.how == "answered"]
    return text
