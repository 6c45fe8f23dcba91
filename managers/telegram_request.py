"""python-telegram-bot's requests on an aiohttp session.

Where a request fails decides what may follow, so the two kinds are told apart here, the only place that can:
`RequestNotSentError` for one that surely did not reach Telegram, `TimedOut` and plain `NetworkError` for one
that may have. Only the first is safe to repeat without risking a second message.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO

import aiohttp
import msgspec
from msgspec import Struct
from telegram.error import BadRequest, NetworkError, RetryAfter, TimedOut
from telegram.request import BaseRequest, RequestData
from yarl import URL

from config.clock import now

_TOKEN_IN_URL = re.compile(r"/bot[^/\s]+")
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_DEFAULT_RETRY_AFTER = timedelta(seconds=1)


class RequestNotSentError(NetworkError):
    """No connection came about, so Telegram knows nothing of the request."""


class FloodRefusedError(RetryAfter):
    """`RetryAfter` without the deprecation warning that the library's own gives whenever it is made."""

    @property
    def retry_after(self) -> timedelta:
        return self._retry_after


class _FloodParameters(Struct):
    retry_after: float | None = None


class _FloodAnswer(Struct):
    parameters: _FloodParameters | None = None


class AiohttpRequest(BaseRequest):
    """Time-outs are in seconds; each may be overridden per call, `None` waits for ever.

    `read_timeout_s` bounds the silence of the server, `write_timeout_s` the upload (`media_write_timeout_s`
    when files travel along), `connect_timeout_s` the TCP and TLS handshake, `pool_timeout_s` the wait for one
    of `connections`. A POST as a whole takes at most their sum.
    """

    __slots__ = (
        "_clock",
        "_connect_timeout_s",
        "_connections",
        "_heard",
        "_media_write_timeout_s",
        "_pool_timeout_s",
        "_read_timeout_s",
        "_session",
        "_write_timeout_s",
        "last_success_at",
    )

    def __init__(
        self,
        *,
        connections: int = 100,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 15.0,
        write_timeout_s: float = 10.0,
        media_write_timeout_s: float = 60.0,
        pool_timeout_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        heard: Callable[[str | None, float], None] = now.heard,
    ) -> None:
        """`heard` is given the `Date` of every answer that is Telegram's own, and how long it took."""
        self._heard = heard
        self._connections = connections
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._write_timeout_s = write_timeout_s
        self._media_write_timeout_s = media_write_timeout_s
        self._pool_timeout_s = pool_timeout_s
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self.last_success_at: float | None = None
        """When the server last answered 2xx, on `clock`."""

    @property
    def read_timeout(self) -> float | None:
        return self._read_timeout_s

    async def initialize(self) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=30.0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self.USER_AGENT},
            )

    async def shutdown(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: float | object | None = BaseRequest.DEFAULT_NONE,
        write_timeout: float | object | None = BaseRequest.DEFAULT_NONE,
        connect_timeout: float | object | None = BaseRequest.DEFAULT_NONE,
        pool_timeout: float | object | None = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise RequestNotSentError("The session is closed")
        uploads = request_data is not None and request_data.contains_files
        write_default_s = self._media_write_timeout_s if uploads else self._write_timeout_s
        timeout = _timeout(
            read_s=_chosen(read_timeout, self._read_timeout_s),
            write_s=_chosen(write_timeout, write_default_s),
            connect_s=_chosen(connect_timeout, self._connect_timeout_s),
            pool_s=_chosen(pool_timeout, self._pool_timeout_s),
            bounded=method == "POST",
        )
        body, headers = (None, None) if request_data is None else _body(request_data)
        asked_at = time.monotonic()
        # The library's errors hold the URL and with it the bot's token, which must never reach a log: they
        # are retold without it instead of being chained.
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                payload, took_s = await response.read(), time.monotonic() - asked_at
                if _is_telegrams(payload):
                    self._heard(response.headers.get("Date"), took_s)
                return self._answer(response, payload)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise RequestNotSentError(_described(error)) from None
        except TimeoutError as error:
            raise TimedOut(_described(error)) from None
        except aiohttp.ClientError as error:
            if not uploads and isinstance(error.__cause__, aiohttp.ClientConnectionResetError):
                # A kept connection turned out to be closed before the first byte was written.
                raise RequestNotSentError(_described(error)) from None
            raise NetworkError(_described(error)) from None

    def _answer(self, response: aiohttp.ClientResponse, payload: bytes) -> tuple[int, bytes]:
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise FloodRefusedError(_retry_after(payload, response.headers.get("Retry-After", "")))
        if response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise BadRequest("Request Entity Too Large")
        if response.ok:
            self.last_success_at = self._clock()
        return response.status, payload


class _BotApiAnswer(Struct):
    ok: bool


_answers = msgspec.json.Decoder(_BotApiAnswer)


def _is_telegrams(payload: bytes) -> bool:
    """Whether Telegram itself has answered, and not something on the way."""
    try:
        _answers.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _retry_after(payload: bytes, header: str) -> timedelta:
    """Read how long Telegram wants to be left alone; a proxy in front of it may only say so in the header."""
    try:
        parameters = msgspec.json.decode(payload, type=_FloodAnswer).parameters
    except msgspec.DecodeError:
        parameters = None
    if parameters is not None and parameters.retry_after is not None:
        return timedelta(seconds=parameters.retry_after)
    return timedelta(seconds=int(header)) if header.isdecimal() else _DEFAULT_RETRY_AFTER


def _chosen(given: float | object | None, default_s: float) -> float | None:
    if given is None:
        return None
    return float(given) if isinstance(given, int | float) else default_s


@lru_cache(maxsize=16)  # nearly always the same few
def _timeout(
    *,
    read_s: float | None,
    write_s: float | None,
    connect_s: float | None,
    pool_s: float | None,
    bounded: bool,
) -> aiohttp.ClientTimeout:
    connected_s = None if pool_s is None or connect_s is None else pool_s + connect_s
    total_s = None
    if bounded and connected_s is not None and read_s is not None and write_s is not None:
        total_s = connected_s + read_s + write_s
    return aiohttp.ClientTimeout(total=total_s, connect=connected_s, sock_connect=connect_s, sock_read=read_s)


def _body(request_data: RequestData) -> tuple[bytes | aiohttp.FormData, dict[str, str] | None]:
    """Return the body and the headers that it needs."""
    if not request_data.contains_files:
        # What a form or urllib would make of them too, in a tenth of the time.
        return URL.build(query=request_data.json_parameters).raw_query_string.encode(), _FORM
    form = aiohttp.FormData(request_data.json_parameters)
    for name, (file_name, content, mime_type) in request_data.multipart_data.items():
        body = BytesIO(content) if isinstance(content, bytes) else content  # aiohttp sends those in pieces
        form.add_field(name, body, filename=file_name, content_type=mime_type)
    return form, None


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {_TOKEN_IN_URL.sub('/bot***', str(error))}"
