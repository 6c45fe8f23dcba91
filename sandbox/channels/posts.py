"""What a channel has posted, as Telegram keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Closed = Literal["not_found", "no_preview", "private"]
Media = Literal["photo", "video", "poll", "sticker"]


@dataclass(slots=True, kw_only=True)
class Origin:
    """Of a forwarded post: a channel, or somebody with a name and nothing else."""

    title: str
    channel: str | None = None
    number: int | None = None


@dataclass(slots=True, kw_only=True)
class SandboxPost:
    number: int
    html: str
    """As its author marked it up: tags of Telegram's HTML, new lines as they are."""
    at: datetime
    is_edited: bool = False
    media: Media | None = None
    is_service: bool = False
    """By the app itself: somebody has pinned something."""
    origin: Origin | None = None
    reply_to: int | None = None
    author: str | None = None
    buttons: tuple[tuple[str, str | None], ...] = ()
    """Text and where it leads; `None` does something in the app."""
    views: int = 0


@dataclass(slots=True, kw_only=True)
class SandboxChannel:
    name: str
    """Without `@`, in the case that its owner has chosen."""
    title: str
    peer: int
    """Stays when the name changes."""
    posts: dict[int, SandboxPost] = field(default_factory=dict[int, SandboxPost])
    last_number: int = 0
    closed: Closed | None = None

    def page(self, before: int | None, size: int) -> list[SandboxPost]:
        """The newest posts before a number, the oldest first."""
        return [post for number, post in sorted(self.posts.items()) if before is None or number < before][-size:]
