"""How a feed is reached: at its configured address, past or through a proxy, and where it redirects to.

Only the configured address can be wrong for good. Whatever answers there may be somebody else, so nothing in an
answer is more than a failed attempt.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from multidict import CIMultiDict
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidProxyStatus, InvalidStatus, InvalidURI
from websockets.uri import parse_uri

from managers.feed.proxies import Proxies
from managers.http.request_budget import pause_s
from runtime.errors import FatalError
from runtime.redaction import without_keys

MAX_PAUSE_S: Final = 300.0
"""After so long a feed is asked again even if it said more: perhaps somebody else said so."""

_MAX_FRAME_BYTES = 1024 * 1024
_MAX_BUFFERED_FRAMES = 256
_PING_INTERVAL_S = 20.0
_CLOSE_TIMEOUT_S = 1.0
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class FeedHandshake(connect):
    """`async with FeedHandshake(url, proxies) as connection:`. Raises `OSError` and `WebSocketException`."""

    def __init__(self, url: str, proxies: Proxies) -> None:
        super().__init__(
            url,
            compression=None,
            max_size=_MAX_FRAME_BYTES,
            max_queue=_MAX_BUFFERED_FRAMES,
            ping_interval=_PING_INTERVAL_S,
            # A slow consumer leaves pongs unread; the age of the data decides whether the feed lives.
            ping_timeout=None,
            close_timeout=_CLOSE_TIMEOUT_S,
        )
        self._proxies = proxies

    async def open_tcp_connection(self) -> ClientConnection:
        self.proxy = self._proxies.find(self.ws_uri)
        try:
            return await super().open_tcp_connection()
        except ValueError as error:  # the name of a host to which we were redirected, which is none
            raise InvalidHandshake(f"not a host to connect to: {error}") from error

    def process_redirect(self, exc: Exception) -> Exception | str:
        try:
            return super().process_redirect(exc)
        except (InvalidURI, ValueError, LookupError) as error:
            return InvalidHandshake(f"redirected to no address of a feed: {error}")


def check_address(url: str) -> None:
    """Raise `FatalError` for an address that can never be a feed's."""
    try:
        parse_uri(url).host.encode("idna")
    except (InvalidURI, ValueError):
        # The cause would print the address with its key.
        raise FatalError(f"not the address of a feed: {without_keys(url)}") from None


def asked_pause_s(error: Exception) -> float:
    """How long whoever refused the handshake wants to be left alone; 0 where nothing is said."""
    if not isinstance(error, InvalidStatus | InvalidProxyStatus) or error.response.status_code not in _BUSY:
        return 0.0
    headers = CIMultiDict(error.response.headers.raw_items())  # of a header that is there twice, the first
    return min(MAX_PAUSE_S, pause_s(headers) or 0.0)


def described(error: Exception) -> str:
    """Name an error, without the keys of addresses in it."""
    return without_keys(f"{type(error).__name__}: {error}")[:200]
