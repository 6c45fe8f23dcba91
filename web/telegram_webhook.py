"""Telegram's updates by webhook: proved by the secret, bounded in size, taken once, answered at once."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import HTTPException, Request, Response

from managers.telegram_updates import webhook_secret

log = structlog.get_logger(__name__)

PATH = "/telegram/webhook"

_SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 -- the name of the header, not its value
_BODY_MAX_BYTES = 1024 * 1024
_REMEMBERED_UPDATES = 10_000
_DECODER = msgspec.json.Decoder(dict[str, Any])


class TelegramWebhook:
    """`feed` queues an update and returns; `secret` is what setWebhook was given.

    Telegram repeats an update until it gets a 2xx, so one whose id was seen is answered and not fed again, and while
    this process handles none (`is_open`) each is sent away with a 503.
    """

    def __init__(
        self,
        *,
        secret: str,
        feed: Callable[[dict[str, Any]], Awaitable[None]],
        is_open: Callable[[], bool] = lambda: True,
        path: str = PATH,
    ) -> None:
        self._secret = webhook_secret(secret).encode()
        self._feed = feed
        self._is_open = is_open
        self._seen: OrderedDict[int, None] = OrderedDict()
        self.path = path

    async def receive(self, request: Request) -> Response:
        given = request.headers.get(_SECRET_HEADER, "")
        if not hmac.compare_digest(given.encode(), self._secret):
            log.warning("webhook_refused", reason="secret")
            raise HTTPException(HTTPStatus.FORBIDDEN)
        if not self._is_open():
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE)
        update, update_id = _decoded(await _body(request))
        if update_id not in self._seen:
            self._seen[update_id] = None  # before the wait below, during which Telegram may repeat it
            try:
                await self._feed(update)
            except BaseException:
                del self._seen[update_id]
                raise
            if len(self._seen) > _REMEMBERED_UPDATES:
                self._seen.popitem(last=False)
        return Response()


def _decoded(body: bytes) -> tuple[dict[str, Any], int]:
    try:
        update = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        update = {}
    update_id = update.get("update_id")
    if not isinstance(update_id, int):
        log.warning("webhook_refused", reason="body")
        raise HTTPException(HTTPStatus.BAD_REQUEST)
    return update, update_id


async def _body(request: Request) -> bytes:
    """Read the body, but never more of it than allowed, whatever its announced length."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_MAX_BYTES:
            log.warning("webhook_refused", reason="size")
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return bytes(body)
