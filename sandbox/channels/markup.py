"""A post's text as the page has it: links that are seen become links, line breaks tags, emoji pictures."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from urllib.parse import quote

_KEPT = frozenset({"b", "i", "u", "s", "code", "pre", "blockquote", "tg-spoiler"})
_SEEN = re.compile(
    r"(?P<url>(?:https?://|(?<![\w./@])(?:t\.me|telegram\.me)/)[^\s<>\"]+[^\s<>\".,!?)])"
    r"|(?<![\w/@])@(?P<name>[A-Za-z]\w{3,31})|(?<![\w&#])(?P<tag>[#$][A-Za-z]\w*)"
)
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\u2b50](?:\ufe0f)?")
_ASKS = "return confirm('Open this link?\\n\\n'+this.href);"


class _Writer(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.written: list[str] = []
        self._plain = 0
        """Within how many elements what looks like a link is none."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            # Telegram escapes such a link twice.
            link = escape(escape(dict(attrs).get("href") or ""))
            self.written.append(f'<a href="{link}" target="_blank" rel="noopener" onclick="{escape(_ASKS)}">')
            self._plain += 1
        elif tag in _KEPT:
            self.written.append(f"<{tag}>")
            self._plain += tag in {"code", "pre"}

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" or tag in _KEPT:
            self.written.append(f"</{tag}>")
            self._plain -= tag in {"a", "code", "pre"}

    def handle_data(self, data: str) -> None:
        if self._plain:
            self.written.append(_shown(data))
            return
        at = 0
        for found in _SEEN.finditer(data):
            self.written += (_shown(data[at : found.start()]), _linked(found))
            at = found.end()
        self.written.append(_shown(data[at:]))


def as_page(html: str) -> str:
    writer = _Writer()
    writer.feed(html)
    writer.close()
    return "".join(writer.written)


def emoji(text: str) -> str:
    """Escaped text with its emoji as pictures."""
    return _EMOJI.sub(_picture, escape(text, quote=False))


def _shown(text: str) -> str:
    return emoji(text).replace("\n", "<br/>")


def _picture(found: re.Match[str]) -> str:
    code = found.group()[0].encode().hex().upper()
    url = f"//telegram.org/img/emoji/40/{code}.png"
    return f'<i class="emoji" style="background-image:url(\'{url}\')"><b>{found.group()}</b></i>'


def _linked(found: re.Match[str]) -> str:
    said = _shown(found.group())
    if found["tag"]:
        return f'<a href="?q={quote(found["tag"])}">{said}</a>'
    if found["name"]:
        return f'<a href="https://t.me/{found["name"]}" target="_blank">{said}</a>'
    url = found["url"] if "://" in found["url"] else f"https://{found['url']}"
    return f'<a href="{escape(url)}" target="_blank" rel="noopener">{said}</a>'
