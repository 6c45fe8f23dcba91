"""Reading a web page once: its answer as it is, redirects included, within a time and a size."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import aiohttp
from msgspec import Struct
from msgspec.structs import replace

from managers.http.answers import FailedError, ForeignAnswerError, UntrustedError
from managers.http.once import once
from runtime.cancellation import stop_if_cancelled
from runtime.redaction import without_keys

_CHUNK: Final = 1 << 16
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)


class Visited(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    """By name, in whatever case."""
    body: bytes
    """Empty for a redirect."""

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status < 400 and "Location" in self.headers  # noqa: PLR2004 - statuses


async def visit(
    session: aiohttp.ClientSession,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float,
    max_bytes: int,
) -> Visited:
    """Ask once and follow nothing. Whatever is no whole answer within `timeout_s` is a `FailedError`."""
    try:
        async with (
            asyncio.timeout(timeout_s),
            session.get(
                url,
                params=params,
                headers=headers,
                timeout=_NO_TIMEOUT,
                allow_redirects=False,
                middlewares=(once(),),
            ) as response,
        ):
            head = Visited(response.status, response.headers, b"")
            return head if head.is_redirect else replace(head, body=await _body(response, max_bytes))
    except TimeoutError as error:
        raise FailedError(f"no answer within {timeout_s:g} s") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise UntrustedError(f"its certificate is not valid: {error}"[:200]) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        stop_if_cancelled()
        raise FailedError(without_keys(f"{type(error).__name__}: {error}")[:200]) from error


async def _body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > max_bytes:
            raise ForeignAnswerError(f"the answer exceeds {max_bytes} bytes")
    return bytes(body)
