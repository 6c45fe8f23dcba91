"""A post as a channel shows it, in one form for every way of reading channels.

The text comes in runs: stretches of it that are code, or lead somewhere, or neither. A page's HTML gives them in the
order in which they stand (a line break is a new line); Telegram's entities give them by `runs_of`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

MAX_ENTITIES: Final = 200
"""Telegram shows a hundred; more than this is somebody's joke."""
_UNIT_BYTES: Final = 2


class Run(Struct, frozen=True):
    text: str
    is_code: bool = False
    """Set in a fixed width, in a line or a block of its own."""
    link: str | None = None
    """Where it leads, if that is not what it says."""


class Button(Struct, frozen=True):
    """What stands under a post and leads somewhere."""

    text: str
    target: str


class ForwardedFrom(Struct, frozen=True, kw_only=True):
    """Where a post was written first."""

    channel: str | None = None
    """As `Post.channel`; `None` for a person, or a channel that hides."""
    title: str | None = None
    """Attacker-controlled text."""
    number: int | None = None
    posted_at: datetime | None = None


class Post(Struct, frozen=True, kw_only=True):
    channel: str
    """Stable id of the channel that shows it, as in `domain.calls.events.Channel`."""
    number: int
    """Of the post within its channel."""
    runs: tuple[Run, ...]
    """The text, or what is written under a picture. Attacker-controlled."""
    buttons: tuple[Button, ...] = ()
    posted_at: datetime
    edited_at: datetime | None = None
    """When it was changed; where a page says only that it was, when that was read."""
    is_edit_dated: bool = True
    """Somebody says when it was changed."""
    forwarded_from: ForwardedFrom | None = None


class Entity(Struct, frozen=True):
    """A mark on a stretch of text, as Telegram gives it: counted in UTF-16 units."""

    kind: Literal["code", "pre", "text_link", "other"]
    offset: int
    length: int
    url: str | None = None


def readable(post: Post) -> Post:
    """Return the post without what no store can hold: NUL is left out, half a surrogate pair becomes U+FFFD."""
    origin = post.forwarded_from
    return replace(
        post,
        runs=tuple(
            replace(run, text=readable_text(run.text), link=run.link and readable_text(run.link)) for run in post.runs
        ),
        buttons=tuple(Button(readable_text(one.text), readable_text(one.target)) for one in post.buttons),
        forwarded_from=origin and replace(origin, title=origin.title and readable_text(origin.title)),
    )


def readable_text(text: str) -> str:
    if text.isascii():
        return text.replace("\0", "")
    return text.replace("\0", "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def runs_of(text: str, entities: Iterable[Entity]) -> tuple[Run, ...]:
    """Cut a text where its marks begin and end; marks may overlap, and those outside the text mark nothing."""
    units = text.encode("utf-16-le", "surrogatepass")
    size = len(units) // _UNIT_BYTES
    marks: list[tuple[int, int, Entity]] = []
    for entity in [one for one in entities if one.kind != "other"][:MAX_ENTITIES]:
        start, end = max(0, entity.offset), min(size, entity.offset + entity.length)
        if start < end:
            marks.append((start, end, entity))
    cuts = sorted({0, size, *(start for start, _, _ in marks), *(end for _, end, _ in marks)})
    runs: list[Run] = []
    for start, end in pairwise(cuts):
        over = [entity for from_, to, entity in marks if from_ <= start and end <= to]
        runs.append(
            Run(
                units[start * _UNIT_BYTES : end * _UNIT_BYTES].decode("utf-16-le", "surrogatepass"),
                is_code=any(entity.kind in {"code", "pre"} for entity in over),
                link=next((entity.url for entity in over if entity.kind == "text_link" and entity.url), None),
            )
        )
    return tuple(runs)
