"""Telegram's updates by webhook: proved by the secret, bounded in size, taken once, answered at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

import structlog
from fastapi import APIRouter, HTTPException, Request, Response

from managers.telegram.updates import read_json, webhook_secret
from runtime.errors import TransientError
from web.body import read_body
from web.proof import proof_of

log = structlog.get_logger(__name__)

PATH = "/telegram/webhook"

_SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 -- the name of the header, not its value
_BODY_MAX_BYTES = 1024 * 1024
_REMEMBERED_UPDATES = 10_000
_LOGGED_EACH_S = 10.0


class TelegramWebhook:
    """`feed` queues an update and returns; `secret` is what setWebhook was given.

    Telegram repeats an update until it gets a 2xx, so one whose id was seen is answered and not fed again, and while
    this process handles none (`is_open`) each is sent away with a 503. So is one for which `feed` raises a
    `TransientError`, and one that comes again meanwhile.
    """

    def __init__(
        self,
        *,
        secret: str,
        feed: Callable[[dict[str, Any]], Awaitable[None]],
        is_open: Callable[[], bool] = lambda: True,
        path: str = PATH,
    ) -> None:
        self._proves = proof_of(webhook_secret(secret).encode())
        self._feed = feed
        self._is_open = is_open
        self._seen: OrderedDict[int, bool] = OrderedDict()
        """By id, whether it was taken: before that it is on its way."""
        self._refused = 0
        self._logged_at = -_LOGGED_EACH_S
        self.path = path

    @property
    def router(self) -> APIRouter:
        """The way in, for `create_app`."""
        router = APIRouter()
        router.add_api_route(self.path, self.receive, methods=["POST"])
        return router

    async def receive(self, request: Request) -> Response:
        if not self._proves(request.headers.get(_SECRET_HEADER, "")):
            raise self._refusal(HTTPStatus.FORBIDDEN, "secret")
        if not self._is_open():
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE)
        body = await read_body(request, _BODY_MAX_BYTES)
        if body is None:
            raise self._refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "size")
        update, update_id = _decoded(body)
        if update_id is None:
            raise self._refusal(HTTPStatus.BAD_REQUEST, "body")
        if update_id not in self._seen:
            await self._take(update, update_id)
        elif not self._seen[update_id]:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE)
        return Response()

    async def _take(self, update: dict[str, Any], update_id: int) -> None:
        self._seen[update_id] = False  # before the wait below, during which Telegram may repeat it
        try:
            await self._feed(update)
        except BaseException as error:
            self._seen.pop(update_id, None)
            if isinstance(error, TransientError):
                raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE) from error
            raise
        self._seen[update_id] = True
        if len(self._seen) > _REMEMBERED_UPDATES:
            self._seen.popitem(last=False)

    def _refusal(self, status: HTTPStatus, reason: str) -> HTTPException:
        """Count and log a request that is refused, not every one of many: anybody can send some."""
        self._refused += 1
        now = time.monotonic()
        if now - self._logged_at >= _LOGGED_EACH_S:
            self._logged_at = now
            log.warning("webhook_refused", reason=reason, so_far=self._refused)
        return HTTPException(status)


def _decoded(body: bytes) -> tuple[dict[str, Any], int | None]:
    """Return the update and its id; no id, no update."""
    try:
        read = read_json(body)
    except ValueError:
        read = None
    update = cast("dict[str, Any]", read) if isinstance(read, dict) else dict[str, Any]()
    update_id = update.get("update_id")
    return update, update_id if isinstance(update_id, int) and not isinstance(update_id, bool) else None
