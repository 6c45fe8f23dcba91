"""The HTTP edge: liveness, metrics, and what features bring: the webhook where Telegram brings its updates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.proof import proof_of

HealthReport = Mapping[str, object]
"""JSON, with `ok` true or false; the rest says which part is how."""

FAMILIES_AT_ONCE = 15
"""Metrics are written out in parts, between which calls and alerts have their turn."""

_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def create_app(
    *,
    health: Callable[[], Awaitable[HealthReport]],
    metrics: CollectorRegistry,
    alive: Callable[[], HealthReport] = lambda: {"ok": True},
    routes: Iterable[APIRouter] = (),
    token: str | None = None,
) -> FastAPI:
    """Serve `/healthz` and `/readyz` (200, or 503 when not ok), `/metrics` and `routes`; nothing else.

    `/healthz` tells `alive` at once: whether the jobs move. `/readyz` tells `health`, for which every part is asked.
    With a `token`, who does not bring it gets 401 from `/metrics` and no more than `ok` from the other two.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(_SecurityHeaders)
    may_see = bearer_check(token)

    @app.get("/healthz")
    async def healthz(request: Request) -> JSONResponse:  # pyright: ignore[reportUnusedFunction] -- FastAPI calls it
        return _told(alive(), in_full=may_see(request))

    @app.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:  # pyright: ignore[reportUnusedFunction] -- FastAPI calls it
        return _told(await health(), in_full=may_see(request))

    @app.get("/metrics")
    async def exposition(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction] -- FastAPI calls it
        if not may_see(request):
            return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
        return Response(await _written(metrics), headers={"Content-Type": CONTENT_TYPE_LATEST})

    for router in routes:
        app.include_router(router)
    return app


def bearer_check(token: str | None) -> Callable[[Request], bool]:
    """Return who tells whether a request brings the token, in a time that says nothing about it. `None`: all may."""
    if token is None:
        return lambda _: True
    proves = proof_of(token.encode())

    def may(request: Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        is_proven = proves(given.lstrip(" "))
        return scheme.lower() == "bearer" and is_proven  # of the scheme, capitals mean nothing (RFC 7235)

    return may


def _told(report: HealthReport, *, in_full: bool) -> JSONResponse:
    is_ok = report.get("ok") is True
    shown = dict(report) if in_full else {"ok": is_ok}
    return JSONResponse(shown, status_code=HTTPStatus.OK if is_ok else HTTPStatus.SERVICE_UNAVAILABLE)


async def _written(metrics: Collector) -> bytes:
    """Read all numbers in one moment; write them out in parts, as that takes longer."""
    families, text = list(metrics.collect()), bytearray()
    for at in range(0, len(families), FAMILIES_AT_ONCE):
        await asyncio.sleep(0)
        text += generate_latest(_Part(families[at : at + FAMILIES_AT_ONCE]))
    return bytes(text)


class _Part(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families


class _SecurityHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_guarded if scope["type"] == "http" else send)
