"""The text of a post out of its HTML: runs in the order in which they stand.

A line break is a new line, a quote and a block of code have lines of their own, what a spoiler hides is shown, and an
emoji is the character that its picture stands for.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Final

from selectolax.lexbor import LexborNode

from domain.posts.post import Run

MAX_TEXT: Final = 16_384
"""Characters: four times what Telegram lets anybody write."""
MAX_NODES: Final = 20_000
"""Of one post."""
MAX_LINK: Final = 2_048

_BLOCKS: Final = frozenset({"pre", "blockquote", "div", "p", "ul", "ol", "li", "table", "tr"})
_CODE: Final = frozenset({"pre", "code"})
_UNSEEN: Final = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg"})
_SPACES: Final = str.maketrans({"\n": " ", "\r": " ", "\t": " "})
_Piece = tuple[str, bool, str | None]
_SCHEMES: Final = ("http://", "https://", "tg://")


def classes(node: LexborNode) -> frozenset[str]:
    return frozenset((node.attributes.get("class") or "").split())


def nodes_of(top: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Everything below `top` in its order, each element a second time, with `True`, where it ends."""
    node = top.first_child
    while node is not None:
        yield node, False
        below = node.first_child if node.is_element_node else None
        if below is not None:
            node = below
            continue
        while True:
            if node.is_element_node:
                yield node, True
            if node.next is not None:
                node = node.next
                break
            node = node.parent
            if node is None or node.mem_id == top.mem_id:
                return


class _Text:
    """A text while it is read."""

    def __init__(self) -> None:
        self.pieces: list[_Piece] = []
        self.length = 0
        self.code = 0
        self.pre = 0
        self.links: list[str | None] = []

    def add(self, text: str) -> None:
        text = text[: MAX_TEXT - self.length]
        if text:
            self.pieces.append((text, self.code > 0, self.links[-1] if self.links else None))
            self.length += len(text)

    def new_line(self) -> None:
        """Begin a line, unless this is the beginning of one."""
        if self.pieces and not self.pieces[-1][0].endswith("\n"):
            self.add("\n")

    def runs(self) -> tuple[Run, ...]:
        said = [
            (text, is_code, None if link and _says(text, link) else link)
            for text, is_code, link in _merged(self.pieces)
        ]
        return tuple(_stripped([Run(*piece) for piece in _merged(said)]))


def _merged(pieces: list[_Piece]) -> list[_Piece]:
    merged: list[_Piece] = []
    for text, is_code, link in pieces:
        if merged and merged[-1][1:] == (is_code, link):
            merged[-1] = (merged[-1][0] + text, is_code, link)
        else:
            merged.append((text, is_code, link))
    return merged


def runs_in(top: LexborNode) -> tuple[Run, ...]:
    """Read all text below an element."""
    text = _Text()
    unseen: LexborNode | None = None
    for count, (node, is_end) in enumerate(nodes_of(top)):
        if count > MAX_NODES or text.length >= MAX_TEXT:
            break
        if unseen is not None:
            if is_end and node.mem_id == unseen.mem_id:
                unseen = None
        elif node.is_text_node:
            said = node.text_content or ""
            text.add(said if text.pre else said.translate(_SPACES))
        elif node.is_element_node:
            tag = node.tag or ""
            if tag in _UNSEEN:
                unseen = None if is_end else node
            else:
                _enter_or_leave(text, node, tag, is_end=is_end)
    return text.runs()


def _enter_or_leave(text: _Text, node: LexborNode, tag: str, *, is_end: bool) -> None:
    step = -1 if is_end else 1
    if tag in _BLOCKS and not is_end:
        text.new_line()
    if tag in _CODE:
        text.code += step
        text.pre += step * (tag == "pre")
    if tag in _BLOCKS and is_end:
        text.new_line()
    elif tag == "a" and is_end:
        text.links.pop()
    elif tag == "a":
        text.links.append(link_of(node))
    elif tag == "br" and not is_end:
        text.add("\n")
    elif tag == "img" and not is_end and "emoji" in classes(node):
        text.add(node.attributes.get("alt") or "")


def link_of(node: LexborNode) -> str | None:
    """Where an element leads, if it leads anywhere outside of the page.

    What asks before it is followed is escaped once more than HTML asks for.
    """
    attributes = node.attributes
    link = (attributes.get("href") or "").strip()[: MAX_LINK * 2]
    if "onclick" in attributes:
        link = unescape(link)
    return link[:MAX_LINK] if link.lower().startswith(_SCHEMES) else None


def line_of(node: LexborNode | None, longest: int = 256) -> str | None:
    """The text of an element as one line; `None` for one that says nothing."""
    if node is None:
        return None
    said = " ".join("".join(run.text for run in runs_in(node)).split())[:longest]
    return said or None


def _says(text: str, link: str) -> bool:
    return _bare(text) == _bare(link)


def _bare(link: str) -> str:
    return link.strip().removeprefix("https://").removeprefix("http://").removesuffix("/")


def _stripped(runs: list[Run]) -> Iterator[Run]:
    """Leave out empty lines before and after."""
    first = next((at for at, run in enumerate(runs) if run.text.strip()), len(runs))
    last = next((at for at in range(len(runs), first, -1) if runs[at - 1].text.strip()), first)
    for at, run in enumerate(runs[first:last], first):
        text = run.text.lstrip() if at == first else run.text
        yield Run(text.rstrip() if at == last - 1 else text, run.is_code, run.link)
