"""Telegram's HTML as its documentation describes it, read without the code under test."""

from __future__ import annotations

import re
from html.parser import HTMLParser

TAGS = {"b", "i", "u", "s", "a", "code", "pre", "blockquote", "tg-spoiler"}
ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}

TAPPABLE = re.compile(r"@\w|#\w|\$[A-Za-z]|(?:^|[^\w<])/\w|://|[A-Za-z0-9]\.[A-Za-z]|\d+\.\d+\.\d+\.\d+", re.ASCII)
"""What clients turn into something to tap: mentions, hashtags, cashtags, commands, links, addresses."""
LINKED = re.compile(r"https://[A-Za-z0-9.-]+(?:/[A-Za-z0-9./?=_+-]*)?")
INVISIBLE = re.compile(r"[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class StrictParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.open: list[str] = []
        self.everything: list[str] = []
        self.outside_code: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        if tag == "a":
            [(name, address)] = attrs
            assert name == "href"
            assert LINKED.fullmatch(address or ""), address
        else:
            assert not attrs or (tag, attrs) == ("blockquote", [("expandable", None)]), attrs
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert "<" not in data, data
        assert ">" not in data, data
        assert "&" not in data, data
        self._say(data)

    def handle_entityref(self, name: str) -> None:
        self._say(ENTITIES[name])

    def handle_charref(self, name: str) -> None:
        raise AssertionError(name)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)

    def _say(self, text: str) -> None:
        self.everything.append(text)
        self.outside_code.append(" " if "code" in self.open else text)


def parse(html: str) -> StrictParser:
    """Parse or fail."""
    parser = StrictParser()
    parser.feed(html)
    parser.close()
    assert not parser.open
    return parser


def shown(html: str) -> str:
    """What is read: a space at which no line ends looks like any other."""
    return "".join(parse(html).everything).replace("\N{NO-BREAK SPACE}", " ")


def units(text: str) -> int:
    """UTF-16 code units, counted one character at a time."""
    return sum(2 if ord(character) > 0xFFFF else 1 for character in text)


def assert_sendable(html: str) -> None:
    text = shown(html)
    assert 1 <= units(text.strip()) <= 4096
    assert units(text) <= 4096
    html.encode()  # no lone surrogate is left


def assert_harmless(html: str) -> None:
    """Nothing can be tapped and nothing is hidden."""
    outside = "".join(parse(html).outside_code)
    assert not TAPPABLE.search(outside), TAPPABLE.search(outside)
    assert not INVISIBLE.search(shown(html))
