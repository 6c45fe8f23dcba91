"""Message entities: offsets in UTF-16 units, order, trimming, and what Telegram finds by itself in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

ENTITIES_MAX = 100

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_UNCLEAN = re.compile("[\x00-\x09\x0b-\x1f\u2028-\u202e\u030a\u0333\u033f]")
_CLEANED: dict[int, str | None] = {
    **{code: " " for code in range(0x20) if chr(code) != "\n"},
    **dict.fromkeys((0x0D, *range(0x2028, 0x202F), 0x030A, 0x0333, 0x033F)),
}
_MAYBE_ENTITY = re.compile(r"[/@#$.]")
_EMAIL = r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,12}\b"
_TOP_LEVEL = "com|org|net|io|me|app|fun|xyz|dev|ai|co|info|gg|so|finance|trade|money|ru|de|uk|eu|us"
_URL = (
    r"(?:(?:https?|tg)://[^\s<>\"]+"
    rf"|(?<![\w@./-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+(?:{_TOP_LEVEL})\b(?::\d+)?(?:[/?#][^\s<>\"]*)?)"
)
_FOUND = re.compile(
    rf"(?P<email>{_EMAIL})"
    rf"|(?P<url>{_URL})"
    r"|(?<![\w/@])(?P<bot_command>/\w{1,64}(?:@\w{3,32})?)(?![\w/@])"
    r"|(?<![\w@])(?P<mention>@\w{3,32})\b"
    r"|(?<![\w#])(?P<hashtag>\#(?=\w*[^\W\d_])\w{1,256})(?![\w#])"
    r"|(?<![\w$])(?P<cashtag>\$(?:1INCH|[A-Z]{1,8}))(?![\w$])"
)
_ASCII_ONLY = frozenset({"bot_command", "mention"})
_URL_TAIL = ".,:;!?'\")]}…"

# Entities with the same place are nested in this order, outermost first.
_NESTING = {
    name: order
    for order, name in enumerate(
        (
            "blockquote",
            "expandable_blockquote",
            "pre",
            "code",
            "text_link",
            "text_mention",
            "bold",
            "italic",
            "underline",
            "strikethrough",
            "spoiler",
            "custom_emoji",
        )
    )
}
# Nothing is looked for inside these.
_OPAQUE = frozenset({"pre", "code", "text_link", "text_mention", "custom_emoji"})


class Entity(msgspec.Struct, omit_defaults=True):
    """A MessageEntity; `offset` and `length` count UTF-16 code units."""

    type: str
    offset: int
    length: int
    url: str | None = None
    user: dict[str, Any] | None = None
    language: str | None = None
    custom_emoji_id: str | None = None

    @property
    def end(self) -> int:
        return self.offset + self.length


def utf16_length(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def sort_entities(entities: list[Entity]) -> None:
    """By place; of two that begin together the longer one (the outer) comes first."""
    entities.sort(key=lambda entity: (entity.offset, -entity.length, _NESTING.get(entity.type, 99)))


def clean(text: str) -> str:
    """Without the characters that Telegram takes out of every text: controls and bidirectional overrides."""
    return text.translate(_CLEANED) if _UNCLEAN.search(text) else text


def trim(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Cut white space from both ends, as Telegram does; an entity keeps the space that it begins with."""
    stripped = text.rstrip()
    end = utf16_length(stripped)
    kept = [entity for entity in entities if entity.offset < end]
    for entity in kept:
        entity.length = min(entity.length, end - entity.offset)
    leading = len(stripped) - len(stripped.lstrip())
    if kept:
        leading = min(leading, kept[0].offset)
    if leading:
        stripped = stripped[leading:]
        for entity in kept:
            entity.offset -= leading
    return stripped, kept


def detect(text: str, marked: list[Entity]) -> list[Entity]:
    """Add to `marked` the commands, mentions, tags and addresses that stand in the text."""
    if not _MAYBE_ENTITY.search(text):
        return marked
    has_astral = _ASTRAL.search(text) is not None
    opaque = [entity for entity in marked if entity.type in _OPAQUE]
    found: list[Entity] = []
    for kind, start, value in _matches(text):
        offset = utf16_length(text[:start]) if has_astral else start
        length = utf16_length(value) if has_astral else len(value)
        if not any(other.offset < offset + length and offset < other.end for other in opaque):
            found.append(Entity(kind, offset, length))
    if not found:
        return marked
    merged = [*marked, *found]
    sort_entities(merged)
    return merged


def _matches(text: str) -> Iterator[tuple[str, int, str]]:
    for match in _FOUND.finditer(text):
        kind = match.lastgroup or ""
        value = match[kind]
        if kind in _ASCII_ONLY and not value.isascii():
            continue
        if kind == "url":
            value = value.rstrip(_URL_TAIL)
        yield kind, match.start(kind), value


def as_json(entities: list[Entity]) -> list[dict[str, Any]]:
    """At most 100 of them; Telegram drops the others without a word."""
    return msgspec.to_builtins(entities[:ENTITIES_MAX])
