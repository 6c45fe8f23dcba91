"""Telegram's HTML: which tags it knows, and the very words in which it refuses the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sandbox.telegram.errors import ApiError, bad_request
from sandbox.telegram.markup.entities import Entity, utf16_length
from sandbox.telegram.markup.links import checked_link_or_none, linked_user_id

_SIMPLE = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
}
_TAGS = frozenset({*_SIMPLE, "a", "code", "pre", "blockquote", "tg-emoji"})
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_SPACE = " \t\r\n\0\v"

_SPECIAL = re.compile("[<&]")
_REFERENCE = re.compile(r"&(?:#(?:x(?P<hex>[0-9A-Fa-f]+)|(?P<decimal>[0-9]+))|(?P<name>[A-Za-z]+));?")
_TAG_NAME = re.compile(r"[^ \t\r\n\0\v>]*")
_ATTRIBUTE_NAME = re.compile(r"[^ \t\r\n\0\v=>/\"']*")
_NAME_TOKEN = re.compile(r"[A-Za-z0-9.-]*")
_SPACES = re.compile(r"[ \t\r\n\0\v]*")
_REFERENCE_MAX = 10
_CODE_POINT_MAX = 0x10FFFF


def parse_html(source: str) -> tuple[str, list[Entity]]:
    """Return the plain text and its entities (unsorted); ApiError 400 "can't parse entities: …"."""
    return _HtmlParser(source).parse()


@dataclass(slots=True)
class _OpenTag:
    name: str
    argument: str
    offset: int
    """Where it opened, in UTF-16 units of the plain text."""
    part: int
    """Where it opened, as an index into the parts of the plain text."""


@dataclass(slots=True)
class _HtmlParser:
    source: str
    parts: list[str] = field(default_factory=list[str])
    offset: int = 0
    open_tags: list[_OpenTag] = field(default_factory=list[_OpenTag])
    entities: list[Entity] = field(default_factory=list[Entity])

    def parse(self) -> tuple[str, list[Entity]]:
        source, position = self.source, 0
        while match := _SPECIAL.search(source, position):
            begin = match.start()
            self._add(source[position:begin])
            if source[begin] == "&":
                character, position = decode_reference(source, begin)
                self._add(character)
            elif source.startswith("</", begin):
                position = self._end_tag(begin)
            else:
                position = self._start_tag(begin)
        self._add(source[position:])
        if self.open_tags:
            raise _refusal(f"Can't find end tag corresponding to start tag {self.open_tags[-1].name}")
        for entity in self.entities:
            if entity.type == "code":
                entity.language = None
        return "".join(self.parts), self.entities

    def _add(self, text: str) -> None:
        if text:
            self.parts.append(text)
            self.offset += utf16_length(text)

    def _refuse_at(self, what: str, position: int, after: str = "") -> ApiError:
        byte_offset = len(self.source[:position].encode("utf-8", "surrogatepass"))
        return _refusal(f"{what} at byte offset {byte_offset}{after}")

    def _at(self, position: int) -> str:
        """One character, or "" at the end."""
        return self.source[position : position + 1]

    def _start_tag(self, begin: int) -> int:
        name_end = _end_of(_TAG_NAME, self.source, begin + 1)
        if not self._at(name_end):
            raise self._refuse_at("Unclosed start tag", begin)
        name = self.source[begin + 1 : name_end].lower()
        if name not in _TAGS:
            raise self._refuse_at(f'Unsupported start tag "{name}"', begin)
        argument, end = self._attributes(name, begin, name_end)
        if name == "span" and argument != "spoiler":
            raise self._refuse_at('Tag "span" must have class "tg-spoiler"', begin)
        self.open_tags.append(_OpenTag(name, argument, self.offset, len(self.parts)))
        return end + 1

    def _attributes(self, tag: str, begin: int, position: int) -> tuple[str, int]:
        """Return the one attribute that means something for this tag, and the position of its `>`."""
        argument = ""
        while True:
            position = _end_of(_SPACES, self.source, position)
            if self._at(position) == ">":
                return argument, position
            name_end = _end_of(_ATTRIBUTE_NAME, self.source, position)
            name = self.source[position:name_end]
            if not name:
                if not self._at(position):
                    raise self._refuse_at("Unclosed start tag", begin)
                raise self._refuse_at(f'Empty attribute name in the tag "{tag}"', begin)
            position = _end_of(_SPACES, self.source, name_end)
            if self._at(position) != "=":
                if not self._at(position):
                    raise self._refuse_at(f'Unclosed start tag "{tag}"', begin)
                value = ""
            else:
                position = _end_of(_SPACES, self.source, position + 1)
                value, position = self._attribute_value(tag, begin, position)
            argument = _argument(tag, name, value, argument)

    def _attribute_value(self, tag: str, begin: int, position: int) -> tuple[str, int]:
        quote = self._at(position)
        if not quote:
            raise self._refuse_at(f'Unclosed start tag "{tag}"', begin)
        if quote not in "'\"":
            end = _end_of(_NAME_TOKEN, self.source, position)
            if self._at(end) and self._at(end) not in f"{_SPACE}>":
                raise self._refuse_at("Unexpected end of name token", position)
            value = self.source[position:end].lower()
        else:
            value, end = self._quoted(position)
        if not self._at(end):
            raise self._refuse_at("Unclosed start tag", begin)
        return value, end

    def _quoted(self, position: int) -> tuple[str, int]:
        end = self.source.find(self.source[position], position + 1)
        if end < 0:
            return "", len(self.source)
        raw, parts, start = self.source[position + 1 : end], list[str](), 0
        while (ampersand := raw.find("&", start)) >= 0:
            parts.append(raw[start:ampersand])
            character, start = decode_reference(raw, ampersand)
            parts.append(character)
        return "".join([*parts, raw[start:]]), end + 1

    def _end_tag(self, begin: int) -> int:
        if not self.open_tags:
            raise self._refuse_at("Unexpected end tag", begin)
        name_end = _end_of(_TAG_NAME, self.source, begin + 2)
        end = _end_of(_SPACES, self.source, name_end)
        if self._at(end) != ">":
            raise self._refuse_at("Unclosed end tag", begin)
        name = self.source[begin + 2 : name_end].lower()
        opened = self.open_tags[-1]
        if name and name != opened.name:
            raise self._refuse_at("Unmatched end tag", begin, f', expected "</{opened.name}>", found "</{name}>"')
        if self.offset > opened.offset:
            self._close(opened)
        self.open_tags.pop()
        return end + 1

    def _close(self, opened: _OpenTag) -> None:
        length = self.offset - opened.offset
        entity = Entity(_SIMPLE.get(opened.name, opened.name), opened.offset, length)
        if opened.name == "a":
            if not _link(entity, opened.argument or "".join(self.parts[opened.part :])):
                return
        elif opened.name == "tg-emoji":
            if not opened.argument.isdecimal() or int(opened.argument) == 0:
                raise _refusal("Invalid custom emoji identifier specified")
            entity.type, entity.custom_emoji_id = "custom_emoji", opened.argument
        elif opened.name == "blockquote" and opened.argument:
            entity.type = "expandable_blockquote"
        elif opened.name in {"pre", "code"} and self._is_merged_code(opened, length):
            return
        self.entities.append(entity)

    def _is_merged_code(self, opened: _OpenTag, length: int) -> bool:
        """`<pre><code class="language-x">` (either way round) is one `pre` with a language."""
        last = self.entities[-1] if self.entities else None
        if last is not None and (last.offset, last.length) == (opened.offset, length):
            if opened.name == "pre" and last.type == "code" and last.language:
                last.type = "pre"
                return True
            if opened.name == "code" and last.type == "pre" and opened.argument:
                last.language = opened.argument
                return True
        if opened.name == "code" and opened.argument:
            self.entities.append(Entity("code", opened.offset, length, language=opened.argument))
            return True
        return False


def _link(entity: Entity, url: str) -> bool:
    """Fill in a link or a mention by id; False when the address is none, and Telegram drops the entity."""
    user_id = linked_user_id(url)
    if user_id is not None:
        entity.type, entity.user = "text_mention", {"id": user_id}
        return True
    entity.type, entity.url = "text_link", checked_link_or_none(url)
    return entity.url is not None


def _argument(tag: str, name: str, value: str, former: str) -> str:
    if (tag, name) in {("a", "href"), ("tg-emoji", "emoji-id")}:
        return value
    if (tag, name) == ("blockquote", "expandable"):
        return "expandable"
    if (tag, name) == ("code", "class") and value.startswith("language-"):
        return value.removeprefix("language-")
    if (tag, name) == ("span", "class") and value.startswith("tg-"):
        return value.removeprefix("tg-")
    return former


def decode_reference(text: str, position: int) -> tuple[str, int]:
    """Return the character behind `&…;` and where the text goes on; an unknown one is just an ampersand."""
    match = _REFERENCE.match(text, position)
    if match is None:
        return "&", position + 1
    if match["name"]:
        character = _NAMED.get(match["name"], "")
    else:
        digits_end = match.end() - match[0].endswith(";")
        is_short = digits_end - position < _REFERENCE_MAX
        code = (int(match["hex"], 16) if match["hex"] else int(match["decimal"])) if is_short else 0
        if 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 -- the surrogates
            raise _refusal(
                "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched "
                "surrogate code units"
            )
        character = chr(code) if 0 < code < _CODE_POINT_MAX else ""
    return (character, match.end()) if character else ("&", position + 1)


def _end_of(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _refusal(what: str) -> ApiError:
    return bad_request(f"can't parse entities: {what}")
