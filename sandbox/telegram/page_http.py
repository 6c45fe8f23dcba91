"""What every answer to the chat page has in common: JSON, refusals, the check of who asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from msgspec import Struct

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = TypeVar("Body", bound=Struct)

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def json_answer(content: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(content),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def refusal(status: int, why: str) -> web.HTTPException:
    kinds: dict[int, type[web.HTTPException]] = {
        400: web.HTTPBadRequest,
        403: web.HTTPForbidden,
        404: web.HTTPNotFound,
        504: web.HTTPGatewayTimeout,
    }
    body = msgspec.json.encode({"error": why}).decode()
    return kinds[status](text=body, content_type="application/json")


async def read_body(request: web.Request, kind: type[Body]) -> Body:
    """Read the JSON body; other content types are refused, so no form of a foreign page gets here."""
    if request.content_type != "application/json":
        raise refusal(400, "the body must be application/json")
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        raise refusal(400, str(error)) from error


def same_origin(handler: Handler) -> Handler:
    """Refuse a foreign page (Origin) and a foreign name that resolves to this machine (Host)."""

    @wraps(handler)
    async def guarded(request: web.Request) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        origin = request.headers.get("Origin")
        if _host_name(f"//{host}") not in _LOOPBACK_NAMES:
            raise refusal(403, "the sandbox answers on loopback names only")
        if origin is not None and origin != f"http://{host}":
            raise refusal(403, "another origin may not speak to the sandbox")
        return await handler(request)

    return guarded


def _host_name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
