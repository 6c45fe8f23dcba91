"""What an HTTP API's answer means for whoever asked it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec
from msgspec import Struct

from managers.http.json_repair import decoded
from runtime.errors import TransientError

_MAX_BYTES = 16 * 1024 * 1024
_MAX_REFUSAL_BYTES = 64 * 1024

Shape = msgspec.json.Decoder[Any]
"""Reads what an API documents as its answer."""


class FailedError(TransientError):
    """Nothing useful came back. Tried again, and counted against the host."""


class ForeignAnswerError(FailedError):
    """Somebody else answered: a proxy, a login page. It says nothing about what was asked."""


class UntrustedError(FailedError):
    """Its certificate is not valid, so it was asked nothing."""


class RefusedError(TransientError):
    """The host is well and does not give what was asked for. Not tried again.

    `said`: the body, where it was read; `status`: of HTTP, where there is one.
    """

    def __init__(self, problem: str, said: bytes = b"", status: int | None = None) -> None:
        super().__init__(problem)
        self.said = said
        self.status = status


class DeniedError(RefusedError):
    """HTTP 401 or 403: the host does not take our key, or does not let us in at all."""


class TooManyError(RefusedError):
    """HTTP 429. Tried again once the pause is over."""


class _Object(Struct):
    """Any JSON object."""


_DENIALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_REFUSAL: Final[Shape] = msgspec.json.Decoder(_Object)


async def body_of(
    response: aiohttp.ClientResponse,
    *,
    host: str,
    shape: Shape | None,
    pause: Callable[[Mapping[str, str]], None],
    says_too_many: Callable[[bytes], bool] | None = None,
) -> bytes | None:
    """Body of a 200, `None` for a 404; the errors above for anything else.

    With a `shape`, only the host's own word counts: a 200 that it reads, a 4xx that is empty or a JSON object.
    """
    status = response.status
    said = b""
    if status in (HTTPStatus.OK, HTTPStatus.CREATED):
        body = await _bounded(response, host, shape, _MAX_BYTES)
        _check(shape, body, status, host)
        if says_too_many is not None and says_too_many(body):
            pause(response.headers)
            raise TooManyError(f"too many requests, says {host}")
        return body
    problem = f"HTTP {status} from {host}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        pause(response.headers)
        raise TooManyError(problem)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        if "Retry-After" in response.headers:
            pause(response.headers)
        raise FailedError(problem)
    if shape is not None:
        if status < HTTPStatus.BAD_REQUEST:
            raise ForeignAnswerError(problem)
        if said := await _bounded(response, host, shape, _MAX_REFUSAL_BYTES):
            _check(_REFUSAL, said, status, host)
    if status == HTTPStatus.NOT_FOUND:
        return None
    raise (DeniedError if status in _DENIALS else RefusedError)(problem, said, status)


def _check(shape: Shape | None, body: bytes, status: int, host: str) -> None:
    if shape is None:
        return
    try:
        decoded(shape, body)
    except (ValueError, RecursionError) as error:
        raise ForeignAnswerError(f"the answer of {host} is unreadable: HTTP {status}, {error}"[:200]) from error


async def _bounded(response: aiohttp.ClientResponse, host: str, shape: Shape | None, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > limit:
            kind = RefusedError if shape is None else ForeignAnswerError
            raise kind(f"the answer of {host} exceeds {limit} bytes")
    return bytes(body)
