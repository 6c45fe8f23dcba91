"""Bodies of requests from strangers, bounded in size."""

from __future__ import annotations

from fastapi import Request
from starlette.requests import ClientDisconnect


async def read_body(request: Request, max_bytes: int) -> bytes | None:
    """Read the body, but never more of it than allowed, whatever its announced length; `None` if there is more.

    One that breaks off is none, and refused like any that cannot be read, should anybody listen.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                return None
    except ClientDisconnect:
        return b""
    return bytes(body)
