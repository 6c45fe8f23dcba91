"""python-telegram-bot's requests on an aiohttp session.

Where a request fails decides what may follow, so the two kinds are told apart here, the only place that can:
`RequestNotSentError` for one that surely did not reach Telegram, `TimedOut` and other `NetworkError`s for one
that may have. Only the first is safe to repeat without risking a second message.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO

import aiohttp
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData
from yarl import URL

from managers.telegram.answers import FloodRefusedError, ForeignAnswerError, telegrams_own
from runtime.clock import now
from runtime.redaction import without_bot_tokens

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""A hundred updates of the largest kind are a tenth of it."""


class RequestNotSentError(NetworkError):
    """No connection came about, so Telegram knows nothing of the request."""


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
        "foreign_answers",
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
        """When Telegram last did what it was asked for, on `clock`."""
        self.foreign_answers = 0
        """Answers that were not Telegram's own, or not to be read."""

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
        read_s, write_s = _chosen(read_timeout, self._read_timeout_s), _chosen(write_timeout, write_default_s)
        connect_s, pool_s = (
            _chosen(connect_timeout, self._connect_timeout_s),
            _chosen(pool_timeout, self._pool_timeout_s),
        )
        is_bounded = method == "POST"
        timeout = _timeout(read_s=read_s, write_s=write_s, connect_s=connect_s, pool_s=pool_s, bounded=is_bounded)
        body, headers = (None, None) if request_data is None else _body(request_data)
        asked_at = time.monotonic()
        # The library's errors hold the URL and with it the bot's token, which must never reach a log: they
        # are retold without it instead of being chained.
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                if not is_bounded:  # a file
                    return response.status, await response.read()
                return await self._answer(URL(url).name, response, asked_at)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise RequestNotSentError(_described(error)) from None
        except TimeoutError as error:
            raise TimedOut(_described(error)) from None
        except ForeignAnswerError:
            self.foreign_answers += 1
            raise
        except aiohttp.ClientError as error:
            self.foreign_answers += isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError)
            if not uploads and isinstance(error.__cause__, aiohttp.ClientConnectionResetError):
                # A kept connection turned out to be closed before the first byte was written.
                raise RequestNotSentError(_described(error)) from None
            raise NetworkError(_described(error)) from None

    async def _answer(self, api_method: str, response: aiohttp.ClientResponse, asked_at: float) -> tuple[int, bytes]:
        payload = bytearray()
        async for chunk in response.content.iter_any():
            payload += chunk
            if len(payload) > _MAX_ANSWER_BYTES:
                response.close()
                raise ForeignAnswerError(f"an answer of more than {_MAX_ANSWER_BYTES} bytes")
        is_json = response.content_type == "application/json"
        retry_after = response.headers.get("Retry-After", "")
        took_s = time.monotonic() - asked_at
        try:
            answer = telegrams_own(api_method, response.status, is_json, bytes(payload), retry_after)
        except FloodRefusedError:
            self._heard(response.headers.get("Date"), took_s)
            raise
        self._heard(response.headers.get("Date"), took_s)
        if answer[0] == HTTPStatus.OK:
            self.last_success_at = self._clock()
        return answer


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
    return f"{type(error).__name__}: {without_bot_tokens(str(error))}"
