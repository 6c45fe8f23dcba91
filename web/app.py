"""The HTTP edge: liveness, metrics and, where Telegram brings its updates, the webhook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.telegram_webhook import TelegramWebhook

HealthReport = Mapping[str, object]
"""JSON, with `ok` true or false; the rest says which part is how."""

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
    telegram_webhook: TelegramWebhook | None,
    metrics: CollectorRegistry,
) -> FastAPI:
    """Serve `/healthz` (200, or 503 when not ok), `/metrics` and, if given, the webhook; nothing else."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_SecurityHeaders)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:  # pyright: ignore[reportUnusedFunction] -- FastAPI calls it
        report = dict(await health())
        status = HTTPStatus.OK if report.get("ok") is True else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse(report, status_code=status)

    @app.get("/metrics")
    async def exposition() -> Response:  # pyright: ignore[reportUnusedFunction] -- FastAPI calls it
        return Response(generate_latest(metrics), headers={"Content-Type": CONTENT_TYPE_LATEST})

    if telegram_webhook is not None:
        app.add_api_route(telegram_webhook.path, telegram_webhook.receive, methods=["POST"])
    return app


class _SecurityHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_SECURITY_HEADERS)
            await send(message)

        await self._app(scope, receive, send_guarded if scope["type"] == "http" else send)
