"""One bounded GET, with every way in which it can fail wrapped into `TransientError`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import aiohttp

from domain.errors import TransientError

_MAX_BYTES = 16 * 1024 * 1024
_HTTP_OK = 200
_HTTP_NOT_FOUND = 404
_HTTP_TOO_MANY = 429


class RateLimitedError(TransientError):
    """HTTP 429. `reset_at_s`: Unix time from which it may be tried again, where the server says so."""

    def __init__(self, host: str, reset_at_s: float | None) -> None:
        super().__init__(f"HTTP {_HTTP_TOO_MANY} from {host}")
        self.reset_at_s = reset_at_s


async def get(
    session: aiohttp.ClientSession,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float,
) -> bytes | None:
    """Body of a 200, `None` for a 404; anything else is a `TransientError` that names the status."""
    try:
        async with session.get(
            url, params=params, headers=headers, timeout=aiohttp.ClientTimeout(total=timeout_s)
        ) as response:
            if response.status == _HTTP_NOT_FOUND:
                return None
            if response.status == _HTTP_TOO_MANY:
                raise RateLimitedError(response.host, _moment_s(response.headers.get("x-ratelimit-reset")))
            if response.status != _HTTP_OK:
                raise TransientError(f"HTTP {response.status} from {response.host}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(1 << 16):
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise TransientError(f"answer of {response.host} exceeds {_MAX_BYTES} bytes")
            return bytes(body)
    except TimeoutError as error:
        raise TransientError(f"no answer within {timeout_s:g} s") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise TransientError(f"{type(error).__name__}: {error}"[:200]) from error


def _moment_s(header: str | None) -> float | None:
    try:
        moment_s = float(header or "")
    except ValueError:
        return None
    return moment_s if math.isfinite(moment_s) else None
