"""A text parameter with its parse mode or entities, as it ends up in the message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.telegram.cloud import Cloud
from sandbox.telegram.errors import ApiError, bad_request
from sandbox.telegram.markup.entities import Entity, as_json, clean, detect, sort_entities, trim, utf16_length
from sandbox.telegram.markup.html import parse_html
from sandbox.telegram.markup.links import LinkError, checked_link
from sandbox.telegram.markup.markdown import parse_markdown_v2
from sandbox.telegram.methods.params import decode_json

TEXT_MAX = 4096
CAPTION_MAX = 1024
_SOURCE_MAX_BYTES = 1 << 15

_MONOSPACE = frozenset({"pre", "code"})
_QUOTES = frozenset({"blockquote", "expandable_blockquote"})
_CONTINUOUS = frozenset({"pre", "code", "text_link", "text_mention", "custom_emoji"})
_MARKED_BY_BOTS = _CONTINUOUS | {
    "bold",
    "italic",
    "underline",
    "strikethrough",
    "spoiler",
    "blockquote",
    "expandable_blockquote",
}
_FOUND_BY_TELEGRAM = frozenset(
    {"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"}
)


def text_content(cloud: Cloud, text: str, parse_mode: str, entities: str) -> dict[str, Any]:
    """`text` and `entities` of a message; refuses an empty text and one over 4096 UTF-16 units."""
    if not text:
        raise bad_request("message text is empty")
    plain, marked = _format(cloud, text, parse_mode, entities)
    if not plain:
        raise bad_request("message text is empty")
    if utf16_length(plain) > TEXT_MAX:
        raise bad_request("message is too long")
    return {"text": plain, "entities": as_json(marked)} if marked else {"text": plain}


def caption_content(cloud: Cloud, caption: str, parse_mode: str, entities: str) -> dict[str, Any]:
    """`caption` and `caption_entities`; nothing without a caption, refuses one over 1024 UTF-16 units."""
    plain, marked = _format(cloud, caption, parse_mode, entities)
    if utf16_length(plain) > CAPTION_MAX:
        raise bad_request("message caption is too long")
    if not plain:
        return {}
    return {"caption": plain, "caption_entities": as_json(marked)} if marked else {"caption": plain}


def _format(cloud: Cloud, text: str, parse_mode: str, entities: str) -> tuple[str, list[Entity]]:
    if len(text) * 4 > _SOURCE_MAX_BYTES and len(text.encode("utf-8", "surrogatepass")) > _SOURCE_MAX_BYTES:
        raise bad_request("text is too long")
    mode = parse_mode.lower()
    if mode in {"", "none"}:
        marked = _given_entities(text, entities) if entities else []
        plain = text if marked else clean(text)
    elif mode == "html":
        plain, marked = parse_html(clean(text))
    elif mode == "markdownv2":
        plain, marked = parse_markdown_v2(clean(text))
    else:
        raise bad_request("unsupported parse_mode")
    if marked:
        marked = _settle(cloud, marked)
    plain, marked = trim(plain, marked)
    return plain, detect(plain, marked)


def _settle(cloud: Cloud, marked: list[Entity]) -> list[Entity]:
    """Sorted; mentions of unknown people dropped; nothing overlaps a link or code but what is around it.

    Of links and code within each other only the outer one stays, and styles are cut out of code.
    """
    sort_entities(marked)
    continuous: list[Entity] = []
    for entity in marked:
        if entity.type not in _CONTINUOUS or (entity.type == "text_mention" and not _introduce(cloud, entity)):
            continue
        if not continuous or entity.offset >= continuous[-1].end:
            continuous.append(entity)
    code = [entity for entity in continuous if entity.type in _MONOSPACE]
    settled = list(continuous)
    for entity in marked:
        if entity.type in _QUOTES:
            settled.append(entity)
        elif entity.type not in _CONTINUOUS:
            settled.extend(_outside(entity, code))
    sort_entities(settled)
    return settled


def _outside(entity: Entity, code: list[Entity]) -> Iterator[Entity]:
    """Yield the pieces of a style that do not stand in code; `code` is sorted and apart."""
    begin = entity.offset
    for hole in code:
        if hole.offset < entity.end and begin < hole.end:
            if begin < hole.offset:
                yield Entity(entity.type, begin, hole.offset - begin)
            begin = hole.end
    if begin < entity.end:
        yield Entity(entity.type, begin, entity.end - begin)


def _introduce(cloud: Cloud, entity: Entity) -> bool:
    user_id: int = entity.user["id"] if entity.user else 0
    chat = cloud.chats.get(user_id)
    entity.user = chat.person if chat else None
    return entity.user is not None


def _given_entities(text: str, entities: str) -> list[Entity]:
    found: list[Entity] = []
    end = utf16_length(text)
    for given in decode_json(entities, list[msgspec.Raw], "can't parse entities JSON object"):
        entity = decode_json(bytes(given).decode(), Entity, "can't parse MessageEntity: expected an Object")
        if entity.type in _FOUND_BY_TELEGRAM:
            continue
        if entity.type not in _MARKED_BY_BOTS:
            raise bad_request("can't parse MessageEntity: Unsupported type specified")
        _check_place(entity, end)
        if entity.length:
            found.append(_checked_url(entity))
    return found


def _check_place(entity: Entity, end: int) -> None:
    if entity.offset < 0:
        raise bad_request(f"receive an entity with incorrect offset {entity.offset}")
    if entity.length < 0:
        raise bad_request(f"receive an entity with incorrect length {entity.length}")
    if entity.offset > end:
        raise bad_request(f"entity begins after the end of the text at UTF-16 offset {entity.offset}")
    if entity.end > end:
        raise bad_request(
            f"entity beginning at UTF-16 offset {entity.offset} ends after the end of the text "
            f"at UTF-16 offset {entity.end}"
        )


def _checked_url(entity: Entity) -> Entity:
    if entity.type != "text_link":
        return entity
    try:
        entity.url = checked_link(entity.url or "")
    except LinkError as error:
        refusal: ApiError = bad_request(f"entity {error}")
        raise refusal from error
    return entity
