"""The HTTP side of the sandbox's feed: calls since a cursor, tokens and channels, behind a bearer token.

Pictures, animations and videos of tokens are open to everybody, as on the web.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import Protocol

from aiohttp import web

from domain.calls.events import Channel, Token
from sandbox.feed import wire as feed_wire
from sandbox.market import media as market_media

_MAX_PAGE = 1_000
_DEFAULT_PAGE = 500


class Archive(Protocol):
    """What the HTTP side may ask."""

    @property
    def token(self) -> str: ...
    @property
    def cursor(self) -> int: ...
    def frames_since(self, cursor: int, limit: int | None = None) -> list[bytes]: ...
    def find_channel(self, channel_id: str) -> Channel | None: ...
    def find_token(self, address: str) -> Token | None: ...


def build(archive: Archive) -> web.Application:
    async def calls(request: web.Request) -> web.Response:
        try:
            since = int(request.query.get("since", "0"))
            limit = int(request.query.get("limit", _DEFAULT_PAGE))
        except ValueError:
            return web.json_response({"error": "since and limit are whole numbers"}, status=400)
        frames = archive.frames_since(since, max(1, min(limit, _MAX_PAGE)))
        return _json(feed_wire.calls_page(frames, archive.cursor))

    async def token(request: web.Request) -> web.Response:
        found, chain = archive.find_token(request.match_info["address"]), request.query.get("chain")
        return _found(None if found is None or chain not in {None, found.chain} else found)

    async def channel(request: web.Request) -> web.Response:
        return _found(archive.find_channel(request.match_info["id"]))

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path.startswith("/media/"):
            return await handler(request)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not compare_digest(given.strip().encode(), archive.token.encode()):
            return web.json_response({"error": "the bearer token is missing or wrong"}, status=401)
        return await handler(request)

    app = web.Application(middlewares=[guard])
    app.router.add_get("/v1/calls", calls)
    app.router.add_get("/v1/tokens/{address}", token)
    app.router.add_get("/v1/channels/{id:.+}", channel)
    app.router.add_get(r"/media/{mint:[1-9A-HJ-NP-Za-km-z]{32,44}}.{kind:png|gif|mp4}", _media)
    return app


async def _media(request: web.Request) -> web.Response:
    kind = request.match_info["kind"]
    return web.Response(
        body=market_media.content(request.match_info["mint"], kind), content_type=market_media.CONTENT_TYPES[kind]
    )


def _found(body: Channel | Token | None) -> web.Response:
    if body is None:
        return web.json_response({"error": "unknown"}, status=404)
    return _json(feed_wire.document(body))


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
