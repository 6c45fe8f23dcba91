"""What Telegram says of a post, as an account gets it: objects of its schema in, `Post` out. No network, no library.

Objects are told apart by the names of their constructors, as https://core.telegram.org/schema lists them, so that it
does not matter which version of the schema a library speaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from domain.posts.post import MAX_ENTITIES, Button, Entity, ForwardedFrom, Post, runs_of

MAX_BUTTONS: Final = 100
_KINDS: Final[Mapping[str, Literal["code", "pre", "text_link"]]] = {
    "MessageEntityCode": "code",
    "MessageEntityPre": "pre",
    "MessageEntityTextUrl": "text_link",
}


def kind_of(thing: Any) -> str:
    """Return the name of an object's constructor."""
    return type(thing).__name__


def channel_id_of(message: Any) -> int | None:
    """Return of which channel a message is."""
    return getattr(getattr(message, "peer_id", None), "channel_id", None)


def names_of(chat: Any) -> tuple[str, ...]:
    """Return the public names of a channel as `@name` in small letters, the first one first."""
    more = [one.username for one in getattr(chat, "usernames", None) or () if getattr(one, "active", False)]
    names = [getattr(chat, "username", None), *more]
    return tuple(dict.fromkeys(f"@{name.lower()}" for name in names if name))


def post_of(message: Any, channel: str, chats: Iterable[Any]) -> Post | None:
    """Read a message of a channel; `None` if it is no post. `ValueError` if it cannot be read.

    `chats`: what came beside it, among which are those that it was forwarded from. Of an album each picture is a post.
    """
    if kind_of(message) != "Message":
        return None
    text = message.message or ""
    if not text and message.media is None:
        raise ValueError("neither text nor anything that is known to have none")
    edited_at = message.edit_date if message.edit_date and not message.edit_hide else None
    return Post(
        channel=channel,
        number=message.id,
        runs=runs_of(text, _entities(message.entities)) if text else (),
        buttons=tuple(_buttons(message.reply_markup)),
        posted_at=_moment(message.date),
        edited_at=_moment(edited_at) if edited_at else None,
        forwarded_from=_origin(message.fwd_from, chats) if message.fwd_from else None,
    )


def _entities(entities: Any) -> Iterator[Entity]:
    for one in [one for one in entities or () if kind_of(one) in _KINDS][:MAX_ENTITIES]:
        yield Entity(_KINDS[kind_of(one)], one.offset, one.length, getattr(one, "url", None))


def _buttons(markup: Any) -> Iterator[Button]:
    """Those that lead somewhere, or give something to copy; what asks a bot does neither."""
    if kind_of(markup) != "ReplyInlineMarkup":
        return
    for button in [button for row in markup.rows for button in row.buttons][:MAX_BUTTONS]:
        action = getattr(button, "type", None) or button
        target = getattr(action, "url", None) or getattr(action, "copy_text", None)
        if target:
            yield Button(button.text, target)


def _origin(header: Any, chats: Iterable[Any]) -> ForwardedFrom:
    posted_at = _moment(header.date) if header.date else None
    written_by = getattr(header.from_id, "channel_id", None)
    if written_by is None:
        return ForwardedFrom(title=header.from_name, posted_at=posted_at)
    chat = next((chat for chat in chats if kind_of(chat).startswith("Channel") and chat.id == written_by), None)
    return ForwardedFrom(
        channel=next(iter(names_of(chat)), None),
        title=chat.title if chat is not None else header.from_name,
        number=header.channel_post,
        posted_at=posted_at,
    )


def _moment(said: Any) -> datetime:
    if not isinstance(said, datetime) or said.tzinfo is None:
        raise ValueError("a post without a time")
    return said.astimezone(UTC)
