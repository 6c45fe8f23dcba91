"""What a page on this machine offers to wallets: the links that a phone would hand to one."""

from __future__ import annotations

import ipaddress
from html.parser import HTMLParser
from urllib.parse import urlsplit

import aiohttp

PAGE_MAX_BYTES = 512 * 1024
LINKS_MAX = 50
_TIMEOUT = aiohttp.ClientTimeout(total=3.0)


async def links_of(url: str) -> list[str]:
    """Return the address itself and where the page behind it leads; nothing off this machine is asked."""
    if not is_on_this_machine(url):
        return []
    return [url, *_links_in(await _fetch(url))]


def is_on_this_machine(url: str) -> bool:
    """True for http on a loopback address; a name, which may lead anywhere, is none but for `localhost`."""
    try:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.username is not None or not parts.hostname:
            return False
        return parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


async def _fetch(url: str) -> str:
    """Return a bounded part of the page; nothing when it is no page, leads elsewhere or takes long."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.content_type != "text/html":
                return ""
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) >= PAGE_MAX_BYTES:
                    break
            return body[:PAGE_MAX_BYTES].decode("utf-8", "replace")
    except (aiohttp.ClientError, TimeoutError):
        return ""


def _links_in(page: str) -> list[str]:
    reader = _LinkReader()
    reader.feed(page)
    return list(dict.fromkeys(reader.links))[:LINKS_MAX]


class _LinkReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]
