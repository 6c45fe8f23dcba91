"""What the bot says, before it knows how Telegram is spoken to."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

MediaKind = Literal["photo", "animation", "video"]


class Media(Struct, frozen=True):
    """A picture or film that goes above a text."""

    kind: MediaKind
    source: str
    """An http(s) address that Telegram fetches, or the file id under which Telegram has it; of a picture that was made
    here, a name for it."""
    content: bytes = b""
    """A PNG that was made here. It is sent once; from then on its file id goes out."""


class SentMedia(Struct, frozen=True):
    message_id: int
    file_id: str | None
    """Stands for the file from now on; `None` when Telegram made something else of it."""


class Button(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Exactly one of `data`, `url` and `copy` is set."""

    text: str
    data: str | None = None
    """Callback data, 1-64 bytes."""
    url: str | None = None
    copy: str | None = None
    """Text put on the clipboard, at most 256 characters."""


class Edited(Struct, frozen=True):
    """An earlier message that says something else from now on."""

    message_id: int
    has_picture: bool = False
    """The text probably stands under a picture; the other way is tried as well."""


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message: Telegram HTML, already escaped, at most 4096 UTF-16 units after parsing."""

    html: str
    keyboard: tuple[tuple[Button, ...], ...] = ()
    silent: bool = False
    reply_to: int | None = None
    """The id of an earlier message in the same chat that this one answers; if it is gone, this one stands alone."""
    quote: str = ""
    """What of that message is answered, word for word and of no bold text. Where it says no such thing, as a digest
    turned to another page, this one stands alone: Telegram would show its first lines, which are of something else."""
    thread_id: int | None = None
    """The topic of a forum that an answer goes to."""
    edits: Edited | None = None
    """It takes the place of this message in the same chat; where that has gone, nothing is said."""
    picture: bytes = b""
    """A PNG that goes above the text, which then is at most 1024 units long. Only in answers, never stored."""
