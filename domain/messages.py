"""What the bot says, before it knows how Telegram is spoken to."""

from __future__ import annotations

from msgspec import Struct


class Button(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Exactly one of `data`, `url` and `copy` is set."""

    text: str
    data: str | None = None
    """Callback data, 1-64 bytes."""
    url: str | None = None
    copy: str | None = None
    """Text put on the clipboard, at most 256 characters."""


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message: Telegram HTML, already escaped, at most 4096 UTF-16 units after parsing."""

    html: str
    keyboard: tuple[tuple[Button, ...], ...] = ()
    silent: bool = False
