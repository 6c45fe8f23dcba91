"""Telegram's MarkdownV2, and the very words in which it refuses what is not."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.telegram.errors import ApiError, bad_request
from sandbox.telegram.markup.entities import Entity, utf16_length
from sandbox.telegram.markup.links import checked_link_or_none, linked_emoji_id, linked_user_id

_RESERVED = frozenset("_*[]()~`>#+-=|{}.!\n")
_RESERVED_IN_CODE = frozenset("`")
_ASCII_MAX = 126
_MARKS = {
    "bold": "*",
    "italic": "_",
    "underline": "__",
    "strikethrough": "~",
    "spoiler": "||",
    "code": "`",
    "pre": "```",
    "text_link": "]",
    "custom_emoji": "]",
}
# How Telegram's parser calls them when it misses their end.
_NAMES = {
    "bold": "Bold",
    "italic": "Italic",
    "underline": "Underline",
    "strikethrough": "Strikethrough",
    "spoiler": "Spoiler",
    "code": "Code",
    "pre": "Pre",
    "text_link": "TextUrl",
    "custom_emoji": "CustomEmoji",
    "blockquote": "BlockQuote",
}


def parse_markdown_v2(source: str) -> tuple[str, list[Entity]]:
    """Return the plain text and its entities (unsorted); ApiError 400 "can't parse entities: …"."""
    return _Parser(source).parse()


@dataclass(slots=True)
class _Open:
    kind: str
    offset: int
    position: int
    """Where it opened in the source, for error messages."""
    part: int
    language: str | None = None


@dataclass(slots=True)
class _Parser:
    source: str
    position: int = 0
    parts: list[str] = field(default_factory=list[str])
    offset: int = 0
    stack: list[_Open] = field(default_factory=list[_Open])
    entities: list[Entity] = field(default_factory=list[Entity])
    in_quote: bool = False

    def parse(self) -> tuple[str, list[Entity]]:
        while self.position < len(self.source):
            character = self.source[self.position]
            if character == "\\" and self._is_escapable(self.position + 1):
                self._add(self.source[self.position + 1])
                self.position += 2
            elif character not in (_RESERVED_IN_CODE if self._in_code() else _RESERVED):
                self._add(character)
                self.position += 1
            elif self._ends_entity(character):
                self._end()
            else:
                self._begin(character)
        self._finish()
        return "".join(self.parts), self.entities

    def _finish(self) -> None:
        if self.stack and self.stack[-1].kind == "blockquote":
            self._close_quote(self.stack.pop(), is_expandable=False)
        if self.stack:
            raise self._endless(self.stack[-1])

    def _add(self, text: str) -> None:
        self.parts.append(text)
        self.offset += utf16_length(text)

    def _is_escapable(self, position: int) -> bool:
        return position < len(self.source) and 0 < ord(self.source[position]) <= _ASCII_MAX

    def _in_code(self) -> bool:
        return bool(self.stack) and self.stack[-1].kind in {"code", "pre"}

    def _ends_entity(self, character: str) -> bool:
        if not self.stack:
            return False
        if self.in_quote and character == "\n" and not self.source.startswith(">", self.position + 1):
            return True
        kind = self.stack[-1].kind
        if kind == "blockquote":
            return self._ends_expandable()
        if kind == "italic":
            return character == "_" and not self.source.startswith("__", self.position)
        return self.source.startswith(_MARKS[kind], self.position)

    def _ends_expandable(self) -> bool:
        """Tell whether the quote ends here with `||`, which makes it expandable."""
        rest = self.source[self.position : self.position + 3]
        return rest in {"||", "||\n"} and not self.source.startswith("||\n>", self.position)

    def _begin(self, character: str) -> None:
        begin = self.position
        if character == "\n":
            self._line()
            return
        if character == ">" and not self.in_quote and (not self.parts or self.parts[-1].endswith("\n")):
            self._open("blockquote", begin, 1)
            self.in_quote = True
            return
        if self.source.startswith("```", begin):
            self._begin_pre(begin)
            return
        for kind, mark in (
            ("underline", "__"),
            ("italic", "_"),
            ("bold", "*"),
            ("strikethrough", "~"),
            ("spoiler", "||"),
            ("text_link", "["),
            ("custom_emoji", "!["),
            ("code", "`"),
        ):
            if self.source.startswith(mark, begin):
                self._open(kind, begin, len(mark))
                return
        raise _refusal(f"Character '{character}' is reserved and must be escaped with the preceding '\\'")

    def _open(self, kind: str, begin: int, mark_length: int, language: str | None = None) -> None:
        self.stack.append(_Open(kind, self.offset, begin, len(self.parts), language))
        self.position = begin + mark_length

    def _line(self) -> None:
        self._add("\n")
        self.position += 1
        if self.source.startswith(">", self.position):
            if not self.in_quote:
                self._open("blockquote", self.position, 0)
                self.in_quote = True
            self.position += 1

    def _begin_pre(self, begin: int) -> None:
        end = begin + 3
        while end < len(self.source) and not self.source[end].isspace() and self.source[end] != "`":
            end += 1
        language = self.source[begin + 3 : end]
        if not language or end == len(self.source) or self.source[end] == "`":
            language, end = "", begin + 3
        if self.source[end : end + 2] in {"\r\n", "\n\r"}:
            end += 2
        elif self.source[end : end + 1] in {"\n", "\r"}:
            end += 1
        self._open("pre", begin, end - begin, language or None)

    def _end(self) -> None:
        opened = self.stack.pop()
        if opened.kind == "blockquote":
            is_expandable = self.source.startswith("||", self.position)
            self._close_quote(opened, is_expandable=is_expandable)
            self.position += 2 * is_expandable
            if self.position < len(self.source):
                self._add("\n")
                self.position += 1
            return
        if self.source[self.position] == "\n":
            raise self._endless(opened)
        self.position += len(_MARKS[opened.kind])
        entity = Entity(opened.kind, opened.offset, self.offset - opened.offset, language=opened.language)
        is_kept = True
        if opened.kind == "text_link":
            is_kept = self._link(entity, opened)
        elif opened.kind == "custom_emoji":
            self._emoji(entity)
        if is_kept and entity.length:
            self.entities.append(entity)

    def _close_quote(self, opened: _Open, *, is_expandable: bool) -> None:
        self.in_quote = False
        if self.offset > opened.offset:
            kind = "expandable_blockquote" if is_expandable else "blockquote"
            self.entities.append(Entity(kind, opened.offset, self.offset - opened.offset))

    def _link(self, entity: Entity, opened: _Open) -> bool:
        if self.source.startswith("(", self.position):
            url = self._address("a URL")
        else:
            url = "".join(self.parts[opened.part :])
        user_id = linked_user_id(url)
        if user_id is not None:
            entity.type, entity.user = "text_mention", {"id": user_id}
            return True
        entity.url = checked_link_or_none(url)
        return entity.url is not None

    def _emoji(self, entity: Entity) -> None:
        if not self.source.startswith("(", self.position):
            raise _refusal("Custom emoji entity must contain a tg://emoji URL")
        entity.custom_emoji_id = linked_emoji_id(self._address("a custom emoji URL"))
        if entity.custom_emoji_id is None:
            raise _refusal("Custom emoji URL must have scheme tg://emoji and a valid identifier")

    def _address(self, what: str) -> str:
        begin = self.position + 1
        address: list[str] = []
        position = begin
        while position < len(self.source) and self.source[position] != ")":
            if self.source[position] == "\\" and self._is_escapable(position + 1):
                position += 1
            address.append(self.source[position])
            position += 1
        if position >= len(self.source):
            raise _refusal(f"Can't find end of {what} at byte offset {self._bytes(begin)}")
        self.position = position + 1
        return "".join(address)

    def _endless(self, opened: _Open) -> ApiError:
        name = "PreCode" if opened.language else _NAMES[opened.kind]
        return _refusal(f"Can't find end of {name} entity at byte offset {self._bytes(opened.position)}")

    def _bytes(self, position: int) -> int:
        return len(self.source[:position].encode("utf-8", "surrogatepass"))


def _refusal(what: str) -> ApiError:
    return bad_request(f"can't parse entities: {what}")
